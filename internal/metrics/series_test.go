package metrics

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
)

const base = `env="prod",probe="a",region="eu-west-1",system="ibex",type="http"`

func TestSetJobs_createsSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Build{})
		m.SetJobs([]probe.Job{job("a", func(j *probe.Job) { j.Probe = fake{"": {400, 401, 399, 200}} })})
		for series, want := range map[string]string{
			"probe_success{" + base + "}":                             "0",
			"probe_verdict{" + base + `,verdict="inconclusive"}`:      "1",
			"probe_verdict{" + base + `,verdict="pass"}`:              "0",
			"probe_verdict{" + base + `,verdict="fail"}`:              "0",
			"probe_runs_total{" + base + `,verdict="inconclusive"}`:   "0",
			"probe_runs_total{" + base + `,verdict="pass"}`:           "0",
			"probe_runs_total{" + base + `,verdict="fail"}`:           "0",
			"probe_last_run_timestamp_seconds{" + base + "}":          "0",
			"probe_last_pass_timestamp_seconds{" + base + "}":         "0",
			"probe_registered_timestamp_seconds{" + base + "}":        "9.466848e+08",
			"probe_interval_seconds{" + base + "}":                    "15",
			"probe_in_maintenance{" + base + "}":                      "0",
			"probe_connections_total{" + base + "}":                   "0",
			"probe_run_duration_seconds_count{" + base + "}":          "0",
			"probe_run_duration_seconds_sum{" + base + "}":            "0",
			"probe_expected_status_total{" + base + `,code="401"}`:    "0",
			"probe_expected_status_total{" + base + `,code="400"}`:    "0",
			"probe_expected_status_total{" + base + `,code="399"}`:    "absent",
			"probe_expected_status_total{" + base + `,code="200"}`:    "absent",
			`prober_skipped_total{reason="hung"}`:                     "0",
			`prober_skipped_total{reason="rate_limited"}`:             "0",
			`prober_dial_denied_total{class="metadata"}`:              "0",
			"prober_panics_total":                                     "0",
			"prober_label_overflow_total":                             "0",
			"prober_config_last_reload_successful":                    "0",
			"prober_config_last_reload_success_timestamp_seconds":     "0",
			"prober_runs_in_flight":                                   "0",
			"prober_runs_queued":                                      "0",
			`promhttp_metric_handler_errors_total{cause="gathering"}`: "0",
			`probe_info{` + base + `,runbook="proxy-down",severity="P1",runbook_url="https://docs.ibex.example/incident-response#proxy-down"}`: "1",
		} {
			if got := value(t, m, series); got != want {
				t.Errorf("%s is %s, expected %s", series, got, want)
			}
		}
	})
}

// TestMaintenanceGauge shows that maintenance is evaluated at the time of the scrape and changes nothing else.
func TestMaintenanceGauge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, now := New(Build{}), time.Now()
		m.SetJobs([]probe.Job{job("a", func(j *probe.Job) {
			j.Maintenance = []probe.Window{{From: now.Add(time.Hour), To: now.Add(2 * time.Hour)}}
		})})
		for _, want := range []string{"0", "1", "0"} {
			if got := value(t, m, "probe_in_maintenance{"+base+"}"); got != want {
				t.Errorf("%s after the start it is %s, expected %s", time.Since(now), got, want)
			}
			if got := value(t, m, "probe_success{"+base+"}"); got != "0" {
				t.Errorf("success is %s, expected 0: maintenance hides nothing", got)
			}
			time.Sleep(time.Hour)
		}
	})
}

// sawTraces notes answers to exchanges of one trace, with the traces that they name.
func sawTraces(r *probe.Result, all ...string) {
	r.Pass("live", "200")
	for _, of := range all {
		r.Exchanged(probe.Exchange{Check: "live", Status: 200, TraceID: trace(1), TargetTraceID: of})
	}
}

