package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/strictyaml"
)

// object is a JSON object.
type object = map[string]any

// checkKinds tells what about the kinds themselves would keep a setting from being read strictly. It is for whoever
// writes a kind.
func checkKinds(d *strictyaml.Decoder, kinds probe.Kinds) error {
	common := d.Keys(&entry{})
	for _, word := range sorted.Keys(kinds) {
		p := kinds[word].New()
		if err := d.Check(p); err != nil {
			return fmt.Errorf("kind %s: %w", word, err)
		}
		for _, key := range d.Keys(p) {
			if slices.Contains(common, key) {
				return fmt.Errorf("kind %s: the key %s belongs to every probe", word, key)
			}
		}
	}
	return nil
}

// Schema returns a JSON Schema (draft-07) of the configuration, made from the types that are read: an editor that
// knows it completes keys kind by kind and marks what Parse would refuse for its shape.
func Schema(kinds probe.Kinds) ([]byte, error) {
	d := &strictyaml.Decoder{}
	if err := checkKinds(d, kinds); err != nil {
		return nil, err
	}
	words := sorted.Keys(kinds)
	definitions := object{}
	var choices []object
	for _, word := range words {
		definitions["kind_"+word] = kindSchema(d, word, kinds[word].New())
		choices = append(choices, object{
			"if":   object{"properties": object{"type": object{"const": word}}, "required": []string{"type"}},
			"then": object{"$ref": "#/definitions/kind_" + word},
		})
	}
	common := d.Schema(&entry{})
	common["properties"].(object)["type"] = object{"enum": words, "description": "The kind of probe."}
	delete(common, "additionalProperties") // each kind has its own
	common["allOf"] = choices
	definitions["probe"] = common

	top := d.Schema(&header{})
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
func kindSchema(d *strictyaml.Decoder, word string, p probe.Probe) object {
	common, own := d.Schema(&entry{}), d.Schema(p)
	properties := common["properties"].(object)
	maps.Copy(properties, own["properties"].(object))
	properties["type"] = object{"const": word, "description": "The kind of probe."}
	if more, some := own["required"]; some {
		common["required"] = append(common["required"].([]string), more.([]string)...)
	}
	return common
}
