package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// bareVariable names the file with the work of a bare loop, to the process that does it.
const bareVariable = "PROBER_BENCH_BARE"

// A work is the task of a subject: either a GET of each URL, or runs of which each does the same calls.
type work struct {
	URLs     []string
	Reuse    bool
	Interval time.Duration
	Listen   string

	Config []byte            // of the prober, if it asks something else than URLs
	Env    map[string]string // what Config names

	Probes int    // how many do the calls, once per interval each
	Client string // the bare client that does them: a key of clients
	Calls  []call
	CA     []byte // PEM of the authority that signed for the targets
}

func (w work) size() int { return max(len(w.URLs), w.Probes) }

// runBare is the baseline: a minimal loop with net/http, or the bare client of another protocol, and client_golang. It asks
// for each probe once per interval, evenly spread, and counts the results in vectors.
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
	ask := getEach(w)
	if w.Client != "" {
		if ask, err = clients[w.Client](w); err != nil {
			return err
		}
	}
	b := &bareLoop{
		work: w, ask: ask,
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
	reg.MustRegister(b.success, b.last, b.when, b.runs, b.duration, collectors.NewGoCollector())
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
	ask                 func(ctx context.Context, probe int) error
	success, last, when *prometheus.GaugeVec
	runs                *prometheus.CounterVec
	duration            *prometheus.HistogramVec
}

func (b *bareLoop) run(ctx context.Context) {
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for k := 0; ; k++ {
		due := began.Add(time.Duration(k) * b.Interval / time.Duration(b.size()))
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		go b.probe(ctx, k%b.size())
	}
}

func (b *bareLoop) probe(ctx context.Context, i int) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout())
	defer cancel()
	began := time.Now()
	err := b.ask(ctx, i)
	took := time.Since(began).Seconds()
	name, verdict, success := "p"+strconv.Itoa(i), "fail", 0.0
	if err == nil {
		verdict, success = "pass", 1
	}
	b.success.WithLabelValues(name).Set(success)
	b.last.WithLabelValues(name).Set(took)
	b.when.WithLabelValues(name).Set(float64(began.UnixMilli()) / 1e3)
	b.runs.WithLabelValues(name, verdict).Inc()
	b.duration.WithLabelValues(name).Observe(took)
}

// getEach returns a function that requests one of the URLs.
func getEach(w work) func(context.Context, int) error {
	clients := make([]*http.Client, len(w.URLs))
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for i := range clients {
		// Reused means one connection per target, as it would be with targets on as many hosts.
		if clients[i] = fresh; w.Reuse {
			clients[i] = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
		}
	}
	return func(ctx context.Context, i int) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URLs[i], nil)
		if err != nil {
			return err
		}
		status, err := answered(clients[i], req)
		if err == nil && status != http.StatusOK {
			err = errors.New("another status than 200")
		}
		return err
	}
}

// answered sends a request and reads the answer to its end.
func answered(client *http.Client, req *http.Request) (status int, err error) {
	answer, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}
