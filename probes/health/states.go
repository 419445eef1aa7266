package health

import (
	"fmt"
	"slices"
	"strings"

	"prober/internal/httpx"
	"prober/internal/probe"
)

// A state is what liveness, readiness and the dependency say together of one replica.
type state struct {
	Name    string
	Serving judgement    // is the replica serving?
	Split   judgement    // does it keep liveness and readiness apart?
	Settles bool         // it may last for the settle time before it is a failure, as in a rollout
	Blames  probe.Reason // why a check that the state does not pass does not
	Says    string
}

// stateReasons lists the reasons that only the states give.
func stateReasons() []probe.Reason {
	var all []probe.Reason
	for _, s := range states {
		if why := s.Blames; why.Word != "" && !slices.Contains(probe.CommonReasons[:], why) {
			all = append(all, why)
		}
	}
	return all
}

// A judgement is what a state says of one check.
type judgement int

const (
	open     judgement = iota // nothing: the check is not noted
	yes                       // it holds
	no                        // it does not
	doubtful                  // it could not be told
)

// The states, each with the reason of its own name where it is a failure.
var (
	serving           = state{Name: "serving", Serving: yes, Split: yes, Says: "live and ready"}
	slowlyServing     = state{Name: "slow", Serving: yes, Split: yes, Says: "live and ready, and slower than wanted"}
	servingUnverified = state{Name: "serving_unverified", Serving: yes, Split: doubtful, Blames: probe.ControlFailed,
		Says: "live and ready; how its dependency is doing could not be told"}
	degraded = state{Name: "degraded_by_dependency", Serving: no, Split: yes, Settles: true, Blames: probe.Reason{Word: "degraded_by_dependency", Verdict: probe.Fail, Text: "not ready because its dependency is down"},
		Says: "live and rightly not ready, since its dependency is down; restarting it will not help"}
	notReady = state{Name: "not_ready", Serving: no, Split: yes, Settles: true, Blames: probe.Reason{Word: "not_ready", Verdict: probe.Fail, Text: "live and not ready"},
		Says: "live and not ready, and its dependency is not the reason: it starts, drains or misses something else"}
	readyError = state{Name: "ready_error", Serving: no, Split: yes, Settles: true, Blames: probe.Reason{Word: "ready_error", Verdict: probe.Fail, Text: "readiness cannot be read"},
		Says: "live, but its readiness cannot be asked; 503 is the only way to say not ready"}
	readyLies = state{Name: "ready_lies", Serving: open, Split: no, Settles: true, Blames: probe.Reason{Word: "ready_lies", Verdict: probe.Fail, Text: "ready although its dependency is down"},
		Says: "says ready while its dependency is down: traffic is sent into failures"}
	livenessCoupled = state{Name: "liveness_coupled", Serving: no, Split: no, Settles: true, Blames: probe.Reason{Word: "liveness_coupled", Verdict: probe.Fail, Text: "liveness depends on the dependency"},
		Says: "not live because its dependency is down: it will be restarted in vain; liveness must not hang on a dependency"}
	inverted = state{Name: "inverted", Serving: open, Split: no, Settles: true, Blames: probe.Reason{Word: "inverted", Verdict: probe.Fail, Text: "ready but not live"},
		Says: "ready but not live: the paths are mixed up or one of them is broken"}
	down = state{Name: "down", Serving: no, Blames: probe.Reason{Word: "down", Verdict: probe.Fail, Text: "neither live nor ready"},
		Says: "neither live nor ready"}
	regionDown = state{Name: "region_down", Serving: no, Blames: probe.Reason{Word: "region_down", Verdict: probe.Fail, Text: "unreachable together with its dependency"},
		Says: "unreachable, and so is its dependency: the whole place seems cut off or down"}
	wrongRoute = state{Name: "wrong_route", Serving: no, Settles: true, Blames: probe.Reason{Word: "wrong_route", Verdict: probe.Fail, Text: "answered by something else"},
		Says: "the answer is not the service's own: the path or what stands before the service is wrong"}
	fromCache = state{Name: "cached", Serving: doubtful, Split: doubtful, Blames: probe.StaleOrCached,
		Says: "the answers may come out of a cache, which says nothing of the process"}
	race = state{Name: "race", Serving: doubtful, Split: doubtful, Blames: probe.Reason{Word: "race", Verdict: probe.Inconclusive, Text: "the dependency changed during the run"},
		Says: "its dependency changed while it was asked"}
	untold = state{Name: "unknown", Serving: doubtful, Split: doubtful, Blames: probe.ControlFailed,
		Says: "could not be asked"}
)

