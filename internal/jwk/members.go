package jwk

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

var errTwice = errors.New("a member occurs twice")

// object reads a JSON object member by member. The standard library would take the last of two members of one name,
// and "Keys" for "keys".
func object(text []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	start, err := d.Token()
	if err != nil || start != json.Delim('{') {
		return nil, ErrFormat
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, ErrFormat
		}
		value, err := next(d, text)
		if err != nil {
			return nil, ErrFormat
		}
		if _, twice := members[name.(string)]; twice {
			return nil, errTwice
		}
		members[name.(string)] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, ErrFormat
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, ErrFormat
	}
	return members, nil
}

// list reads a JSON array element by element; null has none.
func list(text []byte) ([]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	switch start, err := d.Token(); {
	case err == nil && start == nil:
		return nil, nil
	case err != nil || start != json.Delim('['):
		return nil, ErrFormat
	}
	var all []json.RawMessage
	for d.More() {
		if len(all) == MaxKeys {
			return nil, errMany
		}
		value, err := next(d, text)
		if err != nil {
			return nil, ErrFormat
		}
		all = append(all, value)
	}
	return all, nil
}

// next reads the next value of a text. It is a part of the text and no copy.
func next(d *json.Decoder, text []byte) (json.RawMessage, error) {
	from := d.InputOffset()
	var passed skip
	if err := d.Decode(&passed); err != nil {
		return nil, err
	}
	return bytes.TrimLeft(text[from:d.InputOffset()], " \t\r\n:,"), nil
}

// skip accepts any JSON and keeps nothing of it.
type skip struct{}

func (*skip) UnmarshalJSON([]byte) error { return nil }

// number returns a member that is a number or an octet string, base64url as RFC 7518, section 2, has it; nil if it is
// missing or something else.
func number(members map[string]json.RawMessage, name string) []byte {
	text, ok := member(members, name)
	if !ok || !given(members, name) {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // the decoder skips line ends
		return nil
	}
	return b
}

// given reports whether a member says anything: null is what some publishers write for nothing.
func given(members map[string]json.RawMessage, name string) bool {
	raw, there := members[name]
	return there && string(raw) != "null"
}

// member returns a member that is a text, empty if it is not given; ok is false if it is something else.
func member(members map[string]json.RawMessage, name string) (value string, ok bool) {
	if !given(members, name) {
		return "", true
	}
	raw := members[name]
	if raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1]), true // as nearly all are, and much faster
	}
	return value, json.Unmarshal(raw, &value) == nil
}
