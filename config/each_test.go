package config_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"prober/config"
	"prober/internal/probe"
	"prober/internal/secret"
)

// A lister lists targets, and a site is asked at a URL and by a program: what is made from a list.
type lister struct {
	At string `yaml:"at"`
}

func (*lister) Validate() error                    { return nil }
func (*lister) Checks() []string                   { return []string{"list"} }
func (*lister) Ask(context.Context, *probe.Result) {}
func (l *lister) Local() ([]probe.Target, probe.Outcome, bool) {
	return nil, probe.Outcome{}, true
}

// Allows makes every list limited.
func (*lister) Allows(host string) bool { return !strings.Contains(host, "outside.example") }

type site struct {
	URL     string            `yaml:"url"`
	Address string            `yaml:"address"`
	Words   []string          `yaml:"words"`
	Table   map[string]string `yaml:"table"`
	Bearer  secret.Secret     `yaml:"bearer"`
	Within  probe.Duration    `yaml:"within"`
}

func (s *site) Validate() error {
	u, err := url.Parse(s.URL)
	switch {
	case err != nil || u.User != nil || s.URL != "" && u.Host == "":
		return probe.Settingf("url", "expected a URL")
	case strings.HasPrefix(u.Hostname(), "169.254."):
		return probe.Settingf("url", "such an address is never dialled")
	}
	return nil
}
func (*site) Checks() []string                   { return []string{"up"} }
func (s *site) Addresses() []string              { return []string{s.URL, s.Address} }
func (*site) Ask(context.Context, *probe.Result) {}

// receiver is a probe to which others send.
type receiver struct{ site }

func (*receiver) InboundToken() secret.Secret                          { return secret.Secret{} }
func (*receiver) Receive(probe.Inbox, probe.Delivery) (a probe.Answer) { return a }

func eachKinds() probe.Kinds {
	return probe.Kinds{
		"receiver": {New: func() probe.Probe { return &receiver{} }},
		"list":     {New: func() probe.Probe { return &lister{} }},
		"site":     {New: func() probe.Probe { return &site{} }},
		"program":  {New: func() probe.Probe { return &site{} }, Traits: probe.Traits{StartsPrograms: true}},
	}
}

// from returns a configuration of a list and one entry with for_each.
func from(entry string) config.File {
	return config.File{Name: "shop.yaml", Data: []byte("system: shop\nlabels: {env: prod}\nprobes:\n  - {name: backends, type: list}\n  - name: front\n    type: site\n    url: https://front.example/\n" +
		"  - for_each: backends\n" + entry)}
}

// describe writes what a configuration made, and what it refused.
func describe(c *config.Config) string {
	var b strings.Builder
	for _, j := range c.Jobs {
		if j.List == "" {
			continue
		}
		s := j.Probe.(*site)
		fmt.Fprintf(&b, "%s %s %v url=%s address=%s words=%q table=%v\n", j.Name, j.Type, j.Labels, s.URL, s.Address, s.Words, s.Table)
	}
	for _, r := range c.Refused {
		fmt.Fprintf(&b, "refused %s\n", r)
	}
	return b.String()
}

var backends = probe.Key{System: "shop", Name: "backends"}

func target(address string, labels ...string) probe.Target {
	t := probe.Target{Address: address, Labels: map[string]string{}}
	for i := 0; i+1 < len(labels); i += 2 {
		t.Labels[labels[i]] = labels[i+1]
	}
	return t
}

const simple = "    name: backend-{host}\n    type: site\n    url: https://{target}/health\n"

