package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"prober/config"
	"prober/internal/dial"
	"prober/internal/drop"
	"prober/internal/memory"
	"prober/internal/probe"
	"prober/internal/public"
	"prober/internal/text"
)

// A configSource returns the current content of the configuration's files; the demo's file is embedded.
type configSource func() []config.File

// loadGCPercent is GOGC during a load, which leaves several times as much garbage as it keeps.
const loadGCPercent = 50

// collectOften has garbage collected more often until done is called, unless GOGC or GOMEMLIMIT say so anyway.
func collectOften() (done func()) {
	before := debug.SetGCPercent(loadGCPercent)
	if before < loadGCPercent {
		debug.SetGCPercent(before)
	}
	return func() { debug.SetGCPercent(before) }
}

// parse is config.Parse, in little memory.
func parse(kinds probe.Kinds, files []config.File) (*config.Config, error) {
	defer collectOften()()
	return config.Parse(kinds, files...)
}

// warnings are about what is allowed but probably not meant, and about secrets and files that cannot be used.
func warnings(cfg *config.Config, jobs []probe.Job) []string {
	all := slices.Concat(cfg.Warnings, cfg.CheckSources(jobs))
	for _, err := range public.CheckFiles(cfg.Public) {
		all = append(all, err.Error())
	}
	return all
}

// A filter selects some of the configured probes; the zero value selects all.
type filter struct{ runbooks, probes []string }

// isSet reports whether the filter selects by anything.
func (f filter) isSet() bool { return len(f.runbooks)+len(f.probes) > 0 }

// An unknownName is the error of a filter that names what does not exist.
type unknownName string

func (e unknownName) Error() string { return string(e) }

// apply returns the selected jobs. It is an unknownName if there is no such runbook or probe: a misspelt name must not
// silently select fewer probes.
func (f filter) apply(jobs []probe.Job) ([]probe.Job, error) {
	if !f.isSet() {
		return jobs, nil
	}
	named := func(j probe.Job) []string { return []string{j.Name, j.Key().String()} }
	var runbooks, names []string
	for _, j := range jobs {
		runbooks, names = append(runbooks, j.Runbook), append(names, named(j)...)
	}
	var missing []string
	for _, r := range f.runbooks {
		if !slices.Contains(runbooks, r) {
			missing = append(missing, "no runbook is called "+r+text.DidYouMean(r, runbooks))
		}
	}
	for _, p := range f.probes {
		if !slices.Contains(names, p) {
			missing = append(missing, "no probe is called "+p+text.DidYouMean(p, names))
		}
	}
	selected := drop.If(slices.Clone(jobs), func(j probe.Job) bool {
		wanted := slices.ContainsFunc(named(j), func(name string) bool { return slices.Contains(f.probes, name) })
		return len(f.runbooks) > 0 && !slices.Contains(f.runbooks, j.Runbook) || len(f.probes) > 0 && !wanted
	})
	switch {
	case missing != nil:
		return nil, unknownName(strings.Join(missing, ", and "))
	case len(selected) == 0:
		return nil, fmt.Errorf("no configured probe matches %s", f)
	}
	return selected, nil
}

// String describes the selection.
func (f filter) String() string {
	var parts []string
	if len(f.runbooks) > 0 {
		parts = append(parts, "runbook "+strings.Join(f.runbooks, " or "))
	}
	if len(f.probes) > 0 {
		parts = append(parts, "probe "+strings.Join(f.probes, " or "))
	}
	return strings.Join(parts, " and ")
}

// A reference is an address that is independent of every target. While it can be reached, the prober's own network
// works.
type reference struct {
	address string
	report  func(check string, ok bool)
	dialer  dial.Dialer

	mu     sync.Mutex
	asking chan struct{} // closed at the end of the check in progress; nil if there is none
	when   time.Time
	last   error
}

// referenceCacheTTL is how long one check of the reference serves all runs, so that many failing probes do not flood it, and
// referenceTimeout how long it may take.
const (
	referenceCacheTTL = time.Second
	referenceTimeout  = 2 * time.Second
)

// newReference returns nil without an address: then failures are not attributed to the prober's own network.
func newReference(address string, report func(string, bool)) (*reference, error) {
	if address == "" {
		return nil, nil
	}
	if err := dial.CheckHostPort(address); err != nil {
		return nil, fmt.Errorf("--network.reference: %w", err)
	}
	return &reference{address: address, report: report}, nil
}

// Check connects to the reference and closes the connection. All runs share one check, which has its own time: a run that is
// short or cancelled only waits less long for it.
func (r *reference) Check(ctx context.Context) error {
	r.mu.Lock()
	if !r.when.IsZero() && time.Since(r.when) < referenceCacheTTL {
		defer r.mu.Unlock()
		return r.last
	}
	if r.asking == nil {
		r.asking = make(chan struct{})
		go r.ask(r.asking)
	}
	asking := r.asking
	r.mu.Unlock()
	select {
	case <-asking:
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.last
	case <-ctx.Done():
		return fmt.Errorf("the reference %s has not answered yet either", r.address)
	}
}

func (r *reference) ask(done chan struct{}) {
	defer close(done)
	ctx, cancel := context.WithTimeout(context.Background(), referenceTimeout)
	defer cancel()
	conn, err := r.dialer.DialContext(ctx, "tcp", r.address)
	r.report("network", err == nil)
	switch {
	case err == nil:
		conn.Close()
	case errors.As(err, new(*dial.DeniedError)):
		err = nil // it was not asked, and is no excuse for a target
	default:
		err = fmt.Errorf("the reference %s cannot be reached either", r.address)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.when, r.last, r.asking = time.Now(), err, nil
}

// withMemory makes the jobs share a budget for what answers take in memory.
func withMemory(b *memory.Budget, jobs []probe.Job) []probe.Job {
	for i := range jobs {
		jobs[i].Memory = b
	}
	return jobs
}

// newBudget returns the budget for answers: a tenth of the memory that the runtime may use (GOMEMLIMIT) for one run, and
// half as much for all others. What the prober needs for itself takes most of the rest.
func newBudget() *memory.Budget {
	const unlimited = 1 << 30
	limit := debug.SetMemoryLimit(-1)
	return memory.NewBudget(min(limit, unlimited) / 10).Within(limit)
}

// withIncidents tells the jobs when the last incident of their system was.
func withIncidents(of func(system string) probe.Incident, jobs []probe.Job) []probe.Job {
	bySystem := map[string]func() probe.Incident{}
	for i := range jobs {
		system := jobs[i].System
		if bySystem[system] == nil {
			bySystem[system] = func() probe.Incident { return of(system) }
		}
		jobs[i].Incident = bySystem[system]
	}
	return jobs
}

// withReference sets the reference of the jobs, if there is one.
func (r *reference) withReference(jobs []probe.Job) []probe.Job {
	if r == nil {
		return jobs
	}
	for i := range jobs {
		jobs[i].Reference = r.Check
	}
	return jobs
}

// watchClock reports whether the wall clock agrees with the monotonic one, so that times can be compared.
func watchClock(ctx context.Context, report func(check string, ok bool)) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	report("clock", true)
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			now := time.Now()
			report("clock", clockSteady(now.Round(0).Sub(last.Round(0)), now.Sub(last)))
			last = now
		}
	}
}

// clockSteady reports whether as much time passed on the wall clock as on the monotonic one, which cannot be set.
func clockSteady(wall, monotonic time.Duration) bool {
	return (wall - monotonic).Abs() <= 500*time.Millisecond
}
