package timesync

import (
	"encoding/binary"
	"time"

	"prober/internal/probe"
	"prober/internal/text"

	"github.com/beevik/ntp"
)

// A Reply is what a server said of the time, and fit to be used.
type Reply struct {
	Offset       Interval // of UTC, as the server knows it
	RTT          time.Duration
	RootDistance time.Duration // how far the server's time may be from UTC as seen from here; half the width of Offset
	Stratum      int           // 1 to 15
	Leap         int           // 1: the last minute of the day has 61 seconds; 2: it has 59; 0: neither is announced
	At           time.Time     // when the reply came, by both of this machine's clocks
	Peer         string        // the address that was asked, IP:port
	ReferenceID  string        // from whom it last heard of the time, and when, as bytes: no two servers do at one moment; empty if it keeps whole seconds
}

// Reasons why a server's answer is not used. They are the server's share of the closed set of reasons.
var (
	BadReply       = probe.Reason{Word: "bad_reply", Verdict: probe.Inconclusive, Text: "no answer that RFC 5905 allows"}
	Unsynchronised = probe.Reason{Word: "unsynchronised", Verdict: probe.Inconclusive, Text: "the server says that it does not know the time"}
	Stale          = probe.Reason{Word: "stale", Verdict: probe.Inconclusive, Text: "it heard of the time too long ago"}
	Uncertain      = probe.Reason{Word: "uncertain", Verdict: probe.Inconclusive, Text: "it may be wrong by more than is of use"}
	NegativeRTT    = probe.Reason{Word: "negative_rtt", Verdict: probe.Inconclusive, Text: "it says to have had the question for longer than it was away"}
	Replayed       = probe.Reason{Word: "replayed", Verdict: probe.Inconclusive, Text: "it answered another question than was asked"}
	Kiss           = probe.Reason{Word: "kiss_of_death", Verdict: probe.Inconclusive, Text: "it forbids to be asked"}
)

// A ReplyError is why a server's answer is not used. Its text holds no byte of the answer.
type ReplyError struct {
	Reason probe.Reason
	text   string
}

func (f *ReplyError) Error() string { return f.text }

func reject(why probe.Reason, text string) *ReplyError { return &ReplyError{why, text} }

// Bounds of what is used.
const (
	headerLength = 48
	version      = 4
	maxDistance  = time.Second         // RFC 5905, MAXDIST
	maxAge       = 36 * time.Hour      // RFC 5905, MAXPOLL: 2^17 s
	rounding     = 4 * time.Nanosecond // of stamps and their halves
)

// interpret tells whether a reply may be used. Of the library's reading it takes what stands in the packet; the offset is
// worked out here, from this machine's monotonic clock, since the library hides a round trip that is below zero.
func (x *exchange) interpret(read *ntp.Response) (Reply, error) {
	if why := x.validate(read); why != nil {
		return Reply{}, why
	}
	t1, t4 := stamp(x.sent), stamp(x.sent.Round(0).Add(x.received.Sub(x.sent)))
	t2, t3 := binary.BigEndian.Uint64(x.reply[32:]), binary.BigEndian.Uint64(x.reply[40:])
	rtt := span(t4-t1) - span(t3-t2)
	if rtt < 0 {
		return Reply{}, reject(NegativeRTT, "it says that it had the question for longer than that was away")
	}
	distance := (rtt+read.RootDelay)/2 + read.RootDispersion
	if distance > maxDistance {
		return Reply{}, reject(Uncertain, "its time may be wrong by "+text.Duration(distance)+", over "+text.Duration(maxDistance))
	}
	if by := probe.Step(x.sent, x.received); by.Abs() > probe.MaxClockStep {
		return Reply{}, reject(probe.SelfClock, "this machine's clock was set by "+text.Duration(by)+" while it was asked")
	}
	offset := span(t2-t1)/2 + span(t3-t4)/2
	return Reply{
		Offset: Around(offset, distance+rounding), RTT: rtt, RootDistance: distance,
		Stratum: int(read.Stratum), Leap: int(read.Leap), At: x.received, Peer: x.peer, ReferenceID: x.referenceID(),
	}, nil
}

// referenceID is the stratum, the reference identifier and the reference timestamp of the reply. Servers that know the time by
// a clock of their own may stamp whole seconds, which tell nobody apart.
func (x *exchange) referenceID() string {
	if binary.BigEndian.Uint32(x.reply[20:]) == 0 {
		return ""
	}
	return string(x.reply[1:2]) + string(x.reply[12:24])
}

// validate says what in a packet keeps it from being used; nil if nothing does.
func (x *exchange) validate(read *ntp.Response) error {
	reference := binary.BigEndian.Uint64(x.reply[16:])
	switch {
	case read.Version != version:
		return reject(BadReply, "it answers in another version of NTP than was asked")
	case read.Leap == ntp.LeapNotInSync:
		return reject(Unsynchronised, "it says that it does not know the time (leap indicator 3)")
	case read.Stratum == 16:
		return reject(Unsynchronised, "it says that it does not know the time (stratum 16)")
	case read.Stratum < 1 || read.Stratum > 16:
		return reject(BadReply, "its stratum is none that there is")
	case reference == 0:
		return reject(Unsynchronised, "it never heard of the time")
	case read.ReferenceTime.After(read.Time):
		return reject(BadReply, "it says to have heard of the time in the future")
	case read.Time.Sub(read.ReferenceTime) > maxAge:
		return reject(Stale, "it last heard of the time over 36 hours ago")
	}
	if read.Validate() != nil {
		return reject(Uncertain, "its time may be wrong by more than 16 s")
	}
	return nil
}

// stamp writes a time as NTP does: seconds since 1900, modulo 2^32, and their fraction.
func stamp(t time.Time) uint64 {
	const from1900to1970 = 2208988800
	return uint64(uint32(t.Unix()+from1900to1970))<<32 | uint64(t.Nanosecond())<<32/1e9
}

// span reads the difference of two stamps, modulo 2^32 s: it is right where they are less than 68 years apart,
// whichever era they are of.
func span(difference uint64) time.Duration {
	d := int64(difference)
	return time.Duration(d>>32)*time.Second + time.Duration((d&0xffffffff)*1e9>>32)
}
