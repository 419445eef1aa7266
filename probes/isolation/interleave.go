package isolation

import (
	"fmt"

	"prober/internal/canary"
	"prober/internal/probe"
)

// interleave has the orgs take turns at reading their own over shared connections, some hanging up in the middle of
// the answer (row 12). Each answer must hold the caller's own canary and no other.
func (x *exam) interleave(s *subject) bool {
	cl := s.claim(checkInterleave, "interleave")
	if cl == nil {
		return true
	}
	op := s.seeing()
	n, own := x.p.Interleave.Requests, make([]bool, x.p.Interleave.Requests)
	x.fan(n, func(i int) {
		t := x.p.tenants[(i/x.p.Concurrency+i)%len(x.p.tenants)]
		c := s.planted[t]
		a := asking{claim: cl, by: t, t: s.template(op), v: vars{org: t.id, id: c.id, canary: c.text, page: "1"}, want: s.template(op).Status}
		if x.p.cancels(i) {
			a.abandon = 1
		}
		answer := x.ask(x.ctx, a)
		if a.abandon > 0 && (answer.Reason == probe.Cancelled && answer.Status != 0 || answer.Reason == probe.OK) {
			return
		}
		if why, detail, ok := x.failed(a, answer, a.t.Status); ok {
			x.blame(cl, answer, ruleUnproven, why, "%s cannot be shown its own: %s", t.name, detail)
			return
		}
		own[i] = canary.NewHaystack(answer.Body).Find(c.marks[0]) != ""
		if !own[i] && op == "read" {
			x.blame(cl, answer, ruleCrossed, crossTalk, "%s asked for its own and was answered something else: %s", t.name, a.spoken())
		}
	})
	clean := 0
	for _, ok := range own {
		if ok {
			clean++
		}
	}
	x.mu.Lock()
	x.answered += clean
	x.mu.Unlock()
	if clean > 0 {
		x.finish(cl, fmt.Sprintf("0 of %d answers on shared connections were another org's, so at most %.1f %% are, with 95 %% confidence", clean, 300/float64(clean)))
	} else {
		x.note(cl, ruleUnproven, probe.NothingChecked, "no answer held the caller's own canary")
	}
	x.row(12)
	return true
}

// cancels reports whether the i-th of the interleaved requests hangs up: evenly spread over the first three quarters, so
// that what a hang-up leaves behind falls to one of those that follow.
func (p *Probe) cancels(i int) bool {
	all := p.Interleave.Requests * p.Interleave.Cancel / 100
	first := max(p.Interleave.Requests*3/4, all)
	return i < first && (i+1)*all/first > i*all/first
}
