package incident

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/text"
)

// Template is the note of the runbook, word for word.
const Template = `## Incident
Start time:
Severity:
Impact:
Services affected:
## Timeline
- [time] observed symptom
- [time] hypothesis + check
- [time] mitigation applied
- [time] recovery verified
`

// Note writes the incident of a system after Template, or the empty template if there is none. Lines that only a
// person can fill in stay as in the template.
func (t *Tracker) Note(name string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.systems[name]
	if s == nil || s.Incident == nil {
		return Template
	}
	return t.note(name, s, s.Incident)
}

// note writes one incident of a system. The lock is held.
func (t *Tracker) note(name string, s *system, i *incident) string {
	lines := append(i.symptomLines(), t.scopeLines(name, i)...)
	lines = append(append(lines, s.deployLines(i)...), t.nearLines(name, s, i)...)
	for p, b := range s.Breaches {
		text := fmt.Sprintf("%s saw %s, last at %s; not being reproducible now does not undo it", p, b.Reason, rfc3339(b.Last))
		if a := b.Acknowledged; !a.At.IsZero() {
			text += fmt.Sprintf("; acknowledged at %s by %s: %s", rfc3339(a.At), a.By, a.Why)
		}
		lines = append(lines, line{b.First, observed, text})
	}
	sorted.By(lines, line.compare)
	lines = append(lines, line{what: mitigation}, t.recoveryLine(name, i))

	var b strings.Builder
	b.WriteString("## Incident\n")
	for _, head := range [][2]string{
		{"Start time:", rfc3339(i.Start)}, {"Severity:", i.worstSeverity()}, {"Impact:", t.impact(name, i)},
		{"Services affected:", name + ": " + strings.Join(i.Order, ", ")},
	} {
		b.WriteString(strings.TrimSpace(head[0]+" "+oneLine(head[1])) + "\n")
	}
	b.WriteString("## Timeline\n")
	for _, l := range lines {
		b.WriteString(l.String() + "\n")
	}
	b.WriteString(t.publicNotice(name, i))
	return b.String()
}

// A line is one line of the timeline. Without a time it is the template's own, for a person to fill in.
type line struct {
	at         time.Time
	what, text string
}

// The kinds of lines, in the words of the template.
const (
	observed   = "observed symptom"
	checked    = "hypothesis + check"
	mitigation = "mitigation applied"
	recovered  = "recovery verified"
)

// compare orders by time as shown; within one second symptoms come before hypotheses.
func (l line) compare(other line) int {
	rank := func(l line) int { return slices.Index([]string{observed, checked, mitigation}, l.what) }
	return cmp.Or(cmp.Compare(l.at.Unix(), other.at.Unix()), cmp.Compare(rank(l), rank(other)), cmp.Compare(l.text, other.text))
}

func (l line) String() string {
	if l.at.IsZero() {
		return "- [time] " + l.what
	}
	return fmt.Sprintf("- [%s] %s: %s", rfc3339(l.at), l.what, oneLine(l.text))
}

// htmlTag is what Markdown reads as the start of HTML.
var htmlTag = regexp.MustCompile(`<([A-Za-z/!?])`)

// oneLine keeps a text on one line and free of HTML and links. Results are clean already, but the stored file may have
// been edited.
func oneLine(s string) string {
	return strings.ReplaceAll(htmlTag.ReplaceAllString(text.Line(s), `\<$1`), "](", `]\(`)
}

// Notes writes the incident of a system or, for "", those of all systems that have one, the open ones first. Without an
// incident it is the empty template.
func (t *Tracker) Notes(system string) string {
	if system != "" {
		return t.Note(system)
	}
	var notes []string
	for _, name := range t.Systems() {
		notes = append(notes, t.Note(name))
	}
	if notes == nil {
		return Template
	}
	return strings.Join(notes, "\n")
}

// Systems names the systems that have an incident, open ones first.
func (t *Tracker) Systems() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var names []string
	for name, s := range t.systems {
		if s.Incident != nil {
			names = append(names, name)
		}
	}
	sorted.By(names, func(a, b string) int {
		open := func(name string) int { return -min(len(t.systems[name].Incident.Open), 1) }
		return cmp.Or(cmp.Compare(open(a), open(b)), cmp.Compare(a, b))
	})
	return names
}

