package jsonpath

import (
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"prober/internal/testenv"
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

// Members of an object have no order, so it decides nothing (RFC 9535, section 2.3.5.2.2).
func TestFind_comparesObjects(t *testing.T) {
	const apps = `{"apps": [
		{"name": "same", "spec": {"image": "a", "size": {"cpu": 1, "ram": [1, 2]}}, "status": {"image": "a", "size": {"cpu": 1, "ram": [1, 2]}}},
		{"name": "reordered", "spec": {"image": "a", "size": {"cpu": 1, "ram": [1, 2]}}, "status": {"size": {"ram": [1, 2], "cpu": 1}, "image": "a"}},
		{"name": "other", "spec": {"image": "a", "size": {"cpu": 1}}, "status": {"size": {"cpu": 2}, "image": "a"}},
		{"name": "more", "spec": {"image": "a"}, "status": {"size": 1, "image": "a"}},
		{"name": "swapped", "spec": {"a": 1, "b": 2}, "status": {"a": 2, "b": 1}},
		{"name": "list", "spec": [1, 2], "status": [2, 1]},
		{"name": "empty", "spec": {}, "status": {}},
		{"name": "kinds", "spec": {}, "status": []}
	]}`
	d, err := Decode(t.Context(), []byte(apps))
	if err != nil {
		t.Fatal(err)
	}
	for expr, want := range map[string]string{
		`$.apps[?@.spec == @.status].name`:    "same reordered empty",
		`$.apps[?@.spec != @.status].name`:    "other more swapped list kinds",
		`$.apps[?!(@.spec == @.status)].name`: "other more swapped list kinds",
		`$.apps[?@.status == @.spec].name`:    "same reordered empty",
	} {
		p, err := Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range p.Find(d) {
			got = append(got, v.Text())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, expected %s", expr, got, want)
		}
	}
}

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
		{health, `$[?@ == 1.2345678901234567890123456789e29]`, `123456789012345678901234567890`},
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
			d, err := Decode(t.Context(), []byte(c.document))
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
		{``, `a JSON path starts with $`},
		{`a.b`, `a JSON path starts with $`},
		{` $.a`, `a JSON path starts with $`},
		{`$.a `, `unexpected blank space at position 4`},
		{`$a`, `unexpected identifier at position 1`},
		{`$.`, `unexpected eof`},
		{`$.a-b`, `invalid number literal at position 4`},
		{`$.1`, `unexpected integer at position 3`},
		{`$. a`, `unexpected blank space at position 3`},
		{`$.. a`, `unexpected blank space at position 4`},
		{`$[`, `unexpected eof`},
		{`$[]`, `unexpected ']' at position 3`},
		{`$['a'`, `unexpected eof`},
		{`$['a]`, `unterminated string literal`},
		{`$['a\`, `invalid escape`},
		{`$['\x']`, `invalid escape`},
		{`$['\"']`, `invalid escape`},
		{`$["\'"]`, `invalid escape`},
		{`$['\ud800']`, `invalid escape`},
		{`$['\udc00\ud800']`, `invalid escape`},
		{"$['a\nb']", `unterminated string literal`},
		{`$['a' 'b']`, `unexpected string`},
		{`$['a',]`, `unexpected ']'`},
		{`$[01]`, `invalid number literal`},
		{`$[-0]`, `invalid integer path value "-0"`},
		{`$[-]`, `invalid number literal`},
		{`$[1.0]`, `unexpected number`},
		{`$[9007199254740992]`, `value out of range`},
		{`$[0:9007199254740992]`, `value out of range`},
		{`$[0:1:-9007199254740992]`, `value out of range`},
		{`$[1:2:3:4]`, `unexpected integer`},
		{`$[name]`, `unexpected identifier`},
		{`$[?]`, `unexpected ']'`},
		{`$[?1]`, `invalid comparison operator`},
		{`$[?true]`, `invalid comparison operator`},
		{`$[?@.a == ]`, `unexpected ']'`},
		{`$[?@.* == 1]`, `unexpected '='`},
		{`$[?@[0:1] == 1]`, `unexpected '='`},
		{`$[?@['a','b'] == 1]`, `unexpected '='`},
		{`$[?!@.a == 1]`, `unexpected '='`},
		{`$[?!1 == 1]`, `unexpected '='`},
		{`$[?(@.a) == 1]`, `unexpected '='`},
		{`$[?@.a == 1 == 1]`, `unexpected '='`},
		{`$[?!count(@.a)]`, `expected a query, match() or search() after !`},
		{`$[?!(length(@.a))]`, `missing comparison to function result`},
		{`$[?@.a == 01]`, `invalid number literal`},
		{`$[?@.a == 1.]`, `invalid number literal`},
		{`$[?@.a == 1e400]`, `value out of range`},
		{`$[?@.a == 123456789012345678901234567890]`, `value out of range`},
		{`$[?@.a = 1]`, `invalid comparison operator`},
		{`$[?@.a && ]`, `unexpected ']'`},
		{`$[?@.a & @.b]`, `expected '&'`},
		{`$[?(@.a]`, `expected ')'`},
		{`$[?frobnicate(@.a)]`, `unknown function frobnicate()`},
		{`$[?length(@.*) == 1]`, `cannot convert argument to Value`},
		{`$[?length(@.a, @.b) == 1]`, `expected 1 argument`},
		{`$[?length(match(@.a, 'b')) == 1]`, `cannot convert argument to Value`},
		{`$[?length(@.a == 1) == 1]`, `unexpected '='`},
		{`$[?count(1) == 1]`, `cannot convert argument to Nodes`},
		{`$[?count(length(@.a)) == 1]`, `cannot convert argument to Nodes`},
		{`$[?length(@.a)]`, `missing comparison to function result`},
		{`$[?match(@.a)]`, `expected 2 arguments`},
		{`$[?match(@.*, 'b')]`, `cannot convert argument 1 to Value`},
		{`$[?match(@.a, 'b') == true]`, `unexpected '='`},
		{`$[?true == match(@.a, 'b')]`, `cannot compare result of logical function`},
		{`$[?match(@.a, '(')]`, `expects a pattern that is a regular expression`},
		{`$[?match(@.a, 'a)(b')]`, `expects a pattern that is a regular expression`},
		{`$[?~]`, `unexpected '~'`},
		{"$.\xff", `valid UTF-8`},

		// What the library lets pass.
		{`$[0:1 2]`, `unexpected characters at position 5`},
		{`$[0:1:1:]`, `unexpected characters at position 4`},
		{`$[?!1]`, `unexpected characters at position 4`},
		{`$[?!'a']`, `unexpected characters at position 4`},
		{`$[?! -1]`, `unexpected characters at position 4`},
		{`$[?!true]`, `unexpected characters at position 4`},
		{`$[?!match @.a, 'b')]`, `unexpected characters at position 4`},
		{`$[?length(=,@.a) > 1]`, `unexpected characters at position 10`},
		{`$[?length(@.a,) > 1]`, `unexpected characters at position 14`},
		{`$[?length(@.a, *) > 1]`, `unexpected characters at position 14`},
		{`$[?@.a > @.b]`, `<=, > and >= need a number or a quoted text on one side`},
		{`$[?@.a >= @.b]`, `<=, > and >= need`},
		{`$[?@.a <= @.b]`, `<=, > and >= need`},
		{`$[?@.a > false]`, `<=, > and >= need`},
		{`$[?null >= @.a]`, `<=, > and >= need`},
		{`$[?(@.c || !(@.a > @.b))]`, `<=, > and >= need`},
		{`$[?count(@[?@.a > @.b]) == 1]`, `<=, > and >= need`},

		// What could cost more than the document is large.
		{`$..a..b`, `only one .. is allowed`},
		{`$[?@..a]`, `.. is not allowed in a filter`},
		{`$[?!@..a]`, `.. is not allowed in a filter`},
		{`$[?@.b && (@.c || !(@..a))]`, `.. is not allowed in a filter`},
		{`$[?count(@..a) == 1]`, `.. is not allowed in a filter`},
		{`$[?1 == count(@..a)]`, `.. is not allowed in a filter`},
		{`$[?length(value(@..a)) == 1]`, `.. is not allowed in a filter`},
		{`$[?count(@[?@..a]) == 1]`, `.. is not allowed in a filter`},
		{`$[?$.a[*]]`, `not search there`},
		{`$[?count($.*) == 1]`, `not search there`},
		{`$[?match(@.a, @.b)]`, `expects a pattern in quotes`},
		{`$[?search(@.a, 1)]`, `expects a pattern in quotes`},
		{`$[?search(@.a, $.pattern)]`, `expects a pattern in quotes`},
		{`$[?match(@.a, 'x{999}')]`, `expects a smaller pattern`},
		{`$[*,*][*,*][*,*][*,*][*,*]`, `selects in more than 16 ways`},
		{`$[?@[*,*][*,*]][?count(@[*,*][*,*][*,*]) == 1]`, `selects in more than 16 ways`},
		{`$[?@[?@[?@[?@[?@[?@[?@[?@[?@.a]]]]]]]]]`, `more than 8 filters`},
		{`$[?count(@[?count(@[?@[?@[?@]]])==1]) == 1][?@[?@[?@[?@.a]]]]`, `more than 8 filters`},
		{`$[?@.a` + strings.Repeat(" || @.b", 10) + `]`, `more than 10 comparisons and tests in filters`},
		{`$[?count(@[?@.a` + strings.Repeat(" || @.b", 9) + `]) == 1]`, `more than 10 comparisons and tests in filters`},
		{`$` + strings.Repeat(".a", 500), `may have 1000 bytes, this one has 1001`},
	} {
		t.Run(c.path, func(t *testing.T) {
			p, err := Parse(c.path)
			if err == nil || !strings.Contains(err.Error(), "JSON path") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %s", err, c.want)
			}
			if !p.IsZero() {
				t.Error("a refused path is not zero")
			}
		})
	}
}

func TestZeroValuesFindNothing(t *testing.T) {
	d, err := Decode(t.Context(), []byte(`{"a": 1}`))
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
	d, err := Decode(t.Context(), []byte(`{"s": "12", "i": 12, "f": 1.50, "x": 1e2, "t": true, "n": null, "a": [1], "o": {"k": 1}}`))
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

func TestDecodeRefuses(t *testing.T) {
	testenv.WithoutRace(t)
	const marker = "hunter2-marker"
	for _, c := range []struct{ name, body, want string }{
		{"nothing", "", "the body is empty"},
		{"blanks", " \r\n\t ", "the body is empty"},
		{"HTML", "<html>" + marker, "a syntax error at byte 1"},
		{"two values", `{"a": 1} {"b": 2}`, "something follows the JSON, at byte 10"},
		{"text behind", `{"a": 1}` + marker, "something follows the JSON, at byte 9"},
		{"cut short", `{"a": "` + marker, "a syntax error at byte 21"},
		{"comma at the end", `[1,]`, "a syntax error at byte 4"},
		{"single quotes", `{'a': 1}`, "a syntax error at byte 2"},
		{"NaN", `NaN`, "a syntax error at byte 1"},
		{"leading zero", `[01]`, "a syntax error at byte 3"},
		{"raw NUL", "\"a\x00b\"", "a syntax error at byte 3"},
		{"NUL around", "\x00{}", "a syntax error at byte 1"},
		{"byte order mark", "\ufeff{}", "begins with a byte order mark"},
		{"UTF-16 with its mark", "\xff\xfe{\x00}\x00", "begins with a byte order mark"},
		{"UTF-16 with its mark, big-endian", "\xfe\xff\x00{\x00}", "begins with a byte order mark"},
		{"UTF-16", "{\x00}\x00", "a syntax error at byte 2"},
		{"invalid UTF-8", "\"" + marker + "\xff\"", "not valid UTF-8"},
		{"high surrogate alone", `["` + marker + `\ud800"]`, "half a surrogate pair"},
		{"low surrogate alone", `["\udc00"]`, "half a surrogate pair"},
		{"two high surrogates", `["\ud83d\ud83d"]`, "half a surrogate pair"},
		{"surrogate in a key", `{"\ud800": 1}`, "half a surrogate pair"},
		{"surrogate behind a backslash", `["\\\ud800"]`, "half a surrogate pair"},
		{"a high surrogate and none", `["\udbff\ue000"]`, "half a surrogate pair"},
		{"a high surrogate and the last high one", `["\ud800\udbff"]`, "half a surrogate pair"},
		{"1,001 digits", `[` + strings.Repeat("1", 1001) + `]`, "longer than 1000 digits"},
		{"1e400", `{"n": 1e400}`, "too large for a float64"},
		{"-1e400", `[-1e400]`, "too large for a float64"},
		{"10 MB number", `[` + strings.Repeat("9", 10<<20) + `]`, "longer than 1000 digits"},
		{"long small number", `[0.` + strings.Repeat("0", 2000) + `1]`, "longer than 1000 digits"},
		{"same key twice", `{"` + marker + `": 1, "` + marker + `": 2}`, "same key twice"},
		{"same key, escaped", `{"a": 1, "\u0061": 2}`, "same key twice"},
		{"many same keys", `{` + strings.Repeat(`"a":1,`, 49_000) + `"b":1}`, "same key twice"},
		{"65 levels", strings.Repeat("[", 65) + strings.Repeat("]", 65), "nested deeper than 64 levels"},
		{"65 objects", strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), "nested deeper than 64 levels"},
		{"same key first and last of 40", manyKeys(40) + `,"k0":1}`, "same key twice"},
		{"same key at the end of 40", manyKeys(40) + `,"k39":1}`, "same key twice"},
		{"a million levels", strings.Repeat("[", 1e6), "a syntax error"},
		{"a million closed levels", strings.Repeat("[", 1e6) + strings.Repeat("]", 1e6), "nested deeper than 64 levels"},
		{"100,001 values", `[` + strings.Repeat("1,", 99_999) + `1]`, "more than 100000 values"},
		{"a million empty arrays", `[` + strings.Repeat("[],", 1e6) + `[]]`, "more than 100000 values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Decode(t.Context(), []byte(c.body))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got error %v, want %s", err, c.want)
			}
			if strings.Contains(err.Error(), marker) || strings.Contains(err.Error(), marker[:8]) {
				t.Errorf("the error repeats the body: %s", err)
			}
			if d.document != nil {
				t.Error("a refused body left a document")
			}
		})
	}
}

