package alerts

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// only leaves the rules that record a series and those of the named alerts: promtool is slow, and these tests are about a
// few alerts each.
func (f *File) only(names ...string) *File {
	trimmed := &File{systems: f.systems, options: f.options}
	for _, g := range f.Groups {
		g.Rules = slices.DeleteFunc(slices.Clone(g.Rules), func(r Rule) bool { return r.Alert != "" && !slices.Contains(names, r.Alert) })
		if len(g.Rules) > 0 {
			trimmed.Groups = append(trimmed.Groups, g)
		}
	}
	return trimmed
}

// A world is what Prometheus scrapes, by series with the labels of shop/NAME left out, and the alerts that must fire.
type world struct {
	name   string
	series map[string]string
	at     string   // when the alerts are looked at
	firing []string // as ALERT SEVERITY
}

// testWorlds has promtool evaluate the named alerts on one probe in each of the worlds.
func testWorlds(t *testing.T, f *File, j probe.Job, worlds []world, alerts ...string) {
	t.Helper()
	var cases []testCase
	for _, w := range worlds {
		c := testCase{Name: w.name, Interval: promTime(step)}
		for name, values := range w.series {
			metric, labels, _ := strings.Cut(name, "{")
			if labels = strings.TrimSuffix(labels, "}"); labels != "" {
				labels = "," + labels
			}
			c.Input = append(c.Input, inputSeries{fmt.Sprintf(`%s{system="shop",probe=%q,env="prod"%s}`, metric, j.Name, labels), values})
		}
		expected := assertion{`count by (alertname, severity) (ALERTS{alertstate="firing"})`, w.at, []expectedSample{}}
		for _, alert := range w.firing {
			name, severity, _ := strings.Cut(alert, " ")
			expected.Samples = append(expected.Samples, expectedSample{fmt.Sprintf("{alertname=%q,severity=%q}", name, severity), 1})
		}
		c.Expected = append(c.Expected, expected)
		cases = append(cases, c)
	}
	if complaint := promtool(t, written(t, f.only(alerts...)), testsOf(t, cases)); complaint != "" {
		t.Error(complaint)
	}
}

// TestNotPassing: a probe that passed and then never again is told, whatever its verdicts in between.
func TestNotPassing(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	const before, runs = 20, 100 // steps
	var worlds []world
	for pattern, firing := range map[string][]string{
		"fi": {"ProbeNotPassing critical"}, "ffiiii": {"ProbeNotPassing critical"}, "fffiii": {"ProbeNotPassing critical"},
		"fffffi": {"ProbeNotPassing critical"}, "f": {"ProbeFailing critical"}, "i": {"ProbeInconclusive warning"}, "p": nil, "ffip": nil,
	} {
		w := world{name: pattern, series: map[string]string{}, at: "29m", firing: firing}
		var lastPass []string
		for verdict, letter := range map[string]byte{"pass": 'p', "fail": 'f', "inconclusive": 'i'} {
			values := []string{fmt.Sprintf("%dx%d", int(boolFloat(letter == 'p')), before-1)}
			last := before - 1
			for i := range runs {
				is := pattern[i%len(pattern)]
				values = append(values, fmt.Sprint(boolFloat(is == letter)))
				if letter == 'p' {
					if is == 'p' {
						last = before + i
					}
					lastPass = append(lastPass, fmt.Sprint(last*int(step.Seconds())))
				}
			}
			w.series[fmt.Sprintf("probe_verdict{verdict=%q}", verdict)] = strings.Join(values, " ")
		}
		w.series["probe_last_pass_timestamp_seconds"] = fmt.Sprintf("0+15x%d %s", before-1, strings.Join(lastPass, " "))
		worlds = append(worlds, w)
	}
	j := change(up, func(j *probe.Job) { j.Labels = map[string]string{"env": "prod"} })
	testWorlds(t, Rules([]probe.Job{j}, Options{Kinds: kinds()}), j, worlds, "ProbeFailing", "ProbeInconclusive", "ProbeNotPassing")
}

// TestNotPassing_forgotten: a prober that restarts in the midst of an incident, or began in it, knows of no pass.
func TestNotPassing_forgotten(t *testing.T) {
	t.Parallel()
	j := change(up, func(j *probe.Job) { j.Labels = map[string]string{"env": "prod"} })
	// It passes until minute 5, and restarts at minute 25 if at all.
	series := func(lastPass, registered string) map[string]string {
		return map[string]string{
			`probe_verdict{verdict="fail"}`: "0x19" + strings.Repeat(" 1 0", 90), `probe_verdict{verdict="pass"}`: "1x19 0x180",
			"probe_last_pass_timestamp_seconds": lastPass, "probe_registered_timestamp_seconds": registered,
		}
	}
	var worlds []world
	for _, at := range []string{"24m", "26m", "29m", "34m", "36m", "45m"} {
		worlds = append(worlds, world{"it restarts, " + at, series("0+15x19 285x79 0x100", "0x99 1500x100"), at, []string{"ProbeNotPassing critical"}})
	}
	never := series("0x199", "0x199")
	never[`probe_verdict{verdict="pass"}`] = "0x199"
	worlds = append(worlds, world{"it never passed", never, "29m", []string{"ProbeNotPassing critical"}}, world{"it never passed, 9m", never, "9m", nil})
	testWorlds(t, Rules([]probe.Job{j}, Options{Kinds: kinds()}), j, worlds, "ProbeFailing", "ProbeInconclusive", "ProbeNotPassing")
}

