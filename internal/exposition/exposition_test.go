package exposition

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

func traceID(n int) string { return fmt.Sprintf("%032x", n) }

// values are label values and numbers that the formats write in a way of their own.
var (
	texts   = []string{"", "a", `say "hi"`, "back\\slash", "two\nlines", "ümlaut \u2028", `\n`, "{},="}
	numbers = []float64{0, 1, -1, 0.5, 1e6, 999999, -1e6, 1e21, 1e-9, 946684800.25, math.MaxInt64, math.Inf(+1), math.Inf(-1), math.NaN()}
)

// writeAll writes families of every kind: the same ones for the same seed.
func writeAll(w *Writer, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	text := func() string { return texts[rng.IntN(len(texts))] }
	for i, kind := range []dto.MetricType{dto.MetricType_GAUGE, dto.MetricType_COUNTER, dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE} {
		name := fmt.Sprintf("family_%d", i)
		if kind == dto.MetricType_COUNTER {
			name += "_total"
		}
		w.Begin(name, text(), kind)
		for probe := range rng.IntN(5) {
			labels := NewLabels([]Label{{"probe", fmt.Sprint("p", probe)}, {"env", text()}, {"a", text()}})
			if kind == dto.MetricType_HISTOGRAM {
				var h Histogram
				for range rng.IntN(200) {
					h.Observe(math.Exp(rng.NormFloat64()*4), traceID(rng.IntN(3)), int64(rng.IntN(1e9)))
				}
				w.Histogram(&labels, &h, 946684800123)
				continue
			}
			for series := range rng.IntN(4) {
				v := numbers[rng.IntN(len(numbers))]
				if kind == dto.MetricType_COUNTER {
					v = math.Abs(v)
				}
				w.Sample(&labels, []string{"series", "x"}, []string{fmt.Sprint(series), "x" + text()}, v, 946684800123)
			}
		}
		w.End(true)
	}
	name, help, value := "library", text(), 2.5
	w.Family(&dto.MetricFamily{Name: &name, Help: &help, Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: &value}}}})
}

// The contract of this package: text is what expfmt writes of the same families, byte for byte.
func TestTextEqualsExpfmt(t *testing.T) {
	for seed := range uint64(100) {
		var w Writer
		var binary bytes.Buffer
		w.Reset(&binary, expfmt.FmtProtoDelim, false)
		writeAll(&w, seed)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			format  expfmt.Format
			created bool
		}{{expfmt.FmtText, false}, {expfmt.FmtOpenMetrics_1_0_0, false}, {expfmt.FmtOpenMetrics_1_0_0, true}} {
			var got bytes.Buffer
			w.Reset(&got, c.format, c.created)
			writeAll(&w, seed)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if want := byExpfmt(t, binary.Bytes(), c.format, c.created); got.String() != want {
				t.Fatalf("seed %d, %s, created %t\nexpfmt\n%s\nours\n%s", seed, c.format, c.created, want, &got)
			}
		}
	}
}

// byExpfmt writes families given in delimited protobuf as expfmt does.
func byExpfmt(t *testing.T, binary []byte, format expfmt.Format, created bool) string {
	t.Helper()
	var options []expfmt.EncoderOption
	if created {
		options = append(options, expfmt.WithCreatedLines())
	}
	var want bytes.Buffer
	enc := expfmt.NewEncoder(&want, format, options...)
	dec := expfmt.NewDecoder(bytes.NewReader(binary), expfmt.FmtProtoDelim)
	for {
		f := &dto.MetricFamily{}
		if err := dec.Decode(f); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if err := enc.Encode(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.(expfmt.Closer).Close(); err != nil {
		t.Fatal(err)
	}
	return want.String()
}

func TestLabels(t *testing.T) {
	l := NewLabels([]Label{{"probe", "proxy"}, {"empty", ""}, {"env", `a"b`}})
	if l.String() != `env="a\"b",probe="proxy"` || !l.Has("env") || l.Has("empty") {
		t.Errorf("got %s", l)
	}
}

type brokenWriter struct{ writes int }

func (b *brokenWriter) Write([]byte) (int, error) { b.writes++; return 0, io.ErrClosedPipe }

func TestWriterReportsABrokenReader(t *testing.T) {
	for _, format := range []expfmt.Format{expfmt.FmtText, expfmt.FmtProtoDelim} {
		var w Writer
		var out brokenWriter
		w.Reset(&out, format, false)
		for range 2 {
			w.Begin("big", "x", dto.MetricType_GAUGE)
			for range 2 * chunkSize / 100 {
				w.Sample(&Labels{}, []string{"x"}, []string{strings.Repeat("x", 100)}, 1, 0)
			}
			w.End(true)
			if !w.Failed() {
				t.Errorf("%s: expected the failure after a family", format)
			}
		}
		if err := w.Close(); !errors.Is(err, io.ErrClosedPipe) || out.writes != 1 {
			t.Errorf("%s: expected one write and its error, got %d and %v", format, out.writes, err)
		}
	}
}
