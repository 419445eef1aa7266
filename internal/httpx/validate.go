package httpx

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"prober/internal/dial"
	"prober/internal/drop"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/text"
)

// ourHeaders are written by the prober only.
var ourHeaders = []string{
	"Accept-Encoding", "Connection", "Content-Length", "Expect", "Keep-Alive", "Proxy-Authorization",
	"Proxy-Connection", "Referer", "Te", "Traceparent", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent",
}

// secretHeaders always carry credentials.
var secretHeaders = []string{
	"Authorization", "Cookie", "X-Api-Key", "Api-Key", "X-Auth-Token", "X-Access-Token", "X-Vault-Token",
	"Private-Token", "X-Gitlab-Token", "X-Goog-Api-Key", "X-Amz-Security-Token", "X-Shopify-Access-Token",
}

// secretParams are the names of query parameters that carry credentials.
var secretParams = []string{
	"access_token", "api_key", "api-key", "apikey", "auth", "auth_token", "client_secret", "id_token", "jwt", "key",
	"passwd", "password", "pwd", "refresh_token", "secret", "sig", "signature", "token", "x-amz-credential",
	"x-amz-security-token", "x-amz-signature", "x-goog-credential", "x-goog-signature",
}

// validate reports everything wrong with the settings, and with asking the URLs by them. The URLs are given by the path
// of their settings.
func (s *Settings) validate(urls map[string]string) error {
	wrong := []error{s.validateHeaders(), s.validateAuth(urls), probe.InSetting("tls", s.TLS.Validate(s.HasCredential()))}
	if s.Connection != "" && s.Connection != fresh && s.Connection != reuse {
		wrong = append(wrong, probe.Settingf("connection", "expected fresh or reuse"))
	}
	if s.MaxBody < 0 || s.MaxBody > maxBodyLimit {
		wrong = append(wrong, probe.Settingf("max_body", "expected 1 to %d bytes, got %d", maxBodyLimit, s.MaxBody))
	}
	switch {
	case s.VersionGrace < 0:
		wrong = append(wrong, probe.Settingf("version_grace", "must be above zero"))
	case s.VersionGrace != 0 && s.Version == nil:
		wrong = append(wrong, probe.Settingf("version_grace", "has no effect without version"))
	}
	if s.Resolver != "" && !dial.IsHostPort(s.Resolver) {
		wrong = append(wrong, probe.Settingf("resolver", "expected host:port"))
	}
	wrong = append(wrong, probe.InSetting("trace", s.Trace.Validate()), probe.InSetting("version", s.Version.Validate()))
	wrong = append(wrong, s.Route.Proxy.validate(s))
	if s.Route.Proxy != nil && s.Connection == reuse {
		wrong = append(wrong, probe.Settingf("connection", "expected fresh: no connection through a proxy is kept"))
	}
	https, given := false, false
	for _, path := range sorted.Keys(urls) {
		if urls[path] == "" {
			continue // the kind knows which of its keys is missing
		}
		given = true
		u, err := s.validateURL(urls[path], s.HasCredential())
		if u != nil {
			https = https || u.Scheme == "https"
			wrong = append(wrong, s.Route.validate(u)...)
			wrong = append(wrong, s.validateHostHeader(u))
		}
		wrong = append(wrong, probe.InSetting(path, err))
	}
	if s.HTTP2 && !https && given {
		wrong = append(wrong, probe.Settingf("http2", "is spoken over https only"))
	}
	return errors.Join(wrong...)
}

