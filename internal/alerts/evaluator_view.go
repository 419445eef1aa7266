package alerts

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
)

// A moment is what is known of the probes of a system at one time.
type moment struct {
	system *evaluated
	states map[probe.Key]*state
	now    time.Time

	annotation string // of every alert: which deploys are near the onset
}

// A view is what conditions see: one probe, or the whole system if job is nil.
type view struct {
	*moment
	job *probe.Job
	*state
}

func (m *moment) view(j *probe.Job) *view { return &view{m, j, m.states[j.Key()]} }

// of is the view of another probe.
func (v *view) of(j *probe.Job) *view { return v.view(j) }

// maintained reports whether the probe is worked on.
func (v *view) maintained() bool {
	if v.job == nil {
		return false
	}
	_, _, open := v.job.Maintained(v.now)
	return open
}

// needsLook reports whether an alert on the probe may hold.
func (v *view) needsLook() bool {
	return !v.ran.IsZero() && (v.verdict != probe.Pass || v.failedWithin(flappingWindow(v.job)) || len(v.samples) > 0 || v.proven != nil || v.breaches != nil)
}

func (v *view) onlyTargetChecks() bool { return v.failing() && v.targetOnly() }

// check returns the lowest and the highest success of a check over its targets, of those that are conclusive.
func (v *view) check(name string) (lowest, highest float64, known bool) {
	worst := map[string]probe.Verdict{}
	for _, c := range v.checks {
		if c.Name != name {
			continue
		}
		if before, seen := worst[c.Target]; seen {
			c.Verdict = probe.Worse(before, c.Verdict)
		}
		worst[c.Target] = c.Verdict
	}
	lowest = 1
	for _, verdict := range worst {
		switch verdict {
		case probe.Pass:
			highest, known = 1, true
		case probe.Fail:
			lowest, known = 0, true
		}
	}
	return lowest, highest, known
}

//go:noinline
func (v *view) checkFails(name string) bool {
	lowest, _, known := v.check(name)
	return known && lowest == 0
}

func (v *view) hasReason(word string) bool {
	return slices.ContainsFunc(v.checks, func(c probe.Check) bool { return c.Reason.Word == word })
}

// status is the highest status on which a check rests; 0 without one.
func (v *view) status(check string) (status int) {
	for _, c := range v.codes {
		if c.check == check {
			status = max(status, c.status)
		}
	}
	return status
}

// labelsOf are the labels of a sample.
func labelsOf(s probe.Sample) map[string]string {
	labels := map[string]string{}
	for i, name := range s.Labels {
		labels[name] = s.Values[i]
	}
	return labels
}

// any reports whether a series above 0 has labels that match.
//
//go:noinline
func (v *view) any(series string, match func(labels map[string]string) bool) bool {
	return slices.ContainsFunc(v.samples, func(s probe.Sample) bool { return s.Name == series && s.Value > 0 && match(labelsOf(s)) })
}

func (v *view) inState(states []string) bool {
	return v.any(healthState, func(labels map[string]string) bool { return slices.Contains(states, labels["state"]) })
}

func (v *view) inStateBeside(states []string) bool {
	return v.any(healthState, func(labels map[string]string) bool { return !slices.Contains(states, labels["state"]) })
}

// breached are the surfaces of a breach within the last hour.
func (v *view) breached() (all []found) {
	for surface, at := range v.breaches {
		if v.now.Sub(at) < breachHold {
			all = append(all, found{map[string]string{"surface": surface}, 1, at})
		}
	}
	return all
}

// unproven reports whether a surface has not been proven for so long.
func (v *view) unproven(maxAge time.Duration) bool {
	if v.now.Sub(v.registered) <= maxAge {
		return false
	}
	for _, at := range v.proven {
		if float64(v.now.UnixMilli())/1e3-at > maxAge.Seconds() {
			return true
		}
	}
	return false
}

// notZero are the series of telemetry above 0, by name.
func (v *view) notZero() (all []found) {
	most := map[string]float64{}
	for _, s := range v.samples {
		if s.Name == telemetryZero && s.Value > 0 {
			name := labelsOf(s)["name"]
			most[name] = max(most[name], s.Value)
		}
	}
	for name, value := range most {
		all = append(all, found{labels: map[string]string{"name": name}, value: value})
	}
	return all
}

// primaries counts the servers that are not in recovery, if any answered.
func (v *view) primaries() (n int, known bool) {
	for _, s := range v.samples {
		if s.Name == sqlInRecovery {
			known = true
			n += int(1 - s.Value)
		}
	}
	return n, known
}

func (v *view) mixedVersions() []found {
	if v.versions < 2 {
		return nil
	}
	return []found{{value: float64(v.versions)}}
}

// inconclusiveFor reports whether there has been no conclusive result for a time.
func (v *view) inconclusiveFor(window time.Duration) bool {
	return !v.ran.IsZero() && v.verdict == probe.Inconclusive && v.now.Sub(v.since) >= window
}

// failedWithin reports whether the probe failed within a time.
func (v *view) failedWithin(window time.Duration) bool {
	return v.failing() || !v.failed.IsZero() && v.now.Sub(v.failed) <= window
}

