package isolation

import (
	"net/http"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/sorted"
)

// testUnauthorized sends every operation that puts no canary at risk without a credential, with a made-up one, and with
// those that the settings call unauthorized.
func (r *run) testUnauthorized(rr *resourceRun) bool {
	var all []func()
	for _, op := range operations {
		if rr.assertion(checkAuthenticated, op) == nil || risksCanary(op) {
			continue
		}
		for _, t := range r.p.tenants {
			for _, req := range r.unauthorizedRequests(rr, op, t) {
				all = append(all, func() { r.sendUnauthorized(req, t) })
			}
		}
	}
	r.parallel(len(all), func(i int) { all[i]() })
	for _, op := range operations {
		if !risksCanary(op) {
			r.complete(rr.assertion(checkAuthenticated, op), r.unauthorizedSummary())
		}
	}
	r.tested(rowUnauthorized)
	return true
}

// testUnauthorizedWrites changes and deletes every canary as every unauthorized caller. It must be unchanged afterwards,
// whatever the callers were told.
func (r *run) testUnauthorizedWrites(rr *resourceRun) bool {
	for _, op := range []string{"update", "delete"} {
		a := rr.assertion(checkAuthenticated, op)
		if a == nil {
			continue
		}
		for _, t := range r.p.tenants {
			shown := !rr.tampered[t] && r.ownerSees(a, rr.seeded[t], r.p.VisibilityDelay.D())
			var suspect request // the last one, unless another was accepted
			var answer *httpx.Answer
			for _, req := range r.unauthorizedRequests(rr, op, t) {
				got := r.sendUnauthorized(req, t)
				if answer == nil || !httpx.Success.Contains(answer.Status) {
					suspect, answer = req, got
				}
			}
			r.expectUnchanged(suspect, answer, rr.seeded[t], shown, probe.AuthBypass)
		}
		r.complete(a, r.unauthorizedSummary()+", and nothing happened")
	}
	return true
}

// writes reports whether an operation stores the text that is sent.
func writes(op string) bool { return op == "create" || op == "update" }

// risksCanary reports whether an operation that is not denied changes or deletes a canary.
func risksCanary(op string) bool { return op == "update" || op == "delete" }

// unauthorizedRequests are the requests of an operation on the object of an org, by every unauthorized caller.
func (r *run) unauthorizedRequests(rr *resourceRun, op string, t *tenant) []request {
	var all []request
	tmpl, obj := rr.template(op), rr.seeded[t]
	for i := range r.p.unauthorized {
		v := vars{org: t.id, id: obj.id, canary: obj.text, page: "1"}
		if writes(op) {
			v.canary = r.mintBy(nil)
		}
		if op == "create" {
			v.id = rr.chosenID(t, v.canary)
		}
		caller := &r.p.unauthorized[i]
		all = append(all, request{
			assertion: rr.assertion(checkAuthenticated, op), unauthorized: caller, template: tmpl, vars: v,
			want: caller.refusedBy(tmpl).Statuses(), outlastsStop: op == "create",
		})
	}
	return all
}

// sendUnauthorized sends a request of an unauthorized caller to an org and records a violation unless it is rejected.
// What it creates is deleted with the org's own objects; if the response does not tell, it is searched for.
func (r *run) sendUnauthorized(req request, t *tenant) *httpx.Answer {
	if req.template.contains("{canary}") && writes(req.op()) {
		r.protectAttempt(req, t)
	}
	answer := r.send(r.ctx, req)
	rr, refused := req.assertion.resource, req.unauthorized.refusedBy(req.template)
	if req.op() == "create" {
		obj := seededObject{resourceRun: rr, resource: rr.name, owner: t, id: rr.idOfCreated(req, answer), text: req.vars.canary, created: true, createdAt: time.Now()}
		r.mu.Lock()
		switch succeeded := httpx.Success.Contains(answer.Status); {
		case succeeded && obj.canBeNamed():
			r.created = append(r.created, obj)
		case answer.Started.IsZero(): // not sent
		case succeeded || answer.Status == 0 || answer.Status >= 500:
			r.unacknowledged = append(r.unacknowledged, obj)
		}
		r.mu.Unlock()
	}
	// A 401 rejects the caller, whichever statuses are configured.
	if answer.Status != http.StatusUnauthorized || answer.Reason != probe.OK {
		r.expectDenied(req, answer, refused, ruleAuthBypass, probe.AuthBypass)
	}
	return answer
}

// unauthorizedSummary says by which credentials nothing was accepted.
func (r *run) unauthorizedSummary() string {
	if names := sorted.Keys(r.p.UnauthorizedCredentials); len(names) > 0 {
		return "rejected without a credential, with a made-up one, and with the unauthorized credentials " + strings.Join(names, ", ")
	}
	return "rejected without a credential and with a made-up one"
}
