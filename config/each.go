package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/strictyaml"
	"prober/internal/text"
)

// An each is an entry with for_each, from which a probe is made for every target of a list.
type each struct {
	header *fileHeader
	env    *secret.Environment
	file   string
	node   *yaml.Node
	name   string         // as it is written
	labels []string       // of a target, that the entry names
	names  *regexp.Regexp // what its probes may be called
	list   probe.Key      // where the targets are from
	text   textKey
	made   map[string]*made
	before map[string]*made // of the configuration that there was; nil once the lists are known
}

// placeholder is what stands for a part of a target.
var placeholder = regexp.MustCompile(`\{(target|host|port|label\.([a-zA-Z_][a-zA-Z0-9_]*))\}`)

// fixedKeys are the settings of every probe that are the same for all targets.
var fixedKeys = []string{"for_each", "type", "runbook", "severity", "interval", "timeout", "signals", "depends_on"}

// samples stand for targets while there are none: an entry is right if the settings that come of one of them are.
var samples = []probe.Target{{Address: "192.0.2.1:80"}, {Address: "sample.example:80"}, {Address: "https://sample.example/sample"}, {Address: "127.0.0.1:80"}}

// sampleLabels are the values that labels have in them.
var sampleLabels = []string{"1", "x", "1s"}

// readEach reads an entry with for_each, with a made-up target.
func readEach(d *strictyaml.Decoder, kinds probe.Kinds, h *fileHeader, env *secret.Environment, n *yaml.Node, who string) (*probeEntry, Errors) {
	at := place{file: h.file, made: n, who: who}
	e := &each{file: h.file, node: n, env: env, made: map[string]*made{}}
	// The tree of the file is not kept for it.
	e.header = &fileHeader{place: place{file: h.file, made: &yaml.Node{Kind: yaml.MappingNode, Line: h.node().Line}}, header: h.header, windows: h.windows, responses: h.responses}
	e.header.Probes = nil
	if _, name := strictyaml.Lookup(n, "name"); name != nil {
		e.name = name.Value
	}
	if shown := placeholder.ReplaceAllString(e.name, "x"); validName(shown) || validName("x"+shown) {
		at.who = e.name
	}
	var pattern strings.Builder
	last := 0
	for _, m := range placeholder.FindAllStringIndex(e.name, -1) {
		pattern.WriteString(regexp.QuoteMeta(e.name[last:m[0]]) + "[a-zA-Z0-9_.-]+")
		last = m[1]
	}
	e.names = regexp.MustCompile("^(?:" + pattern.String() + regexp.QuoteMeta(e.name[last:]) + ")$")
	wrong := e.checkNode(at)
	var best *probeEntry
	var mistakes Errors
	for _, sample := range samples {
		for _, value := range sampleLabels {
			t := probe.Target{Address: sample.Address, Labels: map[string]string{}}
			for _, name := range e.labels {
				t.Labels[name] = value
			}
			p, some := e.read(d, kinds, t, at.who, nil)
			if best == nil || len(some) < len(mistakes) {
				best, mistakes = p, some
			}
			if len(mistakes) == 0 || len(e.labels) == 0 {
				break
			}
		}
		if len(mistakes) == 0 {
			break
		}
	}
	e.list = probe.Key{System: h.System, Name: best.ForEach}
	best.each = e
	if _, lists := best.job.Probe.(probe.TargetLister); lists {
		wrong = append(wrong, at.mistake("for_each", "a list of targets is not made from another"))
	}
	if _, receives := best.job.Probe.(probe.Receiver); receives {
		wrong = append(wrong, at.mistake("for_each", "a probe that others send to needs a token of its own, and all targets would have the same"))
	}
	if best.job.Kind.Traits.StartsPrograms {
		wrong = append(wrong, checkPrograms(at, n)...)
	}
	return best, append(wrong, mistakes...)
}

// checkNode refuses what cannot depend on a target, and notes which labels the entry names.
func (e *each) checkNode(at place) (wrong Errors) {
	varies, settings := false, false
	for key, value := range strictyaml.Pairs(e.node) {
		uses := e.uses(value)
		wrong = append(wrong, checkKeys(at, value)...)
		switch {
		case slices.Contains(fixedKeys, key.Value):
			if uses {
				wrong = append(wrong, at.mistakeAt(key.Line, "%s cannot depend on a target", key.Value))
			}
		case key.Value == "name":
			varies = uses
		case !slices.Contains([]string{"title", "description", "impact", "labels"}, key.Value):
			settings = settings || uses
			wrong = append(wrong, e.checkSources(at, key, value)...)
		}
	}
	if !varies {
		wrong = append(wrong, at.mistake("name", "name wants {target}, {host} or another part of a target, so that each probe has its own"))
	}
	if !settings {
		wrong = append(wrong, at.mistake("for_each", "no setting has {target}, {host} or another part of a target, so that all targets would be asked the same"))
	}
	if key, _ := strictyaml.Lookup(e.node, "signals"); key != nil {
		wrong = append(wrong, at.mistake("signals", "signals cannot stand beside for_each: all targets would write one series"))
	}
	return wrong
}