func rfc3339(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// worstSeverity is the most urgent severity of the probes.
func (i *incident) worstSeverity() string {
	var all []string
	for _, p := range i.Order {
		if level := i.Severity[p]; level != "" {
			all = append(all, level)
		}
	}
	if all == nil {
		return ""
	}
	return slices.MinFunc(all, func(a, b string) int {
		rank := func(word string) int {
			if level, ok := probe.SeverityLevel(word); ok {
				return level
			}
			return math.MaxInt
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
}

// impact says how many probes and targets of the system failed.
func (t *Tracker) impact(name string, i *incident) string {
	all := 0
	for _, j := range t.jobs {
		if j.System == name {
			all++
		}
	}
	failed := len(i.Order) + i.NotKept
	text := fmt.Sprintf("%d of %s failed", failed, text.Count(max(all, failed), "probe"))
	for _, j := range t.jobs {
		if words := j.Impact(); j.System == name && words != "" && slices.Contains(i.Order, j.Name) && !strings.Contains(text, "; "+words) {
			text += "; " + words
		}
	}
	for _, p := range i.Order {
		if s := i.Symptoms[p]; s.Targets > 1 && len(s.Failed) > 0 {
			text += fmt.Sprintf("; %s: %d of %d targets", p, len(s.Failed), s.Targets)
		}
	}
	return text
}

// symptomLines lists the first failure of each probe.
func (i *incident) symptomLines() (lines []line) {
	for _, p := range i.Order {
		lines = append(lines, line{i.Symptoms[p].At, observed, i.Symptoms[p].sentence(p)})
	}
	if i.NotKept > 0 {
		lines = append(lines, line{i.Start, observed, fmt.Sprintf("and %s more, which were not kept", text.Count(i.NotKept, "probe"))})
	}
	return lines
}

func (s symptom) sentence(p string) string {
	text := p + " " + s.Check
	if s.Target != "" {
		text += " at " + s.Target
	}
	text += fmt.Sprintf(": %s (%s)", s.Detail, s.Reason)
	if s.Trace != "" {
		text += ", trace " + s.Trace
	}
	if s.Version != "" {
		text += ", version `" + s.Version + "`"
	}
	if s.LastGoodVersion != "" {
		text += ", last version that passed `" + s.LastGoodVersion + "`"
	}
	return text
}

// scopeLines answers the runbook's questions about the scope: how many targets fail, and whether the prober itself is at
// fault.
func (t *Tracker) scopeLines(name string, i *incident) (lines []line) {
	for _, p := range i.Order {
		switch s := i.Symptoms[p]; {
		case s.Targets > 1 && len(s.Failed) == s.Targets:
			lines = append(lines, line{s.At, checked, fmt.Sprintf("%s fails at all of its %d targets", p, s.Targets)})
		case s.Targets > 1 && len(s.Failed) > 0:
			lines = append(lines, line{s.At, checked, fmt.Sprintf("%s does not fail everywhere: at %d of %d targets (%s)", p, len(s.Failed), s.Targets, text.List(s.Failed, maxNames))})
		}
	}
	var well, lost []string
	var seen time.Time
	for _, j := range t.jobs {
		if j.System != name {
			continue
		}
		if at, is := i.Passing[j.Name]; is {
			well, seen = append(well, j.Name), later(seen, at)
		}
		if at, is := i.NoNetwork[j.Name]; is {
			lost, seen = append(lost, j.Name), later(seen, at)
		}
		if s, part := i.Symptoms[j.Name]; part {
			lines = append(lines, maintenanceLine(j, s.At)...)
		}
	}
	switch {
	case len(lost) > 0:
		lines = append(lines, line{seen, checked, "the prober's own network may be at fault: " + text.List(lost, maxNames) + " inconclusive"})
	case len(well) > 0:
		lines = append(lines, line{seen, checked, "not the prober's own network: passing from here: " + text.List(well, maxNames)})
	}
	if region := t.region(name); region != "" {
		lines = append(lines, line{i.Start, checked, "seen from region " + region + "; ask the probers of the others"})
	}
	return lines
}

// maintenanceLine says that a probe failed during a maintenance window.
func maintenanceLine(j probe.Job, at time.Time) []line {
	w, until, open := j.Maintained(at)
	if !open {
		return nil
	}
	text := j.Name + " was in maintenance then, until " + rfc3339(until)
	if w.Why != "" {
		text += " (" + w.Why + ")"
	}
	return []line{{at, checked, text}}
}

// region is the configured label region of the system's probes, if all have the same.
func (t *Tracker) region(name string) string {
	var regions []string
	for _, j := range t.jobs {
		if j.System == name && !slices.Contains(regions, j.Labels["region"]) {
			regions = append(regions, j.Labels["region"])
		}
	}
	if len(regions) != 1 {
		return ""
	}
	return regions[0]
}

// nearOnset is how long before the first failure a deploy counts as near the onset: «If a rollout started near onset».
const nearOnset = 30 * time.Minute

// deployLines lists the changes of versions, shortly before the first failure and after it. Whether one of them was the
// cause or the mitigation is for a person to say: a target may report any version.
func (s *system) deployLines(i *incident) (lines []line) {
	for _, c := range s.Changes {
		switch {
		case c.At.After(i.Start):
			lines = append(lines, line{c.At, checked, "another version after the onset: " + c.sentence()})
		case i.Start.Sub(c.At) <= nearOnset:
			lines = append(lines, line{c.At, checked, "deploy near onset: " + c.sentence()})
		}
	}
	return lines
}

func (c change) sentence() string {
	where := c.Probe
	if c.Target != "" {
		where += " at " + c.Target
	}
	return fmt.Sprintf("%s went from version `%s` to `%s`", where, c.From, c.To)
}

// maxNames is how many names a sentence holds.
const maxNames = 6

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
