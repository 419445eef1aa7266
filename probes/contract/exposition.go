package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"prober/internal/memory"
)

// Bounds of an exposition, beside that of its bytes, max_body.
const (
	maxLine   = 64 << 10 // bytes
	maxSeries = 20_000   // of the families that the contract names; the others are read, and not kept
	partBytes = 64 << 10 // of those others, read at a time
)

// An exposition is what a target exposed, of the families that somebody wants.
type exposition struct {
	families map[string]*dto.MetricFamily
	lines    int // with a sample, of all families
}

// Media types of the two formats of text.
const (
	textType        = "text/plain"
	openMetricsType = "application/openmetrics-text"
)

// accept asks for the format that has one meaning in all versions, and takes OpenMetrics from a target that has no other.
// Names that are not of the old form are escaped unless they are asked for.
func accept(utf8Names bool) string {
	if utf8Names {
		return textType + ";version=1.0.0;escaping=allow-utf-8," + openMetricsType + ";version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1"
	}
	return textType + ";version=0.0.4," + openMetricsType + ";version=1.0.0;q=0.5,*/*;q=0.1"
}

// format returns openMetricsType or textType, or says what the answer is instead.
func format(contentType string) (string, error) {
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case media == openMetricsType:
		return openMetricsType, nil
	case contentType == "" || media == textType && err == nil:
		return textType, nil
	}
	got := map[string]string{
		"text/html": "HTML", "application/xhtml+xml": "HTML", "application/json": "JSON",
		"application/vnd.google.protobuf": "protobuf, which was not asked for",
	}[media]
	if got == "" {
		got = "another content type"
	}
	return "", fmt.Errorf("expected the text format of Prometheus, got %s", got)
}

// A lineError says which line cannot be read, and repeats nothing of it.
type lineError struct {
	line int
	text string
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d %s", e.line, e.text) }

// errCut is that of an exposition that is shorter than it was meant to be.
var errCut = errors.New("it ends in the middle: Prometheus takes nothing of it")

// read reads an exposition and keeps the families that are wanted. All of it must be readable: Prometheus drops a scrape as a
// whole. The error is a memory.ErrLimit if a limit of the prober's was met.
func read(ctx context.Context, body []byte, openMetrics bool, wanted func(name string) bool) (*exposition, error) {
	x := &exposition{families: map[string]*dto.MetricFamily{}}
	if len(body) > 0 && body[len(body)-1] != '\n' {
		return nil, errCut
	}
	s := splitter{ctx: ctx, wanted: wanted, openMetrics: openMetrics}
	for number := 1; len(body) > 0; number++ {
		end := bytes.IndexByte(body, '\n')
		if err := s.add(string(body[:end]), number); err != nil {
			return nil, err
		}
		body = body[end+1:]
	}
	if openMetrics && !s.ended {
		return nil, errCut
	}
	if _, err := s.others.parse(); err != nil {
		return nil, err
	}
	if err := memory.Take(ctx, int64(s.kept)*1024+2*int64(s.mine.text.Len())); err != nil {
		return nil, err
	}
	families, err := s.mine.parse()
	if err != nil {
		return nil, err
	}
	x.families, x.lines = families, s.samples
	return x, nil
}

// A splitter takes the lines of an exposition apart into those of the wanted families and all others, so that memory
// does not grow with all that is exposed.
type splitter struct {
	ctx         context.Context
	wanted      func(name string) bool
	openMetrics bool

	mine, others part
	samples      int
	kept         int             // samples in mine
	ended        bool            // the end of OpenMetrics was seen
	before       string          // the family of the line before, in mine
	grouped      map[string]bool // the families of mine that have several series for one set of labels
}

func (s *splitter) add(text string, number int) error {
	text = strings.TrimRight(text, " \t\r")
	if len(text) > maxLine {
		return &memory.ErrLimit{Limit: fmt.Sprintf("line %d is longer than %d KiB, which is the most that is read of one", number, maxLine>>10)}
	}
	if s.ended && text != "" {
		return &lineError{number, "stands behind the end"}
	}
	l, err := parseLine(text, s.openMetrics)
	switch {
	case err != "":
		return &lineError{number, err}
	case l.end:
		s.ended = s.openMetrics
		return nil
	case l.text == "":
		return nil
	}
	if l.sample {
		s.samples++
	}
	if s.wanted(l.name) {
		if l.sample {
			s.kept++
		}
		if s.kept > maxSeries {
			return &memory.ErrLimit{Limit: fmt.Sprintf("there are more than %d series of the families of the contract, which is the most that are read", maxSeries)}
		}
		if s.misread(l) {
			return errQuoted
		}
		s.mine.add(l.text, number)
		return nil
	}
	s.others.add(l.text, number)
	if s.others.text.Len() < partBytes {
		return nil
	}
	if s.ctx.Err() != nil {
		return &memory.ErrLimit{Limit: fmt.Sprintf("there was no time to read more than %d lines", number)}
	}
	_, failed := s.others.parse()
	return failed
}

// errQuoted is that of a name in quotes that the parser of the exposition format mistakes, or panics on.
var errQuoted = &memory.ErrLimit{Limit: "the series of a histogram or summary whose name needs quotes stand apart from its type, and cannot be read"}

// misread reports whether the parser would take a series for one of the family before it. It does so with a histogram or
// summary whose name needs quotes, unless the line before is of the same one.
func (s *splitter) misread(l line) bool {
	family := familyOf(l.name)
	before := s.before
	if s.before = family; !l.sample {
		s.before = l.name
	}
	if l.kind == "histogram" || l.kind == "summary" || l.kind == "gaugehistogram" {
		if s.grouped == nil {
			s.grouped = map[string]bool{}
		}
		s.grouped[l.name] = true
	}
	return l.sample && s.grouped[family] && before != family && !model.LegacyValidation.IsValidMetricName(l.name)
}

// A part is a number of lines that are parsed together.
type part struct {
	text    bytes.Buffer
	numbers []int
}

func (p *part) add(line string, number int) {
	p.text.WriteString(line)
	p.text.WriteByte('\n')
	p.numbers = append(p.numbers, number)
}

// parse parses the lines and forgets them. The parser panics on what errQuoted is about.
func (p *part) parse() (families map[string]*dto.MetricFamily, err error) {
	defer func() {
		if recover() != nil {
			families, err = nil, errQuoted
		}
		p.text.Reset()
		p.numbers = p.numbers[:0]
	}()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err = parser.TextToMetricFamilies(&p.text)
	if err == nil {
		return families, nil
	}
	bad := &lineError{text: "is not of the text format: Prometheus takes nothing of the exposition"}
	if at, ok := errors.AsType[expfmt.ParseError](err); ok && at.Line <= len(p.numbers) && at.Line > 0 {
		bad.line = p.numbers[at.Line-1]
	}
	return nil, bad
}
