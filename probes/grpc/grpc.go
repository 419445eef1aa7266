// Package grpc has the kind of probe that asks a gRPC server for its health.
package grpc

import (
	"time"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/expect"
	"prober/probes/internal/replicas"
)

// Probe asks a server, or each of its replicas, for its health by the health checking protocol of gRPC, and for that of the
// services that it names. Many servers answer the same whatever they are asked, so an answer about a named service counts only
// if a service that does not exist is answered otherwise.
type Probe struct {
	httpx.Settings `yaml:",inline"`

	Address     string              `yaml:"address" required:"true" doc:"host:port; over TLS if tls is set"`
	Proxy       *httpx.Proxy        `yaml:"proxy" doc:"the HTTP proxy to ask through: a URL, or a mapping"`
	Unix        string              `yaml:"unix" doc:"the path of a Unix socket to dial instead of address"`
	IPVersion   dial.IPVersion      `yaml:"ip_version" default:"prefer-6" doc:"which addresses of the host to dial: 4 or 6 only, or prefer-4 or prefer-6 first"`
	Replicas    replicas.Replicas   `yaml:"replicas" doc:"where the replicas are and how many there must be; each is asked, as the host of address"`
	Services    []string            `yaml:"services" doc:"what to ask about, such as orders.v1.Orders; the empty name, the default, is the server as a whole"`
	Status      string              `yaml:"status" default:"SERVING" doc:"what the health must be: SERVING or NOT_SERVING"`
	Latency     *probe.Duration     `yaml:"latency" doc:"maximum duration of an exchange"`
	Certificate *expect.Certificate `yaml:"certificate" doc:"minimum remaining validity of the certificates: warn, or warn and fail"`

	client *httpx.Client
}

// Reasons of this kind.
var (
	reasonNotServing = probe.Reason{Word: "not_serving", Verdict: probe.Fail, Text: "not ready: NOT_SERVING",
		Action: "Read the log of the service for what it waits for: it answers, and says of itself that it must get no requests."}
	reasonServing = probe.Reason{Word: "serving", Verdict: probe.Fail, Text: "ready although it must not be",
		Action: "Find out why the service says SERVING while it must not get requests, such as a standby that was promoted."}
	reasonUnknown = probe.Reason{Word: "unknown_health", Verdict: probe.Fail, Text: "neither SERVING nor NOT_SERVING",
		Action: "Have the service set its health when it has started: it answers with UNKNOWN, or with a value that the protocol does not have."}
	reasonService = probe.Reason{Word: "service_unknown", Verdict: probe.Fail, Text: "the server does not know the service",
		Action: "Compare the name with those that the server registers, package included; after a deploy the service may be missing."}
	reasonNoHealth = probe.Reason{Word: "no_health_service", Verdict: probe.Fail, Text: "the server has no health service",
		Action: "Register grpc.health.v1.Health at the server, or correct the address: another gRPC server may listen there."}
	reasonStatus = probe.Reason{Word: "grpc_status", Verdict: probe.Fail, Text: "an error of gRPC",
		Action: "Read the log of the service, and of the proxy before it, for the status that the detail names; UNAVAILABLE often is a proxy without a backend."}
	reasonContent = probe.Reason{Word: "not_grpc", Verdict: probe.Fail, Text: "an answer that is not of gRPC",
		Action: "Check the address: a web server, a gateway or the page of a proxy answers there with status 200."}
	reasonTrailer = probe.Reason{Word: "missing_trailer", Verdict: probe.Fail, Text: "an answer without the status of gRPC",
		Action: "Look for a proxy that drops HTTP trailers, or a server that died in the middle of its answer."}
	reasonMessage = probe.Reason{Word: "malformed_message", Verdict: probe.Fail, Text: "an answer without one whole message",
		Action: "Ask by hand with grpcurl or grpc_health_probe: the answer does not hold one HealthCheckResponse."}
)

// Measures of this kind, with the names of blackbox_exporter.
var (
	statusGauge = &probe.Measure{
		Name:   "probe_grpc_status_code",
		Help:   "The status of gRPC in the last run: 0 is OK; absent if there was none.",
		Labels: []string{"target"},
	}
	healthGauge = &probe.Measure{
		Name:   "probe_grpc_healthcheck_response",
		Help:   "1 for the health that was answered in the last run, 0 for the others; absent if there was none.",
		Labels: []string{"target", "serving_status"},
	}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return New() },
		Summary:  "the health of a gRPC server and its services: SERVING or rightly not, over TLS or without, replica by replica",
		Measures: []*probe.Measure{statusGauge, healthGauge, expect.CertificateExpiring},
		Reasons: append(httpx.ProxyReasons(),
			reasonNotServing, reasonServing, reasonUnknown, reasonService, reasonNoHealth, reasonStatus, reasonContent, reasonTrailer, reasonMessage),
		Traits: probe.Traits{HTTPLatency: true},
	}
}

var (
	_ probe.Addresser         = (*Probe)(nil)
	_ probe.CertificateWarner = (*Probe)(nil)
	_ probe.Closer            = (*Probe)(nil)
	_ probe.LatencyLimiter    = (*Probe)(nil)
	_ probe.TimeoutChecker    = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe { return &Probe{Status: serving.String()} }

// Names of the checks.
const (
	checkStatus   = "status"
	checkLatency  = "latency"
	checkCatchAll = "catch_all"
	checkReplicas = "replicas"
)

// Checks names the checks of a run.
func (p *Probe) Checks() (names []string) {
	for _, c := range []struct {
		name string
		made bool
	}{
		{checkStatus, true}, {checkLatency, p.Latency != nil}, {probe.CheckCertificate, p.Certificate != nil},
		{checkCatchAll, p.namesService()}, {checkReplicas, !p.Replicas.None()},
	} {
		if c.made {
			names = append(names, c.name)
		}
	}
	return names
}

// Addresses lists the servers that the configuration names, the proxy, and where the token is fetched.
func (p *Probe) Addresses() []string {
	all := []string{p.Address, p.AuthURL()}
	switch {
	case !p.Replicas.None():
		all = append(p.Replicas.Addresses(), p.AuthURL())
	case p.Unix != "":
		all = append(all, dial.UnixScheme+p.Unix)
	case p.Proxy != nil:
		all = append(all, p.Proxy.URL)
	}
	return all
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

// LatencyLimit returns the setting latency.
func (p *Probe) LatencyLimit() time.Duration { return expect.LatencyLimit(p.Latency) }

// Close ends the connections that are kept for reuse. The probe may still be asked.
func (p *Probe) Close() { p.client.Close() }
