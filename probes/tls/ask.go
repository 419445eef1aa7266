package tls

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/budget"
	"prober/probes/internal/dialogue"
)

// maxRead bounds what a server may send on one connection: a handshake, and the lines before it.
const maxRead = 1 << 20

// margin is what is left of a run for what follows from an answer that did not come.
const margin = 100 * time.Millisecond

// Ask makes the handshakes with each replica, at the same time.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	targets, ok := p.Replicas.Find(ctx, r, p.dialer.Resolver)
	if !ok {
		return
	}
	p.Replicas.Note(r, checkReplicas, targets)
	ctx, done := budget.Keep(ctx, margin)
	defer done()
	r.Each(targets, func(i int, r *probe.Result) {
		s := &server{probe: p, result: r, address: cmp.Or(targets[i], p.Address)}
		s.ask(ctx)
	})
}

// A server is one that is asked.
type server struct {
	probe   *Probe
	result  *probe.Result
	address string
}

// ask makes the handshake that must succeed, judges what it showed, and tries what must be refused. What comes after a handshake
// that did not succeed is not noted.
func (s *server) ask(ctx context.Context) {
	p := s.probe
	cfg, err := p.dialer.TLSConfig(p.host, false)
	if err != nil {
		s.result.Note(checkTLS, dial.Explain(ctx, err))
		return
	}
	first, done := budget.Share(ctx, 0.5)
	asked := dial.NoticeRequest(cfg)
	h := s.shake(first, checkTLS, cfg)
	stays := (*asked || p.TLS != nil && p.TLS.CertFile != "") && h.accepted(first)
	h.end(true)
	h.note() // before the end of its time, which would be taken for the cause
	done()
	if h.failed() {
		return
	}
	s.judge(h)
	if len(p.RefusedVersions) > 0 {
		s.tryVersions(ctx, cfg)
	}
	if p.ClientCertificate != "" {
		s.tryAnonymous(ctx, h, stays)
	}
}

// A handshake is one connection and how far it got.
type handshake struct {
	server   *server
	exchange *dial.Exchange
	watch    *probe.Lateness
	late     time.Duration
	record   probe.Exchange
	conn     *tls.Conn
	state    tls.ConnectionState
	took     time.Duration // from the first byte of TLS to the end of the handshake

	at  string // the check of the step that did not succeed
	err error  // of the network, of the dialogue or of TLS
}

// shake connects and makes a handshake. The caller ends it; its time ends here.
func (s *server) shake(ctx context.Context, check string, cfg *tls.Config) *handshake {
	h := &handshake{server: s, exchange: dial.Begin(ctx, 1), watch: probe.LatenessOf(ctx)}
	h.late = h.watch.Total()
	h.record = probe.Exchange{
		Check: check, Target: s.result.Target(), URL: "tls://" + s.address, Reason: probe.OK, Started: h.exchange.Start(),
	}
	defer func() {
		h.exchange.End(time.Now())
		h.record.Took, h.record.Late = time.Since(h.record.Started), h.watch.Total()-h.late
	}()
	nc, err := s.probe.dialer.DialContext(h.exchange.Context(), "tcp", s.address)
	if err != nil {
		h.at, h.err = checkConnect, err
		return h
	}
	if s.probe.StartTLS != "" {
		h.exchange.Enter(dial.PhaseProcessing)
		if err := dialogue.AskTLS(nc, s.probe.StartTLS); err != nil {
			h.at, h.err = checkStartTLS, err
			return h
		}
	}
	began := time.Now()
	h.conn, err = dial.Handshake(h.exchange.Context(), nc, cfg)
	if err != nil {
		h.at, h.err = checkOf(err, cfg.RootCAs)
		return h
	}
	h.took, h.state = time.Since(began), h.conn.ConnectionState()
	return h
}

// checkOf returns the check that an error of a handshake belongs to, and the error. crypto/x509 compares the name before it looks
// for a chain, so a wrong name does not show that there is one.
func checkOf(err error, roots *x509.CertPool) (string, error) {
	bad, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok {
		return checkTLS, err
	}
	if _, ok := errors.AsType[x509.HostnameError](err); !ok {
		return checkChain, err
	}
	shown, others := bad.UnverifiedCertificates, x509.NewCertPool()
	for _, c := range shown[1:] {
		others.AddCert(c)
	}
	if _, err := shown[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: others}); err != nil {
		return checkChain, &tls.CertificateVerificationError{UnverifiedCertificates: shown, Err: err}
	}
	return checkNames, err
}

