package strictyaml

import (
	"reflect"

	"gopkg.in/yaml.v3"
)

// Masked is shown in place of a value that may be a credential.
const Masked = "<hidden>"

var marshalerType = reflect.TypeFor[interface{ MarshalYAML() (any, error) }]()

// Mask hides in a tree, which p was encoded to, what may be a credential: fields tagged mask:"true", and values of any
// shape. Keys stay, so that one sees which there are. A type that writes itself as more than one word stays too: it
// names a source and holds no value.
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
