package webhook

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// A secret that cannot be read when a delivery comes says nothing of the delivery: the run is neither pass nor fail, and says why.
// One of two that can be read is enough for what it signed.
func TestReceive_unreadableSecret(t *testing.T) {
	dir := t.TempDir()
	file := func(name, secret string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("whsec_"+base64.StdEncoding.EncodeToString([]byte(secret))), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	older, newer := file("older", "another secret of 32 bytes......"), file("newer", string(hookSecret))
	settings := func(secrets ...string) string {
		return fmt.Sprintf("    within: 1s\n    signature: {scheme: standard, secrets: [{file: %s}]}\n    id: {json: $.event_id}\n", strings.Join(secrets, "}, {file: "))
	}
	hide := func(t *testing.T, path string) {
		if err := os.Rename(path, path+".hidden"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Rename(path+".hidden", path) })
	}
	for name, c := range map[string]struct {
		secrets []string
		hidden  string
		header  func(http.Header)
		status  int
		verdict probe.Verdict
		counted string
		want    string
	}{
		"readable":            {secrets: []string{newer}, verdict: probe.Pass, counted: "verified 1", want: "signature pass(ok): 1 delivery verifies by standard"},
		"another one is gone": {secrets: []string{older, newer}, hidden: older, verdict: probe.Pass, counted: "verified 1", want: "signature pass(ok): 1 delivery verifies by standard"},
		"it is gone": {secrets: []string{newer}, hidden: newer, status: 503, verdict: probe.Inconclusive, counted: "no_keys 1",
			want: "signature inconclusive(credential): a delivery could not be verified: signature.secrets or the key set could not be read when it came"},
		"it is one of two": {secrets: []string{older, newer}, hidden: newer, status: 503, verdict: probe.Inconclusive, counted: "no_keys 1",
			want: "signature inconclusive(credential): a delivery could not be verified: signature.secrets or the key set could not be read when it came"},
		"it is gone, and somebody sends what nothing would verify": {secrets: []string{newer}, hidden: newer, status: 404, verdict: probe.Fail, counted: "unsigned 1",
			header: func(h http.Header) { h.Del("Webhook-Signature") }, want: "signature inconclusive(nothing_checked): nothing was delivered"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := begin(t, settings(c.secrets...)+"    cases:\n      it: {answers: [200]}\n")
				if c.hidden != "" {
					hide(t, c.hidden)
				}
				event := "it"
				d := x.sender.signed(event, "key", time.Now())
				if c.header != nil {
					event = "none"
					d = x.sender.signed(event, "key", time.Now())
					c.header(d.Header)
				}
				if got := x.Receive(x.in, d); got.Status != c.status && (c.status != 0 || got.Status != 200) {
					t.Errorf("answered %d, expected %d", got.Status, c.status)
				}
				if got := x.counted(); got != c.counted {
					t.Errorf("counted %s, expected %s", got, c.counted)
				}
				if got := lines(x.judged(t), checkSignature); got != c.want {
					t.Errorf("got\n%s\nexpected\n%s", got, c.want)
				}
				if got := x.result.Verdict(); got != c.verdict && (c.verdict != probe.Pass || strings.Contains(probetest.Lines(*x.result), "fail")) {
					t.Errorf("got %s:\n%s\nexpected %s", got, probetest.Lines(*x.result), c.verdict)
				}
			})
		})
	}
}

