// Package httpx makes one HTTP exchange on one connection: one measured request, a bounded answer.
//
// It promises, against any server: nothing is sent twice, no redirect is followed, no cookie, cache or proxy of the environment is used, no byte
// of the server reaches a message, and the exchange ends by its deadline with bounded memory. If there is no complete answer,
// one reason of the closed set and one sentence say why.
//
// Who owns what: a Client has the settings and the kept connections; an exchange holds one connection from the moment it is
// dialled, or taken from those, until it is kept or closed; package dial counts its bytes, times its phases and ends its reads
// and writes with the context.
package httpx

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"time"

	"prober/internal/dial"
	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/secret"
)

// Settings are shared by all kinds of probes that speak HTTP. A kind embeds them with `yaml:",inline"`. They do not
// change once Client has been called.
type Settings struct {
	Headers        map[string]Value `yaml:"headers,omitempty" empty:"true" mask:"true" doc:"headers to send; each a text, {file: PATH} or {env: NAME}"`
	Bearer         secret.Secret    `yaml:"bearer,omitempty" doc:"a token to send as Authorization: Bearer"`
	Basic          *Basic           `yaml:"basic,omitempty" doc:"a user and a password to send as Authorization: Basic"`
	OAuth2         *OAuth2          `yaml:"oauth2,omitempty" doc:"where to fetch the token to send, by a grant of OAuth 2.0"`
	Login          *Login           `yaml:"login,omitempty" doc:"a request whose response has the token to send"`
	TLS            *dial.TLS        `yaml:"tls,omitempty" doc:"settings for https"`
	Connection     string           `yaml:"connection,omitempty" default:"fresh" doc:"fresh (a new connection for each request) or reuse"`
	HTTP2          bool             `yaml:"http2,omitempty" doc:"offer HTTP/2 to https servers; without it, HTTP/1.1 only"`
	MaxBody        int64            `yaml:"max_body,omitempty" default:"1048576" doc:"the largest body to read, in bytes after decompression"`
	AllowPlaintext bool             `yaml:"allow_plaintext,omitempty" doc:"send credentials over http:// to other machines too"`
	Resolver       string           `yaml:"resolver,omitempty" doc:"host:port of a name server; default: the system's"`
	Trace          *Source          `yaml:"trace,omitempty" doc:"where the response states its trace id"`
	Version        *Source          `yaml:"version,omitempty" doc:"where the response states the deployed version"`
	VersionGrace   probe.Duration   `yaml:"version_grace,omitempty" default:"5m" doc:"how long one URL may report different versions, as in a rollout, before that is a failure"`

	// Confidential says that requests carry a secret beside the credential, such as a body from a file. A kind sets it
	// before it makes a client; such requests are protected like a credential.
	Confidential bool `yaml:"-"`

	// Compression is the coding to ask for in place of gzip. The body of an answer in brotli is read to its end and not decoded. A kind sets it before it makes a client.
	Compression string `yaml:"-"`

	// Route is how requests get to the target. A kind sets it before it makes a client.
	Route Route `yaml:"-"`

	// OnlyHTTP2 says that the server speaks HTTP/2 from the first byte on, over http:// too, and may send trailers, as those of
	// gRPC do. A kind sets it before it makes a client.
	OnlyHTTP2 bool `yaml:"-"`

	AllowReflection bool `yaml:"allow_reflection,omitempty" doc:"the response may repeat the credential that was sent, as an echo service does"`
}

// Basic is a user and a password.
type Basic struct {
	Username string        `yaml:"username" required:"true" doc:"the user"`
	Password secret.Secret `yaml:"password" required:"true" doc:"the user's password"`
}

// OAuth2 is a grant of RFC 6749. The token is kept until shortly before it expires.
type OAuth2 struct {
	TokenURL     string            `yaml:"token_url" required:"true" doc:"where tokens are issued"`
	ClientID     string            `yaml:"client_id" required:"true" doc:"the client's name there"`
	ClientSecret secret.Secret     `yaml:"client_secret,omitempty" doc:"the client's secret; a public client has none"`
	GrantType    string            `yaml:"grant_type,omitempty" default:"client_credentials" doc:"client_credentials, password or refresh_token"`
	Username     string            `yaml:"username,omitempty" doc:"the user, for the grant password"`
	Password     secret.Secret     `yaml:"password,omitempty" doc:"the user's password, for the grant password"`
	RefreshToken secret.Secret     `yaml:"refresh_token,omitempty" doc:"the refresh token, for the grant refresh_token"`
	Scopes       []string          `yaml:"scopes,omitempty" empty:"true" doc:"scopes to request"`
	Params       map[string]string `yaml:"params,omitempty" empty:"true" mask:"true" doc:"further parameters of the token request, such as audience"`
	AuthStyle    string            `yaml:"auth_style,omitempty" default:"header" doc:"header (the client's secret as HTTP Basic) or params"`
}

// A Source says where in an answer a value is: in a header, or in the JSON body at a path.
type Source struct {
	Header string        `yaml:"header,omitempty" doc:"the name of a header"`
	JSON   jsonpath.Path `yaml:"json,omitempty" doc:"an RFC 9535 path into the JSON body"`
}

// Read returns the text at the source in an answer; empty if there is none. It comes from the target and must not reach a
// message or a label.
func (s *Source) Read(a *Answer) string {
	if s.Header != "" {
		return a.Header.Get(s.Header)
	}
	doc, err := a.document() // no verdict rests on it
	if err != nil {
		return ""
	}
	found := s.JSON.Find(doc)
	if len(found) == 0 {
		return ""
	}
	return found[0].Text()
}

