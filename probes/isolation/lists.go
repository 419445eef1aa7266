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

// longestCursor bounds what a target may say the next cursor is.
const longestCursor = 4 << 10

// lists has every org list, search and export (row 5). Each must be shown its own canary, or what it was not shown
// proves nothing; that it is shown no other is looked for in every answer.
func (x *exam) lists(s *subject) bool {
	asked := false
	for _, op := range []string{"list", "search", "export"} {
		t := s.template(op)
		if t == nil {
			continue
		}
		asked = true
		cl := s.claim(checkIsolated, op)
		for _, org := range x.p.tenants {
			x.listed(cl, s.planted[org], op)
		}
		if op == "search" {
			x.each(func(owner, intruder *tenant) { x.searches(cl, s.planted[owner], intruder) })
		}
		x.finish(cl, "every org was shown its own canary and no other's")
		x.listsInContext(s, op)
	}
	if s.Count != nil {
		asked = true
		x.finish(s.claim(checkIsolated, "count"), "an org's count grew with its own canary and not with another's")
		x.listsInContext(s, "count")
	}
	if asked {
		x.row(5)
	}
	return true
}

// listed notes against the claim where an org is not shown its own canary.
func (x *exam) listed(cl *claim, c planted, op string) {
	seen := x.viewListed(cl, c, op)
	switch seen.sight {
	case there:
	case unknownView:
		x.blame(cl, seen.answer, ruleUnproven, seen.why, "%s: %s", c.owner.name, seen.detail)
	default:
		x.blame(cl, seen.answer, ruleUnproven, probe.NothingChecked, "%s is not shown even its own canary: %s", c.owner.name, seen.detail)
	}
}

// viewListed looks for a canary in what its owner is shown by an operation, to the last page.
func (x *exam) viewListed(cl *claim, c planted, op string) seen {
	found, id := false, canary.NewWord(c.id)
	repeats := op == "search" && x.repeats(cl, c.subject, c.owner)
	why, detail, last := x.pages(x.ctx, cl, c.subject, c.owner, op, c.text, func(a asking, answer *httpx.Answer) {
		hay := canary.NewHaystack(answer.Body)
		// A list may hold ids alone. Where a search repeats what was searched for, only the id tells.
		found = found || hay.Find(c.marks[0]) != "" && !repeats || telling(c.id) && hay.Find(id) != ""
	})
	switch {
	case why.Word != "":
		return seen{unknownView, why, detail, last}
	case !found:
		return seen{elsewhere, probe.ControlFailed, "it is not in what " + c.subject.template(op).spoken() + " shows", last}
	}
	return seen{there, probe.Reason{}, "", last}
}

// pages asks page by page and shows each to see. It returns why not all pages could be read, if so, and the last answer.
func (x *exam) pages(ctx context.Context, cl *claim, s *subject, t *tenant, op, wanted string, see func(asking, *httpx.Answer)) (why probe.Reason, detail string, last *httpx.Answer) {
	a := asking{claim: cl, by: t, t: s.template(op), v: vars{org: t.id, canary: wanted, page: "1"}, want: s.template(op).Status}
	for page := 1; ; page++ {
		answer := x.ask(ctx, a)
		if why, detail, ok := x.failed(a, answer, a.t.Status); ok {
			return why, detail, answer
		}
		see(a, answer)
		if more := s.turn(op, &a.v, page, answer); more == "" {
			return probe.Reason{}, "", answer
		} else if more != "next" {
			return probe.ControlFailed, a.spoken() + ": " + more, answer
		}
		if page == s.Pages {
			return probe.TooLarge, fmt.Sprintf("%s has more than %s, and what is on the others is not known", a.t.spoken(), text.Count(s.Pages, "page")), answer
		}
	}
}

// turn sets the variables to the next page. It returns "next" if there may be one, nothing after the last, and
// otherwise what is wrong.
func (s *subject) turn(op string, v *vars, page int, answer *httpx.Answer) string {
	if op != "list" || !s.List.holds("{page}") && !s.List.holds("{cursor}") {
		return ""
	}
	doc, err := answer.JSON()
	if err != nil {
		return "the page is not JSON, so the next one is not known"
	}
	if s.List.holds("{page}") {
		if len(s.Items.Find(doc)) == 0 {
			return ""
		}
		v.page = strconv.Itoa(page + 1)
		return "next"
	}
	next := one(s.Next, doc)
	switch {
	case next == "" || next == "null":
		return ""
	case len(next) > longestCursor:
		return "the next cursor is longer than any should be"
	case next == v.cursor:
		return "the next page is the same one again"
	}
	v.cursor = next
	return "next"
}

// repeats reports whether a search repeats what was searched for, by searching for a text that stands nowhere. An
// answer that cannot be had may do anything.
func (x *exam) repeats(cl *claim, s *subject, t *tenant) bool {
	if known, ok := s.repeats[t]; ok {
		return known
	}
	nowhere := canary.Mint(x.p.Replica, time.Now())
	a := asking{claim: cl, by: t, t: s.Search, v: vars{org: t.id, canary: nowhere, page: "1"}, want: s.Search.Status}
	answer := x.ask(x.ctx, a)
	if why, detail, ok := x.failed(a, answer, union(a.t.Status, httpx.Codes(404))); ok { // 404: nothing was found
		x.blame(cl, answer, ruleUnproven, why, "%s: %s", t.name, detail)
		return true
	}
	mark := canary.NewNeedle(nowhere)
	s.repeats[t] = canary.NewHaystack(answer.Body).Find(mark) != "" || canary.NewHaystack(head(answer)).Find(mark) != ""
	return s.repeats[t]
}

// searches has an intruder search for another's canary.
func (x *exam) searches(cl *claim, c planted, intruder *tenant) {
	repeats := x.repeats(cl, c.subject, intruder)
	if repeats && !telling(c.id) {
		x.note(cl, ruleUnproven, probe.ControlFailed, "the search repeats what was searched for and ids are too short to tell: what it finds cannot be told from the question")
	}
	v := vars{org: intruder.id, canary: c.text, page: "1"}
	a := asking{claim: cl, by: intruder, t: c.subject.Search, v: v, want: c.subject.Search.Status, unechoed: !repeats}
	answer := x.ask(x.ctx, a)
	if why, detail, ok := x.failed(a, answer, union(a.t.Status, httpx.Codes(404))); ok {
		x.blame(cl, answer, ruleUnproven, why, "%s: %s", intruder.name, detail)
	}
}

// listsInContext lists with the org missing or forged: refused, and nothing of another shown.
func (x *exam) listsInContext(s *subject, op string) {
	cl := s.claim(checkContext, op)
	if cl == nil {
		return
	}
	var all []func()
	x.each(func(owner, intruder *tenant) {
		for _, m := range x.p.contexts(s.template(op), op, owner.id, intruder.id) {
			all = append(all, func() {
				v := vars{org: intruder.id, canary: s.planted[intruder].text, page: "1"}
				a := asking{claim: cl, by: intruder, t: s.template(op), v: v, m: m, want: x.p.Rejected}
				x.rejected(a, x.ask(x.ctx, a))
			})
		}
	})
	x.fan(len(all), func(i int) { all[i]() })
	x.finish(cl, "no way to leave out or forge the org was let in")
	x.row(9, 10)
}
