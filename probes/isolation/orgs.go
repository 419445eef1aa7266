package isolation

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"prober/internal/httpx"
	"prober/internal/probe"
)

// A tenant is a test org as it is asked for.
type tenant struct {
	name, id string
	client   *httpx.Client
}

// A unauthorizedCaller is somebody who must be let in nowhere.
type unauthorizedCaller struct {
	name    string // as it is told
	client  *httpx.Client
	madeUp  bool // makes up a credential for each request
	refused httpx.Statuses
}

// buildClients makes the clients: one for each org and stranger and one for nobody, all over the same connections.
func (p *Probe) buildClients() error {
	var wrong []error
	shared := p.Settings
	shared.Headers, p.orgHeaders = map[string]httpx.Value{}, map[string]string{}
	for name, v := range p.Settings.Headers {
		if strings.Contains(v.Text, "{org}") {
			p.orgHeaders[http.CanonicalHeaderKey(name)] = v.Text
		} else {
			shared.Headers[name] = v
		}
	}
	base, err := shared.ClientFor(map[string]string{"base": p.Base})
	if err != nil {
		return err
	}
	p.anonymous = base
	if len(p.Orgs) < 2 || len(p.Orgs) > maxOrgs {
		wrong = append(wrong, probe.Settingf("orgs", "expected 2 to %d, got %d", maxOrgs, len(p.Orgs)))
	}
	p.tenants = nil
	for _, name := range slices.Sorted(maps.Keys(p.Orgs)) {
		org := p.Orgs[name]
		if org == nil {
			wrong = append(wrong, probe.Settingf("orgs."+name, "has no credential"))
			continue
		}
		t := &tenant{name: name, id: cmp.Or(org.ID, name)}
		if t.client, err = p.clientFor(shared, org.Credential); err != nil {
			wrong = append(wrong, probe.InSetting("orgs."+name, err))
		}
		wrong = append(wrong, p.rejectDuplicateOrg(t, org))
		p.tenants = append(p.tenants, t)
	}
	return errors.Join(append(wrong, p.buildUnauthorized(shared))...)
}

// clientFor returns a client that sends a credential over everybody's connections.
func (p *Probe) clientFor(shared httpx.Settings, c Credential) (*httpx.Client, error) {
	own := httpx.Settings{Bearer: c.Bearer, Basic: c.Basic, OAuth2: c.OAuth2, Headers: c.Headers}
	if !own.HasCredential() {
		return nil, probe.Settingf("", "has no credential: expected bearer, basic, oauth2 or a secret header")
	}
	settings := shared.Merge(own)
	return settings.SharingConnections(p.anonymous, map[string]string{"": p.Base})
}

// rejectDuplicateOrg refuses an org that is one of those before it by another name.
func (p *Probe) rejectDuplicateOrg(t *tenant, org *Org) error {
	for _, other := range p.tenants {
		switch {
		case strings.EqualFold(other.id, t.id):
			return probe.Settingf("orgs."+t.name, "has the id of %s: an org is not isolated from itself", other.name)
		case org.equal(p.Orgs[other.name].Credential):
			return probe.Settingf("orgs."+t.name, "has the credential of %s: an org is not isolated from itself", other.name)
		}
	}
	return nil
}

// equal reports whether two credentials are one.
func (c Credential) equal(o Credential) bool {
	switch {
	case !c.Bearer.IsZero():
		return c.Bearer == o.Bearer
	case c.Basic != nil:
		return o.Basic != nil && *c.Basic == *o.Basic
	case c.OAuth2 != nil:
		return o.OAuth2 != nil && c.OAuth2.ClientID == o.OAuth2.ClientID && c.OAuth2.ClientSecret == o.OAuth2.ClientSecret &&
			slices.Equal(c.OAuth2.Scopes, o.OAuth2.Scopes) && maps.Equal(c.OAuth2.Params, o.OAuth2.Params)
	}
	return len(c.Headers) > 0 && maps.Equal(c.Headers, o.Headers)
}

// buildUnauthorized lists the strangers.
func (p *Probe) buildUnauthorized(shared httpx.Settings) error {
	var wrong []error
	p.unauthorized = []unauthorizedCaller{
		{name: "somebody without a credential", client: p.anonymous, refused: p.Unauthenticated},
		{name: "somebody with a made-up credential", client: p.anonymous, refused: p.Unauthenticated, madeUp: true},
	}
	if len(p.UnauthorizedCredentials) > maxOrgs {
		wrong = append(wrong, probe.Settingf("strangers", "expected at most %d, got %d", maxOrgs, len(p.UnauthorizedCredentials)))
	}
	for _, name := range slices.Sorted(maps.Keys(p.UnauthorizedCredentials)) {
		s := p.UnauthorizedCredentials[name]
		if s == nil {
			wrong = append(wrong, probe.Settingf("strangers."+name, "has no credential"))
			continue
		}
		client, err := p.clientFor(shared, s.Credential)
		if err != nil {
			wrong = append(wrong, probe.InSetting("strangers."+name, err))
		}
		for _, t := range p.tenants {
			if s.equal(p.Orgs[t.name].Credential) {
				wrong = append(wrong, probe.Settingf("strangers."+name, "has the credential of %s, which must be accepted", t.name))
			}
		}
		refused := s.Status
		if refused.IsZero() {
			refused = union(p.Unauthenticated, httpx.Codes(401, 403))
		} else if !refused.Denial() || refused.Contains(429) {
			wrong = append(wrong, probe.Settingf("strangers."+name+".status", "expected statuses from 400 to 499 that deny; 429 says not now"))
		}
		p.unauthorized = append(p.unauthorized, unauthorizedCaller{name: "the stranger " + name, client: client, refused: refused})
	}
	return errors.Join(wrong...)
}
