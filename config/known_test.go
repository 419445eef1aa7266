package config_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"prober/config"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes"
)

// shopFile and payFile have an entry of each sort. Both systems ask one question in the same words.
const shopFile = `
system: shop
title: Shop
interval: 30s
timeout: 5s
labels: {env: prod}
runbooks:
  down: {severity: P2, url: 'https://docs.example.com/r', title: Down}
severities:
  P2: {respond: at once}
probes:
  - name: front
    type: http
    runbook: down
    url: http://192.0.2.1/
    expect: {latency: 2s}
  - {name: same, type: http, url: 'http://192.0.2.9/'}
  - name: account
    type: http
    url: https://192.0.2.1/account
    bearer: {env: PROBER_TEST_KNOWN}
    depends_on: [front]
    labels: {team: a}
    signals: {status: 'account_up{service="account"}'}
  - name: orders
    type: http
    url: https://192.0.2.1/orders
    bearer: {file: token}
    tls: {ca_file: ca.pem}
  - {name: pods, type: targets, file: [targets.json], want: 1, within: [192.0.2.0/24]}
  - for_each: pods
    name: "pod-{host}"
    type: http
    url: "https://{target}/"
    bearer: {file: token}
`

const payFile = `
system: pay
probes:
  - {name: same, type: http, url: 'http://192.0.2.9/'}
maintenance:
  - {weekly: Sun 02:00-04:00, zone: UTC, why: backup}
public:
  title: Shop
  url: https://status.example.com/
  components:
    - {name: Front, probes: [shop/front, same]}
`

// podTargets are the targets of pods.
func podTargets(addresses ...string) map[probe.Key][]probe.Target {
	var list []probe.Target
	for _, a := range addresses {
		list = append(list, probe.Target{Address: a})
	}
	return map[probe.Key][]probe.Target{{System: "shop", Name: "pods"}: list}
}

// whole is all that a configuration comes to, but for which probes it has in memory.
func whole(t *testing.T, c *config.Config) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Plan(&b, 0); err != nil {
		t.Fatal(err)
	}
	b.Write(c.YAML())
	fmt.Fprintf(&b, "%q\n%q\n%q\n%s\n%+v\n", c.Warnings, c.CheckSources(c.Jobs), c.Refused, c.Hash, c.Public)
	for _, j := range c.Jobs {
		if j.Kind.New == nil || j.Versions == nil || (j.Expand == nil) != (j.Name != "pods") && !strings.HasPrefix(j.Name, "list") {
			t.Errorf("%s: its job is not complete", j.Name)
		}
		j.Kind, j.Probe, j.Expand, j.Versions = probe.Kind{}, nil, nil, nil
		fmt.Fprintf(&b, "%+v\n%v\n", j, c.Settings(j.Key()))
	}
	return b.String()
}

// probesOf returns the probes of a configuration by SYSTEM/NAME.
func probesOf(c *config.Config) map[string]probe.Probe {
	all := map[string]probe.Probe{}
	for _, j := range c.Jobs {
		all[j.Key().String()] = j.Probe
	}
	return all
}

