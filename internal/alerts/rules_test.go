package alerts

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"prober/internal/probe"
)

// A proof is how a scenario makes an alert fire.
type proof struct {
	change      func(c *scenario) // in a scenario where every probe passes
	after       time.Duration     // from the change to the first evaluation at which the alert fires
	notBefore   time.Duration     // when it must not fire yet; by default two evaluations before after
	labels      map[string]string // from its series
	amongOthers bool              // the change makes alerts of other names fire as well
	probers     []prober          // by default one
}

// prove returns the proof of a rule. An alert on one probe is proven by its example.
func (f *File) prove(r Rule) (p proof, ok bool) {
	if r.example != nil && r.example.job.Name != "" {
		return r.example.prove(), true
	}
	s := f.systems[0]
	if i := slices.IndexFunc(f.systems, func(s *system) bool { return s.name == r.Labels["system"] }); i >= 0 {
		s = f.systems[i]
	}
	j, ofSystem := s.jobs[0], map[string]string{"system": s.name}
	if i := slices.IndexFunc(s.jobs, func(j probe.Job) bool { return j.Name == r.Labels["probe"] }); i >= 0 {
		j = s.jobs[i]
	}
	groups := groupByRunbook(s.jobs)
	group := groups[max(0, slices.IndexFunc(groups, func(g runbookGroup) bool { return g.runbook == r.Labels["runbook"] }))]
	first := map[string]string{"instance": exampleInstance}
	ofProber := mergeLabels(first, map[string]string{"job": f.options.job()})
	counter := r.Labels["counter"]
	token := map[string]string{"caller": exampleToken}
	inconclusive := func(at ...map[string]string) func(c *scenario) {
		return func(c *scenario) {
			for _, s := range f.systems {
				for _, j := range s.jobs {
					c.verdict(j, probe.Inconclusive, at...)
				}
			}
		}
	}
	fail := func(jobs []probe.Job) func(c *scenario) {
		return func(c *scenario) {
			for _, j := range jobs {
				c.fail(j)
			}
		}
	}
	p, ok = map[string]proof{
		"ProberAbsent": {after: 2 * time.Minute, change: func(c *scenario) { c.kill() }},
		"ProberDown":   {after: 5 * time.Minute, probers: twoProbers, labels: ofProber, change: func(c *scenario) { c.kill(first) }},
		"ProberShardMissing": {
			after: 5 * time.Minute, labels: map[string]string{"job": f.options.job()}, change: func(c *scenario) { c.set("prober_shards", 2) },
		},
		"ProberAllInconclusive": {
			after: 10 * time.Minute, amongOthers: true, change: inconclusive(),
		},
		"ProberLocationInconclusive": {after: 10 * time.Minute, probers: twoProbers, labels: ofProber, change: inconclusive(first)},
		"ProberSelfCheckFailed": {
			after: 5 * time.Minute, labels: mergeLabels(ofProber, map[string]string{"check": "clock"}),
			change: func(c *scenario) { c.set("prober_self_check", 0) },
		},
		"ProberReloadFailed": {after: time.Minute, labels: ofProber, change: func(c *scenario) { c.set("prober_config_last_reload_successful", 0) }},
		"ProberRestarting": {
			after: 5 * time.Minute, notBefore: 2 * time.Minute, labels: ofProber, change: func(c *scenario) {
				c.from(c.find("process_start_time_seconds"), func(_ func(int) float64, since int) float64 { return float64(since / 4) })
			},
		},
		"ProberPanicked": {labels: ofProber, change: func(c *scenario) { c.set("prober_panics_total", 1) }},
		"ProberLate": {
			after: 15 * time.Minute, notBefore: 10*time.Minute - step, labels: ofProber,
			change: func(c *scenario) { c.stop("prober_schedule_lag_seconds_bucket", map[string]string{"le": "1"}) },
		},
		"ProberStoredTokenExpiring": {
			after: time.Hour, labels: mergeLabels(token, map[string]string{"system": s.name, "probe": j.Name}),
			change: func(c *scenario) {
				c.set(tokenExpiry, (changeTime+tokenExpiresSoon).Seconds()-1, s.labels(j), token)
			},
		},
		"ProbeNeverPassed": {
			after: max(neverPassedAfter, roundUp(3*j.Interval, step)) + time.Minute + step, labels: s.labels(j),
			change: func(c *scenario) {
				c.set("probe_last_pass_timestamp_seconds", 0, s.labels(j))
				c.setToChange("probe_registered_timestamp_seconds", s.labels(j))
			},
		},
		"ProbeNotPassing": {
			after: 2*inconclusiveWindow(j) + step, labels: s.labels(j),
			change: func(c *scenario) {
				c.stop("probe_last_pass_timestamp_seconds", s.labels(j))
				c.alternate(j, probe.Fail, probe.Inconclusive)
			},
		},
		"ProbeStale": {
			after: roundUp(3*j.Interval, step) + step + time.Minute, labels: s.labels(j),
			change: func(c *scenario) { c.stop("probe_last_run_timestamp_seconds", s.labels(j)) },
		},
		"ProbeSlow": {
			after: group.latencyWindow() + latencyWait, notBefore: latencyWait - step, labels: s.labels(j),
			change: func(c *scenario) {
				c.stop("probe_run_duration_seconds_bucket", s.labels(j), map[string]string{"le": "2"})
			},
		},
		"ProbeSignalAbsent": {
			after: 2 * time.Minute, labels: mergeLabels(j.Signals["live"].Labels, map[string]string{"system": s.name, "probe": j.Name}),
			change: func(c *scenario) { c.end(j.Signals["live"].Name, j.Signals["live"].Labels) },
		},
		"ProbeIsolationUnproven": {
			after: proofAge(j) + time.Minute + step, labels: s.labels(j),
			change: func(c *scenario) { c.stop(lastProven, s.labels(j)) },
		},
		"SystemDown": {after: time.Minute, labels: ofSystem, amongOthers: true, change: fail(s.jobs)},
		"SystemErrorRate": {
			after: group.errorWindow() + 5*time.Minute, notBefore: 5*time.Minute - step, labels: ofSystem, amongOthers: true, change: fail(group.jobs),
		},
		"ProbeFlapping": {
			after: flappingWindow(&j) + 5*time.Minute, notBefore: 5*time.Minute - step, labels: s.labels(j), amongOthers: true, change: func(c *scenario) { c.flap(j) },
		},
		"ProbeWithoutAlerts": {
			after: 15 * time.Minute, labels: map[string]string{"system": s.name, "probe": "added"},
			change: func(c *scenario) {
				c.add("probe_success", constant(1), mergeLabels(s.labels(j), map[string]string{"probe": "added"}))
				c.series[len(c.series)-1].text = func(step int) string {
					if step < c.change {
						return "_"
					}
					return ""
				}
			},
		},
		"SystemUnwatched": {
			after: 5 * time.Minute, labels: ofSystem, amongOthers: true,
			change: func(c *scenario) { c.end("", s.labels(s.jobs[len(s.jobs)-1])) },
		},
		"ServiceErrorRate":     {after: 10 * time.Minute, notBefore: 5*time.Minute - step, change: func(c *scenario) { c.serve(counter, "503") }},
		"ServiceRefusals":      {after: 10 * time.Minute, notBefore: 5*time.Minute - step, change: func(c *scenario) { c.serve(counter, "401") }},
		"ServiceCounterAbsent": {after: 10 * time.Minute, change: func(c *scenario) { c.end(counter) }},
	}[r.Alert]
	return p, ok
}

