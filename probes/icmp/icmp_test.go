package icmp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// An arrival is what a socket reads, some time after a request was sent.
type arrival struct {
	after   time.Duration
	message []byte
	err     error
}

// A wire is a socket whose other side is a function of the request and of its place.
type wire struct {
	ip    net.IP
	reply func(place int, request []byte) []arrival

	mu      sync.Mutex
	sent    [][]byte
	until   time.Time
	arrived []arrival
	changed chan struct{}
	closed  bool
}

func newWire(ip string, reply func(int, []byte) []arrival) *wire {
	return &wire{ip: net.ParseIP(ip), reply: reply, changed: make(chan struct{})}
}

func (w *wire) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *wire) Write(b []byte) (int, error) {
	place := len(w.sent)
	w.sent = append(w.sent, bytes.Clone(b))
	for _, a := range w.reply(place, bytes.Clone(b)) {
		if a.after < 0 { // the error of the call
			return 0, a.err
		}
		time.AfterFunc(a.after, func() { w.change(func() { w.arrived = append(w.arrived, a) }) })
	}
	return len(b), nil
}

func (w *wire) Read(b []byte) (int, error) {
	for {
		w.mu.Lock()
		until, changed := w.until, w.changed
		if len(w.arrived) > 0 && (until.IsZero() || time.Now().Before(until)) {
			a := w.arrived[0]
			w.arrived = w.arrived[1:]
			w.mu.Unlock()
			return copy(b, a.message), a.err
		}
		w.mu.Unlock()
		var passed <-chan time.Time
		if !until.IsZero() {
			timer := time.NewTimer(time.Until(until))
			defer timer.Stop()
			passed = timer.C
		}
		select {
		case <-passed:
			return 0, os.ErrDeadlineExceeded
		case <-changed:
		}
	}
}

func (w *wire) SetReadDeadline(at time.Time) error { w.change(func() { w.until = at }); return nil }
func (w *wire) SetDeadline(at time.Time) error     { return w.SetReadDeadline(at) }
func (w *wire) SetWriteDeadline(time.Time) error   { return nil }
func (w *wire) LocalAddr() net.Addr                { return &net.UDPAddr{Port: 4711} }
func (w *wire) RemoteAddr() net.Addr               { return &net.UDPAddr{IP: w.ip} }
func (w *wire) Close() error                       { w.closed = true; return nil }

// replied is the genuine reply to a request.
func replied(request []byte) []byte {
	m := bytes.Clone(request)
	m[0] = map[byte]byte{8: 0, 128: 129}[m[0]]
	return m
}

// edit is the reply with one byte changed.
func edit(request []byte, at int) []byte {
	m := replied(request)
	m[at] ^= 1
	return m
}

func after(d time.Duration, message []byte) arrival { return arrival{after: d, message: message} }

// says is the error that a router reports of a request.
func says(kind, code byte, mtu uint32, request []byte) arrival {
	return arrival{after: time.Millisecond, err: &dial.EchoError{Type: kind, Code: code, From: netip.MustParseAddr("192.0.2.7"), MTU: mtu, Request: request[:8]}}
}

