package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"prober/internal/testenv"
)

// TestReal_rules has other programs than Debian's promtool evaluate the rules: promtool of Prometheus 3, with the unit tests
// of every shipped configuration and a histogram that has no classic buckets, and vmalert-tool of VictoriaMetrics. The
// generated unit tests are not for the latter, in which a rule sees what others recorded one evaluation later.
func TestReal_rules(t *testing.T) {
	tools := testenv.BuildRuleTools(t)
	read := func(name string) string {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	run := func(t *testing.T, args []string) {
		t.Helper()
		if out, err := testenv.Run(t, exec.Command(args[0], args[1:]...)); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	rules, world := read("rules.demo.yml"), read("rules.demo_test.yml")
	t.Run("Prometheus 3", func(t *testing.T) {
		dir := t.TempDir()
		writeFile(t, dir, "prober.rules.yml", rules)
		run(t, []string{tools.Promtool, "test", "rules", writeFile(t, dir, "demo.yml", world), writeFile(t, dir, "native.yml", read("rules.native_test.yml"))})
		for name, text := range shippedConfigs() {
			dir := t.TempDir()
			file := "--config.file=" + writeFile(t, dir, name, text)
			writeFile(t, dir, "prober.rules.yml", outputOf(t, "rules", file))
			run(t, []string{tools.Promtool, "test", "rules", writeFile(t, dir, "prober.rules_test.yml", outputOf(t, "rules", "--test", file))})
		}
	})
	t.Run("VictoriaMetrics", func(t *testing.T) {
		dir := t.TempDir()
		writeFile(t, dir, "prober.rules.yml", rules)
		world := strings.ReplaceAll(world, "promql_expr_test", "metricsql_expr_test")
		run(t, []string{tools.VMAlert, "unittest", "--disableAlertgroupLabel", "--files=" + writeFile(t, dir, "demo.yml", world)})
	})
}
