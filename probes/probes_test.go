package probes_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"prober/config"
	"prober/internal/probe"
	"prober/probes"
	"prober/probes/internal/breach"
)

var (
	reasonWord  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	measureName = regexp.MustCompile(`^probe_[a-z0-9_]+$`)
)

// TestKinds holds what the kinds declare against what the rest of the prober builds on: a word is one reason, a name one
// measure, and a reason that a kind gives by itself is no pass.
func TestKinds(t *testing.T) {
	reasons, measures := map[string]probe.Reason{}, map[string]*probe.Measure{}
	for _, why := range probe.CommonReasons {
		reasons[why.Word] = why
		testAction(t, "common", why)
	}
	for name, kind := range probes.Kinds() {
		if kind.New == nil || kind.Summary == "" || strings.ContainsAny(kind.Summary, "\n.") {
			t.Errorf("%s: expected New and a summary of one line without a full stop", name)
		}
		for _, why := range kind.Reasons {
			if !reasonWord.MatchString(why.Word) || why.Text == "" || why.Verdict == probe.Pass {
				t.Errorf("%s: %+v: expected a word, a text for people, and fail or inconclusive", name, why)
			}
			testAction(t, name, why)
			if other, taken := reasons[why.Word]; taken && other != why {
				t.Errorf("%s: the reason %s is declared twice: %q and %q", name, why.Word, why.Text, other.Text)
			}
			reasons[why.Word] = why
		}
		for _, m := range kind.Measures {
			if !measureName.MatchString(m.Name) || !strings.HasSuffix(m.Help, ".") || m.Counter != strings.HasSuffix(m.Name, "_total") {
				t.Errorf("%s: %+v: expected a name that starts with probe_ and ends with _total for a counter, and a sentence", name, m)
			}
			if other, taken := measures[m.Name]; taken && other != m {
				t.Errorf("%s: the measure %s is declared twice", name, m.Name)
			}
			measures[m.Name] = m
		}
	}
}

// TestKinds_provesDenial: of a kind that tells when isolation was last proven, not to know is urgent. For redis it depends on the
// settings.
func TestKinds_provesDenial(t *testing.T) {
	for name, kind := range probes.Kinds() {
		if slices.Contains(kind.Measures, breach.LastProven) && name != "redis" && !kind.Traits.ProvesDenial {
			t.Errorf("%s: expected the trait ProvesDenial", name)
		}
	}
}

// TestKinds_traits lists what alerts depend on: of which kinds a pass says that somebody was denied, which leave something at their
// targets for a while, and of which the latency is that of HTTP.
func TestKinds_traits(t *testing.T) {
	want := map[string][]string{
		"HTTPLatency": {"contract", "grpc", "health", "http", "jwks", "protected", "token"}, "ProvesDenial": {"guard", "isolation", "protected", "rls"},
		"WritesToTarget": {"isolation", "redis", "rls", "webhook"}, "StartsPrograms": {"exec"},
	}
	for name, kind := range probes.Kinds() {
		for trait, has := range map[string]bool{
			"HTTPLatency": kind.Traits.HTTPLatency, "ProvesDenial": kind.Traits.ProvesDenial, "WritesToTarget": kind.Traits.WritesToTarget, "StartsPrograms": kind.Traits.StartsPrograms,
		} {
			if has != slices.Contains(want[trait], name) {
				t.Errorf("%s: %s is %t", name, trait, has)
			}
		}
	}
}

// testAction requires of a reason what to do about it: a sentence that fits under it, and names something to do.
func testAction(t *testing.T, of string, why probe.Reason) {
	t.Helper()
	if len(why.Action) < 30 || len(why.Action) > 170 || !strings.HasSuffix(why.Action, ".") || strings.ToUpper(why.Action[:1]) != why.Action[:1] {
		t.Errorf("%s: %s: expected what to do about it, a sentence of 30 to 170 letters, got %d: %q", of, why.Word, len(why.Action), why.Action)
	}
}

// Every kind says whom it asks, in the configurations that are shipped: prober check shows it, and --once spreads by it.
func TestKinds_sayWhomTheyAsk(t *testing.T) {
	asked := map[string]bool{}
	for _, file := range []string{"ibex.yaml", "1pass.yaml", "demo.yaml"} {
		cfg, err := config.Load(probes.Kinds(), filepath.Join("..", "config", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range cfg.Jobs {
			asked[j.Type] = true
			_, receives := j.Probe.(probe.Receiver) // may wait for others to ask it
			if j.Host() == "" && !receives || slices.Contains(j.Addresses(), "") {
				t.Errorf("%s asks %q", j.Key(), j.Addresses())
			}
		}
	}
	for name, kind := range probes.Kinds() {
		if _, lists := kind.New().(probe.TargetLister); lists {
			continue // the targets of what is shipped are known
		}
		// What is shipped starts no program, and needs no right: nobody is to find that out by trying the demo.
		if asked[name] == (kind.Traits.StartsPrograms || name == "icmp") {
			t.Errorf("%s: in the shipped configurations: %t", name, asked[name])
		}
	}
}

// TestKinds_announceAllWhomTheyAsk: a probe announces every host that its settings name, and keeps to that when its settings are read
// once more.
func TestKinds_announceAllWhomTheyAsk(t *testing.T) {
	for _, name := range []string{"A", "B"} {
		t.Setenv(name, "correct-horse-battery")
	}
	text, err := os.ReadFile("testdata/asked.yaml")
	if err != nil {
		t.Fatal(err)
	}
	entries := strings.Split(string(text), "\n  - ")[1:]
	jobs := parse(t, string(text))
	if len(jobs) != len(entries) {
		t.Fatalf("%d probes of %d entries", len(jobs), len(entries))
	}
	for i, j := range jobs {
		checks, announced := j.Probe.Checks(), j.Addresses()
		for _, host := range regexp.MustCompile(`[a-z]+\.asked\.example|192\.0\.2\.[0-9]+`).FindAllString(entries[i], -1) {
			if !strings.Contains(strings.Join(announced, " "), host) {
				t.Errorf("%s asks %s, and announces only %q", j.Name, host, announced)
			}
		}
		if err := j.Probe.Validate(); err != nil || !slices.Equal(j.Probe.Checks(), checks) || !slices.Equal(j.Addresses(), announced) {
			t.Errorf("%s, validated twice: %v, the checks %q after %q, %q after %q", j.Name, err, j.Probe.Checks(), checks, j.Addresses(), announced)
		}
	}
}
