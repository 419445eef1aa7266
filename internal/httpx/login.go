package httpx

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"prober/internal/dial"
	"prober/internal/jsonpath"
	"prober/internal/memory"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/sorted"
)

// Login is a request whose response holds the token to send. The token is kept until shortly before it expires.
type Login struct {
	URL            string           `yaml:"url" required:"true" doc:"where to log in"`
	Method         string           `yaml:"method,omitempty" default:"POST" doc:"the method of the request"`
	Headers        map[string]Value `yaml:"headers,omitempty" empty:"true" mask:"true" doc:"headers to send; each a text, {file: PATH} or {env: NAME}"`
	Bearer         secret.Secret    `yaml:"bearer,omitempty" doc:"a token to log in with, sent as Authorization: Bearer"`
	Basic          *Basic           `yaml:"basic,omitempty" doc:"a user and a password to log in with, sent as Authorization: Basic"`
	JSON           LoginJSON        `yaml:"json,omitempty" mask:"true" doc:"the body, as JSON; any value in it may be {file: PATH} or {env: NAME}"`
	Form           map[string]Value `yaml:"form,omitempty" mask:"true" doc:"the body, as a form; each value a text, {file: PATH} or {env: NAME}"`
	Capture        TokenSource      `yaml:"capture" required:"true" doc:"where the response has the token"`
	ExpiresIn      jsonpath.Path    `yaml:"expires_in,omitempty" doc:"a path to the seconds for which the token is valid"`
	ExpiresAt      jsonpath.Path    `yaml:"expires_at,omitempty" doc:"a path to the time when it expires, in RFC 3339 or Unix seconds"`
	MaxAge         probe.Duration   `yaml:"max_age,omitempty" default:"5m" doc:"how long the token is kept if the response does not say when it expires"`
	SendHeader     string           `yaml:"send_header,omitempty" doc:"the header to send the token in, as it is; default: Authorization: Bearer"`
	SendCookie     string           `yaml:"send_cookie,omitempty" doc:"the cookie to send the token in"`
	AllowOtherHost bool             `yaml:"allow_other_host,omitempty" doc:"log in at another host than the one that is probed"`
	TLS            *dial.TLS        `yaml:"tls,omitempty" doc:"settings for https to the login; default: those of the probe"`
}

// A TokenSource says where a response has a token: in a header, in the JSON body at a path, or in a cookie.
type TokenSource struct {
	Header string        `yaml:"header,omitempty" doc:"the name of a header"`
	JSON   jsonpath.Path `yaml:"json,omitempty" doc:"an RFC 9535 path into the JSON body"`
	Cookie string        `yaml:"cookie,omitempty" doc:"the name of a cookie that is set"`
}

func (l *Login) validate(s *Settings, urls map[string]string) error {
	var wrong []error
	own := l.settings(s)
	own.Headers, own.Bearer, own.Basic = l.Headers, l.Bearer, l.Basic
	wrong = append(wrong, own.validateHeaders(), own.validateAuth(urls))
	if l.TLS != nil {
		wrong = append(wrong, probe.InSetting("tls", l.TLS.Validate(true)))
	}
	if u, err := own.validateURL(l.URL, true); err != nil {
		wrong = append(wrong, probe.InSetting("url", err))
	} else if !l.AllowOtherHost && !sharesHost(u, urls) {
		wrong = append(wrong, probe.Settingf("url", "is of another host than what is probed; if that is meant, set allow_other_host: true"))
	}
	if l.Method != "" && !validMethod(l.Method) {
		wrong = append(wrong, probe.Settingf("method", "expected one word such as POST"))
	}
	if !l.JSON.IsZero() && l.Form != nil {
		wrong = append(wrong, probe.Settingf("form", "only one of json and form can be sent"))
	}
	walkJSON(l.JSON.object, "", func(path string, v any) {
		name, _, _ := strings.Cut(path[strings.LastIndexByte(path, '.')+1:], "[")
		if _, written := v.(string); written && secretName(name) {
			wrong = append(wrong, probe.Settingf("json."+path, "is secret: name its source, {file: PATH} or {env: NAME}"))
		}
	})
	for _, name := range sorted.Keys(l.Form) {
		if v := l.Form[name]; v.Secret.IsZero() && secretName(name) {
			wrong = append(wrong, probe.Settingf("form."+name, "is secret: name its source, {file: PATH} or {env: NAME}"))
		}
	}
	wrong = append(wrong, l.Capture.validate())
	if !l.ExpiresIn.IsZero() && !l.ExpiresAt.IsZero() {
		wrong = append(wrong, probe.Settingf("expires_at", "only one of expires_in and expires_at can be read"))
	}
	if l.MaxAge < 0 {
		wrong = append(wrong, probe.Settingf("max_age", "must be above zero"))
	}
	switch sent := http.CanonicalHeaderKey(l.SendHeader); {
	case l.SendHeader != "" && l.SendCookie != "":
		wrong = append(wrong, probe.Settingf("send_cookie", "only one of send_header and send_cookie can be used"))
	case l.SendHeader != "" && (!httpguts.ValidHeaderFieldName(l.SendHeader) || slices.Contains(ourHeaders, sent) || sent == "Host"):
		wrong = append(wrong, probe.Settingf("send_header", "expected the name of a header that the prober does not write itself"))
	case l.SendCookie != "" && !httpguts.ValidHeaderFieldName(l.SendCookie):
		wrong = append(wrong, probe.Settingf("send_cookie", "expected the name of a cookie"))
	}
	return errors.Join(wrong...)
}

