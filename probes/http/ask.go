package http

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/text"
	"prober/probes/internal/control"
	"prober/probes/internal/expect"
)

// Ask makes the control's request, the measured one and, if that was answered as expected, the catch-all check's. A check
// passes only if the control and the catch-all check held too.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	var controls []expect.Check
	if p.Control != nil {
		controls = append(controls, expect.Check{Name: "control", Outcome: p.control.askControl(ctx, r)})
	}
	checks := p.ask(ctx, r)
	failed := func(c expect.Check) bool { return !c.Passed() }
	if p.CatchAllCheck && !slices.ContainsFunc(checks, failed) {
		controls = append(controls, expect.Check{Name: "catch_all", Outcome: p.checkCatchAll(ctx, r)})
	}
	broken := slices.ContainsFunc(controls, failed)
	for _, c := range checks {
		if broken && c.Passed() {
			c.Reason, c.Detail = probe.ControlFailed, c.Detail+", which proves nothing without its control"
		}
		r.Note(c.Name, c.Outcome)
	}
	for _, c := range controls {
		r.Note(c.Name, c.Outcome)
	}
}

// ask makes the measured request and returns the checks: the status first and, if that is an expected one, the rest.
func (p *Probe) ask(ctx context.Context, r *probe.Result) []expect.Check {
	answer, err := p.exchange(ctx, r, "status", p.URL, p.Expect.Status)
	if err != nil {
		return []expect.Check{{Name: "status", Outcome: probe.Outcome{Reason: probe.Credential, Detail: err.Error()}}}
	}
	if answer.Reason != probe.OK {
		return []expect.Check{{Name: "status", Outcome: probe.Outcome{Reason: answer.Reason, Detail: answer.Detail + answer.by}}}
	}
	status := expect.Check{Name: "status", Outcome: p.status(answer)}
	if status.Passed() && p.mayBeMistaken(answer.Status) {
		status.Outcome = probe.Outcomef(probe.ControlFailed, "got %d, which may be about the request: the control sends another one and does not rule that out", answer.Status)
	}
	if !status.Passed() {
		return []expect.Check{status}
	}
	now := time.Now()
	checks := append(append([]expect.Check{status}, p.coding(answer.Answer)...), p.Expect.Judge(answer.Answer, now)...)
	p.Expect.Certificate.Report(r, answer.CertExpiry, now)
	if len(p.Gauges) > 0 {
		checks = append(checks, expect.Check{Name: "gauges", Outcome: p.gauges(r, answer.Answer)})
	}
	return checks
}

// exchange sends the probe's request to a URL, and follows redirects if it is to. It errs only if the probe's own body cannot be
// read.
func (p *Probe) exchange(ctx context.Context, r *probe.Result, check, url string, want httpx.Statuses) (reply, error) {
	body, err := p.Body.Reveal()
	if err != nil {
		return reply{}, fmt.Errorf("body: %w", err)
	}
	ask := func(q httpx.Request) *httpx.Answer { return p.client.Do(ctx, r, q) }
	q := httpx.Request{Check: check, Method: cmp.Or(p.Method, "GET"), URL: url, Addr: p.Address, Body: []byte(body), Want: want}
	if p.Follow == nil {
		return reply{Answer: ask(q)}, nil
	}
	return p.follow(ask, q), nil
}

// status compares the status with the expected ones. An unexpected status is judged whether or not it comes from a
// cache: only a pass has to prove that the origin answered.
func (p *Probe) status(answer reply) probe.Outcome {
	o := p.classify(answer)
	if !o.Passed() && p.Proxy != nil && strings.HasPrefix(p.URL, "http://") {
		o.Detail += "; the proxy may have answered by itself"
	}
	o.Detail += answer.by
	return o
}

func (p *Probe) classify(answer reply) probe.Outcome {
	want := p.Expect.Status
	if answer.refused != nil {
		return probe.Outcomef(answer.refused.Reason, "expected %s, %s", want, answer.refused.Detail)
	}
	if answer.Reason == probe.OK && answer.Status == 304 && !want.Contains(304) { // the request is unconditional
		return probe.Outcomef(probe.Status, "expected %s, got 304", want)
	}
	return answer.Classify(httpx.ClassifyOptions{
		Want:        want,
		AllowCached: p.AllowCached || !want.Contains(answer.Status),
		Credential:  p.Authenticates(),
		Public:      !p.Authenticates(),
	}).Outcome
}

