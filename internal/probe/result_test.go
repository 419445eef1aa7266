package probe

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestZeroVerdictIsInconclusive(t *testing.T) {
	var v Verdict
	if v != Inconclusive || v.String() != "inconclusive" {
		t.Errorf("the zero verdict is %s", v)
	}
	if v := (Result{}).Verdict(); v != Inconclusive {
		t.Errorf("the zero result's verdict is %s", v)
	}
	if v := (Result{Checks: make([]Check, 1)}).Verdict(); v != Inconclusive {
		t.Errorf("a zero check's verdict is %s", v)
	}
	if why := (Result{}).Decisive(); why.Reason != NothingChecked || why.Verdict != Inconclusive {
		t.Errorf("the zero result says %+v", why)
	}
}

func TestVerdictIsTheWorst(t *testing.T) {
	for _, tt := range []struct {
		of   []Verdict
		want Verdict
	}{
		{[]Verdict{Pass}, Pass},
		{[]Verdict{Pass, Pass}, Pass},
		{[]Verdict{Pass, Inconclusive}, Inconclusive},
		{[]Verdict{Inconclusive, Pass, Pass}, Inconclusive},
		{[]Verdict{Pass, Fail, Inconclusive}, Fail},
		{[]Verdict{Inconclusive, Fail}, Fail},
		{[]Verdict{Fail, Pass}, Fail},
		{[]Verdict{7}, Inconclusive},
		{[]Verdict{Pass, -1}, Inconclusive},
		{[]Verdict{3, Pass}, Inconclusive},
		{[]Verdict{3, Fail}, Fail},
	} {
		var r Result
		for i, v := range tt.of {
			r.Checks = append(r.Checks, Check{Name: fmt.Sprint(i), Verdict: v})
		}
		if got := r.Verdict(); got != tt.want {
			t.Errorf("of %v: %s, want %s", tt.of, got, tt.want)
		}
		for i, v := range tt.of {
			if v == tt.want {
				if why := r.Decisive(); why.Name != fmt.Sprint(i) {
					t.Errorf("of %v: check %s is said to be why, want %d", tt.of, why.Name, i)
				}
				break
			}
		}
	}
}

// What failed is listed before what is inconclusive, each in the order of the run.
func TestResult_notPassed(t *testing.T) {
	r := Result{Checks: []Check{
		{Name: "a"}, {Name: "b", Verdict: Pass}, {Name: "c", Verdict: Fail}, {Name: "d"}, {Name: "e", Verdict: Fail},
	}}
	var got string
	for _, c := range r.NotPassed() {
		got += c.Name
	}
	if got != "cead" {
		t.Errorf("got %s, expected cead", got)
	}
	if r.Checks[0].Name != "a" {
		t.Error("the checks of the result are in another order now")
	}
}

func TestVerdictWords(t *testing.T) {
	for v, want := range map[Verdict]string{Inconclusive: "inconclusive", Pass: "pass", Fail: "fail", 7: "Verdict(7)"} {
		if b, err := v.MarshalText(); string(b) != want || err != nil {
			t.Errorf("%d is written %q, %v; want %q", int(v), b, err, want)
		}
	}
}

func TestReportTakesTheVerdictOfTheReason(t *testing.T) {
	words := map[string]bool{}
	for _, why := range append(CommonReasons[:], OK) {
		if words[why.Word] || why.Word == "" || why != OK && (why.Text == "" || why.Verdict == Pass) {
			t.Errorf("%+v: expected a word of its own, a text, and a verdict that is not pass", why)
		}
		words[why.Word] = true
		r := NewResult(ID{})
		r.Report("it", why, "so")
		if (Outcome{Reason: why}).Passed() != (why.Verdict == Pass) {
			t.Errorf("an outcome with the reason %s passed: %t", why, why.Verdict != Pass)
		}
		if got := r.Checks[0]; got.Verdict != why.Verdict || got.Reason != why {
			t.Errorf("expected %s(%s), got %s(%s)", why.Verdict, why, got.Verdict, got.Reason)
		}
	}
}