func validMethod(method string) bool {
	return httpguts.ValidHeaderFieldName(method) && method == strings.ToUpper(method)
}

// sharesHost reports whether a URL has the scheme and host of one of those that are probed, or there are none to compare.
func sharesHost(u *url.URL, urls map[string]string) bool {
	compared := false
	for _, raw := range urls {
		other, err := url.Parse(raw)
		if raw == "" || err != nil {
			continue
		}
		compared = true
		if SameOrigin(other, u) {
			return true
		}
	}
	return !compared
}

func (t TokenSource) validate() error {
	given := 0
	for _, is := range []bool{t.Header != "", !t.JSON.IsZero(), t.Cookie != ""} {
		if is {
			given++
		}
	}
	if given != 1 {
		return probe.Settingf("capture", "expected one of header, json and cookie")
	}
	if t.Header != "" {
		return probe.InSetting("capture.header", ValidateHeaderName(t.Header))
	}
	return nil
}

// settings are those of the login's own requests.
func (l *Login) settings(s *Settings) *Settings {
	return &Settings{TLS: cmp.Or(l.TLS, s.TLS), Resolver: s.Resolver, AllowPlaintext: s.AllowPlaintext, Route: s.Route.toOtherHost()}
}

func (l *Login) name() string     { return "login" }
func (l *Login) endpoint() string { return "login" }
func (l *Login) url() string      { return l.URL }

func (l *Login) key() string {
	parts := []string{"login", l.URL, l.Bearer.Source()}
	if l.Basic != nil {
		parts = append(parts, l.Basic.Username, l.Basic.Password.Source())
	}
	walkJSON(l.JSON.object, "", func(path string, v any) {
		if s, ok := v.(secret.Secret); ok {
			v = s.Source()
		}
		parts = append(parts, path, fmt.Sprint(v))
	})
	for _, values := range []map[string]Value{l.Form, l.Headers} {
		for _, name := range sorted.Keys(values) {
			parts = append(parts, name, values[name].Text, values[name].Secret.Source())
		}
	}
	return strings.Join(parts, " ")
}

// request is the request that logs in. Secrets are read at their sources; the error names the setting.
func (l *Login) request(string) (Request, error) {
	q := Request{Method: cmp.Or(l.Method, http.MethodPost), URL: l.URL, Header: http.Header{"Accept": {"application/json"}}}
	for name, v := range l.Headers {
		text, err := v.Reveal()
		if err != nil {
			return q, fmt.Errorf("headers.%s: %w", name, err)
		}
		q.Header.Set(name, text)
	}
	switch {
	case !l.Bearer.IsZero():
		value, err := l.Bearer.Reveal()
		if err != nil {
			return q, fmt.Errorf("bearer: %w", err)
		}
		q.Header.Set("Authorization", "Bearer "+value)
	case l.Basic != nil:
		value, err := l.Basic.Password.Reveal()
		if err != nil {
			return q, fmt.Errorf("basic.password: %w", err)
		}
		req := http.Request{Header: q.Header}
		req.SetBasicAuth(l.Basic.Username, value)
	}
	if l.Form != nil {
		form := url.Values{}
		for name, v := range l.Form {
			text, err := v.Reveal()
			if err != nil {
				return q, fmt.Errorf("form.%s: %w", name, err)
			}
			form.Set(name, text)
		}
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		q.Body = []byte(form.Encode())
	}
	if !l.JSON.IsZero() {
		object, err := revealed(l.JSON.object)
		if err != nil {
			return q, fmt.Errorf("json: %w", err)
		}
		if q.Body, err = json.Marshal(object); err != nil {
			return q, errors.New("json: cannot be written as JSON")
		}
		q.Header.Set("Content-Type", "application/json")
	}
	return q, nil
}

