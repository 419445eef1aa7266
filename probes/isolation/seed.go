package isolation

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/secret"
)

// minCanaryLength is how long the text of a permanent canary must be, in bytes, not to occur by chance.
const minCanaryLength = 16

// singleText returns the text at a path; empty unless there is exactly one.
func singleText(path jsonpath.Path, doc jsonpath.Document) string {
	if found := path.Find(doc); len(found) == 1 {
		return found[0].Text()
	}
	return ""
}

// seed gives every org a canary, a new one or its permanent one, and waits until its owner sees it. It reports whether
// all owners do.
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
		if rr.Create != nil {
			r.seedTwin(rr, t, control)
			r.seedSpare(rr, t, control)
		}
		if !r.ownerSees(control, obj, r.p.VisibilityDelay.D()) {
			return false
		}
		r.succeededAsOwner(rr, "create", t)
		if rr.Count != nil {
			r.testCount(rr, t, before)
		}
	}
	r.tested(rowSeeded, rowOwnerBefore)
	if !r.expectDistinct(rr, control) {
		return false
	}
	for _, t := range r.p.tenants {
		r.protectID(rr.seeded[t])
		r.protectID(rr.twins[t])
	}
	return true
}

// expectDistinct records a violation unless the objects differ, twins and spares among them: two orgs' objects with one id are
// requested by the same request, and a text that contains another shows that too.
func (r *run) expectDistinct(rr *resourceRun, control *assertion) bool {
	problem := ""
	r.eachPair(func(owner, other *tenant) {
		hasSameID := func(a seededObject) bool {
			return a.id != "" && slices.ContainsFunc(rr.objectsOf(other), func(b seededObject) bool { return a.id == b.id })
		}
		switch {
		case slices.ContainsFunc(rr.objectsOf(owner), hasSameID):
			problem = fmt.Sprintf("the objects of %s and %s have one id, so a request can be for either", owner.name, other.name)
		case strings.Contains(strings.ToLower(rr.seeded[other].text), strings.ToLower(rr.seeded[owner].text)):
			problem = fmt.Sprintf("the canary of %s is part of that of %s", owner.name, other.name)
		}
	})
	if problem != "" {
		r.inconclusive(control, nil, probe.ControlFailed, "%s: nothing is proven", problem)
	}
	return problem == ""
}

// objectsOf lists the objects of an org that the run has begun with. What there is none of has no id.
func (rr *resourceRun) objectsOf(t *tenant) []seededObject {
	return []seededObject{rr.seeded[t], rr.twins[t], rr.spares[t]}
}

// protect adds a canary to the texts that others must not be shown.
func (r *run) protect(obj seededObject) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.protected = append(r.protected, protectedText{owner: obj.owner, kind: "canary", text: obj.text, needle: canary.NewNeedle(obj.text)})
}

// protectID does so with its id, once it is known that no other org has the same.
func (r *run) protectID(obj seededObject) {
	if obj.id == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := protectedText{owner: obj.owner, kind: "id", text: obj.id, resource: obj.resourceRun}
	if distinctive(obj.id) {
		id.needle = idNeedle(obj.id)
	} else {
		id.short = true
	}
	r.protected = append(r.protected, id)
}

// idNeedle prepares an id to be searched for: as a whole word, unless the prober chose it.
func idNeedle(id string) canary.Needle {
	if canary.Secret(id) != id {
		return canary.NewNeedle(id)
	}
	return canary.NewWord(id)
}

// distinctive reports whether an id is too long to occur in a response by chance.
func distinctive(id string) bool {
	const minDigits, minLength = 16, 10
	if strings.Trim(id, "0123456789") == "" {
		return len(id) >= minDigits
	}
	return len(id) >= minLength
}

// seedObject returns a canary of an org: a new one, or the permanent one. It records as violations what goes wrong. The
// caller may judge the response first; if that returns false, there is no object.
func (r *run) seedObject(rr *resourceRun, t *tenant, a *assertion, m mutation, judge func(request, *httpx.Answer) bool) (seededObject, bool) {
	if rr.Create == nil {
		return r.permanentCanary(rr, t, a)
	}
	return r.createObject(rr, t, a, r.newCanary(rr, t), m, judge)
}

