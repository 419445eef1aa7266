package jwks

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/text"
	"prober/probes/internal/issuance"
)

// maxRemembered bounds how many keys are remembered from run to run, whatever is published.
const maxRemembered = 256

// keyHistory is what earlier runs saw. It lives in memory only: after a start nothing is known of the time before, and
// nothing is claimed of it.
type keyHistory struct {
	sync.Mutex
	looked      time.Time // the last run that read a set; zero before the first
	apart       time.Time // since when verifiers do not have the same keys; zero if they do
	apartRuns   int
	life        time.Duration // of the last fresh token that said
	keys        map[kidHash]*keyRecord
	revoked     map[string]time.Time // since when a kid of the configuration counts as revoked
	thumbprints map[keyName]string   // the thumbprint of the key that a revoked kid stood for, where it was seen
	token       [sha256.Size]byte    // of the last fresh token
	forgot      bool                 // keys that were published in the last run: one that is not known may have been there
}

// sameToken reports whether a token is the one of the run before, and remembers it.
func (m *keyHistory) sameToken(token string) bool {
	m.Lock()
	defer m.Unlock()
	before := m.token
	m.token = sha256.Sum256([]byte(token))
	return m.token == before
}

// kidHash stands for a name, whose kid is the publisher's text and may be of any length.
type kidHash [sha256.Size]byte

func hashOf(name keyName) kidHash { return sha256.Sum256([]byte(name.kid + "\x00" + name.kind)) }

// namesOf lists the names that keys with an id may have.
func namesOf(kid string) []keyName { return []keyName{{kid, "RSA"}, {kid, "EC"}, {kid, "OKP"}} }

// keyRecord is what is known of a key by its id.
type keyRecord struct {
	thumbprint string    // the thumbprint that all verifiers had
	changed    time.Time // when it was another than before; zero if never
	since      time.Time // the first of the runs since which every verifier has it; zero if one lacks it
	lacked     time.Time // the last run in which a verifier lacked it; zero if never
	seen       time.Time // the last run in which any had it
	signed     time.Time // the last run whose fresh token it signed
}

// An observed is what a run and the memory say together.
type observed struct {
	reused    string        // a kid that stands for another key than before
	reusedFor time.Duration // since when
	compared  int           // keys that were known before
	settling  bool          // a difference may still be spreading
	apart     string        // for how long there is one
	signer    keyRecord     // of the key that signed the fresh token
	missing   []keyRecord   // keys that signed and that a verifier lacks now
	life      time.Duration // of tokens
}

// update compares a run with those before it and remembers it.
func (m *keyHistory) update(run *runState, c keyInventory) observed {
	m.Lock()
	defer m.Unlock()
	if m.keys == nil {
		m.keys, m.revoked, m.thumbprints = map[kidHash]*keyRecord{}, map[string]time.Time{}, map[keyName]string{}
	}
	m.updateRevoked(run)
	m.life = cmp.Or(run.issued.life, m.life)
	l := observed{life: m.life}
	if c.compared == 0 {
		return l
	}
	complete := c.compared == len(run.snapshots)
	names := map[kidHash]keyName{}
	for name := range c.keys {
		h := hashOf(name)
		names[h] = name
		m.updateKey(run, &l, h, name, c)
	}
	for h, k := range m.keys {
		if _, there := names[h]; !there {
			k.lacked, k.since = run.now, time.Time{}
		} else if !c.partial[names[h]] && complete && k.since.IsZero() {
			k.since = run.now
		}
	}
	if signer := run.issued.kid(); signer != "" {
		h := hashOf(keyName{signer, jwk.TypeFor(run.issued.token.Algorithm)})
		if m.keys[h] == nil {
			m.keys[h] = &keyRecord{}
		}
		m.keys[h].signed = run.now
		if _, there := names[h]; there {
			l.signer = *m.keys[h]
		}
	}
	m.findMissing(run, &l, names)
	m.updateDifference(run, &l, c)
	m.looked = run.now
	m.forgot = m.forget()
	return l
}

