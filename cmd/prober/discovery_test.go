package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"prober/config"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes"
)

// A listServer hands out a list of targets, and is a target itself.
type listServer struct {
	URL    string
	mu     sync.Mutex
	status int
	list   string
	asked  map[string]int // by host
	later  func()         // once the list was handed out
}

func startList(t *testing.T) *listServer {
	l := &listServer{status: 200, list: "[]", asked: map[string]int{}}
	l.URL = "http://127.0.0.1:" + testenv.Listen(t, func(w http.ResponseWriter, q *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if q.URL.Path == "/targets" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(l.status)
			fmt.Fprint(w, l.list)
			if l.later != nil {
				go l.later()
			}
			return
		}
		host, _, _ := strings.Cut(q.Host, ":")
		l.asked[host]++
	}, "127.0.0.1", "127.0.0.2", "127.0.0.3")
	return l
}

// port is that of the server.
func (l *listServer) port() string { return l.URL[strings.LastIndexByte(l.URL, ':')+1:] }

// say hands out hosts of this machine from now on, or a status without a list.
func (l *listServer) say(status int, hosts ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var groups []string
	for _, h := range hosts {
		groups = append(groups, fmt.Sprintf(`{"targets":["%s:%s"],"labels":{"zone":"eu","__meta_x":"y"}}`, h, l.port()))
	}
	l.status, l.list = status, "["+strings.Join(groups, ",")+"]"
}

func (l *listServer) config() string {
	return fmt.Sprintf(`
system: shop
interval: 1s
timeout: 900ms
probes:
  - name: backends
    type: targets
    http: {url: "%s/targets"}
    want: 2
  - for_each: backends
    name: backend-{host}
    type: http
    url: http://{target}/health
    labels: {zone: "{label.zone}"}
`, l.URL)
}

// series lists the probes that have a series, with its value.
func (p *running) series(t *testing.T, name string) string {
	t.Helper()
	_, body, err := p.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, m := range regexp.MustCompile(`(?m)^`+name+`\{(?:.*,)?probe="([^"]+)".*\} (\S+)$`).FindAllStringSubmatch(body, -1) {
		got += m[1] + "=" + m[2] + " "
	}
	return got
}

func (p *running) waitForSeries(t *testing.T, name, want string) {
	t.Helper()
	testenv.Eventually(t, 30*time.Second, func(context.Context) error {
		if got := p.series(t, name); got != want {
			return fmt.Errorf("%s: got %q, expected %q", name, got, want)
		}
		return nil
	})
}

