package selector

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		`up`:                               `up`,
		` up { job = "a" , } `:             `up{job="a"}`,
		`up{job="a",x!="b",y=~"c",z!~'d'}`: `up{job="a",x!="b",y=~"c",z!~"d"}`,
		"up{job=`\\d`}":                    `up{job="\\d"}`,
		`{"a.b",job="x\ny"}`:               `{"a.b",job="x\ny"}`,
		`{__name__="up",job="a"}`:          `up{job="a"}`,
		`up{"l.x"="a"}`:                    `up{l.x="a"}`,
		`job:errors:rate5m`:                `job:errors:rate5m`,
		`sum`:                              `sum`,
		`by{a="b"}`:                        `by{a="b"}`,
		``:                                 "",
		`up[5m]`:                           "",
		`up offset 5m`:                     "",
		`-up`:                              "",
		`(up)`:                             "",
		`sum(up)`:                          "",
		`up + up`:                          "",
		`up{job=~"("}`:                     "",
		`up{job="a"`:                       "",
		`up{job==“a”}`:                     "",
		`up{job}`:                          "",
		`{job="a"}`:                        "",
		`{__name__=~"a|b"}`:                "",
		`up{__name__="down"}`:              "",
		`1`:                                "",
		`"up"`:                             "",
		`{}`:                               "",
		`up{job="a}`:                       "",
		"up{job=\"a\nb\"}":                 "",
	} {
		s, err := Parse(text)
		if got := s.String(); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: expected %q, got %q, %v", text, want, got, err)
		}
	}
}

func TestMatches(t *testing.T) {
	labels := map[string]string{"code": "500", "method": "GET"}
	for text, want := range map[string]bool{
		`requests`: true, `requests{code="500"}`: true, `requests{code="501"}`: false, `requests{code!="501"}`: true,
		`requests{code=~"5.."}`: true, `requests{code=~"5"}`: false, `requests{code!~"5"}`: true, `requests{code!~"5.."}`: false,
		`requests{other=""}`: true, `requests{other="x"}`: false, `requests{code="500",method="POST"}`: false, `other`: false,
		`requests{__name__=~"req.*"}`: true, `requests{__name__!~"req.*"}`: false,
	} {
		s, err := Parse(text)
		if err != nil {
			t.Fatal(text, err)
		}
		if got := s.Matches("requests", func(name string) string { return labels[name] }); got != want {
			t.Errorf("%s: got %t", text, got)
		}
	}
}

func TestRead(t *testing.T) {
	for expression, want := range map[string]string{
		`sum by (le, code) (rate(a_bucket{code!="501"}[5m])) / ignoring(le) group_left sum(rate(b_count[5m]))`: `a_bucket{code!="501"} b_count`,
		"a # comment { with \"quotes\nand b": `a b`,
		`histogram_quantile(0.99, sum(rate(x_bucket[5m:30s] offset 1h)) without (instance) > bool 0.5)`: `x_bucket`,
		`label_replace(up, "a", "$1", "b", "(.*)")`:                                                     `up`,
		`absent(a{job="x"}) or vector(0) unless on() b`:                                                 `a{job="x"} b`,
		`a @ 1609746000 - a @ end() + (b offset -5m)[1h:]`:                                              `a a b`,
		`topk(3, sum by(x)(a)) AND ON(x) GROUP_LEFT(y) b`:                                               `a b`,
		`-a ^ -2 * 0x1F + 1e-3 + .5 + Inf - NaN + 1h30m`:                                                `a`,
		`count_values("version", build_info)`:                                                           `build_info`,
		`{__name__=~"ibex_.*",job="x"}`:                                                                 `{__name__=~"ibex_.*",job="x"}`,
		`{"http.requests","l.x"="1"}`:                                                                   `{"http.requests",l.x="1"}`,
		`quantile_over_time(0.5, a[1w2d])`:                                                              `a`,
		`time() - max(timestamp(a))`:                                                                    `a`,
		`min + max{a="b"} + sum(avg)`:                                                                   `min max{a="b"} avg`,
		`rate(a[5m]) < 1 or by > 0`:                                                                     `a by`,
		`sum(a) by (b,) - on (c,) group_right () d`:                                                     `a d`,
		`a @ -3 + b @ +3 + 0 + 9 + .0 + .9`:                                                             `a b`,
		`1-a + 2+b + 1E3*c + 1e+3 - 1E-3 - d`:                                                           `a b c d`,
		`0x1e-a + 0X1E+b`:                                                                               `a b`,
		`{"5xx_total"} + a5 + {"a5"}`:                                                                   `{"5xx_total"} a5 a5`,
		`foo{a="\xff\x41"}`:                                                                             `foo{a="\xffA"}`,
		`foo{a="\"}\u00e9\\"}`:                                                                          `foo{a="\"}é\\"}`,
	} {
		found, err := Read(expression)
		var got []string
		for _, f := range found {
			got = append(got, f.String())
		}
		if strings.Join(got, " ") != want || err != nil {
			t.Errorf("%s:\n expected %s\n got      %s %v", expression, want, strings.Join(got, " "), err)
		}
	}
}

