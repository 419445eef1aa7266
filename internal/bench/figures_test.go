package main

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
)

// even returns arrivals of some probes that are exactly spread over each second, for some seconds.
func even(probes, seconds int) []arrival {
	var all []arrival
	for k := range probes * seconds {
		all = append(all, arrival{probe: k % probes, at: time.Duration(k) * time.Second / time.Duration(probes)})
	}
	return all
}

func TestGaps(t *testing.T) {
	all := even(100, 3)
	for _, g := range gaps(all, time.Second) {
		if g > 1e-9 {
			t.Fatalf("an even schedule has a gap of %v s", g)
		}
	}
	all[150].at += 7 * time.Millisecond // late once: one gap too long, the next too short
	late := 0
	for _, g := range gaps(all, time.Second) {
		if math.Abs(g-0.007) < 1e-9 {
			late++
		}
	}
	if late != 2 {
		t.Errorf("one late start shows in %d gaps, expected 2", late)
	}
	if n := len(gaps(all, time.Second)); n != 200 {
		t.Errorf("got %d gaps of 3 rounds of 100, expected 200", n)
	}
}

func TestBurst(t *testing.T) {
	all := even(1000, 3)
	if got := burst(all, 100*time.Millisecond); math.Abs(got-1) > 0.01 {
		t.Errorf("an even schedule has a burst of %v, expected 1", got)
	}
	for i := 1000; i < 1100; i++ {
		all[i].at = time.Second // 100 ms' worth at one moment, just after as many that came on time
	}
	if got := burst(all, 100*time.Millisecond); math.Abs(got-2) > 0.02 {
		t.Errorf("twice as many in one window make a burst of %v, expected 2", got)
	}
}

func TestQuantile(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3}
	for share, want := range map[float64]float64{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := quantile(values, share); got != want {
			t.Errorf("quantile %v is %v, expected %v", share, got, want)
		}
	}
	var hundred []float64
	for i := range 100 {
		hundred = append(hundred, float64(100-i))
	}
	if got := quantile(hundred, 0.99); got != 99 {
		t.Errorf("the p99 of 1 to 100 is %v, expected 99 and not the maximum", got)
	}
	if got := quantile(hundred, 0.07); got != 7 {
		t.Errorf("the p7 of 1 to 100 is %v, expected 7", got)
	}
	if got := quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("of nothing it is %v, expected none", got)
	}
}

func TestRead(t *testing.T) {
	e, err := read(strings.NewReader(`# HELP probe_success Whether the last run passed.
# TYPE probe_success gauge
probe_success{system="bench",probe="p0",type="http"} 1
probe_success{system="bench",probe="p1",type="http"} 0
probe_runs_total{system="bench",probe="p0",type="http",verdict="pass"} 3
probe_runs_total{system="bench",probe="p1",type="http",verdict="fail"} 1
probe_runs_total{system="bench",probe="p1",type="http",verdict="inconclusive"} 2
probe_run_duration_seconds_bucket{system="bench",probe="p0",type="http",le="2"} 3
probe_run_duration_seconds_sum{system="bench",probe="p0",type="http"} 0.03
probe_run_duration_seconds_count{system="bench",probe="p0",type="http"} 3
probe_run_duration_seconds_sum{system="bench",probe="p1",type="http"} 0.01
probe_run_duration_seconds_count{system="bench",probe="p1",type="http"} 1
probe_http_duration_seconds{system="bench",probe="p1",type="http",phase="connect"} 0.002
probe_http_duration_seconds{system="bench",probe="p1",type="http",phase="processing"} 0.011
prober_build_info{version="1"} 1
go_memstats_alloc_bytes_total 1.5e+06
go_memstats_mallocs_total 2000
`))
	if err != nil {
		t.Fatal(err)
	}
	if e.passing != 1 || math.Abs(e.sum-0.04) > 1e-9 || e.count != 4 || e.notPassed != 3 || e.allocated != 1.5e6 || e.allocations != 2000 || math.Abs(e.latest[1]-0.013) > 1e-9 || len(e.latest) != 1 {
		t.Errorf("got %+v", e)
	}
}

// Only what ends after the time counts, with what came before it.
func TestGapsFrom(t *testing.T) {
	all := even(10, 3)
	all[25].at += 30 * time.Millisecond
	got := gapsFrom(2*time.Second, all, time.Second)
	if len(got) != 10 {
		t.Errorf("got %d gaps, expected those of one round of 10", len(got))
	}
	if late := quantile(got, 1); math.Abs(late-0.03) > 1e-9 {
		t.Errorf("the latest is %v s late, expected 0.03", late)
	}
}

// None is asked more often than is allowed, and beyond that all together 1,000 times a second; some are seen twice.
func TestSized(t *testing.T) {
	for probes, every := range map[int]time.Duration{100: time.Second, 1000: time.Second, 10_000: 10 * time.Second, 50_000: 50 * time.Second} {
		if got := sized(probes); got.every != every || got.window <= every || got.start <= every {
			t.Errorf("%d probes: got %+v, expected every %s", probes, got, every)
		}
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	table(&b, []row{
		{"speed", "s", 2, 2.2, "<= 1.15 x bare", timesBare(1.15)},
		{"weight", "MiB", 2, 3, "< 3", below(3)},
		{"size", "kB", 2, 4, "", nil},
	})
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	for i, want := range []string{"yes |", "no  |", "    |"} {
		if line := lines[2+i]; !strings.HasSuffix(line, want) {
			t.Errorf("line %q, expected it to end in %q", line, want)
		}
	}
}

func TestTarget_arrivals(t *testing.T) {
	target, err := newTarget()
	if err != nil {
		t.Fatal(err)
	}
	defer target.close()
	w := work{URLs: []string{target.url(0), target.url(1)}, Interval: time.Minute}
	for _, url := range w.URLs {
		s := subject{name: "test", base: url}
		var body bytes.Buffer
		if err := s.get(t.Context(), "", &body); err != nil || body.String() != "ok\n" {
			t.Fatalf("got %q, %v", body.String(), err)
		}
	}
	all := target.takeArrivals()
	if len(all) != 2 || all[0].probe != 0 || all[1].probe != 1 {
		t.Errorf("got %+v, expected probes 0 and 1", all)
	}
	if len(target.takeArrivals()) != 0 {
		t.Error("the same arrivals were taken twice")
	}
}
