package jsonpath

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// store is the example document of RFC 9535, section 1.5.
const store = `{"store": {"book": [
	{"category": "reference", "author": "Nigel Rees", "title": "Sayings of the Century", "price": 8.95},
	{"category": "fiction", "author": "Evelyn Waugh", "title": "Sword of Honour", "price": 12.99},
	{"category": "fiction", "author": "Herman Melville", "title": "Moby Dick", "isbn": "0-553-21311-3", "price": 8.99},
	{"category": "fiction", "author": "J. R. R. Tolkien", "title": "The Lord of the Rings", "isbn": "0-395-19395-8", "price": 22.99}],
	"bicycle": {"color": "red", "price": 399}}}`

// filters is the example document of RFC 9535, table 11.
const filters = `{"a": [3, 5, 1, 2, 4, 6, {"b": "j"}, {"b": "k"}, {"b": {}}, {"b": "kilo"}],
	"o": {"p": 1, "q": 2, "r": 3, "s": 5, "t": {"u": 6}}, "e": "f"}`

// health is what a service might say of itself.
const health = `{"status": "up", "value": {"count": 2}, "count": 7, "true": "yes", "a b": 1, "ключ": "з", "": "empty",
	"quote'd\"\\": 3, "line\nend\r": 4, "big": 123456789012345678901234567890, "exp": 1e3, "neg": -0, "none": null,
	"queues": [{"name": "mail", "depth": 3}, {"name": "sms", "depth": 0}, {"depth": 9}, {"name": 5, "depth": 1}],
	"emoji": "\ud83d\ude00", "nul": "\u0000"}`

