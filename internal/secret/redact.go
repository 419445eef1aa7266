package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"hash/maphash"
	"html"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

// window is the length of the shortest piece of a secret that must not leave.
const window = 8

const redacted = "<redacted>"

// memory knows the revealed secrets by the hashes of their pieces, never by their text. It is this program's one
// piece of global state: a value revealed anywhere must not be printed anywhere.
var memory = struct {
	sync.Mutex
	sources map[string]learned
	known   atomic.Pointer[pieces]
}{sources: map[string]learned{}}

var seed = maphash.MakeSeed()

// pieces are hashes of windows of secrets by their length: window, or less for a secret shorter than that.
type pieces map[int]map[uint64]struct{}

// learned is what a source held: the value now and, for the answers still under way, the value before it.
type learned struct {
	value       uint64
	now, before pieces
}

// Learn makes a value known to Redact under the name of its source, in place of what the source held before the
// last change. Values shorter than Shortest are not learned. It serves values that no Secret names, such as access
// tokens issued at run time.
func Learn(source, value string) {
	if len(value) < Shortest {
		return
	}
	sum := maphash.String(seed, value)
	memory.Lock()
	defer memory.Unlock()
	old, known := memory.sources[source]
	if known && old.value == sum {
		return
	}
	memory.sources[source] = learned{value: sum, now: cut(value), before: old.now}
	all := pieces{}
	for _, l := range memory.sources {
		all.add(l.now)
		all.add(l.before)
	}
	memory.known.Store(&all)
}

// Redact returns text with every piece of a known secret of eight bytes or more (of a shorter secret: the whole)
// replaced, in plain, URL-, base64-, hex-, JSON- and HTML-encoded form and in any case of letters.
func Redact(text string) string {
	known := memory.known.Load()
	if known == nil {
		return text
	}
	folded := lower(text)
	var mark []bool
	for size, hashes := range *known {
		for i := 0; i+size <= len(folded); i++ {
			if _, hit := hashes[maphash.String(seed, folded[i:i+size])]; !hit {
				continue
			}
			if mark == nil {
				mark = make([]bool, len(text))
			}
			for j := i; j < i+size; j++ {
				mark[j] = true
			}
		}
	}
	if mark == nil {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !mark[i]:
			b.WriteByte(text[i])
		case i == 0 || !mark[i-1]:
			b.WriteString(redacted)
		}
	}
	return b.String()
}

// cut returns the pieces of every form in which a value might come back.
func cut(value string) pieces {
	quoted, _ := json.Marshal(value)
	forms := []string{
		value,
		url.QueryEscape(value),
		url.PathEscape(value),
		html.EscapeString(value),
		strings.Trim(string(quoted), `"`),
		hex.EncodeToString([]byte(value)),
	}
	// Within a longer text, base64 of the value has one of three alignments. The first and last characters of each
	// also depend on the neighbours and are left out.
	for shift := range 3 {
		padded := strings.Repeat("\x00", shift) + value
		coded := base64.RawStdEncoding.EncodeToString([]byte(padded))
		from, to := (shift*8+5)/6, len(padded)*8/6
		if to-from >= window {
			forms = append(forms, coded[from:to], base64.RawURLEncoding.EncodeToString([]byte(padded))[from:to])
		}
	}
	out := pieces{}
	for _, form := range forms {
		form = lower(form)
		size := min(window, len(form))
		if out[size] == nil {
			out[size] = map[uint64]struct{}{}
		}
		for i := 0; i+size <= len(form); i++ {
			out[size][maphash.String(seed, form[i:i+size])] = struct{}{}
		}
	}
	return out
}

func (p pieces) add(more pieces) {
	for size, hashes := range more {
		if p[size] == nil {
			p[size] = make(map[uint64]struct{}, len(hashes))
		}
		for h := range hashes {
			p[size][h] = struct{}{}
		}
	}
}

// lower folds ASCII letters only, so that every byte keeps its place.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
