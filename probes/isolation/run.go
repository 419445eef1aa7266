package isolation

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// An run is one run. It asks, looks for what must not be in the answers, and keeps what speaks against each claim.
type run struct {
	p      *Probe
	ctx    context.Context
	result *probe.Result
	plan   *plan
	rows   [15]bool // rows of the matrix that were asked, from 1

	denialDelays map[string][]time.Duration // by surface, how much later another's object was denied than one that never was
	identified   bool                       // the credentials belong to different test orgs

	mu              sync.Mutex
	remaining       int        // requests that may still be made
	requests        int        // requests that were made
	stopped         *violation // why nothing more is asked
	cleaningUp      bool       // what is left to ask is the clean-up, which neither a limit nor a stop must keep from
	created         []seededObject
	unacknowledged  []seededObject  // may have been planted, but nobody said under which id
	protected       []protectedText // what must not be shown to others
	orphanCount     int             // leftovers that were seen and are still there
	cleanUpFailures int             // clean-ups that failed
	ownResponses    int             // answers on shared connections that were the caller's own
}

func newRun(p *Probe, ctx context.Context, result *probe.Result) *run {
	return &run{p: p, ctx: ctx, result: result, plan: newPlan(p), remaining: p.MaxRequests, denialDelays: map[string][]time.Duration{}}
}

// An request is one request and what it is asked for.
type request struct {
	assertion     *assertion
	tenant        *tenant             // nil: a stranger
	unauthorized  *unauthorizedCaller // nil: a tenant
	template      *Template
	vars          vars
	mutation      mutation
	abandonAfter  int
	outlastsStop  bool // a stop does not cut it off: what it plants must be known, to be deleted
	echoesNothing bool // what the request says would not be in the answer unless it was found
	want          httpx.Statuses
}

// send makes a request and notes against the claim whatever of others it shows. It asks nothing once the run is over.
func (r *run) send(ctx context.Context, req request) *httpx.Answer {
	if why := r.admit(ctx, req.assertion); why != nil {
		return &httpx.Answer{Exchange: probe.Exchange{Reason: why.why}, Detail: why.detail}
	}
	httpReq, err := r.p.build(req.template, req.vars, req.mutation)
	if err != nil {
		return &httpx.Answer{Exchange: probe.Exchange{Reason: probe.ControlFailed}, Detail: err.Error()}
	}
	httpReq.Check, httpReq.Target, httpReq.Want, httpReq.Abandon = req.assertion.check, req.assertion.surface, req.want, req.abandonAfter
	if req.unauthorized != nil && req.unauthorized.madeUp {
		r.p.setMadeUpCredential(httpReq.Header)
	}
	if req.outlastsStop {
		var done context.CancelFunc
		ctx, done = withGrace(ctx, cleanUpTime/2)
		defer done()
	}
	answer := req.client().Do(ctx, r.result, httpReq)
	if answer.Status == http.StatusTooManyRequests {
		r.stop(violation{ruleInconclusive, probe.RateLimited, "the target limits the rate of the prober's requests (429); nothing more is asked in this run", answer.TraceID})
	}
	r.scanForLeaks(req, httpReq, answer)
	return answer
}

// admit counts a request. It returns why it must not be made, if so.
func (r *run) admit(ctx context.Context, a *assertion) *violation {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.stopped != nil && !r.cleaningUp:
		return r.stopped
	case ctx.Err() != nil:
		o := contextEnded(ctx)
		return &o
	case r.remaining == 0 && !r.cleaningUp:
		return &violation{rule: ruleInconclusive, why: probe.ControlFailed, detail: fmt.Sprintf("not asked: the run has made its %d requests (max_requests)", r.p.MaxRequests)}
	}
	r.remaining = max(r.remaining-1, 0)
	r.requests++
	a.sent++
	return nil
}

// withGrace returns a context that goes on for a while when another is cancelled, and ends with it when its time is up.
func withGrace(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-longer.Done():
			}
		}
		cancel()
	})
	return longer, func() { stop(); cancel() }
}

// contextEnded says why a context is over.
func contextEnded(ctx context.Context) violation {
	if errors.Is(ctx.Err(), context.Canceled) {
		return violation{rule: ruleInconclusive, why: probe.Cancelled, detail: "not all was asked: the run was cancelled"}
	}
	return violation{rule: ruleInconclusive, why: probe.ControlFailed, detail: "not all was asked: the time was up"}
}

// stop ends the asking for a reason.
func (r *run) stop(why violation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped == nil {
		r.stopped = &why
	}
}

// violatedNoEvidence keeps something that speaks against a claim and that no one answer shows.
func (r *run) violatedNoEvidence(a *assertion, rule violationRule, why probe.Reason, format string, args ...any) {
	r.violated(a, &httpx.Answer{}, rule, why, format, args...)
}

// violated keeps something that speaks against a claim, and the answer that shows it.
func (r *run) violated(a *assertion, answer *httpx.Answer, rule violationRule, why probe.Reason, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a.violations = append(a.violations, violation{rule, why, fmt.Sprintf(format, args...), answer.TraceID})
}

// setMadeUpCredential adds credentials that are none, in the form of those that the orgs have.
func (p *Probe) setMadeUpCredential(h http.Header) {
	for _, t := range p.tenants {
		org := p.Orgs[t.name]
		switch {
		case org.Basic != nil:
			h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("prober:"+canary.Random())))
		case !org.Bearer.IsZero() || org.OAuth2 != nil:
			h.Set("Authorization", "Bearer "+canary.Random())
		}
		for name, v := range org.Headers {
			if !v.Secret.IsZero() {
				h.Set(name, canary.Random())
			}
		}
	}
}

// op is the operation that a request belongs to.
func (req request) op() string {
	for _, op := range operations {
		if req.assertion.resource.template(op) == req.template {
			return op
		}
	}
	return ""
}

// caller names the caller.
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

// describe tells of a request: what was asked, and how it was twisted.
func (req request) describe() string {
	if req.mutation.name == "" {
		return req.template.describe()
	}
	return req.template.describe() + " with " + req.mutation.name
}

// parallel makes requests at the same time, as many as the settings allow, and returns when all are answered.
func (r *run) parallel(n int, ask func(i int)) {
	lanes := make([]string, min(n, r.p.Concurrency))
	r.result.Each(lanes, func(lane int, _ *probe.Result) {
		for i := lane; i < n; i += len(lanes) {
			ask(i)
		}
	})
}

// sleep waits for a while; it returns false if the run ended first.
func (r *run) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.ctx.Done():
		return false
	}
}

// poll looks until something is seen, more and more seldom; false if it never is, or the run is over.
func (r *run) poll(patience time.Duration, look func() bool) bool {
	until := time.Now().Add(patience)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		switch {
		case look():
			return true
		case time.Now().Add(wait).After(until) || !r.sleep(wait):
			return false
		}
	}
}

// eachPair calls f for every org as the owner of something and every other as who must not get it.
func (r *run) eachPair(f func(owner, intruder *tenant)) {
	for _, owner := range r.p.tenants {
		for _, intruder := range r.p.tenants {
			if owner != intruder {
				f(owner, intruder)
			}
		}
	}
}

// tested notes that a row of the matrix was asked.
func (r *run) tested(n ...int) {
	for _, i := range n {
		r.rows[i] = true
	}
}

// ended reports whether nothing more can be asked.
func (r *run) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopped != nil || r.ctx.Err() != nil || r.remaining == 0
}