// read reads the token from the response.
func (l *Login) read(ctx context.Context, resp *http.Response, body []byte) (grant, probe.Outcome) {
	redirect := resp.StatusCode/100 == 3 && l.Capture.JSON.IsZero() // the answer to a form is often one
	if resp.StatusCode/100 != 2 && !redirect {
		return grant{}, probe.Outcomef(probe.Credential, "the login answered %d", resp.StatusCode)
	}
	a := &Answer{Header: resp.Header, Body: body, run: memory.Run(ctx)}
	token := l.Capture.read(resp, a)
	switch {
	case token == "":
		return grant{}, probe.Outcomef(probe.Protocol, "the answer of the login has no token where it is expected")
	case !httpguts.ValidHeaderFieldValue(token) || len(token) < secret.MinBytes || l.SendCookie != "" && strings.ContainsAny(token, `;, "`):
		return grant{}, probe.Outcomef(probe.Credential, "the login issued an invalid token")
	}
	return grant{token: token, life: l.life(a)}, probe.Outcome{Reason: probe.OK}
}

func (t TokenSource) read(resp *http.Response, a *Answer) string {
	switch {
	case t.Cookie != "":
		for _, c := range resp.Cookies() {
			if c.Name == t.Cookie {
				return c.Value
			}
		}
		return ""
	case t.Header != "":
		value := a.Header.Get(t.Header)
		if len(value) > 7 && strings.EqualFold(value[:7], "Bearer ") {
			return value[7:]
		}
		return value
	}
	return textAt(t.JSON, a)
}

// textAt returns the one text at a path; empty if there is none, or several.
func textAt(path jsonpath.Path, a *Answer) string {
	doc, err := a.JSON()
	if err != nil || path.IsZero() {
		return ""
	}
	if found := path.Find(doc); len(found) == 1 {
		return found[0].Text()
	}
	return ""
}

// life is how long the token may be used.
func (l *Login) life(a *Answer) time.Duration {
	maxAge := cmp.Or(l.MaxAge.D(), tokenDefault)
	life := time.Duration(0)
	if seconds, err := strconv.ParseFloat(textAt(l.ExpiresIn, a), 64); err == nil && seconds > 0 && seconds < 1e9 {
		life = time.Duration(seconds * float64(time.Second))
	}
	if text := textAt(l.ExpiresAt, a); text != "" {
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			life = time.Until(at)
		} else if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 && seconds < 1e11 {
			life = time.Until(time.Unix(int64(seconds), 0))
		}
	}
	switch {
	case life <= 0:
		return maxAge
	case l.MaxAge > 0:
		return min(life, maxAge)
	}
	return life
}

// Put puts a token where the target expects it.
func (l *Login) Put(h http.Header, token string) {
	switch {
	case l.SendHeader != "":
		h.Set(l.SendHeader, token)
	case l.SendCookie != "":
		h.Set("Cookie", strings.Join(append(slices.Clone(h["Cookie"]), l.SendCookie+"="+token), "; "))
	default:
		h.Set("Authorization", "Bearer "+token)
	}
}

func (l *Login) send(req *http.Request, token string) *probe.Outcome {
	l.Put(req.Header, token)
	return nil
}

// Equal reports whether two logins are of the same user.
func (l *Login) Equal(other *Login) bool { return other != nil && l.key() == other.key() }

// IsBearer reports whether the token is sent as Authorization: Bearer.
func (l *Login) IsBearer() bool { return l.SendHeader == "" && l.SendCookie == "" }
