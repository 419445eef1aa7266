package tcp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/budget"
	"prober/probes/internal/dialogue"
	"prober/probes/internal/expect"
)

// maxRead bounds what a server may send in all.
const maxRead = 1 << 20

// margin is what is left of a run for what follows from a reply that did not come.
const margin = 100 * time.Millisecond

// Ask opens a connection to each replica, at the same time.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	targets, ok := p.Replicas.Find(ctx, r, p.dialer.Resolver)
	if !ok {
		return
	}
	p.Replicas.Note(r, checkReplicas, targets)
	ctx, done := budget.Keep(ctx, margin)
	defer done()
	r.Each(targets, func(i int, r *probe.Result) { p.ask(ctx, r, cmp.Or(targets[i], p.Address)) })
}

// ask opens one connection and goes through the dialogue. What comes after a check that did not pass is not noted.
func (p *Probe) ask(ctx context.Context, r *probe.Result, address string) {
	c := &connection{probe: p, result: r, exchange: dial.Begin(ctx, 1)}
	c.record = probe.Exchange{
		Check: checkConnect, Target: r.Target(), URL: "tcp://" + address, Reason: probe.OK, Expected: true, Started: c.exchange.Start(),
	}
	if p.unix != "" {
		c.record.URL = p.Address
	}
	watch := probe.LatenessOf(ctx)
	late := watch.Total()
	failed, err := c.converse(address)
	c.exchange.Close()
	c.record.Took, c.record.Late = time.Since(c.record.Started)-c.waited, watch.Total()-late
	if failed.Reason != probe.OK {
		c.record.Reason, c.record.Expected = failed.Reason, false
	}
	c.exchange.Fill(&c.record, err)
	r.Exchanged(c.record)
	if failed.Reason == probe.OK {
		c.judge()
	}
}

// A connection is the one to one server.
type connection struct {
	probe    *Probe
	result   *probe.Result
	exchange *dial.Exchange
	record   probe.Exchange
	nc       net.Conn
	waited   time.Duration // for a refusal, which is no part of the latency
}

// converse notes the checks up to the end of the dialogue. It returns why the last of them did not pass, and the error of the
// connection if that is the reason.
func (c *connection) converse(address string) (probe.Outcome, error) {
	p, r := c.probe, c.result
	if err := c.open(address); err != nil {
		return c.note(checkConnect, err)
	}
	r.Pass(checkConnect, "connected to %s", c.peer())
	if p.encryptsAtOnce() {
		secured, err := c.secure(c.nc)
		if err != nil {
			return c.note(checkTLS, err)
		}
		c.nc = secured
	}
	steps := p.steps()
	c.exchange.Enter(dial.PhaseProcessing)
	nc, err := dialogue.Run(c.nc, steps, c.secure)
	if failed, ok := errors.AsType[*dialogue.Error](err); ok {
		switch {
		case failed.Handshake:
			return c.note(checkTLS, failed.Err)
		case failed.Err != nil:
			o := c.exchange.Explain(failed.Err)
			o.Detail += " (waiting for " + failed.Step + ")"
			r.Note(checkDialogue, o)
			return o, failed.Err
		}
		check := checkDialogue
		if why := failed.Outcome.Reason; why == dialogue.Stripped || why == dialogue.Injected {
			check = checkTLS
		}
		r.Note(check, failed.Outcome)
		return failed.Outcome, nil
	}
	dialogue.Farewell(nc, p.Protocol)
	if len(steps) > 0 {
		r.Pass(checkDialogue, "%s as expected", text.Count(len(steps), "step"))
	}
	return probe.Outcome{Reason: probe.OK}, nil
}

func (c *connection) open(address string) (err error) {
	p, network := c.probe, "tcp"
	switch {
	case p.unix != "":
		network, address = "unix", p.unix
	case !p.encryptsAtOnce() && !p.AllowPlaintext && dialogue.SendsSecret(p.Dialogue):
		c.exchange.OnlyLoopback()
	}
	began := time.Now()
	c.nc, err = p.dialer.DialContext(c.exchange.Context(), network, address)
	if err == nil {
		c.result.Measure(connectGauge, time.Since(began).Seconds(), c.result.Target())
	}
	return err
}

// secure speaks TLS on a connection, and notes the check.
func (c *connection) secure(nc net.Conn) (net.Conn, error) {
	cfg, err := c.probe.dialer.TLSConfig(c.probe.host, false)
	if err != nil {
		return nil, err
	}
	asked := dial.NoticeRequest(cfg)
	tc, err := dial.Handshake(c.exchange.Context(), nc, cfg)
	if err != nil {
		return nil, err
	}
	if *asked && !c.probe.listensOverTLS() {
		began := time.Now()
		err = awaitRefusal(c.exchange.Context(), tc)
		c.waited = time.Since(began)
		c.exchange.Pause(c.waited)
		if err != nil {
			return nil, err
		}
	}
	c.result.Pass(checkTLS, "%s", tls.VersionName(tc.ConnectionState().Version))
	return tc, nil
}

// maxRefusal is how long a server has to refuse a certificate after the handshake, if nothing else is waited for.
const maxRefusal = time.Second

// awaitRefusal returns the alert with which a server over TLS 1.3 refuses a client (RFC 8446, section 4.4.2.4); nil if none comes.
func awaitRefusal(ctx context.Context, tc *tls.Conn) error {
	if tc.ConnectionState().Version < tls.VersionTLS13 {
		return nil
	}
	ctx, done := budget.Share(ctx, 0.5)
	defer done()
	until := time.Now().Add(maxRefusal)
	if end, limited := ctx.Deadline(); limited && end.Before(until) {
		until = end
	}
	_ = tc.SetReadDeadline(until)
	_, err := tc.Read(make([]byte, 1))
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return err
	}
	return nil
}

func (c *connection) note(check string, err error) (probe.Outcome, error) {
	o := c.exchange.Explain(err)
	c.result.Note(check, o)
	return o, err
}

func (c *connection) peer() string { return cmp.Or(c.exchange.Peer(), c.probe.Address) }

// judge notes the latency and the certificate of a dialogue that went through.
func (c *connection) judge() {
	p, now := c.probe, time.Now()
	if p.Latency != nil {
		c.result.Note(checkLatency, expect.JudgeLatency(&c.record, *p.Latency))
	}
	if p.Certificate != nil {
		c.result.Note(probe.CheckCertificate, p.Certificate.Judge(c.record.CertExpiry, now))
		p.Certificate.Report(c.result, c.record.CertExpiry, now)
	}
}
