package metrics

import (
	"slices"

	"prober/internal/probe"
)

// maxPersistent bounds the series of one probe that survive its runs.
const maxPersistent = maxSeries / 4

// keepPersistent creates the persistent series. A counter continues; a gauge does so only if the settings are the same, that
// is, if fresh is false. It returns how many series do not fit.
func (s *state) keepPersistent(p probe.Probe, fresh bool) (dropped int) {
	var next []sample
	if p, ok := p.(probe.Initializer); ok {
		for _, now := range p.InitialSamples() {
			if !isPersistent(now) || s.rejects(now) || len(next) == maxPersistent {
				dropped++
				continue
			}
			if at, known := slices.BinarySearchFunc(s.persistent, now, compareSamples); known && (now.Counter || !fresh) {
				now.Value = s.persistent[at].Value
			}
			next = append(next, now)
		}
	}
	s.persistent = unique(next, compareSamples, last)
	return dropped
}

// addPersistent records the persistent measures of a run. It returns how many series cannot be shown.
func (s *state) addPersistent(samples []sample) (dropped int) {
	for _, now := range samples {
		if !isPersistent(now) {
			continue
		}
		if s.rejects(now) || now.Counter && now.Value < 0 {
			dropped++
			continue
		}
		at, known := slices.BinarySearchFunc(s.persistent, now, compareSamples)
		switch {
		case known && now.Counter:
			s.persistent[at].Value += now.Value
		case known:
			s.persistent[at].Value = now.Value
		case len(s.persistent) == maxPersistent:
			dropped++
		default:
			s.persistent = slices.Insert(s.persistent, at, now)
		}
	}
	return dropped
}

func isPersistent(s sample) bool { return s.Measure != nil && (s.Counter || s.Kept) }

// rejects reports whether a sample cannot be shown as a series.
func (s *state) rejects(of sample) bool {
	return of.Measure == nil || !measureName(of.Name) || len(of.Values) != len(of.Labels) || !finite(of.Value) ||
		slices.ContainsFunc(of.Labels, s.view.labels.Has) || slices.ContainsFunc(of.Values, invalidLabelValue)
}
