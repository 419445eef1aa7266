// Package jwks asks whether every verifier publishes the keys that it must.
package jwks

import (
	"context"
	"slices"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/budget"
	"prober/probes/internal/issuance"
	"prober/probes/internal/replicas"
)

// Probe reads the public keys of every verifier of tokens, and of every replica behind a name: from JSON Web Key Sets
// (RFC 7517) or, of a verifier that has no endpoint, from the bundle of PEM blocks that it is given. It answers «Verify
// JWT_KEY_ID_CURRENT matches a key in JWT_PUBLIC_KEYS_PEM on all verifiers»: whether the key that signs is there, is the
// same everywhere and can verify, whether a revoked one is gone, and whether anything is published that must not be.
// Over time it also tells whether keys are published before they sign and kept until their last token has expired.
type Probe struct {
	httpx.Settings `yaml:",inline"`

	URLs      []string            `yaml:"urls" doc:"key sets of verifiers that have one address each, or of the issuer"`
	Verifiers map[string]Verifier `yaml:"verifiers" doc:"by name, verifiers with replicas or without an endpoint"`
	Kids      []secret.Public     `yaml:"kids" doc:"ids of keys that every verifier must have; each a text, {file: PATH} or {env: NAME}"`
	Revoked   []secret.Public     `yaml:"revoked" empty:"true" doc:"ids of keys that no verifier may have"`
	Issuance  *httpx.OAuth2       `yaml:"issuance" renamed:"fresh" doc:"where a token is issued in each run; the key that signed it must be published"`
	Algs      []string            `yaml:"algs" doc:"signature algorithms that verifiers allow; default: all asymmetric ones"`

	Grace       probe.Duration `yaml:"grace" doc:"how long a key stays published after its last signature; no cache may keep a set for longer"`
	CacheTTL    probe.Duration `yaml:"cache_ttl" doc:"minimum time that verifiers keep a set; default: what the responses say"`
	Propagation probe.Duration `yaml:"propagation" doc:"how long verifiers may differ while a change spreads; default: two runs"`
	Leeway      probe.Duration `yaml:"leeway" doc:"how long after its expiry a token may still be accepted, to allow for clock skew"`

	AllowCached    bool `yaml:"allow_cached" doc:"accept a set from a cache; it does not prove that a key is absent"`
	AllowExponent3 bool `yaml:"allow_exponent_3" doc:"accept RSA keys with the exponent 3"`

	client  *httpx.Client
	issuer  *httpx.Client // asks for the fresh token; nil without fresh
	history keyHistory
}

// Verifier is one that is more, or other, than one URL.
type Verifier struct {
	URL      string            `yaml:"url" doc:"where it publishes its key set; Host and SNI stay when a replica is asked"`
	Replicas replicas.Replicas `yaml:"replicas" doc:"where its replicas are and how many there must be"`
	PEM      secret.Public     `yaml:"pem" doc:"the bundle of public keys that it is given, instead of a url; newlines may be escaped"`
	Kids     []secret.Public   `yaml:"kids" doc:"the ids of the keys of the bundle, in order, because PEM has none"`
}

// Reasons of the jwks kind, beside those that it shares with token.
var (
	reasonMissing = probe.Reason{Word: "kid_missing", Verdict: probe.Fail, Text: "no verifier has the key",
		Action: "Publish the key again, or correct kids in the probe: tokens that it signed are rejected everywhere."}
	reasonReplicaMissing = probe.Reason{Word: "replica_missing_kid", Verdict: probe.Fail, Text: "some have it, this one does not",
		Action: "Restart or refresh the replica that the detail names: it has not fetched the current keys."}
	reasonEmpty = probe.Reason{Word: "empty_keyset", Verdict: probe.Fail, Text: "no key for verification",
		Action: "Restore the key set: without a key every token is rejected."}
	reasonDuplicate = probe.Reason{Word: "duplicate_kid", Verdict: probe.Fail, Text: "two keys of one type have the same id in one set",
		Action: "Remove one of the two keys, or give it an id of its own: verifiers choose either."}
	reasonReused = probe.Reason{Word: "kid_reused", Verdict: probe.Fail, Seen: true, Text: "the id identified another key before",
		Action: "Give the new key a new id: verifiers that cached the old one reject its tokens."}
	reasonConflict = probe.Reason{Word: "kid_conflict", Verdict: probe.Fail, Seen: true, Text: "verifiers have different keys under one id",
		Action: "Find the verifier with the wrong key and have it fetch its keys again."}
	reasonDisagreement = probe.Reason{Word: "replica_disagreement", Verdict: probe.Fail, Seen: true, Text: "verifiers do not have the same keys",
		Action: "Have the verifiers fetch their keys again, and find out why one of them is behind."}
	reasonWeak = probe.Reason{Word: "weak_key", Verdict: probe.Fail, Text: "weaker than RFC 7518, section 3.3, requires",
		Action: "Rotate to a key that is long enough; it still works, but it can be attacked."}
	reasonBadKey = probe.Reason{Word: "bad_key", Verdict: probe.Fail, Text: "a required key cannot be read",
		Action: "Publish the key again in a form that can be read: verifiers skip it, and its tokens are rejected."}
	reasonAlgorithm = probe.Reason{Word: "alg_mismatch", Verdict: probe.Fail, Text: "a required key cannot verify as configured",
		Action: "Correct alg or kty of the published key: verifiers will not use it for its tokens."}
	reasonCertificate = probe.Reason{Word: "wrong_certificate", Verdict: probe.Fail, Text: "a key comes with the certificate of another key",
		Action: "Publish the certificate of this key (x5c), or leave it out."}
	reasonCache = probe.Reason{Word: "cache_outlives_grace", Verdict: probe.Fail, Text: "a set may be cached for longer than its keys are published",
		Action: "Shorten Cache-Control, or keep old keys published for longer than that."}
)

