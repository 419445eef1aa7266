package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"prober/config"
	"prober/internal/probe"
)

// TestDocs_runbooks reads docs/runbooks.md: every probe in a row exists in the shipped configuration of that runbook, with
// the named checks; every series is documented; every command names a probe or a runbook that exists; and no quoted line
// has two rows without an answer.
func TestDocs_runbooks(t *testing.T) {
	text, err := os.ReadFile("../../docs/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	shipped := map[string][]probe.Job{"IBEX": jobsOf(t, config.File{Name: "ibex.yaml", Data: config.Ibex}), "1pass": jobsOf(t, config.File{Name: "1pass.yaml", Data: config.OnePass})}
	code := regexp.MustCompile("`[^`]+`")
	asks := regexp.MustCompile(`--(probe|runbook) ([a-z0-9-]+)`)
	named := regexp.MustCompile("`([a-z0-9-]+)`(?:: ((?:`[a-z_]+`(?:, )?)+))?")
	system, rows := "", 0
	for line := range strings.Lines(string(text)) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			system, _, _ = strings.Cut(heading, ":")
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "|") || !strings.ContainsAny(cells[0], "«") {
			continue
		}
		rows++
		jobs := shipped[system]
		answer := cells[len(cells)-1]
		if len(cells) >= 4 {
			answer = cells[2]
			for _, series := range code.FindAllString(cells[3], -1) {
				if series = strings.Trim(series, "`"); strings.HasPrefix(series, "probe_") && !strings.Contains(string(metrics), "`"+series) {
					t.Errorf("%s: the series %s is not in docs/metrics.md", cells[0], series)
				}
			}
		}
		if strings.TrimSpace(answer) == "" {
			t.Errorf("%s: no answer", cells[0])
		}
		for _, m := range asks.FindAllStringSubmatch(line, -1) {
			if !slices.ContainsFunc(jobs, func(j probe.Job) bool {
				return m[1] == "probe" && j.Name == m[2] || m[1] == "runbook" && j.Runbook == m[2]
			}) {
				t.Errorf("%s: no %s %s in the shipped configuration", cells[0], m[1], m[2])
			}
		}
		for _, m := range named.FindAllStringSubmatch(answer, -1) {
			if m[2] == "" {
				continue
			}
			at := slices.IndexFunc(jobs, func(j probe.Job) bool { return j.Name == m[1] })
			if at < 0 {
				t.Errorf("%s: no probe %s in the shipped configuration", cells[0], m[1])
				continue
			}
			for _, check := range code.FindAllString(m[2], -1) {
				if check = strings.Trim(check, "`"); !slices.Contains(jobs[at].Probe.Checks(), check) {
					t.Errorf("%s: %s has no check %s, only %s", cells[0], m[1], check, jobs[at].Probe.Checks())
				}
			}
		}
	}
	if rows < 50 {
		t.Errorf("only %d lines of the runbooks were read", rows)
	}
}