func TestObserve(t *testing.T) {
	down := job("a", func(j *probe.Job) {
		j.Signals = map[string]probe.Signal{"live": {Name: "ibex_process_up", Labels: map[string]string{"service": "proxy"}}}
	})
	up := `ibex_process_up{service="proxy"}`
	for _, test := range []struct {
		name string
		note func(r *probe.Result)
		want map[string]string
	}{
		{"a pass", func(r *probe.Result) { r.Pass("live", "200") }, map[string]string{
			"probe_success{" + base + "}":                     "1",
			"probe_runs_total{" + base + `,verdict="pass"}`:   "1",
			"probe_check_success{" + base + `,check="live"}`:  "1",
			"probe_last_pass_timestamp_seconds{" + base + "}": "9.4668480002e+08",
			up: "1",
		}},
		{"a failure", func(r *probe.Result) { r.Fail("live", probe.Refused, "nobody listens") }, map[string]string{
			"probe_success{" + base + "}":                                      "0",
			"probe_verdict{" + base + `,verdict="fail"}`:                       "1",
			"probe_failures_total{" + base + `,check="live",reason="refused"}`: "1",
			"probe_check_success{" + base + `,check="live"}`:                   "0",
			"probe_last_pass_timestamp_seconds{" + base + "}":                  "0",
			"probe_last_run_timestamp_seconds{" + base + "}":                   "9.4668480002e+08",
			up: "0",
		}},
		{"inconclusive", func(r *probe.Result) { r.Inconclusive("live", probe.ControlFailed, "the control did not hold") }, map[string]string{
			"probe_success{" + base + "}":                                             "0",
			"probe_verdict{" + base + `,verdict="inconclusive"}`:                      "1",
			"probe_failures_total{" + base + `,check="live",reason="control_failed"}`: "1",
			"probe_last_pass_timestamp_seconds{" + base + "}":                         "0",
			"probe_check_success{" + base + `,check="live"}`:                          "absent",
			up: "absent",
		}},
		{"nothing was checked", func(r *probe.Result) {}, map[string]string{
			"probe_last_pass_timestamp_seconds{" + base + "}":       "0",
			"probe_success{" + base + "}":                           "0",
			"probe_runs_total{" + base + `,verdict="inconclusive"}`: "1",
			up: "absent",
		}},
		{"a check noted twice is as good as its worst", func(r *probe.Result) {
			r.Pass("live", "200")
			r.Inconclusive("live", probe.StaleOrCached, "from a cache")
		}, map[string]string{
			"probe_check_success{" + base + `,check="live"}`: "absent",
			up: "absent",
		}},
		{"a refused address", func(r *probe.Result) {
			r.Fail("live", probe.Protocol, "never dialled")
			r.Exchanged(probe.Exchange{Check: "live", Denied: "metadata"})
		}, map[string]string{
			`prober_dial_denied_total{class="metadata"}`:        "1",
			"probe_http_status_code{" + base + `,check="live"}`: "0",
		}},
		{"a panic", func(r *probe.Result) { r.Inconclusive(probe.RunCheck, probe.Panicked, "panicked") }, map[string]string{
			"prober_panics_total": "1",
		}},
		{"only statuses caused on purpose are counted for subtraction", func(r *probe.Result) {
			r.Pass("live", "401")
			r.Exchanged(probe.Exchange{Check: "live", Status: 401, Expected: true})
			r.Exchanged(probe.Exchange{Check: "live", Status: 403})
			r.Exchanged(probe.Exchange{Check: "live", Status: 400, Expected: true})
			r.Exchanged(probe.Exchange{Check: "live", Status: 399, Expected: true})
			r.Exchanged(probe.Exchange{Check: "live", Status: 200, Expected: true})
		}, map[string]string{
			"probe_expected_status_total{" + base + `,code="400"}`: "1",
			"probe_expected_status_total{" + base + `,code="399"}`: "absent",
			"probe_expected_status_total{" + base + `,code="401"}`: "1",
			"probe_expected_status_total{" + base + `,code="403"}`: "absent",
			"probe_expected_status_total{" + base + `,code="200"}`: "absent",
		}},
		{"the trace is lost at first", func(r *probe.Result) { sawTraces(r, trace(2), trace(1)) }, map[string]string{"probe_trace_propagated{" + base + "}": "0"}},
		{"the trace is lost at last", func(r *probe.Result) { sawTraces(r, trace(1), trace(2)) }, map[string]string{"probe_trace_propagated{" + base + "}": "0"}},
		{"the trace is kept", func(r *probe.Result) { sawTraces(r, trace(1), "", trace(1)) }, map[string]string{"probe_trace_propagated{" + base + "}": "1"}},
		{"no trace is told", func(r *probe.Result) { sawTraces(r, "") }, map[string]string{"probe_trace_propagated{" + base + "}": "absent"}},
		{"the last of two equal measures counts", func(r *probe.Result) {
			r.Pass("live", "200")
			r.Measure(offsetMeasure, 1)
			r.Measure(offsetMeasure, 2)
		}, map[string]string{"probe_clock_offset_seconds{" + base + "}": "2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := New(Build{})
				m.SetJobs([]probe.Job{down})
				m.Observe(resultOf(down, 20*time.Millisecond, test.note))
				for series, want := range test.want {
					if got := value(t, m, series); got != want {
						t.Errorf("%s is %s, expected %s", series, got, want)
					}
				}
			})
		})
	}
}

