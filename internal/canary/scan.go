package canary

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// A Form is how a text came back.
type Form string

// The forms that are found. Beside each, the text may also stand in escape sequences of URLs, JSON or HTML, or of two
// of them, with line breaks inside, or in UTF-16.
const (
	Plain  Form = "plain" // in whatever case of letters
	Base64 Form = "base64"
	Hex    Form = "hex"
)

// A Needle is a text to look for, prepared in all its forms.
type Needle struct {
	forms []form
	word  bool // it stands for nothing within a longer word
}

type form struct {
	name Form
	text []byte // in lower case
}

// NewNeedle prepares a text. Texts under ten bytes stand in other texts by chance and are never found.
func NewNeedle(text string) Needle {
	const shortest = 10
	if len(text) < shortest {
		return Needle{}
	}
	forms := []form{
		{Plain, fold([]byte(text))},
		{Hex, fold([]byte(hex.EncodeToString([]byte(text))))},
	}
	if query := strings.ReplaceAll(text, " ", "+"); query != text {
		forms = append(forms, form{Plain, fold([]byte(query))})
	}
	// Within a longer text, base64 has one of three alignments. The first and last characters of each also depend on
	// the neighbours and are left out.
	for shift := range 3 {
		padded := append(make([]byte, shift), text...)
		from, to := (shift*8+5)/6, len(padded)*8/6
		std := base64.RawStdEncoding.EncodeToString(padded)[from:to]
		url := base64.RawURLEncoding.EncodeToString(padded)[from:to]
		forms = append(forms, form{Base64, fold([]byte(std))})
		if url != std {
			forms = append(forms, form{Base64, fold([]byte(url))})
		}
	}
	return Needle{forms: forms}
}

// NewWord prepares a text that may begin or end like others, such as an id: plainly, it is found only where no letter
// or digit stands beside it. In base64 and hex nobody can tell.
func NewWord(text string) Needle {
	n := NewNeedle(text)
	n.word = true
	return n
}

// A Haystack is a text prepared for looking into it.
type Haystack struct {
	views [][]byte // in lower case
}

// depth is how many kinds of escape sequences may stand within each other.
const depth = 2

// NewHaystack prepares a text, such as a body or the headers of an answer. The text stays as it is.
func NewHaystack(text []byte) Haystack {
	var h Haystack
	h.add(text, depth)
	if squeezed := without(text, "\r\n\t "); len(squeezed) < len(text) {
		h.add(squeezed, depth-1)
	}
	if narrow := without(text, "\x00"); len(narrow) < len(text) {
		h.add(narrow, depth-1)
	}
	return h
}

// add keeps a text and what it becomes when escape sequences are read, up to so many times.
func (h *Haystack) add(text []byte, times int) {
	h.views = append(h.views, fold(text))
	if times == 0 {
		return
	}
	for _, read := range []func([]byte) ([]byte, bool){percent, backslash, entities} {
		if further, any := read(text); any {
			h.add(further, times-1)
		}
	}
}

// Find returns the form in which a text stands in the haystack; empty if it does not.
func (h Haystack) Find(n Needle) Form {
	for _, f := range n.forms {
		for _, view := range h.views {
			if n.word && f.name == Plain && holdsWord(view, f.text) || (!n.word || f.name != Plain) && bytes.Contains(view, f.text) {
				return f.name
			}
		}
	}
	return ""
}

// holdsWord reports whether a text, in lower case, stands somewhere with no letter or digit beside it.
func holdsWord(view, text []byte) bool {
	part := func(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
	for from := 0; ; from++ {
		at := bytes.Index(view[from:], text)
		if at < 0 {
			return false
		}
		from += at
		end := from + len(text)
		if (from == 0 || !part(view[from-1])) && (end == len(view) || !part(view[end])) {
			return true
		}
	}
}

// fold returns a copy with the letters A to Z in lower case; every other byte stays.
func fold(text []byte) []byte {
	out := bytes.Clone(text)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}

// without returns a text without some bytes.
func without(text []byte, cut string) []byte {
	if !bytes.ContainsAny(text, cut) {
		return text
	}
	out := make([]byte, 0, len(text))
	for _, c := range text {
		if bytes.IndexByte([]byte(cut), c) < 0 {
			out = append(out, c)
		}
	}
	return out
}