// prove makes the alert fire in the same way, among all the other series.
func (e example) prove() proof {
	return proof{after: e.after, labels: e.labels, change: func(c *scenario) {
		id := map[string]string{"system": e.job.System, "probe": e.job.Name}
		c.verdict(e.job, e.verdict)
		for _, s := range e.series {
			c.set(s.metric, s.value, id, s.labels)
		}
	}}
}

// alerts returns the rules that fire.
func (f *File) alerts() (all []Rule) {
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				all = append(all, r)
			}
		}
	}
	return all
}

// scenarios are the unit tests of the rules of a file: each alert fires on time and no other does; none fires while all
// probes pass, over a lost scrape, or when the prober restarts; a missing prober is noticed; one location has no majority.
// An alert is left out if it was tried already, unless its expression depends on the kind.
func (f *File) scenarios(t *testing.T, tried map[string]bool) (all []testCase) {
	t.Helper()
	all = f.quiet(t)
	for _, r := range f.alerts() {
		p, ok := f.prove(r)
		switch {
		case !ok && r.Alert != "ProbeFailsFromOneLocation": // that needs three locations
			t.Fatalf("nothing shows that %s fires", r.Alert)
		case ok && (!tried[r.Alert] || r.Alert == "ProbeFailing" || r.Alert == "ProbeInconclusive"):
			all = append(all, f.fires(t, r, p))
		}
		tried[r.Alert] = true
	}
	for _, s := range f.systems {
		for _, j := range s.jobs {
			all = append(all, f.explained(t, s, j)...)
			if f.options.exports(j, breaches) {
				all = append(all, f.breachedOnce(t, s, j), f.provenElsewhere(t, s, j))
			}
		}
		if !tried["robust"] {
			all = append(all, f.robust(t, s)...)
			tried["robust"] = true
		}
	}
	return all
}

