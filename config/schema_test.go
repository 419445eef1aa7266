package config_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"prober/config"
	"prober/internal/testenv"
)

func TestSchemaIsStable(t *testing.T) {
	text, err := config.Schema(kinds())
	if err != nil {
		t.Fatal(err)
	}
	testenv.Golden(t, "testdata/schema.json", string(text))
}

// compiled returns the schema, which a compiler has checked against draft-07.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := config.Schema(kinds())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	if err := c.AddResource("prober.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("prober.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// document returns YAML as an editor hands it to a schema.
func document(data []byte) (any, error) {
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		return nil, err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(text))
}

func TestSchemaAcceptsWhatIsGood(t *testing.T) {
	schema := compiled(t)
	for _, f := range files(t, "good/*") {
		doc, err := document(f.Data)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}

// Each bad file says in its first line what a schema can see of its mistakes.
func TestSchemaRefusesWhatIsMisshapen(t *testing.T) {
	schema := compiled(t)
	for _, f := range files(t, "bad/*.yaml") {
		line, _, _ := strings.Cut(string(f.Data), "\n")
		doc, err := document(f.Data)
		got := "no YAML"
		if err == nil && doc != nil {
			got = "accepts"
			if schema.Validate(doc) != nil {
				got = "refuses"
			}
		}
		if want := strings.TrimPrefix(line, "# schema: "); got != want {
			t.Errorf("%s: the schema says %q, the file %q", f.Name, got, want)
		}
	}
}

// A single wrong key or value is refused at every depth, and only because of it.
func TestSchemaIsStrictAtEveryDepth(t *testing.T) {
	schema := compiled(t)
	full := string(files(t, "good/full.yaml")[0].Data)
	for right, wrong := range map[string]string{
		"system: shop":                   "system: 1shop",
		"interval: 30s":                  "intervall: 30s",
		"interval: 1s":                   "interval: 1",
		"severity: P1":                   "severty: P1",
		"x-defaults: ":                   "y-defaults: ",
		"name: front\n":                  "nam: front\n",
		"method: POST":                   "hosts: [a]",
		"{env: FRONT_TOKEN}\n    labels": "FRONT_TOKEN\n    labels",
		"{file: /run/secrets/basic}":     "{file: /run/secrets/basic, mode: 1}",
		"username: prober, ":             "",
		"port: 0x1F5":                    "port: high",
		"ratio: 1e-3":                    "ratio: low",
		"http2: true":                    "http2: sure",
		"{status: 501, ":                 "{staus: 501, ",
		"- do: look":                     "- make: look",
		"limit: {low: 1,":                "limit: {lower: 1,",
		"pause: 500ms":                   "pause: 500",
		"type: ping":                     "type: pong",
		"depends_on: [front]":            "depends_on: front",
	} {
		doc, err := document([]byte(strings.Replace(full, right, wrong, 1)))
		if err != nil || !strings.Contains(full, right) {
			t.Fatalf("%q: %v", right, err)
		}
		if schema.Validate(doc) == nil {
			t.Errorf("%q is accepted in place of %q", wrong, right)
		}
	}
}
