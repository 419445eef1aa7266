package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/testenv"
)

// A fakeReceiver answers as it is told to, and keeps what it was sent.
type fakeReceiver struct {
	mu     sync.Mutex
	answer func(w http.ResponseWriter)
	got    []string // bodies
	at     []time.Time
}

func (f *fakeReceiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.got, f.at = append(f.got, string(body)), append(f.at, time.Now())
	answer := f.answer
	f.mu.Unlock()
	if answer != nil {
		answer(w)
	}
}

func (f *fakeReceiver) set(answer func(w http.ResponseWriter)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

// posts are the bodies that it was sent since the last call.
func (f *fakeReceiver) posts() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	got := f.got
	f.got, f.at = nil, nil
	return got
}

func (f *fakeReceiver) times() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.at)
}

// last is the last alert that it was sent.
func (f *fakeReceiver) last(t *testing.T) posted {
	t.Helper()
	posts := f.posts()
	var all []posted
	if len(posts) == 0 || json.Unmarshal([]byte(posts[len(posts)-1]), &all) != nil || len(all) != 1 {
		t.Fatalf("expected one alert in the last request, got %q", posts)
	}
	return all[0]
}

// pass lets time pass, in a bubble, and what is due by then happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// A world is what a Notifier evaluates.
type world struct {
	mu       sync.Mutex
	holding  []probe.Alert
	watches  map[probe.Key]probe.Watch
	state    []byte
	outcomes []string
}

var key = probe.Key{System: "shop", Name: "up"}

// down is an alert that waits a minute.
var down = probe.Alert{Labels: map[string]string{"alertname": "ProbeFailing", "probe": "up"}, Annotations: map[string]string{"summary": "it fails"}, Probe: key, Wait: time.Minute}

func (w *world) set(ran bool, holding ...probe.Alert) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holding, w.watches = holding, map[probe.Key]probe.Watch{key: {Ran: ran}}
}

// start runs a Notifier until the test stops it, or ends.
func (w *world) start(t *testing.T, ctx context.Context, change func(*Options), urls ...string) (stop func()) {
	t.Helper()
	o := Options{
		Evaluate: func(time.Time) ([]probe.Alert, map[probe.Key]probe.Watch) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.holding, w.watches
		},
		Save: func(state []byte) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.state = state
			return nil
		},
		Report: func(receiver string, err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.outcomes = append(w.outcomes, fmt.Sprint(err))
		},
		Link:           func(k probe.Key) string { return "https://prober.example/probes/" + k.String() },
		ResendInterval: 30 * time.Second,
	}
	for _, raw := range urls {
		u, err := ParseAlertmanager(raw)
		if err != nil {
			t.Fatal(err)
		}
		o.Alertmanagers = append(o.Alertmanagers, u)
	}
	if change != nil {
		change(&o)
	}
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if w.state != nil {
		if err := n.Load(w.state); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { n.Run(ctx); close(done) }()
	return func() { cancel(); <-done }
}

// TestAlertmanager follows an alert from its beginning over a restart of the prober to its end.
func TestAlertmanager(t *testing.T) {
	receiver := &fakeReceiver{}
	at := testenv.ServeInMemory(t, receiver)
	testenv.Bubble(t, func(ctx context.Context, open testenv.Open) {
		ctx = dial.WithOpen(ctx, open)
		w := &world{}
		w.set(true, down)
		began := time.Now()
		stop := w.start(t, ctx, nil, at)
		pass(59 * time.Second)
		for _, body := range receiver.posts() {
			if body != "[]" {
				t.Errorf("sent before it waited: %s", body)
			}
		}
		pass(7 * time.Second)
		first := receiver.last(t)
		if want := began.Add(time.Minute); !first.StartsAt.Equal(want) {
			t.Errorf("it starts at %s, expected %s", first.StartsAt, want)
		}
		if left := time.Until(first.EndsAt); left < 2*time.Minute || left > 3*time.Minute {
			t.Errorf("without another word it ends in %s, expected six intervals", left)
		}
		if first.GeneratorURL != "https://prober.example/probes/shop/up" || first.Labels["alertname"] != "ProbeFailing" || first.Annotations["summary"] != "it fails" {
			t.Errorf("sent as %+v", first)
		}
		pass(time.Minute)
		if posts := receiver.posts(); len(posts) != 2 {
			t.Errorf("it is sent again %d times in a minute, expected 2", len(posts))
		}
		stop()

		w.set(false) // its probe has not run yet
		stop = w.start(t, ctx, nil, at)
		pass(10 * time.Second)
		if again := receiver.last(t); !again.StartsAt.Equal(first.StartsAt) || again.EndsAt.Before(time.Now()) {
			t.Errorf("after a restart it is sent as %+v", again)
		}
		w.set(true) // it passes
		pass(6 * time.Second)
		ended := receiver.last(t)
		if ended.EndsAt.After(time.Now()) || !ended.StartsAt.Equal(first.StartsAt) {
			t.Errorf("it is resolved as %+v", ended)
		}
		pass(17 * time.Minute)
		if posts := receiver.posts(); posts[len(posts)-1] != "[]" {
			t.Errorf("a quarter of an hour later it is still sent: %s", posts[len(posts)-1])
		}
		stop()
	})
}

