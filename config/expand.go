package config

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/strictyaml"
	"prober/internal/text"
)

// An expander makes the probes of targets. It is shared by all configurations that come of one load, and keeps what it has made: a
// probe whose target stays is the same probe.
type expander struct {
	mu      sync.Mutex
	decoder *strictyaml.Decoder
	kinds   probe.Kinds
	headers []*fileHeader
	slots   []slot
	limits  map[probe.Key]func(host string) bool // by list
	current map[probe.Key][]probe.Target         // of the last Expand
}

// A slot is a place in the order of probes: a job, or an entry with for_each.
type slot struct {
	job       probe.Job
	each      *each
	prototype probe.Job
}

// A made is what came of a target: a job, or why it is refused.
type made struct {
	job   probe.Job
	user  []user
	known *known
	wrong string
}

// newExpander returns nil if no entry has for_each.
func newExpander(kinds probe.Kinds, headers []*fileHeader, entries []*probeEntry) *expander {
	if !slices.ContainsFunc(entries, func(p *probeEntry) bool { return p.each != nil }) {
		return nil
	}
	x := &expander{decoder: &strictyaml.Decoder{}, kinds: kinds, current: map[probe.Key][]probe.Target{}, limits: map[probe.Key]func(string) bool{}}
	for _, h := range headers {
		x.headers = append(x.headers, &fileHeader{header: header{System: h.System}, windows: h.windows})
	}
	lists := map[probe.Key]bool{}
	for _, p := range entries {
		if p.each != nil {
			lists[p.each.list] = true
			x.slots = append(x.slots, slot{each: p.each, prototype: p.each.prototype(p)})
			continue
		}
		x.slots = append(x.slots, slot{job: *p.job}) // with its windows
	}
	for i, p := range entries {
		if p.each == nil {
			p.job = &x.slots[i].job
		}
	}
	for i := range x.slots {
		if j := &x.slots[i].job; lists[j.Key()] {
			key := j.Key()
			if l, limits := j.Probe.(probe.TargetLimiter); limits {
				x.limits[key] = l.Allows
			}
			j.Expand = func(list []probe.Target) probe.Outcome { return x.judge(key, list) }
		}
	}
	return x
}

// Expand returns the configuration with the probes of the targets that each list has: by the key of the probe that lists them. A list
// that is not there has none; lists must not be changed afterwards. Probes that were made before stay the same.
func (c *Config) Expand(lists map[probe.Key][]probe.Target) *Config {
	x := c.expander
	if x == nil {
		return c
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.current = lists
	out := *c
	var refused map[probe.Key][]string
	out.Jobs, out.users, refused = x.fill(lists, true)
	out.users = append(slices.Clone(c.own), out.users...)
	out.Refused = nil
	for _, key := range sorted.Keys(keysByText(refused)) {
		out.Refused = append(out.Refused, key+": "+summary(refused[keysByText(refused)[key]]))
	}
	out.Public, out.publicIn = c.Public, c.publicIn
	for i := range out.Jobs {
		out.Jobs[i].Components = c.components[out.Jobs[i].Key()]
	}
	return &out
}

func keysByText(of map[probe.Key][]string) map[string]probe.Key {
	all := map[string]probe.Key{}
	for k := range of {
		all[k.String()] = k
	}
	return all
}

// A question is what two probes that ask the same have in common.
type question struct{ system, kind, labels, settings string }

func questionOf(j *probe.Job) question {
	return question{j.System, j.Type, fmt.Sprintf("%q", j.Labels), j.Settings}
}

// fill returns the jobs of all slots, and by list why targets are refused. With prune it forgets what no target needs any more.
func (x *expander) fill(lists map[probe.Key][]probe.Target, prune bool) (jobs []probe.Job, users []user, refused map[probe.Key][]string) {
	refused = map[probe.Key][]string{}
	names, questions := map[probe.Key]bool{}, map[question]bool{}
	for i := range x.slots {
		if x.slots[i].each == nil {
			names[x.slots[i].job.Key()], questions[questionOf(&x.slots[i].job)] = true, true
		}
	}
	for i := range x.slots {
		e := x.slots[i].each
		if e == nil {
			jobs = append(jobs, x.slots[i].job)
			continue
		}
		used := map[string]*made{}
		from := len(jobs)
		for n, t := range lists[e.list] {
			id := e.identity(t)
			m := e.made[id]
			if m == nil {
				m = x.make(e, t, e.before[id])
				e.made[id] = m
			}
			used[id] = m
			wrong := m.wrong
			switch {
			case wrong != "":
			case names[m.job.Key()]:
				wrong = "another probe has the name that it makes"
			case questions[questionOf(&m.job)]:
				wrong = "it asks the same as another probe"
			default:
				names[m.job.Key()], questions[questionOf(&m.job)] = true, true
				jobs, users = append(jobs, m.job), append(users, m.user...)
				continue
			}
			refused[e.list] = append(refused[e.list], fmt.Sprintf("%s for %s: %s", shownTarget(t, n), e.name, wrong))
		}
		some := jobs[from:]
		sorted.By(some, func(a, b probe.Job) int { return strings.Compare(a.Name, b.Name) })
		if prune {
			e.made = used
		}
		if prune && lists != nil { // what is not used by now has been closed
			e.before = nil
		}
	}
	return jobs, users, refused
}

// identity tells targets apart by what the entry uses of them.
func (e *each) identity(t probe.Target) string {
	id := t.Address
	for _, name := range e.labels {
		id += "\x00" + t.Labels[name]
	}
	return id
}

func (x *expander) make(e *each, t probe.Target, before *made) *made {
	var k *known
	if before != nil {
		k = before.known
	}
	p, wrong := e.read(x.decoder, x.kinds, t, "", k)
	if len(wrong) > 0 {
		return &made{wrong: wrong[0].Text}
	}
	if allows := x.limits[e.list]; allows != nil && e.leaves(t, p, allows) {
		return &made{wrong: "it is outside of within, or one of its labels names a host that is"}
	}
	m := &made{job: makeJob(x.headers, p), user: makeUsers([]*probeEntry{p})}
	p.job = &m.job
	m.known = p.learn()
	return m
}

// recall takes over what an expander made of targets.
func (x *expander) recall(before *expander) {
	if before == nil {
		return
	}
	before.mu.Lock()
	defer before.mu.Unlock()
	for i := range before.slots {
		old := before.slots[i].each
		if old == nil || old.text == (textKey{}) {
			continue
		}
		for j := range x.slots {
			if e := x.slots[j].each; e != nil && e.text == old.text && e.before == nil {
				e.before = maps.Clone(old.made)
				break
			}
		}
	}
}

// leaves reports whether a target, of a list that may be older than what limits it, or a label in the place of a host is outside of what
// its list allows.
func (e *each) leaves(t probe.Target, p *probeEntry, allows func(host string) bool) bool {
	if host, _, ok := t.Split(); ok && !allows(host) {
		return true
	}
	var addresses []string
	if a, ok := p.job.Probe.(probe.Addresser); ok {
		addresses = a.Addresses()
	}
	for _, template := range e.labelled(e.node, nil) {
		value, err := fill(template, t, asSetting)
		if err != nil {
			continue
		}
		if u, err := url.Parse(value); err == nil && u.Host != "" {
			if at := strings.Index(template, "://") + len("://"); strings.Contains(strings.SplitN(template[at:], "/", 2)[0], "{label.") && !allows(u.Hostname()) {
				return true
			}
		} else if host, _, ok := (probe.Target{Address: value}).Split(); ok && slices.Contains(addresses, value) && !allows(host) {
			return true
		}
	}
	return false
}

// labelled returns the texts below a node that have a label of a target.
func (e *each) labelled(n *yaml.Node, all []string) []string {
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "{label.") {
		return append(all, n.Value)
	}
	for _, c := range n.Content {
		all = e.labelled(c, all)
	}
	return all
}

