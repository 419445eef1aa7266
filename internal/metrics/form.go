package metrics

import (
	"encoding/hex"
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A form is the message of a histogram, filled in again and again: as a new message for each of 10,000 probes it
// would be most of what a scrape leaves to the garbage collector.
type form struct {
	message dto.Histogram
	count   uint64
	zero    uint64
	sum     float64
	created timestamppb.Timestamp

	buckets   [len(edges) + 1]dto.Bucket
	counts    [len(edges) + 1]uint64
	listed    [len(edges) + 1]*dto.Bucket
	exemplars [len(edges) + 1]dto.Exemplar
	latest    [len(edges) + 1]*dto.Exemplar
	spans     []*dto.BucketSpan // those ever needed; the message has the first of them
	deltas    []int64
}

// What is the same in all forms.
var (
	nativeSchema    int32 = schema
	nativeThreshold       = float64(zeroThreshold)
	infinite              = math.Inf(+1)
	traceLabel            = "trace_id"
)

// fill returns the message of a histogram, as client_golang would write it. It is good until the next one.
func (f *form) fill(h *histogram, created int64) *dto.Histogram {
	m := &f.message
	f.count, f.zero, f.sum = 0, h.zero, h.sum
	m.SampleCount, m.SampleSum, m.ZeroCount = &f.count, &f.sum, &f.zero
	m.Schema, m.ZeroThreshold = &nativeSchema, &nativeThreshold
	m.CreatedTimestamp = stamp(&f.created, created)
	m.Bucket, m.Exemplars = f.listed[:0], f.latest[:0]
	left := h.exemplars
	for i, n := range h.counts {
		f.count += n
		f.counts[i] = f.count
		b := &f.buckets[i]
		b.CumulativeCount, b.UpperBound, b.Exemplar = &f.counts[i], &infinite, nil
		if i < len(edges) {
			b.UpperBound = &edges[i]
		}
		if len(left) > 0 && int(left[0].bucket) == i {
			b.Exemplar = left[0].fill(&f.exemplars[i])
			left = left[1:]
			m.Exemplars = append(m.Exemplars, b.Exemplar)
		}
		if i < len(edges) || b.Exemplar != nil { // without an exemplar the last bucket says no more than the count
			m.Bucket = append(m.Bucket, b)
		}
	}
	slices.SortFunc(m.Exemplars, func(a, b *dto.Exemplar) int { return a.Timestamp.AsTime().Compare(b.Timestamp.AsTime()) })
	f.fillSpans(h.native)
	return m
}

// fillSpans lists the native buckets as runs of counts, each given as the difference to the one before. Gaps of one or
// two buckets are cheaper as empty buckets than as a new run.
func (f *form) fillSpans(native []nativeBucket) {
	used := 0
	f.deltas = f.deltas[:0]
	var before int64
	var next int32
	for i, b := range native {
		gap := b.index - next
		if i == 0 || gap > 2 {
			f.span(used, gap)
			used++
			gap = 0
		}
		length := f.spans[used-1].Length
		for ; gap > 0; gap-- {
			f.deltas = append(f.deltas, -before)
			before = 0
			*length++
		}
		f.deltas = append(f.deltas, int64(b.count)-before)
		before = int64(b.count)
		*length++
		next = b.index + 1
	}
	f.message.PositiveSpan, f.message.PositiveDelta = f.spans[:used], f.deltas
}

// span starts the run number i after a gap.
func (f *form) span(i int, gap int32) {
	if i == len(f.spans) {
		f.spans = append(f.spans, &dto.BucketSpan{Offset: new(int32), Length: new(uint32)})
	}
	*f.spans[i].Offset, *f.spans[i].Length = gap, 0
}

func (e *exemplar) fill(m *dto.Exemplar) *dto.Exemplar {
	if m.Label == nil {
		m.Label = []*dto.LabelPair{{Name: &traceLabel, Value: new(string)}}
		m.Value, m.Timestamp = new(float64), &timestamppb.Timestamp{}
	}
	*m.Label[0].Value, *m.Value = hex.EncodeToString(e.trace[:]), e.value
	stamp(m.Timestamp, e.at)
	return m
}

// stamp fills in a time given in Unix milliseconds.
func stamp(t *timestamppb.Timestamp, ms int64) *timestamppb.Timestamp {
	t.Seconds, t.Nanos = ms/1e3, int32(ms%1e3)*int32(time.Millisecond)
	return t
}
