package probes

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"prober/internal/httpx"
	"prober/internal/secret"
)

// An oauthClient is how a kind that asks for tokens itself, to measure or to examine it, says who it is.
type oauthClient struct {
	id, secret string
	inForm     bool // client_secret_post; else client_secret_basic
}

// post makes a request of a form sent as the client (RFC 6749, section 2.3.1).
func (c oauthClient) post(q httpx.Request, form url.Values) httpx.Request {
	q.Method = http.MethodPost
	q.Header = http.Header{"Accept": {"application/json"}, "Content-Type": {"application/x-www-form-urlencoded"}}
	if c.inForm {
		form.Set("client_id", c.id)
		form.Set("client_secret", c.secret)
	} else {
		pair := url.QueryEscape(c.id) + ":" + url.QueryEscape(c.secret)
		q.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	q.Body = []byte(form.Encode())
	return q
}

// credentialsGrant is the form of a token request (RFC 6749, section 4.4.2).
func credentialsGrant(params map[string]string, scopes []string) url.Values {
	form := make(url.Values, len(params)+4)
	for name, v := range params {
		form.Set(name, v)
	}
	form.Set("grant_type", "client_credentials")
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	return form
}

// learnToken makes the token in an answer known to the redactor, under a name of its own.
func learnToken(source string) func(*httpx.Answer) {
	return func(a *httpx.Answer) {
		if token := issuedToken(a); wellFormed(token) {
			secret.Learn(source, token)
		}
	}
}
