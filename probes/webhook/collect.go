package webhook

import (
	"context"
	"slices"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
	"prober/internal/text"
)

// collect judges what has come by itself since the run before, of a probe without a trigger. What is not settled goes on.
func (run *runState) collect(ctx context.Context) {
	now := time.Now().Round(0) // as the times of deliveries: what passes while the machine sleeps counts
	defer run.end()
	run.readGap(now.Add(-run.Within.D()), now)
	run.begun()
	if !run.reachable(ctx) {
		return
	}
	run.r.Pass(checkReachable, "%d of %d requests of the prober to its own public address came back to it", nonces, nonces)
	var ended []*event
	var copies, accepted int
	run.state(func(st *state, _ *probe.InboxState) {
		copies, accepted = st.run.tampered, st.run.accepted
		for i, e := range st.run.events {
			if r := run.judge(e, now); len(e.attempts) > 0 && r.settled {
				done := *e
				st.ended = drop.If(st.ended, func(was *event) bool { return was.name == e.name })
				st.ended = append(st.ended, &done)
				st.run.events[i] = newEvent(e.namedCase)
			}
		}
		st.ended = drop.If(st.ended, func(e *event) bool { return now.Sub(e.attempts[len(e.attempts)-1].at) > run.Within.D() })
		ended = slices.Clone(st.ended)
		run.last = st.document.Last
	})
	run.judgeSilence(now)
	if len(ended) == 0 { // since the start: delivered tells of what came before
		if run.vain {
			run.noteVain()
		}
		for _, check := range run.Checks() {
			if run.vain && check == checkSignature {
				continue
			}
			if check != checkReachable && check != checkDelivered && check != checkRevoked && check != checkCase {
				run.r.Omit(check)
			}
		}
	} else {
		run.judgeProofs(ctx, ended, copies, accepted)
	}
	run.judgeCollected(ended, now)
}

// begun has deliveries answered by the scripts of the cases until the probe is removed.
func (run *runState) begun() {
	run.state(func(st *state, _ *probe.InboxState) {
		if st.run == nil {
			st.run = newRound()
			for _, c := range run.cases {
				st.run.events = append(st.run.events, newEvent(c))
			}
		}
		clear(st.run.others)
	})
}

// judgeSilence notes how long ago the last delivery came.
func (run *runState) judgeSilence(now time.Time) {
	since := run.in.Since()
	switch within := run.Within.D(); {
	case now.Before(run.last.Add(-time.Minute)): // the clock was set back, and nothing has come since
		run.r.Inconclusive(checkDelivered, probe.SelfClock, "the last delivery came %s in the future", round1(run.last.Sub(now)))
	case !run.last.IsZero() && now.Sub(run.last) <= within:
		run.r.Pass(checkDelivered, "the last delivery came %s ago", round1(now.Sub(run.last)))
	case run.gap != "":
		run.r.Inconclusive(checkDelivered, probe.ControlFailed, "not known, since deliveries may have come in vain: %s", run.gap)
	case now.Sub(since) <= within:
		run.r.Inconclusive(checkDelivered, probe.Settling, "no delivery has come in the %s since the prober began to listen; expected one within %s", round1(now.Sub(since)), run.Within)
	case run.last.IsZero():
		run.r.Fail(checkDelivered, reasonLost, "expected a delivery every %s, got none in the %s since the prober began to listen%s", run.Within, round1(now.Sub(since)), run.unverified)
	default:
		run.r.Fail(checkDelivered, reasonLost, "expected a delivery every %s, got the last one %s ago%s", run.Within, round1(now.Sub(run.last)), run.unverified)
	}
}

// judgeCollected notes the cases of which an event has come, and those of which none has.
func (run *runState) judgeCollected(ended []*event, now time.Time) {
	if run.implied {
		if len(ended) > 0 {
			run.judgeKey(ended)
		}
		return
	}
	if len(ended) > 0 {
		run.judgeCases(ended, now)
	}
	if missing := len(run.cases) - len(ended); missing > 0 {
		run.r.Inconclusive(checkCase, probe.NothingChecked, "of %s no event has come yet, or not all that is due", text.Plural(missing, "case", "cases"))
	}
}