// notPassing reports whether the probe has not passed for two windows, and fails and is inconclusive in turn.
func (v *view) notPassing(window time.Duration) bool {
	failsThroughout := v.failing() && v.now.Sub(v.since) >= window
	last := v.passed
	if last.IsZero() {
		last = v.registered
	}
	return v.now.Sub(last) > 2*window && v.failedWithin(2*window) && !failsThroughout
}

// neverPassed reports whether the probe never passed since the prober started.
func (v *view) neverPassed() bool {
	return v.passed.IsZero() && v.now.Sub(v.registered) > max(3*v.job.Interval, neverPassedAfter)
}

// stale reports whether the probe has not run for three intervals, and nobody asked for that.
func (v *view) stale() bool {
	last := v.ran
	if last.IsZero() {
		last = v.registered
	}
	return v.now.Sub(last) > 3*v.job.Interval && v.now.Sub(v.limited) > 3*v.job.Interval
}

// slow is how slow the 95th percentile of the runs is at least, if it is too slow.
func (v *view) slow(window time.Duration) []found {
	var took []int32
	conclusive := 0
	for _, r := range v.runs {
		if r.at < v.now.Add(-window).UnixMilli() {
			continue
		}
		took = append(took, r.took)
		if probe.Verdict(r.verdict) != probe.Inconclusive {
			conclusive++
		}
	}
	if conclusive < minLatencySamples {
		return nil
	}
	slices.Sort(took)
	p95 := float64(took[(len(took)*95+99)/100-1]) / 1e3
	if p95 <= maxLatency {
		return nil
	}
	return []found{{value: p95}}
}

// outage is found if no probe of the system passes and at least two fail.
func (v *view) outage() []found {
	failing := 0
	for i := range v.system.jobs {
		of := v.view(&v.system.jobs[i])
		switch {
		case !of.ran.IsZero() && of.verdict == probe.Pass:
			return nil
		case of.failing() && !of.targetOnly() && !of.maintained():
			failing++
		}
	}
	if failing < 2 {
		return nil
	}
	return []found{{value: float64(failing)}}
}

// maxErrorRate is the share of runs that may fail.
const maxErrorRate = 0.1

// errorRate is found if too many of the runs of some probes failed within a time.
func (v *view) errorRate(jobs []probe.Job, window time.Duration) []found {
	from := v.now.Add(-window)
	fail, all := 0.0, 0.0
	for i := range jobs {
		of := v.view(&jobs[i])
		recent := of.runs[len(of.runs)-of.countSince(from):]
		if slices.ContainsFunc(recent, func(r run) bool { return r.targetOnly || of.wasMaintained(r) }) || of.maintained() {
			continue
		}
		failed, conclusive := countFailed(recent)
		fail, all = fail+failed, all+conclusive
	}
	if all < minRuns || fail/all <= maxErrorRate {
		return nil
	}
	return []found{{value: fail / all}}
}

// flapping is found if the probe fails in many of its runs, and passes in others.
func (v *view) flapping() []found {
	changes := 0
	recent := v.runs[len(v.runs)-v.countSince(v.now.Add(-flappingWindow(v.job))):]
	for i, r := range recent {
		if v.wasMaintained(r) {
			return nil
		}
		if i > 0 && r.verdict != recent[i-1].verdict {
			changes++
		}
	}
	fail, all := countFailed(recent)
	if all < minFlappingRuns || changes < minChanges || fail <= maxFlappingRate*all || fail == all {
		return nil
	}
	return []found{{value: fail / all}}
}

// countFailed counts the runs that failed, and those that failed or passed.
func countFailed(runs []run) (failed, conclusive float64) {
	for _, r := range runs {
		switch probe.Verdict(r.verdict) {
		case probe.Fail:
			failed++
			conclusive++
		case probe.Pass:
			conclusive++
		}
	}
	return failed, conclusive
}

// countSince counts the runs since a time.
func (v *view) countSince(from time.Time) (n int) {
	for n < len(v.runs) && v.runs[len(v.runs)-1-n].at >= from.UnixMilli() {
		n++
	}
	return n
}

func (v *view) wasMaintained(r run) bool {
	_, _, open := v.job.Maintained(time.UnixMilli(r.at))
	return open
}

// recent are the checks of the last run, or if that passed, of the one that failed shortly before.
func (v *view) recent() []probe.Check {
	if v.checks != nil || !v.failedWithin(inconclusiveWindow(*v.job)) {
		return v.checks
	}
	return v.before
}

// failures lists the checks that did not pass, with their reasons and what they got.
func (v *view) failures() string {
	var all []string
	for _, c := range v.recent() {
		if c.Verdict == probe.Pass || len(all) == maxDetails {
			continue
		}
		text := fmt.Sprintf("%s (%s)", c.Name, c.Reason.Word)
		if c.Target != "" {
			text = fmt.Sprintf("%s at %s (%s)", c.Name, c.Target, c.Reason.Word)
		}
		if c.Detail != "" {
			text += ": " + c.Detail
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}
