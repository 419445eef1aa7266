package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"prober/internal/testenv"
)

// A source is one parsed file.
type source struct {
	pkg  string // path below the module
	test bool
	fset *token.FileSet
	file *ast.File
}

func (s source) at(n ast.Node) string {
	p := s.fset.Position(n.Pos())
	return fmt.Sprintf("%s/%s:%d", s.pkg, filepath.Base(p.Filename), p.Line)
}

// imports reports whether the file imports a path.
func (s source) imports(path string) bool {
	return slices.ContainsFunc(s.file.Imports, func(i *ast.ImportSpec) bool {
		got, err := strconv.Unquote(i.Path.Value)
		return err == nil && got == path
	})
}

// calls reports whether a node calls name on pkg, as in time.Sleep.
func calls(n ast.Node, pkg, name string) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return pkg == "" || (ok && x.Name == pkg)
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	for _, p := range packages(t) {
		for i, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			s := source{pkg: p.name(), test: i >= len(p.GoFiles), fset: token.NewFileSet()}
			file, err := parser.ParseFile(s.fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Errorf("%s: %v", p.name(), err)
				continue
			}
			s.file = file
			all = append(all, s)
		}
	}
	return all
}

// initFunctions finds code that runs on import.
func initFunctions(s source) (wrong []string) {
	if s.test {
		return nil
	}
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			wrong = append(wrong, s.at(f)+": no init: call a named function where it is needed")
		}
	}
	return wrong
}

// below reports whether a package is the one at a path or lies below it.
func below(pkg, path string) bool { return pkg == path || strings.HasPrefix(pkg, path+"/") }

// ownGoroutines finds goroutines that a probe starts by itself: a panic in one would end the prober, and nothing would
// wait for it. Result.Each recovers, orders and waits.
func ownGoroutines(s source) (wrong []string) {
	if s.test || !below(s.pkg, "probes") {
		return nil
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if _, ok := n.(*ast.GoStmt); ok || calls(n, "", "Go") {
			wrong = append(wrong, s.at(n)+": no goroutine of its own in a probe: use Result.Each, which recovers and waits")
		}
		return true
	})
	return wrong
}

// sleepsInTests finds tests that rely on a sleep. Under testing/synctest a sleep is exact and takes no time.
func sleepsInTests(s source) (wrong []string) {
	if (!s.test && s.pkg != "internal/testenv") || s.imports("testing/synctest") {
		return nil
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if calls(n, "time", "Sleep") {
			wrong = append(wrong, s.at(n)+": no time.Sleep in tests: wait with testenv.Eventually, or fake time with testing/synctest")
		}
		return true
	})
	return wrong
}

// blankImports finds imports for their side effects, such as registering by init. Imports that only bring data are allowed.
func blankImports(s source) (wrong []string) {
	if s.test {
		return nil
	}
	for _, i := range s.file.Imports {
		if i.Name != nil && i.Name.Name == "_" && i.Path.Value != `"embed"` && i.Path.Value != `"time/tzdata"` {
			wrong = append(wrong, s.at(i)+": no import for its side effects: name what is used")
		}
	}
	return wrong
}

// logging finds packages of probes that log or print instead of recording on the Result.
func logging(s source) (wrong []string) {
	if s.test || !below(s.pkg, "probes") && !slices.Contains([]string{"internal/probe", "internal/dial", "internal/httpx", "internal/jsonpath", "internal/secret"}, s.pkg) {
		return nil
	}
	for _, path := range []string{"log", "log/slog"} {
		// A Secret implements slog.LogValuer.
		if s.imports(path) && s.pkg != "internal/secret" {
			wrong = append(wrong, s.at(s.file)+": no logger here: record it on the Result")
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		for _, f := range []string{"Print", "Printf", "Println"} {
			if calls(n, "fmt", f) {
				wrong = append(wrong, s.at(n)+": no printing here: record it on the Result")
			}
		}
		return true
	})
	return wrong
}

func TestSource(t *testing.T) {
	testenv.WithoutRace(t)
	all := sources(t)
	for name, rule := range map[string]func(source) []string{
		"no init":                 initFunctions,
		"no blank imports":        blankImports,
		"no goroutines in probes": ownGoroutines,
		"no sleeping in tests":    sleepsInTests,
		"probes do not log":       logging,
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range all {
				for _, w := range rule(s) {
					t.Error(w)
				}
			}
		})
	}
}

func TestSource_rulesBite(t *testing.T) {
	for _, test := range []struct {
		name string
		rule func(source) []string
		pkg  string
		test bool
		code string
		want string
	}{
		{"init", initFunctions, "config", false, `func init() {}`, "no init"},
		{"method named init", initFunctions, "config", false, `type T int; func (T) init() {}`, ""},
		{"init in a test", initFunctions, "config", true, `func init() {}`, ""},
		{"blank import", blankImports, "probes", false, `import _ "net/http/pprof"`, "side effects"},
		{"embed", blankImports, "config", false, `import _ "embed"`, ""},
		{"go statement", ownGoroutines, "probes/http", false, `func f() { go f() }`, "Result.Each"},
		{"wait group", ownGoroutines, "probes", false, `func f(g interface{ Go(func()) }) { g.Go(nil) }`, "Result.Each"},
		{"go statement elsewhere", ownGoroutines, "internal/schedule", false, `func f() { go f() }`, ""},
		{"sleep", sleepsInTests, "config", true, `import "time"; func f() { time.Sleep(1) }`, "Eventually"},
		{"sleep in a helper of tests", sleepsInTests, "internal/testenv", false, `import "time"; func f() { time.Sleep(1) }`, "Eventually"},
		{"sleep in fake time", sleepsInTests, "config", true, `import ("time"; "testing/synctest"); func f() { synctest.Wait(); time.Sleep(1) }`, ""},
		{"sleep in a program", sleepsInTests, "internal/bench", false, `import "time"; func f() { time.Sleep(1) }`, ""},
		{"logger", logging, "probes/http", false, `import "log/slog"; var _ = slog.Info`, "no logger"},
		{"print", logging, "internal/httpx", false, `import "fmt"; func f() { fmt.Println() }`, "no printing"},
		{"print elsewhere", logging, "cmd/prober", false, `import "fmt"; func f() { fmt.Println() }`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := source{pkg: test.pkg, test: test.test, fset: token.NewFileSet()}
			file, err := parser.ParseFile(s.fset, "x.go", "package x\n"+strings.ReplaceAll(test.code, "; ", "\n"), parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			s.file = file
			expectComplaint(t, test.rule(s), test.want)
		})
	}
}
