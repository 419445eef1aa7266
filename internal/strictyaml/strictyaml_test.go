package strictyaml_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"prober/internal/strictyaml"
)

type settings struct {
	URL     string             `yaml:"url" required:"true" renamed:"uri,address"`
	Replies map[string]reply   `yaml:"replies"`
	Orgs    []org              `yaml:"orgs"`
	Main    *reply             `yaml:"main"`
	Size    int                `yaml:"size" default:"3"`
	Forge   forge              `yaml:"forge"`
	JSON    map[string]float64 `yaml:"json"`
}

type org struct {
	Token string `yaml:"token" renamed:"key"`
}

type reply struct {
	URL  string `yaml:"url" short:"true"`
	Body string `yaml:"body"`
}

type forge struct {
	On  bool   `yaml:"-" short:"true"`
	Kid string `yaml:"kid"`
}

// decode returns the settings of a document, and its mistakes as "line path|text".
func decode(t *testing.T, text string) (settings, string) {
	t.Helper()
	root, found := strictyaml.Parse([]byte(text), 1<<10)
	var s settings
	if found == nil {
		found = new(strictyaml.Decoder).Decode(root, &s)
	}
	var lines []string
	for _, m := range found {
		lines = append(lines, fmt.Sprintf("%d %s|%s", m.Line, m.Path, m.Text))
	}
	return s, strings.Join(lines, "\n")
}

func TestDecodeRefusesOldNames(t *testing.T) {
	for text, want := range map[string]string{
		"uri: x":                              "1 url|uri was renamed to url",
		"url: x\naddress: y":                  "2 url|address was renamed to url",
		"url: x\norgs:\n- token: a\n- key: b": "4 orgs[1].token|orgs[1]: key was renamed to token",
		"adress: x":                           "1 adress|unknown key adress\n1 url|url is missing", // an old name is no suggestion
	} {
		if _, got := decode(t, text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestDecodeReadsTheShortForm(t *testing.T) {
	s, wrong := decode(t, "url: x\nreplies: {a: here, b: {url: there, body: c}}\nmain: y\nforge: true")
	if wrong != "" || s.Replies["a"] != (reply{URL: "here"}) || s.Replies["b"] != (reply{URL: "there", Body: "c"}) || s.Main.URL != "y" || !s.Forge.On {
		t.Errorf("got %+v, %s", s, wrong)
	}
	for text, want := range map[string]string{
		"url: x\nmain: [y]":                "2 main|main: wants text or keys, got a list",
		"url: x\nforge: maybe":             "2 forge|forge: wants true or false, got text",
		"url: x\nforge: {on: true}":        "2 forge.on|forge: unknown key on",
		"url: x\nmain: {bdy: c}":           "2 main.body|main: unknown key bdy; did you mean body?",
		"url: x\nreplies: {$.a: [b]}":      "2 replies.$.a|replies.$.a: wants text or keys, got a list",
		"url: x\njson: {\"$.a[0].b\": no}": "2 json.$.a[0].b|json.$.a[0].b: wants a number, got text",
	} {
		if _, got := decode(t, text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestSchemaFollowsTheTags(t *testing.T) {
	text, err := json.Marshal(new(strictyaml.Decoder).Schema(&settings{Forge: forge{Kid: "k"}}))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"size":{"default":3,"type":"integer"}`,
		`"forge":{"anyOf":[{"type":"boolean"},{"additionalProperties":false,"properties":{"kid":{"default":"k",`,
		`"required":["url"]`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is missing from %s", want, text)
		}
	}
}

func TestCheckRefusesWrongTags(t *testing.T) {
	for want, p := range map[string]any{
		"the default of size in": &struct {
			Size int `yaml:"size" default:"many"`
		}{},
		"the key old, renamed to now in": &struct {
			Now int `yaml:"now" renamed:"old"`
			Old int `yaml:"old"`
		}{},
		"which differs from its default": &struct {
			Size int `yaml:"size" default:"3"`
		}{4},
	} {
		if err := new(strictyaml.Decoder).Check(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	type inlined struct {
		Size int `yaml:"size" default:"3"`
	}
	type outer struct {
		inlined `yaml:",inline"`
	}
	for _, p := range []any{&settings{Size: 3}, &outer{inlined{4}}} {
		if err := new(strictyaml.Decoder).Check(p); err != nil {
			t.Error(err)
		}
	}
}

func TestLine(t *testing.T) {
	root, found := strictyaml.Parse([]byte(`url: x
replies:
  valid:
    body: c
orgs:
  - token: a

  - url: b
json:
  $.a: 1
  $.a.b[0]: 2
  a.b: {c: 3}
`), 1<<10)
	if found != nil {
		t.Fatal(found)
	}
	for path, want := range map[string]int{
		"": 1, "url": 1, "replies": 2, "replies.valid": 3, "replies.valid.body": 4, "replies.valid.url": 3,
		"replies.other.url": 2, "orgs[1].url": 8, "orgs[1].token": 8, "orgs[7]": 5, "orgs[x]": 5, "url.deep[3]": 1,
		"json.$.a": 10, "json.$.a.b[0]": 11, "json.a.b.c": 12, "json.a": 9, "size": 1, "urls": 1,
	} {
		if got := strictyaml.Line(root, path); got != want {
			t.Errorf("%q: got line %d, want %d", path, got, want)
		}
	}
}

func TestConcerns(t *testing.T) {
	for _, c := range []struct {
		of, path string
		want     bool
	}{
		{"callers.valid.status", "callers.valid", true}, {"callers.valid", "callers.valid.status", true}, {"callers", "", true},
		{"orgs", "orgs[1].token", true}, {"callers.valid.status", "callers.valid.code", false}, {"url", "urls", false},
	} {
		if got := (strictyaml.Mistake{Path: c.of}).Concerns(c.path); got != c.want {
			t.Errorf("a mistake of %q concerns %q: %t", c.of, c.path, got)
		}
	}
}

func TestMask(t *testing.T) {
	type values struct {
		Body   string            `yaml:"body" mask:"true"`
		Params map[string]string `yaml:"params" mask:"true"`
		Match  *struct {
			Absent bool   `yaml:"absent"`
			Text   string `yaml:"text"`
		} `yaml:"match" mask:"true"`
		Free map[string]any `yaml:"free"`
		Name string         `yaml:"name"`
	}
	root, found := strictyaml.Parse([]byte("body: s3cret\nparams: {a: s3cret}\nmatch: {absent: true, text: s3cret}\nfree: {a: [s3cret, {b: s3cret}]}\nname: shown\n"), 1<<10)
	if found != nil {
		t.Fatal(found)
	}
	new(strictyaml.Decoder).Mask(root, &values{})
	text, err := yaml.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "s3cret") || strings.Count(string(text), strictyaml.Masked) != 5 ||
		!strings.Contains(string(text), "absent: true") || !strings.Contains(string(text), "name: shown") {
		t.Errorf("got\n%s", text)
	}
}
