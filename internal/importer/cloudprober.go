package importer

import (
	"cmp"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"prober/internal/strictyaml"
)

// elsewhere says what stands for keys of cloudprober that belong to no probe here.
var elsewhere = map[string]string{
	"surfacer": "results are at /metrics; see docs/metrics.md", "server": "nothing is served to be probed",
	"alert": "prober rules writes them; a runbook has their severity", "schedule": "windows, single or weekly: see maintenance in docs/configuration.md",
	"run_on": "each prober has its files; --shard divides them", "latency_distribution": "probe_run_duration_seconds is a histogram always",
	"latency_unit": "seconds always", "requests_per_probe": "one measured request; --once --repeat repeats a run",
	"user_agent": "is written by the prober itself", "use_datagram_socket": "a ping socket where that is allowed, else a raw one",
}

// A cloudprober is what the probes of one file share.
type cloudprober struct {
	*source
	shared map[string]*source // targets by their name
}

// readCloudprober translates the probes of cloudprober.
func readCloudprober(d *draft, files []File) {
	s, ok := d.parseTextpb(files[0])
	if !ok {
		return
	}
	c := &cloudprober{s, map[string]*source{}}
	for _, shared := range s.messages("shared_targets") {
		c.shared[shared.text("name")] = shared.inner("targets")
	}
	for _, p := range s.messages("probe") {
		c.readProbe(p)
	}
	s.remaining(&d.tail)
}

// messages returns the messages of a field; one counts as such.
func (s *source) messages(key string) []*source {
	if v := s.take(key); v != nil && v.Kind == yaml.MappingNode {
		return []*source{{s.draft, s.file, s.at(key), v, map[string]bool{}}}
	}
	return s.list(key)
}

// pairs returns the entries of a map, or of a list of names and values, as one mapping.
func (s *source) pairs(key string) *source {
	all := &source{s.draft, s.file, s.at(key), &yaml.Node{Kind: yaml.MappingNode, Line: s.line(key)}, map[string]bool{}}
	for _, m := range s.messages(key) {
		name := m.text("key") + m.text("name")
		v := m.take("value")
		if v != nil && v.Kind == yaml.ScalarNode && name != "" {
			all.node.Content = append(all.node.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name, Line: m.node.Line}, v)
		}
	}
	return all
}

// remaining writes a comment for each key that has not been taken.
func (s *source) remaining(m *mapping) {
	for _, key := range s.keys() {
		if why := elsewhere[key]; why != "" && !s.used[key] {
			s.used[key] = true
			s.without(m, key, why)
		}
	}
	s.rest(m, noEquivalent)
}

