package metrics

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"prober/internal/probe"
)

func TestTheNumberOfSeriesDoesNotGrow(t *testing.T) {
	m, j := New(Build{}), job("a")
	m.SetJobs([]probe.Job{j})
	run := func(i int) {
		m.Observe(ran(j, time.Second, func(r *probe.Result) {
			r.Fail("live", probe.Status, "wanted 200, got the text %d", i)
			r.Measure(offsetMeasure, float64(i))
			r.Exchanged(probe.Exchange{Check: "live", Status: 200 + i, Took: time.Second, TraceID: trace(i), TargetTraceID: trace(-i), Version: fmt.Sprint("v", i), Expected: i == 300})
		}))
	}
	run(300) // an expected 500
	first := lines(t, m)
	for i := range 1000 {
		run(301 + i)
	}
	if now := lines(t, m); now != first {
		t.Errorf("after one run %d series, after a thousand more %d", first, now)
	}
}

func TestAProbeHasAtMostTwoThousandSeriesOfOpenLabels(t *testing.T) {
	m := New(Build{})
	j := job("a", func(j *probe.Job) {
		j.Probe = fake{"kept": {401}}
		j.Signals = map[string]probe.Signal{"c7": {Name: "a_signal"}}
	})
	m.SetJobs([]probe.Job{j})
	fixed := lines(t, m) - 1 // the status known beforehand
	for round := range 3 {
		m.Observe(ran(j, time.Second, func(r *probe.Result) {
			for i := range 5000 {
				target := fmt.Sprint("t", round*5000+i)
				r.Checks = append(r.Checks, probe.Check{Name: fmt.Sprint("c", i), Target: target, Verdict: probe.Fail, Reason: probe.Reason{Word: target}})
				r.Exchanged(probe.Exchange{Check: "c", Target: target, Status: 401, Expected: true, Version: target})
				r.Measure(stateMeasure, 1, target, "up")
			}
		}))
		if got := lines(t, m) + strings.Count(scrape(t, m, textFormat, "a_signal"), "\na_signal") - fixed; got > maxSeries || got < maxSeries-2 {
			t.Errorf("round %d: %d series of open labels, want %d", round, got, maxSeries)
		}
		if got := value(t, m, "probe_expected_status_total{"+base+`,target="kept",code="401"}`); got != "0" {
			t.Errorf("the status known beforehand is %s, want 0", got)
		}
	}
	if got := value(t, m, "prober_label_overflow_total"); got == "0" {
		t.Error("nobody counted what was left out")
	}
}

func TestCountersOfTargetsThatCameLastStay(t *testing.T) {
	var tl tally
	for i := range maxCounts {
		tl.add(fmt.Sprint("old", i), "401", 1)
	}
	tl.add("old7", "401", 2)
	for i := range maxCounts - 1 {
		if lost := tl.add(fmt.Sprint("new", i), "401", 3); lost != 1 {
			t.Fatalf("new%d: want one counter gone, got %d", i, lost)
		}
	}
	if i, known := tl.find("old7", "401"); !known || tl.counts[i].n != 2 {
		t.Error("the counter used last is gone")
	}
	if _, known := tl.find(fmt.Sprint("new", maxCounts-2), "401"); !known {
		t.Error("a new target has no counter")
	}
	if len(tl.counts) != maxCounts {
		t.Errorf("%d counters, want %d", len(tl.counts), maxCounts)
	}
	for i := range tl.counts {
		tl.counts[i].pinned = true
	}
	if tl.add("one more", "401", 4) != 1 || tl.pin("one more", "401", 4) || len(tl.counts) != maxCounts {
		t.Error("a pinned counter went")
	}
}

