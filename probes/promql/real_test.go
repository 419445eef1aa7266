package promql

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/limits"
	"prober/probes/internal/probetest"
)

// A service is one whose counters are written into a real Prometheus, from a day ago until now. The functions take how long
// ago a moment is.
type service struct {
	errors func(ago time.Duration) float64 // share of the customers' requests
	slow   func(ago time.Duration) bool    // latencies above the last finite edge
	quiet  func(ago time.Duration) bool    // nobody calls it
	reset  time.Duration                   // a restart so long ago; 0 for none
	dead   time.Duration                   // since when nothing is scraped any more; 0 while it lives
}

// Rates of requests a second: of customers, and of the prober, whose answer is 501.
const (
	customerRate = 20.0
	ownRate      = 1.0 / 15
	scrapeEvery  = 15 * time.Second
)

var realEdges = []string{"0.1", "0.25", "0.5", "1", "2.5", "+Inf"}

// during returns a function that is true between two moments.
func during(from, to time.Duration) func(time.Duration) bool {
	return func(ago time.Duration) bool { return ago <= from && ago > to }
}

func share(usually, then float64, when func(time.Duration) bool) func(time.Duration) float64 {
	return func(ago time.Duration) float64 {
		if when(ago) {
			return then
		}
		return usually
	}
}

// counters writes the counters of the services in OpenMetrics, for the two hours and a half until now and around a day ago.
func counters(t *testing.T, services map[string]service, now time.Time) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "counters.txt")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	family := func(name, kind string, each func(s service, job string, line func(series string, value float64, at time.Time))) {
		fmt.Fprintf(w, "# TYPE %s %s\n", name, kind)
		for job, s := range services {
			each(s, job, func(series string, value float64, at time.Time) {
				fmt.Fprintf(w, "%s %.3f %d.000\n", series, value, at.Unix())
			})
		}
	}
	const day = 24 * time.Hour
	// walk calls add for each scrape, with the time since the last and what was counted before it; and again after a reset.
	walk := func(s service, series string, at func(ago time.Duration) float64, line func(string, float64, time.Time)) {
		total := 0.0
		for ago := day + 150*time.Minute; ago > -3*time.Minute; ago -= scrapeEvery {
			if ago < day-10*time.Minute && ago > 200*time.Minute {
				continue // nobody asks about it
			}
			if s.reset > 0 && ago <= s.reset && ago > s.reset-scrapeEvery {
				total = 0
			}
			total += at(ago) * scrapeEvery.Seconds()
			if s.dead == 0 || ago >= s.dead {
				line(series, total, now.Add(-ago))
			}
		}
	}
	rate := func(s service, ago time.Duration) float64 {
		if s.quiet != nil && s.quiet(ago) {
			return 0
		}
		return customerRate
	}
	family("requests", "counter", func(s service, job string, line func(string, float64, time.Time)) {
		for code, at := range map[string]func(time.Duration) float64{
			"200": func(ago time.Duration) float64 { return rate(s, ago) * (1 - s.errors(ago)) },
			"500": func(ago time.Duration) float64 { return rate(s, ago) * s.errors(ago) },
			"501": func(time.Duration) float64 { return ownRate },
		} {
			walk(s, fmt.Sprintf("requests_total{job=%q,code=%q}", job, code), at, line)
		}
	})
	family("own", "counter", func(s service, job string, line func(string, float64, time.Time)) {
		s.dead, s.reset = 0, 0 // the prober lives on
		walk(s, fmt.Sprintf("own_total{job=%q,code=\"501\"}", job), func(time.Duration) float64 { return ownRate }, line)
	})
	family("duration", "histogram", func(s service, job string, line func(string, float64, time.Time)) {
		for i, le := range realEdges {
			walk(s, fmt.Sprintf("duration_bucket{job=%q,le=%q}", job, le), func(ago time.Duration) float64 {
				upTo := []float64{0.9, 0.98, 0.996, 0.999, 1, 1}[i]
				if s.slow != nil && s.slow(ago) {
					upTo = []float64{0.5, 0.6, 0.7, 0.75, 0.8, 1}[i]
				}
				return rate(s, ago) * upTo
			}, line)
		}
	})
	fmt.Fprintln(w, "# EOF")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	return path
}

