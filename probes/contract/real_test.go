package contract

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// startPrometheus starts a real one, which scrapes nothing, and returns its URL.
func startPrometheus(t *testing.T) string {
	t.Helper()
	program, port, dir := testenv.Need(t, "prometheus"), testenv.FreePort(t), t.TempDir()
	settings := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(settings, []byte("global: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	testenv.Start(t, program, "--config.file="+settings, "--storage.tsdb.path="+filepath.Join(dir, "data"), fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port))
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	ready := &Probe{URL: url + "/metrics", Families: map[string]Family{"prometheus_http_requests_total": {}}}
	testenv.Eventually(t, 30*time.Second, func(context.Context) error { // it counts a request when it has answered
		if r := probetest.Run(t, Kind(), ready); r.Verdict() != probe.Pass {
			return errors.New(probetest.Lines(r))
		}
		return nil
	})
	return url
}

// TestReal_prometheus holds a contract with the metrics of a real Prometheus, in both formats of text, and breaks each part of
// it alone.
func TestReal_prometheus(t *testing.T) {
	testenv.WithoutRace(t)
	testenv.Slow(t, "it starts a Prometheus")
	url := startPrometheus(t)
	sound := func() *Probe {
		return &Probe{
			URL: url + "/metrics",
			Families: map[string]Family{
				"prometheus_http_requests_total":           {Type: "counter", Labels: map[string][]string{"code": {"200"}, "handler": {"/metrics"}}},
				"prometheus_http_request_duration_seconds": {Type: "histogram", Labels: map[string][]string{"handler": {"/metrics"}}, Buckets: []float64{0.1, 1}},
				"go_gc_duration_seconds":                   {Type: "summary"},
				"go_goroutines":                            {Type: "gauge"},
				"prometheus_build_info":                    {Labels: map[string][]string{"version": {}}},
			},
			Zero: map[string]string{"corruptions": "prometheus_tsdb_wal_corruptions_total", "denied": `prometheus_http_requests_total{code=~"5.."}`},
			Moves: map[string]Move{"requests": {
				Series: `prometheus_http_requests_total{handler="/metrics"}`, Request: &Request{URL: url + "/metrics", Status: httpx.Codes(200)},
			}},
		}
	}
	for format, accept := range map[string]string{"the text format": "", "OpenMetrics": "application/openmetrics-text;version=1.0.0", "text of 1.0.0": "text/plain;version=1.0.0;escaping=allow-utf-8"} {
		as := func(change func(*Probe)) *Probe {
			p := sound()
			delete(p.Zero, "denied") // there is none as long as nothing has failed, which the last case shows
			if accept != "" {
				p.Headers = map[string]httpx.Value{"Accept": {Text: accept}}
			}
			change(p)
			return p
		}
		if r := probetest.Run(t, Kind(), as(func(*Probe) {})); r.Verdict() != probe.Pass {
			t.Errorf("%s: a sound one:\n%s", format, probetest.Lines(r))
		}
		for want, change := range map[string]func(*Probe){
			"families(family_missing)": func(p *Probe) { p.Families["prometheus_http_requests"] = Family{} },
			"families(wrong_type)":     func(p *Probe) { p.Families["go_goroutines"] = Family{Type: "counter"} },
			"labels(label_missing)":    func(p *Probe) { p.Families["go_goroutines"] = Family{Labels: map[string][]string{"code": {}}} },
			"labels(value_missing)": func(p *Probe) {
				maps.Copy(p.Families["prometheus_http_requests_total"].Labels, map[string][]string{"code": {"599"}})
			},
			"buckets(bucket_missing)": func(p *Probe) {
				p.Families["prometheus_http_request_duration_seconds"] = Family{Type: "histogram", Buckets: []float64{0.3}}
			},
			"zero(not_zero)":       func(p *Probe) { p.Zero["goroutines"] = "go_goroutines" },
			"zero(series_missing)": func(p *Probe) { p.Zero["denied"] = `prometheus_http_requests_total{code=~"5.."}` },
			"moves(does_not_move)": func(p *Probe) {
				p.Moves["info"] = Move{Series: "prometheus_build_info", Request: p.Moves["requests"].Request, Within: probe.Duration(200 * time.Millisecond)}
			},
			"moves(series_missing)": func(p *Probe) { p.Moves["none"] = Move{Series: "none_total", Request: p.Moves["requests"].Request} },
			"moves(control_failed)": func(p *Probe) {
				p.Moves["requests"] = Move{Series: "prometheus_http_requests_total", Request: &Request{URL: url + "/metrics", Status: httpx.Codes(201)}}
			},
		} {
			r := probetest.Run(t, Kind(), as(change))
			var got []string
			for _, c := range r.NotPassed() {
				got = append(got, fmt.Sprintf("%s(%s)", c.Name, c.Reason))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s: expected %s, got\n%s", format, want, probetest.Lines(r))
			}
		}
	}
}
