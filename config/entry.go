package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/strictyaml"
	"prober/internal/text"
)

// An entry has the settings that all kinds of probe have. The settings of its kind are in the same mapping.
type entry struct {
	ForEach     string `yaml:"for_each" doc:"The probe that lists targets, such as one of the kind targets: one probe is made for each of them, with {target}, {host}, {port} and {label.NAME} in its place."`
	Name        string `yaml:"name" required:"true" doc:"Unique in the system; becomes a label of the probe's series."`
	Type        string `yaml:"type" required:"true" doc:"The kind of probe."`
	description `yaml:",inline"`
	Runbook     string            `yaml:"runbook" doc:"The procedure that the probe serves, one of those under runbooks."`
	Severity    string            `yaml:"severity" doc:"Overrides the runbook's."`
	Interval    *probe.Duration   `yaml:"interval" doc:"How often the probe runs, from 1s to 24h. By default the file's."`
	Timeout     *probe.Duration   `yaml:"timeout" doc:"How long a run may take, less than the interval. By default the file's."`
	Labels      map[string]string `yaml:"labels" empty:"true" doc:"Constant labels, added to those of the file or replacing them."`
	Signals     map[string]signal `yaml:"signals" empty:"true" doc:"By check: a series under a name that an alert already uses, such as process_up{service=\"proxy\"}; 1 while the check passes, 0 while it fails."`
	DependsOn   []string          `yaml:"depends_on" empty:"true" doc:"Probes of the same system that explain a failure of this one. Recorded for alerts; no verdict depends on it."`
}

// A probeEntry is a probe and where it is. It is kept with its mistakes, so that others may refer to it.
type probeEntry struct {
	place
	entry
	job    *probe.Job           // Probe is nil if the kind is not known
	unread []strictyaml.Mistake // settings that could not be read
	blank  []strictyaml.Mistake // settings that are required and empty
	refs   []sourceRef          // settings that name where their value comes from
	each   *each                // that it is a sample of; nil for a probe of its own

	recalled bool    // it was known, and its probe may be running
	text     textKey // of what it is written as
	begins   int     // its line
	values   int     // in it
	severity string  // as it is written
}

// readEntries reads probes of a file, of which some came before, and checks what can be told of each without the others. What is known
// is not read again.
func (l *loader) readEntries(f File, h *fileHeader, items []strictyaml.Item, before int) (entries []*probeEntry, wrong Errors) {
	d, kinds := l.decoder, l.kinds
	for i, item := range items {
		n, text := item.Node, keyOfText(f, h.System, item.Text)
		p := &probeEntry{place: place{file: h.file, tree: h.tree, probe: i + before + 1, made: n}, text: text, begins: item.Line, values: item.Values}
		if item.Known {
			k := l.before[text]
			p.job = l.newJob()
			p.who, p.made = k.job.Name, nil
			entries, wrong = append(entries, p), append(wrong, p.recall(k, kinds, h)...)
			continue
		}
		if n == nil { // null, which has been refused
			continue
		}
		p.who = "probe " + strconv.Itoa(p.probe)
		if _, name := strictyaml.Lookup(n, "name"); name != nil && validName(name.Value) {
			p.who = name.Value
		}
		if key, _ := strictyaml.Lookup(n, "for_each"); key != nil {
			sample, mistakes := readEach(d, kinds, h, f.Env, n, p.who)
			sample.each.text = text
			entries, wrong = append(entries, sample), append(wrong, mistakes...)
			continue
		}
		p.job = l.newJob()
		entries = append(entries, p)
		p.readSources(d, f.Env)
		wrong = append(wrong, p.guard(func() Errors { return p.read(d, kinds, h) })...)
		p.made = nil
	}
	d.AfterDecode = nil // it would have the tree of this file made again, to read the header of the next one
	return entries, wrong
}

