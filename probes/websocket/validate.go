package websocket

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/probes/internal/expect"
)

// Bounds of the settings.
const (
	maxSteps        = 50
	maxSent         = 8 << 10 // bytes of a message
	maxSubprotocols = 20
)

// Validate reports what is wrong with the settings.
func (p *Probe) Validate() error {
	var ok bool
	p.http, ok = asHTTP(p.URL)
	var wrong []error
	if !ok && p.URL != "" {
		wrong = append(wrong, probe.Settingf("url", "expected ws:// or wss://"))
	}
	p.Confidential = slices.ContainsFunc(p.Dialogue, func(s Step) bool { return !s.Send.Secret.IsZero() })
	client, err := p.Settings.Client(p.http)
	p.client = client
	for _, e := range probe.SettingErrors(err) {
		if e.Path == "url" {
			e.Text = strings.NewReplacer("https", "wss", "http", "ws").Replace(e.Text) // as it is written
		}
		wrong = append(wrong, e)
	}
	wrong = append(wrong, probe.InSetting("replicas", p.Replicas.Validate()), expect.ValidateLatency(p.Latency),
		p.validateHTTP(), p.validateDialogue(), p.validateSubprotocols())
	if p.CloseCode != 0 && p.CloseCode != noCode && !closeCodeValid(p.CloseCode) {
		wrong = append(wrong, probe.Settingf("close_code", "expected a code that a server may send, such as 1000, or 1005 for none"))
	}
	if p.Certificate != nil {
		wrong = append(wrong, probe.InSetting("certificate", p.Certificate.Validate()))
		if strings.HasPrefix(p.http, "http:") {
			wrong = append(wrong, probe.Settingf("certificate", "expected a URL of wss://"))
		}
	}
	return errors.Join(wrong...)
}

// validateHTTP refuses settings of requests that a WebSocket cannot have.
func (p *Probe) validateHTTP() error {
	var wrong []error
	for _, name := range sorted.Keys(p.Headers) {
		if strings.HasPrefix(http.CanonicalHeaderKey(name), "Sec-Websocket-") {
			wrong = append(wrong, probe.Settingf("headers."+name, "is written by the prober itself"))
		}
	}
	if p.Connection == "reuse" {
		wrong = append(wrong, probe.Settingf("connection", "a WebSocket has a connection of its own"))
	}
	if p.HTTP2 {
		wrong = append(wrong, probe.Settingf("http2", "a WebSocket is opened over HTTP/1.1"))
	}
	return errors.Join(append(wrong, p.RefuseJSON("the answer to a handshake has no body"))...)
}

func (p *Probe) validateSubprotocols() error {
	var wrong []error
	if len(p.Subprotocols) > maxSubprotocols {
		wrong = append(wrong, probe.Settingf("subprotocols", "expected at most %d, got %d", maxSubprotocols, len(p.Subprotocols)))
	}
	for i, name := range p.Subprotocols {
		if httpx.ValidateHeaderName(name) != nil || slices.Index(p.Subprotocols, name) < i { // a token, as the name of a header is
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("subprotocols[%d]", i), "expected a token, listed once"))
		}
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateDialogue() error {
	var wrong []error
	if len(p.Dialogue) > maxSteps {
		wrong = append(wrong, probe.Settingf("dialogue", "expected at most %d steps, got %d", maxSteps, len(p.Dialogue)))
	}
	for i := range p.Dialogue {
		wrong = append(wrong, probe.InSetting(fmt.Sprintf("dialogue[%d]", i), p.Dialogue[i].validate()))
	}
	return errors.Join(wrong...)
}

func (s *Step) validate() error {
	var wrong []error
	kinds, sends := 0, 0
	for _, given := range []bool{s.Expect != nil, len(s.JSON) > 0, s.ExpectBinary != ""} {
		kinds += int(probe.BoolValue(given))
	}
	for _, given := range []bool{!s.Send.IsZero(), s.SendBinary != ""} {
		sends += int(probe.BoolValue(given))
	}
	if kinds > 1 || sends > 1 || kinds+sends == 0 {
		wrong = append(wrong, probe.Settingf("", "expected one of expect, json and expect_binary, one of send and send_binary, or one of each"))
	}
	if len(s.Send.Text) > maxSent || !utf8.ValidString(s.Send.Text) {
		wrong = append(wrong, probe.Settingf("send", "expected at most %d bytes of UTF-8", maxSent))
	}
	var err error
	if s.binary, err = base64.StdEncoding.DecodeString(s.ExpectBinary); err != nil {
		wrong = append(wrong, probe.Settingf("expect_binary", "expected base64"))
	}
	if s.sent, err = base64.StdEncoding.DecodeString(s.SendBinary); err != nil || len(s.sent) > maxSent {
		wrong = append(wrong, probe.Settingf("send_binary", "expected base64 of at most %d bytes", maxSent))
	}
	if s.Expect != nil {
		wrong = append(wrong, probe.InSetting("expect", s.Expect.Validate()), probe.InSetting("expect", positive(*s.Expect)))
	}
	wrong = append(wrong, probe.InSetting("json", expect.ValidateJSON(s.JSON)))
	if len(s.JSON) > 0 && !slices.ContainsFunc(slices.Collect(maps.Values(s.JSON)), func(m *expect.Match) bool { return !m.Negative() }) {
		wrong = append(wrong, probe.Settingf("json", "expected something that a message must have: any other message would match"))
	}
	return errors.Join(wrong...)
}

// positive refuses what any message would match.
func positive(m expect.Match) error {
	if m.Negative() {
		return probe.Settingf("", "expected something that a message must have: any other message would match")
	}
	return nil
}

// closeCodeValid reports whether a server may send a code.
func closeCodeValid(code int) bool {
	_, err := readClose([]byte{byte(code >> 8), byte(code)})
	return err == nil && code < 1<<16
}
