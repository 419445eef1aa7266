package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// bareVariable names the file with the work of a bare loop, to the process that does it.
const bareVariable = "PROBER_BENCH_BARE"

// A work is the task of a subject.
type work struct {
	URLs     []string
	Interval time.Duration
	Reuse    bool
	Listen   string
}

// runBare is the baseline: a minimal loop with net/http and client_golang. It requests each URL once per interval, evenly
// spread, and counts the results in vectors.
func runBare(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var w work
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	reg := prometheus.NewRegistry()
	b := &bareLoop{
		work: w,
		success: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "probe_success", Help: "Whether the last run passed."}, []string{"probe"}),
		last: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "probe_last_duration_seconds", Help: "Duration of the last run."}, []string{"probe"}),
		when: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "probe_last_run_timestamp_seconds", Help: "Time of the last run."}, []string{"probe"}),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "probe_runs_total", Help: "Runs."}, []string{"probe", "verdict"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "probe_run_duration_seconds", Help: "Durations.", Buckets: []float64{0.1, 0.5, 2}}, []string{"probe"}),
	}
	reg.MustRegister(b.success, b.last, b.when, b.runs, b.duration)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("/-/healthy", func(http.ResponseWriter, *http.Request) {})
	l, err := net.Listen("tcp", w.Listen)
	if err != nil {
		return err
	}
	go http.Serve(l, mux)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	b.run(ctx)
	return nil
}

type bareLoop struct {
	work
	success, last, when *prometheus.GaugeVec
	runs                *prometheus.CounterVec
	duration            *prometheus.HistogramVec
}

func (b *bareLoop) run(ctx context.Context) {
	clients := make([]*http.Client, len(b.URLs))
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for i := range clients {
		// Reused means one connection per target, as it would be with targets on as many hosts.
		if clients[i] = fresh; b.Reuse {
			clients[i] = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
		}
	}
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for k := 0; ; k++ {
		due := began.Add(time.Duration(k) * b.Interval / time.Duration(len(b.URLs)))
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		i := k % len(b.URLs)
		go b.ask(ctx, clients[i], i)
	}
}

func (b *bareLoop) ask(ctx context.Context, client *http.Client, i int) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	ok := false
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.URLs[i], nil)
	if err == nil {
		var answer *http.Response
		if answer, err = client.Do(req); err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			ok = err == nil && answer.StatusCode == http.StatusOK
		}
	}
	took := time.Since(began).Seconds()
	name, verdict, success := "p"+strconv.Itoa(i), "fail", 0.0
	if ok {
		verdict, success = "pass", 1
	}
	b.success.WithLabelValues(name).Set(success)
	b.last.WithLabelValues(name).Set(took)
	b.when.WithLabelValues(name).Set(float64(began.UnixMilli()) / 1e3)
	b.runs.WithLabelValues(name, verdict).Inc()
	b.duration.WithLabelValues(name).Observe(took)
}