var hostile = []string{
	"", "a\xff", "k\n\x00\x1b[31m\"\\", `"`, `\`, "\n", "}", `",x="1`, "😀", "__name__", strings.Repeat("x", 1<<16), strings.Repeat("é", 100), "\u2028", "# EOF",
}

func TestHostileValuesSpoilNoScrape(t *testing.T) {
	for _, text := range hostile {
		t.Run(fmt.Sprintf("%.20q", text), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := New(Build{Version: text, Revision: text})
				j := job("a", func(j *probe.Job) {
					j.ID = probe.ID{System: "s" + text, Name: text, Type: text, Runbook: text, Severity: text}
					j.RunbookURL = text
					j.Labels = map[string]string{"env": text, text: "x", "check": "clash", "exported_code": "a", "code": "b", "__hidden": "x", "le": "1"}
					j.Signals = map[string]probe.Signal{
						text: {Name: "sig_one", Labels: map[string]string{"l": text, text: "v"}}, "b": {Name: text}, "c": {Name: "probe_success"}, "d": {Name: "go_goroutines"},
					}
					j.Probe = fake{text: {401}}
				})
				m.SetJobs([]probe.Job{j})
				odd := &probe.Measure{Name: "probe_odd", Help: text, Labels: []string{"kid"}}
				m.Observe(ran(j, time.Second, func(r *probe.Result) {
					r.Measure(odd, 1, text)
					r.Measure(&probe.Measure{Name: "probe_clash", Labels: []string{"env"}}, 1, "x")
					r.Measure(&probe.Measure{Name: "probe_verdict"}, 1)
					r.Measure(&probe.Measure{Name: "probe_duration_seconds_count"}, 1)
					r.Measure(&probe.Measure{Name: "go_goroutines"}, 1)
					r.Samples = append(r.Samples, probe.Sample{Measure: odd, Value: math.NaN(), Values: []string{"nan"}},
						probe.Sample{Measure: odd, Value: 1}, probe.Sample{Value: 1}, probe.Sample{Measure: odd, Value: 2, Values: []string{text + text}})
					r.Checks = append(r.Checks, probe.Check{Name: text, Target: text, Verdict: probe.Fail, Reason: probe.Reason{Word: text}}, probe.Check{Name: "d", Verdict: probe.Pass}, probe.Check{Name: "c", Verdict: 7})
					r.Exchanges = append(r.Exchanges, probe.Exchange{Check: text, Target: text, Status: 401, Expected: true, Version: text, TraceID: text, Denied: text,
						Phases: []probe.Phase{{Name: text, Took: 1}}})
				}))
				m.Skipped(j.ID, text)
				m.SelfCheck(text, true)
				names := ours(t, m) // decodes a scrape
				sameAsLibrary(t, m, names...)
				for _, format := range []string{textFormat, openFormat} {
					if got := scrape(t, m, format); !utf8.ValidString(got) || strings.ContainsRune(got, 0x1b) && !strings.Contains(text, "\x1b") || strings.Contains(got, "NaN") {
						t.Error("the scrape is not clean text")
					}
				}
				seriesAreUnique(t, m)
			})
		})
	}
}

// seriesAreUnique checks that no series stands twice and no label twice in a series.
func seriesAreUnique(t *testing.T, m *Metrics) {
	t.Helper()
	for _, f := range decode(t, m) {
		seen := map[string]bool{}
		for _, x := range f.Metric {
			labels := map[string]string{}
			for _, l := range x.Label {
				if _, twice := labels[l.GetName()]; twice {
					t.Errorf("%s has the label %s twice", f.GetName(), l.GetName())
				}
				labels[l.GetName()] = l.GetValue()
			}
			var id strings.Builder
			for _, name := range slices.Sorted(maps.Keys(labels)) {
				fmt.Fprintf(&id, "%s=%q,", name, labels[name])
			}
			if seen[id.String()] {
				t.Errorf("%s{%s} stands twice", f.GetName(), id.String())
			}
			seen[id.String()] = true
		}
	}
}

func TestNoTwoSignalsAreTheSameSeries(t *testing.T) {
	m := New(Build{})
	same := map[string]probe.Signal{"live": {Name: "up_again", Labels: map[string]string{"service": "x"}}}
	a := job("a", func(j *probe.Job) { j.Signals = same })
	b := job("b", func(j *probe.Job) { j.Signals = same })
	m.SetJobs([]probe.Job{a, b, a})
	note := func(r *probe.Result) { r.Pass("live", "") }
	m.Observe(ran(a, time.Second, note))
	m.Observe(ran(b, time.Second, note))
	seriesAreUnique(t, m)
	if got := value(t, m, "prober_label_overflow_total"); got != "1" {
		t.Errorf("%s signals counted as left out, want 1", got)
	}
}

func TestASignalMayNotTakeANameOfTheProber(t *testing.T) {
	for name, left := range map[string]string{
		"ibex_process_up": "0", "go_goroutines": "1", "process_start_time_seconds": "1", "probe_success": "1", "probe_new": "1",
		"prober_panics_total": "1", "promhttp_x": "1", "": "1", "with space": "1", "é": "1",
	} {
		m, j := New(Build{}), job("a", func(j *probe.Job) { j.Signals = map[string]probe.Signal{"live": {Name: name}} })
		m.SetJobs([]probe.Job{j})
		m.Observe(ran(j, time.Second, func(r *probe.Result) { r.Pass("live", "") }))
		if got := value(t, m, "prober_label_overflow_total"); got != left {
			t.Errorf("%q: %s signals left out, want %s", name, got, left)
		}
		seriesAreUnique(t, m)
	}
}

func TestAPageThatIsKeptKeepsNoProbe(t *testing.T) {
	m := crowd(t, 2)
	for _, format := range []string{textFormat, binaryFormat} {
		scrape(t, m, format)
		p := m.borrow()
		for name, f := range p.found {
			if len(f.refs) != 0 {
				t.Errorf("%s: %d series of %s are kept", format, len(f.refs), name)
			}
		}
		for i := range p.rows {
			if p.rows[i].view != nil || p.rows[i].last != nil {
				t.Errorf("%s: a probe is kept", format)
			}
		}
		if p.out.Encoder != nil || len(p.order) != 0 {
			t.Errorf("%s: the reader is kept", format)
		}
		m.giveBack(p)
	}
	m.SetJobs(nil)
	scrape(t, m, textFormat)
	scrape(t, m, textFormat)
	if p := m.borrow(); len(p.found) != 0 {
		t.Errorf("families that no probe has any more are kept: %d", len(p.found))
	}
}

func TestRandomRunsReadAsTheLibraryWritesThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		m := New(Build{})
		m.CreatedLines = true
		var jobs []probe.Job
		for i := range 20 {
			jobs = append(jobs, job(fmt.Sprintf("p%02d", i), func(j *probe.Job) {
				j.Signals = map[string]probe.Signal{"c1": {Name: fmt.Sprint("signal_", i%3), Labels: map[string]string{"n": fmt.Sprint(i)}}}
			}))
		}
		m.SetJobs(jobs)
		for range 500 {
			time.Sleep(time.Second) // of the bubble
			j := jobs[rng.IntN(len(jobs))]
			m.Observe(ran(j, time.Duration(rng.IntN(30))*time.Second, func(r *probe.Result) {
				for range rng.IntN(6) {
					check := fmt.Sprint("c", rng.IntN(3))
					target := hostile[rng.IntN(len(hostile))]
					v := probe.Verdicts[rng.IntN(3)]
					r.Checks = append(r.Checks, probe.Check{Name: check, Target: target, Verdict: v, Reason: probe.Reason{Word: fmt.Sprint("r", rng.IntN(4))}})
					r.Exchanged(probe.Exchange{Check: check, Target: target, Status: 200 + rng.IntN(400), Expected: rng.IntN(2) == 0, Version: fmt.Sprint("v", rng.IntN(3)),
						Took: time.Duration(math.Exp(rng.NormFloat64()*4) * 1e8), TraceID: trace(rng.IntN(1000)), Connections: rng.IntN(3)})
					r.Measure(stateMeasure, rng.NormFloat64()*math.Pow(10, float64(rng.IntN(20)-5)), target, fmt.Sprint("s", rng.IntN(3)))
				}
			}))
		}
		sameAsLibrary(t, m, ours(t, m)...)
		seriesAreUnique(t, m)
	})
}
