package isolation

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/text"
	"prober/probes/internal/expect"
)

// shortestPlanted is how long a text must be, in bytes, to stand nowhere by chance.
const shortestPlanted = 16

// identify asks whose each credential is. It reports whether they belong to different orgs, all of them test orgs if
// anything is to be written, and notes the check whoami.
func (x *exam) identify() bool {
	orgs, subjects := map[string]*tenant{}, map[string]*tenant{}
	for _, t := range x.p.tenants {
		x.made++
		answer := t.client.Do(x.ctx, x.r, x.p.whoami(t))
		if why, detail, ok := provesNothing(answer); ok {
			x.r.Inconclusive("whoami", why, "whose credential that of %s is could not be asked: %s", t.name, detail)
			return false
		}
		if answer.Status == 401 || answer.Status == 403 {
			x.r.Inconclusive("whoami", probe.Credential, "the credential of %s is not accepted: got %d", t.name, answer.Status)
			return false
		}
		if !httpx.Success.Contains(answer.Status) {
			x.r.Inconclusive("whoami", probe.ControlFailed, "whose credential that of %s is could not be asked: wanted 2xx, got %d", t.name, answer.Status)
			return false
		}
		doc, err := answer.JSON()
		org, subject := one(x.p.Whoami.Org, doc), one(x.p.Whoami.Subject, doc)
		switch {
		case err != nil || org == "":
			x.r.Inconclusive("whoami", probe.ControlFailed, "the answer for %s does not say the org at %s", t.name, x.p.Whoami.Org)
			return false
		case orgs[org] != nil:
			x.r.Inconclusive("whoami", probe.Credential, "the credentials of %s and %s belong to the same org: nothing can be said of isolation", orgs[org].name, t.name)
			return false
		case x.p.other(t, org) != nil:
			x.r.Inconclusive("whoami", probe.Credential, "the credential of %s belongs to the org that is configured as %s", t.name, x.p.other(t, org).name)
			return false
		case !x.p.Whoami.Subject.IsZero() && subject == "":
			x.r.Inconclusive("whoami", probe.ControlFailed, "the answer for %s does not say who it is at %s", t.name, x.p.Whoami.Subject)
			return false
		case subject != "" && subjects[subject] != nil:
			x.r.Inconclusive("whoami", probe.Credential, "the credentials of %s and %s are those of the same user", subjects[subject].name, t.name)
			return false
		}
		orgs[org], subjects[subject] = t, t
		if marks := (&expect.Expect{JSON: x.p.Whoami.TestOrg}); len(marks.JSON) > 0 {
			if why, _ := marks.CheckJSON(answer); why != probe.OK {
				x.r.Inconclusive("whoami", probe.Credential, "%s does not say that it is a test org: nothing is asked for or written there", t.name)
				return false
			}
		}
	}
	x.identified = true
	x.r.Pass("whoami", "%s of %s", text.Count(len(x.p.tenants), "credential"), text.Count(len(orgs), "different org"))
	return true
}

func (p *Probe) whoami(t *tenant) httpx.Request {
	// It was built before, by Validate.
	q, _ := p.build(&Template{URL: p.Whoami.URL, Method: "GET"}, vars{org: t.id}, mutation{})
	q.Check = "whoami"
	return q
}

// other returns the org that is configured with an id that another's credential was found to belong to.
func (p *Probe) other(t *tenant, id string) *tenant {
	for _, o := range p.tenants {
		if o != t && o.id == id && t.id != id {
			return o
		}
	}
	return nil
}

// one returns the text at a path; empty unless there is exactly one.
func one(path jsonpath.Path, doc jsonpath.Document) string {
	if found := path.Find(doc); len(found) == 1 {
		return found[0].Text()
	}
	return ""
}

// plant puts a canary into every org, or takes the one that is there, and waits until its owner sees it. It reports
// whether all of them do.
func (x *exam) plant(s *subject) bool {
	control := s.claim(checkControl, s.seeing())
	for _, t := range x.p.tenants {
		before := x.counts(s)
		c, ok := x.place(s, t, control, mutation{}, nil)
		if !ok {
			return false
		}
		s.planted[t] = c
		x.hide(c)
		if !x.sees(control, c, x.p.Settle.D()) {
			return false
		}
		if s.Count != nil {
			x.counted(s, t, before)
		}
	}
	x.row(1, 2)
	if !x.distinct(s, control) {
		return false
	}
	for _, t := range x.p.tenants {
		x.hideID(s.planted[t])
	}
	return true
}

// distinct reports whether the canaries can be told from each other: two orgs' objects with one id are asked for by
// one request, and a text within another is shown with it.
func (x *exam) distinct(s *subject, control *claim) bool {
	alike := ""
	x.each(func(owner, other *tenant) {
		a, b := s.planted[owner], s.planted[other]
		switch {
		case a.id == b.id:
			alike = fmt.Sprintf("the objects of %s and %s have one id, and which of them is asked for cannot be said", owner.name, other.name)
		case strings.Contains(strings.ToLower(b.text), strings.ToLower(a.text)):
			alike = fmt.Sprintf("the canary of %s stands within that of %s", owner.name, other.name)
		}
	})
	if alike != "" {
		x.note(control, ruleUnproven, probe.ControlFailed, "%s: nothing is proven", alike)
	}
	return alike == ""
}

