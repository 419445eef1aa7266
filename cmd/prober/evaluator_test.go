package main

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"prober/internal/alerts"
	"prober/internal/probe"
	"prober/internal/sandbox"
	"prober/internal/testenv"
	"prober/probes"
)

// consequences are alerts that Alertmanager inhibits, or that are about the system as a whole, by fault.
var consequences = map[string][]string{"auth-unhealthy": {"ProbeFailing auth", "ProbeWaitsForDependency proxy"}}

// TestEvaluator_agreesWithTheRules has a prober without Prometheus decide which alerts each fault makes: those that the rules send,
// with the same labels. What is sent beside them is inhibited by the generated routes.
func TestEvaluator_agreesWithTheRules(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	for _, s := range scenarios {
		if s.fault == inconclusiveFault { // it takes ten minutes
			continue
		}
		t.Run(s.fault, func(t *testing.T) {
			t.Parallel()
			sample := startSandbox(t, sandbox.Options{Delay: 3500 * time.Millisecond})
			if err := sample.Inject(s.fault); err != nil {
				t.Fatal(err)
			}
			jobs := slices.DeleteFunc(demoJobs(t, sample), func(j probe.Job) bool { return !slices.Contains(s.allProbes(), j.Name) })
			for i := range jobs {
				// No fault of these hangs, and a busy machine gets there, in a time that makes no result old.
				jobs[i].Timeout, jobs[i].Interval = 10*jobs[i].Timeout, 10*jobs[i].Interval
			}
			e := alerts.NewEvaluator(alerts.Options{Kinds: probes.Kinds()}, nil)
			e.SetJobs(jobs)
			var runs sync.WaitGroup
			for _, j := range jobs {
				runs.Go(func() { e.Observe(j.Do(t.Context())) })
			}
			runs.Wait()
			if extra := unexpected(t, e.Alerts(time.Now()), s.want); !slices.Equal(extra, consequences[s.fault]) {
				t.Errorf("beside those of the rules it sends %q, expected %q", extra, consequences[s.fault])
			}
		})
	}
}

// unexpected requires alerts with exactly these labels, and returns what others there are.
func unexpected(t *testing.T, got []probe.Alert, want []map[string]string) (extra []string) {
	for _, labels := range want {
		labels = maps.Clone(labels)
		labels["system"] = "demo"
		i := slices.IndexFunc(got, func(a probe.Alert) bool { return maps.Equal(a.Labels, labels) })
		if i < 0 {
			t.Errorf("missing: %v", labels)
			continue
		}
		got = slices.Delete(got, i, i+1)
	}
	for _, a := range got {
		extra = append(extra, fmt.Sprintf("%s %s", a.Labels["alertname"], a.Labels["probe"]))
	}
	slices.Sort(extra)
	return extra
}
