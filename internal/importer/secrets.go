package importer

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	labelName  = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]{0,63}$`)
	secretName = regexp.MustCompile(`(?i)(auth|bearer|cookie|credential|jwt|key|passphrase|passw|pwd|secret|session|signature|token)|^(sig|pass|pat|pin|otp)$`)
	// secretWords are the beginnings of credentials in a header, and of lines that log in.
	secretWords = regexp.MustCompile(`(?i)^(basic|bearer|digest|token|apikey|auth|pass|login|a[0-9]* login|oper|user [^ ]+ pass)\b`)
	inBody      = regexp.MustCompile(`(?i)(auth|credential|key|passphrase|passw[a-z]*|pwd|secret|token|[?&"']pass|sig)[a-z_]*["']?\s*[:=>]`)
	opaque      = regexp.MustCompile(`[A-Za-z0-9_+/=.-]{20,}`)
	reference   = regexp.MustCompile(`^\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?$`)
)

// isSecretName reports whether what bears a name is likely secret.
//
//go:noinline
func isSecretName(name string) bool { return secretName.MatchString(name) }

// looksSecret reports whether a text has something in it that looks like a credential: when in doubt it is not copied.
func looksSecret(s string) bool {
	if secretWords.MatchString(s) || inBody.MatchString(s) {
		return true
	}
	for _, part := range opaque.FindAllString(s, -1) {
		if strings.ContainsAny(part, "0123456789") && strings.ContainsAny(strings.ToLower(part), "abcdefghijklmnopqrstuvwxyz") && !strings.Contains(part, "/") {
			return true
		}
	}
	return false
}

// secret returns where a secret is to come from, by its key: its file, or a variable. A text that is a variable is that.
func (s *source) secret(key string) plain {
	if name := environment(s.text(key)); name != "" {
		return plain("{env: " + name + "}")
	}
	return s.variable(s, key)
}

// file returns a secret that is in a file.
func fileOf(path string) *mapping {
	m := &mapping{}
	m.set("file", path)
	return m
}

// ourHeaders are written by the prober only.
var ourHeaders = []string{
	"accept-encoding", "connection", "content-length", "expect", "keep-alive", "proxy-authorization",
	"proxy-connection", "referer", "te", "traceparent", "trailer", "transfer-encoding", "upgrade", "user-agent",
}

// header writes a header that is sent.
func (s *source) header(m *mapping, name string) {
	v := s.text(name)
	switch {
	case slices.Contains(ourHeaders, strings.ToLower(name)):
		s.without(m, "header "+name, "is written by the prober itself")
	case v == "":
		s.without(m, "header "+name, "has no value")
	case isSecretName(name) || looksSecret(v) || reference.MatchString(v):
		m.in("headers").set(name, s.secret(name))
	default:
		m.in("headers").set(name, v)
	}
}

// body writes the body of a request.
func (s *source) body(m *mapping, key string) {
	v := s.text(key)
	switch {
	case v == "":
	case looksSecret(v) || reference.MatchString(v):
		m.set("body", s.secret(key))
	default:
		m.set("body", v)
	}
}

// secretParams are names of query parameters that carry credentials.
func secretParams(u *url.URL) bool {
	for name, values := range u.Query() {
		if isSecretName(name) || slices.ContainsFunc(values, looksSecret) {
			return true
		}
	}
	return false
}

// tokenURL writes where tokens are issued, if there is no credential in that.
func (s *source) tokenURL(m *mapping, raw string) {
	if u, err := url.Parse(raw); err != nil || u.User != nil || secretParams(u) {
		s.ask(m, "token_url", "has a credential, or is no URL: name where tokens are issued, and the credential apart")
		return
	}
	m.set("token_url", raw)
}

// target writes a URL. The user in it becomes basic.
func (s *source) target(m *mapping, raw, from string) *url.URL {
	raw, _, _ = strings.Cut(raw, "#")
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		s.ask(m, "url", from+" is no URL of http or https")
		return &url.URL{}
	case secretParams(u):
		s.warnings = append(s.warnings, s.place(from)+": the query has a credential, which was not copied; send it as a header")
		s.ask(m, "url", "was "+u.Scheme+"://"+u.Host+u.Path+" with a credential in the query: send it as a header")
		return u
	case u.User != nil:
		user := u.User.Username()
		u.User = nil
		m.set("url", u.String())
		basic := m.in("basic")
		basic.set("username", user)
		basic.set("password", s.variable(s, from+"-password"))
	default:
		m.set("url", raw)
	}
	return u
}
