package probe

import (
	"context"
	"slices"
	"time"

	"prober/internal/memory"
)

// Grace is how much longer than its timeout a run may take before it counts as hung.
const Grace = 500 * time.Millisecond

// Do runs the probe once. It always returns by the timeout and Grace, plus the timeout again if the Reference is asked: a panic, a
// probe that ignores its deadline and a prober that was itself suspended end as inconclusive, with what was noted until then. Once
// ctx is cancelled, or the prober was suspended, a failure counts only if it was proven before.
func (j Job) Do(ctx context.Context) Result {
	ended := make(chan Result, 1)
	go j.Run(ctx, func(r Result) { ended <- r })
	return <-ended
}

// Run is Do in the goroutine of the caller. It hands the result to ended, once, by the time at which Do returns: a probe that ignores
// its deadline is left behind with that goroutine, and its result comes from another. It is the only caller of Ask.
func (j Job) Run(ctx context.Context, ended func(Result)) {
	ask, cancel := context.WithTimeout(ctx, j.Timeout)
	r := NewResult(j.ID)
	r.Started = time.Now()
	lateness := LatenessOf(ctx)
	u := &underway{Job: j, ctx: ctx, lateness: lateness, before: lateness.Total(), interrupted: watchInterruption(ctx, r.Started)}
	r.shared.interrupted = u.interrupted
	ask, u.account = j.Memory.Open(ask)
	if j.Incident != nil {
		ask = withIncident(ask, j.Incident())
	}
	if j.Expand != nil {
		ask = context.WithValue(ask, intervalKey{}, j.Interval)
	}
	if j.Inbox != nil {
		ask = withInbox(ask, j.Inbox)
	}
	left := make(chan struct{})
	u.interrupted.watch(j.Timeout+Grace, func() {
		ended(u.conclude(r, left))
		cancel()
	})
	func() {
		defer u.account.Close()
		defer r.recoverPanic()
		j.Probe.Ask(ask, r)
	}()
	if u.interrupted.stop() {
		ended(u.conclude(r, nil))
		cancel()
	} else {
		close(left)
	}
}

// underway is what a run needs to be concluded.
type underway struct {
	Job
	ctx         context.Context // of the run, without its timeout
	interrupted *interruption
	account     *memory.Account
	lateness    *Lateness
	before      time.Duration // by how much the prober was late in all when the run began
}

// conclude closes a result and settles what follows from how the run went. A probe that ignored its deadline was left behind until
// left is closed.
func (u *underway) conclude(r *Result, left <-chan struct{}) Result {
	j, ctx := &u.Job, u.ctx
	out, proven := r.close()
	out.Took = time.Since(out.Started)
	// A failure that the prober's own network could explain is not proven before the Reference has been asked.
	unproven := func(c Check) bool {
		return (!proven(c) && !c.Reason.Breach) || c.Reason.nameServer() || (c.Reason.network() && j.Reference != nil)
	}
	j.noteProbes(&out)
	out.checkSecrets()
	if p, ok := j.Probe.(VersionReporter); ok {
		out.checkVersions(j.Versions, p.MixedVersionsGrace())
	}
	if j.ExpectVersion != "" {
		out.checkExpectedVersion(j.ExpectVersion)
	}
	out.limitVersions(j.Versions)
	out.heedLimits(u.account.Excesses())
	late, waited := u.lateness.Total()-u.before, u.account.Waited()
	mine := func(c Check) bool { return c.Verdict == Fail && !c.Reason.Breach && out.restsOnTimeout(c, r.shared) }
	switch {
	case ctx.Err() != nil:
		out.downgrade(unproven, Cancelled, "the run was cancelled after %s", out.Took.Round(time.Millisecond))
	case u.interrupted.wasSuspended():
		out.downgrade(unproven, Suspended, "the prober itself was stopped during the run")
	case late+waited > j.Timeout/2 && slices.ContainsFunc(out.Checks, mine):
		if waited > late {
			out.downgrade(mine, SelfLimit, "the run waited %s for memory, which the answers of other runs took (GOMEMLIMIT)", waited.Round(time.Millisecond))
		} else {
			out.downgrade(mine, SelfDelay, "the prober itself was late by %s during the run", late.Round(time.Millisecond))
		}
	case out.failedFor(Reason.network):
		j.attributeNetwork(ctx, &out)
	}
	if j.Engine != nil {
		if err := j.Engine(); err != nil {
			out.downgrade(func(Check) bool { return true }, SelfEngine, "the self-test of the prober failed: %s", err)
		}
	}
	if left != nil {
		out.Abandoned = left
		out.appendRunCheck(Hung, "the probe ignored its timeout of %s", j.Timeout)
	}
	if len(out.Checks) == 0 {
		out.appendRunCheck(NothingChecked, "nothing was checked")
	}
	out.checkComplete(j.Probe.Checks(), r.shared)
	return out
}

