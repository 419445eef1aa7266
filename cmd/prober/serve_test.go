package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"prober/internal/testenv"
)

// A target counts requests, and can be made to fail or hang.
type target struct {
	*httptest.Server
	asked  atomic.Int64
	status atomic.Int64
	hang   atomic.Bool
	inside chan struct{} // gets a value with each request while hanging
}

func startTarget(t *testing.T) *target {
	x := &target{inside: make(chan struct{}, 100)}
	x.status.Store(200)
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		x.asked.Add(1)
		if x.hang.Load() {
			x.inside <- struct{}{}
			<-q.Context().Done()
			return
		}
		if x.status.Load() == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		w.WriteHeader(int(x.status.Load()))
	}))
	t.Cleanup(x.Close)
	return x
}

// httpConfig is a configuration with an HTTP probe for each name.
func httpConfig(url string, names ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "system: test\ninterval: 1s\ntimeout: 800ms\nprobes:\n")
	for _, name := range names {
		fmt.Fprintf(&b, "  - {name: %s, type: http, url: %q}\n", name, url+"/"+name)
	}
	return b.String()
}

func TestServing(t *testing.T) {
	t.Parallel()
	x := startTarget(t)
	file := writeFile(t, t.TempDir(), "prober.yaml", strings.ReplaceAll(httpConfig(x.URL, "up"), "/up\"", "/up?x=1\""))
	p := start(t, nil, "--config.file="+file)
	p.waitForMetric(t, `probe_success{probe="up",system="test",type="http"} 1`)
	if limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.PID())); err != nil || !regexp.MustCompile(`Max core file size +0 +0`).Match(limits) {
		t.Errorf("secrets in memory may be written to disk with a core dump: %v", err)
	}
	for path, want := range map[string]int{
		"/": 200, "/metrics": 200, "/-/healthy": 200, "/-/ready": 200, "/config": 200, "/schema.json": 200, "/api/v1/status": 200,
		"/debug/pprof/": 404, "/debug": 404, "/nothing": 404,
	} {
		if got, _, err := p.get(path); err != nil || got != want {
			t.Errorf("GET %s: got %d %v, want %d", path, got, err, want)
		}
	}
	x.status.Store(500)
	p.waitForMetric(t, `probe_success{probe="up",system="test",type="http"} 0`)
	p.waitForMetric(t, `probe_failures_total{probe="up",system="test",type="http",check="status",reason="status"} `)
	if !strings.Contains(p.Output(), `expected 2xx, got 500`) {
		t.Error("the log does not say why the probe fails")
	}
	if !strings.Contains(p.Output(), "reason=status ") || !strings.Contains(p.Output(), "url="+x.URL+"/up ") {
		t.Errorf("the log does not say the reason, and where without the query:\n%s", p.Output())
	}
	// A failing target makes the prober itself neither dead nor unready.
	for _, path := range []string{"/-/healthy", "/-/ready"} {
		if got, _, err := p.get(path); err != nil || got != 200 {
			t.Errorf("GET %s while the target is down: got %d %v", path, got, err)
		}
	}
}

func TestServing_portInUse(t *testing.T) {
	x := startTarget(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	file := writeFile(t, t.TempDir(), "prober.yaml", httpConfig(x.URL, "up"))
	var out, errs strings.Builder
	if got := run(t.Context(), []string{"--config.file=" + file, "--web.listen-address=" + busy.Addr().String()}, &out, &errs); got != exitUsage {
		t.Errorf("exit status: got %d, want %d", got, exitUsage)
	}
	if !strings.Contains(errs.String(), "cannot listen") || x.asked.Load() != 0 {
		t.Errorf("got %q, and the target was asked %d times", errs.String(), x.asked.Load())
	}
}

func TestServing_ignoresProxyVariables(t *testing.T) {
	t.Parallel()
	x, proxy := startTarget(t), startTarget(t)
	file := writeFile(t, t.TempDir(), "prober.yaml", httpConfig(x.URL, "up"))
	p := start(t, []string{"HTTP_PROXY=" + proxy.URL, "https_proxy=" + proxy.URL, "NO_PROXY="}, "--config.file="+file)
	p.waitForMetric(t, `probe_success{probe="up",system="test",type="http"} 1`)
	if got := strings.Count(p.Output(), "Ignoring the proxy settings"); got != 2 || proxy.asked.Load() > 0 {
		t.Errorf("it was said %d times, want once for each variable; the proxy was asked %d times", got, proxy.asked.Load())
	}
}

// TestServing_unsolicitedResponseIsNotLogged keeps a connection on which the server sends more than its answer. net/http
// would log that.
func TestServing_unsolicitedResponseIsNotLogged(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := conn.Read(make([]byte, 4096)); err == nil {
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"+"unasked-for hunter2")
					io.Copy(io.Discard, conn)
				}
			}()
		}
	}()
	config := strings.ReplaceAll(httpConfig("http://"+l.Addr().String(), "up"), "type: http,", "type: http, connection: reuse,")
	p := start(t, nil, "--config.file="+writeFile(t, t.TempDir(), "prober.yaml", config))
	p.waitForRuns(t, "up", 3)
	if strings.Contains(p.Output(), "hunter2") {
		t.Errorf("the server's words are in the log:\n%s", p.Output())
	}
}

