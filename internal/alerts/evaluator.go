package alerts

import (
	"maps"
	"slices"
	"sync"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
)

// An Evaluator decides in a prober which alerts there are, for one that has no Prometheus. The alerts, their labels and their
// waits are those of the rules; the conditions are decided by the prober's own results alone, so locations have no votes. What
// only Prometheus knows is not evaluated: that a prober is gone, the counters of services, and the signals of other alerts.
//
// It is a probe.Sink and its methods may be called from several goroutines; only Alerts must not overlap itself.
type Evaluator struct {
	options Options
	since   func(probe.ID) probe.Since
	changed chan struct{}

	mu     sync.Mutex
	jobs   []probe.Job
	states map[probe.Key]*state
	epoch  int // of jobs

	// Of Alerts alone.
	systems []*evaluated
	of      int // the epoch of systems
}

// NewEvaluator returns an Evaluator without probes. Since says since when a probe has its verdict, over restarts of the prober if
// that is known; nil if it is not.
func NewEvaluator(o Options, since func(probe.ID) probe.Since) *Evaluator {
	return &Evaluator{options: o, since: since, states: map[probe.Key]*state{}, changed: make(chan struct{}, 1)}
}

// Changed receives when a verdict changed: then alerts may have begun or ended.
func (e *Evaluator) Changed() <-chan struct{} { return e.changed }

// SetJobs replaces the set of probes. What is known of those with other settings than before is forgotten.
func (e *Evaluator) SetJobs(jobs []probe.Job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	states := make(map[probe.Key]*state, len(jobs))
	for _, j := range jobs {
		if s := e.states[j.Key()]; s != nil && s.settings == j.Settings && s.kind == j.Type {
			states[j.Key()] = s
			continue
		}
		states[j.Key()] = newState(j, time.Now())
	}
	e.jobs, e.states = jobs, states
	e.epoch++
	e.signal()
}

// Observe notes a run.
func (e *Evaluator) Observe(r probe.Result) {
	var since time.Time
	if e.since != nil {
		since = e.since(r.ID).At
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.states[r.Key()]
	if old == nil || old.kind != r.Type {
		return
	}
	next := old.after(&r, since)
	e.states[r.Key()] = next
	if next.verdict != old.verdict || old.ran.IsZero() || next.verdict != probe.Pass {
		e.signal()
	}
}

// Limited notes until when a probe does not run, because its target asked for fewer requests; the zero time if it does.
func (e *Evaluator) Limited(id probe.ID, until time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if old := e.states[id.Key()]; old != nil {
		next := *old
		next.limited = until
		e.states[id.Key()] = &next
	}
}

func (e *Evaluator) signal() {
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

// Watches returns what is known at a time of each configured probe. Of one that has not run in this process that is little.
func (e *Evaluator) Watches(now time.Time) map[probe.Key]probe.Watch {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make(map[probe.Key]probe.Watch, len(e.states))
	for _, j := range e.jobs {
		_, _, maintained := j.Maintained(now)
		all[j.Key()] = probe.Watch{
			Ran:        !e.states[j.Key()].ran.IsZero(),
			Maintained: maintained,
			DependencyFails: slices.ContainsFunc(j.DependsOn, func(name string) bool {
				s := e.states[probe.Key{System: j.System, Name: name}]
				return s != nil && s.failing()
			}),
		}
	}
	return all
}

// Alerts returns the alerts whose condition holds at a time. They have not waited yet.
func (e *Evaluator) Alerts(now time.Time) (all []probe.Alert) {
	e.mu.Lock()
	jobs, states, epoch := e.jobs, maps.Clone(e.states), e.epoch
	e.mu.Unlock()
	if epoch != e.of {
		e.systems, e.of = evaluatedSystems(jobs, e.options), epoch
	}
	for _, s := range e.systems {
		all = append(all, s.alerts(states, now)...)
	}
	return append(all, e.allInconclusive(jobs, states, now)...)
}

// allInconclusive is the alert on a prober that learns nothing from any probe.
func (e *Evaluator) allInconclusive(jobs []probe.Job, states map[probe.Key]*state, now time.Time) []probe.Alert {
	if len(jobs) == 0 || slices.ContainsFunc(jobs, func(j probe.Job) bool {
		s := states[j.Key()]
		return s.ran.IsZero() || s.verdict != probe.Inconclusive || now.Sub(s.since) < allInconclusiveWindow
	}) {
		return nil
	}
	return []probe.Alert{allInconclusive("").alert(nil, nil, found{}, "")}
}

// SelfCheckFailed is the alert on a self-check of this prober that failed.
func SelfCheckFailed(check, instance string) probe.Alert {
	return selfCheckFailed("").alert(nil, nil, found{labels: map[string]string{"check": check, "instance": instance}}, "")
}

// ReloadFailed is the alert on a configuration that this prober refused.
func ReloadFailed(instance string) probe.Alert {
	return reloadFailed("").alert(nil, nil, found{labels: map[string]string{"instance": instance}}, "")
}

// An evaluated is a system with its alerts that are not built again each time.
type evaluated struct {
	*system
	byKey map[probe.Key]*probe.Job
	whole []alert            // of runbooks and of the system
	built map[string][]alert // by probe, of those that need a look
}

func evaluatedSystems(jobs []probe.Job, o Options) (all []*evaluated) {
	for _, s := range systems(jobs, o) {
		e := &evaluated{system: s, built: map[string][]alert{}, byKey: map[probe.Key]*probe.Job{}}
		for i := range s.jobs {
			e.byKey[s.jobs[i].Key()] = &s.jobs[i]
		}
		e.whole = append(s.latencyAlerts(), s.targetAlerts()...)
		for _, g := range groupByRunbook(s.jobs) {
			e.whole = append(e.whole, s.neverPassed(g), s.stale(g))
		}
		e.whole = drop.If(append(e.whole, s.outageAlerts()...), func(a alert) bool { return a.found == nil })
		all = append(all, e)
	}
	return all
}

// alerts returns the alerts of the system whose condition holds.
func (e *evaluated) alerts(states map[probe.Key]*state, now time.Time) (all []probe.Alert) {
	at := &moment{system: e, states: states, now: now}
	at.annotation = e.deploysText(at)
	for _, j := range e.jobs {
		v := at.view(&j)
		if !v.needsLook() {
			delete(e.built, j.Name)
			continue
		}
		if e.built[j.Name] == nil {
			e.built[j.Name] = slices.Concat(e.failureAlerts(j), e.certificateAlerts(j), []alert{e.inconclusive(j), e.notPassing(j), e.flapping(j)})
		}
		for _, a := range e.built[j.Name] {
			all = append(all, e.decide(a, v)...)
		}
	}
	for _, a := range e.whole {
		if a.jobs == nil {
			all = append(all, e.decide(a, &view{moment: at})...)
		}
		for i := range a.jobs {
			all = append(all, e.decide(a, at.view(&a.jobs[i]))...)
		}
	}
	return all
}

// decide returns an alert for each thing that it is found on.
func (e *evaluated) decide(a alert, v *view) (all []probe.Alert) {
	if v.maintained() {
		return nil
	}
	for _, f := range a.found(v) {
		var detail, reason string
		if v.job != nil {
			f.labels = mergeLabels(e.labels(*v.job), f.labels)
			detail, reason = v.failures(), v.reason()
		}
		one := a.alert(e.system, v.job, f, detail)
		one.Reason = reason
		if v.annotation != "" {
			one.Annotations["deploys"] = v.annotation
		}
		all = append(all, one)
	}
	return all
}
