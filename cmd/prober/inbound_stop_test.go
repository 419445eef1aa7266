package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"prober/internal/testenv"
)

// A provider sends one event for each request, and each again once it may.
type provider struct {
	outbox
	again chan struct{} // closed when what was refused is sent again

	mu      sync.Mutex
	events  int
	got     map[string][]string // by event, what becomes of its attempts
	sending sync.WaitGroup
}

func (s *provider) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events++
	id := fmt.Sprintf("evt-%d", s.events)
	fmt.Fprintf(rw, `{"event_id": %q}`, id)
	s.sending.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for {
			became, _, _ := strings.Cut(s.attempt(ctx, id, "17"), " ")
			s.mu.Lock()
			s.got[id] = append(s.got[id], became)
			s.mu.Unlock()
			if became == "delivered_at" {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-s.again:
			}
			<-time.After(time.Second) // so that it is signed for another time
		}
	})
}

// ends waits until the last attempt of an event, which was tried at least so often, was taken.
func (s *provider) ends(t *testing.T, id string, least int) {
	t.Helper()
	testenv.Eventually(t, 30*time.Second, func(context.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if got := s.got[id]; len(got) < least || got[len(got)-1] != "delivered_at" {
			return fmt.Errorf("%s: got %q of %v", id, got, s.got)
		}
		return nil
	})
}

// TestInbound_stopped has the prober stopped, killed or given other settings after it has refused a delivery: the failures that it
// provoked have an end that is good all the same.
func TestInbound_stopped(t *testing.T) {
	testenv.Slow(t, "it starts probers")
	for name, interrupt := range map[string]func(t *testing.T, s *provider, p *running, restart func(), file string){
		"SIGTERM": func(t *testing.T, s *provider, p *running, _ func(), _ string) { // it has another event sent, which it takes
			if err := p.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if status, err := p.Wait(ctx); err != nil || status != exitPass {
				t.Errorf("got status %d, %v; expected %d within 10 s", status, err, exitPass)
			}
			s.ends(t, "evt-2", 1)
		},
		"SIGKILL": func(t *testing.T, s *provider, p *running, restart func(), _ string) { // the next process takes what comes again
			if err := p.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			<-p.Ended()
			restart()
			close(s.again)
			s.ends(t, "evt-1", 2)
		},
		"reload": func(t *testing.T, s *provider, p *running, _ func(), file string) { // as does the probe with other settings
			writeFile(t, filepath.Dir(file), "prober.yaml", strings.Replace(textOf(t, file), "within: 20s", "within: 21s", 1))
			if status, body := p.post(t, "/-/reload"); status != 200 {
				t.Fatalf("got %d %s", status, body)
			}
			close(s.again)
			s.ends(t, "evt-1", 2)
		},
		"a reload that changes another probe": func(t *testing.T, s *provider, p *running, _ func(), file string) { // the run goes on
			writeFile(t, filepath.Dir(file), "prober.yaml", strings.Replace(textOf(t, file), "grace: 1h", "grace: 2h", 1))
			if status, body := p.post(t, "/-/reload"); status != 200 {
				t.Fatalf("got %d %s", status, body)
			}
			close(s.again)
			s.ends(t, "evt-1", 2)
			s.ends(t, "evt-2", 1)
			p.waitForMetric(t, `probe_verdict{probe="hooks",system="logi",type="webhook",verdict="pass"} 1`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &provider{outbox: outbox{t: t, secret: []byte("0123456789abcdef0123456789abcdef")}, again: make(chan struct{}), got: map[string][]string{}}
			server := httptest.NewServer(s)
			t.Cleanup(func() {
				select {
				case <-s.again:
				default:
					close(s.again)
				}
				server.Close()
			})
			dir, port := t.TempDir(), testenv.FreePort(t)
			public := fmt.Sprintf("http://127.0.0.1:%d/", port)
			s.hooks = map[string]string{"17": public + backupToken}
			file := writeFile(t, dir, "prober.yaml", fmt.Sprintf(`
system: logi
probes:
  - name: hooks
    type: webhook
    interval: 10m
    timeout: 1m
    public: %s{token}
    token: {file: %s}
    trigger: {url: "%s/events", id: {json: $.event_id}}
    signature: {scheme: standard, secrets: [{file: %s}]}
    id: {json: $.event_id}
    within: 5s
    schedule: 20s
    cases:
      retried: {answers: [503, 200], within: 20s}
  - {name: beats, type: heartbeat, token: {file: %s}, period: 1h, grace: 1h}
`, public, writeFile(t, dir, "token", backupToken), server.URL, writeFile(t, dir, "secret", "whsec_"+base64.StdEncoding.EncodeToString(s.secret)),
				writeFile(t, dir, "other", queueToken)))
			args := []string{"--config.file=" + file, "--storage.path=" + dir + "/state", fmt.Sprintf("--inbound.listen-address=127.0.0.1:%d", port), "--schedule.offset=0"}
			p := start(t, nil, args...)
			p.receiver(t)
			go http.Post(p.url+"/probes/logi/hooks/run", "", nil)
			testenv.Eventually(t, 30*time.Second, func(context.Context) error {
				s.mu.Lock()
				defer s.mu.Unlock()
				if len(s.got["evt-1"]) == 0 {
					return fmt.Errorf("got %v", s.got)
				}
				return nil
			})
			interrupt(t, s, p, func() { start(t, nil, args...).receiver(t) }, file)
		})
	}
}

// TestInbound_stoppedWhileAnswering stops the prober while a slow answer and a request for a page are open: neither waits for the other,
// so that the prober ends within the time that it says.
func TestInbound_stoppedWhileAnswering(t *testing.T) {
	testenv.Slow(t, "it starts a prober and stops it")
	s := &provider{outbox: outbox{t: t, secret: []byte("0123456789abcdef0123456789abcdef")}}
	dir := t.TempDir()
	file := writeFile(t, dir, "prober.yaml", fmt.Sprintf(`
system: logi
probes:
  - name: hooks
    type: webhook
    interval: 1s
    timeout: 900ms
    public: http://127.0.0.1:1/{token}
    token: {file: %s}
    signature: {scheme: standard, secrets: [{file: %s}]}
    id: {json: $.event_id}
    within: 5s
    schedule: 20s
    cases:
      slow: {answers: [{status: 200, after: 20s}]}
`, writeFile(t, dir, "token", backupToken), writeFile(t, dir, "secret", "whsec_"+base64.StdEncoding.EncodeToString(s.secret))))
	p := start(t, nil, "--config.file="+file, "--inbound.listen-address=127.0.0.1:0")
	s.hooks = map[string]string{"17": p.receiver(t) + "/" + backupToken}
	p.waitForRuns(t, "hooks", 1)
	<-time.After(1100 * time.Millisecond) // what is signed in the second of the start may be a replay
	answered := make(chan string, 1)
	go func() { answered <- s.attempt(context.Background(), "evt-1", "17") }()
	select {
	case got := <-answered:
		t.Fatalf("it is answered at once: %s", got)
	case <-time.After(time.Second):
	}
	page, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	if _, err := page.Write([]byte("GET / HTTP/1.1\r\n")); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if status, err := p.Wait(ctx); err != nil || status != exitPass {
		t.Errorf("got status %d, %v", status, err)
	}
	if took := time.Since(began); took > 2*requestGrace-time.Second { // two graces in a row are more
		t.Errorf("it took %s", took)
	}
	<-answered
}
