package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A test is one test function, how long it takes and what it runs.
type test struct {
	in     int // in runner.tests
	name   string
	took   time.Duration
	covers coverage
}

// measure runs every test alone and remembers what it covers.
func (r *runner) measure(ctx context.Context) ([]test, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m").Output()
	if err != nil {
		return nil, err
	}
	module := strings.TrimSpace(string(out))
	if err := r.compile(ctx, ".cover", "-coverpkg", "./"+r.dir); err != nil {
		return nil, err
	}
	var all []test
	for i, dir := range r.tests {
		if _, err := os.Stat(r.binary(i, ".cover")); errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%s has no tests: name packages that test %s, as in TESTS=./probes/http,./probes", dir, r.dir)
		}
		list, err := r.command(ctx, i, ".cover", "-test.list", r.only).Output()
		if err != nil {
			return nil, err
		}
		for name := range strings.FieldsSeq(string(list)) {
			profile := filepath.Join(r.scratch, "cover.out")
			began := time.Now()
			if out, err := r.command(ctx, i, ".cover", "-test.run", only(name), "-test.coverprofile", profile).CombinedOutput(); err != nil {
				return nil, fmt.Errorf("%s: %s fails without any change: %w\n%s", r.tests[i], name, err, out)
			}
			t := test{in: i, name: name, took: time.Since(began)}
			if t.covers, err = readCoverage(profile, module); err != nil {
				return nil, err
			}
			all = append(all, t)
		}
	}
	slices.SortStableFunc(all, func(a, b test) int { return cmp.Compare(a.took, b.took) })
	return all, nil
}

// only is the pattern of some tests.
func only(names ...string) string {
	for i, name := range names {
		names[i] = regexp.QuoteMeta(name)
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

func (r *runner) command(ctx context.Context, i int, suffix string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.binary(i, suffix), append(args, "-test.short="+strconv.FormatBool(r.short))...)
	cmd.Dir = r.tests[i]
	cmd.Env = append(cmd.Environ(), "TMPDIR="+r.scratch)
	cmd.WaitDelay = time.Second
	return cmd
}

// A batch is tests of one package that run in one process.
type batch struct {
	in    int
	names []string
	took  time.Duration
}

// batches are the tests that run the code of a mutant, the fastest first. Starting a process takes longer than most tests,
// so that fast ones share one.
func batches(tests []test, m mutant) []batch {
	const fast = 300 * time.Millisecond
	var all []batch
	for _, t := range tests {
		if !t.covers.runs(m) {
			continue
		}
		at := slices.IndexFunc(all, func(b batch) bool { return b.in == t.in && b.took+t.took <= fast })
		if at < 0 {
			at = len(all)
			all = append(all, batch{in: t.in})
		}
		all[at].names = append(all[at].names, t.name)
		all[at].took += t.took
	}
	return all
}

// An outcome is what became of a mutant.
type outcome int

const (
	survived outcome = iota
	killed
	timedOut
)

// try runs the tests that run the code of a mutant, until one fails.
func (r *runner) try(ctx context.Context, number string, batches []batch) outcome {
	for _, b := range batches {
		timeout := 10*b.took + r.grace
		cmd := r.command(ctx, b.in, ".test", "-test.failfast", "-test.timeout", timeout.String(), "-test.run", only(b.names...))
		cmd.Env = append(cmd.Env, variable+"="+number)
		out, err := cmd.CombinedOutput()
		switch {
		case err == nil:
		case bytes.Contains(out, []byte("panic: test timed out")):
			return timedOut
		default:
			return killed
		}
	}
	return survived
}
