// Package control holds controls that kinds share: requests that show that a check could have failed.
package control

import (
	"crypto/rand"
	"net/url"
	"strings"
)

// NonexistentURL is a URL beside another that nobody can have foreseen.
func NonexistentURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "-" + rand.Text()
	u.RawPath = ""
	return u.String()
}
