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
	"prober/internal/testenv"
)

func TestObserve_keepsTheNumberOfSeries(t *testing.T) {
	m, j := New(Build{}), job("a")
	m.SetJobs([]probe.Job{j})
	run := func(i int) {
		m.Observe(resultOf(j, time.Second, func(r *probe.Result) {
			r.Fail("live", probe.Status, "wanted 200, got the text %d", i)
			r.Measure(offsetMeasure, float64(i))
			r.Exchanged(probe.Exchange{Check: "live", Status: 200 + i, Took: time.Second, TraceID: trace(i), TargetTraceID: trace(-i), Version: fmt.Sprint("v", i), Expected: i == 300})
		}))
	}
	run(300) // an expected 500
	first := countSeries(t, m)
	for i := range 1000 {
		run(301 + i)
	}
	if now := countSeries(t, m); now != first {
		t.Errorf("after one run %d series, after a thousand more %d", first, now)
	}
}

func TestObserve_boundsSeriesOfOpenLabels(t *testing.T) {
	testenv.WithoutRace(t)
	m := New(Build{})
	j := job("a", func(j *probe.Job) {
		j.Probe = fake{"kept": {401}}
		j.Signals = map[string]probe.Signal{"c7": {Name: "a_signal"}}
	})
	m.SetJobs([]probe.Job{j})
	fixed := countSeries(t, m) - 1 + 1 // the status known beforehand, and probe_target_versions, which has no label
	for round := range 3 {
		m.Observe(resultOf(j, time.Second, func(r *probe.Result) {
			for i := range 5000 {
				target := fmt.Sprint("t", round*5000+i)
				r.Checks = append(r.Checks, probe.Check{Name: fmt.Sprint("c", i), Target: target, Verdict: probe.Fail, Reason: probe.Reason{Word: target}})
				r.Exchanged(probe.Exchange{Check: "c", Target: target, Status: 401, Expected: true, Version: target})
				r.Measure(stateMeasure, 1, target, "up")
			}
		}))
		if got := countSeries(t, m) + strings.Count(scrapeText(t, m, textFormat, "a_signal"), "\na_signal") - fixed; got > maxSeries || got < maxSeries-2 {
			t.Errorf("round %d: %d series of open labels, expected %d", round, got, maxSeries)
		}
		if got := value(t, m, "probe_expected_status_total{"+base+`,target="kept",code="401"}`); got != "0" {
			t.Errorf("the status known beforehand is %s, expected 0", got)
		}
	}
	if got := value(t, m, "prober_label_overflow_total"); got == "0" {
		t.Error("the series left out were not counted")
	}
}

func TestObserve_evictsOldestCounters(t *testing.T) {
	var tl counterMap
	for i := range maxCounters {
		tl.add(fmt.Sprint("old", i), "401", 1)
	}
	tl.add("old7", "401", 2)
	for i := range maxCounters - 1 {
		if lost := tl.add(fmt.Sprint("new", i), "401", 3); lost != 1 {
			t.Fatalf("new%d: expected one counter gone, got %d", i, lost)
		}
	}
	if i, known := tl.find("old7", "401"); !known || tl.entries[i].n != 2 {
		t.Error("the counter used last is gone")
	}
	if _, known := tl.find(fmt.Sprint("new", maxCounters-2), "401"); !known {
		t.Error("a new target has no counter")
	}
	if _, known := tl.find("new0", "401"); !known {
		t.Error("a counter used lately is gone")
	}
	if lost := tl.add("zebra", "401", 4); lost != 1 || tl.add("zebra", "401", 4) != 0 { // behind the one that goes
		t.Error("expected one counter gone, and then none")
	}
	if len(tl.entries) != maxCounters {
		t.Errorf("%d counters, expected %d", len(tl.entries), maxCounters)
	}
	sorted := func(a, b counterEntry) int { return strings.Compare(a.a, b.a) }
	if !slices.IsSortedFunc(tl.entries, sorted) {
		t.Error("the counters are out of order")
	}
	for range 2 {
		if !tl.pin("zeppelin", "401", 5) || !slices.IsSortedFunc(tl.entries, sorted) || len(tl.entries) != maxCounters {
			t.Error("a counter that is to stay has no room, or is out of order")
		}
	}
	for i := range tl.entries {
		tl.entries[i].pinned = true
	}
	if tl.add("one more", "401", 4) != 1 || tl.pin("one more", "401", 4) || len(tl.entries) != maxCounters {
		t.Error("a pinned counter went")
	}
	if tl.unpin(); !tl.pin("one more", "401", 4) {
		t.Error("what nothing pins any more stays")
	}
}