// TestICMP: what a host and the routers before it can say, and what comes of it.
func TestICMP(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	slow := probe.Duration(50 * ms)
	sound := func(_ int, q []byte) []arrival { return []arrival{after(20*ms, replied(q))} }
	silent := func(int, []byte) []arrival { return nil }
	only := func(places ...int) func(int, []byte) []arrival {
		return func(i int, q []byte) []arrival {
			if slices.Contains(places, i) {
				return sound(i, q)
			}
			return nil
		}
	}
	with := func(count int, more func(*Probe)) func(*Probe) {
		return func(p *Probe) {
			p.Count = count
			if more != nil {
				more(p)
			}
		}
	}
	for name, c := range map[string]struct {
		host   string
		change func(*Probe)
		reply  func(int, []byte) []arrival
		want   []string
	}{
		"a reply":      {"127.0.0.1", nil, sound, []string{"pass", "reply pass(ok): 1 of 1 reply from 127.0.0.1, the slowest after 20ms"}},
		"a reply of 6": {"::1", nil, sound, []string{"pass", "reply pass(ok): 1 of 1 reply from ::1, the slowest after 20ms"}},
		"three replies": {"127.0.0.1", with(3, func(p *Probe) { p.Latency = &slow }), sound, []string{
			"pass", "reply pass(ok): 3 of 3 replies from 127.0.0.1, the slowest after 20ms", "duplicates pass(ok): one reply to each request",
			"latency pass(ok): answered within 20ms",
		}},
		"a time between": {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{after(20*ms+1234, replied(q))} },
			[]string{"pass", "reply pass(ok): 1 of 1 reply from 127.0.0.1, the slowest after 20ms"}},
		"an empty message": {"127.0.0.1", nil, func(int, []byte) []arrival { return []arrival{after(20*ms, nil)} },
			[]string{"fail", "reply fail(timeout): expected 1 reply from 127.0.0.1, got 0"}},
		"one byte": {"127.0.0.1", nil, func(int, []byte) []arrival { return []arrival{after(20*ms, []byte{0})} },
			[]string{"fail", "reply fail(timeout): expected 1 reply from 127.0.0.1, got 0, and 1 message about something else"}},
		"too big, and no MTU": {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{says(3, 4, 0, q)} },
			[]string{"fail", "reply fail(packet_too_big): expected 1 reply from 127.0.0.1, got 0: 192.0.2.7 says that the packet is too big"}},
		"no reply": {"127.0.0.1", with(2, nil), silent, []string{"fail", "reply fail(timeout): expected 2 replies from 127.0.0.1, got 0"}},
		"a loss":   {"127.0.0.1", with(3, nil), only(0, 2), []string{"fail", "reply fail(packet_loss): expected 3 replies from 127.0.0.1, got 2"}},
		"a loss that may be": {"127.0.0.1", with(3, func(p *Probe) { p.MaxLost = 1 }), only(0, 2), []string{
			"pass", "reply pass(ok): 2 of 3 replies from 127.0.0.1, the slowest after 20ms", "duplicates pass(ok): one reply to each request",
		}},
		"more loss than may be": {"127.0.0.1", with(3, func(p *Probe) { p.MaxLost = 1 }), only(1), []string{"fail", "reply fail(packet_loss): expected 2 replies from 127.0.0.1, got 1"}},
		"a late reply": {"127.0.0.1", with(2, func(p *Probe) { p.Latency = &slow }), func(i int, q []byte) []arrival {
			return []arrival{after(time.Duration(1+i)*40*ms, replied(q))}
		}, []string{
			"fail", "reply pass(ok): 2 of 2 replies from 127.0.0.1, the slowest after 80ms", "duplicates pass(ok): one reply to each request",
			"latency fail(slow): expected an answer within 50ms, got one after 80ms",
		}},
		"replies in another order": {"127.0.0.1", with(3, nil), func(i int, q []byte) []arrival {
			return []arrival{after(time.Duration(3-i)*150*ms, replied(q))}
		}, []string{"pass", "reply pass(ok): 3 of 3 replies from 127.0.0.1, the slowest after 450ms", "duplicates pass(ok): one reply to each request"}},
		"two replies": {"127.0.0.1", with(2, nil), func(i int, q []byte) []arrival {
			return []arrival{after(ms, replied(q)), after(2*ms, replied(q))}
		}, []string{
			"fail", "reply pass(ok): 2 of 2 replies from 127.0.0.1, the slowest after 1ms",
			"duplicates fail(duplicate_replies): expected one reply to each request, got 1 reply more",
		}},
		"its own request": {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{after(0, q), after(ms, replied(q))} },
			[]string{"pass", "reply pass(ok): 1 of 1 reply from 127.0.0.1, the slowest after 1ms"}},
		"nothing but its own request": {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{after(0, q)} },
			[]string{"fail", "reply fail(timeout): expected 1 reply from 127.0.0.1, got 0"}},
		"another payload": {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{after(0, edit(q, 20))} },
			[]string{"fail", "reply fail(payload_changed): expected 1 reply from 127.0.0.1, got 0: a reply has another payload than its request"}},
		"another payload where one may be lost": {"127.0.0.1", with(2, func(p *Probe) { p.MaxLost = 1 }), func(i int, q []byte) []arrival {
			if i == 0 {
				return []arrival{after(0, edit(q, 20))}
			}
			return sound(i, q)
		}, []string{"fail", "reply fail(payload_changed): expected 1 reply from 127.0.0.1, got 1: a reply has another payload than its request"}},
		"a short payload": {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{after(0, replied(q)[:40])} },
			[]string{"fail", "reply fail(payload_changed): *"}},
		"a long payload": {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{after(0, append(replied(q), 0))} },
			[]string{"fail", "reply fail(payload_changed): *"}},
		"another payload before the true one": {"127.0.0.1", nil, func(_ int, q []byte) []arrival {
			return []arrival{after(0, edit(q, 20)), after(ms, replied(q))}
		}, []string{"pass", "reply pass(ok): *"}},
		"another type":       {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{after(0, edit(q, 0))} }, []string{"fail", "reply fail(timeout): expected 1 reply from 127.0.0.1, got 0"}},
		"a reply of 6 to 4":  {"127.0.0.1", nil, func(_ int, q []byte) []arrival { m := replied(q); m[0] = 129; return []arrival{after(0, m)} }, []string{"fail", "reply fail(timeout): *"}},
		"another code":       {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{after(0, edit(q, 1))} }, []string{"fail", "reply fail(timeout): expected 1 reply from 127.0.0.1, got 0, and 1 message about something else"}},
		"another identifier": {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{after(0, edit(q, 5))} }, []string{"fail", "reply fail(timeout): expected 1 reply from 127.0.0.1, got 0, and 1 message about something else"}},
		"another sequence":   {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{after(0, edit(q, 7))} }, []string{"fail", "reply fail(timeout): *"}},
		"the sequence of a request to come": {"127.0.0.1", with(2, nil), func(i int, q []byte) []arrival {
			m := replied(q)
			binary.BigEndian.PutUint16(m[6:], binary.BigEndian.Uint16(m[6:])+1)
			return []arrival{after(0, m)}
		}, []string{"fail", "reply fail(timeout): *"}},
		"no messages":                   {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{after(0, nil), after(0, []byte{0, 0, 0})} }, []string{"fail", "reply fail(timeout): *"}},
		"nobody there":                  {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{says(3, 1, 0, q)} }, []string{"fail", "reply fail(unreachable): expected 1 reply from 127.0.0.1, got 0: 192.0.2.7 says that the host does not respond there"}},
		"nobody there of 6":             {"::1", nil, func(_ int, q []byte) []arrival { return []arrival{says(1, 3, 0, q)} }, []string{"fail", "reply fail(unreachable): expected 1 reply from ::1, got 0: 192.0.2.7 says that the host does not respond there"}},
		"no network":                    {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{says(3, 0, 0, q)} }, []string{"fail", "reply fail(unreachable): expected 1 reply from 127.0.0.1, got 0: 192.0.2.7 says that there is no way to the network"}},
		"no way of 6":                   {"::1", nil, func(_ int, q []byte) []arrival { return []arrival{says(1, 0, 0, q)} }, []string{"fail", "reply fail(unreachable): expected 1 reply from ::1, got 0: 192.0.2.7 says that there is no way to the network"}},
		"no port":                       {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{says(3, 3, 0, q)} }, []string{"fail", "reply fail(unreachable): expected 1 reply from 127.0.0.1, got 0: 192.0.2.7 says that the destination is unreachable"}},
		"no port of 6":                  {"::1", nil, func(_ int, q []byte) []arrival { return []arrival{says(1, 4, 0, q)} }, []string{"fail", "reply fail(unreachable): expected 1 reply from ::1, got 0: 192.0.2.7 says that the destination is unreachable"}},
		"prohibited":                    {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{says(3, 13, 0, q)} }, []string{"fail", "reply fail(prohibited): *"}},
		"prohibited of 6":               {"::1", nil, func(_ int, q []byte) []arrival { return []arrival{says(1, 1, 0, q)} }, []string{"fail", "reply fail(prohibited): *"}},
		"the network is prohibited":     {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{says(3, 9, 0, q)} }, []string{"fail", "reply fail(prohibited): expected 1 reply from 127.0.0.1, got 0: 192.0.2.7 says that it is prohibited"}},
		"the host is prohibited":        {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{says(3, 10, 0, q)} }, []string{"fail", "reply fail(prohibited): *"}},
		"the source of 6 is prohibited": {"::1", nil, func(_ int, q []byte) []arrival { return []arrival{says(1, 5, 0, q)} }, []string{"fail", "reply fail(prohibited): *"}},
		"the route of 6 is rejected":    {"::1", nil, func(_ int, q []byte) []arrival { return []arrival{says(1, 6, 0, q)} }, []string{"fail", "reply fail(prohibited): *"}},
		"a loop":                        {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{says(11, 0, 0, q)} }, []string{"fail", "reply fail(time_exceeded): expected 1 reply from 127.0.0.1, got 0: 192.0.2.7 says that the TTL has run out"}},
		"a loop of 6":                   {"::1", nil, func(_ int, q []byte) []arrival { return []arrival{says(3, 0, 0, q)} }, []string{"fail", "reply fail(time_exceeded): *"}},
		"lost fragments":                {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{says(11, 1, 0, q)} }, []string{"fail", "reply fail(packet_loss): *"}},
		"lost fragments of 6":           {"::1", nil, func(_ int, q []byte) []arrival { return []arrival{says(3, 1, 0, q)} }, []string{"fail", "reply fail(packet_loss): *"}},
		"too big":                       {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{says(3, 4, 1400, q)} }, []string{"fail", "reply fail(packet_too_big): expected 1 reply from 127.0.0.1, got 0: 192.0.2.7 says that the packet is too big, the MTU is 1400"}},
		"too big of 6":                  {"::1", nil, func(_ int, q []byte) []arrival { return []arrival{says(2, 0, 1400, q)} }, []string{"fail", "reply fail(packet_too_big): *"}},
		"too big from here on": {"127.0.0.1", nil, func(_ int, q []byte) []arrival {
			return []arrival{{-1, nil, &dial.EchoError{Type: 3, Code: 4, MTU: 1400}}}
		}, []string{"fail", "reply fail(packet_too_big): expected 1 reply from 127.0.0.1, got 0: this machine says that the packet is too big, the MTU is 1400"}},
		"not accepted":                          {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{says(12, 0, 0, q)} }, []string{"fail", "reply fail(protocol): *"}},
		"not accepted of 6":                     {"::1", nil, func(_ int, q []byte) []arrival { return []arrival{says(4, 0, 0, q)} }, []string{"fail", "reply fail(protocol): *"}},
		"an error about another":                {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{says(3, 1, 0, edit(q, 5))} }, []string{"fail", "reply fail(timeout): expected 1 reply from 127.0.0.1, got 0"}},
		"an error about a request that was not": {"127.0.0.1", nil, func(_ int, q []byte) []arrival { return []arrival{says(3, 1, 0, edit(q, 6))} }, []string{"fail", "reply fail(timeout): *"}},
		"one reply and one error": {"127.0.0.1", with(2, func(p *Probe) { p.MaxLost = 1 }), func(i int, q []byte) []arrival {
			if i == 0 {
				return []arrival{says(3, 1, 0, q)}
			}
			return sound(i, q)
		}, []string{"pass", "reply pass(ok): 1 of 2 replies from 127.0.0.1, the slowest after 20ms", "duplicates pass(ok): one reply to each request"}},
		"an error and then the reply": {"127.0.0.1", with(2, nil), func(i int, q []byte) []arrival {
			return []arrival{says(3, 1, 0, q), after(50*ms, replied(q)), says(3, 1, 0, q)}
		}, []string{"fail", "reply fail(unreachable): *"}},
		"a firewall of this machine": {"127.0.0.1", nil, func(int, []byte) []arrival { return []arrival{{-1, nil, syscall.EPERM}} }, []string{"inconclusive", "reply inconclusive(self_network): this machine's own firewall blocks the connection"}},
		"a flood": {"127.0.0.1", with(1, func(p *Probe) { p.PayloadSize = maxPayload }), func(_ int, q []byte) (all []arrival) {
			for range 2 + maxRead/len(q) {
				all = append(all, after(0, edit(q, 5)))
			}
			return append(all, after(ms, replied(q)))
		}, []string{"fail", "reply fail(protocol): the server at 127.0.0.1 sent more than any answer needs"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, w := New(), newWire(c.host, c.reply)
				p.Host = c.host
				if c.change != nil {
					c.change(p)
				}
				began := time.Now()
				r := run(t, p, func(_ context.Context, network, address string) (net.Conn, error) {
					if want := net.JoinHostPort(c.host, "0"); network != "icmp" || address != want {
						t.Errorf("opened %s %s, want %s", network, address, want)
					}
					return w, nil
				})
				probetest.WantLines(t, r, c.want...)
				if !w.closed {
					t.Error("the socket stays open")
				}
				if len(w.sent) != p.Count {
					t.Errorf("%d requests were sent, want %d", len(w.sent), p.Count)
				}
				if took := time.Since(began); took >= 10*time.Second {
					t.Errorf("it took %s", took)
				}
				synctest.Wait()
				time.Sleep(time.Minute) // what has not arrived yet has nobody who reads it
			})
		})
	}
}

