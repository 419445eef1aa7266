package metrics

import (
	"cmp"
	"slices"
	"strings"

	"prober/internal/probe"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
)

// A pair is one label.
type pair struct{ name, value string }

// labels are the labels of a series or the first of them, rendered once for each format.
type labels struct {
	text  string // a="1",b="2"; escaped
	wire  string // Metric.label in protobuf
	names []string
}

// ownLabels are the names that series of a probe use themselves.
var ownLabels = []string{
	"system", "probe", "type", "verdict", "check", "reason", "target", "phase", "code", "version",
	"runbook", "severity", "runbook_url", "le", "quantile",
}

// newLabels sorts the labels by name. Labels without a value are left out: to Prometheus they are the same as none.
func newLabels(pairs []pair) labels {
	pairs = slices.DeleteFunc(pairs, func(p pair) bool { return p.value == "" })
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.name, b.name) })
	var text, wire []byte
	l := labels{names: make([]string, len(pairs))}
	for i, p := range pairs {
		l.names[i] = p.name
		text = appendLabel(text, p.name, p.value)
		wire = appendWire(wire, &dto.LabelPair{Name: &p.name, Value: &p.value})
	}
	l.text, l.wire = string(text), string(wire)
	return l
}

// has reports whether a label of that name is among them.
func (l labels) has(name string) bool { return slices.Contains(l.names, name) }

// baseLabels returns the labels that every series of a job has. A configured label that would clash with one of a
// series' own is shown as exported_NAME, as Prometheus does when labels clash. It also returns how many configured
// labels had to be left out.
func baseLabels(job probe.Job) (labels, int) {
	pairs := []pair{{"system", valid(job.System)}, {"probe", valid(job.Name)}, {"type", valid(job.Type)}}
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
		pairs = append(pairs, pair{as, valid(value)})
	}
	return newLabels(pairs), left
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

// appendLabel appends a label to others in text form.
func appendLabel(b []byte, name, value string) []byte {
	if len(b) > 0 && b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, name...)
	b = append(b, '=', '"')
	b = appendEscaped(b, value, true)
	return append(b, '"')
}

// appendEscaped appends a text as a label value, or as the help of a family, where text format 0.0.4 leaves double
// quotes alone.
func appendEscaped(b []byte, text string, quotes bool) []byte {
	from := 0
	for i := range len(text) {
		c := text[i]
		if c != '\\' && c != '\n' && (c != '"' || !quotes) {
			continue
		}
		b = append(b, text[from:i]...)
		if c == '\n' {
			c = 'n'
		}
		b = append(b, '\\', c)
		from = i + 1
	}
	return append(b, text[from:]...)
}
