package clock

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/httpx"
	"prober/internal/postgres"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/testenv"
	"prober/internal/timesync"
	"prober/probes/internal/probetest"
)

// TestChecks checks that a probe announces the checks that its settings ask for, and no other.
func TestChecks(t *testing.T) {
	for want, c := range map[string]*Probe{
		"servers ntp":                 {NTP: []string{"a"}},
		"source skew":                 {Services: map[string]Service{"a": {}, "b": {}}},
		"servers ntp source utc":      {NTP: []string{"a"}, Services: map[string]Service{"a": {}}},
		"servers ntp source skew utc": {NTP: []string{"a", "b"}, Services: map[string]Service{"a": {}, "b": {}}},
	} {
		if got := strings.Join(c.Checks(), " "); got != want {
			t.Errorf("got %s, expected %s", got, want)
		}
	}
}

// A leap second may be under way for a day after the last servers announced it.
func TestLeapHistory(t *testing.T) {
	var m leapHistory
	at := time.Now()
	for _, step := range []struct {
		after     time.Duration
		announced bool
		want      bool
	}{{0, false, false}, {time.Hour, true, true}, {time.Hour, false, true}, {25*time.Hour - 1, false, true}, {25 * time.Hour, false, false}} {
		if got := m.near(step.announced, at.Add(step.after)); got != step.want {
			t.Errorf("after %s: got %t", step.after, got)
		}
	}
}

// A leap second is near if more than half of the servers that agree announce it, be it one more or one less.
func TestLeapSecond_majority(t *testing.T) {
	for leaps, want := range map[string]bool{"0000": false, "1100": false, "1110": true, "2220": true, "200": false, "220": true, "100": false} {
		c := New()
		s := &runState{Probe: c, base: time.Now()}
		for i, leap := range leaps {
			c.NTP = append(c.NTP, fmt.Sprint(i))
			s.answers = append(s.answers, serverReading{Reply: timesync.Reply{Peer: fmt.Sprint(i), Leap: int(leap - '0')}})
		}
		if s.agreeOnUTC(); !s.agreed || s.leapNear != want {
			t.Errorf("%s: agreed is %t, near is %t", leaps, s.agreed, s.leapNear)
		}
	}
}

// stateOf is a run with two services, both of which were read so long ago: at a clock that is right to within three
// seconds, and at one that is so far ahead.
func stateOf(t *testing.T, ago, ahead time.Duration) *runState {
	t.Helper()
	c := New()
	c.Services = map[string]Service{"a": {URL: "http://127.0.0.1:1/"}, "b": {URL: "http://127.0.0.1:1/"}}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s := &runState{Probe: c, base: time.Now().Add(-ago), clocks: make([]sourceReadings, 2)}
	for i, by := range []time.Duration{0, ahead} {
		s.add(i, s.base, by)
	}
	return s
}

// add adds a reading of a clock that is so far ahead.
func (s *runState) add(i int, at time.Time, ahead time.Duration) {
	s.clocks[i].Add(timesync.Sample{Earliest: at.Add(ahead), Latest: at.Add(ahead + 3*time.Second), Sent: at, Received: at})
}

// Services are asked again while their comparison is open, or until their clocks were seen to move, and not more often than
// they may be.
func TestSourcesToAskAgain(t *testing.T) {
	const open, decided = 2 * time.Second, time.Minute
	for name, test := range map[string]struct {
		ahead  time.Duration
		change func(s *runState)
		want   string
	}{
		"open":                       {open, func(s *runState) { s.clocks[0].Moved, s.clocks[1].Moved = true, true }, "a b"},
		"decided":                    {decided, func(s *runState) { s.clocks[0].Moved, s.clocks[1].Moved = true, true }, ""},
		"decided, and one stands":    {decided, func(s *runState) { s.clocks[0].Moved = true }, "b"},
		"open, and one is late":      {open, func(s *runState) { s.clocks[0].late = true }, "b"},
		"open, and one cannot help":  {open, func(s *runState) { s.clocks[0].Samples = maxReadings }, "b"},
		"open, and one has one left": {open, func(s *runState) { s.clocks[0].Samples = maxReadings - 1 }, "a b"},
	} {
		s := stateOf(t, 0, test.ahead)
		test.change(s)
		if got, _ := s.sourcesToAskAgain(); strings.Join(got, " ") != test.want {
			t.Errorf("%s: got %s, expected %s", name, got, test.want)
		}
	}
}

