package canary

import (
	"bytes"

	"prober/internal/encoded"
)

// Plain is the form of a text that came back as it was made, if perhaps in escape sequences.
const Plain = encoded.Plain

// A Needle is a text to look for, prepared in all its forms.
type Needle struct {
	forms []form
	word  bool // it stands for nothing within a longer word
}

type form struct {
	name encoded.Form
	text []byte // in lower case
}

// NewNeedle prepares a text. Texts under ten bytes stand in other texts by chance and are never found.
func NewNeedle(text string) Needle {
	const shortest = 10
	if len(text) < shortest {
		return Needle{}
	}
	var n Needle
	for _, v := range encoded.Variants(text) {
		n.forms = append(n.forms, form{v.Form, fold(v.Text)})
	}
	return n
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

// NewHaystack prepares a text, such as a body or the headers of an answer. The text stays as it is. Beside each form,
// the canary may be written in escape sequences of URLs, JSON or HTML, or of two of them, over several lines, or in
// UTF-16.
func NewHaystack(text []byte) Haystack {
	var h Haystack
	encoded.Views(string(text), encoded.Gaps, func(v encoded.View) { h.views = append(h.views, fold(v.Text)) })
	return h
}

// Find returns the form in which a text stands in the haystack; empty if it does not.
func (h Haystack) Find(n Needle) encoded.Form {
	for _, f := range n.forms {
		for _, view := range h.views {
			if n.word && f.name == encoded.Plain && holdsWord(view, f.text) || (!n.word || f.name != encoded.Plain) && bytes.Contains(view, f.text) {
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

// fold returns the bytes of a text with the letters A to Z in lower case.
func fold(text string) []byte {
	out := []byte(text)
	for i, c := range out {
		out[i] = encoded.Fold(c)
	}
	return out
}
