// Package alerts turns jobs into what other people's tools read: alert rules for Prometheus, unit tests of these rules
// for promtool, routes and inhibitions for Alertmanager, and a dashboard for Grafana.
//
// All of it is made from the same jobs that are probed, so that an alert cannot name a probe or a series that does not
// exist. An alert that reads a series which only one kind of probe has is made for that kind alone; kinds.go says which
// those are.
package alerts

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
)

// Options are what the jobs do not say.
type Options struct {
	// Job is the label job that Prometheus gives to the probers. Empty means "prober".
	Job string
	// Counters names, by system, a counter of the requests that the system itself counts by the label code. Its errors
	// and refusals become alerts, less those that the probes cause on purpose.
	Counters map[string]string
}

func (o Options) job() string { return cmp.Or(o.Job, "prober") }

// A File is a file of rules as Prometheus loads it.
type File struct {
	Groups []Group `yaml:"groups"`

	systems []*system
	options Options
}

// A Group is a list of rules that are evaluated in order and at one time, so that a rule sees what those before it
// recorded.
type Group struct {
	Name     string `yaml:"name"`
	Interval string `yaml:"interval"`
	Rules    []Rule `yaml:"rules"`
}

// A Rule records a series or fires an alert.
type Rule struct {
	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`

	proof proof
}

// Rules returns the rules for the jobs: a group for each system, and one for the probers themselves.
func Rules(jobs []probe.Job, o Options) *File {
	f := &File{systems: systems(jobs, o), options: o}
	for _, s := range f.systems {
		f.Groups = append(f.Groups, Group{Name: "prober-" + s.name, Interval: promTime(s.tick), Rules: s.rules()})
	}
	f.Groups = append(f.Groups, Group{Name: "prober", Interval: promTime(usualTick), Rules: f.ownRules()})
	return f
}

// alerts returns the rules that fire, of all groups.
func (f *File) alerts() []Rule {
	var all []Rule
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				all = append(all, r)
			}
		}
	}
	return all
}

const rulesHead = `Made by "prober rules" from the configuration of the prober. Make it anew when that changes; do not edit it.`

// Write writes the rules as YAML. The error is the writer's.
func (f *File) Write(w io.Writer) error { return writeYAML(w, rulesHead, f) }

// writeYAML writes a value under a comment.
func writeYAML(w io.Writer, head string, v any) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n", head)
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// systems groups the jobs, in the order of their first ones.
func systems(jobs []probe.Job, o Options) []*system {
	var all []*system
	for _, j := range jobs {
		i := slices.IndexFunc(all, func(s *system) bool { return s.name == j.System })
		if i < 0 {
			i = len(all)
			all = append(all, &system{name: j.System, options: o})
		}
		all[i].jobs = append(all[i].jobs, j)
	}
	for _, s := range all {
		s.settle()
	}
	return all
}
