package httpx

import (
	"errors"

	"prober/internal/secret"
)

// A Value is a text to send: written in the configuration or, if it is secret, named by its source. The zero value is
// the empty text.
type Value struct {
	Text   string        // as written; empty if the value is secret
	Secret secret.Secret // the source of the value; zero if it was written
}

// IsZero reports whether there is nothing to send.
func (v Value) IsZero() bool { return v == Value{} }

// Reveal returns the text. A secret is read from its source at each call. The error names the source, never the value.
func (v Value) Reveal() (string, error) {
	if v.Secret.IsZero() {
		return v.Text, nil
	}
	return v.Secret.Reveal()
}

// UnmarshalYAML reads a text, {file: PATH} or {env: NAME}.
func (v *Value) UnmarshalYAML(unmarshal func(any) error) error {
	var text string
	if unmarshal(&text) == nil {
		*v = Value{Text: text}
		return nil
	}
	var s secret.Secret
	if unmarshal(&s) != nil {
		return errors.New("expected a text or, if it is secret, {file: PATH} or {env: NAME}")
	}
	*v = Value{Secret: s}
	return nil
}

// MarshalYAML writes the value in the form that UnmarshalYAML reads: the text, or the source of the secret.
func (v Value) MarshalYAML() (any, error) {
	if v.Secret.IsZero() {
		return v.Text, nil
	}
	return v.Secret, nil
}

// JSONSchema describes what UnmarshalYAML reads.
func (Value) JSONSchema() map[string]any { return secret.Public{}.JSONSchema() }
