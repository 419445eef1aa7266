package httpx

import (
	"net/url"

	"prober/internal/dial"
	"prober/internal/probe"
)

// A Route says how requests get to their target, where that is not by its address alone.
type Route struct {
	IPVersion dial.IPVersion // which addresses of a host are dialled
	Proxy     *Proxy         // what requests go through
	Unix      string         // the path of a socket that is dialled in place of the URL's host
}

// validate reports what is wrong with the route, by the settings of a kind that has one.
func (r *Route) validate(u *url.URL) (wrong []error) {
	dialled := u.Hostname()
	if r.Proxy != nil {
		if proxy, err := url.Parse(r.Proxy.URL); err == nil {
			dialled = proxy.Hostname()
		}
	}
	if err := r.IPVersion.Check(dialled); err != nil {
		wrong = append(wrong, probe.Settingf("ip_version", "%s", err))
	}
	if r.Unix != "" {
		if err := dial.CheckUnix(r.Unix); err != nil {
			wrong = append(wrong, probe.Settingf("unix", "expected the absolute path of a socket, of at most 107 bytes"))
		}
		if r.IPVersion != "" {
			wrong = append(wrong, probe.Settingf("ip_version", "a Unix socket has none"))
		}
	}
	return wrong
}

// toOtherHost is the part of the route that also leads to other hosts, such as that of a login.
func (r Route) toOtherHost() Route { return Route{IPVersion: r.IPVersion, Proxy: r.Proxy} }
