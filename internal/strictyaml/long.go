package strictyaml

import (
	"bytes"

	"gopkg.in/yaml.v3"
)

// A Long is a document whose top has a list. It is read in pieces, since the tree of all of a long one takes twenty times as much memory
// as the text, and what is known already needs none.
type Long struct {
	Head *yaml.Node // the tree, but of the list only the first item
	Len  int        // of the list

	data   []byte
	size   int        // of a piece, in items
	starts []start    // of the items that were not read yet, and the end of the last one
	plain  normalizer // of the head and of all pieces, so that their values have the bounds of a whole
	bad    bool
}

// A start is where an item begins.
type start struct{ at, line int }

// An Item is one of the list.
type Item struct {
	Text   []byte     // as it is written; nil if what it says may hang on another item
	Line   int        // where it begins
	Values int        // how many it unfolds to
	Known  bool       // the text is
	Node   *yaml.Node // nil if the text is known, and so are those of all of its piece
}

// ParseLong returns nil for a document that cannot be taken apart, or has a mistake. Then Parse tells more. What it takes apart are
// items of a block list under a key, each of which begins on a line of its own: if each piece is complete by
// itself, none of them began in the midst of a text, and so they are the same as in the whole.
func ParseLong(data []byte, max int, key string, piece int) *Long {
	l := &Long{data: data, size: piece}
	if len(data) > max || separators(data) > 2*maxUnfolded || !l.split(key) {
		return nil
	}
	first, second, last := l.starts[0], l.starts[1], l.starts[l.Len]
	if bytes.IndexByte(data[last.at:], '*') >= 0 {
		return nil // an alias may mean an anchor in an item, though one of that name stands in the head
	}
	head := bytes.Clone(data[:second.at])
	head = append(head, bytes.Repeat([]byte{'\n'}, last.line-second.line)...) // so that the lines below are the same
	root, wrong := l.plain.mapping(append(head, data[last.at:]...), max)
	if wrong != nil {
		return nil
	}
	if _, list := Lookup(root, key); list == nil || list.Kind != yaml.SequenceNode || len(list.Content) != 1 || list.Line != first.line {
		return nil // the key that was found stands in a text
	}
	l.Head = root
	return l
}

// split finds the items of the list, one at least.
func (l *Long) split(key string) bool {
	for _, other := range []string{"\r", "\u0085", "\u2028", "\u2029", "\n%", "\ufeff"} { // other ends of lines, and directives
		if bytes.Contains(l.data, []byte(other)) {
			return false
		}
	}
	if bytes.HasPrefix(l.data, []byte("%")) {
		return false
	}
	indent := -1 // of the items; -1 before the first
	inside := false
	line, at := 0, 0
	for at < len(l.data) {
		text, _, _ := bytes.Cut(l.data[at:], []byte{'\n'})
		line++
		rest := bytes.TrimLeft(text, " ")
		switch by := len(text) - len(rest); {
		case len(rest) == 0 || rest[0] == '#':
		case !inside:
			after, is := bytes.CutPrefix(text, []byte(key+":"))
			after = bytes.TrimLeft(after, " ")
			inside = is && (len(after) == 0 || after[0] == '#')
		case (indent < 0 || by == indent) && (string(rest) == "-" || bytes.HasPrefix(rest, []byte("- "))):
			indent = by
			l.starts = append(l.starts, start{at, line})
			l.Len++
		case indent < 0 || by > 0 && by <= indent:
			return false
		case by == 0:
			l.starts = append(l.starts, start{at, line})
			return true
		}
		at += len(text) + 1
	}
	l.starts = append(l.starts, start{len(l.data), line + 1})
	return indent >= 0
}

// Next returns the items of the next piece, whose trees are as Parse makes them; nil after the last one, and if the piece is not as it
// should be. A piece is not parsed if all of its items are known, each of which stood as it is among those of an earlier Long that was
// complete: known returns how many values one unfolds to, and 0 of one that it does not know.
func (l *Long) Next(known func(text []byte) (values int)) []Item {
	n := min(l.size, len(l.starts)-1)
	if n <= 0 {
		return nil
	}
	items, unknown := make([]Item, n), false
	for i := range items {
		items[i] = Item{Text: l.data[l.starts[i].at:l.starts[i+1].at], Line: l.starts[i].line}
		if refers(items[i].Text) {
			items[i].Text, unknown = nil, true
			continue
		}
		items[i].Values = known(items[i].Text)
		items[i].Known = items[i].Values > 0
		unknown = unknown || !items[i].Known
	}
	l.bad = unknown && !l.parse(items)
	for i := range items {
		l.plain.values += items[i].Values
	}
	if l.bad = l.bad || l.plain.values > maxUnfolded; l.bad {
		return nil
	}
	l.starts = l.starts[n:]
	return items
}

// parse reads items that follow one another. It reports whether they are as they should be.
func (l *Long) parse(items []Item) bool {
	from, to := l.starts[0], l.starts[len(items)]
	root, err := document(l.data[from.at:to.at])
	if err != nil || root == nil || root.Kind != yaml.SequenceNode || len(root.Content) != len(items) || !commonTag(root) {
		return false
	}
	move(root, from.line-1)
	l.plain.sizes = map[*yaml.Node]int{}
	for i, n := range root.Content {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		items[i].Node, items[i].Values = n, l.plain.normalize(n, root.Anchor != "")
		if IsNull(n) {
			return false
		}
	}
	return l.plain.found == nil
}

// refers reports whether there may be an alias in a text.
func refers(text []byte) bool {
	for i, c := range text[:len(text)-1] {
		if next := text[i+1]; c == '*' && (next|0x20 >= 'a' && next|0x20 <= 'z' || next >= '0' && next <= '9' || next == '_' || next == '-') {
			return true
		}
	}
	return false
}

// Complete reports whether Next came to the end. If not, the document is to be read as a whole.
func (l *Long) Complete() bool { return !l.bad }

// move adds to the lines of a tree.
func move(n *yaml.Node, lines int) {
	n.Line += lines
	for _, c := range n.Content {
		move(c, lines)
	}
}
