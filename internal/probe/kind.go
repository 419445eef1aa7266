package probe

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Kind describes a kind of probe to the rest of the prober. It is all that other packages know of a kind: none of
// them has a list of kinds, or switches on the name of one.
type Kind struct {
	// New returns a probe with its default settings.
	New func() Probe
	// Summary is one line: what a probe of the kind asks.
	Summary string
	// Measures are all that a run may note. Their labels are reserved: a configured label of the same name is refused.
	Measures []*Measure
	// Reasons are those that a run may give beside CommonReasons.
	Reasons []Reason
	// RenamedChecks maps the old names of checks to those that they have now. A signal of an old one is refused with the new.
	RenamedChecks map[string]string
	// Refused says why no probe of the kind may be configured; empty: they may.
	Refused string
	// Traits are what the generated alerts ask, and whether the kind must be allowed.
	Traits Traits
}

// Traits says what the rest of the prober must know of a kind beyond its verdicts.
type Traits struct {
	HTTPLatency    bool // the latency of a run is that of the target's HTTP answers
	ProvesDenial   bool // a pass means that somebody was denied: not knowing that is worse than not knowing that a page is up
	WritesToTarget bool // a run creates, changes or deletes something at the target, and takes it back
	StartsPrograms bool // a run starts a program of this machine, which only --allow-exec allows
}

// Kinds maps the word after "type:" to the kind.
type Kinds map[string]Kind

// ReservedLabels are labels that no configuration may set, whatever the kinds: those of the series that every probe has
// and of the generated alerts, and those that Prometheus gives to what it scrapes. The labels of a kind's measures are
// reserved for its probes.
var ReservedLabels = [...]string{
	"system", "probe", "type", "check", "target", "reason", "verdict", "runbook", "runbook_url", "severity", "phase", "code",
	"version", "replica", "trace_id", "le", "quantile", "job", "instance", "alertname", "alertstate", "runbook_severity",
}

// Undeclared reports what a result holds that the kind does not declare: a reason or a measure. A kind's tests hold
// their results against it, since what is not declared is missing from the documentation and from the reserved labels.
func (k Kind) Undeclared(r Result) error {
	for _, c := range r.Checks {
		if c.Reason != OK && !slices.Contains(CommonReasons[:], c.Reason) && !slices.Contains(k.Reasons, c.Reason) {
			return fmt.Errorf("check %s: the kind does not declare the reason %s", c.Name, c.Reason)
		}
	}
	for _, s := range r.Samples {
		if !slices.Contains(k.Measures, s.Measure) {
			return fmt.Errorf("the kind does not declare the measure %s", s.Measure.Name)
		}
	}
	return nil
}

// Repeats reports a check whose detail begins with what stands before it anyway wherever it is shown: the name of the check, or its
// reason. A kind's tests hold their results against it.
func (r Result) Repeats() error {
	for _, c := range r.Checks {
		for _, said := range []string{c.Name, c.Reason.Word} {
			if said != "" && strings.HasPrefix(c.Detail, said+": ") {
				return fmt.Errorf("check %s (%s): the detail says that again: %s", c.Name, c.Reason, c.Detail)
			}
		}
	}
	return nil
}

// A Closer is a Probe that keeps something open between its runs. Close lets go of it when the configuration no longer
// holds the probe; a run that is still under way ends as usual.
type Closer interface {
	Probe
	Close()
}

// A Repeater is a Probe that looks again, in its next run, at what it did in the last one, and leaves something at its
// target for that. Repeat tells it before its first run that there are further ones. Close then removes what it left.
type Repeater interface {
	Closer
	Repeat()
}

// A StatusProvoker is a Probe that provokes HTTP statuses of 400 and above on purpose, such as the denials that it
// tests. ExpectedStatuses lists them by target, for dashboards and alerts that subtract the prober's own traffic.
type StatusProvoker interface {
	Probe
	ExpectedStatuses() map[string][]int
}

// A TimeoutChecker is a Probe with settings that its timeout bounds. CheckTimeout reports those beyond it, joined. It is
// asked after Validate.
type TimeoutChecker interface {
	Probe
	CheckTimeout(timeout time.Duration) error
}

// A LatencyLimiter is a Probe with a maximum for the latency of its target. LatencyLimit returns it, or 0 if none is configured. It
// is asked after Validate.
type LatencyLimiter interface {
	Probe
	LatencyLimit() time.Duration
}

// LatencyLimit returns the maximum of the latency that is configured; 0 if there is none.
func (j Job) LatencyLimit() time.Duration {
	if p, ok := j.Probe.(LatencyLimiter); ok {
		return p.LatencyLimit()
	}
	return 0
}

// A SeriesRequirer is a Probe that requires series of its target, as alerts read them. RequiresSeries reports whether it
// requires one of that name and, if the label is not empty, that label of it. It is asked after Validate.
type SeriesRequirer interface {
	Probe
	RequiresSeries(name, label string) bool
}

// A BaselineComparer is a Probe that compares how a service fares with what was before an incident. Compared names what it
// compares; empty if nothing. The incident note says whether that is back to what it was.
type BaselineComparer interface {
	Probe
	Compared() []string
}

// A DeployReporter is a Probe that reports deploys. What it checks is not whether a version is good, so that its verdicts neither
// begin a freeze nor make a version a bad one. ReportsDeploys does nothing.
type DeployReporter interface {
	Probe
	ReportsDeploys()
}

// An Initializer is a Probe that has series before its first run: counters at 0, and gauges that follow from the
// configuration. It is asked after Validate; the measures of the samples are counters or kept.
type Initializer interface {
	Probe
	InitialSamples() []Sample
}
