package report

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/text"
)

// The ANSI codes of the three verdicts, of the name of a probe that did not pass, and of what is only evidence.
const (
	green  = "\x1b[32m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	reset  = "\x1b[0m"
)

// writeText writes a line for each probe, under it why it did not pass, and the summary. What matters most stands last, where
// a terminal shows it: first what passed, in one line if anything did not, and the failures above the summary.
func writeText(b *bytes.Buffer, r Report) error {
	entries := r.entries()
	several := len(systems(entries)) > 1
	ordered := byUrgency(entries)
	if passed := namesOf(entries, entry.passed, several); !r.ShowPassed && len(passed) > 0 && len(passed) < len(entries) {
		mark := probe.Pass.Mark()
		folded := r.wrap(text.Count(len(passed), "probe")+": "+text.List(passed, maxNames), 6, 0)
		b.WriteString(r.paint(color(probe.Pass), mark) + folded[len(mark):])
		ordered = ordered[len(passed):]
	}
	heads := r.heads(ordered, several)
	for i, e := range ordered {
		b.WriteString(heads[i] + "\n")
		lines := e.failures(true)
		if e.passed() {
			lines = nil
			if r.ShowPassed {
				lines = e.passedLines()
			}
		}
		for _, l := range lines {
			b.WriteString(r.line(l))
		}
		if next := e.nextStep(); next != "" {
			b.WriteString(r.wrap(next, 6, 2))
		}
	}
	if len(entries) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(r.paint(bold, strings.TrimSuffix(r.wrap(r.Summary(), 0, 0), "\n")) + "\n")
	return nil
}

func (e entry) passed() bool { return e.verdict == probe.Pass }

// byUrgency orders entries: those that passed, the inconclusive ones, and those that failed, of these two the most severe last.
func byUrgency(entries []entry) []entry {
	urgency := func(e entry) int {
		level, ok := probe.SeverityLevel(e.Severity)
		switch {
		case e.passed():
			return 0
		case !ok:
			level = 9
		}
		if e.verdict == probe.Fail {
			return 20 - level
		}
		return 10 - level
	}
	order := make([]int, len(entries))
	for i := range order {
		order[i] = i
	}
	sorted.By(order, func(a, b int) int { return urgency(entries[a]) - urgency(entries[b]) })
	out := make([]entry, len(entries))
	for i, at := range order {
		out[i] = entries[at]
	}
	return out
}

// heads returns the first lines of entries, aligned.
func (r Report) heads(entries []entry, several bool) []string {
	rows := make([][]string, len(entries))
	for i, e := range entries {
		name := e.Name
		if several {
			name = e.title()
		}
		rows[i] = []string{fmt.Sprintf("%-4s", e.verdict.Mark()), name, e.Severity, e.latency(), e.version()}
	}
	const mark, name, latency = 0, 1, 3 // the columns in color, in bold, and aligned to the right
	return columns(rows, latency, func(row, column int, cell string) string {
		switch e := entries[row]; {
		case column == mark:
			m := e.verdict.Mark()
			return r.paint(color(e.verdict), m) + strings.TrimPrefix(cell, m)
		case column == name && !e.passed():
			return r.paint(bold, cell)
		}
		return cell
	})
}

// line writes a line of an explanation: that of a check with the word of the reason last.
func (r Report) line(l line) string {
	switch {
	case l.evidence:
		var b strings.Builder
		for part := range strings.Lines(r.wrap(l.String(), 6, 2)) {
			b.WriteString(r.paint(dim, strings.TrimSuffix(part, "\n")) + "\n")
		}
		return b.String()
	case l.word == "":
		return r.wrap(l.String(), 6, 2)
	}
	head := l.check
	if l.inconclusive {
		head += ", inconclusive"
	}
	word := "[" + l.word + "]"
	wrapped := r.wrap(head+": "+l.says+" "+word, 6, 2)
	if before, ok := strings.CutSuffix(wrapped, word+"\n"); ok {
		return before + r.paint(dim, word) + "\n"
	}
	return wrapped
}

// paint writes a text with an ANSI code, if there are colors.
func (r Report) paint(code, text string) string {
	if !r.Color {
		return text
	}
	return code + text + reset
}

func color(v probe.Verdict) string {
	switch v {
	case probe.Pass:
		return green
	case probe.Fail:
		return red
	}
	return yellow
}

// columns aligns rows, one column to the right and the others to the left, and paints their cells. Columns that are empty in
// all rows are left out.
func columns(rows [][]string, right int, paint func(row, column int, cell string) string) []string {
	lines := make([]string, len(rows))
	if len(rows) == 0 {
		return lines
	}
	for c := range rows[0] {
		widest := 0
		for _, row := range rows {
			widest = max(widest, utf8.RuneCountInString(row[c]))
		}
		if widest == 0 {
			continue
		}
		for i, row := range rows {
			pad := strings.Repeat(" ", widest-utf8.RuneCountInString(row[c]))
			if lines[i] != "" {
				lines[i] += "  "
			}
			cell := paint(i, c, row[c])
			if c == right {
				lines[i] += pad + cell
			} else {
				lines[i] += cell + pad
			}
		}
	}
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}

// wrap breaks a text between words into lines of the report's width, unless that is 0. All lines are indented, and those
// after the first by hang more. A number is kept together with its unit, and a longer word, such as an address, is not
// broken, so that it can be copied.
func (r Report) wrap(text string, indent, hang int) string {
	words := strings.Fields(text)
	indent += len(text) - len(strings.TrimLeft(text, " "))
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", indent))
	at := indent
	for i, word := range words {
		n := utf8.RuneCountInString(word)
		need := n
		if i+1 < len(words) && isUnit(words[i+1]) {
			need += 1 + len(words[i+1])
		}
		switch {
		case i == 0:
		case r.Width > 0 && at+1+need > r.Width && !isUnit(word):
			at = indent + hang
			b.WriteString("\n" + strings.Repeat(" ", at))
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	b.WriteByte('\n')
	return b.String()
}

func isUnit(word string) bool {
	switch strings.TrimRight(word, ".,;:") {
	case "ms", "s", "%":
		return true
	}
	return false
}
