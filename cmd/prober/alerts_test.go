package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"gopkg.in/yaml.v3"

	"prober/config"
	"prober/internal/alerts"
	"prober/internal/probe"
	"prober/internal/sandbox"
	"prober/internal/testenv"
	"prober/probes"
)

// outputOf runs the prober in this process and returns its output.
func outputOf(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs strings.Builder
	if status := run(t.Context(), args, &out, &errs); status != exitPass {
		t.Fatalf("prober %s: exit status %d\n%s", strings.Join(args, " "), status, errs.String())
	}
	return out.String()
}

// TestRules_golden compares the rules for one probe of each kind of the demo, and a dependency, with a golden
// file.
func TestRules_golden(t *testing.T) {
	text := selectProbes(t, string(config.Demo), "demo", []string{
		"proxy", "auth", "signing-keys", "protected-route", "clock", "tenants", "analytics-guard", "up", "issuance", "outbox-closed",
		"dead-webhooks", "standby", "one-primary", "rls",
	})
	testenv.Golden(t, "testdata/rules.demo.yml", outputOf(t, "rules", "--config.file="+writeFile(t, t.TempDir(), "demo.yaml", text)))
}

// TestRules_statesAreReasons requires every state of a health probe that a rule reads to be a reason of that kind. A state
// that is renamed would silence its alert.
func TestRules_statesAreReasons(t *testing.T) {
	rules := outputOf(t, "rules", "--config.file="+writeFile(t, t.TempDir(), "demo.yaml", string(config.Demo)))
	found := regexp.MustCompile(`state=~?"([^"]+)"`).FindAllStringSubmatch(rules, -1)
	if len(found) == 0 {
		t.Fatal("no rule reads a state")
	}
	for _, m := range found {
		for state := range strings.SplitSeq(m[1], "|") {
			if !slices.ContainsFunc(probes.Kinds()["health"].Reasons, func(r probe.Reason) bool { return r.Word == state }) {
				t.Errorf("a rule reads the state %s, which is no reason of the kind health", state)
			}
		}
	}
}

// TestRules_reasonsExist requires every reason that a rule reads to be a common one or that of a kind.
func TestRules_reasonsExist(t *testing.T) {
	known := probe.CommonReasons[:]
	for _, k := range probes.Kinds() {
		known = append(slices.Clip(known), k.Reasons...)
	}
	rules := outputOf(t, "rules", "--config.file="+writeFile(t, t.TempDir(), "demo.yaml", string(config.Demo)))
	found := regexp.MustCompile(`,reason="([^"]+)"`).FindAllStringSubmatch(rules, -1)
	if len(found) == 0 {
		t.Fatal("no rule reads a reason")
	}
	for _, m := range found {
		if !slices.ContainsFunc(known, func(r probe.Reason) bool { return r.Word == m[1] }) {
			t.Errorf("a rule reads the reason %s, which nothing gives", m[1])
		}
	}
}

// TestRules_shipped has promtool check the rules of every shipped configuration and run the unit tests that are
// generated with them.
func TestRules_shipped(t *testing.T) {
	promtool := testenv.Need(t, "promtool")
	for name, text := range shippedConfigs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := "--config.file=" + writeFile(t, dir, name, text)
			rules := outputOf(t, "rules", file)
			writeFile(t, dir, "prober.rules.yml", rules)
			tests := writeFile(t, dir, "prober.rules_test.yml", outputOf(t, "rules", "--test", file))
			for _, args := range [][]string{
				{"check", "rules", "--lint=all", "--lint-fatal", filepath.Join(dir, "prober.rules.yml")},
				{"test", "rules", tests},
			} {
				if out, err := testenv.Run(t, exec.Command(promtool, args...)); err != nil {
					t.Errorf("promtool %s: %v\n%s", args[0], err, out)
				}
			}
		})
	}
}