func TestObserve_replacesTheLastRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, j := New(Build{}), job("a")
		m.SetJobs([]probe.Job{j})
		m.Observe(resultOf(j, time.Second, func(r *probe.Result) {
			r.Pass("live", "200")
			r.Measure(stateMeasure, 1, "x", "serving")
			r.Exchanged(probe.Exchange{Check: "live", Status: 200, Version: "v1", CertExpiry: time.Now().Add(time.Hour), Phases: []probe.Phase{{Name: "tls", Took: time.Second}}})
		}))
		m.Observe(resultOf(j, time.Second, func(r *probe.Result) { r.Inconclusive(probe.RunCheck, probe.Cancelled, "cancelled") }))
		for _, family := range []string{"probe_check_success", "probe_health_state", "probe_target_version_info", "probe_http_status_code", "probe_http_duration_seconds", "probe_tls_earliest_cert_expiry_timestamp_seconds"} {
			if text := scrapeText(t, m, textFormat, family); text != "" {
				t.Errorf("still there after a run that did not show it: %s", text)
			}
		}
	})
}

func TestObserve_latency(t *testing.T) {
	exchange := probe.Exchange{Check: "live", Took: 2 * time.Second}
	for _, test := range []struct {
		name string
		note func(r *probe.Result)
		want string // count and sum
	}{
		{"pass", func(r *probe.Result) { r.Pass("live", ""); r.Exchanged(exchange) }, "1 2"},
		{"a timeout counts with its length", func(r *probe.Result) { r.Fail("live", probe.Timeout, ""); r.Exchanged(exchange) }, "1 2"},
		{"no exchange: the run itself", func(r *probe.Result) { r.Pass("live", "") }, "1 3"},
		{"a control failed, yet the target answered", func(r *probe.Result) { r.Inconclusive("live", probe.ControlFailed, ""); r.Exchanged(exchange) }, "1 2"},
		{"nothing_checked after an exchange", func(r *probe.Result) { r.Inconclusive("run", probe.NothingChecked, ""); r.Exchanged(exchange) }, "1 2"},
		{"an exchange, and no check", func(r *probe.Result) { r.Exchanged(exchange) }, "1 2"},
		{"nothing at all", func(*probe.Result) {}, "0 0"},
		{"nothing_checked", func(r *probe.Result) { r.Inconclusive("run", probe.NothingChecked, "") }, "0 0"},
		{"suspended", func(r *probe.Result) { r.Inconclusive("run", probe.Suspended, ""); r.Exchanged(exchange) }, "0 0"},
		{"cancelled", func(r *probe.Result) { r.Inconclusive("run", probe.Cancelled, ""); r.Exchanged(exchange) }, "0 0"},
		{"panic", func(r *probe.Result) { r.Inconclusive("run", probe.Panicked, ""); r.Exchanged(exchange) }, "0 0"},
		{"own network", func(r *probe.Result) { r.Inconclusive("run", probe.SelfNetwork, ""); r.Exchanged(exchange) }, "0 0"},
		{"own credential", func(r *probe.Result) { r.Inconclusive("live", probe.Credential, "") }, "0 0"},
		{"own credential, but another target failed", func(r *probe.Result) {
			r.Inconclusive("live", probe.Credential, "")
			r.Fail("live", probe.Status, "")
			r.Exchanged(exchange)
		}, "1 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, j := New(Build{}), job("a")
			m.SetJobs([]probe.Job{j})
			m.Observe(resultOf(j, 3*time.Second, test.note))
			got := value(t, m, "probe_run_duration_seconds_count{"+base+"}") + " " + value(t, m, "probe_run_duration_seconds_sum{"+base+"}")
			if got != test.want {
				t.Errorf("count and sum are %s, expected %s", got, test.want)
			}
		})
	}
}

