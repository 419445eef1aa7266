package config

import (
	"fmt"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
	"prober/internal/strictyaml"
)

// A maintenance is a time in which a system is worked on, as a file says it: from one moment to another, or weekly.
type maintenance struct {
	probe.WindowTimes `yaml:",inline"`

	Probes []string `yaml:"probes" empty:"true" doc:"The probes that it is about. By default all of the system."`
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
			wrong = append(wrong, h.mistake(path+"."+key, "%s.%s: %s", path, key, fmt.Sprintf(format, args...)))
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
			all = append(all, h.mistake(fmt.Sprintf("maintenance[%d].to", i), "maintenance[%d]: the window is over", i).Error())
		}
	}
	return all
}

// parse reads a window, and reports by key what is wrong with it.
func (m maintenance) parse(wrong func(key, format string, args ...any)) (out probe.Window) {
	if m.Why != "" && !validLabelValue(m.Why) {
		wrong("why", labelValueRule)
	}
	if m.Probes != nil && len(m.Probes) == 0 {
		wrong("probes", "is empty, and would be about nothing; leave it out for all")
	}
	out = m.Parse(wrong)
	out.Why = m.Why
	if !out.From.IsZero() && out.To.Sub(out.From) > maxWindow {
		wrong("to", "it lasts longer than %s; alerts that are quiet so long are no use", probe.Duration(maxWindow))
	}
	return out
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
		set(n, "weekly", scalar(fmt.Sprintf("%s %s-%s", w.Day.String()[:3], formatClock(w.Opens), formatClock(w.Closes))))
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
