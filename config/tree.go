package config

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// tree parses the one document of a file. What comes back has no aliases, no merge keys, no duplicate keys and no
// tags but the common ones; it may share nodes, and has no circles. It is nil if the file is no such document.
func (p *page) tree(data []byte) *yaml.Node {
	switch {
	case len(data) > largest:
		p.add(0, "", "the file is larger than %d bytes", largest)
		return nil
	case !utf8.Valid(data):
		p.add(1+slices.IndexFunc(bytes.Split(data, []byte{'\n'}), invalid), "", "the file is not valid UTF-8")
		return nil
	}
	root := p.document(data)
	if root == nil {
		return nil
	}
	if isNull(root) {
		p.add(0, "", "the file is empty")
		return nil
	}
	if root.Kind != yaml.MappingNode {
		p.add(root.Line, "", "wants keys such as system and probes, got %s", described(root))
		return nil
	}
	t := tidier{page: p, sizes: map[*yaml.Node]int{}}
	if t.tidy(root); t.refused {
		return nil
	}
	return root
}

func invalid(line []byte) bool { return !utf8.Valid(line) }

// unfolded bounds the values that anchors and merges may unfold to.
const unfolded = 1_000_000

// A tidier makes a tree plain, in place.
type tidier struct {
	page    *page
	sizes   map[*yaml.Node]int // of what has been tidied; 0 while it is under way
	copied  int                // pairs brought in by merges
	refused bool
}

func (t *tidier) refuse(n *yaml.Node, format string, args ...any) {
	t.page.add(n.Line, "", format, args...)
	t.refused = true
}

// tidy returns how many values n unfolds to.
func (t *tidier) tidy(n *yaml.Node) int {
	if size, known := t.sizes[n]; known {
		if size == 0 {
			t.refuse(n, "the anchor contains itself")
		}
		return size
	}
	t.sizes[n] = 0
	size := 1
	if !commonTag(n) {
		t.refuse(n, `a tag ("!...") means nothing here; put a value that begins with "!" in quotes`)
	}
	for i, c := range n.Content {
		if c.Kind == yaml.AliasNode {
			c = c.Alias
			n.Content[i] = c
		}
		size = min(size+t.tidy(c), unfolded+1)
	}
	if n.Kind == yaml.MappingNode {
		t.unique(n)
		size = min(size+t.merge(n), unfolded+1)
	}
	if size > unfolded && !t.refused {
		t.refuse(n, "anchors and aliases unfold to more than %d values", unfolded)
	}
	t.sizes[n] = size
	return size
}

func commonTag(n *yaml.Node) bool {
	switch n.Kind {
	case yaml.MappingNode:
		return n.ShortTag() == "!!map"
	case yaml.SequenceNode:
		return n.ShortTag() == "!!seq"
	}
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!merge":
		return true
	}
	return false
}

// unique refuses a key that stands twice in a mapping, and one that is no word.
func (t *tidier) unique(n *yaml.Node) {
	lines := map[string]int{}
	for key := range pairs(n) {
		if key.Kind != yaml.ScalarNode || isNull(key) {
			t.refuse(key, "a key is one word; put a value in braces or brackets in quotes")
			continue
		}
		if first, twice := lines[key.Value]; twice {
			t.refuse(key, "the key %s stands here and on line %d", shown(key.Value), first)
			continue
		}
		lines[key.Value] = key.Line
	}
}

// merge replaces "<<" by what it stands for. A key of the mapping itself goes before, then the first mapping merged.
// It returns the size of what came in.
func (t *tidier) merge(n *yaml.Node) int {
	var own, sources []*yaml.Node
	taken := map[string]bool{}
	for key, value := range pairs(n) {
		if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
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
			t.refuse(s, `"<<" wants a mapping or a list of mappings, got %s`, described(s))
			continue
		}
		for key, value := range pairs(s) {
			if t.copied++; t.copied > unfolded || taken[key.Value] {
				continue
			}
			taken[key.Value] = true
			own = append(own, key, value)
			size = min(size+1+t.sizes[value], unfolded+1)
		}
	}
	if t.copied > unfolded {
		return unfolded + 1
	}
	n.Content = own
	return size
}
