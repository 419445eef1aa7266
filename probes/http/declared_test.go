package http

import (
	"net/http"
	"slices"
	"testing"

	"prober/internal/httpx"
	"prober/probes/internal/expect"
	"prober/probes/internal/probetest"
)

func TestExpectedStatuses(t *testing.T) {
	for _, c := range []struct {
		catchAll bool
		want     []int
	}{{false, []int{501}}, {true, []int{501, 404}}} {
		p := &Probe{URL: "http://127.0.0.1:1/", CatchAllCheck: c.catchAll, Expect: expect.Expect{Status: httpx.Codes(200, 501)}}
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
