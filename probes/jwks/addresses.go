package jwks

import (
	"slices"

	"prober/internal/probe"
	"prober/internal/sorted"
)

var _ probe.Addresser = (*Probe)(nil)

// Addresses lists the key sets, the replicas of verifiers as configured, and where tokens are issued.
func (p *Probe) Addresses() []string {
	all := slices.Clone(p.URLs)
	for _, name := range sorted.Keys(p.Verifiers) {
		v := p.Verifiers[name]
		all = append(append(all, v.URL), v.Replicas.Addresses()...)
	}
	if p.Issuance != nil {
		all = append(all, p.Issuance.TokenURL)
	}
	return append(all, p.AuthURL())
}
