package protected

import "prober/internal/probe"

var _ probe.Addresser = (*Probe)(nil)

// Addresses lists the route, its replicas as configured, and where callers get their tokens and forgeries their keys.
func (p *Probe) Addresses() []string {
	all := append([]string{p.URL}, p.Replicas.Addresses()...)
	for _, c := range p.order {
		if c.OAuth2 != nil {
			all = append(all, c.OAuth2.TokenURL)
		}
		if c.Login != nil {
			all = append(all, c.Login.URL)
		}
	}
	if p.Forgeries != nil {
		all = append(all, p.Forgeries.keysURL())
	}
	return all
}
