package strictyaml

import (
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// shape is a tree with the lines of its nodes.
func shape(n *yaml.Node) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:%d %s %q(", n.Line, n.Column, n.ShortTag(), n.Value)
	for _, c := range n.Content {
		b.WriteString(shape(c))
	}
	return b.String() + ")"
}

// inPieces reads a document by ParseLong, two items at a time; false if that leaves it to Parse.
func inPieces(data string) (head, list string, ok bool) {
	l := ParseLong([]byte(data), 1<<20, "probes", 2)
	if l == nil {
		return "", "", false
	}
	n := 0
	unknown := func([]byte) int { return 0 }
	for piece := l.Next(unknown); piece != nil; piece = l.Next(unknown) {
		for _, item := range piece {
			list += shape(item.Node) + "\n"
			n++
		}
	}
	if !l.Complete() {
		return "", "", false
	}
	if n != l.Len {
		return "", fmt.Sprintf("%d items, Len is %d", n, l.Len), true
	}
	return shapeWithout(l.Head), list, true
}

func shapeWithout(root *yaml.Node) string {
	return shape(Select(root, func(key string) bool { return key != "probes" }))
}

// whole reads a document by Parse.
func whole(data string) (head, list string) {
	root, wrong := Parse([]byte(data), 1<<20)
	if wrong != nil {
		return fmt.Sprint(wrong), ""
	}
	_, items := Lookup(root, "probes")
	if items == nil {
		return shapeWithout(root), ""
	}
	for _, item := range items.Content {
		list += shape(item) + "\n"
	}
	return shapeWithout(root), list
}

var longs = []struct {
	name, data string
	pieces     bool // it is read in pieces
}{
	{"plain", "system: a\nprobes:\n  - name: a\n  - name: b\n    x: 1\n\n  # of c\n  - name: c\n", true},
	{"at the margin", "probes:\n- a: 1\n- b: 2\n- c: 3\nsystem: x\nz: 1\n", true},
	{"followed by keys", "probes: # all\n  # the first\n  - a: 1\n  -\n    b: 2\n  - c: 3\n  # after\nsystem: x\n# end\nlist:\n  - 1\n", true},
	{"without an end of line", "probes:\n  - a: 1\n  - b: 2\n  - c: 3", true},
	{"texts of several lines", "probes:\n  - a: |\n      - x\n\n      # y\n  - b: >-\n      z\n      - z\n  - c: one\n      - two\n  - d: |+\n      k\n\n\nsystem: x\n", true},
	{"lists in lists", "probes:\n  - - a\n    - b\n  - a: {b: [1,\n      2]}\n  - c\n", true},
	{"an anchor of one item", "probes:\n  - a: &x 1\n    b: *x\n  - c: 2\n  - d: 3\n", true},
	{"few", "probes:\n  - a: 1\n  - b: 2\n", true},
	{"one", "probes:\n  - a: 1\nz: 2\n", true},
	{"an alias of null", "probes:\n  - a: &x null\n  - *x\n", false},
	{"an anchor of another piece", "probes:\n  - a: &x 1\n  - b: 2\n  - c: *x\n", false},
	{"an anchor of the head", "x: &x {y: 1}\nprobes:\n  - a: *x\n  - b: *x\n  - c: *x\n", false},
	{"an anchor that is set again", "x: &x 1\nprobes:\n  - a: 1\n  - b: 2\n  - c: &x 3\n  - d: 4\nz: *x\n", false},
	{"items in quotes", "probes:\n  - a: \"\n  - b: 1\n  - c: 2\n  - d: \"\n  - e: 5\n", false},
	{"items in braces", "probes:\n  - {a: 1,\n  - b: 1,\n  - c: 2,\n  - d: 3}\n", false},
	{"the end in quotes", "probes:\n  - a: 1\n  - b: 2\n  - c: \"\nsystem: x\n\"\n", false},
	{"the key in quotes", "x: \"\nprobes:\n  - a: 1\n  - b: 2\n  - c: 3\n\"\nprobes:\n  - d: 4\n", false},
	{"the key twice", "probes:\n  - a: 1\n  - b: 2\n  - c: 3\nprobes:\n  - d: 4\n", false},
	{"null", "probes:\n  - a: 1\n  - b: 2\n  - null\n", false},
	{"nothing", "probes:\n  - a: 1\n  - b: 2\n  -\n", false},
	{"a tag", "probes:\n  - a: 1\n  - b: 2\n  - !x c\n", false},
	{"a key twice", "probes:\n  - a: 1\n  - b: 2\n  - {c: 1, c: 2}\n", false},
	{"uneven", "probes:\n  - a: 1\n  - b: 2\n - c: 3\n", false},
	{"uneven key", "probes:\n    - a: 1\n    - b: 2\n    - c: 3\n  x: 1\n", false},
	{"a document more", "probes:\n- a: 1\n- b: 2\n- c: 3\n---\nx: 1\n", false},
	{"a list in braces", "probes: [a, b,\n  - c\n]\n", false},
	{"a list of another key", "probes:\nx:\n  - a\n  - b\n  - c\n", false},
	{"a directive", "%TAG !! tag:example.com:\n---\nprobes:\n  - a: 1\n  - b: 2\n  - c: 3\n", false},
	{"carriage returns", "probes:\r\n  - a: 1\r\n  - b: 2\r\n  - c: 3\r\n", false},
	{"another end of line", "probes:\n  - a: 1\n  - b: 2\u2028  - x: 1\n  - c: 3\n", false},
	{"a tab", "probes:\n- a: 1\n- b: 2\n-\tc: 3\n", false},
}

func TestParseLong(t *testing.T) {
	for _, c := range longs {
		t.Run(c.name, func(t *testing.T) {
			head, list, ok := inPieces(c.data)
			if ok != c.pieces {
				t.Fatalf("read in pieces: %v, want %v\n%s", ok, c.pieces, list)
			}
			if wantHead, wantList := whole(c.data); ok && (head != wantHead || list != wantList) {
				t.Errorf("got\n%s\n%s\nwant\n%s\n%s", head, list, wantHead, wantList)
			}
		})
	}
}

// What is known is not parsed, as long as nothing else of its piece has to be, and its values count all the same.
func TestLong_known(t *testing.T) {
	const head, a, b, long, alias = "probes:\n", "  - a: 1\n", "  - b: 2 # two\n\n", "  - c: |\n      - x\n", "  - e: *x\n"
	for _, c := range []struct {
		name, data string
		parsed     string // by item: p if there is a tree, k if it is known
	}{
		{"all", head + a + b + long + a, "kkkk"},
		{"a new one", head + a + b + "  - d: 4\n" + long, "kkpp"},
		{"an alias", head + a + b + "  - d: &x 4\n    e: *x\n" + b, "kkpp"},
		{"an alias of another", head + "  - d: &x 4\n" + alias, "pp"},
		{"an alias of none", head + a + alias, ""},
		{"another key after", head + a + b + long + "z: 1\n", "kkk"},
		{"another indentation", "probes:\n- a: 1\n- b: 2\n", "pp"},
		{"in quotes", head + a + b + "  - d: \"\n" + a + b + "    \"\n", ""},
		{"in braces", head + a + b + "  - {d: 4,\n" + a + "    }\n", ""},
		{"in a text", head + "  - d: |\n" + a + b, "ppk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := ParseLong([]byte(c.data), 1<<20, "probes", 2)
			known := func(text []byte) int {
				switch string(text) {
				case a, b, long, alias:
					return 3
				}
				return 0
			}
			parsed, values := "", l.plain.values
			for piece := l.Next(known); piece != nil; piece = l.Next(known) {
				for _, item := range piece {
					values += item.Values
					switch {
					case item.Node != nil:
						parsed += "p"
					case item.Known && item.Values == 3:
						parsed += "k"
					}
				}
			}
			if !l.Complete() {
				parsed = ""
			}
			if parsed != c.parsed || l.Complete() && values != l.plain.values {
				t.Errorf("got %s and %d values, expected %s and %d", parsed, values, c.parsed, l.plain.values)
			}
		})
	}
}

