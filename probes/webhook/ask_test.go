package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/inbound"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// A world is a provider with a dispatcher, and the prober behind its public address.
type world struct {
	*provider
	t       *testing.T
	job     probe.Job
	all     *inbound.Receivers
	hook    string // where to deliver to
	url     string // of the provider
	changed func() // between the key set and the first delivery
	answer  func(w http.ResponseWriter, id string)
	dead    sync.Map
	last    sync.Map // the status of the last attempt, by event
	silent  atomic.Bool
	sending sync.WaitGroup
	events  atomic.Int32
}

// front says what answers at the public address, given what listens.
type front func(listens http.Handler) http.Handler

func newWorld(t *testing.T, front front, settings string) *world {
	w := &world{provider: newProvider(t, "a"), t: t, changed: func() {}}
	w.answer = func(rw http.ResponseWriter, id string) { fmt.Fprintf(rw, `{"event_id": %q}`, id) }
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys", func(rw http.ResponseWriter, _ *http.Request) {
		if w.status != 0 {
			rw.WriteHeader(w.status)
		}
		rw.Write(w.document())
	})
	mux.HandleFunc("POST /events", func(rw http.ResponseWriter, r *http.Request) {
		w.changed()
		id := fmt.Sprintf("evt-%d", w.events.Add(1))
		w.answer(rw, id)
		w.sending.Go(func() { w.dispatch(id) })
	})
	mux.HandleFunc("GET /dead", func(rw http.ResponseWriter, _ *http.Request) {
		all := []string{}
		w.dead.Range(func(id, _ any) bool { all = append(all, id.(string)); return true })
		json.NewEncoder(rw).Encode(map[string]any{"items": all})
	})
	server := httptest.NewServer(mux)
	w.url = server.URL
	var listens atomic.Pointer[http.Handler]
	var handler http.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { (*listens.Load()).ServeHTTP(rw, r) })
	if front != nil {
		handler = front(handler)
	}
	public := httptest.NewServer(handler)
	t.Cleanup(public.Close)
	t.Cleanup(w.sending.Wait)
	t.Cleanup(server.Close) // first: no event is added any more
	settings = strings.NewReplacer("URL", server.URL).Replace(settings)
	if !strings.Contains(settings, "signature:") {
		settings += "    signature: {scheme: jws-detached, header: X-Signature, keys: \"" + server.URL + "/keys\"}\n    id: {json: $.event_id}\n    key: {json: $.key}\n"
	}
	if !strings.Contains(settings, "trigger:") {
		settings += "    trigger: {url: \"" + server.URL + "/events\", id: {json: $.event_id}}\n"
	}
	job := load(t, settings+"    public: "+public.URL+"/{token}\n")
	receivers := inbound.New(inbound.Options{}, nil)
	var h http.Handler = receivers
	listens.Store(&h)
	w.all = receivers
	w.job = receivers.SetJobs([]probe.Job{job})[0]
	w.job.Kind = Kind()
	token, err := w.job.Probe.(*Probe).Token.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	w.hook = public.URL + "/" + token
	return w
}

// dispatch delivers an event as a provider does.
func (w *world) dispatch(id string) {
	body := fmt.Sprintf(`{"event_id": %q, "key": %q}`, id, "key-of-"+id)
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for range 3 {
		if w.silent.Load() {
			return
		}
		req, _ := http.NewRequest("POST", w.hook, strings.NewReader(body))
		req.Header.Set("X-Signature", w.sign(w.t, body))
		resp, err := client.Do(req)
		if err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			w.last.Store(id, resp.StatusCode)
			switch {
			case resp.StatusCode/100 == 2 || resp.StatusCode == 409:
				return
			case resp.StatusCode/100 == 4:
				w.dead.Store(id, true)
				return
			}
		}
		<-time.After(20 * time.Millisecond)
	}
}

// run runs the probe once.
func (w *world) run() string {
	r := w.job.Do(w.t.Context())
	if err := Kind().Undeclared(r); err != nil {
		w.t.Error(err)
	}
	if err := r.Repeats(); err != nil {
		w.t.Error(err)
	}
	if text := fmt.Sprintf("%+v %+v %+v", r.Checks, r.Exchanges, r.Samples); strings.Contains(text, w.hook[len(w.hook)-26:]) {
		w.t.Error("the result shows the token")
	}
	return probetest.Lines(r)
}

const twoCases = `    within: 10s
    schedule: 100ms
    cases:
      refused: {answers: [400], dead: true}
      settled: {answers: [503, 409], dead: false}
    dead: {url: "URL/dead", has: "$.items[?@ == '{id}']"}
`

