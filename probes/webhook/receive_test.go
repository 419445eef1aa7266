package webhook

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
)

// counted returns how often each result was counted.
func (x *runner) counted() string {
	var out []string
	x.state(func(st *state, _ *probe.InboxState) {
		for _, result := range results() {
			if n := st.counts[result]; n > 0 {
				out = append(out, fmt.Sprintf("%s %g", result, n))
			}
		}
	})
	return strings.Join(out, ", ")
}

// TestReceive_hostile: whatever else is sent beside a delivery, the verdict is that of the delivery, and everything that does
// not verify is answered alike.
func TestReceive_hostile(t *testing.T) {
	const want = `
reachable
delivered pass(ok): 1 event, within 0s
signature pass(ok): 2 deliveries verify by standard
timestamp pass(ok): within 1s of the arrival
tampered pass(ok): none of 4 copies with a byte changed verifies
same_key pass(ok): the same in 1 retry
case@it pass(ok): 2 attempts, as expected; the last was answered 200`
	for _, c := range []struct {
		name    string
		hostile func(s *sender, real probe.Delivery) probe.Delivery
		status  int // of the answer
		counted string
	}{
		{"nothing", nil, 0, "verified 2"},
		{"without a signature", func(s *sender, d probe.Delivery) probe.Delivery { d.Header.Del("Webhook-Signature"); return d }, 404, "verified 2, unsigned 1"},
		{"with another's signature", func(s *sender, d probe.Delivery) probe.Delivery {
			return (&sender{secret: []byte("another secret of 32 bytes......"), p: s.p, in: s.in}).signed("it", "key", time.Now())
		}, 404, "verified 2, bad_signature 1"},
		{"with another body", func(s *sender, d probe.Delivery) probe.Delivery { d.Body = append(d.Body, ' '); return d }, 404, "verified 2, bad_signature 1"},
		{"with another id", func(s *sender, d probe.Delivery) probe.Delivery { d.Header.Set("Webhook-Id", "other"); return d }, 404, "verified 2, bad_signature 1"},
		{"with two signatures", func(s *sender, d probe.Delivery) probe.Delivery {
			d.Header.Add("Webhook-Signature", "v1,AAAA")
			return d
		}, 404, "verified 2, malformed 1"},
		{"that is enormous", func(s *sender, d probe.Delivery) probe.Delivery {
			d.Body = make([]byte, probe.MaxDelivery)
			return d
		}, 404, "verified 2, bad_signature 1"},
		{"that is empty", func(s *sender, d probe.Delivery) probe.Delivery { d.Body = nil; return d }, 404, "verified 2, bad_signature 1"},
		{"as a GET", func(s *sender, d probe.Delivery) probe.Delivery { d.Method = "GET"; return d }, 404, "verified 2, unsigned 1"},
		{"to another path", func(s *sender, d probe.Delivery) probe.Delivery { d.Path = "/" + strings.Repeat("A", 26); return d }, 404, "verified 2, unsigned 1"},
		{"the same once more", func(s *sender, d probe.Delivery) probe.Delivery { return d }, 503, "verified 2, replayed 1"},
		{"signed an hour ago", func(s *sender, d probe.Delivery) probe.Delivery {
			return s.signed("it", "key", time.Now().Add(-time.Hour))
		}, 404, "verified 2, stale 1"},
		{"signed for tomorrow", func(s *sender, d probe.Delivery) probe.Delivery {
			return s.signed("it", "key", time.Now().Add(24*time.Hour))
		}, 404, "verified 2, stale 1"},
		{"an event of somebody else", func(s *sender, d probe.Delivery) probe.Delivery { return s.signed("other", "key-2", time.Now()) }, 200, "verified 2, unmatched 1"},
		{"an event without an id", func(s *sender, d probe.Delivery) probe.Delivery { return s.signed("", "key-2", time.Now()) }, 200, "verified 2, unmatched 1"},
		{"an event with an id without end", func(s *sender, d probe.Delivery) probe.Delivery {
			return s.signed(strings.Repeat("a", 10_000), "key-2", time.Now())
		}, 200, "verified 2, unmatched 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := begin(t, "    schedule: 1h\n    cases:\n      it: {answers: [503, 200]}\n")
				real := x.sender.signed("it", "key", time.Now())
				sent := probe.Delivery{At: real.At, Method: real.Method, Header: real.Header.Clone(), Body: append([]byte{}, real.Body...)}
				first := x.Receive(x.in, real)
				if first.Status != 503 {
					t.Errorf("the delivery is answered %d", first.Status)
				}
				if c.hostile != nil {
					time.Sleep(time.Second)
					if got := x.Receive(x.in, c.hostile(x.sender, sent)); got.Status != c.status {
						t.Errorf("answered %d, expected %d", got.Status, c.status)
					}
				}
				time.Sleep(20 * time.Second)
				x.sender.deliver("it", "key")
				if got := x.counted(); got != c.counted {
					t.Errorf("counted %s, expected %s", got, c.counted)
				}
				if got := x.judged(t); "\nreachable\n"+strings.TrimSpace(got) != want {
					t.Errorf("got\n%s\nexpected%s", got, want)
				}
			})
		})
	}
}

