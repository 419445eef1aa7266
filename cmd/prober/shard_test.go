package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"prober/internal/testenv"
)

// A countingTarget answers every request and counts them by path.
type countingTarget struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int
}

func newCountingTarget(t *testing.T) *countingTarget {
	c := &countingTarget{asked: map[string]int{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.asked[r.URL.Path]++
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *countingTarget) of(path string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[path]
}

const (
	shards      = 3
	shardProbes = 24
)

// shardConfig has probes of the target that depend on the one before them.
func (c *countingTarget) shardConfig(interval string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "system: shop\ninterval: %s\ntimeout: 1s\nprobes:\n", interval)
	for i := range shardProbes {
		fmt.Fprintf(&b, "  - {name: p%02d, type: http, url: %q", i, fmt.Sprintf("%s/p%02d", c.URL, i))
		if i > 0 {
			fmt.Fprintf(&b, ", depends_on: [p%02d]", i-1)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// Three processes with --once ask everything exactly once.
func TestShards_once(t *testing.T) {
	target := newCountingTarget(t)
	file := "--config.file=" + writeFile(t, t.TempDir(), "prober.yaml", target.shardConfig("1m"))
	for i := range shards {
		out := outputOf(t, "--once", "-v", fmt.Sprintf("--shard=%d/%d", i, shards), file)
		if strings.Count(out, "ok ") < 2 {
			t.Errorf("shard %d did next to nothing:\n%s", i, out)
		}
	}
	for i := range shardProbes {
		if n := target.of(fmt.Sprintf("/p%02d", i)); n != 1 {
			t.Errorf("p%02d was asked %d times, want once", i, n)
		}
	}
}

// A shard without probes proves nothing: it does not pass.
func TestShards_onceEmpty(t *testing.T) {
	target := newCountingTarget(t)
	file := writeFile(t, t.TempDir(), "prober.yaml", fmt.Sprintf("system: shop\nprobes:\n  - {name: up, type: http, url: %q}\n", target.URL))
	passed, empty := 0, 0
	for i := range shards {
		cmd := exec.Command(os.Args[0], "--once", "--config.file="+file, fmt.Sprintf("--shard=%d/%d", i, shards))
		cmd.Env = append(os.Environ(), asProber+"=1")
		out, err := cmd.CombinedOutput()
		switch {
		case err == nil:
			passed++
		case cmd.ProcessState.ExitCode() == exitInconclusive && strings.Contains(string(out), "none of the selected probes is of shard"):
			empty++
		default:
			t.Errorf("shard %d: %v\n%s", i, err, out)
		}
	}
	if passed != 1 || empty != shards-1 {
		t.Errorf("%d shards passed and %d had nothing to do", passed, empty)
	}
}

// Three processes that serve divide the probes, and the page and the metrics of each say which part it runs.
func TestShards_serve(t *testing.T) {
	target := newCountingTarget(t)
	const interval = 2 * time.Second
	file := "--config.file=" + writeFile(t, t.TempDir(), "prober.yaml", target.shardConfig(interval.String()))
	var probers []*running
	began := time.Now()
	for i := range shards {
		probers = append(probers, start(t, nil, fmt.Sprintf("--shard=%d/%d", i, shards), file))
	}
	testenv.Eventually(t, 60*time.Second, func(context.Context) error {
		for i := range shardProbes {
			if path := fmt.Sprintf("/p%02d", i); target.of(path) < 3 {
				return fmt.Errorf("%s was asked %d times", path, target.of(path))
			}
		}
		return nil
	})
	for i := range shardProbes { // a probe in two shards would be asked twice as often
		path := fmt.Sprintf("/p%02d", i)
		if n, due := target.of(path), int(time.Since(began)/interval)+2; n > due {
			t.Errorf("%s was asked %d times, want at most %d", path, n, due)
		}
	}
	home, all := map[string]int{}, 0
	for i, p := range probers {
		p.waitForMetric(t, fmt.Sprintf(`prober_shards{shard="%d"} %d`, i, shards))
		_, exposition, err := p.get("/metrics")
		if err != nil {
			t.Fatal(err)
		}
		here := 0
		for n := range shardProbes {
			name := fmt.Sprintf("p%02d", n)
			if !strings.Contains(exposition, fmt.Sprintf("probe=%q", name)) {
				continue
			}
			if other, twice := home[name]; twice {
				t.Errorf("the shards %d and %d both run %s", other, i, name)
			}
			home[name] = i
			here++
		}
		all += here
		_, page, err := p.get("/")
		if want := fmt.Sprintf("One of 3 probers that divide the probes: this one, shard %d/3, runs %d of them, and the others %d.", i, here, shardProbes-here); err != nil || !strings.Contains(page, want) {
			t.Errorf("the page of shard %d does not say %q: %v", i, want, err)
		}
	}
	if all != shardProbes {
		t.Errorf("%d of %d probes are exported", all, shardProbes)
	}
	for n := 1; n < shardProbes; n++ { // what a probe depends on may run elsewhere
		name, before := fmt.Sprintf("p%02d", n), fmt.Sprintf("p%02d", n-1)
		own, other := home[name], home[before]
		if own == other {
			continue
		}
		if _, page, err := probers[own].get("/probes/shop/" + name); err != nil || !strings.Contains(page, fmt.Sprintf("runs in shard %d/3", other)) {
			t.Errorf("the page of %s does not say where %s runs: %v", name, before, err)
		}
		req, _ := http.NewRequest(http.MethodGet, probers[own].url+"/probes/shop/"+before, nil)
		req.Header.Set("Accept", "text/html")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprintf("%s runs in shard %d/3", before, other); resp.StatusCode != http.StatusNotFound || !strings.Contains(string(body), want) {
			t.Errorf("%d, without %q", resp.StatusCode, want)
		}
		break
	}
	if status, page, _ := probers[0].get("/probes/shop/nowhere"); status != http.StatusNotFound || strings.Contains(page, "shard") {
		t.Errorf("a probe that does not exist is said to run elsewhere: %d", status)
	}
}

// What only all probes of a system together tell is left to Prometheus.
func TestShards_refused(t *testing.T) {
	for _, flag := range []string{"--alertmanager.url=http://127.0.0.1:9093", "--webhook.url=http://127.0.0.1/x", "--web.public-listen-address=127.0.0.1:0", "--public.export-path=/tmp", "--shard=3/3", "--shard=1"} {
		cmd := exec.Command(os.Args[0], "--shard=0/3", flag, "--config.file=/dev/null")
		cmd.Env = append(os.Environ(), asProber+"=1")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != exitUsage || !strings.Contains(string(out), "shard") {
			t.Errorf("%s: %v, %s", flag, err, out)
		}
	}
}

// TestShards_lost has promtool say that the rules tell of a shard that is missing, and of nothing else.
func TestShards_lost(t *testing.T) {
	promtool := testenv.Need(t, "promtool")
	dir := t.TempDir()
	writeFile(t, dir, "prober.rules.yml", outputOf(t, "rules", "--config.file="+writeFile(t, dir, "prober.yaml", newCountingTarget(t).shardConfig("1m"))))
	tests, err := os.ReadFile("testdata/rules.shards_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := testenv.Run(t, exec.Command(promtool, "test", "rules", writeFile(t, dir, "shards.yml", string(tests)))); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
