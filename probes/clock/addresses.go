package clock

import (
	"prober/internal/probe"
	"prober/internal/sorted"
)

var _ probe.Addresser = (*Probe)(nil)

// Addresses lists the services and the NTP servers.
func (p *Probe) Addresses() []string {
	var all []string
	for _, name := range sorted.Keys(p.Services) {
		s := p.Services[name]
		all = append(all, s.URL, s.AuthURL())
		if s.IAT != nil {
			all = append(all, s.IAT.TokenURL)
		}
		if s.Redis != nil {
			all = append(all, s.Redis.Address)
		}
		if s.Postgres != nil {
			all = append(all, s.Postgres.Address)
		}
	}
	return append(all, p.NTP...)
}