// What comes before the real delivery, with its id or without, changes nothing either; and it makes no event that nobody sent
// look delivered.
func TestReceive_forgedAlone(t *testing.T) {
	forger := func(x *runner) *sender {
		return &sender{secret: []byte("another secret of 32 bytes......"), p: x.Probe, in: x.in}
	}
	synctest.Test(t, func(t *testing.T) {
		x := begin(t, "    cases:\n      it: {answers: [200]}\n")
		forger(x).deliver("it", "key")
		x.sender.deliver("it", "key")
		if got := lines(x.judged(t), checkDelivered, checkSignature, checkCase); !strings.Contains(got, "delivered pass") || strings.Contains(got, "fail") {
			t.Errorf("a forged delivery before the real one: got\n%s", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		x := begin(t, "    cases:\n      it: {answers: [200]}\n")
		forger(x).deliver("guessed", "key")
		x.sender.deliver("other", "key")
		want := "delivered fail(lost): expected the event of it within 1m, got nothing\nsignature inconclusive(nothing_checked): nothing was delivered"
		if got := lines(x.judged(t), checkDelivered, checkSignature); got != want {
			t.Errorf("forged deliveries alone: got\n%s\nexpected\n%s", got, want)
		}
	})
	synctest.Test(t, func(t *testing.T) { // the sender itself does not sign as it must: nobody else knows the id
		x := begin(t, "    cases:\n      it: {answers: [200]}\n")
		forger(x).deliver("it", "key")
		want := "delivered inconclusive(control_failed): 1 delivery of the event of it came, but a receiver accepts none of them; see signature and timestamp\n" +
			"signature fail(bad_signature): expected deliveries that verify, got 1 delivery with a signature that does not verify"
		if got := lines(x.judged(t), checkDelivered, checkSignature); got != want {
			t.Errorf("a sender that signs wrongly: got\n%s\nexpected\n%s", got, want)
		}
	})
}

// A delivery may be faster than the response to its trigger, whose id is then not known yet.
func TestNamed(t *testing.T) {
	start := func(t *testing.T) (*runner, *event) {
		x := begin(t, "    schedule: 1h\n    cases:\n      it: {answers: [503, 200]}\n")
		e := x.events[0]
		e.id = ""
		x.state(func(st *state, _ *probe.InboxState) { st.run.asking = e })
		return x, e
	}
	named := func(x *runner, e *event, id string) {
		x.state(func(st *state, _ *probe.InboxState) { st.run.named(e, id) })
	}
	t.Run("it is the event", func(t *testing.T) {
		x, e := start(t)
		if got := x.sender.deliver("evt", "key"); got.Status != 503 {
			t.Errorf("answered %d, expected the script of the event", got.Status)
		}
		named(x, e, "evt")
		if len(e.attempts) != 1 || e.id != "evt" {
			t.Errorf("got %d attempts of %q", len(e.attempts), e.id)
		}
	})
	t.Run("it is another event", func(t *testing.T) {
		x, e := start(t)
		x.sender.deliver("other", "key")
		if got := x.sender.deliver("evt", "key-2"); got.Status != 200 {
			t.Errorf("answered %d", got.Status)
		}
		named(x, e, "evt")
		if got := x.judge(e, time.Now()); got.Reason != probe.ControlFailed || !strings.Contains(got.Detail, "attempt 1 came before the trigger had said its id") {
			t.Errorf("got %s %s", got.Reason, got.Detail)
		}
	})
	t.Run("it does not verify", func(t *testing.T) {
		x, e := start(t)
		(&sender{secret: []byte("another secret of 32 bytes......"), p: x.Probe, in: x.in}).deliver("evt", "key")
		named(x, e, "evt")
		if len(e.refused) != 1 {
			t.Errorf("got %d refused deliveries", len(e.refused))
		}
	})
	t.Run("nothing was triggered", func(t *testing.T) {
		x, e := start(t)
		x.sender.deliver("evt", "key")
		named(x, e, "")
		if len(e.attempts) != 0 {
			t.Errorf("got %d attempts", len(e.attempts))
		}
	})
}

// What an attacker can make the probe keep is bounded.
func TestReceive_bounds(t *testing.T) {
	x := begin(t, "    schedule: 1h\n    cases:\n      it: {answers: [400]}\n")
	forger := &sender{secret: []byte("another secret of 32 bytes......"), p: x.Probe, in: x.in}
	for i := range 1000 {
		x.sender.deliver(fmt.Sprintf("other-%d", i), fmt.Sprintf("key-%d", i))
		x.sender.deliver("it", fmt.Sprintf("key-%d", i))
		forger.deliver("it", "key")
		forger.deliver(fmt.Sprintf("forged-%d", i), "key")
	}
	x.state(func(st *state, s *probe.InboxState) {
		e := x.events[0]
		if len(st.run.others) > maxOthers || len(st.run.refused) > maxOthers || len(e.attempts) > maxAttempts || len(e.refused) > maxAttempts || len(st.seen) > maxReplays {
			t.Errorf("kept %d other events, %d refused, %d attempts, %d refused ones and %d contents", len(st.run.others), len(st.run.refused), len(e.attempts), len(e.refused), len(st.seen))
		}
		if len(s.Document) > 1024+maxKeptSeen*11 { // 8 bytes in base64
			t.Errorf("the document has %d bytes", len(s.Document))
		}
	})
}

// The document holds nothing that was delivered and no secret, and a damaged one is as good as none.
func TestDocument(t *testing.T) {
	x := begin(t, "    cases:\n      it: {answers: [200]}\n")
	x.sender.deliver("it", "the-key")
	x.in.Update(func(s *probe.InboxState) {
		var d document
		if err := json.Unmarshal(s.Document, &d); err != nil || d.Last.IsZero() || strings.Contains(string(s.Document), "the-key") {
			t.Errorf("got %s, %v", s.Document, err)
		}
		for _, damaged := range []string{"", "{", `{"last": 5}`, `[]`, `{"keys": [{"key": 7}]}`} {
			other := probe.InboxState{Document: []byte(damaged)}
			if st := stateOf(&other); !st.document.Last.IsZero() || st.set != nil {
				t.Errorf("%s: got %+v", damaged, st.document)
			}
		}
	})
}

// Without a key set yet, as after a restart without a document, the sender is asked to come again.
func TestReceive_noKeys(t *testing.T) {
	x := begin(t, "    signature: {scheme: jws-detached, header: X-Signature, keys: \"https://sender.example/keys\"}\n    id: {json: $.event_id}\n    key: {json: $.key}\n")
	answer := x.Receive(x.in, probe.Delivery{Method: http.MethodPost, Header: http.Header{"X-Signature": {newProvider(t, "a").sign(t, "{}")}}, Body: []byte("{}")})
	if answer.Status != http.StatusServiceUnavailable || x.counted() != "no_keys 1" {
		t.Errorf("answered %d, counted %s", answer.Status, x.counted())
	}
}
