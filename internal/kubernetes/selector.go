package kubernetes

import (
	"regexp"
	"strings"

	"prober/internal/probe"
	"prober/internal/sorted"
)

// A Selector selects objects by their labels.
type Selector struct {
	MatchLabels      map[string]string `json:"matchLabels"`
	MatchExpressions []Expression      `json:"matchExpressions"`
}

// An Expression is what the value of a label must be, or must not be.
type Expression struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"` // In, NotIn, Exists or DoesNotExist
	Values   []string `json:"values"`
}

// labelText is what keys and values of labels are made of. It keeps apart what the syntax of queries would join.
var labelText = regexp.MustCompile(`^[-A-Za-z0-9_./]*$`)

// query writes the selector for a list. One that selects nothing in particular is refused: it would be every object of the
// namespace.
func (s Selector) query() (string, probe.Outcome) {
	var terms []string
	for _, key := range sorted.Keys(s.MatchLabels) {
		terms = append(terms, key+"="+s.MatchLabels[key])
	}
	for _, e := range s.MatchExpressions {
		switch e.Operator {
		case "In":
			terms = append(terms, e.Key+" in ("+strings.Join(e.Values, ",")+")")
		case "NotIn":
			terms = append(terms, e.Key+" notin ("+strings.Join(e.Values, ",")+")")
		case "Exists":
			terms = append(terms, e.Key)
		case "DoesNotExist":
			terms = append(terms, "!"+e.Key)
		default:
			return "", probe.Outcomef(probe.Schema, "expected a selector with the operators In, NotIn, Exists and DoesNotExist, got another")
		}
	}
	if len(terms) == 0 {
		return "", probe.Outcomef(probe.Schema, "expected a selector of labels, got an empty one")
	}
	if !s.plain() {
		return "", probe.Outcomef(probe.Schema, "expected a selector of labels, got characters that no label has")
	}
	return strings.Join(terms, ","), probe.Outcome{Reason: probe.OK}
}

func (s Selector) plain() bool {
	for key, value := range s.MatchLabels {
		if key == "" || !labelText.MatchString(key) || !labelText.MatchString(value) {
			return false
		}
	}
	for _, e := range s.MatchExpressions {
		if e.Key == "" || !labelText.MatchString(e.Key) || !labelText.MatchString(strings.Join(e.Values, "")) {
			return false
		}
	}
	return true
}
