package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"prober/config"
	"prober/internal/alerts"
	"prober/internal/incident"
	"prober/internal/metrics"
	"prober/internal/schedule"
	"prober/internal/web"
	"prober/probes"
)

// largeConfig has as many probes as a configuration may have, in files of a thousand.
func largeConfig() (files []config.File) {
	for s := range 50 {
		var b strings.Builder
		fmt.Fprintf(&b, "system: s%02d\ninterval: 50s\ntimeout: 5s\nlabels: {env: prod}\nrunbooks:\n  down: {severity: P2, url: 'https://docs.example.com/r'}\nprobes:\n", s)
		for i := range 1000 {
			fmt.Fprintf(&b, "  - name: p%04d\n    type: http\n    runbook: down\n    url: http://127.0.0.1:1/%02d/%04d\n    expect: {status: 200, json: {'$.status': ok}}\n", i, s, i)
		}
		files = append(files, config.File{Name: fmt.Sprintf("s%02d.yaml", s), Data: []byte(b.String())})
	}
	return files
}

func parseLarge(b *testing.B) *config.Config {
	cfg, err := config.Parse(probes.Kinds(), largeConfig()...)
	if err != nil {
		b.Fatal(err)
	}
	return cfg
}

// BenchmarkLoad reads 50,000 probes. What they hold afterwards is reported for one probe.
func BenchmarkLoad(b *testing.B) {
	files := largeConfig()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ReportAllocs()
	var cfg *config.Config
	for b.Loop() {
		var err error
		if cfg, err = config.Parse(probes.Kinds(), files...); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(cfg.Jobs)), "B/probe")
	runtime.KeepAlive(cfg)
}

// BenchmarkApply hands 50,000 probes to all who keep something of each, as a reload does.
func BenchmarkApply(b *testing.B) {
	cfg := parseLarge(b)
	m, board, notes := metrics.New(metrics.Build{}), web.NewStatusStore(), incident.New()
	sinks := []struct {
		name string
		set  func()
	}{
		{"effective", func() { cfg.YAML() }},
		{"metrics", func() { m.SetJobs(cfg.Jobs) }},
		{"board", func() { board.SetJobs(cfg.Jobs) }},
		{"incidents", func() { notes.SetJobs(cfg.Jobs) }},
		{"warnings", func() { warnings(cfg, cfg.Jobs) }},
		{"shard", func() { schedule.Shard{Of: 3}.Select(cfg.Jobs) }},
	}
	for _, s := range sinks {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.set()
			}
		})
	}
}

// BenchmarkRules writes the rules of 50,000 probes.
func BenchmarkRules(b *testing.B) {
	cfg := parseLarge(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := alerts.WriteRules(io.Discard, cfg.Jobs, alerts.Options{Kinds: probes.Kinds()}); err != nil {
			b.Fatal(err)
		}
	}
}
