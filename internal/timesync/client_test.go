package timesync

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"

	"github.com/beevik/ntp"
)

// why is the reason of a ReplyError; empty for no error, "network" for what is none.
func why(err error) probe.Reason {
	if err == nil {
		return probe.Reason{}
	}
	if f, ok := errors.AsType[*ReplyError](err); ok {
		return f.Reason
	}
	return probe.Reason{Word: "network"}
}

func put64(b []byte, t time.Time) { binary.BigEndian.PutUint64(b, stamp(t)) }

func TestAsk_unusableReplies(t *testing.T) {
	put32 := binary.BigEndian.PutUint32
	for name, test := range map[string]struct {
		change func(b []byte)
		want   probe.Reason
	}{
		"nothing wrong":                      {func([]byte) {}, probe.Reason{}},
		"a leap second is announced":         {func(b []byte) { b[0] |= 1 << 6 }, probe.Reason{}},
		"poll 0x80, which crashed a library": {func(b []byte) { b[2] = 0x80 }, probe.Reason{}},
		"precision 0x80, likewise":           {func(b []byte) { b[3] = 0x80 }, probe.Reason{}},
		"leap indicator 3":                   {func(b []byte) { b[0] |= 3 << 6 }, Unsynchronised},
		"version 1, leap indicator 3":        {func(b []byte) { b[0] = 3<<6 | 1<<3 | 4 }, BadReply},
		"version 5, leap indicator 3":        {func(b []byte) { b[0] = 3<<6 | 5<<3 | 4 }, BadReply},
		"version 6":                          {func(b []byte) { b[0] = 6<<3 | 4 }, BadReply},
		"version 7, leap indicator 3":        {func(b []byte) { b[0] = 3<<6 | 7<<3 | 4 }, BadReply},
		"version 3":                          {func(b []byte) { b[0] = 3<<3 | 4 }, BadReply},
		"mode 3":                             {func(b []byte) { b[0] = 4<<3 | 3 }, BadReply},
		"mode 6":                             {func(b []byte) { b[0] = 4<<3 | 6 }, BadReply},
		"stratum 1":                          {func(b []byte) { b[1] = 1 }, probe.Reason{}},
		"stratum 15":                         {func(b []byte) { b[1] = 15 }, probe.Reason{}},
		"stratum 16":                         {func(b []byte) { b[1] = 16 }, Unsynchronised},
		"stratum 17":                         {func(b []byte) { b[1] = 17 }, BadReply},
		"stratum 255":                        {func(b []byte) { b[1] = 255 }, BadReply},
		"stratum 0 and no kiss, as chrony":   {func(b []byte) { b[0] |= 3 << 6; b[1] = 0; put32(b[12:], 0) }, Unsynchronised},
		"kiss INIT":                          {func(b []byte) { b[1] = 0; copy(b[12:], "INIT") }, Unsynchronised},
		"kiss RATE":                          {func(b []byte) { b[1] = 0; copy(b[12:], "RATE") }, probe.RateLimited},
		"kiss RATE without times":            {func(b []byte) { b[1] = 0; copy(b[12:], "RATE"); clear(b[32:]) }, probe.RateLimited},
		"kiss DENY":                          {func(b []byte) { b[1] = 0; copy(b[12:], "DENY") }, Kiss},
		"kiss RSTR":                          {func(b []byte) { b[1] = 0; copy(b[12:], "RSTR") }, Kiss},
		"kiss DENY by a client":              {func(b []byte) { b[0] = 4<<3 | 3; b[1] = 0; copy(b[12:], "DENY") }, BadReply},
		"kiss DENY of version 3":             {func(b []byte) { b[0] = 3<<3 | 4; b[1] = 0; copy(b[12:], "DENY") }, BadReply},
		"kiss RATE for another question":     {func(b []byte) { b[1] = 0; copy(b[12:], "RATE"); b[24] ^= 1 }, Replayed},
		"another question's answer":          {func(b []byte) { b[24] ^= 1 }, Replayed},
		"no question's answer":               {func(b []byte) { clear(b[24:32]) }, Replayed},
		"received after it was sent":         {func(b []byte) { put64(b[32:], time.Now().Add(time.Second)) }, BadReply},
		"no times":                           {func(b []byte) { clear(b[32:]) }, BadReply},
		"no receive time":                    {func(b []byte) { clear(b[32:40]) }, BadReply},
		"no reference time":                  {func(b []byte) { clear(b[16:24]) }, Unsynchronised},
		"a reference time in the future":     {func(b []byte) { put64(b[16:], time.Now().Add(time.Hour)) }, BadReply},
		"a reference time 37 hours ago":      {func(b []byte) { put64(b[16:], time.Now().Add(-37*time.Hour)) }, Stale},
		"a root dispersion of 17 s":          {func(b []byte) { put32(b[8:], 17<<16) }, Uncertain},
		"a root dispersion of 15.9 s":        {func(b []byte) { put32(b[8:], 16<<16-6553) }, Uncertain},
		"a root dispersion of 0.9 s":         {func(b []byte) { put32(b[8:], 59000) }, probe.Reason{}},
		"a root delay of 2.1 s":              {func(b []byte) { put32(b[4:], 2<<16+6553) }, Uncertain},
		"held for 10 s":                      {func(b []byte) { put64(b[32:], time.Now().Add(-10*time.Second)) }, NegativeRTT},
	} {
		t.Run(name, func(t *testing.T) {
			reply, err := answering(tampered(test.change)).Ask(t.Context(), "127.0.0.1:123")
			if got := why(err); got != test.want {
				t.Errorf("got %q (%v), expected %q", got, err, test.want)
			}
			if err == nil && !reply.Offset.Meets(Interval{}) {
				t.Errorf("the offset of the same clock is 0, which is not in %v", reply.Offset)
			}
		})
	}
}

