package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"prober/internal/secret"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == suspendedChild {
		child(os.Args[2])
		return
	}
	goleak.VerifyTestMain(m)
}

// asks is a probe that is a function.
type asks func(context.Context, *Result)

func (asks) Validate() error                        { return nil }
func (asks) Checks() []string                       { return nil }
func (ask asks) Ask(ctx context.Context, r *Result) { ask(ctx, r) }

func job(ask asks) Job {
	return Job{ID: ID{System: "ibex", Name: "a", Type: "test"}, Probe: ask, Interval: 30 * time.Second, Timeout: 5 * time.Second}
}

// lines writes the checks of a result as a person would note them.
func lines(r Result) string {
	var b strings.Builder
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "%s %s %s(%s)\n", c.Name, c.Target, c.Verdict, c.Reason)
	}
	return strings.ReplaceAll(strings.TrimSpace(b.String()), "  ", " ")
}

func TestDo(t *testing.T) {
	untilTimeout := func(why Reason) asks {
		return func(ctx context.Context, r *Result) {
			<-ctx.Done()
			r.Fail("it", why, "no answer")
		}
	}
	reachable := func(context.Context) error { return nil }
	cutOff := func(context.Context) error { return errors.New("the reference cannot be reached either") }
	never := func(context.Context) error { panic("asked without need") }
	tests := []struct {
		name      string
		ask       asks
		reference func(context.Context) error
		cancel    time.Duration // when ctx is cancelled; 0: never
		want      string        // of the checks
		verdict   string
		took      time.Duration
	}{
		{"pass", func(_ context.Context, r *Result) { r.Pass("it", "good") }, never, 0,
			"it pass(ok)", "pass(ok)", 0},
		{"fail", func(_ context.Context, r *Result) { r.Fail("it", Status, "wanted 200, got 503") }, never, 0,
			"it fail(status)", "fail(status)", 0},
		{"nothing is checked", func(context.Context, *Result) {}, never, 0,
			"run inconclusive(nothing_checked)", "inconclusive(nothing_checked)", 0},
		{"a fail among passes", func(_ context.Context, r *Result) {
			r.Pass("a", "good")
			r.Fail("b", Body, "bad")
			r.Inconclusive("c", ControlFailed, "no control")
		}, never, 0,
			"a pass(ok)\nb fail(body)\nc inconclusive(control_failed)", "fail(body)", 0},
		{"an inconclusive among passes", func(_ context.Context, r *Result) {
			r.Pass("a", "good")
			r.Inconclusive("b", ControlFailed, "no control")
			r.Pass("c", "good")
		}, never, 0,
			"a pass(ok)\nb inconclusive(control_failed)\nc pass(ok)", "inconclusive(control_failed)", 0},

		{"timeout, network works", untilTimeout(Timeout), reachable, 0,
			"it fail(timeout)", "fail(timeout)", 5 * time.Second},
		{"timeout, without a reference", untilTimeout(Timeout), nil, 0,
			"it fail(timeout)", "fail(timeout)", 5 * time.Second},
		{"timeout, network is cut off", untilTimeout(Timeout), cutOff, 0,
			"it inconclusive(self_network)\nrun inconclusive(self_network)", "inconclusive(self_network)", 5 * time.Second},
		{"unreachable, network is cut off", untilTimeout(Unreachable), cutOff, 0,
			"it inconclusive(self_network)\nrun inconclusive(self_network)", "inconclusive(self_network)", 5 * time.Second},
		{"name server silent, network works", untilTimeout(DNSTimeout), reachable, 0,
			"it fail(dns_timeout)", "fail(dns_timeout)", 5 * time.Second},
		{"name server silent, without a reference", untilTimeout(DNSTimeout), nil, 0,
			"it inconclusive(dns_timeout)", "inconclusive(dns_timeout)", 5 * time.Second},
		{"name server broken, without a reference", untilTimeout(DNSServfail), nil, 0,
			"it inconclusive(dns_servfail)", "inconclusive(dns_servfail)", 5 * time.Second},
		{"name unknown needs no reference", untilTimeout(NXDomain), never, 0,
			"it fail(dns_nxdomain)", "fail(dns_nxdomain)", 5 * time.Second},
		{"refused needs no reference", untilTimeout(Refused), never, 0,
			"it fail(refused)", "fail(refused)", 5 * time.Second},
		{"an inconclusive timeout needs no reference", func(_ context.Context, r *Result) { r.Inconclusive("it", Timeout, "control") }, never, 0,
			"it inconclusive(timeout)", "inconclusive(timeout)", 0},
		{"what the target answered stays its own", func(_ context.Context, r *Result) {
			r.Fail("a", Status, "wanted 404, got 200: another tenant's memory")
			r.Fail("b", Timeout, "no answer")
		}, cutOff, 0,
			"a fail(status)\nb inconclusive(self_network)\nrun inconclusive(self_network)", "fail(status)", 0},
		{"a reference that never answers", untilTimeout(Timeout), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 0,
			"it inconclusive(self_network)\nrun inconclusive(self_network)", "inconclusive(self_network)", 10 * time.Second},

		{"cancelled", untilTimeout(Timeout), never, time.Second,
			"it inconclusive(cancelled)\nrun inconclusive(cancelled)", "inconclusive(cancelled)", time.Second},
		{"cancelled after a pass", func(ctx context.Context, r *Result) { r.Pass("it", "good"); <-ctx.Done() }, never, time.Second,
			"it pass(ok)\nrun inconclusive(cancelled)", "inconclusive(cancelled)", time.Second},
		{"cancelled while the reference is asked", untilTimeout(Timeout),
			func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 7 * time.Second,
			"it inconclusive(cancelled)\nrun inconclusive(cancelled)", "inconclusive(cancelled)", 7 * time.Second},

		{"a failure that cites its exchange, then cancelled", func(ctx context.Context, r *Result) {
			r.Exchanged(Exchange{Check: "it", TraceID: "a", Reason: Reset})
			r.Fail("it", Replicas, "found 1")
			<-ctx.Done()
		}, never, time.Second,
			"it fail(replicas)\nrun inconclusive(cancelled)", "fail(replicas)", time.Second},
		{"a failure, then suspended", func(_ context.Context, r *Result) {
			r.Fail("early", Status, "got 500")
			i := r.shared.interrupted
			i.mu.Lock()
			i.last = i.last.Add(-3 * time.Second) // nobody has looked for so long
			i.mu.Unlock()
			r.Fail("it", Slow, "answered, much too late")
		}, never, 0,
			"early fail(status)\nit inconclusive(suspended)\nrun inconclusive(suspended)", "fail(status)", 0},
		{"a breach, then cancelled", func(ctx context.Context, r *Result) { r.Fail("it", AuthBypass, "got 501"); <-ctx.Done() }, never, time.Second,
			"it fail(auth_bypass)\nrun inconclusive(cancelled)", "fail(auth_bypass)", time.Second},
		{"a failure, then cancelled", func(ctx context.Context, r *Result) {
			r.Each([]string{"a", "b"}, func(i int, r *Result) {
				if i == 0 {
					r.Fail("it", Status, "got 500")
					return
				}
				<-ctx.Done()
				r.Fail("it", Reset, "connection closed")
			})
		}, never, time.Second,
			"it a fail(status)\nit b inconclusive(cancelled)\nrun inconclusive(cancelled)", "fail(status)", time.Second},
		{"cancelled, then a breach is told", func(ctx context.Context, r *Result) { <-ctx.Done(); r.Fail("it", PrivateKey, "d") }, never, time.Second,
			"it fail(private_key_published)\nrun inconclusive(cancelled)", "fail(private_key_published)", time.Second},
		{"cancelled, then a failure is told that an answer proves", func(ctx context.Context, r *Result) {
			r.Exchanged(Exchange{Check: "it", TraceID: "a", Status: 500, Reason: OK})
			<-ctx.Done()
			r.Fail("it", Status, "got 500")
		}, never, time.Second,
			"it fail(status)\nrun inconclusive(cancelled)", "fail(status)", time.Second},
		{"cancelled, then a failure is told that a broken exchange led to", func(ctx context.Context, r *Result) {
			r.Exchanged(Exchange{Check: "it", TraceID: "a", Status: 200, Reason: OK})
			<-ctx.Done()
			r.Exchanged(Exchange{Check: "it", TraceID: "b", Reason: Cancelled})
			r.Fail("it", Replicas, "found 1")
		}, never, time.Second,
			"it inconclusive(cancelled)\nrun inconclusive(cancelled)", "inconclusive(cancelled)", time.Second},
		{"cancelled, then a failure is told of an exchange that had broken before", func(ctx context.Context, r *Result) {
			r.Exchanged(Exchange{Check: "it", TraceID: "a", Reason: Reset})
			<-ctx.Done()
			r.Fail("it", Reset, "connection closed")
		}, never, time.Second,
			"it inconclusive(cancelled)\nrun inconclusive(cancelled)", "inconclusive(cancelled)", time.Second},
		{"cancelled, then an answer came that nobody waited for any more", func(ctx context.Context, r *Result) {
			<-ctx.Done()
			r.Exchanged(Exchange{Check: "it", TraceID: "a", Status: 500, Reason: OK})
			r.Fail("it", Status, "got 500")
		}, never, time.Second,
			"it inconclusive(cancelled)\nrun inconclusive(cancelled)", "inconclusive(cancelled)", time.Second},
		{"cancelled, then a failure is told, and an answer without a trace proves nothing", func(ctx context.Context, r *Result) {
			r.Exchanged(Exchange{Check: "other", Reason: OK})
			<-ctx.Done()
			r.Fail("it", Replicas, "found 1")
		}, never, time.Second,
			"it inconclusive(cancelled)\nrun inconclusive(cancelled)", "inconclusive(cancelled)", time.Second},
		{"a timeout, then cancelled before the reference could be asked", func(ctx context.Context, r *Result) { r.Fail("it", Timeout, "no answer"); <-ctx.Done() }, never, time.Second,
			"it inconclusive(cancelled)\nrun inconclusive(cancelled)", "inconclusive(cancelled)", time.Second},
		{"a timeout without a reference, then cancelled", func(ctx context.Context, r *Result) { r.Fail("it", Timeout, "no answer"); <-ctx.Done() }, nil, time.Second,
			"it fail(timeout)\nrun inconclusive(cancelled)", "fail(timeout)", time.Second},
		{"a breach beside a timeout, cancelled while the reference is asked", func(ctx context.Context, r *Result) {
			r.Fail("a", AuthBypass, "got 501")
			<-ctx.Done()
			r.Fail("b", Timeout, "no answer")
		}, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 7 * time.Second,
			"a fail(auth_bypass)\nb inconclusive(cancelled)\nrun inconclusive(cancelled)", "fail(auth_bypass)", 7 * time.Second},
		{"a breach, then the time is up and the network is cut off", func(ctx context.Context, r *Result) {
			r.Fail("it", AuthBypass, "got 501")
			<-ctx.Done()
			r.Fail("other", Timeout, "no answer")
		}, cutOff, 0,
			"it fail(auth_bypass)\nother inconclusive(self_network)\nrun inconclusive(self_network)", "fail(auth_bypass)", 5 * time.Second},
		{"a breach, then a panic, then cancelled", func(ctx context.Context, r *Result) {
			r.Fail("it", AuthBypass, "got 501")
			<-ctx.Done()
			panic("out")
		}, never, time.Second,
			"it fail(auth_bypass)\nrun inconclusive(panic)\nrun inconclusive(cancelled)", "fail(auth_bypass)", time.Second},

		{"panic", func(_ context.Context, r *Result) { r.Pass("it", "good"); panic("out") }, never, 0,
			"it pass(ok)\nrun inconclusive(panic)", "inconclusive(panic)", 0},
		{"panic after a fail", func(_ context.Context, r *Result) { r.Fail("it", Body, "bad"); panic("out") }, never, 0,
			"it fail(body)\nrun inconclusive(panic)", "fail(body)", 0},
		{"no probe at all", nil, never, 0, "run inconclusive(panic)", "inconclusive(panic)", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.cancel > 0 {
					time.AfterFunc(tt.cancel, cancel)
				}
				j := job(tt.ask)
				j.Reference = tt.reference
				began := time.Now()
				r := j.Do(ctx)
				if got := lines(r); got != tt.want {
					t.Errorf("got\n%s\nwant\n%s", got, tt.want)
				}
				if got := fmt.Sprintf("%s(%s)", r.Verdict(), r.Decisive().Reason); got != tt.verdict {
					t.Errorf("verdict %s, want %s", got, tt.verdict)
				}
				if took := time.Since(began); took != tt.took {
					t.Errorf("took %s, want %s", took, tt.took)
				}
				if r.ID != j.ID || !r.Started.Equal(began) || r.Abandoned != nil {
					t.Errorf("got %+v", r)
				}
			})
		})
	}
}