// run opens the sockets of a probe by a function. Validate makes the dialer, so it is called here too.
func run(t *testing.T, p *Probe, open func(context.Context, string, string) (net.Conn, error)) probe.Result {
	t.Helper()
	kind := Kind()
	return probetest.Run(t, kind, &opening{p, open})
}

// opening is a probe whose sockets a test opens.
type opening struct {
	*Probe
	open func(context.Context, string, string) (net.Conn, error)
}

func (o *opening) Ask(ctx context.Context, r *probe.Result) {
	o.Probe.Ask(dial.WithOpen(ctx, o.open), r)
}

// TestICMP_requests: the requests of a run have one identifier, sequence numbers that follow each other across the end of the
// numbers, a checksum, and a payload that no other run has; they are sent at their times.
func TestICMP_requests(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			var times []time.Duration
			began := time.Now()
			w := newWire("127.0.0.1", func(_ int, q []byte) []arrival {
				times = append(times, time.Since(began))
				return []arrival{after(time.Millisecond, replied(q))}
			})
			p := New()
			p.Host, p.Count, p.PayloadSize = "127.0.0.1", 3, 77
			r := run(t, p, func(context.Context, string, string) (net.Conn, error) { return w, nil })
			if r.Verdict() != probe.Pass {
				t.Error(probetest.Lines(r))
			}
			if want := []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond}; !slices.Equal(times, want) {
				t.Errorf("sent at %s, want %s", times, want)
			}
			for i, q := range w.sent {
				if len(q) != 8+77 || q[0] != 8 || q[1] != 0 || binary.BigEndian.Uint16(q[4:]) != 4711 || checksum(q) != 0 {
					t.Errorf("request %d is %x", i, q)
				}
				if got, want := binary.BigEndian.Uint16(q[6:]), binary.BigEndian.Uint16(w.sent[0][6:])+uint16(i); got != want {
					t.Errorf("sequence number %d, want %d", got, want)
				}
			}
			if key := string(w.sent[0][6:]); seen[key] {
				t.Error("two runs have the same sequence numbers and payload")
			} else {
				seen[key] = true
			}
		})
	}
}

