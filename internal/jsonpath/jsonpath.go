// Package jsonpath finds values in JSON from an untrusted sender, by the RFC 9535 paths of a configuration.
//
// github.com/theory/jsonpath parses the paths and evaluates their filters. This package refuses what that parser
// misreads and what would cost more than a few walks over the document, reads documents strictly and within limits,
// and returns what it finds in the order of the document.
package jsonpath

import (
	"errors"
	"regexp"

	"github.com/theory/jsonpath/spec"
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

// IsZero reports whether there is no path.
func (p Path) IsZero() bool { return p.query == nil }

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
// their result does not depend on the order.
func (p Path) Find(d Document) []Value {
	if p.query == nil || d.root == nil {
		return nil
	}
	nodes := []*node{d.root}
	for _, segment := range p.query.Segments() {
		var next []*node
		for _, n := range nodes {
			next = apply(segment, n, d.root.plain, next)
		}
		nodes = next
	}
	if len(nodes) == 0 {
		return nil
	}
	found := make([]Value, len(nodes))
	for i, n := range nodes {
		found[i] = Value{n}
	}
	return found
}

// apply appends what the segment selects from n.
func apply(segment *spec.Segment, n *node, root any, found []*node) []*node {
	for _, selector := range segment.Selectors() {
		found = selected(selector, n, root, found)
	}
	if segment.IsDescendant() {
		for _, child := range n.children {
			found = apply(segment, child, root, found)
		}
	}
	return found
}

// selected appends what the selector selects from n.
func selected(selector spec.Selector, n *node, root any, found []*node) []*node {
	switch s := selector.(type) {
	case spec.Name:
		if child := n.member(string(s)); child != nil {
			found = append(found, child)
		}
	case spec.Index:
		at := int(s)
		if at < 0 {
			at += len(n.children)
		}
		if n.kind == array && at >= 0 && at < len(n.children) {
			found = append(found, n.children[at])
		}
	case spec.SliceSelector:
		if n.kind != array {
			break
		}
		lower, upper := s.Bounds(len(n.children))
		if s.Step() > 0 {
			for i := lower; i < upper; i += s.Step() {
				found = append(found, n.children[i])
			}
		} else if s.Step() < 0 {
			for i := upper; i > lower; i += s.Step() {
				found = append(found, n.children[i])
			}
		}
	case spec.WildcardSelector:
		found = append(found, n.children...)
	case *spec.FilterSelector:
		for _, child := range n.children {
			if s.Eval(child.plain, root) {
				found = append(found, child)
			}
		}
	}
	return found
}

// A Value is one value of a document. The zero value is of no kind.
type Value struct{ node *node }

// Kind returns "string", "number", "bool", "null", "array" or "object", as JSON calls them.
func (v Value) Kind() string {
	if v.node == nil {
		return ""
	}
	return string(v.node.kind)
}

// Text returns a string without its quotes and a number, true, false or null as it was written; of an array or an
// object it is empty. It is the target's text: it never goes into a message.
func (v Value) Text() string {
	if v.node == nil {
		return ""
	}
	return v.node.text
}

// Empty reports whether the value is null, "", [] or {}.
func (v Value) Empty() bool {
	switch v.Kind() {
	case "null":
		return true
	case "string":
		return v.node.text == ""
	case "array", "object":
		return len(v.node.children) == 0
	}
	return false
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
	if v.node == nil {
		return 0, false
	}
	f, ok := v.node.plain.(float64)
	return f, ok
}
