// Package jsonpath finds values in JSON from an untrusted sender, by the RFC 9535 paths of a configuration.
//
// github.com/theory/jsonpath parses the paths and evaluates their filters. This package refuses what that parser
// misreads and what would cost more than a few walks over the document, reads documents strictly and within limits,
// and returns what it finds in the order of the document.
package jsonpath

import (
	"errors"
	"iter"
	"regexp"
	"slices"
	"strings"
	"unsafe"

	"github.com/theory/jsonpath/spec"

	"prober/internal/memory"
)

// A Path is a parsed JSONPath. The zero value is no path, which IsZero reports. A Path may be used from several
// goroutines.
type Path struct {
	text  string
	query *spec.PathQuery
}

// Parse reads a path such as "$.queues[?@.name == 'mail'].depth". A path that could cost more than a few walks over
// the document is refused: a second "..", ".." inside a filter, a pattern taken from the document.
func Parse(expr string) (Path, error) {
	query, err := parse(expr)
	if err != nil {
		return Path{}, err
	}
	return Path{text: expr, query: query}, nil
}

// String returns the path as it was written.
func (p Path) String() string { return p.text }

// Canonical returns the same text for all spellings of a path, such as $.a and $["a"].
func (p Path) Canonical() string { return p.query.String() }

// IsZero reports whether there is no path.
func (p Path) IsZero() bool { return p.query == nil }

// Singular reports whether the path leads to one value at most, by names and indexes alone (RFC 9535, section 2.3.5.1).
func (p Path) Singular() bool {
	if p.query == nil {
		return false
	}
	return !slices.ContainsFunc(p.query.Segments(), func(s *spec.Segment) bool { return !singular(s) })
}

func singular(segment *spec.Segment) bool {
	if segment.IsDescendant() || len(segment.Selectors()) != 1 {
		return false
	}
	switch segment.Selectors()[0].(type) {
	case spec.Name, spec.Index:
		return true
	}
	return false
}

// UnmarshalYAML reads a path from a scalar.
func (p *Path) UnmarshalYAML(unmarshal func(any) error) error {
	var text string
	if err := unmarshal(&text); err != nil {
		return errors.New("a JSON path is written as one text, for example $.name[0]")
	}
	v, err := Parse(text)
	*p = v
	return err
}

// MarshalYAML writes the path in the form that UnmarshalYAML reads.
func (p Path) MarshalYAML() (any, error) { return p.text, nil }

// JSONSchema describes what UnmarshalYAML reads.
func (Path) JSONSchema() map[string]any { return map[string]any{"type": "string", "pattern": `^\$`} }

// Find returns the values at the path, in the order of the document; none if there is no such value, no path or no
// document. The library would return the members of an object in random order, so that it evaluates filters only:
// their result does not depend on the order. What would take more memory than is left, or more time, is found nowhere, and
// makes the run inconclusive.
func (p Path) Find(d Document) []Value {
	if p.query == nil || d.document == nil {
		return nil
	}
	f := finder{document: d.document}
	nodes := f.all(p.query.Segments(), []uint32{0})
	if f.err == nil {
		f.err = memory.Take(d.run, int64(len(nodes))*int64(unsafe.Sizeof(Value{})))
	}
	if f.err != nil {
		memory.Exceeded(d.run, "", f.err)
		return nil
	}
	if len(nodes) == 0 {
		return nil
	}
	found := make([]Value, len(nodes))
	for i, n := range nodes {
		found[i] = Value{d.document, n}
	}
	return found
}

// A finder finds values in a document and keeps the first limit that it met.
type finder struct {
	*document
	err error
}

// all returns what the segments select from nodes, one after the other.
func (f *finder) all(segments []*spec.Segment, nodes []uint32) []uint32 {
	for _, segment := range segments {
		var next []uint32
		for _, n := range nodes {
			next = f.apply(segment, n, next)
		}
		nodes = next
	}
	return nodes
}

// apply appends what the segment selects from n.
func (f *finder) apply(segment *spec.Segment, n uint32, found []uint32) []uint32 {
	if f.err == nil && len(found) > maxNodes {
		f.err = limitf("a JSON path finds more than %d values", maxNodes)
	}
	if f.err == nil {
		f.err = timeUp(f.run)
	}
	if f.err != nil {
		return nil
	}
	for _, selector := range segment.Selectors() {
		found = f.selected(selector, n, found)
	}
	if segment.IsDescendant() {
		for _, child := range f.children(n) {
			found = f.apply(segment, child, found)
		}
	}
	return found
}

