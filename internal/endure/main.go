// Command endure has the prober endure, within the limits of the shipped manifests, all that it promises to survive at the
// same time: 2,000 probes with their history, targets with the largest answers, slow readers, idle connections and a storm of reloads. It fails
// if the prober is killed, stops answering, or blames a healthy target.
//
// The targets run in a process of their own, so that only the prober is measured. Where it may, the command puts the prober
// into a memory cgroup.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The shipped limits, and what the prober has to endure in them.
const (
	memoryLimit  = 64 << 20
	goLimit      = "56MiB"
	probes       = 2000
	largeTargets = 50 // targets, each with two probes
	slowReaders  = 200
	idle         = 2000
	components   = 50  // of the public page
	visitors     = 200 // slow readers of it
	reloadEvery  = 3 * time.Second
	settle       = 20 * time.Second // without reloads, at the end: every probe runs once more
)

// targetsVariable makes the command serve the targets.
const targetsVariable = "PROBER_ENDURE_TARGETS"

func main() {
	if os.Getenv(targetsVariable) != "" {
		serveTargets()
		return
	}
	prober := flag.String("prober", "./prober", "the binary")
	long := flag.Duration("for", 10*time.Minute, "how long")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := endure(ctx, *prober, *long); err != nil {
		fmt.Fprintln(os.Stderr, "endure:", err)
		os.Exit(1)
	}
}

func endure(ctx context.Context, prober string, long time.Duration) error {
	dir, err := os.MkdirTemp("", "endure")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	base, stop, err := startTargets()
	if err != nil {
		return err
	}
	defer stop()
	file := filepath.Join(dir, "prober.yaml")
	if err := os.WriteFile(file, configuration(base, 0), 0o600); err != nil {
		return err
	}
	s, err := startSubject(prober, file)
	if err != nil {
		return err
	}
	defer s.stop()
	fmt.Printf("%s, %d probes, %d large targets, %d slow readers, %d idle connections, %d visitors, a reload every %s, for %s\n",
		s.cage, probes, largeTargets, slowReaders, idle, visitors, reloadEvery, long)
	load, calm := context.WithTimeout(ctx, long)
	defer calm()
	s.burden(load)
	storm, lull := context.WithTimeout(load, max(0, long-settle))
	defer lull()
	go s.reloads(storm, func(n int) error { return os.WriteFile(file, configuration(base, n), 0o600) })
	if err := s.watch(load); err != nil {
		return err
	}
	return s.judge()
}

// configuration writes the probes; those of another generation have another label, so that a reload changes each.
func configuration(base string, generation int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "system: endure\ninterval: 15s\ntimeout: 10s\nlabels: {generation: g%d}\n", generation%2)
	b.WriteString("public:\n  title: Endure\n  url: http://127.0.0.1/\n  components:\n")
	for i := range components {
		fmt.Fprintf(&b, "    - {name: Part %d, probes: [p%d, p%d, p%d, p%d, p%d]}\n", i, 5*i, 5*i+1, 5*i+2, 5*i+3, 5*i+4)
	}
	b.WriteString("probes:\n")
	for i := range probes - 2*largeTargets {
		fmt.Fprintf(&b, "  - {name: p%d, type: http, url: %q}\n", i, fmt.Sprintf("%s/small/%d", base, i))
	}
	for i := range largeTargets {
		fmt.Fprintf(&b, "  - {name: json%d, type: http, url: %q, expect: {json: {\"$.status\": ok}}}\n", i, fmt.Sprintf("%s/json/%d", base, i))
		fmt.Fprintf(&b, "  - {name: keys%d, type: jwks, verifiers: {a: {url: %q}}}\n", i, fmt.Sprintf("%s/keys/%d", base, i))
	}
	return []byte(b.String())
}

// A subject is the prober that endures.
type subject struct {
	cmd     *exec.Cmd
	cage    *cage
	address string
	public  string // the address of the public page
	ended   chan struct{}
	err     error // of its end
	scrapes map[int]int
	pages   map[int]int   // answers for the public page, by status
	slowest time.Duration // of the scrapes
}

