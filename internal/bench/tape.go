package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
)

// A tape is what went over one TCP connection, in turns.
type tape []turn

// A turn is what the client sent, nothing if the server speaks first, and what the server answered to it.
type turn struct {
	Asked, Answered []byte
}

// A recorder counts what the listeners that it wraps see, and keeps all of it between record and stop.
type recorder struct {
	mu           sync.Mutex
	recording    bool
	tapes        []*tape // of the connections that were opened since record
	conns, turns int
}

// record forgets what was recorded before and keeps what the connections that are opened from now on carry.
func (r *recorder) record() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recording, r.tapes = true, nil
}

// stop returns what was recorded, a tape for each connection in the order in which they were opened.
func (r *recorder) stop() []tape {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recording = false
	var all []tape
	for _, t := range r.tapes {
		if len(*t) > 0 {
			all = append(all, *t)
		}
	}
	return all
}

// take returns how many connections and turns there were since the last call.
func (r *recorder) take() (conns, turns int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	conns, turns = r.conns, r.turns
	r.conns, r.turns = 0, 0
	return conns, turns
}

// wrap makes a listener whose connections are recorded.
func (r *recorder) wrap(l net.Listener) net.Listener { return recordingListener{l, r} }

type recordingListener struct {
	net.Listener
	recorder *recorder
}

func (l recordingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &recordedConn{Conn: conn, recorder: l.recorder}
	c.recorder.mu.Lock()
	defer c.recorder.mu.Unlock()
	c.recorder.conns++
	if c.recorder.recording {
		c.tape = &tape{}
		c.recorder.tapes = append(c.recorder.tapes, c.tape)
	}
	return c, nil
}

type recordedConn struct {
	net.Conn
	recorder *recorder
	tape     *tape // nil if it is only counted
	asking   bool  // the client has the word
}

func (c *recordedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.heard(b[:n])
	}
	return n, err
}

func (c *recordedConn) heard(b []byte) {
	c.recorder.mu.Lock()
	defer c.recorder.mu.Unlock()
	if !c.asking {
		c.asking = true
		c.recorder.turns++
		if c.tape != nil {
			*c.tape = append(*c.tape, turn{})
		}
	}
	if c.tape != nil {
		last := &(*c.tape)[len(*c.tape)-1]
		last.Asked = append(last.Asked, b...)
	}
}

func (c *recordedConn) Write(b []byte) (int, error) {
	c.said(b)
	return c.Conn.Write(b)
}

func (c *recordedConn) said(b []byte) {
	c.recorder.mu.Lock()
	defer c.recorder.mu.Unlock()
	c.asking = false
	if c.tape == nil {
		return
	}
	if len(*c.tape) == 0 {
		*c.tape = append(*c.tape, turn{})
	}
	last := &(*c.tape)[len(*c.tape)-1]
	last.Answered = append(last.Answered, b...)
}

// CloseWrite is what a server of net/http does before it closes, so that its last answer is not lost.
func (c *recordedConn) CloseWrite() error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.CloseWrite()
	}
	return nil
}

// replay serves each tape on a port of its own, as often as somebody connects: the answers do not depend on what is asked. It
// returns the addresses, in the order of the tapes.
func replay(tapes []tape, overHTTP bool, wrap func(net.Listener) net.Listener) (addresses []string, end func(), err error) {
	var listeners []net.Listener
	end = func() {
		for _, l := range listeners {
			l.Close()
		}
	}
	for _, t := range tapes {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			end()
			return nil, nil, err
		}
		listeners, addresses = append(listeners, l), append(addresses, l.Addr().String())
		go acceptEach(wrap(l), func(conn net.Conn) { t.play(conn, overHTTP) })
	}
	return addresses, end, nil
}

// play answers one connection.
func (t tape) play(conn net.Conn, overHTTP bool) {
	in := bufio.NewReader(conn)
	for _, turn := range t {
		if overHTTP {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
		} else if _, err := io.CopyN(io.Discard, in, int64(len(turn.Asked))); err != nil {
			return
		}
		if _, err := conn.Write(turn.Answered); err != nil {
			return
		}
	}
	if !overHTTP { // the client closes first, as it did
		io.Copy(io.Discard, in)
	}
}

// requests parses the requests of a tape of HTTP/1.
func (t tape) requests() (all []*http.Request, err error) {
	for _, turn := range t {
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(turn.Asked)))
		if err != nil {
			return nil, err
		}
		all = append(all, req)
	}
	return all, nil
}

// acceptEach runs a function for each connection, which it closes afterwards, until the listener is closed.
func acceptEach(l net.Listener, run func(net.Conn)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			run(conn)
		}()
	}
}
