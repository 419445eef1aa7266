package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCoverage(t *testing.T) {
	const code = `package a

func f(x int) int {
	if x < 3 {
		x = 1
	}
	return x
}

var never = func() int { return 7 }
`
	path := filepath.Join(t.TempDir(), "cover.out")
	write(t, path, `mode: set
prober/a/a.go:3.19,4.12 1 1
prober/a/a.go:4.12,6.3 1 0
prober/a/a.go:7.2,7.10 1 1
prober/b/other.go:1.1,9.9 1 0
`)
	covered, err := readCoverage(path)
	if err != nil {
		t.Fatal(err)
	}
	all, err := inFile("a.go", []byte(code))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if got, want := covered.neverRun(m), m.line == 5; got != want {
			t.Errorf("%s: never run %t, expected %t", m, got, want)
		}
	}
	if len(all) < 4 {
		t.Errorf("expected four mutants, got %d", len(all))
	}
	write(t, path, "mode: set\na.go:x\n")
	if _, err := readCoverage(path); err == nil {
		t.Error("a broken profile is accepted")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
