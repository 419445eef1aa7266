package heartbeat

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/probetest"
)

func TestHeartbeat_onTime(t *testing.T) {
	inWorld(t, every(time.Hour), func(w *world) {
		w.wants("on_time=settling")
		wait(70*time.Minute - 2*time.Second) // a run that could wait for it would
		w.wants("on_time=settling")
		wait(3 * time.Second)
		w.wants("on_time=never_came")
		w.post("")
		w.wants("pass")
		wait(70 * time.Minute)
		w.wants("pass")
		wait(time.Second)
		w.wants("on_time=late")
		w.report("GET", "/0", 200)
		w.wants("pass")
		wait(69 * time.Minute)
		w.report("HEAD", "/", 200)
		wait(69 * time.Minute)
		w.wants("pass")
	})
}

// What the job says of its end counts, and nothing else that comes.
func TestHeartbeat_signals(t *testing.T) {
	inWorld(t, every(time.Hour), func(w *world) {
		w.post("")
		for path, status := range map[string]int{
			"/fail/": 404, "/stop": 404, "/256": 404, "/-1": 404, "/0x1": 404, "//": 404, "/%66ail": 404, "/start/1": 404,
			"?rid=1": 400, "?rid=" + strings.Repeat("a", 36): 400, "?rid=%zz": 400, "?state=fail": 400, "?state=complete": 400, rid(1) + "&state=fail": 400, "?create=1&state=fail": 400, rid(1) + "&rid=2": 400, "/fail?a=1;b=2": 400,
		} {
			w.report("POST", path, status)
		}
		for _, method := range []string{"PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"} {
			w.report(method, "/fail", 405)
		}
		w.post("/log")
		w.wants("pass")
		w.post("/fail")
		w.wants("success=job_failed")
		w.post("/log")
		w.post("/start")
		w.wants("success=job_failed") // until it succeeds
		w.post("/3")
		r := w.run()
		if text := probetest.Lines(r); !strings.Contains(text, "got exit status 3, 0s ago") {
			t.Errorf("got %s", text)
		}
		w.post("/255")
		w.post("/0")
		w.wants("pass")
	})
}

// The counters say what came since the last run.
func TestHeartbeat_measures(t *testing.T) {
	inWorld(t, every(time.Hour), func(w *world) {
		began := time.Now()
		w.post("/start")
		wait(90 * time.Second)
		w.post("")
		w.post("/log")
		w.report("POST", "/x", 404)
		got := map[string]float64{}
		for _, s := range w.run().Samples {
			got[s.Name+strings.Join(s.Values, "")] = s.Value
		}
		unix := func(after time.Duration) float64 { return float64(began.Add(after).UnixNano()) / 1e9 }
		for name, want := range map[string]float64{
			"probe_heartbeat_reports_totalstart": 1, "probe_heartbeat_reports_totalsuccess": 1, "probe_heartbeat_reports_totallog": 1, "probe_heartbeat_reports_totalother": 1,
			"probe_heartbeat_last_start_timestamp_seconds": unix(0), "probe_heartbeat_last_success_timestamp_seconds": unix(90 * time.Second),
			"probe_heartbeat_duration_seconds": 90, "probe_heartbeat_deadline_timestamp_seconds": unix(90*time.Second + 70*time.Minute),
		} {
			if got[name] != want {
				t.Errorf("%s: expected %v, got %v", name, want, got[name])
			}
		}
		w.post("") // without a start, so that nobody knows how long it took
		for _, s := range w.run().Samples {
			if s.Counter && s.Values[0] != "success" || s.Measure == durationGauge {
				t.Errorf("%s %v: told again", s.Name, s.Values)
			}
		}
	})
	if samples := New().InitialSamples(); len(samples) != len(signals) {
		t.Errorf("got %v", samples)
	}
}

// What began must end within the maximum, by default within grace. Until then it is on time.
func TestHeartbeat_hangs(t *testing.T) {
	inWorld(t, every(time.Hour), func(w *world) {
		w.post("")
		wait(65 * time.Minute)
		w.post("/start")
		wait(10 * time.Minute)
		w.wants("pass")
		wait(time.Second)
		w.wants("finished=job_hangs")
		w.post("/start") // a restart is no end
		w.wants("finished=job_hangs")
		wait(time.Hour)
		w.wants("finished=job_hangs")
		w.post("")
		w.wants("pass")
	})
	inWorld(t, Probe{Period: probe.Duration(time.Hour), Duration: durations{Max: length(3 * time.Hour)}}, func(w *world) {
		w.post("/start")
		w.wants("success=settling")
		for range 5 { // one that is killed each time, in less than it may take, does not run on time for ever
			w.post("/start")
			wait(time.Hour)
		}
		w.wants("finished=job_hangs")
	})
}

