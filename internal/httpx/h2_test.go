package httpx

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"prober/internal/dial"
	"prober/internal/probe"
)

// An h2 is one HTTP/2 connection as a hostile server sees it: frame by frame.
type h2 struct {
	*http2.Framer
	zoo  *zoo
	conn net.Conn
	hp   *hpack.Encoder
	buf  *bytes.Buffer
}

// serveH2 serves HTTP/2 over TLS, to each request as do says.
func serveH2(t testing.TB, p *pki, do func(h *h2, stream uint32)) *zoo {
	t.Helper()
	cfg := &tls.Config{Certificates: []tls.Certificate{p.server(-day, day)}, NextProtos: []string{"h2"}}
	return serveTLS(t, cfg, func(z *zoo, c net.Conn) {
		if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		h := &h2{Framer: http2.NewFramer(c, c), zoo: z, conn: c, buf: &bytes.Buffer{}}
		h.hp = hpack.NewEncoder(h.buf)
		h.WriteSettings()
		for {
			f, err := h.ReadFrame()
			if err != nil {
				return
			}
			switch f := f.(type) {
			case *http2.SettingsFrame:
				if !f.IsAck() {
					h.WriteSettingsAck()
				}
			case *http2.HeadersFrame:
				z.requests.Add(1)
				do(h, f.StreamID)
			}
		}
	})
}

// block encodes headers.
func (h *h2) block(pairs ...string) []byte {
	h.buf.Reset()
	for i := 0; i < len(pairs); i += 2 {
		h.hp.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return bytes.Clone(h.buf.Bytes())
}

func (h *h2) headers(stream uint32, end bool, pairs ...string) error {
	return h.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: h.block(pairs...), EndHeaders: true, EndStream: end})
}

// drain reads and drops whatever comes, beside what else is done.
func (h *h2) drain() { go io.Copy(io.Discard, h.conn) }

// repeat writes a frame again and again, many of them at once, until the client has had enough.
func (h *h2) repeat(write func(f *http2.Framer) error) {
	var many bytes.Buffer
	for f := http2.NewFramer(&many, nil); many.Len() < 64<<10; {
		if write(f) != nil {
			return
		}
	}
	for {
		if _, err := h.conn.Write(many.Bytes()); err != nil {
			return
		}
	}
}

// unknownSettings are as many settings as one frame may hold, none of which a client knows.
func unknownSettings() []http2.Setting {
	all := make([]http2.Setting, 16384/6)
	for i := range all {
		all[i] = http2.Setting{ID: http2.SettingID(0x1000 + i), Val: 1}
	}
	return all
}

// flood writes until the client has had enough.
func flood(write func() error) {
	for write() == nil {
	}
}