// checkComplete makes a pass inconclusive that lacks one of the checks of its probe, or one of a target that Each made of
// another: what was forgotten proves nothing.
func (r *Result) checkComplete(checks []string, s *shared) {
	if r.Verdict() != Pass {
		return
	}
	for _, name := range checks {
		if !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Name == name }) {
			s.forgotten = append(s.forgotten, omission{check: name})
		}
	}
	for _, o := range s.forgotten {
		omitted := func(of omission) bool {
			return of.check == o.check && (of.target == o.target || of.target == "" || o.target == "")
		}
		if !slices.ContainsFunc(s.omitted, omitted) && !r.made(o.check, o.target) {
			r.appendCheck(o.check, o.target, "", Outcomef(NothingChecked, "the check was not made"))
		}
	}
}

// made reports whether a check of a target was made.
func (r *Result) made(check, target string) bool {
	return slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Name == check && c.Target == target })
}

// downgrade makes the failures meant inconclusive for one reason that lies with the prober.
func (r *Result) downgrade(meant func(Check) bool, why Reason, format string, args ...any) {
	for i := range r.Checks {
		if c := &r.Checks[i]; c.Verdict == Fail && meant(*c) {
			c.Verdict, c.Reason = Inconclusive, why
		}
	}
	r.appendRunCheck(why, format, args...)
}

// heedLimits makes inconclusive what rests on an answer that did not fit into a limit of the prober, whatever the probe
// made of it: a value that was not found there may well be there. A breach is what was found, and others show what was seen.
func (r *Result) heedLimits(excesses []memory.Excess) {
	for _, e := range excesses {
		for i := range r.Checks {
			c := &r.Checks[i]
			if c.Verdict == Fail && !c.Reason.Breach && !c.Reason.Seen && (e.TraceID == "" || c.TraceID == "" || c.TraceID == e.TraceID) {
				c.Verdict, c.Reason, c.Detail = Inconclusive, SelfLimit, e.Limit
			}
		}
		if !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Reason == SelfLimit }) {
			r.appendRunCheck(SelfLimit, "%s", e.Limit)
		}
	}
}

// appendRunCheck appends a note about the run to a sealed result.
func (r *Result) appendRunCheck(why Reason, format string, args ...any) {
	r.appendCheck(RunCheck, "", "", Outcomef(why, format, args...))
}

// attributeNetwork settles failures that the prober's own network could explain. A reference that answers leaves them with the
// target. Without a reference a silent name server is nobody's proven fault.
func (j Job) attributeNetwork(ctx context.Context, out *Result) {
	if j.Reference != nil {
		ofNetwork := func(c Check) bool { return c.Reason.network() }
		ask, cancel := context.WithTimeout(ctx, j.Timeout)
		defer cancel()
		err := j.Reference(ask)
		switch {
		case ctx.Err() != nil:
			out.downgrade(ofNetwork, Cancelled, "the run was cancelled while the reference was asked")
		case err != nil:
			out.downgrade(ofNetwork, SelfNetwork, "the prober's own network seems cut off: %s", err)
		}
		return
	}
	for i := range out.Checks {
		if c := &out.Checks[i]; c.Verdict == Fail && c.Reason.nameServer() {
			c.Verdict = Inconclusive
		}
	}
}

// timedOut reports whether the prober's own delay could explain the reason.
func timedOut(why Reason) bool { return why == Timeout || why == DNSTimeout }

// restsOnTimeout reports whether a check is about an answer that did not come in time, whatever the probe made of that: of a
// service that seems to be ready and not live, one request may have had no time. A check without an exchange may rest on any,
// unless answers that came show its reason. What was noted before rests on none: a target that falls silent after a wrong
// answer does not hide that.
func (r *Result) restsOnTimeout(c Check, noted *shared) bool {
	if timedOut(c.Reason) {
		return true
	}
	bare := c
	bare.TraceID = "" // linked after it was noted
	if c.Reason.Seen || !noted.after[bare] {
		return false
	}
	if i := r.Evidence(c); i >= 0 {
		return timedOut(r.Exchanges[i].Reason)
	}
	return slices.ContainsFunc(r.Exchanges, func(x Exchange) bool { return timedOut(x.Reason) })
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
