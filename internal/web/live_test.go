package web

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// A liveSite is a server of live pages in the fake time of a bubble.
type liveSite struct {
	board    *StatusStore
	jobs     []probe.Job
	server   *http.Server
	listener *pipes
	ended    sync.WaitGroup
}

func startLive(t *testing.T, maxConns int) *liveSite {
	s := &liveSite{listener: &pipes{conns: make(chan net.Conn), done: make(chan struct{})}}
	s.board, s.jobs = storeWithRuns(3, false)
	o := optionsFor(s.board, false)
	o.Changed = s.board.Changed
	s.server = NewServer(New(o), maxConns)
	s.ended.Go(func() {
		if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended with %v", err)
		}
	})
	return s
}

func (s *liveSite) close() { s.server.Close(); s.ended.Wait() }

// change is a run of the first probe.
func (s *liveSite) change() { s.board.Observe(ordinaryResult(&s.jobs[0], time.Now(), 1, probe.OK)) }

// open asks for a stream and returns the status and the lines of its answer.
func (s *liveSite) open(t *testing.T, headers string) (conn net.Conn, status string, body *bufio.Reader) {
	conn = s.listener.dial()
	io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: prober\r\n"+headers+"\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn, response.Status, bufio.NewReader(response.Body)
}

// line returns the next line that is not empty, and after how long it came.
func line(t *testing.T, from *bufio.Reader) (string, time.Duration) {
	t.Helper()
	for began := time.Now(); ; {
		line, err := from.ReadString('\n')
		if err != nil {
			return err.Error(), time.Since(began)
		}
		if line = strings.TrimSpace(line); line != "" {
			return line, time.Since(began)
		}
	}
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startLive(t, 100)
		defer s.close()
		conn, status, events := s.open(t, "Sec-Fetch-Site: same-origin\r\n")
		defer conn.Close()
		expect := func(want string, after time.Duration) {
			t.Helper()
			if got, took := line(t, events); got != want || took != after {
				t.Errorf("got %q after %s, expected %q after %s", got, took, want, after)
			}
		}
		if status != "200 OK" {
			t.Fatalf("got %s", status)
		}
		expect("retry: 5000", 0)
		expect(":", heartbeat)
		s.change()
		expect("data: changed", 0)
		for range 5 { // what happens at once is one event
			s.change()
		}
		expect("data: changed", streamRest)
		expect(":", heartbeat-streamRest)
		for {
			got, _ := line(t, events)
			if got == ":" {
				continue
			}
			if got != "EOF" { // and the browser opens another
				t.Errorf("an old stream ended with %q", got)
			}
			break
		}
	})
}

// A stream must not hold the shutdown, nor may another begin.
func TestEvents_endAtShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startLive(t, 100)
		defer s.close()
		conn, _, events := s.open(t, "")
		defer conn.Close()
		line(t, events)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		go io.Copy(io.Discard, events)
		if err := s.server.Shutdown(ctx); err != nil || time.Since(began) > 500*time.Millisecond {
			t.Errorf("the shutdown took %s: %v", time.Since(began), err)
		}
		w := ask(s.server.Handler, "GET", "/events")
		if w.Code != 503 {
			t.Errorf("a stream after the shutdown: got %d", w.Code)
		}
	})
}

func TestEvents_areBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startLive(t, 20) // of which 5 may be streams
		defer s.close()
		var open []net.Conn
		for range 5 {
			conn, status, _ := s.open(t, "")
			if status != "200 OK" {
				t.Fatalf("stream %d: got %s", len(open)+1, status)
			}
			open = append(open, conn) // and reads no more: it is a slow client
		}
		conn, status, _ := s.open(t, "")
		conn.Close()
		if !strings.HasPrefix(status, "503") {
			t.Errorf("one too many: got %s", status)
		}
		open[0].Close()
		synctest.Wait()
		conn, status, _ = s.open(t, "")
		if status != "200 OK" {
			t.Errorf("after one has left: got %s", status)
		}
		open[0] = conn
		s.change()
		<-time.After(streamTime + time.Second) // before the next heartbeat
		synctest.Wait()
		if n := s.server.Handler.(*site).streams.open; n != 0 {
			t.Errorf("%d clients that do not read are still served", n)
		}
		for _, conn := range open {
			conn.Close()
		}
	})
}