func startSubject(prober, file string) (*subject, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	public, err := freeAddress()
	if err != nil {
		return nil, err
	}
	c := newCage(memoryLimit)
	cmd := c.command(prober, "--config.file="+file, "--web.listen-address="+address, "--web.public-listen-address="+public, "--log.level=error",
		"--storage.path="+filepath.Join(filepath.Dir(file), "storage"))
	cmd.Env = append(os.Environ(), "GOMEMLIMIT="+goLimit)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		c.remove()
		return nil, err
	}
	s := &subject{cmd: cmd, cage: c, address: address, public: public, ended: make(chan struct{}), scrapes: map[int]int{}, pages: map[int]int{}}
	go func() {
		s.err = cmd.Wait()
		close(s.ended)
	}()
	return s, nil
}

func (s *subject) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(15 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	s.cage.remove()
}

// watch scrapes like Prometheus until ctx ends. It fails as soon as the prober is gone.
func (s *subject) watch(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.ended:
			return fmt.Errorf("the prober ended: %v; its memory peaked at %s", s.err, s.cage.peak(s.cmd.Process.Pid))
		case <-ctx.Done():
			return nil
		case <-tick.C:
			began := time.Now()
			status, err := s.get(ctx, s.address, "/metrics", nil)
			if err != nil && ctx.Err() != nil {
				return nil
			}
			s.scrapes[status]++
			s.slowest = max(s.slowest, time.Since(began))
			status, _ = s.get(ctx, s.public, "/", nil)
			s.pages[status]++
		}
	}
}

// A row is what the status says of a probe.
type row struct {
	Name, Verdict, Reason, Detail string
}

// own are the reasons that lie with the prober: what did not fit, and what a node without time for it held up.
var own = []string{"self_limit", "self_delay", "suspended"}

// judge counts the verdicts and fails for one that blames a target.
func (s *subject) judge() error {
	var status struct{ Probes []row }
	code, err := 0, error(nil)
	for range 10 { // the slow readers are still being cut off
		if code, err = s.get(context.Background(), s.address, "/api/v1/status?recent=0", &status); err == nil {
			break
		}
		time.Sleep(2 * time.Second)
	}
	if err != nil || code != http.StatusOK || len(status.Probes) != probes {
		return fmt.Errorf("the status has %d of %d probes: %d, %v", len(status.Probes), probes, code, err)
	}
	counts := map[string]int{}
	var wrong []string
	for _, p := range status.Probes {
		counts[p.Verdict+" ("+p.Reason+")"]++
		if p.Verdict != "pass" && (p.Verdict != "inconclusive" || !slices.Contains(own, p.Reason)) {
			wrong = append(wrong, fmt.Sprintf("%s: %s (%s): %s", p.Name, p.Verdict, p.Reason, p.Detail))
		}
	}
	fmt.Printf("memory peaked at %s\n", s.cage.peak(s.cmd.Process.Pid))
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Printf("%5d %s\n", counts[name], name)
	}
	fmt.Printf("scrapes by status: %v, the slowest took %s; public pages: %v\n", s.scrapes, s.slowest.Round(time.Millisecond), s.pages)
	switch {
	case len(wrong) > 0:
		return fmt.Errorf("%d verdicts are wrong:\n%s", len(wrong), strings.Join(wrong[:min(20, len(wrong))], "\n"))
	case s.scrapes[http.StatusOK] == 0:
		return errors.New("no scrape succeeded")
	case s.pages[http.StatusOK] == 0:
		return errors.New("nobody could read the public page")
	}
	return nil
}

// get asks the prober for one of its pages, and decodes it if into is given.
func (s *subject) get(ctx context.Context, address, path string, into any) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if into == nil {
		return resp.StatusCode, drain(resp.Body)
	}
	return resp.StatusCode, json.NewDecoder(resp.Body).Decode(into)
}
