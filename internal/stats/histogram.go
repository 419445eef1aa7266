package stats

import (
	"errors"
	"math"
	"slices"
	"sort"
)

// A Bucket has the number of events above Lower, up to Upper.
type Bucket struct{ Lower, Upper, Count float64 }

// A Histogram has the buckets of a distribution, in their order.
type Histogram struct {
	Buckets []Bucket
	// Exponential says that the buckets are those of a native histogram, in which values are spread evenly on a logarithmic
	// scale.
	Exponential bool
}

// Count is the number of all events.
func (h Histogram) Count() (n float64) {
	for _, b := range h.Buckets {
		n += b.Count
	}
	return n
}

// LastEdge is the last finite edge. Nothing is known of how far above it an event is.
func (h Histogram) LastEdge() float64 {
	for _, b := range slices.Backward(h.Buckets) {
		if !math.IsInf(b.Upper, 1) {
			return b.Upper
		}
		if !math.IsInf(b.Lower, -1) {
			return b.Lower
		}
	}
	return math.NaN()
}

// Beyond is the number of events above the last finite edge.
func (h Histogram) Beyond() (n float64) {
	for _, b := range h.Buckets {
		if math.IsInf(b.Upper, 1) {
			n += b.Count
		}
	}
	return n
}

// Quantile estimates a quantile, by the ranks within which it lies. Inside a bucket it interpolates as histogram_quantile
// does. High is infinite if there are too few events for a bound, or if the bound lies above the last finite edge; Value
// and Low are never above that edge.
func (h Histogram) Quantile(q, alpha float64) Estimate {
	n := math.Floor(h.Count())
	if n < 1 {
		return Estimate{math.Inf(-1), math.NaN(), math.Inf(1)}
	}
	last := h.LastEdge()
	low, high := ranks(n, q, alpha)
	e := Estimate{Low: math.Inf(-1), Value: min(h.at(q*n), last), High: math.Inf(1)}
	if low >= 1 {
		e.Low = min(h.at(low-1), last)
	}
	if high <= n {
		e.High = h.at(high)
	}
	return e
}

// ranks returns the ranks, counted from 1, of two of n events in their order: the quantile is below the first, or above the
// second, with the probability alpha at most. A rank of 0, or above n, is none.
func ranks(n, q, alpha float64) (low, high float64) {
	if n > maxEvents {
		low, high = ranks(maxEvents, q, alpha)
		return math.Floor(low * n / maxEvents), math.Ceil(high * n / maxEvents)
	}
	// Of n events, fewer than rank+1 are below the quantile with this probability.
	fewer := func(rank int) float64 { return betaCDF(1-q, n-float64(rank), float64(rank)+1) }
	last := int(n)
	low = float64(sort.Search(last, func(rank int) bool { return fewer(rank) > alpha }))
	high = float64(sort.Search(last, func(rank int) bool { return fewer(rank) >= 1-alpha })) + 1
	return low, high
}

// at is the value of a rank, interpolated.
func (h Histogram) at(rank float64) float64 {
	below := 0.0
	for _, b := range h.Buckets {
		if below+b.Count >= rank && b.Count > 0 {
			return h.inside(b, (rank-below)/b.Count)
		}
		below += b.Count
	}
	return math.Inf(1)
}

// inside returns where in a bucket a share of it ends.
func (h Histogram) inside(b Bucket, share float64) float64 {
	switch {
	case math.IsInf(b.Upper, 1):
		return math.Inf(1)
	case math.IsInf(b.Lower, -1):
		return b.Upper
	case h.Exponential && b.Lower > 0:
		return b.Lower * math.Pow(b.Upper/b.Lower, share)
	}
	return b.Lower + (b.Upper-b.Lower)*share
}

var errCumulative = errors.New("the counts of its buckets do not rise")

// FromCumulative makes a histogram of the counts up to each edge, in the order of the edges, the last of which is infinite.
// Counts that fall a little do so because increase() extrapolates them one by one.
func FromCumulative(edges, counts []float64) (Histogram, error) {
	var h Histogram
	lower, before := math.Inf(-1), 0.0
	if len(edges) > 0 && edges[0] > 0 {
		lower = 0 // as histogram_quantile has it
	}
	for i, edge := range edges {
		count := counts[i]
		if count < before {
			if before-count > 1+0.02*before {
				return Histogram{}, errCumulative
			}
			count = before
		}
		h.Buckets = append(h.Buckets, Bucket{lower, edge, count - before})
		lower, before = edge, count
	}
	return h, nil
}
