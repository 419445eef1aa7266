package alerts

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// fake is a probe of any kind. The rules need only its checks and the statuses that it causes on purpose.
type fake struct {
	checks []string
	causes map[string][]int
}

func (f fake) Validate() error                    { return nil }
func (f fake) Checks() []string                   { return f.checks }
func (f fake) Ask(context.Context, *probe.Result) {}
func (f fake) ExpectedStatuses() map[string][]int { return f.causes }

var _ probe.StatusProvoker = fake{}

// kinds describes the kinds of the fake probes: what of them the rules read.
func kinds() probe.Kinds {
	kind := func(traits probe.Traits, series ...string) probe.Kind {
		k := probe.Kind{Traits: traits}
		for _, name := range series {
			k.Measures = append(k.Measures, &probe.Measure{Name: name})
		}
		return k
	}
	return probe.Kinds{
		"http":      kind(probe.Traits{HTTPLatency: true}),
		"health":    kind(probe.Traits{HTTPLatency: true}, healthState),
		"protected": kind(probe.Traits{HTTPLatency: true, ProvesDenial: true}, authCase, authOutcome, tokenExpiry),
		"jwks":      kind(probe.Traits{HTTPLatency: true}),
		"isolation": kind(probe.Traits{ProvesDenial: true, WritesToTarget: true}, breaches, lastProven),
		"clock":     kind(probe.Traits{}, clockSkew),
		"sql":       kind(probe.Traits{}, sqlValue, sqlHeartbeat, sqlInRecovery),
		"deploys":   kind(probe.Traits{}, deployNearOnset, lastKnownGood, deployInfo),
		"redis":     kind(probe.Traits{}, redisLag, redisUnprefixed, redisFullPass),
		"pods":      kind(probe.Traits{}, podsWanted, podsRestarts),
		"guard":     kind(probe.Traits{}, guardCases),
		"tls":       kind(probe.Traits{}, tlsVersion),
		"promql":    kind(probe.Traits{}, promqlValue),
		"webhook":   kind(probe.Traits{WritesToTarget: true}, unverifiedRatio),
		"rls":       kind(probe.Traits{ProvesDenial: true, WritesToTarget: true}, breaches, lastProven, rlsRelations),
	}
}

// job makes a job of a fake probe.
func job(name, kind, severity string, interval time.Duration, f fake) probe.Job {
	if f.checks == nil {
		f.checks = []string{"status"}
	}
	return probe.Job{
		ID:         probe.ID{System: "shop", Name: name, Type: kind, Runbook: "r-" + severity, Severity: severity},
		RunbookURL: "https://docs.example/" + severity, Probe: f, Interval: interval,
	}
}

var (
	up     = job("up", "http", "sev1", 15*time.Second, fake{})
	leaf   = change(job("leaf", "http", "sev2", 15*time.Second, fake{}), func(j *probe.Job) { j.DependsOn = []string{"up"} })
	closed = job("closed", "http", "sev3", 15*time.Second, fake{checks: []string{"status", "control"}, causes: map[string][]int{"": {401}}})
	proxy  = change(job("proxy", "health", "P1", 15*time.Second, fake{checks: []string{"live", "split", "serving", "replicas"}}), func(j *probe.Job) {
		j.Signals = map[string]probe.Signal{"live": {Name: "ibex_process_up", Labels: map[string]string{"service": "proxy"}}}
		j.Labels = map[string]string{"env": "prod", "region": "eu"}
	})
	gate    = job("route", "protected", "P2", 30*time.Second, fake{checks: []string{"anonymous", "valid"}, causes: map[string][]int{"": {401, 501}}})
	keys    = job("keys", "jwks", "P1", 30*time.Second, fake{checks: []string{"private", "kid"}})
	tenants = job("tenants", "isolation", "P1", 30*time.Second, fake{checks: []string{"identity"}})
	clock   = job("clock", "clock", "P2", time.Minute, fake{checks: []string{"ntp"}})
	servers = job("one-primary", "sql", "P2", 30*time.Second, fake{checks: []string{"connect", "primary"}})
	sonar   = job("unheard-of", "sonar", "urgent", 20*time.Second, fake{})
	// The names are as odd as a configuration allows.
	odd = change(job(`a.b"c\d`, "http", "", 10*time.Second, fake{}), func(j *probe.Job) {
		j.System, j.Runbook, j.RunbookURL = "od{{d", "", ""
		j.Labels = map[string]string{"env": "prod", "region": "eu", "team": "a`b{{\"c\"}}\\d"}
	})
)

