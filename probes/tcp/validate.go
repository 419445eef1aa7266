package tcp

import (
	"errors"
	"net"
	"slices"
	"strings"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/dialogue"
	"prober/probes/internal/expect"
)

// Validate reports what is wrong with the settings.
func (p *Probe) Validate() error {
	wrong := []error{
		p.validateAddress(), p.validateDialogue(), expect.ValidateLatency(p.Latency),
		probe.InSetting("replicas", p.Replicas.Validate()),
		probe.InSetting("tls", p.TLS.Validate(p.sendsSecret())),
	}
	if p.Resolver != "" && !dial.IsHostPort(p.Resolver) {
		wrong = append(wrong, probe.Settingf("resolver", "expected host:port"))
	}
	if p.Certificate != nil {
		wrong = append(wrong, probe.InSetting("certificate", p.Certificate.Validate()))
		if !p.encrypts() {
			wrong = append(wrong, probe.Settingf("certificate", "expected tls or starttls beside it"))
		}
	}
	wrong = append(wrong, p.Replicas.ValidateIPVersion(p.IPVersion, p.host))
	if p.unix != "" && p.IPVersion != "" {
		wrong = append(wrong, probe.Settingf("ip_version", "a Unix socket has none"))
	}
	p.dialer = dial.New(p.Resolver, p.TLS)
	p.dialer.MaxRead, p.dialer.IPVersion = maxRead, p.IPVersion
	return errors.Join(wrong...)
}

func (p *Probe) validateAddress() error {
	path, isPath := strings.CutPrefix(p.Address, dial.UnixScheme)
	if !isPath {
		p.host, _, _ = net.SplitHostPort(p.Address)
		if err := dial.CheckHostPort(p.Address); p.Address != "" && err != nil {
			return probe.Settingf("address", "%s", err)
		}
		return nil
	}
	p.unix, p.host = path, "localhost"
	var wrong []error
	if err := dial.CheckUnix(path); err != nil {
		wrong = append(wrong, probe.Settingf("address", "%s", err))
	}
	if !p.Replicas.None() {
		wrong = append(wrong, probe.Settingf("replicas", "a Unix socket has none"))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateDialogue() error {
	var wrong []error
	known := dialogue.Protocols()
	switch {
	case p.Protocol != "" && !slices.Contains(known, p.Protocol):
		wrong = append(wrong, probe.Settingf("protocol", "expected one of %s%s", strings.Join(known, ", "), text.DidYouMean(p.Protocol, known)))
	case p.Protocol != "" && len(p.Dialogue) > 0:
		wrong = append(wrong, probe.Settingf("dialogue", "has no effect beside protocol"))
	case p.StartTLS && p.Protocol == "":
		wrong = append(wrong, probe.Settingf("starttls", "expected a protocol beside it; in a dialogue, starttls is a step"))
	case p.StartTLS && !dialogue.KnowsStartTLS(p.Protocol):
		wrong = append(wrong, probe.Settingf("starttls", "%s does not know it", p.Protocol))
	}
	wrong = append(wrong, probe.InSetting("dialogue", dialogue.Validate(p.Dialogue, p.encryptsAtOnce())))
	if p.AllowPlaintext && (!p.sendsSecret() || p.encryptsAtOnce()) {
		wrong = append(wrong, probe.Settingf("allow_plaintext", "has no effect: no secret is sent without TLS"))
	}
	return errors.Join(wrong...)
}

// sendsSecret reports whether a secret is sent at all, or before the change to TLS.
func (p *Probe) sendsSecret() bool {
	return slices.ContainsFunc(p.Dialogue, func(s dialogue.Step) bool { return !s.Send.Secret.IsZero() })
}
