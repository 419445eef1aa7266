package protected

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/expect"
	"prober/probes/internal/probetest"
)

const (
	listWithItems = `{"items": [{"id": "a"}], "totalItems": 1}`
	emptyList     = `{"items": [], "totalItems": 0}`
)

// filtering is a probe of a gate that answers everybody 200, and whoever it does not know an empty list: its rules are
// filters. change may answer instead.
func filtering(t *testing.T, change func(http.ResponseWriter, *http.Request, string) bool) (*gate, *Probe) {
	t.Helper()
	g := newGate(t, jose.ES256)
	p := g.knocker()
	g.answer = atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
		switch {
		case change != nil && change(w, q, token):
		case token != "" && g.judge(token) == "":
			always(200, "application/json", listWithItems)(w, q, token)
		default:
			always(200, "application/json", emptyList)(w, q, token)
		}
		return true
	})
	items, err := jsonpath.Parse("$.items")
	if err != nil {
		t.Fatal(err)
	}
	p.Denied = expect.Denials{{Status: httpx.Codes(200), Empty: items}}
	for name, c := range p.Callers {
		c.Status, c.Code = nil, ""
		if name == callerValid {
			c.Status = httpx.Codes(200)
		}
		p.Callers[name] = c
	}
	p.Forgeries = &Forgeries{Keys: g.keys()}
	return g, p
}

func TestProtected_rejectsByAnEmptyList(t *testing.T) {
	_, p := filtering(t, nil)
	r := probetest.Run(t, Kind(), p)
	if got := probetest.Lines(r); r.Verdict() != probe.Pass || !strings.Contains(got, "anonymous pass(ok): rejected: got 200\n") || !strings.Contains(got, " forged tokens were rejected, one of them") {
		t.Errorf("got\n%s", got)
	}
	for _, x := range r.Exchanges {
		if x.Check == callerAnonymous && !x.Expected {
			t.Errorf("the empty list is not expected: %+v", x)
		}
	}
}