func TestAsk(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		front    front
		settings string
		before   func(w *world)
		short    bool   // nothing is delivered, which takes as long as within
		lost     bool   // what the prober sends to itself, or a part of it, goes elsewhere: it is not waited for
		want     string // lines that there must be, the verdict first; * ends what may differ
		not      string // and no line that holds this
	}{
		"sound": {settings: twoCases, want: `pass
reachable pass(ok): 8 of 8 requests of the prober to its own public address came back to it
triggered pass(ok): 2 events
signature pass(ok): 3 deliveries verify by jws-detached
tampered pass(ok): none of 4 copies with a byte changed verifies
same_key pass(ok): the same in 1 retry
case@refused pass(ok): 1 attempt, as expected; the last was answered 400, and none came within 100ms
case@settled pass(ok): 2 attempts, as expected; the last was answered 409, and none came within 100ms
dead pass(ok): 2 asked for, as expected; left among the dead letters: refused
enabled pass(ok): after 3 failing answers an event is delivered as before`},
		"the key set is not there": {settings: twoCases, before: func(w *world) { w.status = 500 }, want: `fail
signature fail(status): the key set: expected 2xx, got 500`},
		"no keys in it": {settings: twoCases, before: func(w *world) { w.published = nil }, want: `fail
signature fail(schema): expected a key set: the set holds no key`},
		"a key that signs before it is published": {settings: twoCases, short: true, before: func(w *world) { w.changed = func() { w.rotate("later", "a", "later") } }, want: `fail
signature fail(published_too_late): expected keys that are published before they sign, got one that was published less than *`},
		"a key that is not published": {settings: twoCases, short: true, before: func(w *world) { w.rotate("later", "a") }, want: `fail
delivered inconclusive(control_failed)*
signature fail(unknown_kid): expected deliveries that verify, got 2 deliveries with a signature by a key that is not in the key set
enabled inconclusive(nothing_checked)*`},
		"a revoked key": {settings: twoCases + "    signature: {scheme: jws-detached, header: X-Signature, keys: \"URL/keys\", revoked: [a]}\n    id: {json: $.event_id}\n    key: {json: $.key}\n", want: `fail
revoked fail(revoked_kid_present): expected no key with the kid "a": whoever has it can sign events`},
		"the trigger is refused": {settings: twoCases, before: func(w *world) {
			w.answer = func(rw http.ResponseWriter, _ string) { rw.WriteHeader(401) }
		}, want: `inconclusive
triggered inconclusive(credential): the trigger of refused: expected 2xx, got 401*`, not: "delivered"},
		"the trigger fails": {settings: twoCases, before: func(w *world) {
			w.answer = func(rw http.ResponseWriter, _ string) { rw.WriteHeader(500) }
		}, want: `fail
triggered fail(status): the trigger of refused: expected 2xx, got 500`, not: "delivered"},
		"the trigger says no id": {settings: twoCases, before: func(w *world) {
			w.answer = func(rw http.ResponseWriter, _ string) { fmt.Fprint(rw, `{}`) }
		}, want: `fail
triggered fail(schema): expected the id of the event in the response to the trigger of refused, got none`, not: "delivered"},
		"something else at the public address": {settings: twoCases, front: func(http.Handler) http.Handler { return http.NotFoundHandler() }, want: `inconclusive
reachable inconclusive(control_failed): the prober does not reach itself at its public address (request 1 of 4): expected 2xx, got 404`, not: "triggered"},
		"a page for all at the public address": {settings: twoCases, lost: true, front: func(http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "hello") })
		}, want: `inconclusive
reachable inconclusive(control_failed): of 4 requests to the public address 0 came back to this prober*`, not: "triggered"},
		"two probers behind one address": {settings: twoCases, lost: true, front: func(one http.Handler) http.Handler {
			var n atomic.Int32
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if n.Add(1)%2 == 0 {
					fmt.Fprint(rw, "OK") // of the other prober
					return
				}
				one.ServeHTTP(rw, r)
			})
		}, want: `inconclusive
reachable inconclusive(control_failed): of 4 requests to the public address 2 came back to this prober: something else answers there, such as another prober with the same address`, not: "triggered"},
		"the other prober comes up meanwhile": {settings: twoCases, short: true, lost: true, front: func(one http.Handler) http.Handler {
			var n atomic.Int32
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if n.Add(1) > 9 {
					fmt.Fprint(rw, "OK")
					return
				}
				one.ServeHTTP(rw, r)
			})
		}, want: `inconclusive
reachable inconclusive(control_failed): of 4 requests to the public address*`, not: "delivered"},
		"a proxy that changes bodies": {settings: twoCases, short: true, front: func(one http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if len(body) > 0 {
					body = append(body, '\n')
				}
				r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
				one.ServeHTTP(rw, r)
			})
		}, want: `fail
signature fail(bad_signature): expected deliveries that verify, got 2 deliveries with a signature that does not verify`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.short {
				c.settings = strings.Replace(c.settings, "within: 10s", "within: 3s", 1)
			}
			w := newWorld(t, c.front, c.settings)
			if c.lost {
				w.job.Probe.(*Probe).waiting = time.Millisecond
			}
			if c.before != nil {
				c.before(w)
			}
			got := w.run()
			for _, line := range strings.Split(c.want, "\n") {
				text, prefix := strings.CutSuffix(line, "*")
				if !strings.Contains("\n"+got, "\n"+text) || !prefix && !strings.Contains("\n"+got, "\n"+text+"\n") {
					t.Errorf("expected the line\n%s\ngot\n%s", line, got)
				}
			}
			if c.not != "" && strings.Contains(got, "\n"+c.not+" ") {
				t.Errorf("expected nothing of %s, got\n%s", c.not, got)
			}
		})
	}
}

