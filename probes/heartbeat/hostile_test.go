package heartbeat

import (
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// A run that began and never ended is late once the next one is due, also if the prober was down meanwhile and cannot know of its end.
func TestHeartbeat_beganAndGone(t *testing.T) {
	inWorld(t, every(time.Hour), func(w *world) {
		w.post("")
		wait(65 * time.Minute)
		w.post("/start")
		wait(time.Minute)
		w.kill()
		wait(2 * time.Minute)
		w.begin()
		wait(8 * time.Minute)
		w.wants("finished=not_heard")
		wait(61 * time.Minute) // the next one may be late by as much as the prober was down
		w.wants("finished=not_heard on_time=not_heard")
		wait(3 * time.Minute)
		w.wants("finished=not_heard on_time=late")
		wait(100 * time.Hour)
		w.wants("finished=not_heard on_time=late")
		w.post("/start") // it begins again, and may run
		w.post("")
		w.wants("pass")
	})
	inWorld(t, Probe{Period: probe.Duration(time.Minute), Duration: durations{Max: length(3 * time.Hour)}}, func(w *world) {
		w.post("/start")
		wait(3 * time.Hour) // longer than the period
		w.wants("success=settling")
		wait(time.Second)
		w.wants("finished=job_hangs on_time=late")
	})
}

// A run that says that it succeeded, and then that it failed, failed. What is only sent twice counts once.
func TestHeartbeat_failsAfterSuccess(t *testing.T) {
	inWorld(t, every(time.Hour), func(w *world) {
		w.post(rid(1))
		w.post("/fail" + rid(1))
		w.wants("success=job_failed")
		w.post(rid(1))
		w.wants("success=job_failed")
		w.post(rid(2))
		w.wants("pass")
		w.post("/7" + rid(1)) // again, from before
		w.wants("pass")
	})
}

// An id is the same in letters of either case, as by uuidgen and by the kernel.
func TestHeartbeat_idCase(t *testing.T) {
	inWorld(t, every(time.Hour), func(w *world) {
		w.post("/start" + rid(1))
		w.post("?rid=" + strings.ToUpper(rid(1)[len("?rid="):]))
		wait(30 * time.Minute)
		w.wants("pass")
	})
}

// A job that tries in vain is late all the same, and the run says what came: at night somebody sees the job report and get an answer.
func TestHeartbeat_inVain(t *testing.T) {
	inWorld(t, every(time.Hour), func(w *world) {
		said := func(reason, want string) {
			t.Helper()
			r := w.run()
			if c := r.Checks[0]; c.Verdict != probe.Fail || c.Reason.Word != reason || !strings.HasSuffix(c.Detail, want) {
				t.Errorf("expected %s ...%s, got %s(%s): %s", reason, want, c.Verdict, c.Reason, c.Detail)
			}
		}
		wait(time.Second)
		w.report("POST", "?state=complete", 400)
		wait(2 * time.Hour)
		said("never_came", "2h ago; a request that is no report was answered 400 2h ago")
		w.report("POST", "/success", 404)
		said("never_came", "; a request that is no report was answered 404 0s ago")
		w.post("")
		wait(2 * time.Hour)
		said("late", "got the last one 2h ago")
		w.post(rid(1))
		wait(time.Hour)
		w.post(rid(1)) // it was made once, when the job was installed
		w.post("/log")
		wait(time.Hour)
		said("late", "; a report with the rid of a run that has ended, which does not count, came 1h ago")
	})
}
