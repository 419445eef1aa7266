package main

import (
	"strings"
	"testing"
	"time"

	"prober/config"
	"prober/internal/probe"
	"prober/probes"
)

// TestRunNow runs a probe with an interval of an hour from its page, and tests the flag that forbids it.
func TestRunNow(t *testing.T) {
	t.Parallel()
	x := startTarget(t)
	config := strings.Replace(httpConfig(x.URL, "up"), "interval: 1s\ntimeout: 800ms", "interval: 1h\ntimeout: 5s", 1)
	file := writeFile(t, t.TempDir(), "prober.yaml", config)
	// With this offset the first run starts at once and the next in an hour.
	p := start(t, nil, "--config.file="+file, "--schedule.offset=0.69")
	p.waitForRuns(t, "up", 1)
	x.status.Store(500)
	before := x.asked.Load()
	if status, body := p.post(t, "/probes/test/up/run"); status != 200 || body != "run\n" {
		t.Errorf("got %d %s", status, body)
	}
	// The answer came after the result was stored, so the page shows it already.
	_, page, err := p.get("/probes/test/up")
	if got := x.asked.Load() - before; err != nil || got != 1 || !strings.Contains(page, "expected 2xx, got 500") || !strings.Contains(page, "answered 500 in") {
		t.Errorf("the target was asked %d times, the page says: %v\n%s", got, err, page)
	}
	if status, body := p.post(t, "/probes/test/up/run"); status != 429 || !strings.Contains(body, "too many requests") {
		t.Errorf("at once again: got %d %s", status, body)
	}
	if status, badge, err := p.get("/badge/up.svg"); err != nil || status != 200 || !strings.Contains(badge, "FAILED: wrong status") {
		t.Errorf("the badge: %d %v %s", status, err, badge)
	}

	p = start(t, nil, "--config.file="+file, "--no-web.enable-run")
	if status, body := p.post(t, "/probes/test/up/run"); status != 403 || !strings.Contains(body, "not enabled") {
		t.Errorf("with the flag: got %d %s", status, body)
	}
	if _, page, err := p.get("/probes/test/up"); err != nil || strings.Contains(page, "Run now") {
		t.Errorf("with the flag the page offers it: %v", err)
	}
}

// TestPage_showsFailedSelfChecks uses an unreachable reference and a configuration with a mistake.
func TestPage_showsFailedSelfChecks(t *testing.T) {
	x := startTarget(t)
	dir := t.TempDir()
	file := writeFile(t, dir, "prober.yaml", httpConfig(x.URL, "up"))
	p := start(t, nil, "--config.file="+file, "--network.reference=127.0.0.1:1")
	p.waitForMetric(t, `prober_self_check{check="network"} 0`)
	writeFile(t, dir, "prober.yaml", "system: test\nprobez: []\n")
	p.post(t, "/-/reload")
	_, page, err := p.get("/")
	for _, want := range []string{"The reference cannot be reached", "The last reload failed", "probez"} {
		if err != nil || !strings.Contains(page, want) {
			t.Errorf("the page lacks %q: %v", want, err)
		}
	}
}

// TestPage_saysWhatEachProbeAsks finds the addresses and the settings of every probe that is shipped, whatever its kind.
func TestPage_saysWhatEachProbeAsks(t *testing.T) {
	for name, data := range map[string][]byte{"demo.yaml": config.Demo, "ibex.yaml": config.Ibex, "1pass.yaml": config.OnePass} {
		cfg, err := config.Parse(probes.Kinds(), config.File{Name: name, Data: data})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range cfg.Jobs {
			_, receives := j.Probe.(probe.Receiver) // and may ask nobody
			if len(j.Addresses()) == 0 && !receives || len(cfg.Settings(j.Key())) == 0 {
				t.Errorf("%s of %s: addresses %q, settings %v", j.Key(), name, j.Addresses(), cfg.Settings(j.Key()))
			}
		}
	}
}

// TestJobs_latencyLimit reads the limit that the charts draw.
func TestJobs_latencyLimit(t *testing.T) {
	cfg, err := config.Parse(probes.Kinds(), config.File{Name: "limits.yaml", Data: []byte(`
system: test
probes:
  - {name: a, type: http, url: "http://127.0.0.1/", expect: {latency: 1s}}
  - {name: b, type: health, live: {path: /live}, ready: {path: /ready}, service: "http://127.0.0.1", latency: 2s}
  - {name: c, type: http, url: "http://127.0.0.1/b"}
`)})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []time.Duration{time.Second, 2 * time.Second, 0} {
		if got := cfg.Jobs[i].LatencyLimit(); got != want {
			t.Errorf("%s: got %s, expected %s", cfg.Jobs[i].Name, got, want)
		}
	}
}