// again reads a document by ParseLong twice, the second time with all texts of the first one known. It returns how many values are in
// it each time, and -1 if it is not read in pieces.
func again(data string) (first, second int) {
	known := map[string]int{}
	read := func() int {
		l := ParseLong([]byte(data), 1<<20, "probes", 2)
		if l == nil {
			return -1
		}
		value := func(text []byte) int { return known[string(text)] }
		for piece := l.Next(value); piece != nil; piece = l.Next(value) {
			for _, item := range piece {
				if item.Text != nil {
					known[string(item.Text)] = item.Values
				}
			}
		}
		if !l.Complete() {
			return -1
		}
		return l.plain.values
	}
	if first = read(); first < 0 {
		return first, first
	}
	return first, read()
}

// FuzzParseLong: what is read in pieces is what Parse reads, at the same lines, and it has as many values once it is known.
func FuzzParseLong(f *testing.F) {
	for _, c := range longs {
		f.Add(c.data)
	}
	f.Fuzz(func(t *testing.T, data string) {
		if first, second := again(data); first != second {
			t.Errorf("there are %d values, and %d once they are known", first, second)
		}
		if head, list, ok := inPieces(data); ok {
			if wantHead, wantList := whole(data); head != wantHead || list != wantList {
				t.Errorf("got\n%s\n%s\nwant\n%s\n%s", head, list, wantHead, wantList)
			}
		}
	})
}