// updateKey remembers one key that is published now.
func (m *keyHistory) updateKey(run *runState, l *observed, h kidHash, name keyName, c keyInventory) {
	k := m.keys[h]
	if k == nil {
		k = &keyRecord{}
		if !m.forgot {
			k.lacked = m.looked
		}
		m.keys[h] = k
	}
	for _, other := range namesOf(name.kid) { // a key of another type that the kid stood for last, and no longer does
		if o := m.keys[hashOf(other)]; name.kid != "" && o != nil && o.seen.After(k.seen) && c.keys[other] == nil {
			k.changed = run.now
		}
	}
	k.seen = run.now
	if c.partial[name] {
		k.lacked, k.since = run.now, time.Time{}
	}
	print := c.thumbprint(name)
	if print == "" {
		return
	}
	if k.thumbprint != "" {
		l.compared++
		if k.thumbprint != print {
			k.changed = run.now
		}
	}
	k.thumbprint = print
	if ago := run.now.Sub(k.changed); !k.changed.IsZero() && ago <= run.spread() {
		if l.reused == "" || slices.Contains(run.kids.list, name.kid) {
			l.reused, l.reusedFor = name.kid, ago
		}
	}
}

// findMissing lists the keys that signed tokens before and that a verifier lacks now. One that was revoked is missing
// on purpose.
func (m *keyHistory) findMissing(run *runState, l *observed, names map[kidHash]keyName) {
	revoked := map[kidHash]bool{}
	for _, kid := range append(slices.Clone(run.revoked.list), run.issued.kid()) {
		for _, name := range namesOf(kid) {
			revoked[hashOf(name)] = true
		}
	}
	for h, k := range m.keys {
		if !k.signed.IsZero() && k.lacked.Equal(run.now) && !revoked[h] {
			l.missing = append(l.missing, *k)
		}
	}
	sorted.By(l.missing, func(a, b keyRecord) int { return b.signed.Compare(a.signed) })
}

// updateDifference remembers since when verifiers do not have the same keys. One run that sees it may have come in the
// middle of a change.
func (m *keyHistory) updateDifference(run *runState, l *observed, c keyInventory) {
	if len(c.lacking) == 0 {
		if c.compared == len(run.snapshots) {
			m.apart, m.apartRuns = time.Time{}, 0
		}
		return
	}
	if m.apart.IsZero() {
		m.apart = run.now
	}
	m.apartRuns++
	lasted := run.now.Sub(m.apart)
	l.apart = fmt.Sprintf("%s (%s)", text.Count(m.apartRuns, "run"), lasted.Round(time.Second))
	l.settling = m.apartRuns < 2 || lasted < run.Propagation.D()
}

// updateRevoked remembers since when kids count as revoked and which keys they stood for, and forgets those that no
// longer do.
func (m *keyHistory) updateRevoked(run *runState) {
	maps.DeleteFunc(m.revoked, func(kid string, _ time.Time) bool { return !slices.Contains(run.revoked.list, kid) })
	maps.DeleteFunc(m.thumbprints, func(name keyName, _ string) bool { return !slices.Contains(run.revoked.list, name.kid) })
	for _, kid := range run.revoked.list {
		for _, name := range namesOf(kid) {
			if k := m.keys[hashOf(name)]; k != nil && k.thumbprint != "" && m.thumbprints[name] == "" {
				m.thumbprints[name] = k.thumbprint // seen before it was revoked
			}
		}
		for i := range run.snapshots {
			for _, k := range run.snapshots[i].set.Find(kid) {
				if k.Thumbprint != "" {
					m.thumbprints[nameOf(&k)] = k.Thumbprint
				}
			}
		}
	}
	for _, kid := range run.revoked.list {
		if _, known := m.revoked[kid]; !known {
			m.revoked[kid] = run.now
		}
	}
}