func (h *handshake) failed() bool { return h.err != nil }

// end closes the connection and records it. The argument says whether it ended as was wanted, however that was.
func (h *handshake) end(expected bool) {
	h.exchange.Close()
	h.record.Expected = expected
	if h.failed() {
		h.record.Reason = h.outcome().Reason
		if h.record.Check == checkTLS {
			h.record.Check, h.record.Expected = h.at, false
		}
	}
	h.exchange.Fill(&h.record, h.err)
	h.server.result.Exchanged(h.record)
}

// outcome is why the handshake did not succeed.
func (h *handshake) outcome() probe.Outcome {
	if failed, ok := errors.AsType[*dialogue.Error](h.err); ok {
		if failed.Err == nil {
			return failed.Outcome
		}
		o := h.exchange.Explain(failed.Err)
		o.Detail += " (waiting for " + failed.Step + ")"
		return o
	}
	return h.exchange.Explain(h.err)
}

// note notes the steps that succeeded, and the one that did not.
func (h *handshake) note() {
	r := h.server.result
	steps := []string{checkConnect, checkStartTLS, checkTLS, checkChain, checkNames}
	for _, step := range steps {
		switch {
		case h.failed() && step == h.at:
			r.Note(step, h.outcome())
			return
		case step == checkConnect:
			r.Pass(step, "connected to %s", h.exchange.Peer())
		case step == checkStartTLS && h.server.probe.StartTLS != "":
			r.Pass(step, "the server offers STARTTLS and does it")
		case step == checkTLS && h.failed():
			r.Pass(step, "the handshake got as far as the certificates")
		case step == checkTLS:
			r.Pass(step, "%s, %s", tls.VersionName(h.state.Version), tls.CipherSuiteName(h.state.CipherSuite))
		case step == checkChain && h.failed():
			r.Pass(step, "the certificate was issued by an authority that is trusted")
		case step == checkChain:
			r.Pass(step, "%s", h.chain())
		case step == checkNames:
			r.Note(step, h.names())
		}
	}
}

// chain says what was shown and what of it verifies.
func (h *handshake) chain() string {
	now, expired := time.Now(), 0
	for _, c := range h.state.PeerCertificates {
		if now.After(c.NotAfter) {
			expired++
		}
	}
	said := text.Count(len(h.state.PeerCertificates), "certificate") + " presented, issued by an authority that is trusted"
	if expired > 0 {
		said += "; " + text.Plural(expired, "of them has expired and is not needed", "of them have expired and are not needed")
	}
	return said
}

// names compares the certificate with the further names that it must be valid for.
func (h *handshake) names() probe.Outcome {
	var missing []string
	for _, name := range h.server.probe.Names {
		if h.state.PeerCertificates[0].VerifyHostname(dial.HostName(name)) != nil {
			missing = append(missing, name)
		}
	}
	all := 1 + len(h.server.probe.Names)
	if len(missing) > 0 {
		return probe.Outcomef(probe.Cert, "expected a certificate valid for %s, got one that is not valid for %s",
			text.Plural(all, "name", "names"), strings.Join(missing[:min(len(missing), 10)], ", "))
	}
	return probe.Outcomef(probe.OK, "valid for %s", text.Count(all, "expected name"))
}

// judge notes what follows from a handshake that succeeded.
func (s *server) judge(h *handshake) {
	p, r, now := s.probe, s.result, time.Now()
	r.Measure(versionGauge, 1, r.Target(), strings.TrimPrefix(tls.VersionName(h.state.Version), "TLS "))
	var earliest time.Time
	for _, c := range h.state.PeerCertificates {
		if earliest.IsZero() || c.NotAfter.Before(earliest) {
			earliest = c.NotAfter
		}
	}
	r.Measure(presentedGauge, float64(earliest.Unix()), r.Target())
	if p.Certificate != nil {
		r.Note(probe.CheckCertificate, p.Certificate.Judge(h.record.CertExpiry, now))
		p.Certificate.Report(r, h.record.CertExpiry, now)
	}
	if p.Version == "" {
		return
	}
	if got := h.state.Version; got < versions()[p.Version] {
		r.Fail(checkVersion, reasonVersion, "expected TLS %s or later, got %s", p.Version, tls.VersionName(got))
	} else {
		r.Pass(checkVersion, "%s", tls.VersionName(got))
	}
}
