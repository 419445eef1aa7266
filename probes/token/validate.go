package token

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
)

// Bounds of the settings.
const (
	leastLeeway  = probe.Duration(2 * time.Second) // iat tells whole seconds: less could not be shown
	leastPause   = probe.Duration(100 * time.Millisecond)
	mostLooks    = 120 // requests with a revoked token in one run
	mostVerifies = 20  // key sets
)

// Validate reports what is wrong with the settings.
func (p *Probe) Validate() error {
	wrong := slices.Concat(p.validateIssuer(), p.validateClient(), p.validateToken())
	if p.Revocation != nil {
		wrong = append(wrong, p.validateRevocation()...)
	}
	guard := p.Settings
	if !guard.HasCredential() {
		guard.Bearer = p.ClientSecret // it is sent by the same settings
	}
	_, err := guard.Client(p.Issuer)
	wrong = append(wrong, err)
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	elsewhere := p.ForOtherHost()
	elsewhere.AllowPlaintext = p.AllowPlaintext
	var ownErr, otherErr error
	p.own, ownErr = p.Settings.Client(p.Issuer)
	p.other, otherErr = elsewhere.Client("")
	return errors.Join(ownErr, otherErr)
}

func (p *Probe) validateIssuer() (wrong []error) {
	p.base, _ = url.Parse(p.Issuer)
	switch {
	case p.Issuer == "":
		wrong = append(wrong, errors.New("issuer: is missing"))
	case p.base == nil || p.base.RawQuery != "" || p.base.ForceQuery:
		wrong = append(wrong, errors.New("issuer: wanted a URL without a query (RFC 8414, section 2)"))
	}
	if !p.Discovery && p.TokenURL == "" {
		wrong = append(wrong, errors.New("token_url: is missing, and without discovery nothing else says it"))
	}
	if !p.Discovery && p.JWKSURI == "" && !p.Opaque {
		wrong = append(wrong, errors.New("jwks_uri: is missing, and without discovery nothing else says it"))
	}
	if !p.Discovery && len(p.AllowHosts) > 0 {
		wrong = append(wrong, errors.New("allow_hosts: is about what discovery names, and discovery is off"))
	}
	for _, host := range p.AllowHosts {
		if u, err := url.Parse("https://" + host); err != nil || u.Host != host || u.Hostname() == "" {
			wrong = append(wrong, errors.New("allow_hosts: wanted host or host:port"))
		}
	}
	return append(wrong, p.fit("token_url", p.TokenURL, true), p.fit("jwks_uri", p.JWKSURI, false))
}

func (p *Probe) validateClient() (wrong []error) {
	if p.ClientID == "" {
		wrong = append(wrong, errors.New("client_id: is missing"))
	}
	if p.ClientSecret.IsZero() {
		wrong = append(wrong, errors.New("client_secret: is missing"))
	}
	if p.Auth != "basic" && p.Auth != "post" {
		wrong = append(wrong, errors.New("auth: wanted basic or post"))
	}
	if !p.Bearer.IsZero() || p.Basic != nil || p.OAuth2 != nil {
		wrong = append(wrong, errors.New("bearer, basic, oauth2: none is sent; the issuer knows the prober by client_id and client_secret"))
	}
	for _, name := range httpx.ReservedParams(p.Params) {
		wrong = append(wrong, fmt.Errorf("params: %s cannot be given here", name))
	}
	return wrong
}

func (p *Probe) validateToken() (wrong []error) {
	bounded := p.Audience != "" || len(p.Algs) > 0 || len(p.Keysets) > 0 || p.Lifetime != (Lifetime{}) || p.JWKSURI != ""
	switch {
	case p.Opaque && bounded:
		wrong = append(wrong, errors.New("opaque: then audience, algs, lifetime, jwks_uri and keysets cannot be looked at"))
	case !p.Opaque && p.Audience == "":
		wrong = append(wrong, errors.New("audience: is missing; without it a token for anybody would do"))
	}
	for _, alg := range p.Algs {
		if !slices.Contains(jwk.Algorithms, alg) {
			wrong = append(wrong, fmt.Errorf("algs: %q is none that a published key verifies: %v", alg, jwk.Algorithms))
		}
	}
	if p.Lifetime.Min < 0 || p.Lifetime.Max < 0 || p.Lifetime.Max > 0 && p.Lifetime.Max < p.Lifetime.Min {
		wrong = append(wrong, errors.New("lifetime: wanted min and max above zero, and min not above max"))
	}
	if p.Leeway < leastLeeway {
		wrong = append(wrong, fmt.Errorf("leeway: wanted at least %s, since iat tells whole seconds", leastLeeway))
	}
	if p.Latency < 0 {
		wrong = append(wrong, errors.New("latency: must be above zero"))
	}
	if len(p.Keysets) > mostVerifies {
		wrong = append(wrong, fmt.Errorf("keysets: at most %d can be asked", mostVerifies))
	}
	for i, set := range p.Keysets {
		if set == "" || slices.Contains(p.Keysets[:i], set) {
			wrong = append(wrong, fmt.Errorf("keysets: the URL at place %d is missing or stands there twice", i+1))
		}
		wrong = append(wrong, p.fit("keysets", set, false))
	}
	return wrong
}

func (p *Probe) validateRevocation() (wrong []error) {
	v := p.Revocation
	if v.Use.URL == "" {
		wrong = append(wrong, errors.New("revocation.use.url: is missing"))
	}
	if !p.Discovery && v.URL == "" {
		wrong = append(wrong, errors.New("revocation.url: is missing, and without discovery nothing else says it"))
	}
	v.defaults()
	if v.Use.Status.Contains(401) || v.Use.Status.Contains(403) {
		wrong = append(wrong, errors.New("revocation.use.status: 401 and 403 are the answers to a token that is refused"))
	}
	if v.Every < leastPause || v.Within < v.Every || v.Within/v.Every > mostLooks {
		wrong = append(wrong, fmt.Errorf("revocation: wanted every from %s to within, and at most %d looks", leastPause, mostLooks))
	}
	return append(wrong, p.fit("revocation.url", v.URL, true), p.fit("revocation.use.url", v.Use.URL, true))
}

// fit reports why a URL cannot be asked, or must not be sent a credential.
func (p *Probe) fit(key, raw string, credential bool) error {
	s := httpx.Settings{AllowPlaintext: p.AllowPlaintext}
	if credential {
		s.Bearer = p.ClientSecret
	}
	if _, err := s.Client(raw); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}
