package main

import (
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"prober/config"
	"prober/internal/strictyaml"
	"prober/probes"
)

// asLines is a tree with the tags and values of its nodes.
func asLines(n *yaml.Node, indent string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s %q\n", indent, n.ShortTag(), n.Value)
	for _, c := range n.Content {
		b.WriteString(asLines(c, indent+" "))
	}
	return b.String()
}

// What is shown of settings, and what tells whether a reload changed them, is what yaml.v3 would write, for every kind: of its
// defaults, and of every shipped probe.
func TestSettings_encodedAsYAML(t *testing.T) {
	settings := map[string]any{}
	for name, kind := range probes.Kinds() {
		settings[name] = kind.New()
	}
	for name, text := range shippedConfigs() {
		cfg, err := config.Parse(probes.Kinds(), config.File{Name: name, Data: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range cfg.Jobs {
			settings[name+"/"+j.Key().String()] = j.Probe
		}
	}
	if len(settings) < 60 {
		t.Fatalf("only %d settings", len(settings))
	}
	d := &strictyaml.Decoder{}
	for name, p := range settings {
		var want yaml.Node
		if err := want.Encode(p); err != nil {
			t.Fatal(err)
		}
		got, ok := d.Encode(p)
		if !ok {
			t.Errorf("%s is not written", name)
			continue
		}
		if got, want := asLines(got, ""), asLines(&want, ""); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
		if d.Hash(p, nil) != d.Hash(struct{ C chan int }{}, got) { // which cannot be written
			t.Errorf("%s has another hash than its tree", name)
		}
	}
}
