package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"prober/config"
	"prober/internal/sandbox"
	"prober/internal/testenv"
)

// TestStop_deletesCanaries stops the prober in the middle of a run that has created canaries, like a deployment and a
// person at a terminal do: it ends in time, and the test orgs have no canaries left.
func TestStop_deletesCanaries(t *testing.T) {
	testenv.Slow(t, "it stops runs halfway")
	for name, c := range map[string]struct {
		signal os.Signal
		start  func(t *testing.T, env []string, file string) *testenv.Process
		status int
	}{
		"SIGTERM while it serves": {syscall.SIGTERM, func(t *testing.T, env []string, file string) *testenv.Process {
			return start(t, env, "--config.file="+file).Process
		}, exitPass},
		"SIGINT while it asks once": {syscall.SIGINT, func(t *testing.T, env []string, file string) *testenv.Process {
			cmd := exec.Command(os.Args[0], "--once", "--probe=tenants", "--config.file="+file)
			cmd.Env = append(append(os.Environ(), asProber+"=1"), env...)
			return testenv.StartCmd(t, cmd)
		}, exitInconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Created memories become visible late, so the run waits in the middle, long enough to be stopped there.
			sample, err := sandbox.Start(sandbox.Options{Ephemeral: true, VisibilityDelay: 4 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(sample.Close)
			if err := sample.Inject("tenant-eventual"); err != nil {
				t.Fatal(err)
			}
			untouched := sample.Memories()
			var env []string
			for name, value := range sample.Env() {
				env = append(env, name+"="+value)
			}
			p := c.start(t, env, writeFile(t, t.TempDir(), "prober.yaml", string(sample.RewriteAddresses(config.Demo))))
			testenv.Eventually(t, time.Minute, func(context.Context) error {
				if maps.Equal(sample.Memories(), untouched) {
					return fmt.Errorf("no canary is planted")
				}
				return nil
			})
			if err := p.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if status, err := p.Wait(ctx); err != nil || status != c.status {
				t.Errorf("got status %d, %v; want %d within 10 s", status, err, c.status)
			}
			if left := sample.Memories(); !maps.Equal(left, untouched) {
				t.Errorf("the orgs keep %v, want %v as before", left, untouched)
			}
		})
	}
}