// The same where deliveries come by themselves: what could not be verified is no silence of the sender, as long as it counts.
func TestCollect_unreadableSecret(t *testing.T) {
	w := newWorld(t, nil, "    trigger: none\n    within: 1h\n")
	w.since(t, 2*time.Hour)
	w.state(func(st *state, _ *probe.InboxState) { st.document.Vain = time.Now().Add(-59 * time.Minute) })
	want := "delivered inconclusive(control_failed): not known, since deliveries may have come in vain: one could not be verified, since the prober could not read its own key\n" +
		"signature inconclusive(credential): a delivery could not be verified: signature.secrets or the key set could not be read when it came"
	if got := lines(w.run(), checkDelivered, checkSignature); got != want {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
	for _, at := range []time.Duration{-61 * time.Minute, time.Minute} { // too long ago, and of a clock that was ahead
		w.state(func(st *state, _ *probe.InboxState) { st.document.Vain = time.Now().Add(at) })
		if got := lines(w.run(), checkDelivered, checkSignature); got != "delivered fail(lost): expected a delivery every 1h, got none in the 2h0m0s since the prober began to listen" {
			t.Errorf("%s: got\n%s", at, got)
		}
	}
}

// A delivery that the sender signed wrongly looks like a forged one, so that neither has a say. But a sender that signs half
// of them wrongly is seen: in the detail, and in a share that an alert is about.
func TestCollect_unverified(t *testing.T) {
	w := newWorld(t, nil, "    trigger: none\n    within: 1h\n")
	ratio := func() string {
		r := w.job.Do(t.Context())
		for _, s := range r.Samples {
			if s.Name == unverifiedRatio.Name {
				return fmt.Sprintf("%g, %s", s.Value, lines(probetest.Lines(r), checkSignature))
			}
		}
		return "none, " + lines(probetest.Lines(r), checkSignature)
	}
	w.run() // reads the key set
	forge := func(n int) {
		for i := range n {
			req, _ := http.NewRequest("POST", w.hook, strings.NewReader(fmt.Sprintf(`{"event_id": "forged-%d"}`, i)))
			req.Header.Set("X-Signature", w.sign(t, "another body"))
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
	}
	w.dispatch("evt-1")
	forge(2)
	if got := ratio(); got != "none, signature pass(ok): 1 delivery verifies by jws-detached" {
		t.Errorf("of three deliveries: got %s", got)
	}
	w.dispatch("evt-2")
	if got := ratio(); got != "0.5, signature pass(ok): 1 delivery verifies by jws-detached; of the last 4 to this path, 2 did not verify: the sender signs some wrongly, or another one knows the path" {
		t.Errorf("of four: got %s", got)
	}
	for i := range 18 {
		w.dispatch(fmt.Sprintf("evt-%d", 3+i))
	}
	if got := ratio(); got != "0.05, signature pass(ok): 1 delivery verifies by jws-detached; of the last 20 to this path, 1 did not verify: the sender signs some wrongly, or another one knows the path" {
		t.Errorf("of the last twenty: got %s", got)
	}
	for _, other := range []string{"GET", "POST"} { // neither is a delivery
		path := w.hook
		if other == "POST" {
			path += "/x"
		}
		req, _ := http.NewRequest(other, path, nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	w.state(func(st *state, _ *probe.InboxState) {
		if refused, all := st.unverified(time.Now(), time.Hour); refused != 1 || all != 20 {
			t.Errorf("got %d of %d", refused, all)
		}
		if refused, all := st.unverified(time.Now().Add(25*time.Hour), time.Hour); refused != 0 || all != 0 {
			t.Errorf("a day later: got %d of %d", refused, all)
		}
	})
	w.since(t, 3*time.Hour)
	w.state(func(st *state, _ *probe.InboxState) { st.document.Last = time.Now().Add(-2 * time.Hour) })
	forge(20)
	if got := lines(w.run(), checkDelivered); got != "delivered fail(lost): expected a delivery every 1h, got the last one 2h0m0s ago; of the last 20 to this path, 20 did not verify: the sender signs some wrongly, or another one knows the path" {
		t.Errorf("nothing verifies: got %s", got)
	}
}

// A replay and a stale delivery: the first is none, the second did not verify.
func TestReceive_share(t *testing.T) {
	x := begin(t, "    schedule: 1h\n    cases:\n      it: {answers: [503, 200]}\n")
	d := x.sender.signed("it", "key", time.Now())
	x.Receive(x.in, d)
	x.Receive(x.in, d)
	x.Receive(x.in, x.sender.signed("it", "key", time.Now().Add(-time.Hour)))
	x.state(func(st *state, _ *probe.InboxState) {
		if refused, all := st.unverified(time.Now(), time.Hour); refused != 1 || all != 2 {
			t.Errorf("got %d of %d", refused, all)
		}
	})
	in, p := receivers(t, load(t, "    trigger: none\n    within: 1h\n"))
	s := &sender{secret: hookSecret, p: p, in: in}
	old := s.signed("it", "key", time.Now())
	p.Receive(in, old)
	in.Update(func(s *probe.InboxState) { s.Volatile = nil }) // as after a restart, when a replay is known by its timestamp
	for range 5 {
		p.Receive(in, old)
	}
	in.Update(func(s *probe.InboxState) {
		if refused, all := stateOf(s).unverified(time.Now(), time.Hour); refused != 0 || all != 0 {
			t.Errorf("replays after a restart: got %d of %d", refused, all)
		}
	})
}

// A token that the same keys signed is no delivery, if typ says so.
func TestReceive_typ(t *testing.T) {
	for _, typ := range []string{"secevent+jwt", "application/SecEvent+JWT"} {
		synctest.Test(t, func(t *testing.T) {
			x := begin(t, "    within: 1s\n    signature: {scheme: jws-detached, header: X-Signature, keys: \"https://sender.example/keys\", typ: "+typ+"}\n    id: {json: $.event_id}\n    key: {json: $.key}\n    cases:\n      it: {answers: [200]}\n")
			p := newProvider(t, "a")
			x.state(func(st *state, _ *probe.InboxState) { st.set = p.set(t) })
			body := `{"event_id": "it"}`
			x.Receive(x.in, probe.Delivery{At: time.Now(), Method: http.MethodPost, Body: []byte(body), Header: http.Header{"X-Signature": {p.sign(t, body)}}})
			if got := lines(x.judged(t), checkSignature); got != "signature fail(other_typ): expected deliveries that verify, got 1 delivery with a signature of something else: its typ is another" {
				t.Errorf("%s: got %s", typ, got)
			}
		})
	}
}

// A run that ends early has the failing answers end well too, and says what came of it.
func TestAsk_early(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trigger func(n int32, rw http.ResponseWriter) bool // whether it is an answer; the second one is asked once the first event was refused
		front   func(n int32) bool                         // whether something else answers
		want    string
	}{
		"the second trigger fails": {
			trigger: func(n int32, rw http.ResponseWriter) bool {
				if n == 2 {
					rw.WriteHeader(500)
				}
				return n == 2
			},
			want: "triggered fail(status): the trigger of settled: expected 2xx, got 500\nenabled pass(ok): after 1 failing answer an event is delivered as before",
		},
		"the first trigger fails": {
			trigger: func(n int32, rw http.ResponseWriter) bool { rw.WriteHeader(500); return true },
			want:    "triggered fail(status): the trigger of refused: expected 2xx, got 500\nenabled inconclusive(nothing_checked): the run ended early, before any failing answer was given",
		},
		"all triggers fail from the second on": {
			trigger: func(n int32, rw http.ResponseWriter) bool {
				if n > 1 {
					rw.WriteHeader(500)
				}
				return n > 1
			},
			want: "triggered fail(status): the trigger of settled: expected 2xx, got 500\nenabled fail(status): the trigger of last: expected 2xx, got 500",
		},
		"another prober comes up": {
			front: func(n int32) bool { return n > 7 },
			want: "reachable inconclusive(control_failed): of 4 requests to the public address 0 came back to this prober: something else answers there, such as another prober with the same address\n" +
				"enabled inconclusive(control_failed): no event came within 3s after 3 failing answers, but the run had ended early: see triggered and reachable",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked, came, handled atomic.Int32
			w := newWorld(t, func(one http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if n := came.Add(1); c.front != nil && c.front(n) {
						fmt.Fprint(rw, "OK")
						return
					}
					defer handled.Add(1)
					one.ServeHTTP(rw, r)
				})
			}, strings.Replace(twoCases, "within: 10s", "within: 3s", 1))
			if c.front != nil { // what the prober sends to itself goes elsewhere: it is not waited for
				w.job.Probe.(*Probe).waiting = time.Millisecond
			}
			answer := w.answer
			w.answer = func(rw http.ResponseWriter, id string) {
				n := asked.Add(1)
				if n == 2 && c.trigger != nil {
					testenv.Eventually(t, 10*time.Second, func(context.Context) error {
						if handled.Load() <= nonces {
							return errors.New("nothing was delivered")
						}
						return nil
					})
				}
				if c.trigger == nil || !c.trigger(n, rw) {
					answer(rw, id)
				}
			}
			if got := lines(w.run(), checkReachable, checkTriggered, checkEnabled); got != c.want {
				t.Errorf("got\n%s\nexpected\n%s", got, c.want)
			}
		})
	}
}