func (s *Settings) validateHeaders() error {
	var wrong []error
	seen := map[string]string{}
	for _, name := range sorted.Keys(s.Headers) {
		v, key := s.Headers[name], http.CanonicalHeaderKey(name)
		if other, twice := seen[key]; twice {
			wrong = append(wrong, probe.Settingf("headers."+name, "is the same header as %s", other))
		}
		seen[key] = name
		switch {
		case ValidateHeaderName(name) != nil:
			wrong = append(wrong, probe.InSetting("headers."+name, ValidateHeaderName(name)))
		case slices.Contains(ourHeaders, key):
			wrong = append(wrong, probe.Settingf("headers."+name, "is written by the prober itself"))
		case v.IsZero():
			wrong = append(wrong, probe.Settingf("headers."+name, "has no value"))
		case (slices.Contains(secretHeaders, key) || strings.HasPrefix(strings.ToLower(v.Text), "bearer ")) && v.Secret.IsZero():
			wrong = append(wrong, probe.Settingf("headers."+name, "is secret: name its source, {file: PATH} or {env: NAME}"))
		case !httpguts.ValidHeaderFieldValue(v.Text):
			wrong = append(wrong, probe.Settingf("headers."+name, "holds a character that a header cannot carry"))
		case key == "Host" && (!v.Secret.IsZero() || !httpguts.ValidHostHeader(v.Text)):
			wrong = append(wrong, probe.Settingf("headers."+name, "expected a host that is not secret"))
		}
	}
	return errors.Join(wrong...)
}

func (s *Settings) validateAuth(urls map[string]string) error {
	var wrong []error
	var used []string
	if _, ok := canonical(s.Headers)["Authorization"]; ok {
		used = append(used, "headers.Authorization")
	}
	used = append(used, s.Credentials()...)
	if s.Basic != nil {
		if s.Basic.Username == "" || strings.Contains(s.Basic.Username, ":") {
			wrong = append(wrong, probe.Settingf("basic.username", "expected a name without a colon"))
		}
	}
	if s.OAuth2 != nil {
		wrong = append(wrong, probe.InSetting("oauth2", s.OAuth2.validate(s)))
	}
	if s.Login != nil {
		wrong = append(wrong, probe.InSetting("login", s.Login.validate(s, urls)))
		if _, given := canonical(s.Headers)[http.CanonicalHeaderKey(s.Login.SendHeader)]; given {
			wrong = append(wrong, probe.Settingf("login.send_header", "is given under headers as well"))
		}
	}
	if len(used) > 1 {
		wrong = append(wrong, probe.Settingf(used[len(used)-1], "only one of %s can be sent", strings.Join(used, ", ")))
	}
	return errors.Join(wrong...)
}

// validateHostHeader refuses a header Host that a proxy replaces by the host of the URL (RFC 9112, section 3.2.2).
func (s *Settings) validateHostHeader(u *url.URL) error {
	for name := range s.Headers {
		if s.Route.Proxy != nil && u.Scheme == "http" && strings.EqualFold(name, "Host") {
			return probe.Settingf("headers."+name, "has no effect through a proxy over http://, which asks the host of the URL")
		}
	}
	return nil
}

func (o *OAuth2) validate(s *Settings) error {
	var wrong []error
	if o.TokenURL == "" {
		wrong = append(wrong, probe.Settingf("token_url", "is missing"))
	} else if _, err := o.settings(s).validateURL(o.TokenURL, true); err != nil {
		wrong = append(wrong, probe.InSetting("token_url", err))
	}
	if o.ClientID == "" {
		wrong = append(wrong, probe.Settingf("client_id", "is missing"))
	}
	wrong = append(wrong, o.validateGrant())
	if o.AuthStyle != "" && o.AuthStyle != "header" && o.AuthStyle != "params" {
		wrong = append(wrong, probe.Settingf("auth_style", "expected header or params"))
	}
	for _, name := range ReservedParams(o.Params) {
		wrong = append(wrong, probe.Settingf("params."+name, "is written by the prober, or secret, and cannot be given here"))
	}
	return errors.Join(wrong...)
}

// validateGrant reports which secrets of the grant are missing, or belong to another.
func (o *OAuth2) validateGrant() error {
	var wrong []error
	switch o.GrantType {
	case "", "client_credentials":
		if o.ClientSecret.IsZero() {
			wrong = append(wrong, probe.Settingf("client_secret", "is missing"))
		}
	case passwordGrant, refreshTokenGrant:
	default:
		wrong = append(wrong, probe.Settingf("grant_type", "expected client_credentials, password or refresh_token"))
	}
	password := o.GrantType == passwordGrant
	if password != (o.Username != "") {
		wrong = append(wrong, probe.Settingf("username", "is for the grant_type password, which needs it"))
	}
	if password == o.Password.IsZero() {
		wrong = append(wrong, probe.Settingf("password", "is for the grant_type password, which needs it"))
	}
	if (o.GrantType == refreshTokenGrant) == o.RefreshToken.IsZero() {
		wrong = append(wrong, probe.Settingf("refresh_token", "is for the grant_type refresh_token, which needs it"))
	}
	return errors.Join(wrong...)
}

