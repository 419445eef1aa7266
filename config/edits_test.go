package config_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"prober/config"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes"
)

// An editor writes configurations and changes them as people do.
type editor struct{ *rand.Rand }

func (r editor) of(all ...string) string { return all[r.IntN(len(all))] }

func (r editor) maybe(all ...string) string {
	if r.IntN(2) == 0 {
		return ""
	}
	return r.of(all...)
}

func (r editor) rarely(text string) string {
	if r.IntN(12) > 0 {
		return ""
	}
	return text
}

// header is what a file says before its probes.
func (r editor) header(system string) string {
	return "system: " + system + "\n" + r.maybe("title: Shop\n", "title: Store\n", "impact: none can pay\n") + r.maybe("interval: 60s\n", "interval: 20s\n") + r.maybe("timeout: 4s\n", "timeout: 9s\n") +
		r.maybe("labels: {env: prod}\n", "labels: {env: test, zone: a}\n", "labels: &l {env: a}\n") +
		"runbooks:\n  down: {severity: " + r.of("P1", "P2") + r.maybe(", url: 'https://docs.example.com/r'", ", title: Down") + "}\n" +
		r.maybe("severities:\n  P2: {respond: at once}\n") + r.maybe("maintenance:\n  - {weekly: Sun 02:00-04:00, zone: UTC}\n", "maintenance:\n  - {weekly: Mon 02:00-04:00, zone: UTC}\n") +
		r.maybe("x-up: &up {latency: 2s}\n", "# of header\n")
}

// footer is what a file says after its probes.
func (r editor) footer() string {
	return r.rarely("public: {title: Shop, url: 'https://status.example.com/', components: [{name: All, probes: [p1]}]}\n") + r.maybe("x-after: 1\n", "# the end\n", "\n\n", "x-text: |\n  probes:\n    - a\n", "x-list:\n- a\n- b\n")
}

// entry is a probe.
func (r editor) entry(n int) string {
	name, host := fmt.Sprint("p", n), fmt.Sprintf("192.0.2.%d", r.IntN(3)+4*n)
	more := r.maybe("    runbook: down\n") + r.maybe("    severity: P1\n") + r.maybe("    interval: 30s\n", "    interval: 15s\n") + r.maybe("    timeout: 2s\n", "    timeout: 8s\n") +
		r.maybe("    labels: {team: a}\n", "    labels: {team: b}\n", "    labels: &t {team: c}\n", "    labels: {team: &t d, s: *t}\n", "    labels: {<<: {a: b}, c: d}\n") + r.rarely("    labels: *t\n") + r.rarely(fmt.Sprintf("    depends_on: [p%d]\n", n/6*6)) +
		r.maybe(fmt.Sprintf("    signals: {status: 'p%d_up'}\n", n)) + r.maybe("    title: It\n", "    description: |\n      - it\n      * and *that*\n", "    impact: >-\n      much\n\n\n")
	switch r.IntN(7) {
	case 0:
		return "  - {name: " + name + ", type: tcp, address: '" + host + ":80'}\n"
	case 1:
		return "  - name: " + name + "\n    type: dns\n    server: " + host + "\n    query: example.com\n" + strings.Replace(more, "status: ", "answer: ", 1)
	case 2:
		return "  - name: " + name + "\n    type: http\n    url: https://" + host + "/\n    bearer: " + r.of("{file: token}", "{env: PROBER_TEST_EDITS}") + "\n" + more + r.maybe("    expect: {latency: 1s}\n", "    expect: {latency: 3s}\n") + r.rarely("    expect: *up\n")
	case 3:
		return "  -\n    name: " + name + "\n    type: http\n    url: http://" + host + "/\n" + more
	case 4:
		return "  - {name: list" + fmt.Sprint(n) + ", type: targets, file: [targets.json], want: 1" + r.maybe(", within: [192.0.2.0/24]") + "}\n  - for_each: list" + fmt.Sprint(n) + "\n    name: \"t" + fmt.Sprint(n) + "-{host}\"\n    type: " +
			r.of("http\n    url: \"https://{target}/\"\n", "tcp\n    address: \"{target}\"\n", "http\n    url: \"https://{target}/{label.path}\"\n") + r.maybe("    labels: {at: \"{host}\"}\n", "    runbook: down\n", "    labels: *t\n")
	case 5:
		return "  # before " + name + "\n  - name: " + name + "\n\n    type: http\n    url: \"http://" + host + "/\"\n" + more + "\n"
	}
	return "  - name: " + name + "\n    type: http\n    url: http://" + host + "/\n" + more
}

