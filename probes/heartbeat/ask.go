package heartbeat

import (
	"context"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// margin is how much sooner than its timeout a run that waits ends.
const margin = 300 * time.Millisecond

// Ask judges what the job has reported. While nothing is known of it yet, it waits for that as long as its timeout allows, if the
// wait can end in that time.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	inbox, why := probe.InboxOf(ctx)
	if inbox == nil {
		for _, check := range p.Checks() {
			r.Note(check, why)
		}
		return
	}
	p.await(ctx, inbox)
	var s state
	var came received
	inbox.Update(func(kept *probe.InboxState) {
		s = readState(kept.Document)
		seen, _ := kept.Volatile.(*received)
		if seen == nil {
			return
		}
		for signal, n := range seen.counts {
			r.Measure(reportsCounter, float64(n), signal)
		}
		clear(seen.counts)
		came = *seen
	})
	p.judge(r, &s, &came, inbox, time.Now().Round(0))
}

// await waits for the first report, or until it is late.
func (p *Probe) await(ctx context.Context, inbox probe.Inbox) {
	end, limited := ctx.Deadline()
	due := p.deadline(inbox.Since()).Add(time.Millisecond)
	if !limited || due.After(end.Add(-margin)) {
		return
	}
	wait, cancel := context.WithDeadline(ctx, due)
	defer cancel()
	_ = inbox.Wait(wait, func(s *probe.InboxState) bool { return !readState(s.Document).Last.IsZero() })
}

