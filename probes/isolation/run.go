package isolation

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/budget"
)

// A run sends requests, searches the responses for what they must not contain, and collects the violations of each
// assertion. Its steps are sequential; within some of them, requests are sent in parallel.
type run struct {
	p      *Probe
	ctx    context.Context
	result *probe.Result
	plan   *plan

	// Only the run's goroutine uses these, between parallel requests.
	identity        *assertion                  // that the credentials belong to different test orgs
	identified      bool                        // they do
	owners          map[*tenant]credentialOwner // as the target said at first
	orphanCount     int                         // orphans that were found and still exist
	cleanUpFailures int

	mu             sync.Mutex
	rows           [matrixSize + 1]bool       // whether each row of the matrix was tested; 0 is not used
	denialDelays   map[string][]time.Duration // by surface, the extra latency of denials for another org's object
	patience       time.Duration              // that a request may take; 0 for no limit
	silences       int                        // requests in a row that got no response in their time
	remaining      int                        // requests that may still be sent
	requests       int                        // requests that were sent
	stopped        *violation                 // why no more requests are sent
	cleaningUp     bool                       // neither a limit nor a stop applies any more
	created        []seededObject             // to be deleted
	unacknowledged []seededObject             // that may have been created, but the response did not say under which id
	protected      []protectedText
	succeeded      []string // texts of attempts to write that were shown to somebody
	ownResponses   int      // responses on shared connections that were the caller's own
}

func newRun(p *Probe, ctx context.Context, result *probe.Result) *run {
	var patience time.Duration
	if end, limited := ctx.Deadline(); limited {
		patience = time.Duration(requestShare * float64(time.Until(end)))
	}
	return &run{p: p, ctx: ctx, result: result, plan: newPlan(p), identity: newIdentityAssertion(), remaining: p.MaxRequests, patience: patience, denialDelays: map[string][]time.Duration{}}
}

// A request is one request of a run, sent for an assertion by a tenant or by an unauthorized caller.
type request struct {
	assertion     *assertion
	tenant        *tenant
	unauthorized  *unauthorizedCaller
	template      *Template
	vars          vars
	mutation      mutation
	abandonAfter  int  // bytes of the response; 0 reads all of it
	outlastsStop  bool // a stop does not cancel it: what it creates must be known, to be deleted
	again         bool // it was sent before, and showed another org's data
	echoesNothing bool // the response contains a text of the request only if the service found it
	want          httpx.Statuses
}

// send sends a request and records a violation of its assertion for whatever the response shows of other orgs. It sends
// nothing once the run is over.
func (r *run) send(ctx context.Context, req request) *httpx.Answer {
	if why := r.admit(ctx, req.assertion); why != nil {
		return &httpx.Answer{Exchange: probe.Exchange{Reason: why.Reason}, Detail: why.Detail}
	}
	httpReq, err := r.p.build(req.template, req.vars, req.mutation)
	if err != nil {
		return &httpx.Answer{Exchange: probe.Exchange{Reason: probe.ControlFailed}, Detail: err.Error()}
	}
	httpReq.Check, httpReq.Target, httpReq.Want, httpReq.Abandon = req.assertion.check, req.assertion.surface, req.want, req.abandonAfter
	httpReq.Hides = func(text string) bool { return r.holdsCanary(text, req.vars.canary) }
	if req.unauthorized != nil && req.unauthorized.madeUp {
		r.p.setMadeUpCredential(httpReq.Header)
	}
	if req.outlastsStop {
		var cancel context.CancelFunc
		ctx, cancel = budget.WithGrace(ctx, cleanUpTime/2)
		defer cancel()
	}
	limited, cancel := r.limitOne(ctx)
	defer cancel()
	answer := req.client().Do(limited, r.result, httpReq)
	r.heedSilence(ctx, req, answer)
	if answer.Status == http.StatusTooManyRequests {
		r.stop(violation{
			rule: ruleInconclusive, traceID: answer.TraceID,
			Outcome: probe.Outcomef(probe.RateLimited, "got 429: the target limits the rate of the prober's requests; this run sends no more"),
		})
	}
	r.scanForLeaks(req, httpReq, answer)
	return answer
}

// requestShare is the part of a run's time that one request may take. A target that stopped to respond must not use it up.
const requestShare = 0.2

// maxSilences is how many requests in a row may get no response in their time before the run ends.
const maxSilences = 2

// limitOne returns a context that ends when a single request has taken its share of the run's time.
func (r *run) limitOne(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.patience == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, r.patience)
}

// heedSilence ends the run once the target has stopped to respond: that comes first in the verdict, and not what could
// not be tested because of it.
func (r *run) heedSilence(ctx context.Context, req request, answer *httpx.Answer) {
	r.mu.Lock()
	if answer.Reason != probe.Timeout || ctx.Err() != nil {
		r.silences = 0
	} else {
		r.silences++
	}
	frozen := r.silences >= maxSilences && !r.cleaningUp
	r.mu.Unlock()
	if frozen {
		v := inconclusive(probe.ControlFailed, "the target stopped to respond: no response within %s to %s by %s; this run sends no more",
			r.patience.Round(time.Millisecond), req.describe(), req.caller())
		v.traceID = answer.TraceID
		r.stop(v)
	}
}

