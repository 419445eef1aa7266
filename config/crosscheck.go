package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/strictyaml"
	"prober/internal/text"
)

// crosscheck refuses what can be told only of all files together.
func crosscheck(headers []*fileHeader, entries []*probeEntry) Errors {
	byName, wrong := rejectDuplicateNames(entries)
	wrong = append(wrong, rejectOtherRunbooks(headers)...)
	wrong = append(wrong, rejectObjectives(headers, entries)...)
	wrong = append(wrong, rejectDuplicateSignals(entries)...)
	wrong = append(wrong, rejectDuplicates(entries)...)
	wrong = append(wrong, crosscheckEach(entries)...)
	wrong = append(wrong, rejectCycles(byName, entries)...)

	complete := !slices.ContainsFunc(headers, func(h *fileHeader) bool { return !h.known })
	names := map[string][]string{}
	for k := range byName {
		names[k.System] = append(names[k.System], k.Name)
	}
	// unknown tells of a name that no probe has, as long as all probes are known.
	unknown := func(system, name string) bool {
		return complete && validName(system) && byName[probe.Key{System: system, Name: name}] == nil
	}
	for _, p := range entries {
		for i, name := range p.DependsOn {
			path := fmt.Sprintf("depends_on[%d]", i)
			if unknown(p.job.System, name) {
				wrong = append(wrong, p.mistake(path, "depends_on names no probe of the system%s", text.DidYouMean(name, names[p.job.System])))
			}
			if slices.Contains(p.DependsOn[:i], name) {
				wrong = append(wrong, p.mistake(path, "depends_on names a probe twice"))
			}
		}
	}
	wrong = append(wrong, crosscheckPublic(headers, unknown, names)...)
	for _, h := range headers {
		for i, m := range h.Maintenance {
			for j, name := range m.Probes {
				if unknown(h.System, name) {
					wrong = append(wrong, h.mistake(fmt.Sprintf("maintenance[%d].probes[%d]", i, j), "maintenance[%d].probes[%d]: names no probe of the system%s", i, j, text.DidYouMean(name, names[h.System])))
				}
			}
		}
	}
	return wrong
}

// rejectDuplicateNames refuses a name that is taken, and returns the probes by their names.
func rejectDuplicateNames(entries []*probeEntry) (byName map[probe.Key]*probeEntry, wrong Errors) {
	byName = map[probe.Key]*probeEntry{}
	for _, p := range entries {
		k := p.job.Key()
		if !validName(k.System) || !validName(k.Name) {
			continue
		}
		if first := byName[k]; first != nil {
			wrong = append(wrong, p.mistake("name", "the name is taken by the probe %s", first.seenFrom(p.place, "name")))
			continue
		}
		byName[k] = p
	}
	return byName, wrong
}

// rejectOtherRunbooks refuses one name for two procedures of a system.
func rejectOtherRunbooks(headers []*fileHeader) (wrong Errors) {
	first := map[probe.Key]*fileHeader{}
	for _, h := range headers {
		for _, name := range sorted.Keys(h.Runbooks) {
			k, path := probe.Key{System: h.System, Name: name}, "runbooks."+name
			f := first[k]
			if f == nil {
				first[k] = h
			} else if !f.Runbooks[name].equal(h.Runbooks[name]) {
				wrong = append(wrong, h.mistake(path, "the runbook %s is another one at %s:%d", strictyaml.Shown(name), f.file, f.line(path)))
			}
		}
	}
	return wrong
}

// rejectObjectives refuses objectives that the probes of their runbooks cannot decide.
func rejectObjectives(headers []*fileHeader, entries []*probeEntry) (wrong Errors) {
	for _, h := range headers {
		for _, name := range sorted.Keys(h.Runbooks) {
			o := h.Runbooks[name].objective()
			if o.IsZero() || o.Percent < 50 || o.Percent >= 100 {
				continue
			}
			var intervals []time.Duration
			for _, p := range entries {
				if p.job.System == h.System && p.Runbook == name && p.job.Interval > 0 {
					intervals = append(intervals, p.job.Interval)
				}
			}
			if intervals == nil {
				continue
			}
			if err := o.Check(intervals); err != nil {
				wrong = append(wrong, h.mistake("runbooks."+name+".slo", "runbooks.%s: slo: %s", strictyaml.Shown(name), err))
			}
		}
	}
	return wrong
}

// rejectDuplicateSignals refuses a series that two checks would write.
func rejectDuplicateSignals(entries []*probeEntry) (wrong Errors) {
	type writer struct {
		*probeEntry
		path string
	}
	first := map[string]writer{}
	for _, p := range entries {
		for _, check := range sorted.Keys(p.job.Signals) {
			series, path := p.job.Signals[check].String(), "signals."+check
			if f, taken := first[series]; taken {
				wrong = append(wrong, p.mistake(path, "signals.%s: the series is already written by the probe %s", strictyaml.Shown(check), f.seenFrom(p.place, f.path)))
				continue
			}
			first[series] = writer{p, path}
		}
	}
	return wrong
}

// rejectDuplicates refuses two probes of a system that ask the same of the same target and could not be told apart by
// their labels.
func rejectDuplicates(entries []*probeEntry) (wrong Errors) {
	first := map[question]*probeEntry{}
	for _, p := range entries {
		if p.job.Probe == nil || p.unread != nil {
			continue
		}
		q := questionOf(p.job)
		q.labels += p.ForEach // the targets of another list are others
		if f := first[q]; f != nil {
			wrong = append(wrong, p.mistake("", "asks the same as the probe %s; drop one, or tell them apart by labels", f.seenFrom(p.place, "")))
			continue
		}
		first[q] = p
	}
	return wrong
}

// rejectCycles refuses probes that depend on themselves, each cycle once.
func rejectCycles(byName map[probe.Key]*probeEntry, entries []*probeEntry) Errors {
	c := cycleFinder{byName: byName, state: map[*probeEntry]int{}}
	for _, p := range entries {
		c.visit(p)
	}
	return c.wrong
}

type cycleFinder struct {
	byName map[probe.Key]*probeEntry
	state  map[*probeEntry]int // 0 not seen, 1 on the way, 2 done
	way    []*probeEntry
	wrong  Errors
}

func (c *cycleFinder) visit(p *probeEntry) {
	switch c.state[p] {
	case 1:
		var names []string
		for _, q := range c.way[slices.Index(c.way, p):] {
			names = append(names, q.who)
		}
		c.wrong = append(c.wrong, p.mistake("depends_on", "depends_on leads back to itself: %s", strings.Join(append(names, p.who), " -> ")))
		return
	case 2:
		return
	}
	c.state[p] = 1
	c.way = append(c.way, p)
	for _, name := range p.DependsOn {
		if next := c.byName[probe.Key{System: p.job.System, Name: name}]; next != nil {
			c.visit(next)
		}
	}
	c.way = c.way[:len(c.way)-1]
	c.state[p] = 2
}
