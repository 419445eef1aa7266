package importer

import (
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"prober/internal/strictyaml"
)

// noEquivalent is why most keys are comments.
const noEquivalent = "has no equivalent"

// A module is one of blackbox_exporter, translated.
type module struct {
	*source
	kind    string // of ours; empty if there is none
	prober  string
	timeout time.Duration
	ssl     string // the scheme that is required, if any
	http2   bool   // is offered, over https
	common  *mapping
	uses    []use
}

// readBlackbox translates modules, and the targets that Prometheus has for them.
func readBlackbox(d *draft, files []File) {
	s, ok := d.parse(files[0])
	if !ok {
		return
	}
	modules := s.inner("modules")
	var all []*module
	byName := map[string]*module{}
	for _, name := range modules.keys() {
		m := readModule(modules.inner(name))
		all, byName[name] = append(all, m), m
	}
	s.rest(&d.tail, noEquivalent)
	if len(files) > 1 {
		if p, ok := d.parse(files[1]); ok {
			readPrometheus(p, byName)
		}
	}
	for i, name := range modules.keys() {
		m := all[i]
		switch {
		case m.kind == "":
		case len(m.uses) > 0:
			d.expand(name, m.common, m.uses)
		case len(files) > 1:
			d.without(&d.tail, "module "+strictyaml.Shown(name), "no scrape configuration has a target for it")
		default:
			own := &mapping{}
			own.set("name", d.name(name))
			d.times(own, 0, m.timeout)
			what := "the target"
			if m.kind == "websocket" {
				what = "ws:// or wss://: " + what
			}
			d.ask(own, m.addressKey(), what+"; prometheus.yml has it, as the second file")
			m.checkTarget(own, &url.URL{})
			d.expand(name, m.common, []use{{m.source, own}})
		}
	}
}

func readModule(s *source) *module {
	m := &module{source: s, prober: s.text("prober"), common: &mapping{}}
	m.timeout = s.duration("timeout", promDuration)
	settings := s.inner(m.prober)
	m.kind = m.prober
	if m.prober == "unix" {
		m.kind = "tcp"
	}
	m.common.set("type", m.kind)
	switch m.kind {
	case "http":
		m.readHTTP(settings)
	case "tcp":
		m.readTCP(settings)
	case "dns":
		m.readDNS(settings)
	case "icmp":
		m.readICMP(settings)
	case "grpc":
		m.readGRPC(settings)
	case "websocket":
		m.readWebSocket(settings)
	default:
		m.kind = ""
		s.without(&s.tail, s.path, "prober "+strictyaml.Shown(m.prober)+" is not translated: see docs/kinds for what there is")
		return m
	}
	settings.rest(m.common, noEquivalent)
	for _, other := range []string{"http", "tcp", "unix", "dns", "icmp", "grpc", "websocket"} {
		s.used[other] = true // those of other probers have no effect there either
	}
	s.rest(m.common, noEquivalent)
	return m
}

func (m *module) addressKey() string {
	switch m.kind {
	case "http", "websocket":
		return "url"
	case "dns":
		return "servers"
	case "icmp":
		return "host"
	}
	return "address"
}

// hostPort is what may be dialled. A user has no place there.
var hostPort = regexp.MustCompile(`^(\[[0-9A-Fa-f:.%a-z]+\]|[^\s@:/]+):[0-9]{1,5}$`)

