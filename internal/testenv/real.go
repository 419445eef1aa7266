package testenv

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// realRuns is the variable with which `make test-real` asks for the tests whose servers take minutes to build or to
// install. It says how often a sound server must pass.
const realRuns = "PROBER_TEST_REAL"

// Real skips a test whose server takes minutes to build or to install, unless `make test-real` runs it.
func Real(t testing.TB) {
	t.Helper()
	if !IsReal() {
		t.Skip("skipped: its server takes minutes to build or to install; `make test-real` runs it")
	}
}

// IsReal reports whether `make test-real` runs the tests.
func IsReal() bool { return os.Getenv(realRuns) != "" }

// Runs returns how often a sound server must pass: under `make test-real` as often as that says, and else just often
// enough to show that a run leaves the server as it was.
func Runs() string { return cmp.Or(os.Getenv(realRuns), "3") }

// buildModule returns the program that the Go module in a folder beside this file builds. It is kept outside of the
// repository and built again only if its sources have changed.
func buildModule(t testing.TB, name string) string {
	t.Helper()
	return build(t, name, filepath.Join(cacheDir(), "bin", name), ".")
}

// RuleTools are the paths of programs that evaluate rules, beside Debian's promtool.
type RuleTools struct {
	Promtool string // of Prometheus 3
	VMAlert  string // vmalert-tool of VictoriaMetrics
}

// BuildRuleTools builds them.
func BuildRuleTools(t testing.TB) RuleTools {
	t.Helper()
	Real(t)
	bin := filepath.Join(cacheDir(), "bin")
	return RuleTools{
		Promtool: build(t, "prometheus", filepath.Join(bin, "promtool"), "github.com/prometheus/prometheus/cmd/promtool"),
		VMAlert:  build(t, "vmalert", filepath.Join(bin, "vmalert-tool"), "tool"),
	}
}

// BuildPrometheus builds the server of Prometheus 3 and returns its path.
func BuildPrometheus(t testing.TB) string {
	t.Helper()
	Real(t)
	return build(t, "prometheus", filepath.Join(cacheDir(), "bin", "prometheus"), "github.com/prometheus/prometheus/cmd/prometheus")
}

// build builds a package of the module in a folder beside this file. The tag keeps service discovery out of Prometheus and
// promtool, which is most of them.
func build(t testing.TB, folder, program, pkg string) string {
	t.Helper()
	module, err := exec.Command("go", "env", "GOMOD").Output() // a test runs in the folder of its package
	if err != nil {
		t.Fatalf("go env GOMOD: %v", err)
	}
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "remove_all_sd", "-o", program, pkg)
	cmd.Dir = filepath.Join(filepath.Dir(string(module)), "internal", "testenv", folder)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := Run(t, cmd); err != nil {
		t.Fatalf("%s does not build: %v\n%s", folder, err, out)
	}
	return program
}

// cacheDir is where install.sh puts what the tests run.
func cacheDir() string {
	return filepath.Join(cmp.Or(os.Getenv("XDG_CACHE_HOME"), filepath.Join(os.Getenv("HOME"), ".cache")), "prober-test")
}
