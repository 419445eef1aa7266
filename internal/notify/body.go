package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A Body is the template of what a webhook is sent: JSON with ${NAME} inside its strings. The zero value is what Slack reads.
type Body struct{ text string }

const defaultBody = `{"text": "${text}"}`

// MaxBody is the size of the largest template, in bytes.
const MaxBody = 64 << 10

// placeholder matches what is replaced. A name that is not closed is one that is unknown.
var placeholder = regexp.MustCompile(`\$\{([^}"\n]*)\}?`)

// trial is no JSON outside of a string, and inside of one not the end of an escape.
const trial = "x y"

// ParseBody checks a template, so that whatever is filled in makes valid JSON. Errors name the file and the line.
func ParseBody(file, text string) (Body, error) {
	at := func(offset int) string { return fmt.Sprintf("%s:%d", file, 1+strings.Count(text[:offset], "\n")) }
	if len(text) > MaxBody {
		return Body{}, fmt.Errorf("%s: expected at most %d bytes", file, MaxBody)
	}
	known := message{}.values()
	for _, m := range placeholder.FindAllStringSubmatchIndex(text, -1) {
		if _, ok := known[text[m[2]:m[3]]]; !ok || text[m[1]-1] != '}' {
			return Body{}, fmt.Errorf("%s: unknown name %s", at(m[0]), text[m[0]:m[1]])
		}
	}
	filled := placeholder.ReplaceAllLiteralString(text, trial)
	var wrong *json.SyntaxError
	if err := json.Unmarshal([]byte(filled), new(any)); errors.As(err, &wrong) {
		line := 1 + strings.Count(filled[:min(int(wrong.Offset), len(filled))], "\n")
		return Body{}, fmt.Errorf("%s:%d: expected JSON with ${NAME} inside quotes only: %w", file, line, err)
	} else if err != nil {
		return Body{}, fmt.Errorf("%s: expected JSON: %w", file, err)
	}
	return Body{text}, nil
}

// fill returns the body of a message. What is filled in is not looked through again.
func (b Body) fill(m message) []byte {
	text, values := b.text, m.values()
	if text == "" {
		text = defaultBody
	}
	return []byte(placeholder.ReplaceAllStringFunc(text, func(found string) string {
		quoted, err := json.Marshal(harmless(values[found[2:len(found)-1]]))
		if err != nil {
			return "" // text can be written always
		}
		return string(quoted[1 : len(quoted)-1])
	}))
}

// calling matches what calls people in a chat, in whatever case of letters, and what shows a link under another name.
var calling = regexp.MustCompile(`(?i)<[!@#]|<http|<mailto|@channel|@here|@everyone|@all|\]\(`)

// harmless breaks that up by a character that nobody sees: targets may write it where their words are shown.
func harmless(text string) string {
	return calling.ReplaceAllStringFunc(text, func(found string) string { return found[:1] + "\u200b" + found[1:] })
}
