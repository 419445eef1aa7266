package probe

import (
	"slices"
	"strings"
)

// An Addresser is a Probe that knows before its first run whom it asks. Addresses lists the URLs, or HOST:PORT where there
// are none, the most important first; empty ones and those that are listed twice do not count. It is asked after Validate.
type Addresser interface {
	Probe
	Addresses() []string
}

// Addresses lists whom the probe asks, without what may be secret in a URL: the user and the query. It is empty if the
// probe is no Addresser.
func (j Job) Addresses() []string {
	p, ok := j.Probe.(Addresser)
	if !ok {
		return nil
	}
	var all []string
	for _, address := range p.Addresses() {
		scheme, host, path := splitAddress(address)
		if address = clean(scheme + host + path); address != "" && !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	return all
}

// Host is the host, with its port, of the first of Addresses; empty if there is none.
func (j Job) Host() string {
	for _, address := range j.Addresses() {
		_, host, _ := splitAddress(address)
		return host
	}
	return ""
}

// splitAddress takes a URL or HOST:PORT apart, and leaves out the user and the query. A path may hold variables in braces,
// which url.Parse would escape.
func splitAddress(address string) (scheme, host, path string) {
	if i := strings.IndexAny(address, "?#"); i >= 0 {
		address = address[:i]
	}
	if before, after, found := strings.Cut(address, "://"); found {
		scheme, address = before+"://", after
	}
	host = address
	if i := strings.IndexByte(address, '/'); i >= 0 {
		host, path = address[:i], address[i:]
	}
	return scheme, host[strings.LastIndexByte(host, '@')+1:], path
}