// number returns a number, or what it is by default.
func (s *source) number(key string, byDefault int) int {
	v := s.text(key)
	if v == "" {
		return byDefault
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > 1e9 {
		s.wrong(key, "a whole number")
		return byDefault
	}
	return n
}

// literal returns a text, and writes a comment for one with a template.
func (s *source) literal(m *mapping, key string) string {
	v := s.text(key)
	if strings.Contains(v, "{{") {
		s.without(m, s.at(key), "templates are not expanded here")
		return ""
	}
	return v
}

var enumValue = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,15}$`)

// enum returns a value of an enumeration, and refuses any other text.
func (s *source) enum(m *mapping, key string) string {
	v := s.text(key)
	if v != "" && !enumValue.MatchString(v) {
		s.wrong(key, "a value in capital letters")
		return ""
	}
	return v
}

// span returns a duration, which one key has in milliseconds and another as a text.
func (s *source) span(key string, byDefault time.Duration) time.Duration {
	if d := s.duration(key, time.ParseDuration); d > 0 {
		return d
	}
	return time.Duration(s.number(key+"_msec", int(byDefault/time.Millisecond))) * time.Millisecond
}

// readProbe writes one probe for each target.
func (c *cloudprober) readProbe(s *source) {
	name, kind := s.text("name"), s.text("type")
	common := &mapping{}
	read := map[string]func(*source, *mapping, *source) func(*mapping, target){
		"HTTP": (*source).readHTTPProbe, "TCP": (*source).readTCPProbe, "PING": (*source).readPingProbe, "DNS": (*source).readDNSProbe,
		"GRPC": (*source).readGRPCProbe, "EXTERNAL": (*source).readExternalProbe,
	}[kind]
	switch {
	case read == nil:
		s.without(&s.tail, "probe "+strictyaml.Shown(name), "type "+strictyaml.Shown(kind)+" is not translated: see docs/kinds for what there is")
		return
	case s.flag("negative_test", false):
		s.without(&s.tail, "probe "+strictyaml.Shown(name), "negative_test: that nothing answers proves nothing without a control")
		return
	}
	interval, timeout := s.span("interval", 2*time.Second), s.span("timeout", time.Second)
	settings := s.inner(strings.ToLower(kind) + "_probe")
	targets, resolver := c.targets(s.inner("targets"), common)
	version := map[string]string{"IPV4": "4", "IPV6": "6"}[s.text("ip_version")]
	write := read(settings, common, s)
	if write == nil {
		s.without(&s.tail, "probe "+strictyaml.Shown(name), "is not translated: see docs/kinds for what there is")
		return
	}
	kindHere, _ := common.get("type").(string)
	if version != "" && kindHere != "dns" && kindHere != "grpc" && kindHere != "exec" {
		common.set("ip_version", plain(version))
	} else if version != "" {
		s.without(common, "ip_version", noEquivalent)
	}
	if resolver != "" && kindHere != "exec" {
		common.set("resolver", resolver)
	}
	s.times(common, interval, timeout)
	labels := s.pairs("additional_label")
	for _, key := range labels.keys() {
		v := labels.literal(common, key)
		if strings.Contains(v, "@") {
			s.without(common, "label "+strictyaml.Shown(key), "labels of targets are not taken over")
		} else if v != "" {
			labels.labels(common, [][2]string{{key, v}})
		}
	}
	settings.remaining(common)
	s.remaining(common)
	var uses []use
	for _, t := range targets {
		own := &mapping{}
		wanted := name
		if len(targets) > 1 {
			wanted += "-" + strings.Trim(nameOf(t.host), "[]")
		}
		own.set("name", s.name(wanted))
		write(own, t)
		uses = append(uses, use{s, own})
	}
	s.expand(name, common, uses)
}

// A target is one host of a probe.
type target struct {
	host, port, url string
}

// authority is the host and a port: that of the target or else another.
func (t target) authority(port string) string {
	if _, own, err := net.SplitHostPort(t.host); err == nil && own != "" {
		return t.host
	}
	host := strings.Trim(t.host, "[]")
	if t.port != "" && port == "" {
		port = t.port
	}
	if port == "" && strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	if port == "" {
		return host
	}
	return net.JoinHostPort(host, port)
}

// targets lists the hosts of a probe, and the name server that knows them. There is one without a host where they are found elsewhere.
func (c *cloudprober) targets(s *source, m *mapping) (all []target, resolver string) {
	if name := s.text("shared_targets"); name != "" {
		shared := c.shared[name]
		if shared == nil {
			s.without(m, "shared_targets "+strictyaml.Shown(name), "there are none of that name, or they are made of themselves")
			return []target{{}}, ""
		}
		c.shared[name] = nil // while it is read: one may not be made of itself
		all, resolver = c.targets(shared, m)
		c.shared[name] = shared
		return all, resolver
	}
	for _, host := range strings.Split(s.literal(m, "host_names"), ",") {
		if host = strings.TrimSpace(host); host != "" {
			all = append(all, target{host: host})
		}
	}
	for _, e := range s.messages("endpoint") {
		t := target{e.literal(m, "name"), e.text("port"), e.literal(m, "url")}
		if ip := e.text("ip"); ip != "" {
			t.host = ip
		}
		e.used["labels"] = true
		e.rest(m, noEquivalent)
		all = append(all, t)
	}
	server := s.text("dns_server") + s.inner("dns_options").text("server")
	if _, rest, ok := strings.Cut(server, "://"); ok {
		server = rest
	}
	if server != "" && !hostPort.MatchString(server) {
		server += ":53"
	}
	if hostPort.MatchString(server) {
		resolver = server
	}
	s.take("dummy_targets")
	s.rest(m, "targets are listed in the file here")
	if len(all) == 0 {
		all = []target{{}}
	}
	return all, resolver
}

// readPingProbe translates PING.
func (s *source) readPingProbe(m *mapping, _ *source) func(*mapping, target) {
	m.set("type", "icmp")
	count := s.number("packets_per_probe", 2)
	if count > 20 {
		s.without(m, "packets_per_probe "+strconv.Itoa(count), "20 at most")
		count = 20
	}
	m.set("count", plain(strconv.Itoa(max(count, 1))))
	m.note("max_lost: no packet may be lost here; there each counts for itself")
	if n := s.number("packets_interval_msec", 25); n != 100 {
		m.set("packet_interval", plain(strconv.Itoa(max(n, 10))+"ms"))
	}
	if n := s.number("payload_size", 56); n != 56 {
		m.set("payload_size", plain(strconv.Itoa(min(max(n, 8), 65507))))
	}
	if s.flag("disable_integrity_check", false) {
		s.without(m, "disable_integrity_check", "another payload always fails")
	}
	return func(own *mapping, t target) { s.host(own, t.host, "the target") }
}

// readTCPProbe translates TCP.
func (s *source) readTCPProbe(m *mapping, _ *source) func(*mapping, target) {
	m.set("type", "tcp")
	if t := s.readTLSConfig(m, false); s.flag("tls_handshake", false) {
		m.set("tls", t)
	}
	port := s.text("port")
	return func(own *mapping, t target) { s.address(own, "address", t.authority(port)) }
}

// address writes host:port.
func (s *source) address(own *mapping, key, address string) {
	switch {
	case !hostPort.MatchString(address):
		s.ask(own, key, "the target is no host:port")
	case key == "servers":
		own.set(key, []any{address})
	default:
		own.set(key, address)
	}
}

// readDNSProbe translates DNS.
func (s *source) readDNSProbe(m *mapping, probe *source) func(*mapping, target) {
	m.set("type", "dns")
	m.set("query_name", s.literal(m, "resolved_domain"))
	if m.get("query_name") == "" {
		s.ask(m, "query_name", "the name to ask for")
		m.set("query_name", plain("{TODO: the name}"))
	}
	m.set("query_type", cmp.Or(s.enum(m, "query_type"), "MX"))
	if v := s.enum(m, "query_class"); v != "" && v != "IN" {
		m.set("query_class", v)
	}
	if !s.flag("recursion_desired", true) {
		m.set("recursion_desired", false)
	}
	port := "53"
	switch s.text("dns_proto") {
	case "TCP":
		m.set("transport", "tcp")
	case "TCP_TLS":
		m.set("transport", "tls")
		port = "853"
	}
	e := &mapping{}
	if n := s.number("min_answers", 0); n > 0 {
		e.in("answer").set("min", plain(strconv.Itoa(n)))
	} else {
		m.note("min_answers: none passes there, a record of the type here")
	}
	for _, v := range probe.messages("validator") {
		own := v.inner("dns_validator")
		if own.flag("authoritative", false) {
			e.set("authoritative", true)
		}
		own.rest(m, noEquivalent)
		if re := v.pattern(m, "regex"); re != "" {
			records := e.in("answer")
			all, _ := records.get("match").([]any)
			records.set("match", append(all, re))
		}
		v.used["name"] = true
		v.rest(m, noEquivalent)
	}
	m.expect(e)
	return func(own *mapping, t target) { s.address(own, "servers", t.authority(port)) }
}

// pattern returns a regular expression, if it says something.
func (s *source) pattern(m *mapping, key string) string {
	v := s.literal(m, key)
	re, err := regexp.Compile(v)
	switch {
	case err != nil:
		s.wrong(key, "a regular expression")
	case v == "":
	case re.MatchString(""):
		s.without(m, s.at(key), "a pattern matches the empty text too, so it proves nothing")
	case looksSecret(v):
		s.without(m, s.at(key), "looks secret")
	default:
		return v
	}
	return ""
}

// readGRPCProbe translates GRPC, if it asks for health.
func (s *source) readGRPCProbe(m *mapping, _ *source) func(*mapping, target) {
	if s.text("method") != "HEALTH_CHECK" {
		return nil
	}
	m.set("type", "grpc")
	if v := s.literal(m, "health_check_service"); v != "" {
		m.set("services", []any{v})
	}
	s.readOAuth(m)
	if tls := s.readTLSConfig(m, m.has("bearer") || m.has("oauth2")); !s.flag("plaintext", false) {
		m.set("tls", tls)
	}
	return func(own *mapping, t target) { s.address(own, "address", t.authority("")) }
}

var absolute = regexp.MustCompile(`^/[^\s'"\\$|&;<>()` + "`" + `]*(\s+[^'"\\$|&;<>()` + "`" + `\s]+)*$`)

// readExternalProbe translates EXTERNAL, if it runs a program once for each run.
func (s *source) readExternalProbe(m *mapping, _ *source) func(*mapping, target) {
	if mode := s.text("mode"); mode != "" && mode != "ONCE" {
		return nil
	}
	m.set("type", "exec")
	m.set("fail_on_warning", true).comment = "any exit status but 0 fails there"
	env := s.pairs("env_var")
	for _, name := range env.keys() {
		switch v := env.text(name); {
		case isSecretName(name) || looksSecret(v) || environment(v) != "":
			m.in("env").set(name, env.secret(name))
		case strings.Contains(v, "{{"):
			env.literal(m, name)
		default:
			m.in("env").set(name, v)
		}
	}
	command := s.text("command")
	return func(own *mapping, t target) {
		line := strings.NewReplacer("@target.name@", t.host, "@target@", t.host, "@address@", t.host, "@target.port@", t.port, "@port@", t.port).Replace(command)
		switch {
		case looksSecret(command) || strings.Contains(command, "{{"):
			s.warnings = append(s.warnings, s.place("command")+": was not copied; it may hold a secret, which belongs under env")
			s.ask(own, "command", "the program and its arguments; a secret belongs under env")
		case !absolute.MatchString(line) || strings.Contains(line, "@"):
			s.ask(own, "command", "the program by its absolute path, and its arguments, as a list; no shell reads them")
		default:
			own.set("command", list(strings.Fields(line)))
		}
	}
}

// readTLSConfig writes settings of TLS. The comments go to the mapping around them.
func (s *source) readTLSConfig(m *mapping, credential bool) *mapping {
	c, t := s.inner("tls_config"), &mapping{}
	for _, key := range [][2]string{{"ca_cert_file", "ca_file"}, {"tls_cert_file", "cert_file"}, {"tls_key_file", "key_file"}, {"server_name", "server_name"}} {
		if v := c.literal(m, key[0]); v != "" {
			t.set(key[1], v)
		}
	}
	switch insecure := c.flag("disable_cert_validation", false) || s.flag("disable_cert_validation", false); {
	case insecure && (credential || t.has("key_file")):
		s.without(m, "disable_cert_validation", "a credential could be sent to anyone; name the authority as tls.ca_file")
	case insecure:
		t.set("insecure_skip_verify", true)
	}
	switch v := c.text("min_tls_version"); v {
	case "", "TLS_AUTO":
	case "TLS_1_2", "TLS_1_3":
		t.set("min_version", strings.NewReplacer("TLS_", "", "_", ".").Replace(v))
	default:
		s.without(m, "min_tls_version", "1.2 is the oldest version that is spoken")
	}
	c.used["reload_interval_sec"] = true // files are read at use
	c.rest(m, noEquivalent)
	return t
}

// readOAuth writes where a token comes from.
func (s *source) readOAuth(m *mapping) {
	o := s.inner("oauth_config")
	if o.empty() {
		return
	}
	token, request := o.inner("bearer_token"), o.inner("http_request")
	file := token.literal(m, "file")
	if token.flag("k8s_local_token", false) {
		file = "/var/run/secrets/kubernetes.io/serviceaccount/token"
	}
	switch {
	case file != "":
		m.set("bearer", fileOf(file))
	case !request.empty():
		out := m.in("oauth2")
		request.tokenURL(out, request.literal(m, "token_url"))
		form, err := url.ParseQuery(strings.Join(request.texts("data"), "&"))
		if err != nil || form.Get("client_id") == "" || looksSecret(form.Get("client_id")) {
			request.ask(out, "client_id", "the client's name at the issuer")
		} else {
			out.set("client_id", form.Get("client_id"))
		}
		if form.Has("client_secret") {
			out.set("client_secret", request.variable(request, "data"))
		}
		if v := form.Get("scope"); v != "" && !looksSecret(v) {
			out.set("scopes", list(strings.Fields(v)))
		}
		request.used["method"] = request.text("method") == "" || request.text("method") == "POST"
	default:
		o.used["bearer_token"], o.used["http_request"] = true, true
		s.ask(m, "bearer", "the token came from a command or a cloud: name the file or variable that has it")
		o.take("google_credentials")
	}
	for _, inner := range []*source{token, request, o} {
		inner.rest(m, noEquivalent)
	}
}
