package text

import "testing"

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text   string
		width  int
		indent string
		want   string
	}{
		{"", 10, "", ""},
		{"one two three", 13, "", "one two three"},
		{"one two three", 12, "", "one two\nthree"},
		{"one two three", 7, "  ", "  one two\n  three"},
		{"one https://shop.example/ two", 8, "", "one\nhttps://shop.example/\ntwo"},
		{"ää öö üü", 5, "", "ää öö\nüü"},
		{"one two\n\n  three  four five six", 7, "", "one two\n\n  three  four five six"},
	} {
		if got := Wrap(c.text, c.width, c.indent); got != c.want {
			t.Errorf("%q in %d columns: got %q, want %q", c.text, c.width, got, c.want)
		}
	}
}
