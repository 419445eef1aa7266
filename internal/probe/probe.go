// Package probe is the vocabulary of the prober: what a probe is, what a run of one yields, and who may look at it.
//
// Data flows one way: YAML becomes Jobs, a Job is run, a run yields a Result, and Sinks read Results. A probe returns
// evidence, never a metric or a log line; what becomes of the evidence is somebody else's file.
package probe

import (
	"cmp"
	"context"
	"time"

	"prober/internal/memory"
	"prober/internal/text"
)

// A Probe asks one question of a running system. Its exported fields are its settings, filled in from YAML; once
// Validate has passed they never change, so one Probe may be asked from several goroutines.
type Probe interface {
	// Validate reports everything wrong with the settings, joined.
	Validate() error
	// Checks names the checks that a run can note, in the order in which they are shown. It is called after Validate.
	Checks() []string
	// Ask asks once and notes on r what was seen. It returns by ctx's deadline.
	Ask(ctx context.Context, r *Result)
}

// An ID names a probe; it is the same on job, result and series. System and Name together are unique.
type ID struct {
	System   string // the system probed, from the head of its file
	Name     string
	Type     string // the kind
	Runbook  string // the procedure that the probe serves; may be empty
	Severity string // as the runbook calls it: P1, sev2; may be empty
}

// A Key is the identity of a probe: no two jobs share it, and a reload keeps it.
type Key struct{ System, Name string }

// Key returns the identity of the probe.
func (id ID) Key() Key { return Key{id.System, id.Name} }

// String returns "SYSTEM/NAME".
//
//go:noinline
func (k Key) String() string { return k.System + "/" + k.Name }

// A Job is a probe with its schedule, as configured. It is read-only once built.
type Job struct {
	ID
	Kind       Kind // what the probe is one of
	Probe      Probe
	Settings   string // a hash of the probe's settings as written: another one asks another question
	RunbookURL string
	// What people call the probe, its runbook and its system.
	About, AboutRunbook, AboutSystem Description

	SLO       Objective        // of the runbook's probes together; zero for none
	Responses map[int]Response // by level of severity: what the alerts of the system ask of people
	Interval  time.Duration
	Timeout   time.Duration
	Labels    map[string]string // constant labels, from the configuration
	Signals   map[string]Signal // by check: the series that an alert already reads
	DependsOn []string          // names of probes of the same system

	// List names the TargetLister of the same system that the probe was made from; empty for one that is configured by itself.
	List string
	// Names is empty but for a job that stands for all that are made from a list, and is never run: then it is a regular
	// expression of their names, and labels that differ among them are empty.
	Names string
	// Expand makes probes of the targets that a TargetLister found; nil if it found none. It says what came of them. Nil: no
	// probe is made from the list.
	Expand func([]Target) Outcome
	// Components are the names of the components of the public page that the probe is a part of.
	Components []string
	// Maintenance lists the times in which the generated alerts leave people alone.
	Maintenance []Window
	// Versions remembers what versions the target reported, for a probe that is a VersionReporter.
	Versions *VersionHistory
	// ExpectVersion is the version that must answer wherever the probe reads one; empty for any.
	ExpectVersion string
	// Reference tells whether the prober's own network works, by asking something independent of the target. It is
	// asked only after a run whose failures the prober's own network could explain. Nil: that is not known.
	Reference func(context.Context) error
	// Incident returns the last incident of the system, as far as its start is known. Nil: that is not known.
	Incident func() Incident
	// Engine returns why no verdict of the prober counts at present; nil if they do. Nil: that is not tested.
	Engine func() error
	// Inbox returns what a Receiver received, or why its token cannot be used. Nil: the prober does not listen.
	Inbox func() (Inbox, error)
	// Memory is what the answers of all runs may take at a time. Nil: it has no bound.
	Memory *memory.Budget
}

// A Description is what people call something, what it is, and what its failure means to customers. Any of it may be empty.
type Description struct {
	Title  string
	Text   string // a sentence or two
	Impact string
}

// Impact is what a failure of the probe means to customers: its own words, else its runbook's, else its system's.
//
//go:noinline
func (j *Job) Impact() string {
	return cmp.Or(j.About.Impact, j.AboutRunbook.Impact, j.AboutSystem.Impact)
}

// A Signal is a series that follows one check: 1 if it passed, 0 if it failed, absent if it was inconclusive.
type Signal struct {
	Name    string
	Labels  map[string]string
	Targets SignalTargets
}

// SignalTargets says how a signal sums up a check with several targets.
type SignalTargets string

// The values of SignalTargets. The zero value means WorstTarget.
const (
	WorstTarget SignalTargets = "worst" // one series with the worst verdict: fail, then inconclusive, then pass
	BestTarget  SignalTargets = "best"  // one series with the best verdict: pass, then inconclusive, then fail
	EachTarget  SignalTargets = "each"  // one series for each target, with its name as the label replica
)

// String returns the series as Prometheus writes it: equal series are equal texts.
//
//go:noinline
func (s Signal) String() string { return text.Series(s.Name, s.Labels) }

// A Sink is told every result, once, from any goroutine.
type Sink interface{ Observe(Result) }

// Sinks is a Sink that tells each of its sinks in turn.
type Sinks []Sink

// Observe tells every sink.
func (s Sinks) Observe(r Result) {
	for _, sink := range s {
		sink.Observe(r)
	}
}
