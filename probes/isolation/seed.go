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

// minCanaryLength is how long a text must be, in bytes, to stand nowhere by chance.
const minCanaryLength = 16

// identify asks whose each credential is. It reports whether they belong to different orgs, all of them test orgs if
// anything is to be written, and notes the check whoami.
func (r *run) identify() bool {
	orgs, subjects := map[string]*tenant{}, map[string]*tenant{}
	for _, t := range r.p.tenants {
		r.requests++
		answer := t.client.Do(r.ctx, r.result, r.p.identityRequest(t))
		if why, detail, ok := unusable(answer); ok {
			r.result.Inconclusive("whoami", why, "whose credential that of %s is could not be asked: %s", t.name, detail)
			return false
		}
		if answer.Status == 401 || answer.Status == 403 {
			r.result.Inconclusive("whoami", probe.Credential, "the credential of %s is not accepted: got %d", t.name, answer.Status)
			return false
		}
		if !httpx.Success.Contains(answer.Status) {
			r.result.Inconclusive("whoami", probe.ControlFailed, "whose credential that of %s is could not be asked: wanted 2xx, got %d", t.name, answer.Status)
			return false
		}
		doc, err := answer.JSON()
		org, subject := singleText(r.p.Identity.Org, doc), singleText(r.p.Identity.Subject, doc)
		switch {
		case err != nil || org == "":
			r.result.Inconclusive("whoami", probe.ControlFailed, "the answer for %s does not say the org at %s", t.name, r.p.Identity.Org)
			return false
		case orgs[org] != nil:
			r.result.Inconclusive("whoami", probe.Credential, "the credentials of %s and %s belong to the same org: nothing can be said of isolation", orgs[org].name, t.name)
			return false
		case r.p.configuredAs(t, org) != nil:
			r.result.Inconclusive("whoami", probe.Credential, "the credential of %s belongs to the org that is configured as %s", t.name, r.p.configuredAs(t, org).name)
			return false
		case !r.p.Identity.Subject.IsZero() && subject == "":
			r.result.Inconclusive("whoami", probe.ControlFailed, "the answer for %s does not say who it is at %s", t.name, r.p.Identity.Subject)
			return false
		case subject != "" && subjects[subject] != nil:
			r.result.Inconclusive("whoami", probe.Credential, "the credentials of %s and %s are those of the same user", subjects[subject].name, t.name)
			return false
		}
		orgs[org], subjects[subject] = t, t
		if marks := (&expect.Expect{JSON: r.p.Identity.TestOrg}); len(marks.JSON) > 0 {
			if why, _ := marks.CheckJSON(answer); why != probe.OK {
				r.result.Inconclusive("whoami", probe.Credential, "%s does not say that it is a test org: nothing is asked for or written there", t.name)
				return false
			}
		}
	}
	r.identified = true
	r.result.Pass("whoami", "%s of %s", text.Count(len(r.p.tenants), "credential"), text.Count(len(orgs), "different org"))
	return true
}

func (p *Probe) identityRequest(t *tenant) httpx.Request {
	// It was built before, by Validate.
	httpReq, _ := p.build(&Template{URL: p.Identity.URL, Method: "GET"}, vars{org: t.id}, mutation{})
	httpReq.Check = "whoami"
	return httpReq
}

// configuredAs returns the org that is configured with an id that another's credential was found to belong to.
func (p *Probe) configuredAs(t *tenant, id string) *tenant {
	for _, o := range p.tenants {
		if o != t && o.id == id && t.id != id {
			return o
		}
	}
	return nil
}

// singleText returns the text at a path; empty unless there is exactly one.
func singleText(path jsonpath.Path, doc jsonpath.Document) string {
	if found := path.Find(doc); len(found) == 1 {
		return found[0].Text()
	}
	return ""
}

// seed puts a canary into every org, or takes the one that is there, and waits until its owner sees it. It reports
// whether all of them do.
func (r *run) seed(rr *resourceRun) bool {
	control := rr.assertion(checkControl, rr.visibilityOp())
	for _, t := range r.p.tenants {
		before := r.countAll(rr)
		obj, ok := r.seedObject(rr, t, control, mutation{}, nil)
		if !ok {
			return false
		}
		rr.seeded[t] = obj
		r.protect(obj)
		if !r.ownerSees(control, obj, r.p.VisibilityDelay.D()) {
			return false
		}
		if rr.Count != nil {
			r.testCount(rr, t, before)
		}
	}
	r.tested(1, 2)
	if !r.expectDistinct(rr, control) {
		return false
	}
	for _, t := range r.p.tenants {
		r.protectID(rr.seeded[t])
	}
	return true
}

