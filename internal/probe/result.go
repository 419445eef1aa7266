package probe

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"prober/internal/drop"
	"prober/internal/secret"
	"prober/internal/sorted"
	"prober/internal/text"
)

// A Check is one thing that a run tested. Its JSON is that of reports and of the status.
type Check struct {
	Name    string  `json:"name"`             // one of the probe's Checks, or "run" for what befell the run itself
	Target  string  `json:"target,omitempty"` // which of several targets; empty where the probe has one
	Verdict Verdict `json:"verdict"`
	Reason  Reason  `json:"reason"`             // OK exactly when the verdict is Pass
	Detail  string  `json:"detail"`             // a sentence with wanted and got, redacted
	TraceID string  `json:"trace_id,omitempty"` // sent in the exchange that it rests on; empty if none was made for it and it cites none
}

// RunCheck is the name of the check that tells what befell the run itself.
const RunCheck = "run"

// A Measure is a gauge that a kind of probe declares beside its code. Its name starts with "probe_" and ends with
// its base unit, after the conventions of Prometheus.
type Measure struct {
	Name   string
	Help   string
	Labels []string // beyond those that every series of a probe has

	// A value holds for the run that it was noted in, unless one of these is set: then the series outlives runs and
	// reloads. It exists from the start if the probe is an Initializer and lists it, with that value.
	Counter bool // values are what a run adds; the name ends with "_total"
	Kept    bool // a value stands until a later run notes another
}

// A Sample is one value of a Measure.
type Sample struct {
	*Measure
	Value  float64
	Values []string // of Measure.Labels, in their order
}

// A Result is what one run of a probe saw. Probes write to it through its methods, which may be called from several
// goroutines; sinks get it by value once nobody writes any more.
type Result struct {
	ID
	Started   time.Time
	Took      time.Duration // the run, from start to end
	Checks    []Check
	Samples   []Sample
	Exchanges []Exchange

	Deploys []Deploy // the newest first; only of a DeployReporter
	Running string   // the version that runs, if that is known; only of a DeployReporter
	Targets []Target // that were found; only of a TargetLister, nil if there was no list

	// Abandoned is nil unless the probe ignored its deadline and was left behind; it is closed when the probe ends.
	Abandoned <-chan struct{}

	target   string    // of the notes that name none
	children []*Result // of Each, in the order of the targets
	shared   *shared
}

// NewResult returns an empty result that can be written to. Outside of tests only Job.Do needs one.
func NewResult(id ID) *Result { return &Result{ID: id, shared: &shared{}} }

// Pass notes that a check held. The text says what was seen.
//
//go:noinline
func (r *Result) Pass(check, format string, args ...any) {
	r.note(check, Pass, OK, format, args)
}

// Fail notes that the target broke a promise. The text says what was wanted and what was got.
//
//go:noinline
func (r *Result) Fail(check string, why Reason, format string, args ...any) {
	r.note(check, Fail, why, format, args)
}

// Inconclusive notes that a check is inconclusive. The text says what is missing for an answer.
//
//go:noinline
func (r *Result) Inconclusive(check string, why Reason, format string, args ...any) {
	r.note(check, Inconclusive, why, format, args)
}

// Target is the target that the notes carry, inside Each; empty elsewhere.
func (r *Result) Target() string { return r.target }

// Report notes that a check did not pass, with the verdict that the reason stands for by itself.
//
//go:noinline
func (r *Result) Report(check string, why Reason, format string, args ...any) {
	r.note(check, why.Verdict, why, format, args)
}

// Omit notes that there was nothing to check under a name, such as agreement where there is one server. A run passes only if each
// of the probe's checks was made or omitted.
func (r *Result) Omit(check string) {
	r.append(func() { r.shared.omitted = append(r.shared.omitted, omission{check, r.target}) })
}

// note is the only way for text into a result, and where it is redacted.
func (r *Result) note(check string, v Verdict, why Reason, format string, args []any) {
	if (v == Pass) != (why == OK) || why.Word == "" {
		panic(fmt.Sprintf("check %s: verdict %s does not go with reason %q", check, v, why))
	}
	detail := clean(fmt.Sprintf(format, args...)) // calls foreign code, which may block or note something itself
	r.append(func() {
		c := Check{Name: check, Target: r.target, Verdict: v, Reason: why, Detail: detail}
		r.shared.prove(c)
		r.Checks = append(r.Checks, c)
	})
}

