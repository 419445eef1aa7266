package secret

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"prober/internal/encoded"
)

// window is the length of the shortest piece of a secret that is redacted.
const window = 8

// known is the only global state of this program: a value that is revealed anywhere must not be printed anywhere.
var known = newStore()

// A store holds the hashes of pieces of secrets, never their text.
type store struct {
	seed maphash.Seed
	keys [window + 1]uint64 // of the hash, by the length of the piece

	mu      sync.RWMutex
	sources map[string]sourceValues
	pieces  counts
	sizes   []int    // of the pieces there are: window, or less for a secret shorter than that
	filter  []uint64 // a bit for every piece and for few else, so that most text is never looked up
	gone    int      // pieces that were dropped and still have their bit
}

// sourceValues are the current value of a source and, for requests that are still in progress, the one before.
type sourceValues struct {
	value       uint64
	now, before []uint64
}

func newStore() *store {
	m := &store{seed: maphash.MakeSeed(), sources: map[string]sourceValues{}}
	for size := range m.keys {
		m.keys[size] = rand.Uint64() | 1
	}
	return m
}

// Learn makes a value known to Redact, under the name of its source. It replaces the value before the last one of that
// source. Values shorter than MinBytes are ignored. Callers use it for values without a Secret, such as access tokens.
//
//go:noinline
func Learn(source, value string) { known.learn(source, value) }

func (m *store) learn(source, value string) {
	if len(value) < MinBytes {
		return
	}
	sum := maphash.String(m.seed, value)
	if m.unchanged(source, sum) {
		return
	}
	now, sizes := m.piecesOf(value) // takes long, and nobody waits meanwhile
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.sources[source]
	if old.value == sum && old.now != nil {
		return
	}
	m.sources[source] = sourceValues{value: sum, now: now, before: old.now}
	m.add(now)
	m.gone += m.pieces.drop(old.before)
	for _, size := range sizes {
		if !slices.Contains(m.sizes, size) {
			m.sizes = append(m.sizes, size)
		}
	}
}

// unchanged is the fast path for a value that did not change, taken at almost every use of a secret.
func (m *store) unchanged(source string, sum uint64) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	old := m.sources[source]
	return old.value == sum && old.now != nil
}

// piecesOf returns the pieces of all forms in which a value might come back, without escape sequences, and their sizes.
func (m *store) piecesOf(value string) (out []uint64, sizes []int) {
	var forms []string
	// Case is ignored, but beyond ASCII upper and lower case are different bytes.
	for _, other := range []string{strings.ToUpper(value), strings.ToLower(value)} {
		if encoded.Folded(other) != encoded.Folded(value) {
			forms = append(forms, other)
		}
	}
	length := 0
	for _, v := range encoded.Variants(value) {
		if len(v.Text) >= MinBytes {
			forms = append(forms, v.Text)
			length += len(v.Text)
		}
	}
	out = make([]uint64, 0, length)
	for _, form := range forms {
		size := min(window, len(form))
		sizes = append(sizes, size)
		var last uint64
		for i := range len(form) {
			if last = last<<8 | uint64(encoded.Fold(form[i])); i+1 >= size {
				out = append(out, m.hash(last, size))
			}
		}
	}

	slices.Sort(out)
	return slices.Clip(slices.Compact(out)), sizes
}

// hash hashes the last size bytes of eight.
func (m *store) hash(last uint64, size int) uint64 {
	last = last << (64 - 8*size) >> (64 - 8*size)
	high, low := bits.Mul64(last^m.keys[0], m.keys[size])
	return max(high^low, 1) // 0 stands for none
}

func (m *store) add(pieces []uint64) {
	m.pieces.add(pieces)
	const spare = 16 // bits for each piece
	if m.pieces.used*spare > len(m.filter)*64 || m.gone > m.pieces.used {
		m.gone = 0
		m.filter = make([]uint64, 1<<bits.Len(uint(m.pieces.used*spare/64)))
		for _, p := range m.pieces.pieces {
			if p != 0 {
				m.setBit(p)
			}
		}
		return
	}
	for _, p := range pieces {
		m.setBit(p)
	}
}

func (m *store) setBit(piece uint64) { m.filter[home(piece, len(m.filter))] |= 1 << (piece & 63) }

// has reports whether a piece belongs to a known secret.
func (m *store) has(piece uint64) bool {
	return m.filter[home(piece, len(m.filter))]>>(piece&63)&1 == 1 && m.pieces.has(piece)
}
