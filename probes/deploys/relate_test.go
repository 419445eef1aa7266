package deploys

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// runDuring runs a probe while the last incident of its system is this one.
func runDuring(t *testing.T, p *Probe, incident probe.Incident) probe.Result {
	t.Helper()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	job := probe.Job{
		ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: 10 * time.Second,
		Incident: func() probe.Incident { return incident },
	}
	return job.Do(t.Context())
}

// since is an open incident of the severity P1.
func since(age time.Duration) probe.Incident {
	return probe.Incident{Onset: time.Now().Add(-age), Open: true, Severity: "P1"}
}

// TestFreeze_incident: while an incident is open that is urgent enough, only rollbacks and what is allowed may be deployed.
func TestFreeze_incident(t *testing.T) {
	t.Parallel()
	well := since(time.Hour)
	well.Open = false
	lesser := since(time.Hour)
	lesser.Severity = "P2"
	unknown := since(time.Hour)
	unknown.Severity = ""
	for name, test := range map[string]struct {
		incident probe.Incident
		commit   string
		age      time.Duration
		want     string
	}{
		"in it":          {since(time.Hour), commitA, 30 * time.Minute, "fail(deploy_in_freeze): expected no deploy in the incident since "},
		"before it":      {since(time.Hour), commitA, 90 * time.Minute, "pass(ok): no deploy in the incident since "},
		"a rollback":     {since(time.Hour), commitC, 30 * time.Minute, "pass(ok): no deploy in the incident since "},
		"a failed one":   {since(time.Hour), commitB, 30 * time.Minute, "fail(deploy_in_freeze): "}, // it was never live
		"allowed":        {since(time.Hour), strings.Repeat("ab", 20), 30 * time.Minute, "pass(ok): no deploy in the incident since "},
		"it is over":     {well, commitA, 30 * time.Minute, "pass(ok): deploys are not frozen now"},
		"not so urgent":  {lesser, commitA, 30 * time.Minute, "pass(ok): deploys are not frozen now"},
		"of no severity": {unknown, commitA, 30 * time.Minute, "pass(ok): deploys are not frozen now"},
		"none":           {probe.Incident{}, commitA, 30 * time.Minute, "pass(ok): deploys are not frozen now"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := ofRender(renderEntry("dep-3", "live", test.commit, test.age), renderEntry("dep-2", "update_failed", commitB, 20*time.Hour), renderEntry("dep-1", "deactivated", commitC, 40*time.Hour)).render(t)
			p.Freeze = &Freeze{Incident: "P1", Allow: []string{"abababa"}}
			r := runDuring(t, p, test.incident)
			last := r.Checks[len(r.Checks)-1]
			if got := fmt.Sprintf("%s(%s): %s", last.Verdict, last.Reason, last.Detail); last.Name != checkFreeze || !strings.HasPrefix(got, test.want) {
				t.Errorf("expected %s, got %s", test.want, got)
			}
		})
	}
}

// TestRelate: the deploys near the onset have series while the incident is open, also if the platform is down in the meantime.
func TestRelate(t *testing.T) {
	t.Parallel()
	c := ofRender(renderEntry("dep-3", "live", commitA, 10*time.Minute), renderEntry("dep-2", "deactivated", commitB, 22*time.Minute), renderEntry("dep-1", "deactivated", commitC, 24*time.Hour))
	p := c.render(t)
	near := func(r probe.Result) string {
		var out []string
		for _, s := range r.Samples {
			if s.Measure == nearGauge || s.Measure == goodGauge {
				out = append(out, fmt.Sprintf("%s %.0f", strings.Join(s.Values, " "), s.Value))
			}
		}
		return strings.Join(out, ", ")
	}
	onset := since(20 * time.Minute)
	onset.LastGood = map[string]string{"it": commitC, "another": commitB}
	closed := onset
	closed.Open = false
	none := probe.Incident{LastGood: onset.LastGood}
	r := runDuring(t, p, onset)
	if got, want := near(r), "dep-2 "+commitB+" 120, "+commitC+" 1"; got != want {
		t.Errorf("expected %s, got %s", want, got)
	}
	if len(r.Deploys) != 3 || r.Deploys[0].ID != "dep-3" || r.Running != commitA {
		t.Errorf("reported are %+v, and %s runs", r.Deploys, r.Running)
	}
	for name, i := range map[string]probe.Incident{"closed": closed, "none": none} {
		if got, want := near(runDuring(t, p, i)), commitC+" 1"; got != want {
			t.Errorf("%s: expected %s, got %s", name, want, got)
		}
	}
	c.answers["/v1/services/srv-1/deploys"] = respond(503, "{}")
	restarted := onset
	restarted.Near = map[string][]probe.Deploy{"it": {{ID: "dep-0", Version: "1.4.1", State: probe.DeployCanceled, Started: onset.Onset.Add(-time.Hour)}}, "another": {{ID: "x"}}}
	if got, want := near(runDuring(t, c.render(t), restarted)), "dep-0 1.4.1 3600, "+commitC+" 1"; got != want {
		t.Errorf("after a restart, while the platform is down: expected %s, got %s", want, got)
	}
	restarted.Open = false
	if got, want := near(runDuring(t, c.render(t), restarted)), commitC+" 1"; got != want {
		t.Errorf("after the incident: expected %s, got %s", want, got)
	}
	r = runDuring(t, p, onset)
	if got, want := near(r), "dep-2 "+commitB+" 120, "+commitC+" 1"; got != want || r.Verdict() != probe.Inconclusive {
		t.Errorf("while the platform is down: expected %s, got %s\n%s", want, got, probetest.Lines(r))
	}
	if r.Deploys != nil || r.Running != "" {
		t.Errorf("while the platform is down: %+v, %s", r.Deploys, r.Running)
	}
}

// TestRunning_reported: what runs is known only if the platform and the service agree, and no deploy is in progress.
func TestRunning_reported(t *testing.T) {
	t.Parallel()
	live := renderEntry("dep-2", "live", commitA, time.Hour)
	for name, test := range map[string]struct {
		deploys []object
		answers string
		want    string
	}{
		"as the platform says": {[]object{live}, "-", commitA},
		"both agree":           {[]object{live}, commitA, commitA},
		"they do not":          {[]object{live}, commitB, ""},
		"no version":           {[]object{live}, "", ""},
		"in progress":          {[]object{renderEntry("dep-3", "update_in_progress", commitB, time.Minute), live}, "-", ""},
		"a failed one":         {[]object{renderEntry("dep-3", "update_failed", commitB, time.Minute), live}, "-", commitA},
		"none is live":         {[]object{renderEntry("dep-3", "deactivated", commitB, time.Minute)}, "-", ""},
	} {
		p := ofRender(test.deploys...).render(t)
		if test.answers != "-" {
			p.runsAt(t, service(t, test.answers).URL)
		}
		if r := runDuring(t, p, probe.Incident{}); r.Running != test.want {
			t.Errorf("%s: expected %q, got %q", name, test.want, r.Running)
		}
	}
}
