package importer

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"prober/internal/strictyaml"
)

// readGatus translates the endpoints of gatus.
func readGatus(d *draft, files []File) {
	s, ok := d.parse(files[0])
	if !ok {
		return
	}
	for _, e := range s.list("endpoints") {
		readEndpoint(e)
	}
	for _, part := range [][2]string{
		{"alerting", "prober rules, or --alertmanager.url: see docs/alerts.md"}, {"storage", "--storage.path keeps the history"},
		{"maintenance", "windows, single or weekly, see docs/configuration.md"}, {"external-endpoints", "nothing is pushed here"},
		{"suites", "the kinds token and protected and login cover the usual sequences"},
	} {
		if s.take(part[0]) != nil {
			s.without(&d.tail, part[0], part[1])
		}
	}
	s.rest(&d.tail, noEquivalent)
}

func readEndpoint(s *source) {
	title, raw := s.text("name"), s.text("url")
	if !s.flag("enabled", true) {
		s.without(&s.tail, "endpoint "+strictyaml.Shown(title), "is not enabled")
		return
	}
	scheme, rest, _ := strings.Cut(raw, "://")
	kind := map[string]string{
		"http": "http", "https": "http", "tcp": "tcp", "ssh": "tcp", "tls": "tls", "starttls": "tls",
		"icmp": "icmp", "grpc": "grpc", "grpcs": "grpc", "ws": "websocket", "wss": "websocket",
	}[scheme]
	if variable.MatchString(raw) && scheme != "ws" && scheme != "wss" {
		kind = "http"
	}
	if s.take("dns") != nil {
		kind = "dns"
	}
	if kind == "" {
		s.without(&s.tail, "endpoint "+strictyaml.Shown(title), "is not translated: see docs/kinds for what there is")
		return
	}
	m := &mapping{}
	m.set("name", s.name(title))
	if m.get("name") != title && title != "" && !variable.MatchString(title) {
		m.set("title", title)
	}
	m.set("type", kind)
	e := m // where what is expected stands
	switch {
	case kind == "http":
		e = &mapping{}
		s.readRequestOf(m, raw)
	case kind == "dns":
		s.readQuestion(m, raw)
	case kind == "icmp":
		s.host(m, rest, "url")
	case kind == "websocket":
		s.readSocket(m, raw)
	case !hostPort.MatchString(rest):
		s.ask(m, "address", "is no host:port")
	default:
		m.set("address", rest)
	}
	switch scheme {
	case "ssh":
		m.set("protocol", "ssh")
	case "starttls":
		m.set("starttls", "smtp")
	case "grpcs":
		m.in("tls")
	}
	interval := s.duration("interval", time.ParseDuration)
	if interval == 0 {
		interval = time.Minute
	}
	client := s.inner("client")
	s.times(m, interval, client.duration("timeout", time.ParseDuration))
	if group := s.text("group"); group != "" {
		s.labels(m, [][2]string{{"group", group}})
	}
	extra := s.inner("extra-labels")
	for _, name := range extra.keys() {
		extra.labels(m, [][2]string{{name, extra.text(name)}})
	}
	encrypted := kind == "http" || kind == "tls" || scheme == "grpcs" || scheme == "wss"
	client.readClient(m, kind, encrypted)
	refusal, redirected := s.readConditions(e, kind, encrypted)
	if kind == "http" {
		if follows := !client.flag("ignore-redirect", false); follows && !redirected {
			m.set("follow", plain("10")).comment = "here to the same origin only"
		}
		m.expect(e)
		if refusal || e.onlyRefuses() {
			s.ask(m, "control", "a refusal alone proves nothing: name a request that must succeed, see docs/kinds/http.md")
		}
	}
	client.rest(m, noEquivalent)
	if s.take("alerts") != nil {
		s.without(m, "alerts", "prober rules writes them; a runbook has their severity")
	}
	s.rest(m, noEquivalent)
	s.draft.add(s, m)
}

