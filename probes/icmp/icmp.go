// Package icmp has the kind of probe that sends echo requests, as ping does.
package icmp

import (
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/probes/internal/expect"
	"prober/probes/internal/replicas"
)

// Probe sends echo requests to a host, or to each of its replicas. A reply counts if it has the identifier, the sequence number
// and the random payload of a request. A reply says that the kernel of the host works and that there is a way to it and back; it
// says nothing of any service.
type Probe struct {
	Host     string            `yaml:"host" required:"true" doc:"name or IP address of the host"`
	Replicas replicas.Replicas `yaml:"replicas" doc:"which hosts there are and how many there must be, without ports; each is asked"`
	Resolver string            `yaml:"resolver" doc:"host:port of a name server; default: the system's"`

	IPVersion dial.IPVersion `yaml:"ip_version" default:"prefer-6" doc:"which addresses of the host to ask: 4 or 6 only, or prefer-4 or prefer-6 first"`

	Count          int            `yaml:"count" default:"1" doc:"how many echo requests to send to each host, at most 20"`
	PacketInterval probe.Duration `yaml:"packet_interval" default:"100ms" doc:"time from one echo request to the next"`
	MaxLost        int            `yaml:"max_lost" doc:"how many of the echo requests may stay without a reply"`
	PayloadSize    int            `yaml:"payload_size" default:"56" doc:"random bytes in each echo request; 28 more make the IPv4 packet, 48 the IPv6 packet"`
	DontFragment   bool           `yaml:"dont_fragment" doc:"the packet must fit the whole way there without being cut into fragments"`
	TTL            int            `yaml:"ttl" default:"64" doc:"how many routers may pass on the echo request: the TTL of IPv4, the hop limit of IPv6"`

	Latency *probe.Duration `yaml:"latency" doc:"maximum round trip time of every reply"`

	dialer *dial.Dialer
}

// Reasons of this kind.
var (
	reasonPermission = probe.Reason{Word: "no_permission", Verdict: probe.Inconclusive, Text: "may not send echo requests",
		Action: "Let the prober's group open ping sockets (sysctl net.ipv4.ping_group_range, for IPv6 too), or give the prober CAP_NET_RAW."}
	reasonLoss = probe.Reason{Word: "packet_loss", Verdict: probe.Fail, Text: "packets are lost",
		Action: "Compare with other hosts on the same way: loss to one points to its link or load, loss to all to a full link near the prober."}
	reasonProhibited = probe.Reason{Word: "prohibited", Verdict: probe.Fail, Text: "a firewall refuses the way",
		Action: "Look at the firewall or access list of the router that the detail names: it refuses these packets and says so."}
	reasonTimeExceeded = probe.Reason{Word: "time_exceeded", Verdict: probe.Fail, Text: "too many routers on the way, or a loop",
		Action: "Trace the way (mtr, tracepath): a router that occurs twice is a routing loop; otherwise raise ttl."}
	reasonTooBig = probe.Reason{Word: "packet_too_big", Verdict: probe.Fail, Text: "the packet does not fit the way",
		Action: "Find the link with the smaller MTU, such as a tunnel: the detail has the MTU and who reports it; clients see large transfers hang."}
	reasonCorrupted = probe.Reason{Word: "payload_changed", Verdict: probe.Fail, Text: "replies with another payload",
		Action: "Look for a faulty network card, switch or tunnel on the way, or a middlebox that answers in place of the host."}
	reasonDuplicate = probe.Reason{Word: "duplicate_replies", Verdict: probe.Fail, Text: "several replies to one request",
		Action: "Look for two machines with the same address, or a loop between switches."}
)

// Measures of this kind.
var (
	rttGauge = &probe.Measure{
		Name:   "probe_icmp_rtt_seconds",
		Help:   "Mean round trip time of the replies in the last run; absent without one.",
		Labels: []string{"target"},
	}
	lossGauge = &probe.Measure{
		Name:   "probe_icmp_loss_ratio",
		Help:   "Share of the echo requests of the last run without a reply.",
		Labels: []string{"target"},
	}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return New() },
		Summary:  "echo requests (ping): replies, loss, round trip time, and what a router says instead, over IPv4 and IPv6",
		Measures: []*probe.Measure{rttGauge, lossGauge},
		Reasons: []probe.Reason{
			reasonPermission, reasonLoss, reasonProhibited, reasonTimeExceeded, reasonTooBig, reasonCorrupted, reasonDuplicate,
		},
	}
}

var (
	_ probe.Addresser      = (*Probe)(nil)
	_ probe.TimeoutChecker = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe {
	return &Probe{Count: 1, PacketInterval: probe.Duration(100 * time.Millisecond), PayloadSize: 56, TTL: 64}
}

// Names of the checks.
const (
	checkReply      = "reply"
	checkDuplicates = "duplicates"
	checkLatency    = "latency"
	checkReplicas   = "replicas"
)

// Checks names the checks of a run.
func (p *Probe) Checks() (names []string) {
	for _, c := range []struct {
		name string
		made bool
	}{
		{checkReply, true}, {checkDuplicates, p.Count > 1}, {checkLatency, p.Latency != nil}, {checkReplicas, !p.Replicas.None()},
	} {
		if c.made {
			names = append(names, c.name)
		}
	}
	return names
}

// Addresses lists the hosts that the configuration names.
func (p *Probe) Addresses() []string {
	if p.Replicas.None() {
		return []string{p.Host}
	}
	return p.Replicas.Addresses()
}

// CheckTimeout refuses a latency that is never exceeded and requests that are never sent, since the run ends before.
func (p *Probe) CheckTimeout(timeout time.Duration) error {
	if last := time.Duration(p.Count-1) * p.PacketInterval.D(); last+margin >= timeout {
		return probe.Settingf("packet_interval", "the last of %d echo requests is sent after %s, and the timeout is %s", p.Count, probe.Duration(last), probe.Duration(timeout))
	}
	return expect.CheckLatency(p.Latency, timeout)
}
