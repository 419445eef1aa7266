package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"prober/config"
	"prober/internal/inbound"
	"prober/internal/probe"
	"prober/internal/report"
	"prober/internal/sandbox"
	"prober/internal/testenv"
	"prober/probes"
	"prober/probes/clock"
	"prober/probes/isolation"
)

// slack multiplies the timeouts of the demo and the delays of its slow answers, so that a busy machine does not make a
// probe of the fault matrix time out.
const slack = 3

// The probes of tenants, of the guard and of row-level security ask hundreds of times in a row, which takes as long as the machine
// is busy. What the first is waiting for shows long before the wait is over, or never.
const (
	manyTimeout        = 2 * time.Minute
	tenantsWait        = 2 * time.Second
	tenantsVisibleWait = 200 * time.Millisecond
)

// manyRequests are the probes that make as many requests as all others together, with the prefixes of the faults of their
// services.
var manyRequests = map[string][]string{
	"tenants": {"tenant-", "secret-reflected"}, "analytics-guard": {"guard-", "analytics-"},
}

// spared reports whether the fault matrix leaves out such a probe. Of the faults of other services it sees every fifth.
func spared(i int, probe, fault string) bool {
	prefixes, many := manyRequests[probe]
	return many && i%5 != 0 && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(fault, p) })
}

// TestFaultMatrix injects each fault of the sample system and runs every probe of the demo. For each fault, the golden
// table has the probes that do not pass, with verdict and reasons, and those that pass with an oddity that only a series
// shows; every other probe passes. A fault that changes
// nothing, or changes an unrelated probe, shows as a difference; a harmless one must change nothing.
func TestFaultMatrix(t *testing.T) {
	testenv.Slow(t, "it probes the sample system under every fault")
	testenv.WithoutRace(t)
	t.Parallel()
	options := sandbox.Options{
		Delay: slack * 2500 * time.Millisecond, DependencyTimeout: slack * time.Second,
		VisibilityDelay: tenantsVisibleWait,
	}
	sample := startSandbox(t, options)
	faults := sample.Faults()
	rows, exits := make([]string, len(faults)), make([]int, len(faults))
	if rest, status := matrixCells(t, sample, nil); rest != "" || status != exitPass {
		t.Fatalf("without faults, not all pass:\n%s", rest)
	}
	const workers = 6 // each with a sample system of its own; most of the time is spent waiting
	var wg sync.WaitGroup
	next := make(chan int, len(faults))
	for i := range faults {
		next <- i
	}
	close(next)
	for range workers {
		wg.Go(func() {
			sample := startSandbox(t, options)
			for i := range next {
				if err := sample.Inject(faults[i].Name); err != nil {
					t.Error(err)
					continue
				}
				// What leaks by chance, as when a caller hangs up in time, may need another run on a busy machine.
				for range 3 {
					rows[i], exits[i] = matrixCells(t, sample, func(j probe.Job) bool { return spared(i, j.Name, faults[i].Name) })
					if rows[i] != "" || faults[i].Harmless() {
						break
					}
				}
				if err := sample.Clear(faults[i].Name); err != nil {
					t.Error(err)
				}
			}
			if rest, _ := matrixCells(t, sample, nil); rest != "" {
				t.Errorf("after clearing the faults, not all pass:\n%s", rest)
			}
		})
	}
	wg.Wait()
	var table bytes.Buffer
	fmt.Fprintln(&table, "# Each fault of the sample system, and the probes of the demo that then do not pass: verdict, check(reason) ...")
	for i, f := range faults {
		switch {
		case f.Harmless() && rows[i] != "":
			t.Errorf("the fault %s is harmless, but changes\n%s", f.Name, rows[i])
		case !f.Harmless() && rows[i] == "":
			t.Errorf("the fault %s changes no probe", f.Name)
		}
		status := exitInconclusive
		switch {
		case strings.Contains(rows[i], " fail "):
			status = exitFail
		case f.Harmless(), !strings.Contains(rows[i], " inconclusive "):
			status = exitPass
		}
		if got := exits[i]; got != status {
			t.Errorf("%s: expected the exit status %d, got %d", f.Name, status, got)
		}
		fmt.Fprintf(&table, "\n%s: %s\n%s", f.Name, f.Summary, rows[i])
	}
	testenv.Golden(t, "testdata/matrix.golden", table.String())
}

func startSandbox(t testing.TB, options sandbox.Options) *sandbox.Sandbox {
	options.Ephemeral = true
	sample, err := sandbox.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sample.Close)
	return sample
}