// The last reading is made when the clock must have moved, if it was not seen to: until then one is made where it helps
// most.
func TestSourcesToAskAgain_waitsForTick(t *testing.T) {
	const ahead = 2 * time.Second
	now := func(s *runState) time.Duration { return s.clocks[0].WaitForTick(s.at(time.Now())) }
	for name, test := range map[string]struct {
		moved   bool
		samples int
		tick    bool
	}{
		"the last, and it stands":   {false, maxReadings - 1, true},
		"the last, and it moved":    {true, maxReadings - 1, false},
		"one more, and it stands":   {false, maxReadings - 2, false},
		"the second, and it stands": {false, 1, false},
	} {
		s := stateOf(t, 0, ahead)
		s.clocks[0].Moved, s.clocks[0].Samples = test.moved, test.samples
		next := func() time.Duration { return s.clocks[0].Next(s.at(time.Now()), s.sources[0].resolution, 0) }
		before, best := now(s), next()
		_, waits := s.sourcesToAskAgain()
		if after := now(s); (waits["a"] <= before && waits["a"] >= after) != test.tick {
			t.Errorf("%s: waits for %s, the tick is in %s", name, waits["a"], before)
		}
		if after := next(); !test.tick && after <= best && (waits["a"] > best || waits["a"] < after) {
			t.Errorf("%s: waits for %s, an answer helps most in %s", name, waits["a"], best)
		}
	}
}

