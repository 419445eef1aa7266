// Package health asks whether a service is live and ready, replica by replica, and whether its dependency explains it.
package health

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/budget"
	"prober/probes/internal/control"
	"prober/probes/internal/expect"
	"prober/probes/internal/replicas"
)

// Probe asks every replica of a service whether it is live and whether it is ready, which are two questions: while a
// dependency is down a service «should stay live (/health 200) but not ready (/ready 503)». It distinguishes a process
// that is down, one that correctly waits, one whose liveness depends on its dependency and that will be restarted to no
// effect, and one that is ready although it should not be.
type Probe struct {
	httpx.Settings `yaml:",inline"`

	Service      string            `yaml:"service" doc:"scheme and host of the service, used as Host and SNI when a replica is dialled by its address"`
	Replicas     replicas.Replicas `yaml:"replicas" doc:"where the replicas are and how many there must be"`
	Live         Live              `yaml:"live" default:"/health" doc:"how the service tells that its process is up: a path, or more"`
	Ready        Ready             `yaml:"ready" default:"/ready" doc:"how the service tells whether it accepts traffic: a path, or more"`
	Dependency   Dependency        `yaml:"dependency" doc:"what the service needs to be ready: a URL, or more"`
	Marker       *httpx.Source     `yaml:"marker" doc:"a header or JSON value that only the service's own responses have, not an ingress's"`
	Instance     *httpx.Source     `yaml:"instance" doc:"a header or JSON value that is different for each replica"`
	Latency      *probe.Duration   `yaml:"latency" doc:"a healthy response that takes longer is called slow"`
	UnreadyGrace probe.Duration    `yaml:"unready_grace" renamed:"settle" doc:"how long a replica that was healthy may be unready before that is a failure"`

	client           *httpx.Client
	dependencyClient *httpx.Client // of the dependency, which is another host: it gets no credential, Host or SNI of the service
	history          history
}

// Measures of the health kind.
var (
	healthState = &probe.Measure{
		Name:   "probe_health_state",
		Help:   "1 for the state of a replica in the last run, 0 for the others.",
		Labels: []string{"target", "state"},
	}
	replicasWanted = &probe.Measure{
		Name: "probe_replicas_wanted",
		Help: "Replicas expected by the configuration.",
		Kept: true,
	}
	replicasFound = &probe.Measure{
		Name: "probe_replicas_found",
		Help: "Replicas listed or resolved in the last run; absent if the name could not be resolved.",
	}
	replicasHealthy = &probe.Measure{
		Name: "probe_replicas_healthy",
		Help: "Live replicas in the last run.",
	}
	replicasDistinct = &probe.Measure{
		Name: "probe_replicas_distinct",
		Help: "Different instances among the healthy replicas in the last run.",
	}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:           func() probe.Probe { return New() },
		Summary:       "whether each replica is live and ready, and whether its dependency explains why not",
		Measures:      []*probe.Measure{healthState, replicasWanted, replicasFound, replicasHealthy, replicasDistinct},
		Reasons:       stateReasons(),
		Traits:        probe.Traits{HTTPLatency: true},
		RenamedChecks: map[string]string{"decoy": "catch_all", "wrong_path": "catch_all"},
	}
}

