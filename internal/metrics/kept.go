package metrics

import (
	"slices"

	"prober/internal/probe"
)

// measured is a probe that lists the measures which exist before its first run, with the values that they have then.
type measured interface {
	Measures() []probe.Sample
}

// maxKept bounds the series of one probe that outlive its runs.
const maxKept = maxSeries / 4

// keep makes sure that what outlives runs exists. A counter goes on where it was; another value does so only while
// the probe asks the same question, unless fresh. It returns how many do not fit.
func (s *state) keep(p probe.Probe, fresh bool) (left int) {
	var next []sample
	if p, ok := p.(measured); ok {
		for _, now := range p.Measures() {
			if !outlives(now) || s.unfit(now) || len(next) == maxKept {
				left++
				continue
			}
			if at, known := slices.BinarySearchFunc(s.kept, now, compareSamples); known && (now.Counter || !fresh) {
				now.Value = s.kept[at].Value
			}
			next = append(next, now)
		}
	}
	s.kept = unique(next, compareSamples, latter)
	return left
}

// addUp takes in what a run says of measures that outlive it. It returns how many series cannot be shown.
func (s *state) addUp(samples []sample) (left int) {
	for _, now := range samples {
		if !outlives(now) {
			continue
		}
		if s.unfit(now) || now.Counter && now.Value < 0 {
			left++
			continue
		}
		at, known := slices.BinarySearchFunc(s.kept, now, compareSamples)
		switch {
		case known && now.Counter:
			s.kept[at].Value += now.Value
		case known:
			s.kept[at].Value = now.Value
		case len(s.kept) == maxKept:
			left++
		default:
			s.kept = slices.Insert(s.kept, at, now)
		}
	}
	return left
}

func outlives(s sample) bool { return s.Measure != nil && (s.Counter || s.Kept) }

// unfit reports whether no series can show a sample.
func (s *state) unfit(of sample) bool {
	return of.Measure == nil || !measureName(of.Name) || len(of.Values) != len(of.Labels) || !finite(of.Value) ||
		slices.ContainsFunc(of.Labels, s.view.labels.Has) || slices.ContainsFunc(of.Values, unfit)
}