// TestForEach makes probes of targets, and refuses those that would change what a setting means.
func TestForEach(t *testing.T) {
	t.Parallel()
	line := func(name, rest string) string { return name + " site map[env:prod] " + rest + "\n" }
	plain := func(name, url string) string { return line(name, "url="+url+" address= words=[] table=map[]") }
	refused := func(why string) string { return "refused shop/backends: " + why + "\n" }
	const notThere = "has characters that cannot stand there"
	const notAWord = "in a text of several words, such as a query, only one word may stand outside of quotes"
	const outside = "it is outside of within, or one of its labels names a host that is"
	const noAddress = "expected host, host:port, or a URL of http or https without a user, a query and a fragment"
	labelled := func(template string) string {
		return "    name: backend-{host}\n    type: site\n    url: https://{host}/\n    words: ['" + template + "']\n"
	}
	inURL := func(template string) string {
		return "    name: backend-{host}\n    type: site\n    url: '" + template + "'\n"
	}
	for name, c := range map[string]struct {
		entry   string
		targets []probe.Target
		want    string
	}{
		"targets":        {simple, []probe.Target{target("b.example:8443"), target("10.0.0.1:80")}, plain("backend-10.0.0.1", "https://10.0.0.1:80/health") + plain("backend-b.example", "https://b.example:8443/health")},
		"IPv6":           {"    name: backend-{host}-{port}\n    type: site\n    url: https://{host}:{port}/\n    address: '{host}:9'\n    words: ['{host}', '[{host}]']\n", []probe.Target{target("[::1]:80")}, line("backend---1-80", `url=https://[::1]:80/ address=[::1]:9 words=["::1" "[::1]"] table=map[]`)},
		"URLs":           {"    name: backend-{host}\n    type: site\n    url: '{target}'\n    address: '{host}:{port}'\n", []probe.Target{target("https://b.example/x")}, line("backend-b.example", "url=https://b.example/x address=b.example:443 words=[] table=map[]")},
		"a URL in a URL": {simple, []probe.Target{target("https://b.example/x")}, refused("b.example for backend-{host}: a URL can only be the whole of a setting")},
		"labels of series, only those that are listed": {"    name: backend-{host}\n    type: site\n    address: '{target}'\n    labels: {zone: '{label.zone}', tier: web}\n", []probe.Target{target("a:1", "zone", "eu 1", "secret", "x", "__meta_y", "z")},
			"backend-a site map[env:prod tier:web zone:eu 1] url= address=a:1 words=[] table=map[]\n"},
		"everywhere below the settings": {"    name: backend-{host}\n    type: site\n    address: '{target}'\n    words: [x, 'a {label.__meta_pod} {port} {unknown} {{host}}']\n    table: {name: '{host}:1'}\n", []probe.Target{target("a:1", "__meta_pod", "web-1")},
			line("backend-a", `url= address=a:1 words=["x" "a web-1 1 {unknown} {a}"] table=map[name:a:1]`)},
		"no address": {simple, []probe.Target{target("u:p@a.example"), target("a\nb"), target("a{b}"), target("a/../b"), target("a.example:80")}, plain("backend-a.example", "https://a.example:80/health") +
			refused("target 1 for backend-{host}: "+noAddress+"; target 2 for backend-{host}: "+noAddress+"; target 3 for backend-{host}: "+noAddress+"; and 1 more")},
		"a metadata address":              {simple, []probe.Target{target("169.254.169.254:80")}, refused("169.254.169.254:80 for backend-{host}: url: such an address is never dialled")},
		"no port":                         {"    name: b-{host}\n    type: site\n    address: '{host}:{port}'\n", []probe.Target{target("a")}, refused("a for b-{host}: expected host:port, got no port")},
		"a name twice":                    {simple, []probe.Target{target("a:1"), target("a:2")}, plain("backend-a", "https://a:1/health") + refused("a:2 for backend-{host}: another probe has the name that it makes")},
		"the same question twice":         {"    name: backend-{host}\n    type: site\n    address: 'x{port}'\n", []probe.Target{target("a:1"), target("b:1")}, line("backend-a", "url= address=x1 words=[] table=map[]") + refused("b:1 for backend-{host}: it asks the same as another probe")},
		"a name that is too long":         {simple, []probe.Target{target(strings.Repeat("a", 60) + ":1")}, refused(strings.Repeat("a", 60) + `:1 for backend-{host}: name wants a letter and then letters, digits, "_", "." and "-", at most 64`)},
		"a label that is missing":         {labelled("{label.zone}"), []probe.Target{target("a:1", "region", "x")}, refused("a:1 for backend-{host}: it has no label zone")},
		"a label of YAML":                 {labelled("{label.l}"), []probe.Target{target("a", "l", "x: [1]")}, refused("a for backend-{host}: its label l " + notThere)},
		"a label of a regular expression": {labelled("^{label.l}$"), []probe.Target{target("a", "l", ".*")}, refused("a for backend-{host}: its label l " + notThere)},
		"a label of a placeholder":        {labelled("{label.l}"), []probe.Target{target("a", "l", "{host}")}, refused("a for backend-{host}: its label l " + notThere)},
		"a label of a query":              {labelled("{label.l}"), []probe.Target{target("a", "l", `x"} or up{`)}, refused("a for backend-{host}: its label l " + notThere)},
		"a label with a line":             {labelled("{label.l}"), []probe.Target{target("a", "l", "x\ny")}, refused("a for backend-{host}: its label l " + notThere)},
		"a label that leads upwards":      {labelled("/x/{label.l}"), []probe.Target{target("a", "l", "../y")}, refused("a for backend-{host}: its label l " + notThere)},
		"a label like an option":          {labelled("{label.l}"), []probe.Target{target("a", "l", "-rf")}, refused("a for backend-{host}: its label l " + notThere)},
		"a label with spaces around it":   {labelled("{label.l}"), []probe.Target{target("a", "l", " x")}, refused("a for backend-{host}: its label l " + notThere)},
		"a label that is too long":        {labelled("{label.l}"), []probe.Target{target("a", "l", strings.Repeat("x", 129))}, refused("a for backend-{host}: its label l " + notThere)},
		"a label in a host":               {inURL("https://{label.l}.{host}/"), []probe.Target{target("a", "l", "www")}, plain("backend-a", "https://www.a/")},
		"a label that ends a host":        {inURL("https://{label.l}.{host}/"), []probe.Target{target("a", "l", "evil.example/")}, refused("a for backend-{host}: its label l " + notThere)},
		"a label of a user":               {inURL("https://{label.l}{host}/"), []probe.Target{target("a", "l", "u@")}, refused("a for backend-{host}: its label l " + notThere)},
		"a label of a port":               {inURL("https://{label.l}:1/{host}"), []probe.Target{target("a", "l", "x:2")}, refused("a for backend-{host}: its label l " + notThere)},
		"a label in a path":               {inURL("https://{host}/{label.l}?x={label.l}"), []probe.Target{target("a", "l", "v1/x@2=3")}, plain("backend-a", "https://a/v1/x@2=3?x=v1/x@2=3")},
		"a label with a space in a path":  {inURL("https://{host}/{label.l}"), []probe.Target{target("a", "l", "v 1")}, refused("a for backend-{host}: its label l " + notThere)},
		"a label of a query in a URL":     {inURL("https://{host}/{label.l}"), []probe.Target{target("a", "l", "x?y")}, refused("a for backend-{host}: its label l " + notThere)},
		"a label in a scheme":             {inURL("{label.l}://{host}/"), []probe.Target{target("a", "l", "http"), target("b", "l", "x:/y")}, plain("backend-a", "http://a/") + refused("b for backend-{host}: its label l "+notThere)},
		"a sentence with a URL":           {labelled("see https://{host}/x, {label.l}"), []probe.Target{target("a", "l", "x-y")}, line("backend-a", `url=https://a/ address= words=["see https://a/x, x-y"] table=map[]`)},
		"a label that any text matches":   {labelled("{label.l}"), []probe.Target{target("a", "l", ".")}, refused("a for backend-{host}: its label l " + notThere)},
		"a condition in a query":          {labelled("select a where b = {label.l} and c"), []probe.Target{target("a", "l", "1 or 1=1"), target("b", "l", "1")}, line("backend-b", `url=https://b/ address= words=["select a where b = 1 and c"] table=map[]`) + refused("a for backend-{host}: "+notAWord)},
		"a comment in a query":            {labelled("select a where b = {label.l} and c"), []probe.Target{target("a", "l", "1--x")}, refused("a for backend-{host}: " + notAWord)},
		"a host that ends a query":        {labelled("select a where b = {host} and c"), []probe.Target{target("1--x")}, refused("1--x for backend-{host}: " + notAWord)},
		"spaces in quotes":                {labelled(`up{zone="{label.l}"} == 1`), []probe.Target{target("a", "l", "eu 1")}, line("backend-a", `url=https://a/ address= words=["up{zone=\"eu 1\"} == 1"] table=map[]`)},
		"spaces in prose":                 {simple + "    title: the backend {label.l}\n", []probe.Target{target("a:1", "l", "eu 1")}, plain("backend-a", "https://a:1/health")},
		"outside of within":               {simple, []probe.Target{target("outside.example:1")}, refused("outside.example:1 for backend-{host}: " + outside)},
		"a label outside of within":       {inURL("https://{label.l}/{host}"), []probe.Target{target("a", "l", "outside.example")}, refused("a for backend-{host}: " + outside)},
		"an address outside of within":    {"    name: backend-{host}\n    type: site\n    address: '{label.l}:1'\n", []probe.Target{target("a", "l", "outside.example")}, refused("a for backend-{host}: " + outside)},
		"a path like what is outside":     {inURL("https://{host}/{label.l}"), []probe.Target{target("a", "l", "outside.example")}, plain("backend-a", "https://a/outside.example")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := config.Parse(eachKinds(), from(c.entry))
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(cfg); got != "" || len(cfg.Jobs) != 2 {
				t.Errorf("without a list: %d probes\n%s", len(cfg.Jobs), got)
			}
			if got := describe(cfg.Expand(map[probe.Key][]probe.Target{backends: c.targets})); got != c.want {
				t.Errorf("got\n%sexpected\n%s", got, c.want)
			}
		})
	}
}

