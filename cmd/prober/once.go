package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/version"

	"prober/internal/incident"
	"prober/internal/probe"
	"prober/internal/report"
)

// onceOptions are what the command line says of --once.
type onceOptions struct {
	once    bool
	format  string
	outputs []string
	wait    time.Duration
	hold    time.Duration
	repeat  int
	color   string
	note    bool
}

// How long the targets are left alone between two rounds: of --wait and --hold, longer where a target limits the rate
// of requests, and of --repeat.
const (
	pause       = time.Second
	longestRest = 30 * time.Second
	breath      = 50 * time.Millisecond
)

// askOnce asks every selected probe and returns the exit status. It opens no port.
func (o *options) askOnce(ctx context.Context, from source) int {
	outputs, err := o.once.destinations()
	if err != nil {
		fmt.Fprintln(o.stderr, "prober:", err)
		return exitUsage
	}
	cfg, err := usable(from())
	if err != nil {
		fmt.Fprintln(o.stderr, err)
		return exitUsage
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(o.stderr, "warning:", w)
	}
	ref, err := newReference(o.reference, func(string, bool) {})
	if err != nil {
		fmt.Fprintln(o.stderr, "prober:", err)
		return exitUsage
	}
	notes := incident.New()
	if o.serve.storage != "" { // of a prober that serves, which alone writes it
		if err := notes.Load(o.serve.storage); err != nil {
			fmt.Fprintln(o.stderr, "warning:", err)
		}
	}
	meant, missing := o.filter.apply(cfg.Jobs)
	if missing != nil && len(meant) > 0 {
		fmt.Fprintln(o.stderr, "prober:", missing)
		return exitUsage
	}
	jobs := ref.equip(meant)
	// Who asks for one procedure wants to read what was checked, as the procedure does; who asks for all, what is wrong.
	rep := report.Report{Jobs: jobs, Started: time.Now(), Version: version.Version, Proof: o.filter.some()}
	if o.once.repeat > 1 {
		rep.Repeat = o.once.repeat
	}
	if len(jobs) == 0 {
		rep.Reason = missing.Error()
	} else {
		notes.SetJobs(jobs)
		r := rounds{onceOptions: o.once, progress: o.progress(), asker: newAsker(o.serve.concurrency), notes: notes}
		r.run(ctx, jobs, &rep)
	}
	rep.Ended = time.Now()
	if o.once.note {
		outputs[0].note = notes.Notes("")
	}
	if err := outputs.write(rep, o.stdout, o.once.colour(o.stdout)); err != nil {
		fmt.Fprintln(o.stderr, "prober:", err)
		return max(exitStatus(rep), exitFail) // asked it was; a pass that nobody can read is none
	}
	return exitStatus(rep)
}

// exitStatus is what a report means to whoever only looks at the exit status.
func exitStatus(rep report.Report) int {
	switch rep.Verdict() {
	case probe.Pass:
		return exitPass
	case probe.Fail:
		return exitFail
	}
	return exitInconclusive
}

// rounds asks all probes as often as --wait, --hold and --repeat demand.
type rounds struct {
	onceOptions
	progress func(format string, args ...any)
	asker    *asker
	notes    probe.Sink // is told every result of every round
}

// run asks until the demands are met or cannot be any more, and leaves the last round's results in rep.
func (o rounds) run(ctx context.Context, jobs []probe.Job, rep *report.Report) {
	defer o.progress("")
	var since time.Time // since when all pass; zero while they do not
	rest := pause
	for {
		started := time.Now() // of this round; what held, held from the end of the first green one until now
		stop := o.watch(len(jobs))
		rep.Results = o.asker.ask(ctx, jobs)
		stop()
		for _, r := range rep.Results {
			o.notes.Observe(r)
		}
		rep.Rounds++
		green := len(rep.Results) == len(jobs) && !slices.ContainsFunc(rep.Results, notPassed)
		rep.Held = 0
		if green {
			rep.Clean++
			if since.IsZero() {
				since = time.Now()
			}
			if o.hold > 0 {
				rep.Held = max(0, started.Sub(since))
			}
		}
		switch {
		case ctx.Err() != nil:
			rep.Reason = "interrupted"
			return
		case green && rep.Held >= o.hold && rep.Clean >= o.repeat:
			return
		case !green && time.Since(rep.Started)+rest > o.wait:
			return
		case !green:
			since, rep.Clean = time.Time{}, 0
		}
		o.say(rep, green)
		between := rest
		if o.repeat > 1 && green && rep.Held >= o.hold {
			between = breath
		}
		if slices.ContainsFunc(rep.Results, rateLimited) {
			rest = min(2*rest, longestRest)
		}
		if sleep(ctx, between) {
			continue
		}
		rep.Reason = "interrupted"
		return
	}
}

func rateLimited(r probe.Result) bool {
	return slices.ContainsFunc(r.Checks, func(c probe.Check) bool { return c.Reason == probe.RateLimited })
}

func notPassed(r probe.Result) bool { return r.Verdict() != probe.Pass }

// watch tells, every second of a round that takes long, how many have answered; until it is stopped.
func (o rounds) watch(all int) (stop func()) {
	tick, done := time.NewTicker(time.Second), make(chan struct{})
	var told sync.WaitGroup
	told.Go(func() {
		for {
			select {
			case <-tick.C:
				o.progress("%d of %d have answered", o.asker.answered(), all)
			case <-done:
				return
			}
		}
	})
	return func() {
		tick.Stop()
		close(done)
		told.Wait()
	}
}

// say tells a person at a terminal how it goes.
func (o rounds) say(rep *report.Report, green bool) {
	if green {
		o.progress("all %d pass; round %d, %s", len(rep.Results), rep.Rounds, time.Since(rep.Started).Round(time.Second))
		return
	}
	var names []string
	for _, r := range rep.Results {
		if notPassed(r) {
			names = append(names, r.Name)
		}
	}
	left := (o.wait - time.Since(rep.Started)).Round(time.Second)
	o.progress("%d of %d do not pass yet (%s), %s left", len(names), len(rep.Results), strings.Join(names, ", "), left)
}

// sleep waits; it returns false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// progress returns what writes one line over itself on a terminal, and nothing elsewhere.
func (o *options) progress() func(format string, args ...any) {
	if !isTerminal(o.stderr) {
		return func(string, ...any) {}
	}
	return func(format string, args ...any) {
		fmt.Fprintf(o.stderr, "\r\x1b[K"+format, args...)
	}
}