// TestAlertmanager_until: an alert on what was seen once lasts for its time, over a restart too.
func TestAlertmanager_until(t *testing.T) {
	receiver := &fakeReceiver{}
	at := testenv.ServeInMemory(t, receiver)
	testenv.Bubble(t, func(ctx context.Context, open testenv.Open) {
		breach := down
		breach.Wait, breach.Until = 0, time.Now().Add(time.Hour)
		w := &world{}
		w.set(true, breach)
		stop := w.start(t, dial.WithOpen(ctx, open), nil, at)
		pass(time.Second)
		stop()
		w.set(true) // the next run passes, and the process does not know the breach
		stop = w.start(t, dial.WithOpen(ctx, open), nil, at)
		pass(59 * time.Minute)
		if a := receiver.last(t); a.EndsAt.Before(time.Now()) {
			t.Error("it ended within the hour")
		}
		pass(2 * time.Minute)
		if a := receiver.last(t); a.EndsAt.After(time.Now()) {
			t.Error("it lasts longer than an hour")
		}
		stop()
	})
}

// TestAlertmanager_sick: a receiver that fails is tried again soon and then less often; one that refuses is not sent the same at
// once; another is told all the same.
func TestAlertmanager_sick(t *testing.T) {
	for name, x := range map[string]struct {
		answer   func(w http.ResponseWriter)
		attempts [2]int // within a minute
	}{
		"500":       {func(w http.ResponseWriter) { w.WriteHeader(500) }, [2]int{5, 8}},
		"400":       {func(w http.ResponseWriter) { w.WriteHeader(400); fmt.Fprint(w, "bad label name") }, [2]int{2, 4}},
		"302":       {func(w http.ResponseWriter) { w.Header().Set("Location", "/x"); w.WriteHeader(302) }, [2]int{5, 8}},
		"slow":      {slow, [2]int{3, 7}},
		"endless":   {endless, [2]int{3, 8}},
		"slow head": {func(w http.ResponseWriter) { w.WriteHeader(200); w.(http.Flusher).Flush(); time.Sleep(time.Hour) }, [2]int{3, 7}},
	} {
		t.Run(name, func(t *testing.T) {
			sick, well := &fakeReceiver{answer: x.answer}, &fakeReceiver{}
			sickURL, wellURL := testenv.ServeInMemory(t, sick), testenv.ServeInMemory(t, well)
			testenv.Bubble(t, func(ctx context.Context, open testenv.Open) {
				alert := down
				alert.Wait = 0
				w := &world{}
				w.set(true, alert)
				stop := w.start(t, dial.WithOpen(ctx, open), nil, sickURL, wellURL)
				pass(time.Minute)
				if n := len(sick.times()); n < x.attempts[0] || n > x.attempts[1] {
					t.Errorf("%d attempts in a minute, expected %d to %d", n, x.attempts[0], x.attempts[1])
				}
				if n := len(well.times()); n < 2 || n > 3 {
					t.Errorf("the other one was told %d times in a minute, expected every 30s", n)
				}
				w.mu.Lock()
				if !slices.ContainsFunc(w.outcomes, func(s string) bool { return s != "<nil>" }) {
					t.Error("no failure was reported")
				}
				if i := slices.IndexFunc(w.outcomes, func(s string) bool { return strings.Contains(s, "bad label") }); i >= 0 {
					t.Errorf("words of the receiver are reported: %s", w.outcomes[i])
				}
				w.mu.Unlock()
				sick.set(nil)
				pass(time.Minute)
				if sick.last(t).Labels["alertname"] != "ProbeFailing" {
					t.Error("it was not told when it was well again")
				}
				stop()
			})
		})
	}
}

