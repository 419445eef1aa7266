package public

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestExport writes what is served, each file whole and readable for others, again every 30 seconds.
func TestExport(t *testing.T) {
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "login")
		s, dir := w.site(), filepath.Join(root, "out")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.Export(ctx, dir) }()
		synctest.Wait()
		if got, want := names(t, dir), []string{"feed.atom", "icon.svg", "index.html", "status.json"}; !slices.Equal(got, want) {
			t.Fatalf("got %q, expected %q", got, want)
		}
		for _, name := range names(t, dir) {
			at := filepath.Join(dir, name)
			about, err := os.Stat(at)
			if err != nil || about.Mode().Perm() != 0o644 {
				t.Errorf("%s: mode %v, %v", name, about.Mode(), err)
			}
			text, _ := os.ReadFile(at)
			if string(text) != ask(s, "GET", "/"+name).Body.String() {
				t.Errorf("%s is another text than what is served", name)
			}
		}
		old, _ := os.Stat(filepath.Join(dir, feedName))
		before, _ := os.Stat(filepath.Join(dir, pageName))
		time.Sleep(exportEvery)
		synctest.Wait()
		if now, _ := os.Stat(filepath.Join(dir, pageName)); os.SameFile(before, now) {
			t.Error("the page was not replaced: it says when it was updated")
		}
		if now, _ := os.Stat(filepath.Join(dir, feedName)); !os.SameFile(old, now) {
			t.Error("the feed was replaced, though it is the same")
		}
		stop()
		<-done
	})
}

// TestWrite_unusable tells what is wrong with a directory, leaves what is there, and works again once it is usable.
func TestWrite_unusable(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := newWorld(t, "login").site()
	all := s.current().documents
	taken := filepath.Join(root, "file")
	write(t, taken, "a file")
	for _, dir := range []string{filepath.Join(root, "not", "mounted"), taken, "/proc/self/fdinfo"} {
		w := writer{dir: dir, written: map[string]wrote{}}
		if err := w.write(all); err == nil {
			t.Errorf("%s: no error", dir)
		}
	}
	if got := names(t, root); !slices.Equal(got, []string{"file"}) {
		t.Errorf("left %q", got)
	}

	// What takes the place of a file keeps the others from being written as little as it must: the page is the last one.
	dir := filepath.Join(root, "out")
	if err := os.MkdirAll(filepath.Join(dir, feedName, "taken"), 0o755); err != nil {
		t.Fatal(err)
	}
	w := writer{dir: dir, written: map[string]wrote{}}
	if err := w.write(all); err == nil {
		t.Error("a directory was replaced")
	}
	if got := names(t, dir); slices.Contains(got, pageName) || slices.ContainsFunc(got, func(n string) bool { return strings.HasSuffix(n, ".tmp") }) {
		t.Errorf("left %q", got)
	}
	if err := os.RemoveAll(filepath.Join(dir, feedName)); err != nil {
		t.Fatal(err)
	}
	if err := w.write(all); err != nil {
		t.Errorf("does not work again: %v", err)
	}
	// A file that somebody removed is written again.
	if err := os.Remove(filepath.Join(dir, feedName)); err != nil {
		t.Fatal(err)
	}
	if err := w.write(all); err != nil || !slices.Contains(names(t, dir), feedName) {
		t.Errorf("the feed is missing: %v", err)
	}
	// So is one that somebody replaced, such as another prober.
	write(t, filepath.Join(dir, "theirs"), "older")
	if err := os.Rename(filepath.Join(dir, "theirs"), filepath.Join(dir, feedName)); err != nil {
		t.Fatal(err)
	}
	err := w.write(all)
	if text, _ := os.ReadFile(filepath.Join(dir, feedName)); err != nil || string(text) == "older" {
		t.Errorf("the feed is somebody else's: %v", err)
	}
	if err := w.write(nil); err == nil {
		t.Error("no page is no error")
	}
}

// TestWrite_orphans removes what a process that was killed left, and nothing else.
func TestWrite_orphans(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{".prober-1.tmp", ".prober-2.tmp", "mine.tmp", ".prober-notes"} {
		write(t, filepath.Join(dir, name), "x")
		if name != ".prober-2.tmp" {
			if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	w := newWorld(t, "login")
	if err := w.site().Write(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{".prober-1.tmp": false, ".prober-2.tmp": true, "mine.tmp": true, ".prober-notes": true} {
		if got := slices.Contains(names(t, dir), name); got != want {
			t.Errorf("%s is there: %v, expected %v", name, got, want)
		}
	}
}
