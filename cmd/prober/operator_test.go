package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/testenv"
)

// TestHonorLabels scrapes the same demo with a real Prometheus like the Prometheus Operator, with a target label
// service="prober", once without and once with honorLabels. Without it, the target's label replaces the label of the
// series that the runbook's alert reads, and the alert does not fire while the proxy is down.
func TestHonorLabels(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	prometheus := testenv.Need(t, "prometheus")
	p := start(t, nil, "demo")
	const runbook = `ibex_process_up{service="proxy"} == 0` // «for 1 minute»; the minute is left out
	dir := t.TempDir()
	writeFile(t, dir, "rules.yml", "groups: [{name: runbook, interval: 1s, rules: [{alert: ProxyDown, expr: '"+runbook+"'}]}]\n")
	target := fmt.Sprintf("static_configs: [{targets: [%q], labels: {service: prober}}]", strings.TrimPrefix(p.url, "http://"))
	settings := writeFile(t, dir, "prometheus.yml", `
global: {scrape_interval: 1s}
rule_files: [rules.yml]
scrape_configs:
  - {job_name: renamed, honor_labels: false, `+target+`}
  - {job_name: honoured, honor_labels: true, `+target+`}
`)
	api := fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))
	testenv.Start(t, prometheus, "--config.file="+settings, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+api)

	finds := func(expr string, want ...string) {
		t.Helper()
		testenv.Eventually(t, time.Minute, func(ctx context.Context) error {
			found, err := query(ctx, api, expr)
			got := labelValues(found, "job", "service", "exported_service")
			if err == nil && !slices.Equal(got, want) {
				err = fmt.Errorf("%s: got %q, want %q", expr, got, want)
			}
			return err
		})
	}
	const renamed, honoured = "renamed prober proxy", "honoured proxy "
	finds(`ibex_process_up == 1`, honoured, renamed) // both jobs have scraped it, and it is the same page
	p.post(t, "/demo/inject/proxy-down")
	finds(`ibex_process_up == 0`, honoured, renamed)
	finds(runbook, honoured)
	finds(`ALERTS{alertname="ProxyDown",alertstate="firing"}`, honoured)
}

// labelValues returns the values of the labels, sorted and each once.
func labelValues(found []series, labels ...string) (all []string) {
	for _, s := range found {
		values := make([]string, len(labels))
		for i, label := range labels {
			values[i] = s.Metric[label]
		}
		all = append(all, strings.Join(values, " "))
	}
	slices.Sort(all)
	return slices.Compact(all)
}
