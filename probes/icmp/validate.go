package icmp

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/probes/internal/expect"
)

// Bounds of what is sent. The payload is random, so that no other packet has the same; the largest fits into an IPv4 packet.
const (
	maxCount    = 20
	minInterval = 10 * time.Millisecond
	minPayload  = 8
	maxPayload  = 65507
)

// Validate reports what is wrong with the settings.
func (p *Probe) Validate() error {
	p.Replicas.WithoutPorts()
	wrong := []error{
		p.validateHost(), probe.InSetting("replicas", p.Replicas.Validate()), expect.ValidateLatency(p.Latency),
		p.Replicas.ValidateIPVersion(p.IPVersion, p.Host),
	}
	if p.Resolver != "" && !dial.IsHostPort(p.Resolver) {
		wrong = append(wrong, probe.Settingf("resolver", "expected host:port"))
	}
	for _, s := range []struct {
		name            string
		value, min, max int
	}{
		{"count", p.Count, 1, maxCount}, {"payload_size", p.PayloadSize, minPayload, maxPayload}, {"ttl", p.TTL, 1, 255},
	} {
		if s.value < s.min || s.value > s.max {
			wrong = append(wrong, probe.Settingf(s.name, "expected %d to %d, got %d", s.min, s.max, s.value))
		}
	}
	if p.MaxLost < 0 || p.MaxLost > 0 && p.MaxLost >= p.Count {
		wrong = append(wrong, probe.Settingf("max_lost", "expected less than count, so that one reply must come"))
	}
	if p.PacketInterval.D() < minInterval {
		wrong = append(wrong, probe.Settingf("packet_interval", "expected at least %s", minInterval))
	}
	p.dialer = dial.New(p.Resolver, nil)
	p.dialer.MaxRead, p.dialer.IPVersion = maxRead, p.IPVersion
	p.dialer.Ping = dial.Ping{TTL: p.TTL, DontFragment: p.DontFragment}
	return errors.Join(wrong...)
}

func (p *Probe) validateHost() error {
	ip, err := netip.ParseAddr(p.Host)
	switch {
	case p.Host == "": // the decoder says so
	case err == nil:
		if err := dial.CheckAddr(ip); err != nil {
			return probe.Settingf("host", "%s", err)
		}
	case strings.Contains(p.Host, ":") || !dial.IsHostPort(p.Host+":1"):
		return probe.Settingf("host", "expected a name or an IP address, without a port")
	}
	return nil
}
