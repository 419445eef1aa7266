package importer

import (
	"net"
	"regexp"
	"strconv"
	"strings"
)

// readICMP translates the settings of the prober icmp.
func (m *module) readICMP(s *source) {
	c := m.common
	s.readVersion(c)
	if s.flag("dont_fragment", false) {
		c.set("dont_fragment", true)
	}
	for _, limit := range []struct {
		key      string
		min, max int
	}{{"payload_size", 8, 65507}, {"ttl", 1, 255}} {
		switch n, err := strconv.Atoi(s.text(limit.key)); {
		case s.text(limit.key) == "" || n == 0 && err == nil:
		case err != nil:
			s.wrong(limit.key, "a number")
		case n < limit.min || n > limit.max:
			s.without(c, limit.key+" "+strconv.Itoa(n), "is beyond what is sent here")
		default:
			c.set(limit.key, plain(strconv.Itoa(n)))
		}
	}
}

// readGRPC translates the settings of the prober grpc.
func (m *module) readGRPC(s *source) {
	if v := s.text("service"); v != "" {
		m.common.set("services", []any{v})
	}
	s.readVersion(m.common)
	t := s.inner("tls_config").readTLS(m.common, false)
	if s.flag("tls", false) {
		m.common.set("tls", t)
	}
}

// readWebSocket translates the settings of the prober websocket.
func (m *module) readWebSocket(s *source) {
	c := m.common
	for _, of := range []*source{s, s.inner("http_config"), s.inner("http_client_config")} {
		of.readRequest(c)
		of.readAuth(c)
		if t := of.inner("tls_config"); !t.empty() {
			if tls := t.readTLS(c, c.has("basic") || c.has("bearer") || c.has("oauth2")); len(tls.entries) > 0 {
				c.set("tls", tls)
			}
		}
		if of != s {
			of.rest(c, noEquivalent)
		}
	}
	c.remove("body") // there is none
	var steps []*mapping
	whole, asked := true, ""
	for _, q := range s.list("query_response") {
		if q.take("expect") != nil {
			asked = q.text("expect")
		}
		step, ok := q.step(c, asked)
		whole = whole && ok
		if v, ok := step.get("expect").(string); ok {
			step.set("expect", matching(v))
		}
		step.remove("starttls")
		if len(step.entries) > 0 {
			steps = append(steps, step)
		}
	}
	switch {
	case !whole:
		s.ask(c, "dialogue", "lacks what the comments above say")
	case len(steps) > 0:
		c.set("dialogue", steps)
	}
}

func matching(pattern string) *mapping {
	m := &mapping{}
	m.set("match", pattern)
	return m
}

var hostName = regexp.MustCompile(`^[^\s@:/?#]+$`)

// host writes whom to send echo requests to.
func (s *source) host(m *mapping, text, from string) {
	if bare := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"); net.ParseIP(bare) != nil {
		text = bare
	}
	if !hostName.MatchString(text) && net.ParseIP(text) == nil {
		s.ask(m, "host", from+" is no host")
		return
	}
	m.set("host", text)
}

// socket writes the URL of a WebSocket as target does, and returns that of HTTP.
func (s *source) socket(m *mapping, raw, from string) {
	at := strings.Index(raw, "://")
	if at < 0 {
		raw, at = "ws://"+raw, len("ws")
	}
	switch scheme := strings.ToLower(raw[:at]); scheme {
	case "ws", "wss":
		raw = "http" + scheme[len("ws"):] + raw[at:]
	case "http", "https": // read alike there
	}
	u := s.target(m, raw, from)
	if e := m.find("url"); e != nil {
		if v, ok := e.value.(string); ok {
			e.value = "ws" + strings.TrimPrefix(v, "http")
		} else {
			e.comment = "ws:// or wss://: " + strings.NewReplacer("http or https", "ws or wss", "was http", "was ws").Replace(e.comment)
		}
	}
	secret := m.has("basic")
	headers, _ := m.get("headers").(*mapping)
	for _, e := range headers.all() {
		secret = secret || isSource(e.value)
	}
	if secret && u.Scheme == "http" && !isLocal(u.Hostname()) && !m.has("allow_plaintext") {
		s.ask(m, "allow_plaintext", "true sends the credential in clear, as there; wss is better")
	}
}
