package expect

import (
	"fmt"
	"strings"
	"testing"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/strictyaml"
)

// TestLists compares lists with what is expected of every item, of any, and of their length. None passes of an empty list.
func TestLists(t *testing.T) {
	for _, c := range []struct{ expect, body, want string }{
		{`"$.a[*].s": {every: ok}`, `{"a":[{"s":"ok"},{"s":"ok"}]}`, ""},
		{`"$.a[*].s": {every: ok}`, `{"a":[{"s":"ok"},{"s":"down"},{"s":"ok"}]}`, `$.a[*].s: expected every item to be "ok", got another text of 4 characters (item 2 of 3)`},
		{`"$.a[*].s": {every: ok}`, `{"a":[]}`, `$.a[*].s: expected every item to be "ok", got nothing`},
		{`"$.a[*].s": {every: ok}`, `{}`, `$.a[*].s: expected every item to be "ok", got nothing`},
		{`"$.a[*].s": {every: ok}`, `{"a":[{"s":"ok"},{}]}`, `$.a[*].s: expected every item to be "ok", got nothing for 1 of 2 items`},
		{`"$.a[*].s": {every: ok}`, `{"a":[{},{}]}`, `$.a[*].s: expected every item to be "ok", got nothing`},
		{`"$.r[*].a[*].s": {every: ok}`, `{"r":[{"a":[{"s":"ok"}]},{}]}`, `$.r[*].a[*].s: expected every item to be "ok", got nothing for 1 of 2 items`},
		{`"$.r[*].a[*].s": {every: ok}`, `{"r":[{"a":[{"s":"ok"}]},{"a":null},{"a":"ok"}]}`, `$.r[*].a[*].s: expected every item to be "ok", got nothing for 2 of 3 items`},
		{`"$.r[*].a[*].s": {every: ok}`, `{"r":[{"a":[{"s":"ok"},{}]},5]}`, `$.r[*].a[*].s: expected every item to be "ok", got nothing for 2 of 3 items`},
		{`"$.r[*][*]": {every: ok}`, `{"r":[["ok"],"down"]}`, `$.r[*][*]: expected every item to be "ok", got nothing for 1 of 2 items`},
		{`"$.r[*].a[*].s": {every: ok}`, `{"r":[{"a":[{"s":"ok"}]},{"a":[]}]}`, ""}, // a list of a list may be empty
		{`"$..a[*]": {every: ok}`, `{"r":[{"a":["ok"]},{"b":1}]}`, ""},
		{`$.a: {every: ok}`, `{"a":["ok","ok"]}`, ""},
		{`$.a: {every: ok}`, `{"a":[]}`, `$.a: expected every item to be "ok", got an empty list, which proves nothing`},
		{`$.a: {every: ok}`, `{"a":"ok"}`, `$.a: expected every item to be "ok", got no list`},
		{`$.a: {every: ok}`, `{"a":{"b":"ok"}}`, `$.a: expected every item to be "ok", got no list`},
		{`$.a: {every: ok}`, `{"a":null}`, `$.a: expected every item to be "ok", got no list`},
		{`$.a: {every: ok}`, `{"b":["ok"]}`, `$.a: expected every item to be "ok", got nothing`},
		{`$.a: {every: ok}`, `{"a":["ok",["ok"]]}`, `$.a: expected every item to be "ok", got an array (item 2 of 2)`},
		{`$.a: {every: ok}`, `{"a":["ok",null]}`, `$.a: expected every item to be "ok", got null (item 2 of 2)`},
		{`$.a: {every: {min: 1, max: 3}}`, `{"a":[1,2,3]}`, ""},
		{`$.a: {every: {min: 1, max: 3}}`, `{"a":[1,2,4]}`, "$.a: expected every item to be at least 1 and at most 3, got 4 (item 3 of 3)"},
		{`$.a: {every: true}`, `{"a":[true,false]}`, `$.a: expected every item to be "true", got false (item 2 of 2)`},
		{`"$[0]": {every: 1}`, `[[1,1]]`, ""},
		{`"$": {every: 1}`, `[1,1]`, ""},
		{`"$[*]": {every: 1}`, `[1,1]`, ""},
		{`"$..s": {every: ok}`, `{"s":"ok","b":[{"s":"no"}]}`, `$..s: expected every item to be "ok", got another text of 2 characters (item 2 of 2)`},
		{`"$.a[?@.on == true].s": {every: ok}`, `{"a":[{"on":true,"s":"ok"},{"on":false,"s":"no"}]}`, ""},
		{`"$.a[*].s": {any: ok}`, `{"a":[{"s":"down"},{"s":"ok"}]}`, ""},
		{`"$.a[*].s": {any: ok}`, `{"a":[{},{"s":"ok"}]}`, ""},
		{`"$.a[*].s": {any: ok}`, `{"a":[{"s":"down"}]}`, `$.a[*].s: expected an item to be "ok", got none among 1 item`},
		{`$.a: {any: {match: "^o"}}`, `{"a":["down","no"]}`, `$.a: expected an item to be a match of /^o/, got none among 2 items`},
		{`$.a: {any: ok}`, `{"a":[]}`, `$.a: expected an item to be "ok", got an empty list, which proves nothing`},
		{`$.a: {length: 2}`, `{"a":[1,2]}`, ""},
		{`$.a: {length: 2}`, `{"a":[1]}`, `$.a: expected a length of 2, got 1`},
		{`$.a: {length: 0}`, `{"a":[]}`, ""},
		{`$.a: {length: 0}`, `{}`, `$.a: expected a length of 0, got nothing`},
		{`$.a: {length: 0}`, `{"a":null}`, `$.a: expected a length of 0, got no list`},
		{`$.a: {length: {min: 1}}`, `{"a":[]}`, `$.a: expected a length of at least 1, got 0`},
		{`$.a: {length: {min: 1, max: 2}}`, `{"a":[[],{},3]}`, `$.a: expected a length of at least 1 and at most 2, got 3`},
		{`$.a: {length: 3}`, `{"a":"büc"}`, ""},
		{`$.a: {length: 1}`, `{"a":{"b":[1,2]}}`, ""},
		{`$.a: {length: 1}`, `{"a":1}`, `$.a: expected a length of 1, got no list`},
		{`"$.a[*].s": {length: {min: 1}}`, `{"a":[{"s":"ok"}]}`, ""},
		{`"$.a[*].s": {length: {min: 2}}`, `{"a":[{"s":"ok"}]}`, `$.a[*].s: expected a length of at least 2, got 1`},
		{`"$.a[*].s": {length: {max: 2}}`, `{"a":[]}`, `$.a[*].s: expected a length of at most 2, got nothing`},
		{`$.a: {length: {min: 2}, every: ok}`, `{"a":["ok"]}`, `$.a: expected a length of at least 2, got 1`},
		{`$.a: {every: {match: "^[a-z]+$"}, any: ok}`, `{"a":["down"]}`, `$.a: expected an item to be "ok", got none among 1 item`},
	} {
		e := expectation(t, "json: {"+c.expect+"}")
		o := e.CheckJSON(&httpx.Answer{Body: []byte(c.body)})
		if o.Passed() != (c.want == "") || c.want != "" && o.Detail != c.want {
			t.Errorf("%s of %s:\n got  %s\n want %s", c.expect, c.body, o.Detail, c.want)
		}
		if c.want != "" && o.Reason.Verdict != probe.Fail {
			t.Errorf("%s of %s: got %s", c.expect, c.body, o.Reason)
		}
		if name := e.Negative(); name != "" {
			t.Errorf("%s: %s is said to be negative", c.expect, name)
		}
	}
}

