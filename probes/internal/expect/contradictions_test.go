package expect

import (
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// TestContradictions refuses conditions that nothing can meet together, and accepts those that something can.
func TestContradictions(t *testing.T) {
	for conditions, refused := range map[string]string{
		"{equals: abc, contains: b}":           "",
		"{equals: abc, contains: x}":           "contains",
		"{equals: abc, match: ^a}":             "",
		"{equals: abc, match: ^b}":             "match",
		"{equals: '5', min: 1, max: 5}":        "",
		"{equals: '5', min: 6}":                "min",
		"{equals: '5', max: 4.9}":              "max",
		"{equals: five, min: 1}":               "min",
		"{equals: abc, not_contains: x}":       "",
		"{equals: abc, not_contains: b}":       "not_contains",
		"{equals: abc, not_match: x}":          "",
		"{equals: abc, not_match: ^abc$}":      "not_match",
		"{equals: ''}":                         "",
		"{equals: '', contains: a}":            "contains",
		"{contains: abc, not_contains: abcd}":  "",
		"{contains: abc, not_contains: bc}":    "not_contains",
		"{match: abc, not_contains: bc}":       "not_contains",
		"{match: 'a.c', not_contains: a}":      "",
		"{contains: abc, not_match: ^abc}":     "",
		"{contains: abc, not_match: bc}":       "not_match",
		"{contains: abc, not_match: 'b|x'}":    "",
		"{match: 'a+b', not_match: 'a+b'}":     "not_match",
		"{match: 'a+b', not_match: 'a+'}":      "",
		"{contains: abc, min: 1}":              "expected a number",
		"{contains: '5', min: 1}":              "",
		"{match: '^[0-9]+$', max: 7}":          "",
		"{absent: true, not_contains: a}":      "absent",
		"{min: 2, max: 1}":                     "min",
		"{not_match: abc, not_contains: abc}":  "",
		"{contains: abc, not_match: 'a(?i)b'}": "",
	} {
		var m Match
		if err := yaml.Unmarshal([]byte(conditions), &m); err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := m.Validate(); err != nil {
			got = err.Error()
		}
		if (refused == "") != (got == "") || !strings.HasPrefix(got, refused) {
			t.Errorf("%s: got %q, expected %q", conditions, got, refused)
		}
	}
}
