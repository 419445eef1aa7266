// Package clock asks whether services agree on the time, and this machine with UTC.
package clock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"time"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/postgres"
	"prober/internal/probe"
	"prober/internal/resp"
	"prober/internal/sorted"
	"prober/internal/text"
	"prober/internal/timesync"
)

// Probe asks whether services agree on the time, since «NTP drift causes premature expiry if services disagree on
// time», and whether this machine's own clock is right. Every source of time, an NTP server, a Date, a time in JSON,
// the iat of a new token, gives an interval that contains its offset. The verdict is pass or fail only if the whole
// interval is on one side of the limit, and inconclusive otherwise.
type Probe struct {
	NTP       []string           `yaml:"ntp" doc:"NTP servers, host or host:port; four or more, of different operators (RFC 8633)"`
	Quorum    int                `yaml:"quorum" doc:"how many of the NTP servers must agree; default: 3, or more than half if there are more than five"`
	NTPWithin probe.Duration     `yaml:"ntp_within" doc:"how far this machine's clock may be from UTC"`
	Services  map[string]Service `yaml:"services" doc:"by name, where each service states its time: a URL for its Date header, or keys"`
	Within    probe.Duration     `yaml:"within" doc:"how far the services' clocks may be from each other, and from UTC if ntp is set"`
	Resolver  string             `yaml:"resolver" doc:"host:port of a name server; default: the system's"`

	asker   timesync.Client
	servers []*timesync.Server // as NTP
	sources []*source          // by name
	leap    leapHistory

	stepped func() (time.Duration, bool) // in place of the watch over this machine's clock, in tests
}

// Bounds of what is configured.
const (
	maxServers  = 16
	maxServices = 12 // and so 66 pairs
	utcName     = "utc"
)

// Reasons of the clock kind. Skew blames the target; the others are inconclusive.
var (
	reasonSkew = probe.Reason{Word: "skew", Verdict: probe.Fail, Text: "further apart than allowed",
		Action: "Restore time synchronisation on the machine that the detail names (chronyc tracking); until then tokens fail as expired or not yet valid."}
	reasonWithinUncertainty = probe.Reason{Word: "within_uncertainty", Verdict: probe.Inconclusive, Text: "the limit is within the uncertainty",
		Action: "Raise the limit, or use sources that are nearer: the measurement is not exact enough to decide."}
	reasonQuorum = probe.Reason{Word: "quorum", Verdict: probe.Inconclusive, Text: "too few NTP servers agree",
		Action: "Check that UDP port 123 is open to the NTP servers, and configure more of them."}
	reasonFalseticker = probe.Reason{Word: "falseticker", Verdict: probe.Inconclusive, Text: "an NTP server that the others contradict",
		Action: "Remove the NTP server that the others contradict, or tell its operator."}
	reasonSameServer = probe.Reason{Word: "same_server", Verdict: probe.Inconclusive, Text: "two names, or two Dates, of one server",
		Action: "Configure NTP servers that are different machines: two of these are one."}
	reasonMixedClocks = probe.Reason{Word: "mixed_clocks", Verdict: probe.Inconclusive, Text: "no single clock explains the readings",
		Action: "Probe each replica by itself: several machines with different clocks answer at one address."}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:     func() probe.Probe { return New() },
		Summary: "whether services agree on the time, by Date, JSON, the iat of tokens, a database or Redis, and this machine with UTC, by NTP",
		Measures: []*probe.Measure{
			offsetGauge, uncertaintyGauge, skewGauge, skewUncertaintyGauge, stratumGauge, rootDistanceGauge, rttGauge, leapGauge, falsetickerGauge,
		},
		Reasons: append([]probe.Reason{
			reasonSkew, reasonWithinUncertainty, reasonQuorum, reasonFalseticker, reasonSameServer, reasonMixedClocks,
			timesync.BadReply, timesync.Unsynchronised, timesync.Stale, timesync.Uncertain, timesync.NegativeRTT, timesync.Replayed, timesync.Kiss,
		}, append(postgres.Reasons(), resp.Reasons()...)...),
	}
}