var hostileTexts = []string{
	"", "a\xff", "k\n\x00\x1b[31m\"\\", `"`, `\`, "\n", "}", `",x="1`, "😀", "__name__", strings.Repeat("x", 1<<16), strings.Repeat("é", 100), "\u2028", "# EOF",
}

func TestHandler_hostileValues(t *testing.T) {
	testenv.WithoutRace(t)
	for _, text := range hostileTexts {
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
				m.Observe(resultOf(j, time.Second, func(r *probe.Result) {
					r.Measure(odd, 1, text)
					r.Measure(&probe.Measure{Name: "probe_clash", Labels: []string{"env"}}, 1, "x")
					r.Measure(&probe.Measure{Name: "probe_verdict"}, 1)
					r.Measure(&probe.Measure{Name: "probe_run_duration_seconds_count"}, 1)
					r.Measure(&probe.Measure{Name: "go_goroutines"}, 1)
					r.Samples = append(r.Samples, probe.Sample{Measure: odd, Value: math.NaN(), Values: []string{"nan"}},
						probe.Sample{Measure: odd, Value: 1}, probe.Sample{Value: 1}, probe.Sample{Measure: odd, Value: 2, Values: []string{text + text}})
					r.Checks = append(r.Checks, probe.Check{Name: text, Target: text, Verdict: probe.Fail, Reason: probe.Reason{Word: text}}, probe.Check{Name: "d", Verdict: probe.Pass}, probe.Check{Name: "c", Verdict: 7})
					r.Exchanges = append(r.Exchanges, probe.Exchange{Check: text, Target: text, Status: 401, Expected: true, Version: text, TraceID: text, Denied: text,
						Phases: []probe.Phase{{Name: text, Took: 1}}})
				}))
				m.Skipped(j.ID, text)
				m.SelfCheck(text, true)
				names := ownFamilies(t, m) // decodes a scrape
				checkEqualsExpfmt(t, m, names...)
				for _, format := range []string{textFormat, openFormat} {
					if got := scrapeText(t, m, format); !utf8.ValidString(got) || strings.ContainsRune(got, 0x1b) && !strings.Contains(text, "\x1b") || strings.Contains(got, "NaN") {
						t.Error("the scrape is not clean text")
					}
				}
				checkSeriesUnique(t, m)
			})
		})
	}
}

// checkSeriesUnique checks that no series appears twice and no label twice in a series.
func checkSeriesUnique(t *testing.T, m *Metrics) {
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
				t.Errorf("%s{%s} appears twice", f.GetName(), id.String())
			}
			seen[id.String()] = true
		}
	}
}

func TestMeasureName(t *testing.T) {
	for name, want := range map[string]bool{
		"probe_clock_offset_seconds": true, "probe_success_ratio": true, "probe_success_": true, "probe_run_duration_secondsx": true, "probe_run_duration": true,
		"probe_success": false, "probe_run_duration_seconds": false, "probe_run_duration_seconds_sum": false, "probe_run_duration_seconds_": false,
		"prober_panics_total": false, "go_goroutines": false, "probe_with space": false, "": false,
	} {
		if got := measureName(name); got != want {
			t.Errorf("%q: got %t, expected %t", name, got, want)
		}
	}
}

// TestObserve_unusableSamples leaves out each sample that cannot be shown, and counts it.
func TestObserve_unusableSamples(t *testing.T) {
	of := func(m *probe.Measure, value float64, values ...string) probe.Sample {
		return probe.Sample{Measure: m, Value: value, Values: values}
	}
	kid := &probe.Measure{Name: "probe_odd", Labels: []string{"kid"}}
	kept := *kid
	kept.Kept = true
	for name, c := range map[string]struct {
		sample    probe.Sample
		want, out string
	}{
		"shown, and kept":         {of(&kept, 2, "a"), "2", "0"},
		"kept, of a taken name":   {of(&probe.Measure{Name: "probe_run_duration_seconds_count", Labels: []string{"kid"}, Kept: true}, 2, "a"), "absent", "1"},
		"kept, a value too few":   {of(&kept, 2), "absent", "1"},
		"kept, a value too many":  {of(&kept, 2, "a", "b"), "absent", "1"},
		"kept, and not a number":  {of(&kept, math.NaN(), "a"), "absent", "1"},
		"kept, and infinite":      {of(&kept, math.Inf(1), "a"), "absent", "1"},
		"kept, a label taken":     {of(&probe.Measure{Name: "probe_odd", Labels: []string{"kid", "env"}, Kept: true}, 2, "a", "x"), "absent", "1"},
		"kept, not of characters": {of(&kept, 2, "a\xff"), "absent", "1"},
		"shown":                   {of(kid, 2, "a"), "2", "0"},
		"of no measure":           {of(nil, 2, "a"), "absent", "1"},
		"a name that is taken":    {of(&probe.Measure{Name: "probe_run_duration_seconds_count", Labels: []string{"kid"}}, 2, "a"), "absent", "1"},
		"a value too few":         {of(kid, 2), "absent", "1"},
		"a value too many":        {of(kid, 2, "a", "b"), "absent", "1"},
		"not a number":            {of(kid, math.NaN(), "a"), "absent", "1"},
		"infinite":                {of(kid, math.Inf(-1), "a"), "absent", "1"},
		"a label of the settings": {of(&probe.Measure{Name: "probe_odd", Labels: []string{"kid", "env"}}, 2, "a", "x"), "absent", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			m, j := New(Build{}), job("a")
			m.SetJobs([]probe.Job{j})
			m.Observe(resultOf(j, time.Second, func(r *probe.Result) {
				r.Pass("live", "200")
				r.Samples = append(r.Samples, c.sample)
			}))
			got, out := value(t, m, "probe_odd{"+base+`,kid="a"}`), value(t, m, "prober_label_overflow_total")
			if got != c.want || out != c.out || strings.Contains(scrapeText(t, m, textFormat, "probe_odd"), "NaN") {
				t.Errorf("got %s with %s left out, expected %s with %s", got, out, c.want, c.out)
			}
		})
	}
}

// TestObserve_unknownVerdict counts a run with a verdict that there is not as inconclusive.
func TestObserve_unknownVerdict(t *testing.T) {
	for _, v := range []probe.Verdict{-1, 3, 7} {
		m, j := New(Build{}), job("a")
		m.SetJobs([]probe.Job{j})
		m.Observe(resultOf(j, time.Second, func(r *probe.Result) { r.Checks = []probe.Check{{Name: "live", Verdict: v}} }))
		for known, want := range map[string]string{"inconclusive": "1", "pass": "0", "fail": "0"} {
			if got := value(t, m, "probe_runs_total{"+base+`,verdict="`+known+`"}`); got != want {
				t.Errorf("%d: %s runs are %s, expected %s", v, got, known, want)
			}
		}
		if got := value(t, m, "probe_success{"+base+"}"); got != "0" {
			t.Errorf("%d: success is %s", v, got)
		}
	}
}

func TestSetJobs_duplicateSignals(t *testing.T) {
	m := New(Build{})
	same := map[string]probe.Signal{"live": {Name: "up_again", Labels: map[string]string{"service": "x"}}}
	a := job("a", func(j *probe.Job) { j.Signals = same })
	b := job("b", func(j *probe.Job) { j.Signals = same })
	m.SetJobs([]probe.Job{a, b, a})
	note := func(r *probe.Result) { r.Pass("live", "") }
	m.Observe(resultOf(a, time.Second, note))
	m.Observe(resultOf(b, time.Second, note))
	checkSeriesUnique(t, m)
	if got := value(t, m, "prober_label_overflow_total"); got != "1" {
		t.Errorf("%s signals counted as left out, expected 1", got)
	}
}

func TestSetJobs_reservedSignalNames(t *testing.T) {
	for name, left := range map[string]string{
		"ibex_process_up": "0", "go_goroutines": "1", "process_start_time_seconds": "1", "probe_success": "1", "probe_new": "1",
		"prober_panics_total": "1", "prober_shards": "1", "process_cpu_seconds_total": "1", "promhttp_x": "1", "": "1", "with space": "1", "é": "1",
	} {
		m, j := New(Build{}), job("a", func(j *probe.Job) { j.Signals = map[string]probe.Signal{"live": {Name: name}} })
		m.SetJobs([]probe.Job{j})
		m.Observe(resultOf(j, time.Second, func(r *probe.Result) { r.Pass("live", "") }))
		if got := value(t, m, "prober_label_overflow_total"); got != left {
			t.Errorf("%q: %s signals left out, expected %s", name, got, left)
		}
		checkSeriesUnique(t, m)
	}
}

func TestPutScrape_releasesProbes(t *testing.T) {
	m := manyProbes(t, 2)
	for _, format := range []string{textFormat, binaryFormat} {
		scrapeText(t, m, format)
		p := m.getScrape()
		for name, f := range p.dynamic {
			if len(f.series) != 0 {
				t.Errorf("%s: %d series of %s are kept", format, len(f.series), name)
			}
		}
		for i := range p.jobs {
			if p.jobs[i].view != nil || p.jobs[i].last != nil {
				t.Errorf("%s: a probe is kept", format)
			}
		}
		if p.out.Encoder != nil || len(p.families) != 0 {
			t.Errorf("%s: the reader is kept", format)
		}
		m.putScrape(p)
	}
	m.SetJobs(nil)
	scrapeText(t, m, textFormat)
	scrapeText(t, m, textFormat)
	if p := m.getScrape(); len(p.dynamic) != 0 {
		t.Errorf("families that no probe has any more are kept: %d", len(p.dynamic))
	}
}

func TestHandler_randomRunsEqualExpfmt(t *testing.T) {
	testenv.WithoutRace(t)
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
			m.Observe(resultOf(j, time.Duration(rng.IntN(30))*time.Second, func(r *probe.Result) {
				for range rng.IntN(6) {
					check := fmt.Sprint("c", rng.IntN(3))
					target := hostileTexts[rng.IntN(len(hostileTexts))]
					v := probe.Verdicts[rng.IntN(3)]
					r.Checks = append(r.Checks, probe.Check{Name: check, Target: target, Verdict: v, Reason: probe.Reason{Word: fmt.Sprint("r", rng.IntN(4))}})
					r.Exchanged(probe.Exchange{Check: check, Target: target, Status: 200 + rng.IntN(400), Expected: rng.IntN(2) == 0, Version: fmt.Sprint("v", rng.IntN(3)),
						Took: time.Duration(math.Exp(rng.NormFloat64()*4) * 1e8), TraceID: trace(rng.IntN(1000)), Connections: rng.IntN(3)})
					r.Measure(stateMeasure, rng.NormFloat64()*math.Pow(10, float64(rng.IntN(20)-5)), target, fmt.Sprint("s", rng.IntN(3)))
				}
			}))
		}
		checkEqualsExpfmt(t, m, ownFamilies(t, m)...)
		checkSeriesUnique(t, m)
	})
}
