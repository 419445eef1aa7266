package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"testing"
	"time"

	"github.com/beevik/ntp"

	"prober/internal/testenv"
)

// TestRealClocks asks real NTP servers, one of them 7 s ahead and one not synchronized, and reads the Dates of two real
// web servers, one of them 5 s ahead. This machine's own clock is never changed: chronyd runs with -x.
func TestRealClocks(t *testing.T) {
	testenv.WithoutRace(t)
	fake := libfaketime(t)
	right := []string{chrony(t, "local stratum 2"), chrony(t, "local stratum 2"), chrony(t, "local stratum 3")}
	ahead := chrony(t, "local stratum 2", "LD_PRELOAD="+fake, "FAKETIME=+7s")
	unsynchronised := chrony(t, "")
	proxy, again := nginxDate(t), nginxDate(t)
	auth := nginxDate(t, "LD_PRELOAD="+fake, "FAKETIME=+5s")

	probes := fmt.Sprintf(`
system: real
timeout: 20s
interval: 1m
probes:
  - {name: right, type: clock, ntp: [%[1]q, %[2]q, %[3]q]}
  - {name: majority, type: clock, ntp: [%[1]q, %[2]q, %[3]q, %[4]q, %[5]q]}
  - {name: ahead, type: clock, ntp: [%[4]q], quorum: 1}
  - {name: unsynchronised, type: clock, ntp: [%[5]q], quorum: 1}
  - {name: one-to-one, type: clock, ntp: [%[1]q, %[4]q, %[5]q], quorum: 2}
  - {name: same, type: clock, services: {proxy: "http://%[6]s/", again: "http://%[8]s/"}, ntp: [%[1]q, %[2]q, %[3]q]}
  - {name: apart, type: clock, services: {proxy: "http://%[6]s/", auth: "http://%[7]s/"}, ntp: [%[1]q, %[2]q, %[3]q]}
  - {name: one-proxy, type: clock, services: {proxy: "http://%[6]s/", again: "http://%[6]s/index.html"}, ntp: [%[1]q, %[2]q, %[3]q]}
`, right[0], right[1], right[2], ahead, unsynchronised, proxy, auth, again)
	var out, errs strings.Builder
	status := run(t.Context(), []string{"--once", "--format=tap", "--config.file=" + writeFile(t, t.TempDir(), "prober.yaml", probes)}, &out, &errs)
	if status != exitFail {
		t.Errorf("exit status: got %d, want %d; %s", status, exitFail, errs.String())
	}
	output := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"ok 1 - real/right",
		"not ok 2 - real/majority", "7.0 s (±", "ahead of this machine's clock, which 3 of 5 servers contradict; it is not used",
		"not ok 3 - real/ahead", "this machine's clock is 7.0 s (±", "behind UTC, expected within 500ms, by 1 of 1 NTP servers",
		"not ok 4 - real/unsynchronised", "it is not synchronised",
		"not ok 5 - real/one-to-one", "expected 2 of 3 NTP servers to agree, but their times are too far apart",
		"ok 6 - real/same",
		"not ok 7 - real/apart", "ahead of proxy, expected within 2s; tokens it issues are refused as not yet valid",
		"ahead of UTC, expected within 2s",
		"not ok 8 - real/one-proxy", "[same_server]: again is ", "where one proxy may write them",
	} {
		if !strings.Contains(output, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for _, never := range []string{"proxy is", "not ok 1 ", "not ok 6 "} {
		if strings.Contains(output, never) {
			t.Errorf("%q in\n%s", never, out.String())
		}
	}
}

// libfaketime returns the path of the library that gives a program another time.
func libfaketime(t *testing.T) string {
	t.Helper()
	faketime := testenv.Need(t, "faketime")
	out, err := testenv.Run(t, exec.Command(faketime, "-f", "+0s", testenv.Need(t, "printenv"), "LD_PRELOAD"))
	if err != nil {
		t.Fatalf("faketime does not tell its library: %v", err)
	}
	return strings.TrimSpace(out)
}

// startServer starts a server on a free port, waits for it with up, and returns its address. If another program takes the
// port first, it tries another one.
func startServer(t *testing.T, network string, command func(port int) *exec.Cmd, up func(ctx context.Context, address string) error, inUse string) string {
	t.Helper()
	for range 10 {
		port := testenv.FreePort(t)
		if network == "udp" {
			port = freeUDPPort(t)
		}
		address := fmt.Sprintf("127.0.0.1:%d", port)
		p := testenv.StartCmd(t, command(port))
		taken := false
		testenv.Eventually(t, time.Minute, func(ctx context.Context) error {
			taken = strings.Contains(p.Output(), inUse)
			if taken {
				return nil
			}
			return up(ctx, address)
		})
		if !taken {
			return address
		}
	}
	t.Fatal("ten ports that were free were taken at once")
	return ""
}

// chrony starts an NTP server and returns its address. It never sets this machine's clock (-x), opens no control port
// (cmdport 0), and has its own files.
func chrony(t *testing.T, local string, env ...string) string {
	t.Helper()
	chronyd := testenv.Need(t, "chronyd")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return startServer(t, "udp", func(port int) *exec.Cmd {
		dir := t.TempDir()
		conf := writeFile(t, dir, "chrony.conf", fmt.Sprintf(
			"port %d\nbindaddress 127.0.0.1\ncmdport 0\nbindcmdaddress /\npidfile %[2]s/pid\ndriftfile %[2]s/drift\nallow 127.0.0.1\n%s\n", port, dir, local))
		cmd := exec.Command(chronyd, "-x", "-d", "-U", "-u", me.Username, "-f", conf)
		cmd.Env = append(os.Environ(), env...)
		return cmd
	}, func(_ context.Context, address string) error {
		said, err := ntp.QueryWithOptions(address, ntp.QueryOptions{Timeout: time.Second})
		if err == nil && (said.Stratum == 0) != (local == "") {
			err = fmt.Errorf("its stratum is %d", said.Stratum)
		}
		return err
	}, "Could not open")
}

// freeUDPPort returns a UDP port of 127.0.0.1 that was free a moment ago.
func freeUDPPort(t *testing.T) int {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).Port
}

// nginxDate starts an nginx that answers with a page and a Date, and returns its address.
func nginxDate(t *testing.T, env ...string) string {
	t.Helper()
	nginx := testenv.Need(t, "nginx")
	page := rand.Text() // so that another server is not taken for this one
	return startServer(t, "tcp", func(port int) *exec.Cmd {
		dir := t.TempDir()
		writeFile(t, dir, "index.html", page)
		conf := writeFile(t, dir, "nginx.conf", fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/nginx.pid; error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server { listen 127.0.0.1:%[2]d; root %[1]s; }
}
`, dir, port))
		cmd := exec.Command(nginx, "-p", dir, "-c", conf, "-e", "stderr")
		cmd.Env = append(os.Environ(), env...)
		return cmd
	}, func(ctx context.Context, address string) error {
		request, err := http.NewRequestWithContext(ctx, "GET", "http://"+address+"/", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		if err == nil && string(body) != page {
			err = errors.New("somebody else answers")
		}
		return err
	}, "Address already in use")
}
