// Command bench measures the speed and the memory of the prober beside a bare net/http loop that asks the same targets
// in the same run. Only the comparison within one table means something: the absolute figures are the machine's.
//
// Both run as processes of their own, so that CPU and memory are theirs alone. The target is in this process and
// records when each request arrived: lateness and bursts are measured there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if path := os.Getenv(bareVariable); path != "" {
		if err := runBare(path); err != nil {
			fmt.Fprintln(os.Stderr, "bare loop:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	prober, only, kinds string
	probes, seconds     int
}

// parse reads the flags. Nothing is measured if one of them is wrong.
func parse(args []string, output io.Writer) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(output)
	f.StringVar(&o.prober, "prober", "./prober", "the `binary` to measure")
	f.IntVar(&o.probes, "probes", 10_000, "number of probes; each runs every 10 s")
	f.IntVar(&o.seconds, "seconds", 20, "how long each load is measured; two intervals or more")
	f.StringVar(&o.only, "only", "", "comma-separated `scenarios`: "+strings.Join(names(nil), ", ")+"; if empty, all but the last two")
	f.StringVar(&o.kinds, "kinds", "", "of the scenario kinds, only these `kinds`, comma-separated")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("expected flags only, got %q", f.Arg(0))
	case o.seconds < 20 || o.probes < 1:
		return o, errors.New("expected at least 20 seconds, for two rounds of the probes, and at least one probe")
	}
	for _, name := range list(o.only) {
		if !slices.Contains(names(nil), name) {
			return o, fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(names(nil), ", "))
		}
	}
	for _, kind := range list(o.kinds) {
		if !slices.ContainsFunc(kindCases(), func(c kindCase) bool { return c.isOf(kind) }) {
			return o, fmt.Errorf("the kind %q is not measured", kind)
		}
	}
	return o, nil
}

// list splits a list with commas.
func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

// names returns those of the scenarios.
func names(b *bench) (all []string) {
	for _, s := range b.scenarios() {
		all = append(all, s.name)
	}
	return all
}

func run() error {
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "prober-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := filepath.Abs(o.prober)
	if err != nil {
		return err
	}
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("no prober to measure: %w; `make bench` builds it", err)
	}
	target, err := newTarget()
	if err != nil {
		return err
	}
	defer target.close()

	b := &bench{
		target: target, subjects: starters(binary, dir), binary: binary, dir: dir, probes: o.probes, window: time.Duration(o.seconds) * time.Second,
		kindsOnly: list(o.kinds),
		progress:  func(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) },
	}
	began, quiet := time.Now(), others()
	var rows []row
	var failed error // what was measured before it is shown in any case
	for _, s := range b.scenarios() {
		if o.only == "" && s.named || o.only != "" && !slices.Contains(list(o.only), s.name) {
			continue
		}
		more, err := s.run(ctx)
		rows = append(rows, more...)
		if err != nil {
			failed = fmt.Errorf("%s: %w", s.name, err)
			break
		}
	}
	took := time.Since(began)
	fmt.Printf("%s, %s, %d cores, of which other processes used %.0f %%; %s in all\n", runtime.Version(), runtime.GOOS, runtime.NumCPU(),
		100*(others()-quiet).Seconds()/took.Seconds()/float64(runtime.NumCPU()), took.Round(time.Second))
	if len(rows) > 0 {
		fmt.Printf("\n%d probes every %s\n\n", o.probes, interval)
		table(os.Stdout, growth(rows, o.probes))
	}
	for _, t := range b.tables {
		fmt.Printf("\n%s", t)
	}
	return failed
}