func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		began := time.Now()
		r := job(func(ctx context.Context, r *Result) {
			r.Pass("early", "good")
			r.Fail("seen", AuthBypass, "got 501")
			<-release // whatever ctx says
			for range 100 {
				r.Pass("late", "good")
				r.Fail("late", Body, "bad")
				r.Exchanged(Exchange{Status: 200})
				r.Measure(&Measure{Name: "probe_x"}, 1)
				r.Each([]string{"x"}, func(_ int, r *Result) { r.Pass("later", "good") })
			}
		}).Do(t.Context())
		if took := time.Since(began); took != 5*time.Second+Grace || r.Took != took {
			t.Errorf("took %s and says %s, want the timeout and grace, 5.5s", took, r.Took)
		}
		if got, want := lines(r), "early pass(ok)\nseen fail(auth_bypass)\nrun inconclusive(hung)"; got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		select {
		case <-r.Abandoned:
			t.Error("Left is closed though the probe has not ended")
		default:
		}
		before := fmt.Sprintf("%+v", r)
		close(release)
		<-r.Abandoned // never, if it is not told
		if after := fmt.Sprintf("%+v", r); after != before {
			t.Errorf("what was left behind changed the result from\n%s\nto\n%s", before, after)
		}
	})
}

func TestHangInEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := job(func(_ context.Context, r *Result) {
			run := r
			for range 9 { // so that the slice has room for what comes later
				r.Pass("before", "good")
			}
			var wg sync.WaitGroup
			wg.Go(func() { r.Each([]string{"other"}, func(_ int, r *Result) { r.Pass("it", "good") }) })
			r.Each([]string{"a", "b", "c"}, func(_ int, r *Result) {
				target := r.Target()
				if target == "b" {
					r.Fail("it", Body, "bad, before it hung")
					r.Each([]string{"b1", "b2"}, func(_ int, r *Result) {
						target := r.Target()
						if r.Pass("inner", "good"); target == "b2" {
							<-release
							run.LinkExchange("before", "late")
						}
					})
				}
				r.Pass("it", "good")
			})
			wg.Wait()
			r.Fail("late", Body, "bad")
			r.Fail("late", Body, "bad")
		}).Do(t.Context())
		want := strings.Repeat("before pass(ok)\n", 9) + "it other pass(ok)\n" +
			"it a pass(ok)\nit b fail(body)\ninner b1 pass(ok)\ninner b2 pass(ok)\nit c pass(ok)\nrun inconclusive(hung)"
		if got := lines(r); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		close(release)
		<-r.Abandoned
		if got := lines(r); got != want || r.Checks[8].TraceID != "" {
			t.Errorf("what was left behind changed the result to\n%s, citing %q", got, r.Checks[8].TraceID)
		}
	})
}

