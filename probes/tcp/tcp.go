// Package tcp has the kind of probe that opens a TCP connection, or one to a Unix socket, and holds a dialogue on it.
package tcp

import (
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/probes/internal/dialogue"
	"prober/probes/internal/expect"
	"prober/probes/internal/replicas"
)

// Probe opens a connection to a server, or to each of its replicas. A port that accepts connections says little: a load
// balancer accepts them without a server behind it. So the probe can wait for the server's first words, answer them, change to
// TLS in the middle, and go on.
type Probe struct {
	Address  string            `yaml:"address" required:"true" doc:"host:port, or unix: and the path of a socket"`
	Replicas replicas.Replicas `yaml:"replicas" doc:"where the replicas are and how many there must be; each is asked, and TLS verifies the host of address"`
	Resolver string            `yaml:"resolver" doc:"host:port of a name server; default: the system's"`

	IPVersion dial.IPVersion `yaml:"ip_version" default:"prefer-6" doc:"which addresses of the host to dial: 4 or 6 only, or prefer-4 or prefer-6 first"`

	Protocol string          `yaml:"protocol" doc:"a ready dialogue: smtp, imap, pop3, ftp, ssh or irc"`
	StartTLS bool            `yaml:"starttls" doc:"the server must offer STARTTLS and go on over TLS; with protocol smtp, imap, pop3 or ftp"`
	Dialogue []dialogue.Step `yaml:"dialogue" doc:"what to wait for and what to send, in place of protocol"`

	TLS            *dial.TLS `yaml:"tls" doc:"speak TLS, with these settings: from the first byte on or, if there is a starttls, from there on"`
	AllowPlaintext bool      `yaml:"allow_plaintext" doc:"send a secret without TLS to other machines too"`

	Latency     *probe.Duration     `yaml:"latency" doc:"maximum duration of all, from the look-up of the name to the last reply"`
	Certificate *expect.Certificate `yaml:"certificate" doc:"minimum remaining validity of every certificate in the chain: warn, or warn and fail"`

	dialer *dial.Dialer
	host   string // that TLS verifies
	unix   string // the path of a socket; empty: there is an address
}

var connectGauge = &probe.Measure{
	Name:   "probe_tcp_connect_seconds",
	Help:   "How long it took to open the connection, without the look-up of the name.",
	Labels: []string{"target"},
}

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return New() },
		Summary:  "a TCP port or a Unix socket: accepts connections, and replies as SMTP, IMAP, SSH or your own dialogue has it, with STARTTLS",
		Measures: []*probe.Measure{connectGauge, expect.CertificateExpiring},
		Reasons:  dialogue.Reasons(),
	}
}

var (
	_ probe.Addresser         = (*Probe)(nil)
	_ probe.CertificateWarner = (*Probe)(nil)
	_ probe.TimeoutChecker    = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe { return &Probe{} }

// Names of the checks.
const (
	checkConnect  = "connect"
	checkTLS      = "tls"
	checkDialogue = "dialogue"
	checkLatency  = "latency"
	checkReplicas = "replicas"
)

// Checks names the checks of a run.
func (p *Probe) Checks() (names []string) {
	for _, c := range []struct {
		name string
		made bool
	}{
		{checkConnect, true}, {checkTLS, p.encrypts()}, {checkDialogue, len(p.steps()) > 0}, {checkLatency, p.Latency != nil},
		{probe.CheckCertificate, p.Certificate != nil}, {checkReplicas, !p.Replicas.None()},
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

// CheckTimeout refuses a latency that is never exceeded, since the run ends before.
func (p *Probe) CheckTimeout(timeout time.Duration) error {
	return expect.CheckLatency(p.Latency, timeout)
}

// steps is the dialogue.
//
//go:noinline
func (p *Probe) steps() []dialogue.Step {
	if p.Protocol != "" {
		return dialogue.Ready(p.Protocol, p.StartTLS)
	}
	return p.Dialogue
}

// encrypts reports whether TLS is spoken from some point on.
func (p *Probe) encrypts() bool { return p.TLS != nil || dialogue.StartsTLS(p.steps()) }

// encryptsAtOnce reports whether TLS is spoken from the first byte on.
func (p *Probe) encryptsAtOnce() bool { return p.TLS != nil && !dialogue.StartsTLS(p.steps()) }

// listensOverTLS reports whether a step after the change to TLS waits for the server.
func (p *Probe) listensOverTLS() bool {
	encrypted, listens := p.encryptsAtOnce(), false
	for _, s := range p.steps() {
		listens = listens || encrypted && s.Expect != nil
		encrypted = encrypted || s.StartTLS
	}
	return listens
}
