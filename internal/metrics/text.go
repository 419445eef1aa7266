package metrics

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

// chunkSize is how much is written at once. Between two chunks other goroutines have their turn, so that a scrape of
// many probes does not delay the start of runs.
const chunkSize = 64 << 10

// text writes text format 0.0.4 or OpenMetrics 1.0. What it writes equals what expfmt writes, byte for byte, in a fifth
// of the time: the labels that all series of a probe have are rendered once, not once for each line.
type text struct {
	w       io.Writer
	buf     []byte
	err     error // of w
	open    bool  // OpenMetrics
	created bool  // write _created lines
	enc     expfmt.Encoder

	name, help string // of the family
	kind       dto.MetricType
	headed     bool // the head of the family is written
}

func (t *text) reset(w io.Writer, format expfmt.Format, created bool) {
	*t = text{w: w, buf: t.buf[:0], open: format.FormatType() == expfmt.TypeOpenMetrics}
	t.created = created && t.open
	var options []expfmt.EncoderOption
	if t.created {
		options = append(options, expfmt.WithCreatedLines())
	}
	t.enc = expfmt.NewEncoder((*tail)(t), format, options...)
}

func (t *text) begin(name, help string, kind dto.MetricType) {
	t.name, t.help, t.kind, t.headed = name, help, kind, false
}

func (t *text) sample(l *labels, names, values []string, v float64, created int64) {
	b := t.head()
	b = append(b, t.name...)
	b = appendLabels(b, l, names, values)
	b = append(b, ' ')
	b = append(t.float(b, v), '\n')
	if t.created && created > 0 {
		b = append(b, strings.TrimSuffix(t.name, total)...)
		b = append(b, "_created"...)
		b = appendLabels(b, l, names, values)
		b = append(b, ' ')
		b = append(t.float(b, float64(created)/1e3), '\n')
	}
	t.keep(b)
}

func (t *text) histogram(l *labels, h *histogram, created int64) {
	b := t.head()
	from := len(b)
	b = append(b, t.name...)
	b = append(b, "_bucket{"...)
	if l.text != "" {
		b = append(b, l.text...)
		b = append(b, ',')
	}
	b = append(b, `le="`...)
	to := len(b)
	var n uint64
	left := h.exemplars
	for i, count := range h.counts {
		if n += count; i > 0 {
			b = append(b, b[from:to]...)
		}
		if i < len(edges) {
			b = t.float(b, edges[i])
		} else {
			b = append(b, "+Inf"...)
		}
		b = append(b, `"} `...)
		b = t.whole(b, n)
		if len(left) > 0 && int(left[0].bucket) == i {
			b = t.exemplar(b, &left[0])
			left = left[1:]
		}
		b = append(b, '\n')
	}
	b = t.line(b, "_sum", l)
	b = append(t.float(b, h.sum), '\n')
	b = t.line(b, "_count", l)
	b = append(t.whole(b, n), '\n')
	if t.created {
		b = t.line(b, "_created", l)
		b = append(t.float(b, float64(created)/1e3), '\n')
	}
	t.keep(b)
}

// line appends a line of the family up to its value.
func (t *text) line(b []byte, suffix string, l *labels) []byte {
	b = append(b, t.name...)
	b = append(b, suffix...)
	return append(appendLabels(b, l, nil, nil), ' ')
}

func (t *text) exemplar(b []byte, e *exemplar) []byte {
	if !t.open {
		return b
	}
	b = append(b, ` # {trace_id="`...)
	b = hex.AppendEncode(b, e.trace[:])
	b = append(b, `"} `...)
	b = t.float(b, e.value)
	b = append(b, ' ')
	return t.float(b, float64(e.at)/1e3)
}

// finish has nothing to do: a series that panicked was never kept.
func (t *text) finish(bool) {}

func (t *text) library(f *dto.MetricFamily) error {
	whole := len(t.buf)
	err := t.enc.Encode(f)
	if err != nil && len(t.buf) >= whole {
		t.buf = t.buf[:whole]
	}
	t.keep(t.buf)
	return err
}

func (t *text) close() error {
	if t.open {
		t.buf = append(t.buf, "# EOF\n"...)
	}
	t.flush()
	return t.err
}

func (t *text) failed() bool { return t.err != nil }

const total = "_total"

// head returns the buffer, after the head of the family if that is still to be written.
func (t *text) head() []byte {
	b := t.buf
	if t.headed {
		return b
	}
	t.headed = true
	name := t.name
	if t.open && t.kind == counter {
		name = strings.TrimSuffix(name, total)
	}
	b = append(b, "# HELP "...)
	b = append(b, name...)
	b = append(b, ' ')
	b = appendEscaped(b, t.help, t.open)
	b = append(b, "\n# TYPE "...)
	b = append(b, name...)
	switch t.kind {
	case counter:
		b = append(b, " counter\n"...)
	case duration:
		b = append(b, " histogram\n"...)
	default:
		b = append(b, " gauge\n"...)
	}
	return b
}

// keep takes the buffer back at the end of a line, and writes it out when it is long enough.
func (t *text) keep(b []byte) {
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

// tail is the end of the buffer, for the library to write to.
type tail text

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	return len(p), nil
}

func appendLabels(b []byte, l *labels, names, values []string) []byte {
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

// float appends a number as the format wants it.
func (t *text) float(b []byte, f float64) []byte {
	// strconv's 'g' switches to exponents at a million.
	if -1e6 < f && f < 1e6 && f == math.Trunc(f) {
		b = strconv.AppendInt(b, int64(f), 10)
		if t.open {
			b = append(b, ".0"...)
		}
		return b
	}
	from := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if t.open && !bytes.ContainsAny(b[from:], ".e") {
		b = append(b, ".0"...)
	}
	return b
}

// whole appends a count of observations, which is an integer in OpenMetrics and a float in the other format.
func (t *text) whole(b []byte, n uint64) []byte {
	if t.open {
		return strconv.AppendUint(b, n, 10)
	}
	return t.float(b, float64(n))
}
