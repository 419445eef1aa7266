package alerts

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// fake is a probe of any kind: the rules ask it for its checks and for what it causes on purpose, and no more.
type fake struct {
	checks []string
	causes map[string][]int
}

func (f fake) Validate() error                    { return nil }
func (f fake) Checks() []string                   { return f.checks }
func (f fake) Ask(context.Context, *probe.Result) {}
func (f fake) ExpectedStatuses() map[string][]int { return f.causes }

var _ probe.StatusProvoker = fake{}

// job makes a job of a fake probe.
func job(system, name, kind, severity string, interval time.Duration, f fake) probe.Job {
	if f.checks == nil {
		f.checks = []string{"status"}
	}
	return probe.Job{
		ID:         probe.ID{System: system, Name: name, Type: kind, Runbook: "r-" + severity, Severity: severity},
		RunbookURL: "https://docs.example/" + severity, Probe: f, Interval: interval,
	}
}

// everything is a system with a probe of every kind, and one whose names are as odd as a configuration allows.
func everything() []probe.Job {
	jobs := []probe.Job{
		job("all", "proxy", "health", "P1", 15*time.Second, fake{checks: []string{"live", "split", "serving", "decoy", "replicas"}}),
		job("all", "auth", "http", "P2", 15*time.Second, fake{}),
		job("all", "admins", "http", "sev3", time.Minute, fake{checks: []string{"status", "control"}, causes: map[string][]int{"": {401}}}),
		job("all", "route", "protected", "P2", 30*time.Second, fake{checks: []string{"nobody", "garbage", "valid"}, causes: map[string][]int{"": {401, 501}}}),
		job("all", "keys", "jwks", "P1", 30*time.Second, fake{checks: []string{"private", "kid"}}),
		job("all", "login", "token", "sev1", 15*time.Second, fake{checks: []string{"issuance"}}),
		job("all", "clock", "clock", "P2", time.Minute, fake{checks: []string{"ntp"}}),
		job("all", "tenants", "isolation", "P1", 30*time.Second, fake{checks: []string{"whoami"}}),
		job("all", "unheard-of", "sonar", "urgent", 20*time.Second, fake{}),
		job("od{{d", `a.b"c\d`, "http", "", 10*time.Second, fake{}),
	}
	for i := range jobs {
		jobs[i].Labels = map[string]string{"env": "prod", "region": "eu"}
	}
	jobs[0].Signals = map[string]probe.Signal{"live": {Name: "ibex_process_up", Labels: map[string]string{"service": "proxy"}}}
	jobs[1].DependsOn = []string{"proxy"}
	jobs[4].DependsOn = []string{"login"}
	jobs[9].Labels = map[string]string{"env": "prod", "region": "eu", "team": "a`b{{\"c\"}}\\d"}
	jobs[9].Runbook, jobs[9].RunbookURL = "", ""
	return jobs
}

// tested writes rules and their tests, both as a person would get them, and runs promtool on them. change alters the
// rules beforehand.
func tested(t *testing.T, f *File, change func(string) string) (out string, ok bool) {
	t.Helper()
	promtool := testenv.Need(t, "promtool")
	dir := t.TempDir()
	var rules, tests strings.Builder
	if err := f.Write(&rules); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteTests(&tests, "rules.yml"); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"rules.yml": change(rules.String()), "test.yml": tests.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"check", "rules", "--lint=all", "--lint-fatal", filepath.Join(dir, "rules.yml")},
		{"test", "rules", filepath.Join(dir, "test.yml")},
	} {
		if out, err := testenv.Run(t, exec.Command(promtool, args...)); err != nil {
			return out, false
		}
	}
	return "", true
}

func asMade(rules string) string { return rules }

// TestRulesOfEveryKindHold has promtool run the tests that come with the rules, for a configuration with everything.
func TestRulesOfEveryKindHold(t *testing.T) {
	t.Parallel()
	if out, ok := tested(t, Rules(everything(), Options{Counters: map[string]string{"all": "ibex_proxy_requests_total"}}), asMade); !ok {
		t.Error(out)
	}
}

