package alerts

import (
	"fmt"
	"io"
	"slices"
)

// What Alertmanager reads.
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

const routingHead = `Made by "prober rules --alertmanager" from the configuration of the prober. The receivers are empty: say under each how it
# reaches people. A page that nobody answers is sent again every five minutes; hand it on as the annotation escalate says.`

// Names of alerts that belong together.
const (
	troubled = "ProbeDown|ProbeFailing|ProbeLivenessCoupled|ProbeNotReady|ProbeReadinessLies|ProbeReplicasMissing|ProbeValidRejected|ProbeWaitsForDependency"
	breached = "ProbeAuthBypass|ProbeBreach|ProbeSecretPublished"
	doubtful = "ProbeInconclusive|ProbeIsolationUnproven|ProbeNeverPassed|ProbePathProblem|ProbeSignalAbsent|ProbeSlow|ProbeStale"
)

// WriteRouting writes the routes and inhibitions for Alertmanager: what is urgent goes out at once and again, and what
// something greater explains waits for that. A breach is explained by nothing. The error is the writer's.
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
			{[]string{`alertname="SystemDown"`}, []string{named(troubled + "|" + doubtful + "|SystemErrorRate")}, []string{"system"}},
			{[]string{`alertname="ProberBlind"`}, []string{named("ProbeInconclusive|ProbeSignalAbsent|ProberLocationBlind")}, nil},
			{[]string{named(troubled + "|" + breached)}, []string{named(doubtful)}, []string{"system", "probe"}},
			{[]string{`alertname="ProbeNeverPassed"`}, []string{`alertname="ProbeInconclusive"`}, []string{"system", "probe"}},
			{[]string{named(troubled)}, []string{`alertname="SystemErrorRate"`}, []string{"system", "runbook"}},
			{[]string{named(troubled + "|" + breached), `severity="critical"`}, []string{named(troubled), `severity=~"warning|info"`}, []string{"system", "probe"}},
		},
	}
	for _, s := range f.systems {
		for _, needed := range s.jobs {
			var leaning []string
			for _, j := range s.jobs {
				if slices.Contains(j.DependsOn, needed.Name) {
					leaning = append(leaning, j.Name)
				}
			}
			if leaning != nil {
				c.Inhibit = append(c.Inhibit, inhibit{
					[]string{named(troubled), equal("system", s.name), equal("probe", needed.Name)},
					[]string{named(troubled + "|" + doubtful), equal("system", s.name), oneOf("probe", leaning)}, nil,
				})
			}
		}
	}
	return writeYAML(w, routingHead, c)
}
