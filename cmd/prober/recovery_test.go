package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"prober/internal/sandbox"
	"prober/internal/testenv"
)

// TestRecovery plays an incident to its end. After the fix the service answers again, but its error rate is not yet what it
// was: that is no recovery. The note, and the exit status for the runbook, tell the two apart.
func TestRecovery(t *testing.T) {
	testenv.Slow(t, "it waits for the runs of a serving prober")
	testenv.WithoutRace(t)
	t.Parallel()
	x, sample := startTarget(t), startSandbox(t, sandbox.Options{})
	inject := func(turn func(string) error) {
		t.Helper()
		if err := turn("errors-high"); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	file := writeFile(t, dir, "prober.yaml", string(sample.RewriteAddresses([]byte(fmt.Sprintf(`
system: test
interval: 6s
timeout: 5900ms
runbooks:
  proxy-down: {severity: P1, url: "https://docs.example/proxy-down"}
probes:
  - {name: up, type: http, runbook: proxy-down, url: %q}
  - name: baseline
    type: promql
    runbook: proxy-down
    url: http://127.0.0.1:19090
    fresh: {series: 'ibex_proxy_requests_total{job="proxy"}'}
    baseline: {offset: 7d}
    compare:
      errors:
        good: sum(increase(ibex_proxy_requests_total{code=~"[1-4]..|501"}[{window}]))
        total: sum(increase(ibex_proxy_requests_total[{window}]))
      p99: {buckets: 'sum by (le) (increase(ibex_proxy_request_duration_seconds_bucket[{window}]))', quantile: 0.99}
`, x.URL)))))
	kept := filepath.Join(dir, "incidents.json")
	p := start(t, nil, "--config.file="+file, "--storage.path="+kept)
	note := func(want string) {
		t.Helper()
		testenv.Eventually(t, time.Minute, func(context.Context) error {
			_, got, err := p.get("/incident")
			if err != nil || !regexp.MustCompile("(?m)"+want).MatchString(got) {
				return fmt.Errorf("%v: expected %s, got\n%s", err, want, got)
			}
			return nil
		})
	}
	// once runs the probes of the runbook as a person does after a fix.
	once := func(wait string, status int, says string) {
		t.Helper()
		var out, errs strings.Builder
		got := run(t.Context(), []string{"--once", "--runbook=proxy-down", "--wait=" + wait, "--config.file=" + file, "--storage.path=" + kept}, &out, &errs)
		if said := strings.Join(strings.Fields(out.String()), " "); got != status || !regexp.MustCompile(says).MatchString(said) {
			t.Errorf("exit status %d, expected %d with %s:\n%s%s", got, status, says, out.String(), errs.String())
		}
	}
	passes := func(name, kind string, value int) {
		t.Helper()
		p.waitForMetric(t, fmt.Sprintf(`probe_success{probe=%q,system="test",type=%q} %d`, name, kind, value))
	}
	passes("up", "http", 1)
	passes("baseline", "promql", 1)

	x.status.Store(500)
	inject(sample.Inject)
	note(`^- \[.*\] observed symptom: up status: `)
	note(`^- \[.*\] observed symptom: baseline compare at errors: .*\(worse\)`)
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		text, err := os.ReadFile(kept)
		if err != nil || !strings.Contains(string(text), "worse") {
			return fmt.Errorf("%v: the incident is not stored yet:\n%s", err, text)
		}
		return nil
	})

	x.status.Store(200)
	passes("up", "http", 1)
	once("2s", exitFail, `ok up .* FAIL baseline .* before the incident of .* \[worse\]`)
	note(`^- \[time\] recovery verified$`)

	inject(sample.Clear)
	once("1m", exitPass, `ok up .* ok baseline .* before the incident of .* All 2 passed`)
	note(`^- \[.*\] recovery verified: passing again: (up, baseline|baseline, up)(, for \S+)?; back to baseline: errors, p99 \(baseline\)$`)
}
