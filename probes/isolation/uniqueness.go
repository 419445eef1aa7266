package isolation

import (
	"net/http"
	"strconv"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// takenRounds is how often a value must be refused, and a new one accepted, for the difference to be no accident.
const takenRounds = 4

// testUniqueness has every org create an object with a text that another org's object has, and its own never had. Whoever is
// told that it is taken knows what the other org has.
func (r *run) testUniqueness(rr *resourceRun) bool {
	a := rr.assertion(checkOracle, "create")
	if a == nil {
		return true
	}
	text := canary.Mint(r.p.Replica, time.Now()) // that tells no writer: both orgs send it
	r.learn(rr, r.p.tenants[0], text)
	held, ok := r.createObject(rr, r.p.tenants[0], a, text, mutation{}, nil)
	if !ok || !r.ownerSees(a, held, r.p.VisibilityDelay.D()) {
		return true
	}
	for _, t := range r.p.tenants[1:] {
		if !r.expectNotTaken(rr, a, held, t) {
			return true // recorded
		}
	}
	r.complete(a, "what another org's object contains is accepted like anything new")
	return true
}

// expectNotTaken records a violation unless an org may create an object with the text of another's. It reports whether that is
// known.
func (r *run) expectNotTaken(rr *resourceRun, a *assertion, held seededObject, t *tenant) bool {
	var refused *httpx.Answer
	accepts := func(req request, answer *httpx.Answer) bool {
		accepted := expectSuccess(req, answer, rr.Create.Status).Passed()
		if !accepted {
			refused = answer
		}
		return accepted
	}
	for range takenRounds {
		refused = nil
		if _, ok := r.createObject(rr, t, a, held.text, mutation{}, accepts); ok {
			return true
		}
		if refused == nil || refused.Status == http.StatusTooManyRequests {
			return false // recorded
		}
		if refused.Reason != probe.OK {
			r.inconclusive(a, refused, probe.ControlFailed, "%s could not create an object with a text that another org's has: whether it is accepted is not known", t.name)
			return false
		}
		if _, ok := r.seedObject(rr, t, a, mutation{}, nil); !ok {
			return false // recorded: nothing new is accepted either
		}
	}
	got := strconv.Itoa(refused.Status)
	if httpx.Success.Contains(refused.Status) {
		got += " with a body that denies"
	}
	r.violated(a, refused, ruleOracle, existenceOracle, "%s is told that another org has a value: got %s, and a success for a new one: %s", t.name, got, rr.Create.describe())
	return true
}