// shownTarget names a target: by its host and port, or by its place in the list if it has none.
func shownTarget(t probe.Target, n int) string {
	host, _, ok := t.Split()
	if !ok {
		return fmt.Sprintf("target %d", n+1)
	}
	if t.IsURL() {
		return host
	}
	return t.Address
}

// judge says what comes of the targets of a list, none if it could not be read.
func (x *expander) judge(list probe.Key, targets []probe.Target) probe.Outcome {
	x.mu.Lock()
	defer x.mu.Unlock()
	lists := map[probe.Key][]probe.Target{}
	maps.Copy(lists, x.current)
	if targets != nil {
		lists[list] = targets
	}
	if len(lists[list]) == 0 {
		return probe.Outcomef(probe.NoTargets, "there was no list yet, so nothing that it would name is probed")
	}
	jobs, _, refused := x.fill(lists, false)
	n := 0
	for i := range jobs {
		if jobs[i].System == list.System && jobs[i].List == list.Name {
			n++
		}
	}
	if some := refused[list]; len(some) > 0 {
		return probe.Outcomef(probe.TargetRefused, "made %s of %s; refused %s", text.Count(n, "probe"), text.Count(len(lists[list]), "target"), summary(some))
	}
	if targets == nil {
		return probe.Outcomef(probe.OK, "%s of the last list", text.Count(n, "probe"))
	}
	return probe.Outcomef(probe.OK, "made %s of %s", text.Count(n, "probe"), text.Count(len(targets), "target"))
}

// summary lists the first few of several.
func summary(all []string) string {
	const shown = 3
	if more := len(all) - shown; more > 0 {
		return strings.Join(all[:shown], "; ") + fmt.Sprintf("; and %d more", more)
	}
	return strings.Join(all, "; ")
}

// Prototypes lists a job for each entry with for_each: it stands for all that are made from it, and is never run.
func (c *Config) Prototypes() (all []probe.Job) {
	if c.expander != nil {
		for i := range c.expander.slots {
			if c.expander.slots[i].each != nil {
				all = append(all, c.expander.slots[i].prototype)
			}
		}
	}
	return all
}

// MayMake reports whether a probe of that name, or of SYSTEM/NAME, could be made from a list, and of which.
func (c *Config) MayMake(name string) (list probe.Key, may bool) {
	if c.expander != nil {
		for _, s := range c.expander.slots {
			if s.each != nil && (s.each.names.MatchString(name) || s.each.names.MatchString(strings.TrimPrefix(name, s.each.list.System+"/"))) {
				return s.each.list, true
			}
		}
	}
	return list, false
}

// madeFrom lists the names of the entries that are made from a list, as they are written.
func (c *Config) madeFrom(list string) (names []string) {
	for _, j := range c.Prototypes() {
		if list == (probe.Key{System: j.System, Name: j.List}).String() {
			names = append(names, j.Name)
		}
	}
	return names
}
