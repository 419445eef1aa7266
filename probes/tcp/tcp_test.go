package tcp

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"prober/config"
	"prober/internal/dial"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// listen has a function handle each connection until the test ends.
func listen(t *testing.T, network, address string, handle func(nc net.Conn)) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer nc.Close()
				handle(nc)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

// says writes a greeting and, for each line that it reads, the answer at the first word of that line.
func says(greeting string, answers map[string]string) func(net.Conn) {
	return func(nc net.Conn) {
		fmt.Fprint(nc, greeting)
		for in := bufio.NewScanner(nc); in.Scan(); {
			word, _, _ := strings.Cut(in.Text(), " ")
			if _, err := fmt.Fprint(nc, answers[word]); err != nil {
				return
			}
		}
	}
}

// load reads the settings of a probe as YAML, with ADDRESS for the server's.
func load(t *testing.T, address, settings string) *Probe {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prober.yaml")
	text := "system: test\nprobes:\n  - name: p\n    type: tcp\n    address: " + address + "\n" + settings
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(probe.Kinds{"tcp": Kind()}, path)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Jobs[0].Probe.(*Probe)
}

// TestTCP shows what a server is told of.
func TestTCP(t *testing.T) {
	mail := map[string]string{"EHLO": "250-mail\r\n250-STARTTLS\r\n250 SIZE 1\r\n", "QUIT": "221 bye\r\n"}
	for name, test := range map[string]struct {
		handle   func(net.Conn)
		settings string
		want     string
	}{
		"a port":                         {says("", nil), "", "pass\nconnect pass(ok): connected to *"},
		"smtp":                           {says("220-mail\r\n220 ready\r\n", mail), "    protocol: smtp\n", "pass\nconnect pass(ok): *\ndialogue pass(ok): 1 step as expected"},
		"smtp that rejects":              {says("554 go away\r\n", mail), "    protocol: smtp\n", "fail\nconnect pass(ok): *\ndialogue fail(unexpected_reply): expected a line that matches ^220( |$), got 1 line that does not, the last with the code 554 (the greeting)"},
		"smtp that rejects late":         {says("220-wait\r\n550 go away\r\n", mail), "    protocol: smtp\n", "fail\nconnect pass(ok): *\ndialogue fail(unexpected_reply): expected a line that matches ^220( |$), got 2 lines that do not, the last with the code 550 (the greeting)"},
		"smtp without a text":            {says("220\r\n", mail), "    protocol: smtp\n", "pass\n*\n*"},
		"ftp with a number in its text":  {says("220-ftp\r\n100 users online\r\n220 ready\r\n", map[string]string{"AUTH": "502 not implemented\r\n"}), "    protocol: ftp\n    starttls: true\n", "fail\n*\ntls fail(starttls_not_offered): *, the last with the code 502)"},
		"ftp that is full":               {says("220-ftp\r\n421 too many users\r\n", nil), "    protocol: ftp\n", "fail\n*\ndialogue fail(unexpected_reply): *"},
		"ftp that gets ready":            {says("120 in a minute\r\n220 ready\r\n", nil), "    protocol: ftp\n", "pass\n*\n*"},
		"a greeting with a NUL":          {says("220 caf\xe9\x00\r\n", nil), "    protocol: smtp\n", "pass\n*\n*"},
		"imap that is logged in":         {says("* PREAUTH ready\r\n", nil), "    protocol: imap\n", "pass\n*\n*"},
		"pop3 with APOP":                 {says("+OK <1.2@mail>\r\n", nil), "    protocol: pop3\n", "pass\n*\n*"},
		"a server without a word":        {func(nc net.Conn) {}, "    protocol: smtp\n", "fail\nconnect pass(ok): *\ndialogue fail(reset): connection closed by * without an answer (waiting for the greeting)"},
		"imap":                           {says("* OK IMAP4rev1 ready\r\n", nil), "    protocol: imap\n", "pass\nconnect pass(ok): *\ndialogue pass(ok): 1 step as expected"},
		"imap that is full":              {says("* BYE too many connections\r\n", nil), "    protocol: imap\n", "fail\nconnect pass(ok): *\ndialogue fail(unexpected_reply): *"},
		"pop3":                           {says("+OK ready\r\n", nil), "    protocol: pop3\n", "pass\n*\n*"},
		"ftp":                            {says("220 ftp\r\n", nil), "    protocol: ftp\n", "pass\n*\n*"},
		"ssh":                            {says("a notice\r\nSSH-2.0-Server\r\n", nil), "    protocol: ssh\n", "pass\n*\n*"},
		"ssh, version 1":                 {says("SSH-1.5-Server\r\n", nil), "    protocol: ssh\n", "fail\n*\ndialogue fail(unexpected_reply): expected a line that matches ^SSH-(2\\.0|1\\.99)-, got 1 line that does not (the identification)"},
		"irc that pings":                 {says("PING :xyz\r\n", map[string]string{"PONG": ":irc 001 prober :welcome\r\n"}), "    protocol: irc\n", "pass\n*\n*"},
		"irc where the name is taken":    {says("", map[string]string{"USER": ":irc 433 * prober :taken\r\n"}), "    protocol: irc\n", "fail\n*\ndialogue fail(unexpected_reply): *"},
		"starttls that is stripped":      {says("220 mail\r\n", map[string]string{"EHLO": "250 mail\r\n"}), "    protocol: smtp\n    starttls: true\n", "fail\n*\ntls fail(starttls_not_offered): expected the server to offer STARTTLS, got a reply without it (1 line that does not, the last with the code 250)"},
		"ftp without AUTH TLS":           {says("220 ftp\r\n", map[string]string{"AUTH": "502 not implemented\r\n"}), "    protocol: ftp\n    starttls: true\n", "fail\n*\ntls fail(starttls_not_offered): *"},
		"a dialogue":                     {says("hello 42\n", map[string]string{"echo": "right\n"}), "    dialogue: [{expect: '^hello (\\d+)$', send: 'echo ${1}'}, {expect: '^right$'}]\n", "pass\nconnect pass(ok): *\ndialogue pass(ok): 2 steps as expected"},
		"a dialogue that goes otherwise": {says("hello 42\n", map[string]string{"echo": "wrong\n"}), "    dialogue: [{expect: '^hello (\\d+)$', send: 'echo ${1}'}, {expect: '^right$', until: '.'}]\n", "fail\n*\ndialogue fail(unexpected_reply): expected a line that matches ^right$, got 1 line that does not (dialogue[1])"},
		"a reply after the one expected": {says("one\ntwo\n", nil), "    dialogue: [{expect: '^two$', until: '^one$'}]\n", "fail\n*\ndialogue fail(unexpected_reply): *"},
		"a line without end":             {func(nc net.Conn) { fmt.Fprint(nc, strings.Repeat("a", 5000)) }, "    dialogue: [{expect: b}]\n", "fail\n*\ndialogue fail(protocol): expected lines of at most 4096 bytes, got a longer one (dialogue[0])"},
		"lines without end": {func(nc net.Conn) {
			for {
				if _, err := fmt.Fprint(nc, strings.Repeat("a\n", 1000)); err != nil {
					return
				}
			}
		}, "    dialogue: [{expect: b}]\n", "fail\n*\ndialogue fail(unexpected_reply): expected a line that matches b, got 500 lines that do not (dialogue[0])"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := load(t, listen(t, "tcp", "127.0.0.1:0", test.handle), test.settings)
			wantPattern(t, probetest.Lines(probetest.Run(t, Kind(), p)), test.want)
		})
	}
}