func TestHTTP2(t *testing.T) {
	p := newPKI(t)
	const json = `{"status": "up"}`
	for _, c := range []struct {
		name   string
		serve  func(h *h2, stream uint32)
		method string
		why    probe.Reason
		want   string
	}{
		{"an answer", func(h *h2, s uint32) { h.headers(s, false, ":status", "200"); h.WriteData(s, true, []byte(json)) }, "GET", probe.OK, ""},
		{"no body", func(h *h2, s uint32) { h.headers(s, true, ":status", "503") }, "GET", probe.OK, ""},
		{"silence", func(*h2, uint32) {}, "GET", probe.Timeout, "waited in processing"},
		{"body that never ends", func(h *h2, s uint32) { h.headers(s, false, ":status", "200"); h.WriteData(s, false, []byte(json)) }, "GET", probe.Timeout, "waited in transfer"},
		{"reset behind a whole body", func(h *h2, s uint32) {
			h.headers(s, false, ":status", "200")
			h.WriteData(s, false, []byte(json))
			h.WriteRSTStream(s, http2.ErrCodeInternal)
		}, "GET", probe.Reset, "stream reset by PEER with code 2"},
		{"reset without an answer", func(h *h2, s uint32) { h.WriteRSTStream(s, http2.ErrCodeCancel) }, "GET", probe.Reset, "stream reset by PEER with code 8"},
		{"shorter than announced", func(h *h2, s uint32) {
			h.headers(s, false, ":status", "200", "content-length", "100")
			h.WriteData(s, true, []byte(json))
		}, "GET", probe.Truncated, "shorter than announced"},
		{"refused for ever", func(h *h2, s uint32) { h.WriteRSTStream(s, http2.ErrCodeRefusedStream) }, "GET", probe.Protocol, "it is not sent again"},
		{"POST refused for ever", func(h *h2, s uint32) { h.WriteRSTStream(s, http2.ErrCodeRefusedStream) }, "POST", probe.Protocol, "it is not sent again"},
		{"GOAWAY for ever", func(h *h2, s uint32) { h.WriteGoAway(0, http2.ErrCodeNo, []byte(marker)) }, "GET", probe.Protocol, "it is not sent again"},
		{"GOAWAY for ever to POST", func(h *h2, s uint32) { h.WriteGoAway(0, http2.ErrCodeNo, []byte(marker)) }, "POST", probe.Protocol, "it is not sent again"},
		{"GOAWAY with an error", func(h *h2, s uint32) { h.WriteGoAway(0, http2.ErrCodeInternal, []byte(marker)) }, "GET", probe.Reset, "connection ended by PEER without an answer, by GOAWAY with INTERNAL_ERROR"},
		{"GOAWAY with an unknown error", func(h *h2, s uint32) { h.WriteGoAway(0, 4711, []byte(marker)) }, "GET", probe.Reset, "by GOAWAY with unknown error code 0x1267"},
		{"GOAWAY to be calm", func(h *h2, s uint32) { h.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, []byte(marker)) }, "GET", probe.RateLimited, "PEER asks for fewer requests"},
		{"GOAWAY to be calm, and the end", func(h *h2, s uint32) {
			h.WriteGoAway(s, http2.ErrCodeEnhanceYourCalm, []byte(marker))
			h.conn.Close()
		}, "GET", probe.RateLimited, "PEER asks for fewer requests"},
		{"GOAWAY that leaves the stream open, and the end", func(h *h2, s uint32) {
			h.WriteGoAway(s, http2.ErrCodeNo, []byte(marker))
			h.conn.Close()
		}, "GET", probe.Reset, "closed by PEER in the middle of the exchange, after GOAWAY with code 0"},
		{"reset to be calm", func(h *h2, s uint32) { h.WriteRSTStream(s, http2.ErrCodeEnhanceYourCalm) }, "GET", probe.RateLimited, "PEER asks for fewer requests"},
		{"GOAWAY that leaves the stream open", func(h *h2, s uint32) { h.WriteGoAway(s, http2.ErrCodeEnhanceYourCalm, []byte(marker)) }, "GET", probe.Timeout, "waited in processing"},
		{"interim answers without end", func(h *h2, s uint32) {
			flood(func() error { return h.headers(s, false, ":status", "103", "link", marker) })
		}, "GET", probe.Protocol, "the headers of the answer are larger than 65536 bytes"},
		{"an interim answer, and silence", func(h *h2, s uint32) { h.headers(s, false, ":status", "103") }, "GET", probe.Timeout, "waited in processing"},
		{"DATA before the head", func(h *h2, s uint32) { h.WriteData(s, true, []byte(json)) }, "GET", probe.Protocol, "the answer of PEER is not valid HTTP"},
		{"a header of HTTP/1", func(h *h2, s uint32) { h.headers(s, true, ":status", "200", "connection", "close") }, "GET", probe.Protocol, "a header that HTTP/2 forbids"},
		{"an upgrade", func(h *h2, s uint32) { h.headers(s, true, ":status", "200", "upgrade", "h2") }, "GET", probe.Protocol, "a header that HTTP/2 forbids"},
		{"chunks of HTTP/1", func(h *h2, s uint32) { h.headers(s, true, ":status", "200", "transfer-encoding", "chunked") }, "GET", probe.Protocol, "a header that HTTP/2 forbids"},
		{"two lengths", func(h *h2, s uint32) {
			h.headers(s, false, ":status", "200", "content-length", "16", "content-length", "17")
			h.WriteData(s, true, []byte(json))
		}, "GET", probe.Protocol, "or two lengths"},
		{"the same length twice", func(h *h2, s uint32) {
			h.headers(s, false, ":status", "200", "content-length", "16", "content-length", "16")
			h.WriteData(s, true, []byte(json))
		}, "GET", probe.OK, ""},
		{"a length that is no number", func(h *h2, s uint32) { h.headers(s, true, ":status", "200", "content-length", marker) }, "GET", probe.Protocol, "or two lengths"},
		{"PING without end", func(h *h2, _ uint32) {
			h.drain()
			h.repeat(func(f *http2.Framer) error { return f.WritePing(false, [8]byte{1}) })
		}, "GET", probe.Protocol, "sent more than any answer needs"},
		{"PING answers without end", func(h *h2, _ uint32) { h.repeat(func(f *http2.Framer) error { return f.WritePing(true, [8]byte{1}) }) }, "GET", probe.Protocol, "sent more than any answer needs"},
		{"SETTINGS without end", func(h *h2, _ uint32) {
			h.drain()
			h.repeat(func(f *http2.Framer) error { return f.WriteSettings(unknownSettings()...) })
		}, "GET", probe.Protocol, "sent more than any answer needs"},
		{"CONTINUATION without end", func(h *h2, s uint32) {
			h.WriteHeaders(http2.HeadersFrameParam{StreamID: s, BlockFragment: h.block(":status", "200")})
			part := h.block("x-a", marker)
			flood(func() error { return h.WriteContinuation(s, false, part) })
		}, "GET", probe.Protocol, ""},
		{"headers without end", func(h *h2, s uint32) {
			h.WriteHeaders(http2.HeadersFrameParam{StreamID: s, BlockFragment: h.block(":status", "200")})
			part := h.block("x-a", strings.Repeat("a", 16000))
			flood(func() error { return h.WriteContinuation(s, false, part) })
		}, "GET", probe.Protocol, ""},
		{"DATA of nothing without end", func(h *h2, s uint32) {
			h.headers(s, false, ":status", "200")
			h.repeat(func(f *http2.Framer) error { return f.WriteData(s, false, nil) })
		}, "GET", probe.Protocol, "sent more than any answer needs"},
		{"push", func(h *h2, s uint32) {
			h.WritePushPromise(http2.PushPromiseParam{StreamID: s, PromiseID: 2, BlockFragment: h.block(":status", marker), EndHeaders: true})
		}, "GET", probe.Protocol, ""},
		{"status that is a marker", func(h *h2, s uint32) { h.headers(s, true, ":status", marker) }, "GET", probe.Protocol, ""},
		{"status 600", func(h *h2, s uint32) { h.headers(s, true, ":status", "600") }, "GET", probe.Protocol, "expected a status of 200 to 599, got 600"},
		{"a frame without a stream", func(h *h2, s uint32) { h.WriteData(s+2, true, []byte(marker)) }, "GET", probe.Protocol, ""},
		{"noise", func(h *h2, s uint32) {
			h.WriteRawFrame(0xff, 0xff, s, []byte(marker))
			h.WriteRawFrame(http2.FrameHeaders, 4, s, []byte(marker))
		}, "GET", probe.Protocol, ""},
	} {
		for _, connection := range []string{fresh, reuse} {
			t.Run(c.name+"/"+connection, func(t *testing.T) {
				t.Parallel()
				var z *zoo
				var r probe.Result
				exchange := func(timeout time.Duration) (a *Answer) {
					z = serveH2(t, p, c.serve)
					a, r = ask(t, &Settings{HTTP2: true, Connection: connection, TLS: &dial.TLS{CAFile: p.file}}, timeout, Request{Method: c.method, URL: z.https()})
					if c.why == probe.Timeout && z.requests.Load() == 0 {
						return nil
					}
					return a
				}
				var a *Answer
				if c.why == probe.Timeout {
					a = inVain(c.want, exchange)
				} else {
					a = exchange(patience)
				}
				want := strings.ReplaceAll(c.want, "PEER", z.Addr().String())
				if a.Reason != c.why || !strings.Contains(a.Detail, want) {
					t.Errorf("got %s: %s\nwant %s: %s", a.Reason, a.Detail, c.why, want)
				}
				if n := z.conns.Load(); n != 1 || a.Connections != 1 {
					t.Errorf("opened %d connections and told %d, want 1", n, a.Connections)
				}
				if n := z.requests.Load(); n != 1 {
					t.Errorf("sent %d requests, want 1", n)
				}
				if a.Reason == probe.OK && (a.Proto != "HTTP/2.0" || a.CertExpiry.IsZero() || phases(a) != "connect tls processing transfer") {
					t.Errorf("%+v", a.Exchange)
				}
				if r.Verdict() != c.why.Verdict && !starved(r) {
					t.Errorf("verdict %s, want %s", r.Verdict(), c.why.Verdict)
				}
			})
		}
	}
}