// hide makes the canary known as what others must not be shown.
func (x *exam) hide(c planted) {
	x.mu.Lock()
	defer x.mu.Unlock()
	// Of a canary the random part is enough: what shows it with its hyphens changed, or cut off before, shows it.
	x.known = append(x.known, hidden{c.owner, "canary", c.text, canary.NewNeedle(canary.Secret(c.text))})
}

// hideID does so with the id, once it is known that it is nobody else's as well.
func (x *exam) hideID(c planted) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if telling(c.id) {
		x.known = append(x.known, hidden{c.owner, "id", c.id, canary.NewWord(c.id)})
	}
}

// telling reports whether an id stands nowhere by chance: one of a few digits does.
func telling(id string) bool {
	const digits, other = 16, 10
	if strings.Trim(id, "0123456789") == "" {
		return len(id) >= digits
	}
	return len(id) >= other
}

// place returns an org's canary: one made now, or the one that is there for good. What goes wrong it notes against
// the claim. With an answer the caller wants to judge itself whether the org could be created in.
func (x *exam) place(s *subject, t *tenant, cl *claim, m mutation, judge func(asking, *httpx.Answer) bool) (planted, bool) {
	if s.Create == nil {
		return x.settled(s, t, cl)
	}
	if x.crowded() {
		x.note(cl, ruleUnproven, probe.ControlFailed, "%d canaries of this prober are left over, more than %d: none is planted until they are deleted", x.strays, mostLeftovers)
		return planted{}, false
	}
	c := planted{subject: s, resource: s.name, owner: t, text: x.mint(s, t), minted: true, made: time.Now()}
	a := asking{claim: cl, by: t, t: s.Create, v: vars{org: t.id, canary: c.text}, m: m, want: s.Create.Status, lasting: true}
	asked := cl.asked
	answer := x.ask(x.ctx, a)
	if c.id = idIn(s.ID, answer); cl.asked > asked && (answer.Reason != probe.OK || answer.Status >= 500 || httpx.Success.Contains(answer.Status) && c.id == "") {
		x.lost = append(x.lost, c)
	}
	if judge != nil && !judge(a, answer) {
		return planted{}, false
	}
	if why, detail, ok := x.failed(a, answer, s.Create.Status); ok {
		x.blame(cl, answer, ruleUnproven, why, "no canary could be planted with %s: %s", t.name, detail)
		return planted{}, false
	}
	if c.id == "" {
		x.blame(cl, answer, ruleUnproven, probe.ControlFailed, "a canary was planted with %s, but the answer does not say its id", t.name)
		return planted{}, false
	}
	c.marks = []canary.Needle{canary.NewNeedle(c.text)}
	x.mu.Lock()
	x.minted = append(x.minted, c)
	x.mu.Unlock()
	return c, true
}

// settled returns the canary that is there for good.
func (x *exam) settled(s *subject, t *tenant, cl *claim) (planted, bool) {
	there := s.Plants[t.name]
	id, err := there.ID.Reveal()
	text, err2 := there.Text.Reveal()
	switch {
	case err != nil:
		x.note(cl, ruleUnproven, probe.Credential, "canaries.%s.id: %s", t.name, err)
	case err2 != nil:
		x.note(cl, ruleUnproven, probe.Credential, "canaries.%s.text: %s", t.name, err2)
	case len(text) < shortestPlanted:
		x.note(cl, ruleUnproven, probe.Credential, "canaries.%s.text: is shorter than %d bytes, and may stand in an answer by chance", t.name, shortestPlanted)
	default:
		return planted{subject: s, resource: s.name, owner: t, id: id, text: text, marks: []canary.Needle{canary.NewNeedle(text)}}, true
	}
	return planted{}, false
}

// mint makes a canary's text, and its random part known as what is never to be shown.
func (x *exam) mint(s *subject, t *tenant) string {
	text := canary.Mint(x.p.Replica, time.Now())
	secret.Learn("canary of "+x.p.Base+" "+s.name+" "+t.name, canary.Secret(text)) // one source each, however many canaries
	return text
}

// idIn returns the id in the answer to a creation: a JSON value, a header, or the last part of a Location.
func idIn(from *httpx.Source, answer *httpx.Answer) string {
	id := from.Read(answer)
	if strings.EqualFold(from.Header, "Location") {
		u, err := url.Parse(id)
		if err != nil {
			return ""
		}
		path := strings.TrimSuffix(u.Path, "/")
		id = path[strings.LastIndexByte(path, '/')+1:]
	}
	if len(id) > 200 || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return ""
	}
	return id
}
