package jwks

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/sorted"
	"prober/internal/text"
	"prober/probes/internal/replicas"
)

// maxKids bounds how many ids are looked for, and so the series that show them.
const maxKids = 20

// Validate reports what is wrong with the settings.
func (p *Probe) Validate() error {
	var wrong []error
	urls := map[string]string{} // by the path of their setting
	if len(p.URLs) == 0 && len(p.Verifiers) == 0 {
		wrong = append(wrong, probe.Settingf("", "nothing to ask: expected urls or verifiers"))
	}
	names, alone := map[string]bool{}, slices.Clone(p.URLs)
	for i, raw := range p.URLs {
		path := fmt.Sprintf("urls[%d]", i)
		urls[path] = raw
		if name := targetName(raw); raw == "" {
			wrong = append(wrong, probe.Settingf(path, "is empty"))
		} else if names[name] {
			wrong = append(wrong, probe.Settingf(path, "%s is listed twice; to tell two apart that differ in their query, name them under verifiers", name))
		} else {
			names[name] = true
		}
	}
	for _, name := range sorted.Keys(p.Verifiers) {
		v, path := p.Verifiers[name], "verifiers."+name
		wrong = append(wrong, probe.InSetting(path, v.validate()))
		p.Verifiers[name] = v // its replicas are written as they are dialled
		if names[name] || name == "" || strings.ContainsFunc(name, unicode.IsSpace) || len(name) > 64 {
			wrong = append(wrong, probe.Settingf(path, "expected a name of one word, at most 64 bytes, that is not among urls"))
		}
		if v.URL != "" && v.Replicas.None() && slices.Contains(alone, v.URL) {
			wrong = append(wrong, probe.Settingf(path+".url", "another verifier has the same one, and would always agree with it"))
		}
		urls[path+".url"] = v.URL
		if v.Replicas.None() {
			alone = append(alone, v.URL)
		}
	}
	if len(p.URLs)+len(p.Verifiers) > replicas.MaxReplicas {
		wrong = append(wrong, probe.Settingf("", "expected at most %d urls and verifiers, got %d", replicas.MaxReplicas, len(p.URLs)+len(p.Verifiers)))
	}
	client, err := p.ClientFor(urls)
	p.client = client
	wrong = append(wrong, err, p.validateKids(), p.validateTimes(), p.validateIssuance())
	return errors.Join(wrong...)
}

func (v *Verifier) validate() error {
	var wrong []error
	switch {
	case (v.URL == "") == v.PEM.IsZero():
		wrong = append(wrong, probe.Settingf("", "expected url or pem, and not both"))
	case v.URL == "" && !v.Replicas.None():
		wrong = append(wrong, probe.Settingf("replicas", "a pem is the same for all of them; name their url to ask each"))
	case v.URL != "" && len(v.Kids) > 0:
		wrong = append(wrong, probe.Settingf("kids", "a key set names its own; the ids that it must have belong to the probe's kids"))
	case !v.PEM.IsZero() && len(v.Kids) == 0:
		wrong = append(wrong, probe.Settingf("kids", "expected the names of the pem's keys in their order, since a bundle has no ids of its own"))
	}
	wrong = append(wrong, distinct("kids", v.Kids), probe.InSetting("replicas", v.Replicas.Validate()))
	return errors.Join(wrong...)
}

func (p *Probe) validateKids() error {
	wrong := []error{distinct("kids", p.Kids), distinct("revoked", p.Revoked)}
	if len(p.Revoked) > 0 && p.namesItself() {
		wrong = append(wrong, probe.Settingf("revoked", "no verifier names its keys itself, and a bundle has the ids that you write: "+
			"that a revoked one is not among them proves nothing; name a url, or take the ids from where the verifiers have them"))
	}
	for i, kid := range p.Revoked {
		if slices.Contains(p.Kids, kid) {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("revoked[%d]", i), "is among kids too: it cannot be both there and gone"))
		}
	}
	for i, alg := range p.Algs {
		if !slices.Contains(jwk.Algorithms, alg) || slices.Contains(p.Algs[:i], alg) {
			wrong = append(wrong, probe.Settingf(fmt.Sprintf("algs[%d]", i), "expected one of %s, each once", strings.Join(jwk.Algorithms, ", ")))
		}
	}
	return errors.Join(wrong...)
}

// namesItself reports whether every id that is looked at is a text of the configuration.
func (p *Probe) namesItself() bool {
	for _, v := range p.Verifiers {
		if v.URL != "" || slices.ContainsFunc(v.Kids, func(kid secret.Public) bool { return kid.Source() != "" }) {
			return false
		}
	}
	return len(p.URLs) == 0 && len(p.Verifiers) > 0
}

// distinct tells what about a list of ids makes no sense.
func distinct(key string, kids []secret.Public) error {
	if len(kids) > maxKids {
		return probe.Settingf(key, "expected at most %d, got %d", maxKids, len(kids))
	}
	for i, kid := range kids {
		text, err := "", error(nil)
		if kid.Source() == "" {
			text, err = word(kid)
		}
		if kid.IsZero() || err != nil {
			return probe.Settingf(fmt.Sprintf("%s[%d]", key, i), "expected a text of one line")
		}
		if slices.Contains(kids[:i], kid) {
			return probe.Settingf(fmt.Sprintf("%s[%d]", key, i), "%s is listed twice", quoted(text)+kid.Source())
		}
	}
	return nil
}

func (p *Probe) validateTimes() error {
	var wrong []error
	for key, d := range map[string]probe.Duration{"grace": p.Grace, "cache_ttl": p.CacheTTL, "propagation": p.Propagation, "leeway": p.Leeway} {
		if d < 0 {
			wrong = append(wrong, probe.Settingf(key, "must not be below zero"))
		}
	}
	if p.Grace > 0 && p.CacheTTL > p.Grace {
		wrong = append(wrong, probe.Settingf("cache_ttl", "%s is longer than the grace of %s: a verifier would still have keys that are gone", p.CacheTTL, p.Grace))
	}
	return errors.Join(wrong...)
}

// validateIssuance makes the issuer that is asked for a token. Only its own secret is sent to it.
func (p *Probe) validateIssuance() error {
	if p.Issuance == nil {
		return nil
	}
	settings := p.ForOtherHost()
	settings.AllowPlaintext, settings.OAuth2 = p.AllowPlaintext, p.Issuance
	if _, err := settings.Client(""); err != nil {
		return probe.MoveSetting("oauth2", "issuance", err)
	}
	settings.OAuth2 = nil // the token is asked for, not carried
	client, err := settings.Client("")
	if err != nil {
		return probe.MoveSetting("oauth2", "issuance", err)
	}
	p.issuer = client
	return nil
}

// resolve reads texts of the configuration at their sources.
func resolve(texts []secret.Public) resolved {
	var w resolved
	for _, p := range texts {
		text, err := word(p)
		if err != nil {
			return resolved{err: err}
		}
		w.list = append(w.list, text)
	}
	return w
}

// word reads an id: a text of one line.
func word(p secret.Public) (string, error) {
	text, err := p.Read()
	if err != nil {
		return "", err
	}
	if text == "" || len(text) > 256 || strings.ContainsFunc(text, unicode.IsControl) {
		return "", fmt.Errorf("expected an id of one line, up to 256 bytes, from %s", p.Source())
	}
	return text, nil
}

// quoted shows a text of the configuration; nothing of an empty one.
func quoted(text string) string {
	if text == "" {
		return ""
	}
	return strconv.Quote(text)
}

// targetName returns a URL without what may be secret in it.
func targetName(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return text.URL(u)
}
