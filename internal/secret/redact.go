package secret

import (
	"strings"

	"prober/internal/encoded"
)

const redacted = "<redacted>"

// Redact returns text with every piece of a known secret of eight bytes or more (of a shorter secret: the whole)
// replaced, in plain, base64- and hex-encoded form, in any case of letters, and also where characters of it are
// written as escape sequences of URLs, of JSON and other languages with a backslash, or of HTML, or of two of them.
func Redact(text string) string { return revealed.redact(text) }

func (m *memory) redact(text string) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if len(m.pieces) == 0 {
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
func (m *memory) search(v encoded.View, found *marks) {
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

// marks tell which bytes of a text have to go.
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
