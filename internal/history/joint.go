package history

import (
	"time"

	"prober/internal/probe"
)

// LastRuns returns the last run of each probe, in their order.
func (s *Store) LastRuns(ids []probe.ID) []probe.LastRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]probe.LastRun, len(ids))
	for i, id := range ids {
		if p := s.probes[identityOf(id)]; p != nil && p.last.seen != 0 {
			all[i] = probe.LastRun{
				At: time.UnixMilli(p.last.seen), Verdict: p.last.verdict, Interval: p.interval,
				Since: probe.Since{At: time.UnixMilli(p.last.since), Exact: p.last.exact},
			}
		}
	}
	return all
}

// Joint returns days of groups of probes, each group as one: in an hour it failed for as long as the probe that failed
// the longest, and passed for as long as the one that passed the shortest. The last day is the one that is so many days ago.
func (s *Store) Joint(groups [][]probe.ID, ago, days int) ([][]probe.Day, error) {
	now := s.now()
	last := now.Unix()/3600/hoursInDay - int64(ago)
	asked := make([][]asked, len(groups))
	for i, ids := range groups {
		asked[i] = s.ask(ids, now)
	}
	var all [][]probe.Day
	err := s.backend.read(func(v view) error {
		found := make([][]probe.Day, len(groups))
		for i, probes := range asked {
			j := newJoint(last-int64(days)+1, days, now)
			for _, p := range probes {
				j.add(v, p)
			}
			found[i] = j.days(len(probes))
		}
		all = found
		return nil
	})
	if err != nil {
		return nil, err // who reads may still be at it
	}
	return all, nil
}

// A joint sums up probes by the hour.
type joint struct {
	first int64 // the first hour
	now   time.Time
	width int64 // hours of a slot
	slots []slot
}

// A slot is some hours of several probes, in ms.
type slot struct {
	probes         int // that have runs in it
	passed, failed int64
}

func newJoint(firstDay int64, days int, now time.Time) *joint {
	return &joint{first: firstDay * hoursInDay, now: now, width: 1, slots: make([]slot, days*hoursInDay)}
}

// add adds a probe.
func (j *joint) add(v view, p asked) {
	last := j.first + int64(len(j.slots)) - 1
	cells, width := v.hours(p.ref, j.first, last)
	j.width = width
	if o := v.open(p.ref); !o.isEmpty() {
		cells = j.addHour(cells, o)
	}
	for _, c := range p.recent {
		cells = j.addHour(cells, c)
	}
	for _, c := range cells {
		at := max(c.at-j.first, 0)
		if at >= int64(len(j.slots)) {
			continue
		}
		begins := time.Unix(c.at*3600, 0)
		u := c.uptime(max(min(time.Duration(width)*time.Hour, j.now.Sub(begins)), 0))
		one, failed := &j.slots[at], (u.Known - u.Passed).Milliseconds()
		if one.probes++; one.probes == 1 {
			one.passed = u.Passed.Milliseconds()
		}
		one.passed, one.failed = min(one.passed, u.Passed.Milliseconds()), max(one.failed, failed)
	}
}

func (j *joint) addHour(cells pack, c timed) pack {
	if c.at < j.first || c.at >= j.first+int64(len(j.slots)) {
		return cells
	}
	c.at = c.at / j.width * j.width
	return cells.add(c)
}

// days sums up the slots of a number of probes by the day.
func (j *joint) days(probes int) []probe.Day {
	days := make([]probe.Day, len(j.slots)/hoursInDay)
	for i := range days {
		d := &days[i]
		d.Start = time.Unix((j.first+int64(i)*hoursInDay)*3600, 0).UTC()
		d.Span = min(24*time.Hour, max(j.now.Sub(d.Start), 0))
		var passed, failed int64
		for _, s := range j.slots[i*hoursInDay : (i+1)*hoursInDay] {
			if failed += s.failed; s.probes == probes {
				passed += s.passed
			}
		}
		d.Passed = min(time.Duration(passed)*time.Millisecond, d.Span)
		d.Known = min(d.Passed+time.Duration(failed)*time.Millisecond, d.Span)
	}
	return days
}
