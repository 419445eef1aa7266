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
	readProbes = 50 // in one part
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
}

type readDays = func(groups [][]probe.ID, days int) ([][]probe.Day, error)

// joint returns the last days of each component, nil for those that are not known, and why some are not.
func (c *dayCache) joint(page *probe.PublicPage, now time.Time, read readDays) (all [][]probe.Day, err error) {
	all = make([][]probe.Day, len(page.Components))
	if day := now.UTC().Format(time.DateOnly); c.page != page || c.day != day {
		*c = dayCache{page: page, day: day, parts: make([]cachedDays, len(page.Components))}
	}
	if err := c.readAll(now, read); err != nil {
		return all, err
	}
	var known []int
	for i, p := range c.parts {
		if !p.read.IsZero() {
			known = append(known, i)
		}
	}
	fresh, err := read(c.groups(known), freshDays)
	if err != nil {
		return all, err
	}
	for n, i := range known {
		all[i] = slices.Concat(c.parts[i].days[:shownDays-freshDays], fresh[n])
	}
	if len(known) < len(all) {
		err = errors.New("the past is still being read")
	}
	return all, err
}

// readAll reads all days of the components that are not known or were read long ago, in that order, as long as there is time.
func (c *dayCache) readAll(now time.Time, read readDays) error {
	var due []int
	for _, known := range []bool{false, true} {
		for i, p := range c.parts {
			if age := now.Sub(p.read); !p.read.IsZero() == known && (age >= rereadDays || age < 0) {
				due = append(due, i)
			}
		}
	}
	for began := time.Now(); len(due) > 0 && time.Since(began) < readBudget; {
		n, probes := 0, 0
		for n < len(due) && (n == 0 || probes+len(c.page.Components[due[n]].Probes) <= readProbes) {
			probes += len(c.page.Components[due[n]].Probes)
			n++
		}
		days, err := read(c.groups(due[:n]), shownDays)
		if err != nil {
			return err
		}
		for k, i := range due[:n] {
			c.parts[i] = cachedDays{read: now, days: days[k]}
		}
		due = due[n:]
	}
	return nil
}

// groups are the probes of some components.
func (c *dayCache) groups(components []int) [][]probe.ID {
	groups := make([][]probe.ID, len(components))
	for n, i := range components {
		groups[n] = c.page.Components[i].Probes
	}
	return groups
}
