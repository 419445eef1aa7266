package strictyaml

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// An unmarshaler reads itself from YAML, in the form that needs no YAML package.
type unmarshaler interface {
	UnmarshalYAML(unmarshal func(any) error) error
}

// A nullUnmarshaler is a type for which a null that is written means something. A key without a value is no such null.
type nullUnmarshaler interface{ UnmarshalNull() }

var (
	anyType         = reflect.TypeFor[any]()
	nodeType        = reflect.TypeFor[*yaml.Node]()
	unmarshalerType = reflect.TypeFor[unmarshaler]()
	nullType        = reflect.TypeFor[nullUnmarshaler]()
	textType        = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// hasUnmarshaler reports whether a type has its own way from YAML.
func hasUnmarshaler(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(unmarshalerType) || p.Implements(textType)
}

// A structType is a struct as YAML sees it.
type structType struct {
	fields []field
	short  *field // read from a value that is no mapping; nil if there is no such form

	byKey, byOldKey map[string]*field
}

// A field is a field of a struct as YAML sees it.
type field struct {
	key       string
	index     []int // of the field, through inlined structs
	typ       reflect.Type
	required  bool
	doc       string
	byDefault string // the tag
	renamed   []string
	mask      bool
	omitEmpty bool
	empty     bool // an empty value is as good as none
	own       bool // the type has its own way from YAML
}

func (d *Decoder) typeOf(t reflect.Type) *structType {
	known, ok := d.types[t]
	if !ok {
		read := readType(t)
		known = &read
		known.byKey, known.byOldKey = map[string]*field{}, map[string]*field{}
		for i := range known.fields {
			f := &known.fields[i]
			known.byKey[f.key] = f
			for _, old := range f.renamed {
				known.byOldKey[old] = f
			}
		}
		if d.types == nil {
			d.types = map[reflect.Type]*structType{}
		}
		d.types[t] = known
	}
	return known
}

func readType(t reflect.Type) (out structType) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() && !f.Anonymous {
			continue
		}
		if slices.Contains(strings.Split(options, ","), "inline") && f.Type.Kind() == reflect.Struct {
			inlined := readType(f.Type)
			for _, inner := range inlined.fields {
				inner.index = append([]int{i}, inner.index...)
				out.fields = append(out.fields, inner)
			}
			if short := inlined.short; short != nil {
				short.index = append([]int{i}, short.index...)
				out.short = short
			}
			continue
		}
		if key == "" {
			key = strings.ToLower(f.Name)
		}
		field := field{
			key: key, index: []int{i}, typ: f.Type, required: f.Tag.Get("required") == "true",
			doc: f.Tag.Get("doc"), byDefault: f.Tag.Get("default"), mask: f.Tag.Get("mask") == "true", omitEmpty: options == "omitempty", empty: f.Tag.Get("empty") == "true", own: hasUnmarshaler(f.Type),
		}
		if old := f.Tag.Get("renamed"); old != "" {
			field.renamed = strings.Split(old, ",")
		}
		if f.Tag.Get("short") == "true" {
			out.short = &field
		}
		if key != "-" {
			out.fields = append(out.fields, field)
		}
	}
	return out
}

// Check tells why a struct, given as a pointer to its defaults, could not be read strictly. It is for whoever writes the
// struct.
func (d *Decoder) Check(p any) error {
	t := reflect.TypeOf(p)
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct || hasUnmarshaler(t.Elem()) {
		return fmt.Errorf("expected a pointer to a struct without an UnmarshalYAML of its own, got %s", t)
	}
	for _, f := range d.typeOf(t.Elem()).fields {
		if len(f.index) > 1 {
			continue // of an inlined struct, whose defaults the outer one may change
		}
		given := plain(reflect.ValueOf(p).Elem().FieldByIndex(f.index))
		if x, err := d.defaultValue(f); err == nil && x != nil && given != nil && fmt.Sprint(given) != fmt.Sprint(x) {
			return fmt.Errorf("%s is %v in a new %s, which differs from its default tag %s", f.key, given, t.Elem(), f.byDefault)
		}
	}
	return d.check(t.Elem(), map[reflect.Type]bool{})
}

func (d *Decoder) check(t reflect.Type, seen map[reflect.Type]bool) error {
	if seen[t] || t == anyType || hasUnmarshaler(t) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return d.check(t.Elem(), seen)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("the keys of %s are no strings", t)
		}
		return d.check(t.Elem(), seen)
	case reflect.Struct:
		return d.checkStruct(t, seen)
	case reflect.Interface, reflect.Chan, reflect.Func, reflect.Array, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer, reflect.Uintptr:
		return fmt.Errorf("%s cannot be read from YAML", t)
	case reflect.Int64:
		if t == reflect.TypeFor[time.Duration]() {
			return fmt.Errorf("time.Duration would read 5 as five nanoseconds; use probe.Duration")
		}
	}
	return nil
}

func (d *Decoder) checkStruct(t reflect.Type, seen map[reflect.Type]bool) error {
	taken := map[string]bool{}
	fields := d.typeOf(t).fields
	for _, f := range fields {
		if taken[f.key] {
			return fmt.Errorf("the key %s stands twice in %s", f.key, t)
		}
		taken[f.key] = true
		if err := d.check(f.typ, seen); err != nil {
			return err
		}
		if _, err := d.defaultValue(f); err != nil {
			return fmt.Errorf("the default of %s in %s: %w", f.key, t, err)
		}
	}
	for _, f := range fields {
		for _, old := range f.renamed {
			if taken[old] {
				return fmt.Errorf("the key %s, renamed to %s in %s, is still one", old, f.key, t)
			}
		}
	}
	return nil
}

// defaultValue reads the default tag of a field as somebody would have written it; nil if there is none.
func (d *Decoder) defaultValue(f field) (any, error) {
	if f.byDefault == "" {
		return nil, nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(f.byDefault), &doc); err != nil {
		return nil, err
	}
	r := reader{Decoder: d}
	r.value(doc.Content[0], path{}, reflect.New(f.typ).Elem())
	if r.found != nil {
		return nil, mistakes(r.found)
	}
	if f.typ.Kind() == reflect.String && doc.Content[0].Kind == yaml.ScalarNode {
		return doc.Content[0].Value, nil // 1.2 is a text here
	}
	return r.decodeAny(doc.Content[0], path{}), nil
}
