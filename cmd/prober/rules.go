package main

import (
	"fmt"

	"github.com/alecthomas/kingpin/v2"

	"prober/config"
	"prober/internal/alerts"
	"prober/probes"
)

// rulesOptions are what the command line says of the rules.
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
	cmd.Flag("test", "Print unit tests of the rules instead, for promtool test rules.").BoolVar(&r.test)
	cmd.Flag("test.rules-file", "Where the tests find the rules.").Default("prober.rules.yml").StringVar(&r.file)
	cmd.Flag("alertmanager", "Print routes and inhibitions for Alertmanager instead.").BoolVar(&r.alertmanager)
	cmd.Flag("job", "The label job that Prometheus gives to the probers.").Default("prober").StringVar(&r.job)
	cmd.Flag("counter", "A counter of requests by the label code that a system itself exports, as SYSTEM=METRIC: adds alerts on its errors and 401s, less those that the probes cause. Repeatable.").
		PlaceHolder("SYSTEM=METRIC").StringMapVar(&r.counters)
}

// printRules prints the rules, their tests or the routes.
func (o *options) printRules() int {
	return o.generate(func(cfg *config.Config) error {
		rules := alerts.Rules(cfg.Jobs, alerts.Options{Job: o.rules.job, Counters: o.rules.counters})
		switch {
		case o.rules.test:
			return rules.WriteTests(o.stdout, o.rules.file)
		case o.rules.alertmanager:
			return rules.WriteRouting(o.stdout)
		}
		return rules.Write(o.stdout)
	})
}

// printDashboard prints the dashboard.
func (o *options) printDashboard() int {
	return o.generate(func(cfg *config.Config) error {
		return alerts.WriteDashboard(o.stdout, cfg.Jobs, alerts.Options{Job: o.rules.job})
	})
}

// generate loads the configuration and makes something of it.
func (o *options) generate(from func(*config.Config) error) int {
	cfg, err := config.Load(probes.Kinds(), o.configFiles...)
	if err != nil {
		fmt.Fprintln(o.stderr, err)
		return exitUsage
	}
	if err := from(cfg); err != nil {
		fmt.Fprintln(o.stderr, "prober:", err)
		return exitUsage
	}
	return exitPass
}
