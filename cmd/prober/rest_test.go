package main

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"prober/config"
	"prober/internal/alerts"
	"prober/internal/history"
	"prober/internal/metrics"
	"prober/internal/testenv"
	"prober/internal/web"
	"prober/probes"
)

// What a probe of kind http costs before its first run, in bytes, and what its load allocates. The bounds are a fifth above what was
// measured: each step over one, times fifty thousand, is more memory than a small pod has.
func TestMemory_atRest(t *testing.T) {
	testenv.WithoutRace(t)
	const n = 3000
	var b strings.Builder
	b.WriteString("system: shop\ninterval: 50s\nlabels: {env: prod}\nrunbooks:\n  down: {severity: P2, url: 'https://docs.example.com/r'}\nprobes:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - name: p%04d\n    type: http\n    runbook: down\n    url: http://127.0.0.1:1/%04d\n    expect: {status: 200, json: {'$.status': ok}}\n", i, i)
	}
	file := config.File{Name: "shop.yaml", Data: []byte(b.String())}
	cfg, err := config.Parse(probes.Kinds(), file) // what all loads share is there now
	if err != nil {
		t.Fatal(err)
	}
	stats := func() (m runtime.MemStats) {
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m
	}
	m, board, past := metrics.New(metrics.Build{}), web.NewStatusStore(), history.NewInMemory(history.Options{})
	evaluator := alerts.NewEvaluator(alerts.Options{Kinds: probes.Kinds()}, nil)
	for _, part := range []struct {
		name            string
		do              func()
		held, allocated uint64
	}{
		{"configuration", func() { cfg, err = config.Parse(probes.Kinds(), file) }, 2500, 14_500},
		{"metrics", func() { m.SetJobs(cfg.Jobs) }, 730, 2250},
		{"status page", func() { board.SetJobs(cfg.Jobs) }, 620, 1200},
		{"history", func() { past.SetJobs(cfg.Jobs) }, 430, 1200},
		{"alerts", func() { evaluator.SetJobs(cfg.Jobs) }, 520, 1200},
	} {
		if part.name == "configuration" {
			cfg = nil
		}
		before := stats()
		part.do()
		after := stats()
		held, allocated := max(int64(after.HeapAlloc)-int64(before.HeapAlloc), 0)/n, (after.TotalAlloc-before.TotalAlloc)/n
		t.Logf("%s: %d bytes a probe, %d allocated", part.name, held, allocated)
		if uint64(held) > part.held || allocated > part.allocated {
			t.Errorf("%s: holds %d bytes a probe and allocated %d, expected at most %d and %d", part.name, held, allocated, part.held, part.allocated)
		}
	}
	runtime.KeepAlive(m)
	runtime.KeepAlive(board)
	runtime.KeepAlive(past)
	runtime.KeepAlive(evaluator)
	runtime.KeepAlive(cfg)
	if err != nil {
		t.Fatal(err)
	}
}
