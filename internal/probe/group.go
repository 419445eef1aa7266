package probe

import (
	"slices"
	"strings"
)

// CheckGroup are checks of one run that say the same of several targets, and can be told as one.
type CheckGroup []Check

// GroupChecks joins the checks that differ in nothing but the target and the exchange that they rest on. They stand where the
// first of them stood. Checks without a target are never joined.
func GroupChecks(checks []Check) []CheckGroup {
	var all []CheckGroup
	at := map[Check]int{}
	for _, c := range checks {
		if c.Target == "" {
			all = append(all, CheckGroup{c})
			continue
		}
		key := withoutTarget(c)
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

// Check returns the check as which all are told: of one target its own, word for word, and of several one without a
// target, in whose text the target's address is "it".
func (a CheckGroup) Check() Check {
	if len(a.Targets()) == 1 {
		return a[0]
	}
	return withoutTarget(a[0])
}

// Targets lists the targets of which they tell, each once; an empty one for a check without.
//
//go:noinline
func (a CheckGroup) Targets() []string {
	var all []string
	for _, c := range a {
		if !slices.Contains(all, c.Target) {
			all = append(all, c.Target)
		}
	}
	return all
}

// withoutTarget is a check without its target and what it cites; the target's address in the text becomes "it". Only whole
// words count: 10.0.0.1:80 is no part of 10.0.0.1:8080, and what is not surely the target itself stays as it is. Of a
// target such as proxy/10.0.0.1:80 the address may stand alone.
func withoutTarget(c Check) Check {
	address := c.Target[strings.LastIndexByte(c.Target, '/')+1:]
	if !strings.Contains(address, ":") {
		address = c.Target
	}
	words := strings.Split(c.Detail, " ")
	for i, word := range words {
		if core := strings.TrimRight(strings.TrimLeft(word, `("'`), `.,;:)"'`); core != "" && (core == c.Target || core == address) {
			words[i] = strings.Replace(word, core, "it", 1)
		}
	}
	c.Target, c.TraceID, c.Detail = "", "", strings.Join(words, " ")
	return c
}