func TestAwait(t *testing.T) {
	const ended, never = true, false
	tests := []struct {
		name          string
		done          bool
		ago           time.Duration // since when nobody looked
		stopped, hung bool
		took          time.Duration
	}{
		{"ended", ended, 0, false, false, 0},
		{"ended during a stop", ended, 3 * time.Second, true, false, 0},
		{"ended after less than a stop", ended, pulse + stall, false, false, 0},
		{"hung", never, 0, false, true, 5 * time.Second},
		{"hung after a stop", never, 3 * time.Second, true, true, 5*time.Second + Grace},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			began, givenUp := time.Now(), make(chan struct{})
			i := watchInterruption(t.Context(), began)
			i.last = began.Add(-tt.ago)
			i.watch(5*time.Second, func() { close(givenUp) })
			if !tt.done {
				<-givenUp
			}
			hung, stopped := !i.stop(), i.suspended
			if took := time.Since(began); stopped != tt.stopped || hung != tt.hung || took != tt.took {
				t.Errorf("%s: stopped %v, hung %v after %s; want %v, %v after %s", tt.name, stopped, hung, took, tt.stopped, tt.hung, tt.took)
			}
		})
	}
}

// TestDo_endsItsContext: what a probe left behind in the background ends with its run.
func TestDo_endsItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var of context.Context
		job(func(ctx context.Context, r *Result) { of = ctx; r.Pass("it", "good") }).Do(t.Context())
		if <-of.Done(); !errors.Is(of.Err(), context.Canceled) {
			t.Errorf("got %v, want it cancelled at the end of the run", of.Err())
		}
	})
}

