package report

import (
	"fmt"
	"slices"
	"strings"

	"prober/internal/probe"
)

// A group is the checks of one probe that say the same of several replicas, and are told as one.
type group []probe.Check

// groups joins the checks that differ in nothing but the target. They stand where the first of them stood. Checks
// without a target are never joined.
func groups(checks []probe.Check) []group {
	var all []group
	at := map[probe.Check]int{}
	for _, c := range checks {
		if c.Target == "" {
			all = append(all, group{c})
			continue
		}
		key := impersonal(c)
		i, known := at[key]
		if !known {
			i = len(all)
			at[key] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], c)
	}
	return all
}

// told is the check as which the group is told. Of one target it is that target's own, word for word.
func (g group) told() probe.Check {
	n := len(g.targets())
	if n == 1 {
		return g[0]
	}
	c := impersonal(g[0])
	c.Target = fmt.Sprintf("at %d targets", n)
	return c
}

// targets lists the targets of which the group tells.
func (g group) targets() []string {
	var all []string
	for _, c := range g {
		if !slices.Contains(all, c.Target) {
			all = append(all, c.Target)
		}
	}
	return all
}

// impersonal is a check without its target and what it cites; the target's address in the text becomes "it". Only whole words count: 10.0.0.1:80
// is no part of 10.0.0.1:8080, and what is not surely the target itself stays as it is.
func impersonal(c probe.Check) probe.Check {
	words := strings.Split(c.Detail, " ")
	for i, word := range words {
		if core := strings.TrimRight(strings.TrimLeft(word, `("'`), `.,;:)"'`); core == c.Target {
			words[i] = strings.Replace(word, core, "it", 1)
		}
	}
	c.Target, c.TraceID, c.Detail = "", "", strings.Join(words, " ")
	return c
}
