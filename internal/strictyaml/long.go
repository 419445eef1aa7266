package strictyaml

import (
	"bytes"
	"slices"

	"gopkg.in/yaml.v3"
)

// A Long is a document whose top has a list with very many items. It is read in pieces, since the tree of all of it takes twenty
// times as much memory as the text.
type Long struct {
	Head *yaml.Node // the tree, but of the list only the first piece
	Len  int        // of the list

	data   []byte
	size   int        // of a piece, in items
	pieces []start    // and the end of the last one
	plain  normalizer // of the head and of all pieces, so that their values have the bounds of a whole
	bad    bool
}

// A start is where a piece begins.
type start struct{ at, line, item int }

// ParseLong returns nil for a document that cannot be taken apart, or has a mistake, or whose list under a key is not longer than a
// piece. Then Parse tells more. What it takes apart are items of a block list, each of which begins on a line of its own: if each piece is complete by
// itself, none of them began in the midst of a text, and so they are the same as in the whole.
func ParseLong(data []byte, max int, key string, piece int) *Long {
	l := &Long{data: data, size: piece}
	if len(data) > max || separators(data) > 2*maxUnfolded || !l.split(key) || l.Len <= piece {
		return nil
	}
	first, second, last := l.pieces[0], l.pieces[1], l.pieces[len(l.pieces)-1]
	if bytes.IndexByte(data[last.at:], '*') >= 0 {
		return nil // an alias may mean an anchor in a piece, though one of that name stands in the head
	}
	head := bytes.Clone(data[:second.at])
	head = append(head, bytes.Repeat([]byte{'\n'}, last.line-second.line)...) // so that the lines below are the same
	root, wrong := l.plain.mapping(append(head, data[last.at:]...), max)
	if wrong != nil {
		return nil
	}
	if _, list := Lookup(root, key); list == nil || list.Kind != yaml.SequenceNode || len(list.Content) != second.item || list.Line != first.line {
		return nil // the key that was found stands in a text
	}
	l.Head = root
	return l
}

// split finds the pieces of the list.
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
			if l.Len%l.size == 0 {
				l.pieces = append(l.pieces, start{at, line, l.Len})
			}
			l.Len++
		case indent < 0 || by > 0 && by <= indent:
			return false
		case by == 0:
			l.pieces = append(l.pieces, start{at, line, l.Len})
			return true
		}
		at += len(text) + 1
	}
	l.pieces = append(l.pieces, start{len(l.data), line + 1, l.Len})
	return indent >= 0
}

// Next returns the items of the next piece, whose trees are as Parse makes them; nil after the last one, and if the piece is not as it
// should be.
func (l *Long) Next() []*yaml.Node {
	if len(l.pieces) < 2 {
		return nil
	}
	from, to := l.pieces[0], l.pieces[1]
	l.bad = true
	root, err := document(l.data[from.at:to.at])
	if err != nil || root == nil || root.Kind != yaml.SequenceNode || len(root.Content) != to.item-from.item {
		return nil
	}
	move(root, from.line-1)
	t := &l.plain
	if t.all(root); t.found != nil || t.values > maxUnfolded || slices.ContainsFunc(root.Content, IsNull) {
		return nil
	}
	l.bad, l.pieces = false, l.pieces[1:]
	return root.Content
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