func TestSignals(t *testing.T) {
	x := map[string]string{"service": "x"}
	note := func(verdicts ...probe.Verdict) func(r *probe.Result) {
		return func(r *probe.Result) {
			for i, v := range verdicts {
				r.Checks = append(r.Checks, probe.Check{Name: "live", Target: fmt.Sprint("t", i), Verdict: v, Reason: probe.Status})
			}
			r.Checks = append(r.Checks, probe.Check{Name: "livelier", Verdict: probe.Fail, Reason: probe.Status})
		}
	}
	for _, test := range []struct {
		name    string
		targets probe.SignalTargets
		labels  map[string]string
		note    func(r *probe.Result)
		want    string
	}{
		{"one target", "", nil, note(probe.Pass), "up_again 1\n"},
		{"all pass", "", x, note(probe.Pass, probe.Pass), "up_again{service=\"x\"} 1\n"},
		{"one fails", "", x, note(probe.Pass, probe.Fail, probe.Inconclusive), "up_again{service=\"x\"} 0\n"},
		{"one is inconclusive", probe.WorstTarget, nil, note(probe.Pass, probe.Inconclusive), ""},
		{"one could not be checked", "", nil, func(r *probe.Result) {
			note(probe.Pass)(r)
			r.Checks = append(r.Checks, probe.Check{Name: "keyset", Target: "t1", Verdict: probe.Inconclusive, Reason: probe.Timeout})
		}, ""},
		{"there is no room for one", "", nil, func(r *probe.Result) {
			for i := range maxSeries {
				note(probe.Pass)(r)
				r.Checks[len(r.Checks)-2].Target = fmt.Sprint("t", i)
			}
		}, ""},
		{"best: one could not be checked", probe.BestTarget, nil, func(r *probe.Result) {
			note(probe.Pass)(r)
			r.Checks = append(r.Checks, probe.Check{Name: "keyset", Target: "t1", Verdict: probe.Inconclusive, Reason: probe.Timeout})
		}, "up_again 1\n"},
		{"none", "", nil, note(), ""},
		{"best: one passes", probe.BestTarget, x, note(probe.Fail, probe.Inconclusive, probe.Pass), "up_again{service=\"x\"} 1\n"},
		{"best: all fail", probe.BestTarget, nil, note(probe.Fail, probe.Fail), "up_again 0\n"},
		{"best: one is inconclusive, the others fail", probe.BestTarget, nil, note(probe.Fail, probe.Inconclusive, probe.Fail), ""},
		{"each", probe.EachTarget, x, note(probe.Pass, probe.Fail, probe.Inconclusive),
			"up_again{service=\"x\",replica=\"t0\"} 1\nup_again{service=\"x\",replica=\"t1\"} 0\n"},
		{"each: one target", probe.EachTarget, nil, note(probe.Pass), "up_again{replica=\"t0\"} 1\n"},
		{"each: the label is taken", probe.EachTarget, map[string]string{"replica": "all"}, note(probe.Pass, probe.Fail), "up_again{replica=\"all\"} 0\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, j := New(Build{}), job("a", func(j *probe.Job) {
				j.Signals = map[string]probe.Signal{"live": {Name: "up_again", Labels: test.labels, Targets: test.targets}}
			})
			m.SetJobs([]probe.Job{j})
			m.Observe(resultOf(j, time.Second, test.note))
			var got strings.Builder
			for line := range strings.Lines(scrapeText(t, m, textFormat, "up_again")) {
				if !strings.HasPrefix(line, "#") {
					got.WriteString(line)
				}
			}
			if got.String() != test.want {
				t.Errorf("expected %q, got %q", test.want, got.String())
			}
		})
	}
}

