package report

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"prober/internal/probe"
)

// width is the length of a line of text. A longer word, such as an address, is not broken, so that it can be copied.
const width = 100

// The ANSI colors of the three verdicts.
const (
	green  = "\x1b[32m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
)

const colorReset = "\x1b[0m"

// writeText writes a line for each probe, under it why it did not pass, and the summary.
func writeText(b *bytes.Buffer, r Report) error {
	entries := r.entries()
	several := len(systems(entries)) > 1
	rows := make([][]string, len(entries))
	for i, e := range entries {
		name := e.Name
		if several {
			name = e.title()
		}
		rows[i] = []string{fmt.Sprintf("%-4s", e.verdict.Mark()), name, e.Severity, e.latency(), e.version()}
	}
	const latency = 3 // the column that is aligned to the right
	lines := columns(rows, latency)
	for i, e := range entries {
		head := lines[i]
		if r.Color {
			m := e.verdict.Mark()
			head = color(e.verdict) + m + colorReset + strings.TrimPrefix(head, m)
		}
		b.WriteString(head + "\n")
		explanation := e.explanation()
		if r.ShowPassed && e.verdict == probe.Pass {
			explanation = e.passedLines()
		}
		for _, line := range explanation {
			b.WriteString(wrap(line, 6, 2))
		}
	}
	if len(entries) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(wrap(r.Summary(), 0, 0))
	return nil
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

// columns aligns rows, one column to the right and the others to the left. Columns that are empty in all rows are left
// out.
func columns(rows [][]string, right int) []string {
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
			if c == right {
				lines[i] += pad + row[c]
			} else {
				lines[i] += row[c] + pad
			}
		}
	}
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}

// wrap breaks a text between words into lines of at most width. All lines are indented, and those after
// the first by hang more. A number is kept together with its unit.
func wrap(text string, indent, hang int) string {
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
		case at+1+need > width && !isUnit(word):
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