// ReservedParams returns the names of those parameters of a token request that are written by the prober or would be
// secret, sorted.
func ReservedParams(params map[string]string) []string {
	names := sorted.Keys(params)
	return drop.If(names, func(name string) bool {
		switch strings.ToLower(name) {
		case "grant_type", "client_id", "client_secret", "scope", "password", "assertion", "client_assertion", "refresh_token":
			return false
		}
		return true
	})
}

// ValidateMethod refuses a method that is not a word in capital letters: methods are case-sensitive.
func ValidateMethod(method string) error {
	if method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return probe.Settingf("", "expected one word in capital letters, such as GET")
	}
	return nil
}

// ValidateHeaderName refuses a name that no header can have.
func ValidateHeaderName(name string) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return probe.Settingf("", "is not a valid header name") // it may be a header and its value, in quotes
	}
	return nil
}

// Validate reports what is wrong with a source; nothing if there is none.
func (s *Source) Validate() error {
	switch {
	case s == nil:
		return nil
	case (s.Header == "") == s.JSON.IsZero():
		return probe.Settingf("", "expected header or json, and not both")
	case s.Header != "":
		return probe.InSetting("header", ValidateHeaderName(s.Header))
	}
	return nil
}

// RefuseJSON refuses to read the trace id and the version in a body, and says why.
func (s *Settings) RefuseJSON(why string) error {
	return errors.Join(s.Trace.refuseJSON("trace.json", why), s.Version.refuseJSON("version.json", why))
}

//go:noinline
func (s *Source) refuseJSON(at, why string) error {
	if s == nil || s.JSON.IsZero() {
		return nil
	}
	return probe.Settingf(at, "%s", why)
}

// validateURL reports why a URL cannot be asked, as a mistake without a path. It repeats of the URL only scheme, host and
// path.
func (s *Settings) validateURL(raw string, credential bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, probe.Settingf("", "expected a URL that can be parsed")
	case u.User != nil:
		return u, probe.Settingf("", "holds credentials; use basic or bearer")
	case u.Scheme != "http" && u.Scheme != "https":
		return u, probe.Settingf("", "expected http:// or https://")
	case u.Hostname() == "" || !validPort(u):
		return u, probe.Settingf("", "%s: expected a host, and a port from 1 to 65535 if any", text.URL(u))
	case !dial.IsHost(u.Hostname()):
		return u, probe.Settingf("", "%s: expected a name, or an address in its usual form", text.URL(u))
	case u.Fragment != "" || strings.HasSuffix(raw, "#"):
		return u, probe.Settingf("", "%s: a fragment is never sent", text.URL(u))
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return u, probe.Settingf("", "%s: the query cannot be read", text.URL(u))
	}
	for _, name := range sorted.Keys(query) {
		if slices.Contains(secretParams, strings.ToLower(name)) {
			return u, probe.Settingf("", "%s: the query holds a credential (%s); send it as a header", text.URL(u), name)
		}
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		if err := dial.CheckAddr(ip); err != nil {
			return u, probe.Settingf("", "%s: %s", text.URL(u), err)
		}
	}
	if s.Route.Proxy != nil {
		if err := dial.CheckName(u.Hostname()); err != nil {
			return u, probe.Settingf("", "%s: %s", text.URL(u), err)
		}
	}
	if credential && !s.mayCarry(u, "") {
		return u, probe.Settingf("", "%s: http:// would send the credential in clear; use https, or allow_plaintext if you must", text.URL(u))
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

// mayCarry reports whether a credential may be sent to a URL, dialled at addr if that is set: it is encrypted, stays on
// this machine, or the settings allow it. A name below localhost is judged again when it is dialled, by its address.
func (s *Settings) mayCarry(u *url.URL, addr string) bool {
	switch {
	case u.Scheme == "https", s.AllowPlaintext, s.Route.Unix != "":
		return true
	case s.Route.Proxy != nil:
		return false // what is this machine to the proxy is another to the prober
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
