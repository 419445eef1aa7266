// Command mutate changes the code of a package in one place at a time and runs the tests that run this place: one of them
// should fail. What survives is code that no test holds, or a change without a meaning.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	count := flag.Int("n", 200, "how many mutants to try in each package")
	seed := flag.Uint64("seed", 1, "which ones: the same seed takes the same")
	limit := flag.Duration("limit", time.Hour, "when to stop with a package")
	grace := flag.Duration("grace", 5*time.Second, "how long tests may take beyond ten times what they take without a mutant, which is killed then")
	short := flag.Bool("short", true, "whether to leave out what -short leaves out")
	tests := flag.String("tests", "", "the packages whose tests are run, separated by commas: the package itself unless given")
	only := flag.String("run", "^(Test|Fuzz|Example)", "which tests are run, as in go test -run")
	at := flag.String("at", "", "only the mutants of these lines, such as conn.go:142,tls.go:62")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	for _, dir := range flag.Args() {
		r := runner{dir: filepath.Clean(dir), short: *short, grace: *grace, only: *only, at: *at, out: os.Stdout}
		for of := range strings.SplitSeq(cmp.Or(*tests, dir), ",") {
			r.tests = append(r.tests, filepath.Clean(of))
		}
		if err := r.run(ctx, *count, *seed, *limit); err != nil {
			fmt.Fprintln(os.Stderr, "mutate:", err)
			os.Exit(1)
		}
	}
}

// A runner tries the mutants of one package.
type runner struct {
	dir     string
	tests   []string // the directories of the packages whose tests are run
	short   bool
	grace   time.Duration
	only    string // a pattern of the names of tests
	at      string // lines; empty: all
	out     io.Writer
	scratch string // has all that is written, also by tests that are killed

	killed, timedOut, survived int
}

func (r *runner) run(ctx context.Context, count int, seed uint64, limit time.Duration) (err error) {
	if r.scratch, err = os.MkdirTemp("", "mutate"); err != nil {
		return err
	}
	defer os.RemoveAll(r.scratch)
	if err := os.Chmod(r.scratch, 0o711); err != nil { // for servers that tests run as another user
		return err
	}
	all, err := mutants(r.dir)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(m mutant) bool {
		return r.at != "" && !slices.Contains(strings.Split(r.at, ","), fmt.Sprintf("%s:%d", filepath.Base(m.file), m.line))
	})
	places := len(all)
	if places == 0 {
		return fmt.Errorf("%s: there is nothing to change", r.dir)
	}
	rand.New(rand.NewPCG(seed, 0)).Shuffle(places, func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = all[:min(places, count+count/4)] // more than asked for, since some do not compile
	began := time.Now()
	tests, err := r.measure(ctx)
	if err != nil {
		return err
	}
	compiled := map[int]mutant{}
	for number, m := range all {
		compiled[number] = m
	}
	if err := r.build(ctx, compiled); err != nil {
		return err
	}
	fmt.Fprintf(r.out, "%s: measured and compiled in %s\n", r.dir, time.Since(began).Round(time.Second))
	for number, m := range all {
		if r.tried() == count || time.Since(began) > limit {
			break
		}
		if _, ok := compiled[number]; !ok {
			continue
		}
		some := batches(tests, m)
		got := r.try(ctx, strconv.Itoa(number), some)
		if ctx.Err() != nil {
			break
		}
		r.tell(m, got, len(some) > 0)
	}
	fmt.Fprintf(r.out, "%s: %d of %d mutants killed (%d %%), %d of them by a timeout; %d places; %s\n", r.dir, r.killed+r.timedOut, r.tried(),
		100*(r.killed+r.timedOut)/max(1, r.tried()), r.timedOut, places, time.Since(began).Round(time.Second))
	return ctx.Err()
}

func (r *runner) tried() int { return r.killed + r.timedOut + r.survived }

func (r *runner) tell(m mutant, got outcome, run bool) {
	switch {
	case got == killed:
		r.killed++
	case got == timedOut:
		r.timedOut++
		fmt.Fprintf(r.out, "timed out %s\n", m)
	case !run:
		r.survived++
		fmt.Fprintf(r.out, "not run   %s\n", m)
	default:
		r.survived++
		fmt.Fprintf(r.out, "survived  %s\n", m)
	}
}
