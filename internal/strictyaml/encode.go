package strictyaml

import (
	"encoding"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Encode returns settings, given as a pointer to their struct, as the tree that yaml.v3 would make of them. That writes text and
// parses it again; this takes a tenth of the time and of the memory. It reads nothing but exported fields, so that it may be
// called while others use the settings. It reports false for a type that YAML cannot write.
func (d *Decoder) Encode(p any) (n *yaml.Node, ok bool) {
	defer func() {
		if recover() != nil {
			n, ok = nil, false
		}
	}()
	return d.encode(reflect.ValueOf(p)), true
}

func (d *Decoder) encode(v reflect.Value) *yaml.Node {
	if !v.IsValid() || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil() {
		return tagged("!!null", "null")
	}
	switch t := v.Type(); {
	case t.Implements(marshalerType):
		value, err := v.Interface().(yaml.Marshaler).MarshalYAML()
		if err != nil {
			panic(err)
		}
		return d.encode(reflect.ValueOf(value))
	case t.Implements(textMarshalerType):
		text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			panic(err)
		}
		return str(string(text))
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return d.encode(v.Elem())
	case reflect.Struct:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, f := range d.typeOf(v.Type()).fields {
			if value := v.FieldByIndex(f.index); !f.omitEmpty || !empty(value) {
				n.Content = append(n.Content, str(f.key), d.encode(value))
			}
		}
		return n
	case reflect.Map:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			n.Content = append(n.Content, str(key.String()), d.encode(v.MapIndex(key)))
		}
		return n
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for i := range v.Len() {
			n.Content = append(n.Content, d.encode(v.Index(i)))
		}
		return n
	case reflect.String:
		return str(v.String())
	case reflect.Bool:
		return tagged("!!bool", strconv.FormatBool(v.Bool()))
	case reflect.Float64:
		n := &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatFloat(v.Float(), 'g', -1, 64)}
		n.Tag = n.ShortTag() // 3 is an integer
		return n
	}
	if v.CanUint() {
		return tagged("!!int", strconv.FormatUint(v.Uint(), 10))
	}
	return tagged("!!int", strconv.FormatInt(v.Int(), 10)) // panics for all that YAML cannot write
}

var textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()

//go:noinline
func tagged(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

// str returns a text, in quotes if readers of YAML 1.1 would take it for a boolean. Those that YAML 1.2 needs come with the tag.
//
//go:noinline
func str(text string) *yaml.Node {
	n := tagged("!!str", text)
	switch strings.ToLower(text) {
	case "y", "yes", "on", "n", "no", "off":
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// empty reports whether a field tagged omitempty is left out.
func empty(v reflect.Value) bool {
	if v.Type().Implements(zeroerType) {
		if v.Kind() == reflect.Pointer && v.IsNil() {
			return true
		}
		return v.Interface().(yaml.IsZeroer).IsZero()
	}
	switch v.Kind() {
	case reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && !empty(v.Field(i)) {
				return false
			}
		}
		return true
	}
	return v.IsZero()
}

var zeroerType = reflect.TypeFor[yaml.IsZeroer]()