func TestWrongNotesPanic(t *testing.T) {
	m := &Measure{Name: "probe_x_seconds", Labels: []string{"a"}}
	for name, note := range map[string]func(*Result){
		"fail with ok":            func(r *Result) { r.Fail("it", OK, "") },
		"inconclusive with ok":    func(r *Result) { r.Inconclusive("it", OK, "") },
		"fail without reason":     func(r *Result) { r.Fail("it", Reason{}, "") },
		"too few labels":          func(r *Result) { r.Measure(m, 1) },
		"too many labels":         func(r *Result) { r.Measure(m, 1, "a", "b") },
		"because without a cause": func(r *Result) { r.Report("it", Reason{}, "") },
	} {
		func() {
			r := NewResult(ID{})
			defer func() {
				if recover() == nil || len(r.Checks)+len(r.Samples) > 0 {
					t.Errorf("%s: noted %+v without a panic", name, r)
				}
			}()
			note(r)
		}()
	}
}

func TestMeasure(t *testing.T) {
	m := &Measure{Name: "probe_x_seconds", Labels: []string{"a"}}
	r := NewResult(ID{})
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		r.Measure(m, v, "x")
	}
	labels := []string{"ok"}
	r.Measure(m, 1.5, labels...)
	labels[0] = "changed later"
	r.Measure(m, -2, "bad\x1b\xff")
	r.OneOf(m, "up", []string{"up", "down"})
	if up, down := r.Samples[2], r.Samples[3]; up.Value != 1 || up.Values[0] != "up" || down.Value != 0 || down.Values[0] != "down" {
		t.Errorf("of two states the first holds: got %+v", r.Samples[2:])
	}
	if r.Samples = r.Samples[:2]; r.Samples[0].Value != 1.5 || r.Samples[0].Measure != m || r.Samples[0].Values[0] != "ok" {
		t.Errorf("got %+v, want what is a number, as it was", r.Samples)
	}
	if got := r.Samples[1].Values[0]; !strings.HasPrefix(got, "sha256:") {
		t.Errorf("the label is %q", got)
	}
}

func TestExchanged(t *testing.T) {
	r := job(func(_ context.Context, r *Result) {
		r.Exchanged(Exchange{URL: "https://x/\x1b[2J", Version: "v1\n", TraceID: "a\u202eb", TargetTraceID: strings.Repeat("x", 10_000)})
		r.Each([]string{"replica-0"}, func(_ int, r *Result) {
			r.Exchanged(Exchange{Status: 200, Took: 2 * time.Second})
			r.Exchanged(Exchange{Status: 200, Target: "other", Took: time.Second})
		})
	}).Do(t.Context())
	x := r.Exchanges
	if x[0].URL != "https://x/ [2J" || x[0].Version != "v1 " || x[0].TraceID != "a b" || len(x[0].TargetTraceID) > maxText+3 {
		t.Errorf("not clean: %+v", x[0])
	}
	if x[0].Target != "" || x[1].Target != "replica-0" || x[2].Target != "other" {
		t.Errorf("the targets are %q, %q and %q", x[0].Target, x[1].Target, x[2].Target)
	}
	if r.Latency() != 2*time.Second {
		t.Errorf("the latency is %s, want that of the slowest exchange", r.Latency())
	}
	if got := (Result{Took: time.Minute}).Latency(); got != time.Minute {
		t.Errorf("without an exchange the latency is %s, want that of the run", got)
	}
}

func TestEachKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		targets := []string{"e", "d", "c", "b", "a"}
		began := time.Now()
		r := job(func(_ context.Context, r *Result) {
			r.Pass("before", "good")
			r.Each(targets, func(i int, r *Result) {
				target := targets[i]
				time.Sleep(time.Duration(target[0]) * time.Millisecond) // the last target answers first
				r.Pass("first", "good")
				r.Measure(&Measure{Name: "probe_" + target}, 1)
				if r.Target() != target {
					t.Errorf("asked %s with the result of %s", target, r.Target())
				}
				r.Pass("second", "good")
			})
			r.Pass("after", "good")
		}).Do(t.Context())
		want := "before pass(ok)"
		for i, target := range targets {
			want += fmt.Sprintf("\nfirst %s pass(ok)\nsecond %[1]s pass(ok)", target)
			if r.Samples[i].Name != "probe_"+target {
				t.Errorf("sample %d is %s", i, r.Samples[i].Name)
			}
		}
		want += "\nafter pass(ok)"
		if got := lines(r); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if took := time.Since(began); took > 110*time.Millisecond {
			t.Errorf("took %s, want all asked at the same time", took)
		}
	})
}

