// Package exec has the kind of probe that runs a program of this machine: a plugin of Nagios, or one that writes OpenMetrics.
package exec

import (
	"errors"
	"time"

	"prober/internal/command"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/selector"
	"prober/probes/internal/limits"
)

// Probe runs a program and judges its exit status and the values that it writes. Nothing is run unless the prober was started with
// --allow-exec.
type Probe struct {
	Command       []Argument             `yaml:"command" required:"true" doc:"the program, by its absolute path, and its arguments; no shell reads them"`
	Env           map[string]httpx.Value `yaml:"env" mask:"true" doc:"the whole environment of the program; each a text, {file: PATH} or {env: NAME}"`
	Directory     string                 `yaml:"directory" default:"/" doc:"where the program runs"`
	Format        string                 `yaml:"format" default:"nagios" doc:"nagios (exit status and performance data) or openmetrics (on standard output)"`
	FailOnWarning bool                   `yaml:"fail_on_warning" doc:"WARNING fails too"`
	Values        map[string]Limit       `yaml:"values" doc:"values that the program must write, by their label in the performance data or by a selector such as jobs{queue=\"mail\"}, and their limits"`

	runner    *command.Runner
	selectors map[string]selector.Selector // of OpenMetrics
}

// A Limit is what a value may be.
type Limit struct {
	Min *limits.Number `yaml:"min" doc:"the least that it may be: a number, or a duration for seconds"`
	Max *limits.Number `yaml:"max" doc:"the most that it may be"`
}

// An Argument is a word of the command. It is never secret: everybody on the machine sees the arguments of a program.
type Argument string

// UnmarshalYAML reads a text.
func (a *Argument) UnmarshalYAML(unmarshal func(any) error) error {
	var text string
	if unmarshal(&text) != nil {
		return errors.New("expected a text. A secret must not be an argument, which everybody on the machine can see: hand it over under env")
	}
	*a = Argument(text)
	return nil
}

// JSONSchema describes what UnmarshalYAML reads.
func (Argument) JSONSchema() map[string]any {
	return map[string]any{"type": []string{"string", "number", "boolean"}}
}

// Values of "format".
const (
	nagios      = "nagios"
	openMetrics = "openmetrics"
)

// maxPrograms is how many programs run at a time, of all probes of a configuration.
const maxPrograms = 16

// Reasons of this kind.
var (
	reasonCritical = probe.Reason{Word: "critical", Verdict: probe.Fail, Text: "the program says CRITICAL",
		Action: "Read what the program says in the detail, and look at what it checks; run it by hand, as the prober's user and with env -i, to see more."}
	reasonWarning = probe.Reason{Word: "warning", Verdict: probe.Fail, Text: "the program says WARNING",
		Action: "Read what the program says in the detail: it is about to become critical."}
	reasonUnknown = probe.Reason{Word: "unknown", Verdict: probe.Inconclusive, Text: "the program says UNKNOWN",
		Action: "Run the program by hand: it could not check anything, for want of an argument, a permission or an answer."}
	reasonExit = probe.Reason{Word: "exit_status", Verdict: probe.Inconclusive, Text: "an exit status without a meaning",
		Action: "Run the program by hand, as the prober's user and with env -i: it crashed, or is no plugin of that format."}
	reasonSignal = probe.Reason{Word: "signal", Verdict: probe.Inconclusive, Text: "a signal ended the program",
		Action: "Look for a crash of the program, or for the kernel's OOM killer (dmesg); the probe itself did not end it."}
	reasonStart = probe.Reason{Word: "not_started", Verdict: probe.Inconclusive, Text: "the program could not be started",
		Action: "Install the program at the path of the probe, and let the prober's user execute it and enter its directory."}
	reasonHeld = probe.Reason{Word: "left_running", Verdict: probe.Inconclusive, Text: "the program left a process behind",
		Action: "Make the program wait for what it starts, or close the output of what is to stay: its answer may not be complete."}
	reasonOutput = probe.Reason{Word: "unexpected_output", Verdict: probe.Inconclusive, Text: "the output lacks a value",
		Action: "Run the program by hand and compare its output with the format and the names of the values of the probe."}
	reasonRange = probe.Reason{Word: "out_of_range", Verdict: probe.Fail, Text: "a value of the program beyond its limit",
		Action: "Look at what the value measures, and since when it is beyond its limit; the series probe_exec_value has its past."}
)

// Measures of this kind.
var (
	valueGauge = &probe.Measure{
		Name:   "probe_exec_value",
		Help:   "A value that the program wrote, by its name in the configuration; times in seconds, sizes in bytes.",
		Labels: []string{"name"},
	}
	warningGauge = &probe.Measure{
		Name: "probe_exec_warning",
		Help: "Whether the program said WARNING; absent if it said nothing.",
	}
)

// Kind describes the kind to the rest of the prober. The probes of one Kind share a bound of the programs that run at a time.
func Kind() probe.Kind {
	runner := command.NewRunner(maxPrograms)
	return probe.Kind{
		New:      func() probe.Probe { return &Probe{runner: runner} },
		Summary:  "a program of this machine: a Nagios plugin by its exit status and performance data, or one that writes OpenMetrics; only with --allow-exec",
		Measures: []*probe.Measure{valueGauge, warningGauge},
		Reasons: []probe.Reason{
			reasonCritical, reasonWarning, reasonUnknown, reasonExit, reasonSignal, reasonStart, reasonHeld, reasonOutput, reasonRange,
		},
		Traits: probe.Traits{StartsPrograms: true},
	}
}

var (
	_ probe.Addresser      = (*Probe)(nil)
	_ probe.TimeoutChecker = (*Probe)(nil)
)

// Names of the checks.
const (
	checkExit   = "exit_status"
	checkValues = "values"
)

// Checks names the checks of a run.
func (p *Probe) Checks() []string {
	if len(p.Values) == 0 {
		return []string{checkExit}
	}
	return []string{checkExit, checkValues}
}

// Addresses is the program.
func (p *Probe) Addresses() []string { return []string{p.url()} }

func (p *Probe) url() string {
	if len(p.Command) == 0 {
		return ""
	}
	return "exec:" + string(p.Command[0])
}

// minTimeout leaves the program some time beside that for ending it.
const minTimeout = time.Second

// CheckTimeout refuses a timeout in which no program can be started and ended.
func (p *Probe) CheckTimeout(timeout time.Duration) error {
	if timeout < minTimeout {
		return probe.Settingf("timeout", "expected at least %s: to start a program, and to end it, takes some of it", minTimeout)
	}
	return nil
}
