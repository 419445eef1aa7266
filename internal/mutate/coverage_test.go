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
	switch {
	case x == 4:
	}
	return x
}

func g() int { return 7 }
`
	path := filepath.Join(t.TempDir(), "cover.out")
	write(t, path, `mode: set
prober/a/a.go:3.19,4.12 1 1
prober/a/a.go:4.12,6.3 1 0
prober/a/a.go:7.2,7.9 1 1
prober/a/a.go:10.2,10.10 1 1
prober/a/a.go:13.14,13.26 1 0
prober/b/a.go:1.1,99.9 1 1
`)
	covered, err := readCoverage(path, "prober")
	if err != nil {
		t.Fatal(err)
	}
	all, err := inFile("a/a.go", []byte(code))
	if err != nil {
		t.Fatal(err)
	}
	lines := map[int]bool{}
	for _, m := range all {
		lines[m.line] = true
		if got, want := covered.runs(m), m.line == 4 || m.line == 8; got != want {
			t.Errorf("%s: run %t, expected %t", m, got, want)
		}
	}
	for _, line := range []int{4, 5, 8, 13} {
		if !lines[line] {
			t.Errorf("expected a mutant in line %d", line)
		}
	}
	write(t, path, "mode: set\na.go:x\n")
	if _, err := readCoverage(path, "prober"); err == nil {
		t.Error("a broken profile is accepted")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
