package control

import (
	"strings"
	"testing"
)

// TestNonexistentURL: it is beside the URL, whatever that ends in, keeps its query, and is another one each time.
func TestNonexistentURL(t *testing.T) {
	for url, c := range map[string]struct{ before, after string }{
		"https://a.test/v1/items":    {"https://a.test/v1/items-", ""},
		"https://a.test/v1/items/":   {"https://a.test/v1/items-", ""},
		"https://a.test":             {"https://a.test/-", ""},
		"https://a.test/":            {"https://a.test/-", ""},
		"https://a.test/items?of=me": {"https://a.test/items-", "?of=me"},
		"https://a.test/a%2Fb":       {"https://a.test/a/b-", ""},
	} {
		got, again := NonexistentURL(url), NonexistentURL(url)
		name := strings.TrimSuffix(strings.TrimPrefix(got, c.before), c.after)
		if got != c.before+name+c.after || len(name) < 20 || got == again {
			t.Errorf("%s: got %s, and %s, want %s(a random name)%s", url, got, again, c.before, c.after)
		}
	}
}
