package guard

import (
	"context"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/budget"
)

// A run is one run of the probe.
type run struct {
	p            *Probe
	result       *probe.Result
	own, foreign canary.Needle
	requests     int

	before, after *verdict // of the scoped query
	mistake       *verdict
	stopped       *probe.Outcome // why cases were left out; nil if none were
}

// A verdict is what an answer says of the query that it answers.
type verdict struct {
	outcome
	reason  probe.Reason
	detail  string // expected and got
	traceID string
}

// minCanary is the length of a canary that nothing has by chance.
const minCanary = 16

// readCanaries reads the texts to look for. It notes why the run ends, if it must.
func (r *run) readCanaries() bool {
	own, err := r.p.Orgs.Own.Canary.Reveal()
	foreign, err2 := r.p.Orgs.Foreign.Canary.Reveal()
	switch {
	case err != nil || err2 != nil:
		if err == nil {
			err = err2
		}
		r.result.Report(checkScoped, probe.Credential, "a canary cannot be read: %s", err)
		return false
	case len(own) < minCanary || len(foreign) < minCanary:
		r.result.Report(checkScoped, probe.ControlFailed, "expected canaries of at least %d bytes, which nothing has by chance", minCanary)
		return false
	}
	r.own, r.foreign = canary.NewNeedle(own), canary.NewNeedle(foreign)
	if canary.NewHaystack([]byte(own)).Find(r.foreign) != "" || canary.NewHaystack([]byte(foreign)).Find(r.own) != "" {
		r.result.Report(checkScoped, probe.ControlFailed, "expected two canaries, got one that is also in the other")
		return false
	}
	for _, query := range r.p.allQueries() {
		if h := canary.NewHaystack([]byte(query)); h.Find(r.own) != "" || h.Find(r.foreign) != "" {
			r.result.Report(checkScoped, probe.ControlFailed, "a query has a canary in it, so an answer that repeats the query would show it: find the canaries by another filter")
			return false
		}
	}
	return true
}

// maxInARow is how many cases in a row may be left without an answer: the others would be too.
const maxInARow = 3

// ask sends the controls and, unless the target is sick or does not let the probe in, the cases.
func (r *run) ask(ctx context.Context) {
	t := r.p.template()
	cases := r.p.turns.next(r.p.cases, (r.p.MaxRequests-controls)/r.p.Repeat)
	before, sick := r.askScoped(ctx, t)
	if r.before = &before; sick {
		r.stop(notAllAsked, "nothing else was asked")
		return
	}
	if !r.p.KnowsColumns {
		v := r.judgeMistake(r.send(ctx, checkMistake, t.fill(mistaken)))
		r.mistake = &v
	}
	r.askCases(ctx, cases)
	after, _ := r.askScoped(ctx, t)
	r.after = &after
}

func (r *run) stop(why probe.Reason, format string, args ...any) {
	o := probe.Outcomef(why, format, args...)
	r.stopped = &o
}

// askCases sends the cases one after the other. A tenth of the time is for the scoped query that follows.
func (r *run) askCases(ctx context.Context, cases []testCase) {
	most, done := budget.Share(ctx, 0.9)
	defer done()
	patience, patient := budget.Share(most, 0.95) // who is asked in the last of it has too little time to answer
	defer patient()
	unanswered := 0
	for i, c := range cases {
		if patience.Err() != nil {
			r.stop(notAllAsked, "the run's time was up after %s; give the probe a longer timeout", text.Count(i, "case"))
			return
		}
		v := r.askCase(most, c)
		if v.reason == probe.RateLimited {
			r.stop(v.reason, "after %s: %s", text.Count(i, "case"), v.detail)
			return
		}
		r.p.turns.asked(c.name, v)
		if unanswered++; v.outcome != inconclusive || v.reason.Verdict != probe.Fail {
			unanswered = 0
		}
		if unanswered == maxInARow {
			r.stop(notAllAsked, "the target gave no more answers after %s", text.Count(i+1, "case"))
			return
		}
	}
}

// askCase sends a case as often as the settings say, until it is not rejected.
func (r *run) askCase(ctx context.Context, c testCase) (v verdict) {
	for range r.p.Repeat {
		some, done := budget.Share(ctx, 0.5) // one that hangs leaves time for others
		v = r.judge(r.send(some, c.check, c.query))
		done()
		if v.outcome != rejected {
			break
		}
	}
	return v
}

func (r *run) send(ctx context.Context, check, query string) *httpx.Answer {
	request := r.p.request(query)
	request.Check, request.Want = check, r.p.Rejected.Status
	if check == checkScoped {
		request.Want = r.p.Accepted.Status
	}
	r.requests++
	return r.p.client.Do(ctx, r.result, request)
}
