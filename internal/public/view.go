package public

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"prober/internal/probe"
)

// shownDays is how many days a component has bars for, and how long ago past notices and incidents are.
const shownDays = 90

// A view is all that the page, the feed and status.json show. It has no reason, address, version or name of a probe.
type view struct {
	title, text, url string
	logo             *logo
	updated          time.Time
	state            state
	sentence         string
	parts            []part
	noHistory        bool

	announcements, maintenance []notice // that matter now
	past                       []notice // the newest first
	more                       bool     // older incidents than those in past may exist
}

// A part is a component.
type part struct {
	probe.Component
	state state
	since probe.Since // of a failure
	days  []probe.Day // nil if they are not known
}

// A notice is an announcement, planned maintenance or a past incident.
type notice struct {
	id         string // in the feed and on the page
	title      string
	text       string
	components []string
	from, to   time.Time // to is zero if it has no end, or its end was not seen
	open       bool      // an incident that is not over
	incident   bool
	updated    time.Time
}

// uptime sums up the days of a component.
func (p part) uptime() (u probe.Uptime) {
	for _, d := range p.days {
		u = u.Add(d.Uptime)
	}
	return u
}

// look collects what the page shows.
func (s *Site) look(page *probe.PublicPage, now time.Time) *view {
	v := &view{title: page.Title, text: page.Text, url: page.URL, updated: now}
	var said *notices
	v.logo, said = s.files.read(page, s.report)
	working := v.addNotices(said, now)
	days, err := s.days.joint(page, now, s.options)
	s.report("history", err)
	v.noHistory = err != nil
	for i, c := range page.Components {
		one := part{Component: c}
		one.state, one.since = judge(s.options.LastRuns(c.Probes), now)
		if slices.Contains(working, c.Name) {
			one.state, one.since = inMaintenance, probe.Since{}
		}
		one.days = days[i]
		v.parts = append(v.parts, one)
	}
	v.state, v.sentence = sentence(v.parts)
	incidents, more, err := s.incidents(page, said, now)
	s.report("incidents", err)
	v.noHistory, v.more = v.noHistory || err != nil, more
	v.past = append(v.past, incidents...)
	sort.SliceStable(v.past, func(a, b int) bool { return v.past[a].from.After(v.past[b].from) })
	return v
}

// addNotices adds what operators say, and returns the components that are being worked on.
func (v *view) addNotices(all *notices, now time.Time) (working []string) {
	oldest := now.AddDate(0, 0, -shownDays)
	for _, a := range all.Announcements {
		n := a.notice("announcement", a.At.Time, a.Until.Time)
		switch {
		case n.from.After(now):
		case n.to.IsZero() || n.to.After(now):
			v.announcements = append(v.announcements, n)
		case n.from.After(oldest):
			v.past = append(v.past, n)
		}
	}
	for _, m := range all.Maintenance {
		n := m.notice("maintenance", m.From.Time, m.To.Time)
		switch {
		case m.At.After(now):
		case n.to.After(now):
			v.maintenance = append(v.maintenance, n)
			if !n.from.After(now) {
				working = append(working, n.components...)
			}
		case n.from.After(oldest):
			v.past = append(v.past, n)
		}
	}
	sort.SliceStable(v.announcements, func(a, b int) bool { return v.announcements[a].from.After(v.announcements[b].from) })
	sort.SliceStable(v.maintenance, func(a, b int) bool { return v.maintenance[a].from.Before(v.maintenance[b].from) })
	return working
}

// notice returns the text as a notice from one time to another.
func (w words) notice(sort string, from, to time.Time) notice {
	n := notice{
		id: idOf(sort, w.At.Time), title: redact(w.Title), text: redact(w.Text), components: w.Components,
		from: from.UTC(), to: to, updated: w.At.Time,
	}
	if w.Updated.After(n.updated) {
		n.updated = w.Updated.Time
	}
	return n
}

// idOf is by what a notice is known.
func idOf(sort string, at time.Time) string { return sort + "-" + at.UTC().Format("20060102T150405Z") }

// Bounds of the list of incidents.
const (
	maxIncidents     = 50
	maxIncidentPages = 10 // that are read for them: most may be about probes that are not public
)

// incidents returns the incidents of the last 90 days of which customers know the components, the newest first, and whether there
// may be more of them.
func (s *Site) incidents(page *probe.PublicPage, said *notices, now time.Time) (all []notice, more bool, err error) {
	var before time.Time
	known := map[string]int{}
	for range maxIncidentPages {
		records, err := s.options.Incidents(before)
		if err != nil {
			return nil, false, err
		}
		for _, r := range records {
			before = r.Start
			n, public := incidentNotice(page, said, r)
			if !public || r.Start.Before(now.AddDate(0, 0, -shownDays)) {
				continue
			}
			if known[n.id]++; known[n.id] > 1 { // of another system, in the same second
				n.id += fmt.Sprintf("-%d", known[n.id])
			}
			if all = append(all, n); len(all) == maxIncidents {
				return all, true, nil
			}
		}
		if len(records) == 0 {
			return all, false, nil
		}
	}
	return all, true, nil
}

// incidentNotice returns an incident without anything that only operators may know, and whether it is about a component.
func incidentNotice(page *probe.PublicPage, all *notices, r probe.IncidentRecord) (notice, bool) {
	n := notice{id: idOf("incident", r.Start), from: r.Start.UTC(), to: r.End, open: r.Ongoing, incident: true, updated: r.Start}
	for _, c := range page.Components {
		if slices.ContainsFunc(c.Probes, func(id probe.ID) bool { return id.System == r.System && slices.Contains(r.Probes, id.Name) }) {
			n.components = append(n.components, c.Name)
		}
	}
	if n.open {
		n.to = time.Time{}
	}
	if n.to.After(n.updated) {
		n.updated = n.to
	}
	for _, t := range all.Incidents {
		if t.Start.Unix() == r.Start.Unix() {
			n.text = redact(t.Text)
			if t.Updated.After(n.updated) {
				n.updated = t.Updated.Time
			}
		}
	}
	return n, n.components != nil
}
