package secret

import (
	"strings"

	"prober/internal/encoded"
)

const redacted = "<redacted>"

// Redact replaces every piece of a known secret that has eight bytes or more; of a shorter secret, the whole. It finds
// them in plain, base64 and hex form, in upper and lower case, and with characters written as escape sequences of URLs,
// of JSON and other languages with a backslash, or of HTML, or of two of these.
//
//go:noinline
func Redact(text string) string { return known.redact(text) }

// IsKnown reports whether all of a text is known to be secret: Redact leaves nothing of it.
func IsKnown(text string) bool { return text != "" && Redact(text) == redacted }

func (m *store) redact(text string) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.pieces.used == 0 {
		return text
	}
	marks := marks{length: len(text)}
	encoded.Views(text, encoded.Places, func(v encoded.View) { m.search(v, &marks) })
	if marks.on == nil {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !marks.on[i]:
			b.WriteByte(text[i])
		case i == 0 || !marks.on[i-1]:
			b.WriteString(redacted)
		}
	}
	return b.String()
}

// search marks the secrets in a view.
func (m *store) search(v encoded.View, found *marks) {
	var last uint64
	for i := range len(v.Text) {
		last = last<<8 | uint64(encoded.Fold(v.Text[i]))
		for _, size := range m.sizes {
			if i+1 >= size && m.has(m.hash(last, size)) {
				found.mark(v.Place(i+1-size), v.Place(i+1))
			}
		}
	}
}

// marks are the bytes of a text to redact.
type marks struct {
	length int
	on     []bool // nil until the first
}

func (m *marks) mark(from, to int) {
	if m.on == nil {
		m.on = make([]bool, m.length)
	}
	for i := from; i < to; i++ {
		m.on[i] = true
	}
}