// renamed returns a revoked kid whose key, as far as it was ever seen, is in a set under another one; empty if none is.
func (m *keyHistory) renamed(set jwk.Set, revoked []string) string {
	m.Lock()
	defer m.Unlock()
	for _, kid := range revoked {
		for _, name := range namesOf(kid) {
			print := m.thumbprints[name]
			if print != "" && slices.ContainsFunc(set, func(k jwk.Key) bool { return k.Thumbprint == print && k.ID != kid }) {
				return kid
			}
		}
	}
	return ""
}

// revokedFor is for how long all of these kids have counted as revoked.
func (m *keyHistory) revokedFor(kids []string, now time.Time) time.Duration {
	m.Lock()
	defer m.Unlock()
	var ages []time.Duration
	for _, kid := range kids {
		ages = append(ages, now.Sub(m.revoked[kid]))
	}
	return slices.Max(ages)
}

// forget drops the keys that were not seen for longest, where there are too many, and reports whether any of them was seen
// in the last run.
func (m *keyHistory) forget() (published bool) {
	if len(m.keys) <= maxRemembered {
		return false
	}
	all := slices.Collect(maps.Keys(m.keys))
	sorted.By(all, func(a, b kidHash) int {
		return cmp.Or(m.keys[b].signed.Compare(m.keys[a].signed), m.keys[b].seen.Compare(m.keys[a].seen))
	})
	for _, h := range all[maxRemembered:] {
		published = published || m.keys[h].seen.Equal(m.looked)
	}
	kept := make(map[kidHash]*keyRecord, maxRemembered) // a map keeps the room of what is deleted
	for _, h := range all[:maxRemembered] {
		kept[h] = m.keys[h]
	}
	m.keys = kept
	return published
}

// spread is how long it takes until every verifier must have what is published now.
func (run *runState) spread() time.Duration {
	var longest time.Duration
	for i := range run.snapshots {
		if v := &run.snapshots[i]; v.set != nil {
			longest = max(longest, run.tokenLifetime(v))
		}
	}
	return longest + run.Propagation.D()
}

// checkRotation judges the times of a rotation: whether the key that signs has been published for long
// enough, and whether those that signed before are kept for long enough. What happened before the first run is unknown,
// so the check is noted only once there is evidence: it fails on what was seen, and passes on what was seen.
func (run *runState) checkRotation(l observed) {
	const check = "rotation"
	if run.issuer == nil {
		return
	}
	run.r.Omit(check) // unless there is evidence
	lives := l.life + run.Leeway.D()
	if l.life > 0 && run.Grace > 0 && lives > run.Grace.D() {
		run.r.Fail(check, issuance.GraceTooShort, "tokens live %s, and are accepted for %s more: longer than the grace of %s, after which their key is gone",
			probe.Duration(l.life), run.Leeway, run.Grace)
		return
	}
	grace := run.Grace.D()
	if l.life > 0 {
		grace = max(grace, lives)
	}
	for _, k := range l.missing {
		if ago := run.now.Sub(k.signed); ago < grace {
			run.r.Fail(check, issuance.GraceTooShort, "a key that signed %s ago is not at every verifier, expected it there for %s: its tokens are rejected for up to %s more",
				ago.Round(time.Second), probe.Duration(grace), (grace - ago).Round(time.Second))
			return
		}
	}
	wanted := run.spread()
	having, sure := run.coverage(run.issued.kid())
	if run.issued.kid() == "" || having == 0 || having < sure {
		return // another check tells
	}
	k := l.signer
	switch {
	case !k.lacked.IsZero() && run.now.Sub(k.lacked) < wanted:
		run.r.Fail(check, issuance.PublishedTooLate, "the key that signs has been published for no more than %s, expected %s before it signs: verifiers with an older set in a cache reject its tokens",
			run.now.Sub(k.lacked).Round(time.Second), probe.Duration(wanted))
	case !k.since.IsZero() && run.now.Sub(k.since) >= wanted:
		run.r.Pass(check, "the key that signs has been published for at least %s, longer than any copy of a set is kept", run.now.Sub(k.since).Round(time.Second))
	}
}