// TestTCP_replicas asks each replica, and says if there are too few.
func TestTCP_replicas(t *testing.T) {
	address := listen(t, "tcp", "127.0.0.1:0", says("", nil))
	_, port, _ := net.SplitHostPort(address)
	for replicas, want := range map[string]string{
		"{static: [\"" + address + "\"], want: 1}":   "pass\nreplicas pass(ok): expected 1 replica, got 1\nconnect@" + address + " pass(ok): connected to *",
		"{dns: \"localhost:" + port + "\", want: 5}": "fail\nreplicas fail(replicas): expected 5 replicas, got 1\nconnect@" + address + " pass(ok): connected to *",
	} {
		wantPattern(t, probetest.Lines(probetest.Run(t, Kind(), load(t, address, "    replicas: "+replicas+"\n"))), want)
	}
}

// TestTCP_refused names the reason of a port where nobody listens.
func TestTCP_refused(t *testing.T) {
	r := probetest.Run(t, Kind(), load(t, "127.0.0.1:1", "    protocol: smtp\n"))
	wantPattern(t, probetest.Lines(r), "fail\nconnect fail(refused): connection refused by 127.0.0.1:1")
}

// TestTCP_unix asks a Unix socket, and names what is wrong with one that nobody serves.
func TestTCP_unix(t *testing.T) {
	dir, err := os.MkdirTemp("", "tcp") // short enough for the path of a socket
	listenForMessages := func(path string) error {
		l, err := net.ListenPacket("unixgram", path)
		if err == nil {
			t.Cleanup(func() { l.Close() }) // which also keeps it: what nobody refers to is closed
		}
		return err
	}
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	listen(t, "unix", path, says("220 mail\r\n", nil))
	r := probetest.Run(t, Kind(), load(t, dial.UnixScheme+path, "    protocol: smtp\n"))
	wantPattern(t, probetest.Lines(r), "pass\nconnect pass(ok): connected to "+path+"\ndialogue pass(ok): 1 step as expected")
	if got := r.Exchanges[0].URL; got != dial.UnixScheme+path {
		t.Errorf("expected the socket to be recorded, got %s", got)
	}
	for name, test := range map[string]struct {
		make func(path string) error
		want string
	}{
		"absent":   {func(string) error { return nil }, "fail\nconnect fail(refused): nobody listens at PATH: there is no such file"},
		"file":     {func(path string) error { return os.WriteFile(path, nil, 0o600) }, "fail\nconnect fail(refused): nobody listens at PATH: its server is gone, or it is no socket"},
		"under":    {func(path string) error { return os.Symlink("/dev/null/s", path) }, "fail\nconnect fail(refused): nobody listens at PATH: there is no such file"},
		"loop":     {func(path string) error { return os.Symlink(path, path) }, "fail\nconnect fail(refused): nobody listens at PATH: there is no such file"},
		"datagram": {listenForMessages, "fail\nconnect fail(protocol): PATH is a socket of another type: it takes messages, not connections"},
		"link":     {func(link string) error { return os.Symlink(path, link) }, "pass\nconnect pass(ok): connected to PATH"},
	} {
		at := filepath.Join(dir, name)
		if err := test.make(at); err != nil {
			t.Fatal(err)
		}
		wantPattern(t, probetest.Lines(probetest.Run(t, Kind(), load(t, dial.UnixScheme+at, ""))), strings.ReplaceAll(test.want, "PATH", at))
	}
}