// TestFlapping: a probe among many of its runbook that fails now and then is told, in every rhythm, and an outage that is
// over is not.
func TestFlapping(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	const before, runs = 40, 160
	var worlds []world
	for pattern, fires := range map[string]bool{
		"fp": true, "ffp": true, "fffp": true, "fppp": true, "fppppp": true, "fip": true, "fiip": true, "fpip": true,
		"fpppppppppp": false, "ip": false, "iip": false, "p": false, "fi": false, "f": false, "once": false, "one location": false,
	} {
		j := "p"
		switch pattern {
		case "once", "one location":
			j = "fp" // of that location, or see below
		default:
			j = pattern
		}
		series := map[string]string{}
		add := func(at, pattern string, once bool) {
			values, counts := map[byte][]string{}, map[byte][]string{}
			count := map[byte]int{}
			for i := range before + runs {
				is := byte('p')
				switch {
				case once && i >= before && i < before+16: // four minutes
					is = 'f'
				case !once && i >= before:
					is = pattern[i%len(pattern)]
				}
				count[is]++
				for _, letter := range []byte("pfi") {
					values[letter] = append(values[letter], fmt.Sprint(boolFloat(is == letter)))
					counts[letter] = append(counts[letter], fmt.Sprint(count[letter]))
				}
			}
			for verdict, letter := range map[string]byte{"pass": 'p', "fail": 'f', "inconclusive": 'i'} {
				series[fmt.Sprintf("probe_verdict{region=%q,verdict=%q}", at, verdict)] = strings.Join(values[letter], " ")
				series[fmt.Sprintf("probe_runs_total{region=%q,verdict=%q}", at, verdict)] = strings.Join(counts[letter], " ")
			}
		}
		add("eu", j, pattern == "once")
		if pattern == "one location" {
			add("us", "p", false)
			add("ap", "p", false)
		}
		for _, at := range []string{"13m", "22m", "40m"} {
			w := world{name: pattern + ", " + at, series: series, at: at}
			if fires && at != "13m" {
				w.firing = []string{"ProbeFlapping critical"}
			}
			worlds = append(worlds, w)
		}
	}
	j := change(up, func(j *probe.Job) { j.Labels = map[string]string{"env": "prod"} })
	others := []probe.Job{j}
	for n := range 9 {
		others = append(others, change(j, func(j *probe.Job) { j.Name = fmt.Sprint("other", n) }))
	}
	f := Rules(others, Options{Kinds: kinds()})
	testWorlds(t, f, j, worlds, "ProbeFlapping")
}

// TestNotReady: a service of which no replica is ready is down to its users, so that has the severity of the runbook.
func TestNotReady(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	var worlds []world
	for states, firing := range map[string][]string{
		"not_ready not_ready not_ready":           {"ProbeNotReady critical"},
		"ready_error wrong_route not_ready":       {"ProbeNotReady critical"},
		"degraded_by_dependency not_ready":        {"ProbeNotReady critical", "ProbeWaitsForDependency info"},
		"down not_ready not_ready":                {"ProbeNotReady critical"},
		"down not_ready serving":                  {"ProbeReplicasMissing warning"},
		"serving not_ready not_ready":             {"ProbeNotReady warning"},
		"slow not_ready":                          {"ProbeNotReady warning"},
		"unknown not_ready not_ready":             {"ProbeNotReady warning"}, // the one that could not be asked may be ready
		"degraded_by_dependency":                  {"ProbeWaitsForDependency info"},
		"down down":                               {"ProbeDown critical"},
		"ready_despite_dependency_down not_ready": {"ProbeNotReady warning", "ProbeReadyWithDependencyDown warning"},
	} {
		w := world{name: states, at: "10m", firing: firing, series: map[string]string{
			`probe_verdict{verdict="fail"}`: "1x60", `probe_verdict{verdict="pass"}`: "0x60",
		}}
		for i, state := range strings.Fields(states) {
			w.series[fmt.Sprintf(`probe_health_state{target="%d",state=%q}`, i, state)] = "1x60"
			if state != "unknown" {
				w.series[fmt.Sprintf(`probe_check_success{target="%d",check="live"}`, i)] = fmt.Sprintf("%gx60", boolFloat(state != "down"))
			}
		}
		worlds = append(worlds, w)
	}
	j := change(proxy, func(j *probe.Job) { j.Labels = map[string]string{"env": "prod"} })
	testWorlds(t, Rules([]probe.Job{j}, Options{Kinds: kinds()}), j, worlds,
		"ProbeNotReady", "ProbeReplicasMissing", "ProbeDown", "ProbeFailing", "ProbeWaitsForDependency", "ProbeReadyWithDependencyDown")
}