// readRequestOf translates a request.
func (s *source) readRequestOf(m *mapping, raw string) {
	u := &url.URL{}
	if variable.MatchString(raw) {
		s.ask(m, "url", "variables of the environment have no place in a URL")
	} else {
		u = s.target(m, strings.ReplaceAll(raw, "$$", "$"), "url")
	}
	if v := s.text("method"); v != "" && v != "GET" {
		m.set("method", v)
	}
	headers := s.inner("headers")
	for _, name := range headers.keys() {
		headers.header(m, name)
	}
	body := s.text("body")
	graphql := s.flag("graphql", false)
	switch {
	case strings.Contains(body, "[ENDPOINT_") || strings.Contains(body, "[LOCAL_ADDRESS]") || strings.Contains(body, "[RANDOM_STRING_"):
		s.ask(m, "body", "placeholders are not replaced here")
		m.set("body", plain("{TODO: the body}"))
	case graphql && !looksSecret(body) && !variable.MatchString(body):
		data, _ := json.Marshal(map[string]string{"query": body})
		m.set("body", string(data))
	default:
		s.body(m, "body")
	}
	headersOut, _ := m.get("headers").(*mapping)
	if graphql && (headersOut == nil || !headersOut.has("Content-Type")) {
		m.in("headers").set("Content-Type", "application/json")
	}
	secret := m.has("basic") || isSource(m.get("body"))
	for _, e := range headersOut.all() {
		secret = secret || isSource(e.value)
	}
	if (secret || s.inner("client").take("oauth2") != nil) && u.Scheme == "http" && !isLocal(u.Hostname()) {
		s.ask(m, "allow_plaintext", "true sends the credential in clear, as there; https is better")
	}
}

// readQuestion translates a question to a name server.
func (s *source) readQuestion(m *mapping, raw string) {
	if _, rest, ok := strings.Cut(raw, "://"); ok {
		raw = rest
	}
	if !hostPort.MatchString(raw) {
		raw += ":53"
	}
	if hostPort.MatchString(raw) {
		m.set("servers", []any{raw})
	} else {
		s.ask(m, "servers", "is no host:port")
	}
	q := s.inner("dns")
	m.set("query_name", q.text("query-name"))
	if v := q.text("query-type"); v != "" {
		m.set("query_type", v)
	}
	q.rest(m, noEquivalent)
}

// readSocket translates a WebSocket, and the message that is sent.
func (s *source) readSocket(m *mapping, raw string) {
	headers := s.inner("headers")
	for _, name := range headers.keys() {
		headers.header(m, name)
	}
	if variable.MatchString(raw) {
		s.ask(m, "url", "ws:// or wss://: variables of the environment have no place in a URL")
	} else {
		s.socket(m, strings.ReplaceAll(raw, "$$", "$"), "url")
	}
	step := &mapping{}
	if s.body(step, "body"); step.has("body") {
		message := &mapping{}
		message.set("send", step.get("body"))
		m.set("dialogue", []*mapping{message})
	}
}

// readClient translates how an endpoint is asked.
func (s *source) readClient(m *mapping, kind string, encrypted bool) {
	if v := s.text("dns-resolver"); v != "" {
		_, address, _ := strings.Cut(v, "://")
		m.set("resolver", address)
	}
	t := &mapping{}
	if files := s.inner("tls"); !files.empty() {
		for _, key := range [][2]string{{"certificate-file", "cert_file"}, {"private-key-file", "key_file"}} {
			if v := files.text(key[0]); v != "" {
				t.set(key[1], v)
			}
		}
		files.rest(m, noEquivalent)
	}
	if kind == "http" {
		s.readProxy(m, "proxy-url")
		if o := s.inner("oauth2"); !o.empty() {
			out := m.in("oauth2")
			o.tokenURL(out, o.text("token-url"))
			out.set("client_id", o.text("client-id"))
			o.credential(out, "client_secret", "client-secret")
			if all := o.texts("scopes"); len(all) > 0 {
				out.set("scopes", list(all))
			}
			o.rest(m, noEquivalent)
		}
	}
	if s.flag("insecure", false) && encrypted {
		headers, _ := m.get("headers").(*mapping)
		secret := m.has("oauth2") || m.has("basic") || isSource(m.get("body")) || t.has("key_file")
		for _, e := range headers.all() {
			secret = secret || isSource(e.value)
		}
		if kind == "tls" {
			s.without(m, "client.insecure", "the certificate is what the probe asks about; name its authority as tls.ca_file")
		} else if secret {
			s.without(m, "client.insecure", "a credential could be sent to anyone; name the authority as tls.ca_file")
		} else {
			t.set("insecure_skip_verify", true)
		}
	}
	if len(t.entries) > 0 && encrypted {
		m.set("tls", t)
	}
}
