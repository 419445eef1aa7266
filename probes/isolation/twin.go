package isolation

import (
	"math/rand/v2"
	"slices"
	"time"

	"prober/internal/canary"
	"prober/internal/probe"
)

// That an owner no longer sees its canary is no evidence against another org: a store that fails, lags, or was restored
// shows nobody anything. So every org has a second canary, its twin, which the owner treats like the first and no other
// org requests. Only if the twin is still shown, and the canary is not, has somebody changed or deleted it.

// seedTwin gives an org a twin of its canary. Without one, nothing is concluded from absence.
func (r *run) seedTwin(rr *resourceRun, t *tenant, control *assertion) {
	if twin, ok := r.seedObject(rr, t, control, mutation{}, nil); ok {
		rr.twins[t] = twin
		r.protect(twin)
	}
}

// testTwins waits until the owners see their twins.
func (r *run) testTwins(rr *resourceRun) bool {
	for _, t := range r.p.tenants {
		if twin, ok := rr.twins[t]; ok {
			r.ownerSees(rr.assertion(checkControl, rr.visibilityOp()), twin, r.p.VisibilityDelay.D())
		}
	}
	return true
}

// A sight is one org's view of one object.
type sight struct {
	object seededObject
	tenant *tenant
}

// How often each object is requested before it counts as gone, and how long the pauses are.
const (
	goneLooks = 6
	gonePause = 15 * time.Millisecond
)

// gone reports whether objects are not shown while the twins of those who should see them are. The requests are in random
// order, so that a service with several instances of which one shows nothing does not happen to hide just these.
func (r *run) gone(a *assertion, missing ...sight) bool {
	rr := missing[0].object.resourceRun
	looks := slices.Repeat(missing, goneLooks)
	for _, m := range missing {
		twin, ok := rr.twins[m.tenant]
		if !ok {
			return false
		}
		looks = append(looks, slices.Repeat([]sight{{twin, m.tenant}}, goneLooks)...)
	}
	rand.Shuffle(len(looks), func(i, j int) { looks[i], looks[j] = looks[j], looks[i] })
	for _, look := range looks {
		expected := look.object.text == rr.twins[look.tenant].text
		seen := r.look(a, look)
		if seen == visibilityUnknown || (seen == visible) != expected || !r.sleep(gonePause) {
			return false
		}
	}
	return true
}

// look requests an object as an org.
func (r *run) look(a *assertion, s sight) visibility {
	if s.tenant == s.object.owner {
		return r.fetchAsOwner(a, s.object).visibility
	}
	seen, _ := r.fetchAs(a, s.object, s.tenant)
	return seen
}

// listsTwinOnly looks at what an org lists. It reports whether that contains the canary beside its twin, or only the twin.
func (r *run) listsTwinOnly(a *assertion, rr *resourceRun, t *tenant) (both, twinOnly bool) {
	found := r.listCanaries(r.ctx, a, rr, t)
	lists := func(obj seededObject) bool {
		return slices.ContainsFunc(found, func(other seededObject) bool { return other.same(obj) })
	}
	twin := lists(rr.twins[t])
	return twin && lists(rr.seeded[t]), twin && !lists(rr.seeded[t])
}

// noteListed notes which owners list their canary and its twin.
func (r *run) noteListed(rr *resourceRun) {
	clear(rr.listed)
	for _, t := range r.p.tenants {
		if _, ok := rr.twins[t]; ok && rr.inventoryOp() != "" && !rr.tampered[t] {
			rr.listed[t], _ = r.listsTwinOnly(rr.assertion(checkIsolated, rr.inventoryOp()), rr, t)
		}
	}
}

// expectListedStill records a violation if an owner that listed its canary and the twin now lists only the twin: the
// canary was moved to where its owner may still read it, such as a trash.
func (r *run) expectListedStill(rr *resourceRun, a *assertion, why probe.Reason) {
	for _, t := range r.p.tenants {
		if !rr.listed[t] || rr.tampered[t] || a == nil {
			continue
		}
		hidden := 0
		for hidden < goneLooks {
			if _, twinOnly := r.listsTwinOnly(rr.assertion(checkIsolated, rr.inventoryOp()), rr, t); !twinOnly || !r.sleep(gonePause) {
				break
			}
			hidden++
		}
		if hidden == goneLooks {
			rr.tampered[t] = true
			r.violated(a, nil, ruleChanged, why, "the canary of %s (%s) was deleted: after %s by others, %s still shows %s another canary and not this one",
				t.name, canary.Hash(rr.seeded[t].text), rr.Delete.describe(), rr.template(rr.inventoryOp()).describe(), t.name)
		}
	}
}