// TestServiceErrorRate_perService: what probes cause at one service does not hide the errors of another one.
func TestServiceErrorRate_perService(t *testing.T) {
	t.Parallel()
	f := Rules([]probe.Job{closed, gate}, Options{Kinds: kinds(), Counters: []Counter{
		{System: "shop", Metric: "webhooks_requests_total", Probes: []string{"closed"}},
		{System: "shop", Metric: "proxy_requests_total", Probes: []string{"route"}},
	}}).only("ServiceErrorRate", "ServiceRefusals")
	input := func(series, values string) inputSeries { return inputSeries{series, values} }
	c := testCase{Name: "webhooks fails customers, and the probes cause more errors elsewhere", Interval: promTime(step), Input: []inputSeries{
		input(`webhooks_requests_total{code="200"}`, "0+50x60"), input(`webhooks_requests_total{code="503"}`, "0+20x60"),
		input(`webhooks_requests_total{code="401"}`, "0+12x60"), // 2 of them caused on purpose
		input(`proxy_requests_total{code="501"}`, "0+30x60"), input(`proxy_requests_total{code="401"}`, "0+30x60"),
		input(`probe_expected_status_total{system="shop",probe="closed",code="401"}`, "0+2x60"),
		input(`probe_expected_status_total{system="shop",probe="route",code="501"}`, "0+30x60"),
		input(`probe_expected_status_total{system="shop",probe="route",code="401"}`, "0+30x60"),
	}, Expected: []assertion{{`count by (alertname, counter, runbook) (ALERTS{alertstate="firing"})`, "14m", []expectedSample{
		{`{alertname="ServiceErrorRate",counter="webhooks_requests_total",runbook="r-sev3"}`, 1},
		{`{alertname="ServiceRefusals",counter="webhooks_requests_total",runbook="r-sev3"}`, 1},
	}}}}
	if complaint := promtool(t, written(t, f), testsOf(t, []testCase{c})); complaint != "" {
		t.Error(complaint)
	}
}

// TestDescription: the text of an alert says what the checks got that did not pass.
func TestDescription(t *testing.T) {
	t.Parallel()
	page := job("page", "http", "sev1", 15*time.Second, fake{checks: []string{"status", "json", "latency", "certificate", "control"}})
	const rest = "details and trace ids: prober --once --probe=shop/page"
	type values = map[string]string
	status := func(check string, code int, success string) values {
		v := values{fmt.Sprintf(`probe_http_status_code{check=%q}`, check): fmt.Sprintf("%dx30", code)}
		if success != "" {
			v[fmt.Sprintf(`probe_check_success{check=%q}`, check)] = success + "x30"
		}
		return v
	}
	failed := func(check, reason string) values {
		return values{fmt.Sprintf(`probe_failures_total{check=%q,reason=%q}`, check, reason): "_ 1+1x30"}
	}
	zero := func(check string) values { return values{fmt.Sprintf(`probe_check_success{check=%q}`, check): "0x30"} }
	ok := status("status", 200, "1")
	var tests strings.Builder
	tests.WriteString("rule_files: [rules.yml]\nevaluation_interval: 15s\ntests:\n")
	for _, c := range []struct {
		want   string
		series []values
	}{
		{"status (status), got 503 for status, ", []values{status("status", 503, "0"), failed("status", "status")}},
		{"status (refused), got no response for status, ", []values{status("status", 0, "0"), failed("status", "refused")}},
		{"status (credential), got 401 for status, ", []values{status("status", 401, ""), failed("status", "credential")}},
		{"status (status), got 503 for status, ", []values{status("status", 503, "0"), failed("status", "status"), // others see it pass
			{`probe_http_status_code{check="status",region="us"}`: "200x30", `probe_check_success{check="status",region="us"}`: "1x30"}}},
		{"json (body), got 200 for json, ", []values{ok, zero("json"), failed("json", "body")}},
		{"json (body), got 200 for json, ", []values{ok, zero("json"), failed("json", "body"), status("control", 201, "1")}},
		{"latency (slow), got 200 for latency, took 2.5s, ", []values{ok, zero("latency"), failed("latency", "slow"),
			{`probe_http_duration_seconds{phase="connect"}`: "0.5x30", `probe_http_duration_seconds{phase="processing"}`: "2x30"}}},
		{"certificate (cert), got 200 for certificate, certificate valid for another 1d 0h 0m 0s, ", []values{ok, zero("certificate"), failed("certificate", "cert"),
			{"probe_tls_earliest_cert_expiry_timestamp_seconds": "86700x30"}}},
	} {
		tests.WriteString("  - interval: 15s\n    input_series:\n")
		all := append(c.series, values{`probe_verdict{verdict="fail"}`: "1x30", `probe_verdict{verdict="pass"}`: "0x30"})
		for _, series := range all {
			for name, v := range series {
				metric, labels, _ := strings.Cut(strings.TrimSuffix(name, "}"), "{")
				fmt.Fprintf(&tests, "      - {series: '%s{system=\"shop\",probe=\"page\",%s}', values: %q}\n", metric, labels, v)
			}
		}
		fmt.Fprintf(&tests, `    alert_rule_test:
      - eval_time: 5m
        alertname: ProbeFailing
        exp_alerts:
          - exp_labels: {system: shop, probe: page, type: http, severity: critical, runbook: r-sev1, runbook_severity: sev1}
            exp_annotations: {summary: "r sev1: shop/page fails", runbook_url: "https://docs.example/sev1", description: %q}
`, "Recent failures: "+c.want+rest)
	}
	f := Rules([]probe.Job{page}, Options{Kinds: kinds()}).only("ProbeFailing")
	if complaint := promtool(t, written(t, f), tests.String()); complaint != "" {
		t.Error(complaint)
	}
}

