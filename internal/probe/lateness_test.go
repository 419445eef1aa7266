package probe

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// delay makes a Lateness look as if the process had been late by so much more.
func (l *Lateness) delay(by time.Duration) {
	l.mu.Lock()
	l.total += by
	l.mu.Unlock()
}

func TestDo_ownDelayExplainsATimeout(t *testing.T) {
	inverted := Reason{Word: "inverted", Verdict: Fail}
	for _, c := range []struct {
		name string
		late time.Duration
		note func(*Result)
		want string
	}{
		{"late", 600 * time.Millisecond, func(r *Result) { r.Fail("it", Timeout, "no answer") }, "it inconclusive(self_delay)\nrun inconclusive(self_delay)"},
		{"a little late", 400 * time.Millisecond, func(r *Result) { r.Fail("it", Timeout, "no answer") }, "it fail(timeout)"},
		{"late, and wrong too", 600 * time.Millisecond, func(r *Result) {
			r.Fail("a", Status, "got 500")
			r.Fail("b", Timeout, "no answer")
		}, "a fail(status)\nb inconclusive(self_delay)\nrun inconclusive(self_delay)"},
		{"late, and another reason for it", 600 * time.Millisecond, func(r *Result) {
			r.Exchanged(Exchange{Check: "live", Target: "b", Status: 500, TraceID: "1"})
			r.Exchanged(Exchange{Check: "live", Target: "a", Reason: Timeout, TraceID: "2"})
			r.Note("split", Outcome{inverted, "ready but not live"}) // rests on no exchange of its own
			r.Each([]string{"a", "b"}, func(_ int, r *Result) { r.Note("live", Outcome{inverted, "ready but not live"}) })
		}, "split inconclusive(self_delay)\nlive a inconclusive(self_delay)\nlive b fail(inverted)\nrun inconclusive(self_delay)"},
		{"late, and wrong before it", 600 * time.Millisecond, func(r *Result) {
			r.Fail("enabled", inverted, "not enabled") // by an answer of the same connection, which the target keeps silent then
			r.Fail("policies", Timeout, "no answer")
			r.Exchanged(Exchange{Check: "connect", Reason: Timeout})
		}, "enabled fail(inverted)\npolicies inconclusive(self_delay)\nrun inconclusive(self_delay)"},
		{"a little late, and another reason for it", 400 * time.Millisecond, func(r *Result) {
			r.Exchanged(Exchange{Check: "live", Reason: Timeout})
			r.Note("live", Outcome{inverted, "ready but not live"})
		}, "live fail(inverted)"},
		{"late, and a breach", 600 * time.Millisecond, func(r *Result) {
			r.Exchanged(Exchange{Check: "it", Reason: Timeout})
			r.Note("it", Outcome{Reason{Word: "leak", Verdict: Fail, Breach: true}, "leaked"})
		}, "it fail(leak)"},
		{"late, and what answers show together", 600 * time.Millisecond, func(r *Result) {
			r.Exchanged(Exchange{Check: "connect", Target: "a", Reason: OK})
			r.Exchanged(Exchange{Check: "connect", Target: "b", Reason: OK})
			r.Exchanged(Exchange{Check: "connect", Target: "c", Reason: Timeout})
			r.Fail("connect", Timeout, "no answer")
			r.Note("primary", Outcome{Reason{Word: "two", Verdict: Fail, Seen: true}, "two of three"})
		}, "connect inconclusive(self_delay)\nprimary fail(two)\nrun inconclusive(self_delay)"},
		{"late, and good", 900 * time.Millisecond, func(r *Result) { r.Pass("it", "good") }, "it pass(ok)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l Lateness
			l.delay(time.Hour) // before the run
			j := job(func(_ context.Context, r *Result) {
				l.delay(c.late)
				c.note(r)
			})
			j.Timeout = time.Second
			if got := lines(j.Do(WithLateness(t.Context(), &l))); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestExchange_OwnDelay(t *testing.T) {
	for _, c := range []struct {
		took, late time.Duration
		want       bool
	}{{90, 90, false}, {100, 50, false}, {101, 0, false}, {120, 9, false}, {120, 10, true}, {300, 100, true}} {
		if x := (Exchange{Took: c.took, Late: c.late}); x.OwnDelay(100) != c.want {
			t.Errorf("%d, of which late %d: got %t", c.took, c.late, !c.want)
		}
	}
}

func TestLateness_isZeroWhereTimersAreInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l *Lateness
		if l.Total() != 0 || LatenessOf(t.Context()) != nil {
			t.Error("nothing is watched, and late")
		}
		l = &Lateness{}
		l.Watch()
		<-time.After(time.Second)
		l.Rest()
		<-time.After(time.Hour) // nobody watches
		if l.Total() != 0 {
			t.Errorf("late by %s", l.Total())
		}
		if LatenessOf(WithLateness(t.Context(), l)) != l {
			t.Error("the context does not hold it")
		}
	})
}

// TestLateness_addsUp checks that what was late once counts to the end, that a tick in time adds nothing, and that a tick that
// is late by no more than a timer is by itself is in time.
func TestLateness_addsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Lateness{}
		for _, c := range []struct{ late, total time.Duration }{
			{50 * time.Millisecond, 50 * time.Millisecond},
			{0, 50 * time.Millisecond},
			{timerSlack, 50 * time.Millisecond},
			{2 * time.Millisecond, 52 * time.Millisecond},
		} {
			l.Watch()
			l.timer.Stop() // as if the timer had not had its turn
			time.Sleep(latenessTick + c.late)
			if got := l.Total(); got != c.total {
				t.Errorf("late by %s: got %s in all, expected %s", c.late, got, c.total)
			}
			l.look() // its turn, at last
			l.timer.Stop()
			if time.Sleep(latenessTick); l.Total() != c.total {
				t.Errorf("late by %s, and then in time: got %s in all, expected %s", c.late, l.Total(), c.total)
			}
			if l.Rest(); l.Total() != c.total {
				t.Errorf("late by %s, and then at rest: got %s in all, expected %s", c.late, l.Total(), c.total)
			}
		}
		l.Watch()
		l.timer.Stop()
		time.Sleep(latenessTick + 50*time.Millisecond)
		if l.Rest(); l.Total() != 102*time.Millisecond {
			t.Errorf("late when the last run ended: got %s in all, expected 102ms", l.Total())
		}
	})
}