// Measures of the jwks kind.
var (
	stateGauge = &probe.Measure{
		Name:   "probe_jwks_state",
		Help:   "1 for the state of all verifiers together in the last run, 0 for the others.",
		Labels: []string{"state"},
	}
	kidPresentGauge = &probe.Measure{
		Name:   "probe_jwks_kid_present",
		Help:   "1 if the configured kid was in the key set in the last run, 0 if not.",
		Labels: []string{"target", "kid"},
	}
	keysGauge = &probe.Measure{
		Name:   "probe_jwks_keys",
		Help:   "Keys for verification in the key set in the last run.",
		Labels: []string{"target"},
	}
	ignoredKeysGauge = &probe.Measure{
		Name:   "probe_jwks_keys_ignored",
		Help:   "Entries of the key set in the last run that verify nothing, by problem: unknown_type, unreadable, not_for_signing, malformed, private_key.",
		Labels: []string{"target", "problem"},
	}
	maxAgeGauge = &probe.Measure{
		Name:   "probe_jwks_max_age_seconds",
		Help:   "How long the last response may be cached; absent if it does not say.",
		Labels: []string{"target"},
	}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return New() },
		Summary:  "the keys of every verifier and replica: present, equal, usable, nothing private, and rotated in time",
		Measures: []*probe.Measure{stateGauge, kidPresentGauge, keysGauge, ignoredKeysGauge, maxAgeGauge},
		Reasons: []probe.Reason{
			reasonMissing, reasonReplicaMissing, reasonEmpty, reasonDuplicate, reasonReused, reasonConflict, reasonDisagreement, reasonWeak, reasonBadKey, reasonAlgorithm,
			reasonCertificate, issuance.RevokedKeyPublished, reasonCache, issuance.PublishedTooLate, issuance.GraceTooShort,
			issuance.SigningWithUnpublishedKey, issuance.NoKeyID, issuance.AlgorithmNotAllowed, issuance.CriticalHeader, issuance.KeyUnusable, issuance.BadSignature,
		},
		Traits: probe.Traits{HTTPLatency: true},
	}
}

var (
	_ probe.Closer = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe {
	p := &Probe{Leeway: probe.Duration(time.Minute)}
	p.MaxBody = 256 << 10
	return p
}

// Checks names what a run notes, what is most urgent first.
func (p *Probe) Checks() []string {
	var names []string
	for _, c := range []struct {
		name  string
		wants bool
	}{
		{"private", true},
		{"revoked", len(p.Revoked) > 0},
		{"kid", len(p.Kids) > 0 || p.Issuance != nil},
		{"signing", p.Issuance != nil},
		{"agreement", true},
		{"keyset", true},
		{"strength", true},
		{"cache", p.Grace > 0},
		{"rotation", p.Issuance != nil},
		{"replicas", p.hasReplicas()},
	} {
		if c.wants {
			names = append(names, c.name)
		}
	}
	return names
}

func (p *Probe) hasReplicas() bool {
	for _, v := range p.Verifiers {
		if !v.Replicas.None() {
			return true
		}
	}
	return false
}

// Close ends the connections that are kept for reuse. The probe may still be asked.
func (p *Probe) Close() {
	p.client.Close()
	if p.issuer != nil {
		p.issuer.Close()
	}
}

// A runState is one run of a JWKS probe.
type runState struct {
	*Probe
	r         *probe.Result
	now       time.Time
	kids      resolved
	revoked   resolved
	issued    issuedToken
	snapshots []keySetSnapshot
}

// resolved are texts of the configuration as they are now, or why they could not be read.
type resolved struct {
	list []string
	err  error
}

// Ask has a token issued first and reads the key sets then: what signs by then must be published by then. What was
// seen is noted check by check, so that the first that fails is the most urgent one.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	run := &runState{Probe: p, r: r, kids: resolve(p.Kids), revoked: resolve(p.Revoked)}
	first, done := budget.Share(ctx, 0.35)
	run.issued = p.issue(first, r)
	done()
	places, ok := p.endpoints(ctx, r)
	if !ok {
		return
	}
	run.snapshots = make([]keySetSnapshot, len(places))
	targets := make([]string, len(places))
	for i, place := range places {
		targets[i] = place.target
	}
	r.Each(targets, func(i int, r *probe.Result) { run.snapshots[i] = p.snapshot(ctx, r, places[i]) })
	run.now = time.Now()
	run.judge()
}

// judge notes every check, in the order of Checks, and the state.
func (run *runState) judge() {
	keys := run.compare()
	observed := run.history.update(run, keys)
	run.each(run.checkPrivate)
	run.each(run.checkRevoked)
	run.each(run.checkPresent)
	run.checkSigning()
	run.checkAgreement(keys, observed)
	run.each(run.checkParsed)
	run.each(run.checkStrength)
	run.each(run.checkCache)
	run.checkRotation(observed)
	run.checkReplicas()
	run.measure(keys)
}

// each notes one check for every verifier and replica.
func (run *runState) each(note func(r *probe.Result, v *keySetSnapshot)) {
	targets := make([]string, len(run.snapshots))
	for i, v := range run.snapshots {
		targets[i] = v.target
	}
	run.r.Each(targets, func(i int, r *probe.Result) { note(r, &run.snapshots[i]) })
}

// describeKid is how a kid is spoken of: shown only if the configuration names it.
func (run *runState) describeKid(kid string) string {
	if slices.Contains(run.kids.list, kid) || slices.Contains(run.revoked.list, kid) {
		return "the kid " + quoted(kid)
	}
	return "another kid"
}