// A page is a file that has its parts, so that entries can be moved.
type page struct {
	head, foot string
	entries    []string
	whole      func(string) string
}

func (w *page) text() string {
	return w.whole(w.head + "probes:\n" + strings.Join(w.entries, "") + w.foot)
}

func (r editor) file(system string, from, n int) *page {
	w := &page{head: r.header(system), foot: r.footer(), whole: func(s string) string { return s }}
	for i := range n {
		w.entries = append(w.entries, r.entry(from+i))
	}
	return w
}

// edit changes one thing.
func (r editor) edit(files map[string]*page) {
	names := slices.Sorted(maps.Keys(files))
	name := names[r.IntN(len(names))]
	f := files[name]
	other := files[names[r.IntN(len(names))]]
	i := -1
	if len(f.entries) > 0 {
		i = max(r.IntN(len(f.entries)), len(f.entries)-1-r.IntN(6))
	}
	switch n := r.IntN(16); {
	case n == 0:
		f.head = r.header(r.of("shop", "pay"))
	case n == 1:
		f.foot = r.footer()
	case n == 2:
		f.head, other.head = other.head, f.head
	case n == 3:
		delete(files, name)
		files[r.of("a", "b", "c")+".yaml"] = f
	case n == 4:
		w := []func(string) string{
			func(s string) string { return s },
			func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
			func(s string) string { return "\ufeff" + s },
			func(s string) string { return "---\n" + s + "...\n" },
			func(s string) string { return s + "---\nx: 1\n" },
			func(s string) string { return strings.TrimRight(s, "\n") },
			func(s string) string { return "%YAML 1.1\n---\n" + s },
			func(s string) string { return strings.ReplaceAll(s, "\n  ", "\n") }, // the list at the margin
			func(s string) string { return "" },
		}
		f.whole = w[r.IntN(len(w))]
	case n == 5:
		lines := strings.SplitAfter(f.head, "\n")
		k := r.IntN(len(lines))
		f.head = strings.Join(slices.Delete(lines, k, k+1), "")
	case i < 0:
		f.entries = append(f.entries, r.entry(r.IntN(12)))
	case n == 6:
		f.entries = slices.Delete(f.entries, i, i+1)
	case n == 7:
		f.entries = append(f.entries, r.entry(r.IntN(12)))
	case n == 8:
		f.entries = slices.Insert(f.entries, i, r.entry(r.IntN(12)))
	case n == 9:
		f.entries[i] = r.entry(r.IntN(12))
	case n == 10:
		e := f.entries[i]
		f.entries = slices.Delete(f.entries, i, i+1)
		other.entries = append(other.entries, e)
	case n == 11:
		other.entries = append(other.entries, f.entries[i]) // twice
	case n == 12:
		r.Shuffle(len(f.entries), func(i, j int) { f.entries[i], f.entries[j] = f.entries[j], f.entries[i] })
	case n == 13:
		f.entries[i] += r.of("  # more\n", "\n", "#\n")
	case n == 14:
		e := f.entries[i]
		at := r.IntN(len(e) + 1)
		f.entries[i] = e[:at] + r.of("\"", "'", " ", "\n", "#", "*", "&", "- ", ": ", "|", "}", "\t", "x", "*t", "\u2028", "\x00", "!") + e[at:]
	default:
		lines := strings.SplitAfter(f.entries[i], "\n")
		k := r.IntN(len(lines))
		f.entries[i] = strings.Join(slices.Delete(lines, k, k+1), "")
	}
}

