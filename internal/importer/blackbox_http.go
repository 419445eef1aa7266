package importer

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// readHTTP translates the settings of the prober http.
func (m *module) readHTTP(s *source) {
	c := m.common
	if v := s.text("method"); v != "" && v != "GET" {
		c.set("method", v)
	}
	s.readRequest(c)
	s.readAuth(c)
	if t := s.inner("tls_config"); !t.empty() {
		if tls := t.readTLS(c, c.has("basic") || c.has("bearer") || c.has("oauth2")); len(tls.entries) > 0 {
			c.set("tls", tls)
		}
	}
	s.readProxy(c, "proxy_url")
	s.readVersion(c)
	limit := s.text("body_size_limit")
	if n, ok := size(limit); ok {
		c.set("max_body", plain(strconv.FormatInt(n, 10)))
	} else if limit != "" && limit != "0" {
		s.wrong("body_size_limit", "a size, such as 10MB")
	}
	if v := s.text("compression"); v != "" {
		c.set("compression", v)
	}
	m.readExpect(s)
	if e, ok := c.get("expect").(*mapping); ok && e.has("body") && c.get("compression") == "br" {
		c.remove("compression")
		s.without(c, "compression br", "such a body is not decoded here, so nothing could be expected of it")
	}
}

func (s *source) readRequest(m *mapping) {
	headers := s.inner("headers")
	for _, name := range headers.keys() {
		headers.header(m, name)
	}
	fuller := s.inner("http_headers")
	for _, name := range fuller.keys() {
		h := fuller.inner(name)
		files, values, secrets := h.texts("files"), h.texts("values"), h.texts("secrets")
		switch {
		case len(files)+len(values)+len(secrets) != 1:
			h.without(m, "http_headers."+name, "a header has one value here")
		case len(files) == 1:
			m.in("headers").set(name, fileOf(files[0]))
		case len(secrets) == 1:
			m.in("headers").set(name, h.variable(h, "secrets"))
		default:
			one := &source{h.draft, h.file, h.path, &yaml.Node{Kind: yaml.MappingNode, Line: h.node.Line, Content: []*yaml.Node{
				{Kind: yaml.ScalarNode, Value: name, Line: h.node.Line}, {Kind: yaml.ScalarNode, Value: values[0], Line: h.node.Line},
			}}, h.used}
			one.header(m, name)
		}
	}
	s.body(m, "body")
	if v := s.text("body_file"); v != "" {
		m.set("body", fileOf(v))
	}
}

// readAuth translates credentials. Those in the file are not copied.
func (s *source) readAuth(m *mapping) {
	if a := s.inner("basic_auth"); !a.empty() {
		b := m.in("basic")
		a.credential(b, "username", "username")
		a.credential(b, "password", "password")
		a.rest(m, noEquivalent)
	}
	s.credential(m, "bearer", "bearer_token")
	if a := s.inner("authorization"); !a.empty() {
		if scheme := a.text("type"); scheme == "" || strings.EqualFold(scheme, "bearer") {
			a.credential(m, "bearer", "credentials")
		} else {
			a.used["credentials"], a.used["credentials_file"] = true, true
			m.in("headers").set("Authorization", a.variable(a, "credentials")).comment = "of the type " + scheme + ": the variable has that word too"
		}
		a.rest(m, noEquivalent)
	}
	if a := s.inner("oauth2"); !a.empty() {
		a.readOAuth2(m)
	}
}

// credential writes a credential by its source: a file that has one already, or a variable.
func (s *source) credential(m *mapping, key, theirs string) {
	file, inline := s.text(theirs+"_file"), s.text(theirs)
	switch {
	case theirs == "username" && inline != "":
		m.set(key, inline)
	case theirs == "username" && file != "":
		s.ask(m, key, "was in the file "+file)
	case file != "":
		m.set(key, fileOf(file))
	case inline != "":
		m.set(key, s.secret(theirs))
	}
	if theirs != "username" && s.text(theirs+"_ref") != "" {
		s.without(m, theirs+"_ref", "name the source of the secret here")
	}
}

func (s *source) readOAuth2(m *mapping) {
	o := m.in("oauth2")
	s.tokenURL(o, s.text("token_url"))
	o.set("client_id", s.text("client_id"))
	s.credential(o, "client_secret", "client_secret")
	if all := s.texts("scopes"); len(all) > 0 {
		o.set("scopes", list(all))
	}
	params := s.inner("endpoint_params")
	for _, name := range params.keys() {
		switch v := params.text(name); {
		case name == "grant_type":
		case isSecretName(name) || looksSecret(v):
			params.warnings = append(params.warnings, params.place(name)+": the secret was not copied")
			params.without(m, "oauth2.endpoint_params."+name, "looks secret, and params are public")
		default:
			o.in("params").set(name, v)
		}
	}
	s.rest(m, noEquivalent)
}

// readProxy writes the proxy that a key names.
func (s *source) readProxy(m *mapping, key string) {
	raw := s.text(key)
	if raw == "" {
		return
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		s.ask(m, "proxy", "is no proxy of http or https")
		return
	}
	address := u.Scheme + "://" + u.Host
	if u.User == nil {
		m.set("proxy", address)
		return
	}
	p := m.in("proxy")
	p.set("url", address)
	p.in("basic").set("username", u.User.Username())
	p.in("basic").set("password", s.variable(s, key))
	if u.Scheme == "http" && !isLocal(u.Hostname()) {
		s.ask(m, "allow_plaintext", "true sends the proxy's password in clear, as there")
	}
}

// list makes texts a list in one line.
func list(texts []string) (all []any) {
	for _, t := range texts {
		all = append(all, t)
	}
	return all
}

var sizePattern = regexp.MustCompile(`^([0-9]{1,9})([KMGTPE]?)(i?)B?$`)

// size reads a size, such as 10MB, as Prometheus does: by powers of 1024.
func size(s string) (int64, bool) {
	parts := sizePattern.FindStringSubmatch(s)
	if parts == nil {
		return 0, false
	}
	n, _ := strconv.ParseInt(parts[1], 10, 64)
	for range slices.Index([]string{"", "K", "M", "G", "T", "P", "E"}, parts[2]) {
		n *= 1024
	}
	return n, n > 0
}
