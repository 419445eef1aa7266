package exposed

import (
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// suffixes are those of the series of histograms and summaries.
var suffixes = []string{"_bucket", "_count", "_sum"}

// FamilyOf is the name of the histogram or summary that a series may belong to.
//
//go:noinline
func FamilyOf(series string) string {
	for _, suffix := range suffixes {
		if base, ok := strings.CutSuffix(series, suffix); ok && base != "" {
			return base
		}
	}
	return series
}

// Each calls a function with every series of a family, which may be nil, as Prometheus stores it.
func Each(f *dto.MetricFamily, do func(name string, label func(string) string, value float64)) {
	name := f.GetName()
	for _, m := range f.GetMetric() {
		label := func(want string) string {
			for _, l := range m.Label {
				if l.GetName() == want {
					return l.GetValue()
				}
			}
			return ""
		}
		with := func(extra string, value float64) func(string) string {
			return func(want string) string {
				if want == extra {
					return strconv.FormatFloat(value, 'g', -1, 64)
				}
				return label(want)
			}
		}
		switch h := m.Histogram; {
		case m.Counter != nil:
			do(name, label, m.Counter.GetValue())
		case m.Gauge != nil:
			do(name, label, m.Gauge.GetValue())
		case m.Untyped != nil:
			do(name, label, m.Untyped.GetValue())
		case m.Summary != nil:
			for _, q := range m.Summary.Quantile {
				do(name, with("quantile", q.GetQuantile()), q.GetValue())
			}
			if m.Summary.SampleSum != nil {
				do(name+"_sum", label, m.Summary.GetSampleSum())
			}
			if m.Summary.SampleCount != nil {
				do(name+"_count", label, float64(m.Summary.GetSampleCount()))
			}
		case h != nil:
			for _, b := range h.Bucket {
				do(name+"_bucket", with("le", b.GetUpperBound()), either(b.CumulativeCount, b.CumulativeCountFloat))
			}
			if h.SampleSum != nil {
				do(name+"_sum", label, h.GetSampleSum())
			}
			if h.SampleCount != nil || h.SampleCountFloat != nil {
				do(name+"_count", label, either(h.SampleCount, h.SampleCountFloat))
			}
		}
	}
}

// either is the number that is given: a histogram counts in whole numbers or in others.
func either(whole *uint64, other *float64) float64 {
	if other != nil {
		return *other
	}
	if whole != nil {
		return float64(*whole)
	}
	return 0
}
