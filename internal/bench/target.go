package main

import (
	"bytes"
	"net"
	"strconv"
	"sync"
	"time"
)

// targetPorts is the number of ports that a target listens on. Each allows another 28,000 local ports, so that connections
// in TIME_WAIT do not distort the measurement.
const targetPorts = 8

// An arrival is one request as the target saw it.
type arrival struct {
	probe int           // number in its path, -1 if it has none
	at    time.Duration // when its head had been read, since the target started
	took  time.Duration // from then to the answer
}

// A target is a minimal server, so that its own cost does not matter: it reads a request head, waits if slow was called,
// answers 200 and records the time.
type target struct {
	listeners []net.Listener
	began     time.Time

	mu       sync.Mutex
	delay    time.Duration
	arrivals []arrival
}

func newTarget() (*target, error) {
	t := &target{began: time.Now(), arrivals: make([]arrival, 0, 1<<16)}
	for range targetPorts {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.close()
			return nil, err
		}
		t.listeners = append(t.listeners, l)
		go t.accept(l)
	}
	return t, nil
}

func (t *target) close() {
	for _, l := range t.listeners {
		l.Close()
	}
}

// url returns the URL of a probe.
func (t *target) url(probe int) string {
	return "http://" + t.listeners[probe%targetPorts].Addr().String() + "/" + strconv.Itoa(probe)
}

// slow delays all further answers.
func (t *target) slow(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delay = d
}

// now is the time on the clock of the arrivals.
func (t *target) now() time.Duration { return time.Since(t.began) }

// takeArrivals returns the requests that arrived since the last call.
func (t *target) takeArrivals() []arrival {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.arrivals
	t.arrivals = make([]arrival, 0, cap(taken))
	return taken
}

func (t *target) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go t.serve(conn)
	}
}

var (
	headEnd   = []byte("\r\n\r\n")
	closes    = []byte("connection: close")
	keepReply = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n")
	lastReply = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
)

func (t *target) serve(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 2048)
	for n := 0; ; {
		got, err := conn.Read(buf[n:])
		if n += got; err != nil || n == len(buf) {
			return
		}
		end := bytes.Index(buf[:n], headEnd)
		if end < 0 {
			continue
		}
		at := t.now()
		head := bytes.ToLower(buf[:end])
		t.mu.Lock()
		delay := t.delay
		t.mu.Unlock()
		if delay > 0 {
			time.Sleep(delay)
		}
		t.mu.Lock()
		t.arrivals = append(t.arrivals, arrival{number(head), at, t.now() - at})
		t.mu.Unlock()
		if bytes.Contains(head, closes) {
			conn.Write(lastReply)
			return
		}
		if _, err := conn.Write(keepReply); err != nil {
			return
		}
		n = copy(buf, buf[end+len(headEnd):n])
	}
}

// number returns the probe's number in "get /17 http/1.1".
func number(head []byte) int {
	path, _, _ := bytes.Cut(bytes.TrimPrefix(head, []byte("get /")), []byte(" "))
	n, err := strconv.Atoi(string(path))
	if err != nil {
		return -1
	}
	return n
}
