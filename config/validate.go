package config

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/strictyaml"
	"prober/internal/text"
)

// validate asks each probe what is wrong with its settings, and whether it has the checks that its signals follow.
func validate(entries []*probeEntry) (wrong Errors) {
	for _, p := range entries {
		if p.job.Probe != nil && p.each == nil { // a sample was validated when it was made
			wrong = append(wrong, p.guard(p.validate)...)
		}
	}
	return wrong
}

func (p *probeEntry) validate() (wrong Errors) {
	var refused []probe.SettingError
	if !p.recalled {
		refused = probe.SettingErrors(p.job.Probe.Validate())
	}
	if c, ok := p.job.Probe.(probe.TimeoutChecker); ok && refused == nil {
		refused = probe.SettingErrors(c.CheckTimeout(p.job.Timeout))
	}
	for _, e := range refused {
		if !p.isUnread(e.Path) { // it would be an echo
			path, got := e.Path, p.got(e)
			if i := strings.LastIndex(path, "headers."); i >= 0 { // a key may be a header and its value, in quotes, which may be secret
				if n := strings.IndexAny(path[i:], " :="); n > 0 {
					e.Path = path[:i+n] + "…"
				}
			}
			wrong = append(wrong, p.mistake(path, "%s%s", e.Error(), got))
		}
	}
	for i, m := range p.blank {
		said := false
		for _, e := range refused {
			said = said || m.Concerns(e.Path)
		}
		if !said {
			wrong = append(wrong, p.all(p.blank[i:i+1])...)
		}
	}
	if wrong == nil && p.unread == nil {
		wrong = p.checkSignals()
	}
	return wrong
}

// notAskedFor are messages that do not end with what was expected of a value, or say already what it is. A name of letters is that of a key,
// as a rule.
var notAskedFor = regexp.MustCompile(`^(?:[^e]|e[^x])|, got |[:;] | beside |a name of letters`)

// got says what is written where something else was expected, if the message does not, and if it can be no secret.
func (p *probeEntry) got(e probe.SettingError) string {
	n, _ := strictyaml.Find(p.node(), e.Path)
	if n != nil && n.Kind == yaml.ScalarNode && !notAskedFor.MatchString(e.Text) {
		if word := text.Word(n.Value); word != "" {
			return ", got " + word[:len(word)-1]
		}
	}
	return ""
}

// checkSignals refuses a signal of a check that the probe never notes: it would be absent for ever.
func (p *probeEntry) checkSignals() (wrong Errors) {
	checks := append(p.job.Probe.Checks(), probe.TargetChecks(p.job.Probe)...)
	for _, check := range sorted.Keys(p.Signals) {
		if now, renamed := p.job.Kind.RenamedChecks[check]; renamed && !slices.Contains(checks, check) {
			wrong = append(wrong, p.mistake("signals."+check, "%s", probe.Renamed("signals."+check, now)))
		} else if !slices.Contains(checks, check) {
			wrong = append(wrong, p.mistake("signals."+check, "signals.%s: the checks are %s%s",
				strictyaml.Shown(check), strings.Join(checks, ", "), text.DidYouMean(check, checks)))
		}
	}
	return wrong
}

// warnings lists what is allowed but probably not meant.
func warnings(headers []*fileHeader, entries []*probeEntry) (all []string) {
	for _, h := range headers {
		all = append(all, h.pastWindows()...)
	}
	for _, p := range entries {
		if _, lists := p.job.Probe.(probe.TargetLister); lists && !slices.ContainsFunc(entries, func(q *probeEntry) bool { return q.each != nil && q.each.list == p.job.Key() }) {
			all = append(all, p.mistake("name", "no entry has for_each: %s, so no probe is made from the list", p.Name).Error())
		}
	}
	for _, h := range headers {
		served := map[string]bool{}
		for _, p := range entries {
			if p.file == h.file {
				served[p.Runbook] = true
			}
		}
		for _, name := range sorted.Keys(h.Runbooks) {
			if !served[name] {
				all = append(all, h.mistake("runbooks."+name, "no probe serves the runbook %s", name).Error())
			}
		}
	}
	return all
}

var namePattern = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_.-]{0,63}$`)

const nameRule = `wants a letter and then letters, digits, "_", "." and "-", at most 64`

//go:noinline
func validName(name string) bool { return namePattern.MatchString(name) }

var labelPattern = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func validLabelName(name string) bool {
	return len(name) <= 64 && labelPattern.MatchString(name) && (len(name) < 2 || name[:2] != "__")
}

const (
	labelNameRule  = `wants letters, digits and "_", neither a digit nor "__" first, at most 64`
	labelValueRule = "wants 1 to 128 printable characters"
)

// validLabelValue tells whether a value may become a label: an empty one is no label at all to Prometheus, and one
// that cannot be printed is nothing to search for.
func validLabelValue(value string) bool {
	n := utf8.RuneCountInString(value)
	for _, c := range value {
		if !unicode.IsPrint(c) || c == utf8.RuneError {
			return false
		}
	}
	return 1 <= n && n <= 128
}

const textRule = "wants at most 300 printable characters"

// validText tells whether a text can be shown as a line.
func validText(s string) bool {
	return utf8.RuneCountInString(s) <= 300 && !strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) || c == utf8.RuneError })
}

// checkLabels refuses constant labels that cannot be on a series.
func checkLabels(p place, labels map[string]string) (wrong Errors) {
	for _, name := range sorted.Keys(labels) {
		path := "labels." + name
		switch {
		case !validLabelName(name):
			wrong = append(wrong, p.mistake(path, "labels.%s: the name %s", strictyaml.Shown(name), labelNameRule))
		case slices.Contains(probe.ReservedLabels[:], name):
			wrong = append(wrong, p.mistake(path, "labels.%s: the name is taken, by the prober or by Prometheus", name))
		}
		if value := labels[name]; !validLabelValue(value) {
			wrong = append(wrong, p.mistake(path, "labels.%s: %s", strictyaml.Shown(name), labelValueRule))
		}
	}
	return wrong
}

// checkMeasures refuses constant labels that a measure of the probe's kind has too, be they the probe's or the file's.
func (p *probeEntry) checkMeasures(h *fileHeader) (wrong Errors) {
	for _, m := range p.job.Kind.Measures {
		for _, name := range m.Labels {
			at := h.place
			if _, own := p.Labels[name]; own {
				at = p.place
			} else if _, files := h.Labels[name]; !files {
				continue
			}
			if !slices.Contains(probe.ReservedLabels[:], name) { // which has been refused
				wrong = append(wrong, at.mistake("labels."+name, "labels.%s: %s of the kind %s has a label of this name", name, m.Name, p.Type))
			}
		}
	}
	return wrong
}
