package redis

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
)

// want runs a probe once more and compares what did not pass.
func want(t *testing.T, what string, p *Probe, want string) probe.Result {
	t.Helper()
	r := again(t, p, 5*time.Second)
	if got := notPassed(r, nil); got != want {
		t.Errorf("%s:\n got  %s\n want %s", what, got, want)
	}
	return r
}

// What was met is wrong until a whole pass does not meet it, also if the server restarts meanwhile.
func TestPass_restart(t *testing.T) {
	t.Parallel()
	f, address := serve(t, map[string]string{})
	p := scanned(address)
	r := do(t, p, 5*time.Second)
	if _, told := sample(r, passGauge); r.Verdict() != probe.Pass || !told {
		t.Fatalf("a sound server: %s; its whole pass is told: %t", notPassed(r, nil), told)
	}
	f.say("SCAN", page("7", "user:1")) // a pass that does not end
	want(t, "a key that belongs to no org", p, "keys unprefixed")
	f.say("INFO", info("primary-2"))
	f.say("SCAN", page("7", "org:b:1"))
	want(t, "a restart", p, "keys unprefixed, planted pass_unfinished, names pass_unfinished")
	f.say("SCAN", page("0", "org:a:planted"))
	want(t, "a whole pass since", p, "")
}

// What one server's keys were says nothing of another server's.
func TestPass_otherServer(t *testing.T) {
	t.Parallel()
	f, address := serve(t, map[string]string{})
	p := scanned(address)
	if r := do(t, p, 5*time.Second); r.Verdict() != probe.Pass {
		t.Fatalf("a sound server: %s", notPassed(r, nil))
	}
	f.say("INFO", info("other-1"))
	f.say("SCAN", page("7", "org:b:1"))
	want(t, "another server", p, "planted pass_unfinished, keys pass_unfinished, names pass_unfinished")
	f.say("SCAN", page("0", "org:a:planted"))
	want(t, "a whole pass", p, "")
}

// A cursor that never comes to an end ends a run in time, and never a pass; what was proven before is too old some time.
func TestPass_endless(t *testing.T) {
	t.Parallel()
	f, address := serve(t, map[string]string{"SCAN": page("7", "org:a:planted")})
	p := scanned(address)
	if got := notPassed(do(t, p, 5*time.Second), nil); got != "keys pass_unfinished, names pass_unfinished" {
		t.Errorf("got %s", got)
	}
	f.mu.Lock()
	steps := strings.Count(strings.Join(f.sent, "\n"), "SCAN")
	f.mu.Unlock()
	if steps != defaultPerRun/defaultCount {
		t.Errorf("%d steps", steps)
	}
	p.Keys.Within = probe.Duration(time.Nanosecond)
	want(t, "later", p, "keys pass_late, names pass_late")
}

// A pass must be whole within the time, and recent.
func TestOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		p := scanned("")
		v := &visit{probe: p, primaries: 1}
		for name, test := range map[string]struct {
			began, ended time.Duration // ago
			blind        []string
			want         probe.Reason
		}{
			"recent":            {began: 59 * time.Minute, ended: time.Minute, want: probe.OK},
			"at the limit":      {began: time.Hour, ended: 0, want: probe.OK},
			"old by the limit":  {began: time.Hour, ended: time.Hour, want: probe.OK},
			"stale":             {began: 70 * time.Minute, ended: 61 * time.Minute, want: reasonLate},
			"took too long":     {began: 62 * time.Minute, ended: time.Minute, want: reasonLate},
			"does not show all": {began: 2 * time.Minute, ended: time.Minute, blind: []string{"a"}, want: probe.ControlFailed},
		} {
			p.audit.last = &pass{began: now.Add(-test.began), ended: now.Add(-test.ended), blind: test.blind, totals: newTotals()}
			if got := p.open(v, 0, 0, now); got.Reason != test.want {
				t.Errorf("%s: got %+v", name, got)
			}
		}
		p.audit.last = &pass{began: now, ended: now, totals: newTotals()}
		unasked := &visit{probe: p, primaries: 2}
		unasked.unasked.Store(1)
		for _, v := range []*visit{{probe: p}, {probe: p, primaries: 1, partial: true}, unasked} {
			if got := p.open(v, 0, 0, now); got.Reason != probe.ControlFailed {
				t.Errorf("%+v: got %+v", v, got)
			}
		}
		p.audit.last = nil
		for began, want := range map[time.Duration]probe.Reason{time.Hour: reasonUnfinished, time.Hour + 1: reasonLate} {
			p.audit.began = now.Add(-began)
			if got := p.open(v, 0, 0, now); got.Reason != want {
				t.Errorf("a first pass since %s: got %+v", began, got)
			}
		}
	})
}

// A database that is not shown is not made up for by another one with more keys.
func TestPass_blindDatabase(t *testing.T) {
	t.Parallel()
	f, address := serve(t, map[string]string{"DBSIZE": ":3\r\n", "SCAN": page("0"), "SELECT": "+OK\r\n"})
	p := scanned(address)
	p.Keys.Databases, p.Keys.Count, p.Keys.PerRun = []int{0, 1}, 1, 1
	if got := notPassed(do(t, p, 5*time.Second), nil); got != "planted pass_unfinished, keys pass_unfinished, names pass_unfinished" {
		t.Errorf("got %s", got)
	}
	for answer, wrong := range map[string]string{"+OK\r\n": "planted schema, keys schema, names schema", ":-1\r\n": "planted schema, keys schema, names schema"} {
		f.say("DBSIZE", answer)
		want(t, "no number of keys", p, wrong)
	}
	f.say("DBSIZE", ":3\r\n")
	f.say("SCAN", page("0", "org:a:planted", "org:a:1", "org:a:2", "org:a:3", "org:a:4"))
	want(t, "an empty page of three keys, and one with more", p, "keys control_failed, names control_failed")
}

// Keys that were deleted while a database was looked at do not count, and those that came do not either.
func TestWalk_endDatabase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		begun, met, now, size int64
		blind                 bool
	}{{10, 10, 8, 18, false}, {10, 10, 12, 20, false}, {10, 5, 10, 20, false}, {10, 4, 10, 20, true}, {10, 4, 8, 18, false}, {10, 3, 8, 18, true}} {
		w := walk{size: 10 + c.begun, begun: c.begun, before: 10, totals: totals{met: 10 + c.met}, cursor: "x"}
		if w.endDatabase(c.now); w.size != c.size || w.blind != c.blind || w.cursor != "" || w.db != 1 || w.before != w.met {
			t.Errorf("met %d of %d, %d at the end: got %+v", c.met, c.begun, c.now, w)
		}
	}
}

// How many keys are wrong is not known before all have been looked at: no series is better than 0.
func TestPass_unknownNumber(t *testing.T) {
	t.Parallel()
	f, address := serve(t, map[string]string{"SCAN": page("7", "org:a:planted")})
	p := scanned(address)
	if v, ok := sample(do(t, p, 5*time.Second), unprefixedGauge, otherShape); ok {
		t.Errorf("half of a pass says that %g keys are wrong", v)
	}
	f.say("SCAN", page("7", "user:1"))
	if _, ok := sample(again(t, p, 5*time.Second), unprefixedGauge, "*:N"); !ok {
		t.Error("what was met is not exported")
	}
	f.say("SCAN", page("0", "org:a:planted"))
	again(t, p, 5*time.Second)
	if v, ok := sample(again(t, p, 5*time.Second), unprefixedGauge, otherShape); !ok || v != 0 {
		t.Errorf("after a whole pass %g, %t", v, ok)
	}
}
