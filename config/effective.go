package config

import (
	"bytes"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/strictyaml"
)

// YAML returns the configuration as it is in effect, with the defaults filled in and one document for each system. Secrets are
// shown as their sources. What may hold a credential that was written out is hidden: settings tagged mask, values of any shape,
// and the users and queries of URLs, and of paths. It may be called while the probes run, and takes seconds for tens of thousands of them.
func (c *Config) YAML() []byte {
	var b bytes.Buffer
	d := &strictyaml.Decoder{}
	bySystem := map[string][]*probe.Job{}
	for i := range c.Jobs {
		bySystem[c.Jobs[i].System] = append(bySystem[c.Jobs[i].System], &c.Jobs[i])
	}
	for i, system := range c.systems() {
		if i > 0 {
			b.WriteString("---\n")
		}
		b.Write(yamlText(c.head(system, bySystem[system])))
		b.WriteString("probes:\n")
		for _, j := range bySystem[system] {
			list := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{item(d, j)}}
			part := yamlText(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{scalar("probes"), list}})
			b.Write(bytes.TrimPrefix(part, []byte("probes:\n")))
		}
	}
	return b.Bytes()
}

// yamlText returns a node as text. An encoder keeps all that it was given until its end, ten times as much as the text: so each
// probe has one of its own.
func yamlText(n *yaml.Node) []byte {
	var b bytes.Buffer
	out := yaml.NewEncoder(&b)
	out.SetIndent(2)
	_ = out.Encode(n) // of nodes into a buffer: it cannot fail
	_ = out.Close()
	return b.Bytes()
}

// head returns all but the probes of a system.
func (c *Config) head(system string, jobs []*probe.Job) *yaml.Node {
	links, about, objectives := map[string]string{}, map[string]probe.Description{}, map[string]probe.Objective{}
	var own probe.Description
	severities := &yaml.Node{Kind: yaml.MappingNode}
	for _, j := range jobs {
		if j.Runbook != "" {
			links[j.Runbook], about[j.Runbook], objectives[j.Runbook] = j.RunbookURL, j.AboutRunbook, j.SLO
		}
		own = j.AboutSystem
		severities = responses(j.Responses)
	}
	runbooks := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range sorted.Keys(links) {
		r := &yaml.Node{Kind: yaml.MappingNode}
		describe(r, about[name])
		set(r, "url", scalar(links[name]))
		if o := objectives[name]; !o.IsZero() {
			n := &yaml.Node{Kind: yaml.MappingNode}
			set(n, "objective", &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatFloat(o.Percent, 'f', -1, 64)})
			set(n, "window", scalar(probe.Duration(o.Window).String()))
			set(r, "slo", n)
		}
		runbooks.Content = append(runbooks.Content, scalar(name), r) // even if there is no more to say of it
	}
	doc := &yaml.Node{Kind: yaml.MappingNode}
	set(doc, "system", scalar(system))
	describe(doc, own)
	set(doc, "severities", severities)
	set(doc, "runbooks", runbooks)
	set(doc, "maintenance", c.maintained(system))
	if system == c.publicIn {
		set(doc, "public", publicNode(c.Public))
	}
	return doc
}

// responses returns what alerts ask of people, by severity.
func responses(byLevel map[int]probe.Response) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, level := range sorted.Keys(byLevel) {
		r := byLevel[level]
		set(n, fmt.Sprintf("P%d", level), mapping(map[string]string{"respond": r.Respond, "escalate": r.Escalate}))
	}
	return n
}

// item returns a job as an entry of the list of probes.
func item(d *strictyaml.Decoder, j *probe.Job) *yaml.Node {
	signals := &yaml.Node{Kind: yaml.MappingNode}
	for _, check := range sorted.Keys(j.Signals) {
		s := j.Signals[check]
		series := scalar(s.String())
		if s.Targets != probe.WorstTarget {
			series = mapping(map[string]string{"series": s.String(), "targets": string(s.Targets)})
		}
		set(signals, check, series)
	}
	needs := &yaml.Node{Kind: yaml.SequenceNode}
	for _, name := range j.DependsOn {
		needs.Content = append(needs.Content, scalar(name))
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	set(n, "name", scalar(j.Name))
	set(n, "type", scalar(j.Type))
	describe(n, j.About)
	set(n, "runbook", scalar(j.Runbook))
	set(n, "severity", scalar(j.Severity))
	set(n, "interval", scalar(probe.Duration(j.Interval).String()))
	set(n, "timeout", scalar(probe.Duration(j.Timeout).String()))
	set(n, "labels", mapping(j.Labels))
	set(n, "signals", signals)
	set(n, "depends_on", needs)
	own, ok := d.Encode(j.Probe)
	if !ok {
		own = &yaml.Node{Kind: yaml.MappingNode}
	}
	if j.Kind.New != nil {
		d.OmitZero(own, j.Probe, j.Kind.New())
	}
	prune(own) // what nobody set is no setting
	d.Mask(own, j.Probe)
	maskURLs(own)
	n.Content = append(n.Content, own.Content...)
	return n
}

// describe adds what people call something.
func describe(n *yaml.Node, d probe.Description) {
	set(n, "title", scalar(d.Title))
	set(n, "description", scalar(d.Text))
	set(n, "impact", scalar(d.Impact))
}

// set adds a key and its value, unless there is nothing to say.
func set(n *yaml.Node, key string, value *yaml.Node) {
	if !isEmpty(value) {
		n.Content = append(n.Content, scalar(key), value)
	}
}

func scalar(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: strictyaml.TextStyle(text)}
}

func mapping(table map[string]string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, key := range sorted.Keys(table) {
		set(n, key, scalar(table[key]))
	}
	return n
}

func prune(n *yaml.Node) {
	for _, c := range n.Content {
		prune(c)
	}
	if n.Kind != yaml.MappingNode {
		return
	}
	var kept []*yaml.Node
	for key, value := range strictyaml.Pairs(n) {
		if !isEmpty(value) {
			kept = append(kept, key, value)
		}
	}
	n.Content = kept
}

// isEmpty tells whether a value says nothing: null, "", and what has nothing in it.
func isEmpty(n *yaml.Node) bool {
	if n.Kind == yaml.ScalarNode {
		return strictyaml.IsNull(n) || n.Value == ""
	}
	return len(n.Content) == 0
}

// maskURLs hides the users and queries of all URLs in a tree.
func maskURLs(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		n.Value = withoutQuery(n.Value)
	}
	for _, c := range n.Content {
		maskURLs(c)
	}
}

// withoutQuery hides what a URL may carry beside the address: a user and a query. A text that begins like a path is one.
func withoutQuery(text string) string {
	if !strings.Contains(text, "://") {
		if path, _, found := strings.Cut(text, "?"); found && strings.HasPrefix(text, "/") {
			return path + "?" + strictyaml.Masked
		}
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return strictyaml.Masked
	}
	if u.User == nil && u.RawQuery == "" && u.Fragment == "" {
		return text
	}
	scheme, rest, _ := strings.Cut(text, "://")
	if at := strings.LastIndexByte(rest, '@'); u.User != nil && at >= 0 {
		rest = strictyaml.Masked + "@" + rest[at+1:]
	}
	if end := strings.IndexAny(rest, "?#"); end >= 0 {
		rest = rest[:end+1] + strictyaml.Masked
	}
	return scheme + "://" + rest
}