func TestRead_saysWhereItCannotBeRead(t *testing.T) {
	if found, err := Read(strings.Repeat("a", maxExpression)); len(found) != 1 || err != nil {
		t.Errorf("the longest expression: %d found, %v", len(found), err)
	}
	for expression, want := range map[string]string{
		"":                         "1:1: expected a series, a number, a function or a parenthesis",
		"sum(a":                    "1:6: expected )",
		"a\n + ":                   "2:4: expected a series, a number, a function or a parenthesis",
		"a b":                      "1:3: expected an operator or the end",
		"sum b":                    "1:5: expected an operator or the end",
		"rate(a) by (b)":           "1:9: expected an operator or the end",
		".":                        "1:1: expected PromQL, got a character that it does not have",
		"a + .":                    "1:5: expected PromQL, got a character that it does not have",
		"a{b}":                     "1:4: expected =, !=, =~ or !~",
		"a{b=c}":                   "1:5: expected a text in quotes",
		"a{b='c}":                  "1:5: expected a text in quotes",
		"a[5m":                     "1:5: expected ]",
		"a[x]":                     "1:3: expected a duration",
		"a offset b":               "1:10: expected a duration",
		"sum by a (b)":             "1:8: expected (",
		"sum by (1) (b)":           "1:9: expected a label",
		"é ; a":                    "1:1: expected PromQL, got a character that it does not have",
		"a / on b":                 "1:8: expected (",
		"{}":                       "1:3: expected a name or a label",
		`a{__name__="b"}`:          "1:15: expected one name",
		`a{b=~"*"}`:                "1:6: expected a regular expression",
		strings.Repeat("(", 200):   "1:101: expected at most 100 levels",
		strings.Repeat("a", 70000): "1:1: expected at most 65536 bytes",
		"{{ $labels.x }}":          "1:4: expected PromQL, got a character that it does not have",
	} {
		found, err := Read(expression)
		if err == nil || err.Error() != want || found != nil {
			t.Errorf("%.40s: expected %q, got %v %v", expression, want, err, found)
		}
	}
}

// FuzzRead finds what makes the reader crash, hang, or lose a selector that it writes itself.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{`sum by (a) (rate(b{c=~"d"}[5m])) / 2`, `{"a.b"}`, `a @ end() offset -1m`, "'\\'", "0x", "a[", "-", "((", "`"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		found, err := Read(expression)
		if err != nil {
			return
		}
		for _, s := range found {
			if s.Name == "" || strings.ContainsAny(s.String(), "\\") {
				continue
			}
			for _, m := range s.Matchers {
				if !isName(m.Label) {
					return
				}
			}
			again, err := Read(s.String())
			if err != nil || len(again) != 1 || again[0].String() != s.String() {
				t.Errorf("%q: read %s, and of that %v, %v", expression, s, again, err)
			}
		}
	})
}
