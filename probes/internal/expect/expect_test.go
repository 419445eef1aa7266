package expect

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/strictyaml"
)

// expectation reads an Expect as a configuration has it.
func expectation(t *testing.T, text string) *Expect {
	t.Helper()
	root, wrong := strictyaml.Parse([]byte(text), 1<<16)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	e := &Expect{}
	var d strictyaml.Decoder
	if wrong := d.Decode(root, e); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	if err := e.Validate(true); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestJudge(t *testing.T) {
	now := time.Now()
	in := func(days int) time.Time { return now.Add(time.Duration(days) * 24 * time.Hour) }
	twice := func(first, second string) http.Header { return http.Header{"X-Mode": {first, second}} }
	for name, c := range map[string]struct {
		expect string
		answer *httpx.Answer
		want   probe.Reason
	}{
		"a header":                       {"{headers: {X-Mode: on}}", &httpx.Answer{Header: http.Header{"X-Mode": {"on"}}}, probe.OK},
		"a header on two lines":          {"{headers: {X-Mode: on}}", &httpx.Answer{Header: twice("on", "on")}, probe.OK},
		"the second line is wrong":       {"{headers: {X-Mode: on}}", &httpx.Answer{Header: twice("on", "off")}, probe.Header},
		"the first line is wrong":        {"{headers: {X-Mode: on}}", &httpx.Answer{Header: twice("off", "on")}, probe.Header},
		"Vary on one line":               {`{headers: {Vary: {contains: Origin}}}`, &httpx.Answer{Header: http.Header{"Vary": {"Accept-Encoding, Origin"}}}, probe.OK},
		"Vary on two lines":              {`{headers: {Vary: {contains: Origin}}}`, &httpx.Answer{Header: http.Header{"Vary": {"Accept-Encoding", "Origin"}}}, probe.OK},
		"two lines equal to one":         {`{headers: {cache-control: "no-store, private"}}`, &httpx.Answer{Header: http.Header{"Cache-Control": {"no-store", "private"}}}, probe.OK},
		"two lines and a part of them":   {`{headers: {Cache-Control: no-store}}`, &httpx.Answer{Header: http.Header{"Cache-Control": {"no-store", "private"}}}, probe.Header},
		"Referrer-Policy on two lines":   {`{headers: {Referrer-Policy: {contains: same-origin}}}`, &httpx.Answer{Header: http.Header{"Referrer-Policy": {"no-referrer", "same-origin"}}}, probe.OK},
		"NEL on two lines":               {`{headers: {NEL: {contains: b}}}`, &httpx.Answer{Header: http.Header{"Nel": {"a", "b"}}}, probe.OK},
		"a list that must lack a member": {`{headers: {Vary: {contains: Origin, not_contains: Cookie}}}`, &httpx.Answer{Header: http.Header{"Vary": {"Origin", "Cookie"}}}, probe.Header},
		"a cookie among others":          {`{headers: {Set-Cookie: {match: "^sid=.*HttpOnly"}}}`, &httpx.Answer{Header: http.Header{"Set-Cookie": {"sid=1; HttpOnly", "theme=dark"}}}, probe.OK},
		"conditions of two cookies":      {`{headers: {Set-Cookie: {contains: sid=, match: HttpOnly}}}`, &httpx.Answer{Header: http.Header{"Set-Cookie": {"sid=1", "theme=dark; HttpOnly"}}}, probe.Header},
		"a cookie that must not be":      {`{headers: {Set-Cookie: {contains: sid=, not_contains: debug=}}}`, &httpx.Answer{Header: http.Header{"Set-Cookie": {"sid=1", "debug=1"}}}, probe.Header},
		"no cookie":                      {`{headers: {Set-Cookie: {contains: sid=}}}`, &httpx.Answer{}, probe.Header},
		"cookies that must be absent":    {`{headers: {Set-Cookie: {absent: true}}}`, &httpx.Answer{Header: http.Header{"Set-Cookie": {"sid=1", "theme=dark"}}}, probe.Header},
		"a header within":                {"{headers: {X-Left: {min: 5}}}", &httpx.Answer{Header: http.Header{"X-Left": {"7"}}}, probe.OK},
		"a header that is infinite":      {"{headers: {X-Left: {min: 5}}}", &httpx.Answer{Header: http.Header{"X-Left": {"Inf"}}}, probe.Header},
		"a header that is no number":     {"{headers: {X-Left: {max: 5}}}", &httpx.Answer{Header: http.Header{"X-Left": {"NaN"}}}, probe.Header},
		"a header of hexadecimal digits": {"{headers: {X-Left: {min: 5}}}", &httpx.Answer{Header: http.Header{"X-Left": {"0x10"}}}, probe.Header},
		"every match":                    {`{json: {"$.a[*]": up}}`, &httpx.Answer{Body: []byte(`{"a":["up","up"]}`)}, probe.OK},
		"the second match is wrong":      {`{json: {"$.a[*]": up}}`, &httpx.Answer{Body: []byte(`{"a":["up","down"]}`)}, probe.Body},
		"the last of two paths is wrong": {`{json: {$.a: 1, $.b: 1}}`, &httpx.Answer{Body: []byte(`{"a":1,"b":2}`)}, probe.Body},
		"a certificate for long":         {"{certificate: 14d}", &httpx.Answer{Exchange: probe.Exchange{CertExpiry: in(15)}}, probe.OK},
		"a certificate to be renewed":    {"{certificate: 14d}", &httpx.Answer{Exchange: probe.Exchange{CertExpiry: in(13)}}, probe.OK},
		"a certificate for a few days":   {"{certificate: 14d}", &httpx.Answer{Exchange: probe.Exchange{CertExpiry: in(3)}}, probe.Cert},
		"above its own limit":            {"{certificate: {warn: 30d, fail: 7d}}", &httpx.Answer{Exchange: probe.Exchange{CertExpiry: in(8)}}, probe.OK},
		"below its own limit":            {"{certificate: {warn: 30d, fail: 7d}}", &httpx.Answer{Exchange: probe.Exchange{CertExpiry: in(6)}}, probe.Cert},
		"a limit without a warning":      {"{certificate: {fail: 7d}}", &httpx.Answer{Exchange: probe.Exchange{CertExpiry: in(6)}}, probe.Cert},
		"a certificate that has expired": {"{certificate: 1s}", &httpx.Answer{Exchange: probe.Exchange{CertExpiry: in(-1)}}, probe.Cert},
		"a certificate for just as long": {"{certificate: {fail: 7d}}", &httpx.Answer{Exchange: probe.Exchange{CertExpiry: in(7)}}, probe.OK},
		"no certificate":                 {"{certificate: 14d}", &httpx.Answer{}, probe.Cert},
		"a quick answer":                 {"{latency: 1s}", &httpx.Answer{Exchange: probe.Exchange{Took: time.Second}}, probe.OK},
		"slow by the prober's own delay": {"{latency: 1s}", &httpx.Answer{Exchange: probe.Exchange{Took: 3 * time.Second, Late: time.Second}}, probe.SelfDelay},
		"slow despite the own delay":     {"{latency: 1s}", &httpx.Answer{Exchange: probe.Exchange{Took: 3 * time.Second, Late: time.Second - 1}}, probe.Slow},
		"quick despite the own delay":    {"{latency: 1s}", &httpx.Answer{Exchange: probe.Exchange{Took: time.Second, Late: time.Second}}, probe.OK},
		"a slow answer":                  {"{latency: 1s}", &httpx.Answer{Exchange: probe.Exchange{Took: time.Second + 1}}, probe.Slow},
	} {
		t.Run(name, func(t *testing.T) {
			checks := expectation(t, c.expect).Judge(c.answer, now)
			if len(checks) != 1 || checks[0].Reason != c.want {
				t.Errorf("got %v, expected %s", checks, c.want)
			}
		})
	}
}

// A message repeats no text that the target chose.
func TestJudge_says(t *testing.T) {
	now := time.Now()
	valid := func(d time.Duration) *httpx.Answer {
		return &httpx.Answer{Exchange: probe.Exchange{CertExpiry: now.Add(d)}}
	}
	json := func(value string) *httpx.Answer { return &httpx.Answer{Body: []byte(`{"a":` + value + `}`)} }
	for _, c := range []struct {
		expect string
		answer *httpx.Answer
		want   string
	}{
		{"{certificate: 30d}", valid(48 * 24 * time.Hour), "the certificate is valid for another 48 days"},
		{"{certificate: 30d}", valid(29 * 24 * time.Hour), "the certificate is valid for another 29 days: renew it, it fails below 180h"},
		{"{certificate: 30d}", valid(47 * time.Hour), "expected a certificate valid for another 180h, got one that expires in 1 day"},
		{"{certificate: 30d}", valid(5*time.Hour + time.Minute), "expected a certificate valid for another 180h, got one that expires in 5 hours"},
		{"{certificate: 30d}", valid(-2 * time.Hour), "expected a certificate valid for another 180h, got one that expired 2 hours ago"},
		{"{json: {$.a: up}}", json("true"), `$.a: expected "up", got true`},
		{"{json: {$.a: up}}", json("null"), `$.a: expected "up", got null`},
		{"{json: {$.a: 1}}", json("123456789"), `$.a: expected "1", got 123456789`},
		{"{json: {$.a: 1}}", json("1234567890"), `$.a: expected "1", got another number`},
		{"{json: {$.a: up}}", json(`"düwn"`), `$.a: expected "up", got another text of 4 characters`},
		{"{json: {$.a: up}}", json("[]"), `$.a: expected "up", got an array`},
		{"{json: {$.a: up}}", json("{}"), `$.a: expected "up", got an object`},
		{"{json: {$.a: {match: u.}}}", json("1"), `$.a: expected a match of /u./, got 1`},
		{"{json: {$.a: {min: 2, max: 3}}}", json("1"), `$.a: expected at least 2 and at most 3, got 1`},
		{"{json: {$.a: {contains: u, not_contains: p, not_match: q}}}", json("1"), `$.a: expected a text with "u" and a text without "p" and no match of /q/, got 1`},
		{"{json: {$.a: null}}", json("1"), `$.a: expected null, got 1`},
		{"{json: {$.a: {absent: true}}}", json("1"), `$.a: expected none, got 1`},
	} {
		if checks := expectation(t, c.expect).Judge(c.answer, now); len(checks) != 1 || checks[0].Detail != c.want {
			t.Errorf("%s: got %q, expected %q", c.expect, checks[0].Detail, c.want)
		}
	}
}

// A latency that the run never reaches is refused; one that it may reach is not.
func TestCheckLatency(t *testing.T) {
	for latency, refused := range map[probe.Duration]bool{probe.Duration(time.Second) - 1: false, probe.Duration(time.Second): false, probe.Duration(time.Second) + 1: true} {
		if err := CheckLatency(&latency, time.Second); (err != nil) != refused {
			t.Errorf("%d: got %v", latency, err)
		}
	}
	if err := CheckLatency(nil, time.Second); err != nil {
		t.Error(err)
	}
}

// A certificate that is to be renewed is told by a series of its own, and not by the verdict.
func TestCertificate_warns(t *testing.T) {
	now := time.Now()
	for text, want := range map[string]string{ // with 29 days left, and with 6
		"{certificate: 30d}":                   "ok [1], cert [1]",
		"{certificate: 28d}":                   "ok [0], cert [1]",
		"{certificate: {warn: 30d, fail: 5d}}": "ok [1], ok [1]",
		"{certificate: {fail: 7d}}":            "ok [], cert []",
	} {
		e, got := expectation(t, text), []string{}
		for _, days := range []int{29, 6} {
			r, answer := probe.NewResult(probe.ID{}), &httpx.Answer{Exchange: probe.Exchange{CertExpiry: now.Add(time.Duration(days) * 24 * time.Hour)}}
			reason := e.Judge(answer, now)[0].Reason
			e.Certificate.Report(r, answer.CertExpiry, now)
			values := []float64{}
			for _, s := range r.Samples {
				values = append(values, s.Value)
			}
			got = append(got, fmt.Sprint(reason, " ", values))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: got %q, expected %q", text, strings.Join(got, ", "), want)
		}
	}
}

func TestMatchValue(t *testing.T) {
	for _, c := range []struct {
		match, value string
		want         bool
	}{
		{"{min: 5}", "7", true},
		{"{min: 5}", "3", false},
		{"{min: 5, max: 5}", "5", true},
		// Numbers that are written as strings, by Prometheus and for bigint.
		{"{min: 5}", `"7"`, true},
		{"{min: 5}", `"3"`, false},
		{"{min: 5, max: 10}", `"7.5e0"`, true},
		{"{max: 0}", `"-0.5"`, true},
		{"{min: 5}", `" 7"`, false},
		{"{min: 5}", `"7 "`, false},
		{"{min: 5}", `"7\n"`, false},
		{"{min: 5}", `"+7"`, false},
		{"{min: 5}", `"07"`, false},
		{"{min: 5}", `"7."`, false},
		{"{min: 5}", `"0x7f"`, false},
		{"{min: 5}", `"1_000"`, false},
		{"{min: 5}", `"Inf"`, false},
		{"{min: 5}", `"+Inf"`, false},
		{"{min: 5}", `"1e999"`, false},
		{"{max: 5}", `"-Infinity"`, false},
		{"{max: 5}", `"NaN"`, false},
		{"{max: 5}", `""`, false},
		{"{max: 5}", `"high"`, false},
		{"{max: 5}", `"1 2"`, false},
		{"{max: 5}", `null`, false},
		{"{max: 5}", `true`, false},
		{"{max: 5}", `[1]`, false},
		{"{max: 5}", `{}`, false},
		// null is the value, and not the word.
		{"null", `null`, true},
		{"~", `null`, true},
		{"null", `"null"`, false},
		{"null", `0`, false},
		{"null", `""`, false},
		{"null", `[]`, false},
		{`"null"`, `"null"`, true},
	} {
		e := expectation(t, `{json: {$.x: `+c.match+`}}`)
		got := e.CheckJSON(&httpx.Answer{Body: []byte(`{"x":` + c.value + `}`)})
		if got.Passed() != c.want {
			t.Errorf("%s of %s: got %+v, expected %t", c.match, c.value, got, c.want)
		}
	}
	for text, want := range map[string]bool{"null": true, `"null"`: false} {
		written, err := expectation(t, `{json: {$.x: `+text+`}}`).JSON["$.x"].MarshalYAML()
		if err != nil || (written == nil) != want {
			t.Errorf("%s is written as %v, %v", text, written, err)
		}
	}
	if negative := expectation(t, `{json: {$.x: null}}`).Negative(); negative != "" {
		t.Errorf("%s is negative", negative)
	}
	if got := expectation(t, `{json: {$.x: null}}`).CheckJSON(&httpx.Answer{Body: []byte(`{"y":1}`)}); got.Reason != probe.Schema || !strings.Contains(got.Detail, "expected null, got nothing") {
		t.Errorf("a value that is missing: got %+v", got)
	}
}

func TestNegative(t *testing.T) {
	for _, status := range []int{400, 404, 499, 500, 503, 599} {
		if (&Expect{Status: httpx.Codes(status)}).Negative() == "" {
			t.Errorf("%d needs no control", status)
		}
	}
	for _, class := range []httpx.Statuses{{4}, {5}, {2, 5}} {
		if (&Expect{Status: class}).Negative() == "" {
			t.Errorf("%s needs no control", class)
		}
	}
	if negative := (&Expect{Status: httpx.Statuses{1, 2, 3, 204}}).Negative(); negative != "" {
		t.Errorf("%s is negative", negative)
	}
}

// A value that somebody forgot is not null.
func TestMatch_forgottenValue(t *testing.T) {
	for _, text := range []string{`{json: {$.x: }}`, `{json: {$.x}}`, "json:\n  $.x:\n"} {
		root, wrong := strictyaml.Parse([]byte(text), 1<<16)
		if len(wrong) == 0 {
			var d strictyaml.Decoder
			wrong = d.Decode(root, &Expect{})
		}
		if len(wrong) != 1 || !strings.Contains(wrong[0].Text, "has no value") {
			t.Errorf("%q: got %v, expected that it has no value", text, wrong)
		}
	}
}

// A message about an expression repeats no more of it than an operator: it may hold a secret.
func TestPattern_says(t *testing.T) {
	for text, want := range map[string]string{
		`(?z)`:         "not a regular expression (RE2): invalid or unsupported Perl syntax: (?z",
		`(?<`:          "not a regular expression (RE2): invalid or unsupported Perl syntax: (?<",
		`\y`:           `not a regular expression (RE2): invalid escape sequence: \y`,
		`(?zz)`:        "not a regular expression (RE2): invalid or unsupported Perl syntax: (?z",
		`(?P<hunter2`:  "not a regular expression (RE2): invalid named capture",
		`(?=hunter2)`:  "not a regular expression (RE2): invalid or unsupported Perl syntax: (?=",
		`hunter2[`:     "not a regular expression (RE2): missing closing ]",
		`hunter2**`:    "not a regular expression (RE2): invalid nested repetition operator",
		`a{1001}`:      "not a regular expression (RE2): invalid repeat count",
		`[z-a]hunter2`: "not a regular expression (RE2): invalid character class range",
	} {
		var p Pattern
		err := p.UnmarshalYAML(func(v any) error { *v.(*string) = text; return nil })
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, expected %s", text, err, want)
		}
	}
	if got := syntaxProblem(errors.New("hunter2")); got != "it cannot be read" {
		t.Errorf("got %q", got)
	}
}

