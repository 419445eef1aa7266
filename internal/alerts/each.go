package alerts

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"prober/internal/drop"
	"prober/internal/probe"
)

// An each stands for the probes that are made from a list, by one entry of the configuration. Rules are built as if it was one probe,
// whose name is a word that nothing else has; then the word gives way to a pattern of their names, and to the name of the probe that
// an alert is about. So no rule depends on which targets there are.
type each struct {
	word  string
	names string // a regular expression
	shown string // the name as it is written in the configuration
}

// standIn gives a job that stands for others a word for a name. The index is that of the system.
func (s *system) standIn(j probe.Job, index int) probe.Job {
	if j.Names != "" {
		e := each{word: fmt.Sprintf("EACH%dOF%dEND", len(s.each), index), names: j.Names, shown: j.Name}
		s.each = append(s.each, e)
		j.Name = e.word
	}
	return j
}

// match replaces the word in selectors.
func (e each) match(expr string) string {
	pattern := strconv.Quote(e.names)
	expr = strings.ReplaceAll(expr, `="`+e.word+`"`, `=~`+pattern)
	return strings.ReplaceAll(expr, e.word, pattern[1:len(pattern)-1]) // one of several names
}

// ofEntry begins the label of a rule for all probes of an entry.
const ofEntry = "{{/* "

// settle replaces the word in a rule.
func (e each) settle(r *Rule) {
	r.Expr = e.match(r.Expr)
	if r.Labels["probe"] == e.word {
		delete(r.Labels, "probe") // the series has it
		if r.Alert != "" {        // the same again: promtool calls rules of equal names and labels duplicates, which two entries would have
			r.Labels["probe"] = ofEntry + e.shown + " */}}{{ $labels.probe }}"
		}
	}
	for name, text := range r.Annotations {
		r.Annotations[name] = strings.ReplaceAll(text, e.word, "{{ $labels.probe }}")
	}
}

// sample is a name that the pattern matches, for tests of the rules.
func (e each) sample() string {
	return strings.ReplaceAll(strings.ReplaceAll(e.names, "[a-zA-Z0-9_.-]+", "x"), `\`, "")
}

// replacing writes a text after the words gave way to something else.
func (f *File) replacing(w io.Writer, by func(each, string) string) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		text := string(p)
		for _, s := range f.systems {
			for _, e := range s.each {
				text = by(e, text)
			}
		}
		_, err := io.Copy(w, bytes.NewReader([]byte(text)))
		return len(p), err
	})
}

type writerFunc func([]byte) (int, error)

func (write writerFunc) Write(p []byte) (int, error) { return write(p) }

// always are the jobs that stand for themselves.
func always(jobs []probe.Job) []probe.Job {
	return drop.If(slices.Clone(jobs), func(j probe.Job) bool { return j.Names != "" })
}

// templateQuery writes a query about one probe as a template has it: with the name of the probe that the alert is about, if the rule is
// about several.
func (s *system) templateQuery(query string) string {
	for _, e := range s.each {
		if parts := strings.Split(query, `="`+e.word+`"`); len(parts) > 1 {
			for i := range parts {
				parts[i] = strings.ReplaceAll(parts[i], "%", "%%")
			}
			return "(printf " + templateString(strings.Join(parts, "=%q")) + strings.Repeat(" $labels.probe", len(parts)-1) + ")"
		}
	}
	return templateString(query)
}
