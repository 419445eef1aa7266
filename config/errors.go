package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"prober/internal/secret"
)

// A Mistake is one thing wrong with the configuration, and where.
type Mistake struct {
	File  string
	Line  int    // from 1; 0 for the file as a whole
	Probe string // empty for what stands outside of the probes
	Text  string // what was wanted; no value out of the file
}

// Error returns "file:line: probe: text" without the parts that are empty.
func (m Mistake) Error() string {
	var b strings.Builder
	if m.File != "" {
		b.WriteString(m.File)
		if m.Line > 0 {
			fmt.Fprintf(&b, ":%d", m.Line)
		}
		b.WriteString(": ")
	}
	if m.Probe != "" {
		b.WriteString(m.Probe + ": ")
	}
	return b.String() + m.Text
}

// Errors are all mistakes found, in the order of the files and of their lines.
type Errors []Mistake

// Error returns one line for each mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, m := range e {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// most bounds the mistakes reported for one file: enough for a person, too few for a file that is no configuration.
const most = 200

// A page collects the mistakes of one file.
type page struct {
	name     string
	mistakes Errors
	seen     map[Mistake]bool
	unread   bool // it could not be told what stands in it, or of which system
}

func (p *page) add(line int, probe, format string, args ...any) {
	m := Mistake{File: p.name, Line: line, Probe: probe, Text: oneLine(fmt.Sprintf(format, args...))}
	if p.seen[m] {
		return // an anchor used twice is wrong once
	}
	if p.seen == nil {
		p.seen = map[Mistake]bool{}
	}
	p.seen[m] = true
	p.mistakes = append(p.mistakes, m)
}

// sorted returns the mistakes by line, and says how many there were if they are too many to be read.
func (p *page) sorted() Errors {
	slices.SortStableFunc(p.mistakes, func(a, b Mistake) int { return a.Line - b.Line })
	if more := len(p.mistakes) - most; more > 0 {
		return append(p.mistakes[:most:most], Mistake{File: p.name, Text: fmt.Sprintf("and %d more mistakes", more)})
	}
	return p.mistakes
}

// oneLine makes a text fit for a terminal and a log, whatever key or message it was made from.
func oneLine(text string) string {
	text = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "\uFFFD"))
	const longest = 400
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return secret.Redact(text)
}
