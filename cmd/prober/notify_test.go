package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/schedule"
	"prober/internal/testenv"
)

// A webhookSink is the receiver of an Alertmanager.
type webhookSink struct {
	mu   sync.Mutex
	sent []sentAlert
}

// A sentAlert is an alert as Alertmanager's webhook sends it.
type sentAlert struct {
	Status              string
	Labels, Annotations map[string]string
	StartsAt            time.Time
	GeneratorURL        string
}

func (s *webhookSink) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var body struct{ Alerts []sentAlert }
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, body.Alerts...)
}

// wait returns the last alert once it has a status.
func (s *webhookSink) wait(t *testing.T, status string, more func(sentAlert) bool) (last sentAlert) {
	t.Helper()
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.sent) > 0 {
			last = s.sent[len(s.sent)-1]
		}
		if last.Status != status || more != nil && !more(last) {
			return fmt.Errorf("the last alert is %+v", last)
		}
		return nil
	})
	return last
}

// closedConfig has a probe whose page must be closed to strangers. That it is open is an alert that does not wait.
const closedConfig = `
system: shop
interval: 1s
timeout: 800ms
runbooks: {access: {severity: sev1, url: "https://docs.example/access"}}
probes:
  - name: admin
    type: http
    runbook: access
    url: %q
    expect: {status: 401}
    control:
      bearer: {file: %q}
      expect: {status: 200}
`

// TestAlertmanager_real sends alerts to a real Alertmanager, which sends them on: the alert begins and ends with what the probe
// sees, is the same one after a restart of the prober, and ends by itself when the prober dies.
func TestAlertmanager_real(t *testing.T) {
	testenv.WithoutRace(t)
	alertmanager := testenv.Need(t, "prometheus-alertmanager")
	t.Parallel()
	var open atomic.Bool
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" && !open.Load() {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer target.Close()
	sink := &webhookSink{}
	hook := httptest.NewServer(sink)
	defer hook.Close()
	dir := t.TempDir()
	routes := writeFile(t, dir, "alertmanager.yml", fmt.Sprintf(
		"route: {receiver: hook, group_by: [...], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}\nreceivers: [{name: hook, webhook_configs: [{url: %q}]}]\n", hook.URL))
	address := fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))
	testenv.Start(t, alertmanager, "--config.file="+routes, "--storage.path="+filepath.Join(dir, "alerts"), "--web.listen-address="+address, "--cluster.listen-address=")

	args := []string{
		"--config.file=" + writeFile(t, dir, "prober.yaml", fmt.Sprintf(closedConfig, target.URL, writeFile(t, dir, "token", "a-long-token"))),
		"--alertmanager.url=http://" + address, "--alertmanager.resend-interval=1s", "--web.external-url=https://prober.example",
		"--storage.path=" + filepath.Join(dir, "history"),
	}
	var pings atomic.Int64
	dog := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { pings.Add(1) }))
	defer dog.Close()
	args = append(args, "--watchdog.url="+dog.URL+"/ping/f81d4fae-7dec-s3cr3t", "--watchdog.interval=1s")
	chat := newChat(t)
	args = append(args, "--webhook.url="+chat.URL+"/services/f81d4fae-7dec-h00kt0ken", "--webhook.body-file="+
		writeFile(t, dir, "body.json", `{"status": "${status}", "about": "${system}/${probe}", "reason": "${reason}", "link": "${url}", "runbook": "${runbook_url}"}`))
	p := start(t, nil, args...)
	p.waitForMetric(t, `probe_success{probe="admin"`)
	p.waitForMetric(t, `prober_notification_last_success_timestamp_seconds{receiver="watchdog"} 1`)
	if pings.Load() == 0 {
		t.Error("the watchdog was not told that the prober works")
	}
	for _, path := range []string{"/metrics", "/config", "/", "/api/v1/status"} {
		if _, body, err := p.get(path); err != nil || strings.Contains(body, "s3cr3t") {
			t.Errorf("%s shows the URL of the watchdog; %v", path, err)
		}
	}
	open.Store(true)
	first := sink.wait(t, "firing", nil)
	want := map[string]string{
		"alertname": "ProbeAuthBypass", "system": "shop", "probe": "admin", "type": "http", "severity": "critical", "runbook": "access", "runbook_severity": "sev1",
	}
	if got := fmt.Sprint(first.Labels); got != fmt.Sprint(want) {
		t.Errorf("labels %s, expected %v", got, want)
	}
	if first.GeneratorURL != "https://prober.example/probes/shop/admin" || first.Annotations["runbook_url"] != "https://docs.example/access" ||
		!strings.Contains(first.Annotations["description"], "status (") {
		t.Errorf("sent as %+v", first)
	}
	chat.wait(t, `{"status": "firing", "about": "shop/admin", "reason": "status", "link": "https://prober.example/probes/shop/admin", "runbook": "https://docs.example/access"}`)
	p.waitForMetric(t, `prober_notification_last_success_timestamp_seconds{receiver="webhook"} 1`)
	p.waitForMetric(t, `prober_self_check{check="webhook"} 1`)
	open.Store(false)
	sink.wait(t, "resolved", nil)
	chat.wait(t, `{"status": "resolved", "about": "shop/admin", "reason": "status", "link": "https://prober.example/probes/shop/admin", "runbook": "https://docs.example/access"}`)

	open.Store(true)
	second := sink.wait(t, "firing", func(a sentAlert) bool { return a.StartsAt.After(first.StartsAt) })
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.Ended()
	p = start(t, nil, args...)
	p.waitForMetric(t, `probe_success{probe="admin"`)
	p.waitForMetric(t, `prober_notification_last_success_timestamp_seconds{receiver="alertmanager `+address+`"} 1`)
	active, err := activeAlerts(t.Context(), address)
	if err != nil || len(active) != 1 || !active[0].StartsAt.Equal(second.StartsAt.Truncate(time.Millisecond)) {
		t.Errorf("after a restart Alertmanager has %+v, expected the alert of %s; %v", active, second.StartsAt, err)
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	sink.wait(t, "resolved", func(a sentAlert) bool { return !a.StartsAt.Before(second.StartsAt.Truncate(time.Millisecond)) })
	before := pings.Load()
	if strings.Contains(p.Output(), "s3cr3t") || strings.Contains(p.Output(), "h00kt0ken") {
		t.Error("the log shows the URL of the watchdog or of the webhook")
	}
	sink.wait(t, "resolved", nil)
	if pings.Load() != before {
		t.Error("the watchdog is told that a dead prober works")
	}
}

