// Package web serves the status page, the metrics, the health of the prober itself and its configuration.
//
// The handlers only show what they are given; apart from a run on request, nothing here sends requests to targets. This
// package never gets a secret, and it escapes all text.
package web

import (
	"context"
	"net/http"
	"time"

	"prober/internal/probe"
)

// Options are what the handlers show. What is nil is not served.
type Options struct {
	Title   string // of the page; "prober" if empty
	Version string // of the prober

	// Hosts are the names under which all but the prober's own health is served, besides IP addresses and names that nobody
	// can register.
	Hosts []string

	Metrics          http.Handler                 // behind /metrics
	ProbeMetrics     func(probe.ID) http.Handler  // behind /probe, of one probe
	Healthy          func() error                 // why the prober itself is not healthy
	Ready            func() error                 // why the prober is not ready; must not depend on a target
	Reload           func(context.Context) error  // reloads the configuration; its errors are shown
	ReloadError      func() error                 // why the last reload failed; nil if it succeeded
	Config           func() []byte                // the effective configuration as YAML, secrets masked
	Schema           func() []byte                // the JSON Schema of the configuration
	Incident         func(system string) string   // the incident note of a system; for "", of all systems that have one
	NearOnset        func(system string) []string // the deploys near the onset of a system's open incident, in sentences
	Status           func() []ProbeStatus         // of each probe, in the order in which they are shown
	FailedSelfChecks func() []string              // the self-checks that failed: network, clock, storage
	Next             func(probe.ID) time.Time     // when the next run is due; zero if unknown
	Shard            func() string                // which part of the probes this prober runs, in a sentence
	Elsewhere        func(probe.Key) string       // what prober runs a probe that this one does not, as in "shard 2/3"; empty if none does
	Faults           func() []Fault               // the faults of a demonstration, to inject and clear at /demo

	// Changed returns what is closed when a status changes after the call. With it, pages keep themselves up to date.
	Changed func() <-chan struct{}
	// Settings returns what a probe is to ask and expect, secrets masked.
	Settings func(probe.Key) []probe.Setting

	Uptimes   func([]probe.ID) []probe.Uptime                        // of the last 24 hours; none if it cannot be read
	Past      func(probe.ID) (probe.Past, error)                     // what is remembered of a probe
	Incidents func(before time.Time) ([]probe.IncidentRecord, error) // the last ones before a time, or of all if it is zero
	Breaches  func() []probe.Breach
	// Acknowledge notes that somebody knows of a breach.
	Acknowledge func(k probe.Key, by, why string) error
	User        func(*http.Request) string // who was authenticated; empty if nobody was

	// Probe returns the details of one probe; false if there is none of that name.
	Probe func(system, name string) (Detail, bool)
	// Run runs a probe at once. It returns when the result is visible, or why the probe was not run.
	Run func(context.Context, probe.ID) error

	// Extra handlers by their pattern, a path as http.ServeMux takes it; none may be one of ours. After a form
	// posted from the page, the browser returns to the page.
	Extra map[string]http.Handler
	// Panicked is called with the pattern of a handler that panicked. The panic itself is never shown.
	Panicked func(pattern string)
}

// A Fault is a fault of a demonstration.
type Fault struct {
	Name    string
	Summary string // what it breaks
	Signal  string // what the probes should report
	Active  bool   // it is injected now
	Path    string // a POST to it toggles the fault
}

// New returns the handler of all routes. It panics if an Extra pattern is taken.
func New(o Options) http.Handler {
	s := newServer(o)
	large := newPages().serve
	mux := http.NewServeMux()
	mux.Handle("/{$}", allowMethods(large(s.index), http.MethodGet, http.MethodHead))
	mux.Handle("/-/reload", allowMethods(s.reload, http.MethodPost, http.MethodPut))
	mux.Handle("/api/v1/status", allowMethods(large(s.status), http.MethodGet, http.MethodHead))
	mux.Handle("/probes/{name}", allowMethods(large(s.probeByName), http.MethodGet, http.MethodHead))
	mux.Handle("/probes/{system}/{name}", allowMethods(large(s.detail), http.MethodGet, http.MethodHead))
	mux.Handle("/probes/{system}/{name}/run", allowMethods(s.run, http.MethodPost))
	mux.Handle("/probes/{system}/{name}/acknowledge", allowMethods(s.acknowledge, http.MethodPost))
	mux.Handle("/badge/{name}", allowMethods(s.badge, http.MethodGet, http.MethodHead))
	mux.Handle("/badge/{system}/{name}", allowMethods(s.badge, http.MethodGet, http.MethodHead))
	mux.Handle("/icon/{file}", allowMethods(s.serveIcon, http.MethodGet, http.MethodHead))
	if o.Metrics != nil {
		mux.Handle("/metrics", allowMethods(large(o.Metrics.ServeHTTP), http.MethodGet, http.MethodHead))
	}
	if o.ProbeMetrics != nil {
		mux.Handle("/probe", allowMethods(s.pull(large(s.pulled)), http.MethodGet, http.MethodHead))
	}
	if o.Config != nil {
		mux.Handle("/config", allowMethods(large(document("text/yaml; charset=utf-8", o.Config)), http.MethodGet, http.MethodHead))
	}
	if o.Incident != nil {
		mux.Handle("/incident", allowMethods(large(s.incident), http.MethodGet, http.MethodHead))
	}
	if o.Incidents != nil {
		mux.Handle("/incidents", allowMethods(large(s.incidents), http.MethodGet, http.MethodHead))
	}
	if o.Schema != nil {
		mux.Handle("/schema.json", allowMethods(large(document("application/schema+json", o.Schema)), http.MethodGet, http.MethodHead))
	}
	if o.Faults != nil {
		mux.Handle("/demo", allowMethods(large(s.faults), http.MethodGet, http.MethodHead))
	}
	mux.Handle("/theme", allowMethods(s.setTheme, http.MethodPost))
	if o.Changed != nil {
		mux.Handle("/events", allowMethods(s.events, http.MethodGet))
	}
	if o.Extra["/"] == nil {
		mux.HandleFunc("/", s.unknownPath)
	}
	for pattern, h := range o.Extra {
		mux.Handle(pattern, redirectAfterPost(h))
	}
	all := http.NewServeMux()
	all.Handle("/-/healthy", allowMethods(healthHandler(o.Healthy, "healthy"), http.MethodGet, http.MethodHead))
	all.Handle("/-/ready", allowMethods(healthHandler(o.Ready, "ready"), http.MethodGet, http.MethodHead))
	all.Handle("/", checkHost(mux, o.Hosts))
	return &site{recoverPanics(guard(all), o.Panicked), s.streams, s.waits}
}

// Health returns a handler of the prober's own health and nothing else, for a listener without the authentication of
// the main one, so that kubelets can use it.
func Health(healthy, ready func() error) http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/-/healthy", "/healthz", "/livez"} {
		mux.Handle(path, allowMethods(healthHandler(healthy, "healthy"), http.MethodGet, http.MethodHead))
	}
	for _, path := range []string{"/-/ready", "/readyz"} {
		mux.Handle(path, allowMethods(healthHandler(ready, "ready"), http.MethodGet, http.MethodHead))
	}
	return recoverPanics(guard(mux), nil)
}
