package exposition

import (
	"encoding/hex"
	"io"
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/types/known/timestamppb"

	"prober/internal/sorted"
)

// protobuf collects one family at a time as messages and has expfmt write them.
type protobuf struct {
	w      io.Writer
	err    error // of w
	enc    expfmt.Encoder
	family *dto.MetricFamily
}

func (p *protobuf) reset(w io.Writer, format expfmt.Format) {
	*p = protobuf{w: w}
	p.enc = expfmt.NewEncoder((*protobufOut)(p), format)
}

func (p *protobuf) Begin(name, help string, kind dto.MetricType) {
	p.family = &dto.MetricFamily{Name: &name, Help: &help, Type: &kind}
}

func (p *protobuf) Sample(l *Labels, names, values []string, v float64, created int64) {
	m := &dto.Metric{Label: l.pairs}
	if len(names) > 0 {
		m.Label = slices.Grow(slices.Clip(l.pairs), len(names))
		for i := range names {
			m.Label = append(m.Label, labelPair(names[i], values[i]))
		}
	}
	if p.family.GetType() == dto.MetricType_COUNTER {
		m.Counter = &dto.Counter{Value: &v, CreatedTimestamp: timestamp(created)}
	} else {
		m.Gauge = &dto.Gauge{Value: &v}
	}
	p.family.Metric = append(p.family.Metric, m)
}

func (p *protobuf) Histogram(l *Labels, h *Histogram, created int64) {
	m := h.message()
	m.CreatedTimestamp = timestamp(created)
	p.family.Metric = append(p.family.Metric, &dto.Metric{Label: l.pairs, Histogram: m})
}

func (p *protobuf) End(ok bool) error {
	if !ok || len(p.family.Metric) == 0 {
		return nil
	}
	return p.Family(p.family)
}

func (p *protobuf) Family(f *dto.MetricFamily) error { return p.enc.Encode(f) }

func (p *protobuf) Close() error { return p.err }

func (p *protobuf) Failed() bool { return p.err != nil }

// labelPair makes a label with one allocation in place of three.
func labelPair(name, value string) *dto.LabelPair {
	l := &struct {
		pair        dto.LabelPair
		name, value string
	}{name: name, value: value}
	l.pair.Name, l.pair.Value = &l.name, &l.value
	return &l.pair
}

// protobufOut is where expfmt writes to. It keeps an error of the reader apart from an error of the encoding.
type protobufOut protobuf

func (o *protobufOut) Write(b []byte) (int, error) {
	if o.err == nil {
		_, o.err = o.w.Write(b)
	}
	return len(b), nil
}

// upperBounds are Bounds and then infinity.
var upperBounds = append(Bounds[:len(Bounds):len(Bounds)], math.Inf(+1))

// message returns the histogram as client_golang would write it.
func (h *Histogram) message() *dto.Histogram {
	schema, threshold := int32(nativeSchema), float64(zeroThreshold)
	m := &dto.Histogram{SampleSum: &h.sum, ZeroCount: &h.zero, Schema: &schema, ZeroThreshold: &threshold}
	exemplars := h.exemplars
	counts := h.counts
	buckets := make([]dto.Bucket, len(counts))
	m.Bucket = make([]*dto.Bucket, 0, len(counts))
	var total uint64
	for i := range counts {
		total += counts[i]
		counts[i] = total
		b := &buckets[i]
		b.CumulativeCount, b.UpperBound = &counts[i], &upperBounds[i]
		if len(exemplars) > 0 && int(exemplars[0].bucket) == i {
			b.Exemplar = exemplars[0].message()
			m.Exemplars = append(m.Exemplars, b.Exemplar)
			exemplars = exemplars[1:]
		}
		if i < len(Bounds) || b.Exemplar != nil { // without an exemplar the last bucket only repeats the count
			m.Bucket = append(m.Bucket, b)
		}
	}
	m.SampleCount = &total
	sorted.By(m.Exemplars, func(a, b *dto.Exemplar) int { return a.Timestamp.AsTime().Compare(b.Timestamp.AsTime()) })
	m.PositiveSpan, m.PositiveDelta = spans(h.native)
	return m
}

// spans lists the native buckets as runs of counts, each given as the difference to the one before. Gaps of one or two
// buckets are cheaper as empty buckets than as a new run.
func spans(native []nativeBucket) (runs []*dto.BucketSpan, deltas []int64) {
	var before int64
	var next int32
	for i, b := range native {
		gap := b.index - next
		if i == 0 || gap > 2 {
			offset := gap
			runs = append(runs, &dto.BucketSpan{Offset: &offset, Length: new(uint32)})
			gap = 0
		}
		length := runs[len(runs)-1].Length
		for ; gap > 0; gap-- {
			deltas = append(deltas, -before)
			before = 0
			*length++
		}
		deltas = append(deltas, int64(b.count)-before)
		before = int64(b.count)
		*length++
		next = b.index + 1
	}
	return runs, deltas
}

func (e *exemplar) message() *dto.Exemplar {
	value := e.value
	labels := []*dto.LabelPair{labelPair(traceLabel, hex.EncodeToString(e.trace[:]))}
	return &dto.Exemplar{Label: labels, Value: &value, Timestamp: timestamp(e.at)}
}

// timestamp returns a time given in Unix milliseconds.
func timestamp(ms int64) *timestamppb.Timestamp { return timestamppb.New(time.UnixMilli(ms)) }
