package jsonpath

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"prober/internal/memory"
)

// The kinds of JSON values, in the words of the RFC.
type kind string

const (
	text    kind = "string"
	number  kind = "number"
	boolean kind = "bool"
	null    kind = "null"
	array   kind = "array"
	object  kind = "object"
)

// A node is one value, or one key, of a document. What it says is read from the body, so that a node is small: a document
// may have 100,000.
type node struct {
	start uint32 // in the body
	next  uint32 // the node after this value and all that is in it
}

// A Document is decoded JSON. The zero value holds nothing.
type Document struct{ *document }

// document holds the nodes in the order of the body. The nodes after an array are its values, those after an object its
// keys and values in turn.
type document struct {
	run   context.Context // the run that pays for what is decoded
	body  []byte
	nodes []node
}

// Decode reads exactly one JSON value, strictly: with no key twice in an object, valid UTF-8 and whole surrogate pairs.
// Numbers are kept as written. The error never repeats what the body says. It is a memory.ErrLimit if the prober did not
// read the body to its end: over 64 levels, 100,000 values and keys, 1,000 digits or the range of a float64, or where ctx
// ends or has no memory left. The document keeps the body, which must not change.
func Decode(ctx context.Context, body []byte) (Document, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return Document{}, errors.New("the body is empty, expected JSON")
	}
	s := scanner{ctx: ctx, body: body}
	if err := s.document(); err != nil {
		return Document{}, err
	}
	if !utf8.Valid(body) {
		return Document{}, errors.New("not valid UTF-8")
	}
	if halfSurrogate(body) {
		return Document{}, errors.New("half a surrogate pair in a string")
	}
	if err := memory.Take(ctx, int64(s.nodes)*int64(unsafe.Sizeof(node{}))); err != nil {
		return Document{}, err
	}
	d := &document{run: ctx, body: body, nodes: make([]node, 0, s.nodes)}
	b := builder{document: d, seed: maphash.MakeSeed()}
	b.value(0)
	if b.err != nil {
		return Document{}, b.err
	}
	return Document{d}, nil
}

// A builder makes nodes of valid JSON.
type builder struct {
	*document
	seed maphash.Seed
	err  error // the first one
}

// value adds the value at a place and returns where it ends.
func (b *builder) value(at int) (end int) {
	at = blanks(b.body, at)
	i := len(b.nodes)
	b.nodes = append(b.nodes, node{start: uint32(at)})
	switch b.body[at] {
	case '[':
		end = b.array(at + 1)
	case '{':
		end = b.object(at + 1)
	default:
		end = scalarEnd(b.body, at)
	}
	b.nodes[i].next = uint32(len(b.nodes))
	return end
}

func (b *builder) array(at int) (end int) {
	for at = blanks(b.body, at); b.body[at] != ']'; at = blanks(b.body, at) {
		if b.body[at] == ',' {
			at++
		}
		at = b.value(at)
		if b.stopped() {
			return at
		}
	}
	return at + 1
}

func (b *builder) object(at int) (end int) {
	var keys []key
	for at = blanks(b.body, at); b.body[at] != '}'; at = blanks(b.body, at) {
		if b.body[at] == ',' {
			at++
		}
		i := uint32(len(b.nodes))
		at = blanks(b.body, b.value(at)) // the key
		keys = append(keys, key{maphash.Bytes(b.seed, b.unescaped(i)), i})
		at = b.value(at + 1)
		if b.stopped() {
			return at
		}
	}
	b.distinct(keys)
	return at + 1
}

// A key is the hash of an object's key, and its node.
type key struct {
	hash uint64
	at   uint32
}

// distinct refuses an object that holds a key twice: two readers of it may see two different values.
func (b *builder) distinct(keys []key) {
	slices.SortFunc(keys, func(a, b key) int {
		switch {
		case a.hash < b.hash:
			return -1
		case a.hash > b.hash:
			return 1
		}
		return 0
	})
	for i := 1; i < len(keys); i++ {
		if keys[i].hash == keys[i-1].hash && bytes.Equal(b.unescaped(keys[i].at), b.unescaped(keys[i-1].at)) && b.err == nil {
			b.err = errors.New("an object in the JSON holds the same key twice")
		}
	}
}

