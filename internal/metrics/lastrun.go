package metrics

import (
	"cmp"
	"slices"
	"strings"

	"prober/internal/probe"
)

// lastRun is what the latest run of a probe showed. It is never changed once made.
type lastRun struct {
	verdict  probe.Verdict
	ended    float64 // Unix seconds
	expiry   float64 // of the certificate that expires first, Unix seconds; 0 without TLS
	phases   [len(probe.PhaseNames)]float64
	happened [len(probe.PhaseNames)]bool
	checks   []checked // sorted by check and target, each once
	codes    []code    // sorted by check and target, each once
	versions []version // sorted by target and version, each once
	samples  []sample  // sorted by measure and values, each once
}

type (
	checked struct {
		check, target string
		verdict       probe.Verdict
	}
	code struct {
		check, target string
		status        int
	}
	version struct{ target, version string }
	sample  = probe.Sample
)

// newLastRun reads a run. Of more series than there is room for it keeps the first and says how many it left.
func newLastRun(r *probe.Result, verdict probe.Verdict, slowest *probe.Exchange, v *view, room int) (*lastRun, int) {
	l := &lastRun{verdict: verdict, ended: unixSeconds(r.Started.Add(r.Took))}
	l.readPhases(slowest)
	left := 0
	fits := func(series int) bool {
		if room < series {
			left += series
			return false
		}
		room -= series
		return true
	}
	l.readChecks(r.Checks, v, fits)
	l.readExchanges(r.Exchanges, fits)
	left += l.readSamples(r.Samples, v, fits)
	return l, left
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

// readChecks keeps each check of each target once, with the worst verdict noted.
func (l *lastRun) readChecks(checks []probe.Check, v *view, fits func(int) bool) {
	l.checks = make([]checked, 0, min(len(checks), maxSeries))
	for i := range checks {
		c := checked{labelValue(checks[i].Name), labelValue(checks[i].Target), checks[i].Verdict}
		series := 1
		if v.follows(c.check) {
			series++
		}
		if fits(series) {
			l.checks = append(l.checks, c)
		}
	}
	l.checks = unique(l.checks, checked.compare, func(a, b checked) checked {
		a.verdict = worse(a.verdict, b.verdict)
		return a
	})
}

// readExchanges keeps what the exchanges say of the target: the last status for each check of each target, its
// versions, and when its certificate expires.
func (l *lastRun) readExchanges(exchanges []probe.Exchange, fits func(int) bool) {
	l.codes = make([]code, 0, min(len(exchanges), maxSeries))
	for i := range exchanges {
		x := &exchanges[i]
		target := labelValue(x.Target)
		if fits(1) {
			l.codes = append(l.codes, code{labelValue(x.Check), target, x.Status})
		}
		if x.Version != "" && fits(1) {
			l.versions = append(l.versions, version{target, strings.Clone(labelValue(x.Version))})
		}
		if expiry := unixSeconds(x.CertExpiry); expiry > 0 && (l.expiry == 0 || expiry < l.expiry) {
			l.expiry = expiry
		}
	}
	l.codes = unique(l.codes, code.compare, latter)
	l.versions = unique(l.versions, version.compare, latter)
}

// readSamples keeps the last value for each set of labels of each measure. It returns how many samples no series can
// show: no number, a name that is taken, or a label that the configuration gives to every series.
func (l *lastRun) readSamples(samples []probe.Sample, v *view, fits func(int) bool) (bad int) {
	for i := range samples {
		s := samples[i]
		if outlives(s) {
			continue
		}
		if s.Measure == nil || !measureName(s.Name) || len(s.Values) != len(s.Labels) || !finite(s.Value) || slices.ContainsFunc(s.Labels, v.labels.Has) {
			bad++
			continue
		}
		if !fits(1) {
			continue
		}
		if slices.ContainsFunc(s.Values, unfit) {
			s.Values = slices.Clone(s.Values)
			for i := range s.Values {
				s.Values[i] = labelValue(s.Values[i])
			}
		}
		l.samples = append(l.samples, s)
	}
	l.samples = unique(l.samples, compareSamples, latter)
	return bad
}

// unique sorts the elements and merges those that compare equal, in the order in which they came.
func unique[E any](all []E, compare func(a, b E) int, merge func(a, b E) E) []E {
	slices.SortStableFunc(all, compare)
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

func latter[E any](_, b E) E { return b }

func (c checked) compare(o checked) int {
	return cmp.Or(cmp.Compare(c.check, o.check), cmp.Compare(c.target, o.target))
}

func (c code) compare(o code) int {
	return cmp.Or(cmp.Compare(c.check, o.check), cmp.Compare(c.target, o.target))
}

func (v version) compare(o version) int {
	return cmp.Or(cmp.Compare(v.target, o.target), cmp.Compare(v.version, o.version))
}

func compareSamples(a, b sample) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), slices.Compare(a.Labels, b.Labels), slices.Compare(a.Values, b.Values))
}

// worse orders verdicts as a result does: Fail over Inconclusive over Pass.
func worse(a, b probe.Verdict) probe.Verdict {
	switch {
	case a == probe.Fail || b == probe.Fail:
		return probe.Fail
	case a == probe.Pass && b == probe.Pass:
		return probe.Pass
	}
	return probe.Inconclusive
}

func finite(f float64) bool { return f-f == 0 }