// uses reports whether anything below a node depends on a target, and notes the labels.
func (e *each) uses(n *yaml.Node) (uses bool) {
	if n.Kind == yaml.ScalarNode {
		for _, m := range placeholder.FindAllStringSubmatch(n.Value, -1) {
			uses = true
			if m[2] != "" && !slices.Contains(e.labels, m[2]) {
				e.labels = append(e.labels, m[2])
			}
		}
	}
	for _, c := range n.Content {
		uses = e.uses(c) || uses
	}
	return uses
}

// checkSources refuses a file or a variable that a target names: whoever writes the list could have any of them read.
func (e *each) checkSources(at place, key, n *yaml.Node) (wrong Errors) {
	if n.Kind == yaml.ScalarNode && (key.Value == "file" || key.Value == "env" || strings.HasSuffix(key.Value, "_file")) && placeholder.MatchString(n.Value) {
		return Errors{at.mistakeAt(n.Line, "a file or a variable cannot depend on a target")}
	}
	for k, v := range strictyaml.Pairs(n) {
		wrong = append(wrong, e.checkSources(at, k, v)...)
	}
	if n.Kind == yaml.SequenceNode {
		for _, c := range n.Content {
			wrong = append(wrong, e.checkSources(at, key, c)...)
		}
	}
	return wrong
}

// checkKeys refuses a key that names a target: only values are replaced, and what is expected under another key could be true always.
func checkKeys(at place, n *yaml.Node) (wrong Errors) {
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && placeholder.MatchString(c.Value) {
			wrong = append(wrong, at.mistakeAt(c.Line, "a key cannot depend on a target"))
		}
		wrong = append(wrong, checkKeys(at, c)...)
	}
	return wrong
}

// checkPrograms refuses a program, or another path of this machine, that a target names.
func checkPrograms(at place, n *yaml.Node) (wrong Errors) {
	for i, c := range n.Content {
		path := n.Kind == yaml.SequenceNode && i == 0 || strings.HasPrefix(c.Value, "/")
		if c.Kind == yaml.ScalarNode && path && placeholder.MatchString(c.Value) {
			wrong = append(wrong, at.mistakeAt(c.Line, "a program or a path cannot depend on a target"))
		}
		wrong = append(wrong, checkPrograms(at, c)...)
	}
	return wrong
}

// read makes the entry of a target, which may be known. The mistakes are those of the settings that come of it.
func (e *each) read(d *strictyaml.Decoder, kinds probe.Kinds, t probe.Target, who string, k *known) (*probeEntry, Errors) {
	p := &probeEntry{place: place{file: e.file, made: e.node, who: who}, job: &probe.Job{}, begins: e.node.Line}
	var wrong Errors
	if k != nil {
		wrong = p.recall(k, kinds, e.header)
	} else {
		node, err := substitute(e.node, t, asSetting, true)
		if err != nil {
			return p, Errors{p.mistake("", "%s", err)}
		}
		p.made = node
		p.readSources(d, e.env)
		wrong = p.guard(func() Errors { return p.read(d, kinds, e.header) })
	}
	if len(wrong) == 0 && p.job.Probe != nil {
		wrong = p.guard(p.validate)
	}
	p.job.List = p.ForEach
	return p, wrong
}

// A role is what a text is in an entry.
type role int

const (
	asSetting role = iota
	asName
	asProse // that people read, or a label
)

var roles = map[string]role{"name": asName, "title": asProse, "description": asProse, "impact": asProse, "labels": asProse}

// substitute returns a copy of an entry in which the parts of a target are in their places. Only decoded values change: no value can add
// a key or change what another one is.
func substitute(n *yaml.Node, t probe.Target, as role, isEntry bool) (*yaml.Node, error) {
	if n.Kind == yaml.ScalarNode {
		if !placeholder.MatchString(n.Value) {
			return n, nil
		}
		value, err := fill(n.Value, t, as)
		if err != nil {
			return nil, err
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value, Line: n.Line, Column: n.Column}, nil
	}
	out := *n
	out.Content = slices.Clone(n.Content)
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 { // a key
			continue
		}
		if isEntry && i > 0 {
			as = roles[n.Content[i-1].Value]
		}
		var err error
		if out.Content[i], err = substitute(c, t, as, false); err != nil {
			return nil, err
		}
	}
	return &out, nil
}

