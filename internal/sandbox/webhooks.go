package sandbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The test application, whose webhooks go to the prober.
const (
	testApp     = "17"
	webhookKeys = "GET /webhooks/17/jwks.json"
	webhookKid  = "hook-k2"
	revokedHook = "hook-k0" // a kid that is revoked
)

const (
	retryPause     = 300 * time.Millisecond // of the dispatcher
	maxAttempts    = 5
	maxDeadLetters = 100
	attemptTimeout = 5 * time.Second
	patience       = 400 * time.Millisecond // of one that has little
)

// A webhookSender is how the dispatcher of webhooks behaves. Faults change it.
type webhookSender struct {
	stopped, unsigned, badSignature, unpublished, newKeys, stale  bool
	dropsErrors, dropsTimeouts, retriesRefused, conflictIsFailure bool
	follows, ignoresRetryAfter, forgets, forges                   bool
	late, hasty, impatient, twoHosts                              bool

	failed *atomic.Bool // set once an event is a dead letter, after which the endpoint is disabled; nil: it never is
}

// A webhookFault changes the dispatcher.
type webhookFault func(*webhookSender)

func onWebhooks(change webhookFault) []*effect {
	return []*effect{{hosts: []string{onepass}, alterWebhooks: change}}
}

// alteredWebhooks returns how the dispatcher behaves under the active faults.
func (s *Sandbox) alteredWebhooks() webhookSender {
	var w webhookSender
	for _, f := range *s.active.Load() {
		for _, e := range f.effects {
			if e.alterWebhooks != nil {
				e.alterWebhooks(&w)
			}
		}
	}
	return w
}

// A dispatcher delivers the events of the test application, and keeps those that it could not deliver.
type dispatcher struct {
	sandbox *Sandbox
	to      string // the URL of the application's endpoint
	keys    []jose.JSONWebKey
	client  *http.Client
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	waiting atomic.Int32                                          // events that are neither delivered nor dead
	signed  atomic.Bool                                           // with the key that is published late
	after   func(id string, pause time.Duration) <-chan time.Time // when an event is sent again

	mu   sync.Mutex
	dead []object
}

func newDispatcher(s *Sandbox, to string) (*dispatcher, error) {
	d := &dispatcher{sandbox: s, to: to, after: func(_ string, pause time.Duration) <-chan time.Time { return time.After(pause) }}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.client = &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext},
		Timeout:   attemptTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			if d.sandbox.alteredWebhooks().follows {
				return nil
			}
			return http.ErrUseLastResponse
		},
	}
	for _, kid := range []string{webhookKid, "hook-k1", "hook-k3"} { // the first signs, the last is not published
		key, err := newKey(kid, jose.ES256)
		if err != nil {
			return nil, err
		}
		d.keys = append(d.keys, key)
	}
	return d, nil
}

func (d *dispatcher) close() {
	if d != nil {
		d.cancel()
		d.running.Wait()
	}
}

// serve adds the routes of the application: its keys, and how to have an event sent to it.
func (d *dispatcher) serve(h *host, admin string) {
	h.handle(webhookKeys, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		all := []jose.JSONWebKey{d.keys[0].Public(), d.keys[1].Public()}
		if d.sandbox.alteredWebhooks().late && d.signed.Load() {
			all = append(all, d.keys[2].Public())
		}
		writeJSON(w, http.StatusOK, object{"keys": all})
	})
	h.handle("POST /api/v1/test_events", func(w http.ResponseWriter, r *http.Request) {
		if bearer(r) != admin {
			writeUnauthorized(w)
			return
		}
		id := "evt_" + rand.Text()
		writeJSON(w, http.StatusAccepted, object{"event_id": id})
		d.dispatch(id)
	})
}

// dispatch delivers an event in the background.
func (d *dispatcher) dispatch(id string) {
	s := d.sandbox.alteredWebhooks()
	if s.stopped || s.failed != nil && s.failed.Load() && d.waiting.Load() == 0 || d.ctx.Err() != nil {
		return
	}
	d.waiting.Add(1)
	d.running.Go(func() {
		defer d.waiting.Add(-1)
		key := rand.Text()
		for n := 1; ; n++ {
			settled, pause := d.attempt(id, key, n == 1, d.sandbox.alteredWebhooks())
			switch {
			case settled:
				return
			case pause == 0 || n == maxAttempts:
				d.bury(id, n)
				return
			}
			select {
			case <-d.after(id, pause):
			case <-d.ctx.Done():
				return
			}
		}
	})
}

