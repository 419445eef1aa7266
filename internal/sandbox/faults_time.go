package sandbox

import (
	"encoding/binary"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// timeFaults break the NTP servers and the clocks of the services.
func timeFaults() []Fault {
	const (
		drift    = "Clock sync: NTP drift causes premature expiry if services disagree on time"
		trust    = "an NTP server that no other agrees with is not trusted"
		manners  = "a server that asks for fewer requests gets none"
		dates    = "a cached Date is not the time"
		leadTime = 5 * time.Second
	)
	time1 := []string{ntp1}
	return []Fault{
		{"ntp-skewed", "the clock of this machine is 7 s behind all four NTP servers", drift,
			[]*effect{onUDP([]string{ntp1, ntp2, ntp3, ntp4}, ntpAhead(7*time.Second))}},
		{"ntp-falseticker", "one of four NTP servers is 7 s ahead", trust, []*effect{onUDP(time1, ntpAhead(7*time.Second))}},
		{"ntp-falsetickers", "three of four NTP servers are 7 s ahead, and agree", trust,
			[]*effect{onUDP([]string{ntp1, ntp2, ntp3}, ntpAhead(7*time.Second))}},
		{"ntp-disagree", "two of four NTP servers are 7 s ahead: the time is uncertain", trust,
			[]*effect{onUDP([]string{ntp1, ntp2}, ntpAhead(7*time.Second))}},
		{"ntp-unsynchronized", "one of four NTP servers reports that it is not synchronized, as chrony does", trust,
			[]*effect{onUDP(time1, ntpUnsynchronized)}},
		{"ntp-stratum-16", "one of four NTP servers reports stratum 16", trust,
			[]*effect{onUDP(time1, ntpStratum16)}},
		{"ntp-kiss-rate", "one of four NTP servers answers with the kiss code RATE: too many requests", manners,
			[]*effect{onUDP(time1, ntpKissRate)}},
		{"ntp-replayed", "an old reply of one of four NTP servers is replayed", trust,
			[]*effect{onUDP(time1, ntpReplayed)}},
		{"ntp-silent", "two of four NTP servers do not answer", trust, []*effect{onUDP([]string{ntp1, ntp2}, ntpSilent)}},
		{"auth-clock-ahead", "the clock of auth is 5 s ahead, and so are the tokens that it issues", drift, []*effect{
			on([]string{auth}, everyRoute, clockOff(leadTime)), on([]string{auth}, tokenRoute, reissue(issuedAhead(leadTime)))}},
		{"proxy-clock-behind", "the clock of the proxy is 5 s behind", drift,
			[]*effect{on([]string{proxy1, proxy2, proxy3}, everyRoute, clockOff(-leadTime))}},
		{"date-cached", "the proxy's answers are cached for a minute, together with their Date", dates,
			[]*effect{on([]string{proxy1}, timeRoute, clockOff(-time.Minute)), on([]string{proxy1}, timeRoute, addHeaders("Age", "60"))}},
		{"date-missing", "the proxy's answers have no Date header", dates, []*effect{on([]string{proxy1}, timeRoute, withoutDate)}},
	}
}

// timeRoute answers with the time of the service.
const timeRoute = "GET /time"

// serveTime adds timeRoute to a host. The time is in the body as well as in the Date.
func serveTime(h *host) {
	h.handle(timeRoute, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, object{"now": time.Now().UTC().Format(time.RFC3339Nano)})
	})
}

// clockOff answers like a host whose clock is off.
func clockOff(by time.Duration) interceptor {
	shift := editJSON(func(body any) any {
		if o, is := body.(object); is && o["now"] != nil {
			o["now"] = time.Now().Add(by).UTC().Format(time.RFC3339Nano)
		}
		return body
	})
	return func(at target, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
		if at.route == timeRoute {
			shift(at, w, r)
			return
		}
		at.next(w, r)
	}
}

// issuedAhead is a token of an issuer whose clock is ahead.
func issuedAhead(by time.Duration) func(*Sandbox, jose.JSONWebKey, claims) (string, error) {
	return func(_ *Sandbox, signs jose.JSONWebKey, c claims) (string, error) {
		for _, at := range []**jwt.NumericDate{&c.IssuedAt, &c.NotBefore, &c.Expiry} {
			*at = jwt.NewNumericDate((*at).Time().Add(by))
		}
		return sign(signs, c)
	}
}

// withoutDate omits the Date header.
func withoutDate(at target, w http.ResponseWriter, r *http.Request) {
	w.Header()["Date"] = nil
	at.next(w, r)
}

// A udpFault changes the reply of an NTP server; nil means no reply.
type udpFault func(reply []byte) []byte

func onUDP(hosts []string, g udpFault) *effect { return &effect{hosts: hosts, alterReply: g} }

// alteredReply passes a reply through the active faults.
func (s *Sandbox) alteredReply(name string, reply []byte) []byte {
	for _, f := range *s.active.Load() {
		for _, e := range f.effects {
			if e.alterReply != nil && reply != nil && slices.Contains(e.hosts, name) {
				reply = e.alterReply(reply)
			}
		}
	}
	return reply
}

// ntpAhead replies like a server whose clock is ahead by whole seconds.
func ntpAhead(by time.Duration) udpFault {
	return func(reply []byte) []byte {
		for _, at := range []int{16, 32, 40} { // reference, receive and transmit timestamp
			binary.BigEndian.PutUint32(reply[at:], binary.BigEndian.Uint32(reply[at:])+uint32(by/time.Second))
		}
		return reply
	}
}

func ntpUnsynchronized(reply []byte) []byte {
	reply[0] |= 3 << 6 // leap indicator 3
	reply[1] = 0       // and a kiss of death without a code
	clear(reply[12:24])
	return reply
}

func ntpStratum16(reply []byte) []byte {
	reply[1] = 16
	return reply
}

func ntpKissRate(reply []byte) []byte {
	reply[1] = 0
	copy(reply[12:16], "RATE")
	return reply
}

// ntpReplayed replies to another request than the one that was sent.
func ntpReplayed(reply []byte) []byte {
	for i := range reply[24:32] {
		reply[24+i] ^= 0xff
	}
	return reply
}

func ntpSilent([]byte) []byte { return nil }