// Without a listener nothing can come, and nothing passes.
func TestAsk_notListening(t *testing.T) {
	job := load(t, strings.ReplaceAll(twoCases, "URL", "http://127.0.0.1:1"))
	job.Kind = Kind()
	r := job.Do(t.Context())
	checks := job.Probe.Checks()
	if r.Verdict() != probe.Inconclusive || len(r.Checks) != len(checks) {
		t.Errorf("got %s and %d checks of %d", r.Verdict(), len(r.Checks), len(checks))
	}
	for _, c := range r.Checks {
		if c.Reason != probe.NotListening || !strings.Contains(c.Detail, "--inbound.listen-address") {
			t.Errorf("%s: got %s: %s", c.Name, c.Reason, c.Detail)
		}
	}
}

// TestCollect: without a trigger, what comes by itself is judged.
func TestCollect(t *testing.T) {
	w := newWorld(t, nil, "    trigger: none\n    within: 1h\n")
	last := func(ago time.Duration) {
		w.state(func(st *state, _ *probe.InboxState) { st.document.Last = time.Now().Add(-ago) })
	}
	wants := func(want string) {
		t.Helper()
		if got := lines(w.run(), checkDelivered, checkSignature, checkCase); ago.ReplaceAllString(got, "a moment") != want {
			t.Errorf("got\n%s\nexpected\n%s", got, want)
		}
	}
	wants("delivered inconclusive(settling): no delivery has come in the a moment since the prober began to listen; expected one within 1h")
	w.dispatch("evt-1")
	wants("delivered pass(ok): the last delivery came a moment ago\nsignature pass(ok): 1 delivery verifies by jws-detached")
	w.dispatch("evt-2")
	if got := lines(w.run(), checkTampered); !regexp.MustCompile(`^tampered pass\(ok\): none of [1-9]\d* copies with a byte changed verifies$`).MatchString(got) {
		t.Errorf("got %s", got)
	}
	last(59 * time.Minute)
	wants("delivered pass(ok): the last delivery came 59m0s ago\nsignature pass(ok): 1 delivery verifies by jws-detached")
	last(61 * time.Minute)
	w.since(t, 2*time.Hour)
	wants("delivered fail(lost): expected a delivery every 1h, got the last one 1h1m0s ago\nsignature pass(ok): 1 delivery verifies by jws-detached")
	w.state(func(st *state, _ *probe.InboxState) { st.document.Last = time.Time{} })
	wants("delivered fail(lost): expected a delivery every 1h, got none in the 2h0m0s since the prober began to listen\nsignature pass(ok): 1 delivery verifies by jws-detached")
}

// ago is what a duration of less than a second looks like.
var ago = regexp.MustCompile(`\b(\d+ms|0s)\b`)

func (w *world) state(change func(st *state, s *probe.InboxState)) {
	in, err := w.job.Inbox()
	if err != nil {
		w.t.Fatal(err)
	}
	in.Update(func(s *probe.InboxState) { change(stateOf(s), s) })
}

// since has the prober have listened for so long.
func (w *world) since(t *testing.T, ago time.Duration) {
	in, err := w.job.Inbox()
	if err != nil {
		t.Fatal(err)
	}
	w.job.Inbox = func() (probe.Inbox, error) { return older{in, ago}, nil }
}

type older struct {
	probe.Inbox
	by time.Duration
}

func (o older) Since() time.Time { return o.Inbox.Since().Add(-o.by) }