// A value that is still being written as text when the time is up must not keep Do from returning.
func TestHangWhileTextIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := job(func(_ context.Context, r *Result) {
			r.Fail("it", Body, "got %v", texter(func() string { <-release; return "" }))
		}).Do(t.Context())
		if got := lines(r); got != "run inconclusive(hung)" {
			t.Errorf("got\n%s", got)
		}
		close(release)
		<-r.Abandoned
	})
}

func TestNoteWhileTextIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := job(func(_ context.Context, r *Result) {
			r.Fail("it", Body, "got %v", texter(func() string { r.Pass("inner", "good"); return "" }))
		}).Do(t.Context())
		if got, want := lines(r), "inner pass(ok)\nit fail(body)"; got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

type texter func() string

func (f texter) String() string { return f() }

func TestPanicSaysTypeAndWayOnly(t *testing.T) {
	const value = "hunter2-0123456789abcdef"
	type settings struct{ Token string }
	var nobody *settings
	var empty map[string]int
	tests := map[string]struct {
		panics func()
		kind   string
	}{
		"text":          {func() { panic(value) }, "string"},
		"error":         {func() { panic(errors.New("with " + value)) }, "*errors.errorString"},
		"settings":      {func() { panic(settings{value}) }, "probe.settings"},
		"nil":           {func() { panic(nil) }, "*runtime.PanicNilError"},
		"nil map":       {func() { empty[value] = 1 }, "runtime.plainError"},
		"index":         {func() { _ = []string{value}[len(empty)+1] }, "runtime.boundsError"},
		"nil pointer":   {func() { _ = nobody.Token }, "runtime.errorString"},
		"type":          {func() { _ = any(value).(int) }, "*runtime.TypeAssertionError"},
		"divide":        {func() { _ = 1 / len(empty) }, "runtime.runtimeError"},
		"closed":        {func() { c := make(chan int); close(c); close(c) }, "runtime.plainError"},
		"wrong reason":  {func() { NewResult(ID{}).Fail("it", OK, value) }, "string"},
		"wrong measure": {func() { NewResult(ID{}).Measure(&Measure{Name: "probe_x"}, 1, value) }, "string"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for where, r := range map[string]Result{
				"in Ask": job(func(_ context.Context, r *Result) { r.Pass("it", "good"); tt.panics() }).Do(t.Context()),
				"in Each": job(func(_ context.Context, r *Result) {
					r.Each([]string{"a", "b"}, func(_ int, r *Result) {
						target := r.Target()
						if r.Pass("it", "good"); target == "b" {
							tt.panics()
						}
					})
				}).Do(t.Context()),
			} {
				why := r.Decisive()
				if r.Verdict() != Inconclusive || why.Reason != Panicked || why.Name != RunCheck {
					t.Errorf("%s: got %s(%s), want inconclusive(panic)", where, r.Verdict(), why.Reason)
				}
				if where == "in Each" && (why.Target != "b" || !strings.HasPrefix(lines(r), "it a pass(ok)\nit b pass(ok)\n")) {
					t.Errorf("%s: only the notes of b are spoiled, got\n%s", where, lines(r))
				}
				if text := fmt.Sprintf("%+v", r); strings.Contains(text, "hunter2") {
					t.Errorf("%s: the value that was panicked with is in %s", where, text)
				}
				if !strings.Contains(why.Detail, "probe.TestPanicSaysTypeAndWayOnly.func") || strings.Contains(why.Detail[strings.Index(why.Detail, ") in "):], "runtime.") {
					t.Errorf("%s: %q does not say where", where, why.Detail)
				}
				if tt.kind != "" && !strings.Contains(why.Detail, tt.kind+")") && !strings.Contains(why.Detail, "runtime.") {
					t.Errorf("%s: %q does not say the type %s", where, why.Detail, tt.kind)
				}
			}
		})
	}
}

