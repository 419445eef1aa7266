package probe

import (
	"fmt"
	"slices"
	"strings"
)

// RootCauses parts checks that did not pass into causes and their consequences. A check is a consequence if it only
// lacks a control while another check failed, or if it is inconclusive because of an exchange that another check
// cites already. A single consequence is kept among the causes, where it has a sentence of its own.
func RootCauses(notPassed []Check) (causes, consequences []Check) {
	failed := slices.ContainsFunc(notPassed, func(c Check) bool { return c.Verdict == Fail })
	citedBy := map[string]string{} // the first check that cites an exchange, by trace id
	for _, c := range notPassed {
		first := citedBy[c.TraceID]
		repeats := first != "" && first != c.Name
		if c.Verdict != Fail && (repeats || failed && c.Reason == ControlFailed) {
			consequences = append(consequences, c)
			continue
		}
		causes = append(causes, c)
		if c.TraceID != "" && first == "" {
			citedBy[c.TraceID] = c.Name
		}
	}
	if !slices.ContainsFunc(consequences, func(c Check) bool { return c.Name != consequences[0].Name }) {
		return notPassed, nil
	}
	return causes, consequences
}

// maxNamedTargets bounds the targets that DescribeConsequences names of one check.
const maxNamedTargets = 3

// DescribeConsequences lists the consequences by the names of their checks. A check that is among the causes too is
// named with the targets at which it is a consequence.
func DescribeConsequences(causes, consequences []Check) string {
	var names []string
	for i, c := range consequences {
		if slices.ContainsFunc(consequences[:i], func(o Check) bool { return o.Name == c.Name }) {
			continue
		}
		name := c.Name
		if slices.ContainsFunc(causes, func(o Check) bool { return o.Name == c.Name }) {
			name += targetsOf(c.Name, consequences)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// targetsOf lists the targets of the checks of that name in parentheses.
func targetsOf(name string, checks []Check) string {
	var targets []string
	for _, c := range checks {
		if c.Name == name && c.Target != "" && !slices.Contains(targets, c.Target) {
			targets = append(targets, c.Target)
		}
	}
	switch more := len(targets) - maxNamedTargets; {
	case len(targets) == 0:
		return ""
	case more > 0:
		return fmt.Sprintf(" (%s and %d more)", strings.Join(targets[:maxNamedTargets], ", "), more)
	}
	return " (" + strings.Join(targets, ", ") + ")"
}