// TestForEach_mistakes reports what is wrong with an entry while there is no list.
func TestForEach_mistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ entry, want string }{
		"a setting":            {strings.Replace(simple, "url: https://{target}", "url: https://u@{target}", 1), "shop.yaml:11: backend-{host}: url: expected a URL"},
		"an unknown key":       {simple + "    ulr: x\n", "shop.yaml:12: backend-{host}: unknown key ulr; did you mean url?"},
		"an unknown part":      {strings.Replace(simple, "{target}", "{hots}", 1), "shop.yaml:8: backend-{host}: no setting has {target}, {host} or another part of a target, so that all targets would be asked the same\nshop.yaml:11: backend-{host}: url: expected a URL"},
		"one name for all":     {strings.Replace(simple, "backend-{host}", "backend", 1), "shop.yaml:9: backend: name wants {target}, {host} or another part of a target, so that each probe has its own"},
		"one question for all": {"    name: b-{host}\n    type: site\n    url: https://x/\n", "shop.yaml:8: b-{host}: no setting has {target}, {host} or another part of a target, so that all targets would be asked the same"},
		"the name of another":  {strings.Replace(simple, "backend-{host}", "f{host}", 1), "shop.yaml:9: f{host}: a target could get the name of the probe on line 5; begin the name otherwise"},
		"fixed":                {simple + "    interval: '{label.x}'\n    runbook: '{host}'\n", "shop.yaml:12: backend-{host}: interval cannot depend on a target"},
		"signals":              {simple + "    signals: {up: a_b}\n", "shop.yaml:12: backend-{host}: signals cannot stand beside for_each: all targets would write one series"},
		"a file":               {simple + "    bearer: {file: '/run/{host}'}\n", "shop.yaml:12: backend-{host}: a file or a variable cannot depend on a target"},
		"a key":                {simple + "    table: {'{host}': x}\n", "shop.yaml:12: backend-{host}: a key cannot depend on a target"},
		"a variable":           {simple + "    bearer: {env: '{label.x}'}\n", "shop.yaml:12: backend-{host}: a file or a variable cannot depend on a target"},
		"a list from a list":   {"    name: b-{host}\n    type: list\n    at: '{host}'\n", "shop.yaml:8: b-{host}: a list of targets is not made from another"},
		"a receiver":           {"    name: b-{host}\n    type: receiver\n    address: '{host}'\n", "shop.yaml:8: b-{host}: a probe that others send to needs a token of its own, and all targets would have the same"},
		"no list":              {simple + "  - for_each: front\n    name: x-{host}\n    type: site\n    url: https://{host}/\n  - for_each: backend\n    name: y-{host}\n    type: site\n    url: https://{host}/y\n", "shop.yaml:12: x-{host}: for_each names no list of targets of the system\nshop.yaml:16: y-{host}: for_each names no list of targets of the system; did you mean backends?"},
		"a name for two":       {simple + "  - for_each: backends\n    name: backend-x{host}\n    type: site\n    url: https://{host}/\n", "shop.yaml:9: backend-{host}: a target could get the name of the probe on line 13; begin the name otherwise"},
		"no text":              {"    name: b-{host}\n    type: site\n    within: '{label.x}x'\n", "shop.yaml:11: b-{host}: within: a duration is written as 30s, 5m, 1h or 14d"},
		"a program":            {"    name: b-{host}\n    type: program\n    words: ['{label.x}', '{host}', '/bin/{host}']\n", "shop.yaml:11: b-{host}: a program or a path cannot depend on a target"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Parse(eachKinds(), from(c.entry))
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got\n%v\nexpected\n%s", err, c.want)
			}
		})
	}
}

