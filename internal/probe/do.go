package probe

import (
	"context"
	"time"
)

// Grace is how much longer than its timeout a run may take before it counts as hung.
const Grace = 500 * time.Millisecond

// pulse is how often a run looks whether the prober itself was stopped; a pulse later than stall means that it was.
// On a busy machine pulses are some hundred milliseconds late without anybody having stopped it.
const (
	pulse = 250 * time.Millisecond
	stall = 1500 * time.Millisecond
)

// Do runs the probe once. It is the only caller of Ask and always returns by the timeout and Grace, plus the timeout
// again if the Reference is asked: a panic, a probe that ignores its deadline and a prober that was itself suspended
// end as inconclusive, with what was noted until then. After ctx is cancelled nothing counts as failed.
func (j Job) Do(ctx context.Context) Result {
	ask, cancel := context.WithTimeout(ctx, j.Timeout)
	defer cancel()
	r := NewResult(j.ID)
	r.Started = time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.recoverPanic()
		j.Probe.Ask(ask, r)
	}()
	stopped, hung := await(done, r.Started, j.Timeout+Grace)
	out := r.close()
	end := time.Now()
	out.Took = end.Sub(out.Started)
	stopped = stopped || clockJumped(out.Started, end)

	switch {
	case ctx.Err() != nil:
		out.downgrade(anyReason, Cancelled, "the run was cancelled after %s", out.Took.Round(time.Millisecond))
	case stopped:
		out.downgrade(anyReason, Suspended, "the prober itself was stopped during the run")
	case out.failedFor(Reason.network):
		j.attributeNetwork(ctx, &out)
	}
	if hung {
		out.Abandoned = done
		out.appendRunCheck(Hung, "the probe ignored its timeout of %s", j.Timeout)
	}
	if len(out.Checks) == 0 {
		out.appendRunCheck(NothingChecked, "nothing was checked")
	}
	return out
}

// await waits for done, at most for limit. It tells whether the process was stopped since the run began, seen by a
// pulse that came late, and whether the limit was reached. After a stop all timers fire at once, the deadline of the
// probe among them, so it has another Grace to heed that.
func await(done <-chan struct{}, began time.Time, limit time.Duration) (stopped, hung bool) {
	last, end, extended := began, time.Now().Add(limit), false
	look := func() {
		stopped = stopped || time.Since(last) > pulse+stall
		last = time.Now()
	}
	timer := time.NewTimer(min(pulse, limit))
	defer timer.Stop()
	for {
		select {
		case <-done:
			look()
			return stopped, false
		case <-timer.C:
		}
		look()
		if left := time.Until(end); left > 0 {
			timer.Reset(min(pulse, left))
			continue
		}
		select {
		case <-done:
			return stopped, false
		default:
		}
		if !stopped || extended {
			return stopped, true
		}
		extended, end = true, time.Now().Add(Grace)
		timer.Reset(min(pulse, Grace))
	}
}

// clockJumped reports whether the wall clock went ahead of the monotonic one, as it does when a machine sleeps.
func clockJumped(from, to time.Time) bool {
	return Step(from, to) > stall
}

// downgrade makes the failures meant inconclusive for one reason that lies with the prober.
func (r *Result) downgrade(meant func(Reason) bool, why Reason, format string, args ...any) {
	for i := range r.Checks {
		if c := &r.Checks[i]; c.Verdict == Fail && meant(c.Reason) {
			c.Verdict, c.Reason = Inconclusive, why
		}
	}
	r.appendRunCheck(why, format, args...)
}

func anyReason(Reason) bool { return true }

// appendRunCheck appends a note about the run to a sealed result.
func (r *Result) appendRunCheck(why Reason, format string, args ...any) {
	note := NewResult(r.ID)
	note.Inconclusive(RunCheck, why, format, args...)
	r.Checks = append(r.Checks, note.Checks...)
}

// attributeNetwork settles failures that the prober's own network could explain. A reference that answers leaves them with the
// target. Without a reference a silent name server is nobody's proven fault.
func (j Job) attributeNetwork(ctx context.Context, out *Result) {
	if j.Reference != nil {
		ask, cancel := context.WithTimeout(ctx, j.Timeout)
		defer cancel()
		err := j.Reference(ask)
		switch {
		case ctx.Err() != nil:
			out.downgrade(anyReason, Cancelled, "the run was cancelled while the reference was asked")
		case err != nil:
			out.downgrade(Reason.network, SelfNetwork, "the prober's own network seems cut off: %s", err)
		}
		return
	}
	for i := range out.Checks {
		if c := &out.Checks[i]; c.Verdict == Fail && c.Reason.nameServer() {
			c.Verdict = Inconclusive
		}
	}
}

// failedFor reports whether a check failed for one of the reasons meant.
func (r Result) failedFor(meant func(Reason) bool) bool {
	for _, c := range r.Checks {
		if c.Verdict == Fail && meant(c.Reason) {
			return true
		}
	}
	return false
}
