package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"prober/internal/testenv"
)

func TestWithMutants(t *testing.T) {
	const before = `package a

func (s *set[K, _]) one(_ int, _ K, more ...string) (n int, err error) { return 1, nil }

func none() {}

func two[T any](x T) {
	call(2)
}
`
	const after = `package a

func (s *set[K, _]) one(unnamed0 int, unnamed1 K, more ...string) (n int, err error) { if chosenMutant == "0" { return s.mutant0(unnamed0, unnamed1, more...) }; return 1, nil }

func none() {}

func two[T any](x T) { if chosenMutant == "1" { mutant1[T](x); return }; if chosenMutant == "2" { mutant2[T](x); return };
	call(2)
}

//line mutant0.go:1
func (s *set[K, _]) mutant0(unnamed0 int, unnamed1 K, more ...string) (n int, err error) { return 2, nil }

//line mutant1.go:1
func mutant1[T any](x T) {
	_ = 0
}

//line mutant2.go:1
func mutant2[T any](x T) {
	call(3)
}
`
	all, err := inFile("a.go", []byte(before))
	if err != nil {
		t.Fatal(err)
	}
	numbered := map[int]mutant{}
	for i, m := range all {
		numbered[i] = m
	}
	got, err := withMutants([]byte(before), numbered)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != after {
		t.Errorf("got:\n%s\nexpected:\n%s", got, after)
	}
	if !forget(numbered, "./a.go:7:1: other\nx/mutant1.go:3:4: broken\nmutant1.go:4:4: broken\n") || len(numbered) != 2 || numbered[1].text != nil {
		t.Errorf("expected only the mutant with errors to be forgotten: %v", numbered)
	}
	if forget(numbered, "./a.go:7:1: other\n") {
		t.Error("expected an error outside of all mutants to stand")
	}
}

// The code of the package has one mutant that is killed, one that hangs, one that survives, one that is never run and some
// that do not compile.
func TestRun(t *testing.T) {
	testenv.Slow(t, "compiles a module six times")
	t.Chdir(t.TempDir())
	write(t, "go.mod", "module m\n\ngo 1.26\n")
	write(t, "a.go", `package a

func held(x int) bool { return x == 3 }
func loops(x int) { for x != 0 { x -= 1 } }
func loose(x int) bool { return x > 2 }
func never() bool { return true }
func invalid() []string { return append([]string(nil), "a" + "b") }
`)
	write(t, "a_test.go", `package a

import "testing"

func TestHeld(t *testing.T) {
	if !held(3) || held(4) || held(2) {
		t.Error("held")
	}
}

func TestLoops(t *testing.T) { loops(4) }

func TestLoose(t *testing.T) {
	if !loose(4) || loose(1) || invalid()[0] != "ab" {
		t.Error("loose")
	}
}
`)
	var out strings.Builder
	r := runner{dir: ".", tests: []string{"."}, short: true, only: "^Test", grace: 2 * time.Second, out: &out}
	if err := r.run(t.Context(), 200, 1, time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"survived  a.go:5: >  =>  >=\n",
		"not run   a.go:6: true  =>  false\n",
		"timed out a.go:4: x -= 1  =>  _ = 0\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("expected %q", want)
		}
	}
	for _, wrong := range []string{"a.go:3:", "a.go:7:"} {
		if strings.Contains(out.String(), wrong) {
			t.Errorf("expected no line about %s", wrong)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
	if r.killed < 2 || r.timedOut < 1 {
		t.Errorf("killed %d, %d timed out", r.killed, r.timedOut)
	}
	again := runner{dir: ".", tests: []string{"."}, short: true, only: "^Test", at: "a.go:3,a.go:6,b.go:3", grace: 2 * time.Second, out: &out}
	if err := again.run(t.Context(), 200, 1, time.Minute); err != nil || again.killed == 0 || again.survived != 1 || again.tried() >= r.tried() {
		t.Errorf("the mutants of two lines: killed %d, %d survived, %v", again.killed, again.survived, err)
	}
}

// A package without tests has to be told by those of others.
func TestRun_withoutTests(t *testing.T) {
	testenv.Slow(t, "compiles a module")
	t.Chdir(t.TempDir())
	write(t, "go.mod", "module m\n\ngo 1.26\n")
	write(t, "a.go", "package a\n\nfunc f() int { return 1 }\n")
	r := runner{dir: ".", tests: []string{"."}, short: true, only: "^Test", grace: time.Second, out: io.Discard}
	err := r.run(t.Context(), 1, 1, time.Minute)
	if want := ". has no tests: name packages that test ., as in TESTS=./probes/http,./probes"; err == nil || err.Error() != want {
		t.Errorf("got %v, expected %s", err, want)
	}
}
