package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"prober/internal/testenv"
)

// TestNativeHistograms has Debian's Prometheus scrape native histograms, and decides on what it makes of them.
func TestNativeHistograms(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	decideNativeHistograms(t, startPrometheus(t, "", testenv.Need(t, "prometheus"), "--enable-feature=native-histograms"))
}

// TestReal_nativeHistograms does the same with Prometheus 3.
func TestReal_nativeHistograms(t *testing.T) {
	program := testenv.BuildPrometheus(t)
	decideNativeHistograms(t, startPrometheus(t, "scrape_native_histograms: true", program))
}

// A nativeService has latencies in a native histogram, by how long ago a moment is.
type nativeService struct {
	rate    float64                         // of requests a second
	slower  func(ago time.Duration) float64 // by which factor
	quiet   func(ago time.Duration) bool    // nobody calls it
	restart time.Duration                   // how long ago; 0 for none
	dead    time.Duration                   // since when nothing is scraped any more; 0 while it lives
}

// nativeServices are services as a person on call meets them, with what is expected of each. The quantile of a healthy one is
// 0.46 s.
var nativeServices = map[string]struct {
	nativeService
	want string
}{
	"healthy": {nativeService{rate: 20}, `ok healthy`},
	"slow": {nativeService{rate: 20, slower: func(ago time.Duration) float64 {
		if ago < 3*time.Minute {
			return 4
		}
		return 1
	}}, `FAIL slow [0-9.]+ m?s compare p99: expected at most 0\.5\d+ \(0\.4\d+, .* 10m ago\), got 1\.[78]\d+, .* within 1m \[worse\]`},
	"few":       {nativeService{rate: 0.4}, `INCONCL few [0-9.]+ m?s compare p99: expected at most .* within 5m; too close, or too few, to decide \[uncertain\]`},
	"night":     {nativeService{rate: 20, quiet: func(ago time.Duration) bool { return ago < 7*time.Minute }}, `INCONCL night [0-9.]+ m?s compare p99: [^\[]* \[no_traffic\]`},
	"restarted": {nativeService{rate: 20, restart: 2 * time.Minute}, `ok restarted`},
	"dead":      {nativeService{rate: 20, dead: 3 * time.Minute}, `INCONCL dead [0-9.]+ m?s fresh: [^\[]* \[stale\]`},
}

// history is what a scrape every five seconds would have seen: from twenty minutes ago, and some minutes more, so that
// a test may take its time. All of it is in one scrape, each sample with its time.
func (s nativeService) history(name string, now time.Time) (all []*dto.Metric) {
	const every = 5 * time.Second
	fresh := func() prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "latency_seconds", NativeHistogramBucketFactor: 1.1})
	}
	h, seen, owed := fresh(), 0, 0.0
	for ago := 20 * time.Minute; ago > -3*time.Minute; ago -= every {
		if s.dead > 0 && ago < s.dead {
			break
		}
		if s.restart > 0 && ago <= s.restart && ago > s.restart-every {
			h = fresh()
		}
		if s.quiet == nil || !s.quiet(ago) {
			owed += s.rate * every.Seconds()
		}
		for ; owed >= 1; owed-- {
			seen++
			_, share := math.Modf(float64(seen) * math.Phi) // spread evenly, in an order without a pattern
			latency := -math.Log(1-share) / 10
			if s.slower != nil {
				latency *= s.slower(ago)
			}
			h.Observe(latency)
		}
		m := &dto.Metric{}
		if err := h.Write(m); err != nil {
			panic(err)
		}
		m.Label = []*dto.LabelPair{{Name: new("service"), Value: new(name)}}
		m.TimestampMs, m.Histogram.CreatedTimestamp = new(now.Add(-ago).UnixMilli()), nil
		all = append(all, m)
	}
	return all
}

// startPrometheus starts a Prometheus that scrapes the histograms, and waits until it has. The setting is one of the global
// ones.
func startPrometheus(t *testing.T, setting, program string, args ...string) (address string) {
	t.Helper()
	family := &dto.MetricFamily{Name: new("latency_seconds"), Type: dto.MetricType_HISTOGRAM.Enum()}
	for name, s := range nativeServices {
		family.Metric = append(family.Metric, s.history(name, time.Now())...)
	}
	gatherer := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return []*dto.MetricFamily{family}, nil })
	target := httptest.NewServer(promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
	t.Cleanup(target.Close)
	dir := t.TempDir()
	file := writeFile(t, dir, "prometheus.yml", fmt.Sprintf(`global:
  scrape_interval: 2s
  scrape_timeout: 2s
  %s
scrape_configs:
  - job_name: services
    static_configs: [{targets: [%q]}]
`, setting, target.Listener.Addr()))
	address = fmt.Sprintf("http://127.0.0.1:%d", testenv.FreePort(t))
	testenv.Start(t, program, append(args, "--config.file="+file, "--storage.tsdb.path="+dir, "--web.listen-address="+strings.TrimPrefix(address, "http://"))...)
	testenv.Eventually(t, time.Minute, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/api/v1/query?query="+url.QueryEscape("latency_seconds"), nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && !strings.Contains(string(body), `"histogram"`) {
			err = fmt.Errorf("no native histogram yet: %s", body)
		}
		return err
	})
	return address
}

// decideNativeHistograms runs a probe for each service, and requires the verdict that is due.
func decideNativeHistograms(t *testing.T, prometheus string) {
	t.Helper()
	config := "system: test\ntimeout: 20s\nprobes:\n"
	for name := range nativeServices {
		config += fmt.Sprintf(`  - name: %[1]s
    type: promql
    url: %[2]s
    fresh: {series: 'latency_seconds{service=%[1]q}'}
    baseline: {offset: 10m}
    windows: [1m, 5m]
    compare:
      p99: {buckets: 'sum(increase(latency_seconds{service=%[1]q}[{window}]))', quantile: 0.99}
`, name, prometheus)
	}
	var out, errs strings.Builder
	if status := run(t.Context(), []string{"--once", "-v", "--config.file=" + writeFile(t, t.TempDir(), "prober.yaml", config)}, &out, &errs); status != exitFail {
		t.Errorf("exit status: got %d, want %d", status, exitFail)
	}
	said := strings.Join(strings.Fields(out.String()), " ")
	for name, s := range nativeServices {
		if !regexp.MustCompile(s.want).MatchString(said) {
			t.Errorf("%s: expected %s, got\n%s%s", name, s.want, out.String(), errs.String())
		}
	}
}
