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
	r.counters = map[string]string{} // kingpin writes into it
	cmd.Flag("test", "Print unit tests of the rules instead, for promtool test rules.").BoolVar(&r.test)
	cmd.Flag("test.rules-file", "Where the tests find the rules.").Default("prober.rules.yml").StringVar(&r.file)
	cmd.Flag("alertmanager", "Print routes and inhibitions for Alertmanager instead.").BoolVar(&r.alertmanager)
	cmd.Flag("job", "The label job that Prometheus gives to the probers.").Default("prober").StringVar(&r.job)
	cmd.Flag("counter", "A counter of requests by the label code that a system itself exports, as SYSTEM=METRIC: adds alerts on its errors and 401s, less those that the probes cause. Repeatable.").
		PlaceHolder("SYSTEM=METRIC").StringMapVar(&r.counters)
}

// printRules prints the rules, their tests or the routes.
func (o *options) printRules() int {
	if o.rules.test && o.rules.alertmanager {
		fmt.Fprintln(o.stderr, "prober: say one of --test and --alertmanager; see prober --help")
		return exitUsage
	}
	return o.generate(func(cfg *config.Config) error {
		if err := o.rules.check(cfg); err != nil {
			return err
		}
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

var metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)

// check refuses counters that no alert would read, or that Prometheus could not.
func (r *rulesOptions) check(cfg *config.Config) error {
	for _, system := range slices.Sorted(maps.Keys(r.counters)) {
		if !slices.ContainsFunc(cfg.Jobs, func(j probe.Job) bool { return j.System == system }) {
			return fmt.Errorf("--counter: no probe is of the system %s", system)
		}
		if !metricName.MatchString(r.counters[system]) {
			return fmt.Errorf("--counter: wanted the name of a metric for %s", system)
		}
	}
	return nil
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
