package alerts

import (
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// reader is a probe whose answers are checked for what every answer is checked for.
type reader struct{ fake }

func (reader) MixedVersionsGrace() time.Duration { return 5 * time.Minute }

// TestTargetAlerts has promtool evaluate the alerts on a reflected credential, mixed versions and a lost trace: each fires
// with its own severity, and the run that fails for them alone pages nobody else.
func TestTargetAlerts(t *testing.T) {
	testenv.WithoutRace(t)
	j := change(job("up", "http", "sev1", 15*time.Second, fake{}), func(j *probe.Job) { j.Probe = reader{fake{checks: []string{"status"}}} })
	rules := written(t, Rules([]probe.Job{j}, Options{Kinds: kinds()}))
	const tests = `rule_files: [rules.yml]
evaluation_interval: 15s
tests:
  - interval: 15s
    input_series:
      - {series: 'probe_verdict{system="shop",probe="up",verdict="fail"}', values: "1x120"}
      - {series: 'probe_verdict{system="shop",probe="up",verdict="pass"}', values: "0x120"}
      - {series: 'probe_check_success{system="shop",probe="up",check="versions"}', values: "0x120"}
      - {series: 'probe_check_success{system="shop",probe="up",check="secrets"}', values: "0x120"}
      - {series: 'probe_check_success{system="shop",probe="up",check="status"}', values: "1x90 0x30"}
      - {series: 'probe_secret_reflected{system="shop",probe="up"}', values: "0x4 1x110"}
      - {series: 'probe_target_versions{system="shop",probe="up"}', values: "2x120"}
      - {series: 'probe_trace_propagated{system="shop",probe="up"}', values: "0x120"}
    promql_expr_test:
      - {expr: 'count by (alertname, severity) (ALERTS{alertstate="firing",alertname=~"ProbeSecret.*|ProbeMixed.*|ProbeTrace.*|ProbeFailing"})', eval_time: 30s, exp_samples: []}
      - expr: 'count by (alertname, severity) (ALERTS{alertstate="firing",alertname=~"ProbeSecret.*|ProbeMixed.*|ProbeTrace.*|ProbeFailing"})'
        eval_time: 2m
        exp_samples: [{labels: '{alertname="ProbeSecretReflected",severity="critical"}', value: 1}]
      - expr: 'count by (alertname, severity) (ALERTS{alertstate="firing",alertname=~"ProbeSecret.*|ProbeMixed.*|ProbeTrace.*|ProbeFailing"})'
        eval_time: 20m
        exp_samples:
          - {labels: '{alertname="ProbeSecretReflected",severity="critical"}', value: 1}
          - {labels: '{alertname="ProbeMixedVersions",severity="info"}', value: 1}
          - {labels: '{alertname="ProbeTraceNotPropagated",severity="info"}', value: 1}
      - expr: 'count by (alertname, severity) (ALERTS{alertstate="firing",alertname="ProbeFailing"})'
        eval_time: 26m
        exp_samples: [{labels: '{alertname="ProbeFailing",severity="critical"}', value: 1}]
`
	if complaint := promtool(t, rules, tests); complaint != "" {
		t.Error(complaint)
	}
}