// LinkExchange names the exchange that the last note of a check rests on, by the trace id that was sent in it. Without it, that
// is the one of ExchangeOf, if it was made for the check.
func (r *Result) LinkExchange(check, traceID string) {
	traceID = clean(traceID)
	r.append(func() {
		for i := len(r.Checks) - 1; i >= 0; i-- {
			if r.Checks[i].Name == check {
				r.Checks[i].TraceID = traceID
				return
			}
		}
	})
}

// Measure notes a value of a measure; labels are the values of its labels, in their order. Values that are not
// numbers are left out.
func (r *Result) Measure(m *Measure, value float64, labels ...string) {
	if value != value || value-value != 0 { // NaN or infinite
		return
	}
	if len(labels) != len(m.Labels) {
		panic(fmt.Sprintf("measure %s wants %d label values, got %d", m.Name, len(m.Labels), len(labels)))
	}
	values := slices.Clone(labels)
	for i := range values {
		values[i] = Label(values[i])
	}
	r.append(func() { r.Samples = append(r.Samples, Sample{Measure: m, Value: value, Values: values}) })
}

// BoolValue is a boolean as a gauge has it: 1 for true, 0 for false.
func BoolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// OneOf writes a state gauge, whose last label is the state: 1 for the state that holds, 0 for each of the others.
func (r *Result) OneOf(m *Measure, state string, all []string, labels ...string) {
	for _, s := range all {
		r.Measure(m, BoolValue(s == state), append(slices.Clone(labels), s)...)
	}
}

// Deployed notes the deploys, the newest first, and the version that runs; empty if that is not known.
func (r *Result) Deployed(all []Deploy, running string) {
	noted := make([]Deploy, len(all))
	for i, d := range all {
		d.ID, d.Version = clean(d.ID), clean(d.Version)
		noted[i] = d
	}
	running = clean(running)
	r.append(func() { r.Deploys, r.Running = noted, running })
}

// Exchanged notes an exchange with the target.
func (r *Result) Exchanged(x Exchange) {
	if x.Target == "" {
		x.Target = r.target
	}
	x.URL, x.Version = clean(x.URL), clean(x.Version)
	x.TraceID, x.TargetTraceID = clean(x.TraceID), clean(x.TargetTraceID)
	r.append(func() {
		r.shared.answer(x)
		r.Exchanges = append(r.Exchanges, x)
	})
}

// Verdict is the worst of the checks' verdicts; Inconclusive if nothing was checked.
//
//go:noinline
func (r Result) Verdict() Verdict {
	if len(r.Checks) == 0 {
		return Inconclusive
	}
	v := Pass
	for _, c := range r.Checks {
		v = Worse(v, c.Verdict)
	}
	return v
}

// Decisive returns the first of the checks that make the verdict what it is. Of a pass it is the first check.
func (r Result) Decisive() Check {
	v := r.Verdict()
	for _, c := range r.Checks {
		if c.Verdict == v {
			return c
		}
	}
	return Check{Name: RunCheck, Reason: NothingChecked, Detail: "nothing was checked"}
}

// NotPassed lists the checks that did not pass: those that failed first, since they are why somebody reads the list.
func (r Result) NotPassed() []Check {
	list := drop.If(slices.Clone(r.Checks), func(c Check) bool { return c.Verdict == Pass })
	sorted.By(list, func(a, b Check) int {
		return cmp.Compare(BoolValue(b.Verdict == Fail), BoolValue(a.Verdict == Fail))
	})
	return list
}

// Latency is the target's part of the run: the slowest of its exchanges, or the whole run where there was none.
// What the prober spent on waiting, preparing and checking is not in it.
func (r Result) Latency() time.Duration {
	var slowest time.Duration
	for _, x := range r.Exchanges {
		slowest = max(slowest, x.Took)
	}
	if slowest == 0 {
		return r.Took
	}
	return slowest
}

// maxText bounds every text in a result.
const maxText = 500

// clean makes a text fit to be shown anywhere: redacted, valid UTF-8, one line, no control characters and no others that
// are invisible or change the direction of writing, bounded.
func clean(s string) string {
	s = s[:min(len(s), 8*maxText)] // the rest would be read in vain
	return text.Cut(text.Line(secret.Redact(s)), maxText)
}

// Label makes a value fit for a metric label: short and printable, or else a hash of it.
func Label(value string) string {
	if len(value) <= 128 && !strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }) {
		return secret.Redact(value)
	}
	sum := sha256.Sum256([]byte(value))
	return "sha256:" + hex.EncodeToString(sum[:6])
}
