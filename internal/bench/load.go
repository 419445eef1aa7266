package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"time"
)

// load measures what many probes cost, how evenly they start and what a scrape of them costs.
func (b *bench) load(ctx context.Context, reuse bool) ([]row, error) {
	kind, start, most := "fresh", settle, 100.0
	if reuse {
		kind, start, most = "reuse", interval+time.Second, 200 // the first round opens the connections, which are kept
	}
	var seen []loaded
	err := b.each(ctx, fmt.Sprintf("%d probes, %s", b.probes, kind),
		func() (work, error) { return b.work(b.probes, interval, reuse) },
		func(ctx context.Context, s *subject) error {
			l, err := b.underLoad(ctx, s, loading{probes: b.probes, every: interval, window: b.window, start: start})
			seen = append(seen, l)
			return err
		})
	if err != nil {
		return nil, err
	}
	bare, prober := seen[0], seen[1]
	label := func(figure string) string { return fmt.Sprintf("%s, %s", figure, kind) }
	rows := []row{
		{label("CPU per 1,000 probes"), "s", bare.cpu, prober.cpu, "<= 1.15 x bare", timesBare(1.15)},
		{label(fmt.Sprintf("RSS, %d probes", b.probes)), "MiB", bare.rss, prober.rss, fmt.Sprintf("< %g", most), below(most)},
		{label("lateness, gap p99"), "ms", bare.late, prober.late, "< 2", below(2)},
		{label("most starts in 100 ms / mean"), "ratio", bare.burst, prober.burst, "<= 1.1", atMost(1.1)},
		{label("asked, of what was due"), "%", bare.asked, prober.asked, ">= 99", func(_, p float64) bool { return p >= 99 }},
		{label("passing at the end"), "%", bare.passing, prober.passing, "100", func(_, p float64) bool { return p == 100 }},
	}
	if !reuse {
		rows = append(rows,
			row{"/metrics, time", "ms", bare.scrape, prober.scrape, "< 100", below(100)},
			row{"/metrics without gzip, time", "ms", bare.plain, prober.plain, "", nil},
			row{"/metrics, CPU per minute scraped every 15 s", "s", bare.scrapeCPU, prober.scrapeCPU, "< 1", below(1)},
			row{"/metrics without gzip, size", "kB", bare.size, prober.size, "", nil},
		)
	}
	return rows, nil
}

// loading says what a subject does, and for how long it is measured after the start.
type loading struct {
	probes               int
	every, window, start time.Duration
	large                bool // scraped without gzip, which weighs more; a page that the prober does not deliver in time is a figure, and no error
}

// loaded is what was seen of one subject under load.
type loaded struct {
	cpu, rss, late, burst, asked, passing, scrape, scrapeCPU, plain, size float64 // scrape, plain, size and passing are NaN of a page that was cut off
	arrived                                                               []arrival
	cutOff                                                                error // why, of the last such page
}

func (b *bench) underLoad(ctx context.Context, s *subject, of loading) (l loaded, err error) {
	if err := pause(ctx, of.start); err != nil {
		return l, err
	}
	b.target.takeArrivals()
	before, err := s.cpu()
	if err != nil {
		return l, err
	}
	began := time.Now()
	for next, tick := began.Add(scraping/5), began; tick.Before(began.Add(of.window)); {
		if err := pause(ctx, time.Until(tick.Add(time.Second))); err != nil {
			return l, err
		}
		tick = tick.Add(time.Second)
		now, err := s.rss()
		if err != nil {
			return l, err
		}
		l.rss = max(l.rss, now/mebibyte)
		if !tick.Before(next) {
			if _, _, err := s.scrape(ctx, !of.large); err != nil && !of.large {
				return l, err
			}
			next = next.Add(scraping)
		}
	}
	after, err := s.cpu()
	if err != nil {
		return l, err
	}
	took := time.Since(began)
	if l.arrived = b.target.takeArrivals(); len(l.arrived) == 0 {
		return l, fmt.Errorf("%s asked the target nothing in %s", s.name, took.Round(time.Second))
	}
	due := float64(of.probes) * took.Seconds() / of.every.Seconds()
	l.asked = 100 * float64(len(l.arrived)) / due
	perProbe := (after - before).Seconds() / float64(len(l.arrived))
	l.cpu = 1000 * perProbe
	late := gaps(l.arrived, of.every)
	if len(late) == 0 {
		return l, fmt.Errorf("%s asked for no probe twice in %s", s.name, took.Round(time.Second))
	}
	l.late = 1e3 * quantile(late, 0.99)
	l.burst = burst(l.arrived, 100*time.Millisecond)
	err = l.scrapes(ctx, s, !of.large, l.cpu*due/1000/took.Seconds())
	if err == nil {
		var e exposition
		e, err = exposed(ctx, s)
		l.passing = 100 * float64(e.passing) / float64(of.probes)
	}
	if err != nil && of.large && ctx.Err() == nil {
		l.scrape, l.plain, l.size, l.passing, l.cutOff = math.NaN(), math.NaN(), math.NaN(), math.NaN(), err
		return l, nil
	}
	return l, err
}

// scrapes measures some scrapes, and one without gzip; busy is the share of a CPU that goes into probing meanwhile.
func (l *loaded) scrapes(ctx context.Context, s *subject, gzip bool, busy float64) error {
	const times = 5
	var took []float64
	spent := 0.0
	for n := range times + 1 {
		if err := pause(ctx, time.Second); err != nil { // a scraper does not come back at once, and who does has to wait
			return err
		}
		before, err := s.cpu()
		if err != nil {
			return err
		}
		d, size, err := s.scrape(ctx, gzip && n < times)
		if err != nil {
			return err
		}
		after, err := s.cpu()
		if err != nil {
			return err
		}
		if n == times {
			l.plain, l.size = 1e3*d.Seconds(), float64(size)/1000
			break
		}
		took = append(took, 1e3*d.Seconds())
		spent += (after - before).Seconds() - busy*d.Seconds()
	}
	l.scrape = quantile(took, 0.5)
	l.scrapeCPU = max(0, spent) / times * time.Minute.Seconds() / scraping.Seconds()
	return nil
}

func exposed(ctx context.Context, s *subject) (exposition, error) {
	var page bytes.Buffer
	if err := s.get(ctx, "/metrics", &page); err != nil {
		return exposition{}, err
	}
	return read(&page)
}
