package isolation

import (
	"context"
	"strconv"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/text"
)

// maxCursorLength bounds the cursor that a target may give.
const maxCursorLength = 4 << 10

// testLists lists, searches and exports as every org. Each must be shown its own canary, since a list without it proves
// nothing. Every response is searched for the canaries of the others.
func (r *run) testLists(rr *resourceRun) bool {
	tested := false
	for _, op := range []string{"list", "search", "export"} {
		if rr.template(op) == nil {
			continue
		}
		tested = true
		a := rr.assertion(checkIsolated, op)
		r.expectAllListed(a, rr, op)
		if op == "search" {
			r.eachPair(func(owner, intruder *tenant) { r.searchForForeign(a, rr.seeded[owner], intruder) })
		}
		summary := "every org was shown its own canary and no other's"
		if op == "list" && rr.hasPages() {
			summary += r.testPaging(a, rr)
		}
		r.complete(a, summary)
		r.testTamperedLists(rr, op)
	}
	if rr.Count != nil {
		tested = true
		r.complete(rr.assertion(checkIsolated, "count"), "an org's count grew with its own canary and not with another's")
		r.testTamperedLists(rr, "count")
	}
	if tested {
		r.tested(rowLists)
	}
	return true
}

// expectAllListed records a violation unless every org is shown its own canary. An index may lag behind the store, and then
// another org's canary may have been missing where it will be shown: so if one was late, all are requested again.
func (r *run) expectAllListed(a *assertion, rr *resourceRun, op string) {
	late := false
	for _, t := range r.p.tenants {
		late = r.expectListed(a, rr.seeded[t], op) || late
	}
	if !late {
		return
	}
	for _, t := range r.p.tenants {
		r.expectListed(a, rr.seeded[t], op)
	}
}

// expectListed records a violation unless an org is shown its own canary before the visibility delay is over. It reports
// whether it had to wait.
func (r *run) expectListed(a *assertion, obj seededObject, op string) (late bool) {
	var seen observation
	looks := 0
	r.poll(time.Until(obj.createdAt.Add(r.p.VisibilityDelay.D())), func() bool {
		looks++
		seen = r.listAsOwner(a, obj, op)
		return seen.visibility != absent
	})
	switch seen.visibility {
	case visible:
	case visibilityUnknown:
		r.inconclusive(a, seen.answer, seen.Reason, "%s: %s", obj.owner.name, seen.Detail)
	default:
		r.inconclusive(a, seen.answer, probe.NothingChecked, "%s is not shown even its own canary: %s", obj.owner.name, seen.Detail)
	}
	return looks > 1
}

// listAsOwner looks for a canary on all pages of what an operation shows its owner.
func (r *run) listAsOwner(a *assertion, obj seededObject, op string) observation {
	a = obj.resourceRun.listAssertion(a, op)
	found, denies := false, false
	echoes := op == "search" && r.echoesQuery(a, obj.resourceRun, obj.owner)
	o, last := r.eachPage(r.ctx, a, obj.resourceRun, obj.owner, op, obj.text, func(answer *httpx.Answer) {
		here := r.lists(obj, op, answer, echoes)
		found, denies = found || here, denies || here && obj.resourceRun.template(op).deniesOwner(answer)
	})
	switch {
	case !o.Passed():
		return observation{visibilityUnknown, o, last}
	case !found:
		return observation{absent, probe.Outcomef(probe.ControlFailed, "it is not in the response to %s", obj.resourceRun.template(op).describe()), last}
	case denies:
		return observation{visibilityUnknown, contradicted(request{template: obj.resourceRun.template(op)}, last), last}
	}
	r.succeededAsOwner(obj.resourceRun, op, obj.owner)
	return observation{visible, o, last}
}

// listAssertion is the assertion that a list and the like is sent for, whatever for: what it shows of other orgs is no
// fault of another operation. What belongs to no assertion of the plan stays there.
func (rr *resourceRun) listAssertion(a *assertion, op string) *assertion {
	if isolated := rr.assertion(checkIsolated, op); isolated != nil && rr.assertions[a.check+a.op] == a {
		return isolated
	}
	return a
}

// lists reports whether the response to a list or the like shows an object. It may contain ids alone. If a search echoes
// its query, only the id is evidence.
func (r *run) lists(obj seededObject, op string, answer *httpx.Answer, echoes bool) bool {
	hay := canary.NewHaystack(answer.Body)
	text := hay.Find(canary.NewNeedle(obj.text)) != "" && !echoes
	r.mu.Lock()
	defer r.mu.Unlock()
	if text {
		obj.resourceRun.showsText[op] = true
	}
	if text || obj.resourceRun.showsText[op] || obj.id == "" {
		return text
	}
	if distinctive(obj.id) {
		return hay.Find(idNeedle(obj.id)) != ""
	}
	return obj.resourceRun.listsID(obj, answer)
}

// findListed looks for an object in what an org is shown of a resource whose objects cannot be read one by one.
func (r *run) findListed(ctx context.Context, a *assertion, obj seededObject, t *tenant) (found bool, o probe.Outcome, last *httpx.Answer) {
	op := obj.resourceRun.visibilityOp()
	a = obj.resourceRun.listAssertion(a, op)
	echoes := op == "search" && r.echoesQuery(a, obj.resourceRun, t)
	o, last = r.eachPage(ctx, a, obj.resourceRun, t, op, obj.text, func(answer *httpx.Answer) {
		found = found || r.lists(obj, op, answer, echoes)
	})
	return found, o, last
}

