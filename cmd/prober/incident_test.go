package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"prober/internal/testenv"
)

var began = regexp.MustCompile(`(?m)^Start time: (\S+)$`)

// TestIncidents_surviveRestart restarts the prober during an incident: the note keeps its start time, and the recovery is
// recorded.
func TestIncidents_surviveRestart(t *testing.T) {
	t.Parallel()
	x := startTarget(t)
	dir := t.TempDir()
	file := writeFile(t, dir, "prober.yaml", httpConfig(x.URL, "up"))
	kept := filepath.Join(dir, "incidents.json")
	x.status.Store(500)
	p := start(t, nil, "--config.file="+file, "--storage.path="+kept)
	p.waitForRuns(t, "up", 1)
	status, first, err := p.get("/incident")
	if err != nil || status != 200 || !strings.Contains(first, "observed symptom: up status: expected 2xx, got 500") {
		t.Fatalf("got %d %v\n%s", status, err, first)
	}
	failing := func() (since string) {
		t.Helper()
		testenv.Eventually(t, 30*time.Second, func(context.Context) error { // the page learns of a run after the metrics
			_, status, err := p.get("/api/v1/status")
			row := regexp.MustCompile(`"verdict":"fail".*?("since":"[^"]+")`).FindStringSubmatch(status)
			if err != nil || row == nil {
				return fmt.Errorf("nothing fails: %w\n%s", err, status)
			}
			since = row[1]
			return nil
		})
		return since
	}
	since := failing()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.Ended()

	p = start(t, nil, "--config.file="+file, "--storage.path="+kept)
	p.waitForMetric(t, `prober_self_check{check="storage"} 1`)
	p.waitForRuns(t, "up", 1)
	if got := failing(); got != since {
		t.Errorf("the page says %s after the restart, and %s before", got, since)
	}
	_, again, err := p.get("/incident?system=test")
	if err != nil || began.FindString(again) != began.FindString(first) || began.FindString(first) == "" {
		t.Errorf("%v: expected the same start, got:\n%s\nand after the restart:\n%s", err, first, again)
	}
	x.status.Store(200)
	p.waitForMetric(t, `probe_success{probe="up",system="test",type="http"} 1`)
	if _, note, err := p.get("/incident"); err != nil || !strings.Contains(note, "recovery verified: passing again: up") {
		t.Errorf("%v, got:\n%s", err, note)
	}
	var out, errs strings.Builder
	if got := run(t.Context(), []string{"--once", "--incident-note", "--config.file=" + file, "--storage.path=" + filepath.Join(dir, "none.json")}, &out, &errs); got != exitPass || !strings.HasPrefix(out.String(), "## Incident\nStart time:\nSeverity:\n") {
		t.Errorf("without an incident: got %d and\n%s%s", got, out.String(), errs.String())
	}
}

// TestIncidents_damagedFile starts with a storage file that is not the prober's.
func TestIncidents_damagedFile(t *testing.T) {
	t.Parallel()
	x := startTarget(t)
	dir := t.TempDir()
	file := writeFile(t, dir, "prober.yaml", httpConfig(x.URL, "up"))
	kept := writeFile(t, dir, "incidents.json", `{"format":1,"sys`)
	p := start(t, nil, "--config.file="+file, "--storage.path="+kept)
	p.waitForMetric(t, `probe_success{probe="up",system="test",type="http"} 1`)
	if !strings.Contains(p.Output(), "The saved state of incidents is lost") {
		t.Errorf("the log does not say so:\n%s", p.Output())
	}
	if aside, err := os.ReadFile(kept + ".damaged"); string(aside) != `{"format":1,"sys` {
		t.Errorf("%v: it is not set aside, but %q", err, aside)
	}
}

// TestStorage_twoProbers starts two probers with one file: the second keeps its hands off it and probes on, and says so.
func TestStorage_twoProbers(t *testing.T) {
	t.Parallel()
	x := startTarget(t)
	dir := t.TempDir()
	file := writeFile(t, dir, "prober.yaml", httpConfig(x.URL, "up"))
	kept := filepath.Join(dir, "incidents.json")
	left := writeFile(t, dir, "incidents.json.123.tmp", "{")
	first := start(t, nil, "--config.file="+file, "--storage.path="+kept)
	first.waitForMetric(t, `prober_self_check{check="storage"} 1`)
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("what an earlier process left is still there: %v", err)
	}
	second := start(t, nil, "--config.file="+file, "--storage.path="+kept)
	second.waitForMetric(t, `prober_self_check{check="storage"} 0`)
	second.waitForMetric(t, `probe_success{probe="up",system="test",type="http"} 1`)
	if want := "There is no storage"; !strings.Contains(second.Output(), want) || !strings.Contains(second.Output(), kept+": another prober uses it") {
		t.Errorf("the log does not say %q and why:\n%s", want, second.Output())
	}
	if err := first.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.Ended()
	third := start(t, nil, "--config.file="+file, "--storage.path="+kept)
	third.waitForMetric(t, `prober_self_check{check="storage"} 1`)
}
