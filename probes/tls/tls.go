// Package tls has the kind of probe that asks how a server speaks TLS: its certificates, the versions that it accepts and those
// that it must refuse, and whether it requires a certificate of its clients.
package tls

import (
	"crypto/tls"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/probes/internal/dialogue"
	"prober/probes/internal/expect"
	"prober/probes/internal/replicas"
)

// Probe makes one handshake with a server, or with each of its replicas, and looks at what it was shown. What a server must
// refuse is asked in further handshakes that differ from the first in one thing only. They prove something if the server accepts
// the first, before and after.
type Probe struct {
	Address  string            `yaml:"address" required:"true" doc:"host:port"`
	Replicas replicas.Replicas `yaml:"replicas" doc:"where the replicas are and how many there must be; each is asked, as the host of address"`
	Resolver string            `yaml:"resolver" doc:"host:port of a name server; default: the system's"`

	IPVersion dial.IPVersion `yaml:"ip_version" default:"prefer-6" doc:"which addresses of the host to dial: 4 or 6 only, or prefer-4 or prefer-6 first"`

	StartTLS string `yaml:"starttls" doc:"ask for TLS in the words of a protocol first: smtp, imap, pop3 or ftp"`

	TLS         *dial.TLS           `yaml:"tls" doc:"authorities to trust, client certificate, the name to verify"`
	Names       []string            `yaml:"names" doc:"further names that the certificate must be valid for"`
	Certificate *expect.Certificate `yaml:"certificate" doc:"minimum remaining validity of the certificates in the chain that verifies: warn, or warn and fail"`

	Version           string   `yaml:"version" doc:"the version that must be agreed on at least: 1.2 or 1.3"`
	RefusedVersions   []string `yaml:"refused_versions" doc:"versions that the server must refuse: 1.0, 1.1, 1.2"`
	ClientCertificate string   `yaml:"client_certificate" doc:"required: the server must refuse clients without a certificate; tls.cert_file is the control"`

	dialer *dial.Dialer
	host   string
}

// Reasons of this kind, beside those of a dialogue.
var (
	reasonVersion  = probe.Reason{Word: "tls_version", Verdict: probe.Fail, Text: "an older version of TLS", Action: "Enable the newer version in the server's TLS settings, or in those of what ends TLS before it."}
	reasonAccepted = probe.Reason{Word: "tls_version_accepted", Verdict: probe.Fail, Text: "a version of TLS that must be refused is accepted", Action: "Raise the lowest version in the TLS settings of the server, and of every replica and load balancer before it."}
	reasonNobody   = probe.Reason{Word: "client_certificate_not_required", Verdict: probe.Fail, Text: "clients without a certificate are accepted", Action: "Have the server require and verify client certificates; until then, whoever reaches it may speak to it."}
)

// Measures of this kind.
var (
	presentedGauge = &probe.Measure{
		Name:   "probe_tls_presented_earliest_expiry_timestamp_seconds",
		Help:   "When the first of all presented certificates expires, those included that no chain needs.",
		Labels: []string{"target"},
	}
	versionGauge = &probe.Measure{
		Name:   "probe_tls_version_info",
		Help:   "The version of TLS that was agreed on; the value is 1.",
		Labels: []string{"target", "tls_version"},
	}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return New() },
		Summary:  "how a server speaks TLS (SSL): chain, names, expiry, versions that it accepts and refuses, client certificates, behind STARTTLS too",
		Measures: []*probe.Measure{presentedGauge, versionGauge, expect.CertificateExpiring},
		Reasons:  append(dialogue.Reasons(), reasonVersion, reasonAccepted, reasonNobody),
	}
}

var (
	_ probe.Addresser         = (*Probe)(nil)
	_ probe.CertificateWarner = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe { return &Probe{} }

// Names of the checks.
const (
	checkConnect  = "connect"
	checkStartTLS = "starttls"
	checkTLS      = "tls"
	checkChain    = "chain"
	checkNames    = "names"
	checkVersion  = "version"
	checkRefused  = "refused_versions"
	checkClient   = "client_certificate"
	checkReplicas = "replicas"
)

// Checks names the checks of a run.
func (p *Probe) Checks() (names []string) {
	for _, c := range []struct {
		name string
		made bool
	}{
		{checkConnect, true}, {checkStartTLS, p.StartTLS != ""}, {checkTLS, true}, {checkChain, true}, {checkNames, true},
		{probe.CheckCertificate, p.Certificate != nil}, {checkVersion, p.Version != ""}, {checkRefused, len(p.RefusedVersions) > 0},
		{checkClient, p.ClientCertificate != ""}, {checkReplicas, !p.Replicas.None()},
	} {
		if c.made {
			names = append(names, c.name)
		}
	}
	return names
}

// Addresses lists the servers that the configuration names.
func (p *Probe) Addresses() []string {
	if p.Replicas.None() {
		return []string{p.Address}
	}
	return p.Replicas.Addresses()
}

// CertificateWarning tells whether the certificate's end is warned of, and how.
func (p *Probe) CertificateWarning() (severity string, ok bool) {
	if p.Certificate == nil || p.Certificate.Warn == nil {
		return "", false
	}
	return p.Certificate.Severity, true
}

// versions are the versions of TLS as the settings have them.
func versions() map[string]uint16 {
	return map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}
}
