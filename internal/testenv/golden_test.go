package testenv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGolden_firstDifference(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "a.golden")
	*update = true
	f := try(t, func(f *fake) { Golden(f, path, "one\ntwo\n") })
	*update = false
	if b, err := os.ReadFile(path); f.failed || err != nil || string(b) != "one\ntwo\n" {
		t.Fatalf("wrote %q, %v: %s", b, err, f.said)
	}
	for name, c := range map[string]struct{ got, want string }{
		"the same":  {"one\ntwo\n", ""},
		"a line":    {"one\nTwo\n", ":2 differs"},
		"too short": {"one\n", ":2 differs"},
		"too long":  {"one\ntwo\nthree\n", ":3 differs"},
		"empty":     {"", ":1 differs"},
	} {
		f := try(t, func(f *fake) { Golden(f, path, c.got) })
		if f.failed != (c.want != "") || !strings.Contains(f.said, c.want) {
			t.Errorf("%s: failed=%t: %s", name, f.failed, f.said)
		}
	}
	if f := try(t, func(f *fake) { Golden(f, path+"x", "") }); !f.failed {
		t.Error("a missing file passes")
	}
}
