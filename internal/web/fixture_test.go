package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"prober/internal/probe"
)

// manyJobs returns that many jobs: of up to five systems with a dozen runbooks each.
func manyJobs(n int) []probe.Job {
	jobs := make([]probe.Job, n)
	kinds := []string{"http", "health", "jwks", "protected", "clock"}
	for i := range jobs {
		system := []string{"ibex", "1pass", "shop", "billing", "search"}[i*min(5, max(1, n/50))/n]
		jobs[i] = probe.Job{
			ID: probe.ID{System: system, Name: fmt.Sprintf("%s-%03d", kinds[i%5], i), Type: kinds[i%5],
				Runbook: fmt.Sprintf("runbook-%d", i/5%12), Severity: fmt.Sprintf("P%d", 1+i/5%3)},
			RunbookURL: fmt.Sprintf("https://docs.example/incident-response#runbook-%d", i/5%12),
			Interval:   30 * time.Second, Timeout: 5 * time.Second,
			Labels:  map[string]string{"env": "prod", "region": "eu-west-1"},
			Signals: map[string]probe.Signal{"status": {Name: "ibex_process_up", Labels: map[string]string{"service": "proxy"}}},
		}
		if i > 0 && jobs[i-1].System == system {
			jobs[i].DependsOn = []string{jobs[i-1].Name}
		}
	}
	return jobs
}

// ordinaryResult is a run with one exchange and three checks, of which the second does not pass for that reason.
func ordinaryResult(j *probe.Job, started time.Time, i int, why probe.Reason) probe.Result {
	r := probe.NewResult(j.ID)
	r.Started, r.Took = started, time.Duration(20+i*7919%97)*time.Millisecond
	x := probe.Exchange{
		Check: "status", Method: "GET", URL: "https://proxy.ibex.example/v1/health/" + j.Name, Addr: fmt.Sprintf("10.0.%d.%d:443", i/250, i%250), Proto: "HTTP/1.1",
		Status: 200, Reason: probe.OK, Started: started.Add(time.Millisecond), Took: r.Took - 2*time.Millisecond, Bytes: int64(512 + i), Connections: 1,
		TraceID: fmt.Sprintf("%032x", 0x4bf92f3577b34da6+i), TargetTraceID: fmt.Sprintf("req-%08d", i), Version: fmt.Sprintf("1.4.%d", i%9), CertExpiry: started.Add(1000 * time.Hour),
	}
	for k, name := range probe.PhaseNames {
		x.Phases = append(x.Phases, probe.Phase{Name: name, Took: x.Took * time.Duration(1+k*k%5) / 12})
	}
	r.Pass("certificate", "wanted 14 days left, got %d", 41+i%9)
	switch why {
	case probe.OK:
		r.Pass("status", "wanted 200, got 200")
	case probe.Timeout, probe.SelfNetwork:
		x.Status, x.Reason = 0, probe.Timeout
		r.Report("status", why, "wanted a complete answer within 5s, got none")
	default:
		x.Status = 503
		r.Report("status", why, "wanted 200, got 503")
		r.Report("body", probe.Body, "wanted $.status to be \"ok\", got a document without it")
	}
	r.Exchanged(x)
	return *r
}

// storeWithRuns is a board of that many probes with forty runs each. When red, every eighth fails, some others cannot be told,
// one is overdue and a system is in maintenance.
func storeWithRuns(n int, red bool) (*StatusStore, []probe.Job) {
	b, jobs := NewStatusStore(), manyJobs(n)
	now := time.Now()
	if red {
		for i := range jobs {
			if jobs[i].System == jobs[n-1].System {
				jobs[i].Maintenance = []probe.Window{{Why: "database move", From: now.Add(-time.Hour), To: now.Add(time.Hour)}}
			}
		}
	}
	b.SetJobs(jobs)
	for i := range jobs {
		j := &jobs[i]
		for run := range maxRuns {
			why, age := probe.OK, time.Duration(maxRuns-run)*j.Interval
			switch {
			case !red:
			case i%8 == 1 && run > 30-i%7:
				why = []probe.Reason{probe.Status, probe.Timeout}[i/8%2]
			case i%30 == 2 && run > 20:
				why = probe.SelfNetwork
			case run == i%maxRuns:
				why = probe.Status
			}
			if red && i == 4 {
				age += 10 * time.Minute
			}
			b.Observe(ordinaryResult(j, now.Add(-age), i*maxRuns+run, why))
		}
	}
	return b, jobs
}

// optionsFor is a site of a board, with everything that a prober hands over.
func optionsFor(b *StatusStore, red bool) Options {
	o := full()
	o.Status, o.Probe = b.Statuses, b.Probe
	o.Next = func(probe.ID) time.Time { return time.Now().Add(17 * time.Second) }
	o.Run = func(context.Context, probe.ID) error { return nil }
	o.Incident = func(string) string { return "## Incident\n" }
	o.Extra = map[string]http.Handler{}
	if red {
		o.Incidents = func(before time.Time) ([]probe.IncidentRecord, error) {
			if !before.IsZero() {
				return nil, nil
			}
			start := time.Now().Add(-time.Hour)
			return []probe.IncidentRecord{{System: "ibex", Start: start, Ongoing: true, Severity: "P1", Probes: []string{"health-001"}, Note: "## Incident\nlong " + strings.Repeat("x", 300)},
				{System: "shop", Start: start, End: start.Add(time.Minute), Probes: []string{"a", "b"}, Note: "## Incident"}}, nil
		}
		o.FailedSelfChecks = func() []string { return []string{"network"} }
		o.ReloadError = func() error { return fmt.Errorf("ibex.yaml:6: proxy: unknown key expcet, did you mean expect?") }
		o.Faults = func() []Fault {
			return []Fault{
				{Name: "auth-down", Summary: "auth stops answering", Signal: "proxy/ready fails with dependency", Path: "/demo/break/auth-down"},
				{Name: "replica-down", Summary: "one of three replicas stops", Signal: "proxy/live fails", Active: true, Path: "/demo/clear/replica-down"},
			}
		}
	}
	return o
}
