package metrics

import (
	"cmp"
	"slices"
	"strings"

	"prober/internal/probe"
	"prober/internal/sorted"
)

// lastRun is what the last run of a probe showed. It is immutable.
type lastRun struct {
	verdict  probe.Verdict
	ended    float64 // Unix seconds
	expiry   float64 // of the certificate that expires first, Unix seconds; 0 without TLS
	phases   [len(probe.PhaseNames)]float64
	happened [len(probe.PhaseNames)]bool
	checks   []checkVerdict // sorted by check and target, each once
	dropped  bool           // some checks had no room
	held     []checkVerdict // checks of every answer that passed, which are not noted; only those that a signal follows, sorted
	codes    []statusCode   // sorted by check and target, each once
	versions []version      // sorted by target and version, each once
	samples  []sample       // sorted by measure and values, each once

	maxVersions float64  // of one URL; 0 if none states its version
	propagated  optional // whether all answers that state a trace id state the one that was sent
	reflected   optional // whether an answer repeats the credential that was sent
}

// optional is a boolean that may be unknown.
type optional struct{ known, value bool }

type (
	checkVerdict struct {
		check, target string
		verdict       probe.Verdict
	}
	statusCode struct {
		check, target string
		status        int
	}
	version struct{ target, version string }
	sample  = probe.Sample
)

// newLastRun reads a run. It keeps the first series that fit in room and returns how many it dropped.
func newLastRun(r *probe.Result, verdict probe.Verdict, slowest *probe.Exchange, v *jobView, room int) (*lastRun, int) {
	l := &lastRun{verdict: verdict, ended: unixSeconds(r.Started.Add(r.Took))}
	l.readPhases(slowest)
	dropped := 0
	fits := func(series int) bool {
		if room < series {
			dropped += series
			return false
		}
		room -= series
		return true
	}
	l.readChecks(r.Checks, v, fits)
	l.readExchanges(r.Exchanges, fits)
	l.readTargetChecks(r)
	l.readHeld(r, v, fits)
	dropped += l.readSamples(r.Samples, v, fits)
	return l, dropped
}

func (l *lastRun) readPhases(slowest *probe.Exchange) {
	if slowest == nil {
		return
	}
	for _, phase := range slowest.Phases {
		if i := slices.Index(probe.PhaseNames[:], phase.Name); i >= 0 {
			l.phases[i] += max(phase.Took.Seconds(), 0)
			l.happened[i] = true
		}
	}
}

// readChecks keeps each check of each target once, with the worst verdict.
func (l *lastRun) readChecks(checks []probe.Check, v *jobView, fits func(int) bool) {
	l.checks = make([]checkVerdict, 0, min(len(checks), maxSeries))
	for i := range checks {
		c := checkVerdict{labelValue(checks[i].Name), labelValue(checks[i].Target), checks[i].Verdict}
		series := 1
		if v.follows(c.check) {
			series++
		}
		if fits(series) {
			l.checks = append(l.checks, c)
		} else {
			l.dropped = true
		}
	}
	l.checks = unique(l.checks, checkVerdict.compare, func(a, b checkVerdict) checkVerdict {
		a.verdict = probe.Worse(a.verdict, b.verdict)
		return a
	})
}

// readExchanges keeps the last status for each check of each target, the versions, and the earliest certificate expiry.
func (l *lastRun) readExchanges(exchanges []probe.Exchange, fits func(int) bool) {
	l.codes = make([]statusCode, 0, min(len(exchanges), maxSeries))
	for i := range exchanges {
		x := &exchanges[i]
		target := labelValue(x.Target)
		if fits(1) {
			l.codes = append(l.codes, statusCode{labelValue(x.Check), target, x.Status})
		}
		if x.Version != "" && fits(1) {
			l.versions = append(l.versions, version{target, strings.Clone(labelValue(x.Version))})
		}
		if expiry := unixSeconds(x.CertExpiry); expiry > 0 && (l.expiry == 0 || expiry < l.expiry) {
			l.expiry = expiry
		}
	}
	l.codes = unique(l.codes, statusCode.compare, last)
	l.versions = unique(l.versions, version.compare, last)
}

