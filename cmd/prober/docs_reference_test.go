package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"prober/config"
	"prober/internal/httpx"
	"prober/internal/strictyaml"
	"prober/probes"
)

// An aSchema is a part of the JSON Schema that `prober schema` prints.
type aSchema = map[string]any

// A keyReference writes docs/reference.md from the schema: a section for the file, one for what every probe has, one for the settings
// of requests, one for each kind, and one for each mapping that occurs in several places.
type keyReference struct {
	t        *testing.T
	shared   aSchema           // the settings of requests
	common   aSchema           // what every probe has
	count    map[string]int    // how often a mapping occurs
	sections map[string]string // by mapping, its heading
	queue    []section
	text     strings.Builder
}

type section struct {
	heading    string
	properties aSchema
	required   []string
}

// referenceTable returns the whole reference.
func referenceTable(t *testing.T) string {
	text, err := config.Schema(probes.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	var top aSchema
	if err := json.Unmarshal(text, &top); err != nil {
		t.Fatal(err)
	}
	definitions := top["definitions"].(aSchema)
	r := &keyReference{t: t, count: map[string]int{}, sections: map[string]string{}, common: properties(definitions["probe"].(aSchema))}
	r.shared = properties(asSchema(t, new(strictyaml.Decoder).Schema(&httpx.Settings{})))
	kinds := slices.Sorted(maps.Keys(probes.Kinds()))
	r.countIn(r.shared)
	for _, kind := range kinds {
		r.countIn(r.own(definitions["kind_"+kind].(aSchema)))
	}
	r.write(section{"The file", properties(top), requiredOf(top)})
	r.write(section{"Every probe", r.common, requiredOf(definitions["probe"].(aSchema))})
	r.write(section{"Settings for requests", r.shared, nil})
	for _, kind := range kinds {
		def := definitions["kind_"+kind].(aSchema)
		fmt.Fprintf(&r.text, "\n## %s\n\nThe page of [[%[1]s]] explains the kind.", kind)
		own := r.own(def)
		r.rows(section{kind, own, requiredOf(def)})
	}
	fmt.Fprintf(&r.text, "\n## Mappings that occur in several places\n")
	for len(r.queue) > 0 {
		next := r.queue[0]
		r.queue = r.queue[1:]
		fmt.Fprintf(&r.text, "\n### %s\n", next.heading)
		r.rows(next)
	}
	return strings.TrimPrefix(r.text.String(), "\n")
}

func (r *keyReference) write(s section) {
	fmt.Fprintf(&r.text, "\n## %s\n", s.heading)
	r.rows(s)
}

// own returns what a kind has beside what every probe has.
func (r *keyReference) own(kind aSchema) aSchema {
	own := maps.Clone(properties(kind))
	maps.DeleteFunc(own, func(key string, _ any) bool { return r.common[key] != nil })
	return own
}

// rows writes a table of keys. Those of requests are written once, in a section of their own.
func (r *keyReference) rows(s section) {
	shared := r.sharedIn(s.properties)
	if s.heading != "Settings for requests" && len(shared) > 0 {
		fmt.Fprintf(&r.text, "\nThe [settings for requests](#settings-for-requests) apply%s.\n", r.exceptions(shared))
	} else {
		shared = nil
	}
	if rows := r.keys(s, "", shared); len(rows) > 0 {
		r.text.WriteString("\n" + table("key|type|default|meaning", rows))
	}
}

// exceptions names the settings of requests that a mapping does not have.
func (r *keyReference) exceptions(shared []string) string {
	var without []string
	for _, key := range slices.Sorted(maps.Keys(r.shared)) {
		if !slices.Contains(shared, key) {
			without = append(without, key)
		}
	}
	switch {
	case len(without) == 0:
		return ""
	case len(without) < len(shared):
		return ", but for " + codes(without)
	}
	return ": " + codes(shared)
}

// sharedIn lists the settings of requests that a mapping has, if these are more than happen to have the name.
func (r *keyReference) sharedIn(p aSchema) (keys []string) {
	for _, key := range slices.Sorted(maps.Keys(r.shared)) {
		if p[key] != nil && shape(p[key]) == shape(r.shared[key]) {
			keys = append(keys, key)
		}
	}
	if len(keys) < 4 {
		return nil
	}
	return keys
}

func (r *keyReference) keys(s section, prefix string, left []string) (rows [][]string) {
	order := slices.Sorted(maps.Keys(s.properties))
	slices.SortStableFunc(order, func(a, b string) int {
		return index(!slices.Contains(s.required, a)) - index(!slices.Contains(s.required, b))
	})
	for _, key := range order {
		v := s.properties[key].(aSchema)
		if slices.Contains(left, key) || v["const"] != nil {
			continue
		}
		about, _ := v["description"].(string)
		if about == "" {
			r.t.Errorf("%s: %s has no tag doc", s.heading, prefix+key)
		}
		inner, suffix := mapping(v)
		heading := ""
		if inner != nil {
			heading = r.heading(s.heading, key, inner)
		}
		if heading != "" {
			about = strings.TrimSuffix(about, ".") + fmt.Sprintf(". See [%s](#%s).", strings.ToLower(heading[:1])+heading[1:], anchor(heading))
		}
		rows = append(rows, []string{code(prefix + key), typeOf(v), byDefault(v, slices.Contains(s.required, key)), cell(about)})
		if inner != nil && heading == "" {
			shared := r.sharedIn(properties(inner))
			if len(shared) > 0 {
				rows = append(rows, []string{code(prefix + key + suffix + "*"), "", "", "[Settings for requests](#settings-for-requests)" + r.exceptions(shared) + "."})
			}
			rows = append(rows, r.keys(section{s.heading, properties(inner), requiredOf(inner)}, prefix+key+suffix, shared)...)
		}
	}
	return rows
}

// heading returns the section of a mapping that occurs in several places, "" for others.
func (r *keyReference) heading(of, key string, inner aSchema) string {
	name := shape(inner)
	if r.count[name] < 2 {
		return ""
	}
	if r.sections[name] == "" {
		heading := "Keys of " + key
		if slices.Contains(slices.Collect(maps.Values(r.sections)), heading) {
			heading += " in " + strings.TrimPrefix(of, "Keys of ")
		}
		for n := 2; slices.Contains(slices.Collect(maps.Values(r.sections)), heading); n++ {
			heading = fmt.Sprintf("%s, %d", strings.Split(heading, ",")[0], n)
		}
		r.sections[name] = heading
		r.queue = append(r.queue, section{heading, properties(inner), requiredOf(inner)})
	}
	return r.sections[name]
}

// countIn counts the mappings below some keys, each with what is in it once.
func (r *keyReference) countIn(p aSchema) {
	for _, v := range p {
		inner, _ := mapping(v.(aSchema))
		if inner == nil {
			continue
		}
		name := shape(inner)
		if r.count[name]++; r.count[name] == 1 {
			r.countIn(properties(inner))
		}
	}
}

// mapping returns the mapping in a setting, if it is one, a list of some, or some by name; and how a path goes on.
func mapping(v aSchema) (inner aSchema, suffix string) {
	if isSource(v) {
		return nil, ""
	}
	if p := properties(v); len(p) > 0 {
		return v, "."
	}
	if items, ok := v["items"].(aSchema); ok {
		inner, suffix = mapping(items)
		return inner, "[]" + suffix
	}
	if named, ok := v["additionalProperties"].(aSchema); ok {
		inner, suffix = mapping(named)
		return inner, ".NAME" + suffix
	}
	for _, choice := range choices(v) {
		if inner, suffix := mapping(choice); inner != nil {
			return inner, suffix
		}
	}
	return nil, ""
}

func choices(v aSchema) (all []aSchema) {
	for _, key := range []string{"anyOf", "oneOf"} {
		list, _ := v[key].([]any)
		for _, choice := range list {
			all = append(all, choice.(aSchema))
		}
	}
	return all
}

// isSecret reports whether a setting is a source of a secret and nothing else.
func isSecret(v aSchema) bool {
	list := choices(v)
	return len(list) > 0 && !slices.ContainsFunc(list, func(choice aSchema) bool { return !isSource(choice) })
}

// typeOf says what a value of a setting is, for people.
func typeOf(v aSchema) string {
	switch {
	case isSecret(v):
		return "secret"
	case v["$ref"] != nil:
		return "mapping"
	}
	if words, ok := v["enum"].([]any); ok {
		var all []string
		for _, w := range words {
			all = append(all, fmt.Sprint(w))
		}
		return codes(all)
	}
	if words := union(v); words != nil {
		return strings.Join(words, " or ")
	}
	pattern, _ := v["pattern"].(string)
	switch v["type"] {
	case "object":
		if named, ok := v["additionalProperties"].(aSchema); ok {
			return "by name: " + typeOf(named)
		}
		return "mapping"
	case "array":
		if items, ok := v["items"].(aSchema); ok {
			return "list of " + typeOf(items)
		}
		return "list"
	case "integer", "number":
		return "number"
	case "boolean":
		return "`true`, `false`"
	case "string":
		switch {
		case strings.HasPrefix(pattern, "^([0-9]+d|"):
			return "duration"
		case strings.HasPrefix(pattern, "^([2-5]"):
			return "status"
		case pattern == `^\$`:
			return "JSON path"
		}
	case nil:
		return "any value"
	}
	return "text"
}

// union lists the types of a setting that takes several. A list of what it also takes by itself is "list".
func union(v aSchema) (words []string) {
	list := false
	for _, choice := range choices(v) {
		of := union(choice)
		switch {
		case of != nil:
		case choice["items"] != nil:
			list = true
			continue
		case isSource(choice):
			of = []string{"secret"}
		default:
			of = []string{typeOf(choice)}
		}
		for _, word := range of {
			if word == listOfThem {
				list = true
			} else if !slices.Contains(words, word) {
				words = append(words, word)
			}
		}
	}
	if slices.Contains(words, "status") {
		words = slices.DeleteFunc(words, func(word string) bool { return word == "number" })
	}
	if list {
		words = append(words, listOfThem)
	}
	return words
}

const listOfThem = "list of them"

// isSource reports whether a schema is one of the two that name where a secret is.
func isSource(v aSchema) bool {
	p := properties(v)
	return len(p) == 1 && (p["file"] != nil || p["env"] != nil)
}

func byDefault(v aSchema, required bool) string {
	switch d := v["default"]; {
	case required:
		return "required"
	case d == nil && v["type"] == "boolean":
		return code("false")
	case d == nil:
		return ""
	default:
		text, err := json.Marshal(d)
		if err != nil {
			return err.Error()
		}
		return code(strings.Trim(cell(string(text)), `"`))
	}
}

func properties(v aSchema) aSchema {
	p, _ := v["properties"].(aSchema)
	return p
}

func requiredOf(v aSchema) (keys []string) {
	list, _ := v["required"].([]any)
	for _, key := range list {
		keys = append(keys, key.(string))
	}
	return keys
}

// shape is a schema as text: two that are equal have the same.
func shape(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// asSchema makes a schema what it is after it was read from JSON.
func asSchema(t *testing.T, v any) (s aSchema) {
	if err := json.Unmarshal([]byte(shape(v)), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// anchor is how GitHub names a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(heading), ",", ""), " ", "-")
}

func index(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
