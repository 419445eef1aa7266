package timesync

import (
	"net"
	"strings"
	"testing"
	"time"
	"unsafe"

	"prober/internal/probe"

	"github.com/beevik/ntp"
)

// earlier returns a reading as it would be if the wall clock had been set ahead by that much after it. A test cannot set
// this machine's clock; a Time holds the monotonic reading in its second word.
func earlier(reading time.Time, by time.Duration) time.Time {
	reading = reading.Add(-by) // moves both
	*(*int64)(unsafe.Add(unsafe.Pointer(&reading), 8)) += int64(by)
	return reading
}

// If this machine's clock is set during a query, the reply is not used.
func TestAClockSetWhileAServerIsAsked(t *testing.T) {
	for by, want := range map[time.Duration]probe.Reason{
		40 * time.Millisecond: {}, -40 * time.Millisecond: {},
		time.Second: probe.SelfClock, -time.Second: probe.SelfClock, 30 * time.Second: probe.SelfClock,
	} {
		client := answering(func(q []byte) [][]byte { return [][]byte{honest(q, 0)} })
		client.query = func(address string, o ntp.QueryOptions) (*ntp.Response, error) {
			dial := o.Dialer
			var x *exchange
			o.Dialer = func(local, remote string) (c net.Conn, err error) {
				c, err = dial(local, remote)
				x, _ = c.(*exchange)
				return c, err
			}
			read, err := ntp.QueryWithOptions(address, o)
			x.sent = earlier(x.sent, by)
			return read, err
		}
		if _, err := client.Ask(t.Context(), "127.0.0.1:1"); why(err) != want {
			t.Errorf("set by %s: got %v, expected %q", by, err, want)
		}
	}
}

// If it was set after a server replied, the reply is not used again.
func TestServer_clockSetAfterTheLastReply(t *testing.T) {
	for by, want := range map[time.Duration]probe.Reason{
		0: {}, 40 * time.Millisecond: {}, time.Second: probe.SelfClock, -time.Second: probe.SelfClock,
	} {
		s, a := &Server{Address: "127.0.0.1:1"}, answering(func(q []byte) [][]byte { return [][]byte{honest(q, 0)} })
		if _, err := s.Ask(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		s.last.At = earlier(s.last.At, by)
		_, err := s.Ask(t.Context(), a)
		if why(err) != want || err != nil && !strings.Contains(err.Error(), "this machine's clock was set by 1.0 s since its last reply; queried ") {
			t.Errorf("set by %s: got %v, expected %q", by, err, want)
		}
	}
}
