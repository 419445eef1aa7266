package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"prober/config"
	"prober/internal/alerts"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/text"
	"prober/probes"
)

// rulesOptions are the flags of the commands rules and dashboard.
type rulesOptions struct {
	test         bool
	alertmanager bool
	file         string
	job          string
	counters     counters
}

// printRules prints the rules, their tests or the routes.
func (o *options) printRules() int {
	if o.rules.test && o.rules.alertmanager {
		fmt.Fprintln(o.stderr, "prober: --test and --alertmanager exclude each other; see prober --help")
		return exitUsage
	}
	return o.generate(func(cfg *config.Config) error {
		counters, err := o.rules.parseCounters(cfg.Jobs)
		if err != nil {
			return err
		}
		settings := alerts.Options{Kinds: probes.Kinds(), Job: o.rules.job, Counters: counters}
		switch {
		case o.rules.test:
			return alerts.Rules(cfg.Jobs, settings).WriteTests(o.stdout, o.rules.file)
		case o.rules.alertmanager:
			return alerts.Rules(cfg.Jobs, settings).WriteRouting(o.stdout)
		}
		return alerts.WriteRules(o.stdout, cfg.Jobs, settings)
	})
}

var metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)

// parseCounters reads --counter. A system or a probe that does not exist is refused, and so are all probes of a system
// together if several of them cause errors: what one causes at another service would hide errors of this one.
func (r *rulesOptions) parseCounters(jobs []probe.Job) (all []alerts.Counter, err error) {
	for _, key := range sorted.Keys(r.counters) {
		system, list, named := strings.Cut(key, "/")
		c := alerts.Counter{System: system, Metric: r.counters[key]}
		var names, causing []string
		for _, j := range jobs {
			if j.System != system {
				continue
			}
			names = append(names, j.Name)
			if provokesErrors(j) {
				causing = append(causing, j.Name)
			}
		}
		if names == nil {
			return nil, fmt.Errorf("--counter: there are no probes of the system %s", system)
		}
		if !metricName.MatchString(c.Metric) {
			return nil, fmt.Errorf("--counter: expected a metric name for %s", key)
		}
		if named {
			c.Probes = strings.Split(list, ",")
		} else if len(causing) > 1 {
			return nil, fmt.Errorf("--counter: the probes %s of %s cause errors on purpose: name those that ask the service that counts, as in --counter=%s/%s=%s",
				strings.Join(causing, ", "), system, system, causing[0], c.Metric)
		}
		for _, name := range c.Probes {
			if !slices.Contains(names, name) {
				return nil, fmt.Errorf("--counter: %s has no probe %s%s", system, name, text.DidYouMean(name, names))
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// provokesErrors reports whether a probe causes statuses of 400 and above on purpose.
func provokesErrors(j probe.Job) bool {
	p, ok := j.Probe.(probe.StatusProvoker)
	if !ok {
		return false
	}
	for _, codes := range p.ExpectedStatuses() {
		if slices.ContainsFunc(codes, func(code int) bool { return code >= 400 }) {
			return true
		}
	}
	return false
}

// printDashboard prints the dashboard.
func (o *options) printDashboard() int {
	return o.generate(func(cfg *config.Config) error {
		settings := alerts.Options{Kinds: probes.Kinds(), Job: o.rules.job}
		if len(o.serve.external) > 0 {
			settings.ExternalURL = o.serve.external[0]
		}
		return alerts.WriteDashboard(o.stdout, cfg.Jobs, settings)
	})
}

// generate loads the configuration and prints something generated from it.
func (o *options) generate(write func(*config.Config) error) int {
	cfg, err := parse(probes.Kinds(), config.Read(o.configFiles...))
	if err != nil {
		fmt.Fprintln(o.stderr, err)
		return exitUsage
	}
	o.warn(warnings(cfg, cfg.Jobs))
	cfg.Jobs = slices.Concat(cfg.Jobs, cfg.Prototypes())
	if err := write(cfg); err != nil {
		fmt.Fprintln(o.stderr, "prober:", err)
		return exitUsage
	}
	return exitPass
}
