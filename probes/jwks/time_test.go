package jwks

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// A rota is a JWKS probe that is judged at made-up times, by what verifiers are said to show.
type rota struct {
	t     *testing.T
	probe *Probe
	start time.Time
}

func newRota(t *testing.T, change func(p *Probe)) *rota {
	p := jwks([]string{"http://a.test", "http://b.test"})
	p.Issuance = freshFrom(t, "http://127.0.0.1:1/token")
	if change != nil {
		change(p)
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	return &rota{t, p, time.Now()}
}

// at judges what two verifiers show and who signs, so long after the start. Nil for a set: it could not be read; no
// signer: no token was issued.
func (x *rota) at(after time.Duration, signer *jose.JSONWebKey, a, b []jose.JSONWebKey) probe.Result {
	x.t.Helper()
	r := probe.NewResult(probe.ID{System: "test", Name: "it"})
	run := &runState{Probe: x.probe, r: r, now: x.start.Add(after), kids: resolve(x.probe.Kids), revoked: resolve(x.probe.Revoked)}
	run.issued.Outcome = probe.Outcome{Reason: probe.ControlFailed, Detail: "no fresh token"}
	if signer != nil {
		token, err := jwk.ReadToken(tokenBy(x.t, *signer))
		if err != nil {
			x.t.Fatal(err)
		}
		run.issued = issuedToken{Outcome: probe.Outcome{Reason: probe.OK, Detail: ""}, token: token, life: 5 * time.Minute}
	}
	for i, keys := range [][]jose.JSONWebKey{a, b}[:len(x.probe.URLs)] {
		v := keySetSnapshot{endpoint: endpoint{target: string(rune('a' + i))}, Outcome: probe.Outcome{Reason: probe.OK}, maxAge: 10 * time.Minute, maxAgeGiven: true}
		if keys == nil {
			v.Outcome = probe.Outcomef(probe.Refused, "refused")
		} else {
			var entries []any
			for _, key := range keys {
				entries = append(entries, key)
			}
			var err error
			if v.set, err = jwk.Parse(x.t.Context(), []byte(keysetOf(x.t, entries...))); err != nil {
				x.t.Fatal(err)
			}
		}
		run.snapshots = append(run.snapshots, v)
	}
	run.judge()
	return *r
}

// told returns the line of one check of the whole; empty if it was not noted.
func (x *rota) told(check string, r probe.Result) string {
	for _, line := range strings.Split(probetest.Lines(r), "\n") {
		if rest, ok := strings.CutPrefix(line, check+" "); ok {
			return rest
		}
	}
	return ""
}

func (x *rota) want(check string, r probe.Result, want string) {
	x.t.Helper()
	if got := x.told(check, r); got != want {
		x.t.Errorf("%s:\n got  %s\n want %s", check, got, want)
	}
}

// TestRotation_inTime publishes, signs and retires a key in time: the check says nothing until it can, and then
// passes throughout.
func TestRotation_inTime(t *testing.T) {
	x := newRota(t, nil)
	k1, k2 := newJWK(t, "k1", "ES256"), newJWK(t, "k2", "ES256")
	one, two, next := []jose.JSONWebKey{k1}, []jose.JSONWebKey{k1, k2}, []jose.JSONWebKey{k2}
	const longer = ", longer than any copy of a set is kept"
	x.want("rotation", x.at(0, &k1, one, one), "") // nobody knows for how long it was there before
	x.want("rotation", x.at(9*time.Minute, &k1, one, one), "")
	x.want("rotation", x.at(10*time.Minute, &k1, one, one), "pass(ok): the key that signs has been published for at least 10m0s"+longer)
	x.want("rotation", x.at(20*time.Minute, &k1, two, two), "pass(ok): the key that signs has been published for at least 20m0s"+longer)
	x.want("rotation", x.at(29*time.Minute, &k1, two, two), "pass(ok): the key that signs has been published for at least 29m0s"+longer)
	x.want("rotation", x.at(30*time.Minute, &k2, two, two), "pass(ok): the key that signs has been published for at least 10m0s"+longer)
	x.want("rotation", x.at(34*time.Minute, &k2, two, two), "pass(ok): the key that signs has been published for at least 14m0s"+longer)
	x.want("rotation", x.at(36*time.Minute, &k2, next, next), "pass(ok): the key that signs has been published for at least 16m0s"+longer)
	if r := x.at(37*time.Minute, &k2, next, next); r.Verdict() != probe.Pass {
		t.Errorf("a rotation as it should be ends as\n%s", probetest.Lines(r))
	}
}

func TestRotation_signsTooEarly(t *testing.T) {
	x := newRota(t, nil)
	k1, k2 := newJWK(t, "k1", "ES256"), newJWK(t, "k2", "ES256")
	one, two := []jose.JSONWebKey{k1}, []jose.JSONWebKey{k1, k2}
	late := func(lead string) string {
		return "fail(published_too_late): the key that signs has been published for no more than " + lead +
			", expected 10m before it signs: verifiers with an older set in a cache reject its tokens"
	}
	x.at(0, &k1, one, one)
	x.at(time.Minute, &k1, two, two)
	x.want("rotation", x.at(time.Minute+10*time.Second, &k2, two, two), late("1m10s")) // published at any time in the minute before it was seen
	x.want("rotation", x.at(9*time.Minute, &k2, two, two), late("9m0s"))
	x.want("rotation", x.at(10*time.Minute+30*time.Second, &k2, two, two), "") // perhaps long enough, perhaps not
	x.want("rotation", x.at(11*time.Minute, &k2, two, two), "pass(ok): the key that signs has been published for at least 10m0s, longer than any copy of a set is kept")
}

// TestRotation_propagation: what a publisher takes to spread a set comes on top of how long verifiers keep it.
func TestRotation_propagation(t *testing.T) {
	x := newRota(t, func(p *Probe) { p.Propagation = probe.Duration(5 * time.Minute) })
	k1, k2 := newJWK(t, "k1", "ES256"), newJWK(t, "k2", "ES256")
	one, two := []jose.JSONWebKey{k1}, []jose.JSONWebKey{k1, k2}
	x.at(0, &k1, one, one)
	x.at(time.Minute, &k1, two, two)
	x.want("rotation", x.at(12*time.Minute, &k2, two, two), "fail(published_too_late): the key that signs has been published for no more than 12m0s, expected 15m before it signs: verifiers with an older set in a cache reject its tokens")
	x.want("rotation", x.at(16*time.Minute, &k2, two, two), "pass(ok): the key that signs has been published for at least 15m0s, longer than any copy of a set is kept")
}

// TestRotation_countsFromLastVerifier: a key is not published before all have it.
func TestRotation_countsFromLastVerifier(t *testing.T) {
	x := newRota(t, nil)
	k1, k2 := newJWK(t, "k1", "ES256"), newJWK(t, "k2", "ES256")
	one, two := []jose.JSONWebKey{k1}, []jose.JSONWebKey{k1, k2}
	x.at(0, &k1, one, one)
	x.at(time.Minute, &k1, two, one)
	x.at(14*time.Minute, &k1, two, one)
	x.at(15*time.Minute, &k1, two, two)
	x.want("rotation", x.at(16*time.Minute, &k2, two, two), "fail(published_too_late): the key that signs has been published for no more than 2m0s, expected 10m before it signs: verifiers with an older set in a cache reject its tokens")
}

func TestRotation_removedTooEarly(t *testing.T) {
	x := newRota(t, nil)
	k1, k2 := newJWK(t, "k1", "ES256"), newJWK(t, "k2", "ES256")
	two, next := []jose.JSONWebKey{k1, k2}, []jose.JSONWebKey{k2}
	short := func(ago, more string) string {
		return "fail(grace_too_short): a key that signed " + ago + " ago is not at every verifier, expected it there for 6m: its tokens are rejected for up to " + more + " more"
	}
	x.at(0, &k1, two, two)
	x.at(20*time.Minute, &k1, two, two)
	x.at(21*time.Minute, &k2, two, two)
	x.want("rotation", x.at(24*time.Minute, &k2, next, two), short("4m0s", "2m0s"))
	x.want("rotation", x.at(25*time.Minute, nil, next, next), short("5m0s", "1m0s"))
	x.want("rotation", x.at(26*time.Minute, &k2, next, next), "pass(ok): the key that signs has been published for at least 26m0s, longer than any copy of a set is kept")

	x = newRota(t, func(p *Probe) { p.Grace = probe.Duration(time.Hour) })
	x.at(0, &k1, two, two)
	x.want("rotation", x.at(50*time.Minute, &k2, next, next), "fail(grace_too_short): a key that signed 50m0s ago is not at every verifier, expected it there for 1h: its tokens are rejected for up to 10m0s more")

	x = newRota(t, func(p *Probe) { p.Revoked = literals("k1") })
	x.at(0, &k1, two, two)
	x.at(20*time.Minute, &k2, two, two)
	x.want("rotation", x.at(21*time.Minute, &k2, next, next), "pass(ok): the key that signs has been published for at least 21m0s, longer than any copy of a set is kept")

	x = newRota(t, func(p *Probe) { p.Grace = probe.Duration(6 * time.Minute) }) // just as long as a token is accepted
	x.want("rotation", x.at(0, &k1, two, two), "")

	x = newRota(t, func(p *Probe) { p.Grace = probe.Duration(5 * time.Minute) })
	x.want("rotation", x.at(0, &k1, two, two), "fail(grace_too_short): tokens live 5m, and are accepted for 1m more: longer than the grace of 5m, after which their key is gone")
}

// TestRotation_afterGap: what happened while a verifier could not be read, or before the start, is not
// guessed.
func TestRotation_afterGap(t *testing.T) {
	x := newRota(t, nil)
	k1, k2 := newJWK(t, "k1", "ES256"), newJWK(t, "k2", "ES256")
	one, two := []jose.JSONWebKey{k1}, []jose.JSONWebKey{k1, k2}
	x.at(0, &k1, one, one)
	x.at(time.Minute, &k1, nil, one)
	x.at(8*time.Minute, &k1, two, nil) // may have had it since the first minute
	x.want("rotation", x.at(11*time.Minute, &k2, two, two), "")
	x.want("rotation", x.at(21*time.Minute, &k2, two, two), "pass(ok): the key that signs has been published for at least 10m0s, longer than any copy of a set is kept")
}

func TestAgreement_kidReused(t *testing.T) {
	x := newRota(t, func(p *Probe) { p.Kids = literals("k1") })
	k1, again, k2, other := newJWK(t, "k1", "ES256"), newJWK(t, "k1", "ES256"), newJWK(t, "k2", "ES256"), newJWK(t, "k2", "ES256")
	old, now := []jose.JSONWebKey{k1, k2}, []jose.JSONWebKey{again, k2}
	const reused = `fail(kid_reused): the kid "k1" stands for another key than %s ago: verifiers with the old one in a cache reject its tokens; a new key needs a new kid`
	x.want("agreement", x.at(0, nil, old, old), "pass(ok): all 2 have the same keys under the same kids")
	x.want("agreement", x.at(time.Minute, nil, now, now), strings.Replace(reused, "%s", "0s", 1))
	x.want("agreement", x.at(6*time.Minute, nil, now, now), strings.Replace(reused, "%s", "5m0s", 1))
	x.want("agreement", x.at(12*time.Minute, nil, now, now), "pass(ok): all 2 have the same keys under the same kids")

	gone := []jose.JSONWebKey{again}
	x.at(13*time.Minute, nil, gone, gone)
	back := []jose.JSONWebKey{again, other}
	x.want("agreement", x.at(14*time.Minute, nil, back, back),
		"fail(kid_reused): another kid stands for another key than 0s ago: verifiers with the old one in a cache reject its tokens; a new key needs a new kid")
}

// A kid that stands for a key of another type than before is as wrong at a verifier with the old set; two types at a time are not
// (RFC 7517, section 4.5).
func TestAgreement_kidReusedForAnotherType(t *testing.T) {
	rs, ec := newJWK(t, "k1", "RS256"), newJWK(t, "k1", "ES256")
	const same = "pass(ok): all 2 have the same keys under the same kids"
	reused := `fail(kid_reused): the kid "k1" stands for another key than 0s ago: verifiers with the old one in a cache reject its tokens; a new key needs a new kid`
	for name, c := range map[string]struct {
		runs [][]jose.JSONWebKey
		want string
	}{
		"in its place":      {[][]jose.JSONWebKey{{rs}, {ec}}, reused},
		"after a gap":       {[][]jose.JSONWebKey{{rs}, {}, {ec}}, reused},
		"and back":          {[][]jose.JSONWebKey{{ec}, {rs}, {rs}, {ec}}, reused},
		"one more":          {[][]jose.JSONWebKey{{rs}, {rs, ec}}, same},
		"one less":          {[][]jose.JSONWebKey{{rs, ec}, {ec}}, same},
		"one after another": {[][]jose.JSONWebKey{{rs}, {rs, ec}, {ec}}, same},
	} {
		t.Run(name, func(t *testing.T) {
			x := newRota(t, func(p *Probe) { p.Kids = literals("k1") })
			k2 := newJWK(t, "k2", "ES256")
			for i, keys := range c.runs {
				keys = append(keys, k2)
				r := x.at(time.Duration(i)*20*time.Minute, nil, keys, keys)
				if i == len(c.runs)-1 {
					x.want("agreement", r, c.want)
				}
			}
		})
	}
}

// Of many kids that stand for two keys each, every run names the same one.
func TestAgreement_firstConflict(t *testing.T) {
	var a, b []jose.JSONWebKey
	for i := range 9 {
		kid := fmt.Sprintf("k%d", i)
		a, b = append(a, newJWK(t, kid, "ES256")), append(b, newJWK(t, kid, "ES256"))
	}
	x := newRota(t, func(p *Probe) { p.Kids = literals("k3", "k1", "k0", "k2", "k4", "k8", "k5", "k7", "k6") })
	x.want("agreement", x.at(0, nil, a, b), `fail(kid_conflict): the kid "k8" stands for 2 different keys (one at a, one at b): tokens are rejected at random`)
}

// TestAgreement_oneVerifier checks that one verifier agrees with what it had before, if only in one key, and that the first run
// claims nothing.
func TestAgreement_oneVerifier(t *testing.T) {
	x := newRota(t, func(p *Probe) { p.URLs = p.URLs[:1] })
	keys := []jose.JSONWebKey{newJWK(t, "k1", "ES256")}
	x.want("agreement", x.at(0, nil, keys, nil), "")
	x.want("agreement", x.at(time.Minute, nil, keys, nil), "pass(ok): every kid stands for the same key as before")
}

func TestAgreement_settling(t *testing.T) {
	k1, k2 := newJWK(t, "k1", "ES256"), newJWK(t, "k2", "ES256")
	one, two := []jose.JSONWebKey{k1}, []jose.JSONWebKey{k1, k2}
	const apart = "the verifiers do not have the same keys, for "
	x := newRota(t, nil)
	x.want("agreement", x.at(0, nil, two, one), "inconclusive(settling): "+apart+"1 run (0s): b lacks 1; that may still be spreading")
	x.want("agreement", x.at(time.Minute, nil, two, one), "fail(replica_disagreement): "+apart+"2 runs (1m0s): b lacks 1")
	x.want("agreement", x.at(2*time.Minute, nil, two, two), "pass(ok): all 2 have the same keys under the same kids")
	x.want("agreement", x.at(3*time.Minute, nil, one, two), "inconclusive(settling): "+apart+"1 run (0s): a lacks 1; that may still be spreading")

	x = newRota(t, func(p *Probe) { p.Propagation = probe.Duration(10 * time.Minute) })
	x.at(0, nil, two, one)
	x.want("agreement", x.at(9*time.Minute, nil, two, one), "inconclusive(settling): "+apart+"2 runs (9m0s): b lacks 1; that may still be spreading")
	x.want("agreement", x.at(10*time.Minute, nil, two, one), "fail(replica_disagreement): "+apart+"3 runs (10m0s): b lacks 1")
}

func TestHistory_bounded(t *testing.T) {
	testenv.WithoutRace(t)
	x := newRota(t, nil)
	k1 := newJWK(t, "k1", "ES256")
	x.at(0, &k1, []jose.JSONWebKey{k1}, []jose.JSONWebKey{k1})
	for run := range 5 {
		var many []jose.JSONWebKey
		for i := range 400 {
			key := k1
			key.KeyID = strings.Repeat("x", 400*run+i+1)
			many = append(many, key)
		}
		x.at(time.Duration(run+1)*time.Minute, nil, many, many)
	}
	if n := len(x.probe.history.keys); n != maxRemembered {
		t.Errorf("%d keys are remembered, want %d", n, maxRemembered)
	}
	one := []jose.JSONWebKey{k1}
	x.want("rotation", x.at(5*time.Minute+30*time.Second, &k1, []jose.JSONWebKey{newJWK(t, "z", "ES256")}, one), "") // what signed is not forgotten first
	if got := x.probe.history.keys; len(got) != maxRemembered {
		t.Errorf("%d keys are remembered", len(got))
	}
}

// What is forgotten takes no memory: the room that a very large set took in one run is given back.
func TestHistory_takesLittle(t *testing.T) {
	testenv.WithoutRace(t)
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	histories := make([]keyHistory, 20)
	before := heap()
	for i := range histories {
		m := &histories[i]
		m.keys = map[kidHash]*keyRecord{}
		for k := range 5000 {
			m.keys[hashOf(keyName{fmt.Sprint(k), "EC"})] = &keyRecord{seen: time.Unix(int64(k), 0)}
		}
		m.forget()
	}
	if each := (heap() - before) / int64(len(histories)); each > 80<<10 {
		t.Errorf("a history takes %d bytes after a set of 5,000 keys, expected at most 80 KiB", each)
	}
	runtime.KeepAlive(histories)
}

// TestHistory_forget: of too many keys those go that were not seen for longest, and of a key that signed is known for longest.
func TestHistory_forget(t *testing.T) {
	m := keyHistory{keys: map[kidHash]*keyRecord{}, looked: time.Unix(maxRemembered, 0)}
	at := func(i int) kidHash { return hashOf(keyName{fmt.Sprint(i), "EC"}) }
	for i := range maxRemembered + 2 {
		m.keys[at(i)] = &keyRecord{seen: time.Unix(int64(i), 0)}
	}
	m.keys[at(1)].signed = time.Unix(1, 0)
	if m.forget() || len(m.keys) != maxRemembered || m.keys[at(0)] != nil || m.keys[at(1)] == nil || m.keys[at(2)] != nil || m.keys[at(3)] == nil {
		t.Errorf("%d keys are known: the oldest %t, one that signed %t, the third %t, the fourth %t; want them to be no, yes, no and yes",
			len(m.keys), m.keys[at(0)] != nil, m.keys[at(1)] != nil, m.keys[at(2)] != nil, m.keys[at(3)] != nil)
	}
}

// A key that was forgotten because there are too many is no key that was not there.
func TestHistory_claimsNothingOfForgottenKeys(t *testing.T) {
	x := newRota(t, nil)
	var many []jose.JSONWebKey
	key := newJWK(t, "k", "ES256")
	for i := range maxRemembered + 100 {
		key.KeyID = fmt.Sprintf("k%d", i)
		many = append(many, key)
	}
	for run := range 3 {
		x.at(time.Duration(run)*time.Minute, nil, many, many)
	}
	for i := range many {
		if _, known := x.probe.history.keys[hashOf(keyName{many[i].KeyID, "EC"})]; !known {
			x.want("rotation", x.at(3*time.Minute, &many[i], many, many), "") // it was published all the time
			return
		}
	}
	t.Error("no key was forgotten")
}

// TestJWKS_cachedCopy has one verifier's set come out of a cache. What is in it may count; that something is not in it
// proves nothing.
func TestJWKS_oldDate(t *testing.T) {
	body := keysetOf(t, newJWK(t, "k1", "ES256"))
	for age, want := range map[time.Duration]string{
		time.Hour: "pass", 50 * time.Hour: "inconclusive(stale_or_cached): the key set may come out of a cache (a Date of 2 days ago), which proves nothing about its origin",
	} {
		url := probetest.Serve(t, map[string]http.HandlerFunc{"/keys": func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Date", time.Now().Add(-age).UTC().Format(http.TimeFormat))
			probetest.Respond(200, "application/json", body)(w, q)
		}})
		got := probetest.NotPassed(probetest.Run(t, Kind(), jwks([]string{url + "/keys"}, "k1")))
		if want == "pass" && got != want || !strings.Contains(got, want) {
			t.Errorf("a Date of %s ago: got\n%s", age, got)
		}
	}
}

