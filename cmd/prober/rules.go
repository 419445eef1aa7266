package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/alecthomas/kingpin/v2"

	"prober/config"
	"prober/internal/alerts"
	"prober/internal/probe"
	"prober/probes"
)

// rulesOptions are the flags of the commands rules and dashboard.
type rulesOptions struct {
	test         bool
	alertmanager bool
	file         string
	job          string
	counters     map[string]string
}

// rulesFlags adds the flags of the command rules.
func rulesFlags(cmd *kingpin.CmdClause, o *options) {
	r := &o.rules
	r.counters = map[string]string{} // kingpin writes into it
	cmd.Flag("test", "Print unit tests of the rules instead, for `promtool test rules`.").BoolVar(&r.test)
	cmd.Flag("test.rules-file", "Rules file that the tests name.").Default("prober.rules.yml").StringVar(&r.file)
	cmd.Flag("alertmanager", "Print routes and inhibitions for Alertmanager instead.").BoolVar(&r.alertmanager)
	cmd.Flag("job", "Value of the label job that Prometheus adds to the probers' series.").Default("prober").StringVar(&r.job)
	cmd.Flag("counter", "A system's own counter of requests with the label code: adds alerts on its errors and 401s, without those that the probes cause. Repeatable.").
		PlaceHolder("SYSTEM=METRIC").StringMapVar(&r.counters)
}

// printRules prints the rules, their tests or the routes.
func (o *options) printRules() int {
	if o.rules.test && o.rules.alertmanager {
		fmt.Fprintln(o.stderr, "prober: --test and --alertmanager exclude each other; see prober --help")
		return exitUsage
	}
	return o.generate(func(cfg *config.Config) error {
		if err := o.rules.check(cfg); err != nil {
			return err
		}
		rules := alerts.Rules(cfg.Jobs, alerts.Options{Kinds: probes.Kinds(), Job: o.rules.job, Counters: o.rules.counters})
		switch {
		case o.rules.test:
			return rules.WriteTests(o.stdout, o.rules.file)
		case o.rules.alertmanager:
			return rules.WriteRouting(o.stdout)
		}
		return rules.Write(o.stdout)
	})
}

var metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)

// check refuses a counter of an unknown system or with an invalid metric name.
func (r *rulesOptions) check(cfg *config.Config) error {
	for _, system := range slices.Sorted(maps.Keys(r.counters)) {
		if !slices.ContainsFunc(cfg.Jobs, func(j probe.Job) bool { return j.System == system }) {
			return fmt.Errorf("--counter: there are no probes of the system %s", system)
		}
		if !metricName.MatchString(r.counters[system]) {
			return fmt.Errorf("--counter: expected a metric name for %s", system)
		}
	}
	return nil
}

// printDashboard prints the dashboard.
func (o *options) printDashboard() int {
	return o.generate(func(cfg *config.Config) error {
		return alerts.WriteDashboard(o.stdout, cfg.Jobs, alerts.Options{Kinds: probes.Kinds(), Job: o.rules.job})
	})
}

// generate loads the configuration and prints something generated from it.
func (o *options) generate(write func(*config.Config) error) int {
	cfg, err := config.Load(probes.Kinds(), o.configFiles...)
	if err != nil {
		fmt.Fprintln(o.stderr, err)
		return exitUsage
	}
	if err := write(cfg); err != nil {
		fmt.Fprintln(o.stderr, "prober:", err)
		return exitUsage
	}
	return exitPass
}
