package history

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"prober/internal/probe"
)

// TestOpenReadOnly reads a file that no process holds, and changes nothing.
func TestOpenReadOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	s := open(t, path, start, "up")
	see(s, "up", start, probe.Pass)
	see(s, "up", start.Add(time.Minute), probe.Pass)
	s.write(true)
	if _, err := OpenReadOnly(path); !errors.Is(err, ErrInUse) {
		t.Errorf("while it is used: got %v, expected %v", err, ErrInUse)
	}
	s.Close()
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	s, err = OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return start.Add(time.Hour) }
	s.SetJobs(jobs("up", "new"))
	if got := s.LastRuns([]probe.ID{id("up"), id("new")}); !got[0].At.Equal(start.Add(time.Minute)) || got[0].Verdict != probe.Pass || !got[1].At.IsZero() {
		t.Errorf("got %+v", got)
	}
	days, err := s.Joint([][]probe.ID{{id("up")}}, 0, 2)
	if err != nil || days[0][1].Passed < time.Minute {
		t.Errorf("got %+v, %v", days, err)
	}
	s.Close()
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("files were left: %v", entries)
	}
	for name, text := range map[string]string{"old": `{"format":1}`, "damaged": "no file of ours", "empty": ""} {
		bad := filepath.Join(dir, name)
		if err := os.WriteFile(bad, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenReadOnly(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
		if now, _ := os.ReadFile(bad); string(now) != text {
			t.Errorf("%s: was changed", name)
		}
	}
	if _, err := OpenReadOnly(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
