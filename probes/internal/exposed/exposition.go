// Package exposed reads what a target exposes, in the text format of Prometheus and in OpenMetrics.
package exposed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"prober/internal/memory"
)

// Bounds of an exposition, beside that of its bytes, max_body.
const (
	maxLine   = 64 << 10 // bytes
	maxSeries = 20_000   // of the families that are wanted; the others are read, and not kept
	partBytes = 64 << 10 // of those others, read at a time
)

// A sample that states a time is of now within these bounds. Prometheus shows no older ones, and takes none from further ahead.
const (
	maxAge   = 5 * time.Minute
	maxAhead = 10 * time.Minute
)

// An Exposition is what a target exposed, of the families that somebody wants.
type Exposition struct {
	Families map[string]*dto.MetricFamily
	Lines    int // with a sample, of all families
	Old      int // of these, those wanted that state a time that is not now: they are not among the families
}

// A LineError says which line cannot be read, and repeats nothing of it.
type LineError struct {
	line int
	text string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d %s", e.line, e.text) }

// ErrCut is that of an exposition that is shorter than it was meant to be.
var ErrCut = errors.New("it ends in the middle: Prometheus takes nothing of it")

// Read reads an exposition and keeps the families that are wanted. All of it must be readable: Prometheus drops a scrape as a
// whole. The error is a memory.ErrLimit if a limit of the prober's was met.
func Read(ctx context.Context, body []byte, openMetrics bool, wanted func(name string) bool) (*Exposition, error) {
	x := &Exposition{Families: map[string]*dto.MetricFamily{}}
	if len(body) > 0 && body[len(body)-1] != '\n' {
		return nil, ErrCut
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
		return nil, ErrCut
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
	x.Families, x.Lines, x.Old = families, s.samples, s.old
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
	old          int             // samples that are not, for the time that they state
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
		return &LineError{number, "stands behind the end"}
	}
	l, err := parseLine(text, s.openMetrics)
	switch {
	case err != "":
		return &LineError{number, err}
	case l.end:
		s.ended = s.openMetrics
		return nil
	case l.text == "":
		return nil
	}
	if l.sample {
		s.samples++
	}
	wanted := s.wanted(l.name)
	if wanted && l.old {
		s.old++ // and read among the others, since all of it must be readable
	}
	if wanted && !l.old {
		if l.sample {
			s.kept++
		}
		if s.kept > maxSeries {
			return &memory.ErrLimit{Limit: fmt.Sprintf("there are more than %d series of the families that are wanted, which is the most that are read", maxSeries)}
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
	family := FamilyOf(l.name)
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
	bad := &LineError{text: "is not of the text format: Prometheus takes nothing of the exposition"}
	if at, ok := errors.AsType[expfmt.ParseError](err); ok && at.Line <= len(p.numbers) && at.Line > 0 {
		bad.line = p.numbers[at.Line-1]
	}
	return nil, bad
}
