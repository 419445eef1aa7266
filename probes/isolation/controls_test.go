package isolation

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/canary"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// A serveFunc serves a request to a store.
type serveFunc = func(s *store, w http.ResponseWriter, r *http.Request)

// instead answers requests for which a condition holds in another way.
func instead(serve serveFunc, when func(s *store, r *http.Request, body string) bool, then http.HandlerFunc) serveFunc {
	return func(s *store, w http.ResponseWriter, r *http.Request) {
		body := sentText(r)
		r.Body = io.NopCloser(strings.NewReader(body))
		if when(s, r, body) {
			then(w, r)
			return
		}
		serve(s, w, r)
	}
}

func withMethod(method string) func(*store, *http.Request, string) bool {
	return func(_ *store, r *http.Request, _ string) bool {
		return r.Method == method && strings.HasSuffix(r.URL.Path, "/notes")
	}
}

func withBody(text string) func(*store, *http.Request, string) bool {
	return func(_ *store, _ *http.Request, body string) bool { return strings.Contains(body, text) }
}

// foreignRead holds for a read by one org of an object of the other, whose body has a text.
func foreignRead(text string) func(*store, *http.Request, string) bool {
	return func(s *store, r *http.Request, body string) bool {
		ofOne := slices.ContainsFunc(s.rows, func(r row) bool { return r.org == "one" && strings.Contains(body, r.id) })
		org, _ := caller(r)
		return ofOne && org == "two" && strings.Contains(body, text)
	}
}