// TestDiscovery_serving follows a list while it changes, breaks and is emptied, over a restart too.
func TestDiscovery_serving(t *testing.T) {
	testenv.Slow(t, "it waits for the runs of a serving prober")
	t.Parallel()
	l, dir := startList(t), t.TempDir()
	file, kept := writeFile(t, dir, "prober.yaml", l.config()), filepath.Join(dir, "state")
	l.say(500)
	p := start(t, nil, "--config.file="+file, "--storage.path="+kept)
	p.waitForMetric(t, `probe_failures_total{probe="backends",system="shop",type="targets",check="list",reason="status"`)
	p.waitForSeries(t, "probe_success", "backends=0 ")
	p.waitForMetric(t, `probe_verdict{probe="backends",system="shop",type="targets",verdict="inconclusive"} 1`)

	l.say(200, "127.0.0.1", "127.0.0.2")
	p.waitForSeries(t, "probe_success", "backend-127.0.0.1=1 backend-127.0.0.2=1 backends=1 ")
	p.waitForMetric(t, `probe_success{probe="backend-127.0.0.1",system="shop",type="http",zone="eu"} 1`)
	p.waitForMetric(t, `probe_targets{probe="backends",system="shop",type="targets",state="listed"} 2`)
	p.waitForRuns(t, "backend-127.0.0.2", 3)

	l.say(200, "127.0.0.2", "127.0.0.3") // one goes, one comes, one stays
	p.waitForSeries(t, "probe_success", "backend-127.0.0.2=1 backend-127.0.0.3=1 backends=1 ")
	_, body, err := p.get("/metrics")
	if err != nil || strings.Contains(body, "127.0.0.1\",system") || countRuns(body, "backend-127.0.0.2") < 3 {
		t.Errorf("%v: a series of what is gone is there, or what stayed began again:\n%s", err, body)
	}

	for _, broken := range []func(){func() { l.say(200) }, func() { l.say(503, "127.0.0.9") }} { // an empty list, and none
		broken()
		p.waitForSeries(t, "probe_success", "backend-127.0.0.2=1 backend-127.0.0.3=1 backends=0 ")
		_, body, _ := p.get("/metrics")
		p.waitForRuns(t, "backends", countRuns(body, "backends")+2)
		p.waitForRuns(t, "backend-127.0.0.3", countRuns(body, "backend-127.0.0.3")+2) // they go on
		p.waitForSeries(t, "probe_success", "backend-127.0.0.2=1 backend-127.0.0.3=1 backends=0 ")
	}
	l.say(200, "127.0.0.2") // too short, and believed
	p.waitForSeries(t, "probe_success", "backend-127.0.0.2=1 backends=0 ")
	p.waitForMetric(t, `probe_failures_total{probe="backends",system="shop",type="targets",check="want",reason="too_few_targets"`)

	// A reload of the file keeps the list.
	l.say(500)
	writeFile(t, dir, "prober.yaml", l.config()+"  - {name: front, type: http, url: \""+l.URL+"/\"}\n")
	if err := p.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.waitForSeries(t, "probe_success", "backend-127.0.0.2=1 backends=0 front=1 ")
	if _, page, err := p.get("/probes/shop/backends"); err != nil || !strings.Contains(page, "expected 200, got 500") || !strings.Contains(page, "the last list stays") {
		t.Errorf("%v: the page of the list does not say why:\n%s", err, page)
	}
	if _, page, err := p.get("/config"); err != nil || !strings.Contains(page, "name: backend-127.0.0.2") || strings.Contains(page, "127.0.0.3") {
		t.Errorf("%v: the configuration in effect is another:\n%s", err, page)
	}
	if out := p.Output(); !strings.Contains(out, `msg="Targets changed" probes=3 new=1 gone=1`) {
		t.Errorf("the log does not say what changed:\n%s", out)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status, err := p.Wait(t.Context()); err != nil || status != exitPass {
		t.Errorf("exit status %d, %v", status, err)
	}

	// After a restart the last list is there, though nobody hands it out.
	p = start(t, nil, "--config.file="+file, "--storage.path="+kept)
	p.waitForSeries(t, "probe_success", "backend-127.0.0.2=1 backends=0 front=1 ")
	var out, errs strings.Builder
	if got := run(t.Context(), []string{"--once", "--config.file=" + file, "--storage.path=" + kept}, &out, &errs); got != exitInconclusive || !strings.Contains(out.String(), "2 of 3 passed, 1 inconclusive: backends") {
		t.Errorf("exit status %d\n%s%s", got, out.String(), errs.String())
	}
}

// TestDiscovery_once waits for the lists, and never passes without one.
func TestDiscovery_once(t *testing.T) {
	t.Parallel()
	l := startList(t)
	file := writeFile(t, t.TempDir(), "prober.yaml", l.config())
	once := func(status int, says string, args ...string) {
		t.Helper()
		var out, errs strings.Builder
		got := run(t.Context(), append([]string{"--once", "--config.file=" + file}, args...), &out, &errs)
		if said := strings.Join(strings.Fields(out.String()+errs.String()), " "); got != status || !regexp.MustCompile(says).MatchString(said) {
			t.Errorf("%v: exit status %d, expected %d with %s:\n%s%s", args, got, status, says, out.String(), errs.String())
		}
	}
	l.say(200, "127.0.0.1", "127.0.0.2")
	once(exitPass, `ok backends \S+ ms ok backend-127.0.0.1 .*All 3 passed`)
	if got := fmt.Sprint(l.asked); got != "map[127.0.0.1:1 127.0.0.2:1]" {
		t.Errorf("asked %s", got)
	}
	once(exitPass, `All 2 passed`, "--probe=backend-127.0.0.2")
	once(exitPass, `All 2 passed`, "--probe=shop/backend-127.0.0.2")
	once(exitInconclusive, `1 of 1 passed.*no target makes the probe backend-127.0.0.3. Not proven`, "--probe=backend-127.0.0.3")
	once(exitUsage, `no probe is called front`, "--probe=front")
	once(exitPass, `All 3 passed`, "--repeat=3")
	l.say(200, "127.0.0.1", "169.254.169.254")
	once(exitInconclusive, `probes: made 1 probe of 2 targets; refused 169.254.169.254:\d+ for backend-{host}: url: http://169.254.169.254:\d+/health: 169.254.169.254 is where clouds hand out credentials: such an address is never dialled \[target_refused\].*1 of 2 passed, 1 inconclusive: backends`)
	l.say(200)
	once(exitInconclusive, `list: expected targets, got an empty list; the last list stays \[empty_list\] probes: there was no list yet, so nothing that it would name is probed \[no_targets\]`)
	l.say(503)
	once(exitInconclusive, `0 of 1 passed, 1 inconclusive: backends. Not proven`, "--wait=1s")
	l.later = func() { l.say(200, "127.0.0.1", "127.0.0.2") } // while it waits
	once(exitPass, `All 3 passed`, "--wait=30s")
}

// TestDiscovery_check reads files, asks nobody, and shows what would be asked.
func TestDiscovery_check(t *testing.T) {
	t.Parallel()
	l, dir := startList(t), t.TempDir()
	l.say(200, "127.0.0.1")
	writeFile(t, dir, "a.json", `[{"targets":["10.0.0.1:80","u@evil"]}]`)
	file := writeFile(t, dir, "prober.yaml", l.config()+`
  - {name: files, type: targets, file: ["*.json"], want: 1}
  - {for_each: files, name: "file-{host}", type: tcp, address: "{target}"}
`)
	var out, errs strings.Builder
	if got := run(t.Context(), []string{"check", file}, &out, &errs); got != exitPass {
		t.Errorf("exit status %d", got)
	}
	for _, want := range []string{
		"file-10.0.0.1  tcp      1s     900ms    -        -        -           10.0.0.1:80",
		"\nnot asked: " + l.URL + "/targets, from which shop/backends makes probes like backend-{host}\n", "3 probes in 1 system",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("expected %q, got\n%s", want, out.String())
		}
	}
	if want := "warning: targets refused: shop/files: target 2 for file-{host}: expected host, host:port, or a URL of http or https without a user, a query and a fragment\n"; errs.String() != want {
		t.Errorf("got %q", errs.String())
	}
	if len(l.asked) > 0 {
		t.Errorf("asked %v", l.asked)
	}
}

