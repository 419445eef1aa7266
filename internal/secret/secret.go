// Package secret has a type for values that cannot be printed.
//
// A Secret knows the source of its value and reads it at use. A rotated file is picked up without a reload, and no
// value is stored in a configuration that could be dumped. Redact knows every value that was revealed, and all text that
// leaves the prober passes through it.
package secret

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"prober/internal/file"
)

// MinBytes is the minimum length of a value. A shorter one could not be told apart from ordinary text, and so not be
// redacted.
const MinBytes = 4

// maxFileBytes bounds the size of a secret's file, so that a path to a device or a log cannot fill the memory.
const maxFileBytes = 64 << 10

const hidden = "<secret>"

// A Secret is a value that is known only by its source, {file: PATH} or {env: NAME}. It prints as "<secret>" with every
// verb and encoder. The zero value has no source; see IsZero.
type Secret struct {
	file, env string
	from      *Environment // of env; nil: the process's
}

// An Environment has variables that are not in the environment of the process, such as the credentials of a sample
// system. Like a Secret it prints as "<secret>".
type Environment struct{ vars map[string]string }

// NewEnvironment returns an environment with these variables.
func NewEnvironment(vars map[string]string) *Environment { return &Environment{maps.Clone(vars)} }

// Format prints "<secret>" for every verb.
func (Environment) Format(w fmt.State, _ rune) { io.WriteString(w, hidden) }

// MarshalText writes "<secret>", for JSON and every encoder that uses text.
func (Environment) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue logs "<secret>".
func (Environment) LogValue() slog.Value { return slog.StringValue(hidden) }

// File returns the secret in the file at path.
func File(path string) Secret { return Secret{file: path} }

// Env returns the secret in the environment variable name.
func Env(name string) Secret { return Secret{env: name} }

// In returns the secret with its variable in e, and no longer in the environment of the process. Other secrets are
// returned as they are.
func (s Secret) In(e *Environment) Secret {
	if s.env != "" {
		s.from = e
	}
	return s
}

// RelativeTo returns the secret with its file, if that is not absolute, below dir. Other secrets are returned as they are.
func (s Secret) RelativeTo(dir string) Secret {
	if s.file != "" && !filepath.IsAbs(s.file) {
		s.file = filepath.Join(dir, s.file)
	}
	return s
}

// IsZero reports whether the secret has no source.
func (s Secret) IsZero() bool { return s == Secret{} }

// Source names the source, "file PATH" or "env NAME", never the value.
//
//go:noinline
func (s Secret) Source() string {
	switch {
	case s.file != "":
		return "file " + s.file
	case s.env != "":
		return "env " + s.env
	}
	return "no source"
}

// Reveal reads the value, without trailing line ends, and makes it known to Redact. The error names the source and the
// problem, never the value.
func (s Secret) Reveal() (string, error) {
	value, err := s.read("secret")
	switch {
	case err != nil:
		return "", err
	case len(value) < MinBytes:
		return "", fmt.Errorf("secret from %s is shorter than %d bytes", s.Source(), MinBytes)
	case strings.ContainsAny(value, "\r\n\x00"):
		return "", fmt.Errorf("secret from %s contains a line break or a NUL", s.Source())
	}
	source := s.Source()
	if s.from != nil { // several environments may have a variable of the same name
		source += fmt.Sprintf(" in %p", &s.from.vars)
	}
	Learn(source, value)
	return value, nil
}

// read returns the content of the source without trailing line ends, and an error if it is empty. What names the value
// in errors.
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
		value, ok := s.lookup()
		if !ok {
			return "", fmt.Errorf("%s from env %s: the variable is not set", what, s.env)
		}
		return value, nil
	}
	if s.file == "" {
		return "", fmt.Errorf("%s has no source", what)
	}
	b, err := file.Read(s.file, maxFileBytes)
	if err != nil {
		return "", fmt.Errorf("%s from file %s: %s", what, s.file, file.Reason(err))
	}
	if len(b) > maxFileBytes {
		return "", fmt.Errorf("%s from file %s is larger than %d bytes", what, s.file, maxFileBytes)
	}
	return string(b), nil
}

func (s Secret) lookup() (value string, ok bool) {
	if s.from == nil {
		return os.LookupEnv(s.env)
	}
	value, ok = s.from.vars[s.env]
	return value, ok
}

// Check reads the source once. The warning is about a secret that is usable, but readable by everyone; the error about
// one that is not usable.
func (s Secret) Check() (warning string, err error) {
	if _, err := s.Reveal(); err != nil {
		return "", err
	}
	if s.file == "" {
		return "", nil
	}
	info, err := os.Stat(s.file)
	if err == nil && info.Mode().Perm()&0o007 != 0 {
		return fmt.Sprintf("%s is readable by everyone on this machine (mode %04o)", filepath.Clean(s.file), info.Mode().Perm()), nil
	}
	return "", nil
}

// ErrNotNamed says that a value stands where the source of a secret is to be named. It does not repeat it.
var ErrNotNamed = errors.New("a secret is named by its source, {file: PATH} or {env: NAME}, never written here")

// IsName reports whether a file, or a variable, can be called so. What cannot is as a rule the secret itself.
func IsName(text string, env bool) bool {
	return text != "" && !strings.Contains(text, "\n") && !(env && strings.ContainsAny(text, " ="))
}

// UnmarshalYAML accepts exactly {file: PATH} or {env: NAME}. A value in its place is refused and not repeated. (This
// older form of the method keeps the decoder strict and this package independent of YAML.)
func (s *Secret) UnmarshalYAML(unmarshal func(any) error) error {
	var fields map[string]string
	if unmarshal(&fields) != nil || len(fields) != 1 || !IsName(fields["file"], false) && !IsName(fields["env"], true) {
		return ErrNotNamed
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

// MarshalYAML writes the source in the form that UnmarshalYAML reads, and null for the zero value.
func (s Secret) MarshalYAML() (any, error) {
	switch {
	case s.file != "":
		return map[string]string{"file": s.file}, nil
	case s.env != "":
		return map[string]string{"env": s.env}, nil
	}
	return nil, nil
}

// Format prints "<secret>" for every verb.
func (s Secret) Format(w fmt.State, _ rune) { io.WriteString(w, hidden) }

// String returns "<secret>".
func (s Secret) String() string { return hidden }

// MarshalText writes "<secret>", for JSON and every encoder that uses text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue logs "<secret>".
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }
