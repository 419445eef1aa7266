package httpx

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"prober/internal/secret"
	"prober/internal/sorted"
)

// A LoginJSON is a JSON object that may have secrets in it, each named by its source.
type LoginJSON struct {
	object map[string]any // of map[string]any, []any, secret.Secret and plain values
}

// IsZero reports whether there is no object.
func (j LoginJSON) IsZero() bool { return j.object == nil }

// UnmarshalYAML reads an object. A map of just file or env names the source of a secret.
func (j *LoginJSON) UnmarshalYAML(unmarshal func(any) error) error {
	var object map[string]any
	if unmarshal(&object) != nil || object == nil {
		return errors.New("expected an object")
	}
	j.object, _ = withSecrets(object).(map[string]any)
	if j.object == nil {
		return errors.New("expected an object")
	}
	var wrong error
	walkJSON(j.object, "", func(_ string, v any) {
		if v == secret.ErrNotNamed {
			wrong = secret.ErrNotNamed
		}
	})
	return wrong
}

// MarshalYAML writes the object in the form that UnmarshalYAML reads.
func (j LoginJSON) MarshalYAML() (any, error) { return j.object, nil }

// JSONSchema describes any object.
func (LoginJSON) JSONSchema() map[string]any { return map[string]any{"type": "object"} }

// Secrets returns the secrets in the object.
func (j LoginJSON) Secrets() (all []secret.Secret) {
	walkJSON(j.object, "", func(_ string, v any) {
		if s, ok := v.(secret.Secret); ok {
			all = append(all, s)
		}
	})
	return all
}

// withSecrets replaces the sources of secrets in a value; what names no source, by the error that says so.
func withSecrets(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if source, ok := inner.(string); ok && len(v) == 1 && (name == "file" || name == "env") {
				if !secret.IsName(source, name == "env") {
					return secret.ErrNotNamed
				}
				if name == "env" {
					return secret.Env(source)
				}
				return secret.File(source)
			}
			v[name] = withSecrets(inner)
		}
	case []any:
		for i := range v {
			v[i] = withSecrets(v[i])
		}
	}
	return v
}

// walkJSON visits the values of an object and of what is in it that are neither objects nor arrays, by their paths.
func walkJSON(v any, path string, visit func(path string, v any)) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range sorted.Keys(v) {
			walkJSON(v[name], strings.TrimPrefix(path+"."+name, "."), visit)
		}
	case []any:
		for i := range v {
			walkJSON(v[i], fmt.Sprintf("%s[%d]", path, i), visit)
		}
	default:
		visit(path, v)
	}
}

// revealed returns a copy of a value with the secrets in it read at their sources. The error names the source.
func revealed(v any) (out any, err error) {
	switch v := v.(type) {
	case secret.Secret:
		return v.Reveal()
	case map[string]any:
		object := make(map[string]any, len(v))
		for name, inner := range v {
			if object[name], err = revealed(inner); err != nil {
				return nil, err
			}
		}
		return object, nil
	case []any:
		array := make([]any, len(v))
		for i, inner := range v {
			if array[i], err = revealed(inner); err != nil {
				return nil, err
			}
		}
		return array, nil
	}
	return v, nil
}

// secretName reports whether a value of that name is a credential.
func secretName(name string) bool {
	name = strings.ToLower(name)
	return slices.Contains(secretParams, name) || strings.Contains(name, "passw") || strings.Contains(name, "secret")
}
