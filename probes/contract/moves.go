package contract

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/selector"
	"prober/internal/sorted"
)

// A mover is a Move that is ready to be asked.
type mover struct {
	Move

	series selector.Selector
	client *httpx.Client // for the request; nil without one
	within time.Duration
}

// Defaults of within, and how often a counter is read after a request.
const (
	defaultWithin = 10 * time.Minute
	defaultAfter  = 2 * time.Second
	readsAfter    = 8
	maxMoves      = 20
)

// judgeMoves notes the check moves: for each replica what rises by itself, and for all together what requests make rise.
func (p *Probe) judgeMoves(ctx context.Context, r *probe.Result, found []string, scrapes []*scrape) {
	if !slices.ContainsFunc(scrapes, func(s *scrape) bool { return s != nil }) {
		return // the check scrape says why
	}
	var together []probe.Outcome
	p.each(r, found, func(i int, r *probe.Result) {
		if scrapes[i] == nil {
			return
		}
		outcomes := p.judgeHistory(r, found[i], scrapes[i])
		if p.Replicas.None() {
			together = outcomes
			return
		}
		noteWorst(r, "moves", outcomes)
	})
	for _, name := range sorted.Keys(p.movers) {
		if p.movers[name].client != nil {
			var o probe.Outcome
			o, scrapes = p.judgeRequest(ctx, r, name, found, scrapes)
			together = append(together, o)
		}
	}
	noteWorst(r, "moves", together)
}

// noteWorst notes outcomes as one check, with what did not pass, or else all of it.
func noteWorst(r *probe.Result, check string, outcomes []probe.Outcome) {
	if len(outcomes) == 0 {
		return
	}
	verdict := probe.Pass
	for _, o := range outcomes {
		verdict = probe.Worse(verdict, o.Reason.Verdict)
	}
	var f flaws
	for _, o := range outcomes {
		if o.Reason.Verdict == verdict {
			f.add(o.Reason, "%s", o.Detail)
		}
	}
	if verdict == probe.Pass {
		r.Pass(check, "%s", f.text())
		return
	}
	f.note(r, check, "")
}

// absent is the outcome for a counter that is not there, or is not a number.
func absent(m *mover, t total) (probe.Outcome, bool) {
	switch {
	case t.n == 0:
		return probe.Outcomef(reasonSeries, "expected %s to rise, got no series", m.series), true
	case math.IsNaN(t.sum) || math.IsInf(t.sum, 0):
		return probe.Outcomef(reasonNaN, "expected %s to rise, got %s", m.series, number(t.sum)), true
	}
	return probe.Outcome{}, false
}

// judgeRequest sends the request of a move and reads the metrics until the counter has risen, or ought to have. It returns
// the last scrapes too.
func (p *Probe) judgeRequest(ctx context.Context, r *probe.Result, name string, found []string, before []*scrape) (probe.Outcome, []*scrape) {
	m := p.movers[name]
	if o, ok := absent(m, totalOf(before, m.series)); ok {
		if o.Reason == reasonSeries {
			o.Detail += ": its first event would go unseen, since increase() needs a series that begins at 0"
		}
		return unproven(o, before), before
	}
	if o := m.send(ctx, r); o.Reason != probe.OK {
		return o, before
	}
	deadline := time.Now().Add(m.within)
	for {
		after := p.readAgain(ctx, r, found, before)
		o := compare(m, before, after)
		if o.Reason != reasonStuck || !time.Now().Before(deadline) || ctx.Err() != nil {
			r.Measure(movesGauge, totalOf(after, m.series).sum, "", name)
			return unproven(o, after), after
		}
		pause(ctx, m.within/readsAfter)
	}
}

// unproven makes inconclusive what a replica that could not be read might explain.
func unproven(o probe.Outcome, scrapes []*scrape) probe.Outcome {
	if (o.Reason == reasonStuck || o.Reason == reasonSeries) && slices.Contains(scrapes, nil) {
		return probe.Outcomef(probe.ControlFailed, "%s; but not every replica could be read", o.Detail)
	}
	return o
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// readAgain reads the metrics of every replica that was read before.
func (p *Probe) readAgain(ctx context.Context, r *probe.Result, found []string, before []*scrape) []*scrape {
	after := make([]*scrape, len(before))
	p.each(r, found, func(i int, r *probe.Result) {
		if before[i] != nil {
			after[i], _ = p.read(ctx, r, "moves", found[i])
		}
	})
	return after
}

func totalOf(scrapes []*scrape, of selector.Selector) total {
	var all total
	for _, s := range scrapes {
		if s == nil {
			continue
		}
		t := s.total(of)
		all.sum, all.n = all.sum+t.sum, all.n+t.n
	}
	return all
}

// compare says whether a counter rose, at all replicas together.
func compare(m *mover, before, after []*scrape) probe.Outcome {
	from, to := 0.0, 0.0
	for i := range before {
		if before[i] == nil || after[i] == nil {
			continue
		}
		order := compareStarts(before[i].started, after[i].started)
		if order == newer || order == older {
			return probe.Outcomef(probe.Settling, "the process restarted meanwhile, or another one answered")
		}
		a, b := before[i].total(m.series), after[i].total(m.series)
		if b.sum < a.sum && order == unknown {
			return fellUnexplained(m, a.sum, b.sum)
		}
		if b.sum < a.sum {
			return probe.Outcomef(reasonFell, "expected %s to rise, got %s after %s in a process that did not restart", m.series, number(b.sum), number(a.sum))
		}
		from, to = from+a.sum, to+b.sum
	}
	if o, bad := absent(m, total{sum: to, n: 1}); bad {
		return o
	}
	if to > from && to >= from+1 { // a large number plus one is the same number
		return probe.Outcomef(probe.OK, "%s rose from %s to %s with the request", m.series, number(from), number(to))
	}
	return probe.Outcomef(reasonStuck, "expected %s to rise by 1 at least with the request, within %s, got %s after %s", m.series, probe.Duration(m.within), number(to), number(from))
}

// send sends the request, which must be answered as expected: otherwise the service may not have counted it.
func (m *mover) send(ctx context.Context, r *probe.Result) probe.Outcome {
	q := m.Request
	body, err := q.Body.Reveal()
	if err != nil {
		return probe.Outcomef(probe.Credential, "the request: body: %s", err)
	}
	answer := m.client.Do(ctx, r, httpx.Request{Check: "moves", Method: q.Method, URL: q.URL, Addr: q.Address, Body: []byte(body), Want: q.Status})
	c := answer.Classify(httpx.ClassifyOptions{Want: q.Status, AnyDate: true, Credential: q.Authenticates()})
	if c.Class != httpx.ClassExpected {
		return probe.Outcomef(probe.ControlFailed, "the request that must be counted did not succeed: %s", c.Detail)
	}
	return probe.Outcome{Reason: probe.OK, Detail: fmt.Sprintf("got %d", answer.Status)}
}
