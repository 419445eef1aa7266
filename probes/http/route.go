package http

import (
	"net/netip"
	"strings"

	"prober/internal/probe"
)

// validateRoute refuses ways to the target that exclude each other. What is wrong with one alone is said by the client.
func (p *Probe) validateRoute() (wrong []error) {
	if _, err := netip.ParseAddrPort(p.Address); err != nil && p.Address != "" {
		wrong = append(wrong, probe.Settingf("address", "expected IP:port"))
	}
	if p.Address != "" && p.Unix != "" {
		wrong = append(wrong, probe.Settingf("address", "has no effect beside unix"))
	}
	if p.Address != "" && p.IPVersion != "" {
		wrong = append(wrong, probe.Settingf("ip_version", "has no effect beside address"))
	}
	if p.Unix != "" && p.Resolver != "" && p.AuthURL() == "" {
		wrong = append(wrong, probe.Settingf("resolver", "has no effect beside unix"))
	}
	if p.Proxy == nil {
		return wrong
	}
	for key, given := range map[string]bool{"address": p.Address != "", "unix": p.Unix != ""} {
		if given {
			wrong = append(wrong, probe.Settingf(key, "has no effect beside proxy"))
		}
	}
	if strings.HasPrefix(p.URL, "http://") && strings.HasPrefix(p.Expect.Negative(), "status") {
		wrong = append(wrong, probe.Settingf("proxy", "over http:// a refusal may be the proxy's own; expect it over https only"))
	}
	if strings.HasPrefix(p.URL, "http://") && len(p.Expect.HTTPVersion) > 0 {
		wrong = append(wrong, probe.Settingf("expect.http_version", "over http:// the version is that of the proxy"))
	}
	return wrong
}
