package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
	"prober/internal/spell"
)

// place reads one entry of the list of probes, and checks what can be told without looking at the others.
func (l *loader) place(h *placedHead, n *yaml.Node, number int) (p *placed) {
	p = &placed{page: h.page, node: n, number: number}
	defer p.contain()
	kind := ""
	if _, word := lookup(n, "type"); word != nil && word.Kind == yaml.ScalarNode {
		kind = word.Value
	}
	into := []reflect.Value{reflect.ValueOf(&p.entry).Elem()}
	d := &decoder{shapes: l.shapes}
	if makeKind, known := l.kinds[kind]; known {
		p.job.Probe = makeKind()
		p.job.Settings = written(p.node)
		d.structs(n, "", append(into, reflect.ValueOf(p.job.Probe).Elem())...)
	} else {
		l.common(d, n, into[0])
	}
	p.faulty = d.found
	for _, found := range d.found {
		p.add(found.line, "%s", found.text)
	}
	if n.Kind == yaml.MappingNode {
		p.check(h, l.kinds)
	}
	p.job.ID = probe.ID{System: h.System, Name: p.Name, Type: p.Type, Runbook: p.Runbook, Severity: p.Severity}
	p.job.DependsOn = p.DependsOn
	return p
}

// common reads what every probe has from an entry of no known kind, whose other keys nobody can judge.
func (l *loader) common(d *decoder, n *yaml.Node, into reflect.Value) {
	if n.Kind == yaml.MappingNode {
		known := keys(l.shapes.of(into.Type()))
		some := *n
		some.Content = nil
		for key, value := range pairs(n) {
			if slices.Contains(known, key.Value) {
				some.Content = append(some.Content, key, value)
			}
		}
		n = &some
	}
	d.structs(n, "", into)
}

// wrong tells whether a key of the entry has been complained about already.
func (p *placed) wrong(key string) bool {
	return slices.ContainsFunc(p.faulty, func(f fault) bool { return f.key == key })
}

func (p *placed) check(h *placedHead, kinds probe.Kinds) {
	switch {
	case p.Name == "" && !p.wrong("name"):
		p.add(lineOf(p.node, "name"), "name is empty")
	case p.Name != "" && !validName(p.Name):
		p.add(lineOf(p.node, "name"), "name %s", nameRule)
	}
	words := slices.Sorted(maps.Keys(kinds))
	if p.job.Probe == nil && !p.wrong("type") {
		p.add(lineOf(p.node, "type"), "type is none of %s%s", strings.Join(words, ", "), spell.DidYouMean(p.Type, words))
	}
	if p.Severity != "" && !validLabelValue(p.Severity) {
		p.add(lineOf(p.node, "severity"), "severity %s", labelValueRule)
	}
	p.checkRunbook(h)
	p.checkTimes(h)
	p.checkLabels(h)
}

func (p *placed) checkRunbook(h *placedHead) {
	r, known := h.Runbooks[p.Runbook]
	if p.Runbook != "" && !known {
		p.add(lineOf(p.node, "runbook"), "runbook is not listed under runbooks%s", spell.DidYouMean(p.Runbook, slices.Collect(maps.Keys(h.Runbooks))))
	}
	p.job.RunbookURL = r.URL
	if p.Severity == "" {
		p.Severity = r.Severity
	}
}

// checkTimes settles how often the probe asks and how long it may take. A timeout shorter than the interval keeps a
// probe from ever waiting for itself.
func (p *placed) checkTimes(h *placedHead) {
	every := checkInterval(p.Interval, lineOf(p.node, "interval"), p.add)
	limit := checkTimeout(p.Timeout, lineOf(p.node, "timeout"), p.add)
	p.job.Interval = firstOf(defaultInterval, every, h.Interval)
	p.job.Timeout = firstOf(min(defaultTimeout, p.job.Interval*4/5), limit, h.Timeout)
	if p.job.Timeout < p.job.Interval {
		return
	}
	if limit != nil {
		p.add(lineOf(p.node, "timeout"), "timeout %s must be shorter than the interval %s", brief(*limit), brief(probe.Duration(p.job.Interval)))
	} else {
		p.add(lineOf(p.node, "interval"), "the file's timeout %s must be shorter than the interval %s; give the probe a timeout", brief(*h.Timeout), brief(probe.Duration(p.job.Interval)))
	}
}

func (p *placed) checkLabels(h *placedHead) {
	checkLabels(p.Labels, p.node, p.add)
	if len(h.Labels)+len(p.Labels) > 0 {
		p.job.Labels = map[string]string{}
		maps.Copy(p.job.Labels, h.Labels)
		maps.Copy(p.job.Labels, p.Labels)
	}
}

func firstOf(otherwise time.Duration, said ...*probe.Duration) time.Duration {
	for _, d := range said {
		if d != nil {
			return d.D()
		}
	}
	return otherwise
}

// checkInterval returns the interval, or nil if it is none that can be.
func checkInterval(d *probe.Duration, line int, fail func(int, string, ...any)) *probe.Duration {
	if d != nil && (d.D() < time.Second || d.D() > 24*time.Hour) {
		fail(line, "interval %s must be from 1s to 24h", brief(*d))
		return nil
	}
	return d
}

// checkTimeout returns the timeout, or nil if it is none that can be.
func checkTimeout(d *probe.Duration, line int, fail func(int, string, ...any)) *probe.Duration {
	if d != nil && *d <= 0 {
		fail(line, "timeout %s must be above zero", brief(*d))
		return nil
	}
	return d
}

// brief writes a duration as people do: 5m, not 5m0s.
func brief(d probe.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// written returns a hash of an entry as it stands in the file, comments and places aside.
func written(n *yaml.Node) string {
	sum := sha256.New()
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		fmt.Fprintf(sum, "%d %q %q(", n.Kind, n.Tag, n.Value)
		for _, child := range n.Content {
			walk(child)
		}
		fmt.Fprint(sum, ")")
	}
	walk(n)
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
