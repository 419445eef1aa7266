package timesync

import (
	"encoding/binary"
	"time"

	"prober/internal/probe"
	"prober/internal/text"

	"github.com/beevik/ntp"
)

// A Reply is a valid reply of a server.
type Reply struct {
	Offset       Interval // from UTC, as the server knows it
	RTT          time.Duration
	RootDistance time.Duration // RFC 5905: the largest error of the server's time as seen from here; half the width of Offset
	Stratum      int           // 1 to 15
	Leap         int           // 1: the last minute of the day has 61 seconds; 2: it has 59; 0: no leap second is announced
	At           time.Time     // when the reply was received, with a monotonic reading
	Peer         string        // the address queried, IP:port
	ReferenceID  string        // stratum, reference identifier and reference timestamp as bytes, which differ between servers; empty if the timestamp has whole seconds
}

// Reasons why a server's reply is not used.
var (
	BadReply = probe.Reason{Word: "bad_reply", Verdict: probe.Inconclusive, Text: "not a valid reply by RFC 5905",
		Action: "Check the address: what answers is not an NTP server, or something in between changes the packets."}
	Unsynchronised = probe.Reason{Word: "unsynchronised", Verdict: probe.Inconclusive, Text: "the server is not synchronised",
		Action: "Look at the time synchronisation of the NTP server itself (chronyc tracking), or use another server."}
	Stale = probe.Reason{Word: "stale", Verdict: probe.Inconclusive, Text: "what it says is too old",
		Action: "Find out why the source is behind: an NTP server that lost its own source, or a service that Prometheus no longer scrapes."}
	Uncertain = probe.Reason{Word: "uncertain", Verdict: probe.Inconclusive, Text: "too uncertain to decide",
		Action: "Give it more to decide by: for a clock a nearer NTP server, for a share or a quantile more requests or a longer time."}
	NegativeRTT = probe.Reason{Word: "negative_rtt", Verdict: probe.Inconclusive, Text: "negative round trip",
		Action: "Wait for the next run; if it stays, the clock of the prober's machine or of the server is being set."}
	Replayed = probe.Reason{Word: "replayed", Verdict: probe.Inconclusive, Text: "a reply to another request",
		Action: "Look for something on the path that repeats packets; the next run decides."}
	Kiss = probe.Reason{Word: "kiss_of_death", Verdict: probe.Inconclusive, Text: "the server asks for fewer requests, or none",
		Action: "Make the interval longer or use another NTP server: this one asks to be left alone."}
)

// A ReplyError says why a server's reply is not used. Its text holds no byte of the reply.
type ReplyError struct {
	Reason probe.Reason
	text   string
}

func (f *ReplyError) Error() string { return f.text }

func reject(why probe.Reason, text string) *ReplyError { return &ReplyError{why, text} }

// Bounds of a usable reply.
const (
	headerLength = 48
	version      = 4
	maxDistance  = time.Second         // RFC 5905, MAXDIST
	maxAge       = 36 * time.Hour      // RFC 5905, MAXPOLL: 2^17 s
	rounding     = 4 * time.Nanosecond // of timestamps and their halves
)

// interpret turns a packet into a reply, or says why it cannot be used. It takes the fields of the packet from the library
// and computes the offset itself, from this machine's monotonic clock, because the library hides a negative round trip.
func (x *exchange) interpret(read *ntp.Response) (Reply, error) {
	if why := x.validate(read); why != nil {
		return Reply{}, why
	}
	t1, t4 := stamp(x.sent), stamp(x.sent.Round(0).Add(x.received.Sub(x.sent)))
	t2, t3 := binary.BigEndian.Uint64(x.reply[32:]), binary.BigEndian.Uint64(x.reply[40:])
	rtt := span(t4-t1) - span(t3-t2)
	if rtt < 0 {
		return Reply{}, reject(NegativeRTT, "it claims to have held the request for longer than the round trip took")
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

// referenceID returns the stratum, the reference identifier and the reference timestamp of the reply. Servers with a clock
// of their own may use timestamps of whole seconds, which do not distinguish them.
func (x *exchange) referenceID() string {
	if binary.BigEndian.Uint32(x.reply[20:]) == 0 {
		return ""
	}
	return string(x.reply[1:2]) + string(x.reply[12:24])
}

// validate returns an error if the fields of a packet make it unusable.
func (x *exchange) validate(read *ntp.Response) error {
	reference := binary.BigEndian.Uint64(x.reply[16:])
	switch {
	case read.Version != version:
		return reject(BadReply, "its reply has another version of NTP than the request")
	case read.Leap == ntp.LeapNotInSync:
		return reject(Unsynchronised, "it is not synchronised (leap indicator 3)")
	case read.Stratum == 16:
		return reject(Unsynchronised, "it is not synchronised (stratum 16)")
	case read.Stratum < 1 || read.Stratum > 16:
		return reject(BadReply, "its stratum is not valid")
	case binary.BigEndian.Uint64(x.reply[32:]) == 0:
		return reject(BadReply, "it does not say when it received the request")
	case reference == 0:
		return reject(Unsynchronised, "it was never synchronised (no reference time)")
	case read.ReferenceTime.After(read.Time):
		return reject(BadReply, "its reference time is in the future")
	case read.Time.Sub(read.ReferenceTime) > maxAge:
		return reject(Stale, "it was last synchronised over 36 hours ago")
	}
	if read.Validate() != nil {
		return reject(Uncertain, "its time may be wrong by more than 16 s")
	}
	return nil
}

// stamp returns a time as an NTP timestamp: seconds since 1900, modulo 2^32, and their fraction.
func stamp(t time.Time) uint64 {
	const from1900to1970 = 2208988800
	return uint64(uint32(t.Unix()+from1900to1970))<<32 | uint64(t.Nanosecond())<<32/1e9
}

// span converts the difference of two timestamps, modulo 2^32 s. It is right if they are less than 68 years apart, in
// whichever era.
func span(difference uint64) time.Duration {
	d := int64(difference)
	return time.Duration(d>>32)*time.Second + time.Duration((d&0xffffffff)*1e9>>32)
}
