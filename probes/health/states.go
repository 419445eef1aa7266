package health

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"prober/internal/httpx"
	"prober/internal/probe"
)

// A state is what liveness, readiness and the dependency together say about one replica.
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

// An expectation is what a state says of one check.
type expectation int

const (
	notApplicable expectation = iota // nothing: the check is not noted
	holds
	violated // it does not
	unknown  // inconclusive
)

// The states, each with the reason of its own name where it is a failure.
var (
	stateServing           = state{Name: "serving", Serving: holds, Split: holds, Summary: "live and ready"}
	stateSlow              = state{Name: "slow", Serving: holds, Split: holds, Summary: "live and ready, and slower than expected"}
	stateServingUnverified = state{Name: "serving_unverified", Serving: holds, Split: unknown, Reason: probe.ControlFailed,
		Summary: "live and ready; the state of its dependency is unknown"}
	stateDegraded = state{Name: "degraded_by_dependency", Serving: violated, Split: holds, Transient: true, Reason: probe.Reason{Word: "degraded_by_dependency", Verdict: probe.Fail, Text: "not ready because its dependency is down", Dependency: true,
		Action: "Fix the dependency; restarting this service does not help."},
		Summary: "live and correctly not ready, because its dependency is down; restarting it will not help"}
	stateNotReady = state{Name: "not_ready", Serving: violated, Split: holds, Transient: true, Reason: probe.Reason{Word: "not_ready", Verdict: probe.Fail, Text: "live and not ready",
		Action: "Read the service's log for what it waits for: it is live, so it is starting, draining or missing something other than its dependency."},
		Summary: "live and not ready, and its dependency is not the reason: it is starting, draining or missing something else"}
	stateReadyError = state{Name: "ready_error", Serving: violated, Split: holds, Transient: true, Reason: probe.Reason{Word: "ready_error", Verdict: probe.Fail, Text: "readiness cannot be read",
		Action: "Request the readiness URL by hand at this replica, and read its log: it is live, but readiness gives no answer."},
		Summary: "live, but its readiness cannot be read"}
	stateReadyDespiteDependencyDown = state{Name: "ready_despite_dependency_down", Serving: notApplicable, Split: violated, Transient: true, Reason: probe.Reason{Word: "ready_despite_dependency_down", Verdict: probe.Fail, Text: "ready although its dependency is down",
		Action: "Take traffic away until the dependency is back: the service reports ready and will fail requests; then fix its readiness."},
		Summary: "ready although its dependency is down: traffic sent to it will fail"}
	stateLivenessCoupled = state{Name: "liveness_coupled", Serving: violated, Split: violated, Transient: true, Reason: probe.Reason{Word: "liveness_coupled", Verdict: probe.Fail, Text: "liveness depends on the dependency",
		Action: "Fix the dependency and stop the restarts: liveness fails with the dependency, so the service is restarted for nothing."},
		Summary: "not live because its dependency is down: it will be restarted, which does not help; liveness must not depend on it"}
	stateInverted = state{Name: "inverted", Serving: notApplicable, Split: violated, Transient: true, Reason: probe.Reason{Word: "inverted", Verdict: probe.Fail, Text: "ready but not live",
		Action: "Check that the liveness and readiness URLs are not swapped: it claims to be ready and not live."},
		Summary: "ready but not live: the paths are mixed up or one of them is broken"}
	stateDown = state{Name: "down", Serving: violated, Reason: probe.Reason{Word: "down", Verdict: probe.Fail, Text: "neither live nor ready",
		Action: "Check that the process runs and read its last log lines: it is neither live nor ready."},
		Summary: "neither live nor ready"}
	stateRegionDown = state{Name: "region_down", Serving: violated, Reason: probe.Reason{Word: "region_down", Verdict: probe.Fail, Text: "unreachable together with its dependency",
		Action: "Check the region or the network first: the service and its dependency are out of reach together."},
		Summary: "unreachable, and so is its dependency: the region seems to be down or cut off"}
	stateWrongRoute = state{Name: "wrong_route", Serving: violated, Transient: true, Reason: probe.Reason{Word: "wrong_route", Verdict: probe.Fail, Text: "something else responded",
		Action: "Check ingress and routes: something other than the service answers at this address."},
		Summary: "the answer is not the service's own: the path is wrong, or something in front of the service answered"}
	stateUnexpectedStatus = state{Name: "unexpected_status", Serving: violated, Transient: true, Reason: probe.Reason{Word: "unexpected_status", Verdict: probe.Fail, Text: "a status that means neither yes nor no",
		Action: "Request the URL by hand: the status says neither yes nor no, as from a proxy in front of the service."},
		Summary: "answered, but by a status that means neither yes nor no"}
	stateCached = state{Name: "cached", Serving: unknown, Split: unknown, Reason: probe.StaleOrCached,
		Summary: "the answers may come out of a cache, which says nothing about the process"}
	stateRace = state{Name: "race", Serving: unknown, Split: unknown, Reason: probe.Reason{Word: "race", Verdict: probe.Inconclusive, Text: "the dependency changed during the run",
		Action: "Wait for the next run: the dependency changed during this one."},
		Summary: "its dependency changed during the run"}
	stateUnknown = state{Name: "unknown", Serving: unknown, Split: unknown, Reason: probe.ControlFailed,
		Summary: "could not be asked"}
)

// states lists all of them; stateNames are the label values of the state gauge.
var states = []state{stateServing, stateSlow, stateServingUnverified, stateDegraded, stateNotReady, stateReadyError, stateReadyDespiteDependencyDown, stateLivenessCoupled,
	stateInverted, stateDown, stateRegionDown, stateWrongRoute, stateUnexpectedStatus, stateCached, stateRace, stateUnknown}