func TestJumped(t *testing.T) {
	at := time.Now()
	for _, took := range []time.Duration{0, 5 * time.Second, time.Hour} {
		if clockJumped(at, at.Add(took)) {
			t.Errorf("a run of %s counts as a jump of the clock", took)
		}
	}
	// A time without a monotonic reading is compared by the wall clock alone, so none can be told from the other.
	if clockJumped(at.Round(0), at.Add(time.Hour).Round(0)) {
		t.Error("without a monotonic clock nothing can be told")
	}
}

func TestSecretsLeaveAResultNowhere(t *testing.T) {
	t.Setenv("PROBER_TEST_TOKEN", "hunter2-0123456789abcdef")
	value, err := secret.Env("PROBER_TEST_TOKEN").Reveal()
	if err != nil {
		t.Fatal(err)
	}
	r := job(func(_ context.Context, r *Result) {
		r.Fail("it", Body, "got %s and %q", value, value)
		r.Pass("it", "%s", value)
		r.Report("it", Header, value)
		r.LinkExchange("it", value)
		r.Deployed([]Deploy{{ID: value, Version: value}}, value)
		r.Exchanged(Exchange{URL: "https://x.example/" + value, Version: value, TraceID: value, TargetTraceID: value})
		r.Measure(&Measure{Name: "probe_x", Labels: []string{"a"}}, 1, value)
		r.Each([]string{"a"}, func(_ int, r *Result) { r.Fail("it", Body, "got %s", value) })
	}).Do(t.Context())
	if len(r.Checks) != 4 || len(r.Exchanges) != 1 || len(r.Samples) != 1 {
		t.Fatalf("got %+v", r)
	}
	if text := fmt.Sprintf("%+v", r); strings.Contains(text, "hunter2-") || strings.Count(text, "<redacted>") != 14 {
		t.Errorf("%d places are redacted in %s", strings.Count(text, "<redacted>"), text)
	}
}