var (
	_ probe.Closer         = (*Probe)(nil)
	_ probe.Initializer    = (*Probe)(nil)
	_ probe.StatusProvoker = (*Probe)(nil)
	_ probe.TimeoutChecker = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe {
	return &Probe{Live: Live{Path: "/health"}, Ready: Ready{Path: "/ready"}, UnreadyGrace: probe.Duration(15 * time.Second)}
}

// Validate reports what is wrong with the settings.
func (h *Probe) Validate() error {
	var wrong []error
	if h.Service == "" && h.Replicas.None() {
		return probe.Settingf("", "nothing to ask: expected service or replicas")
	}
	if err := h.Replicas.Validate(); err != nil {
		wrong = append(wrong, probe.InSetting("replicas", err))
	} else if h.Service == "" {
		h.Service = "http://" + h.Replicas.Host()
	}
	h.Service = strings.TrimSuffix(h.Service, "/")
	if u, err := url.Parse(h.Service); err == nil && u.Host != "" && (u.Path != "" || u.RawQuery != "" || u.ForceQuery) {
		wrong = append(wrong, probe.Settingf("service", "expected scheme and host only; paths belong to live and ready"))
	}
	wrong = append(wrong, h.validatePages(), probe.InSetting("marker", h.Marker.Validate()), probe.InSetting("instance", h.Instance.Validate()), expect.ValidateLatency(h.Latency))
	if h.UnreadyGrace < 0 {
		wrong = append(wrong, probe.Settingf("unready_grace", "must not be below zero"))
	}
	client, err := h.ClientFor(map[string]string{"service": h.Service})
	if err == nil && h.Service != "" {
		urls := map[string]string{}
		for i, path := range [...]string{h.Live.Path, h.Ready.Path} {
			if strings.HasPrefix(path, "/") { // or it is refused already
				urls[[...]string{"live.path", "ready.path"}[i]] = h.Service + path
			}
		}
		_, err = h.ClientFor(urls)
	}
	h.client = client
	other := h.ForOtherHost()
	asker, depErr := other.ClientFor(map[string]string{"dependency.url": h.Dependency.URL})
	h.dependencyClient = asker
	wrong = append(wrong, err, depErr, probe.InSetting("dependency.expect", h.Dependency.Expect.Validate()))
	return errors.Join(wrong...)
}

// CheckTimeout refuses a latency that is never exceeded, since the run ends before.
func (h *Probe) CheckTimeout(timeout time.Duration) error {
	return expect.CheckLatency(h.Latency, timeout)
}

// Checks names what a run notes, for each replica and for all.
func (h *Probe) Checks() []string {
	return []string{"live", "split", "serving", "catch_all", "replicas"}
}

// ExpectedStatuses lists the errors that the probe provokes on purpose at each replica: the catch-all check's 404, and those
// that mean live or ready.
func (h *Probe) ExpectedStatuses() map[string][]int {
	expected := []int{404}
	for _, code := range slices.Concat(h.Live.page().yes.Codes(), h.Ready.page().yes.Codes()) {
		if code >= 400 && !slices.Contains(expected, code) {
			expected = append(expected, code)
		}
	}
	codes := map[string][]int{}
	for _, address := range h.Replicas.Static {
		codes[address] = expected
	}
	if h.Replicas.None() {
		codes[""] = expected
	}
	return codes
}

// InitialSamples lists the number of replicas in the configuration, so that alerts can compare with it before the first
// run and when discovery fails.
func (h *Probe) InitialSamples() []probe.Sample {
	return []probe.Sample{{Measure: replicasWanted, Value: float64(h.Replicas.Want)}}
}

// Ask asks the dependency, every replica, and the dependency again. The answers in between belong together only if the
// dependency answered the same both times.
func (h *Probe) Ask(ctx context.Context, r *probe.Result) {
	r.Measure(replicasWanted, float64(h.Replicas.Want))
	targets, ok := h.Replicas.Find(ctx, r, h.client.Resolver())
	if !ok {
		if targets != nil { // the name is known to have no address
			r.Measure(replicasFound, 0)
			r.Measure(replicasHealthy, 0)
		}
		return
	}
	// The time is divided so that a replica that hangs leaves some for the dependency's second answer.
	first, done := budget.Share(ctx, 0.25)
	before := h.askDependency(first, r)
	done()
	replicas, done := budget.Share(ctx, 0.7)
	seen := make([]replica, len(targets))
	r.Each(targets, func(i int, r *probe.Result) { seen[i] = h.askReplica(replicas, r, targets[i]) })
	done()
	after := h.askDependency(ctx, r)
	r.Each(targets, func(i int, r *probe.Result) { h.report(r, &seen[i], before, after) })
	h.history.forget(targets)
	h.reportReplicas(r, seen)
}

// Close ends the connections that are kept for reuse. The probe may still be asked.
func (h *Probe) Close() {
	h.client.Close()
	h.dependencyClient.Close()
}

// askDependency returns the state of the dependency.
func (h *Probe) askDependency(ctx context.Context, r *probe.Result) dependency {
	if h.Dependency.URL == "" {
		return depUnknown
	}
	want := h.Dependency.statuses()
	answer := h.dependencyClient.Do(ctx, r, httpx.Request{Check: "dependency", URL: h.Dependency.URL, Want: want})
	switch {
	case answer.Reason.Verdict == probe.Inconclusive, answer.Cached != "":
		return depUnknown
	case answer.Reason != probe.OK:
		return depUnreachable
	case want.Contains(answer.Status):
		return h.Dependency.says(answer)
	case answer.Status >= 500:
		return depBroken
	}
	return depUnknown
}

// says reads the content of an answer whose status means up.
func (d *Dependency) says(answer *httpx.Answer) dependency {
	switch d.Expect.Mismatch(answer).Reason {
	case probe.OK:
		return depUp
	case probe.Body:
		return depBroken
	}
	return depUnknown // another page than the settings were written for
}

// A replica is what one replica answered.
type replica struct {
	live, ready    answer
	instance       string
	catchAll       probe.Outcome // of the request for a nonexistent path; zero if none was made
	decidedTraceID string        // of the request that decided the state
}

// proven reports whether the answers prove anything: a nonexistent path was answered differently.
func (s *replica) proven() bool { return s.catchAll.Reason == probe.OK }

// askReplica requests both paths of one replica and, if it is live, a nonexistent path.
func (h *Probe) askReplica(ctx context.Context, r *probe.Result, target string) replica {
	half, done := budget.Share(ctx, 0.5)
	defer done()
	onLive, onReady := h.Live.page(), h.Ready.page()
	live := h.client.Do(half, r, httpx.Request{Check: "live", URL: h.Service + onLive.path, Addr: target, Want: onLive.yes})
	ready := h.client.Do(ctx, r, httpx.Request{Check: "serving", URL: h.Service + onReady.path, Addr: target, Want: onReady.yes})
	seen := replica{live: h.classify(live, onLive), ready: h.classify(ready, onReady), decidedTraceID: ready.TraceID}
	if seen.live.response != respOK {
		seen.decidedTraceID = live.TraceID
	}
	if h.Instance != nil {
		seen.instance = h.Instance.Read(live)
	}
	if seen.live.response == respOK {
		seen.catchAll = h.askCatchAll(ctx, r, target)
	}
	return seen
}

// askCatchAll requests a nonexistent path of a live replica. If that is answered like /health, then /health proves
// nothing.
func (h *Probe) askCatchAll(ctx context.Context, r *probe.Result, target string) probe.Outcome {
	live := h.Live.page()
	a := h.client.Do(ctx, r, httpx.Request{Check: "catch_all", URL: control.NonexistentURL(h.Service + live.path), Addr: target, Want: httpx.Codes(404)})
	said := h.classify(a, live)
	switch {
	case a.Reason != probe.OK:
		return probe.Outcomef(probe.ControlFailed, "the request for a nonexistent path failed: %s", a.Detail)
	case said.response == respOK:
		return probe.Outcomef(probe.ControlFailed, "a nonexistent path is answered like %s (%d), so %[1]s proves nothing", live.name(), a.Status)
	case h.Marker == nil && !live.yesHTML && (a.Status == 429 || a.Status >= 500): // nothing but its status identifies the service
		return probe.Outcomef(probe.ControlFailed, "a nonexistent path is answered %d, which proves nothing", a.Status)
	case live.yes.Contains(a.Status) && said.Reason != probe.OK:
		return probe.Outcomef(probe.OK, "a nonexistent path is answered differently (%s)", said.Detail)
	}
	return probe.Outcomef(probe.OK, "a nonexistent path is answered differently (%d)", a.Status)
}