// A reload has nothing but what a start with the same files would have, whatever changed; and it makes those probes again that something
// changed of, and no others.
func TestReparse(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PROBER_TEST_KNOWN", "value-of-known")
	first := map[string]string{"shop.yaml": shopFile, "pay.yaml": payFile}
	targets := podTargets("192.0.2.10:80", "192.0.2.11:80")
	replace := func(file, old, new string) func(map[string]string) {
		return func(files map[string]string) {
			if strings.Count(files[file], old) != 1 {
				t.Fatalf("%s is not in %s once", old, file)
			}
			files[file] = strings.Replace(files[file], old, new, 1)
		}
	}
	const all = "pay/same shop/account shop/front shop/orders shop/pod-192.0.2.10 shop/pod-192.0.2.11 shop/pods shop/same"
	shopOnly := strings.TrimPrefix(all, "pay/same ")
	for name, c := range testenv.Sample(map[string]struct {
		change  func(files map[string]string)
		targets map[probe.Key][]probe.Target
		made    string // which probes are made again
	}{
		"nothing":                 {func(map[string]string) {}, targets, ""},
		"a setting":               {replace("shop.yaml", "http://192.0.2.1/\n", "http://192.0.2.2/\n"), targets, "shop/front"},
		"a comment in an entry":   {replace("shop.yaml", "192.0.2.1/\n", "192.0.2.1/ # new\n"), targets, "shop/front"},
		"a comment in the header": {replace("shop.yaml", "title: Shop\n", "title: Shop # new\n"), targets, ""},
		"a name":                  {replace("pay.yaml", "name: same", "name: other"), targets, "refused"},
		"lines":                   {replace("shop.yaml", "title: Shop\n", "\n\ntitle: Shop\n\n"), targets, ""},
		"an entry before":         {replace("shop.yaml", "probes:\n", "probes:\n  - {name: new, type: http, url: 'http://192.0.2.77/'}\n"), targets, "shop/new"},
		"the order":               {replace("shop.yaml", "probes:\n", "probes:\n  - {name: live, type: http, url: 'http://192.0.2.3/'}\n"), targets, "shop/live"},
		"an entry less":           {replace("shop.yaml", "  - {name: same, type: http, url: 'http://192.0.2.9/'}\n", ""), targets, ""},
		"the interval":            {replace("shop.yaml", "interval: 30s", "interval: 60s"), targets, ""},
		"the timeout":             {replace("shop.yaml", "timeout: 5s", "timeout: 4s"), targets, ""},
		"a timeout too short":     {replace("shop.yaml", "timeout: 5s", "timeout: 1s"), targets, "refused"},
		"a timeout too long":      {replace("shop.yaml", "timeout: 5s", "timeout: 35s"), targets, "refused"},
		"labels":                  {replace("shop.yaml", "env: prod", "env: test"), targets, ""},
		"a label that is taken":   {replace("shop.yaml", "env: prod", "reason: prod"), targets, "refused"},
		"the title of the system": {replace("shop.yaml", "title: Shop\n", "title: Store\n"), targets, ""},
		"the system":              {replace("shop.yaml", "system: shop", "system: store"), targets, "refused"},
		"a severity":              {replace("shop.yaml", "severity: P2", "severity: P1"), targets, ""},
		"a runbook's URL":         {replace("shop.yaml", "example.com/r", "example.com/s"), targets, ""},
		"a runbook's title":       {replace("shop.yaml", "title: Down", "title: Away"), targets, ""},
		"no runbook":              {replace("shop.yaml", "  down: {", "  away: {"), targets, "refused"},
		"an objective":            {replace("shop.yaml", "title: Down", "title: Down, slo: {objective: 99}"), targets, ""},
		"a response":              {replace("shop.yaml", "at once", "tomorrow"), targets, ""},
		"a source's name":         {replace("shop.yaml", "PROBER_TEST_KNOWN", "PROBER_TEST_UNKNOWN"), targets, "shop/account"},
		"a file's name":           {replace("shop.yaml", "ca.pem", "other.pem"), targets, "shop/orders"},
		"a variable":              {func(map[string]string) { os.Unsetenv("PROBER_TEST_KNOWN") }, targets, ""},
		"a secret in a file": {func(map[string]string) {
			os.WriteFile(filepath.Join(dir, "token"), []byte("value-of-the-new-token"), 0o600)
		}, targets, ""},
		"a signal":                 {replace("shop.yaml", `service="account"`, `service="accounts"`), targets, "shop/account"},
		"a dependency":             {replace("shop.yaml", "depends_on: [front]", "depends_on: [orders]"), targets, "shop/account"},
		"a dependency that is not": {replace("shop.yaml", "name: front", "name: face"), targets, "refused"},
		"maintenance":              {replace("pay.yaml", "02:00-04:00", "03:00-04:00"), targets, ""},
		"a public component":       {replace("pay.yaml", "name: Front, probes: [shop/front", "name: Front, probes: [shop/orders"), targets, ""},
		"another interval there":   {replace("pay.yaml", "system: pay\n", "system: pay\ninterval: 10s\n"), targets, ""},
		"another target":           {func(map[string]string) {}, podTargets("192.0.2.11:80", "192.0.2.12:80"), "shop/pod-192.0.2.12"},
		"no target":                {func(map[string]string) {}, nil, ""},
		"what targets may be":      {replace("shop.yaml", "192.0.2.0/24", "192.0.2.10/32"), targets, "shop/pods"},
		"what is asked of targets": {replace("shop.yaml", "https://{target}/", "https://{target}/live"), targets, "shop/pod-192.0.2.10 shop/pod-192.0.2.11"},
		"maintenance of targets": {replace("shop.yaml", "probes:\n", "maintenance:\n  - {weekly: Mon 02:00-04:00, zone: UTC}\nprobes:\n"),
			targets, ""},
		"an anchor": {replace("shop.yaml", "url: https://192.0.2.1/orders", "url: &u https://192.0.2.1/orders"), targets, "shop/orders"},
		"what an anchor is": {func(files map[string]string) {
			replace("shop.yaml", "labels: {team: a}", "labels: &l {team: b}")(files)
			replace("shop.yaml", "  - for_each", "  - {name: more, type: http, url: 'http://192.0.2.66/', labels: *l}\n  - for_each")(files)
		}, targets, "shop/account shop/more"},
		"all that it stands for": {replace("shop.yaml", "labels: {env: prod}", "labels: &l {env: prod}\nx-1: *l"), targets, ""},
		"an anchor of the header": {func(files map[string]string) {
			replace("shop.yaml", "labels: {env: prod}", "x-up: &up {latency: 2s}")(files)
			replace("shop.yaml", "expect: {latency: 2s}", "expect: *up")(files)
		}, targets, shopOnly},
		"ends of lines":        {func(files map[string]string) { files["shop.yaml"] = strings.ReplaceAll(shopFile, "\n", "\r\n") }, targets, shopOnly},
		"the name of the file": {func(files map[string]string) { files["z.yaml"] = files["shop.yaml"]; delete(files, "shop.yaml") }, targets, shopOnly},
		"another file": {func(files map[string]string) {
			files["more.yaml"] = "system: more\nprobes:\n  - {name: same, type: http, url: 'http://192.0.2.9/'}\n"
		}, targets, "more/same"},
		"the same twice": {replace("pay.yaml", "probes:\n  -", "probes:\n  - {name: same, type: http, url: 'http://192.0.2.9/'}\n  -"), targets, "refused"},
		"no YAML":        {replace("pay.yaml", "probes:\n", "probes\n"), targets, "refused"},
	}, 4) {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PROBER_TEST_KNOWN", "value-of-known") // and set again at the end
			if err := os.WriteFile(filepath.Join(dir, "token"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			read := func(texts map[string]string) (files []config.File) {
				for _, name := range slices.Sorted(maps.Keys(texts)) {
					files = append(files, config.File{Name: filepath.Join(dir, name), Data: []byte(texts[name])})
				}
				return files
			}
			started, err := config.Parse(probes.Kinds(), read(first)...)
			if err != nil {
				t.Fatal(err)
			}
			started = started.Expand(targets)
			before, said := probesOf(started), whole(t, started)
			next := maps.Clone(first)
			c.change(next)
			want, wantErr := config.Parse(probes.Kinds(), read(next)...)
			got, err := started.Reparse(probes.Kinds(), read(next)...)
			if fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Fatalf("got the error\n%v\nexpected\n%v", err, wantErr)
			}
			if err != nil {
				if c.made != "refused" {
					t.Errorf("it is refused: %v", err)
				}
				if got, err = started.Reparse(probes.Kinds(), read(first)...); err != nil { // what runs is what it was
					t.Fatal(err)
				}
				if now := whole(t, got.Expand(targets)); now != said && name != "a variable" {
					t.Errorf("got\n%s\nexpected\n%s", now, said)
				}
				return
			}
			got, want = got.Expand(c.targets), want.Expand(c.targets)
			if got, want := whole(t, got), whole(t, want); got != want {
				t.Errorf("got\n%s\nexpected\n%s", got, want)
			}
			var made []string
			once := map[probe.Probe]bool{}
			for key, p := range probesOf(got) {
				if once[p] {
					t.Errorf("%s has the probe of another", key)
				}
				if once[p] = true; p != before[key] {
					made = append(made, key)
				}
			}
			slices.Sort(made)
			if made := strings.Join(made, " "); made != c.made {
				t.Errorf("made again: %s\nexpected: %s", made, c.made)
			}
		})
	}
}

