package secret

import "errors"

// A Public is a text that is no secret, such as the id of a key or a bundle of public keys. It is written in the
// configuration or named by where it lives, {file: PATH} or {env: NAME}, and then read at use like a secret, so that
// it follows a rotation. Unlike a secret it does not become known to Redact: it may stand in texts and labels. The
// zero value is no text at all; IsZero tells.
type Public struct {
	text   string
	source Secret // not exported: whoever looks for secrets among settings must not take this for one
}

// Literal returns the text as it is written.
func Literal(text string) Public { return Public{text: text} }

// Public returns what the source holds as a text that is no secret.
func (s Secret) Public() Public { return Public{source: s} }

// IsZero reports whether there is no text and no source of one.
func (p Public) IsZero() bool { return p == Public{} }

// Source names where the text lives; it is empty if the text is written.
func (p Public) Source() string {
	if p.source.IsZero() {
		return ""
	}
	return p.source.Source()
}

// Read returns the text, read at its source at each call and without the line end that editors leave behind. The
// error names the source, and is not nil if it holds nothing.
func (p Public) Read() (string, error) {
	if p.source.IsZero() {
		return p.text, nil
	}
	return p.source.read("text")
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
		return errors.New("wanted a text, {file: PATH} or {env: NAME}")
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