// slow does not answer for an hour.
func slow(http.ResponseWriter) { time.Sleep(time.Hour) }

// endless answers without an end.
func endless(w http.ResponseWriter) {
	for range 10_000 {
		if _, err := io.WriteString(w, strings.Repeat("x", 1024)); err != nil {
			return
		}
	}
}

// TestAlertmanager_batches: many alerts go in bounded requests.
func TestAlertmanager_batches(t *testing.T) {
	receiver := &fakeReceiver{}
	at := testenv.ServeInMemory(t, receiver)
	testenv.Bubble(t, func(ctx context.Context, open testenv.Open) {
		var all []probe.Alert
		for i := range 2*maxBatch + 1 {
			all = append(all, probe.Alert{Labels: map[string]string{"alertname": "A", "n": fmt.Sprint(i)}})
		}
		w := &world{}
		w.set(true, all...)
		stop := w.start(t, dial.WithOpen(ctx, open), nil, at)
		pass(5 * time.Second)
		if n := len(receiver.posts()); n != 3 {
			t.Errorf("%d alerts went in %d requests, expected 3", len(all), n)
		}
		stop()
	})
}

// TestAlertmanager_credential: the credential is read at each use, and is not sent in plain text to another machine.
func TestAlertmanager_credential(t *testing.T) {
	settings := httpx.Settings{Bearer: secret.File("/nonexistent")}
	u := &url.URL{Scheme: "http", Host: "alertmanager.example:9093"}
	if _, err := New(Options{Alertmanagers: []*url.URL{u}, Settings: settings}); err == nil {
		t.Error("a token over http:// to another machine was accepted")
	}
	for _, raw := range []string{"alertmanager:9093", "http://u:p@am:9093", "http://am:9093?token=x", "ftp://am"} {
		if _, err := ParseAlertmanager(raw); err == nil {
			t.Errorf("%s was accepted", raw)
		}
	}
}

// TestBook_load: a state that is old, damaged or of another version is not taken up.
func TestBook_load(t *testing.T) {
	now := time.Now()
	b := NewBook()
	instant := down
	instant.Wait = 0
	b.Update(now, []probe.Alert{instant}, nil)
	state, err := b.Save(now)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{}", string(state[:len(state)/2]), strings.Replace(string(state), `"format":1`, `"format":2`, 1)} {
		if err := NewBook().Load([]byte(text), now); err == nil {
			t.Errorf("%q was loaded", text)
		}
	}
	for age, want := range map[time.Duration]int{time.Minute: 1, 2 * time.Hour: 0, -time.Minute: 0} {
		next := NewBook()
		if err := next.Load(state, now.Add(age)); err != nil {
			t.Fatal(err)
		}
		if got := len(next.Told()); got != want {
			t.Errorf("after %s there are %d alerts, expected %d", age, got, want)
		}
	}
}

// TestBook_bound: no more than so many alerts are kept, whether they hold or were saved, and those that are kept go on.
func TestBook_bound(t *testing.T) {
	now := time.Now()
	var all []probe.Alert
	for i := range maxAlerts + 1 {
		all = append(all, probe.Alert{Labels: map[string]string{"n": strconv.Itoa(i)}, Probe: key, Wait: time.Minute})
	}
	b := NewBook()
	b.Update(now, all[:1], nil)
	b.Update(now, all, nil)
	if len(b.entries) != maxAlerts {
		t.Errorf("%d are kept, expected %d", len(b.entries), maxAlerts)
	}
	b.Update(now.Add(time.Minute), all, nil)
	if told := b.Told(); len(told) != maxAlerts {
		t.Errorf("%d are told, expected %d", len(told), maxAlerts)
	}
	for n, want := range map[int]int{maxAlerts - 1: maxAlerts - 1, maxAlerts: maxAlerts, maxAlerts + 1: maxAlerts} {
		was := saved{Format: bookFormat, Saved: now, Entries: []*entry{nil}}
		for _, a := range all[:n] {
			was.Entries = append(was.Entries, &entry{Alert: Alert{Labels: a.Labels}})
		}
		state, err := json.Marshal(was)
		next := NewBook()
		if err == nil {
			err = next.Load(state, now)
		}
		if err != nil || len(next.entries) != want {
			t.Errorf("of %d that were saved %d are kept, expected %d (%v)", n, len(next.entries), want, err)
		}
	}
}

