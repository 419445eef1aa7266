package metrics

import (
	"io"
	"runtime"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Numbers of fields.
const (
	fieldLabel  protowire.Number = 1 // Metric.label
	fieldMetric protowire.Number = 4 // MetricFamily.metric
)

// protobuf writes delimited protobuf. It fills in the same few messages again and again and gathers a family in its
// encoded form, so that no family ever exists as messages for all probes.
type protobuf struct {
	w      io.Writer
	err    error // of w, or of the encoding
	enc    expfmt.Encoder
	family dto.MetricFamily // the head: name, help and type
	name   string
	help   string
	kind   dto.MetricType
	body   []byte // the encoded series of the family
	head   []byte

	metric  dto.Metric
	label   []*dto.LabelPair
	gauge   dto.Gauge
	counter dto.Counter
	value   float64
	created timestamppb.Timestamp
	form    form
}

// keepBody is how much memory for a family is kept for the next scrape: enough for the histograms of 20,000 probes.
const keepBody = 32 << 20

func (p *protobuf) reset(w io.Writer, format expfmt.Format) {
	p.w, p.err, p.body = w, nil, p.body[:0]
	p.enc = expfmt.NewEncoder((*onward)(p), format)
	p.family.Name, p.family.Help, p.family.Type = &p.name, &p.help, &p.kind
	p.gauge.Value, p.counter.Value = &p.value, &p.value
}

// forget lets go of the reader, and of a body too large to keep.
func (p *protobuf) forget() {
	p.w, p.enc = nil, nil
	if cap(p.body) > keepBody {
		p.body = nil
	}
}

func (p *protobuf) begin(name, help string, kind dto.MetricType) {
	p.name, p.help, p.kind, p.body = name, help, kind, p.body[:0]
}

func (p *protobuf) sample(l *labels, names, values []string, v float64, created int64) {
	p.value = v
	p.metric.Gauge, p.metric.Counter, p.metric.Histogram = nil, nil, nil
	if p.kind == counter {
		p.metric.Counter = &p.counter
		p.counter.CreatedTimestamp = stamp(&p.created, created)
	} else {
		p.metric.Gauge = &p.gauge
	}
	p.add(l, names, values)
}

func (p *protobuf) histogram(l *labels, h *histogram, created int64) {
	p.metric.Gauge, p.metric.Counter = nil, nil
	p.metric.Histogram = p.form.fill(h, created)
	p.add(l, nil, nil)
}

// add encodes the metric with its labels onto the body. Those in l are encoded already.
func (p *protobuf) add(l *labels, names, values []string) {
	for len(p.label) < len(names) {
		p.label = append(p.label, &dto.LabelPair{})
	}
	for i := range names {
		p.label[i].Name, p.label[i].Value = &names[i], &values[i]
	}
	p.metric.Label = p.label[:len(names)]
	size := len(l.wire) + proto.Size(&p.metric)
	body := slices.Grow(p.body, size+16)
	body = protowire.AppendTag(body, fieldMetric, protowire.BytesType)
	body = protowire.AppendVarint(body, uint64(size))
	body = append(body, l.wire...)
	body, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(body, &p.metric)
	if err != nil {
		p.err = err
		return
	}
	p.body = body
}

// appendWire appends a label as a field of a metric.
func appendWire(b []byte, label *dto.LabelPair) []byte {
	encoded, err := proto.Marshal(label)
	if err != nil {
		return b // cannot be: both strings are valid UTF-8
	}
	return protowire.AppendBytes(protowire.AppendTag(b, fieldLabel, protowire.BytesType), encoded)
}

func (p *protobuf) finish(ok bool) {
	if !ok || len(p.body) == 0 || p.err != nil {
		return
	}
	head, err := proto.MarshalOptions{}.MarshalAppend(nil, &p.family)
	if err != nil {
		p.err = err
		return
	}
	p.head = protowire.AppendVarint(p.head[:0], uint64(len(head)+len(p.body)))
	p.put(append(p.head, head...))
	for b := p.body; len(b) > 0 && p.err == nil; {
		n := min(len(b), chunkSize)
		p.put(b[:n])
		b = b[n:]
		runtime.Gosched()
	}
}

func (p *protobuf) put(b []byte) {
	if p.err == nil {
		_, p.err = p.w.Write(b)
	}
}

// onward is the reader, for the library to write to. That it went away is no error of the library.
type onward protobuf

func (o *onward) Write(b []byte) (int, error) {
	(*protobuf)(o).put(b)
	return len(b), nil
}

func (p *protobuf) library(f *dto.MetricFamily) error { return p.enc.Encode(f) }

func (p *protobuf) close() error { return p.err }

func (p *protobuf) failed() bool { return p.err != nil }