// TestGeneratedTestsBite spoils the rules, each time in one way: the tests that come with them must say so.
func TestGeneratedTestsBite(t *testing.T) {
	t.Parallel()
	var (
		up      = job("a", "up", "http", "sev1", 15*time.Second, fake{})
		leaf    = job("a", "leaf", "http", "sev2", 15*time.Second, fake{})
		closed  = job("a", "closed", "http", "sev3", 15*time.Second, fake{checks: []string{"status", "control"}, causes: map[string][]int{"": {401}}})
		proxy   = job("a", "proxy", "health", "P1", 15*time.Second, fake{checks: []string{"live", "split", "serving", "replicas"}})
		route   = job("a", "route", "protected", "P2", 30*time.Second, fake{checks: []string{"nobody", "valid"}, causes: map[string][]int{"": {401, 501}}})
		tenants = job("a", "tenants", "isolation", "P1", 30*time.Second, fake{checks: []string{"whoami"}})
	)
	leaf.DependsOn = []string{"up"}
	for _, test := range []struct {
		name     string
		jobs     []probe.Job
		old, new string
	}{
		{"an alert that waits longer", []probe.Job{up}, "for: 1m\n", "for: 4m\n"},
		{"an alert that waits for nothing", []probe.Job{up}, "        for: 1m\n", ""},
		{"a scrape that counts when it is lost", []probe.Job{up}, "or last_over_time(", "and last_over_time("},
		{"a vote for each prober and not for each location", []probe.Job{up}, "sgn(", "ceil("},
		{"a majority of none", []probe.Job{up}, `votes{system="a",probe="up"} > 0`, `votes{system="a",probe="up"} > -4`},
		{"a dependency that explains nothing", []probe.Job{up, leaf}, `unless on (system) probe:`, `unless on (system) none:`},
		{"no silence under maintenance", []probe.Job{up}, "probe_in_maintenance", "probe_in_maintenanse"},
		{"a dead prober that nobody misses", []probe.Job{up}, `absent(up{job="prober"} == 1)` + "\n        for: 2m", `absent(up{job="prober"})` + "\n        for: 2m"},
		{"an error rate without its failures", []probe.Job{up}, `verdict="fail"}[8m]`, `verdict="failed"}[8m]`},
		{"an error rate over all locations as one", []probe.Job{up}, "sum by (system, region) (increase", "sum by (system) (increase"},
		{"a denial that is not looked at", []probe.Job{closed}, ">= 200 < 300", ">= 600"},
		{"a replica that nobody misses", []probe.Job{proxy}, `check=~"live|replicas"} == 0`, `check=~"live|replicas"} == 2`},
		{"two alerts on one trouble", []probe.Job{proxy}, "  unless on (system, probe) probe:probe_health_state", "  unless on (system, probe) none"},
		{"a stale probe that nobody misses", []probe.Job{up}, "> 3 * max", "> 300 * max"},
		{"a latency limit of minutes", []probe.Job{up}, ") > 2\n", ") > 120\n"},
		{"never passed, read as -1", []probe.Job{up}, "probe_last_pass_timestamp_seconds{system=\"a\",probe=\"up\"}) == 0", "probe_last_pass_timestamp_seconds{system=\"a\",probe=\"up\"}) == -1"},
		{"inconclusive that is as good as a pass", []probe.Job{up}, `verdict=~"fail|pass"}[5m])) == 0`, `verdict=~"fail|pass|inconclusive"}[5m])) == 0`},
		{"one of two probers that nobody misses", []probe.Job{up}, `up{job="prober"} == 0`, `up{job="prober"} == 2`},
		{"one of two probers that is blind, unnoticed", []probe.Job{up}, "max by (job, instance) (max_over_time", "max by (job) (max_over_time"},
		{"a token that expires unheard", []probe.Job{route}, "- time() < 604800", "- time() < 0"},
		{"a token that has expired as it shall", []probe.Job{route}, `fixture!="expired"`, `fixture!=""`},
		{"a breach that is never over", []probe.Job{tenants}, ` unless probe_isolation_breach_total{system="a",probe="tenants"} offset 1h`, ""},
		{"a proof that counts only if all have it", []probe.Job{tenants}, "(max by (system, probe, surface)", "(min by (system, probe, surface)"},
		{"a breach that is forgotten", []probe.Job{tenants}, "1h", "5m"},
		{"a label that says something else", []probe.Job{up}, "severity: critical", "severity: page"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			out, ok := tested(t, Rules(test.jobs, Options{}), func(rules string) string {
				spoilt := strings.ReplaceAll(rules, test.old, test.new)
				if spoilt == rules {
					t.Fatalf("the rules do not say %q", test.old)
				}
				return spoilt
			})
			if ok || !strings.Contains(out, "FAILED") || strings.Contains(out, "parse error") {
				t.Errorf("nobody notices, or for another reason: %s", out)
			}
		})
	}
}
