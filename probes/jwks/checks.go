package jwks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"prober/internal/drop"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/issuance"
)

// problems counts the keys of a set by what is wrong with them.
func (v *keySetSnapshot) problems() map[jwk.Problem]int {
	n := map[jwk.Problem]int{}
	for i := range v.set {
		n[v.set[i].Problem]++
	}
	return n
}

// checkPrivate notes whether a set holds what nobody may know. The finding counts wherever it was read, and that there is
// nothing only where the set is sure.
func (run *runState) checkPrivate(r *probe.Result, v *keySetSnapshot) {
	n := v.problems()[jwk.Private]
	switch {
	case n > 0:
		r.Fail("private", probe.PrivateKey, "%d of %s private or symmetric material: whoever has read it can sign tokens, so revoke it now",
			n, text.Plural(len(v.set), "key holds", "keys hold"))
	case v.authoritative():
		r.Pass("private", "nothing private in %s", text.Count(len(v.set), "key"))
	}
}

// checkRevoked notes whether the revoked keys are absent. That one is there counts wherever it is; that none is there is proven
// only by the origin's own words, read to the last.
func (run *runState) checkRevoked(r *probe.Result, v *keySetSnapshot) {
	const check = "revoked"
	if len(run.Revoked) == 0 {
		return
	}
	if run.revoked.err != nil {
		r.Inconclusive(check, probe.Credential, "%s", run.revoked.err)
		return
	}
	still := drop.If(slices.Clone(run.revoked.list), func(kid string) bool { return len(v.set.Find(kid)) == 0 })
	renamed := run.history.renamed(v.set, run.revoked.list)
	switch {
	case len(still) > 0 && v.cached != "" && run.history.revokedFor(still, run.now) <= run.tokenLifetime(v)+v.stale:
		r.Inconclusive(check, probe.StaleOrCached, "expected no %s, got it in a cached copy (%s), which may be older than the revocation",
			quotedAll(still), v.cached)
	case len(still) > 0:
		r.Fail(check, issuance.RevokedKeyPublished, "expected no %s, got it still published: tokens signed with it are accepted", quotedAll(still))
	case renamed != "" && v.cached == "":
		r.Fail(check, issuance.RevokedKeyPublished, "the key of %s is still published, under another kid: tokens signed with it are accepted", quoted(renamed))
	case v.set == nil:
		r.Inconclusive(check, probe.ControlFailed, "the key set could not be read, so the revoked keys may still be published")
	case v.cached != "":
		r.Inconclusive(check, probe.StaleOrCached, "not in a cached copy (%s), which does not prove that they are gone", v.cached)
	case v.problems()[jwk.Malformed] > 0:
		r.Inconclusive(check, probe.ControlFailed, "not among the readable keys, but the ids of some keys cannot be read")
	default:
		r.Pass(check, "%s not in the set", quotedAll(run.revoked.list))
	}
}

func quotedAll(kids []string) string {
	shown := make([]string, len(kids))
	for i, kid := range kids {
		shown[i] = quoted(kid)
	}
	return strings.Join(shown, ", ")
}

// checkPresent notes whether a verifier has the keys that it must have, and whether they can verify.
func (run *runState) checkPresent(r *probe.Result, v *keySetSnapshot) {
	const check = "kid"
	if run.kids.err != nil {
		r.Inconclusive(check, probe.Credential, "kids: %s", run.kids.err)
		return
	}
	wanted := run.expectedKids()
	if !v.authoritative() || len(wanted) == 0 {
		return
	}
	for _, kid := range wanted {
		if len(v.set.Find(kid)) > 0 {
			continue
		}
		switch having, sure := run.coverage(kid); {
		case having > 0:
			r.Fail(check, reasonReplicaMissing, "expected %s, got a set without it; %d of %d verifiers lack it", run.describeKidShort(kid), sure-having, sure)
		case sure > 1:
			r.Fail(check, reasonMissing, "expected %s, got a set without it, like every other verifier", run.describeKidShort(kid))
		default:
			r.Fail(check, reasonMissing, "expected %s, got a set without it", run.describeKidShort(kid))
		}
		return
	}
	for _, kid := range wanted {
		if o := run.checkUsable(v, kid); !o.Passed() {
			r.Report(check, o.Reason, "%s %s", run.describeKidShort(kid), o.Detail)
			return
		}
	}
	r.Pass(check, "%s in the set and fit to verify", shortList(run, wanted))
}

