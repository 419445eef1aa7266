package isolation

import (
	"net/http"
	"strings"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// caches has orgs ask for one URL in turn, in both orders: what one was answered must not be kept for the other.
func (x *exam) caches(s *subject) bool {
	cl := s.claim(checkCache, "cache")
	op := s.seeing()
	if o, ok := s.claim(checkIsolated, op).first(); ok && o.rule == ruleLeak {
		x.trackDown(s, cl, o)
		return true
	}
	shared := op != "read" && !s.template(op).holds("{org}")
	x.each(func(owner, intruder *tenant) {
		c := s.planted[owner]
		for _, t := range []*tenant{owner, intruder, intruder, owner, intruder} {
			v := vars{org: t.id, id: c.id, canary: c.text, page: "1"}
			a := asking{claim: cl, by: t, t: s.template(op), v: v, want: x.p.Denied}
			answer := x.ask(x.ctx, a)
			switch {
			case t == owner:
				x.own(a, answer, c)
			case op == "read":
				x.denied(a, answer, x.p.Denied, ruleGranted, misleadingSuccess)
			case shared:
				x.own(a, answer, s.planted[t])
			}
		}
	})
	x.finish(cl, "what one org was answered was not kept for another, in either order")
	return true
}

// trackDown tells whether what one org is shown of another's is kept for it by something between them, a cache that
// does not know the org, or would be shown at any rate. It is «Identify path».
func (x *exam) trackDown(s *subject, cl *claim, leak outcome) {
	untold := "it takes create, read, and a search, export or list to see that an object is there without reading it"
	if s.Read != nil && s.Create != nil && s.finding() != "" {
		x.each(func(owner, intruder *tenant) {
			if len(cl.against) == 0 {
				untold = x.inTurn(s, cl, leak, owner, intruder)
			}
		})
	}
	if len(cl.against) == 0 {
		x.note(cl, ruleUnproven, probe.ControlFailed, "%s is shown another's anyway, and whether something between them keeps it could not be told: %s", s.name, untold)
	}
}

// inTurn has a new object that nobody has asked for be asked for by an intruder, then by its owner, and by the intruder
// again. Where that tells nothing it returns why.
func (x *exam) inTurn(s *subject, cl *claim, leak outcome, owner, intruder *tenant) (untold string) {
	c, ok := x.place(s, owner, cl, mutation{}, nil)
	if !ok {
		return "" // noted
	}
	if !x.again(x.p.Settle.D(), func() bool { return x.viewListed(cl, c, s.finding()).sight == there }) {
		return "a new object of " + owner.name + " is not found by its " + s.finding()
	}
	var cold, warm sight
	var first, second *httpx.Answer
	// What is found already may still be missing where it is read: it gets as long again.
	x.again(time.Since(c.made)+blink, func() bool {
		cold, first = x.viewAs(cl, c, intruder)
		return cold != missing || shows(first, c)
	})
	own, _ := x.viewAs(cl, c, owner)
	warm, second = x.viewAs(cl, c, intruder)
	switch {
	case cold == unknownView || own != there || warm == unknownView:
		return "a new object could not be asked for in turn"
	case cold == there || shows(first, c):
		x.blame(cl, first, ruleUnproven, probe.ControlFailed, "%s was shown an object of %s that nobody had asked for before: that is no cache, or not a cache alone", intruder.name, owner.name)
	case warm == there || shows(second, c):
		cl.cause = true
		x.blame(cl, second, ruleLeak, leak.why, "%s was shown an object of %s only after %s had asked for it: something between them keeps answers and does not know the org",
			intruder.name, owner.name, owner.name)
	}
	return "with a new object it was not seen again"
}

// blink is how long a read may lag behind a search that does not.
const blink = 250 * time.Millisecond

// finding is the operation by which an object can be seen without being read: the one whose request is the least like
// another's first.
func (r *Resource) finding() string {
	for _, op := range []string{"search", "export", "list"} {
		if r.template(op) != nil {
			return op
		}
	}
	return ""
}

// shows reports whether a canary is anywhere in an answer.
func shows(answer *httpx.Answer, c planted) bool {
	return canary.NewHaystack(answer.Body).Find(c.marks[0]) != "" || canary.NewHaystack(head(answer)).Find(c.marks[0]) != ""
}

// own notes against the claim where an owner was not answered its own canary, or in a way that a shared cache may keep.
func (x *exam) own(a asking, answer *httpx.Answer, c planted) {
	if why, detail, ok := x.failed(a, answer, a.t.Status); ok {
		x.blame(a.claim, answer, ruleUnproven, why, "%s cannot be shown its own: %s", a.by.name, detail)
		return
	}
	if a.op() == "read" && canary.NewHaystack(answer.Body).Find(c.marks[0]) == "" {
		x.blame(a.claim, answer, ruleUnproven, probe.StaleOrCached, "%s is not answered its own canary: %s", a.by.name, a.spoken())
	}
	if why := x.p.kept(answer.Header); why != "" {
		x.blame(a.claim, answer, ruleUnproven, probe.StaleOrCached, "a shared cache may keep what %s is answered: %s", a.by.name, why)
	}
}

// kept says why a cache that stands before the API may store an answer and give it to another org (RFC 9111, sections
// 3 and 3.5); empty if it may not.
func (p *Probe) kept(h http.Header) string {
	control := strings.ToLower(strings.Join(h.Values("Cache-Control"), ","))
	vary := strings.ToLower(strings.Join(h.Values("Vary"), ","))
	says := func(word string) bool { return strings.Contains(control, word) }
	if says("no-store") || says("private") || strings.Contains(vary, "*") || strings.Contains(vary, "authorization") {
		return ""
	}
	if says("public") || says("s-maxage") {
		return "Cache-Control allows it and Vary does not name the credential"
	}
	return ""
}
