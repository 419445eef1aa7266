package history

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestLock: a file belongs to one process at a time, and what one that was killed has left is removed.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "incidents.*json")
	kept := []string{"incidents.*json.damaged", "incidents.*json.x1.tmp", "incidents.1json.1.tmp", "other.1.tmp"}
	for _, name := range append(kept, "incidents.*json.123.tmp", "incidents.*json.4.tmp") {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	release, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := append(kept, "incidents.*json.lock"); !slices.Equal(left, slices.Sorted(slices.Values(want))) {
		t.Errorf("left are %q, expected %q", left, want)
	}
	writing := filepath.Join(dir, "incidents.*json.5.tmp")
	if err := os.WriteFile(writing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := lock(path); !errors.Is(err, ErrInUse) {
		t.Errorf("the second lock: got %v, expected %v", err, ErrInUse)
	}
	if _, err := os.Stat(writing); err != nil {
		t.Errorf("what the first one is writing: %v", err)
	}
	release()
	again, err := lock(path)
	if err != nil {
		t.Fatalf("after the first one released it: %v", err)
	}
	again()
	if _, err := lock(filepath.Join(dir, "none", "incidents")); err == nil || errors.Is(err, ErrInUse) {
		t.Errorf("in no directory: got %v", err)
	}
}
