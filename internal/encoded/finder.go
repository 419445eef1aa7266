package encoded

import (
	"slices"
	"strings"
)

// MinFound is the minimum length of a text that a Finder looks for: a shorter one occurs in other texts by chance.
const MinFound = 10

// A Finder looks for texts in all their forms. The zero value finds nothing.
type Finder struct{ forms []folded }

type folded struct {
	text   string
	sample Sample
}

// NewFinder returns a Finder of those of the texts that are long enough.
func NewFinder(texts ...string) (f Finder) {
	for _, text := range texts {
		if len(text) < MinFound {
			continue
		}
		for _, v := range Variants(text) {
			form := Folded(v.Text)
			f.forms = append(f.forms, folded{form, SampleOf(form)})
		}
	}
	return f
}

// IsZero reports whether there is nothing to find.
func (f Finder) IsZero() bool { return len(f.forms) == 0 }

// In reports whether one of the texts occurs in a text, also in escape sequences, over several lines, and in UTF-16.
func (f Finder) In(text string) (found bool) {
	if f.IsZero() || text == "" {
		return false
	}
	filter := NewFilter(text)
	if !slices.ContainsFunc(f.forms, func(form folded) bool { return filter.MayContain(form.sample) }) {
		return false
	}
	Views(text, Gaps, func(v View) {
		if found {
			return
		}
		view := Folded(v.Text)
		found = slices.ContainsFunc(f.forms, func(form folded) bool { return strings.Contains(view, form.text) })
	})
	return found
}
