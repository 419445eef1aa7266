package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"prober/internal/testenv"
)

// aPage is a page of documentation whose blocks are done in order, as a reader does them: "sh" is run and must succeed,
// "console" is run and must print what stands below its commands, and "yaml" is written to the file that the text before it
// names.
type aPage struct {
	dir     string
	env     []string
	service string   // stands for https://shop.example
	server  *running // the prober that was left running
}

var fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```")

// TestDocs_firstProbe follows docs/first-probe.md, beside a service that is as the page assumes.
func TestDocs_firstProbe(t *testing.T) {
	testenv.Need(t, "promtool")
	testenv.Need(t, "curl")
	testenv.WithoutRace(t)
	t.Parallel()
	text, err := os.ReadFile("../../docs/first-probe.md")
	if err != nil {
		t.Fatal(err)
	}
	p := newPage(t)
	blocks := fence.FindAllSubmatchIndex(text, -1)
	for _, at := range blocks {
		language, block := string(text[at[2]:at[3]]), string(text[at[4]:at[5]])
		switch language {
		case "sh":
			p.shell(t, block)
		case "console":
			p.console(t, block)
		case "yaml":
			names := regexp.MustCompile("into `([^`]+)`").FindAllSubmatch(text[:at[0]], -1)
			p.write(t, string(names[len(names)-1][1]), block)
		default:
			t.Errorf("a block of %s, which is neither sh, console nor yaml", language)
		}
	}
	if len(blocks) < 12 {
		t.Errorf("only %d blocks were found", len(blocks))
	}
}

func newPage(t *testing.T) *aPage {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, known := map[string]string{"/": "<h1>Welcome to the shop</h1>", "/health": "live", "/ready": "ready"}[r.URL.Path]
		if !known {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(service.Close)
	bin := t.TempDir()
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(bin, "prober"))
	}
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), asProber+"=1", "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	return &aPage{dir: t.TempDir(), env: env, service: service.URL}
}

// local puts the service and the port of the test in place of those of the page.
func (p *aPage) local(text string) string {
	text = strings.ReplaceAll(text, "https://shop.example", p.service)
	if p.server != nil {
		text = strings.ReplaceAll(text, "localhost:9798", strings.TrimPrefix(p.server.url, "http://"))
	}
	return text
}

// asPrinted makes what differs between the page and the test the same: the service, and names that are made from its host.
func (p *aPage) asPrinted(text string) string {
	text = strings.NewReplacer(p.service, "https://shop.example", "probe-127-0-0-1", "shop-example", "system-127", "shop").Replace(text)
	return normalizeOutput(text)
}

func (p *aPage) write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, file), []byte(p.local(text)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p *aPage) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	return cmd
}

func (p *aPage) shell(t *testing.T, block string) {
	t.Helper()
	if left, ok := strings.CutSuffix(strings.TrimSpace(block), " &"); ok {
		p.leaveRunning(t, left)
		return
	}
	if out, err := testenv.Run(t, p.command("bash", "-euo", "pipefail", "-c", p.local(block))); err != nil {
		t.Fatalf("%s\n%v\n%s", block, err, out)
	}
}

func (p *aPage) console(t *testing.T, block string) {
	t.Helper()
	for _, part := range strings.Split("\n"+block, "\n$ ")[1:] {
		command, want, _ := strings.Cut(part, "\n")
		out, _ := testenv.Run(t, p.command("bash", "-c", p.local(command)))
		if got, want := p.asPrinted(out), normalizeOutput(want); got != want {
			t.Errorf("the page shows for %q\n%s\nbut it prints\n%s", command, want, got)
		}
	}
}

// leaveRunning starts the prober on a port of its own, with runs every three seconds, and waits for the first.
func (p *aPage) leaveRunning(t *testing.T, command string) {
	t.Helper()
	file := filepath.Join(p.dir, "prober.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "prober.yaml", strings.Replace(string(text), "interval: 30s", "interval: 3s", 1))
	args := strings.Fields(strings.ReplaceAll(command, "localhost:9798", "127.0.0.1:0"))
	p.server = startCommand(t, p.command(os.Args[0], args[1:]...))
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		if _, metrics, err := p.server.get("/metrics"); err != nil || !regexp.MustCompile(`(?m)^probe_success\{.* 1$`).MatchString(metrics) {
			return errors.Join(err, errors.New("nothing has passed yet"))
		}
		return nil
	})
}
