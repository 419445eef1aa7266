package config

import (
	"iter"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// pairs yields the keys and values of a mapping.
func pairs(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// lineOf returns the line of the last key of a way down from n, of as much of it as there is.
func lineOf(n *yaml.Node, way ...string) int {
	line := n.Line
	for _, name := range way {
		key, value := lookup(n, name)
		if key == nil {
			break
		}
		line, n = key.Line, value
	}
	return line
}

func lookup(n *yaml.Node, name string) (key, value *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for key, value := range pairs(n) {
		if key.Value == name {
			return key, value
		}
	}
	return nil, nil
}

// lineAt returns the line of the i-th item of the list under a key.
func lineAt(n *yaml.Node, name string, i int) int {
	if _, list := lookup(n, name); list != nil && list.Kind == yaml.SequenceNode && i < len(list.Content) {
		return list.Content[i].Line
	}
	return lineOf(n, name)
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// described says what kind of value stands somewhere, never which.
func described(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!int":
		return "a number"
	case "!!float":
		return "a decimal number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	}
	return "text"
}

var keyLike = regexp.MustCompile(`^[A-Za-z0-9_<][A-Za-z0-9_.:/<-]{0,63}$`)

// shown returns a key as it may be repeated in a message. What does not look like a key is not repeated.
func shown(key string) string {
	if keyLike.MatchString(key) {
		return key
	}
	return "…"
}

// under returns the path of a key below a path.
func under(path, key string) string {
	return strings.TrimPrefix(path+"."+shown(key), ".")
}
