package webhook

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/signature"
	"prober/internal/text"
	"prober/probes/internal/budget"
)

// nonces is how often the prober asks for its own address before the events, and again after them: two probers behind one
// address, that it is shared among by turns or by chance, are found so.
const nonces = 4

// A runState is one run of the probe.
type runState struct {
	*Probe
	r          *probe.Result
	in         probe.Inbox
	began      time.Time
	clock      probe.ClockWatch
	events     []*event // of this run; in the inbox until it is over
	rules      []ruling // of the events, in the end
	last       time.Time
	gap        string // why deliveries may have come in vain; empty if they did not
	unverified string // what to add about deliveries that did not verify
	vain       bool   // one came that could not be verified, for want of a key
	owed       int    // failing answers of an earlier run after which nothing good came
}

// Ask has an event delivered for each case, and judges what comes of it.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	in, why := probe.InboxOf(ctx)
	if in == nil {
		for _, check := range p.Checks() {
			r.Note(check, why)
		}
		return
	}
	run := &runState{Probe: p, r: r, in: in, began: time.Now(), clock: probe.WatchClock()}
	if !run.readKeys(ctx) {
		return
	}
	if p.Trigger == nil {
		run.collect(ctx)
		return
	}
	run.begin()
	defer run.end()
	if !run.reachable(ctx) {
		return
	}
	before := len(run.events)
	for _, c := range p.cases {
		if !run.trigger(ctx, c, checkTriggered) {
			run.judgeEnabled(ctx)
			return
		}
	}
	run.watch(ctx, run.events[before:])
	events := slices.Clone(run.events[before:])
	if !run.reachable(ctx) {
		run.judgeEnabled(ctx)
		return
	}
	r.Pass(checkReachable, "%d of %d requests of the prober to its own public address came back to it", 2*nonces, 2*nonces)
	r.Pass(checkTriggered, "%s", text.Plural(len(events), "event", "events"))
	run.judgeEvents(ctx, events)
	run.judgeDead(ctx, events)
	run.judgeEnabled(ctx)
}

// state reads or changes what the inbox holds.
func (run *runState) state(change func(st *state, s *probe.InboxState)) {
	run.in.Update(func(s *probe.InboxState) { change(stateOf(s), s) })
}

// readKeys reads the key set that the sender publishes.
func (run *runState) readKeys(ctx context.Context) bool {
	if run.Signature.Keys == "" {
		err := run.reveal(&signature.Keys{})
		if err != nil {
			run.r.Inconclusive(checkSignature, probe.Credential, "signature.secrets: %s", err)
		}
		return err == nil
	}
	set, body, o := run.fetch(ctx)
	if !o.Passed() {
		run.r.Note(checkSignature, o)
		return false
	}
	run.state(func(st *state, s *probe.InboxState) {
		st.set = set
		st.document.forget(run.began, max(run.Signature.Cache.D(), run.Signature.Grace.D()))
		st.document.read(set, body, run.began)
		st.save(s)
	})
	run.judgeRevoked(set)
	return true
}

// fetch reads the key set from where it is published.
func (run *runState) fetch(ctx context.Context) (jwk.Set, []byte, probe.Outcome) {
	share, done := budget.Share(ctx, 0.3)
	defer done()
	header := http.Header{"Cache-Control": {"no-cache"}, "Accept": {"application/jwk-set+json, application/json"}}
	a := run.other.Do(share, run.r, httpx.Request{Check: checkSignature, URL: run.Signature.Keys, Header: header, Want: httpx.Success})
	c := a.Classify(httpx.ClassifyOptions{Want: httpx.Success, AllowCached: true, Public: true})
	if c.Class != httpx.ClassExpected {
		return nil, nil, probe.Outcomef(c.Reason, "the key set: %s", c.Detail)
	}
	set, err := jwk.Parse(ctx, a.Body)
	if err != nil {
		return nil, nil, probe.Outcomef(probe.Schema, "expected a key set: %s", err)
	}
	return set, a.Body, probe.Outcome{Reason: probe.OK}
}

// publishedSince reports whether a delivery verifies by the key set as it is now, that did not by the one that was read before.
func (run *runState) publishedSince(ctx context.Context, r refusal) bool {
	if r.err != signature.ErrUnknownKey || r.body == nil || run.Signature.Keys == "" {
		return false
	}
	set, _, o := run.fetch(ctx)
	if !o.Passed() {
		return false
	}
	_, err := run.form.Verify(r.header, r.body, &signature.Keys{Set: set})
	return err == nil
}

// begin has deliveries answered by the scripts of this run.
func (run *runState) begin() {
	run.state(func(st *state, _ *probe.InboxState) { st.run, run.owed = newRound(), st.document.Owed })
}

// end has further deliveries answered 200, so that what the run provoked ends well, and tells the counters.
func (run *runState) end() {
	run.state(func(st *state, _ *probe.InboxState) {
		if run.Trigger != nil {
			st.run = nil
		}
		for result, n := range st.counts {
			run.r.Measure(deliveriesTotal, n, result)
		}
		clear(st.counts)
		if refused, all := st.unverified(time.Now(), run.Within.D()); all >= minRecent {
			run.r.Measure(unverifiedRatio, float64(refused)/float64(all))
		}
		if !st.document.Last.IsZero() {
			run.r.Measure(lastDelivery, float64(st.document.Last.UnixMilli())/1000)
		}
	})
}

