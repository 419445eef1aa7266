package httpx

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"prober/internal/dial"
)

// ourHeaders are written by the prober alone.
var ourHeaders = []string{
	"Accept-Encoding", "Connection", "Content-Length", "Expect", "Keep-Alive", "Proxy-Authorization",
	"Proxy-Connection", "Referer", "Te", "Traceparent", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent",
}

// secretHeaders carry credentials, whatever else is said.
var secretHeaders = []string{
	"Authorization", "Cookie", "X-Api-Key", "Api-Key", "X-Auth-Token", "X-Access-Token", "X-Vault-Token",
}

// secretParams are the names of query parameters that carry credentials.
var secretParams = []string{
	"access_token", "api_key", "api-key", "apikey", "auth", "auth_token", "client_secret", "id_token", "jwt", "key",
	"passwd", "password", "pwd", "refresh_token", "secret", "sig", "signature", "token", "x-amz-credential",
	"x-amz-security-token", "x-amz-signature", "x-goog-credential", "x-goog-signature",
}

// validate reports everything wrong with the settings and with asking these URLs by them. Each error begins with the
// key that is wrong.
func (s *Settings) validate(urls []string) error {
	var wrong []error
	wrong = append(wrong, s.validateHeaders(), s.validateAuth(), s.TLS.Validate(s.HasCredential()))
	if s.Connection != "" && s.Connection != fresh && s.Connection != reuse {
		wrong = append(wrong, errors.New("connection: wanted fresh or reuse"))
	}
	if s.MaxBody < 0 || s.MaxBody > maxMaxBody {
		wrong = append(wrong, fmt.Errorf("max_body: wanted 1 to %d bytes, got %d", maxMaxBody, s.MaxBody))
	}
	if s.Resolver != "" {
		host, port, err := net.SplitHostPort(s.Resolver)
		if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 || host == "" {
			wrong = append(wrong, errors.New("resolver: wanted host:port"))
		}
	}
	wrong = append(wrong, s.Trace.validate("trace"), s.Version.validate("version"))
	https := false
	for _, raw := range urls {
		if raw == "" {
			continue // the kind knows which of its keys is missing
		}
		u, err := s.validateURL(raw, s.HasCredential())
		https = https || (u != nil && u.Scheme == "https")
		wrong = append(wrong, err)
	}
	if s.HTTP2 && !https && len(urls) > 0 {
		wrong = append(wrong, errors.New("http2: is spoken over https only"))
	}
	return errors.Join(wrong...)
}

func (s *Settings) validateHeaders() error {
	var wrong []error
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		v, key := s.Headers[name], http.CanonicalHeaderKey(name)
		if other, twice := seen[key]; twice {
			wrong = append(wrong, fmt.Errorf("headers: %s and %s are the same header", other, name))
		}
		seen[key] = name
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			wrong = append(wrong, fmt.Errorf("headers: %q is no name of a header", name))
		case slices.Contains(ourHeaders, key):
			wrong = append(wrong, fmt.Errorf("headers: %s is written by the prober itself", name))
		case v.IsZero():
			wrong = append(wrong, fmt.Errorf("headers: %s has no value", name))
		case slices.Contains(secretHeaders, key) && v.Secret.IsZero():
			wrong = append(wrong, fmt.Errorf("headers: %s is secret: name its source, {file: PATH} or {env: NAME}", name))
		case !httpguts.ValidHeaderFieldValue(v.Text):
			wrong = append(wrong, fmt.Errorf("headers: %s holds a character that a header cannot carry", name))
		case key == "Host" && (!v.Secret.IsZero() || !httpguts.ValidHostHeader(v.Text)):
			wrong = append(wrong, fmt.Errorf("headers: %s is no host, or a secret one", name))
		}
	}
	return errors.Join(wrong...)
}

