package protected

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// TestProtected_runTooShort: every caller is answered, and all of them together take longer than the run.
// A route that hangs is another thing.
func TestProtected_runTooShort(t *testing.T) {
	g := newGate(t, jose.ES256)
	var waiting sync.WaitGroup
	defer waiting.Wait()
	for name, c := range map[string]struct {
		takes   time.Duration
		verdict probe.Verdict
		want    string
	}{
		"slow": {600 * time.Millisecond, probe.Inconclusive, "\nsuspended inconclusive(timeout): the run's time was up before this was answered; give the probe a longer timeout\n"},
		"hung": {time.Hour, probe.Fail, "\nvalid fail(timeout): expected 501: the time was up before anything was sent\n"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			select {
			case <-time.After(c.takes):
				g.ServeHTTP(w, q)
			case <-q.Context().Done():
			}
		}))
		t.Cleanup(server.Close)
		p := g.knocker()
		p.URL = server.URL + gateRoute
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		waiting.Go(func() {
			r := probe.Job{Probe: p, Timeout: 3500 * time.Millisecond}.Do(t.Context())
			if got := probetest.Lines(r); r.Verdict() != c.verdict || !strings.Contains(got, c.want) {
				t.Errorf("%s: got\n%swant %s with%s", name, got, c.verdict, c.want)
			}
		})
	}
}

// TestStoredTokens_sharedWithAnotherCaller: the mistakes of whoever put the tokens there.
func TestStoredTokens_sharedWithAnotherCaller(t *testing.T) {
	for name, c := range map[string]struct {
		revoked, expired string // whose token they have; empty: their own
		codes            bool
		want             []string
	}{
		"revoked has the valid one": {"VALID", "", true, []string{"inconclusive",
			"revoked inconclusive(credential): accepted, and rightly so: the token is that of valid",
			"stored_tokens inconclusive(credential): the token of revoked is that of valid"}},
		"revoked has the expired one": {"EXPIRED", "", true, []string{"inconclusive",
			"revoked inconclusive(credential): got 401, which proves nothing: the token is that of expired",
			"stored_tokens inconclusive(credential): the token of revoked is that of expired"}},
		"expired has none at all": {"", "any-text-will-be-refused", false, []string{"inconclusive",
			"expired inconclusive(credential): got 401, which proves nothing: the token is opaque, so an expired token cannot be distinguished from an invalid one; set the code of the response",
			"stored_tokens inconclusive(credential): the token of expired is opaque, so an expired token cannot be distinguished from an invalid one; set the code of the response"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, jose.ES256)
			p := g.knocker()
			for name, caller := range p.Callers {
				if !c.codes {
					caller.Code = ""
				}
				p.Callers[name] = caller
			}
			if c.revoked != "" {
				t.Setenv("TEST_GATE_REVOKED", secretOf(t, c.revoked))
			}
			if c.expired != "" {
				t.Setenv("TEST_GATE_EXPIRED", c.expired)
			}
			if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); got != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestStoredTokens_sharedWithHeaders(t *testing.T) {
	p := newGate(t, jose.ES256).knocker()
	other := p.Callers["valid"]
	other.Status, other.Headers = nil, map[string]httpx.Value{"X-Org-Id": {Text: "other"}}
	p.Callers["other"] = other
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	if f := p.readTokens()["other"]; f.unusableBecause != "" {
		t.Errorf("the token %s", f.unusableBecause)
	}
}

// TestForgeries_cachedRejection: nobody verified anything.
func TestForgeries_cachedRejection(t *testing.T) {
	g := newGate(t, jose.ES256)
	p := g.knocker()
	p.Forgeries = &Forgeries{}
	g.answer = func(w http.ResponseWriter, _ *http.Request, token string) bool {
		if f := jwk.ReadRaw(token); f != nil && f.Head["jku"] != nil {
			w.Header().Set("Age", "7")
		}
		return false
	}
	want := "inconclusive\nforgeries inconclusive(stale_or_cached): a token with the URL of its keys (jku): the answer may come out of a cache (Age: 7)"
	if got := probetest.NotPassed(probetest.Run(t, Kind(), p)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
