package targets

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/httpx"
	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// listed writes what a run listed.
func listed(r probe.Result) string {
	var all []string
	for _, t := range r.Targets {
		all = append(all, t.Address)
	}
	return strings.Join(all, " ")
}

// wantList compares what a run listed and noted.
func wantList(t *testing.T, p *Probe, list string, lines ...string) probe.Result {
	t.Helper()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	expand := func([]probe.Target) probe.Outcome { return probe.Outcomef(probe.OK, "made") }
	r := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: 10 * time.Second, Expand: expand}.Do(t.Context())
	if err := errors.Join(Kind().Undeclared(r), r.Repeats()); err != nil {
		t.Error(err)
	}
	r.Checks = slices.DeleteFunc(r.Checks, func(c probe.Check) bool { return c.Name == probe.CheckProbes })
	probetest.WantLines(t, r, lines...)
	if got := listed(r); got != list {
		t.Errorf("listed %q, expected %q", got, list)
	}
	return r
}

const two = `[{"targets":["b.shop.example:80","10.0.0.1:80"],"labels":{"zone":"eu"}}]`

// over returns a probe of a list that a server hands out.
func over(url string) *Probe { return &Probe{HTTP: &HTTP{URL: url}, Want: 1} }

// TestHTTP reads what Prometheus would read, and asks as it does.
func TestHTTP(t *testing.T) {
	t.Parallel()
	asked := make(chan http.Header, 1)
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/list": func(w http.ResponseWriter, q *http.Request) {
		asked <- q.Header
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		fmt.Fprint(w, two)
	}}) + "/list"
	p := over(url)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	expand := func(list []probe.Target) probe.Outcome { return probe.Outcomef(probe.OK, "made %d", len(list)) }
	job := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: 90 * time.Second, Timeout: 10 * time.Second, Expand: expand}
	r := job.Do(t.Context())
	probetest.WantLines(t, r, "pass", "list pass(ok): 2 targets", "want pass(ok): expected 1 target, got 2", "probes pass(ok): made 2")
	if got := listed(r); got != "10.0.0.1:80 b.shop.example:80" || r.Targets[0].Labels["zone"] != "eu" || r.Targets[0].Labels["__meta_url"] != url {
		t.Errorf("listed %v", r.Targets)
	}
	if h := <-asked; h.Get("X-Prometheus-Refresh-Interval-Seconds") != "90" || h.Get("Accept") != "application/json" {
		t.Errorf("asked with %v", h)
	}
}

// TestHTTP_noList keeps the last list whatever a server does: none of it is a failure of what is on the list.
func TestHTTP_noList(t *testing.T) {
	t.Parallel()
	const kept = "; the last list stays"
	serve := func(status int, contentType, body string) http.HandlerFunc {
		return probetest.Respond(status, contentType, body)
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"an empty list": {serve(200, "application/json", `[]`), "list inconclusive(empty_list): expected targets, got an empty list" + kept},
		"no targets":    {serve(200, "application/json", `[{"targets":[]}]`), "list inconclusive(empty_list): expected targets, got an empty list" + kept},
		"an error":      {serve(500, "application/json", two), "list inconclusive(status): expected 200, got 500*"},
		"forbidden":     {serve(403, "application/json", two), "list inconclusive(credential): *"},
		"another type":  {serve(200, "text/html", two), "list inconclusive(header): expected the Content-Type application/json, in UTF-8" + kept},
		"no JSON":       {serve(200, "application/json", "<html>"), "list inconclusive(schema): expected a JSON list of groups of targets" + kept},
		"a redirect to metadata": {func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, "http://169.254.169.254/latest", http.StatusFound)
		}, "list inconclusive(redirect): expected 200, got 302: redirects are not followed" + kept},
		"a million targets": {serve(200, "application/json", `[{"targets":["a"`+strings.Repeat(`,"a"`, 1_000_000)+`]}]`), "list inconclusive(too_large): expected at most 2000 targets, got more" + kept},
		"100 MB": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `[`)
			line := []byte(strings.Repeat(`{"targets":[]},`, 1000))
			for range 100_000_000 / len(line) {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}, "list inconclusive(too_large): *"},
		"an answer that stops": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `[{"targets":["a"]}`)
		}, "list inconclusive(truncated): *"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantList(t, over(probetest.Serve(t, map[string]http.HandlerFunc{"/": c.answer})+"/"), "", "inconclusive", c.want)
		})
	}
}