// A chat takes the messages of a webhook.
type chat struct {
	*httptest.Server
	messages chan string
}

func newChat(t *testing.T) *chat {
	c := &chat{messages: make(chan string, 100)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.messages <- string(body)
	}))
	t.Cleanup(c.Close)
	return c
}

// wait requires the next message.
func (c *chat) wait(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-c.messages:
		if got != want {
			t.Errorf("the webhook got %s, expected %s", got, want)
		}
	case <-time.After(time.Minute):
		t.Errorf("the webhook got nothing, expected %s", want)
	}
}

// TestServer_works: the watchdog is told nothing before the prober probes, before and while the self-test does not pass, and
// while it stops.
func TestServer_works(t *testing.T) {
	s := &server{engine: newEngine(nil, nil), scheduler: schedule.New(probe.Sinks{}, schedule.Options{})}
	stage := func(name string, works bool) {
		t.Helper()
		if err := s.works(); (err == nil) != works {
			t.Errorf("%s: %v", name, err)
		}
	}
	stage("starting", false)
	s.started.Store(true)
	stage("not tested yet", false)
	close(s.engine.tested)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.scheduler.Forever(ctx, make(chan []probe.Job)); close(ended) }()
	testenv.Eventually(t, time.Minute, func(context.Context) error { return s.works() })
	s.engine.err = errors.New("a bad target passes")
	stage("the self-test fails", false)
	s.engine.err = nil
	s.draining.Store(true)
	stage("stopping", false)
	cancel()
	<-ended
}