func TestJWKS_cachedCopy(t *testing.T) {
	k1, k0 := newJWK(t, "k1", "ES256"), newJWK(t, "k0", "ES256")
	var age atomic.Value
	age.Store("300")
	body := keysetOf(t, k1)
	with := keysetOf(t, k1, k0)
	serveCopy := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Cache-Control", "max-age=3600")
			if a := age.Load().(string); a != "" {
				w.Header().Set("Age", a)
			}
			probetest.Respond(200, "application/json", body)(w, q)
		}
	}
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/without": serveCopy(body), "/with": serveCopy(with)})
	for name, c := range map[string]struct {
		path    string
		allowed bool
		state   string
		want    []string
	}{
		"a copy proves nothing": {"/without", false, "unreachable", []string{"inconclusive",
			"revoked@URL inconclusive(stale_or_cached): not in a cached copy (Age: 300), which does not prove that they are gone",
			"keyset@URL inconclusive(stale_or_cached): the key set may come out of a cache (Age: 300), which proves nothing about its origin"}},
		"a copy is what relying parties get": {"/without", true, "aligned_unverified", []string{"inconclusive",
			"revoked@URL inconclusive(stale_or_cached): not in a cached copy (Age: 300), which does not prove that they are gone"}},
		"a copy may be older than the revocation": {"/with", true, "aligned_unverified", []string{"inconclusive",
			`revoked@URL inconclusive(stale_or_cached): expected no "k0", got it in a cached copy (Age: 300), which may be older than the revocation`}},
	} {
		t.Run(name, func(t *testing.T) {
			p := jwks([]string{url + c.path}, "k1")
			p.Revoked, p.AllowCached = literals("k0"), c.allowed
			r := probetest.Run(t, Kind(), p)
			if got := strings.ReplaceAll(probetest.NotPassed(r), url+c.path, "URL"); got != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s", got)
			}
			if state := stateOf(t, r); state != c.state {
				t.Errorf("the state is %s", state)
			}
			if got := sampled(r, maxAgeGauge, url+c.path); got != 3600 {
				t.Errorf("max-age: got %v", got)
			}
		})
	}
	t.Run("a copy with it after its time", func(t *testing.T) {
		p := jwks([]string{url + "/with"}, "k1")
		p.Revoked, p.AllowCached = literals("k0"), true
		probetest.Run(t, Kind(), p)
		p.history.revoked["k0"] = time.Now().Add(-2 * time.Hour)
		if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); !strings.HasPrefix(got, "fail\nrevoked@"+url+`/with fail(revoked_kid_present): expected no "k0", got it still published`) {
			t.Errorf("got\n%s", got)
		}
	})
}

