package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"prober/internal/testenv"
)

const (
	root   = "../.."
	module = "prober"
)

// A pkg is a package as `go list -json` describes it.
type pkg struct {
	ImportPath                         string
	Dir                                string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports, TestImports, XTestImports []string
}

// name is the path below the module.
func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

func packages(t *testing.T) []pkg {
	t.Helper()
	// -e: the imports of a package that does not build are checked too.
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,GoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root
	var out bytes.Buffer
	cmd.Stdout = &out
	if _, err := testenv.Run(t, cmd); err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(&out); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
	if len(all) < 3 {
		t.Fatalf("go list found %d packages; the rules would hold for want of code", len(all))
	}
	return all
}

// within reports whether an import path is one of the listed paths or lies below one.
func within(path string, listed []string) bool {
	return slices.ContainsFunc(listed, func(l string) bool { return path == l || strings.HasPrefix(path, l+"/") })
}

// foreign reports whether an import path belongs neither to the standard library nor to this module.
func foreign(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, ".")
}

// isKind matches the package of a kind of probe.
var isKind = regexp.MustCompile(`^probes/[a-z0-9]+$`).MatchString

// rowOf returns the row of a package. A kind without a row of its own has that of every kind.
func rowOf(name string) (r row, ok bool) {
	r, ok = rows[name]
	if !ok && isKind(name) && name != "probes/internal" {
		return row{ours: forKinds}, true
	}
	return r, ok
}

// withoutRow finds packages that are not in the table.
func withoutRow(all []pkg) (wrong []string) {
	for _, p := range all {
		if _, ok := rowOf(p.name()); !ok {
			wrong = append(wrong, fmt.Sprintf("%s has no row: decide in internal/arch/rows_test.go what it may import", p.name()))
		}
	}
	return wrong
}

// forbiddenImports finds imports that the package's row does not allow.
func forbiddenImports(all []pkg) (wrong []string) {
	for _, p := range all {
		row, _ := rowOf(p.name())
		for _, path := range p.Imports {
			ours, mine := strings.CutPrefix(path, module+"/")
			switch {
			case mine && p.name() == "probes" && isKind(ours):
			case mine && slices.Contains(forAll, ours):
			case mine && !slices.Contains(row.ours, ours):
				wrong = append(wrong, fmt.Sprintf("%s imports %s: siblings do not see each other; pass in what it needs from cmd/prober", p.name(), ours))
			case foreign(path) && !within(path, row.theirs):
				wrong = append(wrong, fmt.Sprintf("%s imports %s, which is reserved for another package%s", p.name(), path, allowedPackages(path)))
			}
		}
	}
	return wrong
}

// allowedPackages names the packages that may import a path, if there are any.
func allowedPackages(path string) string {
	var names []string
	for name, row := range rows {
		if within(path, row.theirs) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "; none has it in its row"
	}
	slices.Sort(names)
	return ": " + strings.Join(names, ", ")
}

// forbiddenTestImports finds modules in tests that are neither in a row nor in the list for tests, and tests that import
// internal/arch or internal/bench.
func forbiddenTestImports(all []pkg) (wrong []string) {
	allowed := slices.Clone(forTests)
	for _, row := range rows {
		allowed = append(allowed, row.theirs...)
	}
	for _, p := range all {
		for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
			if foreign(path) && !within(path, allowed) {
				wrong = append(wrong, fmt.Sprintf("the tests of %s import %s: do without it, or argue for it in internal/arch/rows_test.go", p.name(), path))
			}
			if ours, mine := strings.CutPrefix(path, module+"/"); mine && p.ImportPath != path && slices.Contains([]string{"internal/arch", "internal/bench"}, ours) {
				wrong = append(wrong, fmt.Sprintf("the tests of %s import %s, which is not a library", p.name(), ours))
			}
		}
	}
	return wrong
}

func TestImports(t *testing.T) {
	all := packages(t)
	for name, rule := range map[string]func([]pkg) []string{
		"every package has a row":                    withoutRow,
		"a package imports what stands in its row":   forbiddenImports,
		"tests import no module of their own choice": forbiddenTestImports,
	} {
		t.Run(name, func(t *testing.T) {
			for _, w := range rule(all) {
				t.Error(w)
			}
		})
	}
}

