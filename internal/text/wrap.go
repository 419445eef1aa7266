package text

import (
	"strings"
	"unicode/utf8"
)

// Wrap breaks a text into lines of at most width columns between its words, and puts indent before each. A longer word has
// a line of its own. A line that begins with a space stays as it is.
func Wrap(text string, width int, indent string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, " ") {
			lines = append(lines, indent+line)
			continue
		}
		for _, l := range wrapLine(line, width) {
			lines = append(lines, strings.TrimRight(indent+l, " "))
		}
	}
	return strings.Join(lines, "\n")
}

func wrapLine(line string, width int) []string {
	lines, free := []string{""}, width
	for i, word := range strings.Fields(line) {
		n := utf8.RuneCountInString(word)
		if i > 0 && n+1 > free {
			lines, free = append(lines, word), width-n
			continue
		}
		if i > 0 {
			lines[len(lines)-1] += " "
			free--
		}
		lines[len(lines)-1] += word
		free -= n
	}
	return lines
}
