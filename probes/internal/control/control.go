// Package control holds controls that kinds share: requests that show that a check could have failed.
package control

import (
	"crypto/rand"
	"net/url"
	"strings"
)

// NonexistentURL returns a URL beside another, with a random name that no server can know.
func NonexistentURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "-" + rand.Text()
	return u.String()
}
