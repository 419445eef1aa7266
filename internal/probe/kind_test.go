package probe

import (
	"strings"
	"testing"
)

// TestKindUndeclared shows that a kind cannot give a reason or a measure that it does not declare without being found.
func TestKindUndeclared(t *testing.T) {
	known, other := &Measure{Name: "probe_known"}, &Measure{Name: "probe_other"}
	kind := Kind{Reasons: []Reason{{Word: "odd", Verdict: Fail}}, Measures: []*Measure{known}}
	for want, note := range map[string]func(*Result){
		"": func(r *Result) {
			r.Pass("a", "so")
			r.Report("a", Status, "so")
			r.Report("a", Reason{Word: "odd", Verdict: Fail}, "so")
			r.Measure(known, 1)
		},
		"check a: the kind does not declare the reason even": func(r *Result) { r.Report("a", Reason{Word: "even", Verdict: Fail}, "so") },
		"the kind does not declare the measure probe_other":  func(r *Result) { r.Measure(other, 1) },
	} {
		r := NewResult(ID{})
		note(r)
		got := ""
		if err := kind.Undeclared(*r); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("expected %q, got %q", want, got)
		}
	}
}

// TestRepeats finds a detail that says again what stands before it.
func TestRepeats(t *testing.T) {
	for detail, repeats := range map[string]bool{
		"expected a text, got none": false, "the body: too long": false, "the bodyguard: gone": false,
		"page: expected a text": true, "body: expected a text": true,
	} {
		r := NewResult(ID{})
		r.Report("page", Body, "%s", detail)
		if err := r.Repeats(); (err != nil) != repeats || err != nil && !strings.Contains(err.Error(), detail) {
			t.Errorf("%s: %v", detail, err)
		}
	}
}
