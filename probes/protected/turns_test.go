package protected

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
	"prober/probes/internal/replicas"
)

// presentedBy returns the names of the forgeries without a key of the verifier that a run presented, from the sentence
// that every run says.
func saysTurn(t *testing.T, r probe.Result) string {
	t.Helper()
	_, after, _ := strings.Cut(probetest.Lines(r), "with a key that no verifier has (")
	name, _, ok := strings.Cut(after, "; 10 others take turns)")
	if !ok {
		t.Fatalf("the run does not say what took its turn:\n%s", probetest.Lines(r))
	}
	return name
}

// TestTurns_oneUnknownKeyARun: a verifier fetches the key set for a key that it does not know, and may do that five
// times a minute.
func TestTurns_oneUnknownKeyARun(t *testing.T) {
	testenv.WithoutRace(t)
	g := newGate(t, jose.ES256)
	unknown := map[string]int{} // by replica
	count := func(w http.ResponseWriter, q *http.Request, token string) bool {
		header, _, isToken := strings.Cut(token, ".")
		if head := members(header); isToken && head != nil && head["kid"] != "k1" {
			g.mu.Lock()
			unknown[q.Context().Value(http.LocalAddrContextKey).(fmt.Stringer).String()]++
			g.mu.Unlock()
		}
		return false
	}
	g.answer = count
	second := httptest.NewServer(g)
	t.Cleanup(second.Close)
	p := g.knocker()
	first := strings.TrimSuffix(strings.TrimPrefix(g.url, "http://"), gateRoute)
	p.Replicas = replicas.Replicas{Static: []string{first, strings.TrimPrefix(second.URL, "http://")}, Want: 2}
	p.Forgeries = &Forgeries{}
	var turns []string
	for run := 1; run <= len(newKeyRecipes)+1; run++ {
		r := probetest.Run(t, Kind(), p)
		if r.Verdict() != probe.Pass {
			t.Fatalf("run %d:\n%s", run, probetest.Lines(r))
		}
		turns = append(turns, saysTurn(t, r))
		if len(unknown) != 2 {
			t.Fatalf("run %d: expected an unknown key at both replicas, got %v", run, unknown)
		}
		for replica, n := range unknown {
			if n != run {
				t.Errorf("run %d: %d unknown keys so far at %s", run, n, replica)
			}
		}
	}
	var want []string
	for _, r := range newKeyRecipes {
		want = append(want, r.name)
	}
	if want = append(want, want[0]); !slices.Equal(turns, want) {
		t.Errorf("got %v, want %v", turns, want)
	}
	p.Forgeries.AllUnknownKids = true
	clear(unknown)
	probetest.Run(t, Kind(), p)
	for replica, n := range unknown {
		if n != len(newKeyRecipes) {
			t.Errorf("%d unknown keys at %s, want all", n, replica)
		}
	}
}

// TestTurns_acceptedStays: a hole is not closed by another token's turn, and the gauge remembers those that wait.
func TestTurns_acceptedStays(t *testing.T) {
	g := newGate(t, jose.ES256)
	p := g.knocker()
	p.Forgeries = &Forgeries{}
	g.flaw = "kid_path"
	var verdicts []probe.Verdict
	for range 5 {
		r := probetest.Run(t, Kind(), p)
		verdicts = append(verdicts, r.Verdict())
		if r.Verdict() == probe.Fail && !slices.Equal(let(r), []string{"kid_path"}) {
			t.Errorf("accepted: %v", let(r))
		}
	}
	if want := []probe.Verdict{probe.Pass, probe.Pass, probe.Fail, probe.Fail, probe.Fail}; !slices.Equal(verdicts, want) {
		t.Errorf("got %v, want %v", verdicts, want)
	}
	g.flaw = ""
	if r := probetest.Run(t, Kind(), p); saysTurn(t, r) != "kid_path" || let(r) != nil {
		t.Errorf("got\n%s", probetest.Lines(r))
	}
	r := probetest.Run(t, Kind(), p)
	if saysTurn(t, r) != "kid_sql" {
		t.Errorf("got\n%s", probetest.Lines(r))
	}
	outcomes := map[string]string{}
	for _, s := range r.Samples {
		if s.Name == "probe_auth_case" && s.Value == 1 {
			outcomes[strings.TrimPrefix(s.Values[0], forgedPrefix)] = s.Values[1]
		}
	}
	for name, want := range map[string]string{"no_kid": "as_expected", "kid_path": "as_expected", "kid_sql": "as_expected", "unknown_kid_jku": "error"} {
		if outcomes[name] != want {
			t.Errorf("%s: got %q, want %s", name, outcomes[name], want)
		}
	}
}