// TestBook_dirty: what changed is to be saved, also an alert that waits, and nothing else is.
func TestBook_dirty(t *testing.T) {
	now := time.Now()
	b := NewBook()
	changed := func() bool {
		select {
		case <-b.dirty:
			return true
		default:
			return false
		}
	}
	waiting := down
	waiting.Wait = time.Minute
	for _, step := range []struct {
		what    string
		after   time.Duration
		holding []probe.Alert
		want    bool
	}{
		{"nothing holds", 0, nil, false}, {"one waits", 0, []probe.Alert{waiting}, true}, {"it still waits", time.Second, []probe.Alert{waiting}, false},
		{"it begins", time.Minute, []probe.Alert{waiting}, true}, {"it lasts", 2 * time.Minute, []probe.Alert{waiting}, false},
		{"it ends", 3 * time.Minute, nil, true}, {"it has ended", 4 * time.Minute, nil, false},
		{"it is forgotten", 3*time.Minute + keepEnded + time.Second, nil, true}, {"there is none", time.Hour, nil, false},
		{"another one waits", time.Hour, []probe.Alert{waiting}, true}, {"and never began", time.Hour + time.Second, nil, true},
	} {
		b.Update(now.Add(step.after), step.holding, nil)
		if got := changed(); got != step.want {
			t.Errorf("%s: to be saved %t, expected %t", step.what, got, step.want)
		}
	}
}

