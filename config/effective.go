package config

import (
	"bytes"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
)

// YAML returns the configuration as it is in effect, with the defaults filled in: one document for each system.
// Secrets stand as their sources. Headers, bodies, parameters and query strings that are written out are hidden,
// since a credential may be among them.
func (c *Config) YAML() []byte {
	var b bytes.Buffer
	out := yaml.NewEncoder(&b)
	out.SetIndent(2)
	for _, system := range c.systems() {
		if out.Encode(c.document(system)) != nil {
			break // of nodes into a buffer: it does not come to this
		}
	}
	out.Close()
	return b.Bytes()
}

func (c *Config) document(system string) *yaml.Node {
	links := map[string]string{}
	probes := &yaml.Node{Kind: yaml.SequenceNode}
	for _, j := range c.Jobs {
		if j.System != system {
			continue
		}
		if j.Runbook != "" {
			links[j.Runbook] = j.RunbookURL
		}
		probes.Content = append(probes.Content, item(j))
	}
	runbooks := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range slices.Sorted(maps.Keys(links)) {
		r := &yaml.Node{Kind: yaml.MappingNode}
		put(r, "url", word(links[name]))
		runbooks.Content = append(runbooks.Content, word(name), r) // even if there is no more to say of it
	}
	doc := &yaml.Node{Kind: yaml.MappingNode}
	put(doc, "system", word(system))
	put(doc, "runbooks", runbooks)
	put(doc, "maintenance", c.maintained(system))
	put(doc, "probes", probes)
	return doc
}

// item returns a job as an entry of the list of probes.
func item(j probe.Job) *yaml.Node {
	signals := map[string]string{}
	for check, s := range j.Signals {
		signals[check] = formatSignal(s)
	}
	needs := &yaml.Node{Kind: yaml.SequenceNode}
	for _, name := range j.DependsOn {
		needs.Content = append(needs.Content, word(name))
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	put(n, "name", word(j.Name))
	put(n, "type", word(j.Type))
	put(n, "runbook", word(j.Runbook))
	put(n, "severity", word(j.Severity))
	put(n, "interval", word(brief(probe.Duration(j.Interval))))
	put(n, "timeout", word(brief(probe.Duration(j.Timeout))))
	put(n, "labels", words(j.Labels))
	put(n, "signals", words(signals))
	put(n, "depends_on", needs)
	own := encoded(j.Probe)
	conceal(own)
	n.Content = append(n.Content, own.Content...)
	return n
}

// put adds a key and its value, unless there is nothing to say.
func put(n *yaml.Node, key string, value *yaml.Node) {
	if !hollow(value) {
		n.Content = append(n.Content, word(key), value)
	}
}

func word(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

func words(table map[string]string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		put(n, key, word(table[key]))
	}
	return n
}

// encoded returns settings as YAML writes them, without what is empty: what nobody set is no setting.
func encoded(p probe.Probe) (n *yaml.Node) {
	n = &yaml.Node{Kind: yaml.MappingNode}
	defer func() {
		if recover() != nil { // a type that YAML cannot write
			n = &yaml.Node{Kind: yaml.MappingNode}
		}
	}()
	if n.Encode(p) != nil {
		return &yaml.Node{Kind: yaml.MappingNode}
	}
	prune(n)
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
	for key, value := range pairs(n) {
		if !hollow(value) {
			kept = append(kept, key, value)
		}
	}
	n.Content = kept
}

// hollow tells whether a value says nothing: null, "", and what has nothing in it.
func hollow(n *yaml.Node) bool {
	if n.Kind == yaml.ScalarNode {
		return isNull(n) || n.Value == ""
	}
	return len(n.Content) == 0
}

const hidden = "<hidden>"

var (
	// tables hold, by name, what is sent as somebody wrote it. A value in them may be a secret by its source.
	tables = []string{"headers", "header", "params", "query", "form"}
	// contents are sent as somebody wrote them.
	contents = []string{"body", "data", "payload"}
	// secretKeys are for settings that should have been a Secret, publicKeys for those that only speak of one.
	secretKeys = regexp.MustCompile(`(?i)(token|secret|passw|api_?key|credential|authori[sz]ation|cookie)`)
	publicKeys = regexp.MustCompile(`(?i)_(url|urls|file|id)$`)
)

// conceal hides in a probe's settings, at every depth, what may be a credential.
func conceal(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		n.Value = withoutQuery(n.Value)
	}
	if n.Kind == yaml.SequenceNode {
		for _, c := range n.Content {
			conceal(c)
		}
	}
	if n.Kind != yaml.MappingNode {
		return
	}
	for key, value := range pairs(n) {
		name := strings.ToLower(key.Value)
		switch {
		case slices.Contains(tables, name) && value.Kind == yaml.MappingNode:
			for _, v := range pairs(value) {
				if !isSource(v) {
					hide(v)
				}
			}
		case name == "query" || slices.Contains(contents, name):
			hide(value)
		case value.Kind != yaml.MappingNode && secretKeys.MatchString(name) && !publicKeys.MatchString(name):
			hide(value)
		default:
			conceal(value)
		}
	}
}

// hide replaces every value in n. Keys stay, so that one sees which there are.
func hide(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		*n = *word(hidden)
	}
	for i, c := range n.Content {
		if n.Kind == yaml.SequenceNode || i%2 == 1 {
			hide(c)
		}
	}
}

// isSource tells whether n is a secret, {file: PATH} or {env: NAME}.
func isSource(n *yaml.Node) bool {
	return n.Kind == yaml.MappingNode && len(n.Content) == 2 && (n.Content[0].Value == "file" || n.Content[0].Value == "env")
}

// withoutQuery hides what a URL may carry beside the address: a user and a query.
func withoutQuery(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return hidden
	}
	if u.User == nil && u.RawQuery == "" && u.Fragment == "" {
		return text
	}
	scheme, rest, _ := strings.Cut(text, "://")
	if at := strings.LastIndexByte(rest, '@'); u.User != nil && at >= 0 {
		rest = hidden + "@" + rest[at+1:]
	}
	if end := strings.IndexAny(rest, "?#"); end >= 0 {
		rest = rest[:end+1] + hidden
	}
	return scheme + "://" + rest
}
