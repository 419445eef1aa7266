package probes_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"prober/config"
	"prober/internal/probe"
	"prober/probes"
)

// TestSettings_refusedAtTheirLines loads <kind>/testdata/settings.yaml, in which every rule of a kind is broken. Each
// mistake must be reported at the line that says "# ERROR" and its message, and no other, and no rule is left that none of the files
// broke.
func TestSettings_refusedAtTheirLines(t *testing.T) {
	rulesBroken.Clear()
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
	t.Run("every rule is broken", everyRuleIsBroken)
}

// A place is a line of a file of the module.
type place struct {
	file string // its path below the module
	line int
}

// rulesBroken has the places that called probe.Settingf since it was cleared.
var rulesBroken sync.Map

func TestMain(m *testing.M) {
	_, here, _, _ := runtime.Caller(0)
	module := strings.TrimSuffix(here, "probes/settings_test.go")
	probe.OnSettingf = func() {
		_, file, line, _ := runtime.Caller(2)
		rulesBroken.Store(place{strings.TrimPrefix(file, module), line}, true)
	}
	os.Exit(m.Run())
}

// everyRuleIsBroken finds the rules of the kinds and of what they share that were not reached by the files that break all of them: calls
// of probe.Settingf. A rule that is written otherwise is refused.
func everyRuleIsBroken(t *testing.T) {
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
				} else if _, broken := rulesBroken.Load(r.place()); !broken {
					t.Errorf("%s: no testdata/settings.yaml breaks this rule", r.at)
				}
			}
		}
	}
	if rules < 100 {
		t.Errorf("found %d rules; expected those of all kinds", rules)
	}
}

// A rule is where a setting is refused.
type rule struct {
	at    token.Position
	wrong string // why it is none
}

func (r rule) place() place {
	return place{strings.TrimPrefix(filepath.Join("probes", r.at.Filename), "../"), r.at.Line}
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
