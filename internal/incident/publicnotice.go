package incident

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
)

// publicNotice is a text for customers, ready for the file of notices of the public page; empty if no component took part. It
// names components and times alone. Whether to post it is for a person to say: «only when RP integrators are directly affected
// (for example, api.1pass.dev down for more than 30 minutes)».
func (t *Tracker) publicNotice(system string, i *incident) string {
	var names []string
	bad := false
	for _, j := range t.jobs {
		if j.System != system || !slices.Contains(i.Order, j.Name) {
			continue
		}
		for _, name := range j.Components {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		last, ran := t.latest[system][j.Name]
		bad = bad || len(j.Components) > 0 && (!ran || last.verdict != probe.Pass)
	}
	if names == nil {
		return ""
	}
	since, what := "Since ", text.List(names, maxNames)
	if !i.OnsetSeen {
		since = "Since at least "
	}
	begin, list, item := customerTime(i.Start), "announcements", struct{ key, text string }{"at", ""}
	item.text = since + begin + " there are problems with " + what + ". We are working on it."
	if !i.Recovered.IsZero() {
		list, item.key = "incidents", "start"
		item.text = "From " + begin + " to " + customerTime(i.Recovered) + " there were problems with " + what + "."
		if !bad {
			item.text += " All of it works again."
		}
	}
	parts := []string{item.key + ": " + rfc3339(i.Start)}
	if list == "announcements" {
		parts = append(parts, "title: "+quoted("Problems with "+what))
	}
	if parts = append(parts, "text: "+quoted(item.text)); list == "announcements" {
		parts = append(parts, "components: "+quoted(names))
	}
	return "## Public notice\nOnly if customers are directly affected, such as by an outage of over 30 minutes. For the file of notices, under " +
		list + ":\n\n    - {" + strings.Join(parts, ", ") + "}\n"
}

// customerTime is a time as the public page shows it.
func customerTime(at time.Time) string { return at.UTC().Format("2 Jan 2006, 15:04 UTC") }

// quoted is a value as JSON, which is YAML too.
func quoted(v any) string {
	b, _ := json.Marshal(v) // texts: it cannot fail
	return string(b)
}
