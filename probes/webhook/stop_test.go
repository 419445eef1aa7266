package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// refusedOnce is a world whose first event has been refused when the trigger of the second is asked.
func refusedOnce(t *testing.T, second func(w *world)) *world {
	w := newWorld(t, nil, strings.Replace(twoCases, "within: 10s", "within: 2s", 1))
	answer := w.answer
	w.answer = func(rw http.ResponseWriter, id string) {
		if id == "evt-2" {
			testenv.Eventually(t, 10*time.Second, func(context.Context) error {
				if status, _ := w.last.Load("evt-1"); status != 400 {
					return fmt.Errorf("the first event was answered %v", status)
				}
				return nil
			})
			second(w)
		}
		answer(rw, id)
	}
	return w
}

// reload changes the settings of the probe.
func (w *world) reload() {
	job := w.job
	job.Settings += "others"
	w.all.SetJobs([]probe.Job{job})
}

func (w *world) wantLast(id string, want any) {
	w.t.Helper()
	testenv.Eventually(w.t, 10*time.Second, func(context.Context) error {
		if got, _ := w.last.Load(id); got != want {
			return fmt.Errorf("the last attempt of %s was answered %v, expected %v", id, got, want)
		}
		return nil
	})
}

// A reload with other settings in the middle of a run: the run says that it could not hear what came, and blames neither the sender nor
// its own address. What was refused has an end that is good, which the probe with the new settings gives.
func TestAsk_reload(t *testing.T) {
	t.Parallel()
	w := refusedOnce(t, (*world).reload)
	want := `reachable inconclusive(control_failed): the prober could not hear its own requests: the settings of the probe were changed
enabled inconclusive(control_failed): no event came within 2s after 1 failing answer, but the run had ended early: see triggered and reachable`
	if got := w.run(); lines(got, checkReachable, checkTriggered, checkDelivered, checkCase, checkEnabled) != want || strings.HasPrefix(got, "fail") {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
	w.wantLast("evt-2", 200)
	w.wantLast("evt-3", 200)
}

// A reload with the same settings is none.
func TestAsk_reloadTheSame(t *testing.T) {
	t.Parallel()
	w := refusedOnce(t, func(w *world) { w.all.SetJobs([]probe.Job{w.job}) })
	if got := w.run(); !strings.HasPrefix(got, "pass\n") {
		t.Errorf("got\n%s", got)
	}
}

// The prober is stopped in the middle of a run: the failing answers have an end that is good all the same.
func TestAsk_stopped(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	w := refusedOnce(t, func(*world) { stop() })
	began := time.Now()
	w.job.Do(ctx)
	if took := time.Since(began); took > stopGrace+3*time.Second {
		t.Errorf("it took %s", took)
	}
	w.wantLast("evt-3", 200)
	w.state(func(st *state, _ *probe.InboxState) {
		if st.document.Owed != 0 || st.run != nil {
			t.Errorf("%d failing answers have no good end", st.document.Owed)
		}
	})
}

// The prober is stopped, and no good end comes: what it left is known after a restart, until something comes.
func TestAsk_stoppedAndSilent(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	w := refusedOnce(t, func(w *world) {
		w.silent.Store(true)
		stop()
	})
	w.job.Do(ctx)
	in, err := w.job.Inbox()
	if err != nil {
		t.Fatal(err)
	}
	in.Update(func(s *probe.InboxState) { s.Volatile = nil }) // as after a restart
	want := "; an earlier run was stopped after 1 failing answer: see whether the endpoint is still enabled"
	got := lines(w.run(), checkDelivered)
	if !strings.HasPrefix(got, "delivered fail(lost)") || !strings.HasSuffix(got, want) {
		t.Errorf("got %q, expected %q", got, want)
	}
	w.silent.Store(false)
	if got := w.run(); !strings.HasPrefix(got, "pass\n") {
		t.Errorf("got\n%s", got)
	}
	w.silent.Store(true)
	if got := lines(w.run(), checkDelivered); !strings.HasPrefix(got, "delivered fail(lost)") || strings.Contains(got, "earlier") {
		t.Errorf("after a good end: got %q", got)
	}
}

// A run that is cancelled while it waits for its last event goes on to wait, for a moment.
func TestJudgeEnabled_stopped(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	w := newWorld(t, nil, strings.Replace(twoCases, "within: 10s", "within: 2s", 1))
	answer := w.answer
	w.answer = func(rw http.ResponseWriter, id string) {
		if id == "evt-3" {
			stop()
		}
		answer(rw, id)
	}
	r := w.job.Do(ctx)
	if got := lines(probetest.Lines(r), checkEnabled); got != "enabled pass(ok): after 3 failing answers an event is delivered as before" {
		t.Errorf("got %s", got)
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Error("it was not stopped")
	}
	w.wantLast("evt-3", 200)
}

// What is tried again after a run was stopped is answered 200, also if its cases had been judged.
func TestJudgeEnabled_stoppedLate(t *testing.T) {
	x := begin(t, "    within: 1s\n    schedule: 1h\n    cases:\n      it: {answers: [503, 503, 503]}\n")
	x.sender.deliver("it", "key")
	x.runState.events, x.rules = x.events, []ruling{{}}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	x.judgeEnabled(ctx)
	if got := x.Receive(x.in, x.sender.signed("it", "key", time.Now().Add(2*time.Second))); got.Status != 200 {
		t.Errorf("the next attempt is answered %d", got.Status)
	}
}