// TestForEach_unchanged keeps a probe whose target and labels are the same, and tells what the list came to.
func TestForEach_unchanged(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse(eachKinds(), from("    name: backend-{host}\n    type: site\n    url: https://{target}/{label.zone}\n"))
	if err != nil {
		t.Fatal(err)
	}
	lists := cfg.Jobs[0]
	expect := func(o probe.Outcome, want string) {
		t.Helper()
		if got := o.Reason.Word + ": " + o.Detail; got != want {
			t.Errorf("got %q, expected %q", got, want)
		}
	}
	expect(lists.Expand(nil), "no_targets: there was no list yet, so nothing that it would name is probed")
	probes := func(list ...probe.Target) map[string]probe.Probe {
		t.Helper()
		cfg = cfg.Expand(map[probe.Key][]probe.Target{backends: list})
		all := map[string]probe.Probe{}
		for _, j := range cfg.Jobs {
			all[j.Name] = j.Probe
		}
		return all
	}
	a, b := target("a:1", "zone", "eu", "pod", "1"), target("b:1", "zone", "eu", "pod", "2")
	expect(lists.Expand([]probe.Target{a, b}), "ok: made 2 probes of 2 targets")
	first := probes(a, b)
	expect(lists.Expand(nil), "ok: 2 probes of the last list")
	expect(lists.Expand([]probe.Target{a, target("front.example/")}), "target_refused: made 1 probe of 2 targets; refused target 2 for backend-{host}: expected host, host:port, or a URL of http or https without a user, a query and a fragment")
	moved := probes(target("a:1", "zone", "us"), target("b:1", "zone", "eu", "pod", "3"), target("c:1", "zone", "eu"))
	if len(moved) != 5 || moved["backend-a"] == first["backend-a"] || moved["backend-b"] != first["backend-b"] || moved["front"] != first["front"] || moved["backends"] != first["backends"] {
		t.Errorf("from %v to %v", first, moved)
	}
	if gone := probes(a); len(gone) != 3 || gone["backend-b"] != nil {
		t.Errorf("got %v", gone)
	}
	if again := probes(a, b); again["backend-b"] == first["backend-b"] {
		t.Error("what was gone came back as it was")
	}
	if got := cfg.Warnings; len(got) != 0 {
		t.Errorf("warned %q", got)
	}
	if may := func(name string) bool { _, may := cfg.MayMake(name); return may }; !may("backend-x") || !may("shop/backend-x") || may("backend-") || may("front") || may("x/backend-x") {
		t.Error("takes other names for its own")
	}
}