func TestAsk_shortPackets(t *testing.T) {
	for _, n := range []int{0, 1, 12, 47} {
		client := answering(func(q []byte) [][]byte { return [][]byte{honest(q, 0)[:n]} })
		if _, err := client.Ask(t.Context(), "127.0.0.1:123"); why(err) != BadReply {
			t.Errorf("%d bytes: got %v, expected %s", n, err, BadReply)
		}
	}
}

// Anyone who can send packets in a server's name, without seeing the request, cannot suppress its reply.
func TestAsk_ignoresUnmatchedPackets(t *testing.T) {
	length := headerLength
	forged := func(n int) func([]byte) [][]byte {
		return func(question []byte) [][]byte {
			var packets [][]byte
			for range n {
				b := honest(question, time.Hour)
				b[31] ^= 0xff
				packets = append(packets, b[:length])
			}
			return append(packets, honest(question, 0))
		}
	}
	for _, length = range []int{0, 1, 47} {
		if reply, err := answering(forged(maxUnmatched-1)).Ask(t.Context(), "127.0.0.1:1"); err != nil || !reply.Offset.Meets(Interval{}) {
			t.Errorf("of %d bytes: got %v, %v; expected the true answer", length, reply, err)
		}
	}
	length = headerLength
	if reply, err := answering(forged(maxUnmatched-1)).Ask(t.Context(), "127.0.0.1:1"); err != nil || !reply.Offset.Meets(Interval{}) {
		t.Errorf("got %v, %v; expected the true answer", reply, err)
	}
	if _, err := answering(forged(maxUnmatched)).Ask(t.Context(), "127.0.0.1:1"); why(err) != Replayed {
		t.Errorf("got %v; expected an end after %d packets", err, maxUnmatched)
	}
}

// Times of the next era, which begins in 2036, and of 1970 are large offsets and nothing worse.
func TestAsk_otherEras(t *testing.T) {
	for _, year := range []int{1970, 2037, 2080} {
		at := time.Date(year, 3, 1, 0, 0, 0, 0, time.UTC)
		reply, err := answering(tampered(func(b []byte) {
			put64(b[16:], at.Add(-time.Minute))
			put64(b[32:], at)
			put64(b[40:], at)
		})).Ask(t.Context(), "127.0.0.1:1")
		if err != nil || (reply.Offset.Mid()-time.Until(at)).Abs() > time.Minute {
			t.Errorf("%d: got %v, %v; expected about %s", year, reply.Offset, err, time.Until(at))
		}
	}
}

// With all the delay on the way back the offset looks like -40 ms, and 0 is still within the bounds.
func TestAsk_asymmetricDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &Client{open: func(context.Context, string, string) (net.Conn, error) {
			return &slowBack{fake{answer: func(q []byte) [][]byte { return [][]byte{honest(q, 0)} }}}, nil
		}}
		reply, err := client.Ask(t.Context(), "127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		if mid := reply.Offset.Mid(); (mid+40*time.Millisecond).Abs() > time.Millisecond || (reply.RTT-80*time.Millisecond).Abs() > time.Microsecond {
			t.Errorf("got an offset of %s, a round trip of %s; expected -40ms, 80ms", mid, reply.RTT)
		}
		if want := 50 * time.Millisecond; (reply.RootDistance - want).Abs() > time.Millisecond {
			t.Errorf("got a root distance of %s, expected %s: half of 80 ms and 10 ms, and 5 ms", reply.RootDistance, want)
		}
		if !reply.Offset.Meets(Interval{}) || reply.Offset.Within(80*time.Millisecond) || reply.Offset.Beyond(30*time.Millisecond) {
			t.Errorf("expected that 30 ms cannot be told and 80 ms cannot either, got %v", reply.Offset)
		}
	})
}

