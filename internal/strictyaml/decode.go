package strictyaml

import (
	"encoding"
	"errors"
	"reflect"
	"slices"

	"gopkg.in/yaml.v3"

	"prober/internal/text"
)

// A Decoder fills structs from trees as Parse makes them. What it reads and how structs are tagged is the same as in
// yaml.v3, but it is strict at every depth, below custom unmarshalers too. The zero value is ready for use. It remembers
// the types that it has met, so it belongs to one goroutine.
type Decoder struct {
	types map[reflect.Type]*structType
	ways  map[reflect.Type]way
	text  []byte // that was hashed last

	// AfterDecode, if not nil, gets a pointer to each struct, and to each value that has read itself with UnmarshalYAML, with
	// the node that it was read from and the path of the setting.
	AfterDecode func(v any, n *yaml.Node, path string)

	// Blank lists what is required and has an empty value, as of the last Decode. They are no mistakes of it: whoever uses the value may say
	// better why it is needed.
	Blank []Mistake
}

// Decode reads a mapping into structs that share it, given as pointers. It returns every mistake; what can be read is
// set all the same.
func (d *Decoder) Decode(n *yaml.Node, into ...any) []Mistake {
	d.Blank = nil
	r := reader{Decoder: d}
	var structs []reflect.Value
	for _, p := range into {
		structs = append(structs, reflect.ValueOf(p).Elem())
	}
	r.structs(n, path{}, structs...)
	return r.found
}

// A reader is a Decoder on its way through one tree.
type reader struct {
	*Decoder
	found []Mistake
}

//go:noinline
func (r *reader) fail(n *yaml.Node, at path, format string, args ...any) {
	r.found = append(r.found, mistake(n.Line, at, format, args...))
}

// failKey reports a mistake of a mapping that is about one of its keys.
func (r *reader) failKey(line int, at path, key, format string, args ...any) {
	m := mistake(line, at, format, args...)
	m.Path = at.key(key).real
	r.found = append(r.found, m)
}

// value reads n into v.
func (r *reader) value(n *yaml.Node, at path, v reflect.Value) {
	switch {
	case v.Type() == anyType:
		if x := r.decodeAny(n, at); x != nil {
			v.Set(reflect.ValueOf(x))
		}
		return
	case IsNull(n):
		if into, ok := v.Addr().Interface().(nullUnmarshaler); ok && n.Value != "" {
			into.UnmarshalNull()
			return
		}
		r.fail(n, at, "has no value")
		return
	case v.Type() == nodeType:
		v.Set(reflect.ValueOf(n))
		return
	case v.Kind() == reflect.Pointer:
		r.pointer(n, at, v)
		return
	}
	switch u := v.Addr().Interface().(type) {
	case unmarshaler:
		r.custom(n, at, u)
		return
	case encoding.TextUnmarshaler:
		if n.Kind != yaml.ScalarNode {
			r.fail(n, at, "wants text, got %s", Describe(n))
		} else if err := u.UnmarshalText([]byte(n.Value)); err != nil {
			r.fail(n, at, "%s", without(values(n), err.Error()))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if short := r.typeOf(v.Type()).short; short != nil && n.Kind != yaml.MappingNode {
			r.short(n, at, v, short)
			return
		}
		r.structs(n, at, v)
	case reflect.Map:
		r.mapping(n, at, v)
	case reflect.Slice:
		r.list(n, at, v)
	default:
		r.scalar(n, at, v)
	}
}

// short reads the short form of a struct: the value of one of its fields.
func (r *reader) short(n *yaml.Node, at path, v reflect.Value, short *field) {
	if kind := short.typ.Kind(); n.Kind == yaml.SequenceNode && kind != reflect.Slice {
		r.fail(n, at, "wants %s or keys, got %s", wanted(short.typ), Describe(n))
		return
	}
	if r.nothing(n, at, short) {
		return
	}
	v.SetZero()
	r.value(n, at, v.FieldByIndex(short.index))
}

// pointer reads what v points to. A pointer tells what was given from what was not, so it stays nil if nothing was given
// that can be read.
func (r *reader) pointer(n *yaml.Node, at path, v reflect.Value) {
	before := len(r.found)
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
	}
	r.value(n, at, v.Elem())
	if len(r.found) > before {
		v.SetZero()
	}
}

// custom lets a value read itself. What it asks for in turn is read as strictly as everything else.
func (r *reader) custom(n *yaml.Node, at path, u unmarshaler) {
	err := u.UnmarshalYAML(func(into any) error {
		inner := reader{Decoder: r.Decoder}
		inner.value(n, at, reflect.ValueOf(into).Elem())
		if inner.found != nil {
			return mistakes(inner.found)
		}
		return nil
	})
	if found, ok := errors.AsType[mistakes](err); ok {
		r.found = append(r.found, found...)
	} else if err != nil {
		r.fail(n, at, "%s", without(values(n), err.Error()))
	} else {
		r.decoded(u, n, at)
	}
}

