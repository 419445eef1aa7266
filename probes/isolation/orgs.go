package isolation

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"prober/internal/httpx"
)

// A tenant is a test org as it is asked for.
type tenant struct {
	name, id string
	client   *httpx.Client
}

// A stranger is somebody who must be let in nowhere.
type stranger struct {
	name    string // as it is told
	client  *httpx.Client
	forges  bool // makes up a credential for each request
	refused httpx.Statuses
}

// connect makes the clients: one for each org and stranger and one for nobody, all over the same connections.
func (p *Probe) connect() error {
	var wrong []error
	shared := p.Settings
	shared.Headers, p.spoken = map[string]httpx.Value{}, map[string]string{}
	for name, v := range p.Settings.Headers {
		if strings.Contains(v.Text, "{org}") {
			p.spoken[http.CanonicalHeaderKey(name)] = v.Text
		} else {
			shared.Headers[name] = v
		}
	}
	base, err := shared.Client(p.Base)
	if err != nil {
		return err
	}
	p.base = base
	if len(p.Orgs) < 2 || len(p.Orgs) > mostOrgs {
		wrong = append(wrong, fmt.Errorf("orgs: wanted 2 to %d: one is asked for what is another's", mostOrgs))
	}
	p.tenants = nil
	for _, name := range slices.Sorted(maps.Keys(p.Orgs)) {
		org := p.Orgs[name]
		if org == nil {
			wrong = append(wrong, fmt.Errorf("orgs.%s: has no credential", name))
			continue
		}
		t := &tenant{name: name, id: cmp.Or(org.ID, name)}
		if t.client, err = p.as(shared, org.Credential); err != nil {
			wrong = append(wrong, fmt.Errorf("orgs.%s: %w", name, err))
		}
		wrong = append(wrong, p.unlike(t, org))
		p.tenants = append(p.tenants, t)
	}
	return errors.Join(append(wrong, p.invite(shared))...)
}

// as returns a client that sends a credential over everybody's connections.
func (p *Probe) as(shared httpx.Settings, c Credential) (*httpx.Client, error) {
	own := httpx.Settings{Bearer: c.Bearer, Basic: c.Basic, OAuth2: c.OAuth2, Headers: c.Headers}
	if !own.HasCredential() {
		return nil, errors.New("has no credential: wanted bearer, basic, oauth2 or a secret header")
	}
	settings := shared.Merge(own)
	return settings.SharingConnections(p.base, p.Base)
}

// unlike refuses an org that is one of those before it by another name.
func (p *Probe) unlike(t *tenant, org *Tenant) error {
	for _, other := range p.tenants {
		switch {
		case strings.EqualFold(other.id, t.id):
			return fmt.Errorf("orgs.%s: has the id of %s: an org is not isolated from itself", t.name, other.name)
		case org.like(p.Orgs[other.name].Credential):
			return fmt.Errorf("orgs.%s: has the credential of %s: an org is not isolated from itself", t.name, other.name)
		}
	}
	return nil
}

// like reports whether two credentials are one.
func (c Credential) like(o Credential) bool {
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

// invite lists the strangers.
func (p *Probe) invite(shared httpx.Settings) error {
	var wrong []error
	p.strangers = []stranger{
		{name: "somebody without a credential", client: p.base, refused: p.Unauthenticated},
		{name: "somebody with a made-up credential", client: p.base, refused: p.Unauthenticated, forges: true},
	}
	if len(p.Strangers) > mostOrgs {
		wrong = append(wrong, fmt.Errorf("strangers: wanted %d at most", mostOrgs))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Strangers)) {
		s := p.Strangers[name]
		if s == nil {
			wrong = append(wrong, fmt.Errorf("strangers.%s: has no credential", name))
			continue
		}
		client, err := p.as(shared, s.Credential)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("strangers.%s: %w", name, err))
		}
		for _, t := range p.tenants {
			if s.like(p.Orgs[t.name].Credential) {
				wrong = append(wrong, fmt.Errorf("strangers.%s: has the credential of %s, which must be let in", name, t.name))
			}
		}
		refused := s.Status
		if refused.IsZero() {
			refused = union(p.Unauthenticated, httpx.Codes(401, 403))
		} else if !refused.Denial() || refused.Contains(429) {
			wrong = append(wrong, fmt.Errorf("strangers.%s.status: wanted statuses from 400 to 499 that say no; 429 says not now", name))
		}
		p.strangers = append(p.strangers, stranger{name: "the stranger " + name, client: client, refused: refused})
	}
	return errors.Join(wrong...)
}