// readTargetChecks reads what every answer is checked for.
func (l *lastRun) readTargetChecks(r *probe.Result) {
	l.maxVersions = float64(r.MaxVersions())
	for i := range r.Exchanges {
		x := &r.Exchanges[i]
		if same, known := x.TracePropagated(); known {
			l.propagated = optional{known: true, value: same && (l.propagated.value || !l.propagated.known)}
		}
		if x.SoughtCredential {
			l.reflected = optional{known: true, value: l.reflected.value || x.Reflected != ""}
		}
	}
}

// readHeld keeps the checks of every answer that signals follow and that passed: they are noted only if they do not pass.
func (l *lastRun) readHeld(r *probe.Result, v *jobView, fits func(int) bool) {
	hold := func(check, target string) {
		noted := slices.ContainsFunc(l.checks, func(c checkVerdict) bool { return c.check == check && c.target == target })
		if !noted && fits(1) {
			l.held = append(l.held, checkVerdict{check, target, probe.Pass})
		}
	}
	if v.follows(probe.CheckSecrets) {
		for i := range r.Exchanges {
			if x := &r.Exchanges[i]; x.SoughtCredential {
				hold(probe.CheckSecrets, labelValue(x.Target))
			}
		}
	}
	if v.follows(probe.CheckVersions) && l.maxVersions > 0 {
		hold(probe.CheckVersions, "")
	}
	l.held = unique(l.held, checkVerdict.compare, last)
}

// readSamples keeps the last value for each set of labels of each measure. It returns how many samples cannot be
// shown: not a finite number, a name that is taken, or a label that the configuration gives to every series.
func (l *lastRun) readSamples(samples []probe.Sample, v *jobView, fits func(int) bool) (bad int) {
	for i := range samples {
		s := samples[i]
		if isPersistent(s) {
			continue
		}
		if s.Measure == nil || !measureName(s.Name) || len(s.Values) != len(s.Labels) || !finite(s.Value) || slices.ContainsFunc(s.Labels, v.labels.Has) {
			bad++
			continue
		}
		if !fits(1) {
			continue
		}
		if slices.ContainsFunc(s.Values, invalidLabelValue) {
			s.Values = slices.Clone(s.Values)
			for i := range s.Values {
				s.Values[i] = labelValue(s.Values[i])
			}
		}
		l.samples = append(l.samples, s)
	}
	l.samples = unique(l.samples, compareSamples, last)
	return bad
}

// unique sorts the elements and merges those that compare equal, in the order in which they came.
func unique[E any](all []E, compare func(a, b E) int, merge func(a, b E) E) []E {
	sorted.By(all, compare)
	kept := all[:0]
	for _, e := range all {
		if n := len(kept); n > 0 && compare(kept[n-1], e) == 0 {
			kept[n-1] = merge(kept[n-1], e)
			continue
		}
		kept = append(kept, e)
	}
	return kept
}

func last[E any](_, b E) E { return b }

func (c checkVerdict) compare(o checkVerdict) int {
	return cmp.Or(cmp.Compare(c.check, o.check), cmp.Compare(c.target, o.target))
}

func (c statusCode) compare(o statusCode) int {
	return cmp.Or(cmp.Compare(c.check, o.check), cmp.Compare(c.target, o.target))
}

func (v version) compare(o version) int {
	return cmp.Or(cmp.Compare(v.target, o.target), cmp.Compare(v.version, o.version))
}

func compareSamples(a, b sample) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), slices.Compare(a.Labels, b.Labels), slices.Compare(a.Values, b.Values))
}

func finite(f float64) bool { return f-f == 0 }
