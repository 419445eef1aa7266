package tls

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"prober/internal/dial"
	"prober/internal/drop"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/dialogue"
)

// maxNames bounds the names that are compared.
const maxNames = 100

// Validate reports what is wrong with the settings.
func (p *Probe) Validate() error {
	wrong := []error{
		probe.InSetting("replicas", p.Replicas.Validate()), probe.InSetting("tls", p.TLS.Validate(false)), p.validateNames(), p.validateVersions(),
	}
	p.host, _, _ = net.SplitHostPort(p.Address)
	if err := dial.CheckHostPort(p.Address); p.Address != "" && err != nil {
		wrong = append(wrong, probe.Settingf("address", "%s", err))
	}
	if p.Resolver != "" && !dial.IsHostPort(p.Resolver) {
		wrong = append(wrong, probe.Settingf("resolver", "expected host:port"))
	}
	if p.StartTLS != "" && !dialogue.KnowsStartTLS(p.StartTLS) {
		known := drop.If(dialogue.Protocols(), func(name string) bool { return !dialogue.KnowsStartTLS(name) })
		wrong = append(wrong, probe.Settingf("starttls", "expected one of %s%s", strings.Join(known, ", "), text.DidYouMean(p.StartTLS, known)))
	}
	if p.TLS != nil && p.TLS.InsecureSkipVerify {
		wrong = append(wrong, probe.Settingf("tls.insecure_skip_verify", "the certificate is what the probe asks about"))
	}
	if p.Certificate != nil {
		wrong = append(wrong, probe.InSetting("certificate", p.Certificate.Validate()))
	}
	switch {
	case p.ClientCertificate != "" && p.ClientCertificate != "required":
		wrong = append(wrong, probe.Settingf("client_certificate", "expected required"))
	case p.ClientCertificate != "" && (p.TLS == nil || p.TLS.CertFile == ""):
		wrong = append(wrong, probe.Settingf("client_certificate", "expected tls.cert_file: a server that is down refuses everybody, so one client must be accepted"))
	}
	wrong = append(wrong, p.Replicas.ValidateIPVersion(p.IPVersion, p.host))
	p.dialer = dial.New(p.Resolver, p.TLS)
	p.dialer.MaxRead, p.dialer.IPVersion = maxRead, p.IPVersion
	return errors.Join(wrong...)
}

func (p *Probe) validateNames() error {
	var wrong []error
	if len(p.Names) > maxNames {
		wrong = append(wrong, probe.Settingf("names", "expected at most %d, got %d", maxNames, len(p.Names)))
	}
	for i, name := range p.Names {
		if name == "" || strings.ContainsAny(name, " :/*") && net.ParseIP(name) == nil {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("names[%d]", i), "expected a host name or an IP address that clients use, not a pattern"))
		}
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateVersions() error {
	var wrong []error
	if p.Version != "" && p.Version != "1.2" && p.Version != "1.3" {
		wrong = append(wrong, probe.Settingf("version", "expected 1.2 or 1.3"))
	}
	minimum := "1.2"
	if p.TLS != nil && p.TLS.MinVersion == "1.3" || p.Version == "1.3" {
		minimum = "1.3"
	}
	for i, v := range p.RefusedVersions {
		at := fmt.Sprintf("refused_versions[%d]", i)
		switch {
		case versions()[v] == 0 || v == "1.3":
			wrong = append(wrong, probe.Settingf(at, "expected 1.0, 1.1 or 1.2"))
		case v >= minimum:
			wrong = append(wrong, probe.Settingf(at, "expected version: \"1.3\" beside it: the handshake that must succeed may be one of %s", v))
		case slices.Index(p.RefusedVersions, v) < i:
			wrong = append(wrong, probe.Settingf(at, "is listed twice"))
		}
	}
	return errors.Join(wrong...)
}
