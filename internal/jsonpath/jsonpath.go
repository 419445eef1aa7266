// Package jsonpath finds values in JSON that a stranger sent, by paths after RFC 9535 that a configuration names.
//
// The paths are evaluated by github.com/speakeasy-api/jsonpath. This package stands around it: it reads the grammar
// itself, so that a path means what the RFC says and costs no more than its document is large, and it hands over
// only documents of bounded size and depth.
package jsonpath

import (
	"errors"

	engine "github.com/speakeasy-api/jsonpath/pkg/jsonpath"
	"gopkg.in/yaml.v3"
)

// A Path is a parsed JSONPath. The zero value is no path at all; IsZero tells. A Path may be used from several
// goroutines.
type Path struct {
	text  string
	query *engine.JSONPath
}

// Parse reads a path such as "$.queues[?@.name == 'mail'].depth". What could cost more than a walk or two over the
// document is refused: a second "..", ".." or "$" inside a filter, patterns taken from the document. The error says
// at which column something else was wanted.
func Parse(expr string) (Path, error) {
	canonical, err := rewrite(expr)
	if err != nil {
		return Path{}, err
	}
	query, err := build(canonical)
	if err != nil {
		return Path{}, errors.New("a JSON path is written as $.name[0]; this one cannot be evaluated")
	}
	return Path{text: expr, query: query}, nil
}

// build contains the engine's panics on paths that it did not foresee.
func build(canonical string) (query *engine.JSONPath, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("panic")
		}
	}()
	return engine.NewPath(canonical)
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
// document.
func (p Path) Find(d Document) (found []Value) {
	if p.query == nil || d.root == nil {
		return nil
	}
	// An engine that panics on a hostile document has found nothing in it.
	defer func() {
		if recover() != nil {
			found = nil
		}
	}()
	nodes := p.query.Query(d.root)
	if len(nodes) == 0 {
		return nil
	}
	found = make([]Value, len(nodes))
	for i, n := range nodes {
		found[i] = Value{n}
	}
	return found
}

// A Value is one value of a document. The zero value is of no kind.
type Value struct{ node *yaml.Node }

// Kind returns "string", "number", "bool", "null", "array" or "object", as JSON calls them.
func (v Value) Kind() string {
	if v.node == nil {
		return ""
	}
	switch v.node.Tag {
	case tagString:
		return "string"
	case tagInt, tagFloat:
		return "number"
	case tagBool:
		return "bool"
	case tagNull:
		return "null"
	case tagArray:
		return "array"
	case tagObject:
		return "object"
	}
	return ""
}

// Text returns a string without its quotes and a number, true, false or null as it was written; of an array or an
// object it is empty. It is the target's text: it never goes into a message.
func (v Value) Text() string {
	if v.node == nil {
		return ""
	}
	return v.node.Value
}

// Float returns the value of a number. Strings are not numbers, whatever they hold.
func (v Value) Float() (float64, bool) {
	if v.Kind() != "number" {
		return 0, false
	}
	return parseFloat(v.node.Value)
}
