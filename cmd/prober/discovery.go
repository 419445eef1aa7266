package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"prober/config"
	"prober/internal/discovery"
	"prober/internal/history"
	"prober/internal/probe"
	"prober/internal/sorted"
)

// targetLists has the last list of targets that each probe found that lists some. It is a Sink. Its methods may be called from
// several goroutines.
type targetLists struct {
	changed chan struct{} // receives when a list is another one

	mu   sync.Mutex
	last map[probe.Key][]probe.Target
}

func newTargetLists() *targetLists {
	return &targetLists{changed: make(chan struct{}, 1), last: map[probe.Key][]probe.Target{}}
}

// Observe takes the list of a run. A run without one changes nothing.
func (l *targetLists) Observe(r probe.Result) {
	if len(r.Targets) > 0 && l.set(r.Key(), r.Targets) {
		select {
		case l.changed <- struct{}{}:
		default:
		}
	}
}

// set reports whether the list is another than before.
func (l *targetLists) set(k probe.Key, list []probe.Target) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.EqualFunc(l.last[k], list, func(a, b probe.Target) bool { return a.Address == b.Address && maps.Equal(a.Labels, b.Labels) }) {
		return false
	}
	l.last[k] = list
	return true
}

// of returns the lists of those probes that a configuration has, and forgets the others.
func (l *targetLists) of(cfg *config.Config) map[probe.Key][]probe.Target {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := map[probe.Key][]probe.Target{}
	for _, j := range cfg.Jobs {
		if list := l.last[j.Key()]; list != nil && j.Expand != nil {
			kept[j.Key()] = list
		}
	}
	l.last = kept
	return maps.Clone(kept)
}

// readLocal reads the lists that are in files, and returns where the others are, by probe.
func (l *targetLists) readLocal(cfg *config.Config) (unasked map[string]string) {
	unasked = map[string]string{}
	for _, j := range cfg.Jobs {
		p, lists := j.Probe.(probe.TargetLister)
		if !lists || j.Expand == nil {
			continue
		}
		list, o, asks := p.Local()
		if asks {
			unasked[j.Key().String()] = strings.Join(j.Addresses(), ", ")
		} else if o.Passed() && len(list) > 0 {
			l.set(j.Key(), list)
		}
	}
	return unasked
}

// A savedList is a list as it is kept for the next process.
type savedList struct {
	System, Name string
	Targets      []probe.Target
}

// save returns the lists as text.
func (l *targetLists) save() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := []savedList{}
	for k, list := range l.last {
		all = append(all, savedList{k.System, k.Name, list})
	}
	sorted.By(all, func(a, b savedList) int { return strings.Compare(a.System+"/"+a.Name, b.System+"/"+b.Name) })
	return json.Marshal(all)
}

// load takes what save returned in an earlier process.
func (l *targetLists) load(state []byte) error {
	if state == nil {
		return nil
	}
	var all []savedList
	if json.Unmarshal(state, &all) != nil {
		return errors.New("the lists of targets that were kept cannot be read")
	}
	for _, s := range all {
		if 0 < len(s.Targets) && len(s.Targets) <= discovery.MaxTargets {
			l.set(probe.Key{System: s.System, Name: s.Name}, s.Targets)
		}
	}
	return nil
}

// loadTargets takes the lists that an earlier process has kept, and reads those that are in files.
func (s *server) loadTargets(cfg *config.Config) *config.Config {
	state, err := s.history.Targets()
	if err == nil {
		err = s.targets.load(state)
	}
	if err != nil {
		s.log.Warn("The saved lists of targets are lost", "err", err)
	}
	s.targets.readLocal(cfg)
	return s.expand(cfg)
}

// expand makes the probes of the lists, keeps the lists for the next process, and logs what is refused.
func (s *server) expand(cfg *config.Config) *config.Config {
	if len(cfg.Prototypes()) == 0 {
		return cfg
	}
	cfg = cfg.Expand(s.targets.of(cfg))
	for _, why := range cfg.Refused {
		s.log.Warn("Targets refused", "list", why)
	}
	state, err := s.targets.save()
	if err == nil {
		err = s.history.SaveTargets(state)
	}
	s.disk.report("targets", err)
	return cfg
}

