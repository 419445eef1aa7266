package alerts

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"prober/internal/probe"
	"prober/internal/testenv"
)

func boardOf(t *testing.T, jobs ...probe.Job) (text string, d dashboard) {
	t.Helper()
	var b strings.Builder
	if err := WriteDashboard(&b, jobs, Options{Kinds: kinds()}); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(b.String()), &d); err != nil {
		t.Fatalf("no JSON: %v\n%s", err, b.String())
	}
	return b.String(), d
}

// TestDashboard_uid: dashboards of other systems do not replace each other, and one that is generated again replaces its former self.
func TestDashboard_uid(t *testing.T) {
	_, shop := boardOf(t, up, leaf)
	_, again := boardOf(t, leaf, up, clock)
	_, other := boardOf(t, odd)
	_, both := boardOf(t, up, odd)
	if shop.UID != again.UID || shop.UID == other.UID || both.UID == shop.UID || len(shop.UID) > 40 {
		t.Errorf("uids %s, %s, %s and %s", shop.UID, again.UID, other.UID, both.UID)
	}
}

// TestDashboard_looks: failures are red, passes are never, axes begin at 0 unless values may be below, and Prometheus reads every
// expression.
func TestDashboard_looks(t *testing.T) {
	_, d := boardOf(t, up, proxy, gate, tenants, servers)
	type config struct {
		Defaults struct {
			Min        *float64
			Thresholds struct{ Steps []struct{ Color string } }
		}
		Overrides []struct {
			Matcher struct{ Options string }
		}
	}
	var rules strings.Builder
	rules.WriteString("groups:\n- name: panels\n  rules:\n")
	chosen := strings.NewReplacer("$__rate_interval", "1m", "$__range", "10m", "$slo", "99.9", "$system", ".*", "$probe", ".*", "$job", ".*")
	for _, p := range d.Panels {
		var c config
		if err := json.Unmarshal(p.FieldConfig, &c); err != nil {
			t.Fatal(err)
		}
		if p.Type == "timeseries" && (c.Defaults.Min == nil) != (p.Title == "Values of queries") {
			t.Errorf("%s: the axis begins at %v", p.Title, c.Defaults.Min)
		}
		if p.Type == "stat" && len(c.Defaults.Thresholds.Steps) == 0 {
			t.Errorf("%s has no thresholds: Grafana's own are red from 80 on", p.Title)
		}
		if p.Title == "Verdicts now" && (len(c.Overrides) != 2 || len(c.Defaults.Thresholds.Steps) != 1 || c.Defaults.Thresholds.Steps[0].Color != "green") {
			t.Errorf("%s: %+v", p.Title, c)
		}
		for _, q := range p.Targets {
			expr, err := json.Marshal(chosen.Replace(q.Expr))
			if err != nil {
				t.Fatal(err)
			}
			rules.WriteString("  - {record: panel, expr: " + string(expr) + "}\n")
		}
	}
	path := filepath.Join(t.TempDir(), "panels.yml")
	if err := os.WriteFile(path, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := testenv.Run(t, exec.Command(testenv.Need(t, "promtool"), "check", "rules", "--lint=none", path)); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