// TestHTTP_slow ends by its timeout while a server does not end its list.
func TestHTTP_slow(t *testing.T) {
	t.Parallel()
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "[")
		w.(http.Flusher).Flush()
		<-q.Context().Done()
	}})
	p := over(url + "/")
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	job := probe.Job{Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: 300 * time.Millisecond}
	probetest.WantLines(t, probetest.Do(t.Context(), job), "inconclusive", "list inconclusive(timeout): *",
		"probes inconclusive(no_targets): no entry has for_each with this list, so that no probe is made from it")
}

// TestWant fails for a list that is too short, which counts all the same.
func TestWant(t *testing.T) {
	t.Parallel()
	p := over(probetest.Serve(t, map[string]http.HandlerFunc{"/": probetest.Respond(200, "application/json", two)}) + "/")
	p.Want = 3
	wantList(t, p, "10.0.0.1:80 b.shop.example:80", "fail", "list pass(ok): 2 targets", "want fail(too_few_targets): expected 3 targets, got 2")
}

// TestWithin refuses hosts that the list may not name, before anybody asks them.
func TestWithin(t *testing.T) {
	t.Parallel()
	list := `[{"targets":["b.shop.example:80","shop.example","evilshop.example","10.1.0.1:80","11.0.0.1:80","[fd00::1]:80","https://x.SHOP.example./y","https://evil.example/","u@shop.example"]}]`
	p := over(probetest.Serve(t, map[string]http.HandlerFunc{"/": probetest.Respond(200, "application/json", list)}) + "/")
	p.Within = []string{"shop.example", "10.0.0.0/8", "fd00::/8"}
	wantList(t, p, "10.1.0.1:80 [fd00::1]:80 b.shop.example:80 https://x.SHOP.example./y shop.example u@shop.example", "inconclusive",
		"list pass(ok): 9 targets", "within inconclusive(target_refused): 3 targets are outside of within, and not probed (9 in all)", "want pass(ok): expected 1 target, got 6")
	p = over(p.HTTP.URL)
	p.Within = []string{"example", "10.0.0.0/7", "fd00::/8"}
	wantList(t, p, "10.1.0.1:80 11.0.0.1:80 [fd00::1]:80 b.shop.example:80 evilshop.example https://evil.example/ https://x.SHOP.example./y shop.example u@shop.example", "pass",
		"list pass(ok): 9 targets", "within pass(ok): all targets are hosts of within", "want pass(ok): expected 1 target, got 9")
}

func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := &Probe{File: []string{"*.json", "more.yml"}, Want: 1}
	p.ResolveFiles(dir)
	gone := "list inconclusive(no_targets): " + filepath.Join(dir, "more.yml") + ": no such file or directory; the last list stays"
	wantList(t, p, "", "inconclusive", gone)
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("more.yml", "- targets: [c:1]\n")
	write("a.json", two)
	wantList(t, p, "10.0.0.1:80 b.shop.example:80 c:1", "pass", "list pass(ok): 3 targets", "want pass(ok): expected 1 target, got 3")
	if list, o, asks := p.Local(); len(list) != 3 || !o.Passed() || asks {
		t.Errorf("got %v, %v, %t", list, o, asks)
	}
	write("more.yml", "- targets: c:1\n")
	wantList(t, p, "", "inconclusive", "list inconclusive(schema): "+filepath.Join(dir, "more.yml")+": line 1: expected targets, a list of texts, and labels, texts by name, and no other key; the last list stays")
	if wrong := p.CheckFiles(); len(wrong) != 1 || wrong["file"] == nil {
		t.Errorf("got %v", wrong)
	}
	if _, _, asks := over("http://x.example/").Local(); !asks {
		t.Error("reads a list elsewhere without asking")
	}
}