// eachPage requests page by page and calls see for each. Its outcome says why not all pages could be read, if so. It
// also returns the last response.
func (r *run) eachPage(ctx context.Context, a *assertion, rr *resourceRun, t *tenant, op, query string, see func(*httpx.Answer)) (probe.Outcome, *httpx.Answer) {
	tmpl := rr.template(op)
	req := request{assertion: a, tenant: t, template: tmpl, vars: vars{org: t.id, canary: query, page: "1"}, want: tmpl.Status}
	for page := 1; ; page++ {
		answer := r.send(ctx, req)
		o := expectSuccess(req, answer, tmpl.Status)
		if !o.Passed() {
			return o, answer
		}
		see(answer)
		more, problem := rr.nextPage(op, &req.vars, page, answer)
		if op == "list" {
			r.sawPage(rr, t, page, req.vars, more, answer)
		}
		switch {
		case problem != "":
			return probe.Outcomef(probe.ControlFailed, "%s: %s", req.describe(), problem), answer
		case !more:
			return o, answer
		case page == rr.MaxPages:
			return probe.Outcomef(probe.TooLarge, "%s has more than %s (max_pages), and the others are not known", tmpl.describe(), text.Count(rr.MaxPages, "page")), answer
		}
	}
}

// nextPage sets the variables to the next page. It reports whether there may be one, and what is wrong with the page if
// that is not known.
func (rr *resourceRun) nextPage(op string, v *vars, page int, answer *httpx.Answer) (more bool, problem string) {
	if op != "list" {
		return false, ""
	}
	byPage := rr.List.contains("{page}")
	if !byPage && !rr.List.contains("{cursor}") {
		return false, ""
	}
	doc, err := answer.JSON()
	if err != nil {
		return false, "the page is not JSON, so the next one is not known"
	}
	if byPage {
		v.page = strconv.Itoa(page + 1)
		return len(rr.Items.Find(doc)) > 0, ""
	}
	next := singleText(rr.Next, doc)
	switch {
	case next == "" || next == "null":
		return false, ""
	case len(next) > maxCursorLength:
		return false, "the next cursor is longer than " + text.Count(maxCursorLength, "byte")
	case next == v.cursor:
		return false, "the next page is the same one again"
	}
	v.cursor = next
	return true, ""
}

// echoesQuery reports whether a search echoes its query, by searching for a text that does not exist. If there is no
// usable response it is taken to do so.
func (r *run) echoesQuery(a *assertion, rr *resourceRun, t *tenant) bool {
	r.mu.Lock()
	echoes, known := rr.echoes[t]
	r.mu.Unlock()
	if known {
		return echoes
	}
	nonexistent := canary.Mint(r.p.Replica, time.Now())
	req := request{assertion: a, tenant: t, template: rr.Search, vars: vars{org: t.id, canary: nonexistent, page: "1"}, want: rr.Search.Status}
	answer := r.send(r.ctx, req)
	if o := expectFound(req, answer); !o.Passed() {
		r.inconclusive(a, answer, o.Reason, "%s: %s", t.name, o.Detail)
		return true
	}
	echoes = partsOf(answer).contain(canary.NewNeedle(nonexistent))
	r.mu.Lock()
	defer r.mu.Unlock()
	rr.echoes[t] = echoes
	return echoes
}

// expectFound is expectSuccess for a search, which may have 404 mean that it found nothing.
func expectFound(req request, answer *httpx.Answer) probe.Outcome {
	if httpx.Success.Contains(answer.Status) && usable(answer).Passed() && req.template.Denied.Match(answer) {
		return probe.Outcome{Reason: probe.OK}
	}
	return expectSuccess(req, answer, union(req.template.Status, httpx.Codes(404)))
}

// searchForForeign searches as an intruder for another org's canary.
func (r *run) searchForForeign(a *assertion, obj seededObject, intruder *tenant) {
	echoes := r.echoesQuery(a, obj.resourceRun, intruder)
	if echoes && !distinctive(obj.id) && r.learnPlaces(obj.resourceRun, "search", nil) == nil {
		r.inconclusive(a, nil, probe.ControlFailed, "the search echoes its query and the ids are too short: what it finds cannot be distinguished from the query")
	}
	search := obj.resourceRun.Search
	req := request{
		assertion: a, tenant: intruder, template: search, vars: vars{org: intruder.id, canary: obj.text, page: "1"},
		want: search.Status, echoesNothing: !echoes,
	}
	answer := r.send(r.ctx, req)
	if o := expectFound(req, answer); !o.Passed() {
		r.inconclusive(a, answer, o.Reason, "%s: %s", intruder.name, o.Detail)
	}
}

// testTamperedLists lists with the org missing or forged. That must be rejected, and nothing of another org shown.
func (r *run) testTamperedLists(rr *resourceRun, op string) {
	a := rr.assertion(checkContext, op)
	if a == nil {
		return
	}
	var all []func()
	r.eachPair(func(owner, intruder *tenant) {
		for _, m := range r.p.tamperingsFor(rr.template(op), op, owner.id, intruder.id) {
			all = append(all, func() {
				v := vars{org: intruder.id, canary: rr.seeded[intruder].text, page: "1"}
				req := request{assertion: a, tenant: intruder, template: rr.template(op), vars: v, mutation: m, want: rr.template(op).wrongOrg().Statuses()}
				r.expectRejected(req, r.send(r.ctx, req))
			})
		}
	})
	r.parallel(len(all), func(i int) { all[i]() })
	r.complete(a, "every missing or forged org was rejected")
	r.tested(rowForgedOrg, rowMalformedOrg)
}
