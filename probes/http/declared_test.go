package http

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/expect"
	"prober/probes/internal/probetest"
)

func TestExpectedStatuses(t *testing.T) {
	for _, c := range []struct {
		catchAll bool
		want     []int
	}{{false, []int{400, 501}}, {true, []int{400, 501, 404}}} {
		p := &Probe{URL: "http://127.0.0.1:1/", CatchAllCheck: c.catchAll, Expect: expect.Expect{Status: httpx.Codes(200, 399, 400, 501)}}
		if got := p.ExpectedStatuses()[""]; !slices.Equal(got, c.want) {
			t.Errorf("with catch_all %t: got %v, want %v", c.catchAll, got, c.want)
		}
	}
}

func TestCertificateWarning_onlyIfOneIsConfigured(t *testing.T) {
	for _, e := range []expect.Expect{{}, {Certificate: &expect.Certificate{}}} {
		if severity, ok := (&Probe{Expect: e}).CertificateWarning(); ok || severity != "" {
			t.Errorf("%+v: warns with severity %q", e, severity)
		}
	}
}

func TestCertificateWarning(t *testing.T) {
	c := &expect.Certificate{Warn: new(probe.Duration(time.Hour)), Severity: "warning"}
	if severity, ok := (&Probe{Expect: expect.Expect{Certificate: c}}).CertificateWarning(); !ok || severity != "warning" {
		t.Errorf("got %q, %t", severity, ok)
	}
}

// A status that is about the request says nothing of who asks, where the control sends another request.
func TestMayBeMistaken(t *testing.T) {
	for _, c := range []struct {
		want    httpx.Statuses
		same    bool // the control sends the same request
		mistake []int
	}{
		{httpx.Codes(401, 403, 404, 407, 422, 429, 451, 500), false, []int{404, 422}},
		{httpx.Codes(401, 403, 404, 407, 422, 429, 451, 500), true, nil},
		{httpx.Codes(404, 410), false, nil},
		{httpx.Codes(404, 410, 422), false, []int{404, 410}},
	} {
		p := &Probe{URL: "http://127.0.0.1/a", Expect: expect.Expect{Status: c.want}, control: &Probe{URL: "http://127.0.0.1/a"}}
		if !c.same {
			p.control.URL = "http://127.0.0.1/b"
		}
		var got []int
		for _, status := range c.want.Codes() {
			if p.mayBeMistaken(status) {
				got = append(got, status)
			}
		}
		if !slices.Equal(got, c.mistake) {
			t.Errorf("of %s, the same request %t: got %v, expected %v", c.want, c.same, got, c.mistake)
		}
	}
}

// TestAddresses checks that every URL that is asked is announced, so that a limit of where probes may go holds for all.
func TestAddresses(t *testing.T) {
	p := &Probe{URL: "https://a.example/", Address: "127.0.0.1:1", Expect: expect.Expect{Status: httpx.Codes(401)}, Control: &Control{URL: "https://b.example/", Body: httpx.Value{Text: "x"}}}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	proxied := &Probe{URL: "https://a.example/", Proxy: &httpx.Proxy{URL: "http://proxy.example:3128"}}
	got := slices.Concat(p.Addresses(), proxied.Addresses(), (&Probe{URL: "http://a.example/", Unix: "/run/app.sock"}).Addresses())
	for _, want := range []string{"https://a.example/", "https://b.example/", "127.0.0.1:1", "http://proxy.example:3128", "unix:/run/app.sock"} {
		if !slices.Contains(got, want) {
			t.Errorf("got %q, which lacks %s", got, want)
		}
	}
}

// TestClose checks that no connection is left open, the control's included.
func TestClose(t *testing.T) {
	url, open := testenv.ServeCounted(t, func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("X-As") == "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	control := &Control{Expect: expect.Expect{Status: httpx.Codes(200)}}
	control.Headers = map[string]httpx.Value{"X-As": {Text: "admin"}}
	p := &Probe{URL: url, Expect: expect.Expect{Status: httpx.Codes(401)}, Control: control}
	p.Connection, control.Connection = "reuse", "reuse"
	if got := probetest.Run(t, Kind(), p).Verdict(); got != probe.Pass {
		t.Fatalf("got %s", got)
	}
	testenv.WantClosed(t, p, 2, open)
}

// A page of 404 for what does not exist is expected: it is no error of the target in any count.
func TestHTTP_theCatchAllExpectsNotFound(t *testing.T) {
	url := probetest.Serve(t, map[string]http.HandlerFunc{"/up": probetest.Respond(200, "text/plain", "ok")})
	p := &Probe{URL: url + "/up", CatchAllCheck: true}
	r := probetest.Run(t, Kind(), p)
	if len(r.Exchanges) != 2 {
		t.Fatalf("made %d exchanges", len(r.Exchanges))
	}
	for _, x := range r.Exchanges {
		if !x.Expected {
			t.Errorf("%s: the %d of a nonexistent path is not expected", x.Check, x.Status)
		}
	}
}
