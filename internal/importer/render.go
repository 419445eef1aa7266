package importer

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"prober/internal/text"
)

// A mapping is settings in the order in which they are written, and comments among them.
type mapping struct{ entries []entry }

// An entry is a setting, or a comment alone if it has no key.
type entry struct {
	key     string
	value   any // a text, a number, a bool, plain, *mapping, []any in one line, or []*mapping
	comment string
}

// plain is written as it is.
type plain string

// The methods of a mapping have so many callers that copies in each would be half of this package.

//go:noinline
func (m *mapping) find(key string) *entry {
	for i := range m.entries {
		if m.entries[i].key == key {
			return &m.entries[i]
		}
	}
	return nil
}

//go:noinline
func (m *mapping) set(key string, value any) *entry {
	if e := m.find(key); e != nil {
		e.value = value
		return e
	}
	m.entries = append(m.entries, entry{key: key, value: value})
	return &m.entries[len(m.entries)-1]
}

//go:noinline
func (m *mapping) note(comment string) {
	m.entries = append(m.entries, entry{comment: comment})
}

//go:noinline
func (m *mapping) get(key string) (value any) {
	if e := m.find(key); e != nil {
		return e.value
	}
	return nil
}

//go:noinline
func (m *mapping) has(key string) bool { return m.get(key) != nil }

// in returns the mapping under a key, which is made if there is none.
func (m *mapping) in(key string) *mapping {
	if inner, ok := m.get(key).(*mapping); ok {
		return inner
	}
	inner := &mapping{}
	m.set(key, inner)
	return inner
}

// maxComment bounds a comment, in characters.
const maxComment = 300

func commentLine(comment string) string { return "# " + text.Cut(text.Line(comment), maxComment) }

func (m *mapping) render(b *bytes.Buffer, indent string) {
	for _, e := range m.entries {
		if e.key == "" {
			b.WriteString(indent + commentLine(e.comment) + "\n")
			continue
		}
		key := scalar(e.key, false)
		if _, merged := e.value.(plain); merged && e.key == mergeKey {
			key = mergeKey
		}
		b.WriteString(indent + key + ":")
		e.renderValue(b, indent)
	}
}

// mergeKey brings in what a template has.
const mergeKey = "<<"

// maxFlow is how long a mapping in one line may be.
const maxFlow = 100

func (e *entry) renderValue(b *bytes.Buffer, indent string) {
	end := "\n"
	if e.comment != "" {
		end = " " + commentLine(e.comment) + "\n"
	}
	switch v := e.value.(type) {
	case *mapping:
		if line, ok := v.flow(); ok && len(line) <= maxFlow {
			b.WriteString(" " + line + end)
			return
		}
		b.WriteString(end)
		v.render(b, indent+"  ")
	case []*mapping:
		b.WriteString(end)
		for _, item := range v {
			line, _ := item.flow()
			b.WriteString(indent + "  - " + line + "\n")
		}
	default:
		b.WriteString(" " + value(v, false) + end)
	}
}

// flow writes a mapping in one line, and says whether nothing is lost by that.
func (m *mapping) flow() (line string, ok bool) {
	var parts []string
	ok = true
	for _, e := range m.entries {
		if e.comment != "" || e.key == "" {
			ok = false
			continue
		}
		parts = append(parts, scalar(e.key, true)+": "+value(e.value, true))
	}
	return "{" + strings.Join(parts, ", ") + "}", ok
}

func value(v any, flow bool) string {
	switch v := v.(type) {
	case plain:
		return string(v)
	case string:
		return scalar(v, flow)
	case *mapping:
		line, _ := v.flow()
		return line
	case []any:
		var parts []string
		for _, item := range v {
			parts = append(parts, value(item, true))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(v)
}

var (
	word    = regexp.MustCompile(`^([A-Za-z_/][A-Za-z0-9_./@+-]*)$`)
	address = regexp.MustCompile(`^https?://[A-Za-z0-9_./@+=&?%~:-]*[A-Za-z0-9_/]$`)
	// other words are no texts to YAML, at least to some readers of it.
	other = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|y|n|null|todo)$`)
)

// scalar writes a text so that YAML reads the same text, in quotes only where they are needed.
func scalar(s string, flow bool) string {
	switch {
	case (word.MatchString(s) || !flow && address.MatchString(s)) && !other.MatchString(s):
		return s
	case strings.Contains(s, `\`) && utf8.ValidString(s) && text.Line(s) == s:
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return strconv.Quote(s)
}

// all returns the entries; none of a mapping that does not exist.
func (m *mapping) all() []entry {
	if m == nil {
		return nil
	}
	return m.entries
}