func TestEvents_areForOwnPages(t *testing.T) {
	o := full()
	o.Changed = NewStatusStore().Changed
	h := New(o)
	for _, site := range []string{"cross-site", "same-site", "none"} {
		if w := ask(h, "GET", "/events", "Sec-Fetch-Site", site); w.Code != 403 {
			t.Errorf("%s: got %d", site, w.Code)
		}
	}
	if w := ask(h, "POST", "/events"); w.Code != 405 {
		t.Errorf("POST: got %d", w.Code)
	}
	if w := ask(New(full()), "GET", "/events"); w.Code != 404 {
		t.Errorf("without changes: got %d", w.Code)
	}
}

// TestPages_live changes a page while it is read: what the reader opened, typed, focused and scrolled to stays, and the policy
// refuses nothing.
func TestPages_live(t *testing.T) {
	testenv.WithoutRace(t)
	board, jobs := storeWithRuns(60, true)
	o := optionsFor(board, true)
	o.Changed = board.Changed
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer(New(o), 100)
	server.Start()
	defer func() {
		server.Config.Handler.(*site).streams.end() // it waits for them
		server.Close()
	}()
	streams := func() int {
		l := server.Config.Handler.(*site).streams
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.open
	}
	b := testenv.NewBrowser(t)
	b.Window(1280, 800, false)
	b.Open(server.URL + "/")
	eventually := func(what, expression string) {
		t.Helper()
		testenv.Eventually(t, time.Minute, func(context.Context) (err error) {
			var holds bool
			if b.Eval(expression, &holds); !holds {
				err = errors.New(what)
			}
			return err
		})
	}
	b.Eval(`document.querySelector("#passed details").open = true;
		document.querySelector("#search input").value = "half a wo";
		document.querySelector("#search input").focus({preventScroll: true});
		document.querySelector("#passed .row:last-child").scrollIntoView();
		window.place = [...document.querySelectorAll("#passed .row")].find(e => e.getBoundingClientRect().top >= 0);
		window.top0 = place.getBoundingClientRect().top; window.before = document.querySelectorAll("#failed .row").length`, nil)
	// One that passed fails: a row with many lines appears far above.
	passed := jobs[0]
	for range 2 {
		board.Observe(ordinaryResult(&passed, time.Now(), 1, probe.Status))
	}
	eventually("the failure is not shown", `document.querySelectorAll("#failed .row").length === before + 1`)
	var place struct {
		Open, Same     bool
		Typed, Focused string
		Moved          float64
	}
	b.Eval(`({open: document.querySelector("#passed details").open, typed: document.querySelector("#search input").value, focused: document.activeElement.name,
		same: place.isConnected, moved: Math.abs(place.getBoundingClientRect().top - top0)})`, &place)
	if !place.Open || !place.Same || place.Typed != "half a wo" || place.Focused != "q" || place.Moved > 2 {
		t.Errorf("the place is lost: %+v", place)
	}
	// A link has the focus and its row goes elsewhere.
	b.Eval(`document.querySelector("#failed [data-key='`+passed.Key().String()+`'] .name").focus()`, nil)
	board.Observe(ordinaryResult(&passed, time.Now(), 2, probe.OK))
	eventually("the recovery is not shown", `document.querySelectorAll("#failed .row").length === before`)
	var focused string
	b.Eval(`document.activeElement.closest("section").id + " " + document.activeElement.innerText`, &focused)
	if focused != "passed "+passed.Name {
		t.Errorf("the focus is on %q", focused)
	}
	b.Eval(`document.querySelector(".live-switch").click()`, nil)
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		if n := streams(); n != 0 {
			return errors.New("a page that is paused keeps its stream")
		}
		return nil
	})
	for _, line := range b.Errors() {
		t.Errorf("console: %s", line)
	}
	b.Open("about:blank")
}
