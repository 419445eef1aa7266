package protected

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/budget"
	"prober/probes/internal/control"
)

// A replicaRun is one run at one replica: what everybody was answered, and what that means.
type replicaRun struct {
	probe  *Probe
	target string
	tokens map[string]*storedToken
	forged *forgerySet // nil without forgeries
	chosen []*forgery  // of these, what is presented in this run

	patience  time.Duration            // who had less time than this before it was cut off had it taken by others; 0 if the run has no end
	answers   map[string]*httpx.Answer // by caller, and for the nonexistent path
	presented []presented              // in the order of the battery; shorter if time was up
	after     *httpx.Answer            // the valid caller's once more, after the forgeries; nil if there were none
	decisive  *httpx.Answer            // of these, the one that the check rests on; nil if it is as good as another

	notes   []checkOutcome
	outcome string
	cases   map[string]caseOutcome
}

// presented is a forged token and what it was answered.
type presented struct {
	*forgery
	answer *httpx.Answer
}

// askCallers sends the callers' requests, one after the other. Each may take all the time but the share of those
// after it, which is a quarter of the run for the valid caller, without whom nothing is proven, and a quarter for the others
// together. So whoever hangs is the one who is blamed.
func (v *replicaRun) askCallers(ctx context.Context, r *probe.Result) {
	p := v.probe
	v.answers = make(map[string]*httpx.Answer, len(p.order)+1)
	others := len(p.order) // all but the valid caller, and the nonexistent path
	each := v.patience / time.Duration(others)
	kept := v.patience + each*time.Duration(others)
	send := func(c *caller, least time.Duration, q httpx.Request) {
		kept -= least
		ctx, done := budget.Keep(ctx, kept)
		defer done()
		q.Addr = r.Target()
		v.answers[q.Check] = p.send(ctx, r, c, q)
	}
	for _, c := range p.order {
		least := each
		if c.name == callerValid {
			least = v.patience
		}
		send(c, least, httpx.Request{Check: c.name, URL: p.URL, Want: c.expected()})
		if c.name == callerValid {
			send(c, each, httpx.Request{Check: checkCatchAll, URL: control.NonexistentURL(p.URL), Want: httpx.Codes(404)})
		}
	}
	if v.forged == nil || !v.complete() {
		return
	}
	v.present(ctx, r)
}

// cutOff reports whether a request ended because others had used the time: it had less of it than the valid caller is
// sure to have. It says nothing about the target.
func (v *replicaRun) cutOff(a *httpx.Answer) bool {
	return a.Reason == probe.Timeout && a.Took < v.patience*4/5 // a fifth may be lost on a busy machine
}

// timeUp is the outcome of a caller whose request was cut off: it names who took the time.
func (v *replicaRun) timeUp(check string) checkOutcome {
	for _, c := range v.probe.order {
		if a := v.answers[c.name]; a != nil && a.Reason == probe.Timeout && !v.cutOff(a) {
			return inconclusivef(check, probe.Timeout, "not answered in the time that was left: %s was not answered in %s", c.describe(), a.Took.Round(time.Millisecond))
		}
	}
	return inconclusivef(check, probe.Timeout, "the run's time was up before this was answered; give the probe a longer timeout")
}

// send makes one caller's request.
func (p *Probe) send(ctx context.Context, r *probe.Result, c *caller, q httpx.Request) *httpx.Answer {
	body, err := p.Body.Reveal()
	if err != nil {
		return &httpx.Answer{Exchange: probe.Exchange{Reason: probe.Credential}, Detail: "body: " + err.Error()}
	}
	q.Method, q.Body = p.Method, []byte(body)
	if c.name == callerInvalid && !c.hasCredential() {
		q.Header = bearing(rand.Text())
	}
	return c.client.Do(ctx, r, q)
}

func bearing(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// complete reports whether the replica gives answers from which one could tell that a forged token was accepted.
func (v *replicaRun) complete() bool {
	a := v.answers[callerValid]
	switch a.Classify(httpx.ClassifyOptions{Want: v.probe.valid.Status, AllowCached: true}).Class {
	case httpx.ClassIncomplete, httpx.ClassRateLimited, httpx.ClassServerError:
		return false
	}
	return !v.catchAll()
}

// present presents every forged token, beside all else that the valid caller sends, and then the valid one again: what
// is rejected says nothing where that is rejected too by then. Somebody who limits the rate is asked no further.
func (v *replicaRun) present(ctx context.Context, r *probe.Result) {
	p := v.probe
	most, done := budget.Share(ctx, 0.8) // the rest is for the valid caller
	defer done()
	aside := probe.NewResult(r.ID) // which exchange the check rests on is not known yet; see exchanges
	for _, f := range v.chosen {
		if most.Err() != nil {
			break
		}
		some, done := budget.Share(most, 0.5) // a verifier that hangs on one of them leaves time for others
		a := p.send(some, aside, p.forgeryCaller, httpx.Request{
			URL: p.URL, Addr: r.Target(), Header: bearing(f.token()), Want: p.forgeryDenials().Statuses(),
		})
		done()
		v.presented = append(v.presented, presented{f, a})
		if classOf(a) == httpx.ClassRateLimited {
			break
		}
	}
	v.after = p.send(ctx, aside, p.valid, httpx.Request{URL: p.URL, Addr: r.Target(), Want: p.valid.Status})
}

// exchanges notes what was exchanged over the forged tokens: under the name of their check the exchange that it rests
// on, the others under one of their own.
func (v *replicaRun) exchanges(r *probe.Result) {
	if v.after == nil {
		return
	}
	all := make([]*httpx.Answer, 0, len(v.presented)+1)
	for _, f := range v.presented {
		all = append(all, f.answer)
	}
	all = append(all, v.after)
	for i, a := range all {
		if a.Started.IsZero() {
			continue // it was never sent
		}
		x := a.Exchange
		x.Check = "forged"
		if a == v.decisive || v.decisive == nil && i == 0 {
			x.Check = checkForgeries
		}
		r.Exchanged(x)
	}
}