// expectedKids lists the kids that every verifier must have: those of the settings and, unless no verifier has it, which another
// check reports, that of the fresh token.
func (run *runState) expectedKids() []string {
	wanted := slices.Clone(run.kids.list)
	if kid := run.issued.kid(); kid != "" && !slices.Contains(wanted, kid) {
		if having, _ := run.coverage(kid); having > 0 {
			wanted = append(wanted, kid)
		}
	}
	return wanted
}

// describeKidShort is how an expected kid is spoken of: shown only if the configuration names it.
func (run *runState) describeKidShort(kid string) string {
	if slices.Contains(run.kids.list, kid) {
		return "the kid " + quoted(kid)
	}
	return "the kid of a fresh token"
}

func shortList(run *runState, kids []string) string {
	said := make([]string, len(kids))
	for i, kid := range kids {
		said[i] = run.describeKidShort(kid)
	}
	return strings.Join(said, " and ")
}

// checkUsable says why the key of a kid cannot verify what it must.
func (run *runState) checkUsable(v *keySetSnapshot, kid string) probe.Outcome {
	switch run.problemOf(v, kid) {
	case jwk.Private:
		return probe.Outcomef(probe.ControlFailed, "is published with private material, so it is not used")
	case jwk.Malformed, jwk.Unknown, jwk.Unreadable:
		return probe.Outcomef(reasonBadKey, "is published, but no verifier can read its key")
	case jwk.NotForSigning:
		return probe.Outcomef(reasonAlgorithm, "is published, but its use, key_ops or alg exclude verifying signatures")
	}
	for _, k := range v.set.Find(kid) {
		if k.Problem == "" && len(run.Algs) > 0 && !allows(&k, run.Algs) {
			return probe.Outcomef(reasonAlgorithm, "is published, but its key is not for %s", strings.Join(run.Algs, " or "))
		}
	}
	return probe.Outcome{Reason: probe.OK}
}

// allows reports whether a key can verify one of these algorithms.
func allows(k *jwk.Key, algs []string) bool {
	return slices.ContainsFunc(algs, func(alg string) bool {
		return slices.Contains(k.Algorithms(), alg) && (k.Algorithm == "" || k.Algorithm == alg)
	})
}

// checkParsed notes whether the set can be read, as a set of keys with an id each.
func (run *runState) checkParsed(r *probe.Result, v *keySetSnapshot) {
	const check = "keyset"
	n := v.problems()
	verifying := n[""] + n[jwk.Weak] + n[jwk.Private]
	switch twice, same := v.duplicates(); {
	case !v.authoritative():
		r.Note(check, v.Outcome)
	case n[jwk.Malformed] > 0:
		r.Fail(check, probe.Schema, "%d of %s no key as RFC 7517 has it: not a JSON object, one member twice, or of the wrong type",
			n[jwk.Malformed], text.Plural(len(v.set), "key is", "keys are"))
	case twice != "":
		r.Fail(check, reasonDuplicate, "two different keys of one type have %s: verifiers try one of them", run.describeKid(twice))
	case v.withOtherCertificate() != nil:
		r.Fail(check, reasonCertificate, "%s comes with a certificate of another key (x5c, x5t or x5t#S256): verifiers that take it reject its tokens (RFC 7517, section 4.7)",
			run.describeKid(v.withOtherCertificate().ID))
	case verifying == 0:
		r.Fail(check, reasonEmpty, "%s, but none of them verifies a signature", text.Count(len(v.set), "key"))
	default:
		detail := fmt.Sprintf("%s, of which %d to verify signatures", text.Count(len(v.set), "key"), verifying)
		if same > 0 {
			detail += "; " + text.Plural(same, "is listed twice", "are listed twice")
		}
		r.Pass(check, "%s", detail)
	}
}

// withOtherCertificate returns the first key that comes with another one's certificate; nil if there is none.
func (v *keySetSnapshot) withOtherCertificate() *jwk.Key {
	if i := slices.IndexFunc(v.set, func(k jwk.Key) bool { return k.OtherCertificate }); i >= 0 {
		return &v.set[i]
	}
	return nil
}

