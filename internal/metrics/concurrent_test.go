package metrics

import (
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

func TestHandler_isConsistentUnderLoad(t *testing.T) {
	probes, runs, scrapers := 100, 60, 100
	if !testenv.Sampled(1, 2) {
		probes, runs, scrapers = 30, 20, 30
	}
	const scrapes = 5
	m := New(Build{})
	var jobs []probe.Job
	for i := range probes {
		jobs = append(jobs, job(fmt.Sprint("p", i)))
	}
	m.SetJobs(jobs)
	var all sync.WaitGroup
	for i, j := range jobs {
		all.Go(func() {
			for n := range runs {
				m.Observe(resultOf(j, time.Second, func(r *probe.Result) {
					switch (n + i) % 3 {
					case 0:
						r.Pass("live", "")
					case 1:
						r.Fail("live", probe.Status, "")
					case 2:
						r.Inconclusive("live", probe.ControlFailed, "")
					}
					r.Exchanged(probe.Exchange{Check: "live", Status: 200, Took: time.Second, TraceID: trace(n + 1)})
				}))
			}
		})
	}
	for i := range scrapers {
		format := []string{textFormat, openFormat, binaryFormat}[i%3]
		all.Go(func() {
			for range scrapes {
				rec := request(m, http.MethodGet, format)
				switch {
				case rec.Code == http.StatusServiceUnavailable: // there are more of us than may scrape at once
				case rec.Code != http.StatusOK:
					t.Errorf("status %d", rec.Code)
				case format != binaryFormat:
					checkConsistent(t, rec.Body.String(), probes)
				}
			}
		})
	}
	all.Wait()
	checkConsistent(t, scrapeText(t, m, textFormat), probes)
}

// checkConsistent checks that each probe has one verdict, that its success agrees, and that all its runs are in all its
// series.
func checkConsistent(t *testing.T, text string, probes int) {
	verdicts, success, runs, durations := map[string]string{}, map[string]string{}, map[string]float64{}, map[string]float64{}
	for line := range strings.Lines(text) {
		series, v, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, labels, _ := strings.Cut(series, "{")
		_, labels, _ = strings.Cut(labels, `probe="`)
		id, _, _ := strings.Cut(labels, `"`)
		n, _ := strconv.ParseFloat(v, 64)
		switch {
		case name == "probe_verdict" && n == 1:
			verdicts[id] += series[strings.Index(series, "verdict="):]
		case name == "probe_success" && n == 1:
			success[id] = `verdict="pass"}`
		case name == "probe_runs_total":
			runs[id] += n
		case name == "probe_run_duration_seconds_count":
			durations[id] = n
		}
	}
	if len(verdicts) != probes {
		t.Errorf("%d probes have a verdict, expected %d", len(verdicts), probes)
	}
	for id, verdict := range verdicts {
		if strings.Count(verdict, "verdict=") != 1 || (verdict == `verdict="pass"}`) != (success[id] != "") {
			t.Errorf("%s has %s and success %q", id, verdict, success[id])
		}
		if runs[id] != durations[id] {
			t.Errorf("%s: %g runs and %g durations", id, runs[id], durations[id])
		}
	}
}

func TestSetJobs_losesNoCounter(t *testing.T) {
	const probes, reloads = 100, 1000
	m := New(Build{})
	var jobs []probe.Job
	for i := range probes {
		jobs = append(jobs, job(fmt.Sprintf("p%03d", i)))
	}
	m.SetJobs(jobs)
	var stop atomic.Bool
	var observed [probes]int
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for round := 0; round == 0 || !stop.Load(); round++ {
				for i := worker; i < probes; i += 4 {
					m.Observe(passed(jobs[i]))
					observed[i]++
					runtime.Gosched()
				}
			}
		})
	}
	other := job("other")
	for i := range reloads {
		if i%2 == 0 {
			m.SetJobs(append([]probe.Job{other}, jobs...))
		} else {
			m.SetJobs(jobs)
		}
		m.Observe(passed(other))
	}
	stop.Store(true)
	all.Wait()
	text := scrapeText(t, m, textFormat, "probe_runs_total", "probe_run_duration_seconds")
	for i, n := range observed {
		for _, series := range []string{`probe_runs_total{env="prod",probe="p%03d",region="eu-west-1",system="ibex",type="http",verdict="pass"} `, `probe_run_duration_seconds_count{env="prod",probe="p%03d",region="eu-west-1",system="ibex",type="http"} `} {
			line := fmt.Sprintf(series, i)
			at := strings.Index(text, line)
			if at < 0 {
				t.Fatalf("%s is missing", line)
			}
			v, _, _ := strings.Cut(text[at+len(line):], "\n")
			if got, _ := strconv.ParseFloat(v, 64); int(got) != n {
				t.Errorf("%s is %s after %d runs", line, v, n)
			}
		}
	}
	if strings.Contains(text, `probe="other"`) {
		t.Error("the probe removed last is still there")
	}
}