func rid(n int) string { return fmt.Sprintf("?rid=01234567-89ab-cdef-0123-%012d", n) }

// What began before the last report, and may go on for long, does not put off when the next one is due.
func TestHeartbeat_openSinceBefore(t *testing.T) {
	inWorld(t, Probe{Period: probe.Duration(time.Hour), Duration: durations{Max: length(4 * time.Hour)}}, func(w *world) {
		w.post("/start" + rid(1))
		wait(30 * time.Minute)
		w.post("/start" + rid(2))
		w.post(rid(2))
		wait(65 * time.Minute)
		w.wants("pass")
		wait(time.Second)
		w.wants("on_time=late")
	})
}

// Runs that overlap are told apart by their ids.
func TestHeartbeat_overlap(t *testing.T) {
	inWorld(t, Probe{Period: probe.Duration(time.Hour), Grace: probe.Duration(time.Hour), Duration: durations{Max: length(30 * time.Minute), Min: length(time.Minute)}}, func(w *world) {
		w.post("/start" + rid(1))
		wait(10 * time.Minute)
		w.post("/start" + rid(2))
		wait(10 * time.Minute)
		w.post(rid(1))
		w.wants("pass") // 20 minutes
		wait(21 * time.Minute)
		w.wants("finished=job_hangs")
		w.post(rid(2))
		w.wants("duration=too_long")
		w.post("/start" + rid(3))
		wait(30 * time.Second)
		w.post(rid(3))
		w.wants("duration=too_short")
		w.post(rid(3)) // once more, as by a client that did not hear the answer
		w.post("/start" + rid(3))
		w.wants("duration=too_short")
		w.post("/start" + rid(4))
		wait(5 * time.Minute)
		w.post("/fail" + rid(4))
		w.wants("success=job_failed")
		w.post(rid(5)) // another prober may have got its start
		w.wants("duration=no_start")
		w.post("")
		w.wants("duration=no_start")
	})
	inWorld(t, every(time.Hour), func(w *world) {
		w.post("/start" + rid(1))
		wait(15 * time.Minute)
		w.wants("finished=job_hangs")
		w.post("/start" + rid(2))
		wait(time.Minute)
		w.post(rid(2)) // what hung is over
		w.wants("pass")
		for i := range 3 * maxOpen {
			w.post("/start" + rid(10+i))
		}
		wait(15 * time.Minute)
		w.wants("finished=job_hangs")
		w.post(rid(10)) // which is as old as the others
		w.wants("finished=job_hangs")
		w.post("") // nobody knows which began it: all that hung is over
		w.wants("pass")
	})
}

// An end without an id is that of the run that began last; an end whose id never began is that of none.
func TestHeartbeat_idMissing(t *testing.T) {
	inWorld(t, every(time.Hour), func(w *world) {
		w.post("/start" + rid(1))
		wait(time.Minute)
		w.post("")
		wait(15 * time.Minute)
		w.wants("pass")
		w.post("/start" + rid(2))
		wait(time.Minute)
		w.post(rid(3))
		wait(15 * time.Minute)
		w.wants("finished=job_hangs")
	})
	inWorld(t, every(time.Hour), func(w *world) { // one that began without an id comes first
		w.post("/start")
		w.post("/start" + rid(1))
		wait(time.Minute)
		w.post("")
		w.post(rid(1))
		wait(15 * time.Minute)
		w.wants("pass")
		w.post("/start")
		w.post("/start" + rid(2))
		w.post("")
		wait(15 * time.Minute)
		w.wants("finished=job_hangs")
	})
}

// What takes as long as it may, and no longer, is right.
func TestHeartbeat_durationLimits(t *testing.T) {
	p := Probe{Period: probe.Duration(time.Hour), Duration: durations{Min: length(time.Minute), Max: length(5 * time.Minute)}}
	for took, want := range map[time.Duration]string{
		time.Minute: "pass", time.Minute - time.Millisecond: "duration=too_short", 5 * time.Minute: "pass", 5*time.Minute + time.Millisecond: "duration=too_long",
	} {
		inWorld(t, p, func(w *world) {
			w.post("/start")
			wait(took)
			w.post("")
			w.wants(want)
		})
	}
}

// The state of a job stays small, however often it reports.
func TestNote_bounded(t *testing.T) {
	var s state
	for i := range 3 * maxEnded {
		s.note(report{signal: signalSuccess, id: rid(i)}, time.Now(), time.Minute)
	}
	if len(s.Ended) != maxEnded || s.Ended[maxEnded-1] != rid(3*maxEnded-1) {
		t.Errorf("the ids %v are kept", s.Ended)
	}
}

