package clock

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/testenv"
	"prober/internal/timesync"
	"prober/probes/internal/probetest"
)

// dateAhead answers 200 with a Date of a clock that is ahead, or behind where that is negative.
func dateAhead(by time.Duration, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
		for i := 0; i < len(headers); i += 2 {
			w.Header()[headers[i]] = append(w.Header()[headers[i]], headers[i+1])
		}
		fmt.Fprint(w, "ok")
	}
}

// jsonAhead answers with the time in JSON.
func jsonAhead(by time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"now": %q, "unix": %d.%03d, "ms": %d}`, time.Now().Add(by).Format(time.RFC3339Nano),
			time.Now().Add(by).Unix(), time.Now().Add(by).UnixMilli()%1000, time.Now().Add(by).UnixMilli())
	}
}

// An ntpServer answers on loopback as the test says; nil is no answer.
func ntpServer(t *testing.T, answer func(reply []byte) []byte) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		question := make([]byte, 1024)
		for {
			_, from, err := conn.ReadFrom(question)
			if err != nil {
				return
			}
			reply := make([]byte, 48)
			copy(reply, []byte{4<<3 | 4, 2, 6, 0xec, 0, 0, 0, 66, 0, 0, 0, 66})
			copy(reply[24:32], question[40:48])
			for at, when := range map[int]time.Time{16: time.Now().Add(-time.Minute), 32: time.Now(), 40: time.Now()} {
				putNTP(reply[at:], when)
			}
			copy(reply[40:], reply[32:40])
			if reply = answer(reply); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

func putNTP(b []byte, t time.Time) {
	binary.BigEndian.PutUint32(b, uint32(t.Unix()+2208988800))
	binary.BigEndian.PutUint32(b[4:], uint32(uint64(t.Nanosecond())<<32/1e9))
}

func rightTime(reply []byte) []byte { return reply }

// shifted is a server whose clock is ahead.
func shifted(by time.Duration) func([]byte) []byte {
	return func(reply []byte) []byte {
		for _, at := range []int{16, 32, 40} {
			seconds := binary.BigEndian.Uint32(reply[at:])
			binary.BigEndian.PutUint32(reply[at:], seconds+uint32(int32(by/time.Second)))
		}
		return reply
	}
}

func silence([]byte) []byte { return nil }

// ntpServers starts a server for each answer.
func ntpServers(t *testing.T, answers ...func([]byte) []byte) []string {
	var all []string
	for _, a := range answers {
		all = append(all, ntpServer(t, a))
	}
	return all
}

func sharp() *probe.Duration { return new(probe.Duration) }

// outcome is the line of one check and target: verdict(reason): detail.
func clockOutcome(r probe.Result, check, target string) string {
	for _, c := range r.Checks {
		if c.Name == check && c.Target == target {
			return fmt.Sprintf("%s(%s): %s", c.Verdict, c.Reason, c.Detail)
		}
	}
	return "not noted"
}

func wantOutcome(t *testing.T, r probe.Result, check, target, begins string, holds ...string) {
	t.Helper()
	got := clockOutcome(r, check, target)
	if !strings.HasPrefix(got, begins) {
		t.Errorf("%s@%s: got %s, expected %s", check, target, got, begins)
	}
	for _, part := range holds {
		if !strings.Contains(got, part) {
			t.Errorf("%s@%s: no %q in %s", check, target, part, got)
		}
	}
}

// sample is the value of a measure with these labels.
func sample(r probe.Result, m *probe.Measure, labels ...string) (float64, bool) {
	for _, s := range r.Samples {
		if s.Measure == m && strings.Join(s.Values, " ") == strings.Join(labels, " ") {
			return s.Value, true
		}
	}
	return 0, false
}

// A proxy before two services may write the Date of both, whatever their clocks say: that these agree proves nothing.
// That they differ proves two clocks all the same.
func TestDate_sameAddress(t *testing.T) {
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/a": dateAhead(0), "/b": dateAhead(0), "/c": jsonAhead(0), "/d": dateAhead(5 * time.Second)})
	c := New()
	c.Services = map[string]Service{
		"a": {URL: url + "/a", DateAge: sharp()}, "b": {URL: url + "/b", DateAge: sharp()},
		"c": {URL: url + "/c", JSON: probetest.Path(t, "$.now")}, "d": {URL: url + "/d", DateAge: sharp()},
	}
	r := probetest.Run(t, Kind(), c)
	wantOutcome(t, r, "skew", "a/b", "inconclusive(same_server): a is ", " b, but both Dates come from ", ", where one proxy may write them: use the services' own addresses, json or iat")
	wantOutcome(t, r, "skew", "a/c", "pass(ok)")
	wantOutcome(t, r, "skew", "b/d", "fail(skew)")
	if r.Verdict() == probe.Pass {
		t.Error(probetest.Lines(r))
	}
}

func TestServices_agree(t *testing.T) {
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/a": dateAhead(0), "/c": jsonAhead(0)})
	other := probetest.Serve(t, map[string]http.HandlerFunc{"/b": dateAhead(0)})
	c := New()
	c.Services = map[string]Service{
		"auth":  {URL: url + "/a", DateAge: sharp()},
		"proxy": {URL: other + "/b", DateAge: sharp()},
		"api":   {URL: url + "/c", JSON: probetest.Path(t, "$.now")},
	}
	c.Within = probe.Duration(time.Second)
	r := probetest.Run(t, Kind(), c)
	if r.Verdict() != probe.Pass {
		t.Error(probetest.Lines(r))
	}
	for _, pair := range []string{"api/auth", "api/proxy", "auth/proxy"} {
		wantOutcome(t, r, "skew", pair, "pass(ok): ")
	}
	skew, _ := sample(r, skewGauge, "auth", "proxy")
	doubt, ok := sample(r, skewUncertaintyGauge, "auth", "proxy")
	if !ok || max(skew, -skew) > doubt || doubt > 1 {
		t.Errorf("a skew of %g ± %g of one clock", skew, doubt)
	}
}

func TestServices_oneAhead(t *testing.T) {
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/auth": dateAhead(4200 * time.Millisecond), "/proxy": dateAhead(0)})
	for age, within := range map[time.Duration]time.Duration{0: time.Second, time.Second: 2 * time.Second} {
		d := probe.Duration(age)
		c := New()
		c.Services = map[string]Service{"auth": {URL: url + "/auth", DateAge: &d}, "proxy": {URL: url + "/proxy", DateAge: &d}}
		c.Within = probe.Duration(within)
		r := probetest.Run(t, Kind(), c)
		wantOutcome(t, r, "skew", "auth/proxy", "fail(skew): auth is ",
			" ahead of proxy, expected within "+c.Within.String()+"; tokens it issues are refused as not yet valid by verifiers with a leeway under ")
		skew, _ := sample(r, skewGauge, "auth", "proxy")
		doubt, _ := sample(r, skewUncertaintyGauge, "auth", "proxy")
		if t.Failed() {
			t.Log(probetest.Lines(r))
		}
		if skew-doubt > 4.2 || skew+doubt < 4.2 {
			t.Errorf("4.2 s is not within %g ± %g", skew, doubt)
		}
	}
}

func TestServices_aheadNamedFirst(t *testing.T) {
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/auth": jsonAhead(-5 * time.Second), "/proxy": jsonAhead(0)})
	c := New()
	c.Services = map[string]Service{"auth": {URL: url + "/auth", JSON: probetest.Path(t, "$.now")}, "proxy": {URL: url + "/proxy", JSON: probetest.Path(t, "$.ms"), Format: unixMS}}
	r := probetest.Run(t, Kind(), c)
	wantOutcome(t, r, "skew", "auth/proxy", "fail(skew): proxy is 5.0 s (±", " ms) ahead of auth, expected within 2s; tokens it issues ", "leeway under 5.0 s")
	if skew, _ := sample(r, skewGauge, "auth", "proxy"); skew > -4.9 || skew < -5.1 {
		t.Errorf("the skew of auth against proxy: got %g, expected -5", skew)
	}
}

func TestUTC_blamesOneService(t *testing.T) {
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/auth": jsonAhead(-5 * time.Second), "/proxy": jsonAhead(0)})
	c := New()
	c.NTP = ntpServers(t, rightTime, rightTime, rightTime, rightTime)
	c.Services = map[string]Service{"auth": {URL: url + "/auth", JSON: probetest.Path(t, "$.now")}, "proxy": {URL: url + "/proxy", JSON: probetest.Path(t, "$.unix"), Format: unix}}
	r := probetest.Run(t, Kind(), c)
	wantOutcome(t, r, "utc", "proxy", "pass(ok)")
	wantOutcome(t, r, "utc", "auth", "fail(skew): auth is 5.0 s (±", " behind UTC, expected within 2s; it refuses tokens of other issuers as not yet valid with a leeway under 5.0 s, and those it issues expire early")
	wantOutcome(t, r, "skew", "auth/proxy", "fail(skew)")
	wantOutcome(t, r, "ntp", "", "pass(ok): this machine's clock is ", " UTC, by 4 of 4 NTP servers")
}

func TestNTP_quorum(t *testing.T) {
	kiss := func(code string) func([]byte) []byte {
		return func(b []byte) []byte { b[1] = 0; copy(b[12:], code); return b }
	}
	for name, test := range map[string]struct {
		answers []func([]byte) []byte
		ntp     string
		first   string // of the first server
	}{
		"all right":     {[]func([]byte) []byte{rightTime, rightTime, rightTime, rightTime}, "pass(ok)", "pass(ok): stratum 2, "},
		"one is ahead":  {[]func([]byte) []byte{shifted(120 * time.Second), rightTime, rightTime, rightTime}, "pass(ok)", "inconclusive(falseticker): stratum 2, 2m0s (±"},
		"three are":     {[]func([]byte) []byte{rightTime, shifted(7 * time.Second), shifted(7 * time.Second), shifted(7 * time.Second)}, "fail(skew): this machine's clock is 7.0 s (±", "inconclusive(falseticker)"},
		"all are":       {[]func([]byte) []byte{shifted(-7 * time.Second), shifted(-7 * time.Second), shifted(-7 * time.Second), shifted(-7 * time.Second)}, "fail(skew): this machine's clock is 7.0 s (±", "pass(ok)"},
		"two and two":   {[]func([]byte) []byte{shifted(7 * time.Second), shifted(7 * time.Second), rightTime, rightTime}, "inconclusive(quorum): expected 3 of 4 NTP servers to agree, but their times are too far apart", "inconclusive(quorum)"},
		"one is silent": {[]func([]byte) []byte{silence, rightTime, rightTime, rightTime}, "pass(ok)", "inconclusive(timeout): no answer within 2s"},
		"two are":       {[]func([]byte) []byte{silence, silence, rightTime, rightTime}, "inconclusive(quorum): expected 3 of 4 NTP servers to agree, got usable answers from 2", "inconclusive(timeout)"},
		"three, apart":  {[]func([]byte) []byte{silence, shifted(7 * time.Second), rightTime, rightTime}, "inconclusive(quorum): expected 3 of 4 NTP servers to agree, but their times are too far apart", "inconclusive(timeout)"},
		"kiss RATE":     {[]func([]byte) []byte{kiss("RATE"), rightTime, rightTime, rightTime}, "pass(ok)", "inconclusive(rate_limited)"},
		"kiss DENY":     {[]func([]byte) []byte{kiss("DENY"), rightTime, rightTime, rightTime}, "pass(ok)", "inconclusive(kiss_of_death)"},
		"hostile":       {[]func([]byte) []byte{func(b []byte) []byte { b[2], b[3], b[1] = 0x80, 0x80, 255; return b }, rightTime, rightTime, rightTime}, "pass(ok)", "inconclusive(bad_reply)"},
		"unsure of 0.6s": {[]func([]byte) []byte{shiftedDoubt, shiftedDoubt, shiftedDoubt, shiftedDoubt},
			"inconclusive(within_uncertainty): this machine's clock is ", "pass(ok)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := New()
			c.NTP = ntpServers(t, test.answers...)
			r := probetest.Run(t, Kind(), c)
			wantOutcome(t, r, "ntp", "", test.ntp)
			wantOutcome(t, r, "servers", c.NTP[0], test.first)
			false_, right := strings.Contains(test.first, "falseticker"), strings.HasPrefix(test.first, "pass")
			if got, known := sample(r, falsetickerGauge, c.NTP[0]); known != (false_ || right) || (got == 1) != false_ {
				t.Errorf("the falseticker gauge is %v, known is %t", got, known)
			}
			if got := clockOutcome(r, "servers", c.NTP[0]); strings.Contains(got, "ago") {
				t.Errorf("an answer of this run is said to be older: %s", got)
			}
		})
	}
}

// shiftedDoubt is a server that may be wrong by 0.6 s.
func shiftedDoubt(b []byte) []byte {
	binary.BigEndian.PutUint32(b[8:], 1<<16*6/10)
	return b
}

// The numbers of the servers count, not their names.
func TestNTP_sameServerTwoNames(t *testing.T) {
	server := ntpServer(t, rightTime)
	_, port, _ := net.SplitHostPort(server)
	c := New()
	c.NTP, c.Quorum = []string{server, "localhost:" + port}, 2
	r := probetest.Run(t, Kind(), c)
	wantOutcome(t, r, "ntp", "", "inconclusive(quorum)")
	if !strings.Contains(probetest.Lines(r), "(same_server): it is the same server as ") {
		t.Error(probetest.Lines(r))
	}
}

// One server at two addresses is recognised by its reference time, which no two servers share.
func TestNTP_sameServerTwoAddresses(t *testing.T) {
	heard := time.Now().Add(-30 * time.Second)
	one := func(b []byte) []byte { copy(b[12:16], "GPS\x00"); putNTP(b[16:], heard); return b }
	for name, test := range map[string]struct {
		other func([]byte) []byte
		want  string
	}{
		"the same":                  {one, "inconclusive(quorum)"},
		"heard at another time":     {rightTime, "pass(ok)"},
		"heard from somebody else":  {func(b []byte) []byte { one(b)[12] = 'X'; return b }, "pass(ok)"},
		"of another stratum":        {func(b []byte) []byte { one(b)[1] = 3; return b }, "pass(ok)"},
		"stamps of whole seconds":   {func(b []byte) []byte { one(b); clear(b[20:24]); return b }, "pass(ok)"},
		"both of whole seconds too": {nil, "pass(ok)"},
	} {
		first := one
		if test.other == nil {
			first = func(b []byte) []byte { one(b); clear(b[20:24]); return b }
			test.other = first
		}
		c := New()
		c.NTP, c.Quorum = ntpServers(t, first, test.other), 2
		r := probetest.Run(t, Kind(), c)
		wantOutcome(t, r, "ntp", "", test.want)
		if name == "the same" {
			wantOutcome(t, r, "servers", c.NTP[1], "inconclusive(same_server): it is the same server as "+c.NTP[0]+" (same reference time), so it counts once")
		}
	}
}

// All servers are asked at once: each of these answers only when all have been asked.
func TestNTP_concurrent(t *testing.T) {
	const n = 8
	var asked atomic.Int64
	all := make(chan struct{})
	together := func(b []byte) []byte {
		if asked.Add(1) == n {
			close(all)
		}
		<-all
		return b
	}
	c := New()
	c.NTP = ntpServers(t, slices.Repeat([]func([]byte) []byte{together}, n)...)
	r := probetest.Run(t, Kind(), c)
	if asked.Load() < n {
		close(all)
	}
	wantOutcome(t, r, "ntp", "", "pass(ok)", "by 8 of 8 NTP servers")
}

// What is exported of a server is what it said.
func TestNTP_measures(t *testing.T) {
	c := New()
	c.NTP, c.Quorum = ntpServers(t, func(b []byte) []byte {
		b[0] |= 2 << 6
		b[1] = 7
		binary.BigEndian.PutUint32(b[4:], 1<<16/5)  // root delay: 200 ms
		binary.BigEndian.PutUint32(b[8:], 1<<16/10) // root dispersion: 100 ms
		return b
	}), 1
	r := probetest.Run(t, Kind(), c)
	value := func(m *probe.Measure, source string) float64 {
		v, known := sample(r, m, source)
		if !known {
			t.Fatalf("%s is not exported of %s", m.Name, source)
		}
		return v
	}
	rtt := value(rttGauge, c.NTP[0])
	if got := value(stratumGauge, c.NTP[0]); got != 7 {
		t.Errorf("stratum %g", got)
	}
	if got := value(leapGauge, c.NTP[0]); got != 2 {
		t.Errorf("leap %g", got)
	}
	if got := value(falsetickerGauge, c.NTP[0]); got != 0 {
		t.Errorf("falseticker %g", got)
	}
	for _, m := range []*probe.Measure{rootDistanceGauge, uncertaintyGauge} {
		if got := value(m, c.NTP[0]) - rtt/2; got < 0.199 || got > 0.201 {
			t.Errorf("%s: got %g and half of the round trip, expected 0.2: half of 200 ms and 100 ms", m.Name, got)
		}
	}
	for _, source := range []string{c.NTP[0], utcName} {
		if off, doubt := value(offsetGauge, source), value(uncertaintyGauge, source); max(off, -off) > doubt {
			t.Errorf("%s: the same clock is %g ± %g off", source, off, doubt)
		}
	}
}

func TestSource_unreadable(t *testing.T) {
	noDate := func(w http.ResponseWriter, _ *http.Request) { w.Header()["Date"] = nil }
	moved := func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, "/elsewhere", http.StatusFound) }
	const marker = "hostile-marker-4711"
	date := func(values ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Header()["Date"] = values }
	}
	now := time.Now().UTC().Format(http.TimeFormat)
	for name, test := range map[string]struct {
		handle http.HandlerFunc
		json   string
		format string
		want   string
	}{
		"no Date":            {noDate, "", "", "(header): its time cannot be read: the answer has no Date"},
		"two Dates":          {date(now, now), "", "", "(header): its time cannot be read: the answer has more than one Date"},
		"garbled Date":       {date("yesterday " + marker), "", "", "(header): its time cannot be read: the Date of the answer cannot be parsed"},
		"Age":                {dateAhead(0, "Age", "60"), "", "", "(stale_or_cached): "},
		"Age 0":              {dateAhead(0, "Age", "0"), "", "", "(stale_or_cached): its time cannot be read: the answer has a header Age: "},
		"a CDN":              {dateAhead(0, "X-Amz-Cf-Id", marker), "", "", "(stale_or_cached): its time cannot be read: the answer has a header X-Amz-Cf-Id: "},
		"a proxy on the way": {dateAhead(0, "Via", "1.1 "+marker), "", "", "(stale_or_cached): "},
		"304":                {probetest.Respond(304, "", ""), "", "", "(stale_or_cached): "},
		"302":                {moved, "", "", "(redirect): "},
		"401":                {probetest.Respond(401, "", ""), "", "", "(status): its time cannot be read: expected 2xx, got 401: no credential was sent, so anybody gets it"},
		"403":                {probetest.Respond(403, "", ""), "", "", "(status): its time cannot be read: expected 2xx, got 403: no credential was sent, so anybody gets it"},
		"404":                {probetest.Respond(404, "", ""), "", "", "(status): its time cannot be read: expected 2xx, got 404"},
		"429":                {probetest.Respond(429, "", ""), "", "", "(status): its time cannot be read: expected 2xx, got 429: no credential was sent"},
		"503":                {probetest.Respond(503, "", ""), "", "", "(status): "},
		"no JSON":            {probetest.Respond(200, "", marker), "$.now", "", "(schema): "},
		"no time in JSON":    {probetest.Respond(200, "", `{"now": "`+marker+`"}`), "$.now", "", "(schema): its time cannot be read: $.now: expected a time (rfc3339), got another value"},
		"an object in JSON":  {probetest.Respond(200, "", `{"now": {}}`), "$.now", unix, "(schema): "},
		"nothing there":      {probetest.Respond(200, "", `{}`), "$.now", "", "(schema): its time cannot be read: $.now: expected one time, got 0"},
		"two times":          {probetest.Respond(200, "", `{"now": [1, 2]}`), "$.now[*]", unix, "(schema): "},
		"huge":               {probetest.Respond(200, "", `{"now": 1e300}`), "$.now", unix, "(schema): "},
		"a number too large": {probetest.Respond(200, "", `{"now": 99999999999999999999}`), "$.now", unixMS, "(schema): "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := probetest.Serve(t, map[string]http.HandlerFunc{"/": test.handle, "/b": jsonAhead(0)})
			c := New()
			s := Service{URL: url + "/"}
			if test.json != "" {
				s.JSON, s.Format = probetest.Path(t, test.json), test.format
			}
			c.Services = map[string]Service{"a": s, "b": {URL: url + "/b", JSON: probetest.Path(t, "$.now")}}
			r := probetest.Run(t, Kind(), c)
			wantOutcome(t, r, "source", "a", "inconclusive"+test.want)
			wantOutcome(t, r, "skew", "a/b", "not noted")
			wantOutcome(t, r, "source", "b", "pass(ok)")
			if r.Verdict() != probe.Inconclusive || strings.Contains(probetest.Lines(r), marker) {
				t.Error(probetest.Lines(r))
			}
		})
	}
}

// TestSource_rejectedCredential: a service that refuses the credential of the prober refuses nobody else.
func TestSource_rejectedCredential(t *testing.T) {
	t.Setenv("CLOCK_TEST_SECRET", "s3cret-of-the-client")
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/": probetest.Respond(401, "", ""), "/b": jsonAhead(0)})
	a := Service{URL: url}
	a.Bearer = secret.Env("CLOCK_TEST_SECRET")
	c := New()
	c.Services = map[string]Service{"a": a, "b": {URL: url + "/b", JSON: probetest.Path(t, "$.now")}}
	wantOutcome(t, probetest.Run(t, Kind(), c), "source", "a", "inconclusive(credential): its time cannot be read: ")
}

// TestNTP_shortRun: a server that is silent leaves more than half of the run to the others.
func TestNTP_shortRun(t *testing.T) {
	c := New()
	c.NTP = ntpServers(t, silence, rightTime, rightTime, rightTime)
	got := clockOutcome(probetest.RunWithin(t, 500*time.Millisecond, Kind(), c), "servers", c.NTP[0])
	within, err := time.ParseDuration(strings.TrimPrefix(got, "inconclusive(timeout): no answer within "))
	if err != nil || within > 200*time.Millisecond {
		t.Errorf("got %s, expected to wait for no more than 200ms", got)
	}
}

// A cached copy repeats one time, and no header says that it is a copy.
func TestSource_repeatedTime(t *testing.T) {
	stands := time.Now().Add(-time.Minute)
	url := probetest.Serve(t, map[string]http.HandlerFunc{
		"/date": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", stands.UTC().Format(http.TimeFormat))
		},
		"/json":    probetest.Respond(200, "application/json", fmt.Sprintf(`{"now": %q}`, stands.Format(time.RFC3339Nano))),
		"/healthy": jsonAhead(0),
	})
	c := New()
	c.Services = map[string]Service{
		"date":    {URL: url + "/date", DateAge: sharp()},
		"json":    {URL: url + "/json", JSON: probetest.Path(t, "$.now")},
		"healthy": {URL: url + "/healthy", JSON: probetest.Path(t, "$.now")},
	}
	r := probetest.Run(t, Kind(), c)
	for _, name := range []string{"date", "json"} {
		if got := clockOutcome(r, "source", name); !strings.HasPrefix(got, "inconclusive(stale_or_cached)") && !strings.HasPrefix(got, "inconclusive(mixed_clocks)") {
			t.Errorf("%s: got %s", name, got)
		}
	}
	if strings.Contains(probetest.Lines(r), "fail") {
		t.Errorf("blamed for a cache:\n%s", probetest.Lines(r))
	}
}

// Two servers behind one address whose clocks differ are no one clock.
func TestSource_mixedClocks(t *testing.T) {
	var turn atomic.Int64
	url := probetest.Serve(t, map[string]http.HandlerFunc{
		"/": func(w http.ResponseWriter, q *http.Request) {
			jsonAhead(time.Duration(turn.Add(1)%2)*10*time.Second)(w, q)
		},
		"/healthy": jsonAhead(0),
	})
	c := New()
	c.Services = map[string]Service{"a": {URL: url + "/", JSON: probetest.Path(t, "$.now")}, "b": {URL: url + "/healthy", JSON: probetest.Path(t, "$.now")}}
	r := probetest.Run(t, Kind(), c)
	wantOutcome(t, r, "source", "a", "inconclusive(mixed_clocks): no single clock explains $.now of 2 answers")
}

// issuing answers as a token endpoint whose clock is ahead.
func issuing(t *testing.T, by time.Duration, issued *[]string) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		user, password, _ := q.BasicAuth()
		if q.Method != "POST" || user != "prober" || password != "s3cret-of-the-client" || q.FormValue("grant_type") != "client_credentials" || q.FormValue("audience") != "test" || q.FormValue("scope") != "a b" {
			t.Errorf("asked for a token with %s by %q", q.Method, user)
		}
		payload := fmt.Sprintf(`{"iat": %d, "sub": "prober", "n": %d}`, time.Now().Add(by).Unix(), len(*issued))
		token := "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2lnbmF0dXJl"
		*issued = append(*issued, token)
		fmt.Fprintf(w, `{"access_token": %q, "token_type": "Bearer", "expires_in": 300}`, token)
	}
}

func TestIAT(t *testing.T) {
	var issued []string
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/token": issuing(t, 3*time.Second, &issued), "/proxy": jsonAhead(0)})
	t.Setenv("CLOCK_TEST_SECRET", "s3cret-of-the-client")
	c := New()
	c.Services = map[string]Service{
		"auth": {IAT: &httpx.OAuth2{TokenURL: url + "/token", ClientID: "prober", ClientSecret: secret.Env("CLOCK_TEST_SECRET"),
			Scopes: []string{"a", "b"}, Params: map[string]string{"audience": "test"}}},
		"proxy": {URL: url + "/proxy", JSON: probetest.Path(t, "$.now")},
	}
	r := probetest.Run(t, Kind(), c)
	wantOutcome(t, r, "skew", "auth/proxy", "fail(skew): auth is ", " ahead of proxy, expected within 2s; tokens it issues are refused as not yet valid")
	wantOutcome(t, r, "source", "auth", "pass(ok)", "by the iat of ")
	if n := len(issued); n < 2 || n > maxTokens {
		t.Errorf("asked for %d tokens", n)
	}
	for _, token := range issued[len(issued)-1:] { // an earlier one has had its time
		if secret.Redact("got "+token) != "got <redacted>" {
			t.Errorf("the token is not known as a secret: %s", secret.Redact("got "+token))
		}
	}
	if len(r.Exchanges) < 3 {
		t.Errorf("expected every request noted, got %d", len(r.Exchanges))
	}
}

func TestIAT_unreadable(t *testing.T) {
	t.Setenv("CLOCK_TEST_SECRET", "s3cret-of-the-client")
	jwt := func(payload string) string {
		return fmt.Sprintf(`{"access_token": "eyJhbGciOiJub25lIn0.%s.c2ln"}`, base64.RawURLEncoding.EncodeToString([]byte(payload)))
	}
	for name, test := range map[string]struct {
		status     int
		body, want string
	}{
		"refused":        {401, `{"error": "invalid_client"}`, "(credential)"},
		"no token":       {200, `{}`, "(schema): its time cannot be read: the token endpoint did not answer with a JWT, so there is no time to read"},
		"opaque":         {200, `{"access_token": "opaque-token"}`, "(schema): its time cannot be read: the token endpoint did not answer with a JWT, so there is no time to read"},
		"no iat":         {200, jwt(`{"sub": "x"}`), "(schema): its time cannot be read: the token has no valid iat"},
		"iat is a text":  {200, jwt(`{"iat": "now"}`), "(schema)"},
		"iat of 2128":    {200, jwt(`{"iat": 5000000000}`), "(schema): its time cannot be read: the token has no valid iat"},
		"iat is too far": {200, jwt(`{"iat": 1e18}`), "(schema)"},
	} {
		t.Run(name, func(t *testing.T) {
			url := probetest.Serve(t, map[string]http.HandlerFunc{"/token": probetest.Respond(test.status, "application/json", test.body), "/b": jsonAhead(0)})
			c := New()
			c.Services = map[string]Service{
				"a": {IAT: &httpx.OAuth2{TokenURL: url + "/token", ClientID: "prober", ClientSecret: secret.Env("CLOCK_TEST_SECRET"), AuthStyle: "params"}},
				"b": {URL: url + "/b", JSON: probetest.Path(t, "$.now")},
			}
			wantOutcome(t, probetest.Run(t, Kind(), c), "source", "a", "inconclusive"+test.want)
		})
	}
}

// If this machine's clock was set during the run, nothing fails and nothing is exported.
func TestOwnClock_stepped(t *testing.T) {
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/a": jsonAhead(30 * time.Second), "/b": jsonAhead(0)})
	for _, by := range []time.Duration{30 * time.Second, -30 * time.Second} {
		c := New()
		c.NTP = ntpServers(t, shifted(30*time.Second), shifted(30*time.Second), shifted(30*time.Second))
		c.Services = map[string]Service{"a": {URL: url + "/a", JSON: probetest.Path(t, "$.now")}, "b": {URL: url + "/b", JSON: probetest.Path(t, "$.now")}}
		c.stepped = func() (time.Duration, bool) { return by, true }
		r := probetest.Run(t, Kind(), c)
		probetest.WantLines(t, r, "inconclusive", "run inconclusive(self_clock): this machine's clock was set by 30.0 s during the run: nothing can be compared with it")
		if r.Samples != nil {
			t.Errorf("exported %v", r.Samples)
		}
	}
}

// What a server said is carried over to the clock of the run: where this machine's clock was moved in between, by less
// than would spoil the run, the offset moves with it.
func TestReading_convertedToRunClock(t *testing.T) {
	const by = 10 * time.Second
	c := New()
	c.NTP, c.Quorum = ntpServers(t, rightTime), 1
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	base := time.Now().Add(-by) // moves both clocks; a Time holds the monotonic one in its second word
	*(*int64)(unsafe.Add(unsafe.Pointer(&base), 8)) += int64(by)
	seen := c.askServer(t.Context(), c.servers[0], base)
	if seen.err != nil || (seen.Offset.Mid()-by).Abs() > by/2 {
		t.Errorf("got %v %v; by the clock of the run the server is %s ahead", seen.Offset, seen.err, by)
	}
}

// Between 2 s and 3 s apart, the verdict is inconclusive while a leap second is announced.
func TestLeapSecond(t *testing.T) {
	leap := func(b []byte) []byte { b[0] |= 1 << 6; return b }
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/a": jsonAhead(2500 * time.Millisecond), "/b": jsonAhead(0)})
	for name, test := range map[string]struct {
		answer func([]byte) []byte
		want   string
	}{
		"announced":     {leap, "inconclusive(within_uncertainty): "},
		"not announced": {rightTime, "fail(skew)"},
	} {
		c := New()
		c.NTP = ntpServers(t, test.answer, test.answer, test.answer, rightTime)
		c.Services = map[string]Service{"a": {URL: url + "/a", JSON: probetest.Path(t, "$.now")}, "b": {URL: url + "/b", JSON: probetest.Path(t, "$.now")}}
		r := probetest.Run(t, Kind(), c)
		wantOutcome(t, r, "skew", "a/b", test.want)
		wantOutcome(t, r, "utc", "a", test.want)
		if got := clockOutcome(r, "skew", "a/b"); strings.HasSuffix(got, "within 2s; a leap second is announced") != (name == "announced") {
			t.Errorf("%s: got %s", name, got)
		}
		if got, _ := sample(r, leapGauge, c.NTP[0]); (got == 1) != (name == "announced") {
			t.Errorf("%s: the gauge is %g", name, got)
		}
	}
}

// A leap second that is announced excuses this machine's clock for one second too, and does not make it right.
func TestLeapSecond_ownClock(t *testing.T) {
	for by, want := range map[time.Duration]string{time.Second: "inconclusive(within_uncertainty)", 2 * time.Second: "fail(skew)"} {
		answer := func(b []byte) []byte { b[0] |= 1 << 6; return shifted(by)(b) }
		c := New()
		c.NTP = ntpServers(t, answer, answer, answer)
		wantOutcome(t, probetest.Run(t, Kind(), c), "ntp", "", want)
	}
}

// Of two clocks that are compared with each other the doubt about UTC grows too, from when the servers were asked.
func TestUTC_uncertaintyGrows(t *testing.T) {
	c := New()
	c.Services = map[string]Service{"a": {URL: "http://127.0.0.1:1/"}}
	if err := c.validateServices(); err != nil {
		t.Fatal(err)
	}
	const age = 1000 * time.Second
	s := &runState{Probe: c, base: time.Now().Add(-age), clocks: make([]sourceReadings, 1), agreed: true}
	now := s.at(time.Now())
	s.clocks[0].Add(timesync.Sample{Earliest: now, Latest: now, Sent: now, Received: now})
	if got := s.pairs()[0].apart.Uncertainty(); got < timesync.Drift(age) {
		t.Errorf("got ±%s, expected ±%s at least", got, timesync.Drift(age))
	}
}

// The difference of two services does not depend on this machine's clock: NTP says that it is 7 s behind, and the
// services, which are right, agree with each other and with UTC all the same.
func TestSkew_withoutOwnOffset(t *testing.T) {
	ahead := 7 * time.Second
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/a": jsonAhead(ahead), "/b": dateAhead(ahead)})
	c := New()
	c.NTP = ntpServers(t, shifted(ahead), shifted(ahead), shifted(ahead), shifted(ahead))
	c.Services = map[string]Service{"a": {URL: url + "/a", JSON: probetest.Path(t, "$.now")}, "b": {URL: url + "/b", DateAge: sharp()}}
	r := probetest.Run(t, Kind(), c)
	wantOutcome(t, r, "ntp", "", "fail(skew)")
	for _, want := range [][2]string{{"skew", "a/b"}, {"utc", "a"}, {"utc", "b"}} {
		wantOutcome(t, r, want[0], want[1], "pass(ok)")
	}
}

// A run ends by its deadline, and asks for a longer timeout.
func TestTimeout_tooShort(t *testing.T) {
	mux := http.NewServeMux()
	for path, answer := range map[string]http.HandlerFunc{"/a": dateAhead(0), "/b": dateAhead(0), "/c": dateAhead(-time.Minute), "/d": jsonAhead(0)} {
		mux.Handle(path, answer)
	}
	url := testenv.ServeInMemory(t, mux)
	c := New()
	c.Services = map[string]Service{"a": {URL: url + "/a"}, "b": {URL: url + "/b"}, "c": {URL: url + "/c"}, "d": {URL: url + "/d", JSON: probetest.Path(t, "$.now")}}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	var r probe.Result
	testenv.Bubble(t, func(ctx context.Context, open testenv.Open) {
		r = probe.Job{ID: probe.ID{System: "test", Name: "it"}, Probe: c, Interval: time.Minute, Timeout: 300 * time.Millisecond}.Do(dial.WithOpen(ctx, open))
	})
	if r.Verdict() != probe.Inconclusive || strings.Contains(probetest.Lines(r), "hung") {
		t.Error(probetest.Lines(r))
	}
	// Each was asked once, and a cached copy would have said the same.
	wantOutcome(t, r, "source", "d", "pass(ok)") // its clock was seen to move
	for _, pair := range []string{"a/b", "a/c", "b/c", "a/d", "c/d"} {
		wantOutcome(t, r, "skew", pair, "not noted")
	}
	wantOutcome(t, r, "source", "c", "inconclusive(")
}

// TestReading_connecting: what it takes to connect is no part of the doubt, since nothing is asked before.
func TestReading_connecting(t *testing.T) {
	url := testenv.ServeInMemory(t, jsonAhead(0))
	c := New()
	c.Services = map[string]Service{"a": {URL: url, JSON: probetest.Path(t, "$.now")}, "b": {URL: url, JSON: probetest.Path(t, "$.now")}}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	testenv.Bubble(t, func(ctx context.Context, open testenv.Open) {
		slow := func(ctx context.Context, network, address string) (net.Conn, error) {
			<-time.After(time.Second)
			return open(ctx, network, address)
		}
		r := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Probe: c, Interval: time.Minute, Timeout: 20 * time.Second}.Do(dial.WithOpen(ctx, slow))
		wantOutcome(t, r, "skew", "a/b", "pass(ok): ")
		if doubt, known := sample(r, uncertaintyGauge, "a"); !known || doubt > .1 {
			t.Errorf("the clock is known to %g s, %t", doubt, known)
		}
	})
}

// A verdict takes the whole interval: the middle alone decides nothing.
func TestJudgePair_limits(t *testing.T) {
	c := New() // within 2 s
	for name, test := range map[string]struct {
		mid  time.Duration
		leap bool
		want probe.Reason
	}{
		"surely within":             {1600 * time.Millisecond, false, probe.OK},
		"at the limit":              {1700 * time.Millisecond, false, probe.OK},
		"probably within":           {1900 * time.Millisecond, false, reasonWithinUncertainty},
		"probably beyond":           {2200 * time.Millisecond, false, reasonWithinUncertainty},
		"surely beyond":             {2400 * time.Millisecond, false, reasonSkew},
		"within around a leap":      {1600 * time.Millisecond, true, probe.OK},
		"beyond, around a leap":     {2400 * time.Millisecond, true, reasonWithinUncertainty},
		"far beyond, around a leap": {3400 * time.Millisecond, true, reasonSkew},
	} {
		run := &runState{Probe: c, leapNear: test.leap}
		for _, sign := range []time.Duration{1, -1} {
			if got := run.judgePair(pair{apart: timesync.Around(sign*test.mid, 300*time.Millisecond)}); got != test.want {
				t.Errorf("%s (%s ± 0.3 s): got %s, expected %s", name, sign*test.mid, got, test.want)
			}
		}
	}
}

// A name server that takes every question and answers none ends the run at its timeout, whatever the NTP library would
// wait for, and with it the look-ups.
func TestTimeout_unresponsiveDNS(t *testing.T) {
	hole, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	c := New()
	c.NTP = []string{"a.ntp.test", "b.ntp.test", "c.ntp.test", "d.ntp.test:1123"}
	c.Services = map[string]Service{"a": {URL: "http://a.service.test/"}}
	c.Resolver = hole.LocalAddr().String()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	r := probetest.Do(t.Context(), probe.Job{ID: probe.ID{System: "test", Name: "it"}, Probe: c, Interval: time.Minute, Timeout: time.Second})
	if r.Took > 3*time.Second || strings.Contains(probetest.Lines(r), "hung") || r.Verdict() != probe.Inconclusive {
		t.Errorf("after %s:\n%s", r.Took, probetest.Lines(r))
	}
	for _, name := range c.NTP {
		wantOutcome(t, r, "servers", name, "inconclusive(dns_timeout): no name server answered")
	}
	wantOutcome(t, r, "source", "a", "inconclusive(dns_timeout): ", "no name server answered for a.service.test")
	wantOutcome(t, r, "ntp", "", "inconclusive(quorum): expected 3 of 4 NTP servers to agree, got usable answers from 0")
}

// No service is asked more often than eight times in a run, however little its answers help.
func TestSource_maxRequests(t *testing.T) {
	var asked atomic.Int64
	url := probetest.Serve(t, map[string]http.HandlerFunc{
		"/a": func(w http.ResponseWriter, q *http.Request) {
			asked.Add(1)
			if q.Header.Get("Cache-Control") != "no-cache" {
				t.Error("the request lacks Cache-Control: no-cache")
			}
			jsonAhead(0)(w, q)
		},
		"/b": func(w http.ResponseWriter, q *http.Request) { // 2 s ± 3 ms ahead: inconclusive
			jsonAhead(2*time.Second)(w, q)
		},
	})
	c := New()
	c.Services = map[string]Service{"a": {URL: url + "/a", JSON: probetest.Path(t, "$.now")}, "b": {URL: url + "/b", JSON: probetest.Path(t, "$.now")}}
	r := probetest.Run(t, Kind(), c)
	if n := asked.Load(); n > maxReadings {
		t.Errorf("asked %d times", n)
	}
	if got := clockOutcome(r, "skew", "a/b"); strings.HasPrefix(got, "pass") || strings.HasPrefix(got, "fail") {
		t.Errorf("the limit lies within the doubt, got %s", got)
	}
}

func TestNTP_minInterval(t *testing.T) {
	var asked atomic.Int64
	counting := func(b []byte) []byte { asked.Add(1); return b }
	c := New()
	c.NTP = ntpServers(t, counting, counting, counting, counting)
	for range 3 {
		wantOutcome(t, run2(t, c, &asked), "ntp", "", "pass(ok)")
	}
	if n := asked.Load(); n != 4 {
		t.Errorf("four servers were asked %d times within a second", n)
	}
}

// run2 runs a probe that is validated once.
func run2(t *testing.T, c *Probe, asked *atomic.Int64) probe.Result {
	t.Helper()
	if asked.Load() == 0 {
		return probetest.Run(t, Kind(), c)
	}
	return probe.Job{ID: probe.ID{System: "test", Name: "it"}, Probe: c, Interval: time.Minute, Timeout: 10 * time.Second}.Do(t.Context())
}

func TestValidate(t *testing.T) {
	four := []string{"a.example", "b.example", "c.example", "d.example:1123"}
	grant := func(o httpx.OAuth2) Service { return Service{IAT: &o} }
	minute := probe.Duration(2 * time.Minute)
	for name, test := range map[string]struct {
		set  func(c *Probe)
		want string // empty: nothing wrong
	}{
		"ntp alone":          {func(c *Probe) { c.NTP = four }, ""},
		"IPv6":               {func(c *Probe) { c.NTP = []string{"2001:db8::1", "[2001:db8::2]:123", "c.example", "d.example"} }, ""},
		"one trusted server": {func(c *Probe) { c.NTP, c.Quorum = four[:1], 1 }, ""},
		"three of three":     {func(c *Probe) { c.NTP = four[:3] }, ""},
		"two services": {func(c *Probe) {
			c.Services = map[string]Service{"a": {URL: "https://a.example"}, "b": {URL: "https://b.example"}}
		}, ""},
		"a service and ntp":   {func(c *Probe) { c.NTP = four; c.Services = map[string]Service{"a": {URL: "https://a.example"}} }, ""},
		"nothing":             {func(*Probe) {}, "nothing to compare: expected ntp, two services, or both"},
		"one service":         {func(c *Probe) { c.Services = map[string]Service{"a": {URL: "https://a.example"}} }, "nothing to compare"},
		"two servers":         {func(c *Probe) { c.NTP = four[:2] }, "ntp: 2 servers cannot show which of them is wrong"},
		"twice the same":      {func(c *Probe) { c.NTP = append(four, "a.example:123") }, "ntp[4]: a.example:123 is listed twice"},
		"no server":           {func(c *Probe) { c.NTP = append(four, "") }, "ntp[4]: expected host or host:port"},
		"a URL":               {func(c *Probe) { c.NTP = append(four, "ntp://a.example") }, "ntp[4]: expected host or host:port"},
		"a bad port":          {func(c *Probe) { c.NTP = append(four, "e.example:0") }, "ntp[4]: expected host or host:port"},
		"no majority":         {func(c *Probe) { c.NTP, c.Quorum = four, 2 }, "quorum: expected more than half of the 4 ntp servers"},
		"one of four":         {func(c *Probe) { c.NTP, c.Quorum = four, 1 }, "quorum: expected more than half of the 4 ntp servers"},
		"two of one":          {func(c *Probe) { c.NTP, c.Quorum = four[:1], 2 }, "quorum: expected more than half of the 1 ntp server"},
		"more than there are": {func(c *Probe) { c.NTP, c.Quorum = four, 5 }, "quorum: expected more than half"},
		"a quorum of none":    {func(c *Probe) { c.Quorum = 3; c.NTP = nil }, "quorum: there are no ntp servers"},
		"limits of zero":      {func(c *Probe) { c.NTP, c.Within = four, 0 }, "within: must be above zero"},
		"what cannot be shown": {func(c *Probe) {
			c.Within = probe.Duration(time.Second)
			c.Services = map[string]Service{"a": {URL: "https://a.example"}, "b": {URL: "https://b.example"}}
		}, "within: 1s is too narrow for a and b"},
		"a bad resolver":      {func(c *Probe) { c.NTP, c.Resolver = four, "x" }, "resolver: expected host:port"},
		"a name with a slash": {func(c *Probe) { c.NTP = four; c.Services = map[string]Service{"a/b": {URL: "https://a.example"}} }, "services.a/b: expected a name of letters"},
		"a service named utc": {func(c *Probe) { c.NTP = four; c.Services = map[string]Service{"utc": {URL: "https://a.example"}} }, "services.utc: the name is taken"},
		"named as a server":   {func(c *Probe) { c.NTP = four; c.Services = map[string]Service{"a.example": {URL: "https://a.example"}} }, "services.a.example: the name is taken"},
		"no url":              {func(c *Probe) { c.NTP = four; c.Services = map[string]Service{"a": {}} }, "services.a.url: is missing"},
		"a format without": {func(c *Probe) {
			c.NTP = four
			c.Services = map[string]Service{"a": {URL: "https://a.example", Format: unix}}
		}, "services.a.format: expected"},
		"date_age too long": {func(c *Probe) {
			c.NTP = four
			c.Services = map[string]Service{"a": {URL: "https://a.example", DateAge: &minute}}
		}, "services.a.date_age: expected 0s to 1m"},
		"iat and url": {func(c *Probe) {
			c.NTP = four
			c.Services = map[string]Service{"a": {URL: "https://a.example", IAT: &httpx.OAuth2{}}}
		}, "services.a.iat: leaves no room"},
		"iat in clear": {func(c *Probe) {
			c.NTP = four
			c.Services = map[string]Service{"a": grant(httpx.OAuth2{TokenURL: "http://a.example/t", ClientID: "a", ClientSecret: secret.Env("A")})}
		}, "services.a.iat.token_url: http://a.example/t: http:// would send the credential in clear"},
	} {
		t.Run(name, func(t *testing.T) {
			c := New()
			test.set(c)
			err := c.Validate()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, expected %q", err, test.want)
			}
		})
	}
}

// TestNTPAddress checks which address a server is asked at.
func TestNTPAddress(t *testing.T) {
	for server, want := range map[string]string{
		"a.example": "a.example:123", "a.example:1123": "a.example:1123", "192.0.2.1": "192.0.2.1:123", "192.0.2.1:1": "192.0.2.1:1",
		"2001:db8::1": "[2001:db8::1]:123", "[2001:db8::1]:65535": "[2001:db8::1]:65535",
		"": "", ":123": "", "a.example:": "", "a.example:0": "", "a.example:65536": "", "a.example:ntp": "", "a b:1": "", "ntp://a.example": "", "[a:b]:1": "", "[2001:db8::1]": "",
	} {
		if got, ok := ntpAddress(server); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %t; expected %q", server, got, ok, want)
		}
	}
}

func TestParseTime(t *testing.T) {
	for _, test := range []struct {
		text, format string
		want         string // of the time, in UTC
		unit         time.Duration
	}{
		{"2026-11-22T01:02:03Z", "", "2026-11-22T01:02:03Z", time.Second},
		{"2026-11-22T03:02:03.25+02:00", rfc3339, "2026-11-22T01:02:03.25Z", 10 * time.Millisecond},
		{"2026-11-22T01:02:03.123456789Z", rfc3339, "2026-11-22T01:02:03.123456789Z", time.Microsecond},
		{"1795309323", unix, "2026-11-22T01:02:03Z", time.Second},
		{"1795309323.5", unix, "2026-11-22T01:02:03.5Z", 100 * time.Millisecond},
		{"2026-11-22T01:02:03.99Z", rfc3339, "2026-11-22T01:02:03.99Z", 10 * time.Millisecond},
		{"1795309323250", unixMS, "2026-11-22T01:02:03.25Z", time.Millisecond},
		{"-1", unix, "1969-12-31T23:59:59Z", time.Second},
	} {
		at, unit, ok := parseTime(test.text, test.format)
		if got := at.UTC().Format(time.RFC3339Nano); !ok || got != test.want || unit > test.unit || unit < test.unit/10 {
			t.Errorf("%s (%s): got %s, unit %s, %t; expected %s, %s", test.text, test.format, got, unit, ok, test.want, test.unit)
		}
	}
	for _, text := range []string{"", "now", "NaN", "Inf", "0x10", "1e3", "1_000", "2026-11-22", "9223372037"} {
		format := unix
		if strings.Contains(text, "-") {
			format = rfc3339
		}
		if at, _, ok := parseTime(text, format); ok && (text != "9223372037" || at.Year() > 2300) {
			t.Errorf("%q is taken for %s", text, at)
		}
	}
}

func TestLeeway(t *testing.T) {
	if got := leeway(timesync.Around(4200*time.Millisecond, 300*time.Millisecond)); got != "4.5 s" {
		t.Errorf("got %s", got)
	}
	if got := describeOffset(timesync.Around(-4200*time.Millisecond, 300*time.Millisecond)); got != "4.2 s (±300 ms) behind" {
		t.Errorf("got %s", got)
	}
}

// Two clocks that are wrong by more than an offset can say look alike, and need not be.
func TestSkew_beyondCompare(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, c := range []struct {
		a, b time.Duration
		want string
	}{
		{100 * year, 200 * year, "inconclusive(within_uncertainty): "}, {-70 * year, -65 * year, "inconclusive(within_uncertainty): "},
		{0, 100 * year, "fail(skew): b is 525600h0m0s "}, {-70 * year, 70 * year, "fail(skew): b is 1051200h0m0s "}, {50 * year, 50 * year, "pass(ok): "},
	} {
		ahead := func(by time.Duration) http.HandlerFunc {
			return func(w http.ResponseWriter, q *http.Request) {
				probetest.Respond(200, "application/json", `{"now": "`+time.Now().Add(by).Format(time.RFC3339Nano)+`"}`)(w, q)
			}
		}
		url := probetest.Serve(t, map[string]http.HandlerFunc{"/a": ahead(c.a), "/b": ahead(c.b)})
		p := New()
		p.Services = map[string]Service{"a": {URL: url + "/a", JSON: probetest.Path(t, "$.now")}, "b": {URL: url + "/b", JSON: probetest.Path(t, "$.now")}}
		wantOutcome(t, probetest.Run(t, Kind(), p), "skew", "a/b", c.want)
	}
}

// A clock whose time could not be read in the end, was not asked, or contradicts itself is compared with no other.
func TestSourceReadings_usable(t *testing.T) {
	var good sourceReadings
	now := time.Now()
	good.Add(timesync.Sample{Earliest: now, Latest: now.Add(time.Second), Sent: now, Received: now})
	failed, empty := good, good
	failed.err, empty.Interval = &probe.Outcome{Reason: probe.Timeout}, timesync.Interval{Lo: 1}
	for want, all := range map[bool][]sourceReadings{true: {good}, false: {failed, empty, {}}} {
		for _, seen := range all {
			if seen.usable() != want {
				t.Errorf("%+v: usable: %t", seen, !want)
			}
		}
	}
}