func stateNames() []string {
	var names []string
	for _, s := range states {
		names = append(names, s.Name)
	}
	return names
}

// response is the class of an answer of the liveness or readiness page.
type response int

const (
	respUnknown     response = iota // the request failed for a reason on the prober's side
	respOK                          // yes: an expected status and content
	respUnavailable                 // no, in the way that the settings name
	respError                       // any other 5xx
	respUnexpected                  // a status that means neither, such as 204
	respNone                        // no complete answer
	respForeign                     // not the service's own: 404, 401, a redirect, an ingress's page
	respCached
)

// An answer is what one of the two pages said.
type answer struct {
	response response
	slow     bool
	probe.Outcome
}

// classify returns the class of an answer, as the state table needs it.
func (h *Probe) classify(a *httpx.Answer, p page) answer {
	c := a.Classify(httpx.ClassifyOptions{Want: p.known(), Public: !h.Authenticates()})
	got := probe.Outcomef(probe.Status, "got %d", a.Status)
	switch {
	case c.Class == httpx.ClassIncomplete && a.Reason.Verdict == probe.Inconclusive, c.Reason == probe.RateLimited:
		return answer{response: respUnknown, Outcome: c.Outcome}
	case c.Class == httpx.ClassIncomplete:
		return answer{response: respNone, Outcome: c.Outcome}
	case a.Cached != "": // a bare 304 to an unconditional request is the service's fault
		return answer{response: respCached, Outcome: c.Outcome}
	case p.yes.Contains(a.Status):
		return h.classifyYes(a, p)
	case p.no.Contains(a.Status):
		if foreign := h.foreign(a, p.noHTML); foreign != "" {
			return answer{response: respForeign, Outcome: probe.Outcomef(probe.Body, "got %d, %s", a.Status, foreign)}
		}
		return answer{response: respUnavailable, Outcome: got}
	case c.Class == httpx.ClassRedirect:
		return answer{response: respForeign, Outcome: c.Outcome}
	case a.Status >= 500:
		return answer{response: respError, Outcome: got}
	case a.Status == 429 || a.Status < 300:
		return answer{response: respUnexpected, Outcome: got}
	}
	return answer{response: respForeign, Outcome: got}
}

// classifyYes reads an answer whose status says yes. Its content may say no.
func (h *Probe) classifyYes(a *httpx.Answer, p page) answer {
	if foreign := h.foreign(a, p.yesHTML); foreign != "" {
		return answer{response: respForeign, Outcome: probe.Outcomef(probe.Body, "got %d, %s", a.Status, foreign)}
	}
	mismatch := p.content.Mismatch(a)
	got := probe.Outcomef(mismatch.Reason, "got %d, but %s", a.Status, mismatch.Detail)
	switch {
	case mismatch.Passed():
		got.Detail = fmt.Sprintf("got %d", a.Status)
		return answer{response: respOK, slow: h.Latency != nil && a.Took > h.Latency.D() && !a.OwnDelay(h.Latency.D()), Outcome: got}
	case mismatch.Reason == probe.Body && h.foreign(a, false) == "":
		return answer{response: respUnavailable, Outcome: got}
	}
	return answer{response: respForeign, Outcome: got}
}

// foreign says why an answer is not the service's own but that of a proxy in front of it; empty if it is.
func (h *Probe) foreign(a *httpx.Answer, html bool) string {
	switch {
	case h.Marker != nil && h.Marker.Read(a) == "":
		return "not from the service itself: it lacks the marker"
	case h.Marker == nil && !html && !a.Redirected() && isHTML(a):
		return "not from the service itself: it is an HTML page, and neither marker nor expect says otherwise"
	}
	return ""
}

// isHTML reports whether an answer is a page for people. Frameworks label any text as HTML, so the label is not enough.
func isHTML(a *httpx.Answer) bool {
	label := strings.ToLower(a.Header.Get("Content-Type"))
	labelled := strings.HasPrefix(label, "text/html") || strings.HasPrefix(label, "application/xhtml+xml")
	return labelled && bytes.IndexByte(a.Body, '<') >= 0 || strings.HasPrefix(http.DetectContentType(a.Body), "text/html")
}

// dependency is the class of an answer of the dependency.
type dependency int

const (
	depUnknown dependency = iota
	depUp
	depBroken      // it answers 5xx
	depUnreachable // it gives no complete answer
)

func (d dependency) down() bool { return d == depBroken || d == depUnreachable }

// evaluate reads the state table. The dependency was asked before and after; if it changed in between, the answers
// prove nothing.
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
	case live.response == respUnexpected, live.response == respOK && ready.response == respUnexpected:
		return stateUnexpectedStatus
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
		s := stateNotReady
		if dep == depUnknown {
			s.Split, s.Summary = unknown, "live and not ready, and whether its dependency is the reason is unknown: it is starting, draining or missing something"
		}
		return s
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

// sentence says what the state means and which answers led to it.
func (s state) sentence(seen *replica, h *Probe) string {
	if s.Serving == holds && s.Split == holds {
		return s.Summary
	}
	live, ready := h.Live.page(), h.Ready.page()
	return fmt.Sprintf("%s (%s: %s; %s: %s)", s.Summary, live.name(), seen.live.told(live.yes), ready.name(), seen.ready.told(ready.known()))
}

// told is the detail of an answer, with what was expected if that is not evident.
func (a answer) told(expected httpx.Statuses) string {
	if a.response == respError || a.response == respUnexpected {
		return "expected " + expected.String() + ", " + a.Detail
	}
	return a.Detail
}
