package strictyaml

import (
	"strings"
	"testing"
)

func TestDecode_whatSaysNothingIsRefused(t *testing.T) {
	type inner struct {
		URL  string `yaml:"url" short:"true"`
		Must string `yaml:"must" required:"true" short:"true"`
	}
	type short struct {
		URL  string `yaml:"url" short:"true"`
		More string `yaml:"more"`
	}
	type outer struct {
		Text  string            `yaml:"text"`
		List  []string          `yaml:"list"`
		Table map[string]string `yaml:"table"`
		In    short             `yaml:"in"`
		To    *inner            `yaml:"to"`
		JSON  map[string]any    `yaml:"json"`
		On    bool              `yaml:"on"`
		Open  string            `yaml:"open" empty:"true"`
		Any   []string          `yaml:"any" empty:"true"`
		Must  string            `yaml:"must" required:"true"`
		Needs []string          `yaml:"needs" required:"true"`
	}
	for text, want := range map[string]string{
		`{must: a, needs: [b], text: ""}`:                    "text: has no value",
		`{must: a, needs: [b], list: []}`:                    "list: has no value",
		`{must: a, needs: [b], table: {}}`:                   "table: has no value",
		`{must: a, needs: [b], in: {}}`:                      "in: has no value",
		`{must: a, needs: [b], in: ""}`:                      "in: has no value",
		`{must: a, needs: [b], in: x}`:                       "",
		`{must: a, needs: [b], list: [""], table: {a: ""}}`:  "",
		`{must: a, needs: [b], json: {}, open: "", any: []}`: "",
		`{must: a, needs: [b], to: ""}`:                      "blank to: has no value",
		`{must: "", needs: [b]}`:                             "blank must: has no value",
		`{must: a, needs: []}`:                               "blank needs: has no value",
		`{must: a, needs: [b], table: {a: [1], b: c}}`:       "table.a: wants text, got a list",
		`{must: a, needs: [b], on: !!bool "yes"}`:            `a tag ("!...") means nothing here`,
		`{must: !!str 5, needs: [b]}`:                        "",
		`{must: a, needs: !!seq [b]}`:                        "",
	} {
		var o outer
		var d Decoder
		n, wrong := Parse([]byte(text), 1<<10)
		if wrong == nil {
			wrong = d.Decode(n, &o)
		}
		var got []string
		for _, m := range wrong {
			got = append(got, m.Text)
		}
		for _, m := range d.Blank {
			got = append(got, "blank "+m.Text)
		}
		if s := strings.Join(got, " + "); s != want && (want == "" || len(got) != 1 || !strings.HasPrefix(s, want)) {
			t.Errorf("%s: got %q, want %q", text, s, want)
		}
		if _, zero := o.Table["a"]; zero && strings.HasPrefix(want, "table") {
			t.Errorf("%s: what could not be read is an empty text", text)
		}
	}
}
