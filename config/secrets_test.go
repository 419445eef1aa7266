package config_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"prober/config"
	"prober/internal/probe"
	"prober/internal/testenv"

	"gopkg.in/yaml.v3"
)

const marker = "hunter2-Xq7Zk0vW"

// repeats tells whether a text holds a piece of the marker.
func repeats(text string) bool {
	for i := 0; i+8 <= len(marker); i++ {
		if strings.Contains(text, marker[i:i+8]) {
			return true
		}
	}
	return false
}

func TestTheMarkerIsFound(t *testing.T) {
	if !repeats("x"+marker[3:12]) || repeats("hunter1") {
		t.Error("the search for the marker proves nothing")
	}
}

// A secret in the wrong place, or beside a mistake, is not repeated; the line is.
func TestMistakesRepeatNoValue(t *testing.T) {
	for place, line := range map[string]int{
		"    port: M":                                 6,
		"    within: M":                               6,
		"    status: M":                               6,
		"    http2: M":                                6,
		"    steps: M":                                6,
		"    bearer: M":                               6,
		"    bearer: {M}":                             6,
		"    bearer: {{ M }}":                         6,
		"    bearer: {token: M}":                      6,
		"    basic: {M}":                              6,
		"    headers: {M}":                            6,
		"    callers: [M]":                            6,
		"    callers: {valid: M}":                     6,
		"    callers: {valid: {status: M}}":           6,
		"    bearer:\n      M":                        7,
		"    bearer:\n    M":                          7,
		"    bearer:\n   M":                           7,
		"    bearer: \"M":                             6,
		"    bearer: 'M' x":                           6,
		"    bearer: *M":                              6,
		"    bearer: !M x":                            6,
		"    bearer: @M":                              6,
		"    bearer: %M":                              6,
		"    bearer: `M`":                             6,
		"    bearer: a: M":                            6,
		"    bearer: [M":                              6,
		"    bearer: |\n  M":                          7,
		"    port: !!int M":                           6,
		"    pattern: (M":                             6,
		"    lookup: [M]":                             6,
		"    lookup: {deep: M}":                       6,
		"    runbook: M":                              6,
		"    interval: M":                             6,
		"    depends_on: [M]":                         6,
		"    depends_on: M":                           6,
		"    severity: \"M\\a\"":                      6,
		"    labels: {a: \"M\\a\"}":                   6,
		"    labels: {verdict: M}":                    6,
		"    signals: {status: 'M'}":                  6,
		"    signals: {status: 'a{b=\"M\"'}":          6,
		"    signals: {status: 'a{b=\"M\",b=\"M\"}'}": 6,
		"    signals: {status: 'probe_M'}":            6,
		"    more: M":                                 6,
		"    ? [M] : x":                               6,
		"    equals: {a: !!float M}":                  6,
		"    kid: M\n    method: PANIC":               3,
		"    kid: \"M\x01\"":                          6,
		"    kid: M\n    zzz: M":                      7,
		"\tM":                                         6,
		"M":                                           6,
		"    type: M":                                 6,
		"--- M":                                       6,
		"runbooks: {a: {url: 'https://M:M@h'}}":       6,
		"runbooks: {a: {url: 'ftp://M'}}":             6,
		"timeout: M":                                  6,
		"labels: [M]":                                 6,
		"labels: {a: M, le: M}":                       6,
		"x-a: &M [*M]":                                6,
		"interval: 1s\ntimeout: 1s\nlabels: {verdict: M}": 8,
	} {
		text := "system: shop\nprobes:\n  - name: a\n    type: web\n    url: https://shop.example/\n" + strings.ReplaceAll(place, "M", marker) + "\n"
		_, err := config.Parse(kinds(), config.File{Name: "f", Data: []byte(text)})
		switch {
		case err == nil:
			t.Errorf("%q was not refused", place)
		case repeats(err.Error()):
			t.Errorf("%q is repeated: %v", place, err)
		case !strings.Contains(err.Error(), "f:"+string(rune('0'+line))+":"):
			t.Errorf("%q: line %d is not named: %v", place, line, err)
		}
	}
}

