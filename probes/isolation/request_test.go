package isolation

import (
	"net/url"
	"testing"
)

func TestExpand(t *testing.T) {
	v := vars{org: "{id}", id: "a/b", canary: "c", page: "2", cursor: "{org"}
	for text, want := range map[string]string{
		"":                       "",
		"/memories":              "/memories",
		"/{org}/{id}?p={page}":   "/%7Bid%7D/a%2Fb?p=2",
		"{canary}{canary}":       "cc",
		`{"text": "{canary}"}`:   `{"text": "c"}`,
		"{other} {{id}} {id {id": "{other} {a%2Fb} {id {id",
		"{cursor}}{":             "%7Borg}{",
	} {
		if got := v.expand(text, url.PathEscape); got != want {
			t.Errorf("%s: expected %s, got %s", text, want, got)
		}
	}
	if got := v.expand("{unix_nano}", verbatim); len(got) < 19 {
		t.Errorf("expected nanoseconds, got %s", got)
	}
	for _, variable := range variables {
		if got := v.expand(variable, verbatim); got == variable {
			t.Errorf("%s is not filled in", variable)
		}
	}
}