// guard runs code of a kind. A panic becomes a mistake, so that a reload cannot end the prober. The message does not
// hold what the kind panicked with: that may be a setting.
func (p *probeEntry) guard(run func() Errors) (wrong Errors) {
	defer func() {
		if r := recover(); r != nil {
			wrong = Errors{p.mistake("", "the kind panicked on its settings (panic type=%T)", r)}
			p.job.Probe = nil
		}
	}()
	return run()
}

func (p *probeEntry) read(d *strictyaml.Decoder, kinds probe.Kinds, h *fileHeader) (wrong Errors) {
	n := p.node()
	kind := ""
	if _, word := strictyaml.Lookup(n, "type"); word != nil && word.Kind == yaml.ScalarNode {
		kind = word.Value
	}
	if k, known := kinds[kind]; known {
		p.job.Kind, p.job.Probe = k, k.New()
		p.unread = d.Decode(n, &p.entry, p.job.Probe)
		p.blank = d.Blank
		// Probes with equal settings ask the same. Validate may keep something of its own in a probe.
		p.job.Settings = d.Hash(p.job.Probe, n)
	} else if meant := meantKinds(kind, kinds); len(meant) == 1 {
		p.unread = d.Decode(n, &p.entry, kinds[meant[0]].New())
	} else { // the other keys cannot be judged, but those that were probably to be the ones that are missing
		common := d.Keys(&p.entry)
		p.unread = d.Decode(strictyaml.Select(n, func(key string) bool {
			near := text.Nearest(key, []string{"name", "type"})
			_, given := strictyaml.Lookup(n, near)
			return slices.Contains(common, key) || near != "" && given == nil
		}), &p.entry)
	}
	wrong = p.all(p.unread)
	p.job.Versions = &probe.VersionHistory{}
	if n.Kind == yaml.MappingNode {
		wrong = append(wrong, p.settle(kinds, h)...)
	}
	return wrong
}

// meantKinds returns the kinds that somebody probably meant who wrote word: those that say it of themselves, as icmp says ping, or the one
// whose name is nearest.
func meantKinds(word string, kinds probe.Kinds) (meant []string) {
	names := sorted.Keys(kinds)
	for _, name := range names {
		if said := strings.ToLower(" " + strings.ReplaceAll(kinds[name].Summary, "(", " ")); strings.Contains(said, " "+strings.ToLower(word)) {
			meant = append(meant, name)
		}
	}
	if near := text.Nearest(word, names); near != "" && (meant == nil || strings.EqualFold(near, word)) {
		return []string{near}
	}
	if len(word) < 3 || len(meant) > 3 {
		return nil
	}
	return meant
}

// settle adds to an entry what the header of its file says.
func (p *probeEntry) settle(kinds probe.Kinds, h *fileHeader) Errors {
	p.severity = p.Severity
	wrong := append(p.check(kinds, h), p.checkMeasures(h)...)
	p.job.ID = probe.ID{System: h.System, Name: p.Name, Type: p.Type, Runbook: p.Runbook, Severity: p.Severity}
	p.job.DependsOn = p.DependsOn
	return wrong
}

// isUnread tells whether a setting has been complained about already.
func (p *probeEntry) isUnread(path string) bool {
	return slices.ContainsFunc(p.unread, func(m strictyaml.Mistake) bool { return m.Concerns(path) })
}

