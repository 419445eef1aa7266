package httpx

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"prober/internal/dial"
	"prober/internal/probe"
)

// A Proxy is an HTTP proxy that requests go through: by CONNECT to https, and by their whole URL to http.
type Proxy struct {
	URL   string    `yaml:"url" required:"true" short:"true" doc:"the proxy: http:// or https://, host and port"`
	Basic *Basic    `yaml:"basic,omitempty" doc:"a user and a password, for the proxy alone"`
	TLS   *dial.TLS `yaml:"tls,omitempty" doc:"settings for https to the proxy"`
}

// Reasons of requests through a proxy. A kind that has the setting lists them.
var (
	ProxyFailed = probe.Reason{Word: "proxy", Verdict: probe.Inconclusive, Text: "the proxy failed",
		Action: "Ask the proxy itself, with curl -v --proxy: it is down, does not accept the prober's credential, or does not let it reach the target. The target was not asked."}
	BadGateway = probe.Reason{Word: "bad_gateway", Verdict: probe.Fail, Text: "the proxy did not reach the target",
		Action: "Ask the target from the machine of the proxy: it is down, or the proxy cannot look up its name or reach its network."}
)

// ProxyReasons lists the reasons of requests through a proxy.
func ProxyReasons() []probe.Reason { return []probe.Reason{ProxyFailed, BadGateway} }

// validate reports what is wrong with a proxy, and with the settings of requests through one.
func (p *Proxy) validate(s *Settings) error {
	if p == nil {
		return nil
	}
	own := Settings{AllowPlaintext: s.AllowPlaintext}
	wrong := []error{probe.InSetting("tls", p.TLS.Validate(p.Basic != nil))}
	u, err := own.validateURL(p.URL, p.Basic != nil)
	switch {
	case err != nil:
		wrong = append(wrong, probe.InSetting("url", err))
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		wrong = append(wrong, probe.Settingf("url", "expected a scheme, a host and a port alone"))
	}
	if p.TLS != nil && !strings.HasPrefix(p.URL, "https://") {
		wrong = append(wrong, probe.Settingf("tls", "the proxy is not https"))
	}
	if p.Basic != nil && (p.Basic.Username == "" || strings.Contains(p.Basic.Username, ":")) {
		wrong = append(wrong, probe.Settingf("basic.username", "expected a name without a colon"))
	}
	return probe.InSetting("proxy", errors.Join(wrong...))
}

// authorization returns the header that authenticates at the proxy; empty without credentials.
func (p *Proxy) authorization() (string, error) {
	if p.Basic == nil {
		return "", nil
	}
	password, err := p.Basic.Password.Reveal()
	if err != nil {
		return "", &proxyError{Outcome: probe.Outcomef(probe.Credential, "proxy.basic.password: %s", err)}
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(p.Basic.Username+":"+password)), nil
}

// A gateway dials a proxy.
type gateway struct {
	*Proxy
	dialer  *dial.Dialer
	url     *url.URL
	address string // host:port
}

func newGateway(s *Settings, maxRead int64) *gateway {
	p := s.Route.Proxy
	if p == nil {
		return nil
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		return nil // it was refused
	}
	g := &gateway{Proxy: p, dialer: dial.New(s.Resolver, p.TLS), url: u, address: net.JoinHostPort(hostOf(u), portOf(u))}
	g.dialer.MaxRead, g.dialer.IPVersion = maxRead, s.Route.IPVersion
	return g
}

// A proxyError is a failure before the target was asked. Its text is the prober's own.
type proxyError struct {
	probe.Outcome
	cause error
}

func (e *proxyError) Error() string { return e.Detail }
func (e *proxyError) Unwrap() error { return e.cause }

// proxyFailed is a failure to get to the proxy. What is the prober's own stays that.
func (x *exchange) proxyFailed(err error) error {
	o := x.outcome(err)
	switch o.Reason {
	case probe.Cancelled, probe.SelfNetwork, probe.Credential, probe.SelfLimit:
	default:
		o = probe.Outcomef(ProxyFailed, "the proxy %s: %s", x.gateway.address, o.Detail)
	}
	return &proxyError{o, err}
}

