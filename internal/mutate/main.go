// Command mutate changes the code of a package in one place at a time and runs the package's short tests: they should fail.
// What survives is code that no test holds, or a change without a meaning.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	count := flag.Int("n", 200, "how many mutants to try in each package")
	seed := flag.Uint64("seed", 1, "which ones: the same seed takes the same")
	limit := flag.Duration("limit", time.Hour, "when to stop with a package")
	timeout := flag.Duration("timeout", time.Minute, "of the tests of one mutant, which is killed if it takes longer")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	for _, dir := range flag.Args() {
		r := runner{dir: filepath.Clean(dir), timeout: *timeout}
		if err := r.run(ctx, *count, *seed, *limit); err != nil {
			fmt.Fprintln(os.Stderr, "mutate:", err)
			os.Exit(1)
		}
	}
}

// A runner tries the mutants of one package.
type runner struct {
	dir     string
	timeout time.Duration
	scratch string

	killed, survived int
}

// An outcome is what became of a mutant.
type outcome int

const (
	killed outcome = iota
	survived
	invalid // it does not compile
)

func (r *runner) run(ctx context.Context, count int, seed uint64, limit time.Duration) error {
	all, err := mutants(r.dir)
	if err != nil {
		return err
	}
	if r.scratch, err = os.MkdirTemp("", "mutate"); err != nil {
		return err
	}
	defer os.RemoveAll(r.scratch)
	profile := filepath.Join(r.scratch, "cover.out")
	if out, err := r.test(ctx, "{}", "-coverprofile="+profile); err != nil {
		return fmt.Errorf("%s: the tests fail without any change:\n%s", r.dir, out)
	}
	covered, err := readCoverage(profile)
	if err != nil {
		return err
	}
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	end := time.Now().Add(limit)
	for _, m := range all {
		if r.killed+r.survived == count || time.Now().After(end) || ctx.Err() != nil {
			break
		}
		if covered.neverRun(m) {
			r.survived++
			fmt.Printf("not run   %s\n", m)
			continue
		}
		switch got, err := r.try(ctx, m); {
		case err != nil:
			return err
		case ctx.Err() != nil:
		case got == killed:
			r.killed++
		case got == survived:
			r.survived++
			fmt.Printf("survived  %s\n", m)
		}
	}
	tried := max(1, r.killed+r.survived)
	fmt.Printf("%-28s %d of %d mutants killed (%d %%), of %d places\n", r.dir, r.killed, r.killed+r.survived, 100*r.killed/tried, len(all))
	return nil
}

// try runs the tests with one mutant in place of its file.
func (r *runner) try(ctx context.Context, m mutant) (outcome, error) {
	changed := filepath.Join(r.scratch, "mutant.go")
	if err := os.WriteFile(changed, m.source(), 0o600); err != nil {
		return 0, err
	}
	path, err := filepath.Abs(m.file)
	if err != nil {
		return 0, err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		return 0, err
	}
	out, err := r.test(ctx, string(overlay))
	switch {
	case err == nil:
		return survived, nil
	case strings.Contains(out, "[build failed]") || strings.Contains(out, "[setup failed]"):
		return invalid, nil
	}
	return killed, nil
}

// test runs the short tests of the package under an overlay, with more flags.
func (r *runner) test(ctx context.Context, overlay string, flags ...string) (string, error) {
	file := filepath.Join(r.scratch, "overlay.json")
	if err := os.WriteFile(file, []byte(overlay), 0o600); err != nil {
		return "", err
	}
	args := slices.Concat([]string{"test", "-short", "-failfast", "-vet=off", "-overlay", file, "-timeout", r.timeout.String()}, flags, []string{"./" + r.dir})
	cmd := exec.CommandContext(ctx, "go", args...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