// expectDistinct reports whether the canaries can be told from each other: two orgs' objects with one id are asked for by
// one request, and a text within another is shown with it.
func (r *run) expectDistinct(rr *resourceRun, control *assertion) bool {
	alike := ""
	r.eachPair(func(owner, other *tenant) {
		a, b := rr.seeded[owner], rr.seeded[other]
		switch {
		case a.id == b.id:
			alike = fmt.Sprintf("the objects of %s and %s have one id, and which of them is asked for cannot be said", owner.name, other.name)
		case strings.Contains(strings.ToLower(b.text), strings.ToLower(a.text)):
			alike = fmt.Sprintf("the canary of %s stands within that of %s", owner.name, other.name)
		}
	})
	if alike != "" {
		r.violatedNoEvidence(control, ruleInconclusive, probe.ControlFailed, "%s: nothing is proven", alike)
	}
	return alike == ""
}

// protect makes the canary known as what others must not be shown.
func (r *run) protect(obj seededObject) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Of a canary the random part is enough: what shows it with its hyphens changed, or cut off before, shows it.
	r.protected = append(r.protected, protectedText{obj.owner, "canary", obj.text, canary.NewNeedle(canary.Secret(obj.text))})
}

// protectID does so with the id, once it is known that it is nobody else's as well.
func (r *run) protectID(obj seededObject) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if distinctive(obj.id) {
		r.protected = append(r.protected, protectedText{obj.owner, "id", obj.id, canary.NewWord(obj.id)})
	}
}

// distinctive reports whether an id stands nowhere by chance: one of a few digits does.
func distinctive(id string) bool {
	const digits, other = 16, 10
	if strings.Trim(id, "0123456789") == "" {
		return len(id) >= digits
	}
	return len(id) >= other
}

// seedObject returns an org's canary: one made now, or the one that is there for good. What goes wrong it notes against
// the claim. With an answer the caller wants to judge itself whether the org could be created in.
func (r *run) seedObject(rr *resourceRun, t *tenant, a *assertion, m mutation, judge func(request, *httpx.Answer) bool) (seededObject, bool) {
	if rr.Create == nil {
		return r.permanentCanary(rr, t, a)
	}
	if r.tooManyOrphans() {
		r.violatedNoEvidence(a, ruleInconclusive, probe.ControlFailed, "%d canaries of this prober are left over, more than %d: none is planted until they are deleted", r.orphanCount, maxOrphans)
		return seededObject{}, false
	}
	obj := seededObject{run: rr, resource: rr.name, owner: t, text: r.newCanary(rr, t), created: true, createdAt: time.Now()}
	req := request{assertion: a, tenant: t, template: rr.Create, vars: vars{org: t.id, canary: obj.text}, mutation: m, want: rr.Create.Status, outlastsStop: true}
	asked := a.sent
	answer := r.send(r.ctx, req)
	if obj.id = createdID(rr.ID, answer); a.sent > asked && (answer.Reason != probe.OK || answer.Status >= 500 || httpx.Success.Contains(answer.Status) && obj.id == "") {
		r.unacknowledged = append(r.unacknowledged, obj)
	}
	if judge != nil && !judge(req, answer) {
		return seededObject{}, false
	}
	if why, detail, ok := r.unsuccessful(req, answer, rr.Create.Status); ok {
		r.violated(a, answer, ruleInconclusive, why, "no canary could be planted with %s: %s", t.name, detail)
		return seededObject{}, false
	}
	if obj.id == "" {
		r.violated(a, answer, ruleInconclusive, probe.ControlFailed, "a canary was planted with %s, but the answer does not say its id", t.name)
		return seededObject{}, false
	}
	obj.needles = []canary.Needle{canary.NewNeedle(obj.text)}
	r.mu.Lock()
	r.created = append(r.created, obj)
	r.mu.Unlock()
	return obj, true
}

// permanentCanary returns the canary that is there for good.
func (r *run) permanentCanary(rr *resourceRun, t *tenant, a *assertion) (seededObject, bool) {
	there := rr.Canaries[t.name]
	id, err := there.ID.Reveal()
	text, err2 := there.Text.Reveal()
	switch {
	case err != nil:
		r.violatedNoEvidence(a, ruleInconclusive, probe.Credential, "canaries.%s.id: %s", t.name, err)
	case err2 != nil:
		r.violatedNoEvidence(a, ruleInconclusive, probe.Credential, "canaries.%s.text: %s", t.name, err2)
	case len(text) < minCanaryLength:
		r.violatedNoEvidence(a, ruleInconclusive, probe.Credential, "canaries.%s.text: is shorter than %d bytes, and may stand in an answer by chance", t.name, minCanaryLength)
	default:
		return seededObject{run: rr, resource: rr.name, owner: t, id: id, text: text, needles: []canary.Needle{canary.NewNeedle(text)}}, true
	}
	return seededObject{}, false
}

// newCanary makes a canary's text, and its random part known as what is never to be shown.
func (r *run) newCanary(rr *resourceRun, t *tenant) string {
	text := canary.Mint(r.p.Replica, time.Now())
	secret.Learn("canary of "+r.p.Base+" "+rr.name+" "+t.name, canary.Secret(text)) // one source each, however many canaries
	return text
}

// createdID returns the id in the answer to a creation: a JSON value, a header, or the last part of a Location.
func createdID(from *httpx.Source, answer *httpx.Answer) string {
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
