package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"prober/config"
	"prober/internal/inbound"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// hookSecret is a secret of Standard Webhooks.
var hookSecret = []byte("0123456789abcdef0123456789abcdef")

// load reads the settings of a probe as YAML, with those that each needs.
func load(t testing.TB, settings string) probe.Job {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"secret": "whsec_" + base64.StdEncoding.EncodeToString(hookSecret), "token": rand.Text() + rand.Text()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(settings, "signature:") {
		settings += "    signature: {scheme: standard, secrets: [{file: secret}]}\n    id: {json: $.event_id}\n"
	}
	if !strings.Contains(settings, "public:") {
		settings += "    public: http://127.0.0.1:1/{token}\n"
	}
	if !strings.Contains(settings, "trigger:") {
		settings += "    trigger: {url: \"http://127.0.0.1:1/events\", id: {json: $.event_id}}\n"
	}
	settings = strings.ReplaceAll(settings, "    trigger: none\n", "")
	path := filepath.Join(dir, "prober.yaml")
	text := "system: test\nprobes:\n  - name: p\n    type: webhook\n    interval: 10h\n    timeout: 9h\n    token: {file: token}\n" + settings
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(probe.Kinds{"webhook": Kind()}, path)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Jobs[0]
}

// receivers returns the inbox of a job without a listener.
func receivers(t testing.TB, job probe.Job) (probe.Inbox, *Probe) {
	t.Helper()
	jobs := inbound.New(inbound.Options{}, nil).SetJobs([]probe.Job{job})
	in, err := jobs[0].Inbox()
	if err != nil {
		t.Fatal(err)
	}
	return in, jobs[0].Probe.(*Probe)
}

// A sender sends an event as Standard Webhooks has it.
type sender struct {
	secret []byte
	p      *Probe
	in     probe.Inbox
}

// signed makes a delivery of an event.
func (s *sender) signed(event, key string, at time.Time) probe.Delivery {
	body := fmt.Sprintf(`{"event_id": %q}`, event)
	stamp := strconv.FormatInt(at.Unix(), 10)
	h := hmac.New(sha256.New, s.secret)
	h.Write([]byte(key + "." + stamp + "." + body))
	return probe.Delivery{At: time.Now(), Method: http.MethodPost, Body: []byte(body), Header: http.Header{
		"Webhook-Id": {key}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))},
	}}
}

func (s *sender) deliver(event, key string) probe.Answer {
	return s.p.Receive(s.in, s.signed(event, key, time.Now()))
}

// A runner runs cases without any network: the events are there, and each has a sender.
type runner struct {
	*runState
	result *probe.Result
	sender *sender
	wait   sync.WaitGroup
}

// begin begins a run of a probe with these settings. The events have the names of their cases as ids.
func begin(t testing.TB, settings string) *runner {
	t.Helper()
	in, p := receivers(t, load(t, settings))
	r := probe.NewResult(probe.ID{System: "test", Name: "p"})
	x := &runner{result: r, sender: &sender{secret: hookSecret, p: p, in: in}}
	x.runState = &runState{Probe: p, r: r, in: in, began: time.Now(), clock: probe.WatchClock()}
	x.begin()
	for _, c := range p.cases {
		e := newEvent(c)
		e.id, e.triggered = c.name, time.Now()
		x.state(func(st *state, _ *probe.InboxState) { st.run.events = append(st.run.events, e) })
		x.events = append(x.events, e)
	}
	return x
}

// end waits until all is settled, and returns the result.
func (x *runner) judged(t testing.TB) string {
	events := append([]*event{}, x.events...)
	x.watch(t.Context(), events)
	x.judgeEvents(t.Context(), events)
	x.wait.Wait()
	x.end()
	return strings.TrimPrefix(probetest.Lines(*x.result), x.result.Verdict().String()+"\n")
}

// lines returns the lines of a result that are about some checks.
func lines(all string, checks ...string) string {
	var out []string
	for _, line := range strings.Split(strings.TrimSpace(all), "\n") {
		for _, c := range checks {
			if strings.HasPrefix(line, c+" ") || strings.HasPrefix(line, c+"@") {
				out = append(out, line)
			}
		}
	}
	return strings.Join(out, "\n")
}