// selected appends what the selector selects from n.
func (f *finder) selected(selector spec.Selector, n uint32, found []uint32) []uint32 {
	switch s := selector.(type) {
	case spec.Name:
		if child, ok := f.member(n, string(s)); ok {
			found = append(found, child)
		}
	case spec.Index:
		if f.kind(n) != array {
			break
		}
		children, at := f.children(n), int(s)
		if at < 0 {
			at += len(children)
		}
		if at >= 0 && at < len(children) {
			found = append(found, children[at])
		}
	case spec.SliceSelector:
		if f.kind(n) != array {
			break
		}
		children := f.children(n)
		lower, upper := s.Bounds(len(children))
		if s.Step() > 0 {
			for i := lower; i < upper; i += s.Step() {
				found = append(found, children[i])
			}
		} else if s.Step() < 0 {
			for i := upper; i > lower; i += s.Step() {
				found = append(found, children[i])
			}
		}
	case spec.WildcardSelector:
		found = append(found, f.children(n)...)
	case *spec.FilterSelector:
		found = append(found, f.filtered(s, n)...)
	}
	return found
}

// filtered returns the children of n that a filter lets pass. The library compares plain values; they take many times the
// memory of the document, so only one is made at a time, and the root if the filter looks at it.
func (f *finder) filtered(s *spec.FilterSelector, n uint32) []uint32 {
	var root any
	if rooted(s) {
		bytes := f.plainBytes(0)
		if f.err = memory.Take(f.run, bytes); f.err != nil {
			return nil
		}
		defer memory.Give(f.run, bytes)
		root = f.plain(0)
	}
	var found []uint32
	for _, child := range f.children(n) {
		bytes := f.plainBytes(child)
		if f.err = memory.Take(f.run, bytes); f.err != nil {
			return nil
		}
		if s.Eval(f.plain(child), root) {
			found = append(found, child)
		}
		memory.Give(f.run, bytes)
	}
	return found
}

// rooted reports whether a filter looks at the root. A text in quotes may make it seem so.
func rooted(s *spec.FilterSelector) bool { return strings.Contains(s.String(), "$") }

// A Value is one value of a document. The zero value is of no kind.
type Value struct {
	document *document
	at       uint32
}

// Kind returns "string", "number", "bool", "null", "array" or "object", as JSON calls them.
//
//go:noinline
func (v Value) Kind() string {
	if v.document == nil {
		return ""
	}
	return string(v.document.kind(v.at))
}

// Text returns a string without its quotes and a number, true, false or null as it was written; of an array or an
// object it is empty. It is the target's text: it never goes into a message.
//
//go:noinline
func (v Value) Text() string {
	if v.document == nil {
		return ""
	}
	return v.document.text(v.at)
}

// Empty reports whether the value is null, "", [] or {}.
func (v Value) Empty() bool {
	switch v.Kind() {
	case "null":
		return true
	case "string":
		return v.Text() == ""
	case "array", "object":
		return v.document.empty(v.at)
	}
	return false
}

// Items yields the values of an array, in their order.
func (v Value) Items() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.Kind() != "array" {
			return
		}
		for at := v.at + 1; at < v.document.nodes[v.at].next; at = v.document.nodes[at].next {
			if !yield(Value{v.document, at}) {
				return
			}
		}
	}
}

// Len returns how many values an array or an object holds; 0 for any other.
func (v Value) Len() int {
	if v.document == nil {
		return 0
	}
	return len(v.document.children(v.at))
}

// Number returns the value of a number, or of a string that is exactly one number as JSON writes them.
func (v Value) Number() (float64, bool) {
	if v.Kind() == "string" {
		return ParseNumber(v.Text())
	}
	return v.Float()
}

// ParseNumber reads a text that is exactly one number as JSON writes them, without spaces, and fits into a float64.
func ParseNumber(text string) (float64, bool) {
	if len(text) > maxNumber || !jsonNumber.MatchString(text) {
		return 0, false
	}
	return parseFloat(text)
}

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// Float returns the value of a number. Strings are not numbers, whatever they hold.
func (v Value) Float() (float64, bool) {
	if v.Kind() != "number" {
		return 0, false
	}
	return parseFloat(v.Text())
}
