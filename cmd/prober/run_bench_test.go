package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prober/config"
	"prober/internal/history"
	"prober/internal/incident"
	"prober/internal/metrics"
	"prober/internal/probe"
	"prober/internal/web"
	"prober/probes"
)

// BenchmarkRun measures a whole run of a probe of kind http, with all who observe its result, beside a GET of net/http whose duration
// goes into a histogram of client_golang. The server's part is in both. Look at cpu-ns/op, and compare within one table.
func BenchmarkRun(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	defer server.Close()
	for _, connection := range []string{"fresh", "reuse"} {
		b.Run(connection+"/bare", func(b *testing.B) {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: connection == "fresh"}}
			defer client.CloseIdleConnections()
			took := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "x"}, []string{"probe"})
			runs := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "y"}, []string{"probe", "code"})
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
				began := time.Now()
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
				if err != nil {
					b.Fatal(err)
				}
				resp, err := client.Do(req)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				cancel()
				took.WithLabelValues("up").Observe(time.Since(began).Seconds())
				runs.WithLabelValues("up", "200").Inc()
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
		b.Run(connection+"/prober", func(b *testing.B) {
			job, sinks := benchJob(b, server.URL, connection)
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				r := job.Do(b.Context())
				sinks.Observe(r)
				if r.Verdict() != probe.Pass {
					b.Fatal(r.Checks)
				}
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// benchJob returns a job as it runs in the server, and those who observe it.
func benchJob(b *testing.B, url, connection string) (probe.Job, probe.Sinks) {
	cfg, err := config.Parse(probes.Kinds(), config.File{Name: "a.yaml", Data: fmt.Appendf(nil,
		"system: shop\nprobes:\n  - {name: up, type: http, url: %q, connection: %s, expect: {status: 200}}\n", url, connection)})
	if err != nil {
		b.Fatal(err)
	}
	m, board, notes := metrics.New(metrics.Build{}), web.NewStatusStore(), incident.New()
	past := history.NewInMemory(history.Options{})
	jobs := withMemory(newBudget(), withIncidents(notes.Incident, cfg.Jobs))
	for i := range jobs {
		jobs[i].Engine = func() error { return nil }
	}
	repeatProbes(jobs)
	b.Cleanup(func() { closeProbes(jobs) })
	m.SetJobs(jobs)
	board.SetJobs(jobs)
	past.SetJobs(jobs)
	notes.SetJobs(jobs)
	return jobs[0], probe.Sinks{past, m, board, notes}
}
