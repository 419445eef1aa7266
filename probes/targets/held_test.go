package targets

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

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
