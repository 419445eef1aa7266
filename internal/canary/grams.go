package canary

import (
	"encoding/binary"
	"math/bits"
)

// A run searches each response for some hundred texts, and nearly none is there. So a haystack knows which sequences of four
// bytes it has: a text whose first or last four are not among them is not there either, and needs no search.

const gramBytes = 4

// A gram is the hash of four bytes.
type gram uint32

// gramAt returns the gram that begins at a place of a text that has at least four bytes from there.
func gramAt(text []byte, at int) gram {
	hash := binary.LittleEndian.Uint32(text[at:]) * 2654435761 // Knuth's, by multiplication: the high bits are the good ones
	return gram(hash >> 16)
}

// A gramSet holds grams. It may say that it has one that was never added, and never the contrary. The zero set is empty.
type gramSet []uint64

// newGramSet returns a set with room for the grams of so many bytes: at most one bit in four is taken.
func newGramSet(bytes int) gramSet {
	const least, most = 8, 1 << 10 // words of 64 bits
	return make(gramSet, min(max(least, 1<<bits.Len(uint(bytes/16))), most))
}

// addAll adds each gram of a text.
func (s gramSet) addAll(text []byte) {
	for at := range len(text) - gramBytes + 1 {
		word, bit := s.place(gramAt(text, at))
		s[word] |= bit
	}
}

func (s gramSet) has(g gram) bool {
	if len(s) == 0 {
		return false
	}
	word, bit := s.place(g)
	return s[word]&bit != 0
}

// place returns which bit stands for a gram. The number of words is a power of two.
func (s gramSet) place(g gram) (word int, bit uint64) {
	return int(g>>6) & (len(s) - 1), 1 << (g & 63)
}