// TestICMP_record: what is recorded of a run is its slowest reply and not the time in which nothing was to come, and its series
// are those of ping: the mean of the replies and the share of what was lost.
func TestICMP_record(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	slow := probe.Duration(time.Second)
	for name, c := range map[string]struct {
		reply    func(int, []byte) []arrival
		reason   string
		expected bool
		took     time.Duration // of the record and of its last phase
		rtt      string
		loss     float64
	}{
		"all replied": {func(i int, q []byte) []arrival { return []arrival{after(time.Duration(i+1)*20*ms, replied(q))} },
			"ok", true, 80 * ms, "0.05", 0},
		"one is lost": {func(i int, q []byte) []arrival {
			if i == 1 {
				return nil
			}
			return []arrival{after(30*ms, replied(q))}
		}, "packet_loss", false, 30 * ms, "0.03", 0.25},
		"one of four replied": {func(i int, q []byte) []arrival {
			if i > 0 {
				return nil
			}
			return []arrival{after(30*ms, replied(q))}
		}, "packet_loss", false, 30 * ms, "0.03", 0.75},
		"one of one replied": {func(i int, q []byte) []arrival { return []arrival{after(30*ms, replied(q))} }, "ok", true, 30 * ms, "0.03", 0},
		"all are lost":       {func(int, []byte) []arrival { return nil }, "timeout", false, 9900 * ms, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire("127.0.0.1", c.reply)
				p := New()
				p.Host, p.Count, p.Latency = "127.0.0.1", 4, &slow
				if name == "one of one replied" {
					p.Count = 1
				}
				r := run(t, p, func(context.Context, string, string) (net.Conn, error) { return w, nil })
				if len(r.Exchanges) != 1 {
					t.Fatalf("%d records", len(r.Exchanges))
				}
				x := r.Exchanges[0]
				if x.Reason.Word != c.reason || x.Expected != c.expected || x.Took != c.took || x.URL != "icmp://127.0.0.1" {
					t.Errorf("recorded %s, expected: %t, %s, %s", x.Reason.Word, x.Expected, x.Took, x.URL)
				}
				if n := len(x.Phases); n == 0 || x.Phases[n-1].Name != "processing" || x.Phases[n-1].Took != c.took {
					t.Errorf("the phases are %v", x.Phases)
				}
				got := map[string]string{}
				for _, s := range r.Samples {
					got[s.Measure.Name] = strconv.FormatFloat(s.Value, 'g', -1, 64)
				}
				want := map[string]string{"probe_icmp_loss_ratio": strconv.FormatFloat(c.loss, 'g', -1, 64)}
				if c.rtt != "" {
					want["probe_icmp_rtt_seconds"] = c.rtt
				}
				if !maps.Equal(got, want) {
					t.Errorf("measured %v, want %v", got, want)
				}
				synctest.Wait()
				time.Sleep(time.Minute)
			})
		})
	}
}