// lists is a probe that lists targets.
type lists struct{ Probe }

func (lists) Local() ([]Target, Outcome, bool) { return nil, Outcome{}, true }

// TestDo_targets: a list of targets does not pass unless probes were made from it.
func TestDo_targets(t *testing.T) {
	t.Parallel()
	found := []Target{{Address: "10.0.0.1:80"}}
	ask := func(ctx context.Context, r *Result) {
		if every := IntervalOf(ctx); every != time.Minute && every != 0 {
			t.Errorf("it is asked every %s", every)
		} else if r.Listed(found); every != 0 {
			r.Pass("it", "listed every %s", every)
		} else {
			r.Pass("it", "listed once")
		}
	}
	for want, expand := range map[string]func([]Target) Outcome{
		"it pass(ok)\nprobes inconclusive(no_targets)": nil,
		"it pass(ok)\nprobes pass(ok)":                 func(all []Target) Outcome { return Outcomef(OK, "%d probes", len(all)) },
		"it pass(ok)\nprobes fail(schema)":             func([]Target) Outcome { return Outcomef(Schema, "two targets have the same name") },
	} {
		r := Job{Probe: lists{asks(ask)}, Interval: time.Minute, Timeout: time.Second, Expand: expand}.Do(t.Context())
		often := map[bool]string{true: "listed every 1m0s", false: "listed once"}[expand != nil] // only who has probes made of it caches for that long
		if got := lines(r); got != want || r.Checks[0].Detail != often || len(r.Targets) != 1 {
			t.Errorf("got %s: %s, %v; want %s: %s", got, r.Checks[0].Detail, r.Targets, want, often)
		}
	}
}

func TestSinks(t *testing.T) {
	var told atomic.Int32
	sink := sinkFunc(func(r Result) { told.Add(int32(len(r.Name))) })
	Sinks{sink, sink, sink}.Observe(Result{ID: ID{Name: "a"}})
	if told.Load() != 3 {
		t.Errorf("told %d sinks, want 3", told.Load())
	}
}

type sinkFunc func(Result)

func (f sinkFunc) Observe(r Result) { f(r) }

// promising is a probe that says beforehand what it checks.
type promising struct{ asks }

func (promising) Checks() []string { return []string{"made", "left"} }