// throughProxy opens a connection to the proxy and, over https, one through it.
func (x *exchange) throughProxy() (net.Conn, error) {
	g := x.gateway
	if g.Basic != nil && g.url.Scheme == "http" && !x.client.settings.AllowPlaintext {
		x.OnlyLoopback()
	}
	nc, err := g.dialer.DialContext(x.Context(), "tcp", g.address)
	if err != nil {
		return nil, x.proxyFailed(err)
	}
	if g.url.Scheme == "https" {
		cfg, err := g.dialer.TLSConfig(hostOf(g.url), false)
		if err != nil {
			return nil, x.proxyFailed(err)
		}
		cfg.NextProtos = []string{"http/1.1"}
		if nc, err = dial.Handshake(x.Context(), nc, cfg); err != nil {
			return nil, x.proxyFailed(err)
		}
	}
	if !x.secure {
		x.Through("the proxy " + g.address)
		return nc, nil
	}
	if err := x.tunnel(nc); err != nil {
		return nil, err
	}
	x.Through(x.address + " through the proxy " + g.address)
	return nc, nil
}

// tunnel asks a proxy for a connection to the target (RFC 9110, section 9.3.6).
func (x *exchange) tunnel(nc net.Conn) error {
	g := x.gateway
	failed := func(why probe.Reason, format string, args ...any) error {
		return &proxyError{Outcome: probe.Outcomef(why, "the proxy "+g.address+" "+format, args...)}
	}
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: x.address}, Host: x.address, Header: http.Header{"User-Agent": {userAgent()}}}
	if err := x.authorizeProxy(req); err != nil {
		return err
	}
	in := bufio.NewReaderSize(io.LimitReader(nc, maxHeader), bufferSize)
	err := req.Write(nc)
	var resp *http.Response
	if err == nil {
		resp, err = http.ReadResponse(in, req)
	}
	if err != nil {
		switch o, known := x.Classify(err); {
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
			return failed(probe.Timeout, "did not connect to %s in time", x.address)
		case known && (o.Reason == probe.Cancelled || o.Reason == probe.SelfNetwork):
			return &proxyError{o, err}
		case known:
			return failed(ProxyFailed, "closed the connection without an answer to CONNECT")
		}
		return failed(ProxyFailed, "answers CONNECT with what is not valid HTTP")
	}
	switch status := resp.StatusCode; {
	case status == http.StatusProxyAuthRequired:
		return failed(ProxyFailed, "%s", g.unauthorized())
	case status/100 == 5:
		return failed(BadGateway, "answers CONNECT with %d: it did not reach %s", status, x.address)
	case status/100 != 2:
		return failed(ProxyFailed, "answers CONNECT with %d: it does not let the prober reach %s", status, x.address)
	case in.Buffered() > 0:
		return failed(ProxyFailed, "sends data through a connection that nobody has used yet")
	}
	return nil
}

// authorizeProxy adds the credential for the proxy to a request that it reads.
func (x *exchange) authorizeProxy(req *http.Request) error {
	value, err := x.gateway.authorization()
	if value != "" {
		req.Header["Proxy-Authorization"] = []string{value}
	}
	return err
}

func (p *Proxy) unauthorized() string {
	if p.Basic == nil {
		return "requires a credential (407), and there is none under proxy"
	}
	return "does not accept the credential (407)"
}

// forwards reports whether the proxy reads the requests of the exchange, and answers them in place of the target.
func (x *exchange) forwards() bool { return x.gateway != nil && !x.secure }

// blameProxy gives what a proxy did in place of the target a reason of its own.
func (x *exchange) blameProxy(o probe.Outcome) probe.Outcome {
	if x.forwards() && x.Phase() < dial.PhaseTransfer && (o.Reason == probe.Reset || o.Reason == probe.Protocol) {
		o.Reason = ProxyFailed
	}
	return o
}

// refusedByProxy returns the outcome of an answer with which a proxy refuses its user; nil for any other answer.
func (x *exchange) refusedByProxy(status int) *probe.Outcome {
	if !x.forwards() || status != http.StatusProxyAuthRequired {
		return nil
	}
	return failed(ProxyFailed, "the proxy %s %s", x.gateway.address, x.gateway.unauthorized())
}