type slowBack struct{ fake }

func (s *slowBack) Read(p []byte) (int, error) {
	time.Sleep(80 * time.Millisecond)
	return s.fake.Read(p)
}

func TestAsk_libraryPanics(t *testing.T) {
	client := &Client{query: func(string, ntp.QueryOptions) (*ntp.Response, error) { panic("negative shift amount") }}
	if _, err := client.Ask(t.Context(), "127.0.0.1:1"); why(err) != BadReply || strings.Contains(err.Error(), "shift") {
		t.Errorf("got %v, expected %s and none of the panic's words", err, BadReply)
	}
}

// A query without a reply ends with the context, by its deadline or before.
func TestAsk_noReply(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	t.Run("deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := new(Client).Ask(ctx, silent.LocalAddr().String())
		if why(err).Word != "network" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		began := time.Now()
		if _, err := new(Client).Ask(ctx, silent.LocalAddr().String()); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("it went on for %s", took)
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		if _, err := new(Client).Ask(t.Context(), "127.0.0.1:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v", err)
		}
	})
}

// The library itself would wait ten seconds for a name server that does not answer.
func TestAsk_silentNameServer(t *testing.T) {
	hole, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	client := &Client{Resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "udp", hole.LocalAddr().String())
		if err == nil {
			context.AfterFunc(ctx, func() { conn.Close() })
		}
		return conn, err
	}}}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = client.Ask(ctx, "ntp.example.test:123")
	if took := time.Since(began); err == nil || took > 4*time.Second {
		t.Errorf("got %v after %s", err, took)
	}
	if _, ok := errors.AsType[*net.DNSError](err); !ok {
		t.Errorf("got %v, expected the look-up to fail", err)
	}
}

// Clouds have their time servers at link-local addresses.
func TestAsk_linkLocal(t *testing.T) {
	if _, err := answering(tampered(func([]byte) {})).Ask(t.Context(), "169.254.7.7:123"); err != nil {
		t.Errorf("got %v", err)
	}
}

// One packet must not make many servers reply.
func TestAsk_deniedAddresses(t *testing.T) {
	for _, address := range []string{"224.0.1.1:123", "255.255.255.255:123", "0.0.0.0:123", "[ff02::101]:123", "[::]:123"} {
		_, err := new(Client).Ask(t.Context(), address)
		if _, ok := errors.AsType[*dial.DeniedError](err); !ok {
			t.Errorf("%s: got %v", address, err)
		}
	}
}

// FuzzReply answers a question with any packet. No packet panics or says what cannot be, and what is used is within
// all bounds. The first byte says whether the packet is given the question's origin, without which little is read.
func FuzzReply(f *testing.F) {
	crash := honest(make([]byte, headerLength), 0)
	crash[2], crash[3] = 0x80, 0x80 // poll and precision -128: a negative shift in ntp v1.6.0
	f.Add(true, crash)
	f.Add(false, crash)
	f.Add(true, honest(make([]byte, headerLength), time.Hour))
	f.Add(true, make([]byte, headerLength))
	f.Add(true, []byte{0x24})
	f.Add(true, append([]byte{0xe4, 0, 0x80, 0x80}, make([]byte, 64)...))
	f.Fuzz(func(t *testing.T, known bool, packet []byte) {
		client := answering(func(question []byte) [][]byte {
			b := append([]byte(nil), packet...)
			if known && len(b) >= headerLength {
				copy(b[24:32], question[40:48])
			}
			return [][]byte{b}
		})
		reply, err := client.Ask(t.Context(), "127.0.0.1:1")
		if err != nil {
			return
		}
		d := reply.RootDistance
		if !known || reply.Stratum < 1 || reply.Stratum > 15 || reply.Leap > 2 || reply.RTT < 0 || d < 0 || d > maxDistance ||
			reply.Offset.Empty() || reply.Offset.Uncertainty() > maxDistance+time.Microsecond {
			t.Errorf("used %+v", reply)
		}
	})
}

// TestStamp: RFC 5905, section 6, and the era that begins in 2036.
func TestStamp(t *testing.T) {
	for at, want := range map[time.Time]uint64{
		time.Unix(0, 0):                                         2208988800 << 32,
		time.Unix(0, 500_000_000):                               2208988800<<32 | 1<<31,
		time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC):           3155587200 << 32,
		time.Date(2036, 2, 7, 6, 28, 15, 0, time.UTC):           (1<<32 - 1) << 32,
		time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC):           0,
		time.Date(2036, 2, 7, 6, 28, 17, 250_000_000, time.UTC): 1<<32 | 1<<30,
	} {
		if got := stamp(at); got != want {
			t.Errorf("%s: got %d, expected %d", at.UTC(), got, want)
		}
	}
}
