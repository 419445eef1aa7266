package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// A fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestOutput_fullDisk has commands whose output is often redirected to a file write to one that takes nothing. None of them says
// that all is well, or ends without a word.
func TestOutput_fullDisk(t *testing.T) {
	dir := t.TempDir()
	config := writeFile(t, dir, "prober.yaml", httpConfig("http://127.0.0.1:1", "up"))
	blackbox := writeFile(t, dir, "blackbox.yml", "modules: {http_2xx: {prober: http}}\n")
	for _, args := range [][]string{
		{"check", config}, {"rules", config}, {"rules", "--test", config}, {"rules", "--alertmanager", config}, {"dashboard", config},
		{"schema"}, {"import", blackbox}, {"completion", "bash"}, {"--once", "--format=json", "--config.file=" + config},
	} {
		var said strings.Builder
		if got := run(t.Context(), args, fullDisk{}, &said); got == exitPass || !strings.Contains(said.String(), "no space left on device") {
			t.Errorf("prober %s: exit status %d, said %q", strings.ReplaceAll(strings.Join(args, " "), dir+string(filepath.Separator), ""), got, said.String())
		}
	}
}
