package webhook

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/signature"
	"prober/probes/internal/probetest"
)

// A provider publishes keys and signs with one of them.
type provider struct {
	mu        sync.Mutex
	keys      map[string]*ecdsa.PrivateKey
	published []string
	signs     string
	status    int // of the key set; 200 if 0
}

func newProvider(t testing.TB, kids ...string) *provider {
	p := &provider{keys: map[string]*ecdsa.PrivateKey{}, published: kids}
	for _, kid := range append(kids, "later") {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		p.keys[kid] = key
	}
	if len(kids) > 0 {
		p.signs = kids[0]
	}
	return p
}

func (p *provider) document() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := []jose.JSONWebKey{}
	for _, kid := range p.published {
		all = append(all, jose.JSONWebKey{Key: p.keys[kid].Public(), KeyID: kid, Use: "sig"})
	}
	body, _ := json.Marshal(map[string]any{"keys": all})
	return body
}

func (p *provider) set(t testing.TB) jwk.Set {
	set, err := jwk.Parse(t.Context(), p.document())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func (p *provider) rotate(signs string, published ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signs, p.published = signs, published
}

func (p *provider) sign(t testing.TB, body string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.keys[p.signs], KeyID: p.signs}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.DetachedCompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestRotation goes through rotations, an hour at a time: a key must be published for the hour that receivers keep the set, and stay
// for two hours after it signed.
func TestRotation(t *testing.T) {
	type hour struct {
		signs     string
		published string
		want      string // of the checks cached_keys and grace
		between   time.Duration
	}
	for name, hours := range map[string][]hour{
		"in order": {
			{"a", "a", "grace pass(ok): 1 key that signed is published", 0},
			{"a", "a", "cached_keys pass(ok): signed with a key that has been published for at least 1h0m0s, longer than receivers keep the key set\ngrace pass(ok): 1 key that signed is published", 0},
			{"a", "a b", "cached_keys pass*", 0},
			{"b", "a b", "cached_keys pass(ok): signed with a key that has been published for at least 1h0m0s, longer than receivers keep the key set\ngrace pass(ok): 2 keys that signed are published", 0},
			{"b", "a b", "cached_keys pass*", 0},
			{"b", "b", "cached_keys pass(ok): signed with a key that has been published for at least 3h0m0s, longer than receivers keep the key set\ngrace pass(ok): 1 key that signed is published", 0},
		},
		"without a lead": {
			{"a", "a", "grace pass*", 0},
			{"a", "a", "cached_keys pass*", 0},
			{"b", "a b", "cached_keys fail(published_too_late): signed with a key that has been published for at most 30m0s: receivers that keep the key set for 1h, as they are told, reject it\ngrace pass(ok): 2 keys that signed are published", 30 * time.Minute},
		},
		"without a grace": {
			{"a", "a b", "grace pass*", 0},
			{"a", "a b", "cached_keys pass*", 0},
			{"b", "b", "cached_keys pass(ok): signed with a key that has been published for at least 2h0m0s, longer than receivers keep the key set\ngrace fail(grace_too_short): expected a key to stay published for 2h after it signed, got one that is gone after 1h0m0s: what waits to be verified is rejected", 0},
		},
		"back again": {
			{"a", "a", "grace pass*", 0},
			{"b", "a b", "*", 0},
			{"b", "b", "*", 0},
			{"a", "a b", "cached_keys fail(published_too_late)*", 10 * time.Minute},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, "a", "b")
			d := &document{}
			began := time.Now().Add(-100 * time.Hour)
			for i, h := range hours {
				now := began.Add(time.Duration(i) * time.Hour)
				p.rotate(h.signs, strings.Fields(h.published)...)
				if h.between > 0 { // one more run in between, which saw what the last one saw
					d.Read = now.Add(-h.between)
					for j := range d.Keys {
						if !d.Keys[j].Seen.Before(now.Add(-time.Hour)) {
							d.Keys[j].Seen = d.Read
						}
					}
				}
				d.read(p.set(t), p.document(), now)
				key := p.set(t).Find(h.signs)[0]
				d.find(nameOf(key)).Signed = now
				r := probe.NewResult(probe.ID{System: "test", Name: "p"})
				probeOf := New()
				probeOf.Signature.Cache, probeOf.Signature.Grace = probe.Duration(time.Hour), probe.Duration(2*time.Hour)
				run := &runState{Probe: probeOf, r: r, in: fixed{d}}
				run.judgeKeys([]attempt{{at: now, signer: nameOf(key)}})
				got := strings.TrimSpace(strings.SplitN(probetest.Lines(*r), "\n", 2)[1])
				want, prefix := strings.CutSuffix(h.want, "*")
				if prefix && !strings.HasPrefix(got, want) || !prefix && got != want {
					t.Errorf("hour %d: got\n%s\nexpected\n%s", i, got, h.want)
				}
			}
		})
	}
}