func TestStop_hangingRunIsNotAFailure(t *testing.T) {
	t.Parallel()
	x := startTarget(t)
	config := strings.ReplaceAll(httpConfig(x.URL, "up"), "interval: 1s\ntimeout: 800ms", "interval: 12s\ntimeout: 11s")
	x.hang.Store(true)
	p := start(t, nil, "--config.file="+writeFile(t, t.TempDir(), "prober.yaml", config))
	select {
	case <-x.inside:
	case <-time.After(time.Minute):
		t.Fatal("the target was not asked")
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if status, err := p.Wait(ctx); err != nil || status != exitPass {
		t.Errorf("got status %d, %v; want 0 within 10 s", status, err)
	}
	if strings.Contains(p.Output(), "verdict=fail") {
		t.Errorf("a cancelled run counted as failed:\n%s", p.Output())
	}
}

func TestStop_secondSignal(t *testing.T) {
	t.Parallel()
	x := startTarget(t)
	p := start(t, nil, "--config.file="+writeFile(t, t.TempDir(), "prober.yaml", httpConfig(x.URL, "up")))
	// A request that never ends keeps the server from closing.
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /metrics HTTP/1.1\r\n")
	p.waitForRuns(t, "up", 1)
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 30*time.Second, func(context.Context) error {
		if !strings.Contains(p.Output(), "msg=Stopping") {
			return errors.New("it does not stop")
		}
		return nil
	})
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status, err := p.Wait(t.Context()); err != nil || status != 1 {
		t.Errorf("got status %d, %v; want 1", status, err)
	}
}

func TestServing_afterSIGSTOP(t *testing.T) {
	t.Parallel()
	x := startTarget(t)
	x.hang.Store(true)
	p := start(t, nil, "--config.file="+writeFile(t, t.TempDir(), "prober.yaml", httpConfig(x.URL, "up")))
	<-x.inside
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	x.hang.Store(false)
	stopped := time.NewTimer(3 * time.Second)
	<-stopped.C
	if err := p.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.waitForMetric(t, `probe_failures_total{probe="up",system="test",type="http",check="run",reason="suspended"} `)
}

func TestReload(t *testing.T) {
	t.Parallel()
	x := startTarget(t)
	dir := t.TempDir()
	file := writeFile(t, dir, "prober.yaml", httpConfig(x.URL, "one", "two"))
	p := start(t, nil, "--config.file="+file, "--config.auto-reload-interval=0")
	p.waitForRuns(t, "one", 2)

	for name, bad := range map[string]string{
		"not YAML":        "system: [",
		"empty":           "",
		"null":            "~",
		"no probes":       "system: test\nprobes: []\n",
		"an unknown key":  strings.ReplaceAll(httpConfig(x.URL, "one"), "timeout", "timeuot"),
		"two documents":   httpConfig(x.URL, "one") + "---\nsystem: b\n",
		"one bad of many": httpConfig(x.URL, "one", "two", "three") + "  - {name: four, type: htpt}\n",
		"too large":       strings.Repeat("# nothing\n", 200_000),
	} {
		writeFile(t, dir, "prober.yaml", bad)
		if status, body := p.post(t, "/-/reload"); status != 500 || !strings.Contains(body, "prober.yaml") {
			t.Errorf("%s: got %d %s", name, status, body)
		}
		p.waitForMetric(t, "prober_config_last_reload_successful 0")
	}
	// The old configuration keeps running, with its counters.
	p.waitForRuns(t, "one", 4)

	writeFile(t, dir, "prober.yaml", httpConfig(x.URL, "one", "three"))
	if err := p.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.waitForMetric(t, `probe_success{probe="three",system="test",type="http"} 1`)
	_, body, err := p.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(body, `probe="two"`) {
		t.Error("the series of a removed probe are still there")
	}
	if strings.Contains(body, `probe_runs_total{probe="one",system="test",type="http",verdict="pass"} 0`) {
		t.Error("the reload lost a counter")
	}
	if !strings.Contains(body, "prober_config_last_reload_successful 1") {
		t.Error("the reload was not counted as successful")
	}
}

