package http

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// TestExpectedVersion_hostile: only one version that is plainly the expected one is it, whatever else a target states.
func TestExpectedVersion_hostile(t *testing.T) {
	t.Parallel()
	const secretish = "hunter2-7f3a9c51d2"
	page := func(body string) http.HandlerFunc { return probetest.Respond(200, "application/json", body) }
	header := func(values ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Header()["X-Version"] = values }
	}
	inJSON, inHeader := func(t *testing.T) *httpx.Source { return &httpx.Source{JSON: probetest.Path(t, "$..version")} }, func(*testing.T) *httpx.Source { return &httpx.Source{Header: "X-Version"} }
	var n atomic.Int64
	for name, test := range map[string]struct {
		source  func(*testing.T) *httpx.Source
		handler http.HandlerFunc
		want    string // of the check of the version
	}{
		"as expected":              {inJSON, page(`{"version":"1.4.2"}`), "pass(ok)"},
		"in a header":              {inHeader, header("1.4.2"), "pass(ok)"},
		"twice the same":           {inHeader, header("1.4.2", "1.4.2"), "pass(ok)"},
		"two headers":              {inHeader, header("1.4.2", "1.4.1"), "inconclusive(no_version)"},
		"two in one header":        {inHeader, header("1.4.2, 1.4.1"), "inconclusive(no_version)"},
		"two in the body":          {inJSON, page(`{"version":"1.4.2","next":{"version":"1.4.1"}}`), "inconclusive(no_version)"},
		"the same key twice":       {inJSON, page(`{"version":"1.4.2","version":"1.4.1"}`), "inconclusive(no_version)"},
		"a part of it":             {inJSON, page(`{"version":"1.4"}`), "fail(wrong_version)"},
		"more than it":             {inJSON, page(`{"version":"1.4.20"}`), "fail(wrong_version)"},
		"a list":                   {inJSON, page(`{"version":["1.4.2"]}`), "inconclusive(no_version)"},
		"binary":                   {inJSON, page("{\"version\":\"1.4.2\x00\xff\"}"), "inconclusive(no_version)"},
		"escaped":                  {inJSON, page(`{"version":"1.4.2\u0000\u202e"}`), "inconclusive(no_version)"},
		"huge":                     {inJSON, page(`{"version":"1.4.2` + strings.Repeat("0", 100_000) + `"}`), "inconclusive(no_version)"},
		"huge, in a header":        {inHeader, header("1.4.2" + strings.Repeat("0", 20_000)), "inconclusive(no_version)"},
		"behind more than is read": {inJSON, page(`{"x":"` + strings.Repeat("x", 2<<20) + `","version":"1.4.2"}`), "inconclusive(no_version)"},
		"a page":                   {inJSON, page("<html>1.4.2"), "inconclusive(no_version)"},
		"a secret":                 {inJSON, page(`{"version":"` + secretish + ` leaked"}`), "inconclusive(no_version)"},
		"a redirect to it": {inHeader, func(w http.ResponseWriter, q *http.Request) {
			if q.URL.Path == "/" {
				http.Redirect(w, q, "/version", http.StatusFound)
				return
			}
			w.Header().Set("X-Version", "1.4.2")
		}, "inconclusive(no_version)"},
		"another each time": {inJSON, func(w http.ResponseWriter, q *http.Request) {
			page(fmt.Sprintf(`{"version":"1.4.%d"}`, 2+n.Add(1)))(w, q)
		}, "fail(wrong_version)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(test.handler)
			t.Cleanup(s.Close)
			p := &Probe{URL: s.URL + "/"}
			p.Version = test.source(t)
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Close)
			r := probe.Job{
				ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: 10 * time.Second,
				Versions: new(probe.VersionHistory), ExpectVersion: "1.4.2",
			}.Do(t.Context())
			got := ""
			for _, c := range r.Checks {
				if c.Name == probe.CheckExpectedVersion {
					got += fmt.Sprintf("%s(%s)", c.Verdict, c.Reason)
				}
			}
			if got != test.want || (r.Verdict() == probe.Pass) != (test.want == "pass(ok)") {
				t.Errorf("expected %s, got %s in\n%s", test.want, got, probetest.Lines(r))
			}
			if strings.Contains(fmt.Sprintf("%+v", r), secretish) {
				t.Errorf("the answer is repeated: %+v", r)
			}
		})
	}
}
