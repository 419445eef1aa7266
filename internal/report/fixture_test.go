package report

import (
	"strings"
	"time"

	"prober/internal/probe"
)

var (
	begin  = time.Date(2026, 11, 21, 10, 0, 0, 0, time.FixedZone("CET", 3600))
	expiry = time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
)

const docs = "https://docs.ibex.example/incident-response#"

func job(system, name, kind, runbook, severity string) probe.Job {
	j := probe.Job{ID: probe.ID{System: system, Name: name, Type: kind, Runbook: runbook, Severity: severity}}
	if runbook != "" {
		j.RunbookURL = docs + runbook
	}
	return j
}

var (
	proxy     = job("ibex", "proxy", "health", "proxy-down", "P1")
	dashboard = job("ibex", "dashboard", "http", "auth-failures", "P2")
	queue     = job("ibex", "queue-depth", "http", "", "")
)

// result is a run of the job that took some time, as its notes say.
func result(j probe.Job, took time.Duration, notes func(*probe.Result)) probe.Result {
	r := probe.NewResult(j.ID)
	r.Started, r.Took = begin, took
	notes(r)
	return *r
}

// get is an exchange with everything known.
func get(check, target, url, addr string, status int, took time.Duration, trace, returned string) probe.Exchange {
	return probe.Exchange{
		Check: check, Target: target, Method: "GET", URL: url, Addr: addr, Status: status, Proto: "HTTP/1.1",
		Expected: status == 200, Reason: probe.OK, Started: begin, Took: took, Bytes: 17, Connections: 1,
		Phases:  []probe.Phase{{Name: "connect", Took: time.Millisecond}, {Name: "processing", Took: took - time.Millisecond}},
		TraceID: trace, TargetTraceID: returned, Version: "1.4.2", CertExpiry: expiry,
	}
}

func proxyPasses() probe.Result {
	return result(proxy, 14*time.Millisecond, func(r *probe.Result) {
		r.Pass("live", "200 on 3 of 3 replicas")
		r.Exchanged(get("live", "10.0.0.1:8080", "http://proxy.ibex-system.svc:8080/health", "10.0.0.1:8080", 200, 12*time.Millisecond,
			"4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4736"))
	})
}

func dashboardPasses() probe.Result {
	return result(dashboard, 345*time.Millisecond, func(r *probe.Result) {
		r.Pass("status", "wanted 200, got 200")
		r.Exchanged(get("status", "", "https://dashboard.ibex.example/login", "192.0.2.7:443", 200, 341*time.Millisecond,
			"00f067aa0ba902b700f067aa0ba902b7", ""))
	})
}

var depth = &probe.Measure{Name: "probe_queue_depth", Help: "Jobs that wait.", Labels: []string{"queue"}}

func queuePasses() probe.Result {
	return result(queue, 3200*time.Microsecond, func(r *probe.Result) {
		r.Pass("json", "$.depth is 3, below 100")
		r.Measure(depth, 3, "mail")
		r.Exchanged(get("json", "", "http://queue.ibex-system.svc/stats", "10.0.0.9:80", 200, 3200*time.Microsecond,
			"1111111111111111aaaaaaaaaaaaaaaa", ""))
	})
}

func dashboardFails() probe.Result {
	return result(dashboard, 2100*time.Millisecond, func(r *probe.Result) {
		r.Fail("status", probe.Status, "wanted 200, got 502")
		r.Fail("latency", probe.Slow, "wanted an answer within 2s, got it after 2.1s, which is longer than the p95 that the runbook calls a regression worth a page")
		r.Pass("certificate", "valid for 41 more days")
		r.Exchanged(get("status", "", "https://dashboard.ibex.example/login", "192.0.2.7:443", 502, 2090*time.Millisecond,
			"00f067aa0ba902b700f067aa0ba902b7", "0af7651916cd43dd8448eb211c80319c"))
	})
}

func queueInconclusive() probe.Result {
	return result(queue, 5*time.Second, func(r *probe.Result) {
		r.Report("json", probe.SelfNetwork, "no answer in 5s")
		r.Report(probe.RunCheck, probe.SelfNetwork, "the prober's own network seems cut off: the reference does not answer")
		r.Exchanged(probe.Exchange{
			Check: "json", Method: "GET", URL: "http://queue.ibex-system.svc/stats", Addr: "10.0.0.9:80",
			Reason: probe.Timeout, Started: begin, Took: 5 * time.Second, TraceID: "1111111111111111aaaaaaaaaaaaaaaa",
		})
	})
}

