package isolation

import (
	"fmt"

	"prober/internal/canary"
	"prober/internal/probe"
)

// testInterleaving has the orgs take turns at reading their own canaries over shared connections, and cancels some of the
// requests in the middle of the response. Each response must contain the caller's own canary and no other.
func (r *run) testInterleaving(rr *resourceRun) bool {
	a := rr.assertion(checkInterleave, "interleave")
	if a == nil {
		return true
	}
	op := rr.visibilityOp()
	if v, ok := rr.assertion(checkIsolated, op).decisive(); ok && op != "read" && v.rule == ruleLeak {
		r.inconclusive(a, nil, probe.ControlFailed, "%s shows other orgs' objects in any case: whether responses are mixed up is not known", rr.template(op).describe())
		return true
	}
	n, own := r.p.Interleave.Requests, make([]bool, r.p.Interleave.Requests)
	r.parallel(n, func(i int) {
		t := r.p.tenants[(i/r.p.Concurrency+i)%len(r.p.tenants)]
		obj := rr.seeded[t]
		req := request{assertion: a, tenant: t, template: rr.template(op), vars: vars{org: t.id, id: obj.id, canary: obj.text, page: "1"}, want: rr.template(op).Status}
		if r.p.cancelled(i) {
			req.abandonAfter = 1
		}
		answer := r.send(r.ctx, req)
		if req.abandonAfter > 0 && (answer.Reason == probe.Cancelled && answer.Status != 0 || answer.Reason == probe.OK) {
			return
		}
		if o := expectSuccess(req, answer, req.template.Status); !o.Passed() {
			r.inconclusive(a, answer, o.Reason, "%s cannot be shown its own canary: %s", t.name, o.Detail)
			return
		}
		own[i] = canary.NewHaystack(answer.Body).Find(obj.needles[0]) != ""
		switch {
		case own[i] || op != "read":
		case containsOtherID(decodeJSON(answer.Body), rr.idField(), obj.id) && r.fetchAsOwner(a, obj).visibility == visible:
			// Without an object, or again and again, it would be a store that shows nothing.
			r.violated(a, answer, ruleCrossTalk, crossTalk, "%s requested its own canary and got something else: %s", t.name, req.describe())
		default:
			r.inconclusive(a, answer, probe.ControlFailed, "%s requested its own canary and got %d without it: %s", t.name, answer.Status, req.describe())
		}
	})
	clean := 0
	for _, ok := range own {
		if ok {
			clean++
		}
	}
	r.mu.Lock()
	r.ownResponses += clean
	r.mu.Unlock()
	if clean > 0 {
		r.complete(a, fmt.Sprintf("0 of %d responses on shared connections were another org's, so at most %.1f %% are, with 95 %% confidence", clean, 300/float64(clean)))
	} else {
		r.inconclusive(a, nil, probe.NothingChecked, "no response contained the caller's own canary")
	}
	r.tested(rowInterleaved)
	return true
}

// cancelled reports whether the i-th of the interleaved requests is cancelled. These are spread evenly over the first
// three quarters, so that later requests meet whatever a cancelled one leaves on its connection.
func (p *Probe) cancelled(i int) bool {
	all := p.Interleave.Requests * p.Interleave.CancelPercent / 100
	first := max(p.Interleave.Requests*3/4, all)
	return i < first && (i+1)*all/first > i*all/first
}