// A service is not asked if there may be no time for the answer: two times what the last one took.
func TestAskAgain_late(t *testing.T) {
	for name, test := range map[string]struct {
		ago, left, took time.Duration // left 0: the run has been cancelled
		late            bool
	}{
		"no time for the answer":   {time.Hour, 90 * time.Minute, time.Hour, true},
		"time enough":              {time.Hour, 150 * time.Minute, time.Hour, false},
		"cancelled while it waits": {0, 0, 0, true},
	} {
		s := stateOf(t, test.ago, time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		if test.left > 0 {
			ctx, cancel = context.WithTimeout(t.Context(), test.left)
		}
		for i := range s.clocks {
			s.clocks[i].took = test.took
		}
		if test.left == 0 {
			cancel()
		}
		asked := s.askAgain(ctx, probe.NewResult(probe.ID{}))
		cancel()
		if !asked || s.clocks[0].late != test.late || s.clocks[1].late != test.late {
			t.Errorf("%s: asked is %t, late are %t and %t", name, asked, s.clocks[0].late, s.clocks[1].late)
		}
	}
	s := stateOf(t, 0, time.Minute)
	s.clocks[0].Moved = true
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if !s.askAgain(ctx, probe.NewResult(probe.ID{})) {
		t.Error("asks no more, though one clock was not seen to move")
	}
	s = stateOf(t, 0, time.Minute)
	s.clocks[0].Moved, s.clocks[1].Moved = true, true
	if s.askAgain(t.Context(), probe.NewResult(probe.ID{})) {
		t.Error("asks again though all is decided")
	}
}

// A clock that was seen to move is known, though there was no time to ask more often.
func TestSource_movedAndLate(t *testing.T) {
	s := stateOf(t, 0, 0)
	s.clocks[0].Moved, s.clocks[0].late, s.clocks[1].late = true, true, true
	r := probe.NewResult(probe.ID{})
	s.reportSources(r)
	wantOutcome(t, *r, "source", "a", "pass(ok)")
	wantOutcome(t, *r, "source", "b", "inconclusive(stale_or_cached): the run ended before its clock was seen to advance")
	s = stateOf(t, 0, 0)
	s.clocks[0].Samples, s.clocks[1].Samples = maxReadings, 0
	again := probe.NewResult(probe.ID{})
	s.reportSources(again)
	wantOutcome(t, *again, "source", "a", "inconclusive(stale_or_cached): it gave the same time in the Date of 8 answers: something keeps its answers")
	wantOutcome(t, *again, "source", "b", "inconclusive(nothing_checked): it was not asked")
	if got, known := sample(*r, uncertaintyGauge, "a"); !known || got < 1.5 || got > 1.6 {
		t.Errorf("the uncertainty is %v, %t", got, known)
	}
	if _, known := sample(*r, uncertaintyGauge, "b"); known {
		t.Error("a clock that stands has an uncertainty")
	}
}

// A reading in whole seconds may be rounded or truncated.
func TestReadJSON_unit(t *testing.T) {
	s := source{Service: Service{JSON: probetest.Path(t, "$.now"), Format: unix}}
	a := &httpx.Answer{Body: []byte(`{"now": 1700000000}`)}
	got, o := s.readJSON(a)
	at := time.Unix(1700000000, 0)
	if o != nil || !got.Earliest.Equal(at.Add(-time.Second/2)) || !got.Latest.Equal(at.Add(time.Second)) {
		t.Errorf("got %v, %v", got, o)
	}
}

// A database that is asked for its clock leaves no room for another source, and is found by the resolver of the probe.
func TestValidate_postgres(t *testing.T) {
	database := func() *Database {
		return &Database{Settings: postgres.Settings{Database: "a", User: "b", Password: secret.Env("A")}, Address: "127.0.0.1:5432"}
	}
	for name, test := range map[string]struct {
		change func(s *Service)
		wrong  bool
	}{
		"alone":             {func(*Service) {}, false},
		"with a url":        {func(s *Service) { s.URL = "https://a.example" }, true},
		"with tokens":       {func(s *Service) { s.IAT = &httpx.OAuth2{} }, true},
		"with JSON":         {func(s *Service) { s.JSON = probetest.Path(t, "$.now") }, true},
		"with a credential": {func(s *Service) { s.Bearer = secret.Env("A") }, true},
	} {
		c := New()
		s := Service{Postgres: database()}
		test.change(&s)
		c.Resolver, c.Services = "127.0.0.1:53", map[string]Service{"a": s, "b": {URL: "https://b.example"}}
		err := c.Validate()
		if wrong := err != nil && strings.Contains(err.Error(), "services.a.postgres: leaves no room"); wrong != test.wrong || !test.wrong && err != nil {
			t.Errorf("%s: got %v", name, err)
		}
		if !test.wrong && s.Postgres.Resolver != "127.0.0.1:53" {
			t.Errorf("%s: asks the name server %q", name, s.Postgres.Resolver)
		}
	}
	own := database()
	own.Resolver = "127.0.0.2:53"
	c := New()
	c.Resolver, c.Services = "127.0.0.1:53", map[string]Service{"a": {Postgres: own}, "b": {URL: "https://b.example"}}
	if err := c.Validate(); err != nil || own.Resolver != "127.0.0.2:53" {
		t.Errorf("its own name server: %v, %s", err, own.Resolver)
	}
}

func TestClose(t *testing.T) {
	url, open := testenv.ServeCounted(t, jsonAhead(0))
	c := New()
	a := Service{URL: url, JSON: probetest.Path(t, "$.now")}
	a.Connection = "reuse"
	c.Services = map[string]Service{"a": a, "b": a}
	r := probetest.Run(t, Kind(), c)
	if names := c.Checks(); r.Verdict() != probe.Pass || !slices.Contains(names, "skew") {
		t.Fatal(probetest.Lines(r))
	}
	testenv.WantClosed(t, c, 2, open)
}