// TestEcho_checksum: the sum of a request's words, its checksum among them, is all ones (RFC 1071), with an odd length too; hosts
// drop any other.
func TestEcho_checksum(t *testing.T) {
	t.Parallel()
	for _, payload := range [][]byte{{}, {1}, {0xff, 0xfe, 0xfd}, bytes.Repeat([]byte{0xff}, 65507), []byte("payload!")} {
		var sum uint64
		for i, b := range icmp4.echo(0xffff, 0xfffe, payload) {
			sum += uint64(b) << (8 * (1 - i%2))
		}
		if sum%0xffff != 0 {
			t.Errorf("%d bytes of payload: the words have the sum %x", len(payload), sum)
		}
	}
}

// TestAbout: an error of ICMP is about one of our requests or about somebody else's.
func TestAbout(t *testing.T) {
	t.Parallel()
	of := func(change func(q []byte)) []byte {
		q := icmp4.echo(7, 100, []byte("payload!"))
		change(q)
		return q
	}
	for name, c := range map[string]struct {
		request []byte
		place   int
		ok      bool
	}{
		"the first":          {of(func([]byte) {}), 0, true},
		"the last":           {of(func(q []byte) { q[7] += 2 }), 2, true},
		"its beginning":      {of(func([]byte) {})[:headerSize], 0, true},
		"one beyond":         {of(func(q []byte) { q[7] += 3 }), 3, false},
		"one before":         {of(func(q []byte) { q[7]-- }), 65535, false},
		"another program's":  {of(func(q []byte) { q[5]++ }), 0, false},
		"a reply":            {of(func(q []byte) { q[0] = icmp4.reply }), 0, false},
		"too little to tell": {of(func([]byte) {})[:headerSize-1], 0, false},
		"nothing":            {nil, 0, false},
	} {
		if place, ok := icmp4.about(&dial.EchoError{Request: c.request}, 7, 100, 3); ok != c.ok || ok && place != c.place {
			t.Errorf("%s: got the request %d, %t", name, place, ok)
		}
	}
}

