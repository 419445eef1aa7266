package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// echo serves a line-based protocol in which the server speaks first.
func echo(t *testing.T, r *recorder) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go acceptEach(r.wrap(l), func(conn net.Conn) {
		io.WriteString(conn, "hello\n")
		b := make([]byte, 5)
		for {
			if _, err := io.ReadFull(conn, b); err != nil {
				return
			}
			conn.Write(bytes.ToUpper(b[:2]))
			conn.Write(bytes.ToUpper(b[2:]))
		}
	})
	return l.Addr().String()
}

func TestTape_raw(t *testing.T) {
	r := &recorder{}
	r.record()
	say(t, echo(t, r), "hello\n", "abcd\n", "ABCD\n", "efgh\n", "EFGH\n")
	tapes := r.stop()
	if len(tapes) != 1 || len(tapes[0]) != 3 {
		t.Fatalf("got %q, expected one connection with three turns", tapes)
	}
	for i, want := range []turn{{nil, []byte("hello\n")}, {[]byte("abcd\n"), []byte("ABCD\n")}, {[]byte("efgh\n"), []byte("EFGH\n")}} {
		if got := tapes[0][i]; string(got.Asked) != string(want.Asked) || string(got.Answered) != string(want.Answered) {
			t.Errorf("turn %d is %q, expected %q", i, got, want)
		}
	}
	if conns, turns := r.take(); conns != 1 || turns != 2 {
		t.Errorf("counted %d connections and %d questions, expected 1 and 2", conns, turns)
	}

	// The replay answers the same, whatever is asked, to each who connects.
	addresses, end, err := replay(tapes, false, r.wrap)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	for range 2 {
		say(t, addresses[0], "hello\n", "1234\n", "ABCD\n", "5678\n", "EFGH\n")
	}
	if conns, turns := r.take(); conns != 2 || turns != 4 {
		t.Errorf("counted %d connections and %d questions of the replay, expected 2 and 4", conns, turns)
	}
	bare, err := bareConn(work{Calls: []call{{Address: addresses[0], Tape: tapes[0]}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := bare(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if conns, turns := r.take(); conns != 1 || turns != 2 {
		t.Errorf("the bare client made %d connections and asked %d questions, expected 1 and 2", conns, turns)
	}
}

// say expects what the server says first, and then its answers.
func say(t *testing.T, address string, lines ...string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	for i, line := range lines {
		if i%2 == 1 {
			io.WriteString(conn, line)
			continue
		}
		got := make([]byte, len(line))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != line {
			t.Fatalf("got %q, %v, expected %q", got, err, line)
		}
	}
}

// The bare client sends the requests that were recorded, with their bodies, hosts and headers, on as many connections.
func TestTape_http(t *testing.T) {
	var seen []string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = append(seen, strings.Join([]string{r.Method, r.Host, r.URL.RequestURI(), r.Header.Get("X-Test"), string(body)}, " "))
		w.WriteHeader(len(seen) + 200)
	}))
	r := &recorder{}
	server.Listener = r.wrap(server.Listener)
	server.Start()
	defer server.Close()
	ask := func(client *http.Client, method, path, body string) {
		req, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "shop.example"
		req.Header.Set("X-Test", "it")
		if _, err := answered(client, req); err != nil {
			t.Fatal(err)
		}
	}
	r.record()
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask(fresh, "GET", "/a?b=c", "")
	kept := &http.Client{Transport: &http.Transport{}}
	defer kept.CloseIdleConnections()
	ask(kept, "POST", "/d", "some text")
	ask(kept, "DELETE", "/e", "")
	tapes := r.stop()
	if conns, turns := r.take(); len(tapes) != 2 || conns != 2 || turns != 3 {
		t.Fatalf("recorded %d connections, and counted %d with %d requests, expected 2, 2 and 3", len(tapes), conns, turns)
	}

	first := strings.Join(seen, "\n")
	seen = nil
	w := work{Calls: []call{{Address: server.Listener.Addr().String(), Tape: tapes[0]}, {Address: server.Listener.Addr().String(), Tape: tapes[1]}}}
	bare, err := bareHTTP(w)
	if err != nil {
		t.Fatal(err)
	}
	if err := bare(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if again := strings.Join(seen, "\n"); again != first {
		t.Errorf("the bare client asked\n%s\nexpected\n%s", again, first)
	}
	if conns, turns := r.take(); conns != 2 || turns != 3 {
		t.Errorf("the bare client made %d connections and %d requests, expected 2 and 3", conns, turns)
	}

	// A replay answers what was recorded, also if the service would by now answer otherwise.
	addresses, end, err := replay(tapes, true, r.wrap)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	for range 2 {
		req, err := http.NewRequest("PATCH", "http://"+addresses[0], strings.NewReader("anything"))
		if err != nil {
			t.Fatal(err)
		}
		if status, err := answered(fresh, req); err != nil || status != 201 {
			t.Errorf("the replay answers %d, %v, expected 201 as recorded", status, err)
		}
	}
	again := &http.Client{Transport: &http.Transport{}}
	defer again.CloseIdleConnections()
	for _, want := range []int{202, 203} { // however long the body is
		req, err := http.NewRequest("PATCH", "http://"+addresses[1], strings.NewReader(strings.Repeat("anything", 1000)))
		if err != nil {
			t.Fatal(err)
		}
		if status, err := answered(again, req); err != nil || status != want {
			t.Errorf("the replay answers %d, %v on a connection that is kept, expected %d", status, err, want)
		}
	}
}

func TestHeadersFrames(t *testing.T) {
	frame := func(kind byte, payload string) string {
		return string([]byte{0, 0, byte(len(payload)), kind, 0, 0, 0, 0, 1}) + payload
	}
	sent := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, "settings") + frame(1, "request") + frame(0, "\x01\x01\x01\x01") + frame(1, "request")
	if n := headersFrames(tape{{Asked: []byte(sent[:30])}, {Asked: []byte(sent[30:])}}); n != 2 {
		t.Errorf("counted %d requests, expected 2", n)
	}
}