// Each rule complains about what it forbids, and about nothing else.
func TestImports_rulesBite(t *testing.T) {
	for _, test := range []struct {
		name string
		rule func([]pkg) []string
		pkg  pkg
		want string // part of the one complaint; none if empty
	}{
		{"unknown package", withoutRow, pkg{ImportPath: "prober/internal/util"}, "internal/util has no row"},
		{"known package", withoutRow, pkg{ImportPath: "prober/config"}, ""},
		{"a new kind", withoutRow, pkg{ImportPath: "prober/probes/tcp"}, ""},
		{"a new kind in the table of contents", forbiddenImports, pkg{ImportPath: "prober/probes", Imports: []string{"prober/probes/tcp"}}, ""},
		{"what a new kind may import", forbiddenImports, pkg{ImportPath: "prober/probes/tcp", Imports: []string{"prober/internal/dial", "prober/probes/internal/expect"}}, ""},
		{"a kind that imports another", forbiddenImports, pkg{ImportPath: "prober/probes/tcp", Imports: []string{"prober/probes/http"}}, "probes/tcp imports probes/http"},
		{"another package that imports a kind", forbiddenImports, pkg{ImportPath: "prober/config", Imports: []string{"prober/probes/http"}}, "config imports probes/http"},
		{"a kind with a module of its own choice", forbiddenImports, pkg{ImportPath: "prober/probes/tcp", Imports: []string{"github.com/lib/pq"}}, "none has it"},
		{"config sees probes", forbiddenImports, pkg{ImportPath: "prober/config", Imports: []string{"prober/probes"}}, "config imports probes"},
		{"siblings", forbiddenImports, pkg{ImportPath: "prober/internal/report", Imports: []string{"prober/internal/metrics"}}, "report imports internal/metrics"},
		{"a tool in a program", forbiddenImports, pkg{ImportPath: "prober/cmd/prober", Imports: []string{"prober/internal/testenv"}}, "cmd/prober imports internal/testenv"},
		{"a module by another door", forbiddenImports, pkg{ImportPath: "prober/probes", Imports: []string{"gopkg.in/yaml.v3"}}, "config, internal/alerts"},
		{"a package of a module in part allowed", forbiddenImports, pkg{ImportPath: "prober/internal/metrics", Imports: []string{"github.com/prometheus/common/promslog"}}, "cmd/prober"},
		{"a module that nobody has", forbiddenImports, pkg{ImportPath: "prober/probes", Imports: []string{"k8s.io/client-go/rest"}}, "none has it"},
		{"the name of an allowed module in part", forbiddenImports, pkg{ImportPath: "prober/config", Imports: []string{"gopkg.in/yaml.v3x"}}, "yaml.v3x"},
		{"all allowed", forbiddenImports, pkg{ImportPath: "prober/config", Imports: []string{"io", "prober/internal/probe", "gopkg.in/yaml.v3"}}, ""},
		{"a test's own module", forbiddenTestImports, pkg{ImportPath: "prober/config", TestImports: []string{"github.com/stretchr/testify/assert"}}, "testify"},
		{"an outer test's own module", forbiddenTestImports, pkg{ImportPath: "prober/config", XTestImports: []string{"github.com/stretchr/testify/assert"}}, "testify"},
		{"a test that uses the benchmark", forbiddenTestImports, pkg{ImportPath: "prober/config", TestImports: []string{"prober/internal/bench"}}, "not a library"},
		{"a test's leak detector", forbiddenTestImports, pkg{ImportPath: "prober/config", TestImports: []string{"go.uber.org/goleak", "prober/internal/testenv"}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) { expectComplaint(t, test.rule([]pkg{test.pkg}), test.want) })
	}
}

// expectComplaint checks that a rule complained once with the expected text, or not at all.
func expectComplaint(t *testing.T, wrong []string, want string) {
	t.Helper()
	switch {
	case want == "" && len(wrong) > 0:
		t.Errorf("expected no complaint, got %q", wrong)
	case want != "" && (len(wrong) != 1 || !strings.Contains(wrong[0], want)):
		t.Errorf("expected one complaint with %q, got %q", want, wrong)
	}
}