// A grace of less than what verifiers are taken to keep a set that does not say.
func TestCache_unsaid(t *testing.T) {
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/": probetest.Respond(200, "application/json", keysetOf(t, newJWK(t, "k1", "ES256")))})
	p := jwks([]string{url + "/"}, "k1")
	p.Grace = probe.Duration(4 * time.Minute)
	want := "inconclusive\ncache@" + url + "/ inconclusive(control_failed): does not say how long it may be kept; set cache_ttl to how long verifiers keep it, if that is less than 5m"
	if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	p.CacheTTL = p.Grace
	if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); got != "pass" {
		t.Errorf("with cache_ttl: got\n%s", got)
	}
}

func TestCache_grace(t *testing.T) {
	k1 := newJWK(t, "k1", "ES256")
	const hour = "within the grace of 1h"
	for name, c := range map[string]struct {
		header map[string]string
		ttl    time.Duration
		want   string
	}{
		"within":           {map[string]string{"Cache-Control": "public, max-age=3600"}, 0, "pass(ok): may be kept for 1h, " + hour},
		"a day":            {map[string]string{"Cache-Control": "max-age=86400"}, 0, "fail(cache_outlives_grace): may be kept for 1d, and the grace is 1h: verifiers miss a whole rotation, or trust a key that is gone"},
		"a day, in shared": {map[string]string{"Cache-Control": `max-age=60, S-MaxAge="86400"`}, 0, "fail(cache_outlives_grace): may be kept for 1d, *"},
		"for ever":         {map[string]string{"Cache-Control": "max-age=99999999999999999999"}, 0, "fail(cache_outlives_grace): *"},
		"expires":          {map[string]string{"Date": "Mon, 02 Jan 2006 15:04:05 GMT", "Expires": "Mon, 02 Jan 2006 18:04:05 GMT"}, 0, "fail(cache_outlives_grace): may be kept for 3h, *"},
		"expired":          {map[string]string{"Date": "Mon, 02 Jan 2006 15:04:05 GMT", "Expires": "Mon, 02 Jan 2006 15:00:00 GMT"}, 0, "pass(ok): may be kept for 0s, " + hour},
		"not at all":       {map[string]string{"Cache-Control": "max-age=86400, no-cache"}, 0, "pass(ok): may be kept for 0s, " + hour},
		"stale for a day":  {map[string]string{"Cache-Control": "max-age=60, stale-while-revalidate=86400, stale-if-error=60"}, 0, "fail(cache_outlives_grace): may be kept for 1m and served stale for 1d more, *"},
		"but for a header": {map[string]string{"Cache-Control": `max-age=86400, no-cache="Set-Cookie"`}, 0, "fail(cache_outlives_grace): may be kept for 1d, *"},
		"by a CDN":         {map[string]string{"Cache-Control": "no-store", "CDN-Cache-Control": "max-age=86400"}, 0, "fail(cache_outlives_grace): may be kept for 1d, *"},
		"by one vendor":    {map[string]string{"Cache-Control": "max-age=60", "Cloudflare-CDN-Cache-Control": "max-age=86400"}, 0, "fail(cache_outlives_grace): may be kept for 1d, *"},
		"by a surrogate":   {map[string]string{"Cache-Control": "max-age=60", "Surrogate-Control": "max-age=60, stale-if-error=86400"}, 0, "fail(cache_outlives_grace): may be kept for 1m and served stale for 1d more, *"},
		"by no CDN":        {map[string]string{"Cache-Control": "max-age=60", "CDN-Cache-Control": "no-store"}, 0, "pass(ok): may be kept for 1m, " + hour},
		"unsaid":           {nil, 0, "pass(ok): does not say how long it may be kept; assumed to be 5m, " + hour},
		"garbled":          {map[string]string{"Cache-Control": "max-age=soon", "Expires": "0"}, 0, "pass(ok): does not say how long it may be kept; assumed to be 5m, " + hour},
		"unsaid, known":    {nil, 30 * time.Minute, "pass(ok): does not say how long it may be kept; assumed to be 30m, " + hour},
	} {
		t.Run(name, func(t *testing.T) {
			url := probetest.Serve(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, q *http.Request) {
				for name, v := range c.header {
					w.Header().Set(name, v)
				}
				probetest.Respond(200, "application/json", keysetOf(t, k1))(w, q)
			}})
			p := jwks([]string{url + "/"}, "k1")
			p.Grace, p.CacheTTL = probe.Duration(time.Hour), probe.Duration(c.ttl)
			got := probetest.Lines(probetest.Run(t, Kind(), p))
			_, line, _ := strings.Cut(got, "cache@"+url+"/ ")
			line, _, _ = strings.Cut(line, "\n")
			if prefix, ok := strings.CutSuffix(c.want, "*"); line != c.want && !(ok && strings.HasPrefix(line, prefix)) {
				t.Errorf("got  %s\nwant %s", line, c.want)
			}
		})
	}
}