// TestTCP_unix_full waits, as for a port, where a server does not get round to accepting connections.
func TestTCP_unix_full(t *testing.T) {
	dir, err := os.MkdirTemp("", "tcp")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	first, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	job := probe.Job{ID: probe.ID{System: "s", Name: "p", Type: "tcp"}, Kind: Kind(), Probe: load(t, dial.UnixScheme+path, ""), Timeout: 300 * time.Millisecond}
	wantPattern(t, regexp.MustCompile(`within .*`).ReplaceAllString(probetest.Lines(probetest.Do(t.Context(), job)), "in time"), "fail\nconnect fail(timeout): no connection to "+path+" in time")
	time.AfterFunc(50*time.Millisecond, func() {
		if nfd, _, err := syscall.Accept(fd); err == nil {
			syscall.Close(nfd)
		}
	})
	job.Timeout = 10 * time.Second
	wantPattern(t, probetest.Lines(probetest.Do(t.Context(), job)), "pass\nconnect pass(ok): connected to "+path)
}

// TestTCP_clientCertificate sees a certificate that a server over TLS 1.3 refuses after the handshake, also where nothing is waited
// for then. The wait is no part of the latency.
func TestTCP_clientCertificate(t *testing.T) {
	for auth, want := range map[tls.ClientAuthType]string{
		tls.RequireAndVerifyClientCert: "fail\nconnect pass(ok): *\ntls fail(tls): the server rejected the client certificate",
		tls.RequireAnyClientCert:       "pass\nconnect pass(ok): *\ntls pass(ok): TLS 1.3\nlatency pass(ok): *",
	} {
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.StartTLS()
		defer server.Close()
		p := load(t, "127.0.0.1:25", fmt.Sprintf("    tls: {ca_file: %[1]s/cert, cert_file: %[1]s/cert, key_file: %[1]s/key}\n    latency: 900ms\n", writePair(t, server)))
		cfg := &tls.Config{Certificates: server.TLS.Certificates, ClientAuth: auth, ClientCAs: x509.NewCertPool()}
		r := inBubble(t, p, 10*time.Second, func(_ int, nc net.Conn) {
			if tc := tls.Server(nc, cfg); tc.Handshake() == nil {
				_, _ = tc.Read(make([]byte, 1))
			}
		})
		wantPattern(t, probetest.Lines(r), want)
	}
}

