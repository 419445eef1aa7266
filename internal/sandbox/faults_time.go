package sandbox

import (
	"encoding/binary"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// timeFaults break what tells the time: the NTP servers, and the clocks of the services.
func timeFaults() []Fault {
	const (
		drift    = "Clock sync: NTP drift causes premature expiry if services disagree on time"
		trust    = "an NTP server that is alone with its time is not believed"
		manners  = "a server that asks for rest is left alone"
		told     = "a Date that somebody kept is no time"
		leadTime = 5 * time.Second
	)
	time1 := []string{ntp1}
	return []Fault{
		{"ntp-skewed", "the clock of this machine is 7 s behind what all four NTP servers say", drift,
			[]effect{onUDP([]string{ntp1, ntp2, ntp3, ntp4}, ntpAhead(7*time.Second))}},
		{"ntp-liar", "one of four NTP servers is 7 s ahead", trust, []effect{onUDP(time1, ntpAhead(7*time.Second))}},
		{"ntp-liars", "three of four NTP servers are 7 s ahead, and agree", trust,
			[]effect{onUDP([]string{ntp1, ntp2, ntp3}, ntpAhead(7*time.Second))}},
		{"ntp-disagree", "two of four NTP servers are 7 s ahead: nobody can tell who is right", trust,
			[]effect{onUDP([]string{ntp1, ntp2}, ntpAhead(7*time.Second))}},
		{"ntp-unsynchronised", "one of four NTP servers does not know the time and says so, as chrony does", trust,
			[]effect{onUDP(time1, ntpUnsynchronized)}},
		{"ntp-stratum-16", "one of four NTP servers says that it is of stratum 16", trust,
			[]effect{onUDP(time1, ntpStratum16)}},
		{"ntp-kiss-rate", "one of four NTP servers says that it is asked too often", manners,
			[]effect{onUDP(time1, ntpKissRate)}},
		{"ntp-replayed", "somebody answers in the name of one of four NTP servers with what it said before", trust,
			[]effect{onUDP(time1, ntpReplayed)}},
		{"ntp-silent", "two of four NTP servers do not answer", trust, []effect{onUDP([]string{ntp1, ntp2}, ntpSilent)}},
		{"auth-clock-ahead", "the clock of auth is 5 s ahead, and so are the tokens that it issues", drift, []effect{
			on([]string{auth}, everyRoute, clockOff(leadTime)), on([]string{auth}, tokenRoute, reissue(issuedAhead(leadTime)))}},
		{"proxy-clock-behind", "the clock of the proxy is 5 s behind", drift,
			[]effect{on([]string{proxy1, proxy2, proxy3}, everyRoute, clockOff(-leadTime))}},
		{"date-cached", "something keeps the proxy's answers for a minute, and their Date with them", told,
			[]effect{on([]string{proxy1}, timeRoute, clockOff(-time.Minute)), on([]string{proxy1}, timeRoute, addHeaders("Age", "60"))}},
		{"date-missing", "the proxy's answers have no Date", told, []effect{on([]string{proxy1}, timeRoute, withoutDate)}},
	}
}

// timeRoute is where a service tells the time.
const timeRoute = "GET /time"

// serveTime adds the time to what a host tells, in the body as well as in the Date.
func serveTime(h *host) {
	h.handle(timeRoute, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, object{"now": time.Now().UTC().Format(time.RFC3339Nano)})
	})
}

// clockOff answers as a host would whose clock is off.
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

// issuedAhead is a token that an issuer makes whose clock is ahead.
func issuedAhead(by time.Duration) func(*Sandbox, jose.JSONWebKey, claims) (string, error) {
	return func(_ *Sandbox, signs jose.JSONWebKey, c claims) (string, error) {
		for _, at := range []**jwt.NumericDate{&c.IssuedAt, &c.NotBefore, &c.Expiry} {
			*at = jwt.NewNumericDate((*at).Time().Add(by))
		}
		return sign(signs, c)
	}
}

// withoutDate leaves the Date off.
func withoutDate(at target, w http.ResponseWriter, r *http.Request) {
	w.Header()["Date"] = nil
	at.next(w, r)
}

// A udpFault changes what a server of time replies; nil is silence.
type udpFault func(reply []byte) []byte

func onUDP(hosts []string, g udpFault) effect { return effect{hosts: hosts, alterReply: g} }

// alteredReply is a reply as the faults that are broken now leave it.
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

// ntpAhead replies as a server whose clock is ahead by whole seconds.
func ntpAhead(by time.Duration) udpFault {
	return func(reply []byte) []byte {
		for _, at := range []int{16, 32, 40} { // when it heard of the time, got the question, sent the reply
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

// ntpReplayed answers another question than was asked.
func ntpReplayed(reply []byte) []byte {
	for i := range reply[24:32] {
		reply[24+i] ^= 0xff
	}
	return reply
}

func ntpSilent([]byte) []byte { return nil }
