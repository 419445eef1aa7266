package token

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/probes/internal/expect"
)

// Bounds of the settings.
const (
	minLeeway   = probe.Duration(2 * time.Second) // iat tells whole seconds: less could not be shown
	minPause    = probe.Duration(100 * time.Millisecond)
	maxRequests = 120 // requests with a revoked token in one run
	maxKeysets  = 20  // key sets
)

// CheckTimeout refuses a latency that is never exceeded, since the run ends before.
func (p *Probe) CheckTimeout(timeout time.Duration) error {
	return expect.CheckLatency(p.Latency, timeout)
}

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
	_, err := guard.ClientFor(map[string]string{"issuer": p.Issuer})
	wrong = append(wrong, err)
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	elsewhere := p.ForOtherHost()
	elsewhere.AllowPlaintext = p.AllowPlaintext
	var ownErr, otherErr error
	p.own, ownErr = p.Settings.ClientFor(map[string]string{"issuer": p.Issuer})
	p.other, otherErr = elsewhere.Client("")
	return errors.Join(ownErr, otherErr)
}

func (p *Probe) validateIssuer() (wrong []error) {
	p.base, _ = url.Parse(p.Issuer)
	switch {
	case p.Issuer == "":
		wrong = append(wrong, probe.Settingf("issuer", "is missing"))
	case p.base == nil || p.base.RawQuery != "" || p.base.ForceQuery:
		wrong = append(wrong, probe.Settingf("issuer", "expected a URL without a query (RFC 8414, section 2)"))
	}
	if !p.Discovery && p.TokenURL == "" {
		wrong = append(wrong, probe.Settingf("token_url", "is missing, and without discovery nothing else says it"))
	}
	if !p.Discovery && p.JWKSURI == "" && !p.Opaque {
		wrong = append(wrong, probe.Settingf("jwks_uri", "is missing, and without discovery nothing else says it"))
	}
	if !p.Discovery && len(p.AllowHosts) > 0 {
		wrong = append(wrong, probe.Settingf("allow_hosts", "is about what discovery names, and discovery is off"))
	}
	for i, host := range p.AllowHosts {
		if u, err := url.Parse("https://" + host); err != nil || u.Host != host || u.Hostname() == "" {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("allow_hosts[%d]", i), "expected host or host:port"))
		}
	}
	return append(wrong, p.checkURL("token_url", p.TokenURL, true), p.checkURL("jwks_uri", p.JWKSURI, false))
}

func (p *Probe) validateClient() (wrong []error) {
	if p.ClientID == "" {
		wrong = append(wrong, probe.Settingf("client_id", "is missing"))
	}
	if p.ClientSecret.IsZero() {
		wrong = append(wrong, probe.Settingf("client_secret", "is missing"))
	}
	if p.Auth != "basic" && p.Auth != "post" {
		wrong = append(wrong, probe.Settingf("auth", "expected basic or post"))
	}
	for _, key := range p.Credentials() {
		wrong = append(wrong, probe.Settingf(key, "is not sent; the issuer knows the prober by client_id and client_secret"))
	}
	for _, name := range httpx.ReservedParams(p.Params) {
		wrong = append(wrong, probe.Settingf("params."+name, "is written by the prober, or secret, and cannot be given here"))
	}
	return wrong
}

func (p *Probe) validateToken() (wrong []error) {
	for _, s := range []struct {
		key string
		set bool
	}{
		{"audience", p.Audience != ""}, {"algs", len(p.Algs) > 0}, {"keysets", len(p.Keysets) > 0},
		{"lifetime", p.Lifetime != (Lifetime{})}, {"jwks_uri", p.JWKSURI != ""},
	} {
		if p.Opaque && s.set {
			wrong = append(wrong, probe.Settingf(s.key, "is not checked, since opaque says that the tokens are not JWTs"))
		}
	}
	if !p.Opaque && p.Audience == "" {
		wrong = append(wrong, probe.Settingf("audience", "is missing; without it a token for anyone would do"))
	}
	for i, alg := range p.Algs {
		if !slices.Contains(jwk.Algorithms, alg) {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("algs[%d]", i), "expected one of %s", strings.Join(jwk.Algorithms, ", ")))
		}
	}
	if p.Lifetime.Min < 0 {
		wrong = append(wrong, probe.Settingf("lifetime.min", "must be above zero"))
	}
	if p.Lifetime.Max < 0 || p.Lifetime.Max > 0 && p.Lifetime.Max < p.Lifetime.Min {
		wrong = append(wrong, probe.Settingf("lifetime.max", "must be above zero, and not below min"))
	}
	if p.Leeway < minLeeway {
		wrong = append(wrong, probe.Settingf("leeway", "expected at least %s, since iat tells whole seconds", minLeeway))
	}
	wrong = append(wrong, expect.ValidateLatency(p.Latency))
	if len(p.Keysets) > maxKeysets {
		wrong = append(wrong, probe.Settingf("keysets", "expected at most %d, got %d", maxKeysets, len(p.Keysets)))
	}
	for i, set := range p.Keysets {
		path := fmt.Sprintf("keysets[%d]", i)
		if set == "" || slices.Contains(p.Keysets[:i], set) {
			wrong = append(wrong, probe.Settingf(path, "is empty or listed twice"))
		}
		wrong = append(wrong, p.checkURL(path, set, false))
	}
	return wrong
}

func (p *Probe) validateRevocation() (wrong []error) {
	v := p.Revocation
	if v.Use.URL == "" {
		wrong = append(wrong, probe.Settingf("revocation.use.url", "is missing"))
	}
	if !p.Discovery && v.URL == "" {
		wrong = append(wrong, probe.Settingf("revocation.url", "is missing, and without discovery nothing else says it"))
	}
	v.defaults()
	if v.Use.Method != "" {
		wrong = append(wrong, probe.InSetting("revocation.use.method", httpx.ValidateMethod(v.Use.Method)))
	}
	if v.Use.Status.Contains(401) || v.Use.Status.Contains(403) {
		wrong = append(wrong, probe.Settingf("revocation.use.status", "401 and 403 are the answers to a token that is rejected"))
	}
	if v.Every < minPause || v.Within < v.Every || v.Within/v.Every > maxRequests {
		wrong = append(wrong, probe.Settingf("revocation.every", "expected %s to within, and at most %d requests", minPause, maxRequests))
	}
	return append(wrong, p.checkURL("revocation.url", v.URL, true), p.checkURL("revocation.use.url", v.Use.URL, true))
}

// checkURL reports why a URL cannot be asked, or must not be sent a credential.
func (p *Probe) checkURL(path, raw string, credential bool) error {
	s := httpx.Settings{AllowPlaintext: p.AllowPlaintext}
	if credential {
		s.Bearer = p.ClientSecret
	}
	_, err := s.ClientFor(map[string]string{path: raw})
	return err
}
