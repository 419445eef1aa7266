package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/testenv"
)

// isWebhookFault reports whether a fault is one of the dispatcher of webhooks, which answers nothing.
func isWebhookFault(f Fault) bool {
	return slices.ContainsFunc(webhookFaults(), func(w Fault) bool { return w.Name == f.Name })
}

// A hookReceiver answers the events of the dispatcher by their order, and notes what comes of each.
type hookReceiver struct {
	mu      sync.Mutex
	scripts map[string][]int
	got     map[string][]string
	keys    map[string]string
	pauses  map[string]time.Duration // before the last attempt
}

// receive notes an attempt: M for another method or path, ? for no signature of the key set, K for another key, S for a time
// that is not now, W for a pause that Retry-After asks for, H for one that is hardly any.
func (h *hookReceiver) receive(set []jose.JSONWebKey) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var event struct {
			EventID string    `json:"event_id"`
			Key     string    `json:"idempotency_key"`
			SentAt  time.Time `json:"sent_at"`
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if r.Method != http.MethodPost || r.URL.Path == "/elsewhere" {
			h.got["elsewhere"] = append(h.got["elsewhere"], "M")
			return
		}
		if json.Unmarshal(body, &event) != nil {
			h.got["forged"] = []string{"x"}
			w.WriteHeader(http.StatusNotFound)
			return
		}
		note := ""
		if !verifies(r.Header.Get("X-Logi-Signature"), body, set) {
			note += "?"
		}
		if key, there := h.keys[event.EventID]; there && key != event.Key {
			note += "K"
		}
		if time.Since(event.SentAt) > time.Minute {
			note += "S"
		}
		switch pause := h.pauses[event.EventID]; {
		case pause >= time.Second:
			note += "W"
		case pause > 0 && pause < retryPause:
			note += "H"
		}
		h.keys[event.EventID] = event.Key
		status, n := http.StatusOK, len(h.got[event.EventID])
		if script := h.scripts[event.EventID]; n < len(script) {
			status = script[n]
		}
		h.got[event.EventID] = append(h.got[event.EventID], fmt.Sprint(status, note))
		switch status {
		case http.StatusTooManyRequests:
			w.Header().Set("Retry-After", "1")
		case http.StatusFound:
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	}
}

// watch notes for how long the dispatcher waits before it sends an event again, which it does as soon as sent is closed.
func (h *hookReceiver) watch(d *dispatcher, sent <-chan time.Time) {
	h.pauses = map[string]time.Duration{}
	d.after = func(id string, pause time.Duration) <-chan time.Time {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.pauses[id] = pause
		return sent
	}
}

func verifies(compact string, body []byte, set []jose.JSONWebKey) bool {
	signed, err := jose.ParseDetached(compact, body, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return false
	}
	for _, key := range set {
		if key.KeyID == signed.Signatures[0].Header.KeyID && signed.DetachedVerify(body, key) == nil {
			return true
		}
	}
	return false
}