// TestStyles_controls: a denial by the body proves nothing where the owner gets the same, where it is incomplete or out of
// a cache, or where it may be an error.
func TestStyles_controls(t *testing.T) {
	const patch204 = `{status: 204, empty: $}`
	for name, c := range testenv.Sample(map[string]struct {
		style  string
		serve  serveFunc
		change []string
		want   string
	}{
		"an update that never does anything": {"PostgREST and Supabase", instead(postgREST, withMethod("PATCH"), func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `[]`) }), nil,
			"isolated@notes/update inconclusive(control_failed)"},
		"and does not say so": {"PostgREST and Supabase", instead(postgREST, withMethod("PATCH"), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }),
			[]string{`denied: [403, {empty: $}]`, `denied: [403, {empty: $}, ` + patch204 + `]`, `unauthenticated: [401, {empty: $}]`, `unauthenticated: [401, {empty: $}, ` + patch204 + `]`},
			"isolated@notes/update inconclusive(control_failed)"},
		"a delete that never does anything": {"PostgREST and Supabase", instead(postgREST, withMethod("DELETE"), func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `[]`) }), nil,
			"isolated@notes/delete inconclusive(control_failed)"},
		"a read that is always null": {"GraphQL without a login", instead(graphQL, withBody("noteById("), func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{"data":{"noteById":null}}`) }), nil,
			"control@notes/read inconclusive(control_failed)"},
		"a list that is always empty": {"GraphQL without a login", instead(graphQL, withBody("allNotes"), func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{"data":{"allNotes":{"nodes":[]}}}`) }), nil,
			"isolated@notes/list inconclusive(nothing_checked)"},
		"a read that fails for others": {"GraphQL without a login", instead(graphQL, foreignRead("noteById(id"), func(w http.ResponseWriter, _ *http.Request) {
			reply(w, 200, `{"errors":[{"message":"canceling statement due to statement timeout"}],"data":{"noteById":null}}`)
		}), nil, "isolated@notes/read inconclusive(control_failed)"},
		"an update that fails": {"GraphQL without a login", instead(graphQL, withBody("updateNoteById"), func(w http.ResponseWriter, _ *http.Request) {
			reply(w, 200, `{"errors":[{"message":"canceling statement due to statement timeout"}],"data":{"updateNoteById":null}}`)
		}), nil, "isolated@notes/update inconclusive(control_failed)"},
		"an error that is not named": {"JSON-RPC", instead(jsonRPC, withBody("00000000-0000-4000-8000-00000000000"), func(w http.ResponseWriter, _ *http.Request) {
			reply(w, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32603}}`)
		}), nil, "control@notes/read inconclusive(control_failed)"},
		"out of a cache": {"Elasticsearch and OpenSearch", instead(searchIndex, foreignRead("ids"), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Age", "9")
			reply(w, 200, `{"_shards":{"failed":0},"hits":{"hits":[]}}`)
		}), nil, "isolated@notes/read inconclusive(stale_or_cached)"},
		"cut off": {"Elasticsearch and OpenSearch", instead(searchIndex, foreignRead("ids"), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			reply(w, 200, `{"_shards":{"failed":0},"hits":{"hits":[]}}`)
		}), nil, "isolated@notes/read inconclusive(control_failed)"},
		"what the owner is shown is a denial too": {"Loki, Mimir and others with a tenant header", nil, []string{`rejected: [400, 401, {empty: $.data.result}]`, `denied: {json: {$.status: success}}`},
			"control@lines/list inconclusive(control_failed)"},
		"a log that shows nothing": {"Loki, Mimir and others with a tenant header", instead(tenantHeader, func(_ *store, r *http.Request, _ string) bool { return strings.HasSuffix(r.URL.Path, "/query_range") }, func(w http.ResponseWriter, _ *http.Request) {
			reply(w, 200, `{"status":"success","data":{"result":[]}}`)
		}), nil, "control@lines/list inconclusive(control_failed)"},
	}, 8) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			style := styles[c.style]
			if c.serve != nil {
				style.serve = c.serve
			}
			r := ask(t, style.job(t, c.style, &store{}, c.change...))
			expectDecisive(t, r, c.want)
			for _, check := range r.Checks {
				if check.Verdict == probe.Fail {
					t.Errorf("an innocent check fails: %s@%s: %s", check.Name, check.Target, check.Detail)
				}
			}
		})
	}
}

// TestStyles_says: an error in the body of a success is said to be one.
func TestStyles_says(t *testing.T) {
	testenv.WithoutRace(t)
	const heading = "GraphQL without a login"
	graphql := styles[heading]
	graphql.serve = instead(graphql.serve, withBody("createNote"), func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, `{"errors":[{"message":"out of disk"}],"data":{"createNote":null}}`)
	})
	r := ask(t, graphql.job(t, heading, &store{}))
	if why := r.Decisive(); !strings.Contains(why.Detail, "no canary could be created in one: POST /graphql: got 200 with a body that denies") {
		t.Errorf("expected that creating fails, got\n%s", probetest.Lines(r))
	}
}

// TestStyles_goneByBody: an owner that is told in the body that its object does not exist is not shown it.
func TestStyles_goneByBody(t *testing.T) {
	const heading = "JSON-RPC"
	const list = `        list:   {method: POST, url: /, json: {jsonrpc: "2.0", id: 1, method: notes.list, params: {org: "{org}"}}}` + "\n"
	r := ask(t, styles[heading].job(t, heading, &store{hole: "delete"}, list, ""))
	expectDecisive(t, r, "isolated@notes/delete fail(foreign_delete)")
}

// TestNoIdentity: without an identity the details say what stays unproven, and where both credentials are of one org, a
// leak is reported with what it may be as well.
func TestNoIdentity(t *testing.T) {
	testenv.WithoutRace(t)
	const heading = "Elasticsearch and OpenSearch"
	const identity = `    identity: {url: /_security/_authenticate, org: $.metadata.org, subject: $.username, test_org: {$.metadata.test_org: true}}`
	own := []string{identity, "", "prober/one}}}", "prober/one}}, test_org: true}", "prober/two}}}", "prober/two}}, test_org: true}"}
	index := styles[heading]
	t.Run("sound", func(t *testing.T) {
		r := ask(t, index.job(t, heading, &store{}, own...))
		expectDecisive(t, r, "pass")
		if said := probetest.Lines(r); !strings.Contains(said, "that the credentials belong to different orgs is known from that alone") || strings.Contains(said, "identity") {
			t.Errorf("expected what is not proven, got\n%s", said)
		}
	})
	t.Run("one org", func(t *testing.T) {
		index := index
		serve := index.serve
		index.serve = func(s *store, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				r.SetBasicAuth("prober-one", "token-of-the-one-org")
			}
			serve(s, w, r)
		}
		r := ask(t, index.job(t, heading, &store{}, own...))
		if why := r.Decisive(); why.Reason != leakBody || !strings.Contains(why.Detail, "both credentials may also belong to one org") {
			t.Errorf("expected a leak that may be one org, got\n%s", probetest.Lines(r))
		}
	})
	t.Run("by the marker alone", func(t *testing.T) {
		r := ask(t, index.job(t, heading, &store{}, "org: $.metadata.org, subject: $.username, ", ""))
		expectDecisive(t, r, "pass")
		if said := probetest.Lines(r); !strings.Contains(said, "identity pass(ok): 2 test orgs") || !strings.Contains(said, "is known from that alone") {
			t.Errorf("expected test orgs that need not differ, got\n%s", said)
		}
	})
	t.Run("not a test org", func(t *testing.T) {
		s := &store{}
		r := ask(t, index.job(t, heading, s, "$.metadata.test_org: true", "$.metadata.test_org: false", "org: $.metadata.org, subject: $.username, ", ""))
		expectDecisive(t, r, "identity@ inconclusive(credential)")
		if s.serial > 0 {
			t.Errorf("%d objects were created in orgs that are not marked", s.serial)
		}
	})
}

// TestChosenIDs_orphans: what a crash left under keys that the prober chose is found by the keys alone, or by the content.
func TestChosenIDs_orphans(t *testing.T) {
	testenv.WithoutRace(t)
	for name, c := range map[string]struct{ style, id, text string }{
		"a list of keys":    {"Vault", "prober-SIBLING", "TEXT"},
		"a list of objects": {"Kubernetes", "SIBLING", "TEXT"},
		"an id alone":       {"Kubernetes", "SIBLING", "nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			old := canary.Mint("here", time.Now().Add(-time.Hour))
			fill := strings.NewReplacer("SIBLING", canary.Sibling(old), "TEXT", old)
			s := &store{rows: []row{
				{"prober-one", fill.Replace(c.id), fill.Replace(c.text)}, {"prober-one", "a-customer-s", "of a customer"},
				{"prober-two", strings.Replace(c.id, "SIBLING", canaryOfAge("there", time.Hour), 1), "of another prober"},
			}}
			r := ask(t, styles[c.style].job(t, c.style, s))
			expectDecisive(t, r, "pass")
			if len(s.rows) != 2 || s.rows[0].text != "of a customer" || s.rows[1].text != "of another prober" {
				t.Errorf("expected the old canary to be deleted and nothing else, got %v", s.rows)
			}
			if got := measuredValue(r, "probe_isolation_orphaned_canaries"); got != 0 {
				t.Errorf("%g orphans are left", got)
			}
		})
	}
}

// TestChosenIDs_upsert: where each credential has keys of its own, an intruder that puts a value to the owner's key makes
// one of its own, which is deleted as well.
func TestChosenIDs_upsert(t *testing.T) {
	hole := ""
	s := &store{}
	server := testenv.ServeInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		org, _ := caller(r)
		key := strings.TrimPrefix(r.URL.Path, "/kv/")
		match := func(r row) bool { return r.org == org && r.id == key }
		at := slices.IndexFunc(s.rows, match)
		switch {
		case org == "":
			reply(w, 401, `{}`)
		case r.URL.Path == "/whoami":
			reply(w, 200, marshal(map[string]any{"org": org, "test_org": true}))
		case r.URL.Path == "/kv":
			reply(w, 200, marshal(s.keys(org)))
		case r.Method == "PUT":
			text := sentText(r)
			if hole == "update" {
				s.update(text, withID(key))
			}
			s.insert(org, key, text)
			w.WriteHeader(204)
		case at < 0:
			reply(w, 404, `{}`)
		case r.Method == "DELETE":
			s.remove(match)
			w.WriteHeader(204)
		default:
			reply(w, 200, marshal(s.rows[at].text))
		}
	}))
	t.Setenv("TEST_ISO_ONE", "token-of-the-one-org")
	t.Setenv("TEST_ISO_TWO", "token-of-the-two-org")
	job := newJob(t, `
system: test
probes:
  - name: it
    type: isolation
    timeout: 20s
    base: `+server+`
    orgs: {one: {bearer: {env: TEST_ISO_ONE}}, two: {bearer: {env: TEST_ISO_TWO}}}
    identity: {url: /whoami, org: $.org, test_org: {$.test_org: true}}
    visibility_delay: 100ms
    interleave: {requests: 40}
    replica: here
    resources:
      values:
        create: {method: PUT, url: "/kv/{id}", body: "{canary}"}
        id:     {text: "{canary}"}
        read:   "/kv/{id}"
        update: {method: PUT, url: "/kv/{id}", body: "{canary}", denied: {status: 204, empty: $}, rejected: [400, {status: 204, empty: $}]}
        delete: "/kv/{id}"
        list:   /kv
`)
	r := ask(t, job)
	expectDecisive(t, r, "pass")
	if len(s.rows) > 0 || measuredValue(r, "probe_isolation_cleanup_failures_total") > 0 {
		t.Errorf("expected nothing to be left, got %v\n%s", s.rows, probetest.Lines(r))
	}
	hole = "update"
	expectDecisive(t, ask(t, job), "isolated@values/update fail(foreign_write)")
}

// TestQuery_escaped: a query language may be written as it is.
func TestQuery_escaped(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.URL.Query().Get("query") }))
	t.Cleanup(server.Close)
	p := &Probe{Base: server.URL}
	req, err := p.build(&Template{Request: Request{URL: `/q?query={app="a b"} |= "{canary}"&limit=1`}}, vars{canary: `x"&=y`}, mutation{})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get(req.URL)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if want := `{app="a b"} |= "x"&=y"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
