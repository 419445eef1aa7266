package main

import (
	"context"
	"fmt"
	"time"
)

// latency measures by how much the reported time exceeds what a target that waits 10 ms took by its own account.
func (b *bench) latency(ctx context.Context) ([]row, error) {
	b.target.slow(10 * time.Millisecond)
	defer b.target.slow(0)
	var means, p99s []float64
	err := b.each(ctx, "latency of a 10 ms target, 1,000/s",
		func() (work, error) { return b.work(b.probes, interval, false) },
		func(ctx context.Context, s *subject) error {
			if err := pause(ctx, settle); err != nil {
				return err
			}
			m, p, err := b.bias(ctx, s)
			means, p99s = append(means, m), append(p99s, p)
			return err
		})
	if err != nil {
		return nil, err
	}
	return []row{
		{"latency bias on a 10 ms target, mean", "ms", means[0], means[1], "<= 0.3", atMost(0.3)},
		{"latency bias on a 10 ms target, p99", "ms", p99s[0], p99s[1], "<= 0.5", atMost(0.5)},
	}, nil
}

func (b *bench) bias(ctx context.Context, s *subject) (avg, p99 float64, err error) {
	before, err := exposed(ctx, s)
	if err != nil {
		return 0, 0, err
	}
	b.target.takeArrivals()
	if err := pause(ctx, interval); err != nil {
		return 0, 0, err
	}
	from := b.target.now()
	after, err := exposed(ctx, s)
	if err != nil {
		return 0, 0, err
	}
	to := b.target.now()
	arrived := b.target.takeArrivals()

	var own []float64
	lastOf := map[int]arrival{}
	for _, a := range arrived {
		own = append(own, a.took.Seconds())
		if a.at > lastOf[a.probe].at {
			lastOf[a.probe] = a
		}
	}
	var over []float64
	for probe, a := range lastOf {
		// Close to the scrape, it is uncertain which of two requests the scrape shows.
		settled := a.at+a.took < from-50*time.Millisecond
		if shown, ok := after.latest[probe]; ok && settled && a.at < to {
			over = append(over, 1e3*(shown-a.took.Seconds()))
		}
	}
	if len(own) == 0 || len(over) == 0 || after.count == before.count {
		return 0, 0, fmt.Errorf("%s: %d requests, %g runs and %d latencies to compare", s.name, len(own), after.count-before.count, len(over))
	}
	reported := (after.sum - before.sum) / (after.count - before.count)
	return 1e3 * (reported - mean(own)), quantile(over, 0.99), nil
}
