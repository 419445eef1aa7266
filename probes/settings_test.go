package probes_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"prober/config"
	"prober/internal/testenv"
	"prober/probes"
)

// TestSettings_refusedAtTheirLines loads <kind>/testdata/settings.yaml, in which every rule of a kind is broken. Each
// mistake must be reported at the line that says "# ERROR" and its message, and no other.
func TestSettings_refusedAtTheirLines(t *testing.T) {
	for kind := range probes.Kinds() {
		t.Run(kind, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(kind, "testdata", "settings.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			want := map[int][]string{}
			for i, line := range strings.Split(string(data), "\n") {
				if _, messages, ok := strings.Cut(line, " # ERROR "); ok {
					want[i+1] = strings.Split(messages, " ERROR ")
				}
			}
			if len(want) == 0 {
				t.Fatal("expected mistakes")
			}
			_, err = config.Parse(probes.Kinds(), config.File{Name: "settings.yaml", Data: data})
			found, ok := errors.AsType[config.Errors](err)
			if !ok {
				t.Fatal(err)
			}
			for _, m := range found {
				path, text, _ := strings.Cut(m.Text, ": ")
				if key, _, _ := strings.Cut(path[strings.LastIndex(path, ".")+1:], "["); strings.HasPrefix(text, key+" ") {
					t.Errorf("says its key twice: %s", m.Text)
				}
				i := slices.Index(want[m.Line], m.Text)
				if i < 0 {
					t.Errorf("not expected there: %s", m.Error())
					continue
				}
				want[m.Line] = slices.Delete(want[m.Line], i, i+1)
			}
			for line, messages := range want {
				for _, text := range messages {
					t.Errorf("settings.yaml:%d: not reported: %s", line, text)
				}
			}
		})
	}
}

// TestSettings_everyRuleIsBroken runs the test above with coverage, and finds the rules of the kinds and of what they
// share that it did not reach: calls of probe.Settingf. A rule that is written otherwise is refused.
func TestSettings_everyRuleIsBroken(t *testing.T) {
	testenv.WithoutRace(t)
	if testing.Short() {
		t.Skip("compiles the kinds once more, with coverage")
	}
	profile := filepath.Join(t.TempDir(), "profile")
	cmd := exec.Command("go", "test", "-count=1", "-run=^TestSettings_refusedAtTheirLines$",
		"-coverpkg=prober/probes/...,prober/internal/httpx,prober/internal/dial,prober/internal/postgres,prober/internal/resp", "-coverprofile="+profile, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	blocks := readProfile(t, profile)
	rules := 0
	for _, pattern := range []string{"*/*.go", "internal/*/*.go", "../internal/httpx/*.go", "../internal/dial/*.go", "../internal/postgres/*.go", "../internal/resp/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files (%v)", pattern, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, r := range readRules(t, file) {
				rules++
				if r.wrong != "" {
					t.Errorf("%s: %s", r.at, r.wrong)
				} else if !reached(blocks, r.at) {
					t.Errorf("%s: no testdata/settings.yaml breaks this rule", r.at)
				}
			}
		}
	}
	if rules < 100 {
		t.Errorf("found %d rules; expected those of all kinds", rules)
	}
}

// A block is a part of a file that runs as a whole.
type block struct {
	file                     string // path below the module
	line, col, toLine, toCol int
	count                    int
}

func readProfile(t *testing.T, path string) (blocks []block) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		name, rest, ok := strings.Cut(line, ":")
		if !ok || name == "mode" {
			continue
		}
		b := block{file: strings.TrimPrefix(name, "prober/")}
		var statements int
		if _, err := fmt.Sscanf(rest, "%d.%d,%d.%d %d %d", &b.line, &b.col, &b.toLine, &b.toCol, &statements, &b.count); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// reached reports whether the smallest block that holds a position ran.
func reached(blocks []block, at token.Position) bool {
	file := strings.TrimPrefix(filepath.Join("probes", at.Filename), "../")
	var smallest *block
	for i, b := range blocks {
		begins := b.line < at.Line || b.line == at.Line && b.col <= at.Column
		ends := b.toLine > at.Line || b.toLine == at.Line && b.toCol >= at.Column
		if b.file != file || !begins || !ends {
			continue
		}
		if smallest == nil || b.line > smallest.line || b.line == smallest.line && b.col > smallest.col {
			smallest = &blocks[i]
		}
	}
	return smallest != nil && smallest.count > 0
}

// A rule is where a setting is refused.
type rule struct {
	at    token.Position
	wrong string // why it is none
}

// readRules lists the rules of a file, and what is written as none in a function that validates.
func readRules(t *testing.T, file string) (rules []rule) {
	t.Helper()
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range parsed.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		validates := strings.HasPrefix(strings.ToLower(f.Name.Name), "validate")
		ast.Inspect(f, func(n ast.Node) bool {
			name := ""
			switch n := n.(type) {
			case *ast.CallExpr:
				name = selector(n.Fun)
			case *ast.CompositeLit:
				name = selector(n.Type)
			}
			switch {
			case name == "probe.Settingf":
				rules = append(rules, rule{at: files.Position(n.Pos())})
			case name == "probe.SettingError":
				rules = append(rules, rule{files.Position(n.Pos()), "use probe.Settingf, so that this rule is found"})
			case validates && (name == "errors.New" || name == "fmt.Errorf"):
				rules = append(rules, rule{files.Position(n.Pos()), "use probe.Settingf, which says the setting"})
			}
			return true
		})
	}
	return rules
}

func selector(e ast.Expr) string {
	if s, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok {
			return x.Name + "." + s.Sel.Name
		}
	}
	return ""
}
