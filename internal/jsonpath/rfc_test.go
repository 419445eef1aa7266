package jsonpath

import (
	"strings"
	"testing"

	"prober/internal/testenv"
)

// TestRFC9535 holds each rule of RFC 9535, sections 2.1 to 2.7. The paths that a rule forbids are in
// TestParseRefuses.
func TestRFC9535(t *testing.T) {
	testenv.WithoutRace(t)
	const (
		shapes = `{"o": {"j": 1, "k": 2}, "a": [5, 3, [{"j": 4}, {"k": 6}]], "s": "text", "n": null, "f": false}`
		letter = `["a", "b", "c", "d", "e", "f", "g"]`
		quotes = `{"j j": {"k.k": 3}, "'": {"@": 2}, "\"": 1, "\\": 4, "/": 5, "\b\f\n\r\t": 6, "☺": 7, "_1": 8, "": 9, "😀": 10}`
		pairs  = `[{"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": "x", "b": "y"}, {"a": true, "b": false}, {"a": null}, {"b": 1}, {},
			{"a": [1, 2], "b": [1.0, 2]}, {"a": {"x": 1, "y": 2}, "b": {"y": 2, "x": 1}}, {"a": 1, "b": "1"}, {"a": 10, "b": 1e1}]`
		words = `[{"w": "abc"}, {"w": "ab"}, {"w": "xabcx"}, {"w": "a\nc"}, {"w": "a\rc"}, {"w": "☺☺"}, {"w": 5}, {"w": ["abc"]}, {"w": {}}, {}]`
	)
	for _, c := range []struct{ section, rule, document, path, want string }{
		{"2.1.2", "a query without segments selects the root", `3`, `$`, `3`},
		{"2.1.2", "each segment is applied to each node of the one before, in order", shapes, `$.a[2][*].*`, `4 6`},
		{"2.1.2", "a segment that selects nothing empties the list", shapes, `$.o.x.j`, ``},
		{"2.1.2", "a node may be selected twice", letter, `$[0,0]`, `a a`},
		{"2.1", "blanks may stand before a segment and inside brackets", shapes, "$ .a\t[ 0 ,\r\n1 ]", `5 3`},
		{"2.2", "the root is selected whatever it is", `[null]`, `$`, `[null]`},

		{"2.3.1", "a name selects the member", quotes, `$['j j']['k.k']`, `3`},
		{"2.3.1", "either quote encloses a name, and the other needs no escape in it", quotes, `$["'"]['@']`, `2`},
		{"2.3.1", "the quote of a name is escaped in it", quotes, `$['\'']["@"]`, `2`},
		{"2.3.1", "the other quote, double", quotes, `$["\""]`, `1`},
		{"2.3.1", "the other quote, single", quotes, `$['"']`, `1`},
		{"2.3.1", "a backslash is escaped", quotes, `$['\\']`, `4`},
		{"2.3.1", "a slash may be escaped", quotes, `$['/','\/']`, `5 5`},
		{"2.3.1", "control characters are escaped", quotes, `$['\b\f\n\r\t']`, `6`},
		{"2.3.1", "and by number", quotes, `$["\u0008\u000C\u000a\u000D\u0009"]`, `6`},
		{"2.3.1", "a character by number", quotes, `$["\u263a"]`, `7`},
		{"2.3.1", "a surrogate pair by its halves", quotes, `$["\uD83D\ude00"]`, `10`},
		{"2.3.1", "the empty name", quotes, `$[""]`, `9`},
		{"2.3.1", "no normalization of Unicode", `{"\u0061\u030a": 1}`, `$["\u00e5"]`, ``},
		{"2.3.1", "of an array nothing", shapes, `$.a['0']`, ``},
		{"2.3.1", "of a scalar nothing", shapes, `$.s['length']`, ``},
		{"2.3.1", "a missing name", shapes, `$['x']`, ``},
		{"2.3.1", "a null is selected", shapes, `$['n']`, `null`},

		{"2.3.2", "all members of an object", shapes, `$.o[*]`, `1 2`},
		{"2.3.2", "all elements of an array", shapes, `$.a[*]`, `5 3 [{"j":4},{"k":6}]`},
		{"2.3.2", "once for each time it is named", shapes, `$.o[*, *]`, `1 2 1 2`},
		{"2.3.2", "of a scalar nothing", shapes, `$.s[*]`, ``},

		{"2.3.3", "an index counts from 0", letter, `$[1]`, `b`},
		{"2.3.3", "a negative one from the end", letter, `$[-2]`, `f`},
		{"2.3.3", "the first from the end", letter, `$[-7]`, `a`},
		{"2.3.3", "before the first nothing", letter, `$[-8]`, ``},
		{"2.3.3", "behind the last nothing", letter, `$[7]`, ``},
		{"2.3.3", "the largest index", letter, `$[9007199254740991]`, ``},
		{"2.3.3", "the smallest index", letter, `$[-9007199254740991]`, ``},
		{"2.3.3", "of an object nothing", `{"0": 1}`, `$[0]`, ``},
		{"2.3.3", "of a string nothing", shapes, `$.s[0]`, ``},

		{"2.3.4", "start to end, which is exclusive", letter, `$[1:3]`, `b c`},
		{"2.3.4", "no end", letter, `$[5:]`, `f g`},
		{"2.3.4", "no start", letter, `$[:2]`, `a b`},
		{"2.3.4", "neither", letter, `$[:]`, `a b c d e f g`},
		{"2.3.4", "with a step", letter, `$[1:5:2]`, `b d`},
		{"2.3.4", "backward", letter, `$[5:1:-2]`, `f d`},
		{"2.3.4", "all backward", letter, `$[::-1]`, `g f e d c b a`},
		{"2.3.4", "backward without start", letter, `$[:4:-1]`, `g f`},
		{"2.3.4", "backward without end", letter, `$[1::-1]`, `b a`},
		{"2.3.4", "a step of 0 selects nothing", letter, `$[::0]`, ``},
		{"2.3.4", "an empty step is 1", letter, `$[0:2:]`, `a b`},
		{"2.3.4", "negative bounds", letter, `$[-3:-1]`, `e f`},
		{"2.3.4", "bounds beyond the array", letter, `$[-100:100]`, `a b c d e f g`},
		{"2.3.4", "backward, bounds beyond the array", letter, `$[100:-100:-3]`, `g d a`},
		{"2.3.4", "start behind end", letter, `$[3:1]`, ``},
		{"2.3.4", "a step beyond the array", letter, `$[2::9007199254740991]`, `c`},
		{"2.3.4", "backward, a step beyond the array", letter, `$[2::-9007199254740991]`, `c`},
		{"2.3.4", "blanks around the colons", letter, `$[ 1 : 5 : 2 ]`, `b d`},
		{"2.3.4", "a slice among other selectors", letter, `$[1:2, 0, 'x', -1:]`, `b a g`},
		{"2.3.4", "of an object nothing", shapes, `$.o[:]`, ``},

		{"2.3.5.1", "existence, of a null too", `[{"a": null}, {"b": 1}]`, `$[?@.a]`, `{"a":null}`},
		{"2.3.5.1", "existence of any of several", shapes, `$[?@.*]`, `{"j":1,"k":2} [5,3,[{"j":4},{"k":6}]]`},
		{"2.3.5.1", "existence is not truth", shapes, `$[?@]`, `{"j":1,"k":2} [5,3,[{"j":4},{"k":6}]] text null false`},
		{"2.3.5.1", "not", `[{"a": 1}, {"b": 1}]`, `$[?!@.a]`, `{"b":1}`},
		{"2.3.5.1", "not binds tighter than and", pairs, `$[?!@.a && @.b]`, `{"b":1}`},
		{"2.3.5.1", "and binds tighter than or", `[1, 2, 3]`, `$[?@ == 1 || @ == 2 && @ == 3]`, `1`},
		{"2.3.5.1", "parentheses bind tightest", `[1, 2, 3]`, `$[?(@ == 1 || @ == 2) && @ == 2]`, `2`},
		{"2.3.5.1", "not before parentheses", `[1, 2, 3]`, `$[?!(@ == 1 || @ == 2)]`, `3`},
		{"2.3.5.1", "parentheses may be nested", `[1, 2]`, `$[?!(!((@ == 1)))]`, `1`},
		{"2.3.5.1", "a filter may look at the root", `{"want": 2, "list": [1, 2, 3]}`, `$.list[?@ == $.want]`, `2`},
		{"2.3.5.1", "a filter inside a filter has a @ of its own", `[[{"a": 1}], [{"b": 1}]]`, `$[?@[?@.a]]`, `[{"a":1}]`},
		{"2.3.5.1", "on an object its members are filtered", `{"x": 1, "y": 2}`, `$[?@ < 2]`, `1`},
		{"2.3.5.1", "of a scalar nothing", `"text"`, `$[?@]`, ``},
		{"2.3.5.1", "several filters in one segment", `[1, 2]`, `$[?@ == 2, ?@ == 1]`, `2 1`},

		{"2.3.5.2.2", "numbers", pairs, `$[?@.a == 1]`, `{"a":1,"b":2} {"a":1,"b":"1"}`},
		{"2.3.5.2.2", "a number is no string", pairs, `$[?@.b == '1']`, `{"a":1,"b":"1"}`},
		{"2.3.5.2.2", "numbers by value", pairs, `$[?@.a == 1e1]`, `{"a":10,"b":1e1}`},
		{"2.3.5.2.2", "-0 is 0", `[0, 0.0, -0]`, `$[?@ == -0]`, `0 0.0 -0`},
		{"2.3.5.2.2", "strings", pairs, `$[?@.a == "x"]`, `{"a":"x","b":"y"}`},
		{"2.3.5.2.2", "true", pairs, `$[?@.a == true]`, `{"a":true,"b":false}`},
		{"2.3.5.2.2", "false", pairs, `$[?@.b == false]`, `{"a":true,"b":false}`},
		{"2.3.5.2.2", "null is not nothing", pairs, `$[?@.a == null]`, `{"a":null}`},
		{"2.3.5.2.2", "arrays element by element, objects in any order, two missing values",
			pairs, `$[?@.a == @.b]`, `{} {"a":[1,2],"b":[1.0,2]} {"a":{"x":1,"y":2},"b":{"y":2,"x":1}} {"a":10,"b":1e1}`},
		{"2.3.5.2.2", "!= is the opposite of ==", pairs, `$[?@.a != @.b]`,
			`{"a":1,"b":2} {"a":2,"b":1} {"a":"x","b":"y"} {"a":true,"b":false} {"a":null} {"b":1} {"a":1,"b":"1"}`},
		{"2.3.5.2.2", "< of numbers and strings only", pairs, `$[?@.a < @.b]`, `{"a":1,"b":2} {"a":"x","b":"y"}`},
		{"2.3.5.2.2", "<= with a number", `[1, 2, 3, "2", null, true, [1]]`, `$[?@ <= 2]`, `1 2`},
		{"2.3.5.2.2", "> with a number", `[1, 2, 3, "2", null, true, [1]]`, `$[?@ > 1.5]`, `2 3`},
		{"2.3.5.2.2", ">= with a number", `[1, 2, 3, "2", null, true, [1]]`, `$[?@ >= 2]`, `2 3`},
		{"2.3.5.2.2", "a literal may stand first", `[1, 2, 3, "2"]`, `$[?2 > @]`, `1`},
		{"2.3.5.2.2", "strings by their code points", `["a", "b", "B", "", "aa", "☺", 1]`, `$[?@ > 'a']`, `b aa ☺`},
		{"2.3.5.2.2", "two literals", `[1]`, `$[?1 == 1]`, `1`},
		{"2.3.5.2.2", "nothing is neither smaller nor larger", pairs, `$[?@.x < 1 || @.x >= 1]`, ``},

		{"2.4.3", "a function of a value takes a query of one node", words, `$[?length(@.w) == 3].w`, `abc a c a c`},
		{"2.4.3", "a function in a function", words, `$[?length(value(@.*)) == 2].w`, `ab ☺☺`},
		{"2.4.4", "length of a string is in characters", words, `$[?length(@.w) == 2].w`, `ab ☺☺`},
		{"2.4.4", "length of an array and of an object", words, `$[?length(@.w) <= 1].w`, `["abc"] {}`},
		{"2.4.4", "length of all else is nothing", `[1, null, true]`, `$[?length(@) == 0]`, ``},
		{"2.4.4", "length of nothing is nothing, which equals another", words, `$[?length(@.x) == length(@.y)]`, `*`},
		{"2.4.5", "count of nodes", words, `$[?count(@.*) == 0]`, `{}`},
		{"2.4.5", "count of a query of one node", words, `$[?count(@.w) == 0]`, `{}`},
		{"2.4.6", "match takes the whole string", words, `$[?match(@.w, 'ab|abc')].w`, `abc ab`},
		{"2.4.6", "match of what is no string", words, `$[?match(@.w, '.*') && count(@.w) == 0]`, ``},
		{"2.4.6", "not match", words, `$[?!match(@.w, '.*')]`, `{"w":"a\nc"} {"w":"a\rc"} {"w":5} {"w":["abc"]} {"w":{}} {}`},
		{"2.4.6", "a dot is no newline", words, `$[?match(@.w, 'a.c')].w`, `abc`},
		{"2.4.7", "search takes a part", words, `$[?search(@.w, 'abc')].w`, `abc xabcx`},
		{"2.4.7", "search with classes", words, `$[?search(@.w, '^[^a-z]+$')].w`, `☺☺`},
		{"2.4.8", "value of one node", words, `$[?value(@.*) == 5]`, `{"w":5}`},
		{"2.4.8", "value of several nodes is nothing", `[[1, 2]]`, `$[?value(@[*]) == 1]`, ``},

		{"2.5.1", "a dot and a name", shapes, `$.o.j`, `1`},
		{"2.5.1", "a name of other letters", quotes, `$.☺`, `7`},
		{"2.5.1", "a name of underscore and digit", quotes, `$._1`, `8`},
		{"2.5.1", "a name that is a literal elsewhere", `{"true": 1, "null": 2}`, `$.true`, `1`},
		{"2.5.1", "a dot and a star", shapes, `$.o.*`, `1 2`},
		{"2.5.1", "selectors of one segment in their order", letter, `$[0, 3, 0]`, `a d a`},
		{"2.5.1", "a segment of several selectors, node by node", `[[1, 2], [3, 4]]`, `$[*][1, 0]`, `2 1 4 3`},
		{"2.5.2", "descendants at any depth", shapes, `$..j`, `1 4`},
		{"2.5.2", "the root is among them", `{"j": {"j": 1}}`, `$..j`, `{"j":1} 1`},
		{"2.5.2", "index", shapes, `$..[0]`, `5 {"j":4}`},
		{"2.5.2", "all, parents before children", `{"a": [1, [2]], "b": 3}`, `$..*`, `[1,[2]] 3 1 [2] 2`},
		{"2.5.2", "all, in brackets", `[[1]]`, `$..[*]`, `[1] 1`},
		{"2.5.2", "several selectors", shapes, `$..['j', 'k']`, `1 2 4 6`},
		{"2.5.2", "a filter", shapes, `$..[?@.j]`, `{"j":1,"k":2} {"j":4}`},
		{"2.5.2", "in the midst of a path", shapes, `$.a..k`, `6`},

		{"2.6", "null is a value like another", `{"a": null, "b": [null], "c": [{}], "null": 1}`, `$.b[?@ == null]`, `null`},
		{"2.6", "null has no members", `{"a": null}`, `$.a[0]`, ``},
		{"2.6", "null exists", `{"a": null, "b": [null]}`, `$.b[?@]`, `null`},
		{"2.6", "null is not false", `[null]`, `$[?@ == false]`, ``},
		{"2.6", "null can be a name", `{"null": 1}`, `$.null`, `1`},
		{"2.7", "a normalized path selects one node", shapes, `$['a'][2][1]['k']`, `6`},
		{"2.7", "its escapes are those of names", "{\"\\u000b'\": 1}", `$['\u000b\'']`, `1`},
	} {
		t.Run(c.section+" "+c.rule, func(t *testing.T) {
			d, err := Decode(t.Context(), []byte(c.document))
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "*" {
				c.want = show(mustFind(t, d, "$.*"))
			}
			for range 3 { // the order is that of the document each time
				if got := show(mustFind(t, d, c.path)); got != strings.NewReplacer("\n", " ", "\r", " ").Replace(c.want) {
					t.Errorf("%s: got %s, want %s", c.path, got, c.want)
				}
			}
		})
	}
}

func mustFind(t *testing.T, d Document, path string) []Value {
	t.Helper()
	p, err := Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	return p.Find(d)
}

// show writes the values as compact JSON, a string at the top without quotes and with blanks for newlines.
func show(values []Value) string {
	var all []string
	for _, v := range values {
		if v.Kind() == "string" {
			all = append(all, strings.NewReplacer("\n", " ", "\r", " ").Replace(v.Text()))
		} else {
			all = append(all, compact(v))
		}
	}
	return strings.Join(all, " ")
}

// compact writes a value as the document has it, without blanks.
func compact(v Value) string {
	d := v.document
	switch v.Kind() {
	case "array":
		var all []string
		for _, child := range d.children(v.at) {
			all = append(all, compact(Value{d, child}))
		}
		return "[" + strings.Join(all, ",") + "]"
	case "object":
		var all []string
		for _, child := range d.children(v.at) {
			all = append(all, `"`+d.text(child-1)+`":`+compact(Value{d, child}))
		}
		return "{" + strings.Join(all, ",") + "}"
	case "string":
		return `"` + strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(v.Text()) + `"`
	}
	return v.Text()
}
