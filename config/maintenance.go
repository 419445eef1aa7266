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
	"prober/internal/strictyaml"
)

// A maintenance is a time in which a system is worked on, as a file says it: from one moment to another, or weekly.
type maintenance struct {
	From   string   `yaml:"from" doc:"Start, by RFC 3339: 2026-11-22T22:00:00Z."`
	To     string   `yaml:"to" doc:"End, by RFC 3339."`
	Weekly string   `yaml:"weekly" doc:"Instead of from and to: a weekday and two times, Sun 02:00-04:00. An end before the start is on the next day."`
	Zone   string   `yaml:"zone" default:"UTC" doc:"The time zone of weekly, such as Europe/Berlin."`
	Probes []string `yaml:"probes" doc:"The probes that it is about. By default all of the system."`
	Why    string   `yaml:"why" doc:"Shown on the page and in the incident note."`
}

// A systemWindow is a maintenance window of a system, of all its probes if none is named.
type systemWindow struct {
	probe.Window
	probes []string
}

// maxWindow is how long a single window may last: what is quiet for longer is forgotten, not maintained.
const maxWindow = 31 * 24 * time.Hour

// readWindows reads the windows of a file. Those that are wrong are left out.
func (h *fileHeader) readWindows(unread []strictyaml.Mistake) (wrong Errors) {
	for i, m := range h.Maintenance {
		path := fmt.Sprintf("maintenance[%d]", i)
		if slices.ContainsFunc(unread, func(m strictyaml.Mistake) bool { return m.Path == path }) {
			continue
		}
		before := len(wrong)
		w := m.parse(func(key, format string, args ...any) {
			wrong = append(wrong, h.mistake(path+"."+key, "maintenance: "+format, args...))
		})
		if len(wrong) == before {
			h.windows = append(h.windows, systemWindow{w, m.Probes})
		}
	}
	return wrong
}

// pastWindows warns of windows that are over.
func (h *fileHeader) pastWindows() (all []string) {
	for i, w := range h.windows {
		if w.Zone == nil && time.Now().After(w.To) {
			all = append(all, h.mistake(fmt.Sprintf("maintenance[%d].to", i), "maintenance: the window is over").Error())
		}
	}
	return all
}

// parse reads a window, and reports by key what is wrong with it.
func (m maintenance) parse(wrong func(key, format string, args ...any)) (out probe.Window) {
	out.Why = m.Why
	if m.Why != "" && !validLabelValue(m.Why) {
		wrong("why", "why %s", labelValueRule)
	}
	if m.Probes != nil && len(m.Probes) == 0 {
		wrong("probes", "probes is empty, and would be about nothing; leave it out for all")
	}
	if m.Weekly != "" {
		if m.From != "" || m.To != "" {
			wrong("weekly", "weekly is in place of from and to")
		}
		m.week(&out, wrong)
		return out
	}
	if m.Zone != "" {
		wrong("zone", "zone is for weekly; from and to name their own offset")
	}
	known := true
	moment := func(key, text string) time.Time {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			known = false
			wrong(key, "%s wants a time after RFC 3339, such as 2026-11-22T22:00:00Z", key)
		}
		return at
	}
	out.From, out.To = moment("from", m.From), moment("to", m.To)
	switch length := out.To.Sub(out.From); {
	case !known:
	case length <= 0:
		wrong("to", "to must be after from")
	case length > maxWindow:
		wrong("to", "it lasts longer than %s; alerts that are quiet so long are no use", probe.Duration(maxWindow))
	}
	return out
}

var weeklyPattern = regexp.MustCompile(`^([A-Za-z]{3}) ([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})$`)

func (m maintenance) week(out *probe.Window, wrong func(key, format string, args ...any)) {
	const rule = "weekly wants a weekday and two times, such as Sun 02:00-04:00"
	parts := weeklyPattern.FindStringSubmatch(m.Weekly)
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
	if m.Zone == "" {
		return
	}
	zone, err := time.LoadLocation(m.Zone)
	if err != nil || m.Zone == "Local" { // another machine has another
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
				only.Content = append(only.Content, scalar(name))
			}
			set(n, "probes", only)
		}
		list.Content = append(list.Content, n)
	}
	return list
}

// formatWindow writes a window as a file says it.
func formatWindow(w probe.Window) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	if w.Zone == nil {
		set(n, "from", scalar(w.From.Format(time.RFC3339)))
		set(n, "to", scalar(w.To.Format(time.RFC3339)))
	} else {
		set(n, "weekly", scalar(fmt.Sprintf("%s %s-%s", weekdays()[w.Day], formatClock(w.Opens), formatClock(w.Closes))))
		set(n, "zone", scalar(w.Zone.String()))
	}
	set(n, "why", scalar(w.Why))
	return n
}

func formatClock(d time.Duration) string {
	if d > 24*time.Hour {
		d -= 24 * time.Hour
	}
	return fmt.Sprintf("%02d:%02d", d/time.Hour, d%time.Hour/time.Minute)
}
