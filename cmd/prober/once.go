package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/version"

	"prober/internal/incident"
	"prober/internal/probe"
	"prober/internal/report"
	"prober/internal/text"
	"prober/probes"
)

// onceOptions are the flags of --once.
type onceOptions struct {
	once         bool
	verbose      bool
	format       string
	outputs      []string
	wait         time.Duration
	hold         time.Duration
	repeat       int
	color        string
	incidentNote bool
	since        string

	expectVersion string
}

// Pauses between two rounds: with --wait and --hold, longer while a target limits the request rate; and with --repeat.
const (
	retryPause    = time.Second
	maxRetryPause = 30 * time.Second
	repeatPause   = 50 * time.Millisecond
)

// runOnce runs every selected probe and returns the exit status. It opens no port.
func (o *options) runOnce(ctx context.Context, from configSource) int {
	outputs, err := o.once.openOutputs()
	if err != nil {
		fmt.Fprintln(o.stderr, "prober:", err)
		return exitUsage
	}
	cfg, err := parse(o.kinds(), from())
	if err != nil {
		fmt.Fprintln(o.stderr, err)
		return exitUsage
	}
	ref, err := newReference(o.reference, func(string, bool) {})
	if err != nil {
		fmt.Fprintln(o.stderr, "prober:", err)
		return exitUsage
	}
	notes := incident.New()
	if o.serve.storage != "" { // written only by the prober that serves
		if err := o.loadIncidents(notes.Load); err != nil {
			fmt.Fprintln(o.stderr, "warning:", err)
		}
	}
	lists := newTargetLists()
	if o.serve.storage != "" {
		if err := o.loadTargets(lists); err != nil {
			fmt.Fprintln(o.stderr, "warning:", err)
		}
	}
	cfg = cfg.Expand(lists.of(cfg))
	meant, missing := o.filter.applyTo(cfg)
	if errors.As(missing, new(unknownName)) {
		fmt.Fprintln(o.stderr, "prober:", missing)
		return exitUsage
	}
	if meant = o.shard.Select(meant); len(meant) == 0 && missing == nil {
		missing = fmt.Errorf("none of the selected probes is of shard %s", o.shard)
	}
	o.warn(warnings(cfg, meant))
	self := newEngine(probes.Kinds(), func(string, bool) {})
	budget, repeats := newBudget(), o.once.repeat > 1 || o.once.wait > 0 || o.once.hold > 0
	var prepared []probe.Job
	prepare := func(jobs []probe.Job) []probe.Job {
		jobs = self.withEngine(withMemory(budget, withIncidents(o.once.incidents(notes, cfg.Jobs), ref.withReference(jobs))))
		if o.withInbox != nil {
			jobs = o.withInbox(jobs)
		}
		expectVersion(jobs, o.once.expectVersion)
		added := newIn(jobs, prepared)
		if repeats {
			repeatProbes(added)
		}
		prepared = append(prepared, added...)
		notes.SetJobs(jobs)
		return jobs
	}
	jobs := prepare(meant)
	// With a filter, the report lists the checks that passed too, as the steps of a procedure.
	rep := report.Report{Jobs: jobs, Started: time.Now(), Version: version.Version, ShowPassed: o.once.verbose || o.filter.isSet(), Awaited: o.once.wait > 0 || o.once.hold > 0}
	if o.once.repeat > 1 {
		rep.Repeat = o.once.repeat
	}
	if len(jobs) == 0 {
		rep.Reason = missing.Error()
	} else {
		testing, tested := context.WithCancel(ctx)
		defer tested()
		go self.run(testing)
		r := rounds{onceOptions: o.once, progress: o.progress(), runner: newOnceRunner(o.serve.concurrency), notes: notes}
		if len(cfg.Prototypes()) > 0 {
			r.discover = func(ctx context.Context) ([]probe.Job, string) {
				cfg = discover(ctx, cfg, r.runner, lists, jobs)
				jobs, _ = o.filter.applyTo(cfg)
				jobs = prepare(o.shard.Select(jobs))
				absent := o.filter.absent(jobs)
				if len(absent) > 0 {
					return jobs, "no target makes the probe " + strings.Join(absent, " or ")
				}
				return jobs, ""
			}
		}
		r.run(ctx, jobs, &rep)
		o.once.requireVersion(&rep)
		closeProbes(prepared) // before anything is written: a closed pipe ends the process
	}
	rep.Ended = time.Now()
	if o.once.incidentNote {
		outputs[0].incidentNote = notes.Notes("")
	}
	if err := outputs.write(rep, o.stdout, o.once.useColor(o.stdout)); err != nil {
		fmt.Fprintln(o.stderr, "prober:", err)
		return max(exitStatus(rep), exitFail) // a pass that could not be reported is not a pass
	}
	return exitStatus(rep)
}

// warn prints warnings.
func (o *options) warn(warnings []string) {
	for _, w := range warnings {
		fmt.Fprintln(o.stderr, "warning:", w)
	}
}