// target writes where a probe asks. The text is what follows target= in the URL of blackbox_exporter.
func (m *module) target(from *source, own *mapping, text string) {
	switch {
	case m.prober == "unix" && strings.HasPrefix(text, "/"):
		own.set("address", "unix:"+text)
	case m.kind == "dns":
		port := ":53"
		if m.common.get("transport") == "tls" {
			port = ":853"
		}
		if !hostPort.MatchString(text) {
			text += port
		}
		if !hostPort.MatchString(text) {
			m.ask(own, "servers", "the target is no host:port")
			return
		}
		own.set("servers", []any{text})
	case m.kind == "icmp":
		m.host(own, text, "the target")
	case m.kind == "websocket":
		if m.hasCredential() {
			text = withoutUser(text)
		}
		if !strings.Contains(text, "://") {
			text = "ws://" + text
		}
		from.socket(own, text, "targets")
		if u, err := url.Parse(text); err == nil && u.Scheme == "ws" && m.hasCredential() && !isLocal(u.Hostname()) && !own.has("allow_plaintext") {
			m.ask(own, "allow_plaintext", "true sends the credential in clear, as there; wss is better")
		}
	case m.kind == "tcp" || m.kind == "grpc":
		if !hostPort.MatchString(text) {
			m.ask(own, "address", "the target is no host:port")
			return
		}
		own.set("address", text)
	default:
		if !strings.Contains(text, "://") {
			text = "http://" + text
		}
		if m.hasCredential() { // which goes before a user in the URL
			text = withoutUser(text)
		}
		m.checkTarget(own, from.target(own, text, "targets"))
	}
}

// checkTarget holds the URL against the settings of the module.
func (m *module) checkTarget(own *mapping, u *url.URL) {
	if u.Scheme != "" && m.ssl != "" && u.Scheme != m.ssl {
		m.ask(own, "url", "the module wants "+m.ssl+", and the target is "+u.Scheme+"; it fails there, unless a redirect leads on")
	}
	if m.http2 && u.Scheme != "http" {
		own.set("http2", true)
	}
	if (m.hasCredential() || own.has("basic")) && u.Scheme == "http" && !isLocal(u.Hostname()) && !m.common.has("allow_plaintext") {
		m.ask(own, "allow_plaintext", "true sends the credential in clear, as there; https is better")
	}
}

func (m *module) hasCredential() bool {
	c := m.common
	headers, _ := c.get("headers").(*mapping)
	for _, e := range headers.all() {
		if isSource(e.value) {
			return true
		}
	}
	return c.has("basic") || c.has("bearer") || c.has("oauth2") || isSource(c.get("body"))
}

// withoutUser drops the user in a URL.
func withoutUser(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	u.User = nil
	return u.String()
}

func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// readVersion writes which addresses of a host are dialled.
func (s *source) readVersion(m *mapping) {
	preferred, fallback := s.text("preferred_ip_protocol"), s.flag("ip_protocol_fallback", true)
	version, known := map[string]string{"ip4": "4", "ip6": "6", "": "6"}[preferred]
	switch {
	case !known:
		s.wrong("preferred_ip_protocol", "ip4 or ip6")
	case !fallback:
		m.set("ip_version", plain(version))
	case preferred == "ip4":
		m.set("ip_version", "prefer-4")
	}
}

var tlsVersions = map[string]string{"TLS10": "1.0", "TLS11": "1.1", "TLS12": "1.2", "TLS13": "1.3"}

// readTLS writes settings of TLS. The comments go to the mapping around them.
func (s *source) readTLS(m *mapping, credential bool) *mapping {
	t := &mapping{}
	for _, key := range []string{"ca_file", "cert_file", "key_file", "server_name"} {
		if v := s.text(key); v != "" {
			t.set(key, v)
		}
	}
	if s.flag("insecure_skip_verify", false) {
		if credential {
			s.without(m, s.path+".insecure_skip_verify", "a credential could be sent to anyone; name the authority as tls.ca_file")
		} else {
			t.set("insecure_skip_verify", true)
		}
	}
	switch v := s.text("min_version"); v {
	case "":
	case "TLS12", "TLS13":
		t.set("min_version", tlsVersions[v])
	default:
		s.without(m, s.path+".min_version "+tlsVersions[v], "1.2 is the oldest version that is spoken")
	}
	if s.text("max_version") != "" {
		s.without(m, s.path+".max_version", "refused_versions of type: tls asks whether old versions are refused")
	}
	for _, key := range []string{"ca", "cert", "key"} {
		if s.text(key) != "" {
			s.warnings = append(s.warnings, s.place(key)+": was not copied; write it to a file")
			s.without(m, s.path+"."+key, "write it to a file, and name that as tls."+key+"_file")
		}
	}
	s.rest(m, noEquivalent)
	return t
}
