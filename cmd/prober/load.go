package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"prober/config"
	"prober/internal/probe"
	"prober/probes"
)

// A source yields the configuration's files as they are now; the demo's come from the binary.
type source func() []config.File

// usable reads the files as configuration and tries its secrets; what cannot be used refuses the whole.
func usable(files []config.File) (*config.Config, error) {
	cfg, err := config.Parse(probes.Kinds(), files...)
	if err != nil {
		return nil, err
	}
	warnings, err := cfg.CheckSecrets()
	cfg.Warnings = append(cfg.Warnings, warnings...)
	return cfg, err
}

// A filter says which of the configured probes are meant; the zero value means all.
type filter struct{ runbooks, probes []string }

// some reports whether not all probes are meant.
func (f filter) some() bool { return len(f.runbooks)+len(f.probes) > 0 }

// apply returns the jobs that are meant. The error names what is asked for and not there: a misspelt name must not
// make a smaller question of it.
func (f filter) apply(jobs []probe.Job) ([]probe.Job, error) {
	named := func(j probe.Job) []string { return []string{j.Name, j.System + "/" + j.Name} }
	var missing []string
	for _, r := range f.runbooks {
		if !slices.ContainsFunc(jobs, func(j probe.Job) bool { return j.Runbook == r }) {
			missing = append(missing, "runbook "+r)
		}
	}
	for _, p := range f.probes {
		if !slices.ContainsFunc(jobs, func(j probe.Job) bool { return slices.Contains(named(j), p) }) {
			missing = append(missing, "probe "+p)
		}
	}
	meant := slices.DeleteFunc(slices.Clone(jobs), func(j probe.Job) bool {
		wanted := slices.ContainsFunc(named(j), func(name string) bool { return slices.Contains(f.probes, name) })
		return len(f.runbooks) > 0 && !slices.Contains(f.runbooks, j.Runbook) || len(f.probes) > 0 && !wanted
	})
	switch {
	case missing != nil:
		return meant, fmt.Errorf("none of the %d configured probes is of %s", len(jobs), strings.Join(missing, " or "))
	case len(meant) == 0:
		return nil, fmt.Errorf("none of the %d configured probes matches %s", len(jobs), f)
	}
	return meant, nil
}

// String says what the filter asks for.
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

// A reference is something independent of every target. While it can be reached, the prober's own network works.
type reference struct {
	address string
	report  func(check string, ok bool)

	mu   sync.Mutex
	when time.Time
	last error
}

// fresh is how long one answer serves all runs, so that many failing probes do not make a crowd at the reference.
const fresh = time.Second

// newReference returns nil without an address: then nobody can tell.
func newReference(address string, report func(string, bool)) (*reference, error) {
	if address == "" {
		return nil, nil
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, errors.New("reference: wanted HOST:PORT")
	}
	return &reference{address: address, report: report}, nil
}

// Check connects to the reference and hangs up.
func (r *reference) Check(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.when.IsZero() && time.Since(r.when) < fresh {
		return r.last
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.address)
	if err == nil {
		conn.Close()
	} else {
		err = fmt.Errorf("the reference %s cannot be reached either", r.address)
	}
	r.when, r.last = time.Now(), err
	r.report("network", err == nil)
	return err
}

// equip gives the jobs the reference, if there is one.
func (r *reference) equip(jobs []probe.Job) []probe.Job {
	if r == nil {
		return jobs
	}
	for i := range jobs {
		jobs[i].Reference = r.Check
	}
	return jobs
}

// watchClock reports whether the wall clock keeps step with the monotonic one, and so whether times can be compared.
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
			report("clock", steady(now.Round(0).Sub(last.Round(0)), now.Sub(last)))
			last = now
		}
	}
}

// steady reports whether as much time went by on the wall clock as on the monotonic one, which nobody can set.
func steady(wall, monotonic time.Duration) bool {
	return (wall - monotonic).Abs() <= 500*time.Millisecond
}