// scenario makes one that lasts for a time after the change.
func (f *File) scenario(t *testing.T, probers []prober, after time.Duration) *scenario {
	return newScenario(t, f.options.job(), probers, f.systems, changeStep+steps(after)+2)
}

const (
	allFiring      = `ALERTS{alertstate="firing"}`
	firingOnProbes = `ALERTS{alertstate="firing",probe!=""}`
)

// firingOf selects the firing alerts of one name.
func firingOf(alert string) string {
	return fmt.Sprintf(`ALERTS{alertname=%q,alertstate="firing"}`, alert)
}

// none expects silence at these times after the change.
func none(expr string, times ...time.Duration) (all []assertion) {
	for _, t := range times {
		all = append(all, assertion{expr, promTime(changeTime + t), []expectedSample{}})
	}
	return all
}

// only expects this alert at a time after the change, and no other.
func only(expr string, t time.Duration, r Rule, labels map[string]string) assertion {
	return assertion{expr, promTime(changeTime + t), []expectedSample{r.firing(labels)}}
}

// quiet are the cases in which no alert may fire.
func (f *File) quiet(t *testing.T) []testCase {
	const long = 12 * time.Minute
	passing := f.scenario(t, oneProber, long)
	lost := f.scenario(t, oneProber, 5*time.Minute)
	lost.loseScrape(0)
	restarted := f.scenario(t, oneProber, long)
	restarted.restart()
	return []testCase{
		passing.test("all probes pass", none(allFiring, 0, 5*time.Minute, long)...),
		lost.test("one scrape is lost", none(allFiring, 0, time.Minute, 5*time.Minute)...),
		restarted.test("the prober restarts", none(allFiring, 0, time.Minute, 5*time.Minute, long)...),
	}
}

// fires is the case of one alert: silent before its time, then firing with its labels, and alone.
func (f *File) fires(t *testing.T, r Rule, p proof) testCase {
	probers := oneProber
	if p.probers != nil {
		probers = p.probers
	}
	c := f.scenario(t, probers, p.after)
	p.change(c)
	expr, name := allFiring, r.Alert
	switch {
	case p.amongOthers:
		expr = firingOf(r.Alert)
	case r.Alert == inconclusiveAlert: // of the only prober
		expr = firingOnProbes
	}
	if on := mergeLabels(p.labels, r.Labels)["probe"]; on != "" {
		name += " on " + on
	}
	// Two evaluations before its time are left open: versions of Prometheus differ in whether a range includes its start.
	notBefore := cmp.Or(p.notBefore, max(p.after-2*step, -step))
	return c.test(name+" fires after "+promTime(p.after), append(none(expr, notBefore), only(expr, p.after, r, p.labels))...)
}

// explained is the case of a probe that fails together with its dependency: only the dependency has an alert.
func (f *File) explained(t *testing.T, s *system, j probe.Job) (all []testCase) {
	for _, dependency := range s.jobs {
		if !slices.Contains(j.DependsOn, dependency.Name) {
			continue
		}
		r := s.failureAlerts(dependency)[0].rule()
		wait := max(r.example.after, failWait(j))
		c := f.scenario(t, oneProber, wait)
		c.fail(j)
		c.fail(dependency)
		all = append(all, c.test(fmt.Sprintf("%s fails because %s does", j.Name, dependency.Name), only(firingOnProbes, wait, r, r.example.labels)))
	}
	return all
}

