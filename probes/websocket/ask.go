package websocket

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/budget"
	"prober/probes/internal/expect"
)

// margin is what is left of a run for what follows from an answer that did not come.
const margin = 100 * time.Millisecond

// Ask opens a WebSocket at each replica, at the same time.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	targets, ok := p.Replicas.Find(ctx, r, p.client.Resolver())
	if !ok {
		return
	}
	ctx, done := budget.Keep(ctx, margin)
	defer done()
	r.Each(targets, func(i int, r *probe.Result) { p.ask(ctx, r, targets[i]) })
}

// ask opens a WebSocket. What comes after a check that did not pass is not noted.
func (p *Probe) ask(ctx context.Context, r *probe.Result, address string) {
	var random [16]byte
	rand.Read(random[:]) // never returns an error
	key := base64.StdEncoding.EncodeToString(random[:])
	header := http.Header{"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {key}}
	if len(p.Subprotocols) > 0 {
		header["Sec-Websocket-Protocol"] = []string{strings.Join(p.Subprotocols, ", ")}
	}
	s := &session{probe: p, result: r}
	want := httpx.Codes(http.StatusSwitchingProtocols)
	shown, _, _ := strings.Cut(p.URL, "?")
	answer := p.client.Do(ctx, r, httpx.Request{
		Check: checkUpgrade, URL: p.http, Show: shown, Addr: address, Header: header, Want: want,
		Upgrade: &httpx.Upgrade{Protocol: "websocket", Speak: func(nc net.Conn, head http.Header, explain func(error) probe.Outcome) probe.Outcome {
			s.wire, s.explain = newWire(nc), explain
			return s.converse(head, key)
		}},
	})
	if s.wire == nil {
		r.Note(checkUpgrade, p.refused(answer, want))
		return
	}
	if answer.Reason == probe.OK {
		p.judge(r, answer)
	}
}

// refused says why the server did not go on as a WebSocket.
func (p *Probe) refused(answer *httpx.Answer, want httpx.Statuses) probe.Outcome {
	c := answer.Classify(httpx.ClassifyOptions{Want: want, AllowCached: true, Credential: p.Authenticates(), Public: !p.Authenticates()})
	switch {
	case c.Class == httpx.ClassUnexpected && httpx.Success.Contains(answer.Status):
		return probe.Outcomef(reasonNotUpgraded, "expected 101, got %d: something that does not know WebSocket answers, such as a proxy", answer.Status)
	case c.Class == httpx.ClassUnexpected && answer.Status == http.StatusUpgradeRequired:
		return probe.Outcomef(reasonNotUpgraded, "expected 101, got 426: the headers Upgrade and Connection did not reach the service, or it wants another version than 13")
	}
	return c.Outcome
}

// judge notes the latency and the certificate of a session that went through.
func (p *Probe) judge(r *probe.Result, answer *httpx.Answer) {
	now := time.Now()
	if p.Latency != nil {
		r.Note(checkLatency, expect.JudgeLatency(&answer.Exchange, *p.Latency))
	}
	if p.Certificate != nil {
		r.Note(probe.CheckCertificate, p.Certificate.Judge(answer.CertExpiry, now))
		p.Certificate.Report(r, answer.CertExpiry, now)
	}
}

// acceptSuffix is what the server appends to the key (RFC 6455, section 1.3).
const acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// accepted judges the header of the server's handshake.
func (p *Probe) accepted(head http.Header, key string) probe.Outcome {
	sum := sha1.Sum([]byte(key + acceptSuffix))
	protocols := head.Values("Sec-Websocket-Protocol")
	switch {
	case !slices.Equal(head.Values("Sec-Websocket-Accept"), []string{base64.StdEncoding.EncodeToString(sum[:])}):
		return probe.Outcomef(reasonHandshake, "expected a Sec-WebSocket-Accept that was made from the key of the request, got none or another")
	case !hasToken(head.Values("Upgrade"), "websocket") || !hasToken(head.Values("Connection"), "upgrade"):
		return probe.Outcomef(reasonHandshake, "expected the headers Upgrade: websocket and Connection: Upgrade, got others")
	case len(head.Values("Sec-Websocket-Extensions")) > 0:
		return probe.Outcomef(reasonHandshake, "expected no extension, since none was offered, got some")
	case len(protocols) > 1 || len(protocols) == 1 && !slices.Contains(p.Subprotocols, protocols[0]):
		return probe.Outcomef(reasonSubprotocol, "expected one of the subprotocols that were offered, got another")
	case len(protocols) == 0 && len(p.Subprotocols) > 0:
		return probe.Outcomef(reasonSubprotocol, "expected one of the subprotocols %s, got none", strings.Join(p.Subprotocols, ", "))
	case len(protocols) == 1:
		return probe.Outcomef(probe.OK, "the server accepts the WebSocket, with the subprotocol %s", protocols[0])
	}
	return probe.Outcomef(probe.OK, "the server accepts the WebSocket")
}

// hasToken reports whether one of the lists of a header has a word.
func hasToken(lists []string, word string) bool {
	for part := range strings.SplitSeq(strings.Join(lists, ","), ",") {
		if strings.EqualFold(strings.TrimSpace(part), word) {
			return true
		}
	}
	return false
}

// matches reports whether a message is the one that the step waits for.
func (s *Step) matches(m message) bool {
	switch {
	case s.ExpectBinary != "":
		return m.op == opBinary && bytes.Equal(m.data, s.binary)
	case s.Expect != nil:
		return m.op == opText && s.Expect.MatchText(string(m.data), true)
	}
	content := expect.Content{JSON: s.JSON}
	return m.op == opText && content.CheckJSON(&httpx.Answer{Body: m.data}).Passed()
}

// String says what the step waits for.
func (s *Step) String() string {
	switch {
	case s.Expect != nil:
		return s.Expect.String()
	case s.ExpectBinary != "":
		return "a binary message of " + text.Count(len(s.binary), "byte")
	}
	return "a message with " + text.Count(len(s.JSON), "JSON value")
}