func TestDNS(t *testing.T) {
	t.Parallel()
	zone := &testenv.Zone{
		Addresses: map[string][]string{"web.test": {"127.0.0.2", "127.0.0.1", "::2"}, "four.test": {"127.0.0.1"}},
		Services:  map[string]dnsmessage.SRVResource{"_web._tcp.test": {Target: dnsmessage.MustNewName("web.test."), Port: 8080}, "_off._tcp.test": {Target: dnsmessage.MustNewName(".")}},
	}
	resolver := zone.Start(t)
	for name, c := range map[string]struct {
		dns  DNS
		list string
		want string
	}{
		"SRV":         {DNS{Name: "_web._tcp.test"}, "web.test:8080", "list pass(ok): 1 target"},
		"A":           {DNS{Name: "web.test", Type: "A", Port: 80}, "127.0.0.1:80 127.0.0.2:80", "list pass(ok): 2 targets"},
		"AAAA":        {DNS{Name: "web.test", Type: "AAAA", Port: 80}, "[::2]:80", "list pass(ok): 1 target"},
		"no AAAA":     {DNS{Name: "four.test", Type: "AAAA", Port: 80}, "", "list inconclusive(empty_list): expected targets, got an empty list; the last list stays"},
		"no name":     {DNS{Name: "gone.test", Type: "A", Port: 80}, "", "list inconclusive(dns_nxdomain): expected a list: *"},
		"no SRV":      {DNS{Name: "four.test"}, "", "list inconclusive(no_address): expected a list: the name exists and has no SRV record; the last list stays"},
		"not offered": {DNS{Name: "_off._tcp.test"}, "", "list inconclusive(empty_list): expected targets, got an empty list; the last list stays"},
		"no service":  {DNS{Name: "_gone._tcp.test"}, "", "list inconclusive(dns_nxdomain): expected a list: *"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.dns.Resolver = resolver
			lines := []string{"inconclusive", c.want}
			if c.list != "" {
				lines = []string{"pass", c.want, "want *"}
			}
			r := wantList(t, &Probe{DNS: &c.dns, Want: 1}, c.list, lines...)
			if c.list != "" && r.Targets[0].Labels["__meta_dns_name"] != c.dns.Name {
				t.Errorf("got %v", r.Targets)
			}
		})
	}
}

// endpoints answers as an API server does.
func endpoints(slices string) http.HandlerFunc {
	return probetest.Respond(200, "application/json", `{"kind":"EndpointSliceList","metadata":{"resourceVersion":"7"},"items":[`+slices+`]}`)
}

func endpointSlice(name, endpoints, ports string) string {
	return `{"metadata":{"name":"` + name + `","namespace":"shop","uid":"` + name + `"},"addressType":"IPv4","endpoints":` + endpoints + `,"ports":` + ports + `}`
}

