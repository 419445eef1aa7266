package alerts

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
)

// Bounds of the state of one probe.
const (
	maxChecks  = 200
	maxDetails = 10
	maxRuns    = 700 // ten minutes of runs every second
)

// A state is what is known of a probe. It never changes: a run makes another one.
type state struct {
	settings, kind string
	registered     time.Time
	limited        time.Time // until when rate limits keep it from running

	ran, since time.Time // the last run, and the first in a row with its verdict; zero before the first
	verdict    probe.Verdict
	passed     time.Time // the last run that passed, and so on
	failed     time.Time
	checks     []probe.Check // of a run that did not pass
	before     []probe.Check // of the last run that failed
	codes      []statusCode  // of a run that did not pass
	samples    []probe.Sample
	versions   int
	reflected  bool
	otherTrace bool

	deploys []deploySample

	breaches map[string]time.Time // by surface: the last one
	proven   map[string]float64   // by surface: the last proof, in seconds since 1970

	runs     []run // of the windows of rates, the newest last
	keepRuns int
}

// A statusCode is the status on which a check rests.
type statusCode struct {
	check  string
	status int
}

// A run is what rates count of one.
type run struct {
	at         int64 // ms since 1970
	took       int32 // ms
	verdict    int8
	targetOnly bool // it failed for nothing but what targetAlerts are about
}

// evaluatedSeries are the samples that conditions read.
var evaluatedSeries = []string{healthState, telemetryZero, authCase, authOutcome, sqlInRecovery, unverifiedRatio, probe.CertificateExpiring}

func newState(j probe.Job, now time.Time) *state {
	perWindow := 1.5*minRuns + 1
	if j.Interval > 0 {
		perWindow = max(perWindow, minLatencySamples*5/4, (10*time.Minute).Seconds()/j.Interval.Seconds()) + 1
	}
	s := &state{settings: j.Settings, kind: j.Type, registered: now, keepRuns: min(int(perWindow), maxRuns)}
	if p, ok := j.Probe.(probe.Initializer); ok {
		for _, sample := range p.InitialSamples() {
			s.keep(sample, now)
		}
	}
	return s
}

// after is the state after a run. Since is when the verdict began, if that is known.
func (s *state) after(r *probe.Result, since time.Time) *state {
	next := *s
	verdict := r.Verdict()
	switch {
	case !since.IsZero():
		next.since = since
	case s.ran.IsZero() || verdict != s.verdict:
		next.since = r.Started
	}
	next.ran, next.verdict = r.Started, verdict
	switch verdict {
	case probe.Pass:
		next.passed = r.Started
	case probe.Fail:
		next.failed = r.Started
	}
	next.checks, next.codes, next.samples = nil, nil, nil
	if verdict != probe.Pass {
		next.checks = keptChecks(r)
	}
	if verdict == probe.Fail {
		next.before = next.checks
	}
	next.reflected, next.otherTrace = false, false
	for i := range r.Exchanges {
		x := &r.Exchanges[i]
		if same, known := x.TracePropagated(); known && !same {
			next.otherTrace = true
		}
		next.reflected = next.reflected || x.SoughtCredential && x.Reflected != ""
		if verdict != probe.Pass && len(next.codes) < maxChecks {
			next.codes = append(next.codes, statusCode{x.Check, x.Status})
		}
	}
	next.versions = r.MaxVersions()
	next.breaches, next.proven = maps.Clone(s.breaches), maps.Clone(s.proven)
	for _, sample := range r.Samples {
		if slices.Contains(evaluatedSeries, sample.Name) && len(next.samples) < maxChecks && sample.Value != 0 || sample.Name == sqlInRecovery {
			next.samples = append(next.samples, sample)
		}
		next.keep(sample, r.Started)
	}
	next.deploys = deploysAfter(s.deploys, r)
	took := int32(min(r.Latency().Milliseconds(), math.MaxInt32))
	// Earlier states see less of the same array, and nothing that they see is written again.
	next.runs = append(s.runs[max(0, len(s.runs)-s.keepRuns+1):], run{r.Started.UnixMilli(), took, int8(verdict), next.targetOnly()})
	return &next
}

func (s *state) failing() bool { return !s.ran.IsZero() && s.verdict == probe.Fail }

// keep notes what outlives a run.
func (s *state) keep(sample probe.Sample, at time.Time) {
	surface := strings.Join(sample.Values, " ")
	switch {
	case sample.Name == breaches && sample.Value > 0 && len(s.breaches) < maxChecks:
		if s.breaches == nil {
			s.breaches = map[string]time.Time{}
		}
		s.breaches[surface] = at
	case sample.Name == lastProven && (len(s.proven) < maxChecks || s.proven[surface] > 0):
		if s.proven == nil {
			s.proven = map[string]float64{}
		}
		s.proven[surface] = sample.Value
	}
}

// keptChecks are the checks of a run, without the words of most: those that failed first have theirs.
func keptChecks(r *probe.Result) []probe.Check {
	kept := r.NotPassed()
	kept = kept[:min(len(kept), maxChecks)]
	for i := maxDetails; i < len(kept); i++ {
		kept[i].Detail = ""
	}
	for _, c := range r.Checks {
		if c.Verdict == probe.Pass && len(kept) < 2*maxChecks {
			kept = append(kept, probe.Check{Name: c.Name, Target: c.Target, Verdict: c.Verdict})
		}
	}
	return kept
}

// targetChecks are what every answer is checked for.
var targetChecks = []string{probe.CheckSecrets, probe.CheckVersions, probe.CheckCertificate}

// targetOnly reports whether nothing failed but what targetAlerts and certificateAlerts are about.
func (s *state) targetOnly() (only bool) {
	for _, c := range s.checks {
		if c.Verdict != probe.Fail {
			continue
		}
		if !slices.Contains(targetChecks, c.Name) {
			return false
		}
		only = true
	}
	return only
}
