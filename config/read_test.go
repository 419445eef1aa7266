package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"prober/config"
	"prober/internal/probe"
	"prober/internal/testenv"
)

// one returns a file with one probe of a name.
func one(system, name string) string {
	return fmt.Sprintf("system: %s\nprobes:\n  - {name: %s, type: ping, hosts: [%s]}\n", system, name, name)
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// names lists the jobs as system/name.
func names(c *config.Config) string {
	var all []string
	for _, j := range c.Jobs {
		all = append(all, j.System+"/"+j.Name)
	}
	return strings.Join(all, " ")
}

func TestLoadReadsFilesAndDirectoriesInOrder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "b.yaml", one("b", "x"))
	write(t, dir, "a.yml", one("a", "x"))
	write(t, dir, "notes.txt", "no configuration")
	write(t, dir, ".hidden.yaml", "no: configuration")
	single := write(t, t.TempDir(), "c.conf", one("c", "x"))
	c, err := config.Load(kinds(), single, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(c); got != "c/x a/x b/x" {
		t.Errorf("got %s", got)
	}
}

func TestTwoFilesOfOneSystemMayDependOnEachOther(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", "system: s\nprobes:\n  - {name: a, type: ping, hosts: [a], depends_on: [b]}\n")
	write(t, dir, "b.yaml", one("s", "b"))
	c, err := config.Load(kinds(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(c); got != "s/a s/b" {
		t.Errorf("got %s", got)
	}
}

// A Kubernetes volume holds links into ..data, itself a link to a directory of the same files that is swapped.
func TestLoadReadsAMountedVolumeOnce(t *testing.T) {
	dir := t.TempDir()
	for version, name := range map[string]string{"..1": "old", "..2": "new"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version), "a.yaml", one("s", name))
	}
	link := func(to, name string) {
		t.Helper()
		temporary := filepath.Join(dir, "..tmp")
		if err := os.Symlink(to, temporary); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temporary, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..1", "..data")
	link("..data/a.yaml", "a.yaml")
	before, err := config.Load(kinds(), dir)
	if err != nil {
		t.Fatal(err)
	}
	files := config.Read(dir)
	link("..2", "..data")
	after, err := config.Load(kinds(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if names(before) != "s/old" || names(after) != "s/new" || before.Hash == after.Hash {
		t.Errorf("got %s (%s), then %s (%s)", names(before), before.Hash, names(after), after.Hash)
	}
	between, err := config.Parse(kinds(), files...)
	if err != nil || names(between) != "s/old" || between.Hash != before.Hash || config.Sum(files...) != before.Hash {
		t.Errorf("bytes once read changed with the files: %v", err)
	}
}

func TestHashIsOfTheBytesAndTheirFiles(t *testing.T) {
	f := func(parts ...string) string {
		var files []config.File
		for _, p := range parts {
			files = append(files, config.File{Data: []byte(p)})
		}
		return config.Sum(files...)
	}
	seen := map[string]bool{}
	for _, sum := range []string{f(), f(""), f("ab"), f("a", "b"), f("b", "a"), f("ab", ""), f("", "ab")} {
		if seen[sum] {
			t.Error("two sets of files have one hash")
		}
		seen[sum] = true
	}
	dir := t.TempDir()
	there := write(t, dir, "a.yaml", one("s", "a"))
	if config.Sum(config.Read(there)...) == config.Sum(config.Read(filepath.Join(dir, "gone.yaml"))...) {
		t.Error("a file that went away did not change the hash")
	}
}

// None of these may be waited for: a FIFO without a writer blocks whoever opens it.
func TestWhatIsNoFileIsRefusedAtOnce(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo.yaml")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken.yaml")
	if err := os.Symlink("nowhere", broken); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	large := write(t, t.TempDir(), "large.yaml", one("s", "a")+strings.Repeat("# filling\n", 2<<20))
	empty := t.TempDir()
	missing := filepath.Join(empty, "none.yaml")
	for path, want := range map[string]string{
		fifo:        "fifo.yaml: not a regular file",
		broken:      "broken.yaml: no such file or directory",
		"/dev/zero": "zero: not a regular file",
		large:       "large.yaml: the configuration is larger than 16 MiB, all files together",
		empty:       ": the directory holds no *.yaml and no *.yml",
		missing:     "none.yaml: no such file or directory",
		dir:         "folder.yaml: not a regular file",
	} {
		_, err := config.Load(kinds(), path)
		if err == nil || !strings.Contains(err.Error()+"\n", want+"\n") {
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
	}
	if _, err := config.Load(kinds()); err == nil {
		t.Error("no path at all was accepted")
	}
}

func TestAFileThatCannotBeReadIsNotTheOnlyMistake(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "a.yaml", "system: s\nprobes:\n  - {name: a, type: ping, hosts: [a], cuont: 1, depends_on: [b]}\n")
	missing := filepath.Join(dir, "b.yaml")
	_, err := config.Load(kinds(), missing, path)
	want := missing + ": no such file or directory\n" + path + ":3: a: unknown key cuont; did you mean count?"
	if err == nil || err.Error() != want { // and nothing of b, which may well be there
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

// many returns the file of a system with so many probes, each with some settings.
func many(system string, count int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "system: %s\nprobes:\n", system)
	for i := range count {
		fmt.Fprintf(&b, "  - name: p%d\n    type: ping\n    interval: 1m\n    timeout: 500ms\n    labels: {team: shop, note: %q}\n    hosts: [h%d.shop.example]\n",
			i, strings.Repeat("n", 100), i)
	}
	return b.String()
}

func TestTenThousandProbesFitIntoOneFile(t *testing.T) {
	testenv.WithoutRace(t)
	testenv.Slow(t, "it reads 10,000 probes")
	path := write(t, t.TempDir(), "many.yaml", many("s", 10_000))
	c, err := config.Load(kinds(), path)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Jobs) != 10_000 {
		t.Errorf("got %d probes", len(c.Jobs))
	}
}

func TestAllFilesTogetherAreBounded(t *testing.T) {
	testenv.WithoutRace(t)
	filling := strings.Repeat("# filling\n", 1<<20) // 10 MiB
	dir := t.TempDir()
	write(t, dir, "a.yaml", one("s", "a")+filling)
	write(t, dir, "b.yaml", one("s", "b")+filling)
	_, err := config.Load(kinds(), dir)
	if want := filepath.Join(dir, "b.yaml") + ": the configuration is larger than 16 MiB, all files together"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}

	short := func(system string) config.File {
		return config.File{Name: system, Data: []byte("system: " + system + "\nprobes: [" + strings.Repeat("{},", 30_000) + "]\n")}
	}
	_, err = config.Parse(kinds(), short("a"), short("b"))
	if want := "b:2: more than 50000 probes, all files together; several probers may share them"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got ...%s, want %s", err.Error()[max(0, len(err.Error())-200):], want)
	}

	values := config.File{Name: "f", Data: []byte(one("s", "a") + "x-list: [" + strings.Repeat("a,", 2_000_000) + "]\n")}
	if _, err = config.Parse(kinds(), values); err == nil || err.Error() != "f: the file holds more than 1000000 values" {
		t.Errorf("got %v", err)
	}
}

// TestObjective: a runbook's objective is that of its probes, with a window of 30 days, and is the same in the effective
// configuration.
func TestObjective(t *testing.T) {
	text := "system: shop\nrunbooks: {front: {slo: {objective: 99.9}}}\nprobes: [{name: a, type: ping, hosts: [a], runbook: front}, {name: b, type: ping, hosts: [b]}]\n"
	want := probe.Objective{Percent: 99.9, Window: 30 * 24 * time.Hour}
	for range 2 {
		c, err := config.Parse(kinds(), config.File{Name: "shop.yaml", Data: []byte(text)})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if c.Jobs[0].SLO != want || !c.Jobs[1].SLO.IsZero() {
			t.Errorf("objectives %+v and %+v, expected %+v for the first", c.Jobs[0].SLO, c.Jobs[1].SLO, want)
		}
		text = string(c.YAML())
	}
}