func TestFind(t *testing.T) {
	for _, c := range []struct{ document, path, want string }{
		{store, `$.store.book[*].author`, `Nigel Rees | Evelyn Waugh | Herman Melville | J. R. R. Tolkien`},
		{store, `$..author`, `Nigel Rees | Evelyn Waugh | Herman Melville | J. R. R. Tolkien`},
		{store, `$.store.*`, `array | object`},
		{store, `$.store..price`, `8.95 | 12.99 | 8.99 | 22.99 | 399`},
		{store, `$..book[2].title`, `Moby Dick`},
		{store, `$..book[-1].title`, `The Lord of the Rings`},
		{store, `$..book[0,1].title`, `Sayings of the Century | Sword of Honour`},
		{store, `$..book[:2].title`, `Sayings of the Century | Sword of Honour`},
		{store, `$..book[?@.isbn].title`, `Moby Dick | The Lord of the Rings`},
		{store, `$..book[?@.price<10].title`, `Sayings of the Century | Moby Dick`},
		{store, `$['store']["bicycle"].color`, `red`},
		{store, `$ .store ['bicycle'] .color`, `red`},
		{store, `$`, `object`},

		{filters, `$.a[?@.b == 'kilo']`, `object`},
		{filters, `$.a[?(@.b == 'kilo')].b`, `kilo`},
		{filters, `$.a[?@>3.5]`, `5 | 4 | 6`},
		{filters, `$.a[?@ >= 3 && @ <= 5]`, `3 | 5 | 4`},
		{filters, `$.a[?@.b].b`, `j | k | object | kilo`},
		{filters, `$[?@.*]`, `array | object`},
		{filters, `$[?@[?@.b]]`, `array`},
		{filters, `$.o[?@<3, ?@<3]`, `1 | 2 | 1 | 2`},
		{filters, `$.a[?@<2 || @.b == "k"]`, `1 | object`},
		{filters, `$.a[?match(@.b, "[jk]")].b`, `j | k`},
		{filters, `$.a[?search(@.b, "[jk]")].b`, `j | k | kilo`},
		{filters, `$.o[?@>1 && @<4]`, `2 | 3`},
		{filters, `$.o[?@.u || @.x].u`, `6`},
		{filters, `$.a[?@ == @]`, `3 | 5 | 1 | 2 | 4 | 6 | object | object | object | object`},
		{filters, `$.a[1:5:2]`, `5 | 2`},
		{filters, `$.a[5:1:-2]`, `6 | 2`},
		{filters, `$.a[::-1].b`, `kilo | object | k | j`},
		{filters, `$.a[ 1 : 3 ]`, `5 | 1`},
		{filters, `$.a[0, -1, 1:3].b`, `kilo`},
		{filters, `$.a[0, 1:3]`, `3 | 5 | 1`},
		{filters, `$.a[99]`, ``},
		{filters, `$.e[0]`, ``},
		{filters, `$.nobody.home`, ``},

		// The names of the functions, of the literals and any characters may stand in names.
		{health, `$.value.count`, `2`},
		{health, `$.count`, `7`},
		{health, `$.true`, `yes`},
		{health, `$['a b']`, `1`},
		{health, `$.ключ`, `з`},
		{health, `$['']`, `empty`},
		{health, `$['quote\'d"\\']`, `3`},
		{health, `$["quote'd\"\\"]`, `3`},
		{health, `$['line\nend\u000d']`, `4`},
		{health, `$.big`, `123456789012345678901234567890`},
		{health, `$.exp`, `1e3`},
		{health, `$.none`, `null`},
		{health, `$.emoji`, "\U0001F600"},
		{health, `$["\ud83d\ude00"]`, ``},
		{health, `$.queues[?@.name == 'mail'].depth`, `3`},
		{health, `$.queues[?@.depth == 0].name`, `sms`},
		{health, `$.queues[?@.depth > -1e0].depth`, `3 | 0 | 9 | 1`},
		{health, `$[?@ == 123456789012345678901234567890]`, `123456789012345678901234567890`},
		{health, `$[?@ > 123456789012345678]`, `123456789012345678901234567890`},
		{health, `$.queues[?@.name == null].depth`, ``},
		{health, `$.queues[?length(@.name) == 4].depth`, `3`},
		{health, `$.queues[?count(@.*) == 1].depth`, `9`},
		{health, `$.queues[?value(@.name) == 'sms'].depth`, `0`},
		{health, `$[?@.count == 2].count`, `2`},

		// What is missing is neither matched nor, negated, left out.
		{health, `$.queues[?match(@.name, 'm.*')].depth`, `3`},
		{health, `$.queues[?match(@.name, '.*')].depth`, `3 | 0`},
		{health, `$.queues[?!match(@.name, 'm.*')].depth`, `0 | 9 | 1`},
		{health, `$.queues[?search(@.name, 's')].depth`, `0`},

		// A negation reaches as far as the RFC says and no further.
		{health, `$.queues[?!@.name].depth`, `9`},
		{health, `$.queues[?!@.name && @.depth == 3].depth`, ``},
		{health, `$.queues[?!@.name || @.depth == 3].depth`, `3 | 9`},
		{health, `$.queues[?!(@.depth == 3) && @.name].depth`, `0 | 1`},
		{health, `$.queues[?!(!@.name)].depth`, `3 | 0 | 1`},
	} {
		t.Run(c.path, func(t *testing.T) {
			p, err := Parse(c.path)
			if err != nil {
				t.Fatal(err)
			}
			d, err := Decode([]byte(c.document))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range p.Find(d) {
				if text := v.Text(); text != "" {
					got = append(got, text)
				} else {
					got = append(got, v.Kind())
				}
			}
			if got := strings.Join(got, " | "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if p.String() != c.path {
				t.Errorf("the path is shown as %s", p)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{``, `column 1: a JSON path starts with $`},
		{`a.b`, `column 1: a JSON path starts with $`},
		{` $.a`, `column 1: a JSON path starts with $`},
		{`$.a `, `column 4: wanted a dot or a bracket`},
		{`$a`, `column 2: wanted a dot or a bracket`},
		{`$.`, `column 3: wanted a name or *`},
		{`$.a-b`, `column 4: wanted a dot or a bracket`},
		{`$.1`, `column 3: wanted a name or *`},
		{`$. a`, `column 3: wanted a name or *`},
		{`$[`, `column 3: wanted a quoted name`},
		{`$[]`, `column 3: wanted a quoted name`},
		{`$['a'`, `column 6: wanted ] or a comma`},
		{`$['a]`, `column 3: the quote is not closed`},
		{`$['a\`, `column 3: the quote is not closed`},
		{`$['\x']`, `column 3: an escape that JSON does not know`},
		{`$['\"']`, `column 3: an escape that JSON does not know`},
		{`$["\'"]`, `column 3: an escape that JSON does not know`},
		{`$['\ud800']`, `column 3: half a surrogate pair`},
		{"$['a\nb']", `column 3: an escape that JSON does not know, or a control character`},
		{`$[01]`, `column 3: wanted an integer without leading zeros`},
		{`$[-0]`, `column 3: wanted an integer without leading zeros`},
		{`$[-]`, `column 3: wanted an integer`},
		{`$[9007199254740992]`, `column 3: wanted an integer`},
		{`$[1:2:3:4]`, `column 8: wanted ] or a comma`},
		{`$[1:2, 3]`, `column 6: a slice stands last in its brackets`},
		{`$[name]`, `column 3: wanted a quoted name`},
		{`$[?]`, `column 4: wanted @`},
		{`$[?1]`, `column 5: wanted a comparison`},
		{`$[?@.a == ]`, `column 11: wanted @`},
		{`$[?@.* == 1]`, `a comparison takes values`},
		{`$[?@[0:1] == 1]`, `a comparison takes values`},
		{`$[?!@.a == 1]`, `column 9: wanted ]`},
		{`$[?!1 == 1]`, `column 5: wanted a query`},
		{`$[?!count(@.a)]`, `column 5: wanted a query`},
		{`$[?@.a == 01]`, `column 11: wanted a number as JSON writes it`},
		{`$[?@.a == 1.]`, `column 11: wanted a number as JSON writes it`},
		{`$[?@.a = 1]`, `column 8: wanted ]`},
		{`$[?(@.a]`, `column 8: wanted )`},
		{`$[?frobnicate(@.a)]`, `wanted length(value)`},
		{`$[?length(@.*) == 1]`, `wanted length(value)`},
		{`$[?count(1) == 1]`, `wanted length(value)`},
		{`$[?match(@.a)]`, `column 13: wanted ,`},
		{`$[?match(@.a, 'b') == true]`, `a comparison takes values`},
		{`$[?match(@.a, '(')]`, `column 15: the pattern is not a regular expression`},
		{`$[?match(@.a, 'a)(b')]`, `column 15: the pattern is not a regular expression`},
		{`$[?~]`, `column 4: wanted @`},
		{"$.\xff", `valid UTF-8`},

		// What could cost more than the document is large.
		{`$..a..b`, `only one .. is allowed`},
		{`$[?@..a]`, `.. is not allowed in a filter`},
		{`$[?@.a == $.b]`, `$ is not allowed in a filter`},
		{`$[?match(@.a, @.b)]`, `wanted a pattern in quotes`},
		{`$[?match(@.a, 'x{999}')]`, `the pattern is too large`},
		{`$[*,*][*,*][*,*][*,*][*,*]`, `selects in more than 16 ways`},
		{`$[?@[?@[?@[?@[?@.a]]]]]`, `more than 4 filters within filters`},
		{`$` + strings.Repeat(".a", 500), `may have 1000 bytes, this one has 1001`},
	} {
		t.Run(c.path, func(t *testing.T) {
			p, err := Parse(c.path)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %s", err, c.want)
			}
			if !p.IsZero() {
				t.Error("a refused path is not zero")
			}
		})
	}
}

func TestZeroValuesFindNothing(t *testing.T) {
	d, err := Decode([]byte(`{"a": 1}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := (Path{}).Find(d); got != nil {
		t.Errorf("no path found %d values", len(got))
	}
	p, err := Parse("$.a")
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Find(Document{}); got != nil {
		t.Errorf("found %d values in no document", len(got))
	}
	if v := (Value{}); v.Kind() != "" || v.Text() != "" {
		t.Error("the zero value is of a kind")
	}
}

func TestValues(t *testing.T) {
	d, err := Decode([]byte(`{"s": "12", "i": 12, "f": 1.50, "x": 1e2, "t": true, "n": null, "a": [1], "o": {"k": 1}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, kind, text, float string }{
		{"s", "string", "12", "none"},
		{"i", "number", "12", "12"},
		{"f", "number", "1.50", "1.5"},
		{"x", "number", "1e2", "100"},
		{"t", "bool", "true", "none"},
		{"n", "null", "null", "none"},
		{"a", "array", "", "none"},
		{"o", "object", "", "none"},
	} {
		p, err := Parse("$." + c.name)
		if err != nil {
			t.Fatal(err)
		}
		v := p.Find(d)[0]
		float := "none"
		if f, ok := v.Float(); ok {
			float = fmt.Sprint(f)
		}
		if v.Kind() != c.kind || v.Text() != c.text || float != c.float {
			t.Errorf("%s: got %s %q %s, want %s %q %s", c.name, v.Kind(), v.Text(), float, c.kind, c.text, c.float)
		}
	}
}

func TestYAML(t *testing.T) {
	var settings struct {
		Path Path `yaml:"path,omitempty"`
	}
	if err := yaml.Unmarshal([]byte("path: $.a['b c'][0]\n"), &settings); err != nil {
		t.Fatal(err)
	}
	out, err := yaml.Marshal(settings)
	if err != nil || string(out) != "path: $.a['b c'][0]\n" {
		t.Errorf("got %s, %v", out, err)
	}
	err = yaml.Unmarshal([]byte("path: [a]\n"), &settings)
	if err == nil || !strings.Contains(err.Error(), "written as one text") {
		t.Errorf("a list was read as a path: %v", err)
	}
	settings.Path = Path{}
	if out, _ := yaml.Marshal(settings); string(out) != "{}\n" {
		t.Errorf("no path is written as %s", out)
	}
}

// TestPanicIsContained puts a nil into the engine, which follows it.
func TestPanicIsContained(t *testing.T) {
	p, err := Parse("$.a.b")
	if err != nil {
		t.Fatal(err)
	}
	broken := Document{&yaml.Node{Kind: yaml.MappingNode, Tag: tagObject, Content: []*yaml.Node{{Value: "a"}, nil}}}
	if got := p.Find(broken); got != nil {
		t.Errorf("found %d values", len(got))
	}
	if _, err := build("$["); err == nil {
		t.Error("the engine took half a path")
	}
}

func TestDecodeRefuses(t *testing.T) {
	const marker = "hunter2-marker"
	for _, c := range []struct{ name, body, want string }{
		{"nothing", "", "the body is empty"},
		{"blanks", " \r\n\t ", "the body is empty"},
		{"HTML", "<html>" + marker, "not JSON, at byte 1"},
		{"two values", `{"a": 1} {"b": 2}`, "not JSON, at byte 10"},
		{"text behind", `{"a": 1}` + marker, "not JSON, at byte 9"},
		{"cut short", `{"a": "` + marker, "not JSON, at byte 21"},
		{"comma at the end", `[1,]`, "not JSON, at byte 4"},
		{"single quotes", `{'a': 1}`, "not JSON, at byte 2"},
		{"NaN", `NaN`, "not JSON, at byte 1"},
		{"leading zero", `[01]`, "not JSON, at byte 3"},
		{"raw NUL", "\"a\x00b\"", "not JSON, at byte 3"},
		{"NUL around", "\x00{}", "not JSON, at byte 1"},
		{"byte order mark", "\ufeff{}", "not JSON, at byte 1"},
		{"UTF-16", "{\x00}\x00", "not JSON, at byte 2"},
		{"invalid UTF-8", "\"" + marker + "\xff\"", "not valid UTF-8"},
		{"high surrogate alone", `["` + marker + `\ud800"]`, "half a surrogate pair"},
		{"low surrogate alone", `["\udc00"]`, "half a surrogate pair"},
		{"two high surrogates", `["\ud83d\ud83d"]`, "half a surrogate pair"},
		{"surrogate in a key", `{"\ud800": 1}`, "half a surrogate pair"},
		{"surrogate behind a backslash", `["\\\ud800"]`, "half a surrogate pair"},
		{"1e400", `{"n": 1e400}`, "too large for a float64"},
		{"-1e400", `[-1e400]`, "too large for a float64"},
		{"10 MB number", `[` + strings.Repeat("9", 10<<20) + `]`, "longer than 1000 digits"},
		{"long small number", `[0.` + strings.Repeat("0", 2000) + `1]`, "longer than 1000 digits"},
		{"same key twice", `{"` + marker + `": 1, "` + marker + `": 2}`, "same key twice"},
		{"same key, escaped", `{"a": 1, "\u0061": 2}`, "same key twice"},
		{"a million same keys", `{` + strings.Repeat(`"a":1,`, 1e6) + `"b":1}`, "same key twice"},
		{"65 levels", strings.Repeat("[", 65) + strings.Repeat("]", 65), "nested deeper than 64 levels"},
		{"65 objects", strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), "nested deeper than 64 levels"},
		{"same key first and last of 40", manyKeys(40) + `,"k0":1}`, "same key twice"},
		{"same key at the end of 40", manyKeys(40) + `,"k39":1}`, "same key twice"},
		{"a million levels", strings.Repeat("[", 1e6), "not JSON"},
		{"a million closed levels", strings.Repeat("[", 1e6) + strings.Repeat("]", 1e6), "not JSON"},
		{"100,001 values", `[` + strings.Repeat("1,", 99_999) + `1]`, "more than 100000 values"},
		{"a million empty arrays", `[` + strings.Repeat("[],", 1e6) + `[]]`, "more than 100000 values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Decode([]byte(c.body))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got error %v, want %s", err, c.want)
			}
			if strings.Contains(err.Error(), marker) || strings.Contains(err.Error(), marker[:8]) {
				t.Errorf("the error repeats the body: %s", err)
			}
			if d.root != nil {
				t.Error("a refused body left a document")
			}
		})
	}
}

func TestDecodeAccepts(t *testing.T) {
	for _, c := range []struct{ name, body string }{
		{"64 levels", strings.Repeat("[", 64) + strings.Repeat("]", 64)},
		{"100,000 values", `[` + strings.Repeat("1,", 99_998) + `1]`},
		{"a scalar", `"a"`},
		{"null", `null`},
		{"escaped surrogate pair", `["\ud83d\ude00\ud83d\ude00"]`},
		{"escaped backslash before u", `["\\ud800"]`},
		{"40 keys", manyKeys(40) + "}"},
		{"blanks around", " \n{}\n "},
		{"1e-400, which is 0", `[1e-400]`},
		{"same key in two objects", `[{"a": 1}, {"a": 1}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Decode([]byte(c.body)); err != nil {
				t.Error(err)
			}
		})
	}
}

// manyKeys writes an object of n keys, not closed.
func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":1`, i)
	}
	return "{" + b.String()[1:]
}

// FuzzFind holds any path against any document: it ends, does not panic, and refuses without repeating the body.
func FuzzFind(f *testing.F) {
	for _, p := range []string{`$`, `$..author`, `$..book[?@.price<10].title`, `$.a[?!match(@.b, "[jk]")].b`, `$[::-1]`, `$["\ud83d\ude00"]`} {
		f.Add(p, []byte(store))
		f.Add(p, []byte(filters))
		f.Add(p, []byte(`{"a": "\ud800"}`))
	}
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		d, derr := Decode(body)
		if (derr == nil) != (d.root != nil) {
			t.Errorf("error %v, and yet a document: %t", derr, d.root != nil)
		}
		p, err := Parse(path)
		if err != nil {
			if e, engine := errors.AsType[mistake](err); !engine && !strings.Contains(err.Error(), "JSON path") {
				t.Errorf("unforeseen error %v", e)
			}
			return
		}
		again, err := Parse(p.String())
		if err != nil {
			t.Errorf("a path that was read is refused as it is written: %v", err)
		}
		first, second := p.Find(d), again.Find(d)
		if len(first) != len(second) {
			t.Errorf("found %d values, then %d", len(first), len(second))
		}
		for _, v := range first {
			if v.Kind() == "" {
				t.Error("found a value of no kind")
			}
			if f, ok := v.Float(); ok && f-f != 0 {
				t.Error("found an infinite number")
			}
		}
	})
}

// FuzzGrammar holds that what this package accepts the engine accepts too.
func FuzzGrammar(f *testing.F) {
	for _, p := range []string{`$.a`, `$..[*]`, `$[?length(@.a)<=2||!(@.b&&@.c)]`, `$[-1,'x',1:2:3]`, `$[?count(@.*)==value(@.a)]`} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, path string) {
		canonical, err := rewrite(path)
		if err != nil {
			return
		}
		if _, err := build(canonical); err != nil {
			t.Errorf("%s became %s, which the engine refuses", path, canonical)
		}
	})
}

func BenchmarkHealth(b *testing.B) {
	p, err := Parse(`$.queues[0].depth`)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		d, err := Decode([]byte(health))
		if err != nil || len(p.Find(d)) != 1 {
			b.Fatal(err)
		}
	}
}
