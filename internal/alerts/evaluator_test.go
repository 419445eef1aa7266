package alerts

import (
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// A past is what an Evaluator saw of probes, beginning now.
type past struct {
	*Evaluator
	began, now time.Time
}

func newPast(jobs ...probe.Job) *past {
	p := &past{Evaluator: NewEvaluator(Options{Kinds: kinds()}, nil)}
	p.SetJobs(jobs)
	p.began = time.Now()
	p.now = p.began
	return p
}

// runs has a probe run every interval for a time, with the verdicts in turn.
func (p *past) runs(j probe.Job, d, took time.Duration, verdicts ...probe.Verdict) {
	for n, end := 0, p.now.Add(d); p.now.Before(end); n++ {
		p.now = p.now.Add(j.Interval)
		reason := probe.OK
		switch verdicts[n%len(verdicts)] {
		case probe.Fail:
			reason = probe.Refused
		case probe.Inconclusive:
			reason = probe.Reason{Word: "unknown", Verdict: probe.Inconclusive}
		}
		p.Observe(probe.Result{ID: j.ID, Started: p.now, Took: took, Checks: []probe.Check{{Name: "status", Verdict: reason.Verdict, Reason: reason}}})
	}
}

// names are those of the alerts that hold now, in order.
func (p *past) names() string {
	var all []string
	for _, a := range p.Alerts(p.now) {
		all = append(all, a.Labels["alertname"])
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// TestEvaluator_conditions: what holds after runs of one probe, and what does not a little earlier.
func TestEvaluator_conditions(t *testing.T) {
	const pass, fail, unknown = probe.Pass, probe.Fail, probe.Inconclusive
	for name, x := range map[string]struct {
		live func(p *past)
		want string
	}{
		"passes":                 {func(p *past) { p.runs(up, 10*time.Minute, time.Second, pass) }, ""},
		"inconclusive for 4 min": {func(p *past) { p.runs(up, 10*time.Minute, 0, pass); p.runs(up, 4*time.Minute, 0, unknown) }, ""},
		"inconclusive for 6 min": {func(p *past) { p.runs(up, 10*time.Minute, 0, pass); p.runs(up, 6*time.Minute, 0, unknown) }, "ProbeInconclusive ProberAllInconclusive"},
		"in turn for 9 min": {func(p *past) {
			p.runs(up, time.Minute, 0, pass)
			p.runs(up, 9*time.Minute, 0, fail, unknown, unknown, unknown)
		}, ""},
		"in turn for 11 min": {func(p *past) {
			p.runs(up, time.Minute, 0, pass)
			p.runs(up, 11*time.Minute, 0, fail, unknown, unknown, unknown)
		}, "ProbeNotPassing"},
		"every other run fails for 90 s": {func(p *past) { p.runs(up, 10*time.Minute, 0, pass); p.runs(up, 90*time.Second, 0, fail, pass) }, ""},
		"every other run fails for 3 min": {func(p *past) {
			p.runs(up, 10*time.Minute, 0, pass)
			p.runs(up, 3*time.Minute, 0, pass, fail)
			p.runs(up, time.Minute, 0, pass)
		}, "ProbeFlapping SystemErrorRate"},
		"fails and is inconclusive between passes": {func(p *past) { p.runs(up, 20*time.Minute, 0, fail, unknown, unknown, pass) }, "ProbeFlapping"},
		"failed for 4 min": {func(p *past) {
			p.runs(up, 10*time.Minute, 0, pass)
			p.runs(up, 4*time.Minute, 0, fail)
			p.runs(up, time.Minute, 0, pass)
		}, "SystemErrorRate"},
		"never passed for 14 min": {func(p *past) { p.runs(up, 14*time.Minute, 0, unknown) }, "ProbeInconclusive ProberAllInconclusive"},
		"never passed for 16 min": {func(p *past) { p.runs(up, 16*time.Minute, 0, unknown) }, "ProbeInconclusive ProbeNeverPassed ProberAllInconclusive"},
		"not run for 40 s":        {func(p *past) { p.runs(up, time.Minute, 0, pass); p.now = p.now.Add(40 * time.Second) }, ""},
		"not run for 50 s":        {func(p *past) { p.runs(up, time.Minute, 0, pass); p.now = p.now.Add(50 * time.Second) }, "ProbeStale"},
		"limited": {func(p *past) {
			p.runs(up, time.Minute, 0, pass)
			p.Limited(up.ID, p.now.Add(time.Minute))
			p.now = p.now.Add(time.Minute)
		}, ""},
		"slow, few runs":     {func(p *past) { p.runs(up, 9*time.Minute, 3*time.Second, pass) }, ""},
		"slow":               {func(p *past) { p.runs(up, 11*time.Minute, 3*time.Second, pass) }, "ProbeSlow"},
		"slow an hour ago":   {func(p *past) { p.runs(up, 11*time.Minute, 3*time.Second, pass); p.runs(up, time.Hour, 0, pass) }, ""},
		"fails now and then": {func(p *past) { p.runs(up, 20*time.Minute, 0, fail, pass, pass, pass) }, "ProbeFlapping SystemErrorRate"},
		"fails seldom": {func(p *past) {
			p.runs(up, 20*time.Minute, 0, slices.Concat([]probe.Verdict{fail}, slices.Repeat([]probe.Verdict{pass}, 19))...)
		}, ""},
		"removed": {func(p *past) {
			p.runs(up, 16*time.Minute, 0, unknown)
			p.SetJobs([]probe.Job{})
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPast(up)
			x.live(p)
			if got := p.names(); got != x.want {
				t.Errorf("got %q, expected %q", got, x.want)
			}
		})
	}
}

// TestEvaluator_recent: an alert that begins or lasts while a run passes says why other runs failed, as the rules do.
func TestEvaluator_recent(t *testing.T) {
	p := newPast(up)
	p.runs(up, 20*time.Minute, 0, probe.Fail, probe.Pass, probe.Pass, probe.Pass)
	says := func() string {
		for _, a := range p.Alerts(p.now) {
			if a.Labels["alertname"] == "ProbeFlapping" {
				return a.Annotations["description"] + " " + a.Reason
			}
		}
		return "nothing"
	}
	if got := says(); !strings.Contains(got, "Recent failures: status (refused); details") || !strings.HasSuffix(got, " refused") {
		t.Errorf("it says %s", got)
	}
	p.runs(up, flappingWindow(&up)-2*time.Minute, 0, probe.Pass)
	if got := says(); strings.Contains(got, "refused") {
		t.Errorf("later it says %s", got)
	}
}

// TestSelfCheckFailed_says: the alert says of each self-check what it means that it fails.
func TestSelfCheckFailed_says(t *testing.T) {
	for _, check := range []string{"engine", "network", "clock", "storage", "alertmanager", "webhook", "watchdog"} {
		if text := SelfCheckFailed(check, "a:9798").Annotations["description"]; !strings.Contains(text, check) {
			t.Errorf("%s: got %s", check, text)
		}
	}
}

// TestEvaluator_maintenance: a probe that is worked on has no alert, and has it again afterwards.
func TestEvaluator_maintenance(t *testing.T) {
	began := time.Now()
	worked := change(up, func(j *probe.Job) {
		j.Maintenance = []probe.Window{{From: began.Add(10 * time.Minute), To: began.Add(20 * time.Minute)}}
	})
	p := newPast(worked)
	p.runs(worked, time.Minute, 0, probe.Pass)
	for _, at := range []struct {
		until time.Duration
		quiet bool
	}{{9 * time.Minute, false}, {19 * time.Minute, true}, {22 * time.Minute, false}} {
		p.runs(worked, at.until-p.now.Sub(p.began), 0, probe.Fail)
		if got := p.names(); (got == "") != at.quiet {
			t.Errorf("after %s: got %q", at.until, got)
		}
	}
}

// TestEvaluator_watches: what is known of a probe beside its alerts, and which alerts a dependency explains.
func TestEvaluator_watches(t *testing.T) {
	began := time.Now()
	worked := change(tenants, func(j *probe.Job) {
		j.DependsOn = []string{up.Name}
		j.Maintenance = []probe.Window{{From: began.Add(10 * time.Minute), To: began.Add(20 * time.Minute)}}
	})
	p := newPast(up, worked)
	if got, want := p.Watches(began)[worked.Key()], (probe.Watch{}); got != want {
		t.Errorf("before the first run: %+v, expected %+v", got, want)
	}
	p.runs(up, time.Minute, 0, probe.Fail)
	p.runs(worked, time.Minute, 0, probe.Pass)
	if got, want := p.Watches(began.Add(11 * time.Minute))[worked.Key()], (probe.Watch{Ran: true, Maintained: true, DependencyFails: true}); got != want {
		t.Errorf("while its dependency fails, under maintenance: %+v, expected %+v", got, want)
	}
	dependent := map[string]bool{}
	for _, s := range systems([]probe.Job{up, worked, leaf}, Options{Kinds: kinds()}) {
		for _, j := range s.jobs {
			for _, a := range append(s.failureAlerts(j), s.inconclusive(j)) {
				dependent[a.name] = a.dependent
				if a.dependent != strings.Contains(a.expr, "unless on (system) "+probeVotes) && len(j.DependsOn) > 0 {
					t.Errorf("%s on %s says %t of its dependency, unlike its rule:\n%s", a.name, j.Name, a.dependent, a.expr)
				}
			}
		}
	}
	if !dependent["ProbeFailing"] || !dependent[inconclusiveAlert] || dependent["ProbeBreach"] {
		t.Errorf("got %v", dependent)
	}
}

// TestEvaluator_outage: a system is down if none of its probes passes and at least two fail.
func TestEvaluator_outage(t *testing.T) {
	t.Parallel()
	other := change(up, func(j *probe.Job) { j.Name = "other" })
	third := change(up, func(j *probe.Job) { j.Name = "third" })
	const pass, fail, unknown = probe.Pass, probe.Fail, probe.Inconclusive
	for name, c := range map[string]struct {
		verdicts []probe.Verdict // of the probes' last runs; those beyond have not run
		down     bool
	}{
		"two fail":                              {[]probe.Verdict{fail, fail}, true},
		"two fail, of one nothing is known":     {[]probe.Verdict{fail, fail, unknown}, true},
		"two fail, one passes":                  {[]probe.Verdict{fail, fail, pass}, false},
		"one passes, two fail":                  {[]probe.Verdict{pass, fail, fail}, false},
		"one fails, of the others nobody knows": {[]probe.Verdict{fail, unknown, unknown}, false},
		"one fails, the others have not run":    {[]probe.Verdict{fail}, false},
		"none has run":                          {nil, false},
	} {
		jobs := []probe.Job{up, other, third}
		p := newPast(jobs...)
		for i, v := range c.verdicts {
			began := p.now
			p.runs(jobs[i], 15*time.Second, 0, v)
			p.now = began
		}
		p.now = p.now.Add(15 * time.Second)
		if got := p.names(); strings.Contains(got, "SystemDown") != c.down {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// TestEvaluator_answers: two versions behind one URL are told, and a credential that comes back, though the
// run passed.
func TestEvaluator_answers(t *testing.T) {
	t.Parallel()
	read := change(up, func(j *probe.Job) { j.Probe = reader{} })
	const shop, auth = "http://shop.example/version", "http://auth.example/version"
	for name, c := range map[string]struct {
		exchanges []probe.Exchange
		want      string
	}{
		"two versions of one URL":       {[]probe.Exchange{{URL: shop, Version: "1.0"}, {URL: shop, Version: "1.1"}}, "ProbeMixedVersions"},
		"two URLs with one each":        {[]probe.Exchange{{URL: shop, Version: "1.0"}, {URL: auth, Version: "1.1"}}, ""},
		"one version":                   {[]probe.Exchange{{URL: shop, Version: "1.0"}, {URL: shop, Version: "1.0"}}, ""},
		"a credential that comes back":  {[]probe.Exchange{{URL: shop, SoughtCredential: true, Reflected: "the body"}, {URL: shop, SoughtCredential: true}}, "ProbeSecretReflected"},
		"a credential that comes not":   {[]probe.Exchange{{URL: shop, SoughtCredential: true}}, ""},
		"no credential that comes back": {[]probe.Exchange{{URL: shop, Reflected: "the body"}}, ""},
	} {
		p := newPast(read)
		p.now = p.now.Add(read.Interval)
		p.Observe(probe.Result{ID: read.ID, Started: p.now, Exchanges: c.exchanges, Checks: []probe.Check{{Name: "status", Verdict: probe.Pass, Reason: probe.OK}}})
		if got := p.names(); got != c.want {
			t.Errorf("%s: got %q, expected %q", name, got, c.want)
		}
	}
	for want, failed := range map[string][]probe.Reason{
		"":             {probe.MixedVersions}, // what fails for this alone has its own alert, after a while
		"ProbeFailing": {probe.MixedVersions, probe.Status},
	} {
		p := newPast(read)
		p.now = p.now.Add(read.Interval)
		r := probe.Result{ID: read.ID, Started: p.now}
		for i, why := range failed {
			r.Checks = append(r.Checks, probe.Check{Name: []string{probe.CheckVersions, "status"}[i], Verdict: probe.Fail, Reason: why})
		}
		p.Observe(r)
		if got := p.names(); got != want {
			t.Errorf("failed for %v: got %q, expected %q", failed, got, want)
		}
	}
}
