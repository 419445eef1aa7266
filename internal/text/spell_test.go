package text

import (
	"strings"
	"testing"
)

func TestDidYouMean(t *testing.T) {
	known := []string{"timeout", "interval", "url", "up-500", "up-502", "json", "junit"}
	for word, want := range map[string]string{
		"timeot":                  "; did you mean timeout?",
		"timeuot":                 "; did you mean timeout?", // two letters swapped are one mistake
		"time-out":                "; did you mean timeout?",
		"Interval":                "; did you mean interval?",
		"up-50":                   "; did you mean up-500?", // of two that are as near, the first
		"ulr":                     "; did you mean url?",
		"jsn":                     "; did you mean json?",
		"jun":                     "; did you mean junit?", // cut short
		"x":                       "",
		"":                        "",
		"something else":          "",
		strings.Repeat("url", 99): "",
	} {
		if got := DidYouMean(word, known); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