// TestICMP_latency: the latency is that of the slowest reply. How long a name server took is none of the host's.
func TestICMP_latency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const ms = time.Millisecond
		w := newWire("127.0.0.1", func(_ int, q []byte) []arrival { return []arrival{after(20*ms, replied(q))} })
		p, limit := New(), probe.Duration(50*ms)
		p.Host, p.Latency = "127.0.0.1", &limit
		r := run(t, p, func(context.Context, string, string) (net.Conn, error) { time.Sleep(200 * ms); return w, nil })
		if got := probetest.Lines(r); !strings.Contains(got, "latency pass(ok): answered within 20ms\n") {
			t.Errorf("got\n%s", got)
		}
		if got := r.Exchanges[0].Took; got != 220*ms {
			t.Errorf("recorded %s, want all of it", got)
		}
		synctest.Wait()
		time.Sleep(time.Minute)
	})
}

// TestCheckTimeout: all requests can be sent before the run ends, with time for the last reply.
func TestCheckTimeout(t *testing.T) {
	t.Parallel()
	p := New()
	p.Host, p.PacketInterval = "127.0.0.1", probe.Duration(minInterval)
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	p.Count, p.PacketInterval = 3, probe.Duration(time.Second)
	for timeout, want := range map[time.Duration]string{
		2*time.Second + margin + 1: "",
		2*time.Second + margin:     "packet_interval: the last of 3 echo requests is sent after 2s, and the timeout is 2.1s",
	} {
		got := ""
		if err := p.CheckTimeout(timeout); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", timeout, got, want)
		}
	}
}

