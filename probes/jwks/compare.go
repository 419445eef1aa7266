package jwks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/sorted"
)

// keyStates are what all verifiers together are found to be. Each but the first two is a failure.
var keyStates = []string{"aligned", "aligned_unverified", "signing_with_unpublished_key", "kid_conflict", "replica_missing_kid",
	"kid_missing", "unreachable"}

// A keyInventory is which keys there are and who has them, of the verifiers that are sure.
type keyInventory struct {
	compared  int                        // verifiers compared
	keys      map[keyName]map[string]int // by name, and by thumbprint, how many have them
	conflicts []keyName                  // names with more than one thumbprint
	partial   map[keyName]bool           // names that some of them lack
	lacking   []string                   // verifiers that lack what others have, with how many; without the keys that the next tells
	judged    bool                       // some lack a key, or have one, that another check is about
}

// A keyName tells keys of a set apart: by id and type, since keys of two types may share an id (RFC 7517, section 4.5), or
// those that have no id by what they are.
type keyName struct{ kid, kind string }

func nameOf(k *jwk.Key) keyName {
	if k.ID == "" {
		return keyName{kind: k.Thumbprint}
	}
	return keyName{k.ID, k.Type}
}

func compareNames(a, b keyName) int {
	return cmp.Or(strings.Compare(a.kid, b.kid), strings.Compare(a.kind, b.kind))
}

// compare holds the sets of all verifiers against each other. Keys that verify nothing do not count: a bundle cannot
// have them, and nobody misses them.
func (run *runState) compare() keyInventory {
	c := keyInventory{keys: map[keyName]map[string]int{}, partial: map[keyName]bool{}}
	have := make([]map[keyName]bool, len(run.snapshots))
	for i := range run.snapshots {
		v := &run.snapshots[i]
		if !v.authoritative() {
			continue
		}
		c.compared++
		have[i] = make(map[keyName]bool, len(v.set))
		for j := range v.set {
			k := &v.set[j]
			if k.Thumbprint == "" || k.Problem == jwk.NotForSigning {
				continue
			}
			name := nameOf(k)
			if c.keys[name] == nil {
				c.keys[name] = map[string]int{}
			}
			if !have[i][name] {
				c.keys[name][k.Thumbprint]++
			}
			have[i][name] = true
		}
	}
	for name, prints := range c.keys {
		if len(prints) > 1 {
			c.conflicts = append(c.conflicts, name)
		}
		if c.noTypeInCommon(name, have) {
			c.conflicts = append(c.conflicts, keyName{kid: name.kid})
		}
	}
	sorted.By(c.conflicts, compareNames)
	judged := slices.Concat(run.kids.list, run.revoked.list, []string{run.issued.kid()})
	for i := range run.snapshots {
		if have[i] == nil || len(have[i]) == len(c.keys) {
			continue
		}
		lacks := 0
		for name := range c.keys {
			switch {
			case have[i][name]:
				continue
			case name.kid != "" && slices.Contains(judged, name.kid) && !hasKid(have[i], name.kid):
				c.judged = true
			default:
				lacks++
			}
			c.partial[name] = true
		}
		if lacks > 0 {
			c.lacking = append(c.lacking, fmt.Sprintf("%s lacks %d", run.snapshots[i].target, lacks))
		}
	}
	return c
}

// hasKid reports whether a verifier has a key of any type under a kid.
func hasKid(have map[keyName]bool, kid string) bool {
	for _, name := range namesOf(kid) {
		if have[name] {
			return true
		}
	}
	return false
}

// noTypeInCommon reports whether the verifiers that have a kid have it for keys of different types: whatever signs, some of them
// reject its tokens. It does so for one of the names of the kid.
func (c *keyInventory) noTypeInCommon(name keyName, have []map[keyName]bool) bool {
	var first keyName
	types, most, holders := 0, 0, 0
	for _, other := range namesOf(name.kid) {
		if c.keys[other] == nil {
			continue
		}
		if types++; types == 1 {
			first = other
		}
		n := 0
		for _, having := range c.keys[other] {
			n += having
		}
		most = max(most, n)
	}
	if types < 2 || name != first {
		return false
	}
	for _, of := range have {
		if hasKid(of, name.kid) {
			holders++
		}
	}
	return most < holders
}

// thumbprint returns the one thumbprint of a name; empty if there are several.
func (c *keyInventory) thumbprint(name keyName) string {
	if len(c.keys[name]) != 1 {
		return ""
	}
	for print := range c.keys[name] {
		return print
	}
	return ""
}

