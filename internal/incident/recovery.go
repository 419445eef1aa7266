package incident

import (
	"slices"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
	"prober/internal/text"
)

// recoveryLine says since when all failed probes pass again, or leaves the line to the person.
func (t *Tracker) recoveryLine(name string, i *incident) line {
	if i.Recovered.IsZero() {
		return line{what: recovered}
	}
	again := drop.If(slices.Clone(i.Order), func(p string) bool { return slices.Contains(i.Removed, p) })
	out := "passing again: " + text.List(again, maxNames)
	if i.PassingSince.After(i.Recovered) {
		out += "; after a gap from " + rfc3339(i.PassingSince) + " on"
	}
	if held := i.LastChecked.Sub(i.PassingSince); held > 0 {
		out += ", for " + held.Round(time.Second).String()
	}
	if len(i.Removed) > 0 {
		out += "; no longer probed: " + text.List(i.Removed, maxNames)
	}
	out += t.baselineWords(name, i)
	if bad := t.notPassing(name); len(bad) > 0 {
		out += "; not passing now: " + text.List(bad, maxNames)
	}
	return line{i.Recovered, recovered, out}
}

// baselineWords says what is back to what it was before the incident, by the probes that compare, and of what that is not
// known.
func (t *Tracker) baselineWords(name string, i *incident) (out string) {
	for _, j := range t.jobs {
		p, compares := j.Probe.(probe.BaselineComparer)
		last, ran := t.latest[name][j.Name]
		if j.System != name || !compares || len(p.Compared()) == 0 || !ran || last.at.Before(i.Recovered) {
			continue
		}
		what := text.List(p.Compared(), maxNames) + " (" + j.Name
		switch last.verdict {
		case probe.Pass:
			out += "; back to baseline: " + what + ")"
		case probe.Inconclusive:
			out += "; not known to be back to baseline: " + what + ", " + last.reason.Word + ")"
		}
	}
	return out
}

// notPassing names the probes whose last run did not pass.
func (t *Tracker) notPassing(name string) (bad []string) {
	for _, j := range t.jobs {
		if last, ran := t.latest[name][j.Name]; j.System == name && ran && last.verdict != probe.Pass {
			bad = append(bad, j.Name)
		}
	}
	return bad
}