// states lists all of them, for the gauge that has one series for each.
var states = []state{serving, slowlyServing, servingUnverified, degraded, notReady, readyError, readyLies, livenessCoupled,
	inverted, down, regionDown, wrongRoute, fromCache, race, untold}

// kind classes what a liveness or readiness path answered.
type kind int

const (
	unknown kind = iota // could not be asked, for a reason that lies with the prober
	well                // 200
	unready             // 503
	broken              // any other 5xx
	gone                // no complete answer
	foreign             // an answer that is not the service's: 404, 401, a redirect, an ingress's page
	cached
)

// An answer is what one of the two paths said.
type answer struct {
	kind   kind
	slow   bool
	status int
	why    probe.Reason
	detail string
}

// class reads an answer the way the state table needs it.
func (h *Probe) class(a *httpx.Answer) answer {
	out := answer{detail: a.Detail, why: a.Reason, status: a.Status}
	switch {
	case a.Reason.Verdict == probe.Inconclusive:
		out.kind = unknown
	case a.Reason != probe.OK:
		out.kind = gone
	case a.Status == 429:
		out.kind, out.why, out.detail = unknown, probe.RateLimited, "got 429: the service limits the rate of the prober's requests"
	case a.Cached != "":
		out.kind, out.why, out.detail = cached, probe.StaleOrCached, "the answer may come out of a cache ("+a.Cached+")"
	case a.Redirected():
		out.kind, out.why, out.detail = foreign, probe.Redirect, fmt.Sprintf("got %d, which sends elsewhere; redirects are never followed", a.Status)
	case (a.Status == 200 || a.Status == 503) && !h.own(a):
		out.kind, out.why, out.detail = foreign, probe.Body, fmt.Sprintf("got %d, and not from the service itself: %s", a.Status, h.sign())
	case a.Status == 200:
		out.kind = well
	case a.Status == 503:
		out.kind = unready
	case a.Status >= 500:
		out.kind = broken
	default:
		out.kind = foreign
	}
	if out.kind == well && h.Latency > 0 && a.Took > h.Latency.D() {
		out.slow = true
	}
	if out.detail == "" && a.Status != 0 {
		out.detail = fmt.Sprintf("got %d", a.Status)
	}
	if out.why == probe.OK && out.kind != well {
		out.why = probe.Status
	}
	return out
}

// own reports whether an answer is the service's and not that of something in front of it.
func (h *Probe) own(a *httpx.Answer) bool {
	if h.Marker != nil {
		return h.Marker.Read(a) != ""
	}
	return !strings.HasPrefix(strings.ToLower(a.Header.Get("Content-Type")), "text/html")
}

func (h *Probe) sign() string {
	if h.Marker != nil {
		return "it lacks the marker"
	}
	return "it is an HTML page"
}

// dependency classes what the dependency answered.
type dependency int

const (
	depUnknown dependency = iota
	depUp
	depBroken      // it answers 5xx
	depUnreachable // it gives no complete answer
)

func (d dependency) down() bool { return d == depBroken || d == depUnreachable }

// judge reads the state table. The dependency was asked before and after; where it changed in between, nothing can
// be said of the answers.
func judge(live, ready answer, before, after dependency) state {
	dep := before
	if before.down() != after.down() || (before == depUp) != (after == depUp) {
		if before != depUnknown && after != depUnknown {
			return race
		}
		dep = depUnknown
	}
	switch {
	case live.kind == unknown || ready.kind == unknown:
		return untold
	case live.kind == cached || ready.kind == cached:
		return fromCache
	case live.kind == foreign || ready.kind == foreign:
		return wrongRoute
	case live.kind == well:
		return judgeLive(live, ready, dep)
	case ready.kind == well:
		return inverted
	case live.kind == gone && ready.kind == gone && dep == depUnreachable:
		return regionDown
	case dep.down() && (ready.kind == unready || live.kind != gone):
		return livenessCoupled
	}
	return down
}

func judgeLive(live, ready answer, dep dependency) state {
	switch {
	case ready.kind == unready && dep.down():
		return degraded
	case ready.kind == unready:
		return notReady
	case ready.kind != well:
		return readyError
	case dep.down():
		return readyLies
	case dep == depUnknown:
		return servingUnverified
	case live.slow || ready.slow:
		return slowlyServing
	}
	return serving
}

// sentence says what the state means and what was got.
func (s state) sentence(seen *replica, h *Probe) string {
	if s.Serving == yes && s.Split == yes {
		return s.Says
	}
	return fmt.Sprintf("%s (%s: %s; %s: %s)", s.Says, h.Live, seen.live.detail, h.Ready, seen.ready.detail)
}