func TestEachInEach(t *testing.T) {
	r := job(func(_ context.Context, r *Result) {
		r.Each([]string{"a", "b"}, func(_ int, r *Result) {
			outer := r.Target()
			r.Pass("outer", "good")
			r.Each([]string{outer + "1", outer + "2"}, func(_ int, r *Result) { r.Pass("inner", "good") })
			r.Pass("end", "good")
		})
	}).Do(t.Context())
	want := "outer a pass(ok)\ninner a1 pass(ok)\ninner a2 pass(ok)\nend a pass(ok)\n" +
		"outer b pass(ok)\ninner b1 pass(ok)\ninner b2 pass(ok)\nend b pass(ok)"
	if got := lines(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Two fans at once on one result: the one that ends first must not lose what the other has yet to say.
func TestTwoEachAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := job(func(_ context.Context, r *Result) {
			var wg sync.WaitGroup
			wg.Go(func() {
				r.Each([]string{"quick"}, func(_ int, r *Result) { r.Pass("it", "good") })
			})
			wg.Go(func() {
				r.Each([]string{"slow"}, func(_ int, r *Result) {
					r.Pass("first", "good")
					time.Sleep(time.Second)
					r.Fail("second", Body, "bad")
				})
			})
			wg.Wait()
		}).Do(t.Context())
		want := "it quick pass(ok)\nfirst slow pass(ok)\nsecond slow fail(body)"
		if got := lines(r); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

func TestEachOfNothing(t *testing.T) {
	r := job(func(_ context.Context, r *Result) {
		r.Each(nil, func(_ int, _ *Result) { panic("asked nobody") })
	}).Do(t.Context())
	if got := lines(r); got != "run inconclusive(nothing_checked)" {
		t.Errorf("got\n%s", got)
	}
}

func TestNotesFromManyGoroutines(t *testing.T) {
	r := job(func(_ context.Context, r *Result) {
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				r.Pass("it", "good %d", i)
				r.Exchanged(Exchange{Status: 200})
				r.Measure(&Measure{Name: "probe_x"}, float64(i))
				r.Each([]string{"a", "b"}, func(_ int, r *Result) { r.Pass("each", "good") })
			})
		}
		wg.Wait()
	}).Do(t.Context())
	if len(r.Checks) != 150 || len(r.Exchanges) != 50 || len(r.Samples) != 50 {
		t.Errorf("%d checks, %d exchanges, %d samples; want 150, 50, 50", len(r.Checks), len(r.Exchanges), len(r.Samples))
	}
}

func TestACheckNamesTheExchangeThatItRestsOn(t *testing.T) {
	result := job(func(_ context.Context, r *Result) {
		for _, x := range []Exchange{
			{Check: "read", TraceID: "first", Status: 200, Reason: OK},
			{Check: "read", TraceID: "second", Status: 404, Reason: OK},
			{Check: "list", TraceID: "third", Reason: Refused},
			{Check: "list", TraceID: "fourth", Status: 200, Reason: OK},
		} {
			r.Exchanged(x)
		}
		r.Fail("read", Status, "wanted 404, got 200")
		r.LinkExchange("read", "first")
		r.LinkExchange("nothing", "first")
		r.Fail("read", Status, "wanted 404, got something else")
		r.Fail("list", Refused, "refused")
		r.Fail("sum", Status, "of both")
	}).Do(t.Context())
	var got []string
	for _, c := range result.Checks {
		x := result.Exchanges[result.Evidence(c)]
		got = append(got, fmt.Sprintf("%s cites %q, rests on %s, borne by it: %t", c.Name, c.TraceID, x.TraceID, x.Supports(c)))
	}
	want := []string{
		`read cites "first", rests on first, borne by it: true`,
		`read cites "second", rests on second, borne by it: true`,
		`list cites "third", rests on third, borne by it: true`, // the one without an answer
		`sum cites "", rests on second, borne by it: false`,     // none was made for it: what the first check rests on
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
