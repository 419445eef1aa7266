package isolation

import (
	"strings"

	"prober/internal/probe"
	"prober/internal/sorted"
)

var _ probe.Addresser = (*Probe)(nil)

// Addresses lists the URLs of all operations, with their variables, and where the orgs get their tokens.
func (p *Probe) Addresses() []string {
	var all []string
	below := func(url string) {
		if !strings.Contains(url, "://") {
			url = p.Base + url
		}
		all = append(all, url)
	}
	if p.Identity != nil {
		below(p.Identity.URL)
	}
	for _, name := range sorted.Keys(p.Resources) {
		for _, op := range operations {
			if tmpl := p.Resources[name].template(op); tmpl != nil {
				below(tmpl.URL)
			}
		}
	}
	for _, name := range sorted.Keys(p.Orgs) {
		if c := p.Orgs[name]; c.OAuth2 != nil {
			all = append(all, c.OAuth2.TokenURL)
		} else if c.Login != nil {
			all = append(all, c.Login.URL)
		}
	}
	return append(all, p.Address)
}