// proxyByReplica is a health probe of which one replica is not ready, one is gone and one could not be told.
func proxyByReplica() probe.Result {
	return result(proxy, 5100*time.Millisecond, func(r *probe.Result) {
		url := "http://proxy.ibex-system.svc:8080"
		r.Fail("replicas", probe.Replicas, "wanted 3 healthy replicas, got 1")
		r.Each([]string{"10.0.0.1:8080"}, func(_ int, _ *probe.Result) {})
		for _, x := range []probe.Exchange{
			get("live", "10.0.0.1:8080", url+"/health", "10.0.0.1:8080", 200, 9*time.Millisecond, "a1111111111111111111111111111111", ""),
			get("ready", "10.0.0.1:8080", url+"/ready", "10.0.0.1:8080", 503, 12*time.Millisecond, "a2222222222222222222222222222222", ""),
			{Check: "live", Target: "10.0.0.2:8080", Method: "GET", URL: url + "/health", Addr: "10.0.0.2:8080", Reason: probe.Refused,
				Started: begin, Took: 400 * time.Microsecond, TraceID: "b1111111111111111111111111111111"},
			{Check: "live", Target: "169.254.169.254:80", Method: "GET", URL: url + "/health", Reason: probe.Protocol, Denied: "link_local",
				Started: begin, TraceID: "c1111111111111111111111111111111"},
		} {
			r.Exchanged(x)
		}
		r.Checks = append(r.Checks,
			probe.Check{Name: "live", Target: "10.0.0.1:8080", Verdict: probe.Pass, Reason: probe.OK, Detail: "200"},
			probe.Check{Name: "ready", Target: "10.0.0.1:8080", Verdict: probe.Fail, Reason: probe.Status, Detail: "wanted 200, got 503 while the dependency is up"},
			probe.Check{Name: "live", Target: "10.0.0.2:8080", Verdict: probe.Fail, Reason: probe.Refused, Detail: "nobody listens"},
			probe.Check{Name: "live", Target: "169.254.169.254:80", Verdict: probe.Fail, Reason: probe.Protocol, Detail: "the name resolves to an address that is never dialled"},
			probe.Check{Name: "ready", Target: "10.0.0.4:8080", Verdict: probe.Inconclusive, Reason: probe.StaleOrCached, Detail: "the answer is 60 s old"},
		)
	})
}

// proxyGone is a health probe whose every replica refuses, each by its own address.
func proxyGone() probe.Result {
	return result(proxy, 5*time.Millisecond, func(r *probe.Result) {
		for i, target := range []string{"10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080", "10.0.0.4:8080"} {
			r.Checks = append(r.Checks, probe.Check{
				Name: "live", Target: target, Verdict: probe.Fail, Reason: probe.Refused, Detail: "wanted 200 from /health, connection refused by " + target,
			})
			r.Exchanged(probe.Exchange{
				Check: "live", Target: target, Method: "GET", URL: "http://proxy.ibex-system.svc:8080/health", Addr: target, Reason: probe.Refused,
				Started: begin, Took: time.Duration(i+1) * time.Millisecond, TraceID: strings.Repeat(string(rune('a'+i)), 32),
			})
		}
		r.Fail("replicas", probe.Replicas, "wanted 4 replicas, found 4, of which 0 live")
	})
}

// fixtures are the reports whose every format has a golden file.
func fixtures() map[string]Report {
	jobs := []probe.Job{proxy, dashboard, queue}
	base := Report{Jobs: jobs, Started: begin, Ended: begin.Add(1300 * time.Millisecond), Rounds: 1, Version: "1.0.0"}
	with := func(change func(*Report)) Report {
		r := base
		change(&r)
		return r
	}
	return map[string]Report{
		"green": with(func(r *Report) {
			r.Results = []probe.Result{proxyPasses(), dashboardPasses(), queuePasses()}
		}),
		"fail": with(func(r *Report) {
			r.Results = []probe.Result{proxyPasses(), dashboardFails(), queuePasses()}
		}),
		"inconclusive": with(func(r *Report) {
			r.Results = []probe.Result{proxyPasses(), dashboardPasses(), queueInconclusive()}
		}),
		"replicas": with(func(r *Report) {
			other := job("1pass", "up", "http", "", "sev1")
			r.Jobs = []probe.Job{proxy, other}
			up := result(other, time.Millisecond, func(r *probe.Result) { r.Pass("status", "wanted 200, got 200") })
			r.Results = []probe.Result{proxyByReplica(), up}
		}),
		"gone": with(func(r *Report) {
			r.Awaited = true
			r.Jobs, r.Results = []probe.Job{proxy}, []probe.Result{proxyGone()}
		}),
		"nothing": with(func(r *Report) {
			r.Jobs, r.Rounds, r.Reason = nil, 0, `no probe serves the runbook "proxy-dwon"`
		}),
		"interrupted": with(func(r *Report) {
			r.Results, r.Reason = []probe.Result{proxyPasses()}, "interrupted"
		}),
		"repeat": with(func(r *Report) {
			r.Results = []probe.Result{proxyPasses(), dashboardPasses(), queuePasses()}
			r.Rounds, r.Repeat, r.Clean, r.Ended = 300, 300, 300, begin.Add(5*time.Minute)
		}),
		"unclean": with(func(r *Report) {
			r.Results = []probe.Result{proxyPasses(), dashboardPasses(), queuePasses()}
			r.Rounds, r.Repeat, r.Clean = 300, 300, 297
		}),
	}
}
