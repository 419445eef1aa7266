package probe

import (
	"strings"
	"testing"
)

func TestSeverityLevel(t *testing.T) {
	for word, want := range map[string]int{
		"P0": 0, "sev0": 0, "P1": 1, "p2": 2, "sev1": 1, "SEV-3": 3, "P4": 4, "p5": 5, "sev5": 5,
		"critical": 1, "Warning": 2, "info": 3,
	} {
		if got, ok := SeverityLevel(word); got != want || !ok || ValidateSeverity(word) != nil {
			t.Errorf("%q: got %d, %t, want %d", word, got, ok, want)
		}
	}
	for word, meant := range map[string]string{
		"": "", "P6": "", "P-9": "", "P10": "", "sev9": "", "sev": "sev1", "severe": "", "xP1": "P1", "high": "", "urgent": "", "page": "",
		"critcal": "critical", "warn": "warning", "information": "",
	} {
		if got, ok := SeverityLevel(word); ok {
			t.Errorf("%q: got %d, want it unknown", word, got)
		}
		_, suggestion, _ := strings.Cut(ValidateSeverity(word).Error(), "; did you mean ")
		if suggestion = strings.TrimSuffix(suggestion, "?"); suggestion != meant {
			t.Errorf("%q: got %s", word, ValidateSeverity(word))
		}
	}
	for word, shown := range map[string]string{"P6": "P6 ", "SEV-10": "SEV-10 ", "high": "high ", "p1234567": "", "hunter2": ""} { // a long number may be a secret
		if got := ValidateSeverity(word).Error(); !strings.HasPrefix(got, shown+"is none of") {
			t.Errorf("%q: got %s", word, got)
		}
	}
}