// readOnly returns the text at the source if the answer has it once, or each time the same; else it is empty.
func (s *Source) readOnly(a *Answer) string {
	var texts []string
	if s.Header != "" {
		texts = a.Header.Values(s.Header)
	} else if doc, err := a.document(); err == nil { // no verdict rests on it
		for _, v := range s.JSON.Find(doc) {
			texts = append(texts, v.Text())
		}
	}
	if texts = slices.Compact(texts); len(texts) != 1 {
		return ""
	}
	return texts[0]
}

// defaultVersionGrace is enough for most rollouts, and less than what makes an inconclusive probe an alert.
const defaultVersionGrace = 5 * time.Minute

// MixedVersionsGrace makes every kind that embeds the settings a probe.VersionReporter.
func (s *Settings) MixedVersionsGrace() time.Duration {
	return cmp.Or(s.VersionGrace.D(), defaultVersionGrace)
}

// Credentials names the settings that say what to authenticate with, bearer, basic, oauth2 and login, of those that are given.
//
//go:noinline
func (s *Settings) Credentials() (given []string) {
	if !s.Bearer.IsZero() {
		given = append(given, "bearer")
	}
	if s.Basic != nil {
		given = append(given, "basic")
	}
	if s.OAuth2 != nil {
		given = append(given, "oauth2")
	}
	if s.Login != nil {
		given = append(given, "login")
	}
	return given
}

// AuthURL is where the token that the requests carry is fetched; empty if it is not fetched.
func (s *Settings) AuthURL() string {
	switch {
	case s.OAuth2 != nil:
		return s.OAuth2.TokenURL
	case s.Login != nil:
		return s.Login.URL
	}
	return ""
}

// HasCredential reports whether a request carries a secret: a token, a password, a secret header or body.
//
//go:noinline
func (s *Settings) HasCredential() bool {
	if s.Confidential || len(s.Credentials()) > 0 {
		return true
	}
	for _, v := range s.Headers {
		if !v.Secret.IsZero() {
			return true
		}
	}
	return false
}

// Authenticates reports whether a request says who sends it: by a secret or by a client certificate. If not, the answer is
// the one that anybody gets.
//
//go:noinline
func (s *Settings) Authenticates() bool {
	return s.HasCredential() || s.TLS != nil && s.TLS.CertFile != ""
}

// Merge returns the settings, overridden by those that other sets. A credential in other replaces any credential, and
// headers in other replace those of the same name.
func (s Settings) Merge(other Settings) Settings {
	_, authorized := canonical(other.Headers)["Authorization"]
	if len(other.Credentials()) > 0 || authorized {
		s.Bearer, s.Basic, s.OAuth2, s.Login = other.Bearer, other.Basic, other.OAuth2, other.Login
		s.Headers = without(s.Headers, map[string]Value{"Authorization": {}})
	}
	if len(other.Headers) > 0 {
		s.Headers = without(s.Headers, canonical(other.Headers))
		maps.Copy(s.Headers, other.Headers) // as they are written: by these names a mistake is found in the file
	}
	s.TLS = cmp.Or(other.TLS, s.TLS)
	s.Connection = cmp.Or(other.Connection, s.Connection)
	s.HTTP2 = other.HTTP2 || s.HTTP2
	s.MaxBody = cmp.Or(other.MaxBody, s.MaxBody)
	s.AllowPlaintext = other.AllowPlaintext || s.AllowPlaintext
	s.Resolver = cmp.Or(other.Resolver, s.Resolver)
	s.Trace = cmp.Or(other.Trace, s.Trace)
	s.Version = cmp.Or(other.Version, s.Version)
	s.Confidential = other.Confidential || s.Confidential
	s.AllowReflection = other.AllowReflection || s.AllowReflection
	return s
}

// ForOtherHost returns the settings that also apply to requests to another host: without credentials, headers and the
// TLS server name.
func (s Settings) ForOtherHost() *Settings {
	out := &Settings{HTTP2: s.HTTP2, MaxBody: s.MaxBody, Resolver: s.Resolver, Route: s.Route.toOtherHost()}
	if s.TLS != nil {
		out.TLS = &dial.TLS{CAFile: s.TLS.CAFile, MinVersion: s.TLS.MinVersion, InsecureSkipVerify: s.TLS.InsecureSkipVerify}
	}
	return out
}

// without returns a copy of headers without those of some canonical names.
func without(headers, names map[string]Value) map[string]Value {
	out := map[string]Value{}
	for name, v := range headers {
		if _, given := names[http.CanonicalHeaderKey(name)]; !given {
			out[name] = v
		}
	}
	return out
}

// canonical returns a copy of headers with canonical names.
func canonical(headers map[string]Value) map[string]Value {
	out := make(map[string]Value, len(headers))
	for name, v := range headers {
		out[http.CanonicalHeaderKey(name)] = v
	}
	return out
}

// defaultMaxBody is the largest body read unless max_body says otherwise, and maxBodyLimit the largest value of max_body.
const (
	defaultMaxBody = 1 << 20
	maxBodyLimit   = 64 << 20
)

func (s *Settings) maxBody() int64 { return cmp.Or(s.MaxBody, defaultMaxBody) }

// Values of "connection".
const (
	fresh = "fresh"
	reuse = "reuse"
)
