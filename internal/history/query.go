package history

import (
	"slices"
	"time"

	"prober/internal/probe"
)

const (
	shownDays    = 90
	shownChanges = 20
	// pageOfIncidents is how many records Incidents returns at most.
	pageOfIncidents = 30
)

// An asked probe is what a page needs of it from memory.
type asked struct {
	ref
	recent pack // the open cell, and what is sealed and not written yet
}

// ask takes what is in memory of probes.
func (s *Store) ask(ids []probe.ID, now time.Time) []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := map[*state]pack{}
	for _, c := range s.sealed {
		waiting[c.of] = waiting[c.of].add(c.timed)
	}
	all := make([]asked, len(ids))
	for i, id := range ids {
		key := identityOf(id)
		all[i].ref = ref{name: key.name()}
		if p := s.probes[key]; p != nil {
			all[i].id, all[i].recent = p.id, waiting[p]
			all[i].recent = all[i].recent.add(p.open)
			for from, to := p.standing(now.UnixMilli()); from < to; from = (from/hourMs + 1) * hourMs {
				c := timed{at: from / hourMs}
				c.stand(p.last.verdict, min(to, (c.at+1)*hourMs)-from)
				all[i].recent = all[i].recent.add(c)
			}
		}
	}
	return all
}

// Uptimes returns the uptime of probes in the last 24 hours, in their order; none if it cannot be read.
func (s *Store) Uptimes(ids []probe.ID) []probe.Uptime {
	now := s.now()
	probes := s.ask(ids, now)
	all := make([]probe.Uptime, len(ids))
	err := s.backend.read(func(v view) error {
		for i, p := range probes {
			all[i] = lastHours(v, p, now, 24)
		}
		return nil
	})
	if err != nil {
		return nil
	}
	return all
}

// Past returns what is remembered of a probe.
func (s *Store) Past(id probe.ID) (probe.Past, error) {
	now := s.now()
	p := s.ask([]probe.ID{id}, now)[0]
	var past probe.Past
	err := s.backend.read(func(v view) error {
		past.Hours = shownHours(v, p, now)
		past.Uptimes[0], past.Uptimes[1] = lastHours(v, p, now, 24), lastHours(v, p, now, 7*24)
		days := lastDays(v, p, now)
		past.Uptimes[2], past.Uptimes[3] = sumDays(days, now, 30), sumDays(days, now, shownDays)
		past.Changes = v.changes(p.ref, shownChanges)
		past.Days = days[1:]
		return nil
	})
	if err != nil {
		return probe.Past{}, err
	}
	if past.Uptimes[3].Known == 0 && !slices.ContainsFunc(past.Days, func(d probe.Day) bool { return d.Inconclusive > 0 }) {
		past.Days = nil
	}
	return past, nil
}

// Incidents returns incidents of the last 90 days that began before a time, or the last ones if it is zero, the newest first.
func (s *Store) Incidents(before time.Time) (all []probe.IncidentRecord, err error) {
	from := s.now().AddDate(0, 0, -shownDays)
	var read []probe.IncidentRecord
	err = s.backend.read(func(v view) error {
		read = v.incidents(from, before, pageOfIncidents)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return read, nil
}

// lastHours returns the uptime of a probe in a number of hours until now. Of the first hour and of the present one, a part is
// in that time.
func lastHours(v view, p asked, now time.Time, hours int64) (u probe.Uptime) {
	cells, width := hourCells(v, p, now, hours)
	for _, c := range cells {
		begins, ends := time.Unix(c.at*3600, 0), time.Unix((c.at+width)*3600, 0)
		span := min(ends.Sub(begins), now.Sub(begins))
		one := c.uptime(span)
		if inside := ends.Sub(now.Add(-time.Duration(hours) * time.Hour)); inside < ends.Sub(begins) {
			one = scale(one, float64(max(inside, 0))/float64(ends.Sub(begins)))
		}
		u = u.Add(one)
	}
	u.Span = time.Duration(hours) * time.Hour
	return u
}

// hourCells returns the cells of a number of hours before the present one, and of that, and how many hours a cell has.
func hourCells(v view, p asked, now time.Time, hours int64) (cells pack, width int64) {
	to := now.Unix() / 3600
	from := to - hours
	cells, width = v.hours(p.ref, from, to)
	if o := v.open(p.ref); !o.isEmpty() && o.at >= from && o.at <= to {
		cells = cells.add(o)
	}
	for _, c := range p.recent {
		if at := c.at / width * width; at >= from/width*width && at <= to {
			c.at = at
			cells = cells.add(c)
		}
	}
	return cells, width
}

// shownHours returns the last 24 hours, with the present one; none without a run in them.
func shownHours(v view, p asked, now time.Time) (hours []probe.Day) {
	cells, width := hourCells(v, p, now, hoursInDay-1)
	ran := false
	for at := (now.Unix()/3600 - hoursInDay + 1) / width * width; at <= now.Unix()/3600; at += width {
		d := probe.Day{Start: time.Unix(at*3600, 0).UTC()}
		d.Span = min(time.Duration(width)*time.Hour, now.Sub(d.Start))
		for _, c := range cells {
			if c.at == at {
				c.describe(&d)
				ran = true
			}
		}
		hours = append(hours, d)
	}
	if !ran {
		return nil
	}
	return hours
}

func scale(u probe.Uptime, share float64) probe.Uptime {
	part := func(d time.Duration) time.Duration { return time.Duration(float64(d) * share) }
	return probe.Uptime{Span: part(u.Span), Known: part(u.Known), Passed: part(u.Passed)}
}

// lastDays returns the days that the last 90 days touch: 91 of them.
func lastDays(v view, p asked, now time.Time) []probe.Day {
	to := now.Unix() / 3600 / hoursInDay
	from := to - shownDays
	cells := v.days(p.ref, from, to)
	if o := v.open(p.ref); !o.isEmpty() {
		cells = addDay(cells, o, from, to)
	}
	for _, c := range p.recent {
		cells = addDay(cells, c, from, to)
	}
	days := make([]probe.Day, shownDays+1)
	for i := range days {
		days[i].Start = time.Unix((from+int64(i))*24*3600, 0).UTC()
		days[i].Span = min(24*time.Hour, now.Sub(days[i].Start))
	}
	for _, c := range cells {
		c.describe(&days[c.at-from])
	}
	return days
}

func addDay(cells pack, c timed, from, to int64) pack {
	if c.at /= hoursInDay; c.at < from || c.at > to {
		return cells
	}
	return cells.add(c)
}

// sumDays returns the uptime of a number of days until now; of the first day, a part is in that time.
func sumDays(days []probe.Day, now time.Time, n int) (u probe.Uptime) {
	days = days[len(days)-n-1:]
	rest := now.Sub(days[len(days)-1].Start)
	u = scale(days[0].Uptime, 1-float64(rest)/float64(24*time.Hour))
	for _, d := range days[1:] {
		u = u.Add(d.Uptime)
	}
	u.Span = time.Duration(n) * 24 * time.Hour
	return u
}