// untilHangup returns a context that also ends with SIGHUP, as when the terminal is closed: what the probes left at their
// targets is deleted first.
func (o *options) untilHangup(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if o.nohup {
		return ctx, cancel
	}
	hangups := o.hangups
	go func() {
		select {
		case <-hangups:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// exitStatus returns the exit status of a report.
func exitStatus(rep report.Report) int {
	switch rep.Verdict() {
	case probe.Pass:
		return exitPass
	case probe.Fail:
		return exitFail
	}
	return exitInconclusive
}

// rounds runs all probes as often as --wait, --hold and --repeat demand.
type rounds struct {
	onceOptions
	progress func(format string, args ...any)
	runner   *onceRunner
	notes    probe.Sink // gets every result of every round

	// discover runs the probes that list targets, and returns the jobs of a round, and which are not there; nil if none lists any.
	discover func(context.Context) (jobs []probe.Job, absent string)
}

// run runs rounds until the demands are met or can no longer be met, and leaves the last round's results in rep.
func (o rounds) run(ctx context.Context, jobs []probe.Job, rep *report.Report) {
	defer o.progress("")
	var since time.Time // the start of the time that all have passed; zero while not all pass
	pause := retryPause
	for {
		started := time.Now() // all held from the end of the first green round until the start of this one
		if o.discover != nil {
			jobs, rep.Reason = o.discover(ctx)
			rep.Jobs = jobs
		}
		stop := o.showProgress(jobs)
		before := rep.Results
		rep.Results = o.runner.run(ctx, jobs)
		stop()
		if ctx.Err() != nil {
			keepFailures(rep.Results, before)
		}
		for _, r := range rep.Results {
			o.notes.Observe(r)
		}
		rep.Rounds++
		green := rep.Reason == "" && len(rep.Results) == len(jobs) && !slices.ContainsFunc(rep.Results, notPassed)
		asked, by := askedToWait(rep.Results)
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
		case !green && time.Since(rep.Started)+pause > o.wait:
			return
		case !green && time.Since(rep.Started)+asked > o.wait:
			rep.Reason = fmt.Sprintf("%s asks to be left alone for %s, and --wait ends in %s", by, orLonger(asked), o.left(rep))
			return
		case !green:
			since, rep.Clean = time.Time{}, 0
		}
		o.showRound(rep, green)
		between := pause
		if !green {
			between = max(pause, asked)
		}
		if o.repeat > 1 && green && rep.Held >= o.hold {
			between = repeatPause
		}
		if slices.ContainsFunc(rep.Results, rateLimited) {
			pause = min(2*pause, maxRetryPause)
		}
		if sleep(ctx, between) {
			continue
		}
		rep.Reason = "interrupted"
		return
	}
}

// keepFailures puts the failures of the round before in the place of results that only say that the round was interrupted.
func keepFailures(results, before []probe.Result) {
	for i, r := range results {
		at := slices.IndexFunc(before, func(b probe.Result) bool { return b.ID == r.ID && b.Verdict() == probe.Fail })
		if at >= 0 && r.Verdict() != probe.Fail && slices.ContainsFunc(r.Checks, func(c probe.Check) bool { return c.Reason == probe.Cancelled }) {
			results[i] = before[at]
		}
	}
}

func rateLimited(r probe.Result) bool {
	return slices.ContainsFunc(r.Checks, func(c probe.Check) bool { return c.Reason == probe.RateLimited })
}

func notPassed(r probe.Result) bool { return r.Verdict() != probe.Pass }

// showProgress shows every second how many probes have finished and which have not, until it is stopped.
func (o rounds) showProgress(jobs []probe.Job) (stop func()) {
	tick, done := time.NewTicker(time.Second), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-tick.C:
				left := o.runner.unfinished(jobs)
				o.progress("%d of %d have finished; left: %s", len(jobs)-len(left), len(jobs), text.List(left, 3))
			case <-done:
				return
			}
		}
	})
	return func() {
		tick.Stop()
		close(done)
		running.Wait()
	}
}

// showRound shows the state after a round.
func (o rounds) showRound(rep *report.Report, green bool) {
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
	again := ""
	if asked, by := askedToWait(rep.Results); asked > retryPause {
		again = fmt.Sprintf("; again in %s, as %s asks", asked, by)
	}
	o.progress("%d of %d do not pass yet (%s), %s left%s", len(names), len(rep.Results), strings.Join(names, ", "), o.left(rep), again)
}

// sleep waits for d. It returns false if ctx ended first.
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

// progress returns a function that overwrites one line on a terminal, and does nothing elsewhere.
func (o *options) progress() func(format string, args ...any) {
	if !isTerminal(o.stderr) {
		return func(string, ...any) {}
	}
	return func(format string, args ...any) {
		line := []rune(fmt.Sprintf(format, args...))
		if width := terminalWidth(o.stderr); 0 < width && width <= len(line) {
			line = line[:width-1] // what wraps would stay
		}
		fmt.Fprint(o.stderr, "\r\x1b[K"+string(line))
	}
}
