package strictyaml

import (
	"fmt"
	"iter"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// Pairs yields the keys and values of a mapping, and nothing of any other node.
func Pairs(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// Lookup returns a key of a mapping and its value, or nil.
func Lookup(n *yaml.Node, name string) (key, value *yaml.Node) {
	for key, value := range Pairs(n) {
		if key.Value == name {
			return key, value
		}
	}
	return nil, nil
}

// Select returns a mapping with those pairs only whose key is wanted. Any other node is returned as it is.
func Select(n *yaml.Node, wanted func(key string) bool) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return n
	}
	some := *n
	some.Content = nil
	for key, value := range Pairs(n) {
		if wanted(key.Value) {
			some.Content = append(some.Content, key, value)
		}
	}
	return &some
}

// Line returns the line of the setting at a path below n. Where the path leads further than the tree, it is the line of
// the last key or item on the way: a missing key is missing there.
func Line(n *yaml.Node, path string) int {
	_, line := Find(n, path)
	return line
}

// Find returns the node of the setting at a path below n, and its line, as Line has it; no node if the path leads further than the
// tree.
func Find(n *yaml.Node, path string) (*yaml.Node, int) {
	line := n.Line
	for path != "" {
		var next *yaml.Node
		switch n.Kind {
		case yaml.MappingNode:
			key, value, rest := step(n, path)
			if key == nil {
				return nil, line
			}
			line, next, path = key.Line, value, rest
		case yaml.SequenceNode:
			var i int
			if _, err := fmt.Sscanf(path, "[%d]", &i); err != nil || i < 0 || i >= len(n.Content) {
				return nil, line
			}
			next, path = n.Content[i], strings.TrimPrefix(path[strings.IndexByte(path, ']')+1:], ".")
			line = next.Line
		default:
			return nil, line
		}
		n = next
	}
	return n, line
}

// step takes the longest key that a path begins with: a key may hold dots and brackets itself.
func step(n *yaml.Node, path string) (key, value *yaml.Node, rest string) {
	for k, v := range Pairs(n) {
		if k.Value != "" && within(path, k.Value) && (key == nil || len(k.Value) > len(key.Value)) {
			key, value, rest = k, v, strings.TrimPrefix(path[len(k.Value):], ".")
		}
	}
	return key, value, rest
}

// IsNull reports whether a node is null, which says nothing.
//
//go:noinline
func IsNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// Describe names the kind of a value, never the value.
func Describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!int":
		return "a number"
	case "!!float":
		return "a decimal number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	}
	return "text"
}

// pathLike are simple JSON paths, such as $.items[0].name.
var pathLike = regexp.MustCompile(`^\$(\.{1,2}[A-Za-z_*][A-Za-z0-9_]{0,31}|\[(\*|[0-9]{1,6}|['"][A-Za-z_][A-Za-z0-9_]{0,31}['"])\]){0,8}$`)

// keyLike reports whether a text looks like a key. There are a million of them in a large configuration: a regular expression takes
// most of the time.
func keyLike(text string) bool {
	for i := range len(text) {
		c := text[i]
		if letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '<'; !letter && (i == 0 || !strings.ContainsRune(".:/-", rune(c))) {
			return false
		}
	}
	return text != "" && len(text) <= 64
}

// Shown returns a key as a message may repeat it. What looks like neither a key nor a JSON path becomes "…".
func Shown(key string) string {
	if keyLike(key) || pathLike.MatchString(key) {
		return key
	}
	return "…"
}

// A path leads from the top of a document to a value. It is kept twice, since a key may be a secret in the wrong place.
type path struct{ real, shown string }

func (p path) key(name string) path {
	shown := Shown(name)
	if p.real == "" {
		return path{name, shown}
	}
	inner := path{real: p.real + "." + name}
	if inner.shown = inner.real; p.shown != p.real || shown != name {
		inner.shown = p.shown + "." + shown
	}
	return inner
}

func (p path) item(i int) path {
	index := fmt.Sprintf("[%d]", i)
	return path{p.real + index, p.shown + index}
}