// duplicates returns an id that two different keys of one type have in the set, and counts the keys that merely stand there again. Of
// two ids it is the one that the set has first.
func (v *keySetSnapshot) duplicates() (kid string, same int) {
	first := make(map[keyName]string, len(v.set))
	for i := range v.set {
		k := &v.set[i]
		if k.ID == "" || k.Thumbprint == "" {
			continue
		}
		switch before, there := first[nameOf(k)]; {
		case !there:
			first[nameOf(k)] = k.Thumbprint
		case before != k.Thumbprint:
			return k.ID, same
		default:
			same++
		}
	}
	return "", same
}

// checkStrength notes whether a key can be broken.
func (run *runState) checkStrength(r *probe.Result, v *keySetSnapshot) {
	if v.set == nil {
		return
	}
	i := slices.IndexFunc(v.set, func(k jwk.Key) bool { return k.Problem == jwk.Weak })
	switch {
	case i >= 0:
		k := v.set[i]
		size := ""
		if k.Bits < 2048 {
			size = fmt.Sprintf(" of %d bits", k.Bits)
		}
		r.Fail("strength", reasonWeak, "%s has a weak %s key%s: expected 2048 bits, an odd modulus and a sound exponent (RFC 7518, section 3.3)",
			run.describeKid(k.ID), cmp.Or(k.Type, "public"), size)
	case v.authoritative():
		r.Pass("strength", "no weak key")
	}
}

// unsaidTTL is how long verifiers are taken to keep a set that does not say how long it may be kept.
const unsaidTTL = 5 * time.Minute

// tokenLifetime is how long verifiers may keep what one of them answers.
func (run *runState) tokenLifetime(v *keySetSnapshot) time.Duration {
	switch {
	case v.given != nil:
		return 0
	case v.maxAgeGiven:
		return max(v.maxAge, run.CacheTTL.D())
	}
	return cmp.Or(run.CacheTTL.D(), unsaidTTL)
}

// checkCache notes whether a set may be kept until after its keys are gone.
func (run *runState) checkCache(r *probe.Result, v *keySetSnapshot) {
	if run.Grace == 0 || v.given != nil || v.set == nil {
		r.Omit("cache")
		return
	}
	life := run.tokenLifetime(v)
	switch {
	case v.maxAgeGiven && v.maxAge > run.Grace.D():
		r.Fail("cache", reasonCache, "may be kept for %s, and the grace is %s: verifiers miss a whole rotation, or trust a key that is gone",
			probe.Duration(v.maxAge), run.Grace)
	case v.maxAgeGiven && v.maxAge+v.stale > run.Grace.D():
		r.Fail("cache", reasonCache, "may be kept for %s and served stale for %s more, and the grace is %s: verifiers miss a whole rotation, or trust a key that is gone",
			probe.Duration(v.maxAge), probe.Duration(v.stale), run.Grace)
	case v.maxAgeGiven:
		r.Pass("cache", "may be kept for %s, within the grace of %s", probe.Duration(v.maxAge), run.Grace)
	case life > run.Grace.D():
		r.Inconclusive("cache", probe.ControlFailed, "does not say how long it may be kept; set cache_ttl to how long verifiers keep it, if that is less than %s",
			probe.Duration(life))
	default:
		r.Pass("cache", "does not say how long it may be kept; assumed to be %s, within the grace of %s", probe.Duration(life), run.Grace)
	}
}

// checkReplicas notes whether there are as many replicas as expected, with a key set each. One whose set could not be read for
// the prober's own sake may have one.
func (run *runState) checkReplicas() {
	found, read, inconclusive := map[string]int{}, map[string]int{}, map[string]int{}
	var names []string
	for i := range run.snapshots {
		v := &run.snapshots[i]
		if v.of == "" {
			continue
		}
		if found[v.of]++; found[v.of] == 1 {
			names = append(names, v.of)
		}
		switch {
		case v.set != nil:
			read[v.of]++
		case v.Reason.Verdict == probe.Inconclusive:
			inconclusive[v.of]++
		}
	}
	run.r.Each(names, func(i int, r *probe.Result) {
		name := names[i]
		want := run.Verifiers[name].Replicas.Want
		detail := fmt.Sprintf("expected %s, found %d, of which %d with a key set", text.Count(want, "replica"), found[name], read[name])
		switch {
		case read[name] >= want:
			r.Pass("replicas", "%s", detail)
		case read[name]+inconclusive[name] >= want:
			r.Inconclusive("replicas", probe.ControlFailed, "%s; %d inconclusive", detail, inconclusive[name])
		default:
			r.Fail("replicas", probe.Replicas, "%s", detail)
		}
	})
}