var (
	errAddress = errors.New("expected host, host:port, or a URL of http or https without a user, a query and a fragment")
	errURL     = errors.New("a URL can only be the whole of a setting")
	errPort    = errors.New("expected host:port, got no port")
	errWord    = errors.New("in a text of several words, such as a query, only one word may stand outside of quotes")
	oneWord    = regexp.MustCompile(`^[\pL\pN_.:\[\]-]+$`) // or an address
	hostPart   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$`)
	schemePart = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`)
	notInName  = regexp.MustCompile(`[^a-zA-Z0-9_.-]`)
)

// fill returns a value with the parts of a target in their places. In a URL, a part stays within what it stands in: the scheme, the host
// or what follows.
func fill(template string, t probe.Target, as role) (string, error) {
	isName := as == asName
	host, port, ok := t.Split()
	if !ok {
		return "", errAddress
	}
	scheme := strings.Index(template, "://")
	if scheme >= 0 && strings.ContainsAny(template[:scheme], " \t\n\"'") { // a sentence
		scheme = -1
	}
	path := len(template)
	if scheme >= 0 {
		if i := strings.IndexAny(template[scheme+3:], "/?#"); i >= 0 {
			path = scheme + 3 + i
		}
	}
	program := as == asSetting && scheme < 0 && strings.ContainsAny(placeholder.ReplaceAllString(template, ""), " \t\n([{<>")
	var b strings.Builder
	last := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(template, -1) {
		b.WriteString(template[last:m[0]])
		last = m[1]
		inHost := scheme >= 0 && m[0] > scheme && m[0] < path
		value := ""
		switch word := template[m[2]:m[3]]; word {
		case "target":
			if value = t.Address; t.IsURL() && template != "{target}" && !isName {
				return "", errURL
			}
		case "host":
			value = host
			colon := inHost || strings.HasPrefix(template[last:], ":")
			if colon && strings.Contains(host, ":") && !strings.HasSuffix(b.String(), "[") && !isName {
				value = "[" + host + "]"
			}
		case "port":
			if value = port; port == "" {
				return "", errPort
			}
		default:
			name := template[m[4]:m[5]]
			if value = t.Labels[name]; value == "" {
				return "", fmt.Errorf("it has no label %s", name)
			}
			if !validPart(value) || inHost && !hostPart.MatchString(value) || scheme >= 0 && m[0] < scheme && !schemePart.MatchString(value) ||
				scheme >= 0 && m[0] >= path && strings.Contains(value, " ") {
				return "", fmt.Errorf("its label %s has characters that cannot stand there", name)
			}
		}
		if before := template[:m[0]]; program && strings.Count(before, "'")%2 == 0 && strings.Count(before, `"`)%2 == 0 && (!oneWord.MatchString(value) || strings.Contains(value, "--")) {
			return "", errWord
		}
		if isName {
			value = notInName.ReplaceAllString(value, "-")
		}
		b.WriteString(value)
	}
	return b.String() + template[last:], nil
}

// validPart reports whether a label may stand in any setting: it holds nothing that means something to a regular expression, a query, a
// path or a program.
func validPart(value string) bool {
	if value == "" || utf8.RuneCountInString(value) > 128 || value[0] == '-' || strings.TrimSpace(value) != value || strings.Contains(value, "..") {
		return false
	}
	for _, c := range value {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune(" -._~:/,@=", c) || c == utf8.RuneError {
			return false
		}
	}
	return strings.ContainsFunc(value, func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }) // "." means any character
}

// prototype is the job that stands for all that are made from the entry.
func (e *each) prototype(sample *probeEntry) probe.Job {
	j := *sample.job
	j.Name, j.Names = e.name, strings.TrimSuffix(strings.TrimPrefix(e.names.String(), "^(?:"), ")$")
	j.Labels = map[string]string{}
	_, own := strictyaml.Lookup(e.node, "labels")
	for name, value := range sample.job.Labels {
		j.Labels[name] = value
		if own != nil {
			if _, n := strictyaml.Lookup(own, name); n != nil && placeholder.MatchString(n.Value) {
				j.Labels[name] = ""
			}
		}
	}
	return j
}

// crosscheckEach refuses lists that are none, and names that others could have.
func crosscheckEach(entries []*probeEntry) (wrong Errors) {
	for _, p := range entries {
		if p.each == nil {
			continue
		}
		var lists []string
		for _, q := range entries {
			if q.job.System != p.job.System {
				continue
			}
			if _, is := q.job.Probe.(probe.TargetLister); is {
				lists = append(lists, q.Name)
			}
			if q != p && q.Name != p.Name && p.each.names.MatchString(q.Name) {
				wrong = append(wrong, p.mistake("name", "a target could get the name of the probe %s; begin the name otherwise", q.seenFrom(p.place, "name")))
			}
		}
		if !slices.Contains(lists, p.ForEach) && !p.isUnread("for_each") {
			wrong = append(wrong, p.mistake("for_each", "for_each names no list of targets of the system%s", text.DidYouMean(p.ForEach, lists)))
		}
	}
	return wrong
}