// targetsChanged applies lists that changed.
func (r *reloader) targetsChanged() {
	defer r.awaitMemory()()
	s := r.server
	cfg := s.expand(s.config.Load())
	jobs, err := s.filter.applyTo(cfg)
	if err != nil { // none of the probes is left that the command line names
		s.log.Warn("Targets changed", "err", err)
		return
	}
	s.apply(cfg, jobs, false)
}

// loadTargets reads the lists that a prober which serves has kept, without touching its file.
func (o *options) loadTargets(lists *targetLists) error {
	state, err := history.ReadTargets(o.serve.storage)
	if err == nil {
		err = lists.load(state)
	}
	return err
}

// applyTo is apply for a configuration. A probe that is made from a list is selected with the probe that lists the targets, and a name
// that no probe has yet may be that of one to come.
func (f filter) applyTo(cfg *config.Config) ([]probe.Job, error) {
	if !f.isSet() {
		return cfg.Jobs, nil
	}
	jobs := slices.Clone(cfg.Jobs)
	for _, p := range cfg.Prototypes() {
		jobs = append(jobs, p)
		for _, name := range f.probes {
			if list, may := cfg.MayMake(name); may && list == (probe.Key{System: p.System, Name: p.List}) {
				p.Name = strings.TrimPrefix(name, p.System+"/")
				jobs = append(jobs, p)
			}
		}
	}
	selected, err := f.apply(jobs)
	if err != nil {
		return nil, err
	}
	wanted := map[probe.Key]bool{}
	for _, j := range selected {
		if wanted[j.Key()] = true; j.List != "" {
			wanted[probe.Key{System: j.System, Name: j.List}] = true
		}
	}
	return jobsThat(func(j *probe.Job) bool { return wanted[j.Key()] }, cfg.Jobs), nil
}

// absent lists the probes that are named and not there.
func (f filter) absent(jobs []probe.Job) (names []string) {
	for _, name := range f.probes {
		if !slices.ContainsFunc(jobs, func(j probe.Job) bool { return name == j.Name || name == j.Key().String() }) {
			names = append(names, name)
		}
	}
	return names
}

// jobsThat returns some of the jobs.
//
//go:noinline
func jobsThat(are func(*probe.Job) bool, jobs []probe.Job) (some []probe.Job) {
	for i := range jobs {
		if are(&jobs[i]) {
			some = append(some, jobs[i])
		}
	}
	return some
}

// newIn returns the jobs whose probes are not among others.
func newIn(jobs, others []probe.Job) []probe.Job {
	known := make(map[probe.Probe]bool, len(others))
	for i := range others {
		known[others[i].Probe] = true
	}
	return jobsThat(func(j *probe.Job) bool { return !known[j.Probe] }, jobs)
}

// checkTargets makes the probes of the lists that are in files, for a plan, and says of the others that nobody was asked.
func checkTargets(cfg *config.Config) (planned *config.Config, refused []string) {
	lists := newTargetLists()
	unasked := lists.readLocal(cfg)
	cfg = cfg.Expand(lists.of(cfg))
	cfg.Unasked = unasked
	for _, why := range cfg.Refused {
		refused = append(refused, fmt.Sprintf("targets refused: %s", why))
	}
	return cfg, refused
}

// discover runs those of the jobs that list targets, and returns the configuration with the probes of what they found. Their results
// count for the next round.
func discover(ctx context.Context, cfg *config.Config, runner *onceRunner, lists *targetLists, jobs []probe.Job) *config.Config {
	runner.known = runner.run(ctx, jobsThat(func(j *probe.Job) bool { return j.Expand != nil }, jobs))
	for _, r := range runner.known {
		lists.Observe(r)
	}
	return cfg.Expand(lists.of(cfg))
}
