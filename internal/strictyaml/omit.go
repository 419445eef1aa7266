package strictyaml

import (
	"reflect"

	"gopkg.in/yaml.v3"
)

// OmitZero removes from a tree, which p was encoded to, fields that are zero there and in fresh, another p with its defaults
// only: nobody wrote them, and they say nothing.
func (d *Decoder) OmitZero(n *yaml.Node, p, fresh any) {
	d.omit(n, reflect.ValueOf(p), reflect.ValueOf(fresh))
}

// omit takes an invalid fresh for what has no defaults.
func (d *Decoder) omit(n *yaml.Node, v, fresh reflect.Value) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
		if fresh.IsValid() {
			fresh = fresh.Elem()
		}
	}
	switch {
	case v.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		d.omitFields(n, v, fresh)
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
		for key, value := range Pairs(n) {
			if element := v.MapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key())); element.IsValid() {
				d.omit(value, element, reflect.Value{})
			}
		}
	case v.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode && len(n.Content) == v.Len():
		for i, item := range n.Content {
			d.omit(item, v.Index(i), reflect.Value{})
		}
	}
}

func (d *Decoder) omitFields(n *yaml.Node, v, fresh reflect.Value) {
	fields := d.typeOf(v.Type()).byKey
	var kept []*yaml.Node
	for key, value := range Pairs(n) {
		if f := fields[key.Value]; f != nil {
			got, before := v.FieldByIndex(f.index), reflect.Value{}
			if fresh.IsValid() {
				before = fresh.FieldByIndex(f.index)
			}
			if got.IsZero() && (!before.IsValid() || before.IsZero()) {
				continue
			}
			d.omit(value, got, before)
		}
		kept = append(kept, key, value)
	}
	n.Content = kept
}
