package secret

import "errors"

// A Public is a text that is not secret, such as the id of a key or a bundle of public keys. It is written in the
// configuration or named by its source, {file: PATH} or {env: NAME}, and then read at use like a secret, so that it
// follows a rotation. Unlike a secret it is not redacted: it may appear in texts and labels. The zero value is neither;
// see IsZero.
type Public struct {
	text   string
	source Secret // unexported, so that a search for secrets among the settings does not find it
}

// Literal returns a text that is written in the configuration.
func Literal(text string) Public { return Public{text: text} }

// Public returns the content of the source as a text that is not secret.
func (s Secret) Public() Public { return Public{source: s} }

// IsZero reports whether there is neither a text nor a source.
func (p Public) IsZero() bool { return p == Public{} }

// Source names the source; it is empty for a literal text.
func (p Public) Source() string {
	if p.source.IsZero() {
		return ""
	}
	return p.source.Source()
}

// Read returns the text, without trailing line ends. It reads the source at each call. The error names the source; an
// empty source is an error.
func (p Public) Read() (string, error) {
	if p.source.IsZero() {
		return p.text, nil
	}
	return p.source.read("text")
}

// Check reads the source once. There is never a warning: a text that is not secret may be readable by everyone.
func (p Public) Check() (warning string, err error) {
	_, err = p.Read()
	return "", err
}

// UnmarshalYAML reads a text, {file: PATH} or {env: NAME}.
func (p *Public) UnmarshalYAML(unmarshal func(any) error) error {
	var text string
	if unmarshal(&text) == nil {
		*p = Public{text: text}
		return nil
	}
	var source Secret
	if unmarshal(&source) != nil {
		return errors.New("expected a text, {file: PATH} or {env: NAME}")
	}
	*p = Public{source: source}
	return nil
}

// MarshalYAML writes the text, or its source, in the form that UnmarshalYAML reads.
func (p Public) MarshalYAML() (any, error) {
	if p.source.IsZero() {
		return p.text, nil
	}
	return p.source, nil
}

// JSONSchema describes what UnmarshalYAML reads.
func (Public) JSONSchema() map[string]any {
	forms := []any{map[string]any{"type": []string{"string", "number", "boolean"}}}
	return map[string]any{"oneOf": append(forms, Secret{}.JSONSchema()["oneOf"].([]any)...)}
}
