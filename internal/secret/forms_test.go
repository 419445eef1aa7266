package secret

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
)

// forms are the ways in which a server, a library or a careless format string may hand a secret back, each with the
// way in which whoever reads the text would get it out again.
var forms = map[string]struct{ write, read func(string) string }{
	"plain":         {same, same},
	"upper":         {strings.ToUpper, same},
	"lower":         {strings.ToLower, same},
	"query":         {url.QueryEscape, unquery},
	"path":          {url.PathEscape, unpath},
	"percent":       {percentAll, unpath},
	"json":          {toJSON, fromJSON},
	"json plain":    {toPlainJSON, fromJSON},
	"json ascii":    {toASCII, fromJSON},
	"json slash":    {func(s string) string { return strings.ReplaceAll(toPlainJSON(s), "/", `\/`) }, fromJSON},
	"json twice":    {func(s string) string { return toJSON(toJSON(s)) }, func(s string) string { return fromJSON(fromJSON(s)) }},
	"go":            {func(s string) string { return fmt.Sprintf("%q", s) }, fromGo},
	"go ascii":      {func(s string) string { return fmt.Sprintf("%+q", s) }, fromGo},
	"json in query": {func(s string) string { return url.QueryEscape(toJSON(s)) }, func(s string) string { return fromJSON(unquery(s)) }},
	"html":          {html.EscapeString, html.UnescapeString},
	"html named":    {htmlNamed, html.UnescapeString},
	"html numbers":  {htmlNumbers, html.UnescapeString},
	"hex":           {func(s string) string { return hex.EncodeToString([]byte(s)) }, unhex},
	"HEX":           {func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) }, unhex},
}

func same(s string) string    { return s }
func unquery(s string) string { return lenient(url.QueryUnescape, s) }
func unpath(s string) string  { return lenient(url.PathUnescape, s) }

func lenient(read func(string) (string, error), s string) string {
	if out, err := read(s); err == nil {
		return out
	}
	return s
}

func percentAll(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02x", s[i])
	}
	return b.String()
}

func toJSON(s string) string {
	b, _ := json.Marshal(s)
	return string(b[1 : len(b)-1])
}

func toPlainJSON(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s)
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(b.String()), `"`), `"`)
}

func toASCII(s string) string {
	var b strings.Builder
	for _, unit := range utf16s(s) {
		if unit < 0x80 && unit >= ' ' && unit != '"' && unit != '\\' {
			b.WriteByte(byte(unit))
			continue
		}
		fmt.Fprintf(&b, `\u%04X`, unit)
	}
	return b.String()
}

func utf16s(s string) (out []uint16) {
	for _, c := range s {
		if c > 0xffff {
			c -= 0x10000
			out = append(out, uint16(0xd800+c>>10), uint16(0xdc00+c&0x3ff))
			continue
		}
		out = append(out, uint16(c))
	}
	return out
}

func fromJSON(s string) string {
	var out string
	if json.Unmarshal([]byte(`"`+strings.ReplaceAll(s, "\t", `\t`)+`"`), &out) != nil {
		return s
	}
	return out
}

func fromGo(s string) string { return lenient(strconv.Unquote, s) }

func htmlNamed(s string) string {
	return strings.NewReplacer(`"`, "&quot;", "'", "&apos;", "<", "&lt;", ">", "&gt;", "&", "&amp;", "/", "&sol;").Replace(s)
}

func htmlNumbers(s string) string {
	var b strings.Builder
	for i, c := range s {
		if i%2 == 0 {
			fmt.Fprintf(&b, "&#%d;", c)
			continue
		}
		fmt.Fprintf(&b, "&#x%X;", c)
	}
	return b.String()
}

func unhex(s string) string {
	var out []byte
	for i := 0; i+2 <= len(s); {
		b, err := hex.DecodeString(s[i : i+2])
		if err != nil {
			out = append(out, '.')
			i++
			continue
		}
		out = append(out, b...)
		i += 2
	}
	return string(out)
}

// leak returns the first piece of the value that can be read in the text, in any case of letters.
func leak(text, value string) string {
	text, value = strings.ToLower(text), strings.ToLower(value)
	size := min(window, len(value))
	for i := 0; i+size <= len(value); i++ {
		if strings.Contains(text, value[i:i+size]) {
			return value[i : i+size]
		}
	}
	return ""
}

var values = []string{
	"hunter2-0123456789abcdef",
	"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwcm9iZXIifQ.c2lnbmF0dXJl-_x",
	`p@ss/w"or<d>&'=%?+\#~!`,
	"correct horse battery staple",
	"schlüssel-für-größe-日本語-🔑-geheim",
	`a\nb\u0041c%41d&amp;e+f g`,
	"tab\tand\x1bescape\x7f",
	"aaaaaaaaaaaa",
	"0123456789",
	"sevenby",
	"six?be",
	"five%",
	"f/ur",
	"exactly8",
	strings.Repeat("Long0", 2000),
}
