package webhook

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// An attempt that was answered at once, since nobody knew yet of which event it was, says nothing of a slow receiver.
func TestNamed_slow(t *testing.T) {
	x := begin(t, "    schedule: 1h\n    cases:\n      it: {answers: [{status: 200, after: 20s}]}\n")
	e := x.events[0]
	e.id = ""
	x.state(func(st *state, _ *probe.InboxState) { st.run.asking = e })
	x.sender.deliver("other", "key")
	x.sender.deliver("evt", "key-2")
	x.state(func(st *state, _ *probe.InboxState) { st.run.named(e, "evt") })
	if got := x.judge(e, time.Now().Add(2*time.Hour)); got.Reason != probe.ControlFailed {
		t.Errorf("expected it to be unknown, got %s: %s", got.Reason, got.Detail)
	}
}

// A clock that was ahead, and is set back, makes no delivery look as if it had just come. Neither does a machine that slept.
func TestCollect_clock(t *testing.T) {
	w := newWorld(t, nil, "    trigger: none\n    within: 1h\n")
	w.dispatch("evt-1")
	w.state(func(st *state, _ *probe.InboxState) {
		if strings.Contains(st.document.Last.String(), " m=") {
			t.Errorf("the last delivery is known by a clock that stands still while the machine sleeps: %s", st.document.Last)
		}
		st.document.Last = time.Now().Add(24 * time.Hour)
	})
	if got := lines(w.run(), checkDelivered); got != "delivered inconclusive(self_clock): the last delivery came 24h0m0s in the future" {
		t.Errorf("got %s", got)
	}
}

// Deliveries by unknown keys cannot fill the memory, however many there are and however large.
func TestReceive_unknownKeys(t *testing.T) {
	x := begin(t, "    signature: {scheme: jws-detached, header: X-Signature, keys: \"https://sender.example/keys\"}\n    id: {json: $.event_id}\n    key: {json: $.key}\n")
	p := newProvider(t, "a")
	x.state(func(st *state, _ *probe.InboxState) { st.set = p.set(t) })
	p.rotate("later", "a")
	for i := range 200 {
		body := fmt.Sprintf(`{"event_id": "evt-%d", "pad": %q}`, i%50, strings.Repeat("x", 30<<10))
		x.Receive(x.in, probe.Delivery{At: time.Now(), Method: http.MethodPost, Body: []byte(body), Header: http.Header{
			"X-Signature": {p.sign(t, body)}, "X-Other": {strings.Repeat("y", 10<<10)}}})
	}
	kept := 0
	x.state(func(st *state, _ *probe.InboxState) {
		for _, all := range st.run.refused {
			for _, r := range all {
				kept += len(r.body)
				for _, values := range r.header {
					kept += len(strings.Join(values, ""))
				}
			}
		}
	})
	if kept == 0 || kept > 512<<10 {
		t.Errorf("%d bytes are kept", kept)
	}
}

// A key that is not remembered says nothing of the grace.
func TestJudgeGrace_nothing(t *testing.T) {
	x := begin(t, "    signature: {scheme: jws-detached, header: X-Signature, keys: \"https://sender.example/keys\", grace: 1h}\n    id: {json: $.event_id}\n    key: {json: $.key}\n")
	x.judgeKeys([]attempt{{at: time.Now(), signer: "unknown"}})
	if got := lines(probetest.Lines(*x.result), checkGrace); !strings.HasPrefix(got, "grace inconclusive(nothing_checked)") {
		t.Errorf("got %s", got)
	}
}

// A list of dead letters that has something for every id shows nothing.
func TestAsk_deadLettersOfAll(t *testing.T) {
	w := newWorld(t, nil, `    within: 10s
    schedule: 100ms
    cases:
      refused: {answers: [400], dead: true}
    dead: {url: "URL/dead?event={id}", has: "$.items[0]"}
`)
	if got := lines(w.run(), checkDead); !strings.HasPrefix(got, "dead inconclusive(control_failed): the list has a random id too") {
		t.Errorf("got %s", got)
	}
}

// What came in vain after the failing answers is not the sender's fault.
func TestAsk_missedLast(t *testing.T) {
	t.Parallel()
	var missed atomic.Bool
	w := newWorld(t, func(one http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if bytes.Contains(body, []byte("evt-3")) {
				missed.Store(true)
				rw.WriteHeader(503)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			one.ServeHTTP(rw, r)
		})
	}, strings.Replace(twoCases, "within: 10s", "within: 1s", 1))
	in, err := w.job.Inbox()
	if err != nil {
		t.Fatal(err)
	}
	w.job.Inbox = func() (probe.Inbox, error) { return gapped{in, &missed}, nil }
	if got := lines(w.run(), checkEnabled); got != "enabled inconclusive(control_failed): not known, since deliveries may have come in vain: the listener was overloaded" {
		t.Errorf("got %s", got)
	}
}

type gapped struct {
	probe.Inbox
	missed *atomic.Bool
}

func (g gapped) Gap(from, to time.Time) (probe.InboxGap, bool) {
	return probe.InboxGap{From: from, To: to, Why: "the listener was overloaded"}, g.missed.Load()
}

// A replay is known while its timestamp is good: whatever else comes meanwhile, and after a restart.
func TestReceive_replayedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := begin(t, "    schedule: 1h\n    cases:\n      it: {answers: [503, 200]}\n")
		old := x.sender.signed("it", "key", time.Now())
		x.Receive(x.in, old)
		for i := range 1000 {
			x.sender.deliver("other", fmt.Sprintf("key-%d", i))
		}
		time.Sleep(time.Minute)
		old.At = time.Now()
		if got := x.Receive(x.in, old); got.Status != 503 || len(x.events[0].attempts) != 1 {
			t.Errorf("answered %d, got %d attempts", got.Status, len(x.events[0].attempts))
		}
		time.Sleep(20 * time.Minute)
		x.sender.deliver("other", "key")
		x.state(func(st *state, _ *probe.InboxState) {
			if len(st.seen) != 1 {
				t.Errorf("%d contents are remembered", len(st.seen))
			}
		})
	})
}
