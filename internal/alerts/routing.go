package alerts

import (
	"fmt"
	"io"
	"slices"
)

// The configuration of Alertmanager.
type (
	routing struct {
		Route     route      `yaml:"route"`
		Inhibit   []inhibit  `yaml:"inhibit_rules"`
		Receivers []receiver `yaml:"receivers"`
	}
	route struct {
		Matchers []string `yaml:"matchers,omitempty"`
		Receiver string   `yaml:"receiver"`
		GroupBy  []string `yaml:"group_by,omitempty,flow"`
		Wait     string   `yaml:"group_wait"`
		Interval string   `yaml:"group_interval"`
		Repeat   string   `yaml:"repeat_interval"`
		Routes   []route  `yaml:"routes,omitempty"`
	}
	inhibit struct {
		Source []string `yaml:"source_matchers"`
		Target []string `yaml:"target_matchers"`
		Equal  []string `yaml:"equal,omitempty,flow"`
	}
	receiver struct {
		Name string `yaml:"name"`
	}
)

const routingHeader = `Made by "prober rules --alertmanager" from the configuration of the prober. The receivers are empty: configure
# under each how it notifies people. A page that nobody acknowledges is repeated every five minutes.`

// Names of alerts that are inhibited together.
const (
	failureNames   = "ProbeCertificateFailing|ProbeDown|ProbeFailing|ProbeFlapping|ProbeLivenessCoupled|ProbeMixedVersions|ProbeNoPrimary|ProbeNotReady|ProbeReadyWithDependencyDown|ProbeReplicasMissing|ProbeTwoPrimaries|ProbeValidRejected|ProbeWaitsForDependency"
	breachNames    = "ProbeAuthBypass|ProbeBreach|ProbeNotZero|ProbeSecretPublished|ProbeSecretReflected"
	uncertainNames = "ProbeFailsFromOneLocation|ProbeInconclusive|ProbeIsolationUnproven|ProbeNeverPassed|ProbeNotPassing|ProbeSignalAbsent|ProbeSlow|ProbeStale"
)

// WriteRouting writes the routes and inhibitions for Alertmanager. Urgent alerts are sent at once and repeated; an alert
// that a greater one explains is inhibited. Nothing inhibits a breach. The error is the writer's.
func (f *File) WriteRouting(w io.Writer) error {
	named := func(names string) string { return fmt.Sprintf("alertname=~%q", names) }
	c := routing{
		Route: route{
			Receiver: "within-1-hour", GroupBy: []string{"system", "runbook"}, Wait: "30s", Interval: "5m", Repeat: "1h",
			Routes: []route{
				{Matchers: []string{`severity="critical"`}, Receiver: "page", GroupBy: []string{"system", "runbook", "alertname"}, Wait: "0s", Interval: "1m", Repeat: "5m"},
				{Matchers: []string{`severity="info"`}, Receiver: "within-24-hours", Wait: "5m", Interval: "1h", Repeat: "24h"},
			},
		},
		Receivers: []receiver{{"page"}, {"within-1-hour"}, {"within-24-hours"}},
		Inhibit: []inhibit{
			{[]string{`alertname="SystemDown"`}, []string{named(failureNames + "|" + uncertainNames + "|SystemErrorRate")}, []string{"system"}},
			{[]string{`alertname="ProberAllInconclusive"`}, []string{named("ProbeInconclusive|ProbeSignalAbsent|ProberLocationInconclusive")}, nil},
			{[]string{named(failureNames + "|" + breachNames)}, []string{named(uncertainNames)}, []string{"system", "probe"}},
			{[]string{`alertname="ProbeNeverPassed"`}, []string{`alertname="ProbeInconclusive"`}, []string{"system", "probe"}},
			{[]string{named(failureNames)}, []string{`alertname="SystemErrorRate"`}, []string{"system", "runbook"}},
			{[]string{named(failureNames + "|" + breachNames), `severity="critical"`}, []string{named(failureNames), `severity=~"warning|info"`}, []string{"system", "probe"}},
		},
	}
	for _, s := range f.systems {
		for _, dependency := range s.jobs {
			var dependents []string
			for _, j := range s.jobs {
				if slices.Contains(j.DependsOn, dependency.Name) {
					dependents = append(dependents, j.Name)
				}
			}
			if dependents != nil {
				c.Inhibit = append(c.Inhibit, inhibit{
					[]string{named(failureNames), equal("system", s.name), equal("probe", dependency.Name)},
					[]string{named(failureNames + "|" + uncertainNames), equal("system", s.name), oneOf("probe", dependents)}, nil,
				})
			}
		}
	}
	return writeYAML(f.replacing(w, each.match), routingHeader, c)
}