// TestRules_alertmanagerRouting checks the routes of every shipped configuration with Alertmanager's own tool.
func TestRules_alertmanagerRouting(t *testing.T) {
	amtool := testenv.Need(t, "amtool")
	for name, text := range shippedConfigs() {
		dir := t.TempDir()
		routes := writeFile(t, dir, "alertmanager.yml", outputOf(t, "rules", "--alertmanager", "--config.file="+writeFile(t, dir, name, text)))
		if out, err := testenv.Run(t, exec.Command(amtool, "check-config", routes)); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// prometheusSeries are series that Prometheus itself makes.
var prometheusSeries = []string{"up", "ALERTS"}

// selector matches a series and its label matchers.
var selector = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[^"{}]|"(?:[^"\\]|\\.)*")*)\}`)

// seriesOf lists the series that an expression names: the names before a brace.
func seriesOf(expr string) (names []string) {
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		names = append(names, m[1])
	}
	return names
}

// afterHalfAnHour are series that need more passes than a test waits for.
var afterHalfAnHour = []string{"probe_last_known_good_info"}

// TestRules_seriesExist requires every series that a rule of a shipped configuration reads to be exported by the running
// demo, and the series of particular kinds to be declared by a kind.
func TestRules_seriesExist(t *testing.T) {
	testenv.Slow(t, "it waits until every probe of the demo has run")
	testenv.WithoutRace(t)
	t.Parallel()
	p := start(t, nil, "demo", "--fault", "up-500", "--fault", "deploy-in-progress") // a failure, and a deploy near its onset
	p.waitForMetric(t, `probe_failures_total{probe="up"`)
	for _, series := range alerts.KindSeries() {
		if !slices.ContainsFunc(slices.Collect(maps.Values(probes.Kinds())), func(k probe.Kind) bool {
			return slices.ContainsFunc(k.Measures, func(m *probe.Measure) bool { return m.Name == series })
		}) {
			t.Errorf("rules read %s, which no kind declares", series)
		}
		if !slices.Contains(afterHalfAnHour, series) {
			p.waitForMetric(t, series+"{")
		}
	}
	_, exposition, err := p.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	known := slices.Concat(prometheusSeries, ofCertificates, ofShards, afterHalfAnHour) // the demo has none of them
	for _, line := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)`).FindAllStringSubmatch(exposition, -1) {
		known = append(known, line[1])
		if line[2] == "histogram" {
			known = append(known, line[1]+"_bucket", line[1]+"_count", line[1]+"_sum")
		}
	}
	for name, text := range shippedConfigs() {
		cfg, err := config.Parse(probes.Kinds(), config.File{Name: name, Data: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range cfg.Jobs {
			for _, s := range j.Signals {
				known = append(known, s.Name)
			}
		}
		file := alerts.Rules(cfg.Jobs, alerts.Options{Kinds: probes.Kinds()})
		for _, g := range file.Groups {
			for _, r := range g.Rules {
				if r.Record != "" {
					known = append(known, r.Record)
				}
			}
		}
		for _, g := range file.Groups {
			for _, r := range g.Rules {
				names := seriesOf(r.Expr)
				if len(names) == 0 {
					t.Errorf("%s: %s reads nothing: %s", name, r.Alert, r.Expr)
				}
				for _, template := range r.Annotations {
					names = append(names, seriesOf(strings.ReplaceAll(template, "{{", ""))...)
				}
				for _, series := range names {
					if !slices.Contains(known, series) {
						t.Errorf("%s: %s%s reads %s, which nothing exports", name, r.Record, r.Alert, series)
					}
				}
			}
		}
	}
}

// A scenario is a fault of the sample system, the probes that run, and the alerts that must be sent.
type scenario struct {
	fault      string
	probes     []string            // beside memories, which passes throughout
	want       []map[string]string // labels beside the system
	noMemories bool                // the memories API is missing, so that nothing passes
}

func (x scenario) allProbes() []string {
	if x.noMemories {
		return x.probes
	}
	return append(slices.Clone(x.probes), "memories")
}

// alert returns the labels of an alert on a probe, and its receiver.
func alert(name, probe, kind, runbook, grade string) map[string]string {
	return map[string]string{
		"alertname": name, "probe": probe, "type": kind, "runbook": runbook, "runbook_severity": grade,
		"severity": map[string]string{"1": "critical", "2": "warning", "3": "info"}[grade[len(grade)-1:]],
	}
}

// inconclusiveFault makes a probe inconclusive. The shipped alert waits for ten minutes; the test shortens that.
const inconclusiveFault = "tenant-owner-denied"

// outlasting is the alert that stays after its fault was cleared: a breach keeps firing for an hour after it was seen.
var outlasting = scenario{
	fault: "tenant-leak-read", probes: []string{"tenants"},
	want: []map[string]string{breachAlert("archive/read"), breachAlert("memories/read")},
}

// breachAlert is the alert on a breach on one surface.
func breachAlert(surface string) map[string]string {
	labels := alert("ProbeBreach", "tenants", "isolation", "tenant-isolation", "P1")
	labels["surface"] = surface
	return labels
}

// scenarios each have a system of their own. All faults are active at the same time.
var scenarios = []scenario{
	{"proxy-down", []string{"proxy", "auth"}, []map[string]string{alert("ProbeDown", "proxy", "health", "proxy-down", "P1")}, false},
	{"replica-down", []string{"proxy"}, []map[string]string{alert("ProbeReplicasMissing", "proxy", "health", "proxy-down", "P2")}, false},
	{"not-ready", []string{"proxy"}, []map[string]string{alert("ProbeNotReady", "proxy", "health", "proxy-down", "P1")}, false},
	{"auth-down", []string{"proxy", "auth"}, []map[string]string{
		alert("ProbeFailing", "auth", "http", "auth-failures", "P2"), alert("ProbeWaitsForDependency", "proxy", "health", "proxy-down", "P3")}, false},
	{"liveness-coupled", []string{"proxy", "auth"}, []map[string]string{
		alert("ProbeFailing", "auth", "http", "auth-failures", "P2"), alert("ProbeLivenessCoupled", "proxy", "health", "proxy-down", "P1")}, false},
	{"ready-despite-auth-down", []string{"proxy", "auth"}, []map[string]string{
		alert("ProbeFailing", "auth", "http", "auth-failures", "P2"), alert("ProbeReadyWithDependencyDown", "proxy", "health", "proxy-down", "P2")}, false},
	{"up-500", []string{"up", "discovery"}, []map[string]string{alert("ProbeFailing", "up", "http", "up", "sev1")}, false},
	{"endpoint-500", []string{"up", "discovery"}, []map[string]string{alert("ProbeFailing", "discovery", "http", "endpoints", "sev2")}, false},
	// Probes that depend on /up fail too, but their alerts are inhibited.
	{"up-refused", []string{"up", "discovery", "outbox", "outbox-closed"}, []map[string]string{alert("ProbeFailing", "up", "http", "up", "sev1")}, false},
	{"api-slow", []string{"up", "me"}, []map[string]string{alert("ProbeFailing", "me", "http", "endpoints", "sev2")}, false},
	{"outbox-open", []string{"up", "outbox-closed"}, []map[string]string{alert("ProbeAuthBypass", "outbox-closed", "http", "webhooks", "sev1")}, false},
	// Alertmanager inhibits the alerts of two probes while everything is down.
	{"auth-unhealthy", []string{"proxy", "auth"}, []map[string]string{{
		"alertname": "SystemDown", "runbook": "proxy-down", "runbook_severity": "P1", "severity": "critical"}}, true},
	{"render-suspended", []string{"render"}, []map[string]string{alert("ProbeFailing", "render", "http", "triage", "sev2")}, false},
	// A replica that refuses valid tokens is worse than a key that is missing in one key set.
	{"kid-missing-replica", []string{"auth", "signing-keys", "protected-route"}, []map[string]string{
		alert("ProbeFailing", "signing-keys", "jwks", "auth-failures", "P2"), alert("ProbeValidRejected", "protected-route", "protected", "auth-failures", "P1")}, false},
	{"private-key-published", []string{"up", "login-keys", "issuance"}, []map[string]string{
		alert("ProbeSecretPublished", "login-keys", "jwks", "up", "sev1"), alert("ProbeFailing", "issuance", "token", "issuance", "sev1")}, false},
	{"auth-bypass", []string{"protected-route"}, []map[string]string{alert("ProbeAuthBypass", "protected-route", "protected", "auth-failures", "P1")}, false},
	{"forged-none-accepted", []string{"protected-route"}, []map[string]string{alert("ProbeAuthBypass", "protected-route", "protected", "auth-failures", "P1")}, false},
	// The failed issuance alerts once; probes that need a token are inconclusive.
	{"issuance-down", []string{"up", "issuance", "login-keys", "me"}, []map[string]string{alert("ProbeFailing", "issuance", "token", "issuance", "sev1")}, false},
	{"auth-clock-ahead", []string{"auth", "clock", "signing-keys"}, []map[string]string{alert("ProbeFailing", "clock", "clock", "auth-failures", "P2")}, false},
	{"two-primaries", []string{"one-primary"}, []map[string]string{alert("ProbeTwoPrimaries", "one-primary", "sql", "failover", "P2")}, false},
	{"no-primary", []string{"one-primary"}, []map[string]string{alert("ProbeNoPrimary", "one-primary", "sql", "failover", "P2")}, false},
	{"replica-lags", []string{"standby", "dead-webhooks", "rls"}, []map[string]string{alert("ProbeFailing", "standby", "sql", "failover", "P2")}, false},
	outlasting,
	// Everything is denied, even to the owners: inconclusive, and never a pass.
	{inconclusiveFault, []string{"tenants"}, []map[string]string{
		alert("ProbeInconclusive", "tenants", "isolation", "tenant-isolation", "P2"), alert("ProbeIsolationUnproven", "tenants", "isolation", "tenant-isolation", "P2")}, false},
}

// TestRules_faultsBecomeAlerts injects a fault into each of twenty-four sample systems, with a real Prometheus and a real
// Alertmanager that have the generated rules and routes. Each fault must send exactly its alerts, with their labels and
// to their receivers; clearing it must resolve them, except for the breach. A prober that is stopped must raise an alert.
// While the faults are active, every series that the rules read must exist.
func TestRules_faultsBecomeAlerts(t *testing.T) {
	testenv.WithoutRace(t)
	programs := map[string]string{}
	for _, name := range []string{"prometheus", "prometheus-alertmanager", "promtool"} {
		programs[name] = testenv.Need(t, name)
	}
	t.Parallel()
	dir := t.TempDir()
	file := "--config.file=" + dir
	systems := make([]*sandbox.Sandbox, len(scenarios))
	var env []string
	for i, s := range scenarios {
		// What is slow is so by seconds, which no delay of a busy machine explains.
		systems[i] = startSandbox(t, sandbox.Options{Delay: 3500 * time.Millisecond})
		name := strings.ToUpper(fmt.Sprintf("PROBER_%d_", i))
		for key, value := range systems[i].Env() {
			env = append(env, strings.Replace(key, "PROBER_DEMO_", name, 1)+"="+value)
		}
		text := strings.ReplaceAll(string(systems[i].RewriteAddresses(config.Demo)), "PROBER_DEMO_", name)
		text = strings.ReplaceAll(text, `{service="proxy"}`, fmt.Sprintf(`{service="proxy-%d"}`, i))
		writeFile(t, dir, s.fault+".yaml", selectProbes(t, text, s.fault, s.allProbes()))
	}
	p := start(t, env, file)
	// A prober of another job will be gone for a while.
	other := "--config.file=" + writeFile(t, t.TempDir(), "other.yaml", "system: other\ninterval: 5s\ntimeout: 4s\nprobes: [{name: self, type: http, url: \""+p.url+"/-/healthy\"}]\n")
	// An address that nobody else uses, so that its port is free when it starts again.
	gone := start(t, nil, other, "--web.listen-address=127.0.0.2:0")

	tools := t.TempDir()
	writeFile(t, tools, "prober.rules.yml", withShortWaits(t, outputOf(t, "rules", file)))
	writeFile(t, tools, "other.rules.yml", outputOf(t, "rules", "--job=other", other))
	routes := writeFile(t, tools, "alertmanager.yml", outputOf(t, "rules", "--alertmanager", file))
	mail, api := fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t)), fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))
	settings := writeFile(t, tools, "prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: 2s}
rule_files: [prober.rules.yml, other.rules.yml]
alerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}
scrape_configs:
  - job_name: prober
    honor_labels: true
    static_configs: [{targets: [%q]}]
  - job_name: other
    honor_labels: true
    static_configs: [{targets: [%q]}]
