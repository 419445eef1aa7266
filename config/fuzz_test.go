package config_test

import (
	"errors"
	"path/filepath"
	"testing"

	"prober/config"

	"gopkg.in/yaml.v3"
)

// FuzzParse looks for a file that crashes the loader, that is neither refused nor good for anything, or whose values
// come back in the messages.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"good/*", "bad/*.yaml", "bad/two-files/*"} {
		seeds, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil {
			f.Fatal(err)
		}
		for i, seed := range config.Read(seeds...) {
			f.Add(seed.Data, uint16(i*7))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, which uint16) {
		settled(t, data)
		if planted := plant(data, int(which)); planted != nil {
			if err := settled(t, planted); err != nil && repeats(err.Error()) {
				t.Errorf("a value is repeated: %v", err)
			}
		}
	})
}

// settled parses and demands one of the two outcomes.
func settled(t *testing.T, data []byte) error {
	t.Helper()
	c, err := config.Parse(kinds(), config.File{Name: "f", Data: data})
	errs, isErrors := errors.AsType[config.Errors](err)
	switch {
	case err == nil && (c == nil || len(c.Jobs) == 0):
		t.Error("neither jobs nor an error")
	case err != nil && (c != nil || !isErrors || len(errs) == 0):
		t.Errorf("an error of another kind: %v", err)
	case err == nil:
		c.YAML()
	}
	return err
}

// plant puts the marker in place of one value of a file. The name of a probe is no value: it is shown.
func plant(data []byte, which int) []byte {
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) != nil {
		return nil
	}
	var places []*yaml.Node
	var walk func(n *yaml.Node, key string)
	walk = func(n *yaml.Node, key string) {
		if n.Kind == yaml.ScalarNode && key != "name" {
			places = append(places, n)
		}
		for i, c := range n.Content {
			switch {
			case n.Kind != yaml.MappingNode:
				walk(c, key)
			case i%2 == 1:
				walk(c, n.Content[i-1].Value)
			}
		}
	}
	walk(&doc, "")
	if len(places) == 0 {
		return nil
	}
	place := places[which%len(places)]
	place.Value, place.Tag, place.Style = marker, "", 0
	out, err := yaml.Marshal(&doc)
	if err != nil {
		return nil
	}
	return out
}
