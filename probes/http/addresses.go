package http

import (
	"prober/internal/dial"
	"prober/internal/probe"
)

var _ probe.Addresser = (*Probe)(nil)

// Addresses lists the URL, that of the control, and where their tokens are fetched.
func (p *Probe) Addresses() []string {
	all := []string{p.URL, p.AuthURL()}
	if p.control != nil {
		all = append(all, p.control.URL, p.control.AuthURL())
	}
	if p.Unix != "" {
		all = append(all, dial.UnixScheme+p.Unix)
	}
	if p.Proxy != nil {
		all = append(all, p.Proxy.URL)
	}
	return append(all, p.Address)
}