// breachedOnce is the case of a breach in one run of many: the alert fires for an hour, and then no longer.
func (f *File) breachedOnce(t *testing.T, s *system, j probe.Job) testCase {
	all := s.isolationAlerts(j)
	r := all[slices.IndexFunc(all, func(a alert) bool { return a.name == "ProbeBreach" })].rule()
	c := f.scenario(t, oneProber, breachHold)
	c.set(breaches, 1, s.labels(j))
	expr, labels := firingOf(r.Alert), r.example.labels
	return c.test("one run finds a breach: for an hour", append([]assertion{only(expr, 0, r, labels), only(expr, breachHold-2*step, r, labels)},
		none(expr, breachHold+2*step)...)...)
}

// provenElsewhere is the case of one location that proves nothing any more while another one does: silent.
func (f *File) provenElsewhere(t *testing.T, s *system, j probe.Job) testCase {
	long := proofAge(j) + 2*time.Minute
	c := f.scenario(t, twoProbers, long)
	c.stop(lastProven, s.labels(j), map[string]string{region: twoProbers[0].region})
	return c.test("one of two locations cannot prove isolation: silent", none(firingOf("ProbeIsolationUnproven"), long-2*time.Minute, long)...)
}

// robust are cases of less regular behaviour of a probe with one alert.
func (f *File) robust(t *testing.T, s *system) (all []testCase) {
	j := s.jobs[0]
	r := s.failureAlerts(j)[0].rule()
	wait, labels := r.example.after, r.example.labels

	lost := f.scenario(t, oneProber, wait)
	lost.fail(j)
	lost.loseScrape(2)
	all = append(all, lost.test("it fails, a scrape is lost, and the alert fires on time", append(none(allFiring, wait-2*step), only(allFiring, wait, r, labels))...))

	flapping := f.scenario(t, oneProber, 4*wait)
	every := max(3, 2*steps(j.Interval+step))
	for verdict, fails := range map[string]bool{"fail": true, "pass": false} {
		flapping.from(flapping.find("probe_verdict", map[string]string{"verdict": verdict}),
			func(_ func(int) float64, since int) float64 { return boolFloat((since%every == 0) == fails) })
	}
	all = append(all, flapping.test("it fails now and then: nobody is paged", none(allFiring, wait, 2*wait, 4*wait)...))

	recovered := f.scenario(t, oneProber, wait+time.Minute)
	recovered.fail(j)
	for verdict, v := range map[string]float64{"fail": 0, "pass": 1} {
		recovered.from(recovered.find("probe_verdict", map[string]string{"verdict": verdict}),
			func(old func(int) float64, since int) float64 {
				if since > steps(wait) {
					return v
				}
				return old(changeStep + since)
			})
	}
	all = append(all, recovered.test("it recovers: the first pass ends the alert", append([]assertion{only(allFiring, wait, r, labels)}, none(allFiring, wait+step)...)...))

	maintenance := f.scenario(t, oneProber, 12*time.Minute)
	maintenance.fail(j)
	maintenance.add("probe_in_maintenance", constant(1), map[string]string{"job": f.options.job(), "instance": exampleInstance}, s.labels(j), map[string]string{"type": j.Type})
	all = append(all, maintenance.test("it fails under maintenance: silent", none(allFiring, wait, 12*time.Minute)...))
	return append(all, f.quorum(t, s, j, r)...)
}

// quorum are the cases of three locations. Three probers in one location have one vote.
func (f *File) quorum(t *testing.T, s *system, j probe.Job, r Rule) []testCase {
	locations := []prober{{exampleInstance, "a"}, {"prober-1:9798", "a"}, {"prober-2:9798", "a"}, {"prober-3:9798", "b"}, {"prober-4:9798", "c"}}
	failing := func(after time.Duration, at ...string) *scenario {
		c := f.scenario(t, locations, after)
		for _, location := range at {
			c.fail(j, map[string]string{region: location})
		}
		return c
	}
	wait, labels := r.example.after, r.example.labels
	ticket := s.oneLocation().rule()
	return []testCase{
		failing(10*time.Minute, "a").test("it fails from one of three locations: a ticket",
			append(none(allFiring, wait, 5*time.Minute), only(allFiring, 10*time.Minute, ticket, mergeLabels(s.labels(j), map[string]string{region: "a"})))...),
		failing(wait, "b", "c").test("it fails from two of three locations: a page",
			append(none(allFiring, wait-2*step), only(allFiring, wait, r, labels))...),
	}
}
