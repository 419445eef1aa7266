package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNotices prints those of the prober: every module that is linked has its licence there.
func TestNotices(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := write(&out, "prober/cmd/prober"); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), strings.Repeat("=", 80)+"\nGo go") || !strings.Contains(out.String(), "The Go Authors") {
		t.Errorf("the licence of Go is not the first:\n%.300s", out.String())
	}
	packages, err := linkedInto("prober/cmd/prober")
	if err != nil {
		t.Fatal(err)
	}
	modules := 0
	for _, p := range packages {
		if p.Module == nil || p.ours() {
			continue
		}
		modules++
		_, after, ok := strings.Cut(out.String(), "\n"+p.Module.Path+" "+p.Module.Version+": ")
		if text, _, _ := strings.Cut(after, strings.Repeat("=", 80)); !ok || len(text) < 500 {
			t.Errorf("%s has no notice, or a short one: %q", p.Module.Path, text)
		}
	}
	var names []string
	seen := map[string]bool{}
	for _, notice := range strings.Split(out.String(), strings.Repeat("=", 80)+"\n") {
		head, _, _ := strings.Cut(notice, "\n")
		name, _, ok := strings.Cut(head, ": ")
		if text := head + notice; ok && seen[text] {
			t.Errorf("%s is there twice", head)
		} else {
			seen[text] = true
		}
		if ok && !strings.HasPrefix(name, "Go ") && (len(names) == 0 || names[len(names)-1] != name) {
			names = append(names, name)
		}
	}
	if !slices.IsSorted(names) {
		t.Errorf("the modules are not in their order: %q", names)
	}
	if modules < 10 {
		t.Errorf("only %d packages of other modules are linked", modules)
	}
}

// TestLicences finds those of a part of a module too, and nothing above it.
func TestLicences(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{"LICENSE", "m/LICENSE.txt", "m/NOTICE", "m/license.go", "m/readme", "m/a/COPYING", "m/a/b/Licence-MIT", "m/c/LICENSE"} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("free"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, file := range licences(filepath.Join(dir, "m"), filepath.Join(dir, "m/a/b")) {
		got = append(got, strings.TrimPrefix(file, dir+"/"))
	}
	if want := []string{"m/a/b/Licence-MIT", "m/a/COPYING", "m/LICENSE.txt", "m/NOTICE"}; !slices.Equal(got, want) {
		t.Errorf("got %q, expected %q", got, want)
	}
	if got := licences(filepath.Join(dir, "m/none"), filepath.Join(dir, "m/none")); got != nil {
		t.Errorf("got %q for a module without one", got)
	}
}