// checkAgreement notes whether every kid stands for the same key, everywhere and as before, and whether all verifiers have
// the same keys. What spreads takes its time: until then a difference is no failure. A difference in a key that another
// check is about is reported by that check, not here.
func (run *runState) checkAgreement(c keyInventory, l observed) {
	const check = "agreement"
	r := run.r
	switch {
	case len(c.conflicts) > 0:
		first := c.conflicts[0]
		for _, name := range c.conflicts {
			if slices.Contains(run.kids.list, name.kid) {
				first = name
			}
		}
		groups := run.holders(first)
		r.Fail(check, reasonConflict, "%s stands for %d different keys (%s): tokens are rejected at random", run.describeKid(first.kid), len(groups), strings.Join(groups, ", "))
	case l.reused != "":
		r.Fail(check, reasonReused, "%s stands for another key than %s ago: verifiers with the old one in a cache reject its tokens; a new key needs a new kid",
			run.describeKid(l.reused), l.reusedFor.Round(time.Second))
	case len(c.lacking) > 0 && l.settling:
		r.Inconclusive(check, probe.Settling, "the verifiers do not have the same keys, for %s: %s; that may still be spreading", l.apart, joinShort(c.lacking))
	case len(c.lacking) > 0:
		r.Fail(check, reasonDisagreement, "the verifiers do not have the same keys, for %s: %s", l.apart, joinShort(c.lacking))
	case c.judged:
		r.Omit(check) // another check tells
	case c.compared < len(run.snapshots) && c.compared > 0:
		r.Inconclusive(check, probe.ControlFailed, "only %d of %d verifiers could be compared", c.compared, len(run.snapshots))
	case c.compared > 1:
		r.Pass(check, "all %d have the same keys under the same kids", c.compared)
	case c.compared == 1 && l.compared > 0:
		r.Pass(check, "every kid stands for the same key as before")
	default:
		r.Omit(check) // of one verifier, which was not seen before
	}
}

// holders says which verifiers have the same key under a name, or under a kid if the name has no type.
func (run *runState) holders(name keyName) []string {
	var order []string
	by := map[string][]string{}
	for i := range run.snapshots {
		v := &run.snapshots[i]
		if !v.authoritative() {
			continue
		}
		for _, k := range v.set.Find(name.kid) {
			if k.Thumbprint == "" || k.Problem == jwk.NotForSigning || name.kind != "" && nameOf(&k) != name {
				continue
			}
			if by[k.Thumbprint] == nil {
				order = append(order, k.Thumbprint)
			}
			by[k.Thumbprint] = append(by[k.Thumbprint], v.target)
			break
		}
	}
	groups := make([]string, len(order))
	for i, print := range order {
		groups[i] = "one at " + joinShort(by[print])
	}
	return groups
}

// joinShort lists a few of many.
func joinShort(list []string) string {
	const shown = 3
	if len(list) <= shown {
		return strings.Join(list, " and ")
	}
	return strings.Join(list[:shown], ", ") + fmt.Sprintf(" and %d more", len(list)-shown)
}

// state is what all verifiers together are; empty if the configuration could not be read.
func (run *runState) state(c keyInventory) string {
	if run.kids.err != nil {
		return ""
	}
	signer := run.issued.kid()
	partly, wanted := false, run.expectedKids()
	for _, kid := range wanted {
		having, _ := run.coverage(kid)
		if having == 0 && c.compared > 0 {
			return "kid_missing"
		}
		partly = partly || having < c.compared
	}
	having, _ := run.coverage(signer)
	switch {
	case c.compared == 0:
		return "unreachable"
	case len(c.conflicts) > 0 || run.signedByOtherKey():
		return "kid_conflict"
	case signer != "" && having == 0 && c.compared == len(run.snapshots):
		return "signing_with_unpublished_key"
	case partly:
		return "replica_missing_kid"
	case c.compared < len(run.snapshots):
		return "unreachable"
	case signer == "":
		return "aligned_unverified"
	}
	return "aligned"
}

// signedByOtherKey reports whether the fresh token was signed by another key than one that is published under its kid.
func (run *runState) signedByOtherKey() bool {
	for i := range run.snapshots {
		if v := &run.snapshots[i]; run.issued.kid() != "" && v.authoritative() && len(v.set.Find(run.issued.kid())) > 0 {
			if run.verify(v).Reason == reasonConflict {
				return true
			}
		}
	}
	return false
}

// measure notes the numbers.
func (run *runState) measure(c keyInventory) {
	if now := run.state(c); now != "" {
		run.r.OneOf(stateGauge, now, keyStates)
	}
	for i := range run.snapshots {
		v := &run.snapshots[i]
		if v.maxAgeGiven {
			run.r.Measure(maxAgeGauge, v.maxAge.Seconds(), v.target)
		}
		if !v.authoritative() {
			continue
		}
		n := v.problems()
		run.r.Measure(keysGauge, float64(n[""]+n[jwk.Weak]), v.target)
		for _, why := range []jwk.Problem{jwk.Unknown, jwk.Unreadable, jwk.NotForSigning, jwk.Malformed, jwk.Private} {
			run.r.Measure(ignoredKeysGauge, float64(n[why]), v.target, string(why))
		}
		for _, kid := range slices.Concat(run.kids.list, run.revoked.list) {
			run.r.Measure(kidPresentGauge, probe.BoolValue(len(v.set.Find(kid)) > 0), v.target, kid)
		}
	}
}