func (r *reader) decoded(v any, n *yaml.Node, at path) {
	if r.AfterDecode != nil {
		r.AfterDecode(v, n, at.real)
	}
}

// structs reads a mapping into structs that share it.
func (r *reader) structs(n *yaml.Node, at path, into ...reflect.Value) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, at, "wants keys, got %s", Describe(n))
		return
	}
	given := make([]string, 0, len(n.Content)/2+1)
	for key, value := range Pairs(n) {
		given = append(given, key.Value)
		v, f, current := r.find(key.Value, into)
		switch {
		case f == nil:
			given = append(given, r.unknown(n, key, value, at, into))
		case current && r.nothing(value, at.key(key.Value), f):
		case current:
			r.value(value, at.key(key.Value), v.FieldByIndex(f.index))
		default:
			given = append(given, f.key)
			r.failKey(key.Line, at, f.key, "%s was renamed to %s", key.Value, f.key)
		}
	}
	for _, v := range into {
		for _, f := range r.typeOf(v.Type()).fields {
			if f.required && !slices.Contains(given, f.key) {
				r.failKey(n.Line, at, f.key, "%s is missing", f.key)
			}
		}
		r.decoded(v.Addr().Interface(), n, at)
	}
}

// nothing refuses a value that says no more than a key that is not given, as a template leaves it that was filled in with nothing: an empty
// text, list or mapping. It reports whether it did.
func (r *reader) nothing(n *yaml.Node, at path, f *field) bool {
	if n.Value != "" || n.Content != nil || f.empty || f.own {
		return false
	}
	is := yaml.MappingNode
	switch f.typ.Kind() {
	case reflect.String:
		is = yaml.ScalarNode
	case reflect.Slice:
		is = yaml.SequenceNode
	case reflect.Map:
		if f.typ.Elem() == anyType {
			return false
		}
	case reflect.Struct:
	default:
		return false
	}
	switch {
	case n.Kind != is || IsNull(n):
	case !f.required:
		r.fail(n, at, "has no value")
		return true
	case is != yaml.MappingNode: // whose own keys are missing
		r.Blank = append(r.Blank, mistake(n.Line, at, "has no value"))
	}
	return false
}

// find returns the field of a key, and the struct that has it. It is not current if the key is an old name; nil if there is none.
func (r *reader) find(key string, structs []reflect.Value) (v reflect.Value, f *field, current bool) {
	for _, v := range structs {
		if f := r.typeOf(v.Type()).byKey[key]; f != nil {
			return v, f, true
		}
	}
	for _, v := range structs {
		if f := r.typeOf(v.Type()).byOldKey[key]; f != nil {
			return v, f, false
		}
	}
	return v, nil, false
}

// unknown refuses a key, and returns the one that was probably meant. In braces a key without a value is rather a
// value that should have been in quotes.
func (r *reader) unknown(n, key, value *yaml.Node, at path, structs []reflect.Value) (meant string) {
	if n.Style&yaml.FlowStyle != 0 && IsNull(value) {
		r.fail(key, at, "a key in braces has no value")
		return ""
	}
	var known []string
	for _, v := range structs {
		for _, f := range r.typeOf(v.Type()).fields {
			known = append(known, f.key)
		}
	}
	meant = text.Nearest(key.Value, known)
	concerned := meant
	if meant == "" {
		concerned = key.Value
	}
	r.failKey(key.Line, at, concerned, "unknown key %s%s", Shown(key.Value), text.DidYouMean(key.Value, known))
	return meant
}

func (r *reader) mapping(n *yaml.Node, at path, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, at, "wants keys, got %s", Describe(n))
		return
	}
	t := v.Type()
	table := reflect.MakeMapWithSize(t, len(n.Content)/2)
	for key, value := range Pairs(n) {
		if n.Style&yaml.FlowStyle != 0 && value.Value == "" && IsNull(value) && t.Elem() != anyType {
			r.fail(key, at, "a key in braces has no value")
			continue
		}
		element := reflect.New(t.Elem()).Elem()
		read := element
		if t.Elem().Implements(nullType) { // a pointer to what may be null itself
			element.Set(reflect.New(t.Elem().Elem()))
			read = element.Elem()
		}
		before := len(r.found)
		if r.value(value, at.key(key.Value), read); len(r.found) > before && element.Kind() == reflect.String {
			continue // or it would be an empty text
		}
		table.SetMapIndex(reflect.ValueOf(key.Value).Convert(t.Key()), element)
	}
	v.Set(table)
}

func (r *reader) list(n *yaml.Node, at path, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, at, "wants a list, got %s", Describe(n))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, element := range n.Content {
		r.value(element, at.item(i), list.Index(i))
	}
	v.Set(list)
}

// Keys lists the keys of structs, given as pointers, that a mapping may have.
func (d *Decoder) Keys(of ...any) []string {
	var keys []string
	for _, p := range of {
		for _, f := range d.typeOf(reflect.TypeOf(p).Elem()).fields {
			keys = append(keys, f.key)
		}
	}
	return slices.Clip(keys)
}
