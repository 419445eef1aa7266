package probe

import "testing"

func TestSeverityLevel(t *testing.T) {
	for word, want := range map[string]int{
		"P1": 1, "p2": 2, "sev1": 1, "SEV-3": 3, "P-9": 9, "P0": 0, "P10": 0, "severe": 0, "xP1": 0, "": 0,
	} {
		if got := SeverityLevel(word); got != want {
			t.Errorf("%q: got %d, want %d", word, got, want)
		}
	}
}
