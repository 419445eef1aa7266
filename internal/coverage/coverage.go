// Package coverage compares what rules of Prometheus read with what probes require.
package coverage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
	"prober/internal/selector"
	"prober/internal/text"
)

// A Coverage says which of the series that rules read are required by probes.
type Coverage struct {
	Gaps []Gap // in the order of the rules

	rules, series, missing int
}

// A Gap is something that a rule reads and no probe requires, or that cannot be told.
type Gap struct {
	Line int // of the rule's expression
	Text string
}

// String sums up in one sentence.
func (c Coverage) String() string {
	read := fmt.Sprintf("series that %s", text.Plural(c.rules, "rule reads", "rules read"))
	if c.missing == 0 && c.Gaps == nil {
		return fmt.Sprintf("all %d %s are covered", c.series, read)
	}
	return fmt.Sprintf("%d of %d %s are not covered", c.missing, c.series, read)
}

// A rule is one of a file of Prometheus.
type rule struct {
	Alert  string    `yaml:"alert"`
	Record string    `yaml:"record"`
	Expr   yaml.Node `yaml:"expr"`
}

func (r rule) name() string {
	if r.Alert != "" {
		return "alert " + text.Line(r.Alert)
	}
	return "record " + text.Line(r.Record)
}

// readRules reads the rules in a file of Prometheus, or in a PrometheusRule of Kubernetes.
func readRules(file []byte) (all []rule, err error) {
	type groups []struct {
		Rules []rule `yaml:"rules"`
	}
	documents := yaml.NewDecoder(bytes.NewReader(file))
	for {
		var document struct {
			Groups groups `yaml:"groups"`
			Spec   struct {
				Groups groups `yaml:"groups"`
			} `yaml:"spec"`
		}
		if err := documents.Decode(&document); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("expected rules of Prometheus: %w", err)
		}
		for _, g := range append(document.Groups, document.Spec.Groups...) {
			all = append(all, g.Rules...)
		}
	}
	if all == nil {
		return nil, errors.New("expected rules of Prometheus, got none")
	}
	return all, nil
}

// Cover compares the series that a file of rules reads with those that the probes require. What the rules record themselves,
// and what Prometheus and the prober write, nobody has to require.
func Cover(file []byte, jobs []probe.Job) (Coverage, error) {
	rules, err := readRules(file)
	if err != nil {
		return Coverage{}, err
	}
	c := Coverage{rules: len(rules)}
	var requirers []probe.SeriesRequirer
	for _, j := range jobs {
		if r, ok := j.Probe.(probe.SeriesRequirer); ok {
			requirers = append(requirers, r)
		}
	}
	required := func(name, label string) bool {
		return slices.ContainsFunc(requirers, func(r probe.SeriesRequirer) bool { return r.RequiresSeries(name, label) })
	}
	seen, missing := map[string]bool{}, map[string]bool{}
	for _, r := range rules {
		found, err := selector.Read(r.Expr.Value)
		if err != nil {
			c.add(r, "cannot be read: %s", err)
			continue
		}
		for _, s := range found {
			switch {
			case s.Name == "":
				c.add(r, "reads %s, and no name tells which series that are", s)
				continue
			case isWritten(s.Name) || slices.ContainsFunc(rules, func(r rule) bool { return r.Record == s.Name }):
				continue
			}
			seen[s.Name] = true
			name := selector.Selector{Name: s.Name}
			if !required(s.Name, "") {
				missing[s.Name] = true
				c.add(r, "reads %s, which no contract covers", name)
				continue
			}
			for _, m := range s.Matchers {
				if !slices.Contains(addedLabels, m.Label) && !required(s.Name, m.Label) {
					missing[s.Name] = true
					c.add(r, "selects %s of %s, a label that no contract covers", text.Line(m.Label), name)
				}
			}
		}
	}
	c.series, c.missing = len(seen), len(missing)
	return c, nil
}

func (c *Coverage) add(r rule, format string, args ...any) {
	gap := Gap{r.Expr.Line, r.name() + " " + fmt.Sprintf(format, args...)}
	if !slices.Contains(c.Gaps, gap) {
		c.Gaps = append(c.Gaps, gap)
	}
}

// addedLabels are labels that Prometheus adds to what it scrapes.
var addedLabels = []string{
	"job", "instance", "cluster", "namespace", "pod", "node", "container", "service", "endpoint", "env", "region", "zone", selector.NameLabel,
}

// isWritten reports whether Prometheus or the prober writes a series, and no service.
func isWritten(name string) bool {
	if slices.Contains([]string{"up", "ALERTS", "ALERTS_FOR_STATE"}, name) {
		return true
	}
	return slices.ContainsFunc([]string{"scrape_", "probe_", "prober_"}, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
