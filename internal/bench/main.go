// Command bench measures the speed and the memory of the prober beside a bare net/http loop that asks the same targets
// in the same run. Only the comparison within one table means something: the absolute figures are the machine's.
//
// Both run as processes of their own, so that CPU and memory are theirs alone. The target is in this process and
// records when each request arrived: lateness and bursts are measured there.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
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

func run() error {
	prober := flag.String("prober", "./prober", "the `binary` to measure")
	probes := flag.Int("probes", 10_000, "number of probes; each runs every 10 s")
	seconds := flag.Int("seconds", 20, "how long each load is measured; two intervals or more")
	only := flag.String("only", "", "comma-separated `scenarios`: fresh, reuse, latency, small, start; all if empty")
	flag.Parse()
	if *seconds < 20 || *probes < 1 {
		return fmt.Errorf("expected at least 20 seconds, for two rounds of the probes, and at least one probe")
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "prober-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := filepath.Abs(*prober)
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
		target: target, subjects: starters(binary, dir), probes: *probes, window: time.Duration(*seconds) * time.Second,
		progress: func(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) },
	}
	began, quiet := time.Now(), others()
	var rows []row
	for _, s := range b.scenarios() {
		if *only != "" && !strings.Contains(","+*only+",", ","+s.name+",") {
			continue
		}
		more, err := s.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		rows = append(rows, more...)
	}
	took := time.Since(began)
	fmt.Printf("%d probes every %s; %s, %s, %d cores, of which other processes used %.0f %%; %s in all\n\n", *probes, interval,
		runtime.Version(), runtime.GOOS, runtime.NumCPU(), 100*(others()-quiet).Seconds()/took.Seconds()/float64(runtime.NumCPU()),
		took.Round(time.Second))
	table(os.Stdout, growth(rows, *probes))
	return nil
}
