package jsonpath

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Limits of a document. They bound memory at some 20 MiB and every recursion at a few dozen frames.
const (
	maxDepth  = 64
	maxNodes  = 100_000 // values and keys
	maxNumber = 1_000   // bytes of one number
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

// A node is one value of a document.
type node struct {
	kind     kind
	text     string   // a scalar as it was written, a string without its quotes
	plain    any      // what filters compare: string, float64, bool, nil, []any or map[string]any
	names    []string // of an object's members
	children []*node  // of an array or an object, in the order of the document
}

// member returns the member of an object, or nil.
func (n *node) member(name string) *node {
	if members, ok := n.plain.(map[string]any); !ok {
		return nil
	} else if _, ok := members[name]; !ok {
		return nil
	}
	return n.children[slices.Index(n.names, name)]
}

// A Document is decoded JSON. The zero value holds nothing.
type Document struct{ root *node }

// Decode reads exactly one JSON value, strictly: at most 64 levels deep and 100,000 values and keys large, with no
// key twice in an object, valid UTF-8, whole surrogate pairs and numbers that a float64 can hold. Numbers are kept
// as written. The error never repeats what the body says.
func Decode(body []byte) (Document, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return Document{}, errors.New("the body is empty, expected JSON")
	}
	// The standard library's check is iterative and bounded, so that the walk below meets valid JSON only.
	if err := json.Unmarshal(body, &skip{}); err != nil {
		if at, ok := errors.AsType[*json.SyntaxError](err); ok {
			return Document{}, fmt.Errorf("the body is not JSON, at byte %d", at.Offset)
		}
		return Document{}, errors.New("the body is not JSON")
	}
	if !utf8.Valid(body) {
		return Document{}, errors.New("the body is not JSON: not valid UTF-8")
	}
	if halfSurrogate(body) {
		return Document{}, errors.New("the body is not JSON: half a surrogate pair in a string")
	}
	b := builder{tokens: json.NewDecoder(bytes.NewReader(body))}
	b.tokens.UseNumber()
	root, err := b.value(1)
	if err != nil {
		return Document{}, err
	}
	return Document{root}, nil
}

// skip accepts any JSON and keeps nothing of it.
type skip struct{}

func (*skip) UnmarshalJSON([]byte) error { return nil }

// builder makes nodes from tokens.
type builder struct {
	tokens *json.Decoder
	spare  []node // allocated together, since a document has many
	nodes  int    // values and keys
}

func (b *builder) count() error {
	if b.nodes++; b.nodes > maxNodes {
		return fmt.Errorf("the JSON holds more than %d values", maxNodes)
	}
	return nil
}

func (b *builder) node(k kind, text string, plain any) (*node, error) {
	if err := b.count(); err != nil {
		return nil, err
	}
	if len(b.spare) == 0 {
		b.spare = make([]node, min(max(8, b.nodes), 256))
	}
	n := &b.spare[0]
	b.spare = b.spare[1:]
	n.kind, n.text, n.plain = k, text, plain
	return n, nil
}

func (b *builder) token() (json.Token, error) {
	t, err := b.tokens.Token()
	if err != nil {
		if err == io.EOF {
			return nil, errors.New("the JSON ends early")
		}
		return nil, errors.New("the body is not JSON")
	}
	return t, nil
}

// value reads the next value whole. Its recursion ends at maxDepth.
func (b *builder) value(depth int) (*node, error) {
	t, err := b.token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if depth > maxDepth {
			return nil, fmt.Errorf("the JSON is nested deeper than %d levels", maxDepth)
		}
		if t == '[' {
			return b.array(depth)
		}
		return b.object(depth)
	case string:
		return b.node(text, t, t)
	case json.Number:
		return b.number(t.String())
	case bool:
		return b.node(boolean, strconv.FormatBool(t), t)
	default:
		return b.node(null, "null", nil)
	}
}

func (b *builder) array(depth int) (*node, error) {
	n, err := b.node(array, "", nil)
	if err != nil {
		return nil, err
	}
	for b.tokens.More() {
		v, err := b.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.children = append(n.children, v)
	}
	plain := make([]any, len(n.children))
	for i, v := range n.children {
		plain[i] = v.plain
	}
	n.plain = plain
	_, err = b.token() // the closing bracket
	return n, err
}

func (b *builder) object(depth int) (*node, error) {
	members := map[string]any{}
	n, err := b.node(object, "", members)
	if err != nil {
		return nil, err
	}
	for b.tokens.More() {
		t, err := b.token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string)
		if _, ok := members[name]; ok {
			// Two readers of such an object may see two different values.
			return nil, errors.New("an object in the JSON holds the same key twice")
		}
		if err := b.count(); err != nil {
			return nil, err
		}
		v, err := b.value(depth + 1)
		if err != nil {
			return nil, err
		}
		members[name] = v.plain
		n.names, n.children = append(n.names, name), append(n.children, v)
	}
	_, err = b.token() // the closing brace
	return n, err
}

func (b *builder) number(text string) (*node, error) {
	if len(text) > maxNumber {
		return nil, fmt.Errorf("a number in the JSON is longer than %d digits", maxNumber)
	}
	f, ok := parseFloat(text)
	if !ok {
		return nil, errors.New("a number in the JSON is too large for a float64")
	}
	return b.node(number, text, f)
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