// reachable asks for the prober's own public address, on a connection of its own each time. It notes what is wrong.
func (run *runState) reachable(ctx context.Context) bool {
	token, err := run.Token.Reveal()
	if err != nil {
		run.r.Inconclusive(checkReachable, probe.Credential, "token: %s", err)
		return false
	}
	sent := make([]string, nonces)
	for i := range sent {
		sent[i] = rand.Text()
	}
	run.state(func(st *state, _ *probe.InboxState) {
		st.run.nonces = map[string]bool{}
		for _, nonce := range sent {
			st.run.nonces[nonce] = false
		}
	})
	for i, nonce := range sent {
		share, done := budget.Share(ctx, 0.1)
		a := run.other.Do(share, run.r, httpx.Request{
			Check: checkReachable, Method: http.MethodPost, URL: run.url(token, nonce), Secret: true, Show: run.Public, Want: httpx.Success,
		})
		done()
		if c := a.Classify(httpx.ClassifyOptions{Want: httpx.Success}); c.Class != httpx.ClassExpected {
			return run.unreached("the prober does not reach itself at its public address (request %d of %d): %s", i+1, nonces, c.Detail)
		}
	}
	share, done := context.WithTimeout(ctx, run.waiting)
	defer done()
	came := 0
	if run.in.Wait(share, func(s *probe.InboxState) bool {
		came = 0
		for _, there := range stateOf(s).run.nonces {
			if there {
				came++
			}
		}
		return came == nonces
	}) != nil {
		return run.unreached("of %d requests to the public address %d came back to this prober: something else answers there, such as another prober with the same address", nonces, came)
	}
	return true
}

// unreached notes that the prober did not hear itself: for a reason of its own, if there was one during the run.
func (run *runState) unreached(format string, args ...any) bool {
	if gap, missed := run.in.Gap(run.began, time.Now()); missed {
		format, args = "the prober could not hear its own requests: %s", []any{gap.Why}
	}
	run.r.Inconclusive(checkReachable, probe.ControlFailed, format, args...)
	return false
}

// trigger has the sender deliver an event for a case.
func (run *runState) trigger(ctx context.Context, c namedCase, check string) bool {
	if spent(ctx) {
		run.r.Inconclusive(check, reasonWindow, "the run was over before the event of %s could be asked for", c.name)
		return false
	}
	e := newEvent(c)
	nonce := rand.Text()
	chosen := run.Trigger.ID.Header == "" && run.Trigger.ID.JSON.IsZero()
	e.triggered = time.Now()
	if chosen {
		e.id = nonce
	}
	run.state(func(st *state, _ *probe.InboxState) {
		st.run.events = append(st.run.events, e)
		if !chosen {
			st.run.asking = e
		}
	})
	run.events = append(run.events, e)
	fill := strings.NewReplacer(caseVariable, c.name, nonceVariable, nonce)
	q := httpx.Request{Check: check, Method: run.Trigger.Method, URL: fill.Replace(run.Trigger.URL), Want: run.Trigger.Status}
	if run.Trigger.Body != "" {
		q.Body = []byte(fill.Replace(run.Trigger.Body))
		if strings.HasPrefix(run.Trigger.Body, "{") || strings.HasPrefix(run.Trigger.Body, "[") {
			q.Header = http.Header{"Content-Type": {"application/json"}}
		}
	}
	share, done := budget.Share(ctx, 0.3)
	a := run.client.Do(share, run.r, q)
	done()
	answer := a.Classify(httpx.ClassifyOptions{Want: run.Trigger.Status, AllowCached: true, Credential: run.Authenticates()})
	id := ""
	switch {
	case chosen:
		id = nonce
	case answer.Class == httpx.ClassExpected:
		id = run.Trigger.ID.Read(a)
	}
	run.state(func(st *state, _ *probe.InboxState) { st.run.named(e, id) })
	switch {
	case answer.Class != httpx.ClassExpected:
		run.r.Report(check, answer.Reason, "the trigger of %s: %s", c.name, answer.Detail)
		return false
	case id == "" || len(id) > maxID:
		run.r.Fail(check, probe.Schema, "expected the id of the event in the response to the trigger of %s, got none", c.name)
		return false
	}
	return true
}

// watch waits until all events are settled, or the run is over.
func (run *runState) watch(ctx context.Context, events []*event) {
	left := reserve / 2
	if run.provokes() {
		left += run.Within.D()
	}
	ctx, done := budget.Keep(ctx, left)
	defer done()
	for ctx.Err() == nil {
		now := time.Now()
		var wake time.Time
		seen := 0
		run.in.Wait(ctx, func(*probe.InboxState) bool { // once: the attempts are read while nobody adds one
			for _, e := range events {
				seen += len(e.attempts)
				for _, r := range []ruling{run.judgeDelivery(e, now), run.judge(e, now)} {
					if !r.settled && (wake.IsZero() || r.wake.Before(wake)) {
						wake = r.wake
					}
				}
			}
			return true
		})
		if wake.IsZero() {
			return
		}
		until, done := context.WithDeadline(ctx, wake)
		run.in.Wait(until, func(*probe.InboxState) bool {
			n := 0
			for _, e := range events {
				n += len(e.attempts)
			}
			return n != seen
		})
		done()
	}
}