// stopped reports whether to stop, and looks at the clock now and then.
func (b *builder) stopped() bool {
	if b.err == nil && len(b.nodes)%lookEvery == 0 {
		b.err = timeUp(b.run)
	}
	return b.err != nil
}

// kind returns the kind of a node.
//
//go:noinline
func (d *document) kind(i uint32) kind {
	switch d.body[d.nodes[i].start] {
	case '{':
		return object
	case '[':
		return array
	case '"':
		return text
	case 't', 'f':
		return boolean
	case 'n':
		return null
	}
	return number
}

// text returns a scalar as it was written, a string without its quotes and escapes; of an array or an object nothing.
func (d *document) text(i uint32) string {
	start := int(d.nodes[i].start)
	switch d.body[start] {
	case '{', '[':
		return ""
	case '"':
		return string(d.unescaped(i))
	}
	return string(d.body[start:scalarEnd(d.body, start)])
}

// unescaped returns a string without its quotes and escapes; it is a part of the body if nothing is escaped.
func (d *document) unescaped(i uint32) []byte {
	start := int(d.nodes[i].start)
	written := d.body[start:scalarEnd(d.body, start)]
	if bytes.IndexByte(written, '\\') < 0 {
		return written[1 : len(written)-1]
	}
	var plain string
	_ = json.Unmarshal(written, &plain) // it was found valid
	return []byte(plain)
}

// children returns the values in an array or an object, in the order of the document.
func (d *document) children(i uint32) []uint32 {
	var all []uint32
	step := uint32(0)
	switch d.kind(i) {
	case object:
		step = 1 // over the key
	case array:
	default:
		return nil
	}
	for child := i + 1; child < d.nodes[i].next; child = d.nodes[child+step].next {
		all = append(all, child+step)
	}
	return all
}

// empty reports whether nothing is in an array or an object.
func (d *document) empty(i uint32) bool { return d.nodes[i].next == i+1 }

// member returns the value of an object's key.
func (d *document) member(i uint32, name string) (value uint32, ok bool) {
	if d.kind(i) != object {
		return 0, false
	}
	for key := i + 1; key < d.nodes[i].next; key = d.nodes[key+1].next {
		if string(d.unescaped(key)) == name {
			return key + 1, true
		}
	}
	return 0, false
}

// plainNode is what a node takes as a plain value, in bytes: most in an object with one member.
const plainNode = 128

// plainBytes bounds what plain takes for a value.
func (d *document) plainBytes(i uint32) int64 {
	return plainNode * int64(d.nodes[i].next-i)
}

// plain returns a value as filters compare them: string, float64, bool, nil, []any or map[string]any.
func (d *document) plain(i uint32) any {
	switch d.kind(i) {
	case object:
		members := map[string]any{}
		for key := i + 1; key < d.nodes[i].next; key = d.nodes[key+1].next {
			members[d.text(key)] = d.plain(key + 1)
		}
		return members
	case array:
		items := []any{}
		for _, child := range d.children(i) {
			items = append(items, d.plain(child))
		}
		return items
	case text:
		return d.text(i)
	case number:
		f, _ := parseFloat(d.text(i))
		return f
	case boolean:
		return d.body[d.nodes[i].start] == 't'
	}
	return nil
}

func parseFloat(text string) (float64, bool) {
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil && !math.IsInf(f, 0)
}

// halfSurrogate reports whether a string of valid JSON escapes one half of a surrogate pair without the other,
// which encoding/json would silently replace.
func halfSurrogate(body []byte) bool {
	for {
		i := bytes.IndexByte(body, '\\') // outside of strings valid JSON has none
		if i < 0 {
			return false
		}
		unit, ok := codeUnit(body[i:])
		switch {
		case !ok:
			body = body[i+2:]
		case unit < 0xd800 || unit > 0xdfff:
			body = body[i+6:]
		default:
			low, ok := codeUnit(body[i+6:])
			if unit > 0xdbff || !ok || low < 0xdc00 || low > 0xdfff {
				return true
			}
			body = body[i+12:]
		}
	}
}

// codeUnit reads "\uXXXX" at the start of b.
func codeUnit(b []byte) (uint64, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	u, err := strconv.ParseUint(string(b[2:6]), 16, 32)
	return u, err == nil
}

//go:noinline
func limitf(format string, args ...any) error {
	return &memory.ErrLimit{Limit: fmt.Sprintf(format, args...)}
}
