package strictyaml

import (
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"prober/internal/text"
)

// scalar reads one word into a string, a number or a boolean. A string keeps what is written: 010, yes and 1e3 are
// the text that somebody sees in the file.
func (r *reader) scalar(n *yaml.Node, at path, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		r.fail(n, at, "wants %s, got %s", wanted(v.Type()), Describe(n))
		return
	}
	ok := false
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
		return
	case reflect.Bool:
		ok = n.ShortTag() == "!!bool"
		v.SetBool(ok && strings.EqualFold(n.Value, "true"))
	case reflect.Float32, reflect.Float64:
		var x float64
		x, ok = float(n)
		v.SetFloat(x)
	default:
		ok = r.decodeInt(n, at, v)
	}
	if !ok {
		r.fail(n, at, "wants %s, got %s", wanted(v.Type()), Describe(n))
	}
}

var leadingZero = regexp.MustCompile(`^[-+]?0[0-9_]`)

// decodeInt reads an integer. It returns false if n is none.
func (r *reader) decodeInt(n *yaml.Node, at path, v reflect.Value) bool {
	if n.ShortTag() != "!!int" {
		return false
	}
	if leadingZero.MatchString(n.Value) {
		r.fail(n, at, "a number that begins with 0 is octal to some and decimal to others; write it without")
		return true
	}
	bits := v.Type().Bits()
	var err error
	if v.CanInt() {
		var x int64
		x, err = strconv.ParseInt(n.Value, 0, bits)
		v.SetInt(x)
	} else {
		var x uint64
		x, err = strconv.ParseUint(n.Value, 0, bits)
		v.SetUint(x)
	}
	if err != nil {
		r.fail(n, at, "the number is too large or too small")
	}
	return true
}

// float reads a number that is finite.
func float(n *yaml.Node) (float64, bool) {
	switch n.ShortTag() {
	case "!!int":
		if x, err := strconv.ParseInt(n.Value, 0, 64); err == nil {
			return float64(x), true
		}
	case "!!float":
		if x, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64); err == nil && !math.IsInf(x, 0) && !math.IsNaN(x) {
			return x, true
		}
	}
	return 0, false
}

func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// decodeAny reads a value of any shape: string, int64, float64, bool, nil, []any or map[string]any.
func (r *reader) decodeAny(n *yaml.Node, at path) any {
	switch n.Kind {
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = r.decodeAny(item, at.item(i))
		}
		return list
	case yaml.MappingNode:
		table := make(map[string]any, len(n.Content)/2)
		for key, value := range Pairs(n) {
			table[key.Value] = r.decodeAny(value, at.key(key.Value))
		}
		return table
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int":
		var x int64
		r.decodeInt(n, at, reflect.ValueOf(&x).Elem())
		return x
	case "!!float":
		x, ok := float(n)
		if !ok {
			r.fail(n, at, "the number is too large or too small")
		}
		return x
	}
	return n.Value
}

// values lists what stands in n and below it.
func values(n *yaml.Node) []string {
	if n.Kind == yaml.ScalarNode {
		return []string{n.Value}
	}
	var all []string
	for i, c := range n.Content {
		if n.Kind == yaml.SequenceNode || i%2 == 1 {
			all = append(all, values(c)...)
		}
	}
	return all
}

// piece is the length of the shortest piece of a value that must not be repeated.
const piece = 8

// without returns a text with every piece of the values left out. Parsers like to quote what they could not read, and
// that may be a secret in the wrong place.
func without(values []string, s string) string {
	hide := make([]bool, len(s))
	for _, value := range values {
		size := min(piece, len(value))
		if size < 4 || text.Word(value) != "" {
			continue
		}
		windows := map[string]bool{}
		for i := 0; i+size <= len(value); i++ {
			windows[value[i:i+size]] = true
		}
		for i := 0; i+size <= len(s); i++ {
			if windows[s[i:i+size]] {
				for j := i; j < i+size; j++ {
					hide[j] = true
				}
			}
		}
	}
	var b strings.Builder
	for i := range len(s) {
		switch {
		case !hide[i]:
			b.WriteByte(s[i])
		case i == 0 || !hide[i-1]:
			b.WriteString("…")
		}
	}
	return strings.ReplaceAll(b.String(), `, got "…"`, "")
}