func TestKubernetes(t *testing.T) {
	t.Parallel()
	const web, both = `[{"name":"http","port":8080}]`, `[{"name":"http","port":8080},{"name":"admin","port":9000}]`
	const pods = `[{"addresses":["10.0.0.2"],"conditions":{"ready":true},"targetRef":{"kind":"Pod","name":"web-b"},"nodeName":"n1","zone":"a"},{"addresses":["10.0.0.1"]},{"addresses":["10.0.0.3"],"conditions":{"ready":false}},{"addresses":["10.0.0.4"],"conditions":{"ready":true,"terminating":true}}]`
	const kept = "; the last list stays"
	for name, c := range map[string]struct {
		slices, port string
		all          bool
		list         string
		lines        []string
	}{
		"ready":           {endpointSlice("a", pods, web), "", false, "10.0.0.1:8080 10.0.0.2:8080", []string{"pass", "list pass(ok): 2 targets, and 2 that are not ready", "want *"}},
		"not ready too":   {endpointSlice("a", pods, web), "http", true, "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080 10.0.0.4:8080", []string{"pass", "list pass(ok): 4 targets", "want *"}},
		"a port by name":  {endpointSlice("a", pods, both), "admin", false, "10.0.0.1:9000 10.0.0.2:9000", []string{"pass", "list *", "want *"}},
		"a port":          {endpointSlice("a", pods, both), "9000", false, "10.0.0.1:9000 10.0.0.2:9000", []string{"pass", "list *", "want *"}},
		"two slices":      {endpointSlice("a", `[{"addresses":["10.0.0.1"],"conditions":{"ready":false}}]`, web) + "," + endpointSlice("b", `[{"addresses":["10.0.0.1"]},{"addresses":["10.0.0.5"]}]`, web), "", false, "10.0.0.1:8080 10.0.0.5:8080", []string{"pass", "list pass(ok): 2 targets", "want *"}},
		"which port":      {endpointSlice("a", pods, both), "", false, "", []string{"inconclusive", "list inconclusive(schema): expected port: the Service has several" + kept}},
		"no such port":    {endpointSlice("a", pods, both), "grpc", false, "", []string{"inconclusive", "list inconclusive(schema): expected a port of the Service, got endpoints without it" + kept}},
		"nothing ready":   {endpointSlice("a", `[{"addresses":["10.0.0.3"],"conditions":{"ready":false}}]`, web), "", false, "", []string{"inconclusive", "list inconclusive(empty_list): expected targets that are ready, got 1 that are not, and no other" + kept}},
		"two protocols":   {endpointSlice("a", pods, `[{"name":"dns","port":53,"protocol":"UDP"},{"name":"dns-tcp","port":53,"protocol":"TCP"}]`), "", false, "10.0.0.1:53 10.0.0.2:53", []string{"pass", "list *", "want *"}},
		"the lowest port": {endpointSlice("a", pods, `[{"port":1}]`), "", false, "10.0.0.1:1 10.0.0.2:1", []string{"pass", "list *", "want *"}},
		"the last port":   {endpointSlice("a", pods, `[{"port":65535}]`), "", false, "10.0.0.1:65535 10.0.0.2:65535", []string{"pass", "list *", "want *"}},
		"no number":       {endpointSlice("a", pods, `[{"port":0}]`), "", false, "", []string{"inconclusive", "list inconclusive(schema): expected a port of the Service, got endpoints without it" + kept}},
		"an empty slice":  {endpointSlice("a", pods, web) + "," + endpointSlice("b", `null`, `null`), "", false, "10.0.0.1:8080 10.0.0.2:8080", []string{"pass", "list *", "want *"}},
		"no address":      {endpointSlice("a", `[{"addresses":[]},{"addresses":["10.0.0.5"]}]`, web), "", false, "10.0.0.5:8080", []string{"pass", "list pass(ok): 1 target", "want *"}},
		"no endpoints":    {endpointSlice("a", `null`, `[]`), "", false, "", []string{"inconclusive", "list inconclusive(empty_list): expected targets, got an empty list" + kept}},
		"no slices":       {"", "", false, "", []string{"inconclusive", "list inconclusive(empty_list): expected endpoints, got none: there is no such Service, or it selects nothing" + kept}},
		"no port at all":  {endpointSlice("a", pods, `null`), "", false, "", []string{"inconclusive", "list inconclusive(schema): expected a port of the Service, got endpoints without it" + kept}},
		"a port too high": {endpointSlice("a", pods, `[{"port":65536}]`), "", false, "", []string{"inconclusive", "list inconclusive(schema): expected a port of the Service, got endpoints without it" + kept}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := probetest.Serve(t, map[string]http.HandlerFunc{"/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices": endpoints(c.slices)})
			r := wantList(t, &Probe{Want: 1, Kubernetes: &Kubernetes{Settings: kubernetes.Settings{API: url, Namespace: "shop"}, Service: "web", Port: c.port, NotReady: c.all}}, c.list, c.lines...)
			for _, target := range r.Targets {
				if want := "false"; strings.HasPrefix(target.Address, "10.0.0.3") && target.Labels["__meta_kubernetes_endpointslice_endpoint_conditions_ready"] != want {
					t.Errorf("got %v", target)
				}
				node, named := target.Labels["__meta_kubernetes_endpointslice_endpoint_node_name"]
				if second := strings.HasPrefix(target.Address, "10.0.0.2:"); named != second || second && (node != "n1" || target.Labels["__meta_kubernetes_endpointslice_address_target_kind"] != "Pod") {
					t.Errorf("got %v", target)
				}
				if strings.HasPrefix(target.Address, "10.0.0.2:8") && (target.Labels["__meta_kubernetes_endpointslice_address_target_name"] != "web-b" || target.Labels["__meta_kubernetes_endpointslice_endpoint_zone"] != "a") {
					t.Errorf("got %v", target)
				}
			}
		})
	}
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices": probetest.Respond(403, "application/json", `{"kind":"Status","status":"Failure","reason":"Forbidden","code":403}`)})
	wantList(t, &Probe{Want: 1, Kubernetes: &Kubernetes{Settings: kubernetes.Settings{API: url, Namespace: "shop", Settings: httpx.Settings{}}, Service: "web"}}, "",
		"inconclusive", "list inconclusive(forbidden): got 403: a request without a credential lacks the verb list of endpointslices in the namespace shop"+kept)
}

// TestMeasures counts targets by state.
func TestMeasures(t *testing.T) {
	t.Parallel()
	p := over(probetest.Serve(t, map[string]http.HandlerFunc{"/": probetest.Respond(200, "application/json", two)}) + "/")
	p.Within = []string{"shop.example"}
	got := ""
	for _, s := range probetest.Run(t, Kind(), p).Samples {
		if s.Measure == targetsGauge {
			got += fmt.Sprint(s.Values[0], "=", s.Value, " ")
		} else if s.Measure != readGauge || s.Value < 1e9 {
			t.Errorf("got %v", s)
		}
	}
	if want := "listed=1 outside=1 not_ready=0 "; got != want {
		t.Errorf("got %s", got)
	}
}

