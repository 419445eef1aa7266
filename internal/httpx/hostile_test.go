package httpx

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// TestHostile asks servers that break the protocol, and reads what the on-call is told.
func TestHostile(t *testing.T) {
	const ok = "HTTP/1.1 200 " + marker + "\r\n"
	for _, c := range []struct {
		name  string
		serve func(*zoo, net.Conn)
		why   probe.Reason
		want  string // of the detail; PEER stands for the address
	}{
		{"silence", hold, probe.Timeout, "no complete answer within TIME (waited in processing)"},
		{"a byte at a time", drips(ok+"Content-Length: 1000000\r\n\r\n", "x"), probe.Timeout, "no complete answer within TIME (waited in transfer)"},
		{"a chunk at a time", drips(ok+"Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"), probe.Timeout, "no complete answer within TIME (waited in transfer)"},
		{"a header at a time", drips(ok, "X-"+marker+": "+marker+"\r\n"), probe.Timeout, "no complete answer within TIME (waited in transfer)"},
		{"a byte of the status line at a time", drips("HTTP/1.1 2", "0"), probe.Timeout, "no complete answer within TIME (waited in transfer)"},
		{"interim answers at a time", drips("", "HTTP/1.1 103 "+marker+"\r\n\r\n"), probe.Timeout, "no complete answer within TIME (waited in processing)"},
		{"body without end", repeats(ok+"\r\n", marker, nil), probe.TooLarge, "the body is larger than 1048576 bytes"},
		{"chunks without end", repeats(ok+"Transfer-Encoding: chunked\r\n\r\n", "4\r\nabcd\r\n", nil), probe.TooLarge, "the body is larger than"},
		{"announced 10 GiB", repeats(ok+"Content-Length: 10737418240\r\n\r\n", marker, nil), probe.TooLarge, "the body is larger than"},
		{"chunk extensions without end", repeats(ok+"Transfer-Encoding: chunked\r\n\r\n", "1;"+marker, nil), probe.Protocol, "is not valid HTTP"},
		{"headers without end", repeats(ok, "X-A: "+marker+"\r\n", nil), probe.Protocol, "the headers of the answer are larger than 65536 bytes"},
		{"one header without end", repeats(ok+"X-A: ", marker, nil), probe.Protocol, "the headers of the answer are larger than 65536 bytes"},
		{"interim answers without end", repeats("", "HTTP/1.1 103 "+marker+"\r\n\r\n", nil), probe.Protocol, "the headers of the answer are larger than 65536 bytes"},
		{"trailers without end", repeats(ok+"Transfer-Encoding: chunked\r\n\r\n0\r\n", "X-A: "+marker+"\r\n", nil), probe.Protocol, "is not valid HTTP"},
		{"negative length", says(ok + "Content-Length: -1\r\n\r\n"), probe.Protocol, "is not valid HTTP"},
		{"two lengths", says(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), probe.Protocol, "is not valid HTTP"},
		{"length and chunks", says(ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"), probe.Protocol, "the answer has two lengths"},
		{"chunks and length, after an interim answer", says("HTTP/1.1 103 Early\r\n\r\n" + ok + "transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"), probe.Protocol, "the answer has two lengths"},
		{"length that is a marker", says(ok + "Content-Length: " + marker + "\r\n\r\n"), probe.Protocol, "is not valid HTTP"},
		{"unknown transfer coding", says(ok + "Transfer-Encoding: " + marker + "\r\n\r\n"), probe.Protocol, "is not valid HTTP"},
		{"damaged chunk", says(ok + "Transfer-Encoding: chunked\r\n\r\n" + marker + "\r\n"), probe.Protocol, "is not valid HTTP"},
		{"header without a colon", says(ok + marker + "\r\n\r\n"), probe.Protocol, "is not valid HTTP"},
		{"NUL in a header", says(ok + "X-A: " + marker + "\x00\r\n\r\n"), probe.Protocol, "is not valid HTTP"},
		{"SSH", says("SSH-2.0-" + marker + "\r\n"), probe.Protocol, "is not valid HTTP"},
		{"SSH, half a line", saysAndHolds("SSH-2.0"), probe.Protocol, "is not valid HTTP"},
		{"frames of HTTP/2", saysAndHolds("\x00\x00\x00\x04\x00\x00\x00\x00\x00"), probe.Protocol, "is not valid HTTP"},
		{"HTML without HTTP", says("<html>" + marker + "</html>\r\n\r\n"), probe.Protocol, "is not valid HTTP"},
		{"HTTP/3", says("HTTP/3.0 200 OK\r\n\r\n"), probe.Protocol, "is not valid HTTP"},
		{"HTTP/2 that was not asked for", says("HTTP/2.0 200 OK\r\n\r\n"), probe.Protocol, "is not valid HTTP"},
		{"status 99", says("HTTP/1.1 099 " + marker + "\r\n\r\n"), probe.Protocol, "expected a status of 200 to 599, got 99"},
		{"status 600", says("HTTP/1.1 600 " + marker + "\r\n\r\n"), probe.Protocol, "expected a status of 200 to 599, got 600"},
		{"other protocol", says("HTTP/1.1 101 " + marker + "\r\nConnection: upgrade\r\nUpgrade: " + marker + "\r\n\r\n"), probe.Protocol, "expected a status of 200 to 599, got 101"},
		{"status without number", says("HTTP/1.1 " + marker + "\r\n\r\n"), probe.Protocol, "is not valid HTTP"},
		{"foreign content coding", says(ok + "Content-Encoding: " + marker + "\r\nContent-Length: 1\r\n\r\nx"), probe.Protocol, "a content coding that was not requested"},
		{"gzip within gzip", says(ok + "Content-Encoding: gzip, gzip\r\nContent-Length: 1\r\n\r\nx"), probe.Protocol, "a content coding that was not requested"},
		{"gzip twice", says(ok + "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"), probe.Protocol, "a content coding that was not requested"},
		{"no gzip", says(ok + "Content-Encoding: gzip\r\nContent-Length: 18\r\n\r\n" + marker), probe.Protocol, "the gzip data of the body is damaged"},
		{"gzip with a wrong sum", says(zipped(func(b []byte) []byte { b[len(b)-8]++; return b })), probe.Protocol, "the gzip data of the body is damaged"},
		{"gzip cut short", says(zipped(func(b []byte) []byte { return b[:len(b)-9] })), probe.Truncated, "the compressed data of the body is cut off, or something follows it"},
		{"four bytes behind gzip", says(zipped(func(b []byte) []byte { return append(b, "oops"...) })), probe.Truncated, "the compressed data of the body is cut off, or something follows it"},
		{"gzip bomb", bomb, probe.TooLarge, "the body is larger than 1048576 bytes"},
		{"gzip of nothing without end", repeats(ok+"Content-Encoding: gzip\r\n\r\n", string(gzipped(nil)), nil), probe.TooLarge, "the body is larger than"},
		{"closed at once", func(*zoo, net.Conn) {}, probe.Reset, "by PEER"},
		{"closed without an answer", says(""), probe.Reset, "connection closed by PEER without an answer"},
		{"reset without an answer", func(z *zoo, c net.Conn) { z.request(bufio.NewReader(c)); resets(c) }, probe.Reset, "connection reset by PEER during processing"},
		{"closed in the first word", says("HT"), probe.Truncated, "the answer of PEER is shorter than announced"},
		{"closed in the status line", says("HTTP/1.1 2"), probe.Truncated, "the answer of PEER is shorter than announced"},
		{"closed in another first line", says("SSH-2.0"), probe.Protocol, "is not valid HTTP"},
		{"closed behind an interim answer", says("HTTP/1.1 103 " + marker + "\r\n\r\n"), probe.Reset, "connection closed by PEER without an answer"},
		{"closed in the trailers", says(ok + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-A: b\r\n"), probe.Truncated, "the answer of PEER is shorter than announced"},
		{"closed before the last line of the trailers", says(ok + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"), probe.Truncated, "the answer of PEER is shorter than announced"},
		{"closed behind the status line", says(ok), probe.Truncated, "the answer of PEER is shorter than announced"},
		{"closed in the headers", says(ok + "X-A: " + marker), probe.Truncated, "the answer of PEER is shorter than announced"},
		{"closed in the body", says(ok + "Content-Length: 100\r\n\r\n" + `{"status": "up"}`), probe.Truncated, "the answer of PEER is shorter than announced"},
		{"closed between chunks", says(ok + "Transfer-Encoding: chunked\r\n\r\n10\r\n" + `{"status": "up"}` + "\r\n"), probe.Truncated, "the answer of PEER is shorter than announced"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var z *zoo
			var r probe.Result
			exchange := func(timeout time.Duration) (a *Answer) {
				z = serve(t, c.serve)
				a, r = ask(t, &Settings{}, timeout, Request{Check: "answer", URL: z.url()})
				if c.why == probe.Timeout && z.conns.Load() == 0 {
					return nil
				}
				return a
			}
			var a *Answer
			if c.why == probe.Timeout {
				_, phase, _ := strings.Cut(c.want, "(")
				a = inVain(phase, exchange)
			} else {
				a = exchange(patience)
			}
			want := strings.ReplaceAll(c.want, "PEER", z.Addr().String())
			if a.Reason != c.why || !strings.Contains(simple(a.Detail), simple(want)) {
				t.Errorf("got %s: %s\nwant %s: %s", a.Reason, a.Detail, c.why, want)
			}
			if n := z.conns.Load(); n != 1 {
				t.Errorf("opened %d connections, want 1", n)
			}
			if n := z.requests.Load(); n > 1 {
				t.Errorf("sent %d requests, want 1", n)
			}
			if len(r.Exchanges) != 1 || r.Exchanges[0].Reason != c.why {
				t.Errorf("exchanges noted: %+v", r.Exchanges)
			}
			if v := r.Verdict(); v != probe.Fail && !starved(r) {
				t.Errorf("verdict %s, want fail", v)
			}
		})
	}
}

// saysAndHolds answers, and waits for more.
func saysAndHolds(text string) func(*zoo, net.Conn) {
	return func(z *zoo, c net.Conn) {
		if z.request(bufio.NewReader(c)) != nil {
			io.WriteString(c, text)
			hold(z, c)
		}
	}
}

// simple takes times out of a sentence.
func simple(text string) string {
	words := strings.Fields(text)
	for i := 1; i < len(words); i++ {
		if words[i-1] == "within" {
			words[i] = "TIME"
		}
	}
	return strings.Join(words, " ")
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

// zipped answers with a gzip body that was tampered with.
func zipped(tamper func([]byte) []byte) string {
	body := tamper(gzipped([]byte(strings.Repeat(`{"status": "up"}`, 10))))
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// bomb answers with a body of 256 MiB that is a quarter of a MiB as gzip.
func bomb(z *zoo, c net.Conn) {
	if z.request(bufio.NewReader(c)) == nil {
		return
	}
	io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
	w, err := gzip.NewWriterLevel(c, gzip.BestSpeed)
	if err != nil {
		return
	}
	block := make([]byte, 1<<20)
	for range 256 {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
	w.Close()
}

// TestResetInBody cuts an answer off once the client has read its beginning.
func TestResetInBody(t *testing.T) {
	arrived := make(chan struct{})
	z := serve(t, func(z *zoo, c net.Conn) {
		if z.request(bufio.NewReader(c)) == nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"+`{"status": "up"}`)
		<-arrived
		resets(c)
	})
	client, err := (&Settings{Trace: &Source{Header: "X-Trace"}}).Client(z.url())
	if err != nil {
		t.Fatal(err)
	}
	client.dialer.Open = func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		return &tap{Conn: nc, first: sync.OnceFunc(func() { close(arrived) })}, err
	}
	a, _ := askWith(t, client, patience, Request{URL: z.url()})
	if want := "connection reset by " + z.Addr().String() + " during transfer"; a.Reason != probe.Reset || a.Detail != want {
		t.Errorf("got %s: %s, want %s", a.Reason, a.Detail, want)
	}
	if a.Status != 200 {
		t.Errorf("the status that did arrive is %d", a.Status)
	}
}

// A tap tells when the first bytes were read.
type tap struct {
	net.Conn
	first func()
}

func (c *tap) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.first()
	}
	return n, err
}

// TestBanner lets the server speak as soon as it is connected to, like SSH and mail servers do.
func TestBanner(t *testing.T) {
	z := serve(t, func(_ *zoo, c net.Conn) {
		io.WriteString(c, "SSH-2.0-"+marker+"\r\n")
		hold(nil, c)
	})
	for range 50 {
		a, _ := ask(t, &Settings{}, patience, Request{URL: z.url()})
		if a.Reason != probe.Protocol {
			t.Errorf("got %s: %s", a.Reason, a.Detail)
		}
	}
}

// TestBounds counts what servers without end can get rid of.
func TestBounds(t *testing.T) {
	testenv.WithoutRace(t)
	const ok = "HTTP/1.1 200 OK\r\n"
	const sockets = 8 << 20 // what the kernel may hold between two sockets on loopback
	for _, c := range []struct {
		name, begin, part string
		bytes             int64
	}{
		{"body", ok + "\r\n", "x", 1 << 20},
		{"chunks", ok + "Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", 9 << 20},
		{"headers", ok, "X-A: b\r\n", 64 << 10},
		{"interim answers", "", "HTTP/1.1 103 Early\r\n\r\n", 64 << 10},
		{"trailers", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n", "X-A: b\r\n", 9 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			var written atomic.Int64
			z := serve(t, repeats(c.begin, c.part, &written))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			ask(t, &Settings{}, patience, Request{URL: z.url()})
			runtime.ReadMemStats(&after)
			if n := written.Load(); n > c.bytes+sockets {
				t.Errorf("the server got rid of %d bytes, want at most %d and what sockets hold", n, c.bytes)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
				t.Errorf("allocated %d bytes", n)
			}
		})
	}
}

// TestDeadlineWhereverItWaits ends exchanges that hang before there is a connection.
func TestDeadlineWhereverItWaits(t *testing.T) {
	t.Run("TLS hello unanswered", func(t *testing.T) {
		z := serve(t, hold)
		a := inVain("waited in tls", func(timeout time.Duration) *Answer {
			a, _ := ask(t, &Settings{}, timeout, Request{URL: "https://" + z.Addr().String() + "/"})
			return a
		})
		if a.Reason != probe.Timeout || !strings.Contains(a.Detail, "waited in tls") {
			t.Errorf("got %s: %s", a.Reason, a.Detail)
		}
	})
	t.Run("SYN unanswered", func(t *testing.T) {
		addr := blackHole(t, 1, 0)
		a, _ := ask(t, &Settings{}, impatience, Request{URL: "http://" + addr + "/"})
		if a.Reason != probe.Timeout || !strings.HasPrefix(a.Detail, "no connection to "+addr+" within ") {
			t.Errorf("got %s: %s", a.Reason, a.Detail)
		}
	})
	t.Run("the time was up before", func(t *testing.T) {
		z := serve(t, says("HTTP/1.1 200 OK\r\n\r\n"))
		a, _ := ask(t, &Settings{}, time.Nanosecond, Request{URL: z.url()})
		if a.Reason != probe.Timeout || z.requests.Load() != 0 {
			t.Errorf("got %s: %s, %d requests", a.Reason, a.Detail, z.requests.Load())
		}
	})
	t.Run("the server does not read", func(t *testing.T) {
		done := make(chan struct{})
		z := serve(t, func(*zoo, net.Conn) { <-done })
		t.Cleanup(func() { close(done) })
		a := inVain("waited in processing", func(timeout time.Duration) *Answer {
			a, _ := ask(t, &Settings{}, timeout, Request{Method: "POST", URL: z.url(), Body: make([]byte, 32<<20)})
			return a
		})
		if a.Reason != probe.Timeout || !strings.Contains(a.Detail, "waited in processing") {
			t.Errorf("got %s: %s", a.Reason, a.Detail)
		}
	})
}