func TestCheckSources(t *testing.T) {
	dir := t.TempDir()
	secretIn := func(name, text string, mode os.FileMode) string {
		path := write(t, dir, name, text)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := secretIn("good", marker+"\r\n", 0o600)
	open := secretIn("open", marker+"\n", 0o644)
	empty := secretIn("empty", "\n", 0o600)
	missing := filepath.Join(dir, "missing")
	t.Setenv("PROBER_TEST_GOOD", marker)
	text := `
system: s
probes:
  - name: all-good
    type: web
    url: https://shop.example/
    bearer: {file: ` + good + `}
    basic: {username: u, password: {env: PROBER_TEST_GOOD}}
  - name: everywhere
    type: web
    url: https://shop.example/a
    headers: {A: plain, B: {file: ` + missing + `}}
    callers: {x: {status: 1, bearer: {file: ` + open + `}}}
  - name: deeper
    type: ping
    hosts: [a]
    pages: {p: [{username: u, password: {file: ` + empty + `}}]}
    more: {a: {env: PROBER_TEST_UNSET}, b: {file: ` + missing + `}}
    kept: [{file: ` + missing + `}]
`
	c, err := config.Parse(kinds(), config.File{Name: "shop.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"shop.yaml:12: everywhere: headers.B: secret from file " + missing + ": no such file or directory (and for 1 more probe)",
		"shop.yaml:13: everywhere: callers.x.bearer: " + open + " is readable by everyone on this machine (mode 0644)",
		"shop.yaml:17: deeper: pages.p[0].password: secret from file " + empty + " is empty",
		"shop.yaml:18: deeper: more.a: secret from env PROBER_TEST_UNSET: the variable is not set",
	}
	if got := c.CheckSources(c.Jobs); !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	want = []string{
		"shop.yaml:17: deeper: pages.p[0].password: secret from file " + empty + " is empty",
		"shop.yaml:18: deeper: more.a: secret from env PROBER_TEST_UNSET: the variable is not set",
		"shop.yaml:18: deeper: more.b: secret from file " + missing + ": no such file or directory",
	}
	if got := c.CheckSources(c.Jobs[2:]); !slices.Equal(got, want) {
		t.Errorf("of one probe: got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestRelativePaths looks for files below the directory of the configuration file, wherever the prober was started.
func TestRelativePaths(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "tokens/good", marker)
	write(t, dir, "shop.yaml", "system: s\nprobes:\n  - {name: a, type: web, url: \"https://shop.example/\", bearer: {file: tokens/good}, headers: {A: {file: tokens/absent}}}\n")
	c, err := config.Load(kinds(), filepath.Join(dir, "shop.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	got := c.CheckSources(c.Jobs)
	if len(got) != 1 || !strings.HasSuffix(got[0], "a: headers.A: secret from file "+dir+"/tokens/absent: no such file or directory") {
		t.Errorf("got %q", got)
	}
	if shown := string(c.YAML()); !strings.Contains(shown, "file: "+dir+"/tokens/good") {
		t.Errorf("the path that is used is missing from:\n%s", shown)
	}
}

func TestCheckSourcesIsContentWithoutSources(t *testing.T) {
	c, err := config.Parse(kinds(), config.File{Data: []byte(one("s", "a"))})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.CheckSources(c.Jobs); got != nil {
		t.Errorf("got %q", got)
	}
}

func TestNothingWrittenOutIsShown(t *testing.T) {
	text := strings.ReplaceAll(`
system: s
probes:
  - name: a
    type: web
    url: "https://shop.example/p?access=M#M"
    headers: {Authorization: "Bearer M", Cookie: M, X-Other: M, X-Kept: {env: KEPT}}
    body: '{"password": "M"}'
    equals: {token: M, Password: [M], headers: {x: [M, {y: M}]}, params: {a: M}, more: [{Form: {file: M}}, {payload: {env: M}}, {query: M}, {header: {env: M}}]}
    bearer: {file: /run/secrets/kept}
    kid: "https://M:M@shop.example/"
    steps: [{wants: [{header: X-Name}]}]
`, "M", marker)
	c, err := config.Parse(kinds(), config.File{Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	var plan bytes.Buffer
	if err := c.Plan(&plan, 0); err != nil {
		t.Fatal(err)
	}
	shown := string(c.YAML())
	if repeats(shown) || repeats(plan.String()) {
		t.Errorf("the marker is shown:\n%s\n%s", shown, plan.String())
	}
	if settings := fmt.Sprint(c.Settings(c.Jobs[0].Key())); repeats(settings) || !strings.Contains(settings, "https://shop.example/p?<hidden>") || !strings.Contains(settings, "bearer › file /run/secrets/kept") {
		t.Errorf("the settings are %s", settings)
	}
	for _, want := range []string{"Authorization: <hidden>", "env: KEPT", "file: /run/secrets/kept", "https://shop.example/p?<hidden>", "https://<hidden>@shop.example/", "header: X-Name"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is missing from:\n%s", want, shown)
		}
	}
}

func TestEffectiveConfiguration(t *testing.T) {
	testenv.Golden(t, "testdata/effective.yaml", string(good(t).YAML()))
}

// What is shown can be loaded again, and comes to the same.
func TestEffectiveConfigurationIsOne(t *testing.T) {
	in := yaml.NewDecoder(bytes.NewReader(good(t).YAML()))
	var files []config.File
	for {
		var doc yaml.Node
		if in.Decode(&doc) != nil {
			break
		}
		data, err := yaml.Marshal(&doc)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, config.File{Name: "effective.yaml", Data: data})
	}
	again, err := config.Parse(kinds(), files...)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(again.YAML()), string(good(t).YAML()); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	for i, j := range good(t).Jobs {
		k := again.Jobs[i]
		if j.ID != k.ID || j.Interval != k.Interval || j.Timeout != k.Timeout || j.RunbookURL != k.RunbookURL {
			t.Errorf("%+v became %+v", j.ID, k.ID)
		}
	}
}

// Texts that yaml.v3 would write so that it reads others, or nothing.
func TestEffectiveConfigurationIsOne_oddTexts(t *testing.T) {
	for _, odd := range []string{`\n\nmany lose money`, `\tcalls\n`, `a\Lb\Pc`, `a\Nb`, `\uFEFFa`, `a\r\nb`, `<<`, `yes`} {
		data := []byte("system: shop\nprobes:\n  - {name: a, type: web, url: http://a.example/, kid: \"" + odd + "\"}\n")
		first, err := config.Parse(kinds(), config.File{Name: "f", Data: data})
		if err != nil {
			t.Fatal(err)
		}
		again, err := config.Parse(kinds(), config.File{Name: "f", Data: first.YAML()})
		if err != nil {
			t.Errorf("%s: %v, of\n%s", odd, err, first.YAML())
			continue
		}
		if a, b := first.Jobs[0].Probe.(*web).Kid, again.Jobs[0].Probe.(*web).Kid; a != b || a == "" {
			t.Errorf("%s: %q became %q", odd, a, b)
		}
	}
}

var _ probe.Probe = (*web)(nil)
