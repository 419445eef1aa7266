package main

import (
	"net/http"
	"os"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
	"prober/internal/secret"
)

// acknowledge notes who acknowledged a breach and why, for the next process too.
func (s *server) acknowledge(k probe.Key, by, why string) error {
	by, why = secret.Redact(by), secret.Redact(why)
	if err := s.incidents.Acknowledge(k, by, why); err != nil {
		return err
	}
	s.log.Info("Breach acknowledged", "system", k.System, "probe", k.Name, "by", by, "reason", why)
	return nil
}

// user returns who sent a request: a user that the configuration of the listener names, whose password was checked before, or
// the subject of a verified certificate. A name that nobody checked is none.
func (o serveOptions) user(r *http.Request) string {
	if name, _, ok := r.BasicAuth(); ok && o.hasUser(name) {
		return name
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return r.TLS.PeerCertificates[0].Subject.String()
	}
	return ""
}

// hasUser reports whether the listener asks for the password of a user. The file is read as it is now, as for each request.
func (o serveOptions) hasUser(name string) bool {
	if o.web == nil || o.web.WebConfigFile == nil || *o.web.WebConfigFile == "" {
		return false
	}
	text, err := os.ReadFile(*o.web.WebConfigFile)
	var listener struct {
		Users map[string]string `yaml:"basic_auth_users"`
	}
	if err != nil || yaml.Unmarshal(text, &listener) != nil {
		return false
	}
	_, known := listener.Users[name]
	return known
}
