package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"prober/internal/testenv"
)

// TestPrometheus_scrapesTheDemo scrapes the running demo with a real Prometheus and asks its API for the series that
// alerts read, without and with a fault.
func TestPrometheus_scrapesTheDemo(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	prometheus := testenv.Need(t, "prometheus")
	promtool := testenv.Need(t, "promtool")
	p := start(t, nil, "demo")

	dir := t.TempDir()
	config := writeFile(t, dir, "prometheus.yml", fmt.Sprintf(
		"global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: prober\n    honor_labels: true\n    static_configs: [{targets: [%q]}]\n",
		strings.TrimPrefix(p.url, "http://")))
	api := fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))
	testenv.Start(t, prometheus, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+api)

	asks := func(expr, want string) {
		t.Helper()
		testenv.Eventually(t, 2*time.Minute, func(ctx context.Context) error {
			got, err := instant(ctx, api, expr)
			if err == nil && got != want {
				err = fmt.Errorf("%s: got %s, want %s", expr, got, want)
			}
			return err
		})
	}
	asks(`sum(probe_success{system="demo"}) == bool count(probe_success{system="demo"})`, "1")
	asks(`count(ibex_process_up{service="proxy"} == 1)`, "1")
	asks(`sum(up{job="prober"})`, "1")
	p.post(t, "/demo/inject/proxy-down")
	asks(`max by (service) (ibex_process_up{service="proxy"})`, "0")
	asks(`probe_success{probe="proxy"}`, "0")
	asks(`probe_success{probe="up"}`, "1")
	p.post(t, "/demo/clear/proxy-down")
	asks(`min by (service) (ibex_process_up{service="proxy"})`, "1")

	_, exposition, err := p.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(exposition)
	if out, err := testenv.Run(t, check); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// instant asks Prometheus for the single value of an expression.
func instant(ctx context.Context, api, expr string) (string, error) {
	found, err := query(ctx, api, expr)
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%s: got %d series", expr, len(found))
	}
	return fmt.Sprint(found[0].Value[1]), nil
}

// A series is one result of an expression: labels, and a time with a value.
type series struct {
	Metric map[string]string
	Value  [2]any
}

// query evaluates an expression in Prometheus.
func query(ctx context.Context, api, expr string) ([]series, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+api+"/api/v1/query?query="+url.QueryEscape(expr), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []series }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s, %s", expr, answer.Status, answer.Error)
	}
	return answer.Data.Result, nil
}

// TestNginx probes a real nginx: a page, a missing one, a bad gateway, and TLS with a certificate that expires in three
// days.
func TestNginx(t *testing.T) {
	testenv.WithoutRace(t)
	nginx := testenv.Need(t, "nginx")
	dir := t.TempDir()
	cert, key := certificate(t, 3*24*time.Hour)
	writeFile(t, dir, "cert.pem", cert)
	writeFile(t, dir, "key.pem", key)
	writeFile(t, dir, "index.html", "<h1>from nginx</h1>")
	plain, tls, dead := testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t)
	conf := writeFile(t, dir, "nginx.conf", fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/nginx.pid; error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server {
    listen 127.0.0.1:%[2]d; listen 127.0.0.1:%[3]d ssl;
    ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem;
    root %[1]s;
    location = /up { try_files /index.html =404; default_type text/html; }
    location = /gateway { proxy_pass http://127.0.0.1:%[4]d; }
  }
}
`, dir, plain, tls, dead))
	testenv.Start(t, nginx, "-p", dir, "-c", conf, "-e", "stderr")
	testenv.Eventually(t, time.Minute, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", tls))
		if err == nil {
			conn.Close()
		}
		return err
	})
	probes := fmt.Sprintf(`
system: nginx
probes:
  - {name: up, type: http, url: "http://127.0.0.1:%[1]d/up", catch_all_check: true, expect: {status: 200, body: {contains: from nginx}, headers: {Server: {match: ^nginx}}}}
  - {name: missing, type: http, url: "http://127.0.0.1:%[1]d/missing"}
  - {name: gateway, type: http, url: "http://127.0.0.1:%[1]d/gateway"}
  - {name: trusted, type: http, url: "https://127.0.0.1:%[2]d/up", tls: {ca_file: %[3]s/cert.pem}, expect: {status: 200, certificate: 2d}}
  - {name: expiring, type: http, url: "https://127.0.0.1:%[2]d/up", tls: {ca_file: %[3]s/cert.pem}, expect: {status: 200, certificate: 14d}}
  - {name: untrusted, type: http, url: "https://127.0.0.1:%[2]d/up"}
`, plain, tls, dir)
	var out, errs strings.Builder
	status := run(t.Context(), []string{"--once", "--format=tap", "--config.file=" + writeFile(t, dir, "prober.yaml", probes)}, &out, &errs)
	if status != exitFail {
		t.Errorf("exit status: got %d, want %d; %s", status, exitFail, errs.String())
	}
	for _, want := range []string{
		"ok 1 - nginx/up", "not ok 2 - nginx/missing", "not ok 3 - nginx/gateway", "ok 4 - nginx/trusted", "not ok 5 - nginx/expiring", "not ok 6 - nginx/untrusted",
		"expected 2xx, got 404", "expected 2xx, got 502", "got one that expires in 2 days", "cert",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// certificate makes a self-signed certificate for 127.0.0.1 with the given remaining lifetime.
func certificate(t *testing.T, left time.Duration) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(left),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

// A realProbe is what the report says of a probe that asked a real server.
type realProbe struct {
	Name, Verdict string
	Checks        []struct{ Verdict, Detail string }
}

// said joins the details of the checks, of all or of those that did not pass.
func (p realProbe) said(all bool) (said string) {
	for _, c := range p.Checks {
		if all || c.Verdict != "pass" {
			said += c.Detail + "; "
		}
	}
	return said
}

// askOnce runs all probes of a file once; some of them must fail.
func askOnce(t *testing.T, file string, probes int, more ...string) []realProbe {
	t.Helper()
	var out, errs strings.Builder
	if status := run(t.Context(), append([]string{"--once", "--format=json", "--config.file=" + file}, more...), &out, &errs); status != exitFail {
		t.Fatalf("exit status: got %d, want %d; %s", status, exitFail, errs.String())
	}
	var got struct{ Probes []realProbe }
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil || len(got.Probes) != probes {
		t.Fatalf("expected %d probes, got %d, %v\n%s", probes, len(got.Probes), err, out.String())
	}
	return got.Probes
}

// waitForPort waits until a server accepts connections at a port of 127.0.0.1.
func waitForPort(t *testing.T, port int) {
	t.Helper()
	testenv.Eventually(t, time.Minute, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			conn.Close()
		}
		return err
	})
}

// wantSaid compares what probes say with what is expected of them: a verdict, and a part of the text.
func wantSaid(t *testing.T, file string, want map[string]string, flags ...string) {
	t.Helper()
	runs, err := strconv.Atoi(testenv.Runs())
	if err != nil {
		t.Fatal(err)
	}
	for range runs {
		for _, p := range askOnce(t, file, len(want), flags...) {
			said := p.said(true)
			if verdict, part, _ := strings.Cut(want[p.Name], ": "); p.Verdict != verdict || !strings.Contains(said, part) {
				t.Errorf("%s: expected %s, got %s: %s", p.Name, want[p.Name], p.Verdict, said)
			}
		}
	}
}
