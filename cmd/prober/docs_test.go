package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"prober/config"
	"prober/internal/alerts"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/testenv"
	"prober/probes"
)

// documents are all documents with examples, relative to this package's directory.
var documents = []string{"../../README.md", "../../.github/*.md", "../../docs/*.md", "../../docs/kinds/*.md", "../../docs/decisions/*.md"}

// fencedBlocks returns the fenced code blocks of a language in all documents, by file and number.
func fencedBlocks(t *testing.T, language string) map[string]string {
	t.Helper()
	found := map[string]string{}
	fence := regexp.MustCompile("(?ms)^```" + language + "\n(.*?)^```")
	for _, pattern := range documents {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for i, block := range fence.FindAllSubmatch(text, -1) {
				found[filepath.Base(file)+"#"+string(rune('a'+i))] = string(block[1])
			}
		}
	}
	return found
}

// shippedConfigs are the configurations that are shipped with the prober.
func shippedConfigs() map[string]string {
	return map[string]string{"demo.yaml": string(config.Demo), "ibex.yaml": string(config.Ibex), "1pass.yaml": string(config.OnePass)}
}

// TestDocs_configurationsLoad loads every configuration that is shipped or shown in a document, and validates it with the
// schema that `prober schema` prints.
func TestDocs_configurationsLoad(t *testing.T) {
	schema := compileSchema(t)
	all := shippedConfigs()
	shown := 0
	for name, block := range fencedBlocks(t, "yaml") {
		if strings.HasPrefix(block, "system:") {
			all[name] = block
			shown++
		}
	}
	if shown < 3 {
		t.Errorf("only %d configurations are shown in the documents", shown)
	}
	for name, text := range all {
		t.Run(name, func(t *testing.T) {
			if _, err := config.Parse(probes.Kinds(), config.File{Name: name, Data: []byte(text)}); err != nil {
				t.Error(err)
			}
			if err := schema.Validate(asJSON(t, text)); err != nil {
				t.Errorf("the schema refuses it: %v", err)
			}
		})
	}
	if err := schema.Validate(asJSON(t, "system: a\nprobes: [{name: a, type: http, url: 'https://a.example', expct: {}}]")); err == nil {
		t.Error("the schema accepts an unknown key")
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := config.Schema(probes.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("prober.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("prober.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// asJSON converts YAML to the JSON that a schema describes.
func asJSON(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	j, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(j))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestDocs_kinds requires a page for each kind. The page explains each setting of the kind; settings that all
// kinds share are explained in docs/configuration.md.
func TestDocs_kinds(t *testing.T) {
	shared, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, kind := range probes.Kinds() {
		text, err := os.ReadFile("../../docs/kinds/" + name + ".md")
		if err != nil {
			t.Error(err)
			continue
		}
		at := 0
		for _, section := range []string{"What it asks", "Example", "Settings", "Checks", "Reasons", "Metrics", "Limits"} {
			found := bytes.Index(text[at:], []byte("\n## "+section+"\n"))
			if found < 0 {
				t.Errorf("docs/kinds/%s.md: no section %q after the ones before it", name, section)
				continue
			}
			at += found
		}
		for _, table := range []string{name + " series", name + " reasons"} {
			if !bytes.Contains(text, []byte("<!-- "+table+": begin -->")) {
				t.Errorf("docs/kinds/%s.md does not have the generated table %q", name, table)
			}
		}
		out, err := yaml.Marshal(kind.New())
		if err != nil {
			t.Fatal(err)
		}
		var settings map[string]any
		if err := yaml.Unmarshal(out, &settings); err != nil {
			t.Fatal(err)
		}
		for key := range settings {
			if !bytes.Contains(text, []byte("`"+key)) && !bytes.Contains(shared, []byte("\n| `"+key)) && !bytes.Contains(shared, []byte(", `"+key+"` |")) {
				t.Errorf("docs/kinds/%s.md does not explain the setting %s", name, key)
			}
		}
	}
}

// TestDocs_links follows each relative link of the documents to its file and heading.
func TestDocs_links(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s:]*)\)`)
	links := 0
	for _, pattern := range documents {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range link.FindAllSubmatch(text, -1) {
				links++
				path, heading, _ := strings.Cut(string(m[1]), "#")
				target := file
				if path != "" {
					target = filepath.Join(filepath.Dir(file), path)
				}
				if _, err := os.Stat(target); err != nil {
					t.Errorf("%s: broken link %s", file, m[1])
				} else if heading != "" && !slices.Contains(anchorsOf(t, target), heading) {
					t.Errorf("%s: %s has no heading #%s", file, target, heading)
				}
			}
		}
	}
	if links < 20 {
		t.Errorf("only %d links were found", links)
	}
}

// TestDocs_layout requires a line for each package of internal in the layout of docs/design.md, and a package for each
// line.
func TestDocs_layout(t *testing.T) {
	text, err := os.ReadFile("../../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("../../internal")
	if err != nil {
		t.Fatal(err)
	}
	var packages, listed []string
	for _, e := range entries {
		packages = append(packages, e.Name())
	}
	for _, m := range regexp.MustCompile(`(?m)^internal/(\w+)/ +\S`).FindAllStringSubmatch(string(text), -1) {
		listed = append(listed, m[1])
	}
	slices.Sort(listed)
	if !slices.Equal(packages, listed) {
		t.Errorf("docs/design.md lists the packages\n%v\nbut there are\n%v", listed, packages)
	}
}

// anchorsOf returns the anchors that GitHub gives to the headings of a document.
func anchorsOf(t *testing.T, file string) (anchors []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(text), -1) {
		kept := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		anchors = append(anchors, strings.ReplaceAll(kept, " ", "-"))
	}
	return anchors
}

// TestDocs_metrics requires a row in docs/metrics.md for each family that the running demo exports, and no other rows.
func TestDocs_metrics(t *testing.T) {
	testenv.Slow(t, "it waits until every probe of the demo has run")
	testenv.WithoutRace(t)
	t.Parallel()
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, "demo", "--fault", "up-500", "--fault", "guard-comment", "--fault", "deploy-in-progress", "--alertmanager.url=http://127.0.0.1:1")
	p.waitForMetric(t, `probe_failures_total{probe="up"`)
	elsewhere := slices.Concat(undemonstrated(t), ofCertificates, ofPublicPages, ofShards, afterHalfAnHour)
	rows := regexp.MustCompile("(?m)^\\| .*`((?:probe|prober)_[a-z_]+)` \\| (?:gauge|counter|histogram) \\|").FindAllSubmatch(text, -1)
	var exported []string
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		_, exposition, err := p.get("/metrics")
		if err != nil {
			return err
		}
		exported = nil
		for _, line := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(exposition, -1) {
			exported = append(exported, line[1])
		}
		for _, row := range rows {
			if name := string(row[1]); !slices.Contains(exported, name) && !slices.Contains(elsewhere, name) {
				return fmt.Errorf("docs/metrics.md tells of %s, which is not exported", name)
			}
		}
		return nil
	})
	for _, name := range exported {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "ibex_") {
			continue
		}
		if !bytes.Contains(text, []byte("`"+name+"`")) && !bytes.Contains(text, []byte("`"+name+"{")) {
			t.Errorf("docs/metrics.md does not tell of %s", name)
		}
	}
}

// undemonstrated names the series of the kinds that the demo has no probe of. Their own tests show that they are exported.
func undemonstrated(t *testing.T) (names []string) {
	demo := jobsOf(t, config.File{Name: "demo.yaml", Data: config.Demo})
	for kind, k := range probes.Kinds() {
		if slices.ContainsFunc(demo, func(j probe.Job) bool { return j.Type == kind }) {
			continue
		}
		for _, m := range k.Measures {
			names = append(names, m.Name)
		}
	}
	return names
}

// TestDocs_readmeOutput runs the README's command and compares its output, except for times, trace ids and ports.
func TestDocs_readmeOutput(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```\n\\$ prober (demo --once[^\n]*)\n(.*?)```").FindSubmatch(text)
	if shown == nil {
		t.Fatal("the README shows no output of --once")
	}
	cmd := exec.Command(os.Args[0], strings.Fields(string(shown[1]))...)
	cmd.Env = append(cmd.Environ(), asProber+"=1")
	var got strings.Builder
	cmd.Stdout = &got
	_, err = testenv.Run(t, cmd)
	if cmd.ProcessState.ExitCode() != exitFail {
		t.Errorf("exit status %d, %v", cmd.ProcessState.ExitCode(), err)
	}
	if want := normalizeOutput(string(shown[2])); normalizeOutput(got.String()) != want {
		t.Errorf("the README shows\n%s\nbut the prober prints\n%s", want, normalizeOutput(got.String()))
	}
}

// normalizeOutput replaces values that differ between runs, and the spaces around them.
func normalizeOutput(text string) string {
	text = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(text, "ADDRESS")
	text = regexp.MustCompile(`[0-9a-f]{32}`).ReplaceAllString(text, "TRACE")
	text = regexp.MustCompile(`[\d.]+ ?(ms|s|µs)\b`).ReplaceAllString(text, "TIME")
	return strings.Join(strings.Fields(text), " ")
}

// TestDocs_rules requires every rule in the documents to be one that is generated for the demo.
func TestDocs_rules(t *testing.T) {
	rules, err := os.ReadFile("testdata/rules.demo.yml")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for name, block := range fencedBlocks(t, "yaml") {
		if strings.Contains(block, "- alert:") {
			shown++
			if !bytes.Contains(rules, []byte(block)) {
				t.Errorf("%s shows a rule that is made differently:\n%s", name, block)
			}
		}
	}
	if shown == 0 {
		t.Error("no rules are shown")
	}
}

// TestDocs_alerts requires a row in docs/operations.md for each alert that is generated for a shipped configuration.
func TestDocs_alerts(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, shipped := range shippedConfigs() {
		cfg, err := config.Parse(probes.Kinds(), config.File{Name: name, Data: []byte(shipped)})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range alerts.Rules(cfg.Jobs, alerts.Options{Kinds: probes.Kinds(), Counters: []alerts.Counter{{System: cfg.Jobs[0].System, Metric: "x_total"}}}).Groups {
			for _, r := range g.Rules {
				if r.Alert != "" && !bytes.Contains(text, []byte("\n| `"+r.Alert+"`")) {
					t.Errorf("docs/operations.md does not tell of %s", r.Alert)
				}
			}
		}
	}
}

// TestKinds_secretsHaveSecretType walks the settings of every kind: a setting that is named like a secret must have the
// type for secrets.
func TestKinds_secretsHaveSecretType(t *testing.T) {
	var suspects func(v reflect.Type, path string, seen map[reflect.Type]bool) []string
	suspects = func(v reflect.Type, path string, seen map[reflect.Type]bool) []string {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice || v.Kind() == reflect.Map {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct || v == reflect.TypeFor[secret.Secret]() || seen[v] {
			return nil
		}
		seen[v] = true
		var found []string
		for f := range v.Fields() {
			key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if key != "" && regexp.MustCompile("token|secret|password|key|bearer").MatchString(key) &&
				!slices.Contains([]string{"token_url", "key_file", "keysets", "keys"}, key) &&
				!slices.Contains([]string{"redis.Writes.key", "redis.Orgs.key", "webhook.key"}, path+"."+key) && // names of keys in Redis, and where idempotency keys are
				f.Type.Kind() != reflect.Bool && f.Type != reflect.TypeFor[secret.Secret]() && f.Type != reflect.TypeFor[[]secret.Secret]() { // a switch holds no secret
				found = append(found, path+"."+key)
			}
			found = append(found, suspects(f.Type, path+"."+f.Name, seen)...)
		}
		return found
	}
	for name, kind := range probes.Kinds() {
		if found := suspects(reflect.TypeOf(kind.New()), name, map[reflect.Type]bool{}); found != nil {
			t.Errorf("named like secrets, and not of the type that cannot be printed: %v", found)
		}
	}
	type careless struct {
		Inner []struct {
			Token string `yaml:"api_token"`
		}
	}
	if got := suspects(reflect.TypeFor[careless](), "", map[reflect.Type]bool{}); len(got) != 1 {
		t.Errorf("the walk finds %v in a careless kind", got)
	}
}
