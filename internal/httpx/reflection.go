package httpx

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"prober/internal/encoded"
	"prober/internal/secret"
)

// Places where an answer may repeat a credential, for Exchange.Reflected.
const (
	inBody     = "the body"
	inHeader   = "a header"
	inLocation = "the Location of a redirect"
	inTrailer  = "a trailer"
	inInterim  = "an interim answer (1xx)"
)

// credentials are what a request authenticates with, as they would look in an answer that repeats them.
type credentials struct {
	texts   []string
	cookies []string // a server that renews a session sends the same value in Set-Cookie
}

// sentCredentials returns the credentials of a request. Those of the settings are secret; what a kind adds to one request
// may be made up, such as a forged token, and counts only if all of it is known to be secret.
func (s *Settings) sentCredentials(req *http.Request, q *Request, token string) (sent credentials) {
	if s.AllowReflection {
		return sent
	}
	if s.Login != nil && s.Login.SendHeader != "" {
		sent.texts = append(sent.texts, token)
	}
	configured := canonical(s.Headers)
	for name, values := range req.Header {
		if !isCredential(name, configured) {
			continue
		}
		_, added := q.Header[name]
		own := !added || (name == "Authorization" && !q.Anonymous && len(s.Credentials()) > 0)
		for _, value := range values {
			sent.add(name, value, own)
		}
	}
	if form, err := url.ParseQuery(string(q.Body)); err == nil && strings.HasPrefix(req.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		for _, name := range []string{"client_secret", "password"} {
			sent.addKnown(form.Get(name))
		}
	}
	return sent
}

// A header whose value is kept in a file may also be an id, which any answer may repeat. The names of those that carry
// credentials match the first of these, and not the second.
var (
	credentialName = regexp.MustCompile(`(?i)auth|token|secret|key|passw|session|cookie|credential|signature|jwt|bearer`)
	identityName   = regexp.MustCompile(`(?i)idempotency|(user|email|name|key-id|client-id|application-id|org|tenant)$`)
)

func isCredential(name string, configured map[string]Value) bool {
	if name == "Authorization" || name == "Proxy-Authorization" || name == "Cookie" {
		return true
	}
	return !configured[name].Secret.IsZero() && credentialName.MatchString(name) && !identityName.MatchString(name)
}

// add adds the credential in the value of a header.
func (c *credentials) add(name, value string, own bool) {
	if name == "Cookie" {
		for pair := range strings.SplitSeq(value, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if name = strings.ToLower(name); !strings.Contains(name, "csrf") && !strings.Contains(name, "xsrf") { // meant to be repeated
				c.cookies = append(c.cookies, value)
			}
		}
		return
	}
	scheme, text, found := strings.Cut(value, " ")
	if !found {
		text = value
	}
	if strings.EqualFold(scheme, "Basic") {
		if _, password, ok := (&http.Request{Header: http.Header{"Authorization": {value}}}).BasicAuth(); ok {
			if plain, err := url.QueryUnescape(password); err == nil && !own {
				password = plain // of a client (RFC 6749, section 2.3.1)
			}
			if own {
				c.texts = append(c.texts, password, text)
			} else {
				c.addKnown(password)
			}
		}
		return
	}
	if own {
		c.texts = append(c.texts, text)
		return
	}
	c.addKnown(text)
}

// addKnown adds a text if all of it is known to be secret.
func (c *credentials) addKnown(text string) {
	if text != "" && secret.IsKnown(text) {
		c.texts = append(c.texts, text)
	}
}

// ownTokenFields are where sound services tell their caller its own token, by a part of the path.
var ownTokenFields = []struct{ path, fields string }{
	{"", "sessionToken"},                      // Parse
	{"/auth/token/", "id|client_token"},       // Vault: lookup-self, renew-self
	{"/auth-refresh", "token"},                // PocketBase, for a token that cannot be renewed
	{"/oauth/", "access_token|refresh_token"}, // an issuer that answers with the token that it issued before
	{"/token", "access_token|refresh_token"},
}

// withoutOwnTokens returns a body without the fields in which the service means to tell its caller the token.
func withoutOwnTokens(path, body string, tokens []string) string {
	for _, token := range tokens {
		if len(token) < encoded.MinFound || !strings.Contains(body, token) {
			continue
		}
		for _, own := range ownTokenFields {
			if strings.Contains(path, own.path) {
				field := regexp.MustCompile(`"(` + own.fields + `)"\s*:\s*"` + regexp.QuoteMeta(token) + `"`)
				body = field.ReplaceAllString(body, `"$1":""`)
			}
		}
	}
	return body
}

func headerText(h http.Header) string {
	var b strings.Builder
	for name, values := range h {
		writeField(&b, name, values)
	}
	return b.String()
}

func writeField(b *strings.Builder, name string, values []string) {
	b.WriteString(name)
	b.WriteString(": ")
	for _, v := range values {
		b.WriteString(v)
		b.WriteByte('\n')
	}
}

// A finderCache has the Finder of the texts that were looked for last: most requests of a client carry one credential.
type finderCache struct {
	mu     sync.Mutex
	texts  []string
	finder encoded.Finder
}

func (c *finderCache) of(texts []string) encoded.Finder {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(texts, c.texts) {
		c.texts, c.finder = texts, encoded.NewFinder(texts...)
	}
	return c.finder
}

// reflected returns where an answer repeats a credential of its request, and whether there was any to look for.
func (a *Answer) reflected(path string, sent credentials, finders *finderCache) (where string, sought bool) {
	anywhere := finders.of(slices.Concat(sent.cookies, sent.texts))
	if anywhere.IsZero() || (a.Status == 0 && a.Interim == nil) {
		return "", false
	}
	texts := anywhere
	if sent.cookies != nil {
		texts = encoded.NewFinder(sent.texts...)
	}
	var headers, cookies strings.Builder
	headers.WriteString(a.StatusText + "\n")
	for name, values := range a.Header {
		switch name {
		case "Set-Cookie":
			writeField(&cookies, name, values)
		case "Location":
			if anywhere.In(headerText(http.Header{name: values})) {
				return inLocation, true
			}
		default:
			writeField(&headers, name, values)
		}
	}
	if anywhere.In(headers.String()) || texts.In(cookies.String()) {
		return inHeader, true
	}
	if anywhere.In(headerText(a.Trailer)) {
		return inTrailer, true
	}
	for _, interim := range a.Interim {
		if anywhere.In(headerText(interim)) {
			return inInterim, true
		}
	}
	if anywhere.In(withoutOwnTokens(path, string(a.Body), sent.texts)) {
		return inBody, true
	}
	return "", true
}