// TestRead_wraps: sequence numbers go on at 0 behind the last.
func TestRead_wraps(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		q := icmp4.echo(1, 0xfffe+uint16(i), []byte("payload!"))
		if place, m := icmp4.read(replied(q), 1, 0xfffe, 4, []byte("payload!")); place != i || m != genuine {
			t.Errorf("request %d: got %d %d", i, place, m)
		}
	}
}

// TestICMP_end: a run that is cancelled, and one whose time is up before all was sent, prove nothing of what was not asked.
func TestICMP_end(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit  time.Duration
		cancel bool
		want   string
	}{
		"cancelled":       {10 * time.Second, true, "reply inconclusive(cancelled): the run was cancelled"},
		"too little time": {350 * time.Millisecond, false, "reply fail(timeout): no complete answer within 250ms (waited in processing)"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.limit)
				defer cancel()
				w := newWire("127.0.0.1", func(_ int, q []byte) []arrival { return []arrival{after(0, replied(q))} })
				p := New()
				p.Host, p.Count, p.PacketInterval = "127.0.0.1", 20, probe.Duration(time.Second)
				if err := p.Validate(); err != nil {
					t.Fatal(err)
				}
				if c.cancel {
					time.AfterFunc(1500*time.Millisecond, cancel)
				}
				r := probe.NewResult(probe.ID{})
				p.Ask(dial.WithOpen(ctx, func(context.Context, string, string) (net.Conn, error) { return w, nil }), r)
				if got := probetest.Lines(*r); !strings.Contains(got, c.want) {
					t.Errorf("got %s, want %s", got, c.want)
				}
			})
		})
	}
}