// Whatever is edited, a reload comes to what a start comes to, and no probe is that of two jobs or of another question.
func TestReparse_edits(t *testing.T) {
	testenv.WithoutRace(t)
	t.Setenv("PROBER_TEST_EDITS", "x")
	dir := t.TempDir()
	kinds := probes.Kinds()
	maps.DeleteFunc(kinds, func(name string, _ probe.Kind) bool {
		return !slices.Contains([]string{"http", "tcp", "dns", "targets"}, name)
	})
	seeds := 3
	if n, _ := strconv.Atoi(os.Getenv("PROBER_TEST_EDITS_SEEDS")); n > 0 { // for more
		seeds = n
	}
	kept, made, refused, right := 0, 0, 0, 0
	for seed := range seeds {
		r := editor{rand.New(rand.NewPCG(uint64(seed), 1))}
		files := map[string]*page{}
		for i, name := range []string{"a.yaml", "b.yaml"}[:1+r.IntN(2)] {
			files[name] = r.file([]string{"shop", "pay"}[i], 6*i, 1+r.IntN(5))
			if r.IntN(3) == 0 { // a file is read a hundred entries at a time
				for n := range 97 + r.IntN(3) {
					files[name].entries = slices.Insert(files[name].entries, 0, fmt.Sprintf("  - {name: f%d, type: tcp, address: '198.51.100.%d:80'}\n", n, n))
				}
			}
		}
		running := &config.Config{}
		var lists map[probe.Key][]probe.Target
		for step := range 16 {
			before := map[string]*page{}
			for k, v := range files {
				c := *v
				c.entries = slices.Clone(v.entries)
				before[k] = &c
			}
			if step > 0 {
				for range 1 + r.IntN(2) {
					r.edit(files)
				}
			}
			var in []config.File
			for _, name := range slices.Sorted(maps.Keys(files)) {
				in = append(in, config.File{Name: filepath.Join(dir, name), Data: []byte(files[name].text())})
			}
			want, wantErr := config.Parse(kinds, in...)
			got, err := running.Reparse(kinds, in...)
			if fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Fatalf("seed %d, step %d: got the error\n%v\nexpected\n%v\n%s", seed, step, err, wantErr, shown(files))
			}
			if err != nil {
				refused++
				if r.IntN(20) > 0 { // the mistake is taken back
					files = before
				}
				continue
			}
			right++
			if lists == nil || r.IntN(3) == 0 {
				lists = map[probe.Key][]probe.Target{}
				for _, system := range []string{"shop", "pay"} {
					for n := range 12 {
						var list []probe.Target
						for range r.IntN(4) {
							list = append(list, probe.Target{Address: fmt.Sprintf("192.0.2.%d:80", 100+r.IntN(5)), Labels: map[string]string{"path": r.of("a", "b")}})
						}
						lists[probe.Key{System: system, Name: fmt.Sprint("list", n)}] = list
					}
				}
			}
			got, want = got.Expand(maps.Clone(lists)), want.Expand(maps.Clone(lists))
			if got, want := wholeOf(t, got), wholeOf(t, want); got != want {
				t.Fatalf("seed %d, step %d: got\n%s\nexpected\n%s\n%s", seed, step, got, want, shown(files))
			}
			old := map[probe.Probe]probe.Job{}
			for _, j := range running.Jobs {
				old[j.Probe] = j
			}
			once := map[probe.Probe]bool{}
			for _, j := range got.Jobs {
				if once[j.Probe] {
					t.Fatalf("seed %d, step %d: %s has the probe of another", seed, step, j.Name)
				}
				once[j.Probe] = true
				was, same := old[j.Probe]
				if same && (was.Settings != j.Settings || was.Versions != j.Versions || was.Type != j.Type || was.Key() != j.Key()) {
					t.Fatalf("seed %d, step %d: %s has the probe of %s", seed, step, j.Key(), was.Key())
				}
				if same {
					kept++
				} else {
					made++
				}
			}
			running = got
		}
	}
	t.Logf("kept %d, made %d, refused %d, right %d", kept, made, refused, right)
}

func wholeOf(t *testing.T, c *config.Config) string {
	t.Helper()
	return strings.ReplaceAll(whole(t, c), "\r", "")
}

func shown(files map[string]*page) (all string) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		all += "== " + name + "\n" + files[name].text()
	}
	return all
}
