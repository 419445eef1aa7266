package alerts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// TestDeploysAnnotation: an alert names the deploys near the onset, and the version to go back to. A rollout that started after
// the onset has no such series, and none is named.
func TestDeploysAnnotation(t *testing.T) {
	t.Parallel()
	proxy := job("proxy", "http", "P1", 15*time.Second, fake{})
	deploys := job("deploys", "deploys", "sev2", time.Minute, fake{checks: []string{"latest", "stuck"}})
	const (
		near = `probe_deploy_near_onset_seconds{system="shop",probe="deploys",deploy="dep-2",version="91bc04d791bc"}`
		good = `probe_last_known_good_info{system="shop",probe="deploys",version="3f2a91c03f2a"}`
		info = `probe_deploy_info{system="shop",probe="deploys",deploy="dep-3",version="c0ffee12c0ff",state="live"}`
		none = "No deploy is known to be near the onset. "
	)
	var tests strings.Builder
	const header = "rule_files: [rules.yml]\nevaluation_interval: 15s\ntests:\n"
	tests.WriteString(header)
	for _, c := range []struct{ want, series string }{
		{"Deploy dep-2 of version 91bc04d791bc started 2m 0s before the first failure. Last known good: version 3f2a91c03f2a. ", near + " 120x30 " + good + " 1x30"},
		{"Deploy dep-2 of version 91bc04d791bc started 2m 0s before the first failure. No version is known to be good. ", near + " 120x30"},
		{none + "Last known good: version 3f2a91c03f2a. ", good + " 1x30 " + info + " 1x30"}, // it started after the onset
		{none + "No version is known to be good. ", info + " 1x30"},
		{none + "No version is known to be good. ", strings.ReplaceAll(near+" 120x30 "+good+" 1x30", `"shop"`, `"other"`)},
		// The platform is down with what runs on it; two locations saw it.
		{"Deploy dep-2 of version 91bc04d791bc started 2m 0s before the first failure. Last known good: version 3f2a91c03f2a. ",
			near + " 120x8 " + strings.ReplaceAll(near, "{", `{region="b",`) + " 119x8 " + good + " 1x8"},
		// It was good until it was deployed again, near the onset; the series of before counts for five minutes.
		{"Deploy dep-2 of version 91bc04d791bc started 2m 0s before the first failure. Last known good: version 3f2a91c03f2a. ",
			near + " 120x30 " + strings.ReplaceAll(good, "3f2a91c03f2a", "91bc04d791bc") + " 1x8 " + good + " 1x30"},
		{"Deploy dep-2 of version unknown started 0s before the first failure. No version is known to be good. ", strings.ReplaceAll(near, "91bc04d791bc", "") + " 0x30"},
	} {
		tests.WriteString(annotated("", c.series, c.want))
	}
	both := Rules([]probe.Job{proxy, deploys, job("other", "deploys", "sev2", time.Minute, fake{checks: []string{"latest"}})}, Options{Kinds: kinds()}).only("ProbeFailing")
	second := strings.ReplaceAll(near+" 60x30 "+good+" 1x30", `probe="deploys"`, `probe="other"`)
	text := annotated(header, near+" 120x30 "+good+" 1x30 "+second,
		"Deploy dep-2 of version 91bc04d791bc (deploys) started 2m 0s before the first failure. Deploy dep-2 of version 91bc04d791bc (other) started 1m 0s before the first failure. "+
			"Last known good: version 3f2a91c03f2a (deploys). Last known good: version 3f2a91c03f2a (other). ")
	if complaint := promtool(t, written(t, both), text); complaint != "" {
		t.Errorf("two probes with deploys of one name: %s", complaint)
	}
	f := Rules([]probe.Job{proxy, deploys}, Options{Kinds: kinds()}).only("ProbeFailing")
	if complaint := promtool(t, written(t, f), tests.String()); complaint != "" {
		t.Error(complaint)
	}
	for _, r := range Rules([]probe.Job{proxy}, Options{Kinds: kinds()}).Groups[0].Rules {
		if _, has := r.Annotations["deploys"]; has {
			t.Errorf("%s has the annotation, and no probe reports deploys", r.Alert)
		}
	}
}

