package isolation

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// An exam is one run. It asks, looks for what must not be in the answers, and keeps what speaks against each claim.
type exam struct {
	p    *Probe
	ctx  context.Context
	r    *probe.Result
	plan *plan
	rows [15]bool // rows of the matrix that were asked, from 1

	delays     map[string][]time.Duration // by surface, how much later another's object was denied than one that never was
	identified bool                       // the credentials belong to different test orgs

	mu       sync.Mutex
	left     int      // requests that may still be made
	made     int      // requests that were made
	stop     *outcome // why nothing more is asked
	cleaning bool     // what is left to ask is the clean-up, which neither a limit nor a stop must keep from
	minted   []planted
	lost     []planted // may have been planted, but nobody said under which id
	known    []hidden  // what must not be shown to others
	strays   int       // leftovers that were seen and are still there
	failures int       // clean-ups that failed
	answered int       // answers on shared connections that were the caller's own
}

func newExam(p *Probe, ctx context.Context, r *probe.Result) *exam {
	return &exam{p: p, ctx: ctx, r: r, plan: newPlan(p), left: p.MaxRequests, delays: map[string][]time.Duration{}}
}

// An asking is one request and what it is asked for.
type asking struct {
	claim    *claim
	by       *tenant   // nil: a stranger
	stranger *stranger // nil: a tenant
	t        *Template
	v        vars
	m        mutation
	abandon  int
	lasting  bool // a stop does not cut it off: what it plants must be known, to be deleted
	unechoed bool // what the request says would not be in the answer unless it was found
	want     httpx.Statuses
}

// ask makes a request and notes against the claim whatever of others it shows. It asks nothing once the run is over.
func (x *exam) ask(ctx context.Context, a asking) *httpx.Answer {
	if why := x.spend(ctx, a.claim); why != nil {
		return &httpx.Answer{Exchange: probe.Exchange{Reason: why.why}, Detail: why.detail}
	}
	q, err := x.p.build(a.t, a.v, a.m)
	if err != nil {
		return &httpx.Answer{Exchange: probe.Exchange{Reason: probe.ControlFailed}, Detail: err.Error()}
	}
	q.Check, q.Target, q.Want, q.Abandon = a.claim.check, a.claim.surface, a.want, a.abandon
	if a.stranger != nil && a.stranger.forges {
		x.p.forge(q.Header)
	}
	if a.lasting {
		var done context.CancelFunc
		ctx, done = outlast(ctx, cleanUpTime/2)
		defer done()
	}
	answer := a.client().Do(ctx, x.r, q)
	if answer.Status == http.StatusTooManyRequests {
		x.halt(outcome{ruleUnproven, probe.RateLimited, "the target limits the rate of the prober's requests (429); nothing more is asked in this run", answer.TraceID})
	}
	x.look(a, q, answer)
	return answer
}

// spend counts a request. It returns why it must not be made, if so.
func (x *exam) spend(ctx context.Context, cl *claim) *outcome {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.stop != nil && !x.cleaning:
		return x.stop
	case ctx.Err() != nil:
		o := ended(ctx)
		return &o
	case x.left == 0 && !x.cleaning:
		return &outcome{rule: ruleUnproven, why: probe.ControlFailed, detail: fmt.Sprintf("not asked: the run has made its %d requests (max_requests)", x.p.MaxRequests)}
	}
	x.left = max(x.left-1, 0)
	x.made++
	cl.asked++
	return nil
}

// outlast returns a context that goes on for a while when another is cancelled, and ends with it when its time is up.
func outlast(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
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

// ended says why a context is over.
func ended(ctx context.Context) outcome {
	if errors.Is(ctx.Err(), context.Canceled) {
		return outcome{rule: ruleUnproven, why: probe.Cancelled, detail: "not all was asked: the run was cancelled"}
	}
	return outcome{rule: ruleUnproven, why: probe.ControlFailed, detail: "not all was asked: the time was up"}
}

// halt ends the asking for a reason.
func (x *exam) halt(why outcome) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stop == nil {
		x.stop = &why
	}
}

// note keeps something that speaks against a claim and that no one answer shows.
func (x *exam) note(cl *claim, r rule, why probe.Reason, format string, args ...any) {
	x.blame(cl, &httpx.Answer{}, r, why, format, args...)
}

// blame keeps something that speaks against a claim, and the answer that shows it.
func (x *exam) blame(cl *claim, answer *httpx.Answer, r rule, why probe.Reason, format string, args ...any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	cl.against = append(cl.against, outcome{r, why, fmt.Sprintf(format, args...), answer.TraceID})
}

// forge adds credentials that are none, in the form of those that the orgs have.
func (p *Probe) forge(h http.Header) {
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
func (a asking) op() string {
	for _, op := range operations {
		if a.claim.subject.template(op) == a.t {
			return op
		}
	}
	return ""
}

// who names the caller.
func (a asking) who() string {
	if a.by != nil {
		return a.by.name
	}
	return a.stranger.name
}

func (a asking) client() *httpx.Client {
	if a.by != nil {
		return a.by.client
	}
	return a.stranger.client
}

// spoken tells of a request: what was asked, and how it was twisted.
func (a asking) spoken() string {
	if a.m.name == "" {
		return a.t.spoken()
	}
	return a.t.spoken() + " with " + a.m.name
}

// fan makes requests at the same time, as many as the settings allow, and returns when all are answered.
func (x *exam) fan(n int, ask func(i int)) {
	lanes := make([]string, min(n, x.p.Concurrency))
	for i := range lanes {
		lanes[i] = strconv.Itoa(i)
	}
	x.r.Each(lanes, func(lane string, _ *probe.Result) {
		first, _ := strconv.Atoi(lane)
		for i := first; i < n; i += len(lanes) {
			ask(i)
		}
	})
}

// pause waits for a while; it returns false if the run ended first.
func (x *exam) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.ctx.Done():
		return false
	}
}

// again looks until something is seen, more and more seldom; false if it never is, or the run is over.
func (x *exam) again(patience time.Duration, look func() bool) bool {
	until := time.Now().Add(patience)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		switch {
		case look():
			return true
		case time.Now().Add(wait).After(until) || !x.pause(wait):
			return false
		}
	}
}

// each calls f for every org as the owner of something and every other as who must not get it.
func (x *exam) each(f func(owner, intruder *tenant)) {
	for _, owner := range x.p.tenants {
		for _, intruder := range x.p.tenants {
			if owner != intruder {
				f(owner, intruder)
			}
		}
	}
}

// row notes that a row of the matrix was asked.
func (x *exam) row(n ...int) {
	for _, i := range n {
		x.rows[i] = true
	}
}

// over reports whether nothing more can be asked.
func (x *exam) over() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.stop != nil || x.ctx.Err() != nil || x.left == 0
}
