// Package encoded finds a text in the forms in which servers, libraries and format strings write it: in base64 or hex,
// in escape sequences of URLs, of languages with a backslash or of HTML, over several lines, in UTF-16.
//
// Redaction looks for secrets with it, and the search for leaks looks for canaries. What one of them finds, the other
// finds too.
package encoded

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// A Form is how a text is encoded as a whole.
type Form string

// The forms of a text, escape sequences aside.
const (
	Plain  Form = "plain"
	Base64 Form = "base64"
	Hex    Form = "hex"
)

// A Variant is a text as it is written in one form.
type Variant struct {
	Form Form
	Text string
}

// Variants returns the forms of a text: as it is and with the blanks of a query, in hex, and in base64 of both
// alphabets. Within a longer text, base64 has one of three alignments; the first and last characters of each also
// depend on the neighbours and are left out. Searches ignore the case of ASCII letters, as Fold does.
func Variants(text string) []Variant {
	all := append(make([]Variant, 0, 9), Variant{Plain, text}, Variant{Hex, hex.EncodeToString([]byte(text))})
	if query := strings.ReplaceAll(text, " ", "+"); query != text {
		all = append(all, Variant{Plain, query})
	}
	for shift := range 3 {
		padded := append(make([]byte, shift), text...)
		from, to := (shift*8+5)/6, len(padded)*8/6
		if from >= to {
			continue
		}
		std := base64.RawStdEncoding.EncodeToString(padded)[from:to]
		url := base64.RawURLEncoding.EncodeToString(padded)[from:to]
		all = append(all, Variant{Base64, std})
		if url != std {
			all = append(all, Variant{Base64, url})
		}
	}
	return all
}

// Fold returns an ASCII letter in lower case, and any other byte unchanged, so that every byte keeps its place.
func Fold(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// Folded returns a text with every byte folded: itself, if there is no capital letter in it.
func Folded(text string) string {
	for i := range len(text) {
		if Fold(text[i]) == text[i] {
			continue
		}
		out := []byte(text)
		for ; i < len(out); i++ {
			out[i] = Fold(out[i])
		}
		return string(out)
	}
	return text
}
