package probes_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// soundRuns is how often a sound server must pass.
const soundRuns = 50

// at waits until something answers on a port of this machine, and returns the job of a product for it.
func at(t *testing.T, product string, port int) probe.Job {
	t.Helper()
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	testenv.Eventually(t, 30*time.Second, func(context.Context) error {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	return conventionAt(t, product, url)
}

// becomes waits until a job sees a state that a server takes a moment to get into.
func becomes(t *testing.T, job probe.Job, want string) {
	t.Helper()
	testenv.Eventually(t, 10*time.Second, func(ctx context.Context) error {
		for _, s := range job.Do(ctx).Samples {
			if s.Name == "probe_health_state" && s.Value == 1 && s.Values[1] != want {
				return fmt.Errorf("got %s, expected %s", s.Values[1], want)
			}
		}
		return nil
	})
	wantState(t, job, want)
}

func isSound(t *testing.T, job probe.Job) {
	t.Helper()
	for range soundRuns {
		wantState(t, job, "serving_unverified")
	}
}

// stop ends a server and waits until it has ended.
func stop(t *testing.T, p *testenv.Process) {
	t.Helper()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.Ended()
}

// TestHealth_haproxy probes a real HAProxy as the documentation says: its pages are HTML, and those for unknown paths
// depend on whether a server is up.
func TestHealth_haproxy(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	app := httptest.NewServer(http.NotFoundHandler())
	defer app.Close()
	port := testenv.FreePort(t)
	haproxy := testenv.HAProxy(t, fmt.Sprintf(`
frontend web
  bind 127.0.0.1:%d
  monitor-uri /ready
  monitor fail if { nbsrv(app) lt 1 }
  http-request return status 200 content-type text/plain string live if { path /live }
  default_backend app
backend app
  option httpchk GET /
  http-check expect status 404
  timeout check 10s
  server one %s check inter 50ms fall 1 rise 1
`, port, strings.TrimPrefix(app.URL, "http://")))
	job := at(t, "haproxy", port)
	becomes(t, job, "serving_unverified")
	isSound(t, job)
	app.Close()
	becomes(t, job, "not_ready")
	stop(t, haproxy)
	wantState(t, job, "down")
}

// TestHealth_haproxyAnswersForAll probes an HAProxy without the two pages: a page for every path, and a gateway without a
// server.
func TestHealth_haproxyAnswersForAll(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	all, none := testenv.FreePort(t), testenv.FreePort(t)
	testenv.HAProxy(t, fmt.Sprintf(`
frontend all
  bind 127.0.0.1:%d
  http-request return status 200 content-type text/plain string live
frontend none
  bind 127.0.0.1:%d
`, all, none))
	job := at(t, "haproxy", all)
	job.Do(t.Context())
	for _, c := range job.Do(t.Context()).Checks {
		if c.Verdict == probe.Pass {
			t.Errorf("%s passes where every path is answered alike: %s", c.Name, c.Detail)
		}
	}
	wantState(t, at(t, "haproxy", none), "wrong_route")
}

// TestHealth_nginx probes the stub_status of a real nginx as the documentation says.
func TestHealth_nginx(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	sound, page, off := testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t)
	nginx := testenv.Nginx(t, fmt.Sprintf("listen 127.0.0.1:%d; location = /stub_status { stub_status; }", sound))
	testenv.Nginx(t, fmt.Sprintf(`listen 127.0.0.1:%d; default_type text/html; location / { return 200 "<!DOCTYPE html><title>Shop</title>"; }`, page))
	testenv.Nginx(t, fmt.Sprintf("listen 127.0.0.1:%d;", off))
	job := at(t, "nginx", sound)
	isSound(t, job)
	stop(t, nginx)
	wantState(t, job, "down")
	wantState(t, at(t, "nginx", page), "wrong_route")
	wantState(t, at(t, "nginx", off), "wrong_route")
}

// TestHealth_apache probes the mod_status of a real Apache as the documentation says, until it has no idle worker.
func TestHealth_apache(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	const workers = 8
	port, closed := testenv.FreePort(t), testenv.FreePort(t)
	const status = "<Location /server-status>\nSetHandler server-status\n</Location>\n"
	apache := testenv.Apache(t, workers, fmt.Sprintf("Listen 127.0.0.1:%d\n", port)+status)
	testenv.Apache(t, workers, fmt.Sprintf("Listen 127.0.0.1:%d\n", closed)+strings.Replace(status, "SetHandler", "Require all denied\nSetHandler", 1))
	job := at(t, "apache", port)
	isSound(t, job)

	var busy []net.Conn
	for range workers - 1 { // the last one answers the probe
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET / HTTP/1.1\r\n") // and no more
		busy = append(busy, conn)
	}
	becomes(t, job, "not_ready")
	for _, conn := range busy {
		fmt.Fprint(conn, "Host: a\r\nConnection: close\r\n\r\n")
		if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			t.Error(err)
		}
	}
	becomes(t, job, "serving_unverified")
	stop(t, apache)
	wantState(t, job, "down")
	wantState(t, at(t, "apache", closed), "wrong_route")
}
