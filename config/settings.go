package config

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/strictyaml"
	"prober/internal/text"
)

// maxSettingText bounds the text of a setting that is shown to people.
const maxSettingText = 300

// Settings returns what a probe is to ask and expect: the settings of its kind, as they are in effect. It is empty if there is no
// such probe.
func (c *Config) Settings(k probe.Key) []probe.Setting {
	i := slices.IndexFunc(c.Jobs, func(j probe.Job) bool { return j.Key() == k })
	if i < 0 {
		return nil
	}
	d := &strictyaml.Decoder{}
	common := d.Keys(&entry{})
	return parts(strictyaml.Select(item(d, &c.Jobs[i]), func(key string) bool { return !slices.Contains(common, key) }))
}

// parts returns the settings below a node.
func parts(n *yaml.Node) (all []probe.Setting) {
	if n.Kind == yaml.SequenceNode {
		for i, c := range n.Content {
			all = append(all, setting(strconv.Itoa(i+1), c))
		}
		return all
	}
	for key, value := range strictyaml.Pairs(n) {
		all = append(all, setting(key.Value, value))
	}
	return all
}

// setting returns a setting of that name. One with a single part is one setting, and so is a list of words.
func setting(name string, n *yaml.Node) probe.Setting {
	if words, ok := words(n); ok {
		return probe.Setting{Name: shown(name), Value: shown(strings.Join(words, ", "))}
	}
	if n.Kind == yaml.SequenceNode && len(n.Content) == 1 {
		return setting(name, n.Content[0])
	}
	s := probe.Setting{Name: shown(name), Parts: parts(n)}
	if len(s.Parts) == 1 {
		only := s.Parts[0]
		only.Name = s.Name + " › " + only.Name
		return only
	}
	return s
}

// words returns a scalar, or a list of them.
func words(n *yaml.Node) (all []string, ok bool) {
	switch n.Kind {
	case yaml.ScalarNode:
		return []string{n.Value}, true
	case yaml.SequenceNode:
		for _, c := range n.Content {
			if c.Kind != yaml.ScalarNode {
				return nil, false
			}
			all = append(all, c.Value)
		}
		return all, true
	}
	return nil, false
}

func shown(s string) string { return text.Cut(text.Line(secret.Redact(s)), maxSettingText) }
