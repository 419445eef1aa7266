package public

import (
	"fmt"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// A state is how a component does. The zero value is unknown.
type state int

const (
	unknown state = iota
	operational
	inMaintenance
	disrupted
	outage
)

// Its word in status.json and in the style, and its words for people.
var (
	stateNames = [...]string{unknown: "unknown", operational: "operational", inMaintenance: "maintenance", disrupted: "disrupted", outage: "outage"}
	stateWords = [...]string{
		unknown: "Status not known", operational: "Operational", inMaintenance: "Under maintenance",
		disrupted: "Partly unavailable", outage: "Unavailable",
	}
)

// staleGrace is how much longer than two intervals a run may be ago before its verdict no longer counts.
const staleGrace = 15 * time.Second

// counts reports whether the verdict of a last run still counts.
func counts(r probe.LastRun, now time.Time) bool {
	age := now.Sub(r.At)
	return !r.At.IsZero() && age <= 2*r.Interval+staleGrace && age >= -time.Minute // before 0: the clock was set
}

// judge returns how a component does, and since when if one of its probes fails. It works only if every probe has just passed.
func judge(runs []probe.LastRun, now time.Time) (s state, since probe.Since) {
	passed, failed := 0, 0
	for _, r := range runs {
		if !counts(r, now) {
			continue
		}
		switch r.Verdict {
		case probe.Pass:
			passed++
		case probe.Fail:
			failed++
			if since.At.IsZero() || r.Since.At.Before(since.At) {
				since = r.Since
			}
		}
	}
	switch {
	case failed > 0 && failed == len(runs):
		return outage, since
	case failed > 0:
		return disrupted, since
	case passed > 0 && passed == len(runs):
		return operational, since
	}
	return unknown, since
}

// sentence says how all components do.
func sentence(parts []part) (s state, words string) {
	var n [len(stateNames)]int
	var named string
	for _, p := range parts {
		n[p.state]++
		if p.state == disrupted || p.state == outage {
			named = p.Name + map[state]string{disrupted: " is partly unavailable", outage: " is unavailable"}[p.state]
		}
	}
	all := len(parts)
	notKnown := ""
	if n[unknown] > 0 {
		notKnown = fmt.Sprintf("The status of %d of %s is not known", n[unknown], text.Count(all, "component"))
	}
	switch bad := n[disrupted] + n[outage]; {
	case n[outage] == all && all > 1:
		return outage, "All components are unavailable"
	case bad == 1:
		words = named
	case bad > 1:
		words = fmt.Sprintf("%d of %d components have problems", bad, all)
	case n[unknown] == all:
		return unknown, "The current status is not known"
	case n[unknown] > 0:
		return unknown, notKnown
	case n[inMaintenance] > 0:
		return inMaintenance, "Maintenance is in progress"
	default:
		return operational, "All components are operational"
	}
	if notKnown != "" {
		words += ". " + notKnown
	}
	if n[outage] > 0 {
		return outage, words
	}
	return disrupted, words
}