func (p *probeEntry) check(kinds probe.Kinds, h *fileHeader) (wrong Errors) {
	if !validName(p.Name) && !p.isUnread("name") {
		wrong = append(wrong, p.mistake("name", "name %s", nameRule))
	}
	if p.job.Probe == nil && !p.isUnread("type") {
		meant := strings.Join(meantKinds(p.Type, kinds), " or ")
		if meant != "" {
			meant = "; did you mean " + meant + "?"
		}
		wrong = append(wrong, p.mistake("type", "type %sis none of %s%s", text.Word(p.Type), strings.Join(sorted.Keys(kinds), ", "), meant))
	}
	if p.job.Kind.Refused != "" {
		wrong = append(wrong, p.mistake("type", "type %s: %s", p.Type, p.job.Kind.Refused))
	}
	if p.Severity != "" {
		if err := probe.ValidateSeverity(p.Severity); err != nil {
			wrong = append(wrong, p.mistake("severity", "severity %s", err))
		}
	}
	runbook, known := h.Runbooks[p.Runbook]
	if p.Runbook != "" && !known {
		wrong = append(wrong, p.mistake("runbook", "runbook is not listed under runbooks%s", text.DidYouMean(p.Runbook, slices.Collect(maps.Keys(h.Runbooks)))))
	}
	p.job.RunbookURL, p.job.Responses, p.job.SLO = runbook.URL, h.responses, runbook.objective()
	p.job.About, p.job.AboutRunbook, p.job.AboutSystem = probe.Description(p.description), probe.Description(runbook.description), probe.Description(h.description)
	wrong = append(wrong, p.description.check(p.place, "", "")...)
	if p.Severity == "" {
		p.Severity = runbook.Severity
	}
	wrong = append(wrong, p.checkTimes(h)...)
	wrong = append(wrong, checkLabels(p.place, p.Labels)...)
	if p.job.Labels = h.Labels; len(p.Labels) > 0 {
		p.job.Labels = map[string]string{}
		maps.Copy(p.job.Labels, h.Labels)
		maps.Copy(p.job.Labels, p.Labels)
	}
	return append(wrong, p.readSignals()...)
}

// checkTimes settles how often the probe runs and how long it may take. A timeout shorter than the interval keeps a
// probe from ever waiting for itself.
func (p *probeEntry) checkTimes(h *fileHeader) Errors {
	interval, timeout, wrong := checkTimes(p.place, p.Interval, p.Timeout)
	p.job.Interval = firstOf(defaultInterval, interval, h.Interval)
	p.job.Timeout = firstOf(min(defaultTimeout, p.job.Interval*4/5), timeout, h.Timeout)
	switch every := probe.Duration(p.job.Interval); {
	case p.job.Timeout < p.job.Interval:
	case timeout != nil:
		wrong = append(wrong, p.mistake("timeout", "timeout %s must be shorter than the interval %s", timeout, every))
	default:
		wrong = append(wrong, p.mistake("interval", "the file's timeout %s must be shorter than the interval %s; give the probe a timeout", h.Timeout, every))
	}
	return wrong
}

func firstOf(otherwise time.Duration, given ...*probe.Duration) time.Duration {
	for _, d := range given {
		if d != nil {
			return d.D()
		}
	}
	return otherwise
}

// makeJobs returns the jobs of the probes, once nothing is wrong with them: where they are if there is room for all. Those that have
// a place in loader.jobs are the first entries, each at its own place or a later one.
func (l *loader) makeJobs(headers []*fileHeader, entries []*probeEntry) []probe.Job {
	jobs := l.jobs[:0]
	if cap(jobs) < len(entries) {
		jobs = make([]probe.Job, 0, len(entries))
	}
	bySystem := map[string][]*fileHeader{}
	for _, h := range headers {
		bySystem[h.System] = append(bySystem[h.System], h)
	}
	for _, p := range entries {
		if p.each == nil {
			jobs = append(jobs, makeJob(bySystem[p.job.System], p))
			p.job = &jobs[len(jobs)-1]
		}
	}
	return jobs
}

// makeJob returns the job of one.
//
//go:noinline
func makeJob(headers []*fileHeader, p *probeEntry) probe.Job {
	job := *p.job
	for _, h := range headers {
		for _, w := range h.windows {
			if h.System == p.job.System && (w.probes == nil || slices.Contains(w.probes, p.Name)) {
				job.Maintenance = append(job.Maintenance, w.Window)
			}
		}
	}
	return job
}
