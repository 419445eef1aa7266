package expect

import (
	"fmt"
	"strings"
	"testing"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/strictyaml"
)

// read reads the setting denied as a configuration has it.
func read(t *testing.T, text string) (Denials, string) {
	t.Helper()
	root, wrong := strictyaml.Parse([]byte("denied: "+text), 1<<16)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	var into struct {
		Denied Denials `yaml:"denied"`
	}
	var d strictyaml.Decoder
	if wrong := d.Decode(root, &into); len(wrong) > 0 {
		return nil, wrong[0].Text
	}
	if err := into.Denied.Validate(); err != nil {
		return nil, err.Error()
	}
	return into.Denied, ""
}

func TestDenials_Match(t *testing.T) {
	const (
		filtered = `{status: 200, empty: $.items}`
		graphql  = `{json: {"$.errors[0].extensions.code": UNAUTHENTICATED}}`
		mixed    = `[401, 403, {status: 200, empty: "$"}]`
	)
	for _, c := range []struct {
		denied string
		status int
		body   string
		want   bool
	}{
		{"404", 404, "", true},
		{"404", 401, "", false},
		{"[401, 403]", 403, "x", true},
		{filtered, 200, `{"items": [], "totalItems": 0}`, true},
		{filtered, 200, `{"items": null}`, true},
		{filtered, 200, `{"items": {}}`, true},
		{filtered, 200, `{"items": ""}`, true},
		{filtered, 200, `{"items": [{}]}`, false},
		{filtered, 200, `{"items": 0}`, false},
		{filtered, 200, `{"items": false}`, false},
		{filtered, 200, `{"data": [{"id": 1}]}`, false},
		{filtered, 200, `{"ITEMS": []}`, false},
		{filtered, 200, ``, false},
		{filtered, 200, `<html>`, false},
		{filtered, 200, `{"items": [], "items": [1]}`, false},
		{filtered, 201, `{"items": []}`, false},
		{`{empty: $}`, 200, `[]`, true},
		{`{empty: $}`, 200, ``, true},
		{`{empty: $}`, 200, ` `, false},
		{`{status: 204, empty: $}`, 204, ``, true},
		{`{empty: "$.data[*]"}`, 200, `{"data": {"notes": [], "me": null}}`, true},
		{`{empty: "$.data[*]"}`, 200, `{"data": {"notes": [], "me": {"id": 1}}}`, false},
		{`{empty: "$.data[*]"}`, 200, `{"data": {}}`, false},
		{graphql, 200, `{"errors": [{"extensions": {"code": "UNAUTHENTICATED"}}], "data": null}`, true},
		{graphql, 200, `{"errors": [{"extensions": {"code": "INTERNAL"}}], "data": null}`, false},
		{graphql, 200, `{"data": {"notes": []}}`, false},
		{`{json: {$.error: denied}, empty: $.data}`, 200, `{"error": "denied", "data": [1]}`, false},
		{`{json: {$.error: denied}, empty: $.data}`, 200, `{"error": "denied", "data": []}`, true},
		{`{json: {$.error: denied, $.data: {absent: true}}}`, 200, `{"error": "denied", "data": 1}`, false},
		{`{json: {$.error: denied, $.data: {absent: true}}}`, 200, `{"error": "denied"}`, true},
		{mixed, 401, `{"items": [1]}`, true},
		{mixed, 200, `[]`, true},
		{mixed, 200, `[1]`, false},
	} {
		denied, wrong := read(t, c.denied)
		if wrong != "" {
			t.Errorf("%s: %s", c.denied, wrong)
			continue
		}
		a := &httpx.Answer{Exchange: probe.Exchange{Status: c.status, Reason: probe.OK}, Body: []byte(c.body)}
		if got := denied.Match(a); got != c.want {
			t.Errorf("%s, answer %d %s: got %v, want %v", c.denied, c.status, c.body, got, c.want)
		}
		a.Reason = probe.Truncated
		if denied.Match(a) {
			t.Errorf("%s, answer %d %s: an incomplete answer is a refusal", c.denied, c.status, c.body)
		}
	}
}

func TestDenials_Validate(t *testing.T) {
	for denied, want := range map[string]string{
		`200`:                              "expected a refusal, such as 401",
		`4xx`:                              "expected a refusal, such as 401",
		`429`:                              "expected a refusal, such as 401",
		`302`:                              "expected a refusal, such as 401",
		`[]`:                               "denied: expected at least one denial",
		`maybe`:                            "denied: expected a status",
		`{}`:                               "expected a refusal, such as 401",
		`[401, {status: 200}]`:             "[1]: expected a refusal, such as 401",
		`{status: 2xx, empty: $.a}`:        "status: expected the status of a refusal",
		`{status: 429, empty: $.a}`:        "status: expected the status of a refusal",
		`{empty: a}`:                       "denied.empty: ",
		`{emtpy: $.a}`:                     "denied: unknown key emtpy; did you mean empty?",
		`[401, {status: 200, emtpy: $.a}]`: "denied[1]: unknown key emtpy; did you mean empty?",
		`{json: {$.data: {absent: true}}}`: "json: any other JSON would meet it too",
		`{json: {$.data: {not_contains: x}, $.a: {equals: ""}}}`: "json: any other JSON would meet it too",
		`{json: {$.data: {}}}`: "json.$.data: expected at least one condition",
	} {
		if _, got := read(t, denied); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", denied, got, want)
		}
	}
}

func TestDenials_String(t *testing.T) {
	for denied, want := range map[string]string{
		`[401, 403]`:                           "401 or 403",
		`[404, {status: 200, empty: $.items}]`: "404, or 200 with nothing at $.items",
		`{json: {$.error: denied}}`:            `200 with $.error "denied"`,
	} {
		got, wrong := read(t, denied)
		if wrong != "" || got.String() != want {
			t.Errorf("%s: got %q %s, want %q", denied, got, wrong, want)
		}
	}
}

// One denial is written without a list, and one by its status alone as that status.
func TestDenials_MarshalYAML(t *testing.T) {
	for denied, want := range map[string]string{
		`401`:                                    "expect.Denial httpx.Statuses",
		`{empty: $.items}`:                       "expect.Denial expect.fields",
		`[401, {status: 200, empty: $.items}]`:   "[]expect.Denial httpx.Statuses expect.fields",
		`[401, {json: {$.error: unauthorized}}]`: "[]expect.Denial httpx.Statuses expect.fields",
	} {
		denials, wrong := read(t, denied)
		all, err := denials.MarshalYAML()
		if wrong != "" || err != nil {
			t.Fatal(wrong, err)
		}
		got := fmt.Sprintf("%T", all)
		for _, one := range denials {
			written, err := one.MarshalYAML()
			if err != nil {
				t.Fatal(err)
			}
			got += fmt.Sprintf(" %T", written)
		}
		if got != want {
			t.Errorf("%s: written as %s, expected %s", denied, got, want)
		}
	}
}
