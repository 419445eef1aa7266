package targets

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// TestDNS_labels: what a record says is in the labels that Prometheus gives it.
func TestDNS_labels(t *testing.T) {
	t.Parallel()
	zone := &testenv.Zone{Services: map[string]dnsmessage.SRVResource{"_web._tcp.test": {Target: dnsmessage.MustNewName("web.test."), Port: 8080}}}
	r := wantList(t, &Probe{DNS: &DNS{Name: "_web._tcp.test", Resolver: zone.Start(t)}, Want: 1}, "web.test:8080", "pass", "list *", "want *")
	for label, want := range map[string]string{
		"__meta_dns_name": "_web._tcp.test", "__meta_dns_srv_record_target": "web.test.", "__meta_dns_srv_record_port": "8080",
	} {
		if got := r.Targets[0].Labels[label]; got != want {
			t.Errorf("%s: got %q, expected %q", label, got, want)
		}
	}
}

// TestHTTP_cached: a list may come out of a cache, as it may for Prometheus; it proves nothing but what is to be probed.
func TestHTTP_cached(t *testing.T) {
	t.Parallel()
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Age", "30")
		fmt.Fprint(w, two)
	}}) + "/"
	wantList(t, over(url), "10.0.0.1:80 b.shop.example:80", "pass", "list *", "want *")
}

// TestLocal: only what is in files is known without asking anybody.
func TestLocal(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]*Probe{"http": over("http://127.0.0.1:1/"), "dns": {DNS: &DNS{Name: "a.test"}}, "kubernetes": {Kubernetes: &Kubernetes{}}} {
		if list, _, asks := p.Local(); !asks || list != nil {
			t.Errorf("%s: got %v, asks %t", name, list, asks)
		}
	}
	file := filepath.Join(t.TempDir(), "list.json")
	for text, want := range map[string]string{two: "ok", "[]": "empty_list", "{": "schema"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := &Probe{File: []string{file}, Want: 1}
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		list, o, asks := p.Local()
		if asks || o.Reason.Word != want || (len(list) == 2) != (want == "ok") {
			t.Errorf("%s: got %d targets, %s, asks %t", text, len(list), o.Reason, asks)
		}
	}
}

// TestClose: a connection to the source that is kept is closed.
func TestClose(t *testing.T) {
	t.Parallel()
	probetest.WantClosed(t, Kind(), probetest.Respond(200, "application/json", two), func(url string) probe.Probe {
		p := over(url)
		p.HTTP.Connection = "reuse"
		return p
	})
}

// TestWithin_none: a list of which nothing may be probed is too short, and the probes of the last one go on.
func TestWithin_none(t *testing.T) {
	t.Parallel()
	p := over(probetest.Serve(t, map[string]http.HandlerFunc{"/": probetest.Respond(200, "application/json", `[{"targets":["a.evil.example:80"]}]`)}) + "/")
	p.Within = []string{"shop.example"}
	r := wantList(t, p, "", "fail", "list pass(ok): 1 target", "within inconclusive(target_refused): 1 target is outside of within, and not probed (1 in all)", "want fail(too_few_targets): expected 1 target, got 0")
	if r.Targets != nil {
		t.Errorf("listed %v", r.Targets)
	}
}

// TestSteady_window: the last ten reads count, and no others. A target that is listed twice is one.
func TestSteady_window(t *testing.T) {
	p := &Probe{}
	read := func(addresses ...string) (string, string) {
		var list []probe.Target
		for _, a := range addresses {
			list = append(list, probe.Target{Address: a})
		}
		r := probe.NewResult(probe.ID{})
		p.judgeChanges(r, list)
		changes := ""
		for _, s := range r.Samples {
			changes += fmt.Sprintf("%s %g ", s.Values[0], s.Value)
		}
		return strings.TrimSpace(probetest.Lines(*r)), strings.TrimSpace(changes)
	}
	read("a")
	if lines, _ := read("a"); !strings.HasSuffix(lines, "targets left the list in 0 of the last 1 read") {
		t.Error(lines)
	}
	if _, changes := read("a", "a", "b", "b"); changes != "added 1 removed 0" {
		t.Error(changes)
	}
	for i := range 20 { // one for another
		read(fmt.Sprint(i))
	}
	for quiet, want := range []string{
		"fail", "fail", "fail", "fail", "pass(ok): targets left the list in 5 of the last 10 reads", "", "", "", "", "pass(ok): targets left the list in 0 of the last 10 reads",
	} {
		lines, changes := read("19")
		if want == "fail" {
			want = fmt.Sprintf("inconclusive(unsteady_list): targets left the list in %d of the last 10 reads", 9-quiet)
		}
		if !strings.HasSuffix(lines, want) || changes != "added 0 removed 0" {
			t.Errorf("after %d quiet reads: %s; %s", quiet+1, lines, changes)
		}
	}
}

// TestValidate_bounds: what may be said of a list in DNS, and of whom it may name.
func TestValidate_bounds(t *testing.T) {
	const port, resolver = "dns.port: expected 1 to 65535", "dns.resolver: expected host:port"
	for name, c := range map[string]struct {
		dns    DNS
		within string
		want   string
	}{
		"the lowest port":          {DNS{Type: "A", Port: 1}, "", ""},
		"no port":                  {DNS{Type: "A"}, "", port},
		"the last port":            {DNS{Type: "A", Port: 65535}, "", ""},
		"a higher one":             {DNS{Type: "A", Port: 65536}, "", port},
		"a resolver":               {DNS{Resolver: "ns.example:53"}, "", ""},
		"its last port":            {DNS{Resolver: "ns.example:65535"}, "", ""},
		"a higher one of it":       {DNS{Resolver: "ns.example:65536"}, "", resolver},
		"its port 0":               {DNS{Resolver: "ns.example:0"}, "", resolver},
		"no port of it":            {DNS{Resolver: "ns.example"}, "", resolver},
		"a name for its port":      {DNS{Resolver: "ns.example:domain"}, "", resolver},
		"an address for a network": {DNS{}, "10.0.0.1", "within[0]: "},
		"a network":                {DNS{}, "10.0.0.0/8", ""},
		"a name":                   {DNS{}, ".shop.example", ""},
		"no name":                  {DNS{}, "shop example", "within[0]: "},
	} {
		c.dns.Name = "_web._tcp.test"
		p := &Probe{DNS: &c.dns, Want: 1}
		if c.within != "" {
			p.Within = []string{c.within}
		}
		if err := p.Validate(); (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// TestProbe: what is known of a probe before it runs.
func TestProbe(t *testing.T) {
	for name, c := range map[string]struct {
		p       *Probe
		address string
		checks  string
	}{
		"file":       {&Probe{File: []string{"/a.json"}}, "/a.json", "list steady want probes"},
		"http":       {over("http://list.example/"), "http://list.example/", "list steady want probes"},
		"dns":        {&Probe{DNS: &DNS{Name: "a.test"}, Transient: true}, "a.test", "list want probes"},
		"kubernetes": {&Probe{Kubernetes: &Kubernetes{Settings: kubernetes.Settings{API: "https://api.example"}}, Within: []string{"a"}}, "https://api.example", "list within steady want probes"},
	} {
		if got := c.p.Addresses()[0]; got != c.address {
			t.Errorf("%s: asks %s", name, got)
		}
		if got := strings.Join(c.p.Checks(), " "); got != c.checks {
			t.Errorf("%s: checks %s", name, got)
		}
		c.p.Close() // also before it is validated
		if wrong := c.p.CheckFiles(); (wrong != nil) != (name == "file") {
			t.Errorf("%s: got %v", name, wrong)
		}
	}
}
