package exposition

import (
	"bytes"
	"encoding/hex"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// chunkSize is how much is written at once. Between two chunks the scrape yields, so that it does not delay the start of
// runs.
const chunkSize = 64 << 10

// text writes text format 0.0.4 or OpenMetrics 1.0.
type text struct {
	w           io.Writer
	buf         []byte
	err         error // of w
	openMetrics bool
	created     bool // write _created lines
	enc         expfmt.Encoder

	name, help  string // of the family
	kind        dto.MetricType
	headWritten bool
}

func (t *text) reset(w io.Writer, format expfmt.Format, created bool) {
	*t = text{w: w, buf: t.buf[:0], openMetrics: format.FormatType() == expfmt.TypeOpenMetrics}
	t.created = created && t.openMetrics
	var options []expfmt.EncoderOption
	if t.created {
		options = append(options, expfmt.WithCreatedLines())
	}
	t.enc = expfmt.NewEncoder((*textOut)(t), format, options...)
}

func (t *text) Begin(name, help string, kind dto.MetricType) {
	t.name, t.help, t.kind, t.headWritten = name, help, kind, false
}

func (t *text) Sample(l *Labels, names, values []string, v float64, created int64) {
	b := t.head()
	b = append(b, t.name...)
	b = appendLabels(b, l, names, values)
	b = append(b, ' ')
	b = append(t.float(b, v), '\n')
	if t.created && t.kind == dto.MetricType_COUNTER {
		b = append(b, strings.TrimSuffix(t.name, totalSuffix)...)
		b = append(b, "_created"...)
		b = appendLabels(b, l, names, values)
		b = append(b, ' ')
		b = append(t.float(b, float64(created)/1e3), '\n')
	}
	t.lineDone(b)
}

func (t *text) Histogram(l *Labels, h *Histogram, created int64) {
	b := t.head()
	start := len(b)
	b = append(b, t.name...)
	b = append(b, "_bucket{"...)
	if l.text != "" {
		b = append(b, l.text...)
		b = append(b, ',')
	}
	b = append(b, `le="`...)
	end := len(b)
	var n uint64
	exemplars := h.exemplars
	for i, count := range h.counts {
		if n += count; i > 0 {
			b = append(b, b[start:end]...)
		}
		if i < len(Bounds) {
			b = t.float(b, Bounds[i])
		} else {
			b = append(b, "+Inf"...)
		}
		b = append(b, `"} `...)
		b = t.integer(b, n)
		if len(exemplars) > 0 && int(exemplars[0].bucket) == i {
			b = t.exemplar(b, &exemplars[0])
			exemplars = exemplars[1:]
		}
		b = append(b, '\n')
	}
	b = t.series(b, "_sum", l)
	b = append(t.float(b, h.sum), '\n')
	b = t.series(b, "_count", l)
	b = append(t.integer(b, n), '\n')
	if t.created {
		b = t.series(b, "_created", l)
		b = append(t.float(b, float64(created)/1e3), '\n')
	}
	t.lineDone(b)
}

// series appends a line of the family up to its value.
func (t *text) series(b []byte, suffix string, l *Labels) []byte {
	b = append(b, t.name...)
	b = append(b, suffix...)
	return append(appendLabels(b, l, nil, nil), ' ')
}

func (t *text) exemplar(b []byte, e *exemplar) []byte {
	if !t.openMetrics {
		return b
	}
	b = append(b, ` # {trace_id="`...)
	b = hex.AppendEncode(b, e.trace[:])
	b = append(b, `"} `...)
	b = t.float(b, e.value)
	b = append(b, ' ')
	return t.float(b, float64(e.at)/1e3)
}

// End has nothing to do: whole lines are written as they come, and half a line was never appended.
func (t *text) End(bool) error { return nil }

func (t *text) Family(f *dto.MetricFamily) error {
	before := len(t.buf)
	err := t.enc.Encode(f)
	if err != nil && len(t.buf) >= before {
		t.buf = t.buf[:before]
	}
	t.lineDone(t.buf)
	return err
}

func (t *text) Close() error {
	if t.openMetrics {
		t.buf = append(t.buf, "# EOF\n"...)
	}
	t.flush()
	return t.err
}

func (t *text) Failed() bool { return t.err != nil }

const totalSuffix = "_total"

// head returns the buffer, after the head of the family if that is still to be written.
func (t *text) head() []byte {
	b := t.buf
	if t.headWritten {
		return b
	}
	t.headWritten = true
	name := t.name
	if t.openMetrics && t.kind == dto.MetricType_COUNTER {
		name = strings.TrimSuffix(name, totalSuffix)
	}
	b = append(b, "# HELP "...)
	b = append(b, name...)
	b = append(b, ' ')
	b = appendEscaped(b, t.help, t.openMetrics)
	b = append(b, "\n# TYPE "...)
	b = append(b, name...)
	switch t.kind {
	case dto.MetricType_COUNTER:
		b = append(b, " counter\n"...)
	case dto.MetricType_HISTOGRAM:
		b = append(b, " histogram\n"...)
	default:
		b = append(b, " gauge\n"...)
	}
	return b
}

// lineDone takes the buffer back at the end of a line, and writes it out when it is long enough.
func (t *text) lineDone(b []byte) {
	if t.buf = b; len(b) >= chunkSize {
		t.flush()
		runtime.Gosched()
	}
}

func (t *text) flush() {
	if t.err == nil {
		_, t.err = t.w.Write(t.buf)
	}
	t.buf = t.buf[:0]
}

// textOut is the buffer as expfmt writes to it.
type textOut text

func (t *textOut) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	return len(p), nil
}

func appendLabels(b []byte, l *Labels, names, values []string) []byte {
	if l.text == "" && len(names) == 0 {
		return b
	}
	b = append(b, '{')
	b = append(b, l.text...)
	for i, name := range names {
		b = appendLabel(b, name, values[i])
	}
	return append(b, '}')
}

// float appends a number in the form of the format.
func (t *text) float(b []byte, f float64) []byte {
	// strconv's 'g' switches to exponents at a million.
	if -1e6 < f && f < 1e6 && f == math.Trunc(f) {
		b = strconv.AppendInt(b, int64(f), 10)
		if t.openMetrics {
			b = append(b, ".0"...)
		}
		return b
	}
	from := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if t.openMetrics && !bytes.ContainsAny(b[from:], ".eIN") {
		b = append(b, ".0"...)
	}
	return b
}

// integer appends a count of observations, which is an integer in OpenMetrics and a float in the other format.
func (t *text) integer(b []byte, n uint64) []byte {
	if t.openMetrics {
		return strconv.AppendUint(b, n, 10)
	}
	return t.float(b, float64(n))
}
