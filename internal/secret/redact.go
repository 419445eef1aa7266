package secret

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
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
	m.search(view{text: text}, &marks, 2)
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

// search marks the secrets in a view and in what it becomes when escape sequences are read, up to depth times.
func (m *memory) search(v view, found *marks, depth int) {
	var last uint64
	for i := range len(v.text) {
		last = last<<8 | uint64(lower(v.text[i]))
		for _, size := range m.sizes {
			if i+1 >= size && m.has(m.hash(last, size)) {
				found.mark(v.place(i+1-size), v.place(i+1))
			}
		}
	}
	if depth == 0 {
		return
	}
	for _, e := range escapes {
		if further, any := v.read(e.sign, e.read); any {
			m.search(further, found, depth-1)
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

// A view is a text as somebody sees it who reads escape sequences. It knows where each byte stands in the original.
type view struct {
	text string
	at   []int // and the end of the last; nil: the original itself
}

func (v view) place(i int) int {
	if v.at == nil {
		return i
	}
	return v.at[i]
}

// read returns the view with one kind of escape sequences read, and whether there was any.
func (v view) read(sign byte, one func(string) (string, int)) (further view, any bool) {
	var text []byte
	done := 0 // of v.text
	for i := 0; ; i++ {
		next := strings.IndexByte(v.text[i:], sign)
		if next < 0 {
			break
		}
		i += next
		meaning, length := one(v.text[i:])
		if length == 0 {
			continue
		}
		if text == nil {
			text, further.at = make([]byte, 0, len(v.text)), make([]int, 0, len(v.text)+1)
		}
		text = append(text, v.text[done:i]...)
		for ; done < i; done++ {
			further.at = append(further.at, v.place(done))
		}
		text = append(text, meaning...)
		for range len(meaning) {
			further.at = append(further.at, v.place(i))
		}
		done = i + length
		i = done - 1
	}
	if text == nil {
		return v, false
	}
	further.text = string(append(text, v.text[done:]...))
	for ; done <= len(v.text); done++ {
		further.at = append(further.at, v.place(done))
	}
	return further, true
}

// escapes are the kinds of escape sequences: how they begin, and what the one at the head of a text means and how
// long it is; 0 if there is none.
var escapes = [...]struct {
	sign byte
	read func(string) (string, int)
}{
	{'%', percent},
	{'\\', backslash},
	{'&', entity},
}

func percent(s string) (string, int) {
	if c, ok := number(s, 1, 2); ok {
		return string([]byte{byte(c)}), 3
	}
	return "", 0
}

func backslash(s string) (string, int) {
	if len(s) < 2 {
		return "", 0
	}
	switch s[1] {
	case '\\', '"', '\'', '/':
		return s[1:2], 2
	case 'x':
		if c, ok := number(s, 2, 2); ok {
			return string([]byte{byte(c)}), 4
		}
	case 'u':
		if c, ok := number(s, 2, 4); ok {
			if low, ok := number(s, 8, 4); ok && s[6:8] == `\u` && utf16.IsSurrogate(c) {
				return string(utf16.DecodeRune(c, low)), 12
			}
			return string(c), 6
		}
	case 'U':
		if c, ok := number(s, 2, 8); ok {
			return string(c), 10
		}
	default:
		if i := strings.IndexByte("abfnrtv", s[1]); i >= 0 {
			return "\a\b\f\n\r\t\v"[i : i+1], 2
		}
	}
	return "", 0
}

func entity(s string) (string, int) {
	const longest = 12
	end := strings.IndexByte(s[:min(len(s), longest)], ';') + 1
	if meaning := html.UnescapeString(s[:end]); meaning != s[:end] {
		return meaning, end
	}
	return "", 0
}

// number reads hex digits of a text.
func number(s string, from, digits int) (rune, bool) {
	if len(s) < from+digits {
		return 0, false
	}
	n, err := strconv.ParseUint(s[from:from+digits], 16, 32)
	return rune(min(n, utf8.MaxRune+1)), err == nil
}