// TestBook_silent: an alert that an earlier process began is as quiet as the rule while the probe is worked on or what it depends on
// fails, and ends with its probe.
func TestBook_silent(t *testing.T) {
	now := time.Now()
	breach, failing, outage := down, down, down
	breach.Wait, breach.Until = 0, now.Add(time.Hour)
	failing.Wait, failing.Dependent = 0, true
	outage.Wait, outage.Probe, outage.Labels = 0, probe.Key{}, map[string]string{"alertname": "SystemDown", "system": key.System}
	inWork, fails := probe.Watch{Ran: true, Maintained: true}, probe.Watch{Ran: true, DependencyFails: true}
	other := probe.Key{System: key.System, Name: "other"}
	type watches = map[probe.Key]probe.Watch
	for name, c := range map[string]struct {
		alert probe.Alert
		steps []watches // a minute each
		lasts []bool    // after each
	}{
		"a breach under maintenance, and after it":         {breach, []watches{{key: {Ran: true}}, {key: inWork}, {key: {Ran: true}}}, []bool{true, false, true}},
		"a breach under maintenance for half an hour":      {breach, slices.Concat(slices.Repeat([]watches{{key: inWork}}, 30), []watches{{key: {}}}), append(make([]bool, 30), true)},
		"a breach whose dependency fails":                  {breach, []watches{{key: fails}}, []bool{true}},
		"a breach on a probe that is gone, and back":       {breach, []watches{{}, {key: {Ran: true}}}, []bool{false, false}},
		"a failure that nobody looked for yet":             {failing, []watches{{key: {}}}, []bool{true}},
		"a failure under maintenance":                      {failing, []watches{{key: {Maintained: true}}, {key: {}}}, []bool{false, false}},
		"a failure that a dependency explains":             {failing, []watches{{key: {DependencyFails: true}}}, []bool{false}},
		"a failure of a probe that is gone":                {failing, []watches{{}}, []bool{false}},
		"an outage while one probe of two is worked on":    {outage, []watches{{key: {Maintained: true}, other: {}}}, []bool{true}},
		"an outage while all probes of a system are":       {outage, []watches{{key: {Maintained: true}, other: {Maintained: true}}}, []bool{false}},
		"an outage while all probes of another system are": {outage, []watches{{key: {}, {System: "x", Name: "y"}: {Maintained: true}}}, []bool{true}},
	} {
		t.Run(name, func(t *testing.T) {
			earlier, b := NewBook(), NewBook()
			earlier.Update(now, []probe.Alert{c.alert}, watches{key: {Ran: true}})
			state, err := earlier.Save(now)
			if err == nil {
				err = b.Load(state, now)
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range c.steps {
				b.Update(now.Add(time.Duration(i)*time.Minute), nil, w)
				told := b.Told()
				if len(told) != 1 || told[0].Ended.IsZero() != c.lasts[i] {
					t.Fatalf("minute %d: told of %+v, expected it to last: %t", i, told, c.lasts[i])
				}
			}
		})
	}
}

// TestBook_silent_ended: an alert that ended before the restart does not begin again, unless maintenance alone had ended it.
func TestBook_silent_ended(t *testing.T) {
	now := time.Now()
	breach := down
	breach.Wait, breach.Until = 0, now.Add(time.Hour)
	for _, maintained := range []bool{false, true} {
		earlier, b := NewBook(), NewBook()
		earlier.Update(now, []probe.Alert{breach}, map[probe.Key]probe.Watch{key: {Ran: true}})
		earlier.Update(now.Add(time.Minute), nil, map[probe.Key]probe.Watch{key: {Ran: true, Maintained: maintained}})
		state, err := earlier.Save(now)
		if err == nil {
			err = b.Load(state, now)
		}
		if err != nil {
			t.Fatal(err)
		}
		b.Update(now.Add(2*time.Minute), nil, map[probe.Key]probe.Watch{key: {}})
		if told := b.Told(); len(told) != 1 || told[0].Ended.IsZero() != maintained {
			t.Errorf("ended by maintenance %t: told of %+v", maintained, told)
		}
	}
}

// TestBook_redacts: a secret that became known after the text was written is not sent.
func TestBook_redacts(t *testing.T) {
	secret.Learn("TestBook_redacts", "hunter22-xyz")
	leaky := down
	leaky.Wait, leaky.Annotations = 0, map[string]string{"summary": "got hunter22-xyz"}
	b := NewBook()
	b.Update(time.Now(), []probe.Alert{leaky}, nil)
	if got := b.Told()[0].Annotations["summary"]; strings.Contains(got, "hunter22") {
		t.Errorf("sent: %s", got)
	}
}

// TestWatchdog: it is told while the prober works, and not otherwise; it is told again soon after it was away.
func TestWatchdog(t *testing.T) {
	receiver := &fakeReceiver{}
	at := testenv.ServeInMemory(t, receiver) + "/ping/s3cr3t-token"
	testenv.Bubble(t, func(ctx context.Context, open testenv.Open) {
		w := &world{}
		var broken error
		stop := w.start(t, dial.WithOpen(ctx, open), func(o *Options) {
			o.Watchdog, o.WatchdogEvery, o.Evaluate = PrivateURL{Text: at}, time.Minute, nil
			o.Works = func() error {
				w.mu.Lock()
				defer w.mu.Unlock()
				return broken
			}
		})
		pass(5*time.Minute - time.Second)
		if n := len(receiver.posts()); n != 5 {
			t.Errorf("told %d times in five minutes, expected 5", n)
		}
		w.mu.Lock()
		broken = fmt.Errorf("stuck")
		w.mu.Unlock()
		pass(10 * time.Minute)
		if n := len(receiver.posts()); n > 0 {
			t.Errorf("told %d times though the prober is stuck", n)
		}
		w.mu.Lock()
		broken = nil
		w.mu.Unlock()
		receiver.set(func(w http.ResponseWriter) { w.WriteHeader(503) })
		pass(2 * time.Minute)
		w.mu.Lock()
		if !slices.Contains(w.outcomes, "expected 2xx, got 503") {
			t.Errorf("reported %q", w.outcomes)
		}
		w.mu.Unlock()
		stop()
	})
}

// TestPrivateURL: no error and no output has the secret in a URL.
func TestPrivateURL(t *testing.T) {
	for _, p := range []PrivateURL{
		{Text: "hooks.example/s3cr3t-path"}, {Text: "https://user:s3cr3t-path@hooks.example"}, {Text: "http://hooks.example/s3cr3t-path"},
		{Text: "http://hooks.example/%zz/s3cr3t-path"}, {File: "/nonexistent"},
	} {
		_, err := p.client()
		if err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", p.Text, err)
		}
	}
	good := PrivateURL{Text: "https://hooks.example/services/T0/B1/s3cr3t-path-2"}
	if printed := fmt.Sprintf("%v %+v %#v %s", good, good, good, good); strings.Contains(printed, "s3cr3t") {
		t.Errorf("printed as %s", printed)
	}
	if _, err := good.client(); err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{"asked https://hooks.example/services/T0/B1/s3cr3t-path-2", "asked /services/T0/B1/s3cr3t-path-2", "s3cr3t-path-2"} {
		if got := secret.Redact(leak); strings.Contains(got, "s3cr3t") {
			t.Errorf("not redacted: %s", got)
		}
	}
}