var (
	_ probe.Closer = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe {
	return &Probe{NTPWithin: probe.Duration(500 * time.Millisecond), Within: probe.Duration(2 * time.Second)}
}

// Validate reports what is wrong with the settings.
func (c *Probe) Validate() error {
	var wrong []error
	if len(c.NTP) == 0 && len(c.Services) < 2 {
		wrong = append(wrong, probe.Settingf("", "nothing to compare: expected ntp, two services, or both"))
	}
	if c.Within <= 0 {
		wrong = append(wrong, probe.Settingf("within", "must be above zero"))
	}
	if c.NTPWithin <= 0 {
		wrong = append(wrong, probe.Settingf("ntp_within", "must be above zero"))
	}
	client, err := (&httpx.Settings{Resolver: c.Resolver}).Client("")
	if err != nil {
		return errors.Join(append(wrong, err)...) // the services ask the same name server
	}
	return errors.Join(append(wrong, c.validateNTP(client), c.validateServices())...)
}

func (c *Probe) validateNTP(client *httpx.Client) error {
	var wrong []error
	c.asker.Resolver = client.Resolver()
	c.servers = nil
	var known []string
	for i, server := range c.NTP {
		address, ok := ntpAddress(server)
		switch {
		case !ok:
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("ntp[%d]", i), "expected host or host:port"))
		case slices.Contains(known, address):
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("ntp[%d]", i), "%s is listed twice, and would count as two that agree", server))
		}
		known = append(known, address)
		c.servers = append(c.servers, &timesync.Server{Address: address})
	}
	n := len(c.NTP)
	switch {
	case n == 0 && c.Quorum != 0:
		wrong = append(wrong, probe.Settingf("quorum", "there are no ntp servers"))
	case n > maxServers:
		wrong = append(wrong, probe.Settingf("ntp", "expected at most %d servers, got %d", maxServers, n))
	case n > 0 && c.Quorum == 0 && n < 3:
		wrong = append(wrong, probe.Settingf("ntp", "%s cannot show which of them is wrong: name four or more, or say with quorum how many you trust", text.Count(n, "server")))
	case n > 0 && c.Quorum != 0 && (c.Quorum > n || 2*c.Quorum <= n):
		wrong = append(wrong, probe.Settingf("quorum", "expected more than half of the %s and no more than all, got %d", text.Count(n, "ntp server"), c.Quorum))
	}
	return errors.Join(wrong...)
}

// ntpAddress completes a server's address by the port of NTP.
func ntpAddress(server string) (address string, ok bool) {
	if ip, err := netip.ParseAddr(server); err == nil {
		return netip.AddrPortFrom(ip, 123).String(), true
	}
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		host, port = server, "123"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || !dial.IsHost(host) {
		return "", false
	}
	return net.JoinHostPort(host, port), true
}

// quorum is how many NTP servers must agree.
func (c *Probe) quorum() int {
	if c.Quorum != 0 {
		return c.Quorum
	}
	return max(3, len(c.NTP)/2+1)
}

// serviceName is what a service may be called: its name becomes a label, and part of a pair's.
var serviceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)

func (c *Probe) validateServices() error {
	var wrong []error
	c.sources = nil
	for _, name := range sorted.Keys(c.Services) {
		switch {
		case !serviceName.MatchString(name):
			wrong = append(wrong, probe.Settingf("services."+name, "expected a name of letters, digits and any of _.-, at most 63"))
			continue
		case name == utcName || slices.Contains(c.NTP, name):
			wrong = append(wrong, probe.Settingf("services."+name, "the name is taken"))
		}
		s, err := newSource(name, c.Services[name], c.Resolver)
		if err != nil {
			wrong = append(wrong, probe.InSetting("services."+name, err))
			continue
		}
		c.sources = append(c.sources, s)
	}
	if len(c.Services) > maxServices {
		wrong = append(wrong, probe.Settingf("services", "expected at most %d, got %d", maxServices, len(c.Services)))
	}
	return errors.Join(append(wrong, c.checkProvable())...)
}

// checkProvable rejects a limit that is narrower than the uncertainty of two Dates.
func (c *Probe) checkProvable() error {
	for i, a := range c.sources {
		for _, b := range c.sources[i+1:] {
			if best := (a.resolution + b.resolution) / 2; c.Within > 0 && best >= c.Within.D() {
				return probe.Settingf("within", "%s is too narrow for %s and %s: their Dates may be %s and %s old, an uncertainty of ±%s; raise it, or set date_age: 0s for a server that writes a new Date for each answer",
					c.Within, a.name, b.name, a.resolution, b.resolution, best)
			}
		}
	}
	return nil
}

// Checks names what a run notes, for each target.
func (c *Probe) Checks() []string {
	var names []string
	if len(c.NTP) > 0 {
		names = append(names, "servers", "ntp")
	}
	if len(c.Services) > 0 {
		names = append(names, "source")
	}
	if len(c.Services) > 1 {
		names = append(names, "skew")
	}
	if len(c.NTP) > 0 && len(c.Services) > 0 {
		names = append(names, "utc")
	}
	return names
}

// Close ends the connections that are kept for reuse. The probe may still be asked.
func (c *Probe) Close() {
	for _, s := range c.sources {
		s.client.Close()
	}
}

// Ask asks every NTP server and every service at once, and then again those services of which more must be known to
// decide. If this machine's clock was set meanwhile, nothing is said of anybody.
func (c *Probe) Ask(ctx context.Context, r *probe.Result) {
	watch := probe.WatchClock()
	seen := c.askAll(ctx, r, watch.Began())
	for range maxReadings { // a panic among the questions must not make this go on for ever
		if !seen.askAgain(ctx, r) {
			break
		}
	}
	stepped := watch.Stepped
	if c.stepped != nil {
		stepped = c.stepped
	}
	if by, tooFar := stepped(); tooFar {
		r.Inconclusive(probe.RunCheck, probe.SelfClock, "this machine's clock was set by %s during the run: nothing can be compared with it", text.Duration(by))
		return
	}
	seen.reportServers(r)
	seen.reportSources(r)
	seen.reportPairs(r)
}