// fixed is an inbox with a document.
type fixed struct{ d *document }

func (f fixed) Update(change func(*probe.InboxState)) {
	change(&probe.InboxState{Volatile: &state{document: *f.d, counts: map[string]float64{}}})
}

func TestForget(t *testing.T) {
	p := newProvider(t, "a", "b")
	d, began := &document{}, time.Now()
	d.read(p.set(t), p.document(), began)
	p.rotate("b", "b")
	d.read(p.set(t), p.document(), began.Add(time.Hour))
	d.forget(began.Add(time.Hour), 2*time.Hour)
	if len(d.Keys) != 2 {
		t.Errorf("after an hour: got %d keys", len(d.Keys))
	}
	d.read(p.set(t), p.document(), began.Add(4*time.Hour))
	d.forget(began.Add(4*time.Hour), 2*time.Hour)
	if len(d.Keys) != 1 {
		t.Errorf("after four hours: got %d keys", len(d.Keys))
	}
	for i := range 2 * maxKeys {
		many := newProvider(t, fmt.Sprint(i))
		d.read(many.set(t), make([]byte, maxKeptSet+1), began.Add(5*time.Hour))
	}
	if len(d.Keys) > maxKeys || d.Set != nil {
		t.Errorf("got %d keys and a set of %d bytes", len(d.Keys), len(d.Set))
	}
	if text, err := json.Marshal(d); err != nil || len(text)+maxKeptSet*4/3 > probe.MaxInboxDocument {
		t.Errorf("the document may have %d bytes, %v", len(text)+maxKeptSet*4/3, err)
	}
}

func (fixed) Wait(context.Context, func(*probe.InboxState) bool) error { return nil }
func (fixed) Since() time.Time                                         { return time.Time{} }
func (fixed) Gap(time.Time, time.Time) (probe.InboxGap, bool)          { return probe.InboxGap{}, false }
func (fixed) Unauthorized(time.Time) int                               { return 0 }

// A delivery that the prober cannot judge hides no other that a receiver rejects, whichever comes first.
func TestJudgeProofs_worst(t *testing.T) {
	for _, errs := range [][]error{{signature.ErrUnknown, signature.ErrMissing}, {signature.ErrMissing, signature.ErrUnknown}, {errStale, signature.ErrUnknown, signature.ErrMissing}} {
		synctest.Test(t, func(t *testing.T) {
			x := begin(t, "    cases:\n      it: {answers: [200]}\n      other: {answers: [200]}\n")
			for i, err := range errs {
				e := x.events[min(i, 1)]
				e.refused = append(e.refused, refusal{err: err})
			}
			if got := lines(x.judged(t), checkSignature); got != fmt.Sprintf("signature fail(unsigned): expected deliveries that verify, got %d deliveries with no signature", len(errs)) {
				t.Errorf("%v: got %s", errs, got)
			}
		})
	}
}
