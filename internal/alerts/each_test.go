package alerts

import (
	"context"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// An asked is a probe for rules.
type asked struct{}

func (asked) Validate() error                    { return nil }
func (asked) Checks() []string                   { return []string{"status"} }
func (asked) Ask(context.Context, *probe.Result) {}

// TestEach has rules for the probes of a list that do not say which there are, and not one that waits for one of them.
func TestEach(t *testing.T) {
	t.Parallel()
	one := func(name, names string, depends ...string) probe.Job {
		return probe.Job{
			ID: probe.ID{System: "shop", Name: name, Type: "http", Runbook: "up", Severity: "P1"}, Probe: asked{}, Interval: 30 * time.Second, Timeout: 5 * time.Second,
			Names: names, Labels: map[string]string{"env": "prod", "zone": map[bool]string{true: "", false: "eu"}[names != ""]}, DependsOn: depends,
		}
	}
	jobs := []probe.Job{one("backends", ""), one("b.{host}", `b\.[a-zA-Z0-9_.-]+`, "backends"), one("tls-{host}", "tls-[a-zA-Z0-9_.-]+"), one("more-{host}", "more-[a-zA-Z0-9_.-]+")}
	jobs[0].Type, jobs[2].Type, jobs[3].Type = "targets", "tls", "tls" // promtool refuses two rules that differ in their expressions only
	f := Rules(jobs, Options{})
	var b strings.Builder
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteTests(&b, "prober.rules.yml"); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteRouting(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		`probe:probe_verdict:votes{system="shop",probe=~"b\\.[a-zA-Z0-9_.-]+",env="prod"} > 0`,
		`summary: 'up: shop/{{ $labels.probe }} fails'`,
		"{{ range query (printf `probe:probe_failures:recent{system=\"shop\",probe=%q,env=\"prod\"}` $labels.probe) }}",
		`(count(group by (probe) (probe_success{system="shop",env="prod",probe="backends"})) or vector(0)) < 1`,
		`probe_interval_seconds{system="shop",probe=~"b\\.[a-zA-Z0-9_.-]+|tls-[a-zA-Z0-9_.-]+|more-[a-zA-Z0-9_.-]+|backends",env="prod"}`,
		`of the probes backends, b.{host}, tls-{host}, more-{host}.`, `probe="b.x"`,
		"target_matchers:\n", `probe=~"b\\.[a-zA-Z0-9_.-]+"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("expected %s", want)
		}
	}
	for _, bad := range []string{"EACH", `="b.{host}"`, `zone=""`, "probe: tls", "ProbeSignalAbsent{"} {
		if strings.Contains(text, bad) {
			t.Errorf("expected no %s", bad)
		}
	}
	if complaint := promtool(t, written(t, f), unitTests(t, f)); complaint != "" {
		t.Error(complaint)
	}
}
