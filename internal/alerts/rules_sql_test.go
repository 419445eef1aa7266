package alerts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// TestPrimaries: two primaries and none have alerts of their own, in place of the one that says that the probe fails. What
// cannot be asked is neither.
func TestPrimaries(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	var worlds []world
	for _, w := range []struct {
		name, check, reason string
		recovering          []int
		firing              []string
	}{
		{"one primary", "1x60", "", []int{0, 1}, nil},
		{"two", "0x60", "two_primaries", []int{0, 0}, []string{"ProbeTwoPrimaries warning"}},
		{"two of three", "0x60", "two_primaries", []int{0, 1, 0}, []string{"ProbeTwoPrimaries warning"}},
		{"none", "0x60", "no_primary", []int{1, 1}, []string{"ProbeNoPrimary warning"}},
		{"the primary cannot be reached", "_x60", "control_failed", []int{1}, []string{"ProbeFailing warning"}},
		{"a standby cannot be reached", "_x60", "control_failed", []int{0}, []string{"ProbeFailing warning"}},
		{"two addresses of the primary, and the standby cannot be reached", "_x60", "control_failed", []int{0, 0}, []string{"ProbeFailing warning"}},
		{"nobody answers", "_x60", "control_failed", nil, []string{"ProbeFailing warning"}},
		{"primaries of two clusters", "0x60", "other_cluster", []int{0, 0}, []string{"ProbeFailing warning"}},
		{"standbys of two clusters", "0x60", "other_cluster", []int{1, 1}, []string{"ProbeFailing warning"}},
	} {
		fails := boolFloat(w.reason != "")
		series := map[string]string{
			`probe_verdict{verdict="fail"}`: fmt.Sprintf("%gx60", fails), `probe_verdict{verdict="pass"}`: fmt.Sprintf("%gx60", 1-fails),
			`probe_check_success{check="primary"}`: w.check,
		}
		if w.reason != "" {
			series[fmt.Sprintf(`probe_failures_total{check="primary",reason=%q}`, w.reason)] = "_ 1+1x60"
		}
		for i, recovering := range w.recovering {
			for _, location := range []string{"a", "b"} {
				series[fmt.Sprintf(`probe_sql_in_recovery{target="db-%d:5432",region=%q}`, i, location)] = fmt.Sprintf("%dx60", recovering)
			}
		}
		worlds = append(worlds, world{w.name, series, "10m", w.firing})
	}
	j := change(servers, func(j *probe.Job) { j.Labels = map[string]string{"env": "prod"} })
	testWorlds(t, Rules([]probe.Job{j}, Options{Kinds: kinds()}), j, worlds, "ProbeFailing", "ProbeTwoPrimaries", "ProbeNoPrimary")
}

// TestDescription_databases: the text of an alert has the numbers that a database answered with.
func TestDescription_databases(t *testing.T) {
	t.Parallel()
	dead := job("dead", "sql", "sev3", 15*time.Second, fake{checks: []string{"connect", "control", "values"}})
	standby := job("standby", "sql", "P2", 15*time.Second, fake{checks: []string{"connect", "replication"}})
	var tests strings.Builder
	tests.WriteString("rule_files: [rules.yml]\nevaluation_interval: 15s\ntests:\n")
	for _, c := range []struct{ job, severity, labels, want, series string }{
		{"dead", "info, runbook: r-sev3, runbook_severity: sev3", "sev3", "dead_rows of eb is 2592001, dead_rows of other is 4, ",
			`probe_sql_value{system="shop",probe="dead",name="dead_rows",by="eb"} 2592001 probe_sql_value{system="shop",probe="dead",name="dead_rows",by="other"} 4`},
		{"dead", "info, runbook: r-sev3, runbook_severity: sev3", "sev3", "chains is 0.5, ", `probe_sql_value{system="shop",probe="dead",name="chains",by=""} 0.5`},
		{"dead", "info, runbook: r-sev3, runbook_severity: sev3", "sev3", "", ""},
		{"standby", "warning, runbook: r-P2, runbook_severity: P2", "P2", "heartbeat is 2m 0s old, ", `probe_sql_heartbeat_age_seconds{system="shop",probe="standby"} 120`},
	} {
		tests.WriteString("  - interval: 15s\n    input_series:\n")
		input := append(strings.Fields(c.series), fmt.Sprintf(`probe_verdict{system="shop",probe=%q,verdict="fail"}`, c.job), "1",
			fmt.Sprintf(`probe_verdict{system="shop",probe=%q,verdict="pass"}`, c.job), "0")
		for i := 0; i < len(input); i += 2 {
			fmt.Fprintf(&tests, "      - {series: '%s', values: %q}\n", input[i], input[i+1]+"x30")
		}
		fmt.Fprintf(&tests, `    alert_rule_test:
      - eval_time: 5m
        alertname: ProbeFailing
        exp_alerts:
          - exp_labels: {system: shop, probe: %s, type: sql, severity: %s}
            exp_annotations: {summary: "r %s: shop/%[1]s fails", runbook_url: "https://docs.example/%[3]s", description: %q}
`, c.job, c.severity, c.labels, "Recent failures: "+c.want+"details and trace ids: prober --once --probe=shop/"+c.job)
	}
	f := Rules([]probe.Job{dead, standby}, Options{Kinds: kinds()}).only("ProbeFailing")
	if complaint := promtool(t, written(t, f), tests.String()); complaint != "" {
		t.Error(complaint)
	}
}
