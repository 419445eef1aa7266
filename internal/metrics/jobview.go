package metrics

import (
	"strings"

	"prober/internal/exposition"
	"prober/internal/probe"
	"prober/internal/sorted"
)

// A jobView is what the configuration says about the series of a probe. It is immutable.
type jobView struct {
	labels                 exposition.Labels
	runbook, severity, url string
	interval               float64 // seconds
	maintenance            []probe.Window
	signals                []signal
}

// A signal is a series that follows one check.
type signal struct {
	check   string
	name    string
	labels  exposition.Labels
	targets probe.SignalTargets
}

// replica is the label that tells the targets of one signal apart.
const replica = "replica"

// newJobView returns the view of a job and how many of its signals and labels cannot be shown. Two signals with the same
// name and labels would make every scrape invalid: the first one wins, and taken records the series in use. Labels that others have
// too are shared with them.
func newJobView(job *probe.Job, own, taken map[string]bool, others []exposition.Labels) (*jobView, int) {
	base, dropped := baseLabels(job, others)
	v := &jobView{
		labels: base, runbook: valid(job.Runbook), severity: valid(job.Severity), url: valid(job.RunbookURL),
		interval: job.Interval.Seconds(), maintenance: job.Maintenance,
	}
	for _, check := range sorted.Keys(job.Signals) {
		configured := job.Signals[check]
		var pairs []exposition.Label
		for name, value := range configured.Labels {
			if !labelName(name) {
				dropped++
				continue
			}
			pairs = append(pairs, exposition.Label{Name: name, Value: valid(value)})
		}
		s := signal{check: labelValue(check), name: configured.Name, labels: exposition.NewLabels(pairs), targets: configured.Targets}
		series := s.name + "{" + s.labels.String() + "}"
		if taken[series] || own[s.name] || !signalName(s.name) {
			dropped++
			continue
		}
		taken[series] = true
		v.signals = append(v.signals, s)
	}
	return v, dropped
}

// follows reports whether a signal follows the check.
func (v *jobView) follows(check string) bool {
	for i := range v.signals {
		if v.signals[i].check == check {
			return true
		}
	}
	return false
}

// signalName reports whether a signal may have that name. The prober's own prefixes are reserved.
func signalName(name string) bool {
	for _, own := range []string{"probe_", "prober_", "promhttp_"} {
		if strings.HasPrefix(name, own) {
			return false
		}
	}
	return metricName(name)
}