// TestForEach_prototypes has a job for the rules, without what differs among targets.
func TestForEach_prototypes(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse(eachKinds(), from("    name: b.{host}.x\n    type: site\n    address: '{target}'\n    labels: {zone: '{label.zone}', tier: web}\n"))
	if err != nil {
		t.Fatal(err)
	}
	all := cfg.Prototypes()
	if len(all) != 1 || all[0].Names != `b\.[a-zA-Z0-9_.-]+\.x` || all[0].Name != "b.{host}.x" || fmt.Sprint(all[0].Labels) != "map[env:prod tier:web zone:]" || all[0].List != "backends" {
		t.Errorf("got %+v", all)
	}
	if _, err := config.Parse(eachKinds(), from(simple+"  - {name: more, type: list, at: x}\n  - {for_each: more, name: 'more-{host}', type: site, url: 'https://{target}/health'}\n")); err != nil {
		t.Errorf("the same question to the targets of two lists: %v", err)
	}
	alone, err := config.Parse(eachKinds(), config.File{Name: "x.yaml", Data: []byte("system: shop\nprobes:\n  - {name: backends, type: list}\n")})
	if err != nil || !slices.Equal(alone.Warnings, []string{"x.yaml:3: backends: no entry has for_each: backends, so no probe is made from the list"}) || alone.Jobs[0].Expand != nil {
		t.Errorf("got %v, %q", err, alone.Warnings)
	}
}

// FuzzForEach makes probes of whatever a list has: a value never leaves the part of a URL that it stands in.
func FuzzForEach(f *testing.F) {
	f.Add("a.example:80", "eu-1")
	f.Add("[::1]:80", "x/y")
	f.Add("u@a", "..")
	cfg, err := config.Parse(eachKinds(), from("    name: backend-{host}\n    type: site\n    url: https://{label.z}.{target}/x/{label.z}?q={label.z}\n    words: ['{label.z}']\n"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, address, label string) {
		made := cfg.Expand(map[probe.Key][]probe.Target{backends: {target(address, "z", label)}})
		for _, j := range made.Jobs {
			if j.List == "" {
				continue
			}
			s := j.Probe.(*site)
			u, err := url.Parse(s.URL)
			if err != nil || u.User != nil || u.Fragment != "" || !strings.HasPrefix(u.Path, "/x/") || u.Query().Get("q") != label || !strings.HasPrefix(u.Host, label+".") || s.Words[0] != label {
				t.Errorf("%q and %q make %q", address, label, s.URL)
			}
		}
		if len(made.Jobs)+len(made.Refused) != 3 {
			t.Errorf("%d probes, refused %q", len(made.Jobs), made.Refused)
		}
	})
}
