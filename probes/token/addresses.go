package token

import (
	"strings"

	"prober/internal/probe"
)

var _ probe.Addresser = (*Probe)(nil)

// Addresses lists what the settings name. Endpoints that only discovery names are not known before a run.
func (p *Probe) Addresses() []string {
	var all []string
	if p.Discovery {
		all = append(all, p.discoveryURL())
	}
	all = append(all, p.TokenURL, p.JWKSURI)
	all = append(all, p.Keysets...)
	if p.Revocation != nil {
		all = append(all, p.Revocation.URL, p.Revocation.Use.URL)
	}
	return all
}

// discoveryURL is where OpenID Connect Discovery 1.0, section 4, puts the document.
func (p *Probe) discoveryURL() string {
	return strings.TrimSuffix(p.Issuer, "/") + "/.well-known/openid-configuration"
}