// What an alias stands for is said by another entry: the text of its own does not say all.
func TestReparse_alias(t *testing.T) {
	load := func(of *config.Config, path string) *config.Config {
		c, err := of.Reparse(probes.Kinds(), config.File{Name: "shop.yaml", Data: []byte("system: shop\nprobes:\n" +
			"  - {name: a, type: http, url: &u 'http://192.0.2.1/" + path + "', labels: {as: a}}\n  - {name: b, type: http, url: *u, labels: {as: b}}\n")})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := load(&config.Config{}, "one")
	second := load(first, "two")
	for i, j := range second.Jobs {
		if said := fmt.Sprint(second.Settings(j.Key())); j.Probe == first.Jobs[i].Probe || !strings.Contains(said, "/two") {
			t.Errorf("%s asks for %s", j.Name, said)
		}
	}
}

// A window is one, be there an entry with for_each or not.
func TestParse_maintenanceBesideLists(t *testing.T) {
	c, err := config.Parse(probes.Kinds(), config.File{Name: "shop.yaml", Data: []byte(strings.Replace(shopFile, "probes:\n", "maintenance:\n  - {weekly: Mon 02:00-04:00, zone: UTC}\nprobes:\n", 1))})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range c.Expand(podTargets("192.0.2.10:80")).Jobs {
		if n := len(j.Maintenance); n != 1 {
			t.Errorf("%s has %d windows", j.Name, n)
		}
	}
}

// A probe of another system is another one: it may run before the last run of this one has ended.
func TestReparse_otherSystem(t *testing.T) {
	load := func(of *config.Config, system string) *config.Config {
		c, err := of.Reparse(probes.Kinds(), config.File{Name: "shop.yaml", Data: []byte("system: " + system + "\nprobes:\n" +
			"  - {name: a, type: http, url: 'http://192.0.2.1/'}\n  - {name: list, type: targets, file: [t.json], want: 1}\n" +
			"  - {for_each: list, name: 't-{host}', type: http, url: 'http://{target}/'}\n")})
		if err != nil {
			t.Fatal(err)
		}
		return c.Expand(map[probe.Key][]probe.Target{{System: system, Name: "list"}: {{Address: "192.0.2.2:80"}}})
	}
	first := load(&config.Config{}, "shop")
	second := load(first, "store")
	for i, j := range second.Jobs {
		if was := first.Jobs[i]; len(second.Jobs) != 3 || j.Probe == was.Probe || j.Versions == was.Versions {
			t.Errorf("%s has the probe of %s", j.Key(), was.Key())
		}
	}
}

// Of a thousand probes of which one changed, one is made, in one file and in many.
func TestReparse_oneOfMany(t *testing.T) {
	for _, perFile := range []int{1000, 37} {
		load := func(url string) (files []config.File) {
			for from := 0; from < 1000; from += perFile {
				text := fmt.Sprintf("system: s%d\nprobes:\n", from)
				for i := from; i < min(from+perFile, 1000); i++ {
					at := fmt.Sprintf("http://192.0.2.1/%d", i)
					if i == 500 {
						at = url
					}
					text += fmt.Sprintf("  - {name: p%d, type: counted, url: '%s'}\n", i, at)
				}
				files = append(files, config.File{Name: fmt.Sprint(from, ".yaml"), Data: []byte(text)})
			}
			return files
		}
		made, validated := 0, 0
		kinds := probe.Kinds{"counted": {New: func() probe.Probe { made++; return &counted{validated: &validated} }}}
		cfg, err := config.Parse(kinds, load("http://192.0.2.1/500")...)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			made, validated = 0, 0
			if cfg, err = cfg.Reparse(kinds, load(fmt.Sprintf("http://192.0.2.2/%d", n))...); err != nil {
				t.Fatal(err)
			}
			made-- // that of checkKinds
			if made != 1 || validated != 1 || len(cfg.Jobs) != 1000 {
				t.Errorf("%d in a file: made %d and validated %d of %d probes, expected one", perFile, made, validated, len(cfg.Jobs))
			}
		}
	}
}

// counted is a probe whose kind counts.
type counted struct {
	URL       string `yaml:"url"`
	validated *int
}

func (c *counted) Validate() error                  { *c.validated++; return nil }
func (*counted) Checks() []string                   { return nil }
func (*counted) Ask(context.Context, *probe.Result) {}
