package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/secret"
)

// A PrivateURL is an address whose path or query is a secret, as that of most webhooks is. It is written down, or in a file that
// is read at each use.
type PrivateURL struct {
	Text string
	File string
}

// Reveal returns the URL and makes it known to the redactor. The error does not repeat it.
func (p PrivateURL) Reveal() (string, error) {
	text := p.Text
	if p.File != "" {
		var err error
		if text, err = secret.File(p.File).Reveal(); err != nil {
			return "", err
		}
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return "", errors.New("expected the URL of a receiver, http://HOST... or https://HOST..., without a user")
	}
	learn(u)
	return text, nil
}

// learn makes the secret parts of a URL known to the redactor: those of the path and the values of parameters that look like a
// token. The others are words, such as "services", that may stand anywhere.
func learn(u *url.URL) {
	parts := strings.FieldsFunc(u.Path+"?"+u.RawQuery, func(c rune) bool { return strings.ContainsRune("/?&=", c) })
	for i, part := range parts {
		if len(part) >= minToken && strings.ContainsAny(part, "0123456789") {
			secret.Learn(fmt.Sprintf("part %d of the URL of a receiver at %s", i, u.Host), part)
		}
	}
}

// minToken is the least length of a token in a URL.
const minToken = 8

// Format prints "<secret>" for every verb.
func (PrivateURL) Format(w fmt.State, _ rune) { io.WriteString(w, "<secret>") }

// IsZero reports whether there is no URL.
func (p PrivateURL) IsZero() bool { return p == PrivateURL{} }

// client returns a client for the URL. It is refused if it would show the secret to anyone on the way.
func (p PrivateURL) client() (client, error) {
	text, err := p.Reveal()
	if err != nil {
		return client{}, err
	}
	u, err := url.Parse(text)
	if err != nil {
		return client{}, errors.New("expected a URL")
	}
	u.RawQuery, u.Fragment = "", "" // parameters with secrets are what these URLs are about
	settings := httpx.Settings{Confidential: true}
	if _, err := settings.Client(u.String()); err != nil {
		return client{}, errors.New("expected https://, or http:// on this machine: the URL is a secret")
	}
	h, err := newClient(settings)
	return client{http: h, url: p.Reveal, private: true}, err
}

// newWatchdog makes the receiver that raises an alarm when it is not told for long. It is told only while the prober works.
func newWatchdog(at PrivateURL, every time.Duration, works func() error, report func(string, error)) (*receiver, error) {
	c, err := at.client()
	if err != nil {
		return nil, err
	}
	return &receiver{name: "watchdog", interval: every, report: report, tell: func(ctx context.Context) error {
		if works() != nil {
			return errIdle
		}
		return c.send(ctx, http.MethodGet, nil, nil)
	}}, nil
}
