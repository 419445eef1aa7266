package config

import (
	"fmt"
	"hash/maphash"
	"maps"
	"reflect"
	"slices"
	"strings"

	"prober/internal/probe"
	"prober/internal/spell"
)

// compare checks what can be told only of all files together.
func (l *loader) compare() {
	names := l.sameName()
	l.sameRunbook()
	l.sameSignal()
	l.sameQuestion()
	l.dependencies(names)
	l.maintain(names)
}

// at says where p stands, seen from a mistake on another page or the same.
func (p *placed) at(from *page, line int) string {
	if from == p.page {
		return fmt.Sprintf("on line %d", line)
	}
	return fmt.Sprintf("at %s:%d", p.page.name, line)
}

// A key names a probe among all systems.
type key struct{ system, name string }

// sameName refuses a name that is taken, and returns the probes by their names.
func (l *loader) sameName() map[key]*placed {
	names := map[key]*placed{}
	for _, p := range l.entries {
		k := key{p.job.System, p.Name}
		if !validName(k.system) || !validName(k.name) {
			continue
		}
		if first := names[k]; first != nil {
			p.add(lineOf(p.node, "name"), "the name is taken by the probe %s", first.at(p.page, lineOf(first.node, "name")))
			continue
		}
		names[k] = p
	}
	return names
}

// sameRunbook refuses one name for two procedures of a system.
func (l *loader) sameRunbook() {
	first := map[key]*placedHead{}
	for i := range l.heads {
		h := &l.heads[i]
		for _, name := range slices.Sorted(maps.Keys(h.Runbooks)) {
			r := h.Runbooks[name]
			k := key{h.System, name}
			if f := first[k]; f != nil && f.Runbooks[name] != r {
				h.page.add(lineOf(h.node, "runbooks", name), "", "the runbook %s is another one at %s:%d", shown(name), f.page.name, lineOf(f.node, "runbooks", name))
			} else if f == nil {
				first[k] = h
			}
		}
	}
}

// sameSignal reads the signals and refuses a series that two checks would write.
func (l *loader) sameSignal() {
	type writer struct {
		*placed
		line int
	}
	first := map[string]writer{}
	for _, p := range l.entries {
		for _, check := range slices.Sorted(maps.Keys(p.Signals)) {
			line := lineOf(p.node, "signals", check)
			s, err := parseSignal(string(p.Signals[check]))
			if err != nil {
				p.add(line, "signals.%s: %s", shown(check), err)
				continue
			}
			if f, taken := first[formatSignal(s)]; taken {
				p.add(line, "signals.%s: the series is already written by the probe %s", shown(check), f.at(p.page, f.line))
				continue
			}
			first[formatSignal(s)] = writer{p, line}
			if p.job.Signals == nil {
				p.job.Signals = map[string]probe.Signal{}
			}
			p.job.Signals[check] = s
		}
	}
}

// sameQuestion refuses two probes of a system that ask the same of the same target and could not be told apart by
// their labels. It runs before Validate, which may keep something of its own in a probe. Probes are first sorted by
// their fingerprints, since to compare each with each would take too long.
func (l *loader) sameQuestion() {
	type question struct {
		system, kind, labels string
		print                uint64
	}
	alike := map[question][]*placed{}
	seed := maphash.MakeSeed()
	for _, p := range l.entries {
		if p.job.Probe == nil || p.faulty != nil {
			continue
		}
		k := question{p.job.System, p.Type, fmt.Sprintf("%q", p.job.Labels), fingerprint(seed, p.job.Probe)}
		same := func(f *placed) bool { return reflect.DeepEqual(f.job.Probe, p.job.Probe) }
		if i := slices.IndexFunc(alike[k], same); i >= 0 {
			f := alike[k][i]
			p.add(p.node.Line, "asks the same as the probe %s; drop one, or tell them apart by labels", f.at(p.page, f.node.Line))
			continue
		}
		alike[k] = append(alike[k], p)
	}
}

// dependencies refuses probes that depend on what is not there, or on themselves.
func (l *loader) dependencies(names map[key]*placed) {
	complete := !slices.ContainsFunc(l.pages, func(p *page) bool { return p.unread })
	known := map[string][]string{}
	for k := range names {
		known[k.system] = append(known[k.system], k.name)
	}
	for _, p := range l.entries {
		for i, name := range p.DependsOn {
			line := lineAt(p.node, "depends_on", i)
			if complete && validName(p.job.System) && names[key{p.job.System, name}] == nil {
				p.add(line, "depends_on names no probe of the system%s", spell.DidYouMean(name, known[p.job.System]))
			}
			if slices.Contains(p.DependsOn[:i], name) {
				p.add(line, "depends_on names a probe twice")
			}
		}
	}
	c := circles{names: names, state: map[*placed]int{}}
	for _, p := range l.entries {
		c.visit(p)
	}
}

// circles finds probes that depend on themselves, each circle once.
type circles struct {
	names map[key]*placed
	state map[*placed]int // 0 not seen, 1 on the way, 2 done
	way   []*placed
}

func (c *circles) visit(p *placed) {
	switch c.state[p] {
	case 1:
		var round []string
		for _, q := range c.way[slices.Index(c.way, p):] {
			round = append(round, q.who())
		}
		p.add(lineOf(p.node, "depends_on"), "depends_on leads back to itself: %s", strings.Join(append(round, p.who()), " -> "))
		return
	case 2:
		return
	}
	c.state[p] = 1
	c.way = append(c.way, p)
	for _, name := range p.DependsOn {
		if next := c.names[key{p.job.System, name}]; next != nil {
			c.visit(next)
		}
	}
	c.way = c.way[:len(c.way)-1]
	c.state[p] = 2
}
