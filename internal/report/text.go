package report

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"prober/internal/probe"
)

// width is where lines of text are broken. A word that is longer, such as an address, is left whole to be copied.
const width = 100

// The colours of the three verdicts, as ANSI terminals take them.
const (
	green  = "\x1b[32m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
)

const plain = "\x1b[0m"

// writeText writes what a colleague would: a line for each probe, under it why it did not pass, and a sentence.
func writeText(b *bytes.Buffer, r Report) {
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
	const latency = 3 // the column whose digits should stand below each other
	lines := columns(rows, latency)
	for i, e := range entries {
		head := lines[i]
		if r.Color {
			m := e.verdict.Mark()
			head = colour(e.verdict) + m + plain + strings.TrimPrefix(head, m)
		}
		b.WriteString(head + "\n")
		story := e.story()
		if r.Proof && e.verdict == probe.Pass {
			story = e.proof()
		}
		for _, told := range story {
			b.WriteString(wrap(told, 6, 2))
		}
	}
	if len(entries) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(wrap(r.Summary(), 0, 0))
}

func colour(v probe.Verdict) string {
	switch v {
	case probe.Pass:
		return green
	case probe.Fail:
		return red
	}
	return yellow
}

// columns lays rows out below each other, one column to the right and the others to the left. Columns that are
// empty in all rows are left out.
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

// wrap breaks a text between words into lines of at most width. All are indented, as is the text itself, and those
// after the first hang further in. A number is not parted from its unit.
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
