package metrics

import (
	"slices"
	"strings"

	"prober/internal/exposition"
	"prober/internal/probe"

	"github.com/prometheus/common/model"
)

// baseLabels returns the labels that every series of a job has. A configured label that would clash with one of a
// series' own is shown as exported_NAME, as Prometheus does when labels clash. It also returns how many configured
// labels had to be dropped. What others have too is shared with them.
func baseLabels(job *probe.Job, others []exposition.Labels) (exposition.Labels, int) {
	pairs := []exposition.Label{
		{Name: "system", Value: valid(job.System)}, {Name: "probe", Value: valid(job.Name)}, {Name: "type", Value: valid(job.Type)},
	}
	dropped := 0
	for name, value := range job.Labels {
		as := name
		if slices.Contains(probe.ReservedLabels[:], name) {
			as = model.ExportedLabelPrefix + name
		}
		if _, taken := job.Labels[as]; !labelName(as) || taken && as != name {
			dropped++
			continue
		}
		pairs = append(pairs, exposition.Label{Name: as, Value: valid(value)})
	}
	return exposition.NewLabels(pairs, others...), dropped
}

// labelName reports whether name is valid for a configured label.
func labelName(name string) bool {
	return model.LegacyValidation.IsValidLabelName(name) && !strings.HasPrefix(name, "__")
}

// metricName reports whether name is a valid metric name.
func metricName(name string) bool {
	return model.LegacyValidation.IsValidMetricName(name)
}

// valid returns a text of the configuration as valid UTF-8: one invalid byte makes a whole scrape unreadable.
//
//go:noinline
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// labelValue returns a value that may come from a target in a form that is safe as a label.
//
//go:noinline
func labelValue(value string) string {
	if value == "" {
		return ""
	}
	return probe.Label(value)
}

// invalidLabelValue reports whether a value did not pass through labelValue or Result.Measure.
func invalidLabelValue(value string) bool {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return true
		}
	}
	return len(value) > 128
}