// startPrometheus starts Debian's Prometheus on counters of the past.
func startPrometheus(t *testing.T, services map[string]service) string {
	t.Helper()
	prometheus, promtool := testenv.Need(t, "prometheus"), testenv.Need(t, "promtool")
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	file := counters(t, services, time.Now().Truncate(time.Second))
	if out, err := testenv.Run(t, exec.Command(promtool, "tsdb", "create-blocks-from", "openmetrics", "-q", file, data)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	settings := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(settings, []byte("global: {scrape_interval: 15s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))
	testenv.Start(t, prometheus, "--config.file="+settings, "--storage.tsdb.path="+data, "--storage.tsdb.retention.time=30d", "--web.listen-address="+address)
	testenv.Eventually(t, 60*time.Second, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/-/ready", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("got %s", resp.Status)
		}
		return nil
	})
	http.DefaultClient.CloseIdleConnections()
	return "http://" + address
}

// TestReal plays incidents in a real Prometheus, each as the counters of a service of its own.
func TestReal(t *testing.T) {
	testenv.WithoutRace(t)
	usual := share(0.005, 0, func(time.Duration) bool { return false })
	const day = 24 * time.Hour
	services := map[string]service{
		"healthy":   {errors: usual},
		"incident":  {errors: share(0.005, 0.3, during(20*time.Minute, -time.Hour)), slow: during(20*time.Minute, -time.Hour)},
		"recovered": {errors: share(0.005, 0.3, during(110*time.Minute, 70*time.Minute)), slow: during(110*time.Minute, 70*time.Minute)},
		"just-over": {errors: share(0.005, 0.3, during(40*time.Minute, 3*time.Minute)), slow: during(40*time.Minute, 3*time.Minute)},
		"restarted": {errors: usual, reset: 5 * time.Minute},
		"dead":      {errors: usual, dead: 4 * time.Minute},
		"night":     {errors: usual, quiet: func(ago time.Duration) bool { return ago < 2*time.Hour }},
		"gone":      {errors: usual, dead: 20 * time.Minute},
		"yesterday": {errors: share(0.005, 0.3, func(ago time.Duration) bool {
			return ago < day+75*time.Minute && ago > day-time.Hour || ago < 2*time.Hour
		})},
	}
	url := startPrometheus(t, services)
	compared := func(job string, change func(*Probe)) *Probe {
		of := func(query string) string { return strings.ReplaceAll(query, "JOB", fmt.Sprintf("job=%q", job)) }
		p := &Probe{
			URL: url, Fresh: Fresh{Series: of("requests_total{JOB}")}, Baseline: &Baseline{Offset: probe.Duration(day)},
			Compare: map[string]Comparison{
				"errors": {
					Good:  of(`sum(increase(requests_total{JOB,code=~"[1-4]..|501"}[{window}]))`),
					Total: of(`sum(increase(requests_total{JOB}[{window}]))`), Own: Own{Total: of(`sum(increase(own_total{JOB}[{window}]))`)},
				},
				"p99": {Buckets: of("sum by (le) (increase(duration_bucket{JOB}[{window}]))"), Quantile: 0.99},
			},
		}
		if change != nil {
			change(p)
		}
		return p
	}
	lasted := probe.Incident{Start: time.Now().Add(-20 * time.Minute)}
	for name, test := range map[string]struct {
		job      string
		change   func(*Probe)
		incident probe.Incident
		want     []string
	}{
		"healthy":        {"healthy", nil, probe.Incident{}, []string{"pass", "fresh pass(ok): *", "compare@errors pass(ok): *", "compare@p99 pass(ok): *"}},
		"while it lasts": {"incident", nil, lasted, []string{"fail", "fresh pass(ok): *", "compare@errors fail(worse): *", "compare@p99 fail(worse): *"}},
		"while it lasts, compared with yesterday": {"incident", nil, probe.Incident{}, []string{"fail", "fresh pass(ok): *", "compare@errors fail(worse): *", "compare@p99 fail(worse): *"}},
		"after it":          {"recovered", nil, probe.Incident{}, []string{"pass", "fresh pass(ok): *", "compare@errors pass(ok): *", "compare@p99 pass(ok): *"}},
		"just after it":     {"just-over", nil, probe.Incident{}, []string{"fail", "fresh pass(ok): *", "compare@errors fail(worse): *", "compare@p99 fail(worse): *"}},
		"after a restart":   {"restarted", nil, probe.Incident{}, []string{"pass", "fresh pass(ok): *", "compare@errors pass(ok): *", "compare@p99 pass(ok): *"}},
		"dead":              {"dead", nil, lasted, []string{"inconclusive", "fresh inconclusive(stale): expected a sample not older than 1m0s, got one of 4m*"}},
		"dead for long":     {"gone", nil, lasted, []string{"inconclusive", "fresh inconclusive(no_data): *"}},
		"nobody calls it":   {"night", nil, probe.Incident{}, []string{"inconclusive", "fresh pass(ok): *", "compare@errors inconclusive(no_traffic): *", "compare@p99 inconclusive(no_traffic): *"}},
		"no such service":   {"other", nil, probe.Incident{}, []string{"inconclusive", "fresh inconclusive(no_data): *"}},
		"an incident then":  {"yesterday", onlyErrors, probe.Incident{}, []string{"pass", "fresh pass(ok): *", "compare@errors pass(ok): *"}}, // what is known of incidents is needed
		"which was noticed": {"yesterday", onlyErrors, probe.Incident{Start: time.Now().Add(-day - 65*time.Minute), End: time.Now().Add(-day + time.Hour)}, []string{"fail", "fresh pass(ok): *", "compare@errors fail(worse): *before the incident of *"}},
		"own 501s, subtracted": {"healthy", func(p *Probe) {
			p.Compare = map[string]Comparison{"errors": {
				Bad: `sum(increase(requests_total{job="healthy",code=~"5.."}[{window}]))`, Total: `sum(increase(requests_total{job="healthy"}[{window}]))`,
				Own: Own{Bad: `sum(increase(own_total{job="healthy",code=~"5.."}[{window}]))`, Total: `sum(increase(own_total{job="healthy"}[{window}]))`},
			}}
		}, probe.Incident{}, []string{"pass", "fresh pass(ok): *", "compare@errors pass(ok): expected at most 1.5 % (0.5 %, *"}},
		"no series to subtract": {"healthy", func(p *Probe) {
			c := p.Compare["errors"]
			c.Own.Total = `sum(increase(other_total[{window}]))`
			p.Compare = map[string]Comparison{"errors": c}
		}, probe.Incident{}, []string{"inconclusive", "fresh pass(ok): *", "compare@errors inconclusive(no_baseline): 1d ago: own.total within 1h: *"}},
		"without by (le)": {"healthy", func(p *Probe) {
			p.Compare = map[string]Comparison{"p99": {Buckets: "sum(increase(duration_bucket[{window}]))", Quantile: 0.99}}
		}, probe.Incident{}, []string{"inconclusive", "fresh pass(ok): *", "compare@p99 inconclusive(schema): 1d ago: buckets within 1h: expected series with the label le*"}},
		"values": {"healthy", func(p *Probe) {
			p.Compare, p.Baseline, p.Control = nil, nil, `sum(increase(requests_total{job="healthy"}[10m]))`
			p.Values = map[string]Value{}
			for name, query := range map[string]string{
				"fine": `sum(increase(requests_total{job="healthy",code="500"}[10m]))`, "nan": "vector(0) / 0", "syntax": "sum(", "matrix": "requests_total[5m]",
				"scalar": "1", "string": `"` + marker + `"`, "many": "requests_total", "empty": "nothing", "twice": `sum(label_replace(requests_total, "a", "b", "", "")) by (code) * on () sum(requests_total) by (code)`,
			} {
				p.Values[name] = Value{Query: query, Max: new(limits.Number(100))}
			}
		}, probe.Incident{}, []string{
			"inconclusive", "fresh pass(ok): *", "control pass(ok): *",
			"value@empty inconclusive(no_data): *", "value@fine pass(ok): *", "value@many inconclusive(many_series): *", "value@matrix inconclusive(schema): expected an instant vector, got a range vector: *",
			"value@nan inconclusive(not_a_number): *", "value@scalar inconclusive(schema): *", "value@string inconclusive(schema): *", "value@syntax inconclusive(bad_query): got 400: *",
			"value@twice inconclusive(bad_query): got 422: *",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := compared(test.job, test.change)
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			job := probe.Job{Probe: p, Kind: Kind(), Timeout: 20 * time.Second, Incident: func() probe.Incident { return test.incident }}
			r := job.Do(t.Context())
			got := strings.Split(strings.TrimSpace(probetest.Lines(r)), "\n")
			if len(got) != len(test.want) {
				t.Fatalf("got\n%s", strings.Join(got, "\n"))
			}
			for i := range got {
				wantMatch(t, got[i], test.want[i])
			}
			if strings.Contains(probetest.Lines(r), marker) {
				t.Error("the server's text is repeated")
			}
		})
	}
}

// onlyErrors leaves out the quantile.
func onlyErrors(p *Probe) { p.Compare = map[string]Comparison{"errors": p.Compare["errors"]} }
