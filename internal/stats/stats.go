// Package stats compares counts of two times: whether a share of bad events, or a quantile of a histogram, is now worse than
// it was. It decides by intervals and not by the numbers alone, since two windows of a service in the same state differ too.
package stats

import "math"

// An Estimate is a number that was measured, with its bounds. Low and High are each wrong with the probability that the
// estimate was made for, or less.
type Estimate struct{ Low, Value, High float64 }

// maxEvents is how many events a bound is computed of: of more, it is that of so many, which is a little wider.
const maxEvents = 1e7

// Ratio estimates the share of bad events. The bounds are those of Clopper and Pearson, which hold at any share and any
// number of events; those of Wilson do not where the share is small. Counts need not be whole: increase() extrapolates.
func Ratio(bad, total, alpha float64) Estimate {
	if !(total > 0) {
		return Estimate{0, 0, 1}
	}
	bad = min(max(bad, 0), total)
	if total > maxEvents {
		bad, total = bad/total*maxEvents, maxEvents
	}
	e := Estimate{Low: 0, Value: bad / total, High: 1}
	if bad > 0 {
		e.Low = invert(alpha, func(p float64) float64 { return betaCDF(p, bad, total-bad+1) })
	}
	if bad < total {
		e.High = invert(1-alpha, func(p float64) float64 { return betaCDF(p, bad+1, total-bad) })
	}
	return e
}

// RoughRatio is Ratio for a number of bad events that is only known to lie within some more or less, such as one from which
// events were subtracted that were counted at other moments.
func RoughRatio(bad, total, noise, alpha float64) Estimate {
	e := Ratio(bad, total, alpha)
	e.Low = Ratio(bad-noise, total, alpha).Low
	e.High = Ratio(bad+noise, total, alpha).High
	return e
}

// A Decision is what a comparison says.
type Decision int

// The decisions. The zero value decides nothing.
const (
	Undecided Decision = iota
	Within             // certainly below the limit
	Beyond             // certainly above it
)

// String returns "undecided", "within" or "beyond".
func (d Decision) String() string { return [...]string{"undecided", "within", "beyond"}[d] }

// A Tolerance says how much worse than before is not worse yet: a multiple, or an addition, whichever allows more. A
// Factor of 0 allows nothing, and neither does an Add of 0.
type Tolerance struct{ Factor, Add float64 }

// Limit is what a number may be that was another before.
func (t Tolerance) Limit(before float64) float64 {
	limit := math.Inf(-1)
	for _, l := range t.limits() {
		limit = max(limit, l.factor*before+l.add)
	}
	return limit
}

type linear struct{ factor, add float64 }

func (t Tolerance) limits() (all []linear) {
	if t.Factor > 0 {
		all = append(all, linear{t.Factor, 0})
	}
	if t.Add > 0 {
		all = append(all, linear{1, t.Add})
	}
	return all
}

// Compare decides whether a number is within what it was before and the tolerance. It takes the bounds of the difference
// from those of both numbers (Zou and Donner, 2008): they are as good as those, and much closer than if each had to hold
// by itself.
func Compare(now, before Estimate, t Tolerance) Decision {
	limits := t.limits()
	beyond := len(limits) > 0
	for _, l := range limits {
		difference := now.Value - l.factor*before.Value - l.add
		high := difference + math.Hypot(now.High-now.Value, l.factor*(before.Value-before.Low))
		low := difference - math.Hypot(now.Value-now.Low, l.factor*(before.High-before.Value))
		if high < 0 {
			return Within
		}
		beyond = beyond && low > 0
	}
	if beyond {
		return Beyond
	}
	return Undecided
}

// maxError is how often a comparison may decide wrongly: that a number is within the limit though it is at or above it, or
// beyond the limit though it is what it was before.
const maxError = 0.01

// Level is the probability with which each bound may be wrong, so that a Sequence of so many windows is not wrong more often
// than in one of a hundred runs.
func Level(windows int, t Tolerance) float64 {
	return maxError / float64(windows*max(len(t.limits()), 1))
}

// A Sequence compares what was before with ever wider windows of now, until one of them decides. A wider window decides
// nothing that a narrower one contradicts by its value: it reaches further into what was before an onset, or before a
// recovery.
type Sequence struct {
	Before    Estimate
	Tolerance Tolerance

	above, below bool // where the values of the windows were
}

// Next compares with the next window.
func (s *Sequence) Next(now Estimate) Decision {
	if limit := s.Tolerance.Limit(s.Before.Value); now.Value > limit {
		s.above = true
	} else {
		s.below = true
	}
	d := Compare(now, s.Before, s.Tolerance)
	if d == Within && s.above || d == Beyond && s.below {
		return Undecided
	}
	return d
}

// invert returns where an increasing function of [0, 1] reaches a value.
func invert(value float64, f func(float64) float64) float64 {
	low, high := 0.0, 1.0
	for range 44 { // as close as any count can tell
		middle := (low + high) / 2
		if f(middle) < value {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}

// betaCDF is the regularized incomplete beta function, by its continued fraction (Numerical Recipes, section 6.4).
func betaCDF(x, a, b float64) float64 {
	if x > (a+1)/(a+b+2) {
		return 1 - betaCDF(1-x, b, a)
	}
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	front := math.Exp(lab - la - lb + a*math.Log(x) + b*math.Log1p(-x))
	return front * continuedFraction(x, a, b) / a
}

// continuedFraction is evaluated by the method of Lentz.
func continuedFraction(x, a, b float64) float64 {
	const tiny = 1e-300
	nonzero := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d := 1.0, 1/nonzero(1-(a+b)*x/(a+1))
	h := d
	for m := 1.0; m < 10_000; m++ {
		step := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d = 1 / nonzero(1+step*d)
		c = nonzero(1 + step/c)
		h *= d * c
		step = -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d = 1 / nonzero(1+step*d)
		c = nonzero(1 + step/c)
		delta := d * c
		h *= delta
		if math.Abs(delta-1) < 1e-12 {
			break
		}
	}
	return h
}
