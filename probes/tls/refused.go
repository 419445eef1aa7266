package tls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/budget"
)

// A refusal is what became of a handshake that must not succeed.
type refusal int

const (
	notRefused refusal = iota
	refused            // in the server's own words, by an alert
	dropped            // the connection was closed or reset, which may have another cause
	unclear            // anything else
)

// refusalOf classifies the error of a handshake, or of the first read after it.
func refusalOf(err error) refusal {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return refused
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return dropped
	}
	return unclear
}

// tryVersions tries the versions that must be refused, each as a client that supports nothing else, with every cipher suite.
// Then the handshake that must succeed is made again: a server that went away in the meantime refuses everything.
func (s *server) tryVersions(ctx context.Context, cfg *tls.Config) {
	var accepted, vague, kept []string
	for i, v := range s.probe.RefusedVersions {
		old := cfg.Clone()
		old.MinVersion, old.MaxVersion = versions()[v], versions()[v]
		old.InsecureSkipVerify = true // the version is in question, not the certificate
		for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
			old.CipherSuites = append(old.CipherSuites, suite.ID)
		}
		switch s.tryVersion(ctx, old, 1/float64(len(s.probe.RefusedVersions)-i+2)) {
		case notRefused:
			accepted = append(accepted, v)
		case unclear:
			vague = append(vague, v)
		default:
			kept = append(kept, v)
		}
	}
	again := s.shake(ctx, checkRefused, cfg)
	again.end(!again.failed())
	r := s.result
	switch {
	case len(accepted) > 0:
		r.Fail(checkRefused, reasonAccepted, "expected TLS %s to be refused, got a handshake", strings.Join(accepted, " and "))
	case again.failed():
		r.Inconclusive(checkRefused, probe.ControlFailed, "the handshake that must succeed did not succeed any more: %s", again.outcome().Detail)
	case len(vague) > 0:
		r.Inconclusive(checkRefused, probe.ControlFailed, "TLS %s was neither accepted nor refused", strings.Join(vague, " and "))
	default:
		r.Pass(checkRefused, "TLS %s refused, and a later version accepted before and after", strings.Join(kept, " and "))
	}
}

// tryVersion makes one handshake. A server that shows its certificate has accepted the version, whatever it misses afterwards,
// such as a client certificate. A server that only drops the connection is asked twice.
func (s *server) tryVersion(ctx context.Context, cfg *tls.Config, part float64) refusal {
	ctx, done := budget.Share(ctx, part)
	defer done()
	accepted := false
	cfg.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { accepted = true; return nil }
	got := unclear
	for range 2 {
		h := s.shake(ctx, checkRefused, cfg)
		switch {
		case accepted:
			got = notRefused
		case h.at != checkTLS:
			got = unclear
		default:
			got = refusalOf(h.err)
		}
		h.end(got == refused || got == dropped)
		if got != dropped {
			break
		}
	}
	return got
}

// How long a server may take to refuse a client for its certificate, or for having none. In TLS 1.3 the client's part of the handshake ends before
// the server has looked at it (RFC 8446, section 4.4.2.4).
const (
	minRefusal   = time.Second
	refusalTimes = 20 // as long as the handshake took
)

// refusalTime is how long to wait for that after a handshake like this one.
func (h *handshake) refusalTime() time.Duration { return max(minRefusal, refusalTimes*h.took) }

// tryAnonymous makes the handshake without a certificate. The first one, with it, is the control: the argument says whether the
// server accepted its certificate.
func (s *server) tryAnonymous(ctx context.Context, control *handshake, controlled bool) {
	r := s.result
	cfg, err := s.probe.dialer.TLSConfig(s.probe.host, true)
	if err != nil {
		r.Note(checkClient, dial.Explain(ctx, err))
		return
	}
	h := s.shake(ctx, checkClient, cfg)
	wait, enough := control.refusalTime(), true
	if !h.failed() && h.state.Version == tls.VersionTLS13 {
		enough = h.await(ctx, wait)
	}
	got := notRefused
	switch {
	case h.failed() && h.at != checkTLS:
		got = unclear
	case h.failed():
		got = refusalOf(h.err)
	}
	h.end(got == refused || got == dropped)
	switch {
	case got == refused && !controlled:
		r.Inconclusive(checkClient, probe.ControlFailed, "a client without a certificate is refused, and so may be one with it: its connection is reset, or the run is too short to see more")
	case got == refused:
		r.Pass(checkClient, "a client without a certificate is refused, and one with it accepted")
	case got == dropped && s.staysOpen(ctx, wait):
		r.Pass(checkClient, "the connection of a client without a certificate is closed, and that of one with it stays open")
	case got == dropped:
		r.Inconclusive(checkClient, probe.ControlFailed, "the connection of a client without a certificate is closed without a word, and so is that of one with it, or the run is too short to see that")
	case got == notRefused && enough:
		r.Fail(checkClient, reasonNobody, "expected a client without a certificate to be refused, got a handshake and no refusal within %s", text.Duration(wait))
	case got == notRefused:
		r.Inconclusive(checkClient, probe.ControlFailed, "the run is too short to wait %s for a refusal", text.Duration(wait))
	default:
		r.Inconclusive(checkClient, probe.ControlFailed, "a client without a certificate was neither accepted nor refused: %s", h.outcome().Detail)
	}
}

// accepted reports whether the server accepts the certificate that the prober shows. In TLS 1.3 it does so by not refusing it for
// some time. A refusal is the error of the handshake. A server that closes the connection in order has not refused it by an alert;
// a reset may have swallowed the alert.
func (h *handshake) accepted(ctx context.Context) bool {
	if h.failed() || h.state.Version < tls.VersionTLS13 {
		return !h.failed()
	}
	enough := h.await(ctx, h.refusalTime())
	err := h.err
	if err != nil && refusalOf(err) != refused {
		h.at, h.err = "", nil
	}
	return err == nil && enough || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// await reads for some time after the handshake: the refusal of a certificate comes there. It reports whether the time was long
// enough to tell. That nothing came is no error.
func (h *handshake) await(ctx context.Context, wait time.Duration) bool {
	until := time.Now().Add(wait)
	end, bounded := ctx.Deadline()
	_ = h.conn.SetReadDeadline(until)
	_, err := h.conn.Read(make([]byte, 1))
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return err == nil || !bounded || end.After(until)
	}
	h.at, h.err = checkTLS, err
	return true
}

// staysOpen reports whether a connection with the certificate is still open after the time in which that of a client without
// it was closed.
func (s *server) staysOpen(ctx context.Context, wait time.Duration) bool {
	cfg, err := s.probe.dialer.TLSConfig(s.probe.host, false)
	if err != nil {
		return false
	}
	h := s.shake(ctx, checkClient, cfg)
	enough := !h.failed() && h.await(ctx, wait)
	h.end(!h.failed())
	return enough && !h.failed()
}
