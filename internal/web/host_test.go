package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"prober/internal/probe"
)

// TestCheckHost_rebinding asks as a page of another site does whose name resolves to the prober: the browser takes them for
// one site, so only the Host header tells. Nothing is shown and nothing is done.
func TestCheckHost_rebinding(t *testing.T) {
	done := 0
	o := full()
	o.Hosts = []string{"prober.example"}
	o.Reload = func(context.Context) error { done++; return nil }
	o.Run = func(context.Context, probe.ID) error { done++; return nil }
	o.Extra = map[string]http.Handler{"/demo/": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { done++ })}
	h := New(o)
	for _, c := range []struct{ method, path string }{
		{"POST", "/-/reload"}, {"POST", "/probes/ibex/proxy/run"}, {"POST", "/demo/inject/auth-down"}, {"GET", "/config"}, {"GET", "/"},
		{"GET", "/metrics"}, {"GET", "/api/v1/status"}, {"GET", "/incident"}, {"GET", "/schema.json"}, {"GET", "/probes/ibex/proxy"},
	} {
		for host, want := range map[string]bool{
			"evil.example": false, "evil.example:9798": false, "prober.example.evil.example": false, "evilprober.example": false,
			"127.0.0.1.evil.example": false, "localhost.evil.example": false, "evil.example.": false, "evil.svc.example": false,
			"prober.example": true, "PROBER.example.:9798": true, "localhost": true, "localhost:9798": true, "x.localhost": true,
			"127.0.0.1:9798": true, "[::1]:9798": true, "[::1]": true, "10.1.2.3": true, "prober:9798": true,
			"prober.monitoring.svc:9798": true, "prober.monitoring.svc.cluster.local": true, "": true,
		} {
			before := done
			r := httptest.NewRequest(c.method, c.path, nil)
			r.Host = host
			r.Header.Set("Origin", "http://"+host)
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if (w.Code != http.StatusForbidden) != want || !want && done != before {
				t.Errorf("%s %s at %q: got %d, and %d was done", c.method, c.path, host, w.Code, done-before)
			}
		}
	}
	// A kubelet or a load balancer may ask under any name whether the prober is well.
	for _, path := range []string{"/-/healthy", "/-/ready"} {
		if w := ask(h, "GET", path); w.Code != 200 {
			t.Errorf("%s: got %d", path, w.Code)
		}
		r := httptest.NewRequest("GET", "http://lb.example"+path, nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 {
			t.Errorf("%s under any name: got %d", path, w.Code)
		}
	}
}
