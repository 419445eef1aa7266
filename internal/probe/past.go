package probe

import "time"

// An Uptime says how much of a span of time a probe passed. Time without a verdict is not known: it is neither up nor down.
type Uptime struct {
	Span   time.Duration
	Known  time.Duration // in which runs passed or failed
	Passed time.Duration // the part of it in which they passed
}

// Add returns the sum of two spans.
func (u Uptime) Add(other Uptime) Uptime {
	return Uptime{Span: u.Span + other.Span, Known: u.Known + other.Known, Passed: u.Passed + other.Passed}
}

// A Day is what is remembered of one day of a probe, or of one hour, in UTC.
type Day struct {
	Start time.Time
	Uptime
	Pass, Fail, Inconclusive int           // runs
	LatencyMax               time.Duration // of the runs that passed
	Latency95                time.Duration // no more than 95 % of them took longer; 0 if unknown
}

// A Change is a run with another verdict or reason than the run before.
type Change struct {
	At      time.Time
	Verdict Verdict
	Reason  string // a word
	Detail  string
}

// A Past is what is remembered of a probe.
type Past struct {
	Uptimes [4]Uptime // of the last 24 hours, and of the last 7, 30 and 90 days
	Hours   []Day     // the last 24 hours, with the present one, the oldest first; fewer and longer ones if less is remembered
	Days    []Day     // the last 90, the oldest first; none if nothing is remembered
	Changes []Change  // the newest first
}

// A Since says since when a probe has had its verdict.
type Since struct {
	At    time.Time
	Exact bool // the run before had another verdict; otherwise it may have been so for longer
}

// An IncidentRecord is an incident of a system, for the list of past ones.
type IncidentRecord struct {
	System   string    `json:"system"`
	Start    time.Time `json:"start"`
	End      time.Time `json:"end,omitzero"` // zero if it was not seen
	Ongoing  bool      `json:"ongoing,omitempty"`
	Severity string    `json:"severity,omitempty"`
	Probes   []string  `json:"probes"`
	Note     string    `json:"note"`
}

// A Breach is what must never happen and was seen. It stays until somebody acknowledges it.
type Breach struct {
	Key
	Reason       string
	First, Last  time.Time // seen
	Acknowledged Acknowledgement
}

// An Acknowledgement is who acknowledged a breach, when and why; the zero value is none.
type Acknowledgement struct {
	At  time.Time `json:"at"`
	By  string    `json:"by"`
	Why string    `json:"why"`
}