func TestDecodeAccepts(t *testing.T) {
	testenv.WithoutRace(t)
	for _, c := range []struct{ name, body string }{
		{"64 levels", strings.Repeat("[", 64) + strings.Repeat("]", 64)},
		{"100,000 values", `[` + strings.Repeat("1,", 99_998) + `1]`},
		{"a scalar", `"a"`},
		{"null", `null`},
		{"a number of 1,000 digits", `[0.` + strings.Repeat("1", 998) + `]`},
		{"the first and the last surrogate pair", `["\ud800\udc00\udbff\udfff"]`},
		{"escaped surrogate pair", `["\ud83d\ude00\ud83d\ude00"]`},
		{"escaped backslash before u", `["\\ud800"]`},
		{"40 keys", manyKeys(40) + "}"},
		{"blanks around", " \n{}\n "},
		{"1e-400, which is 0", `[1e-400]`},
		{"same key in two objects", `[{"a": 1}, {"a": 1}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Decode(t.Context(), []byte(c.body)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDecode_cutShort: a body that ends anywhere before its end is no JSON.
func TestDecode_cutShort(t *testing.T) {
	const whole = ` { "a" : [ 1 , true , "x\\\u0041" , [ ] , { } ] , "b" : { "c" : null } }`
	for end := range len(whole) {
		if _, err := Decode(t.Context(), []byte(whole[:end])); err == nil {
			t.Errorf("%s: expected an error", whole[:end])
		}
	}
	if _, err := Decode(t.Context(), []byte(whole)); err != nil {
		t.Error(err)
	}
}

// TestParseNumber reads a number as JSON has it, of the greatest length too, and nothing else.
func TestParseNumber(t *testing.T) {
	longest := "0." + strings.Repeat("1", maxNumber-2)
	for text, want := range map[string]float64{"1": 1, "-1.5e2": -150, longest: 1.0 / 9} {
		if got, ok := ParseNumber(text); !ok || got != want {
			t.Errorf("%.20s: got %g, %t", text, got, ok)
		}
	}
	for _, text := range []string{"", " 1", "1 ", "01", "+1", "1e400", "-1e400", "NaN", "0x1", "1_0", longest + "1"} {
		if got, ok := ParseNumber(text); ok {
			t.Errorf("%.20s: expected no number, got %g", text, got)
		}
	}
}

// TestFind_dot: the dot of a pattern matches any character but the two that end lines (RFC 9485).
func TestFind_dot(t *testing.T) {
	path, err := Parse(`$[?match(@, 'a.b')]`)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Decode(t.Context(), []byte(`["a\u0000b", "a\tb", "a\nb", "a\u000bb", "a\fb", "a\rb", "a\u000eb", "a\udbff\udfffb", "ab"]`))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(path.Find(d)); got != 6 {
		t.Errorf("expected all but \\n, \\r and nothing, 6, got %d", got)
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
		d, derr := Decode(t.Context(), body)
		if (derr == nil) != (d.document != nil) {
			t.Errorf("error %v, and yet a document: %t", derr, d.document != nil)
		}
		p, err := Parse(path)
		if err != nil {
			if !strings.Contains(err.Error(), "JSON path") {
				t.Errorf("unforeseen error %v", err)
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

func BenchmarkHealth(b *testing.B) {
	p, err := Parse(`$.queues[0].depth`)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		d, err := Decode(b.Context(), []byte(health))
		if err != nil || len(p.Find(d)) != 1 {
			b.Fatal(err)
		}
	}
}

func TestValue_Empty(t *testing.T) {
	d, err := Decode(t.Context(), []byte(`{"null": null, "text": "", "array": [], "object": {}, "zero": 0, "false": false, "space": " ", "nested": [[]], "some": {"a": null}}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"null": true, "text": true, "array": true, "object": true,
		"zero": false, "false": false, "space": false, "nested": false, "some": false,
	} {
		p, err := Parse("$." + name)
		if err != nil {
			t.Fatal(err)
		}
		if found := p.Find(d); len(found) != 1 || found[0].Empty() != want {
			t.Errorf("%s: want %v of %v", name, want, found)
		}
	}
	if (Value{}).Empty() {
		t.Error("a value of no kind is empty")
	}
}

// TestPath_lists tells paths that lead to one value from others, and counts the items without a value.
func TestPath_lists(t *testing.T) {
	doc, err := Decode(t.Context(), []byte(`{"a":[{"s":1},{},{"s":null}],"o":{"x":1,"y":[2]},"e":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	for expr, want := range map[string]struct {
		singular bool
		lacking  int
	}{
		"$": {true, 0}, "$.a": {true, 0}, "$.a[0].s": {true, 0}, "$.a[-1]": {true, 0}, "$.missing.s": {true, 1}, "$['a'][0]": {true, 0},
		"$.a[*]": {false, 0}, "$.a[*].s": {false, 1}, "$.a[0:2].s": {false, 1}, "$.a[0,1]": {false, 0}, "$.a[?@.s].s": {false, 0}, "$.a[?@.s == 1].t": {false, 1},
		"$..s": {false, 0}, "$.*": {false, 0}, "$['a','o']": {false, 0}, "$.e[*].s": {false, 0}, "$.a[*].s.t": {false, 3},
	} {
		p, err := Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Singular(); got != want.singular {
			t.Errorf("%s: singular %t", expr, got)
		}
		if got := p.Lacking(doc); got != want.lacking {
			t.Errorf("%s: %d items lack it, expected %d", expr, got, want.lacking)
		}
	}
	for expr, want := range map[string]struct{ length, items int }{"$.a": {3, 3}, "$.o": {2, 0}, "$.e": {0, 0}, "$.o.x": {0, 0}, "$.o.y": {1, 1}} {
		p, _ := Parse(expr)
		v, items := p.Find(doc)[0], 0
		for range v.Items() {
			items++
		}
		if v.Len() != want.length || items != want.items {
			t.Errorf("%s: length %d, %d items", expr, v.Len(), items)
		}
	}
}
