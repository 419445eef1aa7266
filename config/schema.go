package config

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"prober/internal/probe"
)

// A describer is a type that describes itself, because its YAML is not what its Go type looks like.
type describer interface{ JSONSchema() map[string]any }

var (
	describerType = reflect.TypeFor[describer]()
	durationType  = reflect.TypeFor[probe.Duration]()
)

// object is a JSON object.
type object = map[string]any

// Schema returns a JSON Schema (draft-07) of the configuration, made from the types that are read: an editor that
// knows it completes keys kind by kind and marks what Parse would refuse for its shape.
func Schema(kinds probe.Kinds) ([]byte, error) {
	l := &loader{kinds: kinds, shapes: shapes{}}
	if err := l.checkKinds(); err != nil {
		return nil, err
	}
	words := slices.Sorted(maps.Keys(kinds))
	definitions := object{}
	var choices []object
	for _, word := range words {
		definitions["kind_"+word] = l.kindSchema(word)
		choices = append(choices, object{
			"if":   object{"properties": object{"type": object{"const": word}}, "required": []string{"type"}},
			"then": object{"$ref": "#/definitions/kind_" + word},
		})
	}
	common := l.structSchema(reflect.ValueOf(entry{}), nil)
	common["properties"].(object)["type"] = object{"enum": words, "description": "The kind of probe."}
	delete(common, "additionalProperties") // each kind has its own
	common["allOf"] = choices
	definitions["probe"] = common

	top := l.structSchema(reflect.ValueOf(head{}), nil)
	top["$schema"] = "http://json-schema.org/draft-07/schema#"
	top["title"] = "prober configuration"
	top["definitions"] = definitions
	top["patternProperties"] = object{"^x-": true}
	properties := top["properties"].(object)
	properties["system"].(object)["pattern"] = namePattern.String()
	properties["probes"] = object{"type": "array", "minItems": 1, "items": object{"$ref": "#/definitions/probe"}, "description": "The questions that are asked."}
	text, err := json.MarshalIndent(top, "", "  ")
	return append(text, '\n'), err
}

// kindSchema describes an entry of one kind: what every probe has and, with their defaults, the kind's own settings.
func (l *loader) kindSchema(word string) object {
	common := l.structSchema(reflect.ValueOf(entry{}), nil)
	own := l.structSchema(reflect.ValueOf(l.kinds[word]()).Elem(), nil)
	properties := common["properties"].(object)
	maps.Copy(properties, own["properties"].(object))
	properties["type"] = object{"const": word, "description": "The kind of probe."}
	if more, some := own["required"]; some {
		common["required"] = append(common["required"].([]string), more.([]string)...)
	}
	return common
}

// structSchema describes the settings of a struct. The value holds the defaults.
func (l *loader) structSchema(v reflect.Value, above []reflect.Type) object {
	properties := object{}
	var required []string
	for _, s := range l.shapes.of(v.Type()) {
		field := v.FieldByIndex(s.index)
		about := l.schemaOf(s.typ, field, above)
		if s.doc != "" {
			about["description"] = s.doc
		}
		if d := defaultOf(field); d != nil {
			about["default"] = d
		}
		properties[s.key] = about
		if s.required {
			required = append(required, s.key)
		}
	}
	schema := object{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		schema["required"] = required
	}
	return schema
}

// schemaOf describes a type. A type within itself is not described again.
func (l *loader) schemaOf(t reflect.Type, v reflect.Value, above []reflect.Type) object {
	switch {
	case t.Implements(describerType) && t.Kind() != reflect.Pointer:
		return maps.Clone(reflect.Zero(t).Interface().(describer).JSONSchema())
	case reflect.PointerTo(t).Implements(describerType) && t.Kind() != reflect.Pointer:
		return maps.Clone(reflect.New(t).Interface().(describer).JSONSchema())
	case t == secretType:
		return secretSchema()
	case t == durationType:
		return object{"type": "string", "pattern": `^([0-9]+d|([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+)$`}
	case t.Kind() == reflect.Pointer:
		return l.schemaOf(t.Elem(), reflect.Zero(t.Elem()), above)
	case reflect.PointerTo(t).Implements(textType):
		return object{"type": []string{"string", "number", "boolean"}}
	case readsItself(t) || t == anyType || t == nodeType || slices.Contains(above, t):
		return object{}
	}
	switch t.Kind() {
	case reflect.Struct:
		if !v.IsValid() {
			v = reflect.Zero(t)
		}
		return l.structSchema(v, append(slices.Clone(above), t))
	case reflect.Map:
		return object{"type": "object", "additionalProperties": l.schemaOf(t.Elem(), reflect.Zero(t.Elem()), above)}
	case reflect.Slice:
		return object{"type": "array", "items": l.schemaOf(t.Elem(), reflect.Zero(t.Elem()), above)}
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

func secretSchema() object {
	source := func(key, about string) object {
		return object{
			"type": "object", "additionalProperties": false, "required": []string{key},
			"properties": object{key: object{"type": "string", "minLength": 1, "description": about}},
		}
	}
	return object{"oneOf": []object{
		source("file", "The file that holds the secret, read at each use."),
		source("env", "The environment variable that holds the secret."),
	}}
}

// defaultOf returns what a setting is unless said, for the settings of one word.
func defaultOf(v reflect.Value) any {
	if v.IsZero() {
		return nil
	}
	switch {
	case v.Type() == durationType:
		return brief(v.Interface().(probe.Duration))
	case readsItself(v.Type()):
		return nil
	}
	switch v.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64:
		return v.Interface()
	}
	return nil
}