// TestDo_everyCheck: a pass needs every check that the probe announces. What was forgotten proves nothing.
func TestDo_everyCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ask  func(r *Result)
		want string
	}{
		"all are made":             {func(r *Result) { r.Pass("made", "good"); r.Pass("left", "good") }, "made pass(ok)\nleft pass(ok)"},
		"one is forgotten":         {func(r *Result) { r.Pass("made", "good") }, "made pass(ok)\nleft inconclusive(nothing_checked)"},
		"one has nothing to check": {func(r *Result) { r.Pass("made", "good"); r.Omit("left") }, "made pass(ok)"},
		"one has nothing at a target": {func(r *Result) {
			r.Pass("made", "good")
			r.Each([]string{"a"}, func(_ int, r *Result) { r.Omit("left") })
		}, "made pass(ok)"},
		"a failure stands for the rest": {func(r *Result) { r.Fail("made", Status, "expected 200, got 500") }, "made fail(status)"},
		"all have nothing":              {func(r *Result) { r.Omit("made"); r.Omit("left") }, "run inconclusive(nothing_checked)"},
		"nothing was noted":             {func(*Result) {}, "run inconclusive(nothing_checked)"},
		"made for one of its targets": {func(r *Result) {
			r.Each([]string{"a"}, func(_ int, r *Result) { r.Pass("made", "good"); r.Pass("left", "good") })
		}, "made a pass(ok)\nleft a pass(ok)"},
		"one of three targets was not asked": {func(r *Result) {
			r.Pass("left", "good")
			r.Each([]string{"a", "b", "c"}, func(i int, r *Result) {
				if i != 1 {
					r.Pass("made", "good")
				}
			})
		}, "left pass(ok)\nmade a pass(ok)\nmade c pass(ok)\nmade b inconclusive(nothing_checked)"},
		"one of three targets lacks one of two checks": {func(r *Result) {
			r.Each([]string{"a", "b", "c"}, func(i int, r *Result) {
				r.Pass("made", "good")
				if i == 2 {
					r.Pass("left", "good")
				} else if i == 1 {
					r.Omit("left")
				}
			})
		}, "made a pass(ok)\nmade b pass(ok)\nmade c pass(ok)\nleft c pass(ok)\nleft a inconclusive(nothing_checked)"},
		"made of a target by another Each": {func(r *Result) {
			r.Pass("left", "good")
			r.Each([]string{"a", "b"}, func(i int, r *Result) {
				if i == 0 {
					r.Pass("made", "good")
				}
			})
			r.Each([]string{"b"}, func(i int, r *Result) { r.Pass("made", "good") })
		}, "left pass(ok)\nmade a pass(ok)\nmade b pass(ok)"},
		"omitted of all targets": {func(r *Result) {
			r.Omit("left")
			r.Each([]string{"a", "b"}, func(i int, r *Result) {
				r.Pass("made", "good")
				if i == 0 {
					r.Pass("left", "good")
				}
			})
		}, "made a pass(ok)\nleft a pass(ok)\nmade b pass(ok)"},
		"of targets behind one of them": {func(r *Result) {
			r.Each([]string{"a", "b"}, func(i int, r *Result) {
				if r.Pass("left", "good"); i == 0 {
					r.Each([]string{"c", "d"}, func(i int, r *Result) { r.Pass("made", "good") })
				}
			})
		}, "left a pass(ok)\nmade c pass(ok)\nmade d pass(ok)\nleft b pass(ok)"},
		"beside a failure": {func(r *Result) {
			r.Each([]string{"a", "b"}, func(i int, r *Result) {
				if i == 0 {
					r.Fail("made", Status, "expected 200, got 500")
				}
			})
		}, "made a fail(status)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := job(nil)
			j.Probe = promising{func(_ context.Context, r *Result) { c.ask(r) }}
			if got := lines(j.Do(t.Context())); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestInterruption_stopped checks that a run that has ended is not given up as well, though its timer went off meanwhile.
func TestInterruption_stopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := watchInterruption(t.Context(), time.Now())
		i.watch(time.Minute, func() { t.Error("the run was given up, a minute after its end") })
		if !i.stop() || i.expired() {
			t.Error("the run did not end in time")
		}
		time.Sleep(time.Hour)
	})
}