// TestReload_changedProbeStartsFresh: the result of the old settings must not be shown for the new ones.
func TestReload_changedProbeStartsFresh(t *testing.T) {
	testenv.Slow(t, "it waits for several runs")
	t.Parallel()
	x := startTarget(t)
	dir := t.TempDir()
	slow := func(path string) string {
		return strings.ReplaceAll(strings.ReplaceAll(httpConfig(x.URL, "up", "other"), "interval: 1s", "interval: 20s"), x.URL+"/up", x.URL+path)
	}
	file := writeFile(t, dir, "prober.yaml", slow("/up"))
	p := start(t, nil, "--config.file="+file, "--config.auto-reload-interval=0")
	p.waitForRuns(t, "up", 1)
	p.waitForRuns(t, "other", 1)
	writeFile(t, dir, "prober.yaml", slow("/elsewhere"))
	if status, body := p.post(t, "/-/reload"); status != 200 {
		t.Fatalf("got %d %s", status, body)
	}
	_, body, err := p.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`probe_success{probe="up",system="test",type="http"} 0`, `probe_success{probe="other",system="test",type="http"} 1`} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("after the reload there is no line %s", line)
		}
	}
}

func TestReload_byContent(t *testing.T) {
	t.Parallel()
	x := startTarget(t)
	dir := t.TempDir()
	file := writeFile(t, dir, "prober.yaml", httpConfig(x.URL, "one"))
	p := start(t, nil, "--config.file="+file, "--config.auto-reload-interval=50ms")
	p.waitForMetric(t, `probe_success{probe="one",system="test",type="http"} 1`)
	// Replaced like Kubernetes and editors do it: another file takes the name.
	if err := os.Rename(writeFile(t, dir, "next", httpConfig(x.URL, "two")), file); err != nil {
		t.Fatal(err)
	}
	p.waitForMetric(t, `probe_success{probe="two",system="test",type="http"} 1`)
}

func TestReload_manySignals(t *testing.T) {
	t.Parallel()
	x := startTarget(t)
	dir := t.TempDir()
	file := writeFile(t, dir, "prober.yaml", httpConfig(x.URL, "one"))
	p := start(t, nil, "--config.file="+file, "--config.auto-reload-interval=0")
	begun := time.Now()
	for i := range 100 {
		writeFile(t, dir, "next", httpConfig(x.URL, fmt.Sprintf("p%d", i)))
		if err := os.Rename(filepath.Join(dir, "next"), file); err != nil {
			t.Fatal(err)
		}
		if err := p.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	stormed := time.Since(begun)
	p.waitForMetric(t, `probe_success{probe="p99",system="test",type="http"} 1`)
	// At most one a second during the signals, and one after the last.
	if got, most := strings.Count(p.Output(), `msg="Configuration reloaded" probes=`), 2+int(stormed/reloadDebounce); got < 1 || got > most {
		t.Errorf("got %d reloads, want at most %d", got, most)
	}
}

func TestServing_TLS(t *testing.T) {
	x, dir := startTarget(t), t.TempDir()
	cert, key := certificate(t, time.Hour)
	webConfig := writeFile(t, dir, "web.yaml", "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n")
	writeFile(t, dir, "cert.pem", cert)
	writeFile(t, dir, "key.pem", key)
	p := start(t, nil, "--config.file="+writeFile(t, dir, "prober.yaml", httpConfig(x.URL, "up")), "--web.config.file="+webConfig)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(cert))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	resp, err := client.Get(strings.Replace(p.url, "http://", "https://", 1) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("got %d", resp.StatusCode)
	}
	// A mistake in that file prevents the start.
	bad := writeFile(t, dir, "bad.yaml", "tls_server_confg: {}\n")
	var errs strings.Builder
	if got := run(t.Context(), []string{"--config.file=" + filepath.Join(dir, "prober.yaml"), "--web.config.file=" + bad}, io.Discard, &errs); got != exitUsage {
		t.Errorf("exit status %d, want %d: %s", got, exitUsage, errs.String())
	}
}

func TestServing_healthListenerWithoutPassword(t *testing.T) {
	x := startTarget(t)
	dir := t.TempDir()
	// bcrypt of "correct horse", made for this test.
	webConfig := writeFile(t, dir, "web.yaml", "basic_auth_users:\n  on-call: $2a$04$QXPrTkAqMqcSbRApY0x2OufUUgP6XTfr7rq27uNH504EiMTaGgJwK\n")
	port := testenv.FreePort(t)
	p := start(t, nil, "--config.file="+writeFile(t, dir, "prober.yaml", httpConfig(x.URL, "up")),
		"--web.config.file="+webConfig, fmt.Sprintf("--web.health-listen-address=127.0.0.1:%d", port))
	for _, path := range []string{"/metrics", "/-/healthy", "/config", "/"} {
		if status, _, err := p.get(path); err != nil || status != 401 {
			t.Errorf("GET %s without a password: got %d %v, want 401", path, status, err)
		}
	}
	plain := &running{url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	testenv.Eventually(t, 30*time.Second, func(context.Context) error {
		for path, want := range map[string]int{"/-/healthy": 200, "/-/ready": 200, "/metrics": 404, "/config": 404} {
			if status, _, err := plain.get(path); err != nil || status != want {
				return errors.Join(err, fmt.Errorf("GET %s: got %d, want %d", path, status, want))
			}
		}
		return nil
	})
}
