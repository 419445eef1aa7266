package canary

import (
	"bytes"

	"prober/internal/encoded"
)

// Plain is the form of a text that came back unencoded, except perhaps for escape sequences.
const Plain = encoded.Plain

// A Needle is a text to search for, in all its forms.
type Needle struct {
	forms []form
	word  bool // only as a whole word
}

type form struct {
	name  encoded.Form
	text  []byte // in lower case
	grams [2]gram
}

// NewNeedle prepares a text. Of a canary, either half of the random part is enough: many a list cuts its titles off.
// Texts under ten bytes are never found, since they occur in other texts by chance.
func NewNeedle(text string) Needle {
	const shortest = 10
	parts := []string{text}
	if random := Secret(text); random != text {
		parts = []string{random[:randomDigits/2], random[randomDigits/2:]}
	}
	var n Needle
	for _, part := range parts {
		if len(part) < shortest {
			continue
		}
		for _, v := range encoded.Variants(part) {
			text := fold(v.Text)
			n.forms = append(n.forms, form{v.Form, text, [2]gram{gramAt(text, 0), gramAt(text, len(text)-gramBytes)}})
		}
	}
	return n
}

// NewWord prepares a text that may be part of others, such as an id: in plain form it is found only as a whole word. In
// base64 and hex, the ends of words are not visible.
func NewWord(text string) Needle {
	n := NewNeedle(text)
	n.word = true
	return n
}

// A Haystack is a text prepared for searching.
type Haystack struct {
	views [][]byte // in lower case
	grams gramSet  // of all views
}

// NewHaystack prepares a text, such as a response body or headers, without changing it. Each form of a canary is also found
// in escape sequences of URLs, JSON or HTML, or of two of these, over several lines, and in UTF-16.
func NewHaystack(text []byte) Haystack {
	h := Haystack{grams: newGramSet(len(text))}
	encoded.Views(string(text), encoded.Gaps, func(v encoded.View) {
		view := fold(v.Text)
		h.views = append(h.views, view)
		h.grams.addAll(view)
	})
	return h
}

// Find returns the form in which the haystack contains a text; empty if it does not.
func (h Haystack) Find(n Needle) encoded.Form {
	for _, f := range n.forms {
		if !h.grams.has(f.grams[0]) || !h.grams.has(f.grams[1]) {
			continue
		}
		for _, view := range h.views {
			if n.word && f.name == encoded.Plain && containsWord(view, f.text) || (!n.word || f.name != encoded.Plain) && bytes.Contains(view, f.text) {
				return f.name
			}
		}
	}
	return ""
}

// containsWord reports whether a view contains a text, in lower case, without a letter or digit next to it.
func containsWord(view, text []byte) bool {
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

// fold returns the bytes of a text, with A to Z in lower case.
func fold(text string) []byte {
	out := []byte(text)
	for i, c := range out {
		out[i] = encoded.Fold(c)
	}
	return out
}
