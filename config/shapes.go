package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"prober/internal/secret"
)

// An unmarshaler reads itself from YAML, in the form that needs no YAML package.
type unmarshaler interface {
	UnmarshalYAML(unmarshal func(any) error) error
}

var (
	anyType         = reflect.TypeFor[any]()
	nodeType        = reflect.TypeFor[*yaml.Node]()
	secretType      = reflect.TypeFor[secret.Secret]()
	unmarshalerType = reflect.TypeFor[unmarshaler]()
	textType        = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// readsItself reports whether a type has its own way from YAML.
func readsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(unmarshalerType) || p.Implements(textType)
}

// A setting is a field of a struct as YAML sees it.
type setting struct {
	key      string
	index    []int // of the field, through inlined structs
	typ      reflect.Type
	required bool
	doc      string
}

// shapes remembers the settings of struct types.
type shapes map[reflect.Type][]setting

// of lists the settings of a struct type, after the tags that yaml.v3 reads as well.
func (s shapes) of(t reflect.Type) []setting {
	list, known := s[t]
	if !known {
		list = settings(t)
		s[t] = list
	}
	return list
}

func settings(t reflect.Type) []setting {
	var list []setting
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "-" || (!f.IsExported() && !f.Anonymous) {
			continue
		}
		if slices.Contains(strings.Split(options, ","), "inline") && f.Type.Kind() == reflect.Struct {
			for _, inner := range settings(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				list = append(list, inner)
			}
			continue
		}
		if key == "" {
			key = strings.ToLower(f.Name)
		}
		list = append(list, setting{key: key, index: []int{i}, typ: f.Type, required: f.Tag.Get("required") == "true", doc: f.Tag.Get("doc")})
	}
	return list
}

func keys(list []setting) []string {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = s.key
	}
	return names
}

// checkKinds tells what about the kinds themselves would keep a setting from being read strictly. It is for whoever
// writes a kind.
func (l *loader) checkKinds() error {
	common := keys(l.shapes.of(reflect.TypeFor[entry]()))
	for _, word := range slices.Sorted(maps.Keys(l.kinds)) {
		p := reflect.TypeOf(l.kinds[word]())
		if p.Kind() != reflect.Pointer || p.Elem().Kind() != reflect.Struct || readsItself(p.Elem()) {
			return fmt.Errorf("kind %s: wants a pointer to a struct without an UnmarshalYAML of its own, got %s", word, p)
		}
		for _, key := range keys(l.shapes.of(p.Elem())) {
			if slices.Contains(common, key) {
				return fmt.Errorf("kind %s: the key %s belongs to every probe", word, key)
			}
		}
		if err := l.readable(p.Elem(), map[reflect.Type]bool{}); err != nil {
			return fmt.Errorf("kind %s: %w", word, err)
		}
	}
	return nil
}

// readable tells why values of a type cannot be read from YAML.
func (l *loader) readable(t reflect.Type, seen map[reflect.Type]bool) error {
	if seen[t] || t == anyType || readsItself(t) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return l.readable(t.Elem(), seen)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("the keys of %s are no strings", t)
		}
		return l.readable(t.Elem(), seen)
	case reflect.Struct:
		taken := map[string]bool{}
		for _, s := range l.shapes.of(t) {
			if taken[s.key] {
				return fmt.Errorf("the key %s stands twice in %s", s.key, t)
			}
			taken[s.key] = true
			if err := l.readable(s.typ, seen); err != nil {
				return err
			}
		}
		return nil
	case reflect.Interface, reflect.Chan, reflect.Func, reflect.Array, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer, reflect.Uintptr:
		return fmt.Errorf("%s cannot be read from YAML", t)
	case reflect.Int64:
		if t == reflect.TypeFor[time.Duration]() {
			return fmt.Errorf("time.Duration would read 5 as five nanoseconds; use probe.Duration")
		}
	}
	return nil
}
