package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"prober/config"
	"prober/probes"
)

// command runs the prober in this process.
func command(args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = run(context.Background(), args, &out, &err)
	return status, out.String(), err.String()
}

// TestInit: the first configuration passes the check, its probes pass at a service that works, and nothing is overwritten.
func TestInit(t *testing.T) {
	t.Parallel()
	requests := make(chan string, 9)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { requests <- r.URL.Path }))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "first.yaml")
	status, out, errs := command("init", "--file", file, server.URL+"/", server.URL+"/health")
	if status != exitPass || !strings.Contains(out, file+" has 2 probes now") || !strings.Contains(out, "prober --once --config.file="+file) {
		t.Fatalf("init: got %d, %q, %q", status, out, errs)
	}
	if len(requests) > 0 {
		t.Errorf("init asked for %s", <-requests)
	}
	if status, out, errs := command("check", file); status != exitPass || errs != "" {
		t.Errorf("check: got %d, %q, %q", status, out, errs)
	}
	if status, out, errs := command("--once", "--config.file", file); status != exitPass || !strings.HasPrefix(out, "ok ") || errs != "" {
		t.Errorf("once: got %d, %q, %q", status, out, errs)
	}
	if len(requests) != 2 {
		t.Errorf("got %d requests, want 2", len(requests))
	}
	before, _ := os.ReadFile(file)
	status, out, errs = command("init", "--file", file, server.URL+"/other")
	if after, _ := os.ReadFile(file); status != exitUsage || !strings.Contains(errs, "exists and stays as it is") || out != "" || !bytes.Equal(before, after) {
		t.Errorf("a second time: got %d, %q, %q, %q", status, out, errs, after)
	}
}

// TestInit_hints: what the comments of the first configuration propose is valid too.
func TestInit_hints(t *testing.T) {
	t.Parallel()
	var lines []string
	for line := range strings.Lines(string(firstConfig([]string{"https://shop.example/"}))) {
		if hint := regexp.MustCompile(`^( *)# ( *)(runbooks:|down: |runbook: |expect:|status: |body: |latency: |certificate: |catch_all_check: )`); hint.MatchString(line) {
			line = hint.ReplaceAllString(line, "$1$2$3")
		}
		lines = append(lines, line)
	}
	text := strings.Join(lines, "")
	cfg, err := config.Parse(probes.Kinds(), config.File{Name: "first.yaml", Data: []byte(text)})
	if err != nil || cfg.Jobs[0].Runbook != "down" || strings.Count(text, "#") != strings.Count(firstHead+firstHints, "#")-9 {
		t.Errorf("%v in\n%s", err, text)
	}
}

// TestInit_urls: whatever URLs are named, the configuration is valid, and asks them.
func TestInit_urls(t *testing.T) {
	t.Parallel()
	urls := []string{
		"https://www.shop.example/", "https://shop.example", "https://shop.example/#top", "http://127.0.0.1:8080/a/b", "http://[::1]:9/",
		"https://shop.example/a b\"c'#{x}", "https://shop.example/?q=1&r=:", "https://" + strings.Repeat("long.", 40) + "example/" + strings.Repeat("x", 300),
		"https://b\u00fccher.example/\u00e4", "https://_.example/", "https://1st.example/: !!str &a *b",
	}
	for n := range urls {
		data := firstConfig(urls[n:])
		cfg, err := config.Parse(probes.Kinds(), config.File{Name: "first.yaml", Data: data})
		if err != nil || len(cfg.Jobs) != len(urls)-n {
			t.Errorf("%v in\n%s", err, data)
		}
	}
}
