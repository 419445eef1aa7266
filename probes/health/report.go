package health

import (
	"fmt"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// report notes what the answers of a replica mean for its checks.
func (h *Probe) report(r *probe.Result, seen *replica, before, after dependency) {
	h.reportLive(r, seen)
	h.reportState(r, seen, before, after)
	if seen.live.response == respOK {
		r.Note("catch_all", seen.catchAll)
	}
}

const unproven = ", which proves nothing without the catch-all check"

// reportLive notes the one check that `ibex_process_up` follows: is the process up, whatever else it says?
func (h *Probe) reportLive(r *probe.Result, seen *replica) {
	page := h.Live.page()
	switch live := seen.live; {
	case live.response == respOK && !seen.proven():
		r.Inconclusive("live", probe.ControlFailed, "%s answers %s%s", page.name(), page.yes, unproven)
	case live.response == respOK:
		r.Pass("live", "%s answers %s", page.name(), page.yes)
	case live.response == respUnknown:
		r.Report("live", live.Reason, "%s", live.Detail)
	case live.response == respCached:
		r.Inconclusive("live", probe.StaleOrCached, "%s: %s", page.name(), live.Detail)
	default:
		r.Fail("live", live.Reason, "expected %s from %s, %s", page.yes, page.name(), live.Detail)
	}
}

// reportState notes the state of a replica and what it means for the split and serving checks.
func (h *Probe) reportState(r *probe.Result, seen *replica, before, after dependency) {
	now := evaluate(seen.live, seen.ready, before, after)
	sentence := now.sentence(seen, h)
	shown := now
	if now.Serving == holds && !seen.proven() {
		shown = stateUnknown
	}
	r.OneOf(healthState, shown.Name, stateNames(), r.Target())
	settling := h.history.unreadySince(r.Target(), now, h.UnreadyGrace.D())
	note := func(check string, e expectation) {
		switch {
		case e == notApplicable:
			r.Omit(check)
			return
		case e == holds && !seen.proven():
			r.Inconclusive(check, probe.ControlFailed, "%s%s", sentence, unproven)
		case e == holds:
			r.Pass(check, "%s", sentence)
		case e == unknown && now.Serving == violated:
			r.Inconclusive(check, probe.ControlFailed, "%s", sentence)
		case e == unknown:
			r.Inconclusive(check, now.Reason, "%s", sentence)
		case settling > 0:
			r.Inconclusive(check, probe.Settling, "%s; it was healthy %s ago", sentence, settling.Round(time.Millisecond))
		default:
			r.Fail(check, now.Reason, "%s", sentence)
		}
		r.LinkExchange(check, seen.decidedTraceID)
	}
	if h.Dependency.URL != "" {
		note("split", now.Split)
	} else {
		r.Omit("split")
	}
	note("serving", now.Serving)
}

// reportReplicas notes whether enough replicas are healthy and whether they are different ones.
func (h *Probe) reportReplicas(r *probe.Result, seen []replica) {
	healthy, doubt, instances := 0, 0, map[string]bool{}
	for _, s := range seen {
		switch {
		case s.live.response == respOK && s.proven():
			healthy++
			instances[s.instance] = true
		case s.live.response == respOK, s.live.response == respUnknown, s.live.response == respCached:
			doubt++
		}
	}
	r.Measure(replicasFound, float64(len(seen)))
	r.Measure(replicasHealthy, float64(healthy))
	if h.Instance != nil {
		r.Measure(replicasDistinct, float64(len(instances)))
	}
	wanted := fmt.Sprintf("expected %s, found %d, of which %d live", text.Count(h.Replicas.Want, "replica"), len(seen), healthy)
	switch {
	case healthy+doubt < h.Replicas.Want:
		r.Fail("replicas", probe.Replicas, "%s", wanted)
	case healthy < h.Replicas.Want:
		r.Inconclusive("replicas", probe.ControlFailed, "%s; %d inconclusive", wanted, doubt)
	case h.Instance != nil && instances[""]:
		r.Fail("replicas", probe.Replicas, "%s, but not all of them say which instance they are", wanted)
	case h.Instance != nil && len(instances) < h.Replicas.Want:
		r.Fail("replicas", probe.Replicas, "%s, but only %s among them", wanted, text.Count(len(instances), "different instance"))
	default:
		r.Pass("replicas", "%s", wanted)
	}
}
