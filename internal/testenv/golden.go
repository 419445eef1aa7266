package testenv

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// Golden compares a text with the file at path, which holds what is expected. Run with -update, the test writes the
// file instead; `make golden` does so for all packages.
func Golden(t testing.TB, path, got string) {
	t.Helper()
	if *update {
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, []byte(got), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if line, w, g, differ := firstDifference(string(want), got); differ {
		t.Errorf("%s:%d differs; if the change is meant, run `make golden` and look at the diff\nexpected %s\ngot      %s", path, line, w, g)
	}
}

// firstDifference finds the first line in which two texts differ. A text that is shorter ends with "(end)".
func firstDifference(want, got string) (line int, w, g string, differ bool) {
	ws, gs := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(ws), len(gs)) {
		w, g := "(end)", "(end)"
		if i < len(ws) {
			w = ws[i]
		}
		if i < len(gs) {
			g = gs[i]
		}
		if i >= len(ws) || i >= len(gs) || w != g {
			return i + 1, w, g, true
		}
	}
	return 0, "", "", false
}

// Updating reports whether the test runs with -update, for what keeps its expectations elsewhere than in a file of its
// own.
func Updating() bool { return *update }