func TestSetJobs_changes(t *testing.T) {
	m := New(Build{})
	a, b := job("a"), job("b")
	b.Signals = map[string]probe.Signal{"answers": {Name: "b_up"}}
	a.Signals = map[string]probe.Signal{"answers": {Name: "old_name"}}
	m.SetJobs([]probe.Job{a, b})
	m.Observe(passed(a))
	m.Observe(passed(b))
	m.Observe(resultOf(a, time.Second, func(r *probe.Result) {
		r.Pass("answers", "")
		r.Measure(&probe.Measure{Name: "probe_queue_messages", Help: "x", Labels: []string{"queue"}}, 3, "q")
	}))
	old := a
	a.Labels, a.Severity, a.Interval = map[string]string{"env": "test", "queue": "label of that name"}, "P3", time.Minute
	a.Signals = map[string]probe.Signal{"answers": {Name: "new_name"}}
	a.Probe = fake{"": {403}}
	m.SetJobs([]probe.Job{a})

	const now = `env="test",probe="a",queue="label of that name",system="ibex",type="http"`
	for series, want := range map[string]string{
		"probe_runs_total{" + now + `,verdict="pass"}`:                                                  "2",
		"probe_run_duration_seconds_count{" + now + "}":                                                 "2",
		"probe_success{" + now + "}":                                                                    "1",
		"probe_interval_seconds{" + now + "}":                                                           "60",
		"probe_expected_status_total{" + now + `,code="403"}`:                                           "0",
		"probe_info{" + now + `,runbook="proxy-down",severity="P3",runbook_url="` + a.RunbookURL + `"}`: "1",
		"new_name":                    "1",
		"old_name":                    "absent",
		"b_up":                        "absent",
		"probe_success{" + base + "}": "absent",
	} {
		if got := value(t, m, series); got != want {
			t.Errorf("%s is %s, expected %s", series, got, want)
		}
	}
	checkSeriesUnique(t, m)

	m.Observe(passed(b)) // ends after it was removed
	m.Observe(passed(old))
	text := scrapeText(t, m, textFormat)
	if strings.Contains(text, `probe="b"`) {
		t.Error("a late run brought a removed probe back")
	}
	if got := value(t, m, "probe_runs_total{"+now+`,verdict="pass"}`); got != "3" {
		t.Errorf("a run that began before the reload: %s runs, expected 3", got)
	}

	other := a
	other.Type = "health"
	m.SetJobs([]probe.Job{other, b})
	if text := scrapeText(t, m, textFormat, "probe_runs_total"); strings.Contains(text, "} 3") || !strings.Contains(text, `type="health"`) {
		t.Errorf("another type is another probe, got\n%s", text)
	}
	m.SetJobs(nil)
	if text := scrapeText(t, m, textFormat); strings.Contains(text, "probe=") {
		t.Error("series of removed probes are still there")
	}
}