// matrixCells runs the probes of the demo but those left out, without state, and returns a line for each that does not
// pass, and the exit status of --once.
func matrixCells(t *testing.T, sample *sandbox.Sandbox, leftOut func(probe.Job) bool) (string, int) {
	var rows []string
	jobs := demoJobs(t, sample)
	if leftOut != nil {
		jobs = slices.DeleteFunc(jobs, leftOut)
	}
	for i := range jobs {
		jobs[i].Timeout *= slack
		if _, many := manyRequests[jobs[i].Name]; many || jobs[i].Type == "rls" {
			jobs[i].Timeout = manyTimeout
		}
		if tenants, is := jobs[i].Probe.(*isolation.Probe); is {
			tenants.VisibilityDelay = probe.Duration(tenantsWait)
		}
		if clocks, is := jobs[i].Probe.(*clock.Probe); is { // a slow answer says less of the time
			clocks.Within *= slack
		}
	}
	// Without the scheduler, which knows how late the prober is: on a busy machine, what is slow would be inconclusive.
	results := make([]probe.Result, len(jobs))
	var wg sync.WaitGroup
	for i, j := range jobs {
		wg.Go(func() { results[i] = j.Do(t.Context()) })
	}
	wg.Wait()
	for _, r := range results {
		if err := errors.Join(probes.Kinds()[r.Type].Undeclared(r), r.Repeats()); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
		if r.Verdict() == probe.Pass {
			if slices.ContainsFunc(r.Samples, func(s probe.Sample) bool { return s.Name == "probe_webhook_unverified_ratio" && s.Value > 0.2 }) {
				rows = append(rows, fmt.Sprintf("  %-16s %-13s probe_webhook_unverified_ratio>0.2\n", r.Name, r.Verdict()))
			}
			if slices.ContainsFunc(r.Exchanges, traceLost) {
				rows = append(rows, fmt.Sprintf("  %-16s %-13s probe_trace_propagated=0\n", r.Name, r.Verdict()))
			}
			continue
		}
		checkEvidence(t, r)
		rows = append(rows, fmt.Sprintf("  %-16s %-13s %s\n", r.Name, r.Verdict(), strings.Join(failedReasons(r), " ")))
	}
	slices.Sort(rows)
	return strings.Join(rows, ""), exitStatus(report.Report{Jobs: jobs, Results: results})
}

// traceLost reports whether an answer states another trace id than the one that was sent.
func traceLost(x probe.Exchange) bool {
	same, known := x.TracePropagated()
	return known && !same
}

// statusSaid matches a status in a message, and a counter that went from one number to another.
var statusSaid = regexp.MustCompile(`\b(?:got|answer) ([1-5]\d\d)\b( after \d)?`)

// checkEvidence compares the detail of a check with the exchange that is linked to it.
func checkEvidence(t *testing.T, r probe.Result) {
	for _, c := range r.Checks {
		said := slices.DeleteFunc(statusSaid.FindAllStringSubmatch(c.Detail, -1), func(s []string) bool { return s[2] != "" })
		if c.Verdict == probe.Pass || len(said) == 0 {
			continue
		}
		i := r.Evidence(c)
		if i < 0 || r.Exchanges[i].Reason == probe.OK && !slices.ContainsFunc(said, func(s []string) bool { return s[1] == strconv.Itoa(r.Exchanges[i].Status) }) {
			t.Errorf("%s: the exchange that is shown beside it is not the one of %s %s: %s", r.Name, c.Name, c.Target, c.Detail)
		}
	}
}

// failedReasons lists the checks that did not pass as check(reason), each once.
func failedReasons(r probe.Result) []string {
	var all []string
	for _, c := range r.Checks {
		if cell := fmt.Sprintf("%s(%s)", c.Name, c.Reason); c.Verdict != probe.Pass && !slices.Contains(all, cell) {
			all = append(all, cell)
		}
	}
	return all
}

// demoJobs returns the jobs of the demo, with a listener to which the sample system's job has reported once.
func demoJobs(t testing.TB, sample *sandbox.Sandbox) []probe.Job {
	receivers := inbound.New(inbound.Options{}, nil)
	server := httptest.NewServer(receivers)
	t.Cleanup(server.Close)
	jobs := receivers.SetJobs(jobsOf(t, demoFiles(sample)...))
	sample.ForwardTo(server.Listener.Addr().String())
	sample.ReportTo(server.URL + "/" + sample.Env()["PROBER_DEMO_JOB_TOKEN"])
	return jobs
}

func jobsOf(t testing.TB, files ...config.File) []probe.Job {
	cfg, err := config.Parse(probes.Kinds(), files...)
	if err != nil {
		t.Error(err) // not Fatal: also called by other goroutines than the test's
		return nil
	}
	return cfg.Jobs
}