// TestTargetLists keeps lists over a restart, and those of probes that are configured only.
func TestTargetLists(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse(probes.Kinds(), config.File{Name: "x.yaml", Data: []byte(startList(t).config())})
	if err != nil {
		t.Fatal(err)
	}
	l := newTargetLists()
	result := func(name string, list ...probe.Target) probe.Result {
		return probe.Result{ID: probe.ID{System: "shop", Name: name}, Targets: list}
	}
	changed := func() bool {
		select {
		case <-l.changed:
			return true
		default:
			return false
		}
	}
	a, b := probe.Target{Address: "a", Labels: map[string]string{"x": "1"}}, probe.Target{Address: "b"}
	for _, step := range []struct {
		r    probe.Result
		want bool
	}{
		{result("backends", a, b), true}, {result("backends", a, b), false}, {result("backends"), false}, {result("backends", b), true},
		{result("backends", probe.Target{Address: "b", Labels: map[string]string{"x": "1"}}), true}, {result("other", a), true}, {result("backends", a, b), true},
	} {
		if l.Observe(step.r); changed() != step.want {
			t.Errorf("%v: changed %t", step.r.Targets, !step.want)
		}
	}
	if got := fmt.Sprint(l.of(cfg)); got != "map[shop/backends:[{a map[x:1]} {b map[]}]]" {
		t.Errorf("got %s", got)
	}
	state, err := l.save()
	if err != nil {
		t.Fatal(err)
	}
	next := newTargetLists()
	if err := next.load(state); err != nil || fmt.Sprint(next.of(cfg)) != fmt.Sprint(l.of(cfg)) {
		t.Errorf("got %v, %v", err, next.of(cfg))
	}
	if err := next.load([]byte("x")); err == nil {
		t.Error("takes what it has not written")
	}
	if err := next.load(nil); err != nil {
		t.Error(err)
	}
}
