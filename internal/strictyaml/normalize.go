package strictyaml

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Parse reads the one document of a file of at most max bytes; the top is a mapping. The tree that comes back has no
// aliases, no merge keys, no duplicate keys and no tags but the common ones. It may share nodes, and has no cycles. With
// any mistake there is no tree.
func Parse(data []byte, max int) (*yaml.Node, []Mistake) {
	return (&normalizer{}).mapping(data, max)
}

// mapping is Parse, and counts the values.
func (t *normalizer) mapping(data []byte, max int) (*yaml.Node, []Mistake) {
	root, wrong := t.parseAs(yaml.MappingNode, "keys", data, max)
	if root == nil && wrong == nil {
		wrong = []Mistake{{Text: "the file is empty"}}
	}
	return root, wrong
}

// ParseList is Parse for a document whose top is a list. A file without a document is nil, and no mistake.
func ParseList(data []byte, max int) (*yaml.Node, []Mistake) {
	return (&normalizer{}).parseAs(yaml.SequenceNode, "a list", data, max)
}

// parseAs returns nothing for null.
func (t *normalizer) parseAs(kind yaml.Kind, wants string, data []byte, max int) (*yaml.Node, []Mistake) {
	switch {
	case len(data) > max:
		return nil, []Mistake{{Text: fmt.Sprintf("the file is larger than %d bytes", max)}}
	case separators(data) > 2*maxUnfolded:
		return nil, []Mistake{{Text: fmt.Sprintf("the file holds more than %d values", maxUnfolded)}}
	case !utf8.Valid(data):
		line := 1 + slices.IndexFunc(bytes.Split(data, []byte{'\n'}), invalid)
		return nil, []Mistake{{Line: line, Text: "the file is not valid UTF-8; save it as UTF-8"}}
	}
	root, wrong := document(data)
	switch {
	case wrong != nil:
		return nil, []Mistake{*wrong}
	case root == nil || IsNull(root):
		return nil, nil
	case root.Kind != kind:
		return nil, []Mistake{{Line: root.Line, Text: "wants " + wants + ", got " + Describe(root)}}
	}
	if t.all(root); t.found != nil {
		return nil, t.found
	}
	return root, nil
}

// separators counts what may part one value from the next. The parser keeps a hundred times as much for each value.
func separators(data []byte) (n int) {
	for _, c := range data {
		switch c {
		case '\n', ',', ':', '-', '[', '{', '?':
			n++
		}
	}
	return n
}

func invalid(line []byte) bool { return !utf8.Valid(line) }

// maxUnfolded bounds the values that anchors and merges may unfold to.
const maxUnfolded = 1_000_000

// A normalizer makes a tree plain, in place.
type normalizer struct {
	sizes  map[*yaml.Node]int // of what has an anchor, and of the values in it; 0 while it is under way
	copied int                // pairs brought in by merges
	values int                // in all that was made plain
	found  []Mistake
}

//go:noinline
func (t *normalizer) refuse(n *yaml.Node, format string, args ...any) {
	t.found = append(t.found, mistake(n.Line, path{}, format, args...))
}

// all makes a whole tree plain.
func (t *normalizer) all(root *yaml.Node) {
	t.sizes = map[*yaml.Node]int{}
	t.values += t.normalize(root, false)
}

// normalize returns how many values n unfolds to. What nothing refers to is met once, and its size need not be remembered.
func (t *normalizer) normalize(n *yaml.Node, anchored bool) int {
	if size, known := t.sizes[n]; known {
		if size == 0 {
			t.refuse(n, "the anchor contains itself")
		}
		return size
	}
	if anchored = anchored || n.Anchor != ""; anchored {
		t.sizes[n] = 0
	}
	size := 1
	if !commonTag(n) {
		t.refuse(n, `a tag ("!...") means nothing here; put a value that begins with "!" in quotes`)
	}
	for i, c := range n.Content {
		if c.Kind == yaml.AliasNode {
			c = c.Alias
			n.Content[i] = c
		}
		size = min(size+t.normalize(c, n.Anchor != ""), maxUnfolded+1)
	}
	if n.Kind == yaml.MappingNode {
		t.unique(n)
		size = min(size+t.merge(n), maxUnfolded+1)
	}
	if size > maxUnfolded && t.found == nil {
		t.refuse(n, "anchors and aliases unfold to more than %d values", maxUnfolded)
	}
	if anchored {
		t.sizes[n] = size
	}
	return size
}

func commonTag(n *yaml.Node) bool {
	switch n.Kind {
	case yaml.MappingNode:
		return n.ShortTag() == "!!map"
	case yaml.SequenceNode:
		return n.ShortTag() == "!!seq"
	}
	if n.Style&yaml.TaggedStyle != 0 {
		return n.ShortTag() == "!!str"
	}
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!merge":
		return true
	}
	return false
}

// unique refuses a key that stands twice in a mapping, and one that is no word.
func (t *normalizer) unique(n *yaml.Node) {
	var lines map[string]int
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || IsNull(key) {
			t.refuse(key, "a key is one word; put a value in braces or brackets in quotes")
			continue
		}
		first, twice := 0, false
		if len(n.Content) <= 2*fewKeys { // a map takes longer than they do, and there are very many small mappings
			for j := 0; j < i && !twice; j += 2 {
				if k := n.Content[j]; k.Value == key.Value && k.Kind == yaml.ScalarNode && !IsNull(k) {
					first, twice = k.Line, true
				}
			}
		} else if first, twice = lines[key.Value]; !twice {
			if lines == nil {
				lines = map[string]int{}
			}
			lines[key.Value] = key.Line
		}
		if twice {
			t.refuse(key, "the key %s stands here and on line %d", Shown(key.Value), first)
		}
	}
}

// fewKeys is how many keys a mapping has that is searched without a map.
const fewKeys = 16

func isMerge(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!merge" }

// merge replaces "<<" by what it stands for. A key of the mapping itself goes before, then the first mapping merged.
// It returns the size of what came in.
func (t *normalizer) merge(n *yaml.Node) int {
	if !slices.ContainsFunc(n.Content, isMerge) {
		return 0
	}
	var own, sources []*yaml.Node
	taken := map[string]bool{}
	for key, value := range Pairs(n) {
		if isMerge(key) {
			sources = append(sources, value)
			continue
		}
		own = append(own, key, value)
		taken[key.Value] = true
	}
	if sources == nil {
		return 0
	}
	if s := sources[0]; s.Kind == yaml.SequenceNode {
		sources = s.Content
	}
	size := 0
	for _, s := range sources {
		if s.Kind != yaml.MappingNode {
			t.refuse(s, `"<<" wants a mapping or a list of mappings, got %s`, Describe(s))
			continue
		}
		for key, value := range Pairs(s) {
			if t.copied++; t.copied > maxUnfolded || taken[key.Value] {
				continue
			}
			taken[key.Value] = true
			own = append(own, key, value)
			size = min(size+1+t.sizes[value], maxUnfolded+1)
		}
	}
	if t.copied > maxUnfolded {
		return maxUnfolded + 1
	}
	n.Content = own
	return size
}
