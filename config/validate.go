package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"prober/internal/probe"
	"prober/internal/spell"
)

// validate asks each probe what is wrong with its settings, and whether it has the checks that its signals follow.
func (l *loader) validate() {
	for _, p := range l.entries {
		if p.job.Probe != nil {
			p.validate()
		}
	}
}

func (p *placed) validate() {
	defer p.contain()
	said := complaints(p.job.Probe)
	for _, text := range said {
		if !slices.ContainsFunc(p.faulty, func(f fault) bool { return mentions(text, f.key) }) {
			p.add(p.lineFor(text), "%s", text)
		}
	}
	if said == nil && p.faulty == nil {
		p.checkSignals()
	}
}

// contain turns a panic of a kind into a mistake, so that a reload cannot end the prober. It does not say what the
// kind panicked with: that may hold a setting.
func (p *placed) contain() {
	if r := recover(); r != nil {
		p.add(p.node.Line, "the kind panicked on its settings (panic type=%T)", r)
		p.job.Probe = nil
	}
}

// complaints returns what a probe says of its settings, one text for each thing.
func complaints(p probe.Probe) (texts []string) {
	err := p.Validate()
	if err == nil {
		return nil
	}
	for text := range strings.Lines(err.Error()) {
		if text = strings.TrimSpace(text); text != "" {
			texts = append(texts, text)
		}
	}
	if texts == nil {
		texts = []string{"the settings are refused"}
	}
	return texts
}

// mentions tells whether a text speaks of a key. What is said of a key that could not be read is no news.
func mentions(text, key string) bool {
	if key == "" {
		return false
	}
	return regexp.MustCompile(`(^|\W)` + regexp.QuoteMeta(key) + `(\W|$)`).MatchString(text)
}

var leadingPath = regexp.MustCompile(`^[A-Za-z0-9_.-]+`)

// lineFor returns the line that a complaint is about, if it begins with a key or the path to one, else that of the
// probe.
func (p *placed) lineFor(text string) int {
	return lineOf(p.node, strings.Split(leadingPath.FindString(text), ".")...)
}

// checkSignals refuses a signal of a check that the probe never notes: it would be absent for ever.
func (p *placed) checkSignals() {
	checks := p.job.Probe.Checks()
	for _, check := range slices.Sorted(maps.Keys(p.Signals)) {
		if !slices.Contains(checks, check) {
			p.add(lineOf(p.node, "signals", check), "signals.%s: the checks are %s%s",
				shown(check), strings.Join(checks, ", "), spell.DidYouMean(check, checks))
		}
	}
}

// warnings lists what is allowed and probably not meant.
func (l *loader) warnings() (all []string) {
	all = append(all, l.doubts...)
	for _, h := range l.heads {
		served := map[string]bool{}
		for _, p := range l.entries {
			if p.page == h.page {
				served[p.Runbook] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(h.Runbooks)) {
			if !served[name] {
				m := Mistake{File: h.page.name, Line: lineOf(h.node, "runbooks", name), Text: "no probe serves the runbook " + name}
				all = append(all, m.Error())
			}
		}
	}
	return all
}