// warner is a probe that warns of its certificate.
type warner struct {
	reader
	severity string
}

func (w warner) CertificateWarning() (string, bool) { return w.severity, true }

// TestCertificateAlerts: a certificate to be renewed and one that fails the probe have alerts of their own, in place of
// those that say that the target is down.
func TestCertificateAlerts(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	expecting := func(name, severity string) probe.Job {
		return change(job(name, "http", "sev1", 15*time.Second, fake{}), func(j *probe.Job) {
			j.Labels = map[string]string{"env": "prod"}
			j.Probe = warner{reader{fake{checks: []string{"status", probe.CheckCertificate}}}, severity}
		})
	}
	series := func(fails, status, certificate, expiring int) map[string]string {
		all := func(v int) string { return fmt.Sprintf("%dx120", v) }
		return map[string]string{
			`probe_verdict{verdict="fail"}`: all(fails), `probe_verdict{verdict="pass"}`: all(1 - fails),
			`probe_runs_total{verdict="fail"}`: fmt.Sprintf("0+%dx120", fails), `probe_runs_total{verdict="pass"}`: fmt.Sprintf("0+%dx120", 1-fails),
			`probe_check_success{check="status"}`: all(status), `probe_check_success{check="certificate"}`: all(certificate),
			"probe_certificate_expiring": all(expiring),
		}
	}
	a := expecting("a", "")
	names := []string{"ProbeCertificateExpiring", "ProbeCertificateFailing", "ProbeFailing", "SystemDown", "SystemErrorRate"}
	testWorlds(t, Rules([]probe.Job{a, expecting("b", "")}, Options{Kinds: kinds()}), a, []world{
		{"valid for long", series(0, 1, 1, 0), "29m", nil},
		{"to be renewed", series(0, 1, 1, 1), "29m", []string{"ProbeCertificateExpiring warning"}},
		{"too little time is left", series(1, 1, 0, 1), "29m", []string{"ProbeCertificateFailing critical"}},
		{"the page is down too", series(1, 0, 0, 1), "29m", []string{"ProbeFailing critical", "SystemErrorRate critical"}},
	}, names...)
	testWorlds(t, Rules([]probe.Job{expecting("a", "info")}, Options{Kinds: kinds()}), a, []world{
		{"with a severity of its own", series(0, 1, 1, 1), "29m", []string{"ProbeCertificateExpiring info"}},
	}, names...)
}

// TestStale_rateLimited: a probe that its target asked to wait is not stale until it should have run again.
func TestStale_rateLimited(t *testing.T) {
	t.Parallel()
	series := func(until string) map[string]string {
		return map[string]string{
			"probe_last_run_timestamp_seconds": "0x120", "probe_registered_timestamp_seconds": "0x120", "probe_interval_seconds": "15x120",
			"probe_rate_limited_until_timestamp_seconds": until,
		}
	}
	j := change(up, func(j *probe.Job) { j.Labels = map[string]string{"env": "prod"} })
	testWorlds(t, Rules([]probe.Job{j}, Options{Kinds: kinds()}), j, []world{
		{"it is not asked to wait", series("0x120"), "10m", []string{"ProbeStale warning"}},
		{"it waits", series("630x120"), "10m", nil},
		{"it should have run again", series("300x120"), "10m", []string{"ProbeStale warning"}},
	}, "ProbeStale")
}
