// Package discovery reads lists of targets in the formats of Prometheus: file_sd and http_sd.
//
// A list is read as a whole or not at all, and refused as Prometheus refuses it: for an unknown key, a target that is no text, a
// label that cannot be one. Everything is bounded, and no byte of a list is in a message.
package discovery

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"prober/internal/file"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/strictyaml"
)

// Bounds of a list.
const (
	MaxTargets = 2000
	MaxBytes   = 4 << 20 // of all files together, or of an answer
	MaxFiles   = 100

	maxAddress = 2048    // bytes of a target
	maxLabels  = 64      // of a group
	maxQuotes  = 600_000 // of JSON: more than MaxTargets have that share no labels
	maxLabel   = 1024    // bytes of a name or of a value
)

// ErrTooMany says that a list has more than MaxTargets.
var ErrTooMany = fmt.Errorf("expected at most %d targets, got more", MaxTargets)

// A group is targets that share labels.
type group struct {
	Targets texts             `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// texts is a list that stands once: encoding/json would take the last of several, and lose the others.
type texts []string

func (t *texts) UnmarshalJSON(data []byte) error {
	if *t != nil {
		return errors.New("expected targets once")
	}
	return json.Unmarshal(data, (*[]string)(t))
}

// ParseJSON reads a list as http_sd and file_sd have it: [{"targets": ["10.0.0.1:80"], "labels": {"zone": "eu"}}].
func ParseJSON(data []byte) ([]probe.Target, error) {
	switch {
	case !utf8.Valid(data):
		return nil, errors.New("expected UTF-8")
	case bytes.Count(data, []byte{'"'}) > maxQuotes: // before anything is made of it
		return nil, ErrTooMany
	}
	in := json.NewDecoder(bytes.NewReader(data))
	in.DisallowUnknownFields()
	if start, err := in.Token(); err != nil || start != json.Delim('[') {
		return nil, errors.New("expected a JSON list of groups of targets")
	}
	var list lister
	for in.More() {
		var g *group
		if err := in.Decode(&g); err != nil || g == nil {
			return nil, fmt.Errorf("group %d: expected a JSON object with targets, a list of texts, and labels, texts by name, and no other key", list.groups+1)
		}
		if err := list.add(g); err != nil {
			return nil, err
		}
	}
	if _, err := in.Token(); err != nil {
		return nil, errors.New("expected a JSON list that ends")
	}
	if _, err := in.Token(); err != io.EOF {
		return nil, errors.New("expected nothing after the JSON list")
	}
	return list.all, nil
}

// ParseYAML reads a list as file_sd has it in YAML.
func ParseYAML(data []byte) ([]probe.Target, error) {
	root, wrong := strictyaml.ParseList(data, MaxBytes)
	if len(wrong) > 0 {
		if wrong[0].Line > 0 {
			return nil, fmt.Errorf("line %d: %s", wrong[0].Line, wrong[0].Text)
		}
		return nil, errors.New(wrong[0].Text)
	}
	if root == nil { // as a file is that somebody has begun to write; a list that is empty on purpose is []
		return nil, errors.New("expected a list of groups of targets")
	}
	var list lister
	for _, n := range root.Content {
		g, ok := yamlGroup(n)
		if !ok {
			return nil, fmt.Errorf("line %d: expected targets, a list of texts, and labels, texts by name, and no other key", n.Line)
		}
		if err := list.add(&g); err != nil {
			return nil, fmt.Errorf("line %d: %w", n.Line, err)
		}
	}
	return list.all, nil
}

func yamlGroup(n *yaml.Node) (g group, ok bool) {
	if n.Kind != yaml.MappingNode {
		return g, false
	}
	for key, value := range strictyaml.Pairs(n) {
		switch {
		case key.Value == "targets" && value.Kind == yaml.SequenceNode:
			for _, t := range value.Content {
				if t.Kind != yaml.ScalarNode {
					return g, false
				}
				g.Targets = append(g.Targets, t.Value)
			}
		case key.Value == "labels" && value.Kind == yaml.MappingNode:
			g.Labels = map[string]string{}
			for name, label := range strictyaml.Pairs(value) {
				if label.Kind != yaml.ScalarNode {
					return g, false
				}
				g.Labels[name.Value] = label.Value
			}
		case (key.Value == "targets" || key.Value == "labels") && strictyaml.IsNull(value):
		default:
			return g, false
		}
	}
	return g, true
}

// A lister collects the targets of groups.
type lister struct {
	all    []probe.Target
	groups int
}

func (l *lister) add(g *group) error {
	l.groups++
	if len(l.all)+len(g.Targets) > MaxTargets {
		return ErrTooMany
	}
	if len(g.Labels) > maxLabels {
		return fmt.Errorf("group %d: expected at most %d labels, got %d", l.groups, maxLabels, len(g.Labels))
	}
	for name, value := range g.Labels {
		if !validLabelName(name) || len(value) > maxLabel {
			return fmt.Errorf("group %d: expected labels whose names have letters, digits and _, and at most %d bytes, as their values", l.groups, maxLabel)
		}
	}
	for _, t := range g.Targets {
		if len(t) > maxAddress {
			return fmt.Errorf("group %d: expected targets of at most %d bytes", l.groups, maxAddress)
		}
		l.all = append(l.all, probe.Target{Address: t, Labels: g.Labels})
	}
	return nil
}

func validLabelName(name string) bool {
	for i, c := range []byte(name) {
		if !(c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' && i > 0) {
			return false
		}
	}
	return 0 < len(name) && len(name) <= maxLabel
}

// Normal returns a list in an order that depends on nothing but its content, each target once: a source may list them in any.
func Normal(list []probe.Target) []probe.Target {
	list = slices.Clone(list)
	keys := make(map[string]string, len(list)) // labels as text, made once for all targets that share them
	compare := func(a, b probe.Target) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(key(keys, a), key(keys, b)))
	}
	sorted.By(list, compare)
	return slices.CompactFunc(list, func(a, b probe.Target) bool { return a.Address == b.Address && maps.Equal(a.Labels, b.Labels) })
}

func key(known map[string]string, t probe.Target) string {
	at := fmt.Sprintf("%p", t.Labels)
	text, ok := known[at]
	if !ok {
		var b strings.Builder
		for _, name := range sorted.Keys(t.Labels) {
			fmt.Fprintf(&b, "%q=%q,", name, t.Labels[name])
		}
		text = b.String()
		known[at] = text
	}
	return text
}

// IsJSON reports whether a Content-Type is one that http_sd must have: JSON in UTF-8.
func IsJSON(contentType string) bool {
	media, params, err := mime.ParseMediaType(contentType)
	charset, given := params["charset"]
	return err == nil && media == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}

// ValidatePattern refuses what does not name files of a format that can be read: *.json, *.yml and *.yaml, with the patterns of
// path.Match in the last part alone.
func ValidatePattern(pattern string) error {
	dir, last := filepath.Split(pattern)
	if ext := filepath.Ext(last); ext != ".json" && ext != ".yml" && ext != ".yaml" {
		return errors.New("expected a name that ends with .json, .yml or .yaml")
	}
	if _, err := filepath.Match(last, ""); err != nil || strings.ContainsAny(dir, "*?[") {
		return errors.New("expected a pattern such as targets/*.json, with wildcards in its last part only")
	}
	return nil
}

// A FileError says which file cannot be read, and why; nothing of its content. Unreadable tells it from a file that holds no list.
type FileError struct {
	Name       string
	Err        error
	Unreadable bool
}

func (e *FileError) Error() string { return e.Name + ": " + e.Err.Error() }

// Unwrap returns why.
func (e *FileError) Unwrap() error { return e.Err }

// ReadFiles reads the lists of all files that patterns match. A pattern without wildcards must be a file, and the directory of one with
// wildcards be there; one that matches none has no targets. Every target has the label __meta_filepath.
func ReadFiles(patterns []string) ([]probe.Target, error) {
	var names []string
	for _, pattern := range patterns {
		if !strings.ContainsAny(pattern, "*?[") {
			names = append(names, pattern)
			continue
		}
		dir, last := filepath.Split(pattern)
		entries, err := os.ReadDir(cmp.Or(dir, ".")) // filepath.Glob finds nothing in a directory that cannot be read
		if err != nil {
			return nil, &FileError{cmp.Or(dir, "."), errors.New(file.Reason(err)), true}
		}
		for _, e := range entries {
			if is, _ := filepath.Match(last, e.Name()); is {
				names = append(names, dir+e.Name())
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > MaxFiles {
		return nil, fmt.Errorf("expected at most %d files, got %d", MaxFiles, len(names))
	}
	var all []probe.Target
	left := MaxBytes
	for _, name := range names {
		data, err := readFile(name, left)
		if err != nil {
			return nil, &FileError{name, err, true}
		}
		left -= len(data)
		parse := ParseYAML
		if filepath.Ext(name) == ".json" {
			parse = ParseJSON
		}
		list, err := parse(data)
		if err != nil {
			return nil, &FileError{name, err, false}
		}
		if len(all)+len(list) > MaxTargets {
			return nil, ErrTooMany
		}
		for _, t := range list {
			all = append(all, WithLabel(t, "__meta_filepath", name))
		}
	}
	return all, nil
}

// WithLabel returns a target with one more label.
func WithLabel(t probe.Target, name, value string) probe.Target {
	labels := maps.Clone(t.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[name] = value
	return probe.Target{Address: t.Address, Labels: labels}
}

// readFile reads a regular file of at most max bytes.
func readFile(name string, max int) ([]byte, error) {
	data, err := file.Read(name, max)
	if err != nil {
		return nil, errors.New(file.Reason(err))
	}
	if len(data) > max {
		return nil, fmt.Errorf("expected at most %d bytes, all files together", MaxBytes)
	}
	return data, nil
}
