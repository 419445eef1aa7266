package strictyaml

import (
	"maps"
	"reflect"
	"slices"
)

// A describer is a type that describes itself, because its YAML is not what its Go type looks like.
type describer interface{ JSONSchema() map[string]any }

var describerType = reflect.TypeFor[describer]()

// object is a JSON object.
type object = map[string]any

// Schema returns the JSON Schema (draft-07) of a struct, given as a pointer to its defaults. A type that reads itself
// is described by its method JSONSchema() map[string]any, and by nothing if it has none.
func (d *Decoder) Schema(p any) map[string]any {
	return d.structSchema(reflect.ValueOf(p).Elem(), nil)
}

// structSchema describes the settings of a struct. The value holds the defaults.
func (d *Decoder) structSchema(v reflect.Value, above []reflect.Type) object {
	properties := object{}
	var required []string
	for _, f := range d.typeOf(v.Type()).fields {
		value := v.FieldByIndex(f.index)
		about := d.schemaOf(f.typ, value, above)
		if f.doc != "" {
			about["description"] = f.doc
		}
		if x := plain(value); x != nil {
			about["default"] = x // also in place of the tag of a field that is inlined
		} else if x, err := d.defaultValue(f); err == nil && x != nil {
			about["default"] = x
		}
		properties[f.key] = about
		if f.required {
			required = append(required, f.key)
		}
	}
	schema := object{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		schema["required"] = required
	}
	return schema
}

// schemaOf describes a type. A type within itself is not described again.
func (d *Decoder) schemaOf(t reflect.Type, v reflect.Value, above []reflect.Type) object {
	switch {
	case t.Implements(describerType) && t.Kind() != reflect.Pointer:
		return maps.Clone(reflect.Zero(t).Interface().(describer).JSONSchema())
	case reflect.PointerTo(t).Implements(describerType) && t.Kind() != reflect.Pointer:
		return maps.Clone(reflect.New(t).Interface().(describer).JSONSchema())
	case t.Kind() == reflect.Pointer:
		return d.schemaOf(t.Elem(), reflect.Zero(t.Elem()), above)
	case reflect.PointerTo(t).Implements(textType):
		return object{"type": []string{"string", "number", "boolean"}}
	case hasUnmarshaler(t) || t == anyType || t == nodeType || slices.Contains(above, t):
		return object{}
	}
	switch t.Kind() {
	case reflect.Struct:
		if !v.IsValid() {
			v = reflect.Zero(t)
		}
		above = append(slices.Clone(above), t)
		if short := d.typeOf(t).short; short != nil {
			return object{"anyOf": []object{d.schemaOf(short.typ, reflect.Zero(short.typ), above), d.structSchema(v, above)}}
		}
		return d.structSchema(v, above)
	case reflect.Map:
		return object{"type": "object", "additionalProperties": d.schemaOf(t.Elem(), reflect.Zero(t.Elem()), above)}
	case reflect.Slice:
		return object{"type": "array", "items": d.schemaOf(t.Elem(), reflect.Zero(t.Elem()), above)}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	}
	return object{"type": []string{"string", "number", "boolean"}} // a string keeps what is written: 010, yes, 1e3
}

// plain returns a value that is a word or a number, or becomes one in YAML; nil if it is zero or anything else.
func plain(v reflect.Value) any {
	if !v.IsValid() || v.IsZero() || !v.CanInterface() {
		return nil
	}
	x := v.Interface()
	if m, ok := x.(interface{ MarshalYAML() (any, error) }); ok {
		text, _ := m.MarshalYAML()
		return plain(reflect.ValueOf(text))
	}
	switch v.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64:
		return x
	}
	return nil
}