// TestLists_negative: what an item must not be needs a control like any other.
func TestLists_negative(t *testing.T) {
	for text, negative := range map[string]bool{
		`{every: {not_contains: a}}`: true, `{any: {not_match: a}}`: true, `{every: {not_contains: a}, length: {min: 1}}`: false, `{every: {contains: b, not_contains: a}}`: false,
	} {
		e := expectation(t, "json: {$.a: "+text+"}")
		if got := e.Negative() != ""; got != negative {
			t.Errorf("%s: negative %t, expected %t", text, got, negative)
		}
	}
}

// TestLists_refused names each condition on a list that cannot be met, or is about none.
func TestLists_refused(t *testing.T) {
	for text, want := range map[string]string{
		`json: {$.a: {every: {}}}`:                              "json.$.a.every: expected at least one condition",
		`json: {$.a: {every: {any: 1}}}`:                        "json.$.a.every: expected what one item must be",
		`json: {$.a: {any: {absent: true}}}`:                    "json.$.a.any: expected what one item must be",
		`json: {$.a: {any: {min: 2, max: 1}}}`:                  "json.$.a.any.min: 2 is above max, so nothing can be within",
		`json: {$.a: {every: ok, contains: a}}`:                 "json.$.a: every, any and length are about a list, which leaves nothing else to expect",
		`json: {$.a: {length: -1}}`:                             "json.$.a.length: expected a whole number, or min and max",
		`json: {$.a: {length: 1.5}}`:                            "json.$.a.length: expected a whole number, or min and max",
		`json: {$.a: {length: many}}`:                           "json.$.a.length: expected a whole number, or min and max",
		`json: {$.a: {length: {contains: "1"}}}`:                "json.$.a.length: expected a whole number, or min and max",
		`json: {$.a: {length: {min: 3, max: 2}}}`:               "json.$.a.length: min is above max, so nothing can be within",
		`json: {$.a: {length: 0, any: ok}}`:                     "json.$.a.length: every and any fail of an empty list, so nothing can match",
		`json: {"$.a[*]": {length: 0}}`:                         "json.$.a[*]: a path that finds nothing fails, so nothing can match; expect the length of the list itself",
		`headers: {X-A: {every: ok}}`:                           "headers.X-A: has no items; every, any and length are for json",
		`body: {length: {min: 1}}`:                              "body: has no items; every, any and length are for json",
		`json: {$.a: {length: {min: 1, max: 2, not_match: b}}}`: "json.$.a.length: expected a whole number, or min and max",
	} {
		root, wrong := strictyaml.Parse([]byte(text), 1<<16)
		e := &Expect{}
		var d strictyaml.Decoder
		if wrong = append(wrong, d.Decode(root, e)...); len(wrong) > 0 {
			t.Fatal(text, wrong)
		}
		var got []string
		for _, m := range probe.SettingErrors(e.Validate(true)) {
			got = append(got, m.Error())
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%s:\n got  %s\n want %s", text, strings.Join(got, "; "), want)
		}
	}
}

