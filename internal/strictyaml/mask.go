package strictyaml

import (
	"reflect"

	"gopkg.in/yaml.v3"
)

// Masked is shown in place of a value that may be a credential.
const Masked = "<hidden>"

var marshalerType = reflect.TypeFor[interface{ MarshalYAML() (any, error) }]()

// Mask hides in a tree, which p was encoded to, what may be a credential: fields tagged mask:"true", and values of any
// shape. Keys stay, so that one sees which there are. So do the sources of secrets in what a type writes itself as: {file: PATH}
// and {env: NAME} hold no value.
func (d *Decoder) Mask(n *yaml.Node, p any) { d.mask(n, reflect.TypeOf(p), false) }

func (d *Decoder) mask(n *yaml.Node, t reflect.Type, hide bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	hide = hide || t == anyType
	switch {
	case n.Kind == yaml.ScalarNode:
		if hide && !IsNull(n) && t.Kind() != reflect.Bool {
			*n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: Masked}
		}
	case hide && reflect.PointerTo(t).Implements(marshalerType):
		maskWritten(n)
	case n.Kind == yaml.SequenceNode:
		if t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		for _, c := range n.Content {
			d.mask(c, t, hide)
		}
	case t.Kind() == reflect.Struct:
		fields := d.typeOf(t).byKey
		for key, value := range Pairs(n) {
			if f := fields[key.Value]; f != nil {
				d.mask(value, f.typ, hide || f.mask)
			}
		}
	default:
		if t.Kind() == reflect.Map {
			t = t.Elem()
		}
		for _, value := range Pairs(n) {
			d.mask(value, t, hide)
		}
	}
}

// maskWritten hides all that a type wrote itself as, but the sources of secrets.
func maskWritten(n *yaml.Node) {
	switch {
	case n.Kind == yaml.ScalarNode && !IsNull(n):
		*n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: Masked}
	case n.Kind == yaml.SequenceNode:
		for _, c := range n.Content {
			maskWritten(c)
		}
	case n.Kind == yaml.MappingNode:
		for key, value := range Pairs(n) {
			if source := key.Value == "file" || key.Value == "env"; !source || len(n.Content) != 2 || value.Kind != yaml.ScalarNode {
				maskWritten(value)
			}
		}
	}
}
