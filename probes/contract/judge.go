package contract

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/text"
)

// maxNamed is how many mistakes a sentence names.
const maxNamed = 3

// flaws are what is wrong with one aspect of the contract. The reason is that of the first.
type flaws struct {
	reason probe.Reason
	texts  []string
}

//go:noinline
func (f *flaws) add(why probe.Reason, format string, args ...any) {
	if f.texts == nil {
		f.reason = why
	}
	f.texts = append(f.texts, fmt.Sprintf(format, args...))
}

// note notes a check: it passed if nothing is wrong.
func (f *flaws) note(r *probe.Result, check, passed string) {
	if f.texts == nil {
		r.Pass(check, "%s", passed)
		return
	}
	r.Report(check, f.reason, "%s", f.text())
}

func (f *flaws) text() string {
	shown := strings.Join(f.texts[:min(len(f.texts), maxNamed)], "; ")
	if more := len(f.texts) - maxNamed; more > 0 {
		shown += fmt.Sprintf("; and %d more", more)
	}
	return shown
}

// judge compares what one replica exposes with the contract, but for what must move.
func (p *Probe) judge(r *probe.Result, s *scrape) {
	var families, labels, buckets flaws
	hasLabels, hasBuckets := 0, 0
	noLabels, noBuckets := false, false // of a metric that is not there, nothing is known
	for _, name := range sorted.Keys(p.Families) {
		want, before := p.Families[name], len(families.texts)+len(labels.texts)+len(buckets.texts)
		hasLabels += len(want.Labels)
		hasBuckets += len(want.Buckets)
		if got := judgeFamily(s, name, want, &families); got != nil {
			judgeLabels(got, want, &labels)
			judgeBuckets(got, want, &buckets)
		} else {
			noLabels, noBuckets = noLabels || len(want.Labels) > 0, noBuckets || len(want.Buckets) > 0
		}
		r.Measure(familyGauge, probe.BoolValue(len(families.texts)+len(labels.texts)+len(buckets.texts) == before), r.Target(), name)
	}
	if len(p.Families) > 0 {
		families.note(r, "families", text.Count(len(p.Families), "metric")+" exposed, of the right type")
	}
	if hasLabels > 0 {
		note(r, &labels, "labels", fmt.Sprintf("every series has its labels, and every value occurs (%s)", text.Count(hasLabels, "label")), noLabels)
	}
	if hasBuckets > 0 {
		note(r, &buckets, "buckets", fmt.Sprintf("every histogram has its buckets (%s)", text.Count(hasBuckets, "bound")), noBuckets)
	}
	if len(p.zeros) > 0 {
		p.judgeZero(r, s)
	}
}

// note notes a check of what metrics have, unless it is unknown for want of the metrics.
func note(r *probe.Result, f *flaws, check, passed string, unknown bool) {
	if unknown && f.texts == nil {
		r.Inconclusive(check, probe.ControlFailed, "a metric is missing or of another type, so nothing is known of what it has")
		return
	}
	f.note(r, check, passed)
}

// judgeFamily returns the family if it is there and of the right type.
func judgeFamily(s *scrape, name string, want Family, bad *flaws) *dto.MetricFamily {
	got := s.Families[name]
	if got == nil {
		if untyped := s.Families[name+"_count"]; untyped != nil && want.Type != "" {
			bad.add(reasonType, "expected %s to be a %s, got series without a type", name, want.Type)
			return nil
		}
		bad.add(reasonMissing, "expected %s, got none", name)
		return nil
	}
	if kind := typeOf(got); want.Type != "" && want.Type != kind {
		bad.add(reasonType, "expected %s to be a %s, got a %s", name, want.Type, kind)
		return nil
	}
	if duplicates(got) {
		bad.add(reasonTwice, "expected each series of %s once, got one twice: Prometheus takes only one of them", name)
	}
	return got
}

// typeOf is the type in the words of the format.
func typeOf(f *dto.MetricFamily) string {
	return strings.ReplaceAll(strings.ToLower(f.GetType().String()), "_", "")
}

// duplicates reports whether two series have the same labels.
func duplicates(f *dto.MetricFamily) bool {
	seen := map[string]bool{}
	for _, m := range f.Metric {
		key := labelKey(m)
		if seen[key] {
			return true
		}
		seen[key] = true
		bounds := map[float64]bool{}
		for _, b := range m.GetHistogram().GetBucket() {
			if bounds[b.GetUpperBound()] {
				return true
			}
			bounds[b.GetUpperBound()] = true
		}
		for _, q := range m.GetSummary().GetQuantile() {
			if bounds[q.GetQuantile()] {
				return true
			}
			bounds[q.GetQuantile()] = true
		}
	}
	return false
}

// labelKey tells series of a family apart, whatever the order of their labels.
func labelKey(m *dto.Metric) string {
	var pairs []string
	for _, l := range m.Label {
		pairs = append(pairs, strconv.Quote(l.GetName())+strconv.Quote(l.GetValue()))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

func judgeLabels(got *dto.MetricFamily, want Family, bad *flaws) {
	for _, name := range sorted.Keys(want.Labels) {
		having, values := 0, map[string]bool{}
		for _, m := range got.Metric {
			for _, l := range m.Label {
				if l.GetName() == name && l.GetValue() != "" {
					having++
					values[l.GetValue()] = true
				}
			}
		}
		if having < len(got.Metric) {
			bad.add(reasonLabel, "expected the label %s on all %d series of %s, got it on %d", name, len(got.Metric), got.GetName(), having)
			continue
		}
		var missing []string
		for _, value := range want.Labels[name] {
			if !values[value] {
				missing = append(missing, value)
			}
		}
		if missing != nil {
			bad.add(reasonValue, "expected a series of %s with %s=%s, got none: increase() does not see the first event of a series that begins with it",
				got.GetName(), name, strings.Join(missing, " and "))
		}
	}
}

func judgeBuckets(got *dto.MetricFamily, want Family, bad *flaws) {
	for _, bound := range want.Buckets {
		lacking := 0
		for _, m := range got.Metric {
			if !slices.ContainsFunc(m.GetHistogram().GetBucket(), func(b *dto.Bucket) bool { return b.GetUpperBound() == bound }) {
				lacking++
			}
		}
		if lacking > 0 {
			bad.add(reasonBucket, "expected a bucket with le=%s on all %d series of %s, got none on %d", number(bound), len(got.Metric), got.GetName(), lacking)
		}
	}
}

// judgeZero looks at the telemetry that must stay 0. One that is not there could not be anything else.
func (p *Probe) judgeZero(r *probe.Result, s *scrape) {
	var missing, above flaws
	for _, name := range sorted.Keys(p.zeros) {
		t := s.total(p.zeros[name])
		switch {
		case t.n == 0:
			missing.add(reasonSeries, "expected %s to exist and be 0, got no series: its first event would go unseen", p.zeros[name])
			continue
		case t.nan:
			missing.add(reasonNaN, "expected %s to be 0, got NaN, which no alert sees", p.zeros[name])
			continue
		}
		r.Measure(zeroGauge, t.sum, r.Target(), name)
		if !t.zero {
			above.add(reasonNotZero, "expected %s to be 0, got %s", p.zeros[name], number(t.sum))
		}
	}
	above.texts = append(above.texts, missing.texts...)
	if above.reason == (probe.Reason{}) {
		above.reason = missing.reason
	}
	above.note(r, "zero", text.Plural(len(p.zeros), "sum that must be 0 is", "sums that must be 0 are")+" 0")
}

// number writes a number as Prometheus does.
func number(x float64) string {
	return strconv.FormatFloat(x, 'g', -1, 64)
}
