package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"prober/config"
	"prober/internal/probe"
	"prober/probes"
)

// Every case is a configuration that the prober takes, and has a bare client.
func TestKindCases(t *testing.T) {
	targets, err := newKindTargets()
	if err != nil {
		t.Fatal(err)
	}
	defer targets.close()
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, targets.authority, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range targets.sample.Env() {
		t.Setenv(name, value)
	}
	for _, c := range kindCases() {
		t.Run(c.kind, func(t *testing.T) {
			if clients[c.client] == nil {
				t.Errorf("there is no client %q", c.client)
			}
			text, err := targets.config(c, 3, authority)
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Parse(probes.Kinds(), config.File{Name: "bench.yaml", Data: text})
			if err != nil {
				t.Fatal(err)
			}
			if len(cfg.Jobs) != 3 || !c.isOf(cfg.Jobs[0].Type) {
				t.Fatalf("got %d probes of kind %s", len(cfg.Jobs), cfg.Jobs[0].Type)
			}
			targets.take()
			cfg.Jobs[0].Timeout = time.Minute // for a busy machine
			if r := cfg.Jobs[0].Do(t.Context()); r.Verdict() != probe.Pass {
				t.Errorf("the run did not pass: %+v", r.Decisive())
			}
			if conns, exchanges, _ := targets.take(); conns+exchanges == 0 {
				t.Error("the servers saw nothing of the run")
			}
		})
	}
}

// A comparison of unlike work is refused, and so is a figure of nothing.
func TestKindRow_check(t *testing.T) {
	tls := kindRow{kindCase: kindCase{client: "crypto/tls"}, costs: []runCost{{conns: 1, turns: 2.3}, {conns: 1, turns: 2}}}
	if err := tls.check(); err != nil {
		t.Errorf("handshakes in other pieces: %v", err)
	}
	if tls.costs[1].conns = 2; tls.check() == nil {
		t.Error("twice as many handshakes are taken for the same")
	}
	for _, c := range []struct {
		bare, prober float64
		wrong        string
	}{
		{5, 5.2, ""},
		{5, 6, "in a run the prober makes 6.0 exchanges and the bare client 5.0"},
		{5, 4, "in a run the prober makes 4.0 exchanges and the bare client 5.0"},
	} {
		got := ""
		if err := (kindRow{costs: []runCost{{turns: c.bare}, {turns: c.prober}}}).check(); err != nil {
			got = err.Error()
		}
		if got != c.wrong {
			t.Errorf("%v and %v exchanges: got %q, expected %q", c.bare, c.prober, got, c.wrong)
		}
	}
}

func TestCostBetween(t *testing.T) {
	sound := observation{exposition: exposition{count: 10, allocated: 1e6, allocations: 500}}
	later := observation{exposition: exposition{count: 30, allocated: 3e6, allocations: 2500}, cpu: 40_000_000, conns: 20, turns: 60}
	got, err := costBetween(sound, later)
	if want := (runCost{runs: 20, conns: 1, turns: 3, cpu: 2000, bytes: 100, count: 100}); err != nil || got != want {
		t.Errorf("got %+v, %v, expected %+v", got, err, want)
	}
	for name, c := range map[string]struct {
		change func(*observation)
		wrong  string
	}{
		"no run":       {func(o *observation) { o.count = 10 }, "no run ended while it was measured"},
		"a failed run": {func(o *observation) { o.notPassed = 3 }, "3 of 20 runs did not pass"},
		"no request":   {func(o *observation) { o.conns, o.turns = 0, 0 }, "the servers saw nothing of the runs"},
		"no CPU":       {func(o *observation) { o.cpu = 0 }, "20 runs took no CPU"},
	} {
		bad := later
		c.change(&bad)
		if _, err := costBetween(sound, bad); err == nil || err.Error() != c.wrong {
			t.Errorf("%s: got %v, expected %q", name, err, c.wrong)
		}
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ args, wrong string }{
		{"", ""},
		{"-only fresh,kinds -kinds http,jwks", ""},
		{"-only kind", `there is no scenario "kind"; there are fresh, reuse, latency, small, start, kinds, growth`},
		{"-kinds htp", `the kind "htp" is not measured`},
		{"-seconds 5", "expected at least 20 seconds, for two rounds of the probes, and at least one probe"},
		{"fresh", `expected flags only, got "fresh"`},
	} {
		_, err := parse(strings.Fields(c.args), io.Discard)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.wrong {
			t.Errorf("%q: got %q, expected %q", c.args, got, c.wrong)
		}
	}
}

// What the Makefile and the documentation tell people to measure is there.
func TestParse_documented(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`BENCH_FLAGS='([^']*)'|internal/bench -prober ./prober ([^$\n]*)\$\(BENCH_FLAGS\)|\(` + "`(-only [^`]*)`")
	found := 0
	for _, name := range append(files, "../../Makefile") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range flags.FindAllSubmatch(text, -1) {
			found++
			args := string(bytes.Join(m[1:], nil))
			if _, err := parse(strings.Fields(args), io.Discard); err != nil {
				t.Errorf("%s: %q: %v", name, args, err)
			}
		}
	}
	if found < 5 {
		t.Errorf("found %d commands, expected those of the Makefile and the table of docs/operations.md", found)
	}
}
