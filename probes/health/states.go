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
	Name      string
	Serving   expectation  // is the replica serving?
	Split     expectation  // does it keep liveness and readiness apart?
	Transient bool         // it may last for the settle time before it is a failure, as in a rollout
	Reason    probe.Reason // why a check that the state does not pass does not
	Summary   string
}

// stateReasons lists the reasons that only the states give.
func stateReasons() []probe.Reason {
	var all []probe.Reason
	for _, s := range states {
		if why := s.Reason; why.Word != "" && !slices.Contains(probe.CommonReasons[:], why) {
			all = append(all, why)
		}
	}
	return all
}

// A expectation is what a state says of one check.
type expectation int

const (
	notApplicable expectation = iota // nothing: the check is not noted
	holds                            // it holds
	violated                         // it does not
	unknown                          // it could not be told
)

// The states, each with the reason of its own name where it is a failure.
var (
	stateServing           = state{Name: "serving", Serving: holds, Split: holds, Summary: "live and ready"}
	stateSlow              = state{Name: "slow", Serving: holds, Split: holds, Summary: "live and ready, and slower than wanted"}
	stateServingUnverified = state{Name: "serving_unverified", Serving: holds, Split: unknown, Reason: probe.ControlFailed,
		Summary: "live and ready; how its dependency is doing could not be told"}
	stateDegraded = state{Name: "degraded_by_dependency", Serving: violated, Split: holds, Transient: true, Reason: probe.Reason{Word: "degraded_by_dependency", Verdict: probe.Fail, Text: "not ready because its dependency is down"},
		Summary: "live and rightly not ready, since its dependency is down; restarting it will not help"}
	stateNotReady = state{Name: "not_ready", Serving: violated, Split: holds, Transient: true, Reason: probe.Reason{Word: "not_ready", Verdict: probe.Fail, Text: "live and not ready"},
		Summary: "live and not ready, and its dependency is not the reason: it starts, drains or misses something else"}
	stateReadyError = state{Name: "ready_error", Serving: violated, Split: holds, Transient: true, Reason: probe.Reason{Word: "ready_error", Verdict: probe.Fail, Text: "readiness cannot be read"},
		Summary: "live, but its readiness cannot be asked; 503 is the only way to say not ready"}
	stateReadyDespiteDependencyDown = state{Name: "ready_despite_dependency_down", Serving: notApplicable, Split: violated, Transient: true, Reason: probe.Reason{Word: "ready_despite_dependency_down", Verdict: probe.Fail, Text: "ready although its dependency is down"},
		Summary: "says ready while its dependency is down: traffic is sent into failures"}
	stateLivenessCoupled = state{Name: "liveness_coupled", Serving: violated, Split: violated, Transient: true, Reason: probe.Reason{Word: "liveness_coupled", Verdict: probe.Fail, Text: "liveness depends on the dependency"},
		Summary: "not live because its dependency is down: it will be restarted in vain; liveness must not hang on a dependency"}
	stateInverted = state{Name: "inverted", Serving: notApplicable, Split: violated, Transient: true, Reason: probe.Reason{Word: "inverted", Verdict: probe.Fail, Text: "ready but not live"},
		Summary: "ready but not live: the paths are mixed up or one of them is broken"}
	stateDown = state{Name: "down", Serving: violated, Reason: probe.Reason{Word: "down", Verdict: probe.Fail, Text: "neither live nor ready"},
		Summary: "neither live nor ready"}
	stateRegionDown = state{Name: "region_down", Serving: violated, Reason: probe.Reason{Word: "region_down", Verdict: probe.Fail, Text: "unreachable together with its dependency"},
		Summary: "unreachable, and so is its dependency: the whole place seems cut off or down"}
	stateWrongRoute = state{Name: "wrong_route", Serving: violated, Transient: true, Reason: probe.Reason{Word: "wrong_route", Verdict: probe.Fail, Text: "something else responded"},
		Summary: "the answer is not the service's own: the path or what stands before the service is wrong"}
	stateCached = state{Name: "cached", Serving: unknown, Split: unknown, Reason: probe.StaleOrCached,
		Summary: "the answers may come out of a cache, which says nothing of the process"}
	stateRace = state{Name: "race", Serving: unknown, Split: unknown, Reason: probe.Reason{Word: "race", Verdict: probe.Inconclusive, Text: "the dependency changed during the run"},
		Summary: "its dependency changed while it was asked"}
	stateUnknown = state{Name: "unknown", Serving: unknown, Split: unknown, Reason: probe.ControlFailed,
		Summary: "could not be asked"}
)