// TestLists_neverText: a condition on a list is met by no text, whoever asks.
func TestLists_neverText(t *testing.T) {
	for _, m := range []Match{{Every: &Match{Contains: "a"}}, {Any: &Match{Contains: "a"}}, {Length: &Match{Min: new(0.0)}}} {
		if m.MatchText("a", true) || m.MatchText("", false) {
			t.Errorf("%s is met by a text", m)
		}
	}
}

// TestLists_limit has texts of which each is short enough for a slow expression, and all together are not.
func TestLists_limit(t *testing.T) {
	body := `{"a":["` + strings.Repeat("a", 1000) + `"` + strings.Repeat(`,"`+strings.Repeat("a", 1000)+`"`, 500) + `]}`
	for _, text := range []string{"$.a: {every: {match: %q}}", "$.a: {any: {not_match: %q, contains: b}}", "\"$.a[*]\": {match: %q}"} {
		e := expectation(t, "json: {"+fmt.Sprintf(text, "^((a?b?a*){9}a){9}")+"}")
		o := e.CheckJSON(&httpx.Answer{Body: []byte(body)})
		if o.Reason != probe.SelfLimit || !strings.Contains(o.Detail, "is searched for in up to ") {
			t.Errorf("%s: got %v: %s", text, o.Reason, o.Detail)
		}
	}
}
