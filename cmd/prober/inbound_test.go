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
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"prober/internal/testenv"
)

const (
	backupToken = "k7Qz0vB2mXw9rT4yLp6sNd"
	queueToken  = "0f3a9c51d2e84b76a1c05d9e7b32f846"
)

var receives = regexp.MustCompile(`msg="Listening on" listener=inbound address=(\S+)`)

// receiver returns the URL of the listener for what others send.
func (p *running) receiver(t *testing.T) (url string) {
	t.Helper()
	testenv.Eventually(t, 30*time.Second, func(context.Context) error {
		found := receives.FindStringSubmatch(p.Output())
		if found == nil {
			return errors.New("it does not listen for others yet")
		}
		url = "http://" + found[1]
		return nil
	})
	return url
}

func reportTo(t *testing.T, url string, want int) string {
	t.Helper()
	answer, err := http.Post(url, "text/plain", strings.NewReader("the output of the job, hunter2hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != want {
		t.Errorf("expected %d, got %d", want, answer.StatusCode)
	}
	return string(body)
}

// TestInbound has jobs report to a prober, which is killed and started again: it knows what it answered, and that it may have missed
// something else. No token and nothing that a job sent is anywhere.
func TestInbound(t *testing.T) {
	testenv.Slow(t, "it starts probers")
	t.Parallel()
	dir := t.TempDir()
	token := writeFile(t, dir, "token", backupToken+"\n")
	file := writeFile(t, dir, "prober.yaml", fmt.Sprintf(`
system: shop
interval: 1s
timeout: 900ms
probes:
  - {name: backup, type: heartbeat, token: {file: %s}, period: 1h, grace: 30m}
  - {name: queue, type: heartbeat, token: {env: QUEUE_TOKEN}, period: 2s, grace: 1s}
`, token))
	args := []string{"--config.file=" + file, "--storage.path=" + filepath.Join(dir, "state"), "--inbound.listen-address=127.0.0.1:0", "--log.level=debug"}
	env := []string{"QUEUE_TOKEN=" + queueToken}
	p := start(t, env, args...)
	at := p.receiver(t)
	verdict := func(name, verdict string) {
		t.Helper()
		p.waitForMetric(t, fmt.Sprintf(`probe_verdict{probe=%q,system="shop",type="heartbeat",verdict=%q} 1`, name, verdict))
	}
	reason := func(name, check, reason string) {
		t.Helper()
		testenv.Eventually(t, time.Minute, func(context.Context) error {
			_, body, err := p.get("/api/v1/status?recent=0")
			if err != nil || !strings.Contains(body, reason) {
				return fmt.Errorf("%v: expected %s %s %s, got %s", err, name, check, reason, body)
			}
			return nil
		})
	}
	reason("queue", "on_time", "never_came")
	verdict("backup", "inconclusive")
	reportTo(t, at+"/"+queueToken, 200)
	verdict("queue", "pass")
	reason("queue", "on_time", `"late"`)
	if body := reportTo(t, at+"/"+backupToken+"/7", 200); body != "OK" {
		t.Errorf("got %q", body)
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Ended()
	first := p.Output()

	p = start(t, env, args...)
	at = p.receiver(t)
	verdict("backup", "fail") // as it said before
	reason("backup", "success", "got exit status 7")
	reportTo(t, at+"/"+backupToken, 200)
	verdict("backup", "pass")
	for path, want := range map[string]int{"/": 404, "/metrics": 404, "/" + backupToken[1:]: 404, "/" + backupToken + "/x": 404} {
		reportTo(t, at+path, want)
	}
	p.waitForMetric(t, `prober_inbound_requests_total{outcome="unknown"} 3`)
	p.waitForMetric(t, `probe_heartbeat_reports_total{probe="backup",system="shop",type="heartbeat",signal="other"} 1`)

	// A reload keeps what came, unless the settings are others; two probes with one token are refused.
	writeFile(t, dir, "prober.yaml", strings.Replace(textOf(t, file), "interval: 1s", "interval: 1100ms", 1))
	if status, body := p.post(t, "/-/reload"); status != 200 {
		t.Fatalf("got %d %s", status, body)
	}
	p.waitForRuns(t, "backup", 2)
	verdict("backup", "pass")
	writeFile(t, dir, "token", queueToken)
	status, body := p.post(t, "/-/reload")
	if want := regexp.MustCompile(`shop/queue: token from env QUEUE_TOKEN: it is that of shop/backup too`); status == 200 || !want.MatchString(body) {
		t.Errorf("got %d %s", status, body)
	}
	var out, errs strings.Builder
	if got := run(t.Context(), []string{"--once", "--config.file=" + file}, &out, &errs); got != exitInconclusive || !strings.Contains(out.String(), "not_listening") {
		t.Errorf("--once: exit status %d: %s%s", got, out.String(), errs.String())
	}
	writeFile(t, dir, "token", backupToken)

	kept := textOf(t, filepath.Join(dir, "state"))
	_, metrics, _ := p.get("/metrics")
	_, page, _ := p.get("/probes/shop/backup")
	_, config, _ := p.get("/config")
	_, status2, _ := p.get("/api/v1/status")
	for where, text := range map[string]string{"state": kept, "log": first + p.Output(), "metrics": metrics, "page": page, "config": config, "status": status2, "once": out.String(), "reload": body} {
		for _, secret := range []string{backupToken, queueToken, "hunter2"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s has a token, or what a job sent", where)
			}
		}
	}
}

func textOf(t *testing.T, path string) string {
	t.Helper()
	text, err := readFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A flag that would do nothing is refused, as is a file with a mistake and an address that is taken.
func TestInbound_flags(t *testing.T) {
	file := writeFile(t, t.TempDir(), "prober.yaml", "system: shop\nprobes:\n  - {name: up, type: http, url: http://127.0.0.1:1/}\n")
	web := writeFile(t, t.TempDir(), "web.yaml", "tls_server_config: {cert_file: missing, key_file: missing}\n")
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--inbound.config.file=" + web}, "prober: --inbound.config.file needs --inbound.listen-address"},
		{[]string{"--inbound.config.file=" + web, "--inbound.listen-address=127.0.0.1:0"}, "prober: inbound.config.file: "},
		{[]string{"--inbound.listen-address=127.0.0.1:99999"}, "prober: cannot listen on 127.0.0.1:99999"},
	} {
		var out, errs strings.Builder
		got := run(t.Context(), append(test.args, "--config.file="+file, "--web.listen-address=127.0.0.1:0"), &out, &errs)
		if got != exitUsage || !strings.HasPrefix(errs.String(), test.want) {
			t.Errorf("%v: exit status %d: %s", test.args, got, errs.String())
		}
	}
}

// TestInbound_unauthorized: who has the token and not the password, or no certificate, is counted, and the probe that they may have
// meant says so. That makes no run inconclusive: whoever lacks the password cannot hide that a job is late.
func TestInbound_unauthorized(t *testing.T) {
	testenv.Slow(t, "it starts probers")
	t.Parallel()
	dir := t.TempDir()
	web := writeFile(t, dir, "web.yaml", "basic_auth_users: {job: $2a$04$QXPrTkAqMqcSbRApY0x2OufUUgP6XTfr7rq27uNH504EiMTaGgJwK}\n")
	file := writeFile(t, dir, "prober.yaml", "system: shop\ninterval: 1s\ntimeout: 900ms\nprobes:\n  - {name: queue, type: heartbeat, token: {env: QUEUE_TOKEN}, period: 2s, grace: 1s}\n")
	env := []string{"QUEUE_TOKEN=" + queueToken}
	p := start(t, env, "--config.file="+file, "--inbound.listen-address=127.0.0.1:0", "--inbound.config.file="+web, "--log.level=debug")
	at := p.receiver(t)
	ask := func(path, password string, want int) {
		t.Helper()
		reportTo(t, strings.Replace(at, "//", "//job:"+password+"@", 1)+path, want)
	}
	ask("/"+queueToken, "correct%20horse", 200)
	ask("/"+queueToken, "wrong-horse", 401)
	ask("/"+queueToken, "", 401)
	ask("/"+backupToken, "wrong-horse", 401)
	reportTo(t, at+"/"+queueToken, 401)
	p.waitForMetric(t, `prober_inbound_requests_total{outcome="unauthorized"} 4`)
	p.waitForMetric(t, `prober_inbound_requests_total{outcome="refused"} 0`)
	p.waitForMetric(t, `probe_verdict{probe="queue",system="shop",type="heartbeat",verdict="fail"} 1`)
	_, page, err := p.get("/probes/shop/queue")
	if want := "; 3 requests to this path did not have the password of --inbound.config.file"; err != nil || !strings.Contains(page, want) {
		t.Errorf("expected %q, got %s, %v", want, page, err)
	}
	for range 30 {
		reportTo(t, at+"/"+queueToken, 401)
	}
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		_, page, err = p.get("/probes/shop/queue")
		if err == nil && !strings.Contains(page, "; 20 requests to this path") {
			err = errors.New("it remembers others than the last 20")
		}
		return err
	})
	_, metrics, _ := p.get("/metrics")
	for where, text := range map[string]string{"log": p.Output(), "page": page, "metrics": metrics} {
		for _, secret := range []string{queueToken, "wrong-horse", "correct horse"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s has a token or a password", where)
			}
		}
	}

	cert, key := certificate(t, time.Hour)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(cert))
	writeFile(t, dir, "pair.pem", cert+key)
	writeFile(t, dir, "web.yaml", "tls_server_config: {cert_file: pair.pem, key_file: pair.pem, client_ca_file: pair.pem, client_auth_type: RequireAndVerifyClientCert}\n")
	p = start(t, env, "--config.file="+file, "--inbound.listen-address=127.0.0.1:0", "--inbound.config.file="+web)
	at = strings.Replace(p.receiver(t), "http:", "https:", 1) + "/" + queueToken
	report := func(cert, key string) bool {
		config := &tls.Config{RootCAs: pool}
		if cert != "" {
			pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		client := http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
		answer, err := client.Post(at, "", nil)
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == 200
	}
	if !report(cert, key) || report("", "") || report(certificate(t, time.Hour)) {
		t.Error("expected to be let in with the certificate alone")
	}
	conn, err := tls.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(at, "https://"), "/"+queueToken), &tls.Config{}) // it distrusts the prober
	if err == nil {
		conn.Close()
		t.Error("the prober is trusted")
	}
	p.waitForMetric(t, `prober_inbound_requests_total{outcome="unauthorized"} 2`)
}

