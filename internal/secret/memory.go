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

// window is the length of the shortest piece of a secret that must not leave.
const window = 8

// revealed is this program's one piece of global state: a value revealed anywhere must not be printed anywhere.
var revealed = newMemory()

// A memory knows secrets by the hashes of their pieces, never by their text.
type memory struct {
	seed maphash.Seed
	keys [window + 1]uint64 // of the hash, by the length of the piece

	mu      sync.RWMutex
	sources map[string]learned
	pieces  map[uint64]int // how many values have the piece
	sizes   []int          // of the pieces there are: window, or less for a secret shorter than that
	filter  []uint64       // a bit for every piece and for few else, so that most text is never looked up
	gone    int            // pieces that were dropped and still have their bit
}

// learned is what a source held: the value now and, for the answers still under way, the value before it.
type learned struct {
	value       uint64
	now, before []uint64
}

func newMemory() *memory {
	m := &memory{seed: maphash.MakeSeed(), sources: map[string]learned{}, pieces: map[uint64]int{}}
	for size := range m.keys {
		m.keys[size] = rand.Uint64() | 1
	}
	return m
}

// Learn makes a value known to Redact under the name of its source, in place of what the source held before the
// last change. Values shorter than Shortest are not learned. It serves values that no Secret names, such as access
// tokens issued at run time.
func Learn(source, value string) { revealed.learn(source, value) }

func (m *memory) learn(source, value string) {
	if len(value) < Shortest {
		return
	}
	sum := maphash.String(m.seed, value)
	if m.knows(source, sum) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.sources[source]
	if old.value == sum && old.now != nil {
		return
	}
	now := m.cut(value)
	m.sources[source] = learned{value: sum, now: now, before: old.now}
	m.add(now)
	m.drop(old.before)
}

// knows is the quick way for a value that did not change, asked at every use of every secret.
func (m *memory) knows(source string, sum uint64) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	old := m.sources[source]
	return old.value == sum && old.now != nil
}

// cut returns the pieces of the forms in which a value might come back and which no escape sequence tells apart.
func (m *memory) cut(value string) []uint64 {
	// Case counts nowhere here, but beyond ASCII these are other bytes.
	forms := []string{strings.ToUpper(value), strings.ToLower(value)}
	for _, v := range encoded.Variants(value) {
		if len(v.Text) >= Shortest {
			forms = append(forms, v.Text)
		}
	}
	var out []uint64
	for _, form := range forms {
		size := min(window, len(form))
		if !slices.Contains(m.sizes, size) {
			m.sizes = append(m.sizes, size)
		}
		var last uint64
		for i := range len(form) {
			if last = last<<8 | uint64(encoded.Fold(form[i])); i+1 >= size {
				out = append(out, m.hash(last, size))
			}
		}
	}
	slices.Sort(out)
	return slices.Clip(slices.Compact(out))
}

// hash mixes the last size of eight bytes.
func (m *memory) hash(last uint64, size int) uint64 {
	last = last << (64 - 8*size) >> (64 - 8*size)
	high, low := bits.Mul64(last^m.keys[0], m.keys[size])
	return high ^ low
}

func (m *memory) add(pieces []uint64) {
	for _, p := range pieces {
		m.pieces[p]++
	}
	const spare = 16 // bits for each piece
	if len(m.pieces)*spare > len(m.filter)*64 || m.gone > len(m.pieces) {
		m.gone = 0
		m.filter = make([]uint64, 1<<bits.Len(uint(len(m.pieces)*spare/64)))
		for p := range m.pieces {
			m.note(p)
		}
		return
	}
	for _, p := range pieces {
		m.note(p)
	}
}

func (m *memory) drop(pieces []uint64) {
	for _, p := range pieces {
		if m.pieces[p]--; m.pieces[p] == 0 {
			delete(m.pieces, p)
			m.gone++
		}
	}
}

func (m *memory) note(piece uint64) {
	m.filter[piece>>6&uint64(len(m.filter)-1)] |= 1 << (piece & 63)
}

// has reports whether a piece is one of a known secret.
func (m *memory) has(piece uint64) bool {
	return m.filter[piece>>6&uint64(len(m.filter)-1)]>>(piece&63)&1 == 1 && m.pieces[piece] > 0
}