// A run is announced by what the settings ask of it.
func TestChecks(t *testing.T) {
	for want, p := range map[string]*Probe{
		"on_time success finished": {}, "on_time success finished duration": {Duration: durations{Min: length(1)}},
		"on_time success finished frequency": {MinGap: length(1)},
	} {
		if got := strings.Join(p.Checks(), " "); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestValidate_bounds: what a setting may be at least and at most.
func TestValidate_bounds(t *testing.T) {
	const wrongPeriod, wrongGap, wrongMin = "period: expected 1s to ", "min_gap: expected less than the period, ", "duration.min: expected less than the maximum, "
	hour := probe.Duration(time.Hour)
	for _, c := range []struct {
		p    Probe
		want string
	}{
		{Probe{Period: probe.Duration(time.Second)}, ""}, {Probe{Period: probe.Duration(time.Second) - 1}, wrongPeriod},
		{Probe{Period: probe.Duration(maxPeriod)}, ""}, {Probe{Period: probe.Duration(maxPeriod) + 1}, wrongPeriod},
		{Probe{Period: hour, MinGap: length(time.Hour - 1)}, ""}, {Probe{Period: hour, MinGap: &hour}, wrongGap},
		{Probe{Cron: "0 3 * * *", MinGap: &hour}, ""},
		{Probe{Cron: "0 3 * * *", TimeZone: "Europe/Berlin"}, ""},
		{Probe{Cron: "0 3 * * *", TimeZone: "Europe/Nowhere"}, "time_zone: expected a time zone that this machine knows"},
		{Probe{Cron: "0 3 * * *", TimeZone: "Local"}, "time_zone: expected a time zone that this machine knows"},
		{Probe{Period: hour, Duration: durations{Min: length(time.Minute), Max: length(time.Minute)}}, wrongMin},
		{Probe{Period: hour, Duration: durations{Min: length(5 * time.Minute)}}, wrongMin}, // grace is the maximum
	} {
		c.p.Grace, c.p.TimeZone = probe.Duration(5*time.Minute), cmp.Or(c.p.TimeZone, "UTC")
		if err := c.p.Validate(); (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.p, err, c.want)
		}
	}
}

func TestRoughly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1234 * time.Millisecond: "1.23s", 9994 * time.Millisecond: "9.99s", 10400 * time.Millisecond: "10s", 61400 * time.Millisecond: "1m1s", 2*time.Hour - time.Second: "1h59m59s", 2*time.Hour + 20*time.Second: "2h",
	} {
		if got := roughly(d); got != want {
			t.Errorf("%d: got %s, want %s", d, got, want)
		}
	}
}

func TestHeartbeat_tooOften(t *testing.T) {
	p := every(time.Hour)
	p.MinGap = length(30 * time.Minute)
	inWorld(t, p, func(w *world) {
		w.post("")
		w.passes("on_time success") // one report has no distance to another, and says nothing of hanging
		wait(20 * time.Minute)
		w.post("")
		w.wants("frequency=too_often")
		wait(30 * time.Minute)
		w.wants("frequency=too_often")
		w.post("")
		w.wants("pass")
		w.passes("on_time success frequency")
		w.post("/log")
		w.post("/start")
		w.wants("pass")
	})
	inWorld(t, p, func(w *world) {
		w.post("/start")
		w.post("")
		wait(20 * time.Minute)
		w.begin() // a report may have come just before
		wait(20 * time.Minute)
		w.post("")
		w.passes("on_time finished success")
		wait(31 * time.Minute)
		w.post("")
		w.passes("on_time finished success frequency")
		wait(20 * time.Minute)
		w.begin()
		w.post("")
		w.wants("frequency=too_often")
	})
}

// A job of cron is due when cron has it, and its report may come a little early: the clocks of two machines differ.
func TestHeartbeat_cron(t *testing.T) {
	p := Probe{Cron: "0 3 * * *", TimeZone: "Europe/Berlin", Grace: probe.Duration(30 * time.Minute)}
	at := func(day, hour, minute int) { // 2000-01-01 is when a bubble begins
		zone, _ := time.LoadLocation(p.TimeZone)
		wait(time.Until(time.Date(2000, time.January, day, hour, minute, 0, 0, zone)))
	}
	inWorld(t, p, func(w *world) {
		at(1, 3, 29)
		w.wants("on_time=settling")
		at(1, 3, 31)
		w.wants("on_time=never_came")
		w.post("")
		at(2, 3, 29)
		w.wants("pass")
		at(2, 3, 31)
		w.wants("on_time=late")
		at(2, 12, 0)
		w.post("") // by hand
		at(3, 2, 59)
		wait(45 * time.Second)
		w.post("") // 15 s early
		at(3, 4, 0)
		w.wants("pass")
		at(4, 3, 31)
		w.wants("on_time=late")
		w.post("/start")
		w.wants("on_time=late") // it began too late
	})
}

