// Package web serves what the prober shows of itself: its page, its metrics, its own health and its configuration.
//
// The handlers show what they are handed and ask nothing of any target. Every answer can be shown to whoever can
// reach the port: no secret is handed to this package, and what it is handed is escaped.
package web

import (
	"context"
	"net/http"
	"time"

	"prober/internal/probe"
)

// Options are what the handlers show. A part that is nil is not there.
type Options struct {
	Title   string // of the page; "prober" if empty
	Version string // of the prober

	Metrics     http.Handler                // behind /metrics
	Healthy     func() error                // why the prober itself does not work; nil: it does
	Ready       func() error                // why it is not ready; it must not depend on a target
	Reload      func(context.Context) error // loads the configuration anew; its errors are shown
	ReloadError func() error                // why the last reload failed; nil: it did not
	Config      func() []byte               // the effective configuration as YAML, secrets masked
	Schema      func() []byte               // the JSON Schema of the configuration
	Incident    func(system string) string  // the incident note of a system; of all that have one if empty
	Status      func() []Row                // a row for each probe, in the order in which they are shown
	Unfit       func() []string             // the checks of its own surroundings that the prober did not pass: network, clock, storage
	Next        func(probe.ID) time.Time    // when the next run is due; zero if nobody knows
	Switches    func() []Switch             // what can be broken and mended on the page of a demonstration

	// Probe tells all of one probe; false if there is none of that name.
	Probe func(system, name string) (Detail, bool)
	// Run runs a probe at once and returns when its result is to be seen, or why it was not run.
	Run func(context.Context, probe.ID) error

	// Extra handlers by their pattern, a path as http.ServeMux takes it; none may be one of ours. A form that is posted
	// to one from the page leads back to the page.
	Extra map[string]http.Handler
	// Panicked is told the pattern of a handler that panicked. The panic itself is shown to nobody.
	Panicked func(pattern string)
}

// A Switch is a fault on the page of a demonstration.
type Switch struct {
	Name    string
	Summary string // what it breaks
	Signal  string // what should be seen then
	Broken  bool   // it is broken now
	Path    string // to which a POST turns it: to the state that it is not in
}

// New returns the handler of everything. It panics if an Extra pattern is taken.
func New(o Options) http.Handler {
	s := newSite(o)
	mux := http.NewServeMux()
	mux.Handle("/{$}", allow(s.page, http.MethodGet, http.MethodHead))
	mux.Handle("/-/healthy", allow(answer(o.Healthy, "healthy"), http.MethodGet, http.MethodHead))
	mux.Handle("/-/ready", allow(answer(o.Ready, "ready"), http.MethodGet, http.MethodHead))
	mux.Handle("/-/reload", allow(s.reload, http.MethodPost, http.MethodPut))
	mux.Handle("/api/v1/status", allow(s.status, http.MethodGet, http.MethodHead))
	mux.Handle("/probes/{name}", allow(s.probeByName, http.MethodGet, http.MethodHead))
	mux.Handle("/probes/{system}/{name}", allow(s.detail, http.MethodGet, http.MethodHead))
	mux.Handle("/probes/{system}/{name}/run", allow(s.run, http.MethodPost))
	mux.Handle("/badge/{name}", allow(s.badge, http.MethodGet, http.MethodHead))
	mux.Handle("/badge/{system}/{name}", allow(s.badge, http.MethodGet, http.MethodHead))
	mux.Handle("/icon/{file}", allow(s.serveIcon, http.MethodGet, http.MethodHead))
	if o.Metrics != nil {
		mux.Handle("/metrics", allow(o.Metrics.ServeHTTP, http.MethodGet, http.MethodHead))
	}
	if o.Config != nil {
		mux.Handle("/config", allow(document("text/yaml; charset=utf-8", o.Config), http.MethodGet, http.MethodHead))
	}
	if o.Incident != nil {
		mux.Handle("/incident", allow(s.incident, http.MethodGet, http.MethodHead))
	}
	if o.Schema != nil {
		mux.Handle("/schema.json", allow(document("application/schema+json", o.Schema), http.MethodGet, http.MethodHead))
	}
	for pattern, h := range o.Extra {
		mux.Handle(pattern, home(h))
	}
	return contain(guard(mux), o.Panicked)
}

// Health returns a handler of the prober's own health and nothing else, for a listener that kubelets can reach
// without the password that guards the rest.
func Health(healthy, ready func() error) http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/-/healthy", "/healthz", "/livez"} {
		mux.Handle(path, allow(answer(healthy, "healthy"), http.MethodGet, http.MethodHead))
	}
	for _, path := range []string{"/-/ready", "/readyz"} {
		mux.Handle(path, allow(answer(ready, "ready"), http.MethodGet, http.MethodHead))
	}
	return contain(guard(mux), nil)
}