`, mail, strings.TrimPrefix(p.url, "http://"), strings.TrimPrefix(gone.url, "http://")))
	testenv.Start(t, programs["prometheus-alertmanager"], "--config.file="+routes, "--storage.path="+filepath.Join(tools, "alerts"),
		"--web.listen-address="+mail, "--cluster.listen-address=")
	testenv.Start(t, programs["prometheus"], "--config.file="+settings, "--storage.tsdb.path="+filepath.Join(tools, "data"), "--web.listen-address="+api)

	cfg, err := config.Load(probes.Kinds(), dir)
	if err != nil {
		t.Fatal(err)
	}
	// All of them, since the two probers are not scraped at the same moment. The other one has one probe.
	passing := fmt.Sprintf("sum(probe_success) == %d", len(cfg.Jobs)+1)
	testenv.Eventually(t, 2*time.Minute, func(ctx context.Context) error {
		got, err := instant(ctx, api, passing)
		if err == nil && got == "" {
			err = fmt.Errorf("expected %s", passing)
		}
		return err
	})
	for i, s := range scenarios {
		if err := systems[i].Inject(s.fault); err != nil {
			t.Fatal(err)
		}
	}
	if err := gone.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	absent := map[string]string{"alertname": "ProberAbsent", "severity": "critical"}
	// The waits, the grace period of readiness, and a busy machine.
	testenv.Eventually(t, 15*time.Minute, func(ctx context.Context) error { return compareAlerts(ctx, mail, scenarios, absent) })
	checkSeriesExist(t, api, cfg.Jobs)
	if got := descriptionOf(t, mail, "up-500"); !strings.Contains(got, "status (status), ") || !strings.Contains(got, "got 500 for status, ") {
		t.Errorf("the alert on up-500 does not say why and what came: %s", got)
	}
	if got := descriptionOf(t, mail, "replica-lags"); !strings.Contains(got, "replication (lagging), heartbeat is 2m 0s old, ") {
		t.Errorf("the alert on replica-lags does not say how old the heartbeat is: %s", got)
	}
	for i, s := range scenarios {
		if err := systems[i].Clear(s.fault); err != nil {
			t.Fatal(err)
		}
	}
	address := strings.TrimPrefix(gone.url, "http://")
	start(t, nil, other, "--web.listen-address="+address)
	// SystemErrorRate counts the failed runs of its whole window, of which a busy machine had more before all alerts were there.
	testenv.Eventually(t, 15*time.Minute, func(ctx context.Context) error { return compareAlerts(ctx, mail, []scenario{outlasting}) })
}

// expected reports whether a rule makes an alert that a scenario is to send.
func expected(r *alerts.Rule) bool {
	return slices.ContainsFunc(scenarios, func(s scenario) bool {
		return s.fault == r.Labels["system"] && slices.ContainsFunc(s.want, func(labels map[string]string) bool { return labels["alertname"] == r.Alert })
	})
}

// withShortWaits has no alert of a scenario wait longer than twenty seconds, and shortens the windows of those on inconclusive probes to
// a minute; the shipped rules wait up to thirty. The unit tests of the rules cover the real times.
func withShortWaits(t *testing.T, rules string) string {
	t.Helper()
	var file alerts.File
	if err := yaml.Unmarshal([]byte(rules), &file); err != nil {
		t.Fatal(err)
	}
	sooner := strings.NewReplacer("[5m]", "[30s]", "> 1800", "> 60")
	changed := 0
	for _, g := range file.Groups {
		for i := range g.Rules {
			r := &g.Rules[i]
			if wait, err := model.ParseDuration(r.For); err == nil && time.Duration(wait) > 20*time.Second && expected(r) {
				r.For = "20s"
			}
			if r.Labels["system"] != inconclusiveFault || r.Alert != "ProbeInconclusive" && r.Alert != "ProbeIsolationUnproven" {
				continue
			}
			was := r.Expr
			if r.Expr = sooner.Replace(r.Expr); r.Labels["probe"] == "tenants" && r.Expr != was {
				changed++
			}
		}
	}
	if changed != 2 {
		t.Fatalf("%d rules on %s were shortened, expected 2", changed, inconclusiveFault)
	}
	var out strings.Builder
	if err := file.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// selectProbes keeps some of the probes of a configuration, under another system name.
func selectProbes(t *testing.T, text, system string, names []string) string {
	t.Helper()
	var c map[string]any
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	c["system"] = system
	c["probes"] = slices.DeleteFunc(c["probes"].([]any), func(p any) bool {
		return !slices.Contains(names, p.(map[string]any)["name"].(string))
	})
	if got := len(c["probes"].([]any)); got != len(names) {
		t.Fatalf("%s: found %d of %v", system, got, names)
	}
	kept, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(kept)
}

// notification is an alert as Alertmanager shows it.
type notification struct {
	Labels, Annotations map[string]string
	StartsAt            time.Time
	Receivers           []struct{ Name string }
}

// activeAlerts asks Alertmanager for the alerts that it sends.
func activeAlerts(ctx context.Context, mail string) (all []notification, err error) {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+mail+"/api/v2/alerts?active=true&silenced=false&inhibited=false", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return all, json.NewDecoder(resp.Body).Decode(&all)
}

// compareAlerts compares the alerts that Alertmanager sends with the expected ones.
func compareAlerts(ctx context.Context, mail string, scenarios []scenario, more ...map[string]string) error {
	alerts, err := activeAlerts(ctx, mail)
	if err != nil {
		return err
	}
	receivers := map[string]string{"critical": "page", "warning": "within-1-hour", "info": "within-24-hours"}
	var got, want []string
	for _, a := range alerts {
		line := fmt.Sprint(a.Labels)
		if len(a.Receivers) != 1 || a.Receivers[0].Name != receivers[a.Labels["severity"]] {
			line += fmt.Sprintf(" goes to %v", a.Receivers)
		}
		got = append(got, line)
	}
	for _, s := range scenarios {
		for _, labels := range s.want {
			labels = maps.Clone(labels)
			labels["system"] = s.fault
			want = append(want, fmt.Sprint(labels))
		}
	}
	for _, labels := range more {
		want = append(want, fmt.Sprint(labels))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		missing := slices.DeleteFunc(slices.Clone(want), func(w string) bool { return slices.Contains(got, w) })
		extra := slices.DeleteFunc(slices.Clone(got), func(g string) bool { return slices.Contains(want, g) })
		return fmt.Errorf("missing alerts:\n%s\nunexpected alerts:\n%s", strings.Join(missing, "\n"), strings.Join(extra, "\n"))
	}
	return nil
}

// descriptionOf returns the description of the alert on a system.
func descriptionOf(t *testing.T, mail, system string) string {
	t.Helper()
	all, err := activeAlerts(t.Context(), mail)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if a.Labels["system"] == system {
			return a.Annotations["description"]
		}
	}
	return ""
}

// ofCertificates are series that exist only with TLS.
var ofCertificates = []string{probe.CertificateExpiring, "probe_tls_earliest_cert_expiry_timestamp_seconds"}

// ofPublicPages are series that exist only with a public page.
var ofPublicPages = []string{"prober_public_ok"}

// ofShards are series that exist only where several probers divide the probes.
var ofShards = []string{"prober_shards"}

// ofResponses are series that exist only if a credential was sent, a version or a trace id was stated, or a check of every
// response did not pass.
var ofResponses = []string{
	"probe_secret_reflected", "probe_target_versions", "probe_trace_propagated", "probe:probe_check_failures:target_only",
}

// checkSeriesExist asks Prometheus for every series that the rules read, with their label matchers: each must have data.
func checkSeriesExist(t *testing.T, api string, jobs []probe.Job) {
	t.Helper()
	asked := map[string]bool{}
	for _, g := range alerts.Rules(jobs, alerts.Options{Kinds: probes.Kinds()}).Groups {
		for _, r := range g.Rules {
			for _, m := range selector.FindAllStringSubmatch(r.Expr, -1) {
				// No probe runs here that the rules do not know. Native histograms are not scraped here, nothing divides the probes, and what is checked of every response has series only where there
				// is something to say, as has each reason. Checks that are inconclusive during the faults have earlier data.
				if r.Alert != "ProbeWithoutAlerts" && m[1] != "probe_run_duration_seconds" && m[1] != "prober_schedule_lag_seconds" && m[1] != "prober_shards" && !slices.Contains(ofResponses, m[1]) &&
					!strings.Contains(m[0], `"secrets|versions"`) && !strings.Contains(m[0], `reason="`) {
					asked["count(present_over_time("+m[0]+"[10m]))"] = true
				}
			}
		}
	}
	if len(asked) < 60 {
		t.Errorf("only %d expressions", len(asked))
	}
	for expr := range asked {
		if found, err := query(t.Context(), api, expr); err != nil || len(found) == 0 {
			t.Errorf("%s: %d series, %v", expr, len(found), err)
		}
	}
}
