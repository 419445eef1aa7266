package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
	"prober/internal/spell"
)

// A window is a time in which a system is worked on, as a file says it: from one moment to another, or weekly.
type window struct {
	From   string   `yaml:"from" doc:"When it begins, after RFC 3339: 2026-11-22T22:00:00Z."`
	To     string   `yaml:"to" doc:"When it ends, after RFC 3339."`
	Weekly string   `yaml:"weekly" doc:"In place of from and to: a weekday and two times, Sun 02:00-04:00. An end before the beginning is on the next day."`
	Zone   string   `yaml:"zone" doc:"The time zone of weekly, such as Europe/Berlin; UTC unless said."`
	Probes []string `yaml:"probes" doc:"The probes that it is about; all of the system unless said."`
	Why    string   `yaml:"why" doc:"What is done, for the people who see it."`
}

// longestWindow is how long a single window may last: what is quiet for longer is forgotten, not maintained.
const longestWindow = 31 * 24 * time.Hour

// maintain gives every job the windows that are about it. Files of one system share theirs.
func (l *loader) maintain(names map[key]*placed) {
	complete := !slices.ContainsFunc(l.pages, func(p *page) bool { return p.unread })
	known := map[string][]string{}
	for k := range names {
		known[k.system] = append(known[k.system], k.name)
	}
	for i := range l.heads {
		h := &l.heads[i]
		_, list := lookup(h.node, "maintenance")
		if list == nil || len(list.Content) != len(h.Maintenance) { // refused already
			continue
		}
		for at, w := range h.Maintenance {
			n := list.Content[at]
			parsed, ok := w.parse(func(key, format string, args ...any) {
				h.page.add(lineOf(n, key), "", "maintenance: "+format, args...)
			})
			for j, name := range w.Probes {
				if complete && names[key{h.System, name}] == nil {
					h.page.add(lineAt(n, "probes", j), "", "maintenance: probes names no probe of the system%s", spell.DidYouMean(name, known[h.System]))
				}
			}
			if ok {
				l.apply(h.System, w.Probes, parsed)
			}
			if ok && parsed.Zone == nil && time.Now().After(parsed.To) {
				m := Mistake{File: h.page.name, Line: lineOf(n, "to"), Text: "maintenance: the window is over"}
				l.doubts = append(l.doubts, m.Error())
			}
		}
	}
}

func (l *loader) apply(system string, names []string, w probe.Window) {
	for _, p := range l.entries {
		if p.job.System == system && (names == nil || slices.Contains(names, p.Name)) {
			p.job.Maintenance = append(p.job.Maintenance, w)
		}
	}
}

// parse reads a window, and reports by key what is wrong with it.
func (w window) parse(fail func(key, format string, args ...any)) (out probe.Window, ok bool) {
	ok = true
	wrong := func(key, format string, args ...any) { ok = false; fail(key, format, args...) }
	out.Why = w.Why
	if w.Why != "" && !validLabelValue(w.Why) {
		wrong("why", "why %s", labelValueRule)
	}
	if w.Probes != nil && len(w.Probes) == 0 {
		wrong("probes", "probes is empty, and would be about nothing; leave it out for all")
	}
	if w.Weekly != "" {
		if w.From != "" || w.To != "" {
			wrong("weekly", "weekly stands in place of from and to")
		}
		w.week(&out, wrong)
		return out, ok
	}
	if w.Zone != "" {
		wrong("zone", "zone is for weekly; from and to name their own offset")
	}
	moment := func(key, text string) time.Time {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			wrong(key, "%s wants a time after RFC 3339, such as 2026-11-22T22:00:00Z", key)
		}
		return at
	}
	out.From, out.To = moment("from", w.From), moment("to", w.To)
	switch length := out.To.Sub(out.From); {
	case !ok:
	case length <= 0:
		wrong("to", "to must be after from")
	case length > longestWindow:
		wrong("to", "it lasts longer than %s; alerts that are quiet so long are no use", brief(probe.Duration(longestWindow)))
	}
	return out, ok
}

var weeklyPattern = regexp.MustCompile(`^([A-Za-z]{3}) ([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})$`)

func (w window) week(out *probe.Window, wrong func(key, format string, args ...any)) {
	const rule = "weekly wants a weekday and two times, such as Sun 02:00-04:00"
	parts := weeklyPattern.FindStringSubmatch(w.Weekly)
	day := -1
	if parts != nil {
		day = slices.IndexFunc(weekdays(), func(name string) bool { return strings.EqualFold(name, parts[1]) })
	}
	if day < 0 {
		wrong("weekly", rule)
		return
	}
	out.Day = time.Weekday(day)
	opens, first := clock(parts[2], parts[3])
	closes, second := clock(parts[4], parts[5])
	if !first || !second || opens == closes || opens == 24*time.Hour {
		wrong("weekly", "%s: hours from 00 to 24, minutes from 00 to 59, and not the same twice", rule)
	}
	if closes < opens {
		closes += 24 * time.Hour
	}
	out.Opens, out.Closes, out.Zone = opens, closes, time.UTC
	if w.Zone == "" {
		return
	}
	zone, err := time.LoadLocation(w.Zone)
	if err != nil || w.Zone == "Local" { // another machine has another
		wrong("zone", "zone names no time zone; wanted one such as Europe/Berlin")
		return
	}
	out.Zone = zone
}

// weekdays are the names of the days, Sunday first.
func weekdays() []string {
	var names []string
	for day := time.Sunday; day <= time.Saturday; day++ {
		names = append(names, day.String()[:3])
	}
	return names
}

// clock returns the time since midnight of a time of day.
func clock(hour, minute string) (time.Duration, bool) {
	h, _ := strconv.Atoi(hour) // two digits both: the pattern says so
	m, _ := strconv.Atoi(minute)
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute, m < 60 && (h < 24 || h == 24 && m == 0)
}

// maintained lists a system's windows as a file says them.
func (c *Config) maintained(system string) *yaml.Node {
	var windows []probe.Window
	names, all := map[probe.Window][]string{}, 0
	for _, j := range c.Jobs {
		if j.System != system {
			continue
		}
		all++
		for _, w := range j.Maintenance {
			if names[w] == nil {
				windows = append(windows, w)
			}
			names[w] = append(names[w], j.Name)
		}
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, w := range windows {
		n := formatWindow(w)
		if len(names[w]) < all {
			only := &yaml.Node{Kind: yaml.SequenceNode}
			for _, name := range names[w] {
				only.Content = append(only.Content, word(name))
			}
			put(n, "probes", only)
		}
		list.Content = append(list.Content, n)
	}
	return list
}

// formatWindow writes a window as a file says it.
func formatWindow(w probe.Window) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	if w.Zone == nil {
		put(n, "from", word(w.From.Format(time.RFC3339)))
		put(n, "to", word(w.To.Format(time.RFC3339)))
	} else {
		put(n, "weekly", word(fmt.Sprintf("%s %s-%s", weekdays()[w.Day], formatClock(w.Opens), formatClock(w.Closes))))
		put(n, "zone", word(w.Zone.String()))
	}
	put(n, "why", word(w.Why))
	return n
}

func formatClock(d time.Duration) string {
	if d > 24*time.Hour {
		d -= 24 * time.Hour
	}
	return fmt.Sprintf("%02d:%02d", d/time.Hour, d%time.Hour/time.Minute)
}