// attempt sends an event once. It returns whether that settled it, and else the pause before the next attempt; 0 if there is none.
func (d *dispatcher) attempt(id, key string, first bool, s webhookSender) (settled bool, pause time.Duration) {
	at := time.Now()
	if s.newKeys {
		key = rand.Text()
	}
	if s.stale {
		at = at.Add(-time.Hour)
	}
	body, err := json.Marshal(object{"event_id": id, "type": "test", "idempotency_key": key, "sent_at": at.UTC().Format(time.RFC3339Nano)})
	if err != nil {
		return true, 0
	}
	signature := d.sign(body, s)
	if s.forges && first {
		d.forge(body, signature)
	}
	if s.twoHosts {
		d.post(body, "")
	}
	status, header := d.post(body, signature)
	if s.forges && first {
		d.post(body, signature) // the same once more
	}
	later := retryPause
	if s.hasty {
		later = time.Millisecond
	}
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && !s.ignoresRetryAfter {
		later = max(later, time.Duration(seconds)*time.Second)
	}
	switch {
	case status/100 == 2, status == http.StatusConflict && !s.conflictIsFailure:
		return true, 0
	case status == 0 || status >= 500:
		if s.dropsErrors {
			return false, 0
		}
		return false, later
	case status == http.StatusRequestTimeout || status == http.StatusTooManyRequests:
		if s.dropsTimeouts && status == http.StatusRequestTimeout {
			return false, 0
		}
		return false, later
	case s.retriesRefused && status/100 == 4:
		return false, later
	}
	return false, 0
}

// sign returns the header of a delivery; empty if it is not signed.
func (d *dispatcher) sign(body []byte, s webhookSender) string {
	if s.unsigned {
		return ""
	}
	key := d.keys[0]
	if s.unpublished || s.late {
		key = d.keys[2]
		d.signed.Store(s.late)
	}
	if s.badSignature {
		key.Key = d.keys[2].Key
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		return ""
	}
	signed, err := signer.Sign(body)
	if err != nil {
		return ""
	}
	text, _ := signed.DetachedCompactSerialize()
	return text
}

// post sends a body and returns the status of the response; 0 if there is none.
func (d *dispatcher) post(body []byte, signature string) (int, http.Header) {
	ctx := d.ctx
	if d.sandbox.alteredWebhooks().impatient {
		limited, done := context.WithTimeout(ctx, patience)
		defer done()
		ctx = limited
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.to, bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	req.Header.Set("Content-Type", "application/json")
	if signature != "" {
		req.Header.Set("X-Logi-Signature", signature)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, resp.Header
}

// forge sends what somebody else might: without a signature, with a foreign one, with that of another body, and too much.
func (d *dispatcher) forge(body []byte, signature string) {
	d.post(body, "")
	d.post(body, d.sign(body, webhookSender{badSignature: true}))
	d.post(append(slices.Clone(body), ' '), signature)
	d.post(bytes.Repeat([]byte("x"), 300<<10), signature)
}

// bury makes an event a dead letter.
func (d *dispatcher) bury(id string, attempts int) {
	s := d.sandbox.alteredWebhooks()
	if s.failed != nil {
		s.failed.Store(true)
	}
	if s.forgets {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = append(d.dead, object{"event_id": id, "oauth_application_id": 17, "attempts": attempts, "dlq_at": time.Now().UTC().Format(time.RFC3339)})
	d.dead = d.dead[max(0, len(d.dead)-maxDeadLetters):]
}

// letters lists the dead letters of the test application.
func (d *dispatcher) letters() []object {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.dead)
}

// ForwardTo has the ingress of the sample system forward connections to an address, that of the prober's inbound listener.
func (s *Sandbox) ForwardTo(address string) { s.ingress.Store(&address) }

// serveIngress makes a host the ingress in front of the prober, which forwards connections as they are.
func serveIngress(h *host) {
	h.serve = func(l net.Listener) func() {
		return serveConnections(l, func(conn net.Conn) {
			address := h.sandbox.ingress.Load()
			if address == nil {
				return
			}
			to, err := net.Dial("tcp", *address)
			if err != nil {
				return
			}
			var sending sync.WaitGroup
			sending.Go(func() {
				_, _ = io.Copy(to, conn)
				to.Close()
			})
			_, _ = io.Copy(conn, to)
			conn.Close()
			sending.Wait()
		})
	}
}
