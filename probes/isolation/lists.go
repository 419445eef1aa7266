package isolation

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/text"
)

// maxCursorLength bounds what a target may say the next cursor is.
const maxCursorLength = 4 << 10

// testLists has every org list, search and export (row 5). Each must be shown its own canary, or what it was not shown
// proves nothing; that it is shown no other is looked for in every answer.
func (r *run) testLists(rr *resourceRun) bool {
	asked := false
	for _, op := range []string{"list", "search", "export"} {
		tmpl := rr.template(op)
		if tmpl == nil {
			continue
		}
		asked = true
		a := rr.assertion(checkIsolated, op)
		for _, org := range r.p.tenants {
			r.expectListed(a, rr.seeded[org], op)
		}
		if op == "search" {
			r.eachPair(func(owner, intruder *tenant) { r.searchForForeign(a, rr.seeded[owner], intruder) })
		}
		r.complete(a, "every org was shown its own canary and no other's")
		r.testTamperedLists(rr, op)
	}
	if rr.Count != nil {
		asked = true
		r.complete(rr.assertion(checkIsolated, "count"), "an org's count grew with its own canary and not with another's")
		r.testTamperedLists(rr, "count")
	}
	if asked {
		r.tested(5)
	}
	return true
}

// expectListed notes against the claim where an org is not shown its own canary.
func (r *run) expectListed(a *assertion, obj seededObject, op string) {
	seen := r.listAsOwner(a, obj, op)
	switch seen.visibility {
	case visible:
	case visibilityUnknown:
		r.violated(a, seen.answer, ruleInconclusive, seen.why, "%s: %s", obj.owner.name, seen.detail)
	default:
		r.violated(a, seen.answer, ruleInconclusive, probe.NothingChecked, "%s is not shown even its own canary: %s", obj.owner.name, seen.detail)
	}
}

// listAsOwner looks for a canary in what its owner is shown by an operation, to the last page.
func (r *run) listAsOwner(a *assertion, obj seededObject, op string) observation {
	found, id := false, canary.NewWord(obj.id)
	repeats := op == "search" && r.echoesQuery(a, obj.run, obj.owner)
	why, detail, last := r.eachPage(r.ctx, a, obj.run, obj.owner, op, obj.text, func(req request, answer *httpx.Answer) {
		hay := canary.NewHaystack(answer.Body)
		// A list may hold ids alone. Where a search repeats what was searched for, only the id tells.
		found = found || hay.Find(obj.needles[0]) != "" && !repeats || distinctive(obj.id) && hay.Find(id) != ""
	})
	switch {
	case why.Word != "":
		return observation{visibilityUnknown, why, detail, last}
	case !found:
		return observation{absent, probe.ControlFailed, "it is not in what " + obj.run.template(op).describe() + " shows", last}
	}
	return observation{visible, probe.Reason{}, "", last}
}

// eachPage asks page by page and shows each to see. It returns why not all pages could be read, if so, and the last answer.
func (r *run) eachPage(ctx context.Context, a *assertion, rr *resourceRun, t *tenant, op, wanted string, see func(request, *httpx.Answer)) (why probe.Reason, detail string, last *httpx.Answer) {
	req := request{assertion: a, tenant: t, template: rr.template(op), vars: vars{org: t.id, canary: wanted, page: "1"}, want: rr.template(op).Status}
	for page := 1; ; page++ {
		answer := r.send(ctx, req)
		if why, detail, ok := r.unsuccessful(req, answer, req.template.Status); ok {
			return why, detail, answer
		}
		see(req, answer)
		if more := rr.nextPage(op, &req.vars, page, answer); more == "" {
			return probe.Reason{}, "", answer
		} else if more != "next" {
			return probe.ControlFailed, req.describe() + ": " + more, answer
		}
		if page == rr.MaxPages {
			return probe.TooLarge, fmt.Sprintf("%s has more than %s, and what is on the others is not known", req.template.describe(), text.Count(rr.MaxPages, "page")), answer
		}
	}
}

// nextPage sets the variables to the next page. It returns "next" if there may be one, nothing after the last, and
// otherwise what is wrong.
func (rr *resourceRun) nextPage(op string, v *vars, page int, answer *httpx.Answer) string {
	if op != "list" || !rr.List.contains("{page}") && !rr.List.contains("{cursor}") {
		return ""
	}
	doc, err := answer.JSON()
	if err != nil {
		return "the page is not JSON, so the next one is not known"
	}
	if rr.List.contains("{page}") {
		if len(rr.Items.Find(doc)) == 0 {
			return ""
		}
		v.page = strconv.Itoa(page + 1)
		return "next"
	}
	next := singleText(rr.Next, doc)
	switch {
	case next == "" || next == "null":
		return ""
	case len(next) > maxCursorLength:
		return "the next cursor is longer than any should be"
	case next == v.cursor:
		return "the next page is the same one again"
	}
	v.cursor = next
	return "next"
}

// echoesQuery reports whether a search repeats what was searched for, by searching for a text that stands nowhere. An
// answer that cannot be had may do anything.
func (r *run) echoesQuery(a *assertion, rr *resourceRun, t *tenant) bool {
	if known, ok := rr.echoes[t]; ok {
		return known
	}
	nowhere := canary.Mint(r.p.Replica, time.Now())
	req := request{assertion: a, tenant: t, template: rr.Search, vars: vars{org: t.id, canary: nowhere, page: "1"}, want: rr.Search.Status}
	answer := r.send(r.ctx, req)
	if why, detail, ok := r.unsuccessful(req, answer, union(req.template.Status, httpx.Codes(404))); ok { // 404: nothing was found
		r.violated(a, answer, ruleInconclusive, why, "%s: %s", t.name, detail)
		return true
	}
	mark := canary.NewNeedle(nowhere)
	rr.echoes[t] = canary.NewHaystack(answer.Body).Find(mark) != "" || canary.NewHaystack(headText(answer)).Find(mark) != ""
	return rr.echoes[t]
}

// searchForForeign has an intruder search for another's canary.
func (r *run) searchForForeign(a *assertion, obj seededObject, intruder *tenant) {
	repeats := r.echoesQuery(a, obj.run, intruder)
	if repeats && !distinctive(obj.id) {
		r.violatedNoEvidence(a, ruleInconclusive, probe.ControlFailed, "the search repeats what was searched for and ids are too short to tell: what it finds cannot be told from the question")
	}
	v := vars{org: intruder.id, canary: obj.text, page: "1"}
	req := request{assertion: a, tenant: intruder, template: obj.run.Search, vars: v, want: obj.run.Search.Status, echoesNothing: !repeats}
	answer := r.send(r.ctx, req)
	if why, detail, ok := r.unsuccessful(req, answer, union(req.template.Status, httpx.Codes(404))); ok {
		r.violated(a, answer, ruleInconclusive, why, "%s: %s", intruder.name, detail)
	}
}

// testTamperedLists lists with the org missing or forged: refused, and nothing of another shown.
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
				req := request{assertion: a, tenant: intruder, template: rr.template(op), vars: v, mutation: m, want: r.p.Rejected}
				r.expectRejected(req, r.send(r.ctx, req))
			})
		}
	})
	r.parallel(len(all), func(i int) { all[i]() })
	r.complete(a, "no way to leave out or forge the org was let in")
	r.tested(9, 10)
}