// createObject does so with a text that is given.
func (r *run) createObject(rr *resourceRun, t *tenant, a *assertion, content string, m mutation, judge func(request, *httpx.Answer) bool) (seededObject, bool) {
	if r.tooManyOrphans() {
		r.inconclusive(a, nil, probe.ControlFailed, "%d canaries of this prober are left over, more than %d: none is created until they are deleted", r.orphanCount, maxOrphans)
		return seededObject{}, false
	}
	obj := seededObject{resourceRun: rr, resource: rr.name, owner: t, text: content, created: true, createdAt: time.Now()}
	obj.id = rr.chosenID(t, obj.text)
	req := request{
		assertion: a, tenant: t, template: rr.Create, vars: vars{org: t.id, id: obj.id, canary: obj.text}, mutation: m,
		want: rr.Create.Status, outlastsStop: true,
	}
	if m.name != "" {
		r.protectAttempt(req, t)
	}
	sentBefore := r.sentFor(a)
	answer := r.send(r.ctx, req)
	obj.id = rr.idOfCreated(req, answer)
	noID := obj.id == "" && rr.needsID()
	failed := answer.Reason != probe.OK || answer.Status >= 500
	if r.sentFor(a) > sentBefore && (failed || httpx.Success.Contains(answer.Status) && noID) {
		r.mu.Lock()
		r.unacknowledged = append(r.unacknowledged, obj)
		r.mu.Unlock()
	}
	if judge != nil && !judge(req, answer) {
		return seededObject{}, false
	}
	if o := expectSuccess(req, answer, rr.Create.Status); !o.Passed() {
		r.inconclusive(a, answer, o.Reason, "no canary could be created in %s: %s", t.name, o.Detail)
		return seededObject{}, false
	}
	if noID {
		r.inconclusive(a, answer, probe.ControlFailed, "a canary was created in %s, but the response does not contain its id", t.name)
		return seededObject{}, false
	}
	obj.needles = []canary.Needle{canary.NewNeedle(obj.text)}
	r.mu.Lock()
	r.created = append(r.created, obj)
	r.mu.Unlock()
	return obj, true
}

// permanentCanary returns the canary of an org that the settings name.
func (r *run) permanentCanary(rr *resourceRun, t *tenant, a *assertion) (seededObject, bool) {
	permanent := rr.Canaries[t.name]
	id, idErr := permanent.ID.Reveal()
	text, textErr := permanent.Text.Reveal()
	switch {
	case idErr != nil:
		r.inconclusive(a, nil, probe.Credential, "canaries.%s.id: %s", t.name, idErr)
	case textErr != nil:
		r.inconclusive(a, nil, probe.Credential, "canaries.%s.text: %s", t.name, textErr)
	case len(text) < minCanaryLength:
		r.inconclusive(a, nil, probe.Credential, "canaries.%s.text: is shorter than %d bytes, and may occur in a response by chance", t.name, minCanaryLength)
	default:
		return seededObject{resourceRun: rr, resource: rr.name, owner: t, id: id, text: text, needles: []canary.Needle{canary.NewNeedle(text)}}, true
	}
	return seededObject{}, false
}

// newCanary makes a canary's text, and has its random part redacted wherever the prober shows text.
func (r *run) newCanary(rr *resourceRun, t *tenant) string {
	text := r.mintBy(t)
	r.learn(rr, t, text)
	return text
}

// learn has the random part of a canary redacted.
func (r *run) learn(rr *resourceRun, t *tenant, text string) {
	secret.Learn("canary of "+r.p.Base+" "+rr.name+" "+t.name, canary.Secret(text)) // one source each, however many canaries
}

// chosenID returns the id of a new object, if the client chooses ids. It is another canary than that of the content,
// which requests by id must not contain: a service may echo what it is sent.
func (rr *resourceRun) chosenID(t *tenant, text string) string {
	unique := text
	if rr.Create != nil && rr.Create.contains("{id}") {
		unique = canary.Sibling(text)
	}
	return vars{org: t.id, canary: unique}.expand(rr.ID.Text, verbatim)
}

// idOfCreated returns the id of what a request created: the one that it chose, or the one in the response.
func (rr *resourceRun) idOfCreated(req request, answer *httpx.Answer) string {
	if rr.ID.Text != "" {
		return req.vars.id
	}
	return createdID(&rr.ID.Source, answer)
}

// createdID returns the id in the response to a creation: a JSON value, a header, or the last segment of a Location. It
// is empty if there is no usable one.
func createdID(source *httpx.Source, answer *httpx.Answer) string {
	id := source.Read(answer)
	if strings.EqualFold(source.Header, "Location") {
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
