package arch

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"prober/internal/testenv"
)

// A composeFile has the fields of config/deploy/compose.yaml that the rules check.
type composeFile struct{ Services map[string]composeService }

type composeService struct {
	Command  []string
	User     string
	ReadOnly bool     `yaml:"read_only"`
	CapDrop  []string `yaml:"cap_drop"`
	CapAdd   []string `yaml:"cap_add"`
	Security []string `yaml:"security_opt"`
	Memory   string   `yaml:"mem_limit"`
	Pids     int      `yaml:"pids_limit"`
	Ports    []string
	Volumes  []string
	Env      map[string]string `yaml:"environment"`
	Others   map[string]any    `yaml:",inline"`
}

// deployed reads a file of config/deploy.
func deployed(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(root + "/config/deploy/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func compose(t *testing.T, text string) (c composeFile) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// excessRights finds what a service of a compose file may do and need not.
func excessRights(s composeService) (wrong []string) {
	say := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	say(!regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(s.User), "user: expected a number that is not root, got %q", s.User)
	say(!s.ReadOnly, "read_only: expected true")
	say(!slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0, "capabilities: expected all dropped and none added")
	say(!slices.Equal(s.Security, []string{"no-new-privileges:true"}), "security_opt: expected no-new-privileges")
	say(s.Memory == "" || s.Pids == 0, "expected limits of memory and processes")
	for _, port := range s.Ports {
		say(!strings.HasPrefix(port, "127.0.0.1:"), "port %s: expected it on loopback", port)
	}
	for _, volume := range s.Volumes {
		parts := strings.Split(volume, ":")
		state := len(parts) == 2 && (parts[1] == "/var/lib/prober" || parts[1] == "/prometheus")
		say(!state && parts[len(parts)-1] != "ro", "volume %s: expected ro", volume)
		say(strings.HasPrefix(volume, "/"), "volume %s: a prober needs nothing of the host", volume)
	}
	for _, key := range []string{"privileged", "network_mode", "pid", "devices"} {
		say(s.Others[key] != nil, "%s: a prober does not need it", key)
	}
	return wrong
}

func TestCompose(t *testing.T) {
	c := compose(t, deployed(t, "compose.yaml"))
	for _, name := range []string{"prober", "prometheus"} {
		s, ok := c.Services[name]
		if !ok {
			t.Errorf("there is no service %s", name)
		}
		for _, w := range excessRights(s) {
			t.Errorf("%s: %s", name, w)
		}
	}
	if c.Services["prober"].Env["GOMEMLIMIT"] == "" {
		t.Error("prober: expected GOMEMLIMIT below the memory limit")
	}
	for name, harm := range map[string]func(string) string{
		"user:":        func(text string) string { return strings.Replace(text, `user: "65532:65532"`, `user: "0:0"`, 1) },
		"read_only":    func(text string) string { return strings.Replace(text, "read_only: true", "read_only: false", 1) },
		"capabilities": func(text string) string { return strings.Replace(text, "cap_drop", "cap_add", 1) },
		"security_opt": func(text string) string {
			return strings.Replace(text, "no-new-privileges:true", "seccomp:unconfined", 1)
		},
		"limits":      func(text string) string { return strings.Replace(text, "mem_limit", "shm_size", 1) },
		"on loopback": func(text string) string { return strings.Replace(text, "127.0.0.1:9798:9798", "9798:9798", 1) },
		"expected ro": func(text string) string { return strings.Replace(text, "/etc/prober:ro", "/etc/prober", 1) },
		"of the host": func(text string) string { return strings.Replace(text, "./prober:", "/var/run:", 1) },
		"privileged": func(text string) string {
			return strings.Replace(text, "restart:", "privileged: true\n    restart:", 1)
		},
	} {
		expectComplaint(t, excessRights(compose(t, harm(deployed(t, "compose.yaml"))).Services["prober"]), name)
	}
}

// hostArgs returns the arguments with which the shipped files start the prober on a host.
func hostArgs(t *testing.T) map[string][]string {
	t.Helper()
	start := regexp.MustCompile(`(?m)^ExecStart=\S+ (.*)$`).FindStringSubmatch(deployed(t, "prober.service"))
	if start == nil {
		t.Fatal("prober.service starts nothing")
	}
	return map[string][]string{
		"prober.service": strings.Fields(start[1]),
		"compose.yaml":   compose(t, deployed(t, "compose.yaml")).Services["prober"].Command,
	}
}

// TestUnit has systemd verify the unit and rate how much the service may do.
func TestUnit(t *testing.T) {
	analyze := testenv.Need(t, "systemd-analyze")
	unit := strings.Replace(deployed(t, "prober.service"), "/usr/local/bin/prober", "/bin/true", 1)
	if got := verifyUnit(t, analyze, unit); got != "" {
		t.Error(got)
	}
	for harm, changed := range map[string]string{
		"Unknown key": strings.Replace(unit, "PrivateTmp=", "PrivateTemp=", 1),
		"exposure":    regexp.MustCompile(`(?m)^(CapabilityBoundingSet|SystemCall|Restrict|Private|Protect).*$`).ReplaceAllString(unit, ""),
	} {
		if got := verifyUnit(t, analyze, changed); !strings.Contains(got, harm) {
			t.Errorf("expected a complaint with %q, got %q", harm, got)
		}
	}
}

// verifyUnit returns what systemd says of a unit: its mistakes, or an exposure above 2 of 10.
func verifyUnit(t *testing.T, analyze, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "prober.service")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", file).CombinedOutput(); err != nil || len(out) > 0 {
		return fmt.Sprintf("%v: %s", err, out)
	}
	if out, err := exec.Command(analyze, "security", "--offline=yes", "--threshold=20", "--no-pager", file).CombinedOutput(); err != nil {
		return fmt.Sprintf("%v: %s", err, out)
	}
	return ""
}

