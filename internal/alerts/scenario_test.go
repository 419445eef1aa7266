package alerts

import (
	"maps"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// steps is how many steps a time takes.
func steps(d time.Duration) int { return int(d / step) }

// A scenario is what Prometheus would have scraped: series, and the step at which something changes.
type scenario struct {
	t      *testing.T
	series []*timeSeries
	change int
	last   int
}

// A prober is one process that is scraped.
type prober struct{ instance, region string }

// serviceJob is the label job of a system that counts its own requests.
const serviceJob = "service"

var (
	oneProber  = []prober{{instance: exampleInstance}}
	twoProbers = []prober{{exampleInstance, "a"}, {"prober-1:9798", "b"}}
)

// newScenario makes a scenario in which every probe of the systems passes.
func newScenario(t *testing.T, job string, probers []prober, all []*system, last int) *scenario {
	c := &scenario{t: t, change: changeStep, last: last}
	for _, p := range probers {
		target := map[string]string{"job": job, "instance": p.instance}
		c.add("up", constant(1), target)
		c.add("process_start_time_seconds", constant(0), target)
		c.add("prober_config_last_reload_successful", constant(1), target)
		c.add("prober_panics_total", constant(0), target)
		c.add("prober_shards", constant(1), target, map[string]string{"shard": "0"})
		c.add("prober_self_check", constant(1), target, map[string]string{"check": "clock"})
		for _, le := range []string{"1", "5", "+Inf"} {
			c.add("prober_schedule_lag_seconds_bucket", rising(1), target, map[string]string{"le": le})
		}
		if p.region != "" {
			target[region] = p.region
		}
		for _, s := range all {
			for _, j := range s.jobs {
				c.addProbe(s, j, target)
			}
			for _, counter := range s.options.Counters {
				if counter.System == s.name && p == probers[0] {
					c.addService(s, counter, target)
				}
			}
		}
	}
	return c
}

// addService adds the counter of a system that serves hardly anyone but the probers: most of its answers are refusals
// and routes that do not exist yet, all of them expected.
func (c *scenario) addService(s *system, counter Counter, target map[string]string) {
	for code, rate := range map[string]float64{"200": 0.1, "401": 3, "501": 3, "503": 0} {
		c.add(counter.Metric, rising(rate), map[string]string{"job": serviceJob, "code": code})
		if rate > 1 {
			c.add("probe_expected_status_total", rising(rate), target, s.labels(s.jobs[0]), map[string]string{"type": s.jobs[0].Type, "code": code})
		}
	}
}

// serve makes the system give this answer to others than the probers.
func (c *scenario) serve(counter, code string) {
	c.from(c.find(counter, map[string]string{"code": code}), func(old func(int) float64, since int) float64 {
		return old(c.change+since) + 30*float64(since)
	})
}

// addProbe adds the series of one probe.
func (c *scenario) addProbe(s *system, j probe.Job, target map[string]string) {
	id := mergeLabels(mergeLabels(target, s.labels(j)), map[string]string{"type": j.Type})
	perStep := step.Seconds() / j.Interval.Seconds()
	for _, v := range probe.Verdicts {
		verdict := map[string]string{"verdict": v.String()}
		c.add("probe_verdict", constant(boolFloat(v == probe.Pass)), id, verdict)
		c.add("probe_runs_total", rising(perStep*boolFloat(v == probe.Pass)), id, verdict)
	}
	c.add("probe_success", constant(1), id)
	c.add("probe_interval_seconds", constant(j.Interval.Seconds()), id)
	c.add("probe_registered_timestamp_seconds", constant(0), id)
	c.add("probe_rate_limited_until_timestamp_seconds", constant(0), id)
	c.add("probe_last_run_timestamp_seconds", rising(step.Seconds()), id)
	c.add("probe_last_pass_timestamp_seconds", rising(step.Seconds()), id)
	for _, le := range []string{"2", "2.5", "+Inf"} {
		c.add("probe_run_duration_seconds_bucket", rising(perStep), id, map[string]string{"le": le})
	}
	for _, check := range j.Probe.Checks() {
		c.add("probe_check_success", constant(1), id, map[string]string{"check": check})
	}
	c.addMeasures(s.options, j, id)
	for _, signal := range j.Signals {
		c.add(signal.Name, constant(1), target, signal.Labels)
	}
}

// exampleToken is a token that a probe stores for one of its callers.
const exampleToken = "valid"

// addMeasures adds the series that the rules read of some kinds.
func (c *scenario) addMeasures(o Options, j probe.Job, id map[string]string) {
	set := func(name, label, good string, others ...string) {
		for _, v := range append([]string{good}, others...) {
			c.add(name, constant(boolFloat(v == good)), id, map[string]string{label: v})
		}
	}
	if o.exports(j, healthState) {
		set(healthState, "state", "serving", alertedStates...)
	}
	if o.exports(j, breaches) {
		c.add(breaches, constant(0), id, map[string]string{"surface": exampleSurface})
		c.add(lastProven, rising(step.Seconds()), id, map[string]string{"surface": exampleSurface})
	}
	if o.exports(j, sqlInRecovery) && has(j, checkPrimary) {
		for i, server := range exampleServers {
			c.add(sqlInRecovery, constant(boolFloat(i > 0)), id, map[string]string{"target": server})
		}
	}
	if o.exports(j, authOutcome) {
		set(authOutcome, "outcome", "auth_passed", "auth_bypass", "valid_rejected")
		set(authCase, "outcome", "as_expected", "accepted")
		for _, s := range c.find(authCase) {
			s.labels["caller"] = "revoked"
		}
	}
	if o.exports(j, tokenExpiry) {
		c.add(tokenExpiry, constant((30 * 24 * time.Hour).Seconds()), id, map[string]string{"caller": exampleToken})
		c.add(tokenExpiry, constant(0), id, map[string]string{"caller": "expired"})
	}
	if expectsDenial(j) {
		c.add("probe_http_status_code", constant(401), id, map[string]string{"check": "status"})
	}
}

func (c *scenario) add(name string, value func(int) float64, labels ...map[string]string) {
	s := &timeSeries{name: name, value: value, text: func(int) string { return "" }, labels: map[string]string{}}
	for _, l := range labels {
		maps.Copy(s.labels, l)
	}
	c.series = append(c.series, s)
}

// find returns the series of a name that have all the labels. No name means any.
func (c *scenario) find(name string, labels ...map[string]string) (found []*timeSeries) {
	for _, s := range c.series {
		matches := name == "" || s.name == name
		for _, l := range labels {
			for k, v := range l {
				matches = matches && s.labels[k] == v
			}
		}
		if matches {
			found = append(found, s)
		}
	}
	if found == nil {
		c.t.Helper()
		c.t.Fatalf("the scenario has no series %s with %v", name, labels)
	}
	return found
}

// from gives series other values from the change on; next gets the number of steps since then.
func (c *scenario) from(found []*timeSeries, next func(old func(int) float64, since int) float64) {
	for _, s := range found {
		old := s.value
		s.value = func(step int) float64 {
			if step < c.change {
				return old(step)
			}
			return next(old, step-c.change)
		}
	}
}

func (c *scenario) set(name string, v float64, labels ...map[string]string) {
	c.from(c.find(name, labels...), func(func(int) float64, int) float64 { return v })
}

// stop makes counters and times keep their value.
func (c *scenario) stop(name string, labels ...map[string]string) {
	c.from(c.find(name, labels...), func(old func(int) float64, _ int) float64 { return old(c.change) })
}

// setToChange sets times to the time of the change.
func (c *scenario) setToChange(name string, labels map[string]string) {
	c.set(name, changeTime.Seconds(), labels)
}

// end ends series, like those of a removed target.
func (c *scenario) end(name string, labels ...map[string]string) {
	for _, s := range c.find(name, labels...) {
		c.endOne(s)
	}
}

func (c *scenario) endOne(s *timeSeries) {
	c.show(s, func(since int) string {
		if since == 0 {
			return "stale"
		}
		return "_"
	})
}

// show overrides what a series shows from the change on.
func (c *scenario) show(s *timeSeries, text func(since int) string) {
	s.text = func(step int) string {
		if step < c.change {
			return ""
		}
		return text(step - c.change)
	}
}

// loseScrape makes one scrape of everything fail.
func (c *scenario) loseScrape(since int) {
	for _, s := range c.series {
		if s.name == "up" {
			old := s.value
			s.value = func(step int) float64 {
				if step == c.change+since {
					return 0
				}
				return old(step)
			}
			continue
		}
		c.show(s, func(at int) string {
			if at == since {
				return "stale"
			}
			return ""
		})
	}
}

// kill ends the probers with these labels, and the requests that they send to the services. Prometheus keeps trying.
func (c *scenario) kill(labels ...map[string]string) {
	for _, s := range c.find("", labels...) {
		if s.name == "up" {
			c.from([]*timeSeries{s}, func(func(int) float64, int) float64 { return 0 })
			continue
		}
		if s.labels["job"] != serviceJob {
			c.endOne(s)
			continue
		}
		if code := s.labels["code"]; code == "401" || code == "501" {
			c.from([]*timeSeries{s}, func(old func(int) float64, _ int) float64 { return old(c.change) })
		}
	}
}

// restart restarts the probers: counters at 0, no run yet at the change, everything as before afterwards.
func (c *scenario) restart() {
	for _, s := range c.series {
		if strings.HasSuffix(s.name, "_total") || strings.HasSuffix(s.name, "_count") || strings.HasSuffix(s.name, "_bucket") {
			c.from([]*timeSeries{s}, func(old func(int) float64, since int) float64 { return old(c.change+since) - old(c.change) })
		}
	}
	first := func(name string, v float64, labels ...map[string]string) {
		c.from(c.find(name, labels...), func(old func(int) float64, since int) float64 {
			if since == 0 {
				return v
			}
			return old(c.change + since)
		})
	}
	c.setToChange("probe_registered_timestamp_seconds", nil)
	c.setToChange("process_start_time_seconds", nil)
	first("probe_last_run_timestamp_seconds", 0)
	first("probe_last_pass_timestamp_seconds", 0)
	first("probe_success", 0)
	first("probe_verdict", 0)
	first("probe_verdict", 1, map[string]string{"verdict": "inconclusive"})
}

// verdict gives every run of a probe this verdict, at all locations or at those with the labels.
func (c *scenario) verdict(j probe.Job, v probe.Verdict, at ...map[string]string) {
	id := append([]map[string]string{{"system": j.System, "probe": j.Name}}, at...)
	perStep := step.Seconds() / j.Interval.Seconds()
	c.set("probe_verdict", 0, id...)
	c.stop("probe_runs_total", id...)
	id = append(id, map[string]string{"verdict": v.String()})
	c.set("probe_verdict", 1, id...)
	c.from(c.find("probe_runs_total", id...), func(old func(int) float64, since int) float64 { return old(c.change) + perStep*float64(since) })
}

// alternate gives the runs of a probe these verdicts in turn, one for each step.
func (c *scenario) alternate(j probe.Job, verdicts ...probe.Verdict) {
	id := map[string]string{"system": j.System, "probe": j.Name}
	for _, v := range probe.Verdicts {
		c.from(c.find("probe_verdict", id, map[string]string{"verdict": v.String()}), func(_ func(int) float64, since int) float64 {
			return boolFloat(verdicts[since%len(verdicts)] == v)
		})
	}
	c.stop("probe_runs_total", id)
}

// flap makes every other run of a probe fail.
func (c *scenario) flap(j probe.Job) {
	c.alternate(j, probe.Fail, probe.Pass)
	half := step.Seconds() / j.Interval.Seconds() / 2
	c.from(c.find("probe_runs_total", map[string]string{"system": j.System, "probe": j.Name}), func(old func(int) float64, since int) float64 {
		return old(c.change) + half*float64(since)
	})
}

// fail makes a probe fail.
func (c *scenario) fail(j probe.Job, at ...map[string]string) { c.verdict(j, probe.Fail, at...) }

// test is the unit test of the scenario.
func (c *scenario) test(name string, expected ...assertion) testCase {
	tc := testCase{Name: name, Interval: promTime(step), Expected: expected}
	for _, s := range c.series {
		tc.Input = append(tc.Input, inputSeries{series(s.name, s.labels), s.values(c.last)})
	}
	return tc
}
