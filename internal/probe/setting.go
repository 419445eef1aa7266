package probe

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A Setting is a setting in effect, for people to read: a value, or parts that are settings themselves. It holds no secret.
type Setting struct {
	Name, Value string
	Parts       []Setting
}

// A SettingError says what is wrong with one setting of a probe. Validate returns them, joined; the configuration finds
// the line by the path.
type SettingError struct {
	// Path leads to the setting from the probe, in the words of the configuration: replicas.want, callers.valid.status,
	// orgs[1].token. The path of a key that is missing is that of the key. It is empty if no single setting is wrong.
	Path string
	// Text says what is wrong, such as "expected 1 to 200, got 300". It repeats no secret.
	Text string
}

// Error returns "path: text", or the text if there is no path.
func (e SettingError) Error() string {
	if e.Path == "" {
		return e.Text
	}
	return e.Path + ": " + e.Text
}

// Settingf returns a SettingError.
//
//go:noinline
func Settingf(path, format string, args ...any) error {
	return SettingError{Path: path, Text: fmt.Sprintf(format, args...)}
}

// Renamed refuses a setting that is called otherwise now. It is for names that no struct tag can hold, such as a key of
// a map; fields have the tag renamed, see package strictyaml.
func Renamed(path, now string) error { return Settingf(path, "was renamed to %s", now) }

// namePattern is that of ValidateName.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// ValidateName refuses the name of a caller, an org or another of several that the configuration names, unless it is one
// word that can be a label, part of a path and part of a sentence.
func ValidateName(name string) error {
	if !namePattern.MatchString(name) {
		return Settingf("", "expected a name of letters, digits, _, . and -, at most 64, that begins with a letter or a digit")
	}
	return nil
}

// InSetting puts every SettingError in err below a setting, as a struct does with what its fields refuse. Any other
// error becomes one of the setting itself. It returns nil if err is nil.
func InSetting(path string, err error) error {
	if path == "" {
		return err
	}
	var all []error
	for _, e := range SettingErrors(err) {
		switch {
		case e.Path == "":
			e.Path = path
		case strings.HasPrefix(e.Path, "["):
			e.Path = path + e.Path
		default:
			e.Path = path + "." + e.Path
		}
		all = append(all, e)
	}
	return errors.Join(all...)
}

// MoveSetting says of the setting to what err says of the setting from, which is how a kind passes its own setting to
// shared code. What err says of others stays.
func MoveSetting(from, to string, err error) error {
	var all []error
	for _, e := range SettingErrors(err) {
		if rest, ok := strings.CutPrefix(e.Path, from); ok && (rest == "" || rest[0] == '.') {
			e.Path = to + rest
		}
		all = append(all, e)
	}
	return errors.Join(all...)
}

// SettingErrors takes a joined error apart. An error that wraps a SettingError is one of the same setting with the whole
// text, and an error without one is of no single setting.
func SettingErrors(err error) []SettingError {
	switch e := err.(type) { //nolint:errorlint // a joined error is taken apart, level by level
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		var all []SettingError
		for _, inner := range e.Unwrap() {
			all = append(all, SettingErrors(inner)...)
		}
		if all != nil {
			return all
		}
	}
	if inner, ok := errors.AsType[SettingError](err); ok {
		return []SettingError{{Path: inner.Path, Text: strings.Replace(err.Error(), inner.Error(), inner.Text, 1)}}
	}
	return []SettingError{{Text: err.Error()}}
}
