package arch

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"prober/internal/testenv"
)

// build builds the binary as it is shipped.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prober")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./cmd/prober")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := testenv.Run(t, cmd); err != nil {
		t.Fatalf("the binary does not build:\n%s", out)
	}
	return path
}

func TestBinary(t *testing.T) {
	testenv.WithoutRace(t)
	testenv.Slow(t, "it builds the binary")
	path := build(t)
	t.Run("bytes", func(t *testing.T) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d bytes, of at most %d", info.Size(), maxBytes)
		if info.Size() >= maxBytes {
			t.Errorf("the stripped binary has %d bytes, the budget is %d: see what came in with `go version -m`", info.Size(), maxBytes)
		}
	})
	t.Run("templates", func(t *testing.T) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("prober/internal/web.New")) {
			t.Fatal("the binary does not name its functions, so nothing can be told from it")
		}
		if bytes.Contains(text, []byte("text/template.(*state).evalField")) {
			t.Error("something executes templates, which keeps every method of every type in the binary: see docs/decisions/no-templates.md")
		}
	})
	t.Run("modules", func(t *testing.T) {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d modules, of fewer than %d", len(info.Deps), maxModules)
		if len(info.Deps) >= maxModules {
			var names []string
			for _, d := range info.Deps {
				names = append(names, d.Path)
			}
			t.Errorf("%d modules are linked, the budget is fewer than %d:\n%s", len(info.Deps), maxModules, strings.Join(names, "\n"))
		}
	})
	t.Run("uses the manifests", func(t *testing.T) { runManifests(t, path) })
	t.Run("is installed", func(t *testing.T) { runInstall(t, path) })
}

// misplaced finds files at the top of the repository that belong elsewhere.
func misplaced(files []string) (wrong []string) {
	var seen []string
	for _, f := range files {
		top, _, _ := strings.Cut(f, "/")
		if strings.HasPrefix(top, ".") || slices.Contains(topLevel, top) || slices.Contains(seen, top) {
			continue
		}
		seen = append(seen, top)
		wrong = append(wrong, top+" does not belong at the top of the repository: the layout is fixed, see topLevel in internal/arch/rows_test.go")
	}
	return wrong
}

func TestTopLevel(t *testing.T) {
	// Untracked files count too, unless git ignores them.
	cmd := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	cmd.Dir = root
	out, err := testenv.Run(t, cmd)
	if err != nil {
		t.Fatalf("git ls-files: %v; the rule needs a git checkout", err)
	}
	for _, w := range misplaced(strings.FieldsFunc(out, func(c rune) bool { return c == 0 })) {
		t.Error(w)
	}
}

func TestTopLevel_ruleBites(t *testing.T) {
	expectComplaint(t, misplaced([]string{"scripts/a.sh", "scripts/b.sh", "cmd/prober/main.go", ".ci/run", "go.mod"}), "scripts does not belong")
	expectComplaint(t, misplaced([]string{"Dockerfile", "docs/metrics.md"}), "")
}
