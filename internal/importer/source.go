package importer

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
	"prober/internal/strictyaml"
)

// A source is a mapping of the file that is read, and which of its keys have been taken.
type source struct {
	*draft
	file, path string
	node       *yaml.Node
	used       map[string]bool
}

// at is the path of a key, as people write it.
func (s *source) at(key string) string {
	if s.path == "" || key == "" {
		return s.path + key
	}
	return s.path + "." + key
}

func (s *source) line(key string) int {
	if k, _ := strictyaml.Lookup(s.node, key); k != nil {
		return k.Line
	}
	return s.node.Line
}

func (s *source) refuse(message string) { s.draft.refuse(s.file, s.node.Line, s.path+": "+message) }

func (s *source) wrong(key, expected string) {
	s.draft.refuse(s.file, s.line(key), s.at(key)+": expected "+expected)
}

// take returns the value of a key, which is nil if there is none or it is empty.
func (s *source) take(key string) *yaml.Node {
	s.used[key] = true
	_, v := strictyaml.Lookup(s.node, key)
	if v == nil || strictyaml.IsNull(v) {
		return nil
	}
	return v
}

// text returns a text; empty if there is none.
func (s *source) text(key string) string {
	v := s.take(key)
	if v == nil {
		return ""
	}
	if v.Kind != yaml.ScalarNode {
		s.wrong(key, "a text")
		return ""
	}
	return v.Value
}

// flag returns a bool, or what it is by default.
func (s *source) flag(key string, byDefault bool) bool {
	switch v := s.text(key); v {
	case "":
		return byDefault
	case "true", "false":
		return v == "true"
	}
	s.wrong(key, "true or false")
	return byDefault
}

// texts returns a list of texts; a single one counts as such.
func (s *source) texts(key string) (all []string) {
	v := s.take(key)
	if v == nil {
		return nil
	}
	items := []*yaml.Node{v}
	if v.Kind == yaml.SequenceNode {
		items = v.Content
	}
	for _, item := range items {
		if item.Kind != yaml.ScalarNode {
			s.wrong(key, "texts")
			return nil
		}
		all = append(all, item.Value)
	}
	return all
}

// inner returns the mapping under a key; an empty one if there is none.
func (s *source) inner(key string) *source {
	v := s.take(key)
	if v != nil && v.Kind != yaml.MappingNode {
		s.wrong(key, "a mapping")
		v = nil
	}
	if v == nil {
		v = &yaml.Node{Kind: yaml.MappingNode, Line: s.line(key)}
	}
	return &source{s.draft, s.file, s.at(key), v, map[string]bool{}}
}

// list returns the mappings in a list.
func (s *source) list(key string) (all []*source) {
	v := s.take(key)
	if v == nil {
		return nil
	}
	if v.Kind != yaml.SequenceNode {
		s.wrong(key, "a list")
		return nil
	}
	for i, item := range v.Content {
		if item.Kind != yaml.MappingNode {
			s.wrong(key, "a list of mappings")
			return nil
		}
		all = append(all, &source{s.draft, s.file, fmt.Sprintf("%s[%d]", s.at(key), i), item, map[string]bool{}})
	}
	return all
}

// keys lists the keys of the mapping, in their order.
func (s *source) keys() (all []string) {
	for key := range strictyaml.Pairs(s.node) {
		all = append(all, key.Value)
	}
	return all
}

func (s *source) empty() bool { return len(s.node.Content) == 0 }

// duration returns a duration as a parser reads it; 0 if there is none.
func (s *source) duration(key string, parse func(string) (time.Duration, error)) time.Duration {
	v := s.text(key)
	if v == "" {
		return 0
	}
	d, err := parse(v)
	if err != nil || d <= 0 {
		s.wrong(key, "a duration above zero, such as 30s")
		return 0
	}
	return d
}

// rest writes a comment for each key that has not been taken.
func (s *source) rest(m *mapping, why string) {
	for key, v := range strictyaml.Pairs(s.node) {
		if !s.used[key.Value] {
			s.without(m, strictyaml.Shown(key.Value)+shownValue(key.Value, v), why)
		}
	}
}

// shownValue shows numbers and bools: a text may be secret.
func shownValue(key string, v *yaml.Node) string {
	if v.Kind == yaml.ScalarNode && slices.Contains([]string{"!!bool", "!!int", "!!float"}, v.ShortTag()) && !isSecretName(key) {
		return " " + v.Value
	}
	return ""
}

// promDuration reads a duration as Prometheus writes it, such as 1d12h.
func promDuration(s string) (time.Duration, error) {
	units := map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour, "y": 365 * 24 * time.Hour}
	var sum time.Duration
	for s != "" {
		n := 0
		for n < len(s) && '0' <= s[n] && s[n] <= '9' {
			n++
		}
		u := n
		for u < len(s) && 'a' <= s[u] && s[u] <= 'z' {
			u++
		}
		count, err := strconv.Atoi(s[:n])
		unit, ok := units[s[n:u]]
		if err != nil || !ok || count > int(100*units["y"]/unit) {
			return 0, strconv.ErrSyntax
		}
		sum += time.Duration(count) * unit
		s = s[u:]
	}
	return sum, nil
}

// labels writes constant labels.
func (s *source) labels(m *mapping, all [][2]string) {
	for _, l := range all {
		name, v := l[0], l[1]
		switch {
		case slices.Contains(probe.ReservedLabels[:], name):
			s.without(m, "label "+name, "the name is taken, by the prober or by Prometheus")
		case !labelName.MatchString(name) || v == "" || len(v) > 128:
			s.without(m, "label "+strictyaml.Shown(name), "is no label here")
		case isSecretName(name) || looksSecret(v):
			s.without(m, "label "+name, "looks secret, and a label is public")
		default:
			m.in("labels").set(name, v)
		}
	}
}

// place says where a key is, for warnings.
func (s *source) place(key string) string {
	return fmt.Sprintf("%s:%d: %s", s.file, s.line(key), s.at(key))
}