func (s *Settings) validateAuth() error {
	var wrong []error
	var used []string
	if _, ok := canonical(s.Headers)["Authorization"]; ok {
		used = append(used, "headers: Authorization")
	}
	if !s.Bearer.IsZero() {
		used = append(used, "bearer")
	}
	if s.Basic != nil {
		used = append(used, "basic")
		if s.Basic.Username == "" || strings.Contains(s.Basic.Username, ":") {
			wrong = append(wrong, errors.New("basic.username: wanted a name without a colon"))
		}
		if s.Basic.Password.IsZero() {
			wrong = append(wrong, errors.New("basic.password: is missing"))
		}
	}
	if s.OAuth2 != nil {
		used = append(used, "oauth2")
		wrong = append(wrong, s.OAuth2.validate(s))
	}
	if len(used) > 1 {
		wrong = append(wrong, fmt.Errorf("%s: only one of them can be sent", strings.Join(used, ", ")))
	}
	return errors.Join(wrong...)
}

func (o *OAuth2) validate(s *Settings) error {
	var wrong []error
	if o.TokenURL == "" {
		wrong = append(wrong, errors.New("oauth2.token_url: is missing"))
	} else if _, err := s.validateURL(o.TokenURL, true); err != nil {
		wrong = append(wrong, fmt.Errorf("oauth2.token_url: %w", err))
	}
	if o.ClientID == "" {
		wrong = append(wrong, errors.New("oauth2.client_id: is missing"))
	}
	if o.ClientSecret.IsZero() {
		wrong = append(wrong, errors.New("oauth2.client_secret: is missing"))
	}
	if o.AuthStyle != "" && o.AuthStyle != "header" && o.AuthStyle != "params" {
		wrong = append(wrong, errors.New("oauth2.auth_style: wanted header or params"))
	}
	for _, name := range ReservedParams(o.Params) {
		wrong = append(wrong, fmt.Errorf("oauth2.params: %s cannot be given here", name))
	}
	return errors.Join(wrong...)
}

// ReservedParams returns the names of those parameters of a token request that are written by the prober or would be
// secret, sorted.
func ReservedParams(params map[string]string) []string {
	names := slices.Sorted(maps.Keys(params))
	return slices.DeleteFunc(names, func(name string) bool {
		switch strings.ToLower(name) {
		case "grant_type", "client_id", "client_secret", "scope", "password", "assertion", "client_assertion", "refresh_token":
			return false
		}
		return true
	})
}

func (s *Source) validate(key string) error {
	switch {
	case s == nil:
		return nil
	case (s.Header == "") == s.JSON.IsZero():
		return fmt.Errorf("%s: wanted a header or a json path, and not both", key)
	case s.Header != "" && !httpguts.ValidHeaderFieldName(s.Header):
		return fmt.Errorf("%s: %q is no name of a header", key, s.Header)
	}
	return nil
}

// validateURL reports why a URL cannot be asked. It repeats of the URL only scheme, host and path.
func (s *Settings) validateURL(raw string, credential bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("url: cannot be read")
	case u.User != nil:
		return u, errors.New("url: credentials in the URL; use basic or bearer")
	case u.Scheme != "http" && u.Scheme != "https":
		return u, errors.New("url: wanted http:// or https://")
	case u.Hostname() == "" || !validPort(u):
		return u, fmt.Errorf("url %s: wanted a host, and a port from 1 to 65535 if any", bare(u))
	case u.Fragment != "" || strings.HasSuffix(raw, "#"):
		return u, fmt.Errorf("url %s: a fragment is never sent", bare(u))
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return u, fmt.Errorf("url %s: the query cannot be read", bare(u))
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if slices.Contains(secretParams, strings.ToLower(name)) {
			return u, fmt.Errorf("url %s: the query holds a credential (%s); send it as a header", bare(u), name)
		}
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		if err := dial.CheckAddr(ip); err != nil {
			return u, fmt.Errorf("url %s: %w", bare(u), err)
		}
	}
	if credential && !s.mayCarry(u, "") {
		return u, fmt.Errorf("url %s: http:// would send the credential in clear; use https, or allow_plaintext if you must", bare(u))
	}
	return u, nil
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n > 0
}

// mayCarry reports whether a credential may be sent to a URL, dialled at addr if that is set: encrypted, or within
// this machine, or because the settings say so.
func (s *Settings) mayCarry(u *url.URL, addr string) bool {
	if u.Scheme == "https" || s.AllowPlaintext {
		return true
	}
	host := u.Hostname()
	if addr != "" {
		host, _, _ = net.SplitHostPort(addr)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// bare writes a URL without its user, query and fragment.
func bare(u *url.URL) string {
	if u.Path == "" {
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}