// TestHTTP2_beyondTheWindow sends a body without heeding the window. It breaks the protocol once the window is full, unless it
// is read as fast as it comes: then it becomes too large.
func TestHTTP2_beyondTheWindow(t *testing.T) {
	p := newPKI(t)
	for _, connection := range []string{fresh, reuse} {
		t.Run(connection, func(t *testing.T) {
			t.Parallel()
			z := serveH2(t, p, func(h *h2, s uint32) {
				h.headers(s, false, ":status", "200")
				flood(func() error { return h.WriteData(s, false, bytes.Repeat([]byte("x"), 16<<10)) })
			})
			a, r := ask(t, &Settings{HTTP2: true, Connection: connection, TLS: &dial.TLS{CAFile: p.file}}, patience, Request{URL: z.https()})
			if a.Reason != probe.Protocol && a.Reason != probe.TooLarge || r.Verdict() != probe.Fail && !starved(r) {
				t.Errorf("got %s: %s", a.Reason, a.Detail)
			}
			if connections, requests := z.conns.Load(), z.requests.Load(); connections != 1 || requests != 1 {
				t.Errorf("opened %d connections and sent %d requests, expected one of each", connections, requests)
			}
		})
	}
}

// TestHTTP2Unread floods a client with what it has to answer, and reads none of the answers.
func TestHTTP2Unread(t *testing.T) {
	p := newPKI(t)
	ended := make(chan struct{}, 100)
	z := serveH2(t, p, func(h *h2, _ uint32) {
		flood(func() error { return h.WritePing(false, [8]byte{1}) })
		ended <- struct{}{}
	})
	for _, connection := range []string{fresh, reuse} {
		s := &Settings{HTTP2: true, Connection: connection, MaxBody: maxBodyLimit, TLS: &dial.TLS{CAFile: p.file}}
		a := inVain("waited in processing", func(timeout time.Duration) *Answer {
			a, _ := ask(t, s, timeout, Request{URL: z.https()})
			return a
		})
		if a.Reason != probe.Timeout || !strings.Contains(a.Detail, "waited in processing") {
			t.Errorf("got %s: %s", a.Reason, a.Detail)
		}
		select {
		case <-ended: // its connection was closed
		case <-time.After(patience):
			t.Errorf("%s: the connection stays open", connection)
		}
	}
}

