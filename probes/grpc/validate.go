package grpc

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"unicode/utf8"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/expect"
)

// Bounds of what is asked. A server is asked about one service after the other.
const (
	maxServices = 20
	maxService  = 256
)

// Validate reports what is wrong with the settings.
func (p *Probe) Validate() error {
	p.OnlyHTTP2 = true
	p.Route = httpx.Route{IPVersion: p.IPVersion, Proxy: p.Proxy, Unix: p.Unix}
	wrong := []error{
		p.validateAddress(), p.validateRoute(), p.validateServices(), p.validateStatus(), p.validateRequests(), expect.ValidateLatency(p.Latency),
		probe.InSetting("replicas", p.Replicas.Validate()),
	}
	if p.Certificate != nil {
		wrong = append(wrong, probe.InSetting("certificate", p.Certificate.Validate()))
		if p.TLS == nil {
			wrong = append(wrong, probe.Settingf("certificate", "expected tls beside it"))
		}
		if p.Connection == "reuse" {
			wrong = append(wrong, probe.Settingf("certificate", "a kept connection has the certificate of the day when it was opened; leave out connection: reuse"))
		}
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateAddress() error {
	urls := map[string]string{}
	var wrong []error
	host, _, _ := net.SplitHostPort(p.Address)
	switch err := dial.CheckHostPort(p.Address); {
	case p.Address == "": // the decoder says so
	case err != nil:
		wrong = append(wrong, probe.Settingf("address", "%s", err))
	case p.TLS == nil && p.HasCredential() && !p.AllowPlaintext && p.Unix == "" && !dial.IsLocal(host):
		wrong = append(wrong, probe.Settingf("address", "expected tls beside it: the credential would be sent in clear; or allow_plaintext if you must"))
	default:
		urls["address"] = p.url()
	}
	client, err := p.ClientFor(urls)
	p.client = client
	return errors.Join(append(wrong, err)...)
}

// validateRoute refuses ways to the server that exclude each other. What is wrong with one alone is said by the client.
func (p *Probe) validateRoute() error {
	const none = "has no effect beside "
	replicas := !p.Replicas.None()
	var wrong []error
	for _, rule := range []struct {
		key   string
		given bool
		why   string
	}{
		{"ip_version", replicas && p.IPVersion != "", none + "replicas"},
		{"unix", replicas && p.Unix != "", none + "replicas"},
		{"proxy", replicas && p.Proxy != nil, none + "replicas"},
		{"unix", p.Proxy != nil && p.Unix != "", none + "proxy"},
		{"resolver", p.Unix != "" && p.Resolver != "" && p.AuthURL() == "", none + "unix"},
		{"proxy", p.Proxy != nil && p.TLS == nil, "expected tls beside it: a proxy would pass on HTTP/1, which is no gRPC"},
	} {
		if rule.given {
			wrong = append(wrong, probe.Settingf(rule.key, "%s", rule.why))
		}
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateServices() error {
	var wrong []error
	if len(p.Services) > maxServices {
		wrong = append(wrong, probe.Settingf("services", "expected at most %d, got %d", maxServices, len(p.Services)))
	}
	for i, service := range p.Services {
		at := fmt.Sprintf("services[%d]", i)
		switch {
		case len(service) > maxService || !utf8.ValidString(service) || strings.ContainsFunc(service, func(c rune) bool { return c <= ' ' || c == 0x7f }):
			wrong = append(wrong, probe.Settingf(at, "expected a name of at most %d bytes without spaces", maxService))
		case slices.Contains(p.Services[:i], service):
			wrong = append(wrong, probe.Settingf(at, "is listed twice"))
		case service == serverTarget && slices.Contains(p.Services, ""):
			wrong = append(wrong, probe.Settingf(at, `has the name that the target "" gets`))
		}
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateStatus() error {
	known := []string{serving.String(), notServing.String()}
	if !slices.Contains(known, p.Status) {
		return probe.Settingf("status", "expected SERVING or NOT_SERVING%s", text.DidYouMean(p.Status, known))
	}
	return nil
}

// validateRequests refuses the settings for requests that have no place in gRPC.
func (p *Probe) validateRequests() error {
	var wrong []error
	if p.HTTP2 {
		wrong = append(wrong, probe.Settingf("http2", "has no effect: gRPC is always spoken over HTTP/2"))
	}
	wrong = append(wrong, p.RefuseJSON("the answer is no JSON; expected header"))
	for _, name := range slices.Sorted(maps.Keys(p.Headers)) {
		if lower := strings.ToLower(name); lower == "content-type" || strings.HasPrefix(lower, "grpc-") {
			wrong = append(wrong, probe.Settingf("headers."+name, "is written by the prober itself"))
		}
	}
	return errors.Join(wrong...)
}
