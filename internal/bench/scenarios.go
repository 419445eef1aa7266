package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"
)

// A bench runs the scenarios and gathers their rows.
type bench struct {
	target   *target
	subjects []starter // the bare loop and the prober, in this order
	binary   string    // of the prober
	dir      string    // for its configurations
	probes   int
	window   time.Duration
	progress func(format string, args ...any)

	kindsOnly []string // kinds to measure; all if empty
	tables    []string // of the scenarios that report in another form than rows
}

// A scenario measures the subjects and yields rows, or adds a table.
type scenario struct {
	name  string
	named bool // it takes minutes, and runs only if it is named
	run   func(context.Context) ([]row, error)
}

func (b *bench) scenarios() []scenario {
	return []scenario{
		{"fresh", false, func(ctx context.Context) ([]row, error) { return b.load(ctx, false) }},
		{"reuse", false, func(ctx context.Context) ([]row, error) { return b.load(ctx, true) }},
		{"latency", false, b.latency},
		{"small", false, b.small},
		{"start", false, b.start},
		{"kinds", true, b.kinds},
		{"growth", true, b.grow},
	}
}

const (
	interval = 10 * time.Second // of the probes under load
	settle   = 2 * time.Second  // from the start of a subject until it is measured
	scraping = 15 * time.Second // between two scrapes, as Prometheus is told in the shipped manifest
	mebibyte = 1 << 20
)

// work asks a number of probes of the target.
func (b *bench) work(probes int, every time.Duration, reuse bool) (work, error) {
	listen, err := freeAddress()
	w := work{Interval: every, Reuse: reuse, Listen: listen}
	for i := range probes {
		w.URLs = append(w.URLs, b.target.url(i))
	}
	return w, err
}

// each runs a measurement with one subject after the other.
func (b *bench) each(ctx context.Context, what string, w func() (work, error), measure func(context.Context, *subject) error) error {
	for _, starter := range b.subjects {
		b.progress("%s: %s", what, starter.name)
		work, err := w()
		if err != nil {
			return err
		}
		s, err := starter.start(work)
		if err != nil {
			return err
		}
		if _, err = s.waitUntilUp(ctx, "/-/healthy"); err == nil {
			err = measure(ctx, s)
		}
		if _, e := s.stop(); err == nil {
			err = e
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// small measures both subjects at the same time with 1,000 probes, and as sidecars with 20; neither is busy.
func (b *bench) small(ctx context.Context) ([]row, error) {
	const many, sidecar = 1000, 20
	b.progress("1,000 probes, and an idle sidecar of %d", sidecar)
	var running []*subject
	defer func() {
		for _, s := range running {
			s.stop()
		}
	}()
	start := func(starter starter, probes int, every time.Duration) error {
		w, err := b.work(probes, every, false)
		if err != nil {
			return err
		}
		s, err := starter.start(w)
		if err != nil {
			return err
		}
		running = append(running, s)
		_, err = s.waitUntilUp(ctx, "/-/healthy")
		return err
	}
	for _, s := range b.subjects {
		if err := start(s, many, interval); err != nil {
			return nil, err
		}
		if err := start(s, sidecar, 15*time.Second); err != nil {
			return nil, err
		}
	}
	if err := pause(ctx, settle); err != nil {
		return nil, err
	}
	const window = 2 * scraping
	before := make([]time.Duration, len(running))
	for i, s := range running {
		var err error
		if before[i], err = s.cpu(); err != nil {
			return nil, err
		}
	}
	b.target.takeArrivals()
	began := time.Now()
	for range window / scraping {
		for _, s := range running {
			if _, _, err := s.scrape(ctx, true); err != nil {
				return nil, err
			}
		}
		if err := pause(ctx, scraping); err != nil {
			return nil, err
		}
	}
	rss, used := make([]float64, len(running)), make([]float64, len(running))
	for i, s := range running {
		now, err := s.cpu()
		if err != nil {
			return nil, err
		}
		used[i] = 1e3 * (now - before[i]).Seconds() / time.Since(began).Seconds()
		bytes, err := s.rss()
		if err != nil {
			return nil, err
		}
		rss[i] = bytes / mebibyte
	}
	due := float64(len(b.subjects)) * (many/interval.Seconds() + sidecar/15.0) * time.Since(began).Seconds()
	if n := float64(len(b.target.takeArrivals())); n < 0.9*due {
		return nil, fmt.Errorf("of %.0f requests that were due the target saw %.0f", due, n)
	}
	return []row{
		{"RSS, 1,000 probes, fresh", "MiB", rss[0], rss[2], "", nil},
		{"idle sidecar of 20 probes, RSS", "MiB", rss[1], rss[3], "< 20", below(20)},
		{"idle sidecar of 20 probes, CPU", "ms/s", used[1], used[3], "< 1", below(1)},
	}, nil
}

// start measures how soon a subject can be scraped, and how soon it is gone. The middle one of several times counts.
func (b *bench) start(ctx context.Context) ([]row, error) {
	b.progress("start and end with 100 probes")
	middle := func(values []float64) float64 { return quantile(values, 0.5) }
	up, down := [2][]float64{}, [2][]float64{}
	for range 7 {
		for i, starter := range b.subjects {
			w, err := b.work(100, interval, false)
			if err != nil {
				return nil, err
			}
			s, err := starter.start(w)
			if err != nil {
				return nil, err
			}
			first, err := s.waitUntilUp(ctx, "/metrics")
			if err == nil {
				err = pause(ctx, 150*time.Millisecond)
			}
			last, e := s.stop()
			if err == nil {
				err = e
			}
			if err != nil {
				return nil, err
			}
			if len(b.target.takeArrivals()) == 0 {
				return nil, fmt.Errorf("%s asked the target nothing before it was stopped", starter.name)
			}
			up[i], down[i] = append(up[i], 1e3*first.Seconds()), append(down[i], 1e3*last.Seconds())
		}
	}
	return []row{
		{"start to the first scrape, 100 probes", "ms", middle(up[0]), middle(up[1]), "< 30", below(30)},
		{"SIGTERM to exit, 100 probes", "ms", middle(down[0]), middle(down[1]), "< 50", below(50)},
	}, nil
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// growth adds what a further probe costs in memory, where both sizes were measured.
func growth(rows []row, probes int) []row {
	find := func(prefix string) (row, bool) {
		for _, r := range rows {
			if strings.HasPrefix(r.figure, prefix) && strings.HasSuffix(r.figure, "fresh") {
				return r, true
			}
		}
		return row{}, false
	}
	small, ok := find("RSS, 1,000 probes")
	large, ok2 := find(fmt.Sprintf("RSS, %d probes", probes))
	if !ok || !ok2 || probes <= 1000 {
		return rows
	}
	per := func(a, b float64) float64 { return math.Max(0, b-a) * 1024 / float64(probes-1000) }
	return append(rows, row{"memory of a further probe", "KiB", per(small.bare, large.bare), per(small.prober, large.prober), "", nil})
}
