package encoded

import (
	"math/bits"
	"strings"
)

// Most texts that are looked for are nowhere. So a filter knows which sequences of four bytes the views of a text have: what
// has others is in none of them, and need not be searched for.

const gramBytes = 4

// A gram is the hash of four bytes.
type gram uint32

// gramOf returns the gram of four bytes.
func gramOf(bytes uint32) gram {
	return gram(bytes * 2654435761 >> 16) // Knuth's hash, by multiplication: the high bits are the good ones
}

// gramAt returns the gram that begins at a place of a text that has at least four bytes from there.
func gramAt(text string, at int) gram {
	return gramOf(uint32(text[at]) | uint32(text[at+1])<<8 | uint32(text[at+2])<<16 | uint32(text[at+3])<<24)
}

// A Sample is some of the grams of a text, by which a Filter knows it.
type Sample [4]gram

// SampleOf returns the sample of a folded text of four bytes or more.
func SampleOf(text string) (s Sample) {
	last := len(text) - gramBytes
	for i := range s {
		s[i] = gramAt(text, last*i/(len(s)-1))
	}
	return s
}

// A Filter tells of most texts that they are in no view of another. It may err, but never about one that is in a view. The zero
// Filter is that of no text.
type Filter []uint64

// maxFiltered is how long a text may be for a filter to be of use.
const maxFiltered = 32 << 10

// NewFilter returns the Filter of a text. Of one that is not too long it costs less than to look at the views.
func NewFilter(text string) Filter {
	if len(text) > maxFiltered {
		return Filter{^uint64(0)} // anything may be in it
	}
	f := newFilter(len(text))
	if !escaped(text) {
		f.add(text)
		return f
	}
	Views(text, Gaps, func(v View) { f.add(v.Text) })
	return f
}

// newFilter returns an empty filter with room for so many bytes: at most one bit in eight is taken by a text without escape
// sequences.
func newFilter(bytes int) Filter {
	const least = 8 // words of 64 bits
	return make(Filter, max(least, 1<<bits.Len(uint(bytes/8))))
}

// escaped reports whether anything in a text but its blanks may be read in another way.
func escaped(text string) bool {
	return strings.IndexByte(text, '%') >= 0 || strings.IndexByte(text, '\\') >= 0 || strings.IndexByte(text, '&') >= 0 || strings.IndexByte(text, 0) >= 0
}

// MayContain reports whether a folded text may be in one of the views, folded.
func (f Filter) MayContain(text Sample) bool {
	for _, g := range text {
		if !f.has(g) {
			return false
		}
	}
	return true
}

// add adds each gram of a text and of what it is without blanks.
func (f Filter) add(text string) {
	var all, dense uint32 // the last four bytes, and the last four that are no blanks
	dark := 0
	for i := range len(text) {
		c := Fold(text[i])
		all = all>>8 | uint32(c)<<24
		if i >= gramBytes-1 {
			f.set(gramOf(all))
		}
		if c <= ' ' && strings.IndexByte(blanks, c) >= 0 {
			continue
		}
		dense = dense>>8 | uint32(c)<<24
		if dark++; dark >= gramBytes && dense != all {
			f.set(gramOf(dense))
		}
	}
}

func (f Filter) set(g gram) {
	word, bit := f.place(g)
	f[word] |= bit
}

func (f Filter) has(g gram) bool {
	if len(f) == 0 {
		return false
	}
	word, bit := f.place(g)
	return f[word]&bit != 0
}

// place returns which bit stands for a gram. The number of words is a power of two.
func (f Filter) place(g gram) (word int, bit uint64) {
	return int(g>>6) & (len(f) - 1), 1 << (g & 63)
}
