package jsonpath

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Limits of a document. They bound memory at some 20 MiB and every recursion at a few dozen frames.
const (
	maxDepth  = 64
	maxNodes  = 100_000 // values and keys
	maxNumber = 1_000   // bytes of one number
)

// The tags by which the engine tells the kinds of JSON values.
const (
	tagString = "!!str"
	tagInt    = "!!int"
	tagFloat  = "!!float"
	tagBool   = "!!bool"
	tagNull   = "!!null"
	tagArray  = "!!seq"
	tagObject = "!!map"
)

// A Document is decoded JSON. The zero value holds nothing.
type Document struct{ root *yaml.Node }

// Decode reads exactly one JSON value, strictly: at most 64 levels deep and 100,000 values and keys large, with no
// key twice in an object, valid UTF-8, whole surrogate pairs and numbers that a float64 can hold. Numbers are kept
// as written. The error never repeats what the body says.
func Decode(body []byte) (Document, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return Document{}, errors.New("the body is empty, wanted JSON")
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
	spare  []yaml.Node // allocated together, since a document has many
	nodes  int
}

func (b *builder) node(kind yaml.Kind, tag, value string) (*yaml.Node, error) {
	if b.nodes++; b.nodes > maxNodes {
		return nil, fmt.Errorf("the JSON holds more than %d values", maxNodes)
	}
	if len(b.spare) == 0 {
		b.spare = make([]yaml.Node, min(max(8, b.nodes), 256))
	}
	n := &b.spare[0]
	b.spare = b.spare[1:]
	n.Kind, n.Tag, n.Value = kind, tag, value
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
func (b *builder) value(depth int) (*yaml.Node, error) {
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
		return b.node(yaml.ScalarNode, tagString, t)
	case json.Number:
		return b.number(t.String())
	case bool:
		return b.node(yaml.ScalarNode, tagBool, strconv.FormatBool(t))
	default:
		return b.node(yaml.ScalarNode, tagNull, "null")
	}
}

func (b *builder) array(depth int) (*yaml.Node, error) {
	n, err := b.node(yaml.SequenceNode, tagArray, "")
	if err != nil {
		return nil, err
	}
	for b.tokens.More() {
		v, err := b.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, v)
	}
	_, err = b.token() // the closing bracket
	return n, err
}

func (b *builder) object(depth int) (*yaml.Node, error) {
	n, err := b.node(yaml.MappingNode, tagObject, "")
	if err != nil {
		return nil, err
	}
	var seen keys
	for b.tokens.More() {
		t, err := b.token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string)
		if seen.twice(n, name) {
			// Two readers of such an object may see two different values.
			return nil, errors.New("an object in the JSON holds the same key twice")
		}
		key, err := b.node(yaml.ScalarNode, tagString, name)
		if err != nil {
			return nil, err
		}
		v, err := b.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, key, v)
	}
	_, err = b.token() // the closing brace
	return n, err
}

// keys remembers the keys of a large object; those of a small one are looked up where they are.
type keys map[string]struct{}

// twice reports whether the object has the key already, and remembers it.
func (k *keys) twice(object *yaml.Node, name string) bool {
	const small = 2 * 16
	if *k == nil {
		for i := 0; i < len(object.Content); i += 2 {
			if object.Content[i].Value == name {
				return true
			}
		}
		if len(object.Content) < small {
			return false
		}
		*k = keys{}
		for i := 0; i < len(object.Content); i += 2 {
			(*k)[object.Content[i].Value] = struct{}{}
		}
	}
	_, had := (*k)[name]
	(*k)[name] = struct{}{}
	return had
}

func (b *builder) number(text string) (*yaml.Node, error) {
	if len(text) > maxNumber {
		return nil, fmt.Errorf("a number in the JSON is longer than %d digits", maxNumber)
	}
	if _, ok := parseFloat(text); !ok {
		return nil, errors.New("a number in the JSON is too large for a float64")
	}
	// The engine reads an integer that does not fit as the largest one; as a float it keeps its size.
	if _, err := strconv.Atoi(text); err == nil {
		return b.node(yaml.ScalarNode, tagInt, text)
	}
	return b.node(yaml.ScalarNode, tagFloat, text)
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
