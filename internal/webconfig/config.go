// Package webconfig reads the file of --web.config.file, in the format that the exporters of Prometheus share, and serves as
// it says: with TLS, passwords, headers and a limit on requests.
//
// Whatever cannot be read keeps people out: the mistakes of a file that changes while it is served are answered with 500 and
// end handshakes, and a protection that the file had is not given up before a restart.
package webconfig

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
	"gopkg.in/yaml.v3"

	"prober/internal/sorted"
	"prober/internal/strictyaml"
	"prober/internal/text"
)

// maxSize is the most that a file may have, certificates and keys included.
const maxSize = 1 << 20

// A config is what a file says.
type config struct {
	TLS   tlsSettings       `yaml:"tls_server_config"`
	HTTP  httpSettings      `yaml:"http_server_config"`
	Rate  rateSettings      `yaml:"rate_limit"`
	Users map[string]string `yaml:"basic_auth_users" empty:"true"` // the bcrypt hashes of their passwords

	file     string
	root     *yaml.Node // nil if the file is empty
	found    []strictyaml.Mistake
	interval time.Duration // of Rate
}

type httpSettings struct {
	HTTP2   boolean           `yaml:"http2"`
	Headers map[string]string `yaml:"headers" empty:"true"`
}

type rateSettings struct {
	Interval string `yaml:"interval"`
	Burst    int    `yaml:"burst"`
}

// A boolean is written in one of the ways of YAML 1.1, which the format had from the beginning.
type boolean bool

func (b *boolean) UnmarshalText(word []byte) error {
	switch strings.ToLower(string(word)) {
	case "true", "yes", "on", "y":
		*b = true
	case "false", "no", "off", "n":
		*b = false
	default:
		return fmt.Errorf("wants true or false")
	}
	return nil
}

// parse reads the text of a file. The error has all mistakes.
func parse(file string, data []byte) (*config, error) {
	c := &config{HTTP: httpSettings{HTTP2: true}, file: file}
	if blank(data) {
		return c, nil
	}
	if c.root, c.found = strictyaml.Parse(data, maxSize); c.root != nil {
		var d strictyaml.Decoder
		c.root = onlyGiven(c.root, append(d.Keys(c, &c.TLS, &c.HTTP, &c.Rate), headerNames...))
		c.found = d.Decode(c.root, c)
		c.check()
	}
	return c, c.mistakes()
}

// blank reports whether a file has nothing but comments. Exporters take it for one without settings.
func blank(data []byte) bool {
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line != "---" && line[0] != '#' {
			return false
		}
	}
	return true
}

// onlyGiven returns a tree without those of the known keys that have no value: for exporters such a key is not given. A user
// without a hash is a mistake.
func onlyGiven(n *yaml.Node, known []string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return n
	}
	given := *n
	given.Content = nil
	for key, value := range strictyaml.Pairs(n) {
		if strictyaml.IsNull(value) && slices.Contains(known, key.Value) {
			continue
		}
		if key.Value != "basic_auth_users" {
			value = onlyGiven(value, known)
		}
		given.Content = append(given.Content, key, value)
	}
	return &given
}

// check refuses values that no exporter would take, or with which nothing would work.
func (c *config) check() {
	for name, value := range c.HTTP.Headers {
		c.checkHeader(name, value)
	}
	for name, hash := range c.Users {
		if _, err := bcrypt.Cost([]byte(hash)); err != nil {
			c.refuse("basic_auth_users."+name, "expected a bcrypt hash, as htpasswd -nBC 10 NAME prints it")
		}
	}
	c.checkRate()
	c.checkTLS()
}

// headerNames are the headers that may be added to responses, as they have to be written.
var headerNames = []string{"Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options", "X-XSS-Protection", "Content-Security-Policy"}

func (c *config) checkHeader(name, value string) {
	path := "http_server_config.headers." + name
	if !slices.Contains(headerNames, name) {
		c.refuse(path, "this header cannot be set; expected one of %s", strings.Join(headerNames, ", "))
	}
	var allowed []string
	switch name {
	case "X-Content-Type-Options":
		allowed = []string{"nosniff"}
	case "X-Frame-Options":
		allowed = []string{"deny", "sameorigin"}
	}
	if allowed != nil && !slices.Contains(allowed, value) {
		c.refuse(path, "expected %s", strings.Join(allowed, " or "))
	}
}

func (c *config) checkRate() {
	if c.Rate.Interval == "" {
		return
	}
	interval, err := time.ParseDuration(c.Rate.Interval)
	switch {
	case err != nil:
		c.refuse("rate_limit.interval", "expected a duration with its unit, such as 100ms")
	case interval < 0:
		c.refuse("rate_limit.interval", "expected a duration that is not negative")
	case interval > 0 && c.Rate.Burst < 1:
		c.refuse("rate_limit.burst", "expected at least 1: no request would be answered")
	}
	c.interval = interval
}

// lost returns a protection that the next config lacks and this one has. The first half of a file that is being written is
// often a valid file.
func (c *config) lost(next *config) string {
	for _, p := range []struct {
		setting  string
		had, has bool
	}{
		{"basic_auth_users", len(c.Users) > 0, len(next.Users) > 0},
		{"tls_server_config", c.TLS.enabled(), next.TLS.enabled()},
		{"client_auth_type", c.TLS.clientAuth() != tls.NoClientCert, next.TLS.clientAuth() != tls.NoClientCert},
		{"client_ca_file or client_ca", c.TLS.hasClientCA(), next.TLS.hasClientCA()},
		{"client_allowed_sans", c.TLS.AllowedSANs != nil, next.TLS.AllowedSANs != nil},
	} {
		if p.had && !p.has {
			return p.setting
		}
	}
	return ""
}

// refuse notes a mistake in a setting, unless there is one in it already.
func (c *config) refuse(path, format string, args ...any) {
	if slices.ContainsFunc(c.found, func(m strictyaml.Mistake) bool { return m.Concerns(path) }) {
		return
	}
	shown := path
	for _, names := range []string{"basic_auth_users.", "http_server_config.headers."} {
		if name, ok := strings.CutPrefix(path, names); ok {
			shown = names + strictyaml.Shown(name)
		}
	}
	c.found = append(c.found, strictyaml.Mistake{
		Line: strictyaml.Line(c.root, path), Path: path,
		Text: shown + ": " + text.Line(fmt.Sprintf(format, args...)),
	})
}

// mistakes returns all that was refused, in the order of the lines.
func (c *config) mistakes() error {
	if len(c.found) == 0 {
		return nil
	}
	sorted.By(c.found, func(a, b strictyaml.Mistake) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return strings.Compare(a.Text, b.Text)
	})
	var lines []string
	for _, m := range c.found {
		at := c.file
		if m.Line > 0 {
			at = fmt.Sprintf("%s:%d", c.file, m.Line)
		}
		lines = append(lines, at+": "+m.Text)
	}
	return fmt.Errorf("%s", strings.Join(lines, "\n"))
}

// path returns where a file that the configuration names is: relative to the configuration.
func (c *config) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(c.file), name)
}
