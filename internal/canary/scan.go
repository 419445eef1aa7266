package canary

import (
	"slices"
	"strings"

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
	name   encoded.Form
	text   string // in lower case
	sample encoded.Sample
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
		variants := encoded.Variants(part)
		n.forms = slices.Grow(n.forms, len(parts)*len(variants))
		for _, v := range variants {
			text := encoded.Folded(v.Text)
			n.forms = append(n.forms, form{v.Form, text, encoded.SampleOf(text)})
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

// A Haystack is a text prepared for searching. It belongs to one goroutine.
type Haystack struct {
	text   string
	filter encoded.Filter // a run searches each response for some hundred texts, and nearly none is there
	views  []string       // in lower case; nil until they are needed
}

// NewHaystack prepares a text, such as a response body or headers, without changing it. Each form of a canary is also found
// in escape sequences of URLs, JSON or HTML, or of two of these, over several lines, and in UTF-16.
func NewHaystack[Text string | []byte](text Text) *Haystack {
	h := &Haystack{text: string(text)}
	h.filter = encoded.NewFilter(h.text)
	return h
}

// Find returns the form in which the haystack contains a text; empty if it does not.
func (h *Haystack) Find(n Needle) encoded.Form {
	for _, f := range n.forms {
		if h.filter.MayContain(f.sample) && slices.ContainsFunc(h.allViews(), func(view string) bool { return n.in(view, f) }) {
			return f.name
		}
	}
	return ""
}

func (h *Haystack) allViews() []string {
	if h.views == nil {
		encoded.Views(h.text, encoded.Gaps, func(v encoded.View) { h.views = append(h.views, encoded.Folded(v.Text)) })
	}
	return h.views
}

// in reports whether a view contains the text in one of its forms.
func (n Needle) in(view string, f form) bool {
	if n.word && f.name == encoded.Plain {
		return containsWord(view, f.text)
	}
	return strings.Contains(view, f.text)
}

// containsWord reports whether a view contains a text, in lower case, without a letter or digit next to it.
func containsWord(view, text string) bool {
	part := func(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
	for from := 0; ; from++ {
		at := strings.Index(view[from:], text)
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
