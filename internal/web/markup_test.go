package web

import (
	"strings"
	"testing"

	"prober/internal/probe"
)

// TestWhy says a reason once, whether or not the detail begins with it.
func TestWhy(t *testing.T) {
	for detail, want := range map[string]string{
		"connection refused by 127.0.0.1:1": "<strong>connection refused</strong> by 127.0.0.1:1",
		"nobody listens there":              "<strong>connection refused</strong>: nobody listens there",
	} {
		var b strings.Builder
		if err := why(probe.Refused, detail).Render(&b); err != nil || b.String() != want {
			t.Errorf("%s: expected %s, got %s, %v", detail, want, b.String(), err)
		}
	}
}