// mayBeMistaken reports whether a status out of a list of refusals may be the answer to a request that is wrong in itself:
// a path or table that does not exist, a malformed query. Only a control that sends the same request as somebody else
// shows that it is not. A single status is the expected answer, whatever it means.
func (p *Probe) mayBeMistaken(status int) bool {
	want := p.Expect.Status
	if p.control == nil || status/100 != 4 {
		return false
	}
	c := p.control
	if c.URL == p.URL && c.Method == p.Method && c.Body == p.Body {
		return false
	}
	switch status {
	case 401, 403, 407, 429, 451: // about who asks
		return false
	case 404, 410: // a list of these alone asks for what does not exist
		return slices.ContainsFunc(want, func(s int) bool { return s != 404 && s != 410 })
	}
	return want.Contains(401) || want.Contains(403)
}

func (p *Probe) gauges(r *probe.Result, answer *httpx.Answer) probe.Outcome {
	doc, err := answer.JSON()
	if err != nil {
		return httpx.NotJSON(err)
	}
	var missing []string
	for _, name := range sorted.Keys(p.Gauges) {
		found := p.Gauges[name].Find(doc)
		if len(found) == 1 {
			if value, ok := found[0].Number(); ok {
				r.Measure(valueGauge, value, name)
				continue
			}
		}
		missing = append(missing, p.Gauges[name].String())
	}
	if missing != nil {
		return probe.Outcomef(probe.Schema, "expected one number at %s, got none", strings.Join(missing, " and at "))
	}
	return probe.Outcome{Reason: probe.OK, Detail: "read " + text.Count(len(p.Gauges), "number")}
}

// checkCatchAll requests a nonexistent path. If its answer is as expected too, the expectation proves nothing.
func (p *Probe) checkCatchAll(ctx context.Context, r *probe.Result) probe.Outcome {
	answer, err := p.exchange(ctx, r, "catch_all", control.NonexistentURL(p.URL), httpx.Codes(404))
	switch {
	case err != nil:
		return probe.Outcomef(probe.Credential, "%s", err)
	case answer.Reason != probe.OK:
		return probe.Outcomef(probe.ControlFailed, "the request for a nonexistent path failed: %s", answer.Detail)
	case answer.Status == 429 || answer.Status >= 500:
		return probe.Outcomef(probe.ControlFailed, "a nonexistent path is answered %d, which proves nothing", answer.Status)
	case p.Expect.Matches(answer.Answer):
		return probe.Outcomef(probe.ControlFailed, "a nonexistent path is answered as expected too (%d): any page would have passed", answer.Status)
	}
	return probe.Outcomef(probe.OK, "a nonexistent path is answered differently (%d)", answer.Status)
}

// askControl makes the control's request. If it does not succeed, the run is inconclusive, not failed.
func (p *Probe) askControl(ctx context.Context, r *probe.Result) probe.Outcome {
	answer, err := p.exchange(ctx, r, "control", p.URL, p.Expect.Status)
	if err != nil {
		return probe.Outcome{Reason: probe.Credential, Detail: err.Error()}
	}
	if short := p.notExpected(answer); short != "" {
		return probe.Outcome{Reason: probe.ControlFailed, Detail: "the request that must succeed did not, so nothing is proven: " + short}
	}
	return probe.Outcomef(probe.OK, "the request that must succeed did: got %d", answer.Status)
}

// notExpected says why an answer is not the expected one; empty if it is.
func (p *Probe) notExpected(answer reply) string {
	if answer.Reason != probe.OK {
		return answer.Detail
	}
	checks := append([]expect.Check{{Name: "status", Outcome: p.status(answer)}}, p.Expect.Judge(answer.Answer, time.Now())...)
	for _, c := range checks {
		if !c.Passed() {
			return c.Detail
		}
	}
	return ""
}
