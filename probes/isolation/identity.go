package isolation

import (
	"net/http"
	"slices"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/expect"
)

// A credentialOwner is whom the target takes for the owner of a credential.
type credentialOwner struct {
	org, subject  string
	probe.Outcome // why it is not known, or not a test org
	answer        *httpx.Answer
}

// identify asks the target who the owner of each credential is. It reports whether the credentials belong to different
// orgs, all of them test orgs if anything is to be written, and records why not.
func (r *run) identify() bool {
	if r.p.Identity == nil {
		r.identified = true
		return true
	}
	r.owners = r.askOwners(r.p.tenants, mutation{})
	t, o := r.compareOwners()
	switch {
	case o.Passed():
		r.identified = true
		r.identity.summary = text.Count(len(r.p.tenants), "credential") + " of " + text.Count(len(r.owners), "different org")
		if r.p.Identity.Org.IsZero() {
			r.identity.summary = text.Count(len(r.owners), "test org")
		}
	case !r.identityMixedUp():
		r.inconclusive(r.identity, r.owners[t].answer, o.Reason, "%s", o.Detail)
	}
	return r.identified
}

// askOwners asks for the owners of the credentials of tenants, in that order. It stops at the first whose owner is not
// known, unless a cache answered: what that says may be somebody else's.
func (r *run) askOwners(tenants []*tenant, m mutation) map[*tenant]credentialOwner {
	all := map[*tenant]credentialOwner{}
	for _, t := range tenants {
		all[t] = r.askOwner(t, m)
		if !all[t].Passed() && all[t].org == "" {
			break
		}
	}
	return all
}

// compareOwners passes if the owners are different orgs, those that are configured. It also returns the tenant that is
// the first not to be.
func (r *run) compareOwners() (*tenant, probe.Outcome) {
	orgs, subjects := map[string]*tenant{}, map[string]*tenant{}
	for _, t := range r.p.tenants {
		found := r.owners[t]
		switch {
		case !found.Passed():
			return t, found.Outcome
		case orgs[found.org] != nil:
			return t, probe.Outcomef(probe.Credential, "the credentials of %s and %s belong to the same org, which is not isolated from itself", orgs[found.org].name, t.name)
		case r.p.configuredAs(t, found.org) != nil:
			return t, probe.Outcomef(probe.Credential, "the credential of %s belongs to the org that is configured as %s", t.name, r.p.configuredAs(t, found.org).name)
		case found.subject != "" && subjects[found.subject] != nil:
			return t, probe.Outcomef(probe.Credential, "the credentials of %s and %s belong to the same user", subjects[found.subject].name, t.name)
		}
		orgs[found.org], subjects[found.subject] = t, t
	}
	return nil, probe.Outcome{Reason: probe.OK}
}

// identityMixedUp asks for the owners again, in the opposite order and with a parameter that nobody sent before, and
// records a violation if that changes one of them. A credential has one owner: a target that names another one gives a
// caller the response to somebody else, as a cache does whose key is the URL alone.
func (r *run) identityMixedUp() bool {
	if slices.ContainsFunc(r.p.tenants, func(t *tenant) bool { return r.owners[t].org == "" }) {
		return false
	}
	backwards := slices.Clone(r.p.tenants)
	slices.Reverse(backwards)
	return r.expectSameOwners(r.askOwners(backwards, mutation{query: "prober", org: canary.Random(), uncached: true}))
}

// identifyAgain asks for the owners once more, now that each org has objects of its own.
func (r *run) identifyAgain() {
	if r.p.Identity == nil {
		return
	}
	backwards := slices.Clone(r.p.tenants)
	slices.Reverse(backwards)
	r.expectSameOwners(r.askOwners(backwards, mutation{}))
}

// expectSameOwners records a violation if an owner is another one than at first. It reports whether there is one.
func (r *run) expectSameOwners(now map[*tenant]credentialOwner) (mixedUp bool) {
	for _, t := range r.p.tenants {
		first, again := r.owners[t], now[t]
		if again.org == "" || again.org == first.org && again.subject == first.subject {
			continue
		}
		r.violated(r.identity, again.answer, ruleLeak, leakBody,
			"%s was shown another org's response: its credential belongs to one org in one response and to another in the next, as with a cache that ignores the caller: %s",
			t.name, r.p.Identity.template().describe())
		return true
	}
	return false
}

// askOwner asks the target for the owner of a credential.
func (r *run) askOwner(t *tenant, m mutation) credentialOwner {
	settings := r.p.Identity
	answer := r.send(r.ctx, request{assertion: r.identity, tenant: t, template: settings.template(), vars: vars{org: t.id}, mutation: m})
	found := credentialOwner{answer: answer, Outcome: usable(answer)}
	fail := func(why probe.Reason, format string, args ...any) credentialOwner {
		found.Outcome = probe.Outcomef(why, format, args...)
		return found
	}
	if doc, err := answer.JSON(); err == nil && httpx.Success.Contains(answer.Status) {
		found.org, found.subject = singleText(settings.Org, doc), singleText(settings.Subject, doc)
	}
	if settings.Org.IsZero() {
		found.org = t.id // by the settings alone
	}
	switch {
	case !found.Passed():
		return fail(found.Reason, "the owner of the credential of %s is not known: %s", t.name, found.Detail)
	case answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden:
		return fail(probe.Credential, "the credential of %s is not accepted: got %d", t.name, answer.Status)
	case !settings.template().Status.Contains(answer.Status):
		return fail(probe.ControlFailed, "the owner of the credential of %s is not known: expected %s, got %d", t.name, settings.template().Status, answer.Status)
	case found.org == "":
		return fail(probe.ControlFailed, "the response for %s has no org at %s", t.name, settings.Org)
	case !settings.Subject.IsZero() && found.subject == "":
		return fail(probe.ControlFailed, "the response for %s has no subject at %s", t.name, settings.Subject)
	}
	if marker := (&expect.Content{JSON: settings.TestOrg}); len(marker.JSON) > 0 {
		if !marker.CheckJSON(answer).Passed() {
			found.org = "" // nothing more is asked
			return fail(probe.Credential, "%s is not marked as a test org: nothing is requested or written there", t.name)
		}
	}
	return found
}

// newIdentityAssertion makes the assertion that the credentials belong to different test orgs.
func newIdentityAssertion() *assertion {
	return &assertion{check: checkIdentity, resource: &resourceRun{Resource: &Resource{}}}
}

// reportIdentity notes what was found about the credentials.
func (r *run) reportIdentity() {
	if r.p.Identity == nil {
		return
	}
	found, _ := r.identity.decisive()
	v := verdict{assertion: r.identity, violation: found}
	v.note(r.result)
	countBreach(r.result, checkIdentity, []verdict{v})
}

// template is the request that identifies the owner of a credential.
func (i *Identity) template() *Template {
	return &Template{Request: i.Request}
}

// configuredAs returns the other tenant that is configured with an id that a tenant's credential was found to have.
func (p *Probe) configuredAs(t *tenant, id string) *tenant {
	for _, other := range p.tenants {
		if other != t && other.id == id && t.id != id {
			return other
		}
	}
	return nil
}
