package config_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prober/config"
	"prober/internal/probe"
	"prober/internal/testenv"
)

// files reads testdata under names that hold no directory.
func files(t *testing.T, pattern string) []config.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("testdata/%s: no files (%v)", pattern, err)
	}
	var all []config.File
	for _, f := range config.Read(paths...) {
		f.Name = filepath.Base(f.Name)
		all = append(all, f)
	}
	return all
}

func good(t *testing.T) *config.Config {
	t.Helper()
	c, err := config.Parse(kinds(), files(t, "good/*.y*ml")...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestMistakesAreAllReportedAtTheirLines(t *testing.T) {
	for _, f := range files(t, "bad/*.yaml") {
		t.Run(f.Name, func(t *testing.T) {
			testenv.Golden(t, "testdata/bad/"+strings.TrimSuffix(f.Name, ".yaml")+".err", refused(t, f))
		})
	}
	t.Run("two files", func(t *testing.T) {
		testenv.Golden(t, "testdata/bad/two-files.err", refused(t, files(t, "bad/two-files/*")...))
	})
}

// refused returns the error of files that must have one.
func refused(t *testing.T, all ...config.File) string {
	t.Helper()
	c, err := config.Parse(kinds(), all...)
	if err == nil {
		t.Fatal("was not refused")
	}
	if c != nil {
		t.Error("a refused load returned a configuration")
	}
	return err.Error() + "\n"
}

func TestOneMistakeRefusesEveryProbe(t *testing.T) {
	var b strings.Builder
	b.WriteString("system: shop\nprobes:\n")
	for i := range 20 {
		key := "count"
		if i == 13 {
			key = "cuont"
		}
		b.WriteString("  - {name: p" + string(rune('a'+i)) + ", type: ping, hosts: [h" + string(rune('a'+i)) + "], " + key + ": 2}\n")
	}
	got := refused(t, config.File{Name: "x.yaml", Data: []byte(b.String())})
	if want := "x.yaml:16: pn: unknown key cuont; did you mean count?\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFilesThatCannotBeText(t *testing.T) {
	head := "system: shop\nprobes:\n  - {name: a, type: ping, hosts: [a]}\n"
	for name, c := range map[string]struct{ data, want string }{
		"empty":         {"", "f: the file is empty\n"},
		"empty lines":   {"\n\n", "f: the file is empty\n"},
		"a marker":      {"---\n", "f: the file is empty\n"},
		"invalid UTF-8": {head + "x-a: \"\xff\"\n", "f:4: the file is not valid UTF-8; save it as UTF-8\n"},
		"UTF-16":        {"\xff\xfes\x00y\x00", "f:1: the file is not valid UTF-8; save it as UTF-8\n"},
		"a NUL":         {head + "x-a: \"\x00\"\n", "f:4: a character that cannot be in a text file; save the file as UTF-8\n"},
		"too large":     {head + strings.Repeat("#", 16<<20), "f: the file is larger than 16777216 bytes\n"},
		"second, empty": {head + "---\n", "f:4: a second document begins here; one file holds one\n"},
		"second, bad":   {head + "---\n\"\n", "f:5: the quotes that open here are never closed\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := refused(t, config.File{Name: "f", Data: []byte(c.data)}); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if _, err := config.Parse(kinds(), config.File{Data: []byte("\xef\xbb\xbf" + strings.ReplaceAll(head, "\n", "\r\n"))}); err != nil {
		t.Errorf("a byte order mark and the line ends of Windows were refused: %v", err)
	}
	if got := refused(t); got != "no configuration file is given\n" {
		t.Errorf("without files: %q", got)
	}
}

func TestTooManyMistakesToReadAreCounted(t *testing.T) {
	data := "system: shop\nprobes:\n" + strings.Repeat("  - {}\n", 500)
	got := strings.Split(strings.TrimSpace(refused(t, config.File{Name: "f", Data: []byte(data)})), "\n")
	if len(got) != 201 || got[200] != "f: and 800 more mistakes" {
		t.Errorf("got %d lines, the last %q", len(got), got[len(got)-1])
	}
}

func TestTooManyMistakesOfManyFilesAreShared(t *testing.T) {
	data := "system: shop\nprobes:\n" + strings.Repeat("  - {}\n", 500)
	var files []config.File
	for i := range 50 {
		files = append(files, config.File{Name: fmt.Sprintf("f%02d", i), Data: []byte(data)})
	}
	files[20].Data = []byte("system: shop\nprobes:\n  - {}\n")
	got := strings.Split(strings.TrimSpace(refused(t, files...)), "\n")
	if want := 49*(4+1) + 2; len(got) != want {
		t.Errorf("got %d lines, want %d", len(got), want)
	}
	if want := "f00: and 996 more mistakes, which are shown if this file is checked alone"; got[4] != want {
		t.Errorf("got %q, want %q", got[4], want)
	}
	if got := strings.Count(strings.Join(got, "\n"), "f20:"); got != 2 {
		t.Errorf("got %d mistakes of the file that has 2", got)
	}
	if got := strings.Split(strings.TrimSpace(refused(t, files[0], files[20])), "\n"); len(got) != 100+1+2 {
		t.Errorf("got %d lines of two files, want those of one shortened to 100", len(got))
	}
}

func TestJobsAreWhatIsWritten(t *testing.T) {
	c := good(t)
	jobs := map[string]probe.Job{}
	for _, j := range c.Jobs {
		jobs[j.System+"/"+j.Name] = j
	}
	front, callers := jobs["shop/front"], jobs["shop/callers"]

	want := probe.ID{System: "shop", Name: "front", Type: "web", Runbook: "front-down", Severity: "P1"}
	if front.ID != want || front.RunbookURL != "https://docs.shop.example/runbooks#front-down" {
		t.Errorf("front is %+v with %s", front.ID, front.RunbookURL)
	}
	about := probe.Description{Title: "The front page", Text: "Loads the front page as a customer does."}
	if front.About != about || front.AboutSystem.Title != "The shop" || front.AboutRunbook.Title != "The front is down" {
		t.Errorf("front is called %+v, %+v, %+v", front.About, front.AboutRunbook, front.AboutSystem)
	}
	gateways, one := jobs["shop/gateways"], jobs["small/one"]
	if got := [...]string{front.Impact(), gateways.Impact(), one.Impact()}; got != [...]string{"nobody can buy", "customers notice", ""} {
		t.Errorf("the impacts are %q", got)
	}
	if callers.Severity != "P2" {
		t.Errorf("the probe's own severity gave way to the runbook's: %s", callers.Severity)
	}
	if front.Labels["env"] != "prod" || front.Labels["zone"] != "b" || callers.Labels["zone"] != "1.20" {
		t.Errorf("labels are %v and %v", front.Labels, callers.Labels)
	}
	if s := front.Signals["status"]; s.Name != "shop_process_up" || s.Labels["service"] != "front" {
		t.Errorf("the signal is %v", s)
	}
	if s := front.Signals["latency"]; s.Labels["path"] != `/a"b` {
		t.Errorf("the signal is %v", s)
	}
	if w := callers.Probe.(*web); w.Kid != "010" || w.Port != 501 || w.Offset != -1000 || w.Callers["nobody"].Code != "yes" || w.Within != probe.Duration(2*time.Second) {
		t.Errorf("the settings are %+v", w)
	}
	if w := front.Probe.(*web); w.Headers["X-Depth"].text != "3" || w.Bearer.Source() != "env FRONT_TOKEN" {
		t.Errorf("the settings are %+v", w)
	}
	if w := callers.Probe.(*web); w.Equals["none"] != nil || w.Equals["n"] != int64(3) || w.Query.Deep.Parts["a"].Size != 1 {
		t.Errorf("free settings are %v and %v", w.Equals, w.Query)
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct{ head, probe, want string }{
		{"", "", "30s 5s"},
		{"", "interval: 2s", "2s 1.6s"},
		{"", "interval: 1d", "24h0m0s 5s"},
		{"", "timeout: 29s", "30s 29s"},
		{"interval: 1m", "", "1m0s 5s"},
		{"interval: 1m\ntimeout: 10s", "", "1m0s 10s"},
		{"interval: 1m\ntimeout: 10s", "interval: 20s", "20s 10s"},
		{"interval: 1m\ntimeout: 10s", "timeout: 11s", "1m0s 11s"},
		{"interval: 1s", "", "1s 800ms"},
	} {
		text := c.head + "\nsystem: s\nprobes:\n  - {name: a, type: ping, hosts: [a]"
		if c.probe != "" {
			text += ", " + c.probe
		}
		got, err := config.Parse(kinds(), config.File{Data: []byte(text + "}\n")})
		if err != nil {
			t.Errorf("%q, %q: %v", c.head, c.probe, err)
			continue
		}
		if j := got.Jobs[0]; j.Interval.String()+" "+j.Timeout.String() != c.want {
			t.Errorf("%q, %q: every %s for %s, want %s", c.head, c.probe, j.Interval, j.Timeout, c.want)
		}
	}
}

func TestPlan(t *testing.T) {
	var b bytes.Buffer
	if err := good(t).Plan(&b, 0); err != nil {
		t.Fatal(err)
	}
	testenv.Golden(t, "testdata/plan.txt", b.String())
}

// On a terminal no line is broken in a word, and none is longer than the terminal is wide.
func TestPlan_terminal(t *testing.T) {
	var wide, narrow bytes.Buffer
	for out, width := range map[*bytes.Buffer]int{&wide: 400, &narrow: 80} {
		if err := good(t).Plan(out, width); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.HasPrefix(golden(t, "testdata/plan.txt"), firstTable(wide.String())) {
		t.Errorf("where there is room the table is another:\n%s", wide.String())
	}
	table := firstTable(narrow.String())
	for line := range strings.Lines(table) {
		if len(line) > 81 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
	for _, want := range []string{"  front     web   30s    4s       front-down (P1)\n      signals latency: ", "\n      depends on front, callers\n", "\n      asks https://shop.example/api, https://other.example/\n"} {
		if !strings.Contains(table, want) {
			t.Errorf("expected %q in\n%s", want, table)
		}
	}
}

func firstTable(plan string) string {
	table, _, _ := strings.Cut(plan, "\n\n")
	return table
}

func golden(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPlanReportsAFullDisk(t *testing.T) {
	if err := good(t).Plan(full{}, 0); err == nil {
		t.Error("nothing was written and nothing was said")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, os.ErrClosed }
