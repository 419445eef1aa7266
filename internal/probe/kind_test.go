package probe

import "testing"

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