// TestProtected_rejectsByAnEmptyList_flawed: an empty list never hides that somebody got more than that.
func TestProtected_rejectsByAnEmptyList_flawed(t *testing.T) {
	testenv.WithoutRace(t)
	for name, c := range map[string]struct {
		change func(http.ResponseWriter, *http.Request, string) bool
		want   string
	}{
		"nobody's list has an item": {func(w http.ResponseWriter, q *http.Request, token string) bool {
			return token == "" && always(200, "application/json", listWithItems)(w, q, token)
		}, "fail\nanonymous fail(auth_bypass): a caller without a token is accepted: expected 200 with nothing at $.items, got 200\n"},
		"nobody's list has another name": {func(w http.ResponseWriter, q *http.Request, token string) bool {
			return token == "" && always(200, "application/json", `{"data": [1]}`)(w, q, token)
		}, "fail\nanonymous fail(auth_bypass): "},
		"the valid caller has none either": {always(200, "application/json", emptyList),
			"inconclusive\nvalid inconclusive(control_failed): got 200, and a body that a rejected caller gets too: the valid caller needs something to see\n"},
		"nobody's list breaks off": {func(w http.ResponseWriter, _ *http.Request, token string) bool {
			if token != "" {
				return false
			}
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"items": [`))
			return true
		}, "fail\nanonymous fail(truncated): expected 200 with nothing at $.items: "},
		"nobody's list comes out of a cache": {func(w http.ResponseWriter, q *http.Request, token string) bool {
			if token == "" {
				w.Header().Set("Age", "3")
			}
			return false
		}, "inconclusive\nanonymous inconclusive(stale_or_cached): "},
	} {
		t.Run(name, func(t *testing.T) {
			_, p := filtering(t, c.change)
			if got := probetest.Lines(probetest.Run(t, Kind(), p)); !strings.HasPrefix(got, c.want) {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
	g, p := filtering(t, nil)
	g.flaw = "none"
	if got := let(probetest.Run(t, Kind(), p)); !slices.Equal(got, []string{"none"}) {
		t.Errorf("accepted %v, want none", got)
	}
}

// TestProtected_successWithoutDenied: an empty list is a refusal only where the settings say so.
func TestProtected_successWithoutDenied(t *testing.T) {
	_, p := filtering(t, nil)
	p.Denied = nil
	if got, want := probetest.Lines(probetest.Run(t, Kind(), p)), "fail\nanonymous fail(auth_bypass): a caller without a token is accepted: expected 401, got 200\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestProtected_deniedOfItsOwn: a caller and the forgeries may be rejected in another way than the others.
func TestProtected_deniedOfItsOwn(t *testing.T) {
	_, p := filtering(t, func(w http.ResponseWriter, q *http.Request, token string) bool {
		switch token {
		case "":
			return always(200, "application/json", `{"error": {"code": "no_token"}}`)(w, q, token)
		case secretOf(t, "REVOKED"):
			return always(404, "application/json", `{}`)(w, q, token)
		}
		return false
	})
	code, says := "$.error.code", "no_token"
	anonymous := expect.Denials{{JSON: map[string]*expect.Match{code: {Equals: &says}}}}
	p.Callers[callerAnonymous] = Caller{Denied: anonymous}
	revoked := p.Callers["revoked"]
	revoked.Status = httpx.Codes(404)
	p.Callers["revoked"] = revoked
	if got := probetest.Lines(probetest.Run(t, Kind(), p)); !strings.HasPrefix(got, "pass\n") {
		t.Errorf("got\n%s", got)
	}
	p.Forgeries.Denied = anonymous
	if got := probetest.Lines(probetest.Run(t, Kind(), p)); !strings.HasPrefix(got, "fail\nforgeries fail(auth_bypass): ") {
		t.Errorf("got\n%s", got)
	}
}

// TestProtected_validGetsARefusal: what a single caller is refused with proves nothing for the valid one, with or without forgeries.
func TestProtected_validGetsARefusal(t *testing.T) {
	for name, forgeries := range map[string]bool{"forgeries": true, "no forgeries": false} {
		t.Run(name, func(t *testing.T) {
			_, p := filtering(t, always(200, "application/json", emptyList))
			p.Callers[callerAnonymous] = Caller{Denied: p.Denied}
			p.Denied = nil
			if !forgeries {
				p.Forgeries = nil
			}
			want := "valid inconclusive(control_failed): got 200, and a body that a rejected caller gets too: the valid caller needs something to see\n"
			if got := probetest.Lines(probetest.Run(t, Kind(), p)); !strings.Contains(got, want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// TestProtected_nonexistentPathGetsItems: a route that answers all paths alike proves nothing of itself.
func TestProtected_nonexistentPathGetsItems(t *testing.T) {
	g, p := filtering(t, nil)
	route := g.answer
	g.answer = func(w http.ResponseWriter, q *http.Request, token string) bool {
		return route(w, q, token) || always(200, "application/json", listWithItems)(w, q, token)
	}
	want := "catch_all inconclusive(control_failed): expected 404 for a nonexistent path, got 200 as for the route\n"
	if got := probetest.Lines(probetest.Run(t, Kind(), p)); !strings.Contains(got, want) || strings.HasPrefix(got, "pass") {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestForgeries_hidden: a route that hides from those whom it does not know rejects a forged token by 404 as well.
func TestForgeries_hidden(t *testing.T) {
	g := newGate(t, jose.ES256)
	p := g.knocker()
	g.answer = atRoute(func(w http.ResponseWriter, q *http.Request, token string) bool {
		return g.judge(token) == "invalid" && always(404, "application/json", `{"error":"invalid"}`)(w, q, token)
	})
	p.Callers["invalid"] = Caller{Status: httpx.Codes(404)}
	p.Callers["anonymous"] = Caller{Status: httpx.Codes(404)}
	p.Forgeries = &Forgeries{Status: httpx.Codes(404)}
	if got := probetest.Lines(probetest.Run(t, Kind(), p)); !strings.HasPrefix(got, "pass\n") {
		t.Errorf("got\n%s", got)
	}
}
