package sql

import "prober/internal/probe"

var _ probe.Addresser = (*Probe)(nil)

// Addresses lists the servers.
func (p *Probe) Addresses() []string {
	if p.Preset == presetPrimary {
		return p.Servers
	}
	return []string{p.Address}
}
