package config

import (
	"maps"
	"regexp"
	"slices"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// reserved are the labels that the prober's own series carry, and those that Prometheus gives to what it scrapes: a
// second label of one name would break the series or be renamed.
var reserved = []string{
	"system", "probe", "type", "check", "target", "reason", "verdict", "runbook", "runbook_url", "severity", "phase",
	"code", "version", "state", "replica", "url", "kid", "source", "step", "trace_id", "le", "quantile", "job", "instance",
	"case", "outcome", "fixture", "why", "a", "b", "surface", "alertname", "alertstate", "runbook_severity",
}

var labelPattern = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func validLabelName(name string) bool {
	return len(name) <= 64 && labelPattern.MatchString(name) && (len(name) < 2 || name[:2] != "__")
}

const (
	labelNameRule  = `wants letters, digits and "_", neither a digit nor "__" first, at most 64`
	labelValueRule = "wants 1 to 128 printable characters"
)

// validLabelValue tells whether a value may become a label: an empty one is no label at all to Prometheus, and one
// that cannot be printed is nothing to search for.
func validLabelValue(value string) bool {
	n := utf8.RuneCountInString(value)
	for _, c := range value {
		if !unicode.IsPrint(c) || c == utf8.RuneError {
			return false
		}
	}
	return 1 <= n && n <= 128
}

// checkLabels refuses constant labels that cannot be on a series.
func checkLabels(labels map[string]string, n *yaml.Node, fail func(line int, format string, args ...any)) {
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		line := lineOf(n, "labels", name)
		switch {
		case !validLabelName(name):
			fail(line, "labels.%s: the name %s", shown(name), labelNameRule)
		case slices.Contains(reserved, name):
			fail(line, "labels.%s: the name is taken, by the prober or by Prometheus", name)
		}
		if value := labels[name]; !validLabelValue(value) {
			fail(line, "labels.%s: %s", shown(name), labelValueRule)
		}
	}
}