func change(j probe.Job, how func(*probe.Job)) probe.Job {
	how(&j)
	return j
}

// promtool checks rules and runs tests on them, and returns what it prints if it is not content.
func promtool(t *testing.T, rules, tests string) (complaint string) {
	t.Helper()
	tool := testenv.Need(t, "promtool")
	dir := t.TempDir()
	for name, text := range map[string]string{"rules.yml": rules, "test.yml": tests} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"check", "rules", "--lint=all", "--lint-fatal", filepath.Join(dir, "rules.yml")},
		{"test", "rules", filepath.Join(dir, "test.yml")},
	} {
		if out, err := testenv.Run(t, exec.Command(tool, args...)); err != nil {
			return "promtool " + strings.Join(args[:2], " ") + ": " + err.Error() + "\n" + out
		}
	}
	return ""
}

// written returns the rules as a person gets them.
func written(t *testing.T, f *File) string {
	t.Helper()
	var rules strings.Builder
	if err := f.Write(&rules); err != nil {
		t.Fatal(err)
	}
	return rules.String()
}

// testsOf writes test cases down.
func testsOf(t *testing.T, cases []testCase) string {
	t.Helper()
	var b bytes.Buffer
	if err := writeYAML(&b, "test", testFile{RuleFiles: []string{"rules.yml"}, Interval: promTime(step), Tests: cases}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// alertIn finds the alert that an expression is about.
var alertIn = regexp.MustCompile(`alertname="(\w+)"`)

// about returns the only alert that a case looks at; empty if it looks at more.
func (c testCase) about() (alert string) {
	for i, e := range c.Expected {
		found := alertIn.FindStringSubmatch(e.Expr)
		if found == nil || i > 0 && found[1] != alert {
			return ""
		}
		alert = found[1]
	}
	return alert
}

// byAlert sorts cases by the only alert that they look at: no other has to be evaluated for them.
func byAlert(all []testCase) map[string][]testCase {
	sorted := map[string][]testCase{}
	for _, c := range all {
		sorted[c.about()] = append(sorted[c.about()], c)
	}
	return sorted
}

// TestScenarios runs the rules of small systems through everything that a Prometheus may see. Each system adds what the
// ones before it do not have.
func TestScenarios(t *testing.T) {
	testenv.WithoutRace(t)
	tried := map[string]bool{}
	for _, c := range []struct {
		name    string
		jobs    []probe.Job
		options Options
	}{
		{"http", []probe.Job{up}, Options{Kinds: kinds()}},
		{"dependency", []probe.Job{up, leaf}, Options{Kinds: kinds()}},
		{"health", []probe.Job{proxy}, Options{Kinds: kinds()}},
		{"denial", []probe.Job{closed}, Options{Kinds: kinds()}},
		{"protected", []probe.Job{gate}, Options{Kinds: kinds()}},
		{"jwks", []probe.Job{keys}, Options{Kinds: kinds()}},
		{"isolation", []probe.Job{tenants}, Options{Kinds: kinds()}},
		{"databases", []probe.Job{servers}, Options{Kinds: kinds()}},
		{"another kind", []probe.Job{sonar}, Options{Kinds: kinds(), Job: "blackbox"}},
		{"two systems and odd names", []probe.Job{clock, odd}, Options{Kinds: kinds(), Counters: []Counter{{System: "shop", Metric: "shop_requests_total"}}}},
	} {
		f := Rules(c.jobs, c.options)
		cases := f.scenarios(t, tried)
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for alert, cases := range byAlert(cases) {
				rules := f
				if alert != "" {
					rules = f.only(alert)
				}
				if complaint := promtool(t, written(t, rules), testsOf(t, cases)); complaint != "" {
					t.Error(complaint)
				}
			}
		})
	}
}

