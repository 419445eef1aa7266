package issuance

import (
	"testing"

	"prober/internal/httpx"
	"prober/internal/probe"
)

// TestNotOK: the classes of httpx, but that a 401 says nothing about a credential: what is asked for is public, or was
// asked for with the right one.
func TestNotOK(t *testing.T) {
	for _, c := range []struct {
		status int
		why    probe.Reason
		cached string
		want   probe.Outcome
	}{
		{200, probe.OK, "", probe.Outcome{Reason: probe.OK}},
		{200, probe.OK, "Age: 3", probe.Outcome{Reason: probe.OK}},
		{201, probe.OK, "", probe.Outcomef(probe.Status, "expected 200, got 201")},
		{401, probe.OK, "", probe.Outcomef(probe.Status, "expected 200, got 401")},
		{403, probe.OK, "", probe.Outcomef(probe.Status, "expected 200, got 403")},
		{404, probe.OK, "", probe.Outcomef(probe.Status, "expected 200, got 404")},
		{503, probe.OK, "", probe.Outcomef(probe.Status, "expected 200, got 503")},
		{302, probe.OK, "", probe.Outcomef(probe.Redirect, "expected 200, got 302: redirects are not followed")},
		{304, probe.OK, "status 304", probe.Outcomef(probe.StaleOrCached, "expected 200, got 304 to a request that holds no copy")},
		{429, probe.OK, "", probe.Outcomef(probe.RateLimited, "expected 200, got 429: the target limits the rate of the prober's requests")},
		{200, probe.Truncated, "", probe.Outcomef(probe.Truncated, "cut")},
	} {
		a := &httpx.Answer{Exchange: probe.Exchange{Status: c.status, Reason: c.why}, Cached: c.cached}
		if c.why != probe.OK {
			a.Detail = "cut"
		}
		if got := NotOK(a); got != c.want {
			t.Errorf("%d: got %+v, want %+v", c.status, got, c.want)
		}
	}
}