// What is tried again after a run ended early is answered 200, whatever its script says.
func TestJudgeEnabled_early(t *testing.T) {
	x := begin(t, "    within: 1s\n    schedule: 1h\n    cases:\n      it: {answers: [503, 503, 503]}\n")
	if got := x.sender.deliver("it", "key"); got.Status != 503 {
		t.Errorf("answered %d", got.Status)
	}
	x.runState.events = x.events
	x.judgeEnabled(t.Context())
	d := x.sender.signed("it", "key", time.Now().Add(2*time.Second))
	if got := x.Receive(x.in, d); got.Status != 200 {
		t.Errorf("the next attempt is answered %d", got.Status)
	}
	ended, end := context.WithTimeout(t.Context(), 0)
	defer end()
	x.rules = []ruling{{}}
	x.judgeEnabled(ended)
	got := lines(probetest.Lines(*x.result), checkEnabled)
	if !strings.Contains(got, ": the trigger of last: ") || !strings.HasSuffix(got, "\nenabled inconclusive(window_too_short): the run was over before the last event could be asked for, after 1 failing answer") {
		t.Errorf("got\n%s", got)
	}
}

// A run without its own secrets triggers nothing: it could verify none of what came.
func TestAsk_unreadableSecret(t *testing.T) {
	t.Setenv("TEST_HOOK_SECRET", "whsec_"+base64.StdEncoding.EncodeToString(hookSecret))
	w := newWorld(t, nil, "    within: 1s\n    signature: {scheme: standard, secrets: [{env: TEST_HOOK_SECRET}]}\n    id: {json: $.event_id}\n    cases:\n      it: {answers: [200]}\n")
	os.Unsetenv("TEST_HOOK_SECRET")
	const want = "signature inconclusive(credential): signature.secrets: secret from env TEST_HOOK_SECRET: the variable is not set"
	if got := w.run(); lines(got, checkSignature) != want || !strings.HasPrefix(got, "inconclusive\n") || w.events.Load() > 0 {
		t.Errorf("%d events were asked for, got\n%s\nexpected\n%s", w.events.Load(), got, want)
	}
}