// TestTurns_unanswered: whoever was not asked, or gave no answer that proves anything, is asked again.
func TestTurns_unanswered(t *testing.T) {
	g := newGate(t, jose.ES256)
	p := g.knocker()
	p.Forgeries = &Forgeries{}
	limits := true
	g.answer = atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
		header, _, _ := strings.Cut(token, ".")
		head := members(header)
		return limits && head != nil && head["kid"] == nil && always(429, "application/json", "{}")(w, q, token)
	})
	if got := probetest.Lines(probetest.Run(t, Kind(), p)); !strings.Contains(got, "forgeries inconclusive(rate_limited): got 429 after ") {
		t.Errorf("got\n%s", got)
	}
	limits = false
	if got := saysTurn(t, probetest.Run(t, Kind(), p)); got != "no_kid" {
		t.Errorf("got %s, want no_kid again", got)
	}
}

// TestForgeries_nothingLeft: where all that is not left out needs the public keys, and there are none, nothing is proven.
func TestForgeries_nothingLeft(t *testing.T) {
	g := newGate(t, jose.ES256)
	p := g.knocker()
	p.Forgeries = &Forgeries{}
	for _, name := range recipeNames() {
		if name != "hs256_pem" {
			p.Forgeries.Except = append(p.Forgeries.Except, name)
		}
	}
	if got, want := probetest.Lines(probetest.Run(t, Kind(), p)), "forgeries inconclusive(nothing_checked): nothing could be forged: what is not left out (except) cannot be made of the valid token, or not without keys\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%swant %s", got, want)
	}
}

// TestForgeries_alone: without another token made with the same key, all is forged that does not need one.
func TestForgeries_alone(t *testing.T) {
	g := newGate(t, jose.ES256)
	p := g.knocker()
	p.Callers = map[string]Caller{"valid": p.Callers["valid"]}
	p.Forgeries = &Forgeries{Keys: g.keys()}
	if got, want := probetest.Lines(probetest.Run(t, Kind(), p)), "forgeries pass(ok): 50 forged tokens were rejected, one of"; !strings.Contains(got, want) {
		t.Errorf("got\n%swant %s", got, want)
	}
}

// TestForgeries_except: what is left out is not presented, and the run says so.
func TestForgeries_except(t *testing.T) {
	g := newGate(t, jose.ES256)
	p := g.knocker()
	p.Forgeries = &Forgeries{Except: []string{"none", "jku", "no_kid"}}
	g.flaw = "none"
	r := probetest.Run(t, Kind(), p)
	if got, want := probetest.Lines(r), "forgeries pass(ok): 35 forged tokens were rejected (left out: none, jku, no_kid), one of them with a key that no verifier has (unknown_kid; 9 others take turns)"; !strings.Contains(got, want) {
		t.Errorf("got\n%swant %s", got, want)
	}
	cases := map[string]bool{}
	for _, s := range r.Samples {
		cases[s.Values[0]] = true
	}
	if cases["forged_none"] || cases["forged_jku"] || !cases["forged_x5u"] {
		t.Errorf("got %v", slices.Sorted(maps.Keys(cases)))
	}
}
