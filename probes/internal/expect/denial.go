package expect

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/sorted"
)

// Denials are the ways in which a target refuses a request. An answer that matches one of them is a refusal. In YAML
// they are a status, a list of statuses, one Denial, or a list of these.
type Denials []Denial

// A Denial is one way to refuse a request: a status, or a status that others are answered too with a body that is empty
// or says no, as of GraphQL or of rules that filter. Everything that is written must hold.
type Denial struct {
	Status httpx.Statuses    `yaml:"status" short:"true" default:"200" doc:"the statuses; 200 if empty or json is set"`
	Empty  jsonpath.Path     `yaml:"empty" doc:"RFC 9535 path of a value that must be there and be empty: [], {}, \"\" or null; $ is also an empty body"`
	JSON   map[string]*Match `yaml:"json" doc:"by RFC 9535 path, what values of the JSON body must be"`
}

// DeniedBy returns the denial by one of these statuses.
func DeniedBy(codes ...int) Denials { return Denials{{Status: httpx.Codes(codes...)}} }

// IsZero reports whether there is no denial.
func (d Denials) IsZero() bool { return len(d) == 0 }

// UnmarshalYAML reads one denial or a list.
func (d *Denials) UnmarshalYAML(unmarshal func(any) error) error {
	var written any
	if err := unmarshal(&written); err != nil {
		return err
	}
	switch list, isList := written.([]any); {
	case isList && len(list) == 0:
		return errors.New("expected at least one denial, got an empty list")
	case isList && slices.ContainsFunc(list, isMapping):
		return unmarshal((*[]Denial)(d))
	}
	*d = make(Denials, 1)
	if isMapping(written) {
		return unmarshal(&(*d)[0])
	}
	return unmarshal(&(*d)[0].Status)
}

func isMapping(v any) bool { _, is := v.(map[string]any); return is }

// MarshalYAML writes the denials in the form that UnmarshalYAML reads.
func (d Denials) MarshalYAML() (any, error) {
	if len(d) == 1 {
		return d[0], nil
	}
	return []Denial(d), nil
}

// MarshalYAML writes a denial by its status alone as that status.
func (d Denial) MarshalYAML() (any, error) {
	type fields Denial
	if !d.ByBody() {
		return d.Status, nil
	}
	return fields(d), nil
}

// described adds the sentence of a field of Denial to its schema.
func described(schema map[string]any, field int) map[string]any {
	schema = maps.Clone(schema)
	schema["description"] = reflect.TypeFor[Denial]().Field(field).Tag.Get("doc")
	return schema
}

// JSONSchema describes what UnmarshalYAML reads.
func (Denials) JSONSchema() map[string]any {
	status := httpx.Statuses{}.JSONSchema()
	one := map[string]any{"anyOf": []any{status, map[string]any{
		"type": "object", "additionalProperties": false,
		"properties": map[string]any{
			"status": described(status, 0), "empty": described(jsonpath.Path{}.JSONSchema(), 1), "json": described(map[string]any{"type": "object"}, 2),
		},
	}}}
	return map[string]any{"anyOf": []any{one, map[string]any{"type": "array", "items": one, "minItems": 1}}}
}

// ByBody reports whether the body decides, so that the status may be one that others are answered too.
func (d Denial) ByBody() bool { return !d.Empty.IsZero() || len(d.JSON) > 0 }

func (d Denial) statuses() httpx.Statuses {
	if d.Status.IsZero() {
		return httpx.Codes(http.StatusOK)
	}
	return d.Status
}

// Validate reports what is wrong with the denials.
func (d Denials) Validate() error {
	var wrong []error
	for i, one := range d {
		at := ""
		if len(d) > 1 {
			at = fmt.Sprintf("[%d]", i)
		}
		wrong = append(wrong, probe.InSetting(at, one.validate()))
	}
	return errors.Join(wrong...)
}

func (d Denial) validate() error {
	wrong := []error{probe.InSetting("json", ValidateJSON(d.JSON))}
	says := func(m *Match) bool { return !m.Negative() }
	switch codes := d.statuses().Codes(); {
	case d.ByBody() && (len(codes) != len(d.statuses()) || d.statuses().Contains(http.StatusTooManyRequests)):
		wrong = append(wrong, probe.Settingf("status", "expected the status of a refusal, such as 200; 429 and 2xx would not say why"))
	case !d.ByBody() && (len(codes) != len(d.statuses()) || !d.statuses().Denial() || d.statuses().Contains(http.StatusTooManyRequests)):
		wrong = append(wrong, probe.Settingf("", "expected a refusal, such as 401; 429 and 4xx would not say why, and a success is one only with empty or json"))
	}
	if d.Empty.IsZero() && len(d.JSON) > 0 && !slices.ContainsFunc(slices.Collect(maps.Values(d.JSON)), says) {
		wrong = append(wrong, probe.Settingf("json", "any other JSON would meet it too: say what a refusal has, or what is empty"))
	}
	return errors.Join(wrong...)
}

// Match reports whether an answer is a refusal. One that is not complete is none.
//
//go:noinline
func (d Denials) Match(a *httpx.Answer) bool {
	return slices.ContainsFunc(d, func(one Denial) bool { return one.match(a) })
}

func (d Denial) match(a *httpx.Answer) bool {
	switch {
	case a.Reason != probe.OK || !d.statuses().Contains(a.Status):
		return false
	case !d.Empty.IsZero() && !d.isEmpty(a):
		return false
	case len(d.JSON) > 0:
		return (&Content{JSON: d.JSON}).CheckJSON(a).Passed()
	}
	return true
}

// isEmpty reports whether there is nothing at the path: what is missing is not empty, since the answer may be another
// than the path was written for.
func (d Denial) isEmpty(a *httpx.Answer) bool {
	if len(a.Body) == 0 {
		return d.Empty.String() == "$"
	}
	doc, err := a.JSON()
	if err != nil {
		return false
	}
	found := d.Empty.Find(doc)
	return len(found) > 0 && !slices.ContainsFunc(found, func(v jsonpath.Value) bool { return !v.Empty() })
}

// ByBody reports whether any of the denials is one by its body.
func (d Denials) ByBody() bool { return slices.ContainsFunc(d, Denial.ByBody) }

// ByStatus reports whether a status alone is a refusal.
func (d Denials) ByStatus(code int) bool {
	return slices.ContainsFunc(d, func(one Denial) bool { return !one.ByBody() && one.Status.Contains(code) })
}

// Statuses lists the statuses of all denials.
//
//go:noinline
func (d Denials) Statuses() httpx.Statuses {
	var all httpx.Statuses
	for _, one := range d {
		for _, status := range one.statuses() {
			if !slices.Contains(all, status) {
				all = append(all, status)
			}
		}
	}
	return all
}

// String says what is expected, for a sentence: "401 or 403", "200 with nothing at $.items".
func (d Denials) String() string {
	words := make([]string, len(d))
	for i, one := range d {
		words[i] = one.String()
	}
	return strings.Join(words, ", or ")
}

// String says what is expected, for a sentence.
func (d Denial) String() string {
	var body []string
	if !d.Empty.IsZero() {
		body = append(body, "nothing at "+d.Empty.String())
	}
	for _, path := range sorted.Keys(d.JSON) {
		body = append(body, path+" "+d.JSON[path].String())
	}
	if body == nil {
		return d.statuses().String()
	}
	return d.statuses().String() + " with " + strings.Join(body, " and ")
}
