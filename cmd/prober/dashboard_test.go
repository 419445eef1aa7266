package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prober/config"
	"prober/internal/testenv"
)

// boardPanel is a panel of the dashboard, or a row with those inside.
type boardPanel struct {
	Title, Type string
	Targets     []struct{ Expr string }
	Panels      []boardPanel
}

// expressionsOf are the expressions of a dashboard by the titles of their panels, as Grafana asks them.
func expressionsOf(t *testing.T, board string) map[string]string {
	t.Helper()
	var d boardPanel
	if err := json.Unmarshal([]byte(board), &d); err != nil {
		t.Fatal(err)
	}
	chosen := strings.NewReplacer("$__rate_interval", "1m", "$__range", "10m", "$slo", "99.9", "$system", ".*", "$probe", ".*", "$job", ".*")
	asked := map[string]string{}
	for _, row := range d.Panels {
		for _, p := range append(row.Panels, row) {
			for i, target := range p.Targets {
				expr := chosen.Replace(target.Expr)
				if strings.Contains(expr, "$") {
					t.Errorf("an unknown variable in %s", expr)
				}
				asked[fmt.Sprintf("%s, query %d", p.Title, i)] = expr
			}
		}
	}
	return asked
}

// TestDashboard_hasData: a real Prometheus that scrapes the demo, some of which fails, has data for every expression of the dashboard
// that is generated for it. An objective is added.
func TestDashboard_hasData(t *testing.T) {
	testenv.Slow(t, "it waits until every probe of the demo has run, and one has passed and then failed twice")
	testenv.WithoutRace(t)
	prometheus := testenv.Need(t, "prometheus")
	t.Parallel()
	p := start(t, nil, "demo", "--fault", "deploy-in-progress")
	dir := t.TempDir()
	text := strings.Replace(string(config.Demo), `#up"}`, `#up", slo: {objective: 99.9}}`, 1)
	file := "--config.file=" + writeFile(t, dir, "demo.yaml", text)
	asked := expressionsOf(t, outputOf(t, "dashboard", file))
	if len(asked) < 54 || asked["Budgets of the objectives, query 1"] == "" {
		t.Errorf("only %d expressions: %v", len(asked), asked)
	}
	rules := strings.ReplaceAll(outputOf(t, "rules", file), "interval: 5m", "interval: 2s") // budgets change slowly
	writeFile(t, dir, "prober.rules.yml", rules)
	settings := writeFile(t, dir, "prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: 2s}
rule_files: [prober.rules.yml]
scrape_configs: [{job_name: prober, honor_labels: true, static_configs: [{targets: [%q]}]}]
`, strings.TrimPrefix(p.url, "http://")))
	api := fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))
	testenv.Start(t, prometheus, "--config.file="+settings, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+api)
	testenv.Eventually(t, time.Minute, func(ctx context.Context) error {
		if got, err := instant(ctx, api, `probe_success{probe="up"}`); err != nil || got != "1" {
			return fmt.Errorf("up has not passed: %q, %v", got, err)
		}
		return nil
	})
	resp, err := http.Post(p.url+"/demo/inject/up-500", "", nil)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	testenv.Eventually(t, 3*time.Minute, func(ctx context.Context) error {
		var missing []string
		for panel, expr := range asked {
			if found, err := query(ctx, api, expr); err != nil {
				return fmt.Errorf("%s: %w", panel, err)
			} else if len(found) == 0 {
				missing = append(missing, panel+": "+expr)
			} else {
				delete(asked, panel)
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("no data for:\n%s", strings.Join(missing, "\n"))
		}
		return nil
	})
}
