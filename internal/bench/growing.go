package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A grown is what a prober costs that runs so many probes.
type grown struct {
	loading
	loaded
	ready    float64 // ms from its start until /-/ready
	reload   float64 // ms until a changed configuration was taken
	lateLoad float64 // ms, the p99 of the starts in the 5 s from the reload on
	peak     float64 // MiB, with the reload
}

// sizes are the numbers of probes that are measured.
var sizes = []int{100, 1_000, 10_000, 50_000}

// sized says how often so many probes run: 1,000 times a second in all, but none more often than the 1 s that is allowed. They
// are measured after each ran once, and until a fifth of them ran a second time.
func sized(probes int) loading {
	every := max(time.Second, time.Duration(probes)*time.Millisecond)
	return loading{probes: probes, every: every, start: every + 2*time.Second, window: max(20*time.Second, every*6/5), large: true}
}

// grow measures the prober with more and more probes.
func (b *bench) grow(ctx context.Context) ([]row, error) {
	var seen []grown
	defer func() {
		var out strings.Builder
		writeGrown(&out, seen)
		b.tables = append(b.tables, out.String())
	}()
	for _, probes := range sizes {
		of := sized(probes)
		b.progress("%d probes every %s: %s", probes, of.every, (of.start + of.window).Round(time.Second))
		g, err := b.grownTo(ctx, of)
		if err != nil {
			return nil, fmt.Errorf("%d probes: %w", probes, err)
		}
		seen = append(seen, g)
	}
	return nil, nil
}

func (b *bench) grownTo(ctx context.Context, of loading) (g grown, err error) {
	g.loading = of
	w, err := b.work(of.probes, of.every, false)
	if err != nil {
		return g, err
	}
	prober := b.subjects[len(b.subjects)-1]
	s, err := prober.start(w)
	if err != nil {
		return g, err
	}
	defer func() {
		if _, e := s.stop(); err == nil {
			err = e
		}
	}()
	up, err := s.waitUntilUp(ctx, "/-/ready")
	if err != nil {
		return g, err
	}
	g.ready = 1e3 * up.Seconds()
	if g.loaded, err = b.underLoad(ctx, s, of); err != nil {
		return g, err
	}
	if g.asked < 50 || g.passing < 50 {
		return g, fmt.Errorf("%.0f %% of what was due was asked, and %.0f %% pass: that is not the load that was to be measured", g.asked, g.passing)
	}

	if err := renameProbe(filepath.Join(b.dir, "config")); err != nil {
		return g, err
	}
	from, began := b.target.now(), time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+"/-/reload", nil)
	if err != nil {
		return g, err
	}
	if err := fetch(req, io.Discard); err != nil {
		return g, err
	}
	g.reload = 1e3 * time.Since(began).Seconds()
	if err := pause(ctx, 5*time.Second-time.Since(began)); err != nil {
		return g, err
	}
	late := gapsFrom(from, append(g.arrived, b.target.takeArrivals()...), of.every)
	if len(late) == 0 {
		return g, fmt.Errorf("the target saw no request for a probe again after the reload")
	}
	g.lateLoad = 1e3 * quantile(late, 0.99)
	peak, err := s.peak()
	g.peak = peak / mebibyte
	return g, err
}

// gapsFrom returns those gaps that end from a time on.
func gapsFrom(from time.Duration, all []arrival, interval time.Duration) []float64 {
	last := map[int]arrival{}
	var out []float64
	for _, a := range byTime(all) {
		if before, ok := last[a.probe]; ok && a.at >= from {
			out = append(out, gaps([]arrival{before, a}, interval)...)
		}
		last[a.probe] = a
	}
	return out
}

// renameProbe gives the first probe of a configuration another name: as many as there may be are in it already.
func renameProbe(dir string) error {
	path := filepath.Join(dir, "0.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, bytes.Replace(text, []byte("name: p0,"), []byte("name: renamed,"), 1), 0o600)
}

// writeGrown writes the report on growth.
func writeGrown(w io.Writer, all []grown) {
	const form = "| %7s | %5s | %14s | %8s | %6s | %7s | %8s | %11s | %11s | %8s | %9s | %17s | %9s |\n"
	fmt.Fprintf(w, form, "probes", "every", "CPU s of 1,000", "core", "asked", "RSS MiB", "KiB each", "late p99 ms", "/metrics ms", "kB", "ready ms", "reload ms, late", "peak MiB")
	fmt.Fprintf(w, "|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|\n", dashes(9), dashes(7), dashes(16), dashes(10), dashes(8), dashes(9), dashes(10), dashes(13), dashes(13), dashes(10), dashes(11), dashes(19), dashes(11))
	for i, g := range all {
		each := "" // what each probe adds to the smaller size
		if i > 0 {
			each = number3((g.rss - all[i-1].rss) * 1024 / float64(g.probes-all[i-1].probes))
		}
		fmt.Fprintf(w, form, fmt.Sprint(g.probes), g.every, number3(g.cpu), fmt.Sprintf("%.1f %%", 100*g.cpu*float64(g.probes)/1000/g.every.Seconds()), fmt.Sprintf("%.0f %%", g.asked),
			number3(g.rss), each, number3(g.late), number3(g.scrape), number3(g.size), number3(g.ready), number3(g.reload)+", "+number3(g.lateLoad), number3(g.peak))
	}
	for _, g := range all {
		if g.cutOff != nil {
			fmt.Fprintf(w, "\n%d probes: the prober did not deliver %v\n", g.probes, g.cutOff)
		}
	}
}
