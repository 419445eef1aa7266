package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"prober/internal/spell"
)

// A fault is a mistake before it is known whose it is.
type fault struct {
	line int
	key  string // the key of the probe that it concerns
	text string
}

// faults is the error that a custom unmarshaler gets and may hand on.
type faults []fault

func (f faults) Error() string { return f[0].text }

// A decoder fills Go values from a plain tree. It takes the place of yaml.v3's own, which below a custom unmarshaler
// stops at the first mistake and forgets its line, repeats values in its messages, takes null for "" and truncates
// 1.7 to 1. What it reads and how structs are tagged is the same.
type decoder struct {
	shapes shapes
	extend bool // keys that begin with "x-" are somebody else's
	found  faults
}

func (d *decoder) fail(n *yaml.Node, path, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if path != "" {
		text = path + ": " + text
	}
	d.found = append(d.found, fault{line: n.Line, key: topOf(path), text: text})
}

func topOf(path string) string {
	if end := strings.IndexAny(path, ".["); end >= 0 {
		return path[:end]
	}
	return path
}

// value reads n into v. The path is what leads to n from the probe or the head of the file.
func (d *decoder) value(n *yaml.Node, path string, v reflect.Value) {
	switch {
	case v.Type() == anyType:
		if x := d.free(n, path); x != nil {
			v.Set(reflect.ValueOf(x))
		}
		return
	case isNull(n):
		d.fail(n, path, "has no value")
		return
	case v.Type() == nodeType:
		v.Set(reflect.ValueOf(n))
		return
	case v.Kind() == reflect.Pointer:
		d.pointed(n, path, v)
		return
	}
	switch u := v.Addr().Interface().(type) {
	case unmarshaler:
		d.custom(n, path, u)
		return
	case encoding.TextUnmarshaler:
		if n.Kind != yaml.ScalarNode {
			d.fail(n, path, "wants text, got %s", described(n))
		} else if err := u.UnmarshalText([]byte(n.Value)); err != nil {
			d.fail(n, path, "%s", without(values(n), err.Error()))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structs(n, path, v)
	case reflect.Map:
		d.table(n, path, v)
	case reflect.Slice:
		d.list(n, path, v)
	default:
		d.scalar(n, path, v)
	}
}

// pointed reads what v points to. A pointer tells what was said from what was not, so it stays nil if nothing was said
// that can be read.
func (d *decoder) pointed(n *yaml.Node, path string, v reflect.Value) {
	before := len(d.found)
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
	}
	d.value(n, path, v.Elem())
	if len(d.found) > before {
		v.SetZero()
	}
}

// custom lets a value read itself. What it asks for in turn is read as strictly as everything else.
func (d *decoder) custom(n *yaml.Node, path string, u unmarshaler) {
	err := u.UnmarshalYAML(func(into any) error {
		inner := &decoder{shapes: d.shapes}
		inner.value(n, path, reflect.ValueOf(into).Elem())
		if inner.found != nil {
			return inner.found
		}
		return nil
	})
	if found, ok := errors.AsType[faults](err); ok {
		d.found = append(d.found, found...)
	} else if err != nil {
		d.fail(n, path, "%s", without(values(n), err.Error()))
	}
}

// structs reads a mapping into structs that share it: the settings of every probe and those of its kind stand side
// by side.
func (d *decoder) structs(n *yaml.Node, path string, into ...reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "wants keys, got %s", described(n))
		return
	}
	fields := map[string]reflect.Value{}
	var known []string
	for _, v := range into {
		for _, s := range d.shapes.of(v.Type()) {
			fields[s.key] = v.FieldByIndex(s.index)
			known = append(known, s.key)
		}
	}
	given := map[string]bool{}
	for key, value := range pairs(n) {
		given[key.Value] = true
		if field, ok := fields[key.Value]; ok {
			d.value(value, under(path, key.Value), field)
		} else if !d.extend || path != "" || !strings.HasPrefix(key.Value, "x-") {
			given[d.unknown(n, key, value, path, known)] = true
		}
	}
	for _, v := range into {
		for _, s := range d.shapes.of(v.Type()) {
			if s.required && !given[s.key] {
				d.fail(n, path, "%s is missing", s.key)
				d.found[len(d.found)-1].key = topOf(under(path, s.key))
			}
		}
	}
}

// unknown refuses a key, and returns the one that was probably meant. In braces a key without a value is rather a
// value that should have been in quotes.
func (d *decoder) unknown(n, key, value *yaml.Node, path string, known []string) (meant string) {
	if n.Style&yaml.FlowStyle != 0 && isNull(value) {
		d.fail(key, path, "a key in braces has no value")
		return ""
	}
	meant = spell.Nearest(key.Value, known)
	d.fail(key, path, "unknown key %s%s", shown(key.Value), spell.DidYouMean(key.Value, known))
	if path == "" {
		d.found[len(d.found)-1].key = meant
	}
	return meant
}

func (d *decoder) table(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "wants keys, got %s", described(n))
		return
	}
	t := v.Type()
	table := reflect.MakeMapWithSize(t, len(n.Content)/2)
	for key, value := range pairs(n) {
		if n.Style&yaml.FlowStyle != 0 && isNull(value) && t.Elem() != anyType {
			d.fail(key, path, "a key in braces has no value")
			continue
		}
		item := reflect.New(t.Elem()).Elem()
		d.value(value, under(path, key.Value), item)
		table.SetMapIndex(reflect.ValueOf(key.Value).Convert(t.Key()), item)
	}
	v.Set(table)
}

func (d *decoder) list(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.fail(n, path, "wants a list, got %s", described(n))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(item, fmt.Sprintf("%s[%d]", path, i), list.Index(i))
	}
	v.Set(list)
}