// unitTests are the tests that a person gets with the rules.
func unitTests(t *testing.T, f *File) string {
	t.Helper()
	var b strings.Builder
	if err := f.WriteTests(&b, "rules.yml"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestGeneratedUnitTestsHold has promtool run the tests that a person gets, for every kind. They stay small enough to be
// committed beside the rules.
func TestGeneratedUnitTestsHold(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	jobs := []probe.Job{up, leaf, closed, proxy, gate, keys, tenants, clock, servers, sonar, odd}
	f := Rules(jobs, Options{Kinds: kinds(), Counters: []Counter{{System: "shop", Metric: "shop_requests_total"}}})
	tests := unitTests(t, f)
	if complaint := promtool(t, written(t, f), tests); complaint != "" {
		t.Error(complaint)
	}
	const maxPerProbe = 4 << 10
	if len(tests) > maxPerProbe*len(jobs) {
		t.Errorf("the tests have %d bytes for each of %d probes, expected at most %d", len(tests)/len(jobs), len(jobs), maxPerProbe)
	}
}

// TestGeneratedUnitTests_cases requires as many cases for twenty probes as for one: promtool evaluates all rules for each case,
// so that its time would grow with the square of the probes.
func TestGeneratedUnitTests_cases(t *testing.T) {
	cases := func(probes int) int {
		var jobs []probe.Job
		for i := range probes {
			jobs = append(jobs, job(fmt.Sprint("up-", i), "http", "P1", 10*time.Second, fake{}))
			if i > 1 {
				jobs[i].DependsOn = []string{"up-0"}
			}
		}
		return strings.Count(unitTests(t, Rules(jobs, Options{Kinds: kinds()})), "\n  - name: ")
	}
	if few, many := cases(3), cases(20); many != few {
		t.Errorf("%d cases for 20 probes, expected %d as for 3", many, few)
	}
}

// TestGeneratedUnitTestsHold_dependency has promtool run them for two probes of which one depends on the other: when the
// first fails, nothing of the system passes.
func TestGeneratedUnitTestsHold_dependency(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	f := Rules([]probe.Job{up, leaf}, Options{Kinds: kinds()})
	if complaint := promtool(t, written(t, f), unitTests(t, f)); complaint != "" {
		t.Error(complaint)
	}
}

// TestRules_portable requires the rules and the dashboard to read native histograms wherever they read classic ones, and to
// call no function that VictoriaMetrics lacks: its vmalert refuses the whole file.
func TestRules_portable(t *testing.T) {
	jobs := []probe.Job{up, proxy, gate, keys, tenants, clock, servers}
	var dashboard strings.Builder
	if err := WriteDashboard(&dashboard, jobs, Options{Kinds: kinds()}); err != nil {
		t.Fatal(err)
	}
	texts := []string{}
	for _, g := range Rules(jobs, Options{Kinds: kinds()}).Groups {
		for _, r := range g.Rules {
			texts = append(texts, r.Expr)
		}
	}
	classic := regexp.MustCompile(`rate\((\w+)_bucket\{`)
	for _, text := range append(texts, strings.Split(dashboard.String(), "\n")...) {
		for _, m := range classic.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(text, "rate("+m[1]+"{") {
				t.Errorf("only the classic buckets of %s are read: %s", m[1], text)
			}
		}
		if f := regexp.MustCompile(`histogram_(count|sum|avg|fraction|stddev|stdvar)\(`).FindString(text); f != "" {
			t.Errorf("VictoriaMetrics has no %s): %s", f, text)
		}
	}
}

// spoil replaces a text of the rules.
func spoil(t *testing.T, rules, old, new string) string {
	t.Helper()
	spoilt := strings.ReplaceAll(rules, old, new)
	if spoilt == rules {
		t.Fatalf("the rules do not contain %q", old)
	}
	return spoilt
}

// noticed fails the test unless promtool found that an alert is wrong, and not that it cannot read the rules.
func noticed(t *testing.T, complaint string) {
	t.Helper()
	if !strings.Contains(complaint, "FAILED") || strings.Contains(complaint, "parse error") || strings.Contains(complaint, "check rules") {
		t.Errorf("expected a failing test, got %q", complaint)
	}
}

// TestGeneratedUnitTestsNotice spoils the rules, each time in one way that the tests of a person must notice.
func TestGeneratedUnitTestsNotice(t *testing.T) {
	testenv.WithoutRace(t)
	for name, c := range map[string]struct {
		jobs     []probe.Job
		old, new string
	}{
		"a longer wait":                {[]probe.Job{up}, "for: 1m\n", "for: 4m\n"},
		"no wait":                      {[]probe.Job{up}, "        for: 1m\n", ""},
		"another severity":             {[]probe.Job{up}, "severity: critical", "severity: page"},
		"a dependency without effect":  {[]probe.Job{up, leaf}, `unless on (system) probe:`, `unless on (system) none:`},
		"maintenance without effect":   {[]probe.Job{up}, "probe_in_maintenance", "probe_in_maintenanse"},
		"an alert on the wrong state":  {[]probe.Job{proxy}, `state="liveness_coupled"`, `state="liveness"`},
		"two alerts for one cause":     {[]probe.Job{proxy}, "  unless on (system, probe, env) probe:probe_health_state", "  unless on (system, probe, env) none"},
		"a bypass that is not noticed": {[]probe.Job{closed}, ">= 200 < 300", ">= 600"},
		"a breach that is not noticed": {[]probe.Job{tenants}, "probe_isolation_breach_total", "probe_isolation_breech_total"},
		"two primaries not noticed":    {[]probe.Job{servers}, " == 0) > 1\n", " == 0) > 2\n"},
		"no primary not noticed":       {[]probe.Job{servers}, ") == 1\n            and", ") == 2\n            and"},
		"another job of the probers":   {[]probe.Job{up}, `job="prober"`, `job="blackbox"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := Rules(c.jobs, Options{Kinds: kinds()})
			var tested []string // ProbeInconclusive takes longest, and no case is about it
			for _, r := range f.alerts() {
				if r.example != nil && r.Alert != inconclusiveAlert {
					tested = append(tested, r.Alert)
				}
			}
			f = f.only(tested...)
			noticed(t, promtool(t, spoil(t, written(t, f), c.old, c.new), unitTests(t, f)))
		})
	}
}

// TestScenariosNotice spoils the rules, each time in one way that one scenario must notice.
func TestScenariosNotice(t *testing.T) {
	testenv.WithoutRace(t)
	for _, c := range []struct {
		name     string
		jobs     []probe.Job
		scenario string // the beginning of its name
		old, new string
	}{
		{"an alert that waits longer", []probe.Job{up}, "ProbeFailing on up", "for: 1m\n", "for: 4m\n"},
		{"a lost scrape that counts", []probe.Job{up}, "it fails, a scrape is lost", "or last_over_time(", "and last_over_time("},
		{"a vote for each prober instead of each location", []probe.Job{up}, "it fails from one of three", "sgn(", "ceil("},
		{"no majority needed", []probe.Job{up}, "it fails from one of three", `votes{system="shop",probe="up"} > 0`, `votes{system="shop",probe="up"} > -4`},
		{"a dependency without effect", []probe.Job{up, leaf}, "leaf fails because up does", `unless on (system) probe:`, `unless on (system) none:`},
		{"maintenance without effect", []probe.Job{up}, "it fails under maintenance", "probe_in_maintenance", "probe_in_maintenanse"},
		{"a missing prober that is not noticed", []probe.Job{up}, "ProberAbsent", `absent(up{job="prober"} == 1)` + "\n        for: 2m", `absent(up{job="prober"})` + "\n        for: 2m"},
		{"an error rate without its failures", []probe.Job{up}, "SystemErrorRate", `verdict="fail"}[8m]`, `verdict="failed"}[8m]`},
		{"an error rate that one location can cause", []probe.Job{up}, "it fails from one of three", "sum by (system, region) (increase", "sum by (system) (increase"},
		{"a bypass that is not noticed", []probe.Job{closed}, "ProbeAuthBypass", ">= 200 < 300", ">= 600"},
		{"a missing replica that is not noticed", []probe.Job{proxy}, "ProbeReplicasMissing", `check=~"live|replicas"} == 0`, `check=~"live|replicas"} == 2`},
		{"two alerts for one cause", []probe.Job{proxy}, "ProbeNotReady", "  unless on (system, probe, env) probe:probe_health_state", "  unless on (system, probe, env) none"},
		{"a stale probe that is not noticed", []probe.Job{up}, "ProbeStale", "> 3 * max", "> 300 * max"},
		{"a latency limit of minutes", []probe.Job{up}, "ProbeSlow", ") > 2\n", ") > 120\n"},
		{"never passed, read as -1", []probe.Job{up}, "ProbeNeverPassed", "probe_last_pass_timestamp_seconds{system=\"shop\",probe=\"up\"}) == 0", "probe_last_pass_timestamp_seconds{system=\"shop\",probe=\"up\"}) == -1"},
		{"an inconclusive verdict that counts as a pass", []probe.Job{up}, "ProbeInconclusive", `verdict=~"fail|pass"}[5m])) == 0`, `verdict=~"fail|pass|inconclusive"}[5m])) == 0`},
		{"one of two probers that is missing, not noticed", []probe.Job{up}, "ProberDown", `up{job="prober"} == 0`, `up{job="prober"} == 2`},
		{"a missing shard that is not noticed", []probe.Job{up}, "ProberShardMissing", "max by (job, region) (prober_shards{job=\"prober\"}) - count", "min by (job, region) (up{job=\"prober\"}) - count"},
		{"one of two probers that is inconclusive, not noticed", []probe.Job{up}, "ProberLocationInconclusive", "max by (job, instance) (max_over_time", "max by (job) (max_over_time"},
		{"a token that expires, not noticed", []probe.Job{gate}, "ProberStoredTokenExpiring", "- time() < 604800", "- time() < 0"},
		{"a token that expired on purpose", []probe.Job{gate}, "ProberStoredTokenExpiring", `caller!="expired"`, `caller!=""`},
		{"a breach that never ends", []probe.Job{tenants}, "one run finds a breach", ` unless probe_isolation_breach_total{system="shop",probe="tenants"} offset 1h`, ""},
		{"a proof that all locations must have", []probe.Job{tenants}, "one of two locations cannot prove", "(max by (system, probe, surface)", "(min by (system, probe, surface)"},
		{"a breach that is forgotten", []probe.Job{tenants}, "one run finds a breach", "1h", "5m"},
		{"another label", []probe.Job{up}, "ProbeFailing on up", "severity: critical", "severity: page"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := Rules(c.jobs, Options{Kinds: kinds()})
			cases := slices.DeleteFunc(f.scenarios(t, map[string]bool{}), func(tc testCase) bool { return !strings.HasPrefix(tc.Name, c.scenario) })
			if len(cases) != 1 {
				t.Fatalf("%d scenarios begin with %q", len(cases), c.scenario)
			}
			if alert := cases[0].about(); alert != "" {
				f = f.only(alert)
			} else if alert, _, _ := strings.Cut(c.scenario, " "); strings.HasPrefix(alert, "Prob") && !strings.HasPrefix(c.name, "two alerts") {
				f = f.only(alert) // no other alert matters to this one
			}
			noticed(t, promtool(t, spoil(t, written(t, f), c.old, c.new), testsOf(t, cases)))
		})
	}
}
