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
	for _, c := range []struct {
		name, fault, path string
		width, height     int
		dark              bool
	}{
		{"passing", "", "/", 1440, 900, false},
		{"failing", "auth-down", "/", 1440, 900, false},
		{"failing-dark", "auth-down", "/", 1440, 900, true},
		{"probe", "auth-down", "/probes/demo/proxy", 1440, 900, false},
		{"phone", "auth-down", "/", 360, 740, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := []string{"demo"}
			if c.fault != "" {
				args = append(args, "--fault", c.fault)
			}
			p := start(t, nil, args...)
			testenv.Eventually(t, time.Minute, func(context.Context) error {
				_, page, err := p.get("/")
				if err == nil && strings.Contains(page, "not run yet") {
					err = errors.New("not all have run")
				}
				return err
			})
			p.waitForRuns(t, "auth", 8) // for a history to look at
			b := testenv.NewBrowser(t)
			b.Window(c.width, c.height, c.dark)
			b.Open(p.url + c.path)
			if err := os.WriteFile(filepath.Join(folder, c.name+".png"), b.Picture(false), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}
