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
	"prober/internal/sorted"
	"prober/probes/internal/expect"
)

// A tenant is a test org with the client that acts as it.
type tenant struct {
	name, id string
	client   *httpx.Client
}

// An unauthorizedCaller must be accepted nowhere.
type unauthorizedCaller struct {
	name    string // for messages
	client  *httpx.Client
	madeUp  bool           // sends a new made-up credential with each request
	named   bool           // by the settings, which may expect refusals of its own
	refused expect.Denials // of its own; none: as every unauthenticated request
}

// buildClients makes a client for each org and each unauthorized caller, all over the same connections.
func (p *Probe) buildClients() error {
	shared := p.Settings
	shared.Headers, p.orgHeaders = map[string]httpx.Value{}, map[string]string{}
	for name, v := range p.Settings.Headers {
		if strings.Contains(v.Text, "{org}") {
			p.orgHeaders[http.CanonicalHeaderKey(name)] = v.Text
		} else {
			shared.Headers[name] = v
		}
	}
	shared.Confidential = p.hasSecretIDs()
	anonymous, err := shared.ClientFor(map[string]string{"base": p.Base})
	if err != nil {
		return err
	}
	p.anonymous = anonymous
	var wrong []error
	if len(p.Orgs) < 2 || len(p.Orgs) > maxOrgs {
		wrong = append(wrong, probe.Settingf("orgs", "expected 2 to %d, got %d", maxOrgs, len(p.Orgs)))
	}
	p.tenants = nil
	for _, name := range sorted.Keys(p.Orgs) {
		org, path := p.Orgs[name], "orgs."+name
		if org == nil {
			wrong = append(wrong, probe.Settingf(path, "has no credential"))
			continue
		}
		wrong = append(wrong, probe.InSetting(path, probe.ValidateName(name)))
		t := &tenant{name: name, id: cmp.Or(org.ID, name)}
		if p.Mismatch == "trust" && !org.given() {
			t.client = p.anonymous
		} else if t.client, err = p.clientFor(shared, org.Credential); err != nil {
			wrong = append(wrong, probe.InSetting(path, err))
		}
		wrong = append(wrong, probe.InSetting(path, p.rejectDuplicateOrg(t, org)))
		p.tenants = append(p.tenants, t)
	}
	return errors.Join(append(wrong, p.buildUnauthorized(shared))...)
}

// hasSecretIDs reports whether a URL may hold a secret: the id of a permanent canary.
func (p *Probe) hasSecretIDs() bool {
	for _, resource := range p.Resources {
		for _, canary := range resource.Canaries {
			if !canary.ID.Secret.IsZero() {
				return true
			}
		}
	}
	return false
}

// refusedBy returns the responses to a request that refuse the caller.
func (c *unauthorizedCaller) refusedBy(tmpl *Template) expect.Denials {
	switch {
	case !c.refused.IsZero():
		return c.refused
	case c.named:
		return either(tmpl.Unauthenticated, expect.DeniedBy(http.StatusUnauthorized, http.StatusForbidden))
	}
	return tmpl.Unauthenticated
}

// clientFor returns a client that sends a credential over the shared connections.
func (p *Probe) clientFor(shared httpx.Settings, c Credential) (*httpx.Client, error) {
	own := c.settings()
	if !own.HasCredential() {
		return nil, probe.Settingf("", "has no credential: expected bearer, basic, oauth2, login or a secret header")
	}
	settings := shared.Merge(own)
	return settings.SharingConnections(p.anonymous, map[string]string{"": p.Base})
}

// settings returns the credential as settings of requests.
func (c Credential) settings() httpx.Settings {
	return httpx.Settings{Bearer: c.Bearer, Basic: c.Basic, OAuth2: c.OAuth2, Login: c.Login, Headers: c.Headers}
}

// given reports whether there is anything to authenticate with.
func (c Credential) given() bool {
	own := c.settings()
	return own.HasCredential() || len(c.Headers) > 0
}

// rejectDuplicateOrg returns an error if an org is one of those before it under another name.
func (p *Probe) rejectDuplicateOrg(t *tenant, org *Org) error {
	for _, other := range p.tenants {
		switch {
		case strings.EqualFold(other.id, t.id):
			return probe.Settingf("id", "has the id of %s: an org is not isolated from itself", other.name)
		case p.Mismatch != "trust" && org.equal(p.Orgs[other.name].Credential):
			return probe.Settingf("", "has the credential of %s: an org is not isolated from itself", other.name)
		}
	}
	return nil
}

// equal reports whether two credentials are the same.
func (c Credential) equal(other Credential) bool {
	switch {
	case !c.Bearer.IsZero():
		return c.Bearer == other.Bearer
	case c.Basic != nil:
		return other.Basic != nil && *c.Basic == *other.Basic
	case c.OAuth2 != nil:
		return other.OAuth2 != nil && c.OAuth2.ClientID == other.OAuth2.ClientID && c.OAuth2.ClientSecret == other.OAuth2.ClientSecret &&
			c.OAuth2.Username == other.OAuth2.Username && c.OAuth2.Password == other.OAuth2.Password && c.OAuth2.RefreshToken == other.OAuth2.RefreshToken &&
			slices.Equal(c.OAuth2.Scopes, other.OAuth2.Scopes) && maps.Equal(c.OAuth2.Params, other.OAuth2.Params)
	case c.Login != nil:
		return c.Login.Equal(other.Login)
	}
	return len(c.Headers) > 0 && maps.Equal(c.Headers, other.Headers)
}

// buildUnauthorized lists the callers that must be accepted nowhere.
func (p *Probe) buildUnauthorized(shared httpx.Settings) error {
	var wrong []error
	p.unauthorized = nil
	// Where no org has a credential, a caller without one is an org like any other.
	if slices.ContainsFunc(slices.Collect(maps.Values(p.Orgs)), func(org *Org) bool { return org != nil && org.given() }) {
		p.unauthorized = []unauthorizedCaller{
			{name: "a caller without a credential", client: p.anonymous},
			{name: "a caller with a made-up credential", client: p.anonymous, madeUp: true},
		}
	}
	if len(p.UnauthorizedCredentials) > maxOrgs {
		wrong = append(wrong, probe.Settingf("unauthorized_credentials", "expected at most %d, got %d", maxOrgs, len(p.UnauthorizedCredentials)))
	}
	for _, name := range sorted.Keys(p.UnauthorizedCredentials) {
		c, path := p.UnauthorizedCredentials[name], "unauthorized_credentials."+name
		if c == nil {
			wrong = append(wrong, probe.Settingf(path, "has no credential"))
			continue
		}
		wrong = append(wrong, probe.InSetting(path, probe.ValidateName(name)))
		client, err := p.clientFor(shared, c.Credential)
		wrong = append(wrong, probe.InSetting(path, err))
		for _, t := range p.tenants {
			if c.equal(p.Orgs[t.name].Credential) {
				wrong = append(wrong, probe.Settingf(path, "has the credential of %s, which must be accepted", t.name))
			}
		}
		wrong = append(wrong, probe.InSetting(path+".status", c.Status.Validate()))
		p.unauthorized = append(p.unauthorized, unauthorizedCaller{name: "the unauthorized credential " + name, client: client, named: true, refused: c.Status})
	}
	return errors.Join(wrong...)
}