func (p *Probe) judge(r *probe.Result, s *state, came *received, inbox probe.Inbox, now time.Time) {
	r.Note(checkOnTime, p.onTime(r, s, came, inbox, now))
	switch {
	case s.Started.IsZero() && !s.Last.IsZero(): // a job that does not say when it begins cannot be seen to hang
		r.Omit(checkFinished)
	case !s.Started.IsZero():
		o := p.finished(s, inbox, now)
		r.Note(checkFinished, o)
		if s.Last.IsZero() && o.Passed() {
			r.Note(checkSuccess, probe.Outcomef(probe.Settling, "it began for the first time, and has not ended yet"))
		}
	}
	if !s.Started.IsZero() {
		r.Measure(startGauge, seconds(s.Started))
	}
	if s.Last.IsZero() {
		return
	}
	r.Note(checkSuccess, s.success(now))
	if !s.Success.IsZero() {
		r.Measure(successGauge, seconds(s.Success))
	}
	set := s.Timed && s.Took < 0
	if s.Timed && !set {
		_, set = clockSet(inbox, s.Last.Add(-time.Duration(s.Took)*time.Millisecond), s.Last)
	}
	if s.Timed && !set {
		r.Measure(durationGauge, float64(s.Took)/1000)
	}
	if p.Duration != (durations{}) {
		if set {
			r.Inconclusive(checkDuration, probe.SelfClock, "the prober's own clock was set while the job ran")
		} else {
			r.Note(checkDuration, p.duration(s))
		}
	}
	if p.MinGap != nil {
		p.frequency(r, s, inbox)
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// onTime judges whether the next report is late. That of the start is enough: the end is judged by finished.
func (p *Probe) onTime(r *probe.Result, s *state, came *received, inbox probe.Inbox, now time.Time) probe.Outcome {
	last, never := s.Last, s.Last.IsZero()
	if never {
		last = inbox.Since()
	}
	deadline := p.deadline(p.later(last, never))
	var open *run
	for i, x := range s.Open {
		if x.First.After(s.Last) && !x.First.After(deadline) && (open == nil || x.Latest.After(open.Latest)) {
			open = &s.Open[i]
		}
	}
	if open != nil { // it was in time. If it never ends, the next one is due all the same
		last, never = open.Latest, false
		if deadline = p.deadline(p.later(last, false)); deadline.Before(last.Add(p.limit().D())) {
			deadline = last.Add(p.limit().D())
		}
	}
	r.Measure(deadlineGauge, seconds(deadline))
	gap, set := clockSet(inbox, last, now)
	var back time.Duration // by which the clock was set back, if the last report came in the time that there was twice
	if set && gap.From.Before(last) {
		back = gap.To.Sub(gap.From)
	}
	switch {
	case back > 0 && !never && !now.After(deadline) && now.Add(back).After(deadline):
		return probe.Outcomef(probe.SelfClock, "the prober's own clock was set back by %s, so that the next report may be late already", roughly(back))
	case now.Before(last.Add(-early)):
		return probe.Outcomef(probe.SelfClock, "the last report is %s in the future", ago(last, now))
	case open != nil && !now.After(deadline):
		return probe.Outcomef(probe.OK, "it began %s ago, and has not ended yet", ago(now, open.First))
	case !now.After(deadline) && never:
		return probe.Outcomef(probe.Settling, "no report yet since the prober began to listen %s ago; expected one within %s", ago(now, last), ago(deadline, now))
	case !now.After(deadline):
		return probe.Outcomef(probe.OK, "the last report came %s ago, the next must come within %s", ago(now, last), ago(deadline, now))
	}
	if gap, until := p.unheard(inbox, last, deadline); now.Before(until) {
		return probe.Outcomef(reasonNotHeard, "expected a report until %s ago, got none, but %s, until %s ago", ago(now, deadline), gap.Why, ago(now, gap.To))
	}
	tried := came.inVain(last, now) + probe.Unauthorized(inbox, last)
	if never {
		return probe.Outcomef(reasonNeverCame, "expected a report until %s ago, got none since the prober began to listen %s ago%s", ago(now, deadline), ago(now, last), tried)
	}
	return probe.Outcomef(reasonLate, "expected a report until %s ago, got the last one %s ago%s", ago(now, deadline), ago(now, last), tried)
}

// unheard returns the last gap in which a report may have come in vain that put the deadline off, and until when. What was missed
// after a deadline does not undo that the report was late: it counts as missing until the next one comes.
func (p *Probe) unheard(inbox probe.Inbox, last, deadline time.Time) (gap probe.InboxGap, until time.Time) {
	for {
		next, missed := inbox.Gap(last, deadline)
		if !missed || !next.To.After(last) {
			return gap, until
		}
		gap, last = next, next.To
		deadline = p.deadline(p.later(last, false))
		until = deadline
	}
}

// later puts a report off a little, if cron says when the next one is due: one that came too soon is that which was due.
func (p *Probe) later(last time.Time, never bool) time.Time {
	if p.Period != 0 || never {
		return last
	}
	return last.Add(min(early, p.Grace.D()))
}

// finished judges whether what began has ended.
func (p *Probe) finished(s *state, inbox probe.Inbox, now time.Time) probe.Outcome {
	if len(s.Open) == 0 {
		return probe.Outcomef(probe.OK, "nothing that began is open")
	}
	oldest := s.Open[0]
	for _, x := range s.Open {
		if x.First.Before(oldest.First) {
			oldest = x
		}
	}
	took := now.Sub(oldest.First)
	if took < -early {
		return probe.Outcomef(probe.SelfClock, "a run began %s in the future", roughly(-took))
	}
	if took <= p.limit().D() {
		return probe.Outcomef(probe.OK, "%s open, the oldest for %s, of at most %s", text.Count(len(s.Open), "run"), roughly(took), p.limit())
	}
	if gap, missed := inbox.Gap(oldest.First, oldest.First.Add(p.limit().D())); missed {
		return probe.Outcomef(reasonNotHeard, "expected the end of what began %s ago within %s, got none, but %s, until %s ago", roughly(took), p.limit(), gap.Why, ago(now, gap.To))
	}
	return probe.Outcomef(reasonHangs, "expected an end within %s, got none of what began %s ago", p.limit(), roughly(took))
}

func (s *state) success(now time.Time) probe.Outcome {
	switch {
	case s.OK:
		return probe.Outcomef(probe.OK, "it succeeded %s ago", ago(now, s.Last))
	case s.Status != 0:
		return probe.Outcomef(reasonFailed, "expected success, got exit status %d, %s ago", s.Status, ago(now, s.Last))
	}
	return probe.Outcomef(reasonFailed, "expected success, got a failure, %s ago", ago(now, s.Last))
}

func (p *Probe) duration(s *state) probe.Outcome {
	took := time.Duration(s.Took) * time.Millisecond
	switch low, high := p.Duration.Min, p.Duration.Max; {
	case s.Unknown:
		return probe.Outcomef(reasonNoStart, "expected the start of the run, got only its end: if several probers have one address, another one may have got it")
	case !s.Timed:
		return probe.Outcomef(reasonNoStart, "expected a report of the start, got only that of the end")
	case high != nil && took > high.D():
		return probe.Outcomef(reasonTooLong, "expected at most %s, got %s", *high, roughly(took))
	case low != nil && took < low.D():
		return probe.Outcomef(reasonTooShort, "expected at least %s, got %s", *low, roughly(took))
	}
	return probe.Outcomef(probe.OK, "it took %s", roughly(took))
}

// clockSet returns the last gap between two times in which the prober's clock was set.
func clockSet(inbox probe.Inbox, from, to time.Time) (gap probe.InboxGap, set bool) {
	for !to.Before(from) {
		if gap, set = inbox.Gap(from, to); !set || gap.Why == probe.ClockSet {
			return gap, set
		}
		to = gap.From.Add(-1)
	}
	return gap, false
}

// frequency notes how far the last two reports are apart. One report has no distance, that of two between which the clock was set is
// not known, and one that came in vain before the last may have been nearer: then there is nothing to judge by.
func (p *Probe) frequency(r *probe.Result, s *state, inbox probe.Inbox) {
	apart := s.Last.Sub(s.Before)
	set := !s.Before.IsZero() && apart < 0
	if !s.Before.IsZero() && !set {
		_, set = clockSet(inbox, s.Before, s.Last)
	}
	_, missed := inbox.Gap(s.Last.Add(-p.MinGap.D()), s.Last)
	switch {
	case !s.Before.IsZero() && apart < p.MinGap.D() && !set:
		r.Fail(checkFrequency, reasonTooOften, "expected at least %s between two reports, got %s", *p.MinGap, roughly(apart))
	case s.Before.IsZero() || missed || set:
		r.Omit(checkFrequency)
	default:
		r.Pass(checkFrequency, "the last two reports came %s apart", roughly(apart))
	}
}

// ago is how long one time is after another, in words.
//
//go:noinline
func ago(later, earlier time.Time) string { return roughly(later.Sub(earlier)) }

// roughly is a length of time as people say it.
func roughly(d time.Duration) string {
	unit := time.Minute
	switch {
	case d < 10*time.Second:
		unit = 10 * time.Millisecond
	case d < 2*time.Hour:
		unit = time.Second
	}
	return probe.Duration(d.Round(unit)).String()
}