// TestInbound_certificate: the certificates of the listener are replaced without a reload. One that expired is logged and counted, and
// what is missing meanwhile is not the job's fault.
func TestInbound_certificate(t *testing.T) {
	testenv.Slow(t, "it starts a prober")
	t.Parallel()
	dir := t.TempDir()
	pool := x509.NewCertPool()
	use := func(left time.Duration) {
		cert, key := certificate(t, left)
		pool.AppendCertsFromPEM([]byte(cert))
		writeFile(t, dir, "new.pem", cert+key)
		if err := os.Rename(filepath.Join(dir, "new.pem"), filepath.Join(dir, "pair.pem")); err != nil {
			t.Fatal(err)
		}
	}
	use(time.Hour)
	web := writeFile(t, dir, "web.yaml", "tls_server_config: {cert_file: pair.pem, key_file: pair.pem}\n")
	file := writeFile(t, dir, "prober.yaml", "system: shop\ninterval: 1s\ntimeout: 900ms\nprobes:\n  - {name: queue, type: heartbeat, token: {env: QUEUE_TOKEN}, period: 2s, grace: 1s}\n")
	p := start(t, []string{"QUEUE_TOKEN=" + queueToken}, "--config.file="+file, "--inbound.listen-address=127.0.0.1:0", "--inbound.config.file="+web)
	at := strings.Replace(p.receiver(t), "http:", "https:", 1) + "/" + queueToken
	report := func() error {
		client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
		answer, err := client.Post(at, "", nil)
		if err != nil {
			return err
		}
		answer.Body.Close()
		if answer.StatusCode != 200 {
			return fmt.Errorf("got %d", answer.StatusCode)
		}
		return nil
	}
	if err := report(); err != nil {
		t.Fatal(err)
	}
	p.waitForMetric(t, `prober_inbound_requests_total{outcome="refused"} 0`)

	use(-time.Minute)
	if err := report(); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("with a certificate that expired: got %v", err)
	}
	report()
	p.waitForMetric(t, `prober_inbound_requests_total{outcome="refused"} 2`)
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		report() // as the job does
		_, body, err := p.get("/api/v1/status?recent=0")
		if err != nil || !strings.Contains(body, "not_heard") || !strings.Contains(body, "the listener's own configuration refused") {
			return fmt.Errorf("%v: %s", err, body)
		}
		return nil
	})
	if n := strings.Count(p.Output(), "the certificate expired on "); n != 1 {
		t.Errorf("it is logged %d times:\n%s", n, p.Output())
	}

	use(time.Hour)
	if err := report(); err != nil {
		t.Errorf("with a new certificate: %v", err)
	}
	p.waitForMetric(t, `probe_verdict{probe="queue",system="shop",type="heartbeat",verdict="pass"} 1`)
}