// Each fault of the dispatcher changes what its summary names.
func TestWebhookFaults(t *testing.T) {
	const (
		plain, retried, timeout, limited, refused, settled, moved = "200", "503 200", "408 200", "429 200W", "400 dead", "500 409", "302 dead"
	)
	sound := []string{plain, retried, timeout, limited, refused, settled, moved}
	for fault, want := range map[string][]string{
		"":                            sound,
		"webhook-no-dispatcher":       {"", "", "", "", "", "", ""},
		"webhook-disables":            sound, // seen by the event after these
		"webhook-no-retry":            {plain, "503 dead", timeout, limited, refused, "500 dead", moved},
		"webhook-408-dead":            {plain, retried, "408 dead", limited, refused, settled, moved},
		"webhook-retries-400":         {plain, retried, timeout, limited, "400 200", settled, moved},
		"webhook-ignores-retry-after": {plain, retried, timeout, "429 200", refused, settled, moved},
		"webhook-follows-redirects":   {plain, retried, timeout, limited, refused, settled, "302 M"},
		"webhook-not-kept":            {plain, retried, timeout, limited, "400", settled, "302"},
		"webhook-409-dead":            {plain, retried, timeout, limited, refused, "500 409 dead", moved},
		"webhook-new-key-each-try":    {plain, "503 200K", "408 200K", "429 200KW", refused, "500 409K", moved},
		"webhook-unsigned":            {"200?", "503? 200?", "408? 200?", "429? 200?W", "400? dead", "500? 409?", "302? dead"},
		"webhook-bad-signature":       {"200?", "503? 200?", "408? 200?", "429? 200?W", "400? dead", "500? 409?", "302? dead"},
		"webhook-kid-unpublished":     {"200?", "503? 200?", "408? 200?", "429? 200?W", "400? dead", "500? 409?", "302? dead"},
		"webhook-no-pause":            {plain, retried + "H", timeout + "H", limited, refused, settled + "H", moved},
		"webhook-kid-late":            {"200?", "503? 200?", "408? 200?", "429? 200?W", "400? dead", "500? 409?", "302? dead"},
		"webhook-second-host":         {"200? 200", "503? 200", "408? 200", "429? 200", "400? 200", "500? 409", "302? 200"}, // both are counted
		"webhook-old-timestamp":       {"200S", "503S 200S", "408S 200S", "429S 200SW", "400S dead", "500S 409S", "302S dead"},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			s := start(t, Options{})
			if fault != "" {
				if err := s.Inject(fault); err != nil {
					t.Fatal(err)
				}
			}
			h := &hookReceiver{scripts: map[string][]int{}, got: map[string][]string{}, keys: map[string]string{}}
			sent := make(chan time.Time)
			h.watch(s.dispatcher, sent)
			server := httptest.NewServer(h.receive([]jose.JSONWebKey{s.dispatcher.keys[0].Public(), s.dispatcher.keys[1].Public()}))
			t.Cleanup(server.Close)
			s.ForwardTo(server.Listener.Addr().String())
			ids := []string{"plain", "retried", "timeout", "limited", "refused", "settled", "moved"}
			for i, script := range [][]int{{200}, {503, 200}, {408, 200}, {429, 200}, {400, 200}, {500, 409}, {302, 200}} {
				h.mu.Lock()
				h.scripts[ids[i]] = script
				h.mu.Unlock()
				s.dispatcher.dispatch(ids[i])
			}
			close(sent)
			untilSettled(t, s)
			dead := fmt.Sprint(s.dispatcher.letters())
			h.mu.Lock()
			for i, id := range ids {
				got := strings.Join(h.got[id], " ")
				if id == "moved" && len(h.got["elsewhere"]) > 0 {
					got += " M"
				}
				if strings.Contains(dead, "event_id:"+id+" ") {
					got += " dead"
				}
				if got != want[i] {
					t.Errorf("%s: got %q, expected %q", id, got, want[i])
				}
			}
			h.mu.Unlock()
			s.dispatcher.dispatch("after")
			untilSettled(t, s)
			h.mu.Lock()
			defer h.mu.Unlock()
			if came := len(h.got["after"]) > 0; came == (fault == "webhook-disables" || fault == "webhook-no-dispatcher") {
				t.Errorf("an event after the failures came: %t", came)
			}
		})
	}
}

// The forged deliveries are sent beside the real ones.
func TestWebhookForged(t *testing.T) {
	s := start(t, Options{})
	if err := s.Inject("webhook-forged"); err != nil {
		t.Fatal(err)
	}
	h := &hookReceiver{scripts: map[string][]int{}, got: map[string][]string{}, keys: map[string]string{}}
	server := httptest.NewServer(h.receive([]jose.JSONWebKey{s.dispatcher.keys[0].Public()}))
	t.Cleanup(server.Close)
	s.ForwardTo(server.Listener.Addr().String())
	s.dispatcher.dispatch("it")
	untilSettled(t, s)
	h.mu.Lock()
	defer h.mu.Unlock()
	if got, want := strings.Join(h.got["it"], " "), "200? 200? 200? 200 200"; got != want || len(h.got["forged"]) != 1 {
		t.Errorf("got %q and %q, expected %q and one that is too large", got, h.got["forged"], want)
	}
}

// untilSettled waits until each event is delivered or dead.
func untilSettled(t *testing.T, s *Sandbox) {
	testenv.Eventually(t, 30*time.Second, func(context.Context) error {
		if n := s.dispatcher.waiting.Load(); n > 0 {
			return fmt.Errorf("%d events are under way", n)
		}
		return nil
	})
}
