package canary

import "encoding/binary"

// A run searches each response for some hundred texts, and nearly none is there. So a haystack knows which sequences of four
// bytes it has: a text whose first or last four are not among them is not there either, and needs no search.

const (
	gramBytes = 4
	gramBits  = 14
)

// A gram is the hash of four bytes.
type gram uint16

// gramAt returns the gram that begins at a place of a text that has at least four bytes from there.
func gramAt(text []byte, at int) gram {
	return gram(binary.LittleEndian.Uint32(text[at:]) * 2654435761 >> (32 - gramBits)) // the hash is Knuth's, by multiplication
}

// A gramSet holds grams. It may say that it has one that was never added, and never the contrary. The zero set is empty.
type gramSet struct {
	bits []uint64
}

// addAll adds each gram of a text.
func (s *gramSet) addAll(text []byte) {
	if s.bits == nil {
		s.bits = make([]uint64, 1<<gramBits/64)
	}
	for at := range len(text) - gramBytes + 1 {
		g := gramAt(text, at)
		s.bits[g/64] |= 1 << (g % 64)
	}
}

func (s *gramSet) has(g gram) bool {
	return s.bits != nil && s.bits[g/64]&(1<<(g%64)) != 0
}