// Expressions that take up to the limit are searched for, and no longer ones.
func TestMatch_limit(t *testing.T) {
	m := Match{Match: &Pattern{Regexp: regexp.MustCompile("a"), size: maxSteps / 8}}
	for n, limited := range map[int]bool{7: false, 8: false, 9: true} {
		if got := m.limit(n); (got != "") != limited {
			t.Errorf("%d bytes: got %q", n, got)
		}
	}
	if got := m.limit(9); got != "/a/ is searched for in up to 8 bytes, got 9; expect a simpler text, or set max_body" {
		t.Errorf("got %q", got)
	}
	if got := (Match{Match: &Pattern{Regexp: regexp.MustCompile("a")}}).limit(1); got != "" {
		t.Errorf("an expression that was not read from a configuration: got %q", got)
	}
}

// TestPattern_bounded refuses an expression whose program is too large, and leaves undecided what would take a large one too
// long. In either case nothing is searched.
func TestPattern_bounded(t *testing.T) {
	var p Pattern
	read := func(text string) error {
		return p.UnmarshalYAML(func(v any) error { *v.(*string) = text; return nil })
	}
	for text, ok := range map[string]bool{`(a?){500}b`: false, `(x{40}){40}`: false, `[a-z]{1000}`: false, `(a?){200}b`: true, `"version":\s*"\d+\.\d+"`: true} {
		if err := read(text); (err == nil) != ok {
			t.Errorf("%s: got %v", text, err)
		}
	}
	large := strings.Repeat("a", 1<<20)
	doc := `{"a":"` + large + `"}`
	for name, c := range map[string]struct {
		expect string
		answer *httpx.Answer
		want   probe.Reason
	}{
		"a body":                  {`{body: {match: "(a?){200}b"}}`, &httpx.Answer{Body: []byte(large)}, probe.SelfLimit},
		"the lack of a match":     {`{body: {contains: a, not_match: "(a?){200}b"}}`, &httpx.Answer{Body: []byte(large)}, probe.SelfLimit},
		"a JSON value":            {`{json: {$.a: {match: "(a?){200}b"}}}`, &httpx.Answer{Body: []byte(doc)}, probe.SelfLimit},
		"a header":                {`{headers: {X-Large: {match: "(?:a?){400}b"}}}`, &httpx.Answer{Header: http.Header{"X-Large": {large}}}, probe.SelfLimit},
		"a smaller body":          {`{body: {match: "(a?){200}b"}}`, &httpx.Answer{Body: []byte(large[:1<<10])}, probe.Body},
		"a usual expression":      {`{body: {match: "\"version\":\\s*\"\\d+"}}`, &httpx.Answer{Body: []byte(large)}, probe.Body},
		"a usual one that is met": {`{body: {match: "^a+$"}}`, &httpx.Answer{Body: []byte(large)}, probe.OK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checks := expectation(t, c.expect).Judge(c.answer, time.Now())
			if len(checks) != 1 || checks[0].Reason != c.want {
				t.Errorf("got %s: %s, expected %s", checks[0].Reason, checks[0].Detail, c.want)
			}
		})
	}
}
