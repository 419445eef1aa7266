package config

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
)

// What a file does not say.
const (
	defaultInterval = 30 * time.Second
	defaultTimeout  = 5 * time.Second
)

// A head is what a file says beside its probes.
type head struct {
	System   string             `yaml:"system" required:"true" doc:"The system that is probed; a label of every series."`
	Interval *probe.Duration    `yaml:"interval" doc:"How often each probe asks, from 1s to 24h; 30s unless said."`
	Timeout  *probe.Duration    `yaml:"timeout" doc:"How long a run may take, less than the interval; 5s or four fifths of the interval unless said."`
	Labels   map[string]string  `yaml:"labels" doc:"Constant labels for every series of every probe."`
	Runbooks map[string]runbook `yaml:"runbooks" doc:"The procedures that the probes serve, by name."`
	Probes   []*yaml.Node       `yaml:"probes" required:"true" doc:"The questions that are asked."`

	Maintenance []window `yaml:"maintenance" doc:"When the system is worked on: probing and metrics go on, alerts stay quiet."`
}

// A runbook is a procedure for incidents.
type runbook struct {
	Severity string `yaml:"severity" doc:"As the runbook calls it: P1, sev2."`
	URL      string `yaml:"url" doc:"Where the procedure is written down."`
}

// An entry is what is said of a probe of any kind. The settings of its kind stand beside it.
type entry struct {
	Name      string            `yaml:"name" required:"true" doc:"Names the probe; a label of its series. Unique in the system."`
	Type      string            `yaml:"type" required:"true" doc:"The kind of probe."`
	Runbook   string            `yaml:"runbook" doc:"The procedure that the probe serves, one of those under runbooks."`
	Severity  string            `yaml:"severity" doc:"In place of the runbook's."`
	Interval  *probe.Duration   `yaml:"interval" doc:"How often the probe asks, from 1s to 24h; the file's unless said."`
	Timeout   *probe.Duration   `yaml:"timeout" doc:"How long a run may take, less than the interval; the file's unless said."`
	Labels    map[string]string `yaml:"labels" doc:"Constant labels beside those of the file, or in their place."`
	Signals   map[string]series `yaml:"signals" doc:"By check: the series that an alert already reads, such as process_up{service=\"proxy\"}; 1 while the check passes, 0 while it fails."`
	DependsOn []string          `yaml:"depends_on" doc:"Probes of the same system that explain a failure of this one. Recorded for alerts; no verdict depends on it."`
}

// A placed is a probe and where it stands. It is kept with its mistakes, so that others may refer to it.
type placed struct {
	entry
	job    probe.Job
	page   *page
	node   *yaml.Node
	number int    // in its file, from 1
	faulty faults // in its settings
}

// who names the probe in messages: by its name, if it has one that can be shown.
func (p *placed) who() string {
	if validName(p.Name) {
		return p.Name
	}
	return fmt.Sprintf("probe %d", p.number)
}

// add reports a mistake at a line of the probe.
func (p *placed) add(line int, format string, args ...any) {
	p.page.add(line, p.who(), format, args...)
}

// A loader turns files into jobs, and collects what is wrong on the way.
type loader struct {
	kinds   probe.Kinds
	shapes  shapes
	pages   []*page
	heads   []placedHead
	entries []*placed
	doubts  []string // warnings
}

// A placedHead is the head of a file and where it stands.
type placedHead struct {
	head
	page *page
	node *yaml.Node
}

func (l *loader) errors() (all Errors) {
	for _, p := range l.pages {
		all = append(all, p.sorted()...)
	}
	return all
}

// load reads one file.
func (l *loader) load(f File) {
	p := &page{name: f.Name}
	l.pages = append(l.pages, p)
	if f.problem != "" {
		p.unread = true
		p.add(0, "", "%s", f.problem)
		return
	}
	root := p.tree(f.Data)
	if root == nil {
		p.unread = true
		return
	}
	h := placedHead{page: p, node: root}
	d := &decoder{shapes: l.shapes, extend: true}
	d.structs(root, "", reflect.ValueOf(&h.head).Elem())
	for _, found := range d.found {
		p.add(found.line, "", "%s", found.text)
	}
	wrong := map[string]bool{}
	for _, found := range d.found {
		wrong[found.key] = true
	}
	h.check(wrong)
	p.unread = !validName(h.System)
	l.heads = append(l.heads, h)
	for i, n := range h.Probes {
		if n != nil { // null, which has been refused
			l.entries = append(l.entries, l.place(&h, n, i+1))
		}
	}
}

// check refuses what a head must not say. What is wrong already is left alone, and has its default.
func (h *placedHead) check(wrong map[string]bool) {
	fail := func(line int, format string, args ...any) { h.page.add(line, "", format, args...) }
	if h.System != "" && !validName(h.System) {
		fail(lineOf(h.node, "system"), "system %s", nameRule)
	} else if h.System == "" && !wrong["system"] {
		fail(lineOf(h.node, "system"), "system is empty")
	}
	if _, list := lookup(h.node, "probes"); list != nil && len(h.Probes) == 0 && !wrong["probes"] {
		fail(list.Line, "probes is empty")
	}
	h.Interval = checkInterval(h.Interval, lineOf(h.node, "interval"), fail)
	h.Timeout = checkTimeout(h.Timeout, lineOf(h.node, "timeout"), fail)
	if h.Interval != nil && h.Timeout != nil && *h.Timeout >= *h.Interval {
		fail(lineOf(h.node, "timeout"), "timeout %s must be shorter than the interval %s", brief(*h.Timeout), brief(*h.Interval))
		h.Timeout = nil
	}
	checkLabels(h.Labels, h.node, fail)
	for _, name := range slices.Sorted(maps.Keys(h.Runbooks)) {
		r := h.Runbooks[name]
		if !validName(name) {
			fail(lineOf(h.node, "runbooks", name), "the name of a runbook %s", nameRule)
		}
		if r.Severity != "" && !validLabelValue(r.Severity) {
			fail(lineOf(h.node, "runbooks", name, "severity"), "runbooks.%s: severity %s", shown(name), labelValueRule)
		}
		if r.URL != "" && !validLink(r.URL) {
			fail(lineOf(h.node, "runbooks", name, "url"), "runbooks.%s: url wants http:// or https:// and a host, without a user or a query", shown(name))
		}
	}
}

// validLink tells whether a runbook's address can be shown to people as it stands.
func validLink(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.RawQuery == ""
}

var namePattern = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_.-]{0,63}$`)

const nameRule = `wants a letter and then letters, digits, "_", "." and "-", at most 64`

func validName(name string) bool { return namePattern.MatchString(name) }