// TestHTTP2Bodies reads large bodies from a server that keeps to flow control.
func TestHTTP2Bodies(t *testing.T) {
	var size atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "a.example:8443" || r.TLS.ServerName != "a.example" {
			t.Errorf("asked for %s, by TLS for %s", r.Host, r.TLS.ServerName)
		}
		w.Write(make([]byte, size.Load()))
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for _, connection := range []string{fresh, reuse} {
		client, err := (&Settings{HTTP2: true, Connection: connection, TLS: &dial.TLS{InsecureSkipVerify: true}}).Client(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		for n, want := range map[int64]probe.Reason{1: probe.OK, 1 << 20: probe.OK, 1<<20 + 1: probe.TooLarge, 100 << 20: probe.TooLarge} {
			size.Store(n)
			a, _ := askWith(t, client, patience, Request{URL: "https://a.example:8443/", Addr: server.Listener.Addr().String()})
			if a.Reason != want || a.Proto != "HTTP/2.0" || a.Bytes != min(n, 1<<20) {
				t.Errorf("%d bytes: got %s: %s, %d bytes of %s", n, a.Reason, a.Detail, a.Bytes, a.Proto)
			}
		}
	}
}

// TestHTTP2DeadConnection gives up a kept connection on which no answer comes.
func TestHTTP2DeadConnection(t *testing.T) {
	p := newPKI(t)
	var z *zoo
	z = serveH2(t, p, func(h *h2, s uint32) {
		if z.conns.Load() > 1 {
			h.headers(s, true, ":status", "200")
		}
	})
	client, err := (&Settings{HTTP2: true, Connection: reuse, TLS: &dial.TLS{CAFile: p.file}}).Client(z.https())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if a, _ := askWith(t, client, impatience, Request{URL: z.https()}); a.Reason != probe.Timeout {
		t.Fatalf("got %s: %s", a.Reason, a.Detail)
	}
	for range 2 {
		if a, _ := askWith(t, client, patience, Request{URL: z.https()}); a.Reason != probe.OK || z.conns.Load() != 2 {
			t.Errorf("got %s: %s over connection %d", a.Reason, a.Detail, z.conns.Load())
		}
	}
}

// TestHTTP2AtOnce makes many exchanges at the same time: each fresh one has a connection of its own, and none takes
// another's.
func TestHTTP2AtOnce(t *testing.T) {
	p := newPKI(t)
	var n atomic.Int64
	z := serveH2(t, p, func(h *h2, s uint32) {
		body := fmt.Sprint(n.Add(1))
		h.headers(s, false, ":status", "200")
		h.WriteData(s, true, []byte(body))
	})
	client, err := (&Settings{HTTP2: true, TLS: &dial.TLS{CAFile: p.file}}).Client(z.https())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const all = 100
	answers := make(chan *Answer, all)
	for range all {
		go func() { answers <- client.Do(t.Context(), probe.NewResult(probe.ID{}), Request{URL: z.https()}) }()
	}
	seen := map[string]bool{}
	for range all {
		a := <-answers
		if a.Reason != probe.OK || a.Connections != 1 {
			t.Errorf("got %s: %s, %d connections", a.Reason, a.Detail, a.Connections)
		}
		seen[string(a.Body)] = true
	}
	if len(seen) != all || z.conns.Load() != all {
		t.Errorf("%d different answers over %d connections, want %d", len(seen), z.conns.Load(), all)
	}
}