// After a restart with a memory, the prober knows what came; without one it waits.
func TestHeartbeat_restart(t *testing.T) {
	inWorld(t, every(time.Hour), func(w *world) {
		w.post("")
		wait(31 * time.Minute)
		w.begin()
		w.wants("pass")
		wait(40 * time.Minute) // 71 minutes after the report, 40 after the prober was down
		w.wants("on_time=not_heard")
		wait(29 * time.Minute)
		w.wants("on_time=not_heard")
		wait(2 * time.Minute) // the last moment for what it may have missed
		w.wants("on_time=late")
		w.post("/fail")
		w.begin()
		w.wants("success=job_failed")
		w.post("/start")
		w.begin()
		wait(11 * time.Minute)
		w.wants("finished=not_heard success=job_failed")

		w.kill()
		clear(w.kept)
		w.begin()
		w.wants("on_time=settling")
	})
}

// With cron, the prober knows that nothing was due while it was down.
func TestHeartbeat_restartBesideCron(t *testing.T) {
	inWorld(t, Probe{Cron: "0 3 * * *", Grace: probe.Duration(30 * time.Minute)}, func(w *world) {
		wait(3*time.Hour + time.Minute)
		w.post("")
		wait(10 * time.Hour)
		w.begin()
		wait(14*time.Hour + 28*time.Minute)
		w.wants("pass")
		wait(2 * time.Minute)
		w.wants("on_time=late")
		w.begin()
		w.wants("on_time=late") // it was due before that
	})
}

// A reload with the same settings keeps everything.
func TestHeartbeat_reload(t *testing.T) {
	inWorld(t, every(time.Hour), func(w *world) {
		w.post("/4")
		w.reload()
		w.wants("success=job_failed")
	})
}

// A run that begins before the first report waits for it, if it can.
func TestHeartbeat_waits(t *testing.T) {
	p := Probe{Period: probe.Duration(2 * time.Second), Grace: probe.Duration(time.Second)}
	inWorld(t, p, func(w *world) {
		w.job.Timeout = 4 * time.Second
		w.wants("on_time=never_came")
		if got := time.Since(w.run().Started); got > time.Second {
			t.Errorf("waited once more, for %s", got)
		}
	})
	inWorld(t, p, func(w *world) {
		w.job.Timeout = 4 * time.Second
		go func() {
			wait(2 * time.Second)
			w.post("")
		}()
		r := w.run()
		if r.Verdict() != probe.Pass || r.Took != 2*time.Second {
			t.Errorf("after %s: %s", r.Took, probetest.Lines(r))
		}
	})
}

// Without a listener nothing is known.
func TestHeartbeat_notListening(t *testing.T) {
	p := New()
	p.Token, p.Period = secret.Env("HEARTBEAT_TOKEN"), probe.Duration(time.Hour)
	r := probetest.Run(t, Kind(), p)
	probetest.WantLines(t, r, "inconclusive",
		"on_time inconclusive(not_listening): expected requests from others, got no listener: it needs --inbound.listen-address, and --once has none",
		"success inconclusive(not_listening): *", "finished inconclusive(not_listening): *")
}

func TestHeartbeat_tokenMissing(t *testing.T) {
	inWorld(t, every(time.Hour), func(w *world) {
		t.Setenv("HEARTBEAT_TOKEN", "short")
		w.begin()
		w.wants("finished=credential on_time=credential success=credential")
		w.report(http.MethodPost, "", http.StatusNotFound)
	})
}

// FuzzReceive holds that no report breaks the state, makes it large, or passes for a success that it is not.
func FuzzReceive(f *testing.F) {
	for _, path := range []string{"", "/start", "/fail", "/0", "/1", "/log", "/x"} {
		f.Add("POST", path, "rid=01234567-89ab-cdef-0123-456789abcdef", []byte(`{"open":[{"id":"a"}]}`))
	}
	f.Add("GET", "/0", "rid=a", []byte(`{"last":"2026-01-01T00:00:00Z","ended":["a"]}`))
	f.Fuzz(func(t *testing.T, method, path, query string, document []byte) {
		if path != "" && path[0] != '/' {
			return
		}
		s := readState(document)
		before, open := s.Success, len(s.Open)
		r, status := readReport(&probe.Delivery{Method: method, Path: path, Query: query})
		if status != 0 {
			return
		}
		now := time.Now()
		s.note(r, now, time.Minute)
		if s.Success != before && r.signal != signalSuccess {
			t.Fatalf("%+v counts as a success", r)
		}
		if len(s.Open) > max(maxOpen, open) {
			t.Fatalf("%d runs are open", len(s.Open))
		}
	})
}
