package main

import (
	"net/http"

	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/webconfig"
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

// authenticated returns who sent a request: a user whose password was checked, or the subject of a verified certificate. A
// name that nobody checked is none.
func authenticated(r *http.Request) string {
	if name := webconfig.User(r); name != "" {
		return name
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return r.TLS.PeerCertificates[0].Subject.String()
	}
	return ""
}
