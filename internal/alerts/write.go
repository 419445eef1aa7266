package alerts

import (
	"bufio"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"prober/internal/sorted"
	"prober/internal/strictyaml"
)

// A writer writes a file of rules as it is made, to the byte as yaml.v3 would write the whole of it. That takes several times
// as long, and more memory. A text that is not obviously plain, quoted or literal is left to yaml.v3, in quotes if it would not read the
// same text again.
type writer struct {
	out  *bufio.Writer     // keeps its first error
	err  error             // of yaml.v3
	seen map[string]string // other texts as yaml.v3 wrote them: most are durations and come again
}

const maxSeen = 100

func newWriter(w io.Writer) *writer {
	out := &writer{out: bufio.NewWriter(w), seen: map[string]string{}}
	out.text("# " + rulesHeader + "\ngroups:\n")
	return out
}

func (w *writer) group(g *Group) {
	w.field("  - name: ", g.Name)
	w.field("    interval: ", g.Interval)
	w.text("    rules:\n")
}

func (w *writer) rule(r *Rule) {
	lead := "      - "
	for _, f := range [...][2]string{{"record: ", r.Record}, {"alert: ", r.Alert}, {"expr: ", r.Expr}, {"for: ", r.For}} {
		if f[1] != "" || f[0] == "expr: " {
			w.field(lead+f[0], f[1])
			lead = "        "
		}
	}
	w.fields("        labels:\n", r.Labels)
	w.fields("        annotations:\n", r.Annotations)
}

// end returns the first error.
func (w *writer) end() error {
	if err := w.out.Flush(); err != nil {
		return err
	}
	return w.err
}

//go:noinline
func (w *writer) text(s string) { _, _ = w.out.WriteString(s) }

// fields writes a map of a rule. The keys are in the order of yaml.v3, which is the usual one for words of small letters.
func (w *writer) fields(head string, m map[string]string) {
	const indent = "          "
	keys := sorted.Keys(m)
	if len(keys) > 0 {
		w.text(head)
	}
	plain, quoted := true, false
	for _, k := range keys {
		plain = plain && plainKey(k)
		quoted = quoted || inQuotes(m[k])
	}
	if !plain && !quoted {
		w.lines(indent, indent, w.marshal(m))
		return
	}
	for _, k := range keys {
		key := k
		if !plainKey(k) {
			key = w.quote(k)
		}
		w.field(indent+key+": ", m[k])
	}
}

func plainKey(k string) bool {
	return style(k) == plainStyle && strings.Trim(k, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// inQuotes reports whether yaml.v3 has to be told how a text is written. What is not UTF-8 it encodes.
func inQuotes(s string) bool {
	return utf8.ValidString(s) && strictyaml.TextStyle(s) == yaml.DoubleQuotedStyle
}

// quote returns a text in double quotes.
func (w *writer) quote(s string) string {
	return strings.TrimSuffix(w.marshal(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}), "\n")
}

func (w *writer) marshal(v any) string {
	text, err := yamlText(v)
	if err != nil {
		w.err = err
	}
	return string(text)
}

// field writes a text below lead, which is its line until there.
func (w *writer) field(lead, s string) {
	indent := len(lead) - len(strings.TrimLeft(lead, " -"))
	switch style(s) {
	case quotedStyle:
		s = "'" + strings.ReplaceAll(s, "'", "''") + "'"
	case literalStyle:
		s = "|-\n" + s
		indent += 2
	case otherStyle:
		text, known := w.seen[s]
		if !known {
			if len(w.seen) == maxSeen {
				clear(w.seen)
			}
			if inQuotes(s) {
				text = w.quote(s) + "\n"
			} else {
				text = w.marshal(map[string]string{"k": s})[len("k: "):]
			}
			w.seen[s] = text
		}
		s = text
	}
	w.lines(lead, "            "[:indent], s)
}

// lines writes lines below lead. Those that are empty are not indented.
func (w *writer) lines(lead, indent, text string) {
	for line := ""; text != ""; lead = indent {
		if line, text, _ = strings.Cut(text, "\n"); line != "" {
			w.text(lead)
			w.text(line)
		}
		w.text("\n")
	}
}

// How yaml.v3 writes a text.
const (
	otherStyle = iota
	plainStyle
	quotedStyle
	literalStyle
)

// reserved are words that to some readers mean something other than text, so yaml.v3 quotes them.
var reserved = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}

// style returns how yaml.v3 writes a text, by the part of its rules that nearly all texts need.
func style(s string) int {
	// What begins with one of these may be a number, a time, the end of a document or nothing.
	if s == "" || strings.IndexByte("0123456789+-.~?:\n", s[0]) >= 0 || len(s) <= 5 && slices.Contains(reserved, strings.ToLower(s)) {
		return otherStyle
	}
	for _, c := range s {
		if c != '\n' && c < ' ' || c > '~' && c < 0xA0 || c == 0x2028 || c == 0x2029 || c > 0xD7FF { // what is not UTF-8 is U+FFFD
			return otherStyle
		}
	}
	first, last := s[0], s[len(s)-1]
	lines := strings.Contains(s, "\n")
	switch {
	case lines && (first == ' ' || last == ' ' || last == '\n' || strings.Contains(s, " \n")):
		return otherStyle
	case lines:
		return literalStyle
	case strings.IndexByte(" #,[]{}&*!|>'\"%@`", first) >= 0 || last == ' ' || last == ':' || strings.Contains(s, ": ") || strings.Contains(s, " #"):
		return quotedStyle
	}
	return plainStyle
}