// admit counts a request. It returns why the request must not be sent, if so.
func (r *run) admit(ctx context.Context, a *assertion) *violation {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.stopped != nil && !r.cleaningUp:
		return r.stopped
	case ctx.Err() != nil:
		v := contextEnded(ctx)
		return &v
	case r.remaining == 0 && !r.cleaningUp:
		v := inconclusive(probe.ControlFailed, "not sent: the run has sent its %d requests (max_requests)", r.p.MaxRequests)
		return &v
	}
	r.remaining = max(r.remaining-1, 0)
	r.requests++
	a.sent++
	return nil
}

// sentFor returns how many requests were sent for an assertion.
func (r *run) sentFor(a *assertion) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return a.sent
}

// inconclusive returns a violation that proves nothing.
//
//go:noinline
func inconclusive(why probe.Reason, format string, args ...any) violation {
	return violation{rule: ruleInconclusive, Outcome: probe.Outcomef(why, format, args...)}
}

// contextEnded says why a context is over.
func contextEnded(ctx context.Context) violation {
	if errors.Is(ctx.Err(), context.Canceled) {
		return inconclusive(probe.Cancelled, "not everything was tested: the run was cancelled")
	}
	return inconclusive(probe.ControlFailed, "not everything was tested: the run's time was up")
}

// stop ends the run: all further requests but those of the clean-up are refused with the first reason given.
func (r *run) stop(why violation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped == nil {
		r.stopped = &why
	}
}

// violated records a violation of an assertion, and the response that shows it; nil if no single one does.
func (r *run) violated(a *assertion, answer *httpx.Answer, rule violationRule, why probe.Reason, format string, args ...any) {
	v := violation{rule: rule, Outcome: probe.Outcomef(why, format, args...)}
	if answer != nil {
		v.traceID = answer.TraceID
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a.violations = append(a.violations, v)
}

// fails reports whether an assertion, if there is one, is known to be violated.
func (r *run) fails(a *assertion) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return a != nil && slices.ContainsFunc(a.violations, func(v violation) bool { return v.rule < ruleInconclusive })
}

// inconclusive records why an assertion is not proven, and the response that shows it; nil if no single one does.
//
//go:noinline
func (r *run) inconclusive(a *assertion, answer *httpx.Answer, why probe.Reason, format string, args ...any) {
	r.violated(a, answer, ruleInconclusive, why, format, args...)
}

// setMadeUpCredential adds invalid credentials in the form of those that the orgs have.
func (p *Probe) setMadeUpCredential(h http.Header) {
	for _, t := range p.tenants {
		org := p.Orgs[t.name]
		switch {
		case org.Basic != nil:
			h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("prober:"+canary.Random())))
		case !org.Bearer.IsZero() || org.OAuth2 != nil:
			h.Set("Authorization", "Bearer "+canary.Random())
		case org.Login != nil:
			org.Login.Put(h, canary.Random())
		}
		for name, v := range org.Headers {
			if !v.Secret.IsZero() {
				h.Set(name, canary.Random())
			}
		}
	}
}

// op is the operation that the request belongs to; empty for one of no resource.
//
//go:noinline
func (req request) op() string {
	for _, op := range operations {
		if req.assertion.resource.template(op) == req.template {
			return op
		}
	}
	return ""
}

// caller names the caller in a message.
func (req request) caller() string {
	if req.tenant != nil {
		return req.tenant.name
	}
	return req.unauthorized.name
}

func (req request) client() *httpx.Client {
	if req.tenant != nil {
		return req.tenant.client
	}
	return req.unauthorized.client
}

// describe names the request and its mutation in a message.
func (req request) describe() string {
	if req.mutation.name == "" {
		return req.template.describe()
	}
	return req.template.describe() + " with " + req.mutation.name
}

// parallel calls f for 0 to n-1, as many at a time as the settings allow, and returns when all calls have returned.
func (r *run) parallel(n int, f func(i int)) {
	lanes := make([]string, min(n, r.p.Concurrency))
	r.result.Each(lanes, func(lane int, _ *probe.Result) {
		for i := lane; i < n; i += len(lanes) {
			f(i)
		}
	})
}

// sleep waits. It returns false only once the run's context has ended, so that a caller that gives up can tell by the
// context that it did not wait long enough.
func (r *run) sleep(wait time.Duration) bool {
	if budget.Sleep(r.ctx, wait) {
		return true
	}
	<-r.ctx.Done()
	return false
}

// poll calls look at growing intervals until it returns true. It returns false after the given time, and when the run
// is over.
func (r *run) poll(limit time.Duration, look func() bool) bool {
	end := time.Now().Add(limit)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		switch {
		case look():
			return true
		case time.Now().Add(wait).After(end) || !r.sleep(wait):
			return false
		}
	}
}

// eachPair calls f for every org as the owner of an object and every other org as the intruder.
//
//go:noinline
func (r *run) eachPair(f func(owner, intruder *tenant)) {
	for _, owner := range r.p.tenants {
		for _, intruder := range r.p.tenants {
			if owner != intruder {
				f(owner, intruder)
			}
		}
	}
}

// eachNeighbor calls f for every org as the owner of an object and one other as the intruder, for what is the same for all
// others.
func (r *run) eachNeighbor(f func(owner, intruder *tenant)) {
	for i, owner := range r.p.tenants {
		f(owner, r.p.tenants[(i+1)%len(r.p.tenants)])
	}
}

// tested marks rows of the matrix as tested.
func (r *run) tested(rows ...matrixRow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range rows {
		r.rows[row] = true
	}
}

// ended reports whether no more requests can be sent.
func (r *run) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopped != nil || r.ctx.Err() != nil || r.remaining == 0
}
