package promql

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"

	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/stats"
)

// maxBuckets is more than any histogram has that is of use.
const maxBuckets = 2000

// histogramOf reads the buckets of one histogram out of an answer: those of a native one, or a series for each le.
func histogramOf(v vector) (stats.Histogram, probe.Outcome) {
	if len(v) > maxBuckets {
		return stats.Histogram{}, probe.Outcomef(reasonManySeries, "expected the buckets of one histogram, got %d series", len(v))
	}
	if slices.ContainsFunc(v, func(s sample) bool { return s.histogram != nil }) {
		if len(v) > 1 {
			return stats.Histogram{}, probe.Outcomef(reasonManySeries, "expected one native histogram, got %d series: aggregate them by sum()", len(v))
		}
		return v[0].histogram.stats()
	}
	counts := map[float64]float64{} // one edge may be written in two ways, such as 1 and 1.0, while a server changes over
	for _, s := range v {
		le, ok := s.labels["le"]
		edge := parseValue(le)
		switch {
		case !ok:
			return stats.Histogram{}, probe.Outcomef(probe.Schema, "expected series with the label le, got one without: sum by (le)")
		case len(s.labels) > 1:
			return stats.Histogram{}, probe.Outcomef(reasonManySeries, "expected series with no other label than le: sum by (le)")
		case math.IsNaN(edge) || math.IsInf(edge, -1):
			return stats.Histogram{}, probe.Outcomef(probe.Schema, "expected a number in the label le, got another text")
		case math.IsNaN(s.value) || math.IsInf(s.value, 0) || s.value < 0:
			return stats.Histogram{}, probe.Outcomef(reasonNaN, "expected a count in each bucket, got %v", s.value)
		}
		counts[edge] += s.value
	}
	if _, ok := counts[math.Inf(1)]; !ok {
		return stats.Histogram{}, probe.Outcomef(probe.Schema, "expected a bucket with le=\"+Inf\", got none")
	}
	if len(counts) < 2 {
		return stats.Histogram{}, probe.Outcomef(probe.Schema, "expected at least two buckets, got one")
	}
	edges := make([]float64, 0, len(counts))
	for edge := range counts {
		edges = append(edges, edge)
	}
	slices.Sort(edges)
	cumulative := make([]float64, len(edges))
	for i, edge := range edges {
		cumulative[i] = counts[edge]
	}
	h, err := stats.FromCumulative(edges, cumulative)
	if err != nil {
		return h, probe.Outcomef(probe.Schema, "not the buckets of a histogram: %s", err)
	}
	return h, probe.Outcome{Reason: probe.OK}
}

// A nativeHistogram is a sample of a native histogram.
type nativeHistogram struct {
	count   float64
	buckets []stats.Bucket
}

// decodeNative reads a native histogram as the API writes it; nil if it is none.
func decodeNative(raw json.RawMessage) *nativeHistogram {
	var h struct {
		Count   string               `json:"count"`
		Buckets [][4]json.RawMessage `json:"buckets"` // kind of the bounds, lower, upper, count
	}
	if json.Unmarshal(raw, &h) != nil || len(h.Buckets) > maxBuckets {
		return nil
	}
	out := &nativeHistogram{count: parseValue(h.Count)}
	for _, b := range h.Buckets {
		var lower, upper, count string
		if json.Unmarshal(b[1], &lower) != nil || json.Unmarshal(b[2], &upper) != nil || json.Unmarshal(b[3], &count) != nil {
			return nil
		}
		out.buckets = append(out.buckets, stats.Bucket{Lower: parseValue(lower), Upper: parseValue(upper), Count: parseValue(count)})
	}
	return out
}

// stats checks the buckets, and brings them into their order.
func (n *nativeHistogram) stats() (stats.Histogram, probe.Outcome) {
	h := stats.Histogram{Buckets: slices.Clone(n.buckets), Exponential: true}
	sorted.By(h.Buckets, func(a, b stats.Bucket) int { return cmp.Compare(a.Lower, b.Lower) })
	before := math.Inf(-1)
	for _, b := range h.Buckets {
		if !(b.Lower <= b.Upper && b.Lower >= before && b.Count >= 0) || math.IsInf(b.Count, 0) || math.IsInf(b.Lower, 1) {
			return h, probe.Outcomef(probe.Schema, "not the buckets of a native histogram: their edges or counts make no sense")
		}
		before = b.Upper
	}
	if sum := h.Count(); !(math.Abs(sum-n.count) <= 1+0.01*n.count) { // NaNs were observed, or buckets are missing
		return h, probe.Outcomef(probe.Schema, "not the buckets of a native histogram: they hold %s of %s events", formatNumber(sum), formatNumber(n.count))
	}
	return h, probe.Outcome{Reason: probe.OK}
}
