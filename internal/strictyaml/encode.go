package strictyaml

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
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
	e := encoder{Decoder: d, at: &yaml.Node{}}
	if !e.encodes(p) {
		return nil, false
	}
	return e.at.Content[0], true
}

// Hash returns a hash of settings, given as a pointer to their struct, as Encode has them; or that of the tree that they were read
// from, if YAML cannot write them.
func (d *Decoder) Hash(p any, readFrom *yaml.Node) string {
	e := encoder{Decoder: d, text: d.text[:0]}
	if !e.encodes(p) {
		e.text = e.text[:0]
		e.tree(readFrom)
	}
	d.text = e.text // for the next one
	sum := sha256.Sum256(e.text)
	return hex.EncodeToString(sum[:16])
}

// An encoder writes values: as text, or as nodes below one.
type encoder struct {
	*Decoder
	at   *yaml.Node // nil: as text
	text []byte
}

// encodes reports whether p could be written.
func (e *encoder) encodes(p any) (ok bool) {
	defer func() { ok = recover() == nil }()
	e.encode(reflect.ValueOf(p))
	return
}

// A way is how the values of a type are written.
type way uint8

const (
	asItIs way = iota
	byYAML
	byText
)

// wayOf remembers what it found: reflection takes ten times as long.
func (d *Decoder) wayOf(t reflect.Type) way {
	w, known := d.ways[t]
	if !known {
		switch {
		case t.Implements(marshalerType):
			w = byYAML
		case t.Implements(textMarshalerType):
			w = byText
		}
		if d.ways == nil {
			d.ways = map[reflect.Type]way{}
		}
		d.ways[t] = w
	}
	return w
}

func (e *encoder) encode(v reflect.Value) {
	if !v.IsValid() || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil() {
		e.scalar("!!null", "null")
		return
	}
	switch e.wayOf(v.Type()) {
	case byYAML:
		value, err := v.Interface().(yaml.Marshaler).MarshalYAML()
		if err != nil {
			panic(err)
		}
		e.encode(reflect.ValueOf(value))
		return
	case byText:
		text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			panic(err)
		}
		e.scalar("!!str", string(text))
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		e.encode(v.Elem())
	case reflect.Struct:
		outer := e.open(yaml.MappingNode, "!!map")
		for i := range e.typeOf(v.Type()).fields {
			f := &e.typeOf(v.Type()).fields[i]
			if value := v.FieldByIndex(f.index); !f.omitEmpty || !empty(value) {
				e.scalar("!!str", f.key)
				e.encode(value)
			}
		}
		e.close(outer)
	case reflect.Map:
		outer := e.open(yaml.MappingNode, "!!map")
		keys := make([]string, 0, v.Len())
		for _, key := range v.MapKeys() {
			keys = append(keys, key.String())
		}
		slices.Sort(keys)
		for _, key := range keys {
			e.scalar("!!str", key)
			e.encode(v.MapIndex(reflect.ValueOf(key).Convert(v.Type().Key())))
		}
		e.close(outer)
	case reflect.Slice:
		outer := e.open(yaml.SequenceNode, "!!seq")
		for i := range v.Len() {
			e.encode(v.Index(i))
		}
		e.close(outer)
	case reflect.String:
		e.scalar("!!str", v.String())
	case reflect.Bool:
		e.scalar("!!bool", strconv.FormatBool(v.Bool()))
	case reflect.Float64:
		n := yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatFloat(v.Float(), 'g', -1, 64)}
		e.scalar(n.ShortTag(), n.Value) // 3 is an integer
	default:
		if v.CanUint() {
			e.scalar("!!int", strconv.FormatUint(v.Uint(), 10))
		} else {
			e.scalar("!!int", strconv.FormatInt(v.Int(), 10)) // panics for all that YAML cannot write
		}
	}
}

var textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()

// tree appends a tree as encode appends what it stands for. No other tree has this text.
func (e *encoder) tree(n *yaml.Node) {
	e.text = strconv.AppendQuote(append(append(e.text, n.ShortTag()...), ' '), n.Value)
	e.text = append(e.text, '(')
	for _, child := range n.Content {
		e.tree(child)
	}
	e.text = append(e.text, ')')
}

// open begins a mapping or a list, and returns what it is in.
func (e *encoder) open(kind yaml.Kind, tag string) (outer *yaml.Node) {
	if outer = e.at; outer == nil {
		e.text = append(append(e.text, tag...), ` ""(`...)
		return nil
	}
	e.at = &yaml.Node{Kind: kind, Tag: tag}
	outer.Content = append(outer.Content, e.at)
	return outer
}

func (e *encoder) close(outer *yaml.Node) {
	if e.at = outer; outer == nil {
		e.text = append(e.text, ')')
	}
}

func (e *encoder) scalar(tag, value string) {
	if e.at == nil {
		e.text = strconv.AppendQuote(append(append(e.text, tag...), ' '), value)
		e.text = append(e.text, "()"...)
		return
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
	if tag == "!!str" {
		n.Style = TextStyle(value)
	}
	e.at.Content = append(e.at.Content, n)
}

// TextStyle is the style of a text: in double quotes if readers of YAML 1.1 would take it for a boolean, or if yaml.v3 would write it so that
// it reads another text, or none: with an empty line first, a tab first, or what ends a line without being a line feed. Quotes that YAML
// 1.2 needs come with the tag.
func TextStyle(text string) yaml.Style {
	if text != "" && (text[0] == '\n' || text[0] == '\t') || strings.ContainsAny(text, "\r\u0085\u2028\u2029\ufeff") {
		return yaml.DoubleQuotedStyle
	}
	switch strings.ToLower(text) {
	case "y", "yes", "on", "n", "no", "off", "<<":
		return yaml.DoubleQuotedStyle
	}
	return 0
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
