package main

import (
	"io"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/version"
	"github.com/spf13/pflag"
)

// TestFlags_style: a flag has the name of a part of the prober in front if it says how that part works, and is a plain word if
// it picks what a command does or prints. See docs/contributing.md.
func TestFlags_style(t *testing.T) {
	t.Parallel()
	parts := []string{"alertmanager", "config", "inbound", "log", "network", "public", "schedule", "storage", "watchdog", "web", "webhook"}
	plain := strings.Fields("alertmanager allow-exec color counter expect-version fault file format help hold incident-note job list manifests once output probe repeat rules rules-file runbook shard since test verbose version wait")
	flag := regexp.MustCompile(`(?m)^ *(?:-[a-z], )?--(?:\[no-\])?([a-z.-]+)`)
	for _, command := range []string{"run", "init", "check", "rules", "dashboard", "schema", "demo", "version", "completion"} {
		help := runCommand(t, exec.Command("prober", command, "--help"))
		found := flag.FindAllStringSubmatch(help, -1)
		if len(found) < 3 {
			t.Errorf("prober %s: found only the flags %q", command, found)
		}
		for _, f := range found {
			part, _, grouped := strings.Cut(f[1], ".")
			if grouped && !slices.Contains(parts, part) || !grouped && !slices.Contains(plain, f[1]) {
				t.Errorf("prober %s has the flag --%s: expected --PART.NAME for a part of the prober, or one of the plain words of this test", command, f[1])
			}
		}
	}
}

// TestFlags_placeholders: help shows a default or a word for the value of every flag, not its type.
func TestFlags_placeholders(t *testing.T) {
	t.Parallel()
	root := new(options).commands()
	for _, cmd := range append(root.Commands(), root) {
		cmd.InheritedFlags()
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if typed, usage := describe(f); !isBool(f) && strings.HasSuffix(strings.TrimSuffix(typed, " ..."), "="+f.Value.Type()) || strings.Contains(usage, "`") {
				t.Errorf("%s: help shows %q, %q", cmd.Name(), typed, usage)
			}
		})
	}
}

// TestFlags_values: the ways to write a flag.
func TestFlags_values(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		want bool
		of   func(*options) bool
	}{
		{"run", true, func(o *options) bool { return o.serve.runs && o.serve.lifecycle && !o.once.once }},
		{"--no-web.enable-run", false, func(o *options) bool { return o.serve.runs }},
		{"run --no-web.enable-run --web.enable-run", true, func(o *options) bool { return o.serve.runs }},
		{"run --web.enable-run=false", false, func(o *options) bool { return o.serve.runs }},
		{"demo --no-list", false, func(o *options) bool { return o.demo.list }},
		{"--once --no-once", false, func(o *options) bool { return o.once.once }},
		{"--probe a,b --probe=c", true, func(o *options) bool { return slices.Equal(o.filter.probes, []string{"a,b", "c"}) }},
		{"demo --fault a --fault b,c", true, func(o *options) bool { return slices.Equal(o.demo.faults, []string{"a", "b,c"}) }},
		{"rules --counter shop/a,b=m:n --counter x:y", true, func(o *options) bool {
			return maps.Equal(o.rules.counters, counters{"shop/a,b": "m:n", "x": "y"})
		}},
		{"--log.level=debug check", true, func(o *options) bool { return o.log.Level.String() == "debug" }},
		{"check --log.level warn", true, func(o *options) bool { return o.log.Level.String() == "warn" && o.log.Format.String() == "logfmt" }},
		{"check a.yaml --rules r.yaml b.yaml -- --c.yaml", true, func(o *options) bool {
			return slices.Equal(o.args, []string{"a.yaml", "b.yaml", "--c.yaml"}) && slices.Equal(o.covered, []string{"r.yaml"})
		}},
	} {
		o := &options{}
		root := o.commands()
		root.SetArgs(strings.Fields(c.args))
		if err := root.Execute(); err != nil {
			t.Errorf("prober %s: %v", c.args, err)
		} else if c.of(o) != c.want {
			t.Errorf("prober %s: want %t", c.args, c.want)
		}
	}
}

// TestFlags_listenAddress: an address that is given replaces the default one, which the demo has for itself.
func TestFlags_listenAddress(t *testing.T) {
	t.Parallel()
	for args, want := range map[string][]string{
		"":     {":9798"},
		"run":  {":9798"},
		"demo": {"127.0.0.1:9798"},
		"run --web.listen-address=:1 --web.listen-address :2": {":1", ":2"},
	} {
		root := new(options).commands()
		root.SetArgs(strings.Fields(args))
		cmd, err := root.ExecuteC()
		if err != nil {
			t.Fatalf("prober %s: %v", args, err)
		}
		if got, err := cmd.Flags().GetStringArray("web.listen-address"); err != nil || !slices.Equal(got, want) {
			t.Errorf("prober %s: got %q, %v, want %q", args, got, err, want)
		}
	}
}

// TestVersion: the same text as that of every Prometheus component.
func TestVersion(t *testing.T) {
	if got, want := strings.TrimSuffix(versionInfo(), "\n"), version.Print("prober"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestHelp_examples: every command has examples, and each of them is a valid command line.
func TestHelp_examples(t *testing.T) {
	t.Parallel()
	for _, cmd := range append(new(options).commands().Commands(), new(options).commands()) {
		if cmd.Example == "" && cmd.Name() != "help" && cmd.Name() != "version" {
			t.Errorf("prober %s has no example", cmd.Name())
		}
		for line := range strings.Lines(cmd.Example) {
			words, _, _ := strings.Cut(line, "  ")
			words, _, _ = strings.Cut(strings.TrimSuffix(strings.TrimPrefix(words, "source <("), ")"), " >")
			args := strings.Fields(words)
			o := &options{}
			root := o.commands()
			root.SetArgs(args[1:])
			if err := root.Execute(); err != nil || o.action == nil || args[0] != "prober" {
				t.Errorf("prober %s: the example %q: %v", cmd.Name(), line, err)
			}
		}
	}
}

// TestFlags_externalURL: it is copied into links and dashboards, so it has no credential, and its host is known as browsers send it.
func TestFlags_externalURL(t *testing.T) {
	for _, raw := range []string{"prober.example", "https:///x", "ftp://a", "https://u:p4ssw0rd@a.example/", "https://u@a.example/", "https://a.example/?token=x", "https://a.example/#x"} {
		var said strings.Builder
		if got := run(t.Context(), []string{"dashboard", "--web.external-url=" + raw, "none.yaml"}, io.Discard, &said); got != exitUsage ||
			!strings.Contains(said.String(), "--web.external-url: expected") || strings.Contains(said.String(), "p4ssw0rd") {
			t.Errorf("%s: exit status %d, said %q", raw, got, said.String())
		}
	}
	names := serveOptions{external: []string{"https://Bücher.example:8443/x", "http://prober.example./"}}.hosts()
	for _, want := range []string{"xn--bcher-kva.example", "prober.example"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among %q", want, names)
		}
	}
}
