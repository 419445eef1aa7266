package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prober/internal/testenv"
)

// TestPictures writes the pictures of docs/images into the folder that PROBER_TEST_PICTURES names; `make pictures` calls it.
func TestPictures(t *testing.T) {
	folder := os.Getenv("PROBER_TEST_PICTURES")
	if folder == "" {
		t.Skip("make pictures")
	}
	p := start(t, nil, "demo")
	b := testenv.NewBrowser(t)
	picture := func(name, path string, width, height int, dark bool) {
		b.Window(width, height, dark)
		b.Open(p.url + path)
		if err := os.WriteFile(filepath.Join(folder, name+".png"), b.Picture(false), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	says := func(want bool, words string) {
		t.Helper()
		testenv.Eventually(t, time.Minute, func(context.Context) error {
			_, page, err := p.get("/")
			if err == nil && strings.Contains(page, words) != want {
				err = errors.New("the page says it, or not: " + words)
			}
			return err
		})
	}
	says(false, "not run yet")
	p.waitForRuns(t, "auth", 12) // for a history to look at
	picture("passing", "/", 1280, 800, false)
	picture("passing-dark", "/", 1280, 800, true)
	p.post(t, "/demo/inject/auth-down")
	says(true, "3 failed")
	p.waitForRuns(t, "auth", 18)
	picture("failing", "/", 1280, 800, false)
	picture("failing-dark", "/", 1280, 800, true)
	picture("failing-phone", "/", 360, 740, false)
	picture("probe", "/probes/demo/auth", 1280, 800, false)
	picture("probe-phone", "/probes/demo/proxy", 360, 740, true)
	picture("incidents", "/incidents", 1280, 400, false)
	picture("faults", "/demo", 1280, 500, false)
}
