package probes_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"prober/config"
	"prober/probes"
)

// minimal are settings with which a probe of each kind loads.
var minimal = map[string]string{
	"http":      `url: "https://a.example/", catch_all_check: true`,
	"health":    `service: "https://a.example"`,
	"protected": `url: "https://a.example/", forgeries: true, callers: {valid: {status: 501, bearer: {env: A}}}`,
	"token":     `issuer: "https://a.example", client_id: a, client_secret: {env: A}, audience: a`,
	"isolation": `base: "https://a.example", orgs: {red: {bearer: {env: A}}, blue: {bearer: {env: B}}}, identity: {url: /me, org: $.org, test_org: {$.test: true}}, resources: {notes: {read: "/notes/{id}", list: /notes, canaries: {red: {id: a, text: {env: A}}, blue: {id: b, text: {env: B}}}}}`,
}

// TestSignals_renamedChecks finds every check that the changelog lists as renamed, and wants a signal of its old name to be
// refused with the new one. A kind lists no others.
func TestSignals_renamedChecks(t *testing.T) {
	text, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string][]string{} // by kind: "old new"
	word := regexp.MustCompile("`([a-z_]+)`")
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || !regexp.MustCompile(`\bchecks? of\b`).MatchString(cells[1]) || strings.Contains(cells[1], "signal") {
			continue
		}
		old, now := word.FindAllStringSubmatch(cells[2], -1), word.FindAllStringSubmatch(cells[3], -1)
		for _, kind := range word.FindAllStringSubmatch(cells[1], -1) {
			for i := range old {
				listed[kind[1]] = append(listed[kind[1]], old[i][1]+" "+now[min(i, len(now)-1)][1])
			}
		}
	}
	if len(listed) != len(minimal) {
		t.Fatalf("the changelog lists renamed checks of %d kinds, want %d: %v", len(listed), len(minimal), listed)
	}
	for kind, renamed := range listed {
		for _, pair := range renamed {
			old, now, _ := strings.Cut(pair, " ")
			_, err := config.Parse(probes.Kinds(), config.File{Name: "a.yaml", Data: []byte("system: a\nprobes:\n  - {name: a, type: " + kind + ", " + minimal[kind] + ", signals: {" + old + ": a_signal}}\n")})
			if want := "signals." + old + ": was renamed to " + now; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %s", kind, err, want)
			}
		}
	}
	for kind, k := range probes.Kinds() {
		for old, now := range k.RenamedChecks {
			if !slices.Contains(listed[kind], old+" "+now) {
				t.Errorf("the changelog does not say that the check %s of %s is %s now", old, kind, now)
			}
		}
	}
}

// TestSignals_checksOfEveryAnswer: what every answer is checked for can be followed, whatever the kind.
func TestSignals_checksOfEveryAnswer(t *testing.T) {
	for kind, settings := range minimal {
		_, err := config.Parse(probes.Kinds(), config.File{Name: "a.yaml", Data: []byte("system: a\nprobes:\n  - {name: a, type: " + kind + ", " + settings + ", signals: {secrets: a_kept, versions: a_same}}\n")})
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