// states lists all of them, for the gauge that has one series for each.
var states = []state{stateServing, stateSlow, stateServingUnverified, stateDegraded, stateNotReady, stateReadyError, stateReadyDespiteDependencyDown, stateLivenessCoupled,
	stateInverted, stateDown, stateRegionDown, stateWrongRoute, stateCached, stateRace, stateUnknown}

// response classes what a liveness or readiness path answered.
type response int

const (
	respUnknown     response = iota // could not be asked, for a reason that lies with the prober
	respOK                          // 200
	respUnavailable                 // 503
	respError                       // any other 5xx
	respNone                        // no complete answer
	respForeign                     // an answer that is not the service's: 404, 401, a redirect, an ingress's page
	respCached
)

// An answer is what one of the two paths said.
type answer struct {
	response response
	slow     bool
	status   int
	reason   probe.Reason
	detail   string
}

// classify reads an answer the way the state table needs it.
func (h *Probe) classify(a *httpx.Answer) answer {
	out := answer{detail: a.Detail, reason: a.Reason, status: a.Status}
	switch {
	case a.Reason.Verdict == probe.Inconclusive:
		out.response = respUnknown
	case a.Reason != probe.OK:
		out.response = respNone
	case a.Status == 429:
		out.response, out.reason, out.detail = respUnknown, probe.RateLimited, "got 429: the service limits the rate of the prober's requests"
	case a.Cached != "":
		out.response, out.reason, out.detail = respCached, probe.StaleOrCached, "the answer may come out of a cache ("+a.Cached+")"
	case a.Redirected():
		out.response, out.reason, out.detail = respForeign, probe.Redirect, fmt.Sprintf("got %d, which sends elsewhere; redirects are never followed", a.Status)
	case (a.Status == 200 || a.Status == 503) && !h.isOwn(a):
		out.response, out.reason, out.detail = respForeign, probe.Body, fmt.Sprintf("got %d, and not from the service itself: %s", a.Status, h.foreignReason())
	case a.Status == 200:
		out.response = respOK
	case a.Status == 503:
		out.response = respUnavailable
	case a.Status >= 500:
		out.response = respError
	default:
		out.response = respForeign
	}
	if out.response == respOK && h.Latency > 0 && a.Took > h.Latency.D() {
		out.slow = true
	}
	if out.detail == "" && a.Status != 0 {
		out.detail = fmt.Sprintf("got %d", a.Status)
	}
	if out.reason == probe.OK && out.response != respOK {
		out.reason = probe.Status
	}
	return out
}

// isOwn reports whether an answer is the service's and not that of something in front of it.
func (h *Probe) isOwn(a *httpx.Answer) bool {
	if h.Marker != nil {
		return h.Marker.Read(a) != ""
	}
	return !strings.HasPrefix(strings.ToLower(a.Header.Get("Content-Type")), "text/html")
}

func (h *Probe) foreignReason() string {
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

// evaluate reads the state table. The dependency was asked before and after; where it changed in between, nothing can
// be said of the answers.
func evaluate(live, ready answer, before, after dependency) state {
	dep := before
	if before.down() != after.down() || (before == depUp) != (after == depUp) {
		if before != depUnknown && after != depUnknown {
			return stateRace
		}
		dep = depUnknown
	}
	switch {
	case live.response == respUnknown || ready.response == respUnknown:
		return stateUnknown
	case live.response == respCached || ready.response == respCached:
		return stateCached
	case live.response == respForeign || ready.response == respForeign:
		return stateWrongRoute
	case live.response == respOK:
		return evaluateLive(live, ready, dep)
	case ready.response == respOK:
		return stateInverted
	case live.response == respNone && ready.response == respNone && dep == depUnreachable:
		return stateRegionDown
	case dep.down() && (ready.response == respUnavailable || live.response != respNone):
		return stateLivenessCoupled
	}
	return stateDown
}

func evaluateLive(live, ready answer, dep dependency) state {
	switch {
	case ready.response == respUnavailable && dep.down():
		return stateDegraded
	case ready.response == respUnavailable:
		return stateNotReady
	case ready.response != respOK:
		return stateReadyError
	case dep.down():
		return stateReadyDespiteDependencyDown
	case dep == depUnknown:
		return stateServingUnverified
	case live.slow || ready.slow:
		return stateSlow
	}
	return stateServing
}

// sentence says what the state means and what was got.
func (s state) sentence(seen *replica, h *Probe) string {
	if s.Serving == holds && s.Split == holds {
		return s.Summary
	}
	return fmt.Sprintf("%s (%s: %s; %s: %s)", s.Summary, h.Live, seen.live.detail, h.Ready, seen.ready.detail)
}
