package coverage

import (
	"context"
	"strings"
	"testing"

	"prober/internal/probe"
)

// requires is a probe that requires these series and labels.
type requires map[string]string

func (requires) Validate() error                    { return nil }
func (requires) Checks() []string                   { return nil }
func (requires) Ask(context.Context, *probe.Result) {}

func (r requires) RequiresSeries(name, label string) bool {
	labels, ok := r[name]
	return ok && (label == "" || strings.Contains(labels, label))
}

func TestCover(t *testing.T) {
	jobs := []probe.Job{{Probe: requires{"a_total": "code"}}, {Probe: requires{"b_bucket": "le,result", "a_total": "method"}}}
	for rules, want := range map[string]string{
		`groups: [{rules: [{alert: A, expr: "a_total{code=\"1\",method=\"2\",pod=\"x\"} / b_bucket{result!=\"\"}"}]}]`: "all 2 series that 1 rule reads are covered",
		`groups: [{rules: [{alert: A, expr: 1}, {record: r, expr: up + probe_x + ALERTS}, {alert: B, expr: r}]}]`:      "all 0 series that 3 rules read are covered",
		`groups: [{rules: [{record: r, expr: "c + c + d{x=\"y\"}"}]}]`:                                                 "1 record r reads c, which no contract covers\n1 record r reads d, which no contract covers\n2 of 2 series that 1 rule reads are not covered",
		`groups: [{rules: [{alert: A, expr: "a_total{other=\"1\"}"}]}]`:                                                "1 alert A selects other of a_total, a label that no contract covers\n1 of 1 series that 1 rule reads are not covered",
		`groups: [{rules: [{alert: A, expr: "{\"odd name\\n\"}"}]}]`:                                                   "1 alert A reads {\"odd name\\n\"}, which no contract covers\n1 of 1 series that 1 rule reads are not covered",
		`groups: [{rules: [{alert: "A\e[2J", expr: "(("}]}]`:                                                           "1 alert A [2J cannot be read: 1:3: expected a series, a number, a function or a parenthesis\n0 of 0 series that 1 rule reads are not covered",
		`groups: [{rules: [{alert: A}]}]`:                                                                              "0 alert A cannot be read: 1:1: expected a series, a number, a function or a parenthesis\n0 of 0 series that 1 rule reads are not covered",
		"spec: {groups: [{rules: [{alert: A, expr: a_total}]}]}\n---\ngroups: [{rules: [{alert: B, expr: c}]}]":        "3 alert B reads c, which no contract covers\n1 of 2 series that 2 rules read are not covered",
	} {
		c, err := Cover([]byte(rules), jobs)
		if err != nil {
			t.Errorf("%s: %v", rules, err)
			continue
		}
		got := c.String()
		for i := len(c.Gaps) - 1; i >= 0; i-- {
			got = string(rune('0'+c.Gaps[i].Line)) + " " + c.Gaps[i].Text + "\n" + got
		}
		if got != want {
			t.Errorf("%s:\n got  %s\n want %s", rules, got, want)
		}
	}
	for _, rules := range []string{"", "groups: []", "a: b", "[", "groups: 5", "\tx"} {
		if c, err := Cover([]byte(rules), jobs); err == nil {
			t.Errorf("%q: got %s", rules, c)
		}
	}
}
