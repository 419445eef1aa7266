// Package strictyaml reads YAML into Go values and refuses everything that nobody asked for.
//
// It stands over yaml.v3, whose own decoder stops at the first mistake below a custom unmarshaler and forgets its line,
// repeats values in its messages, takes null for "" and truncates 1.7 to 1. Here every mistake is returned, each at its
// line, and no message repeats a value: it may be a secret in the wrong place.
//
// Parse turns bytes into a tree, a Decoder turns a tree into structs. Struct tags say how:
//
//	yaml:"key"          the key, as yaml.v3 reads the tag, with ",inline" for embedded structs and "-" for none
//	required:"true"     the key must be given
//	doc:"sentence"      the description in the JSON Schema
//	default:"30s"       what applies if the key is not given, as somebody would write it in YAML; the JSON Schema shows
//	                    it. The decoder does not set it: that is up to the code that uses the field.
//	renamed:"old,older" keys that the field had before. They are refused, with a message that says the new name.
//	mask:"true"         a credential may be among what is written out here, so Mask hides it
//	empty:"true"        an empty text, list or mapping is as good as none; for any other key that may be left out it is refused, since what
//	                    a template filled in with nothing would be a question that is no longer asked
//	short:"true"        a value that is no mapping, in place of the struct, is that of this field. The key may be "-".
package strictyaml

import (
	"fmt"
	"strings"
)

// A Mistake is one thing wrong with a document.
type Mistake struct {
	Line int    // from 1; 0 for the document as a whole
	Path string // of the setting concerned, such as callers.valid.status or orgs[1].token; empty if it is no single one
	Text string // one sentence for a person, which begins with the path; no value and no strange key out of the document
}

// Concerns reports whether the mistake is about a setting, about something in it, or about something that holds it.
func (m Mistake) Concerns(path string) bool { return within(m.Path, path) || within(path, m.Path) }

//go:noinline
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (outer == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

//go:noinline
func mistake(line int, at path, format string, args ...any) Mistake {
	text := fmt.Sprintf(format, args...)
	if at.shown != "" {
		text = at.shown + ": " + text
	}
	return Mistake{Line: line, Path: at.real, Text: text}
}

// mistakes is the error of a value that reads itself out of others which are not right.
type mistakes []Mistake

func (m mistakes) Error() string { return m[0].Text }
