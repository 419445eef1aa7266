package importer

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

var (
	envTemplate = regexp.MustCompile(`^\{\{-?\s*env\s+["'` + "`" + `]([A-Za-z_][A-Za-z0-9_]*)["'` + "`" + `]\s*-?\}\}$`)
	bearerWord  = regexp.MustCompile(`(?i)^bearer\s+`)
)

// environment returns the variable that a text stands for as a whole; empty if it stands for itself.
func environment(v string) string {
	if m := envTemplate.FindStringSubmatch(v); m != nil {
		return m[1]
	}
	if m := reference.FindStringSubmatch(v); m != nil {
		return m[1]
	}
	return ""
}

// readHTTPProbe translates HTTP.
func (s *source) readHTTPProbe(m *mapping, probe *source) func(*mapping, target) {
	m.set("type", "http")
	if v := s.enum(m, "method"); v != "" && v != "GET" {
		m.set("method", v)
	}
	for _, key := range []string{"headers", "header"} {
		headers := s.pairs(key)
		for _, name := range headers.keys() {
			headers.readHeader(m, name)
		}
	}
	s.readBody(m)
	s.readOAuth(m)
	secret := m.has("bearer") || m.has("oauth2") || isSource(m.get("body"))
	sent, _ := m.get("headers").(*mapping)
	for _, e := range sent.all() {
		secret = secret || isSource(e.value)
	}
	if tls := s.readTLSConfig(m, secret); len(tls.entries) > 0 {
		m.set("tls", tls)
	}
	s.readProxy(m, "proxy_url")
	switch keep := s.flag("keep_alive", false); {
	case keep && m.has("proxy"):
		s.without(m, "keep_alive", "no connection through a proxy is kept")
	case keep:
		m.set("connection", "reuse")
	}
	redirected := s.readValidators(m, probe)
	switch n := s.number("max_redirects", 10); {
	case n > 0 && !redirected:
		m.set("follow", plain(strconv.Itoa(min(n, 10)))).comment = "here to the same origin only"
	}
	scheme := strings.ToLower(s.text("scheme") + s.text("protocol"))
	if scheme != "https" {
		scheme = "http"
	}
	port, path, http2 := s.text("port"), s.text("relative_url"), !s.flag("disable_http2", false)
	return func(own *mapping, t target) {
		raw := t.url
		if strings.Contains(t.host, "://") {
			raw = t.host
		}
		if raw == "" {
			raw = scheme + "://" + t.authority(port) + path
		}
		u := &url.URL{}
		switch {
		case t.host == "" && t.url == "":
			s.ask(own, "url", "the target")
		case strings.Contains(raw, "{{"):
			s.ask(own, "url", "templates are not expanded here")
		default:
			u = s.target(own, raw, "relative_url")
		}
		if http2 && u.Scheme != "http" {
			own.set("http2", true)
		}
		if (secret || own.has("basic")) && u.Scheme == "http" && !isLocal(u.Hostname()) {
			s.ask(own, "allow_plaintext", "true sends the credential in clear, as there; https is better")
		}
	}
}

// readHeader writes a header that is sent. A token by a variable becomes the setting for tokens.
func (s *source) readHeader(m *mapping, name string) {
	v := s.text(name)
	token := bearerWord.ReplaceAllString(v, "")
	switch {
	case strings.EqualFold(name, "Authorization") && token != v && environment(token) != "":
		m.set("bearer", plain("{env: "+environment(token)+"}"))
	case environment(v) != "":
		m.in("headers").set(name, plain("{env: "+environment(v)+"}"))
	case strings.Contains(v, "{{"):
		m.in("headers").set(name, s.variable(s, name))
	default:
		s.header(m, name)
	}
}

// readBody joins what is sent, with the type that cloudprober guesses.
func (s *source) readBody(m *mapping) {
	body := strings.Join(s.texts("body"), "&")
	if file := s.literal(m, "body_file"); file != "" {
		m.set("body", fileOf(file))
		return
	}
	guessed := ""
	switch _, err := url.ParseQuery(body); {
	case body == "":
		return
	case json.Valid([]byte(body)):
		guessed = "application/json"
	case err == nil && strings.Contains(body, "="):
		guessed = "application/x-www-form-urlencoded"
	}
	if sent, _ := m.get("headers").(*mapping); guessed != "" && (sent == nil || !sent.has("Content-Type")) {
		m.in("headers").set("Content-Type", guessed)
	}
	if strings.Contains(body, "{{") || looksSecret(body) || environment(body) != "" {
		m.set("body", s.variable(s, "body"))
		return
	}
	m.set("body", body)
}

// readValidators translates what a response must be. It says whether a redirect is expected.
func (s *source) readValidators(m *mapping, probe *source) (redirected bool) {
	var statuses [600]bool
	for code := 200; code < 600; code++ {
		statuses[code] = true
	}
	e, given, refusal := &mapping{}, false, false
	var patterns []*yaml.Node
	for _, v := range probe.messages("validator") {
		h := v.inner("http_validator")
		if codes := h.text("success_status_codes"); codes != "" {
			given = true
			h.keep(&statuses, "success_status_codes", true)
		}
		if codes := h.text("failure_status_codes"); codes != "" {
			given = true
			h.keep(&statuses, "failure_status_codes", false)
		}
		h.inner("success_header").valueRule(e, "match")
		h.inner("failure_header").valueRule(e, "not_match")
		h.rest(e, noEquivalent)
		if v.pattern(e, "regex") != "" {
			patterns = append(patterns, v.take("regex"))
		}
		if !v.inner("json_validator").empty() {
			v.without(e, "json_validator", "expressions of jq are not translated; json expects values by their path")
		}
		v.used["name"] = true
		v.rest(e, noEquivalent)
	}
	for i, p := range patterns {
		if i == 0 {
			e.in("body").set("match", p.Value)
		} else {
			s.without(e, "regex", "one pattern for the body; a further one is left out: "+p.Value)
		}
	}
	if given {
		refusal, redirected = s.writeStatuses(e, statuses[:])
	} else {
		e.note("status: any passes there, 2xx here")
	}
	m.expect(e)
	if refusal || e.onlyRefuses() {
		s.ask(m, "control", "a refusal alone proves nothing: name a request that must succeed, see docs/kinds/http.md")
	}
	return redirected
}

// keep leaves the statuses of a list such as 200-299,301, or those that are not of it.
func (s *source) keep(statuses *[600]bool, key string, of bool) {
	var listed [600]bool
	for _, part := range strings.Split(s.text(key), ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		first, err := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err != nil || err2 != nil || first < 0 || last < first || last > 10000 {
			s.wrong(key, "statuses, such as 200-299,301")
			return
		}
		for code := first; code <= last && code < len(listed); code++ {
			listed[code] = true
		}
	}
	for code := range statuses {
		statuses[code] = statuses[code] && listed[code] == of
	}
}

// valueRule translates what one header must be, or must not be.
func (s *source) valueRule(e *mapping, condition string) {
	name := s.literal(e, "name")
	if name == "" {
		return
	}
	rules := e.in("headers").in(name)
	switch pattern := s.pattern(e, "value_regex"); {
	case rules.has(condition) || rules.has("absent"):
		s.without(e, s.path+" "+name, "a second condition of the same kind for this header")
	case pattern != "":
		rules.set(condition, pattern)
	case s.text("value_regex") != "": // the comment is written
	case condition == "match":
		rules.set("match", ".")
	default:
		rules.set("absent", true)
	}
	if len(rules.entries) == 0 {
		e.drop("headers", name)
	}
	s.rest(e, noEquivalent)
}
