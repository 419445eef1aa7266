package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"prober/internal/history"
	"prober/internal/incident"
	"prober/internal/probe"
	"prober/internal/public"
	"prober/internal/testenv"
)

// publicConfig has one probe and a public page with a component.
func publicConfig(url, component string) string {
	return strings.Replace(httpConfig(url, "up"), "probes:\n", "public:\n  title: The shop\n  url: https://status.shop.example/\n  notices: notices.yaml\n  components: [{name: "+component+", probes: [up]}]\nprobes:\n", 1)
}

var listeningPublic = regexp.MustCompile(`public page" address=(\S+)`)

// publicPage fetches a document of the public listener.
func (p *running) publicPage(path string) (status int, body string, err error) {
	found := listeningPublic.FindStringSubmatch(p.Output())
	if found == nil {
		return 0, "", errors.New("the public page is not served yet")
	}
	resp, err := http.Get("http://" + found[1] + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// waitForPage waits until the public listener or a file shows a text.
func waitForPage(t *testing.T, want string, read func() (string, error)) {
	t.Helper()
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		text, err := read()
		if err == nil && !strings.Contains(text, want) {
			err = fmt.Errorf("lacks %q:\n%.2000s", want, text)
		}
		return err
	})
}

// TestPublic serves the page on a listener of its own, which has nothing else, follows a reload of the configuration, and writes
// it to a directory.
func TestPublic(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	x := startTarget(t)
	dir := t.TempDir()
	file, out := writeFile(t, dir, "prober.yaml", publicConfig(x.URL, "Front")), filepath.Join(dir, "out")
	writeFile(t, dir, "notices.yaml", "announcements: [{at: 2026-01-02T03:04:05Z, title: Hello}]")
	p := start(t, nil, "--config.file="+file, "--web.public-listen-address=127.0.0.1:0", "--public.export-path="+out)
	served := func() (string, error) { _, text, err := p.publicPage("/"); return text, err }
	waitForPage(t, "All components are operational", served)
	waitForPage(t, "Hello", served)
	waitForPage(t, "<h1>The shop</h1>", func() (string, error) {
		text, err := os.ReadFile(filepath.Join(out, "index.html"))
		return string(text), err
	})
	for _, path := range []string{"/metrics", "/config", "/api/v1/status", "/-/healthy", "/-/reload", "/debug/pprof/", "/incident", "/probes/test/up"} {
		if status, _, err := p.publicPage(path); err != nil || status != http.StatusNotFound {
			t.Errorf("GET %s: %d %v", path, status, err)
		}
	}
	for path, want := range map[string]int{"/index.html": 404, "/feed.atom": 404} {
		if status, _, err := p.get(path); err != nil || status != want {
			t.Errorf("the other listener answers %d to %s: %v", status, path, err)
		}
	}
	p.waitForMetric(t, `prober_public_ok{part="export"} 1`)
	p.waitForMetric(t, `prober_public_ok{part="notices"} 1`)

	writeFile(t, dir, "prober.yaml", publicConfig(x.URL, "Elsewhere"))
	x.status.Store(500)
	if status, text := p.post(t, "/-/reload"); status != 200 {
		t.Fatal(status, text)
	}
	waitForPage(t, "Elsewhere is unavailable", served)
	writeFile(t, dir, "prober.yaml", publicConfig(x.URL, "Elsewhere, [up]"))
	if status, text := p.post(t, "/-/reload"); status != 500 || !strings.Contains(text, "prober.yaml:") {
		t.Errorf("got %d %s", status, text)
	}
}

