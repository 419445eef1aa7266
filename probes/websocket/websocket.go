// Package websocket has the kind of probe that opens a WebSocket, exchanges messages on it and closes it in order.
package websocket

import (
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/expect"
	"prober/probes/internal/replicas"
)

// Probe opens a WebSocket at a server, or at each of its replicas (RFC 6455). A proxy that does not know WebSocket answers like a
// web page, and one whose backend is gone may still accept connections, so the probe can exchange messages and wait for a pong.
type Probe struct {
	httpx.Settings `yaml:",inline"`

	URL          string            `yaml:"url" required:"true" doc:"the URL to open; ws or wss, without credentials"`
	Replicas     replicas.Replicas `yaml:"replicas" doc:"where the replicas are and how many there must be; each is asked, and TLS verifies the host of url"`
	Subprotocols []string          `yaml:"subprotocols" doc:"subprotocols to offer; the server must choose one of them"`
	Dialogue     []Step            `yaml:"dialogue" doc:"messages to wait for and to send"`
	Ping         bool              `yaml:"ping" doc:"send a ping; the server must answer with the matching pong"`
	CloseCode    int               `yaml:"close_code" doc:"the code with which the server must answer the close frame; default: 1000, or none"`

	Latency     *probe.Duration     `yaml:"latency" doc:"maximum duration of all, from the look-up of the name to the close frame"`
	Certificate *expect.Certificate `yaml:"certificate" doc:"minimum remaining validity of every certificate in the chain: warn, or warn and fail"`

	client *httpx.Client
	http   string // the URL as HTTP has it
}

// A Step is one message to wait for, one to send, or both, in this order.
type Step struct {
	Expect       *expect.Match            `yaml:"expect" doc:"what the text of a message must be; messages that do not match are passed over"`
	JSON         map[string]*expect.Match `yaml:"json" doc:"by RFC 9535 path, what values of the JSON in a message must be; messages that do not match are passed over"`
	ExpectBinary string                   `yaml:"expect_binary" doc:"the binary message that must come, in base64; others are passed over"`
	Send         httpx.Value              `yaml:"send" mask:"true" doc:"a text message to send: a text, {file: PATH} or {env: NAME}"`
	SendBinary   string                   `yaml:"send_binary" mask:"true" doc:"a binary message to send, in base64"`

	binary, sent []byte // ExpectBinary and SendBinary, decoded
}

// waits reports whether the step waits for a message.
func (s *Step) waits() bool { return s.Expect != nil || len(s.JSON) > 0 || s.ExpectBinary != "" }

// Reasons of this kind.
var (
	reasonNotUpgraded = probe.Reason{Word: "not_upgraded", Verdict: probe.Fail, Text: "answered like a web page",
		Action: "Look at the proxy in front of the service: it must pass on the headers Upgrade and Connection; and check the path of the URL."}
	reasonHandshake = probe.Reason{Word: "bad_handshake", Verdict: probe.Fail, Text: "the handshake is not WebSocket's",
		Action: "Find what answers in place of the service: Sec-WebSocket-Accept was not computed from the key of this request, as by a cache."}
	reasonSubprotocol = probe.Reason{Word: "subprotocol", Verdict: probe.Fail, Text: "no subprotocol that was offered",
		Action: "Compare the subprotocols of the probe with those of the service's latest version: clients that need one cannot talk to it."}
	reasonFrame = probe.Reason{Word: "bad_frame", Verdict: probe.Fail, Text: "frames against the protocol",
		Action: "Look for a proxy that changes or mixes bytes, or for the library of the service: browsers close such a connection at once."}
	reasonMessage = probe.Reason{Word: "unexpected_message", Verdict: probe.Fail, Text: "the server sends other messages",
		Action: "Open the WebSocket by hand, by `websocat` or in a browser, and compare its messages with the step that the detail names."}
	reasonClosed = probe.Reason{Word: "closed", Verdict: probe.Fail, Text: "the server closes the WebSocket",
		Action: "Look into the log of the service for why it closed: 1008 is a rule of its own, such as a token; 1011 is an error; 1001 and 1012 are restarts."}
	reasonCloseCode = probe.Reason{Word: "close_code", Verdict: probe.Fail, Text: "closed with another code",
		Action: "Look into the log of the service for what it did when the client closed; a code other than that of the client is an error there."}
	reasonCut = probe.Reason{Word: "no_close_frame", Verdict: probe.Fail, Text: "cut off without a close frame",
		Action: "Look for a process that crashed or restarted, or a proxy whose limit or idle timeout cuts connections (1006 in browsers)."}
	reasonPong = probe.Reason{Word: "wrong_pong", Verdict: probe.Fail, Text: "no pong that matches the ping",
		Action: "Look at the library of the service: a pong must repeat what the ping holds, or clients take the connection for dead."}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return New() },
		Summary:  "a WebSocket: handshake, subprotocol, messages, ping and close code",
		Measures: []*probe.Measure{expect.CertificateExpiring},
		Reasons: []probe.Reason{
			reasonNotUpgraded, reasonHandshake, reasonSubprotocol, reasonFrame, reasonMessage, reasonClosed, reasonCloseCode, reasonCut, reasonPong,
		},
	}
}

var (
	_ probe.Addresser         = (*Probe)(nil)
	_ probe.CertificateWarner = (*Probe)(nil)
	_ probe.Closer            = (*Probe)(nil)
	_ probe.TimeoutChecker    = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe { return &Probe{} }

// Names of the checks.
const (
	checkUpgrade  = "upgrade"
	checkDialogue = "dialogue"
	checkPing     = "ping"
	checkClose    = "close"
	checkLatency  = "latency"
	checkReplicas = "replicas"
)

// Checks names the checks of a run.
func (p *Probe) Checks() (names []string) {
	for _, c := range []struct {
		name string
		made bool
	}{
		{checkUpgrade, true}, {checkDialogue, len(p.Dialogue) > 0}, {checkPing, p.Ping}, {checkClose, true}, {checkLatency, p.Latency != nil},
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
	return append([]string{p.URL, p.AuthURL()}, p.Replicas.Addresses()...)
}

// Close closes what the client keeps open.
func (p *Probe) Close() { p.client.Close() }

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

// asHTTP returns a URL of ws or wss with the scheme of HTTP; false for any other.
func asHTTP(url string) (string, bool) {
	scheme, rest, found := strings.Cut(url, "://")
	switch strings.ToLower(scheme) {
	case "ws":
		return "http://" + rest, found
	case "wss":
		return "https://" + rest, found
	}
	return "", false
}