// TestInbound_connections: ten thousand clients connect to a prober that may open 256 files, and say nothing. A job that reports is
// heard all the same, the memory is bounded, and the pages are served.
func TestInbound_connections(t *testing.T) {
	testenv.Slow(t, "it opens ten thousand connections")
	testenv.WithoutRace(t) // the detector takes memory of its own
	const clients, files = 10_000, 256
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < clients+1000 {
		t.Skipf("a process may open %d files here, and this test needs %d (%v)", limit.Cur, clients+1000, err)
	}
	file := writeFile(t, t.TempDir(), "prober.yaml", "system: shop\ninterval: 1s\ntimeout: 900ms\nprobes:\n  - {name: backup, type: heartbeat, token: {env: BACKUP_TOKEN}, period: 1h}\n")
	cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, files), os.Args[0],
		"--config.file="+file, "--inbound.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0")
	cmd.Env = append(os.Environ(), asProber+"=1", "BACKUP_TOKEN="+backupToken)
	p := startCommand(t, cmd)
	at := p.receiver(t)
	before := peakMemory(t, p.PID())
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	heard := 0
	// From an address that nobody else uses, so that other tests find free ports.
	client := net.Dialer{Timeout: 30 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}}
	for i := range clients {
		c, err := client.Dial("tcp", strings.TrimPrefix(at, "http://"))
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		open = append(open, c)
		if i%1000 == 999 {
			reportTo(t, at+"/"+backupToken, 200)
			heard++
			if status, _, err := p.get("/-/healthy"); err != nil || status != 200 {
				t.Errorf("the page: got %d, %v", status, err)
			}
		}
	}
	p.waitForMetric(t, fmt.Sprintf(`prober_inbound_requests_total{outcome="delivered"} %d`, heard))
	p.waitForMetric(t, `probe_verdict{probe="backup",system="shop",type="heartbeat",verdict="pass"} 1`)
	_, body, _ := p.get("/metrics")
	refused := 0.0
	for line := range strings.Lines(body) {
		fmt.Sscanf(line, `prober_inbound_requests_total{outcome="overloaded"} %g`, &refused)
	}
	if refused < clients-files {
		t.Errorf("%g connections were closed for others, expected nearly all of %d", refused, clients)
	}
	if peak := peakMemory(t, p.PID()); peak > before+(32<<20) {
		t.Errorf("the memory grew from %d MiB to %d MiB", before>>20, peak>>20)
	}
}