// TestSteady says when targets leave a list in most reads, although there are always as many: their probes begin again and again.
func TestSteady(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reads     []string // numbers of hosts
		transient bool
		want      string // of the last read
		added     float64
		removed   float64
	}{
		"one read":            {[]string{"1 2"}, false, "", 0, 0},
		"no change":           {[]string{"1 2", "2 1", "1 2"}, false, "steady pass(ok): targets left the list in 0 of the last 2 reads", 0, 0},
		"growth":              {[]string{"1", "1 2", "1 2 3"}, false, "steady pass(ok): targets left the list in 0 of the last 2 reads", 2, 0},
		"two in turn":         {[]string{"1 2", "1 3", "1 2", "1 3", "1 2", "1 3", "1 2"}, false, "steady inconclusive(unsteady_list): targets left the list in 6 of the last 6 reads", 6, 6},
		"always others":       {[]string{"1 2", "3 4", "5 6", "7 8", "9 10", "11 12", "13 14"}, false, "steady inconclusive(unsteady_list): targets left the list in 6 of the last 6 reads", 12, 12},
		"a rollout":           {[]string{"1 2 3 4 5", "6 2 3 4 5", "6 7 3 4 5", "6 7 8 4 5", "6 7 8 9 5", "6 7 8 9 10"}, false, "steady pass(ok): targets left the list in 5 of the last 5 reads", 5, 5},
		"long ago":            {[]string{"1 2", "1 3", "1 2", "1 3", "1 2", "1 3", "1 2", "1 2", "1 2", "1 2", "1 2", "1 2"}, false, "steady pass(ok): targets left the list in 5 of the last 10 reads", 6, 6},
		"what cannot be read": {[]string{"1 2", "1 3", "1 2", "1 3", "1 2", "1 3", "", "1 3"}, false, "steady pass(ok): targets left the list in 5 of the last 6 reads", 5, 5},
		"rightly so":          {[]string{"1 2", "1 3", "1 2", "1 3", "1 2", "1 3", "1 2"}, true, "", 6, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "list.json")
			p := &Probe{File: []string{file}, Want: 1, Transient: c.transient}
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			job := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: 10 * time.Second, Expand: func([]probe.Target) probe.Outcome { return probe.Outcomef(probe.OK, "made") }}
			total := map[string]float64{}
			for i, read := range c.reads {
				var hosts []string
				for _, host := range strings.Fields(read) {
					hosts = append(hosts, `"10.0.0.`+host+`:80"`)
				}
				if err := os.WriteFile(file, []byte(`[{"targets":[`+strings.Join(hosts, ",")+`]}]`), 0o600); err != nil {
					t.Fatal(err)
				}
				r := job.Do(t.Context())
				for _, s := range r.Samples {
					if s.Measure == changesCounter {
						total[s.Values[0]] += s.Value
					}
				}
				if i == len(c.reads)-1 {
					got := ""
					for line := range strings.Lines(probetest.Lines(r)) {
						if strings.HasPrefix(line, "steady ") {
							got = strings.TrimSpace(line)
						}
					}
					if got != c.want || (r.Verdict() == probe.Pass) == strings.Contains(got, "inconclusive") {
						t.Errorf("%s: got %q, expected %q", r.Verdict(), got, c.want)
					}
				}
			}
			if total["added"] != c.added || total["removed"] != c.removed {
				t.Errorf("counted %v, expected %g added and %g removed", total, c.added, c.removed)
			}
		})
	}
}

// TestDNS_part: a part of the records is no list, neither what fits into a datagram nor what is left when a record names no host.
func TestDNS_part(t *testing.T) {
	t.Parallel()
	record := func(host string) dnsmessage.ResourceBody {
		return &dnsmessage.SRVResource{Target: dnsmessage.MustNewName(host), Port: 80}
	}
	var many []dnsmessage.ResourceBody
	for i := range 60 {
		many = append(many, record(fmt.Sprintf("one-of-many-hosts-with-a-long-name-%d.test.", i)))
	}
	for name, records := range map[string][]dnsmessage.ResourceBody{
		"truncated, and nobody answers over TCP": many,
		"a record that names no host":            {record("a.test."), record("not a host.test.")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resolver := testenv.ServeDNS(t, func(dnsmessage.Question) (dnsmessage.RCode, []dnsmessage.ResourceBody, bool) {
				return dnsmessage.RCodeSuccess, records, true
			})
			p := &Probe{Want: 1, DNS: &DNS{Name: "_web._tcp.test", Resolver: resolver}}
			wantList(t, p, "", "inconclusive", "list inconclusive(dns_servfail): expected a list: *")
		})
	}
}
