package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/config"
	"prober/internal/testenv"
	"prober/probes"
)

// TestDiscovery_prometheus has Prometheus and the prober read the same lists, in files and over HTTP: they find the same targets with the
// same labels, or both keep to what they had.
func TestDiscovery_prometheus(t *testing.T) {
	testenv.Slow(t, "it starts Prometheus")
	t.Parallel()
	server, dir := testenv.Need(t, "prometheus"), t.TempDir()
	l := startList(t)
	l.say(200, "127.0.0.1", "127.0.0.2")
	writeFile(t, dir, "a.json", `[{"targets":["10.0.0.1:80","b.example:81"],"labels":{"zone":"eu","x":""}},{"targets":["10.0.0.1:80"]}]`)
	writeFile(t, dir, "b.yml", "- targets: [10.0.0.3:1, '10.0.0.4:2']\n  labels:\n    zone: us\n    n: 1\n- targets: []\n")
	file := writeFile(t, dir, "prometheus.yml", fmt.Sprintf(`
scrape_configs:
  - job_name: file
    scrape_interval: 1d
    file_sd_configs: [{files: ["%s/a.json", "%s/b*.yml"]}]
  - job_name: http
    scrape_interval: 1d
    http_sd_configs: [{url: "%s/targets"}]
`, dir, dir, l.URL))
	port := testenv.FreePort(t)
	testenv.Start(t, server, "--config.file="+file, "--storage.tsdb.path="+t.TempDir(), fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port))
	theirs := func(job string) (all []string) {
		testenv.Eventually(t, time.Minute, func(ctx context.Context) error {
			q, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("http://127.0.0.1:%d/api/v1/targets", port), nil)
			if err != nil {
				return err
			}
			a, err := http.DefaultClient.Do(q)
			if err != nil {
				return err
			}
			defer a.Body.Close()
			var answer struct {
				Data struct {
					ActiveTargets []struct {
						DiscoveredLabels map[string]string `json:"discoveredLabels"`
						ScrapePool       string            `json:"scrapePool"`
					} `json:"activeTargets"`
				} `json:"data"`
			}
			if err := json.NewDecoder(a.Body).Decode(&answer); err != nil {
				return err
			}
			all = nil
			for _, target := range answer.Data.ActiveTargets {
				if target.ScrapePool != job {
					continue
				}
				address, labels := target.DiscoveredLabels["__address__"], target.DiscoveredLabels
				maps.DeleteFunc(labels, func(name, value string) bool {
					return value == "" || name == "job" || strings.HasPrefix(name, "__") && !strings.HasPrefix(name, "__meta_") // of the scrape
				})
				all = append(all, fmt.Sprint(address, labels))
			}
			if len(all) == 0 {
				return fmt.Errorf("no targets of %s", job)
			}
			return nil
		})
		slices.Sort(all)
		return all
	}
	cfg, err := config.Parse(probes.Kinds(), config.File{Name: dir + "/prober.yaml", Data: []byte(l.config() + "  - {name: files, type: targets, file: [a.json, \"b*.yml\"], want: 1}\n")})
	if err != nil {
		t.Fatal(err)
	}
	ours := func(name string) (all []string) {
		for _, j := range cfg.Jobs {
			if j.Name == name {
				for _, target := range j.Do(t.Context()).Targets {
					maps.DeleteFunc(target.Labels, func(_, value string) bool { return value == "" })
					all = append(all, fmt.Sprint(target.Address, target.Labels))
				}
			}
		}
		slices.Sort(all)
		return all
	}
	for job, name := range map[string]string{"file": "files", "http": "backends"} {
		if got, want := ours(name), theirs(job); !slices.Equal(got, want) || len(got) < 2 {
			t.Errorf("%s: got\n%s\nPrometheus has\n%s", job, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
