package health

import "prober/internal/probe"

var _ probe.Addresser = (*Probe)(nil)

// Addresses lists the two pages of the service, its replicas as configured, and its dependency.
func (h *Probe) Addresses() []string {
	all := []string{h.Service + h.Live.Path, h.Service + h.Ready.Path}
	all = append(all, h.Replicas.Addresses()...)
	return append(all, h.Dependency.URL, h.AuthURL())
}