// TestICMP_open: why there is no socket.
func TestICMP_open(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no permission": {dial.ErrPing, "reply inconclusive(no_permission): the kernel lets this process open neither a ping socket, for which its group must be in the sysctl net.ipv4.ping_group_range, nor a raw one, which takes CAP_NET_RAW"},
		"no route":      {syscall.ENETUNREACH, "reply inconclusive(self_network): this machine has no network route to the target"},
		"unreachable":   {syscall.EHOSTUNREACH, "reply fail(unreachable): no route to 127.0.0.1"},
		"a blackhole":   {syscall.EINVAL, `reply fail(unreachable): no connection to 127.0.0.1: this machine's kernel answers "invalid argument"`},
		"no descriptor": {syscall.EMFILE, "reply inconclusive(self_network): this process has too many open files"},
		"another":       {errors.New("text of somebody"), "reply fail(protocol): the answer of 127.0.0.1 is not valid for the protocol"},
	} {
		p := New()
		p.Host = "127.0.0.1"
		r := run(t, p, func(context.Context, string, string) (net.Conn, error) { return nil, c.err })
		probetest.WantLines(t, r, r.Verdict().String(), c.want)
		if t.Failed() {
			t.Log(name)
		}
	}
}

// TestICMP_guard: nothing is opened toward an address that is never dialled, whatever name or replica leads there. The opener of
// this test sends nothing.
func TestICMP_guard(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"169.254.169.254", "fd00:ec2::254", "64:ff9b::169.254.169.254", "169.254.1.1", "fe80::1", "224.0.0.1", "255.255.255.255", "0.0.0.0", "::"} {
		p := New()
		p.Host = address
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "such an address is never dialled") {
			t.Errorf("%s: got %v", address, err)
		}
		p = New()
		p.Host = "localhost"
		p.Replicas.Static, p.Replicas.Want = []string{address}, 1
		r := run(t, p, func(_ context.Context, _, opened string) (net.Conn, error) {
			t.Errorf("%s: opened %s", address, opened)
			return nil, syscall.ECONNREFUSED
		})
		if got := probetest.Lines(r); r.Verdict() != probe.Fail || !strings.Contains(got, "fail(protocol): ") || !strings.Contains(got, "such an address is never dialled") {
			t.Errorf("%s: got %s", address, got)
		}
	}
}

// FuzzRead: whatever a message holds, it is read within its bounds, and only a reply to a request that was sent is one.
func FuzzRead(f *testing.F) {
	f.Add([]byte{}, []byte{}, true)
	f.Add(replied(icmp4.echo(1, 2, []byte("12345678"))), icmp4.echo(1, 2, nil), true)
	f.Add(replied(icmp6.echo(1, 3, []byte("12345678"))), icmp6.echo(1, 3, nil), false)
	f.Fuzz(func(t *testing.T, message, quoted []byte, four bool) {
		version := icmp6
		if four {
			version = icmp4
		}
		place, m := version.read(message, 1, 2, 2, []byte("12345678"))
		if place < 0 || place > 1 || m == genuine && !bytes.Equal(message[4:], append([]byte{0, 1, 0, byte(2 + place)}, "12345678"...)) {
			t.Errorf("%x: %d %d", message, place, m)
		}
		e := &dial.EchoError{Type: version.reply, Request: quoted}
		if len(quoted) > 1 {
			e.Type, e.Code = quoted[0], quoted[1]
		}
		if place, ok := version.about(e, 1, 2, 2); ok && (place < 0 || place > 1) {
			t.Errorf("%x: %d", quoted, place)
		}
		if why, said := version.explain(e); why.Verdict != probe.Fail || said == "" {
			t.Errorf("%x: %s %s", quoted, why, said)
		}
	})
}
