package grpc

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strconv"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/budget"
	"prober/probes/internal/expect"
)

// path is the only one that is asked.
const path = "/grpc.health.v1.Health/Check"

// margin is what is left of a run for what follows from an answer that did not come.
const margin = 100 * time.Millisecond

// serverTarget is the target of the empty name, where others are asked about too.
const serverTarget = "server"

// Ask asks the replicas at the same time, each about one service after the other.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	replicas, ok := p.Replicas.Find(ctx, r, p.client.Resolver())
	if !ok {
		return
	}
	p.Replicas.Note(r, checkReplicas, replicas)
	ctx, done := budget.Keep(ctx, margin)
	defer done()
	seen := make([][]answer, len(replicas))
	r.Each(replicas, func(i int, r *probe.Result) { seen[i] = p.askServer(ctx, r, replicas[i]) })
	all := slices.Concat(seen...)
	targets := make([]string, len(all))
	for i := range all {
		targets[i] = all[i].target
	}
	r.Each(targets, func(i int, r *probe.Result) { p.note(r, &all[i]) })
}

// askServer asks one server about each service and then, if one was as expected, about one that does not exist.
func (p *Probe) askServer(ctx context.Context, r *probe.Result, replica string) []answer {
	services := p.Services
	if len(services) == 0 {
		services = []string{""}
	}
	var all []answer
	left := len(services)
	if p.namesService() {
		left++
	}
	for _, service := range services {
		share, done := budget.Share(ctx, 1/float64(left))
		all = append(all, p.ask(share, r, checkStatus, replica, service))
		done()
		left--
	}
	proves := func(a answer) bool { return a.service != "" && a.Passed() }
	if !slices.ContainsFunc(all, proves) {
		return all
	}
	control := judgeCatchAll(p.ask(ctx, r, checkCatchAll, replica, "nonexistent."+rand.Text()))
	r.Note(checkCatchAll, control)
	for i := range all {
		if proves(all[i]) && !control.Passed() {
			all[i].Reason, all[i].Detail = probe.ControlFailed, all[i].Detail+", which proves nothing without the catch-all check"
		}
	}
	return all
}

// ask makes one call.
func (p *Probe) ask(ctx context.Context, r *probe.Result, check, replica, service string) answer {
	a := answer{target: r.Target(), service: service, code: -1}
	if check == checkStatus {
		a.target = p.target(replica, service)
	}
	header := http.Header{"Content-Type": {contentType}}
	if end, limited := ctx.Deadline(); limited {
		header["Grpc-Timeout"] = []string{strconv.FormatInt(max(1, time.Until(end).Milliseconds()), 10) + "m"}
	}
	a.http = p.client.Do(ctx, r, httpx.Request{
		Check: check, Target: a.target, Method: http.MethodPost, URL: p.url(), Addr: replica, Header: header, Body: request(service), Want: httpx.Codes(http.StatusOK),
	})
	p.judge(&a)
	return a
}

// target names what is asked about, and of which replica.
func (p *Probe) target(replica, service string) string {
	if len(p.Services) == 0 {
		return replica
	}
	if service == "" {
		service = serverTarget
	}
	if replica == "" {
		return service
	}
	return replica + "/" + service
}

func (p *Probe) url() string {
	scheme := "http://"
	if p.TLS != nil {
		scheme = "https://"
	}
	return scheme + p.Address + path
}

// namesService reports whether a service is asked about, and not only the server as a whole.
func (p *Probe) namesService() bool {
	return slices.ContainsFunc(p.Services, func(s string) bool { return s != "" })
}

// judgeCatchAll judges the answer about a service that does not exist.
func judgeCatchAll(a answer) probe.Outcome {
	const something = "a service that does not exist"
	switch {
	case a.Passed():
		return probe.Outcomef(probe.ControlFailed, "expected NOT_FOUND for "+something+", got %s: the server answers the same whatever it is asked", a.health)
	case a.answered:
		return probe.Outcomef(probe.OK, something+" is answered differently (%s)", a.health)
	case a.code > 0 && !slices.Contains(serverErrors, a.code):
		return probe.Outcomef(probe.OK, something+" is answered differently (%s)", codeName(a.code))
	}
	return probe.Outcomef(probe.ControlFailed, "the call about "+something+" failed: %s", a.Detail)
}

// note notes what was answered. What comes after a check that did not pass is not noted.
func (p *Probe) note(r *probe.Result, a *answer) {
	if a.code >= 0 {
		r.Measure(statusGauge, float64(a.code), r.Target())
	}
	if a.answered {
		r.OneOf(healthGauge, a.health.String(), healthNames, r.Target())
	}
	r.Note(checkStatus, a.Outcome)
	if !a.Passed() {
		return
	}
	now := time.Now()
	if p.Latency != nil {
		r.Note(checkLatency, expect.JudgeLatency(&a.http.Exchange, *p.Latency))
	}
	if p.Certificate != nil {
		r.Note(probe.CheckCertificate, p.Certificate.Judge(a.http.CertExpiry, now))
		p.Certificate.Report(r, a.http.CertExpiry, now)
	}
}
