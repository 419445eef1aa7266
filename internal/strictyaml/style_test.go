package strictyaml

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// checkStyle writes a text as a key, a value and an item, and requires that they are read as they were.
func checkStyle(t *testing.T, text string) {
	t.Helper()
	scalar := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: TextStyle(text)}
	list := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{scalar, scalar}}
	inner := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{scalar, scalar}}
	list.Content = append(list.Content, inner)
	var b bytes.Buffer
	out := yaml.NewEncoder(&b)
	out.SetIndent(2)
	if err := out.Encode(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: "k"}, list}}); err != nil {
		t.Fatal(err)
	}
	var read struct {
		K []yaml.Node
	}
	if err := yaml.Unmarshal(b.Bytes(), &read); err != nil {
		t.Fatalf("%q is not read: %v, of\n%s", text, err, &b)
	}
	if len(read.K) != 3 || len(read.K[2].Content) != 2 {
		t.Fatalf("%q: got %d values, of\n%s", text, len(read.K), &b)
	}
	for _, n := range []*yaml.Node{&read.K[0], &read.K[1], read.K[2].Content[0], read.K[2].Content[1]} {
		if n.Value != text || n.ShortTag() != "!!str" {
			t.Fatalf("%q is read as %s %q, of\n%s", text, n.ShortTag(), n.Value, &b)
		}
	}
}

// What yaml.v3 is known to write wrongly, to take for something else, or to write in a way of its own.
var parts = strings.Fields("a - : # ? | > % ~ null 1 << = yes 0x1 --- ... ' \" \\ { } [ ] , & * ! @ ` é 😀 1.5 .inf 2026-01-02 1:30")

func init() {
	parts = append(parts, "\n", "\n\n", " ", "  ", "\t", "\r", "\r\n", ": ", " #", "- ", "\u0085", "\u2028", "\u2029", "\ufeff", "\u00a0", "\u200b", "\x00", "\x1b", "\x7f", "\ue000", "\ufffd", strings.Repeat("long ", 40))
}

// TestTextStyle_isRead writes texts of all that YAML knows, alone and next to each other.
func TestTextStyle_isRead(t *testing.T) {
	t.Parallel()
	checkStyle(t, "")
	for _, a := range parts {
		checkStyle(t, a)
		for _, b := range parts {
			checkStyle(t, a+b)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		text := ""
		for range 3 + random.IntN(4) {
			text += parts[random.IntN(len(parts))]
		}
		checkStyle(t, text)
	}
}

func FuzzTextStyle(f *testing.F) {
	for _, text := range parts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if utf8.ValidString(text) {
			checkStyle(t, text)
		}
	})
}