// annotated is a test of the annotation of the alert of a probe that fails, behind a beginning.
func annotated(header, series, want string) string {
	b := strings.Builder{}
	b.WriteString(header + "  - interval: 15s\n    input_series:\n")
	input := append(strings.Fields(series), `probe_verdict{system="shop",probe="proxy",verdict="fail"}`, "1x30", `probe_verdict{system="shop",probe="proxy",verdict="pass"}`, "0x30")
	for i := 0; i < len(input); i += 2 {
		fmt.Fprintf(&b, "      - {series: '%s', values: %q}\n", input[i], input[i+1])
	}
	fmt.Fprintf(&b, `    alert_rule_test:
      - eval_time: 5m
        alertname: ProbeFailing
        exp_alerts:
          - exp_labels: {system: shop, probe: proxy, type: http, severity: critical, runbook: r-P1, runbook_severity: P1}
            exp_annotations: {summary: "r P1: shop/proxy fails", runbook_url: "https://docs.example/P1", deploys: %q, description: "Recent failures: details and trace ids: prober --once --probe=shop/proxy"}
`, want)
	return b.String()
}

// TestDeploysAnnotation_evaluator: alerts that the prober sends itself have the annotation that the rules give them.
func TestDeploysAnnotation_evaluator(t *testing.T) {
	near := &probe.Measure{Name: deployNearOnset, Labels: []string{"deploy", "version"}}
	good := &probe.Measure{Name: lastKnownGood, Labels: []string{"version"}}
	onset := func(deploy, version string, seconds float64) probe.Sample {
		return probe.Sample{Measure: near, Value: seconds, Values: []string{deploy, version}}
	}
	known := func(version string) probe.Sample {
		return probe.Sample{Measure: good, Value: 1, Values: []string{version}}
	}
	deploys := job("deploys", "deploys", "sev2", time.Minute, fake{checks: []string{"latest"}})
	other := job("other", "deploys", "sev2", time.Minute, fake{checks: []string{"latest"}})
	type said map[string][]probe.Sample
	const none, unknown = "No deploy is known to be near the onset. ", "No version is known to be good. "
	for name, c := range map[string]struct {
		jobs []probe.Job
		said []said // a minute each
		want string
	}{
		"both": {[]probe.Job{deploys}, []said{{"deploys": {onset("dep-2", "91bc", 120), known("3f2a")}}},
			"Deploy dep-2 of version 91bc started 2m 0s before the first failure. Last known good: version 3f2a. "},
		"no version": {[]probe.Job{deploys}, []said{{"deploys": {onset("dep-2", "", 0)}}}, "Deploy dep-2 of version unknown started 0s before the first failure. " + unknown},
		"only good":  {[]probe.Job{deploys}, []said{{"deploys": {known("3f2a")}}}, none + "Last known good: version 3f2a. "},
		"not run":    {[]probe.Job{deploys}, nil, none + unknown},
		"good until it was deployed": {[]probe.Job{deploys}, []said{{"deploys": {known("91bc")}}, {"deploys": {onset("dep-2", "91bc", 120), known("3f2a")}}},
			"Deploy dep-2 of version 91bc started 2m 0s before the first failure. Last known good: version 3f2a. "},
		"the platform is down for 4 minutes": {[]probe.Job{deploys}, []said{{"deploys": {onset("dep-2", "91bc", 120)}}, {"deploys": nil}, {"deploys": nil}, {"deploys": nil}, {"deploys": nil}},
			"Deploy dep-2 of version 91bc started 2m 0s before the first failure. " + unknown},
		"the platform is down for 6 minutes": {[]probe.Job{deploys}, []said{{"deploys": {onset("dep-2", "91bc", 120)}}, {"deploys": nil}, {"deploys": nil}, {"deploys": nil}, {"deploys": nil}, {"deploys": nil}, {"deploys": nil}},
			none + unknown},
		"two": {[]probe.Job{other, deploys}, []said{{"deploys": {onset("dep-2", "91bc", 120), known("3f2a")}, "other": {onset("dep-2", "91bc", 60), known("3f2a")}}},
			"Deploy dep-2 of version 91bc (deploys) started 2m 0s before the first failure. Deploy dep-2 of version 91bc (other) started 1m 0s before the first failure. " +
				"Last known good: version 3f2a (deploys). Last known good: version 3f2a (other). "},
		"nobody reports deploys": {nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPast(append(c.jobs, up)...)
			p.runs(up, time.Minute, 0, probe.Fail)
			for _, said := range c.said {
				p.now = p.now.Add(time.Minute)
				for _, j := range c.jobs {
					p.Observe(probe.Result{ID: j.ID, Started: p.now, Samples: said[j.Name], Checks: []probe.Check{{Name: "latest", Verdict: probe.Pass, Reason: probe.OK}}})
				}
			}
			all := p.Alerts(p.now)
			if len(all) == 0 {
				t.Fatal("there is no alert")
			}
			for _, a := range all {
				if got := a.Annotations["deploys"]; got != c.want {
					t.Errorf("%s: got %q, expected %q", a.Labels["alertname"], got, c.want)
				}
			}
		})
	}
}
