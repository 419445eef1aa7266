// Package manifests finds mistakes in the health checks of Kubernetes manifests, without a cluster.
package manifests

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"prober/internal/kubernetes"
	"prober/internal/sorted"
	"prober/internal/text"
)

// ReadinessPath is the page that neither a liveness nor a startup probe may ask, beside that of the readiness probe.
const ReadinessPath = "/ready"

// A Mistake is what is wrong in a file, and where.
type Mistake struct {
	Line int
	Text string
}

// A Report is what was found in a file.
type Report struct {
	Workloads int // whose pods were looked at
	Mistakes  []Mistake
}

// Lint reads a file of any number of documents, in each an object or a list of objects. Objects without pods are passed over. What
// cannot be read is a mistake too; what stands after it in the file is not looked at if it is no YAML.
func Lint(data []byte) Report {
	var r Report
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var document yaml.Node
		switch err := dec.Decode(&document); {
		case errors.Is(err, io.EOF):
			sorted.By(r.Mistakes, func(a, b Mistake) int { return a.Line - b.Line })
			return r
		case err != nil:
			r.add(lineOf(err, 1), "not valid YAML: what follows is not looked at")
			return r
		}
		if len(document.Content) > 0 {
			r.object(document.Content[0], 0)
		}
	}
}

func (r *Report) add(line int, words string) { r.Mistakes = append(r.Mistakes, Mistake{line, words}) }

// maxNesting bounds lists of lists.
const maxNesting = 4

// podSpecs is where each kind of object has the spec of its pods.
var podSpecs = map[string][]string{
	"Pod":         {"spec"},
	"Deployment":  {"spec", "template", "spec"},
	"StatefulSet": {"spec", "template", "spec"},
	"DaemonSet":   {"spec", "template", "spec"},
	"ReplicaSet":  {"spec", "template", "spec"},
	"Job":         {"spec", "template", "spec"},
	"CronJob":     {"spec", "jobTemplate", "spec", "template", "spec"},
}

// object looks at an object, or at those of a list.
func (r *Report) object(node *yaml.Node, nesting int) {
	kind := value(get(node, "kind"))
	if items := get(node, "items"); items != nil && items.Kind == yaml.SequenceNode && strings.HasSuffix(kind, "List") && nesting < maxNesting {
		for _, item := range items.Content {
			r.object(item, nesting+1)
		}
		return
	}
	path, known := podSpecs[kind]
	if !known {
		return
	}
	r.Workloads++
	name := text.Line(kind + " " + value(get(get(node, "metadata"), "name")))
	at := node
	for _, step := range path {
		if at = get(at, step); at == nil {
			r.add(node.Line, name+": expected "+strings.Join(path, ".")+", got none")
			return
		}
	}
	var spec kubernetes.PodSpec
	if err := at.Decode(&spec); err != nil {
		r.add(lineOf(err, at.Line), name+": cannot be read as the spec of a pod")
		return
	}
	for _, m := range spec.HealthMistakes(ReadinessPath) {
		where := strings.Join(path, ".")
		if m.Path != "" {
			where += "." + m.Path
		}
		r.add(find(at, m.Path), name+": "+where+": "+m.Text)
	}
}

// get returns the value of a key; nil if there is none. Aliases are followed.
//
//go:noinline
func get(node *yaml.Node, key string) *yaml.Node {
	node = resolve(node)
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return resolve(node.Content[i+1])
		}
	}
	return nil
}

func resolve(node *yaml.Node) *yaml.Node {
	if node != nil && node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func value(node *yaml.Node) string {
	if node == nil || node.Kind != yaml.ScalarNode {
		return ""
	}
	return node.Value
}

var steps = regexp.MustCompile(`[A-Za-z]+|[0-9]+`)

// find returns the line of what a path leads to, or of as much of it as there is.
func find(node *yaml.Node, path string) int {
	line := node.Line
	for _, step := range steps.FindAllString(path, -1) {
		node = resolve(node)
		if i, err := strconv.Atoi(step); err == nil && node.Kind == yaml.SequenceNode && i < len(node.Content) {
			node, line = node.Content[i], node.Content[i].Line
			continue
		}
		next, at := key(node, step)
		if next == nil {
			break
		}
		node, line = next, at
	}
	return line
}

// key returns the value of a key and the line of the key.
func key(node *yaml.Node, name string) (*yaml.Node, int) {
	if node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == name {
				return node.Content[i+1], node.Content[i].Line
			}
		}
	}
	return nil, 0
}

var lineNumber = regexp.MustCompile(`line ([0-9]+)`)

// lineOf reads the line out of an error of the decoder. Nothing else of it is shown: it repeats what the file says, and there may be
// Secrets in it.
func lineOf(err error, otherwise int) int {
	if m := lineNumber.FindStringSubmatch(err.Error()); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			return n
		}
	}
	return otherwise
}
