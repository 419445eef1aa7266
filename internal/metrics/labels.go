package metrics

import (
	"slices"
	"strings"

	"prober/internal/exposition"
	"prober/internal/probe"

	"github.com/prometheus/common/model"
)

// ownLabels are the names that series of a probe use themselves.
var ownLabels = []string{
	"system", "probe", "type", "verdict", "check", "reason", "target", "phase", "code", "version",
	"runbook", "severity", "runbook_url", "le", "quantile",
}

// baseLabels returns the labels that every series of a job has. A configured label that would clash with one of a
// series' own is shown as exported_NAME, as Prometheus does when labels clash. It also returns how many configured
// labels had to be left out.
func baseLabels(job probe.Job) (exposition.Labels, int) {
	pairs := []exposition.Label{
		{Name: "system", Value: valid(job.System)}, {Name: "probe", Value: valid(job.Name)}, {Name: "type", Value: valid(job.Type)},
	}
	left := 0
	for name, value := range job.Labels {
		as := name
		if slices.Contains(ownLabels, name) {
			as = model.ExportedLabelPrefix + name
		}
		if _, taken := job.Labels[as]; !labelName(as) || taken && as != name {
			left++
			continue
		}
		pairs = append(pairs, exposition.Label{Name: as, Value: valid(value)})
	}
	return exposition.NewLabels(pairs), left
}

// labelName reports whether name may name a label that a person configures.
func labelName(name string) bool {
	return model.LegacyValidation.IsValidLabelName(name) && !strings.HasPrefix(name, "__")
}

// metricName reports whether name may name a series.
func metricName(name string) bool {
	return model.LegacyValidation.IsValidMetricName(name)
}

// valid returns a text of the configuration as valid UTF-8, without which no scrape could be read.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// labelValue returns a value that may come from a target in the form in which it may be a label.
func labelValue(value string) string {
	if value == "" {
		return ""
	}
	return probe.Label(value)
}

// unfit reports whether a value was not made fit for a label, as Result.Measure does.
func unfit(value string) bool {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return true
		}
	}
	return len(value) > 128
}
