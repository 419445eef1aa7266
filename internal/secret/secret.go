// Package secret holds values that cannot be printed.
//
// A Secret knows where its value lives and reads it at use, so a rotated file is picked up without a reload and no
// value stays in a configuration that somebody might dump. Every value that was revealed is known to Redact, the
// one door through which text leaves the prober.
package secret

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// Shortest is the length in bytes below which a value is refused: it could not be told from ordinary text, and so
// not be kept out of it.
const Shortest = 4

// longest bounds what is read from a secret's file, so that a path that names a device or a log cannot fill memory.
const longest = 64 << 10

const hidden = "<secret>"

// A Secret is a value known only by its source, {file: PATH} or {env: NAME}. It prints as "<secret>" under every
// verb and encoder. The zero value is no secret at all; IsZero tells.
type Secret struct {
	file, env string
}

// File returns the secret kept in the file at path.
func File(path string) Secret { return Secret{file: path} }

// Env returns the secret kept in the environment variable name.
func Env(name string) Secret { return Secret{env: name} }

// IsZero reports whether the secret names no source.
func (s Secret) IsZero() bool { return s == Secret{} }

// Source names where the value lives, "file PATH" or "env NAME", and never what it is.
func (s Secret) Source() string {
	switch {
	case s.file != "":
		return "file " + s.file
	case s.env != "":
		return "env " + s.env
	}
	return "no source"
}

// Reveal reads the value, without the line end that editors leave behind, and makes it known to Redact. The error
// names the source and what is wrong with it, never the value.
func (s Secret) Reveal() (string, error) {
	value, err := s.read("secret")
	switch {
	case err != nil:
		return "", err
	case len(value) < Shortest:
		return "", fmt.Errorf("secret from %s is shorter than %d bytes", s.Source(), Shortest)
	case strings.ContainsAny(value, "\r\n\x00"):
		return "", fmt.Errorf("secret from %s holds a line break or a NUL inside", s.Source())
	}
	Learn(s.Source(), value)
	return value, nil
}

// read returns what the source holds without the line ends at its end, and an error if that is nothing. Errors speak of
// the value as what it is.
func (s Secret) read(what string) (string, error) {
	value, err := s.load(what)
	if err != nil {
		return "", err
	}
	if value = strings.TrimRight(value, "\r\n"); value == "" {
		return "", fmt.Errorf("%s from %s is empty", what, s.Source())
	}
	return value, nil
}

func (s Secret) load(what string) (string, error) {
	if s.env != "" {
		value, ok := os.LookupEnv(s.env)
		if !ok {
			return "", fmt.Errorf("%s from env %s: the variable is not set", what, s.env)
		}
		return value, nil
	}
	if s.file == "" {
		return "", fmt.Errorf("%s names no source", what)
	}
	// Asked before opening: to open a FIFO would wait for its writer for ever.
	info, err := os.Stat(s.file)
	if err != nil {
		return "", fmt.Errorf("%s from file %s: %s", what, s.file, pathReason(err))
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s from file %s: not a regular file", what, s.file)
	}
	f, err := os.Open(s.file)
	if err != nil {
		return "", fmt.Errorf("%s from file %s: %s", what, s.file, pathReason(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, longest+1))
	if err != nil {
		return "", fmt.Errorf("%s from file %s: %s", what, s.file, pathReason(err))
	}
	if len(b) > longest {
		return "", fmt.Errorf("%s from file %s is larger than %d bytes", what, s.file, longest)
	}
	return string(b), nil
}

func pathReason(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return "cannot be read"
}

// Check tries the source once. A warning says that the secret can be used but is kept carelessly; an error says
// that it cannot be used.
func (s Secret) Check() (warning string, err error) {
	if _, err := s.Reveal(); err != nil {
		return "", err
	}
	if s.file == "" {
		return "", nil
	}
	info, err := os.Stat(s.file)
	if err == nil && info.Mode().Perm()&0o007 != 0 {
		return fmt.Sprintf("%s can be read by everybody on this machine (mode %04o)", filepath.Clean(s.file), info.Mode().Perm()), nil
	}
	return "", nil
}

// UnmarshalYAML accepts exactly {file: PATH} or {env: NAME}. A value written in its place is refused without being
// repeated. (The older form of the method keeps the decoder strict below it and this package free of YAML.)
func (s *Secret) UnmarshalYAML(unmarshal func(any) error) error {
	var fields map[string]string
	if unmarshal(&fields) != nil || len(fields) != 1 || (fields["file"] == "" && fields["env"] == "") {
		return errors.New("a secret is named by its source, {file: PATH} or {env: NAME}, never written here")
	}
	*s = Secret{file: fields["file"], env: fields["env"]}
	return nil
}

// JSONSchema describes the two sources.
func (Secret) JSONSchema() map[string]any {
	source := func(key, about string) map[string]any {
		return map[string]any{
			"type": "object", "additionalProperties": false, "required": []string{key},
			"properties": map[string]any{key: map[string]any{"type": "string", "minLength": 1, "description": about}},
		}
	}
	return map[string]any{"oneOf": []any{
		source("file", "The file that holds the secret, read at each use."),
		source("env", "The environment variable that holds the secret."),
	}}
}

// MarshalYAML writes the source in the form that UnmarshalYAML reads, and null for no secret.
func (s Secret) MarshalYAML() (any, error) {
	switch {
	case s.file != "":
		return map[string]string{"file": s.file}, nil
	case s.env != "":
		return map[string]string{"env": s.env}, nil
	}
	return nil, nil
}

// Format prints "<secret>" under every verb.
func (s Secret) Format(w fmt.State, _ rune) { io.WriteString(w, hidden) }

// String returns "<secret>".
func (s Secret) String() string { return hidden }

// MarshalText writes "<secret>", for JSON and every encoder that asks for text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue logs "<secret>".
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }
