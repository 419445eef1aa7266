package web

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/testenv"
)

// noise is text that does not compress.
func noise(n int) []byte {
	b, state := make([]byte, n), uint32(1)
	for i := range b {
		state = state*1664525 + 1013904223
		b[i] = byte(state >> 24)
	}
	return b
}

func get(t *testing.T, url, coding string) (*http.Response, []byte) {
	t.Helper()
	req, _ := http.NewRequest(http.MethodGet, url, nil)
	if coding != "" {
		req.Header.Set("Accept-Encoding", coding)
	}
	client := http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

func TestPages_areTheSameForAllReaders(t *testing.T) {
	large := newPages().serve
	mux := http.NewServeMux()
	mux.Handle("/plain", large(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" || r.Method != http.MethodGet {
			t.Errorf("the handler sees %s %v", r.Method, r.Header)
		}
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "by the page "+r.Header.Get("Accept"))
	}))
	mux.Handle("/empty", large(func(http.ResponseWriter, *http.Request) {}))
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, c := range []struct {
		path, coding string
		status       int
		want         string
	}{
		{"/plain", "gzip;q=0, br", 418, "by the page "},
		{"/plain", "", 418, "by the page "}, {"/plain", "br, gzip;q=0.5", 418, "by the page "}, {"/empty", "gzip", 200, ""}, {"/empty", "", 200, ""},
	} {
		resp, body := get(t, server.URL+c.path, c.coding)
		if zipped := strings.Contains(c.coding, "gzip") && !strings.Contains(c.coding, "q=0,"); zipped != (resp.Header.Get("Content-Encoding") == "gzip") {
			t.Errorf("%s with %q: %v", c.path, c.coding, resp.Header)
		} else if zipped {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			body, _ = io.ReadAll(z)
		}
		if resp.StatusCode != c.status || string(body) != c.want || resp.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s with %q: %d %q %v", c.path, c.coding, resp.StatusCode, body, resp.Header)
		}
	}
	resp, err := http.Head(server.URL + "/plain")
	if err != nil || resp.StatusCode != 418 || resp.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("HEAD: %v %v", resp, err)
	}
}

// A page is never older than the request for it, and those who wait for their turn share one.
// A parts is a response that knows how it was written.
type parts struct {
	*httptest.ResponseRecorder
	longest int
}

func (p *parts) Write(b []byte) (int, error) {
	p.longest = max(p.longest, len(b))
	return p.ResponseRecorder.Write(b)
}

// A page is written in parts that fit into the buffer of its socket, and says its length.
func TestPages_areWrittenInParts(t *testing.T) {
	text := bytes.Repeat(noise(1000), 300)
	h := newPages().serve(func(w http.ResponseWriter, _ *http.Request) { w.Write(append(noise(100_000), text...)) })
	for coding, least := range map[string]int{"gzip": 100_000, "": 400_000} {
		w, r := &parts{ResponseRecorder: httptest.NewRecorder()}, httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Encoding", coding)
		h(w, r)
		if n := w.Body.Len(); n < least || w.longest > socketBuffer || w.Header().Get("Content-Length") != strconv.Itoa(n) {
			t.Errorf("coding %q: %d bytes, of which %d at a time, with %v", coding, n, w.longest, w.Header())
		}
	}
}

func TestPages_areFreshAndShared(t *testing.T) {
	var rendered atomic.Int64
	begun, proceed := make(chan struct{}, 100), make(chan struct{})
	server := httptest.NewServer(newPages().serve(func(w http.ResponseWriter, _ *http.Request) {
		begun <- struct{}{}
		<-proceed
		fmt.Fprint(w, rendered.Add(1))
	}))
	defer server.Close()
	answers := make(chan string, 20)
	ask := func() {
		_, body := get(t, server.URL, "")
		answers <- string(body)
	}
	go ask()
	<-begun // the first page is being rendered: who asks now must not get it
	for range 10 {
		go ask()
	}
	proceed <- struct{}{}
	if got := <-answers; got != "1" {
		t.Errorf("the first reader got page %s", got)
	}
	close(proceed)
	for range 10 {
		if got := <-answers; got == "1" {
			t.Error("a later reader got an older page")
		}
	}
	if n := rendered.Load(); n > 11 {
		t.Errorf("rendered %d pages for 11 readers", n)
	}
}

