package main

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestFlags_style: a flag has the name of a part of the prober in front if it says how that part works, and is a plain word if
// it picks what a command does or prints. See docs/contributing.md.
func TestFlags_style(t *testing.T) {
	t.Parallel()
	parts := []string{"config", "log", "network", "schedule", "storage", "web"}
	plain := strings.Fields("alertmanager color counter fault format help help-long help-man hold incident-note job list once output probe repeat rules rules-file runbook since test version wait")
	flag := regexp.MustCompile(`(?m)^ *(?:-[a-z], )?--(?:\[no-\])?([a-z.-]+)`)
	for _, command := range []string{"run", "check", "rules", "dashboard", "schema", "demo"} {
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