// TestKustomization requires the resources of the base to exist, and each shipped manifest to be one or to be explained.
func TestKustomization(t *testing.T) {
	text := deployed(t, "kustomization.yaml")
	var base struct {
		Kind      string
		Resources []string
	}
	if err := yaml.Unmarshal([]byte(text), &base); err != nil || base.Kind != "Kustomization" || len(base.Resources) == 0 {
		t.Fatalf("%+v, %v", base, err)
	}
	all := manifests(t)
	for _, name := range base.Resources {
		if len(all[name]) == 0 {
			t.Errorf("%s does not exist, or has no objects", name)
		}
	}
	for name := range maps.Keys(all) {
		if !strings.Contains(text, name) {
			t.Errorf("kustomization.yaml does not say why it leaves %s out", name)
		}
	}
}

// runInstall has make install the binary, and looks whether what should be there is, for everybody to read.
func runInstall(t *testing.T, binary string) {
	dir := t.TempDir()
	install := func(args ...string) (string, error) {
		return testenv.Run(t, exec.Command("make", append([]string{"-s", "-C", root, "install", "DESTDIR=" + dir, "PREFIX=/usr"}, args...)...))
	}
	if out, err := install("BINARY=" + dir + "/missing"); err == nil || !strings.Contains(out, "make build") {
		t.Errorf("without a binary: %v, %s", err, out)
	}
	if out, err := install("BINARY=" + binary); err != nil {
		t.Fatalf("make install: %v\n%s", err, out)
	}
	for file, part := range map[string]string{
		"/usr/bin/prober": "", "/usr/share/bash-completion/completions/prober": "complete", "/usr/share/zsh/site-functions/_prober": "#compdef prober",
		"/usr/share/fish/vendor_completions.d/prober.fish": "complete -c prober", "/etc/systemd/system/prober.service": "ExecStart=/usr/bin/prober ",
	} {
		b, err := os.ReadFile(dir + file)
		if err != nil || len(b) == 0 || !strings.Contains(string(b), part) {
			t.Errorf("%s: expected %q in it, got %d bytes, %v", file, part, len(b), err)
			continue
		}
		if info, err := os.Stat(dir + file); err != nil || info.Mode().Perm()&0o044 != 0o044 {
			t.Errorf("%s: not everybody may read it: %v, %v", file, info.Mode(), err)
		}
	}
}
