package public

import (
	"errors"
	"slices"
	"time"

	"prober/internal/probe"
)

// How the days of components are read: the last two for each page; all of them once an hour, since what was slow to be written
// comes later. To read all of many probes takes a while, so that is done in parts, and what a page has no time for is left to
// the next one.
const (
	freshDays  = 2
	rereadDays = time.Hour
	readBudget = time.Second
	readProbes = 50 // of all their days, in one part; of more probes fewer days
)

// dayCache remembers the days of the components of a page.
type dayCache struct {
	page  *probe.PublicPage
	day   string // that of all
	parts []cachedDays
}

type cachedDays struct {
	read time.Time // zero if the days are not known
	days []probe.Day
	next []probe.Day // the first of those that are being read again
}

// readDays returns days of groups of probes, each group as one. The last day is the one that is so many days ago.
type readDays = func(groups [][]probe.ID, ago, days int) ([][]probe.Day, error)

// joint returns the last days of each component, nil for those that are not known, and why some are not.
func (c *dayCache) joint(page *probe.PublicPage, now time.Time, o Options) (all [][]probe.Day, err error) {
	all = make([][]probe.Day, len(page.Components))
	if day := now.UTC().Format(time.DateOnly); c.page != page || c.day != day {
		*c = dayCache{page: page, day: day, parts: make([]cachedDays, len(page.Components))}
	}
	if err := c.readAll(now, o); err != nil {
		return all, err
	}
	var known []int
	for i, p := range c.parts {
		if !p.read.IsZero() {
			known = append(known, i)
		}
	}
	if len(known) < len(all) {
		err = errors.New("the past is still being read")
	}
	for len(known) > 0 {
		part, _ := c.cut(known, readProbes*shownDays/freshDays)
		fresh, failed := o.Joint(c.groups(part), 0, freshDays)
		if failed != nil {
			return make([][]probe.Day, len(all)), failed
		}
		for n, i := range part {
			all[i] = slices.Concat(c.parts[i].days[:shownDays-freshDays], fresh[n])
		}
		known = known[len(part):]
	}
	return all, err
}

// readAll reads all days of the components that are not known or were read long ago, in that order, as long as there is time.
func (c *dayCache) readAll(now time.Time, o Options) error {
	var due []int
	for _, known := range []bool{false, true} {
		for i, p := range c.parts {
			if age := now.Sub(p.read); !p.read.IsZero() == known && (age >= rereadDays || age < 0) {
				due = append(due, i)
			}
		}
	}
	for began := time.Now(); len(due) > 0 && (o.Complete || time.Since(began) < readBudget); {
		part, probes := c.cut(due, readProbes)
		first := &c.parts[part[0]]
		left := shownDays - len(first.next)
		n := min(left, max(1, readProbes*shownDays/max(1, probes))) // fewer than all if it is one component of many probes
		days, err := o.Joint(c.groups(part), left-n, n)
		if err != nil {
			return err
		}
		if n < shownDays {
			if first.next = append(first.next, days[0]...); n < left {
				continue
			}
			days[0] = first.next
		}
		for k, i := range part {
			c.parts[i] = cachedDays{read: now, days: days[k]}
		}
		due = due[len(part):]
	}
	return nil
}

// cut returns the first components, one at least, that have no more than so many probes, and how many they have.
func (c *dayCache) cut(of []int, most int) (part []int, probes int) {
	for n, i := range of {
		if size := len(c.page.Components[i].Probes); n > 0 && probes+size > most {
			return of[:n], probes
		} else {
			probes += size
		}
	}
	return of, probes
}

// groups are the probes of some components.
func (c *dayCache) groups(components []int) [][]probe.ID {
	groups := make([][]probe.ID, len(components))
	for n, i := range components {
		groups[n] = c.page.Components[i].Probes
	}
	return groups
}