// TestPublic_unusable: what is wrong with the public page is told, and the probes go on.
func TestPublic_unusable(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	x := startTarget(t)
	dir := t.TempDir()
	file := writeFile(t, dir, "prober.yaml", publicConfig(x.URL, "Front"))
	p := startLimited(t, "ulimit -f 0", nil, "--config.file="+file, "--public.export-path="+filepath.Join(dir, "out"), "--web.public-listen-address=127.0.0.1:0")
	p.waitForMetric(t, `prober_public_ok{part="export"} 0`)
	p.waitForMetric(t, `prober_public_ok{part="notices"} 0`)
	p.waitForMetric(t, `probe_success{probe="up",system="test",type="http"} 1`)
	waitForPage(t, "All components are operational", func() (string, error) { _, text, err := p.publicPage("/"); return text, err })
	if out := p.Output(); !strings.Contains(out, "file too large") || !strings.Contains(out, "notices.yaml: no such file") {
		t.Errorf("the log does not say why:\n%s", out)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "out")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestPublic_notConfigured: a flag that would show nothing is refused.
func TestPublic_notConfigured(t *testing.T) {
	file := writeFile(t, t.TempDir(), "prober.yaml", httpConfig("http://127.0.0.1:1", "up"))
	for _, flag := range []string{"--web.public-listen-address=127.0.0.1:0", "--public.export-path=" + t.TempDir()} {
		var stderr strings.Builder
		got := run(t.Context(), []string{"--config.file=" + file, "--web.listen-address=127.0.0.1:0", flag}, io.Discard, &stderr)
		name, _, _ := strings.Cut(flag, "=")
		if want := "prober: " + name + ": the configuration has no section public\n"; got != exitUsage || stderr.String() != want {
			t.Errorf("got %d %q, expected %q", got, stderr.String(), want)
		}
	}
}

// TestPublicCommand prints and writes the page from a history that no prober uses. What is going on now is not known.
func TestPublicCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, path, out := writeFile(t, dir, "prober.yaml", publicConfig("http://127.0.0.1:1", "Front")), filepath.Join(dir, "history"), filepath.Join(dir, "out")
	writeFile(t, dir, "notices.yaml", "announcements: [{at: 2026-01-02T03:04:05Z, title: Hello}]")
	store, err := history.Open(path, nil, history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	id := probe.ID{System: "test", Name: "up", Type: "http"}
	store.SetJobs([]probe.Job{{ID: id, Interval: time.Hour}})
	for i := range 3 {
		r := probe.NewResult(id)
		r.Started = time.Now().Add(time.Duration(i-3) * time.Hour)
		r.Pass("status", "got 200")
		store.Observe(*r)
	}
	began := time.Now().Add(-2 * time.Hour)
	if err := store.SaveState([]byte("{}"), []probe.IncidentRecord{{System: "test", Start: began, Ongoing: true, Probes: []string{"up"}, Note: "secret words"}}); err != nil {
		t.Fatal(err)
	}
	done, stop := context.WithCancel(t.Context())
	stop()
	store.Run(done)
	command := func(args ...string) (int, string, string) {
		var stdout, stderr strings.Builder
		status := run(t.Context(), append([]string{"public", "--config.file=" + file}, args...), &stdout, &stderr)
		return status, stdout.String(), stderr.String()
	}
	if status, _, stderr := command("--storage.path=" + path); status != exitUsage || !strings.Contains(stderr, "another prober uses it") {
		t.Errorf("while it is used: %d %s", status, stderr)
	}
	store.Close()
	status, page, stderr := command("--storage.path=" + path)
	if status != exitPass || stderr != "" {
		t.Errorf("%d %s", status, stderr)
	}
	for _, want := range []string{"The current status is not known", "Status not known", "100 % uptime", "Problems: Front", "its end is not known", "Hello"} {
		if !strings.Contains(page, want) {
			t.Errorf("lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "secret words") {
		t.Error("the note is on the page")
	}
	if status, stdout, stderr := command("--storage.path="+path, "--public.export-path="+out); status != exitPass || stdout+stderr != "" {
		t.Errorf("%d %s%s", status, stdout, stderr)
	}
	if text, err := os.ReadFile(filepath.Join(out, "index.html")); err != nil || !strings.Contains(string(text), "The current status is not known") {
		t.Errorf("%v: %s", err, text)
	}
	for want, args := range map[string][]string{
		"expected --storage.path": nil, "no such file": {"--storage.path=" + path + "x"}, "not a directory": {"--storage.path=" + path, "--public.export-path=" + file},
	} {
		if status, stdout, stderr := command(args...); status != exitUsage || !strings.Contains(stderr, want) || stdout != "" {
			t.Errorf("%q: %d %q, expected %q", args, status, stderr, want)
		}
	}
}

// TestPublicNotice: the note of an incident has a text for customers that the public page takes as it is, and that says nothing
// of probes.
func TestPublicNotice(t *testing.T) {
	t.Parallel()
	const component = `Log in "A" & <b>[x](y)</b>`
	front := probe.ID{System: "shop", Name: "probe-front", Type: "http"}
	hidden := probe.ID{System: "shop", Name: "probe-hidden", Type: "http"}
	tracker := incident.New()
	tracker.SetJobs([]probe.Job{{ID: front, Components: []string{component, "Invoices"}}, {ID: hidden}})
	began := time.Date(2026, 11, 28, 21, 0, 0, 0, time.UTC)
	see := func(id probe.ID, minute int, v probe.Verdict) {
		r := probe.NewResult(id)
		r.Started = began.Add(time.Duration(minute) * time.Minute)
		switch v {
		case probe.Pass:
			r.Pass("status", "got 200")
		case probe.Fail:
			r.Fail("status", probe.Refused, "refused by 10.1.2.3")
		default:
			r.Inconclusive("status", probe.SelfNetwork, "the reference is out of reach too")
		}
		tracker.Observe(*r)
	}
	// notice returns the text for customers, after the public page has read it.
	notice := func() string {
		t.Helper()
		_, part, ok := strings.Cut(tracker.Note("shop"), "## Public notice\n")
		if !ok {
			return ""
		}
		intro, item, _ := strings.Cut(part, ":\n\n")
		list := intro[strings.LastIndex(intro, " ")+1:]
		page := &probe.PublicPage{Notices: writeFile(t, t.TempDir(), "notices.yaml", list+":\n"+item), Components: []probe.Component{{Name: component}, {Name: "Invoices"}}}
		for _, err := range public.CheckFiles(page) {
			t.Errorf("%v:\n%s", err, part)
		}
		for _, word := range []string{"probe-", "refused", "10.1.2.3", "shop", "status"} {
			if strings.Contains(item, word) {
				t.Errorf("customers read %q:\n%s", word, item)
			}
		}
		return item
	}
	see(hidden, 0, probe.Pass)
	see(hidden, 1, probe.Fail)
	if got := notice(); got != "" {
		t.Errorf("no component is affected: %s", got)
	}
	see(front, 1, probe.Pass)
	see(front, 2, probe.Fail)
	for _, want := range []string{"at: 2026-11-28T21:01:00Z", "Since 28 Nov 2026, 21:01 UTC there are problems with Log in", "components: ["} {
		if got := notice(); !strings.Contains(got, want) {
			t.Errorf("lacks %q: %s", want, got)
		}
	}
	see(hidden, 4, probe.Pass)
	see(front, 5, probe.Pass)
	if got := notice(); !strings.Contains(got, "start: 2026-11-28T21:01:00Z") || !strings.Contains(got, "to 28 Nov 2026, 21:05 UTC there were problems") || !strings.Contains(got, "All of it works again.") {
		t.Errorf("after the recovery: %s", got)
	}
	see(front, 6, probe.Inconclusive)
	if got := notice(); strings.Contains(got, "works again") {
		t.Errorf("it is not known to work: %s", got)
	}
}

// TestDocs_notices reads every file of notices in the documents.
func TestDocs_notices(t *testing.T) {
	shown := 0
	for name, block := range fencedBlocks(t, "yaml") {
		if !strings.HasPrefix(block, "announcements:") {
			continue
		}
		shown++
		page := &probe.PublicPage{Notices: writeFile(t, t.TempDir(), name, block), Components: []probe.Component{{Name: "Log in"}, {Name: "Invoices"}}}
		for _, err := range public.CheckFiles(page) {
			t.Error(err)
		}
	}
	if shown == 0 {
		t.Error("none is shown")
	}
}
