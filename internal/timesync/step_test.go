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

// earlier returns a reading as it would be had somebody set the wall clock ahead by that much after it. Nobody may set
// this machine's clock for a test; a Time holds the monotonic one in its second word.
func earlier(reading time.Time, by time.Duration) time.Time {
	reading = reading.Add(-by) // moves both
	*(*int64)(unsafe.Add(unsafe.Pointer(&reading), 8)) += int64(by)
	return reading
}

// If this machine's clock is set while a server is asked, its answer says nothing.
func TestAClockSetWhileAServerIsAsked(t *testing.T) {
	for by, want := range map[time.Duration]probe.Reason{
		40 * time.Millisecond: {}, -40 * time.Millisecond: {},
		time.Second: probe.SelfClock, -time.Second: probe.SelfClock, 30 * time.Second: probe.SelfClock,
	} {
		asker := answering(func(q []byte) [][]byte { return [][]byte{honest(q, 0)} })
		asker.query = func(address string, o ntp.QueryOptions) (*ntp.Response, error) {
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
		if _, err := asker.Ask(t.Context(), "127.0.0.1:1"); why(err) != want {
			t.Errorf("set by %s: got %v, wanted %q", by, err, want)
		}
	}
}

// If it was set since a server answered, the answer is not used again.
func TestAClockSetSinceTheLastAnswer(t *testing.T) {
	for by, want := range map[time.Duration]probe.Reason{
		0: {}, 40 * time.Millisecond: {}, time.Second: probe.SelfClock, -time.Second: probe.SelfClock,
	} {
		s, a := &Server{Address: "127.0.0.1:1"}, answering(func(q []byte) [][]byte { return [][]byte{honest(q, 0)} })
		if _, err := s.Ask(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		s.last.At = earlier(s.last.At, by)
		_, err := s.Ask(t.Context(), a)
		if why(err) != want || err != nil && !strings.Contains(err.Error(), "this machine's clock was set by 1.0 s since its last answer; asked ") {
			t.Errorf("set by %s: got %v, wanted %q", by, err, want)
		}
	}
}