// TestSignals_checksOfEveryAnswer: they are noted only if they do not pass, and their signals are there all the same.
func TestSignals_checksOfEveryAnswer(t *testing.T) {
	sent := func(target, reflected, version string) probe.Exchange {
		return probe.Exchange{Check: "live", Target: target, Method: "GET", URL: "http://x/", SoughtCredential: true, Reflected: reflected, Version: version}
	}
	failed := func(check, target string, v probe.Verdict) probe.Check {
		return probe.Check{Name: check, Target: target, Verdict: v, Reason: probe.SecretReflected}
	}
	for _, test := range []struct {
		name, check string
		targets     probe.SignalTargets
		exchanges   []probe.Exchange
		checks      []probe.Check
		want        string
	}{
		{"no credential", "secrets", "", []probe.Exchange{{Check: "live"}}, nil, ""},
		{"not repeated", "secrets", "", []probe.Exchange{sent("", "", ""), sent("", "", "")}, nil, "up_again 1\n"},
		{"repeated", "secrets", "", []probe.Exchange{sent("", "the body", "")}, []probe.Check{failed("secrets", "", probe.Fail)}, "up_again 0\n"},
		{"repeated by one of two", "secrets", "", []probe.Exchange{sent("a", "", ""), sent("b", "the body", "")}, []probe.Check{failed("secrets", "b", probe.Fail)}, "up_again 0\n"},
		{"each", "secrets", probe.EachTarget, []probe.Exchange{sent("c", "", ""), sent("a", "", ""), sent("b", "the body", "")},
			[]probe.Check{failed("secrets", "b", probe.Fail)}, "up_again{replica=\"a\"} 1\nup_again{replica=\"b\"} 0\nup_again{replica=\"c\"} 1\n"},
		{"no version", "versions", "", []probe.Exchange{sent("", "", "")}, nil, ""},
		{"one version", "versions", "", []probe.Exchange{sent("", "", "v1"), sent("", "", "v1")}, nil, "up_again 1\n"},
		{"mixed for long", "versions", "", []probe.Exchange{sent("", "", "v1"), sent("", "", "v2")}, []probe.Check{failed("versions", "", probe.Fail)}, "up_again 0\n"},
		{"mixed", "versions", "", []probe.Exchange{sent("", "", "v1"), sent("", "", "v2")}, []probe.Check{failed("versions", "", probe.Inconclusive)}, ""},
	} {
		t.Run(test.check+", "+test.name, func(t *testing.T) {
			m, j := New(Build{}), job("a", func(j *probe.Job) {
				j.Signals = map[string]probe.Signal{test.check: {Name: "up_again", Targets: test.targets}}
			})
			m.SetJobs([]probe.Job{j})
			m.Observe(resultOf(j, time.Second, func(r *probe.Result) {
				r.Exchanges = append(r.Exchanges, test.exchanges...)
				r.Checks = append(r.Checks, test.checks...)
			}))
			var got strings.Builder
			for line := range strings.Lines(scrapeText(t, m, textFormat, "up_again")) {
				if !strings.HasPrefix(line, "#") {
					got.WriteString(line)
				}
			}
			if got.String() != test.want {
				t.Errorf("expected %q, got %q", test.want, got.String())
			}
			reflected := "absent"
			for _, x := range test.exchanges {
				switch {
				case x.Reflected != "":
					reflected = "1"
				case x.SoughtCredential && reflected == "absent":
					reflected = "0"
				}
			}
			if got := value(t, m, "probe_secret_reflected{"+base+"}"); got != reflected {
				t.Errorf("whether a credential was repeated is %s, expected %s", got, reflected)
			}
			if text := scrapeText(t, m, textFormat, "probe_check"); len(test.checks) == 0 && strings.Contains(text, test.check) {
				t.Errorf("a check that passed is listed:\n%s", text)
			}
		})
	}
}