// TestTCP_secret sends no secret without TLS to another machine, and shows none.
func TestTCP_secret(t *testing.T) {
	t.Setenv("TCP_TEST_SECRET", "tr0ub4dor")
	p := load(t, "192.0.2.1:6379", "    dialogue: [{send: {env: TCP_TEST_SECRET}}, {expect: OK}]\n")
	lines := probetest.Lines(probetest.Run(t, Kind(), p))
	if !strings.HasPrefix(lines, "inconclusive\n") && !strings.HasPrefix(lines, "fail\n") || strings.Contains(lines, "tr0ub4dor") || !strings.Contains(lines, "nothing is encrypted") {
		t.Errorf("expected the connection to be refused for want of TLS, got %s", lines)
	}
	heard := make(chan string, 1)
	address := listen(t, "tcp", "127.0.0.1:0", func(nc net.Conn) {
		line, _ := bufio.NewReader(nc).ReadString('\n')
		heard <- line
		fmt.Fprint(nc, "-ERR tr0ub4dor\r\n")
	})
	p = load(t, address, "    dialogue: [{send: {env: TCP_TEST_SECRET}}, {expect: OK, until: .}]\n")
	lines = probetest.Lines(probetest.Run(t, Kind(), p))
	if got := <-heard; got != "tr0ub4dor\r\n" || strings.Contains(lines, "tr0ub4dor") {
		t.Errorf("expected the secret to be sent and not shown, got %q and %s", got, lines)
	}
}

// TestTCP_slow ends with the run when the server never finishes its greeting, and judges the latency of one that is slow.
func TestTCP_slow(t *testing.T) {
	address := listen(t, "tcp", "127.0.0.1:0", func(nc net.Conn) { fmt.Fprint(nc, "220-mail\n22"); <-t.Context().Done() })
	p := load(t, address, "    protocol: smtp\n")
	job := probe.Job{ID: probe.ID{System: "s", Name: "p", Type: "tcp"}, Kind: Kind(), Probe: p, Timeout: 300 * time.Millisecond}
	r := job.Do(t.Context())
	if why := r.Decisive(); why.Name != "dialogue" || why.Reason != probe.Timeout || !strings.HasSuffix(why.Detail, "(waiting for the greeting, after 1 line that does not match)") {
		t.Errorf("expected the dialogue to time out, got %s", probetest.Lines(r))
	}
	p = load(t, listen(t, "tcp", "127.0.0.1:0", says("220 mail\r\n", nil)), "    protocol: smtp\n    latency: 1ns\n")
	lines := probetest.Lines(probetest.Run(t, Kind(), p))
	if !strings.Contains(lines, "latency fail(slow)") && !strings.Contains(lines, "latency inconclusive(self_delay)") {
		t.Errorf("expected the latency to be judged, got %s", lines)
	}
}

// wantPattern compares lines with those expected, in which * stands for anything.
func wantPattern(t *testing.T, got, want string) {
	t.Helper()
	var quoted []string
	for part := range strings.SplitSeq(want, " *") {
		quoted = append(quoted, regexp.QuoteMeta(part))
	}
	pattern := strings.ReplaceAll(strings.Join(quoted, " .*"), `\n\*`, "")
	pattern = regexp.MustCompile(`(?m)^\\\*$`).ReplaceAllString(pattern, ".*")
	if !regexp.MustCompile("^" + pattern + "$").MatchString(strings.TrimSpace(got)) {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
}
