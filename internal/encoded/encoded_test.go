package encoded

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

func TestVariants(t *testing.T) {
	const text = "a long>>>text???"
	variants := Variants(text)
	holds := func(form Form, written string) bool {
		return slices.ContainsFunc(variants, func(v Variant) bool { return v.Form == form && strings.Contains(written, v.Text) })
	}
	for shift := range 3 {
		for _, coding := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
			if written := coding.EncodeToString([]byte(strings.Repeat("~", shift) + text + "~")); !holds(Base64, written) {
				t.Errorf("alignment %d: %s holds none of %v", shift, written, variants)
			}
		}
	}
	if !holds(Hex, hex.EncodeToString([]byte(text))) || !holds(Plain, text) || !holds(Plain, "a+long>>>text???") {
		t.Errorf("a form is missing in %v", variants)
	}
	if got := Variants(""); len(got) != 2 {
		t.Errorf("of no text: %v", got)
	}
}

// views returns what can be read in a text.
func views(text string, mode Mode) []string {
	var all []string
	Views(text, mode, func(v View) { all = append(all, v.Text) })
	return all
}

func TestViews(t *testing.T) {
	const secret = "s/cr&t-é😀"
	for _, c := range []struct {
		name, text string
		mode       Mode
		found      bool
	}{
		{"plain", secret, 0, true},
		{"percent", `s%2Fcr%26t-%C3%A9%f0%9f%98%80`, 0, true},
		{"JSON", `s\/cr\u0026t-\u00e9\ud83d\ude00`, 0, true},
		{"Go", `s/cr&t-\u00e9\U0001f600`, 0, true},
		{"bytes", `s/cr&t-\xc3\xa9\xf0\x9f\x98\x80`, 0, true},
		{"a regular expression", `s\/cr\&t\-é😀`, 0, true},
		{"HTML", `s&sol;cr&amp;t-&eacute;&#x1F600;`, 0, true},
		{"HTML without semicolons", `s&#47cr&ampt-&eacute&#128512`, 0, true},
		{"JSON in a URL", `s%5c/cr%5Cu0026t-%5Cu00e9%5Cud83d%5Cude00`, 0, true},
		{"JSON in HTML", `s/cr\u0026amp;t-&eacute;\ud83d\ude00`, 0, true},
		{"three kinds", `s&#37;5cu002fcr&#37;5cu0026t-é😀`, 0, false},
		{"lines", "s/c\r\n  r&t-\té😀", Gaps, true},
		{"lines, not read across", "s/c\r\n  r&t-\té😀", 0, false},
		{"escaped lines", `s/c\r\n  r&t-é😀`, Gaps, true},
		{"NULs between", "s\x00/\x00c\x00r\x00&\x00t\x00-\x00é😀", Gaps, true},
		{"incomplete sequences", `%2 %zz \u12 \xz \ & &bogus; % \`, 0, false},
	} {
		found := slices.ContainsFunc(views("before "+c.text+" after", c.mode), func(v string) bool { return strings.Contains(v, secret) })
		if found != c.found {
			t.Errorf("%s: found is %t, want %t, in %q", c.name, found, c.found, views(c.text, c.mode))
		}
	}
}

func TestPlaces(t *testing.T) {
	const text = `a%5cu0062c&#59;d`
	all := views(text, 0)
	var at []string
	Views(text, Places, func(v View) {
		if v.Text != all[len(at)] {
			t.Errorf("with places the text is read as %q, without as %q", v.Text, all[len(at)])
		}
		if v.Place(len(v.Text)) != len(text) {
			t.Errorf("%q ends at %d", v.Text, v.Place(len(v.Text)))
		}
		var begins strings.Builder
		for i := range v.Text {
			begins.WriteByte(text[v.Place(i)])
		}
		at = append(at, v.Text+" "+begins.String())
	})
	want := []string{
		text + " " + text,
		`a\u0062c&#59;d a%u0062c&#59;d`, `abc&#59;d a%c&#59;d`, `a\u0062c;d a%u0062c&d`,
		`a%5cu0062c;d a%5cu0062c&d`, `a\u0062c;d a%u0062c&d`,
	}
	if !slices.Equal(at, want) {
		t.Errorf("got %q\nwant %q", at, want)
	}
}