func TestPages_aPanicHarmsNoOther(t *testing.T) {
	var panics atomic.Bool
	panics.Store(true)
	server := httptest.NewServer(recoverPanics(newPages().serve(func(w http.ResponseWriter, _ *http.Request) {
		if panics.Load() {
			panic("no")
		}
		io.WriteString(w, "good")
	}), nil))
	defer server.Close()
	if resp, _ := get(t, server.URL, ""); resp.StatusCode != 500 {
		t.Errorf("got %d", resp.StatusCode)
	}
	panics.Store(false)
	if _, body := get(t, server.URL, ""); string(body) != "good" {
		t.Errorf("got %q", body)
	}
}

// slowReaders ask and never read.
func slowReaders(t *testing.T, address string, n int) {
	t.Helper()
	for i := range n {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		fmt.Fprintf(conn, "GET /?%d HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n", i)
	}
}

// Forty slow readers of /metrics had a prober of the documented size killed.
func TestPages_slowReadersTakeBoundedMemory(t *testing.T) {
	testenv.Slow(t, "readers are cut off after a second at the earliest")
	large := noise(1 << 20)
	p := newPages()
	server := httptest.NewUnstartedServer(p.serve(func(w http.ResponseWriter, _ *http.Request) { w.Write(large) }))
	server.Config = NewServer(server.Config.Handler, 256)
	server.Start()
	t.Cleanup(server.Close) // after the slow readers are gone
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	slowReaders(t, server.Listener.Addr().String(), 60)
	deadline := time.Now().Add(20 * time.Second)
	var peak int64
	served := false
	for time.Now().Before(deadline) && !served {
		resp, body := get(t, server.URL+"/?mine", "gzip") // cuts off the oldest of them
		served = resp.StatusCode == 200 && len(body) > len(large)
		runtime.GC()
		runtime.ReadMemStats(&after)
		peak = max(peak, int64(after.HeapAlloc)-int64(before.HeapAlloc))
	}
	if !served {
		t.Error("a reader that reads gets no page beside those that do not")
	}
	if peak > maxPageBytes+8<<20 {
		t.Errorf("the slow readers take %d bytes", peak)
	}
}

// serve starts a server as the prober does and returns its address. That of httptest holds a lock while it calls ConnState.
func serve(t *testing.T, s *http.Server) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

func TestConnections_theIdleMakeRoom(t *testing.T) {
	address := serve(t, NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "good") }), 20))
	var idle []net.Conn
	for range 100 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		idle = append(idle, conn)
	}
	for range 5 {
		if _, body := get(t, "http://"+address, ""); string(body) != "good" {
			t.Errorf("got %q", body)
		}
	}
	for _, conn := range idle[:70] { // the server has closed it
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Fatalf("an old idle connection is still open: %v", err)
		}
	}
}

// Connections that are being answered are not cut: the new one has to come back.
func TestConnections_theBusyStay(t *testing.T) {
	proceed := make(chan struct{})
	var busy sync.WaitGroup
	busy.Add(4)
	address := serve(t, NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			busy.Done()
			<-proceed
		}
		io.WriteString(w, "good")
	}), 4))
	answers := make(chan string, 4)
	for range 4 {
		go func() {
			_, body := get(t, "http://"+address+"/wait", "")
			answers <- string(body)
		}()
	}
	busy.Wait()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
		t.Errorf("there were 4 connections already, and yet a fifth is answered: %q", line)
	}
	close(proceed)
	for range 4 {
		if got := <-answers; got != "good" {
			t.Errorf("a busy connection got %q", got)
		}
	}
}

// TestPages_ofManyProbesAreSmall bounds what a phone loads of 300 probes that pass, and of as many of which some do not.
func TestPages_ofManyProbesAreSmall(t *testing.T) {
	testenv.WithoutRace(t)
	for _, red := range []bool{false, true} {
		board, jobs := storeWithRuns(300, red)
		for i := range jobs {
			jobs[i].Probe = addresser{nil, []string{fmt.Sprintf("https://proxy.ibex.example/v1/health/%s", jobs[i].Name), fmt.Sprintf("10.0.%d.%d:443", i/250, i%250)}}
		}
		o := optionsFor(board, red)
		o.Changed = board.Changed
		w := ask(New(o), "GET", "/", "Accept-Encoding", "gzip")
		if n := w.Body.Len(); n > 80_000 || w.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("failures %t: %d bytes compressed", red, n)
		} else {
			t.Logf("failures %t: %d bytes", red, n)
		}
	}
}
