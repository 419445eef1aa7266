package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// privateDomains cannot be registered by anybody: they are this machine's, a cluster's or a private network's.
var privateDomains = []string{".localhost", ".svc", ".cluster.local", ".internal"}

// checkHost refuses requests under names that somebody else may own. A page of another site can have its own name resolve
// to the prober (DNS rebinding), and is then of the same origin as the prober for the browser.
func checkHost(h http.Handler, names []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !knownHost(r.Host, names) {
			http.Error(w, "refused: the prober is not known under this host name; name it with --web.external-url", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// knownHost reports whether the value of a Host header is an IP address, a name that nobody can register, or one of the
// names. Without the header it was no browser that asked.
func knownHost(host string, names []string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") {
		return true
	}
	private := func(domain string) bool { return strings.HasSuffix(host, domain) }
	return slices.ContainsFunc(privateDomains, private) ||
		slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, host) })
}
