package strictyaml

import (
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestShown_jsonPaths(t *testing.T) {
	for key, want := range map[string]bool{
		"$.n": true, "$.items[0].name": true, "$..kid": true, "$['a'].b[*]": true, "$": true,
		"$ecret": false, "$.a?b": false, "$2a$10$abcdefgh": false, "$.hunter2-marker": false, "$[?@.a == 'b']": false,
	} {
		if got := Shown(key) == key; got != want {
			t.Errorf("%q is shown: %t", key, got)
		}
	}
}

func TestParse_tabsAreToldAtTheirLine(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		line int // 0: it can be read
	}{
		"first":             {"a:\n\t- b\n", 2},
		"after spaces":      {"a:\n  b: 1\n \t c: 2\n", 3},
		"deeper":            {"a:\n  - b: 1\n\t  c: 2\nd: 3\n", 3},
		"in a text":         {"a: |\n  x\n  \ty\nb: 1\n", 0},
		"in a text, before": {"a: |\n  x\n  \ty\nb:\n\t- 1\n", 5},
		"after a value":     {"a:\t1\nb: 2\t# c\n", 0},
	} {
		_, wrong := Parse([]byte(c.data), 1<<10)
		switch {
		case c.line == 0 && wrong != nil:
			t.Errorf("%s: %v", name, wrong)
		case c.line > 0 && (len(wrong) != 1 || wrong[0].Line != c.line || !strings.Contains(wrong[0].Text, "indented by a tab")):
			t.Errorf("%s: got %v, want a tab on line %d", name, wrong, c.line)
		}
	}
}

func TestOmitZero(t *testing.T) {
	type inner struct {
		N int      `yaml:"n"`
		P *float64 `yaml:"p"`
	}
	type outer struct {
		Off   bool             `yaml:"off"`
		On    bool             `yaml:"on"` // true by default
		Count int              `yaml:"count"`
		In    inner            `yaml:"in"`
		List  []inner          `yaml:"list"`
		Table map[string]inner `yaml:"table"`
	}
	zero := 0.0
	p := &outer{Count: 3, In: inner{P: &zero}, List: []inner{{N: 1}, {}}, Table: map[string]inner{"a": {P: &zero}}}
	n := &yaml.Node{}
	if err := n.Encode(p); err != nil {
		t.Fatal(err)
	}
	new(Decoder).OmitZero(n, p, &outer{On: true})
	got, err := yaml.Marshal(n)
	want := "\"on\": false\ncount: 3\nin:\n    p: 0\nlist:\n    - \"n\": 1\n    - {}\ntable:\n    a:\n        p: 0\n"
	if err != nil || string(got) != want {
		t.Errorf("got\n%s(%v)\nwant\n%s", got, err, want)
	}
}
