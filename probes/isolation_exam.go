package probes

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// An exam is one run. It asks, looks for what must not be in the answers, and keeps what speaks against each claim.
type exam struct {
	p    *Isolation
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

func newExam(p *Isolation, ctx context.Context, r *probe.Result) *exam {
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
func (p *Isolation) forge(h http.Header) {
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

// look searches an answer for what its caller must not be shown.
func (x *exam) look(a asking, q httpx.Request, answer *httpx.Answer) {
	x.mu.Lock()
	known := x.known // appended to, never changed
	x.mu.Unlock()
	body, head := canary.NewHaystack(answer.Body), canary.NewHaystack(head(answer))
	granted := a.by == nil && httpx.Success.Contains(answer.Status)
	for _, h := range known {
		// What the request itself says may be said back.
		if h.owner == a.by || says(q, h.text) && !(a.unechoed && h.what == "canary") {
			continue
		}
		where, form := "body", body.Find(h.needle)
		if form == "" {
			where, form = "header", head.Find(h.needle)
		}
		if h.what == "id" && form != "" && form != canary.Plain && partOfOwn(known, a.by, h.text) {
			continue // the caller's own id, encoded, as a cursor is
		}
		if form == "" || granted { // that a stranger was answered at all is the larger news
			continue
		}
		r, why := ruleLeak, probe.LeakBody
		switch {
		case a.claim.check == checkInterleave:
			r, why = ruleCrossed, probe.CrossTalk
		case where == "header":
			why = probe.LeakHeader
		case slices.Contains([]string{"list", "search", "export", "count"}, a.op()):
			why = probe.LeakList
		}
		x.blame(a.claim, answer, r, why, "%s was shown the %s of %s (%s, %s, in the %s of an answer %d): %s",
			a.who(), h.what, h.owner.name, canary.Hash(h.text), form, where, answer.Status, a.spoken())
	}
}

// partOfOwn reports whether a text stands within an id of an org's own.
func partOfOwn(known []hidden, org *tenant, text string) bool {
	return slices.ContainsFunc(known, func(h hidden) bool {
		return h.owner == org && h.what == "id" && strings.Contains(strings.ToLower(h.text), strings.ToLower(text))
	})
}

// says reports whether a request says a text.
func says(q httpx.Request, text string) bool {
	for _, values := range q.Header {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, text) }) {
			return true
		}
	}
	return strings.Contains(q.URL, url.PathEscape(text)) || strings.Contains(q.URL, url.QueryEscape(text)) ||
		bytes.Contains(q.Body, []byte(inQuotes(text))) || bytes.Contains(q.Body, []byte(url.QueryEscape(text)))
}

// head writes the status and the headers of an answer as one text.
func head(a *httpx.Answer) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, a.StatusText)
	for name, values := range a.Header {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(values, "\n"))
	}
	return b.Bytes()
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

// provesNothing says why an answer proves nothing, whatever was wanted of it; ok is false if it may.
func provesNothing(answer *httpx.Answer) (why probe.Reason, detail string, ok bool) {
	switch {
	case answer.Reason == probe.TooLarge:
		return probe.TooLarge, answer.Detail + ", and could not be searched to its end", true
	case answer.Reason.Blame() == probe.Inconclusive:
		return answer.Reason, answer.Detail, true
	case answer.Reason != probe.OK:
		return probe.ControlFailed, answer.Detail, true
	case answer.Status == http.StatusTooManyRequests:
		return probe.RateLimited, "got 429: the target limits the rate of the prober's requests", true
	case answer.Status >= 500:
		return probe.ControlFailed, "got " + strconv.Itoa(answer.Status), true
	case answer.Redirected():
		return probe.ControlFailed, fmt.Sprintf("got %d, which sends elsewhere; redirects are never followed", answer.Status), true
	case answer.Cached != "":
		return probe.StaleOrCached, "the answer may come out of a cache (" + answer.Cached + ")", true
	}
	return "", "", false
}

// denied notes against the claim whatever an answer is but a denial. It reports whether it is one.
func (x *exam) denied(a asking, answer *httpx.Answer, want httpx.Statuses, granted rule, why probe.Reason) bool {
	success := httpx.Success.Contains(answer.Status)
	if whole := answer.Reason == probe.OK || answer.Reason == probe.TooLarge || answer.Reason == probe.Truncated; success && whole {
		x.blame(a.claim, answer, granted, why, "wanted %s, got %d: %s by %s", want, answer.Status, a.spoken(), a.who())
		return false
	}
	if reason, detail, ok := provesNothing(answer); ok {
		x.blame(a.claim, answer, ruleUnproven, reason, "wanted a denial (%s) of %s by %s: %s", want, a.spoken(), a.who(), detail)
		return false
	}
	large := a.m.long && slices.Contains([]int{413, 414, 431}, answer.Status)
	switch {
	case want.Contains(answer.Status) || large:
		return true
	case answer.Status == http.StatusUnauthorized:
		x.blame(a.claim, answer, ruleUnproven, probe.Credential, "wanted %s, got 401: the credential of %s is not accepted, so nothing was denied to it: %s", want, a.who(), a.spoken())
	default:
		x.blame(a.claim, answer, ruleUnproven, probe.ControlFailed, "wanted %s, got %d, which is none of the denials in the settings: %s by %s", want, answer.Status, a.spoken(), a.who())
	}
	return false
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