func TestObserve_clockSteppedBack(t *testing.T) {
	m, j := New(Build{}), job("a")
	m.SetJobs([]probe.Job{j})
	m.Started(j.ID, -time.Hour)
	for _, started := range []time.Time{{}, time.Unix(-5, 0), time.Now().Add(time.Hour), time.Now()} {
		r := resultOf(j, -time.Hour, func(r *probe.Result) {
			r.Pass("live", "")
			r.Exchanged(probe.Exchange{Check: "live", Took: -time.Second, Connections: -1, CertExpiry: time.Unix(-9, 0), TraceID: trace(1),
				Phases: []probe.Phase{{Name: "tls", Took: -time.Hour}}})
		})
		r.Started = started
		m.Observe(r)
		for line := range strings.Lines(scrapeText(t, m, openFormat)) {
			v := strings.Fields(line)[len(strings.Fields(line))-1]
			if strings.HasPrefix(line, "probe") && (strings.HasPrefix(v, "-") || strings.Contains(v, "NaN") || strings.Contains(v, "Inf")) {
				t.Errorf("started %s: %s", started, line)
			}
		}
	}
	if got := value(t, m, "probe_connections_total{"+base+"}"); got != "0" {
		t.Errorf("%s connections, expected 0", got)
	}
}

// Of several certificates the one that expires first counts, in whatever order they were seen, and an answer that states no
// version makes no series of one.
func TestObserve_exchanges(t *testing.T) {
	soon, later := time.Unix(2_000_000_000, 0), time.Unix(3_000_000_000, 0)
	for _, order := range [][]time.Time{{soon, later, {}}, {later, {}, soon}, {{}, soon, soon}} {
		m, j := New(Build{}), job("a")
		m.SetJobs([]probe.Job{j})
		m.Observe(resultOf(j, time.Second, func(r *probe.Result) {
			r.Pass("live", "200")
			for _, expiry := range order {
				r.Exchanged(probe.Exchange{Check: "live", Status: 200, CertExpiry: expiry})
			}
		}))
		if got := value(t, m, "probe_tls_earliest_cert_expiry_timestamp_seconds{"+base+"}"); got != "2e+09" {
			t.Errorf("%v: expires at %s", order, got)
		}
		if text := scrapeText(t, m, textFormat); strings.Contains(text, "\nprobe_target_version_info{") {
			t.Error("a version is exported though none was stated")
		}
	}
}

// Until when a probe does not run is exported, and forgotten once it runs again. A probe that is gone says nothing.
func TestLimited(t *testing.T) {
	m, j := New(Build{}), job("a")
	m.SetJobs([]probe.Job{j})
	series := "probe_rate_limited_until_timestamp_seconds{" + base + "}"
	for _, step := range []struct {
		id    probe.ID
		until time.Time
		want  string
	}{{j.ID, time.Unix(2_000_000_000, 0), "2e+09"}, {job("gone").ID, time.Unix(3_000_000_000, 0), "2e+09"}, {j.ID, time.Time{}, "0"}} {
		m.Limited(step.id, step.until)
		if got := value(t, m, series); got != step.want {
			t.Errorf("%s until %s: got %s, expected %s", step.id.Name, step.until, got, step.want)
		}
	}
}
