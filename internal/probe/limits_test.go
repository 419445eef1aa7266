package probe

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/memory"
)

// Whatever a probe makes of an answer that does not fit into a limit of the prober, nothing that rests on it counts.
func TestDo_aLimitOfTheProberProvesNothing(t *testing.T) {
	full := &memory.ErrLimit{Limit: "the JSON holds more than 100000 values"}
	breach, split := Reason{Word: "leak", Verdict: Fail, Breach: true}, Reason{Word: "split", Verdict: Fail, Seen: true}
	exceeds := func(trace string, note func(*Result)) asks {
		return func(ctx context.Context, r *Result) {
			r.Exchanged(Exchange{Check: "it", TraceID: "a1", Reason: OK})
			r.Exchanged(Exchange{Check: "other", TraceID: "b2", Reason: OK})
			memory.Exceeded(ctx, trace, full)
			note(r)
		}
	}
	for name, c := range map[string]struct {
		ask  asks
		want string
	}{
		"a pass":                    {exceeds("a1", func(r *Result) { r.Pass("it", "not found, as it should be") }), "it pass(ok)\nrun inconclusive(self_limit)"},
		"a failure":                 {exceeds("a1", func(r *Result) { r.Fail("it", Body, "not found") }), "it inconclusive(self_limit)"},
		"a failure without a trace": {exceeds("a1", func(r *Result) { r.Fail("sum", Body, "not found") }), "sum inconclusive(self_limit)"},
		"a failure of another answer": {exceeds("a1", func(r *Result) { r.Fail("other", Status, "got 500") }),
			"other fail(status)\nrun inconclusive(self_limit)"},
		"an answer that is not known": {exceeds("", func(r *Result) { r.Fail("other", Status, "got 500") }), "other inconclusive(self_limit)"},
		"what other answers show together": {exceeds("a1", func(r *Result) { r.Note("sum", Outcome{split, "two of three differ"}) }),
			"sum fail(split)\nrun inconclusive(self_limit)"},
		"a breach": {exceeds("a1", func(r *Result) { r.Fail("it", breach, "found") }), "it fail(leak)\nrun inconclusive(self_limit)"},
		"no limit": {func(ctx context.Context, r *Result) {
			memory.Exceeded(ctx, "a1", context.Canceled)
			r.Pass("it", "good")
		}, "it pass(ok)"},
	} {
		t.Run(name, func(t *testing.T) {
			r := job(c.ask).Do(t.Context())
			if got := lines(r); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
			for _, check := range r.Checks {
				if check.Reason == SelfLimit && check.Detail != full.Limit {
					t.Errorf("the limit is not named: %q", check.Detail)
				}
			}
		})
	}
}

// A prober that does not tell good from bad says nothing of anybody, not even of a breach.
func TestDo_noVerdictCountsWithoutTheEngine(t *testing.T) {
	j := job(func(_ context.Context, r *Result) {
		r.Pass("a", "good")
		r.Fail("b", Status, "bad")
		r.Fail("c", SecretReflected, "worse")
	})
	j.Engine = func() error { return errors.New("good: expected pass, got fail") }
	r := j.Do(t.Context())
	if got, want := lines(r), "a pass(ok)\nb inconclusive(self_engine)\nc inconclusive(self_engine)\nrun inconclusive(self_engine)"; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	j.Engine = func() error { return nil }
	if r := j.Do(t.Context()); r.Verdict() != Fail {
		t.Error(lines(r))
	}
}

func TestDo_givesBackWhatARunTook(t *testing.T) {
	j := job(func(ctx context.Context, r *Result) {
		if err := memory.Take(ctx, 2<<20); err != nil {
			r.Fail("it", Body, "%s", err)
			return
		}
		r.Pass("it", "there was room")
	})
	j.Memory = memory.NewBudget(2 << 20)
	for range 3 {
		if r := j.Do(t.Context()); r.Verdict() != Pass {
			t.Fatal(lines(r))
		}
	}
}

// A run that spent its time waiting for memory says nothing of how fast its target is.
func TestDo_aWaitForMemoryIsNotTheTargets(t *testing.T) {
	for name, c := range map[string]struct {
		wait time.Duration
		want string
	}{
		"most of the time":   {800 * time.Millisecond, "it inconclusive(self_limit)\nrun inconclusive(self_limit)"},
		"little of the time": {200 * time.Millisecond, "it fail(timeout)"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := memory.NewBudget(1 << 20)
				first, oldest := b.Open(t.Context())
				second, other := b.Open(t.Context())
				if memory.Take(first, 1<<20) != nil || memory.Take(second, 512<<10) != nil {
					t.Fatal("no memory")
				}
				defer other.Close()
				time.AfterFunc(c.wait, oldest.Close)
				j := job(func(ctx context.Context, r *Result) {
					if err := memory.Take(ctx, 512<<10); err != nil {
						t.Error(err)
					}
					<-ctx.Done()
					r.Fail("it", Timeout, "no complete answer in time")
				})
				j.Timeout, j.Memory = time.Second, b
				r := j.Do(t.Context())
				if got := lines(r); got != c.want {
					t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
				}
			})
		})
	}
}
