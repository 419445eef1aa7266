package isolation

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// byQuery, byBody and byText are the requests of an API that takes the org there.
const (
	byQuery = `
        create: {url: "/notes?org={org}", json: {text: "{canary}"}}
        read:   "/notes/{id}?org={org}"
        update: {url: "/notes/{id}?org={org}", json: {text: "{canary}"}}
        delete: "/notes/{id}?org={org}"
        list:   "/notes?cursor={cursor}&org={org}"
        next:   $.next
        search: "/notes?q={canary}&org={org}"
        export: "/notes/export?org={org}"
        count:  "/notes/count?org={org}"
        number: $.count
`
	byBody = `
        create: {url: /call/create, json: {org: "{org}", text: "{canary}"}}
        read:   {url: /call/read, method: POST, json: {org: "{org}", id: "{id}"}}
        update: {url: /call/update, method: POST, json: {org: "{org}", id: "{id}", text: "{canary}"}}
        delete: {url: /call/delete, method: POST, json: {org: "{org}", id: "{id}"}}
        list:   {url: /call/list, method: POST, json: {org: "{org}", cursor: "{cursor}"}}
        next:   $.next
        search: {url: /call/search, method: POST, json: {org: "{org}", q: "{canary}"}}
        export: {url: /call/export, method: POST, json: {org: "{org}"}}
        count:  {url: /call/count, method: POST, json: {org: "{org}"}}
        number: $.count
`
	byText = `
        create: {url: /call/create, body: '{"org": "{org}", "text": "{canary}"}'}
        read:   {url: /call/read, method: POST, body: '{"org": "{org}", "id": "{id}"}'}
        delete: {url: /call/delete, method: POST, body: '{"org": "{org}", "id": "{id}"}'}
        list:   {url: /call/list, method: POST, body: '{"org": "{org}", "cursor": "{cursor}"}'}
        next:   $.next
`
)

// withRequests returns the configuration with other requests.
func (n *notesAPI) withRequests(t *testing.T, text string) string {
	head, _, _ := strings.Cut(n.start(t), "        create:")
	return head + strings.TrimPrefix(text, "\n")
}

// TestContext_queryAndBody: an org in the query or the body is tested like one in a header.
func TestContext_queryAndBody(t *testing.T) {
	testenv.WithoutRace(t)
	for name, c := range map[string]struct{ style, text string }{
		"query": {"query", byQuery}, "body, as JSON": {"body", byBody}, "body, as text": {"body", byText},
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI(c.style)
			r := ask(t, newJob(t, api.withRequests(t, c.text)))
			expectDecisive(t, r, "pass")
			if left := api.list(); len(left) > 0 {
				t.Errorf("expected no notes, got %d", len(left))
			}
			for wrong, x := range map[string]struct {
				holds func(said []string) bool
				as    func(q *apiRequest, said []string) string
				want  probe.Reason
			}{
				"missing, and the response is for the token's own": {func(s []string) bool { return len(s) == 0 || s[0] == "" }, func(q *apiRequest, _ []string) string { return q.org }, mismatchNotRejected},
				"another's, and the response is for that":          {func(s []string) bool { return len(s) == 1 && (s[0] == "red" || s[0] == "blue") }, func(_ *apiRequest, s []string) string { return s[0] }, leakBody},
				"another's, and the token's own is":                {func(s []string) bool { return len(s) == 1 && (s[0] == "red" || s[0] == "blue") }, func(q *apiRequest, _ []string) string { return q.org }, mismatchNotRejected},
			} {
				api := newNotesAPI(c.style)
				api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
					said := api.orgs(q)
					if q.op != "read" || q.org == "" || slices.Equal(said, []string{q.org}) || !x.holds(said) {
						next(w, q.Request)
						return
					}
					org := x.as(q, said)
					api.serve(w, q, func(m note) bool { return m.org == org })
				}
				r := ask(t, newJob(t, api.withRequests(t, c.text)))
				if why := r.Decisive(); why.Verdict != probe.Fail || why.Reason != x.want || why.Name != "context" {
					t.Errorf("%s: got %s(%s), want context(%s)\n%s", wrong, why.Name, why.Reason, x.want, probetest.Lines(r))
				}
			}
		})
	}
}

// TestPages_firstCursor: in JSON there is no cursor yet for the first page, which is not the same as an empty one. GraphQL
// rejects an empty cursor.
func TestPages_firstCursor(t *testing.T) {
	testenv.WithoutRace(t)
	api := newNotesAPI("body")
	api.pageSize = 1
	var first, more atomic.Int64
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		var sent map[string]any
		if q.op == "list" {
			_ = json.NewDecoder(q.Body).Decode(&sent)
		}
		switch cursor := sent["cursor"]; {
		case q.op != "list":
		case cursor == "":
			reply(w, 400, `{"error":"the cursor is invalid"}`)
			return
		case cursor == nil:
			first.Add(1)
		default:
			more.Add(1)
		}
		next(w, q.Request)
	}
	expectDecisive(t, ask(t, newJob(t, api.withRequests(t, byBody))), "pass")
	if first.Load() == 0 || more.Load() == 0 {
		t.Errorf("listed %d first pages and %d others, expected both", first.Load(), more.Load())
	}
}

// pairs counts who requested whose note.
type pairs struct {
	mu  sync.Mutex
	all map[string]int
}

// threeOrgs returns a configuration with a third org.
func threeOrgs(t *testing.T, api *notesAPI) string {
	api.caller = func(r *http.Request) string {
		if r.Header.Get("Authorization") == "Bearer token-of-the-green-org" {
			return "green"
		}
		return tokens[r.Header.Get("Authorization")]
	}
	return strings.Replace(api.start(t), "      red: ", "      green: {bearer: {env: TEST_ISO_GREEN}}\n      red: ", 1)
}

// TestThreeOrgs: every pair is tested, and a leak names its owner and its intruder only.
func TestThreeOrgs(t *testing.T) {
	api, seen := newNotesAPI("header"), pairs{all: map[string]int{}}
	api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
		if q.foreign() && q.namesOwnOrg() {
			seen.mu.Lock()
			seen.all[q.op+" by "+q.org+" of "+q.owner]++
			seen.mu.Unlock()
		}
		next(w, q.Request)
	}
	r := ask(t, newJob(t, threeOrgs(t, api)))
	expectDecisive(t, r, "pass")
	orgs := []string{"blue", "green", "red"}
	for _, op := range []string{"read", "update", "delete"} {
		for _, intruder := range orgs {
			for _, owner := range orgs {
				if asked := op + " by " + intruder + " of " + owner; intruder != owner && seen.all[asked] == 0 {
					t.Errorf("never requested: %s", asked)
				}
			}
		}
	}
	t.Logf("%g", measuredValue(r, "probe_isolation_requests"))
	if got := measuredValue(r, "probe_isolation_requests"); got > 1000 {
		t.Errorf("%g requests are more than the default allows", got)
	}
	for i, op := range []string{"read", "list", "search", "export", "count", "update", "delete"} {
		for j, pair := range [][2]string{{"green", "red"}, {"red", "green"}} {
			if !testenv.Sampled(2*i+j, 10) {
				continue
			}
			t.Run(fmt.Sprintf("%s of %s by %s", op, pair[0], pair[1]), func(t *testing.T) {
				api := newNotesAPI("header")
				api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
					if q.op == op && q.org == pair[1] && q.namesOwnOrg() {
						api.serve(w, q, func(m note) bool { return m.org == pair[0] || m.org == pair[1] })
						return
					}
					next(w, q.Request)
				}
				why := ask(t, newJob(t, threeOrgs(t, api))).Decisive()
				if why.Verdict != probe.Fail || why.Name != checkIsolated || why.Target != "notes/"+op {
					t.Fatalf("got %s@%s %s(%s)", why.Name, why.Target, why.Verdict, why.Reason)
				}
				if !strings.Contains(why.Detail, pair[0]) || !strings.Contains(why.Detail, pair[1]) || strings.Contains(why.Detail, "blue") {
					t.Errorf("expected the owner and the intruder, got: %s", why.Detail)
				}
				if left := api.list(); len(left) > 0 && op != "delete" {
					t.Errorf("expected no notes, got %d", len(left))
				}
			})
		}
	}
}

// TestCredentials tests basic and oauth2.
func TestCredentials(t *testing.T) {
	testenv.WithoutRace(t)
	t.Setenv("TEST_ISO_SECRET_RED", "the-password-of-red")
	t.Setenv("TEST_ISO_SECRET_BLUE", "the-password-of-blue")
	basic := func(r *http.Request) string {
		user, password, _ := r.BasicAuth()
		if org, ok := strings.CutPrefix(user, "user-of-"); ok && password == "the-password-of-"+org {
			return org
		}
		return ""
	}
	issued := 0
	issuer := testenv.ServeInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		org := basic(r)
		if org == "" || r.FormValue("grant_type") != "client_credentials" {
			reply(w, 401, `{"error":"invalid_client"}`)
			return
		}
		issued++
		reply(w, 200, `{"access_token":"`+base64.RawURLEncoding.EncodeToString([]byte("a token that was fetched for "+org))+`","token_type":"Bearer","expires_in":3600}`)
	}))
	fetched := func(r *http.Request) string {
		text, _ := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if org, ok := strings.CutPrefix(string(text), "a token that was fetched for "); ok {
			return org
		}
		return ""
	}
	for name, c := range map[string]struct {
		caller func(*http.Request) string
		org    string
	}{
		"basic":  {basic, `{basic: {username: user-of-ORG, password: {env: TEST_ISO_SECRET_UPPER}}}`},
		"oauth2": {fetched, `{oauth2: {token_url: "` + issuer + `/token", client_id: user-of-ORG, client_secret: {env: TEST_ISO_SECRET_UPPER}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			settings := func(api *notesAPI) string {
				text := api.start(t)
				for _, org := range []string{"red", "blue"} {
					own := strings.NewReplacer("ORG", org, "UPPER", strings.ToUpper(org)).Replace(c.org)
					text = strings.Replace(text, "{bearer: {env: TEST_ISO_"+strings.ToUpper(org)+"}}", own, 1)
				}
				return text
			}
			api := newNotesAPI("header")
			api.caller = c.caller
			r := ask(t, newJob(t, settings(api)))
			expectDecisive(t, r, "pass")
			if got := measuredValue(r, "probe_isolation_matrix_rows", "tested"); got != 14 || len(api.list()) > 0 {
				t.Errorf("%g rows were tested, %d notes exist", got, len(api.list()))
			}
			api = newNotesAPI("header")
			api.caller = c.caller
			api.intercept = interceptIf(foreignOperation("read"), func(w http.ResponseWriter, r *http.Request) { reply(w, 200, marshal(notesOfOthers(api, c.caller(r)))) })
			expectDecisive(t, ask(t, newJob(t, settings(api))), "isolated@notes/read fail(leak_body)")
			// A made-up credential has the form of the real ones.
			api = newNotesAPI("header")
			api.caller = c.caller
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				scheme, _, _ := strings.Cut(q.Header.Get("Authorization"), " ")
				if q.op == "list" && q.org == "" && scheme == map[string]string{"basic": "Basic", "oauth2": "Bearer"}[name] {
					reply(w, 200, `{"notes":[]}`)
					return
				}
				next(w, q.Request)
			}
			expectDecisive(t, ask(t, newJob(t, settings(api))), "authenticated@notes/list fail(auth_bypass)")
		})
	}
	if issued == 0 || issued > 6 {
		t.Errorf("expected a token for each org of each of three probes, got %d", issued)
	}
	// A token that cannot be fetched is the prober's problem, not a denial.
	t.Setenv("TEST_ISO_SECRET_RED", "not-the-password-of-red")
	api := newNotesAPI("header")
	api.caller = fetched
	text := strings.Replace(api.start(t), "{bearer: {env: TEST_ISO_RED}}", `{oauth2: {token_url: "`+issuer+`/token", client_id: user-of-red, client_secret: {env: TEST_ISO_SECRET_RED}}}`, 1)
	text = strings.Replace(text, "{bearer: {env: TEST_ISO_BLUE}}", `{oauth2: {token_url: "`+issuer+`/token", client_id: user-of-blue, client_secret: {env: TEST_ISO_SECRET_BLUE}}}`, 1)
	expectDecisive(t, ask(t, newJob(t, text)), "identity@ inconclusive(credential)")
}

// TestBuild fills in the org, escaped for its position, and applies mutations.
func TestBuild(t *testing.T) {
	p := New()
	p.Base = "https://api.example"
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	list := map[string]any{"filter": []any{"{org}", "x"}, "by": map[string]any{"org": "{org}", "n": 1}}
	for _, c := range []struct {
		t    Request
		m    mutation
		want string
	}{
		{Request{URL: "/x", Body: `{"org": "{org}"}`}, mutation{}, `{"org": "a \"b\" \u0026 c"}`},
		{Request{URL: "/x", Body: ` ["{org}"]`}, mutation{}, ` ["a \"b\" \u0026 c"]`},
		{Request{URL: "/x", Body: `org={org}&x=1`, Headers: form}, mutation{}, `org=a+%22b%22+%26+c&x=1`},
		{Request{URL: "/x", Body: `org {org}`}, mutation{}, `org a "b" & c`},
		{Request{URL: "/x", Body: `org={org}`, Headers: form}, mutation{empty: true}, `org=`},
		{Request{URL: "/x", JSON: list}, mutation{}, `{"by":{"n":1,"org":"a \"b\" \u0026 c"},"filter":["a \"b\" \u0026 c","x"]}`},
		{Request{URL: "/x", JSON: list}, mutation{omit: true}, `{"by":{"n":1},"filter":["x"]}`},
		{Request{URL: "/x", JSON: list}, mutation{org: "z"}, `{"by":{"n":1,"org":"z"},"filter":["z","x"]}`},
	} {
		q, err := p.build(&Template{Request: c.t}, vars{org: `a "b" & c`}, c.m)
		if got := string(q.Body); err != nil || got != c.want {
			t.Errorf("got %s %v, want %s", got, err, c.want)
		}
	}
	// No mutated request may be the right request: its response would be a false violation.
	for _, sent := range []Request{
		{URL: "/x/{org}"}, {URL: "/x?org={org}"}, {URL: "/x", Headers: map[string]string{"X-Org-Id": "{org}"}}, {URL: "/x", JSON: list},
		{URL: "/x", Body: `{"org": "{org}"}`}, {URL: "/{org}?org={org}"}, {URL: "/{org}", JSON: list}, {URL: "/x?o={org}", Body: "{org}"},
	} {
		tm := Template{Request: sent}
		right, _ := p.build(&tm, vars{org: "mine"}, mutation{})
		all := append(p.tamperings(&tm, "theirs", "mine"), p.spellingTamperings(&tm, "theirs")...)
		if len(all) < 5 {
			t.Errorf("%+v: only %d ways", tm, len(all))
		}
		for _, m := range all {
			q, err := p.build(&tm, vars{org: "mine"}, m)
			if err != nil || q.URL == right.URL && string(q.Body) == string(right.Body) && fmt.Sprint(q.Header) == fmt.Sprint(right.Header) {
				t.Errorf("%s of %+v is the right request, or invalid: %v", m.name, tm, err)
			}
		}
	}
}

// TestOracleDifference: a late response is measured and never judged.
func TestOracleDifference(t *testing.T) {
	testenv.Slow(t, "it waits for late responses")
	const later = 300 * time.Millisecond
	for name, c := range map[string]struct {
		late     func(q *apiRequest) bool
		min, max time.Duration
	}{
		"another's is denied later":         {foreignOperation("read"), later / 2, time.Minute},
		"a nonexistent one is denied later": {func(q *apiRequest) bool { return q.op == "read" && q.owner == "" }, -time.Minute, -later / 2},
		"everything takes equally long":     {func(*apiRequest) bool { return false }, -later / 2, later / 2},
	} {
		t.Run(name, func(t *testing.T) {
			api := newNotesAPI("token")
			api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
				if c.late(q) {
					<-time.After(later)
				}
				next(w, q.Request)
			}
			r := ask(t, newJob(t, strings.Replace(api.start(t), "requests: 40", "requests: 4", 1)))
			expectDecisive(t, r, "pass")
			got := measuredValue(r, "probe_isolation_oracle_difference_seconds", "notes/read")
			if got == -1 || got < c.min.Seconds() || got > c.max.Seconds() {
				t.Errorf("the difference is %g s", got)
			}
		})
	}
	// Only denials are compared.
	api := newNotesAPI("token")
	api.intercept = interceptIf(foreignOperation("read"), respondStatus(500))
	r := api.runProbe(t)
	if got := measuredValue(r, "probe_isolation_oracle_difference_seconds", "notes/read"); got != -1 {
		t.Errorf("expected no difference without a denial, got %g s", got)
	}
}

// TestTamperingsFor tries each mutation where an object is read, and elsewhere few: each costs requests.
func TestTamperingsFor(t *testing.T) {
	p := newJob(t, strings.Replace(newNotesAPI("header").configuration("http://127.0.0.1:1"), "replica: here", "replica: here\n    overrides: {headers: [X-Tenant-Id], query: [org_id]}", 1)).Probe.(*Probe)
	rr := p.Resources["notes"]
	header, query := "the owner's org in X-Tenant-Id as well", "the owner's org in the parameter org_id as well"
	for op, c := range map[string]struct {
		tmpl *Template
		want []string // nil: at least those of list, and more
	}{
		"read":   {rr.Read, nil},
		"list":   {rr.List, []string{ownersOrg, noOrg, bothOrgs, header, query}},
		"search": {rr.Search, []string{ownersOrg, noOrg, header}},
		"create": {rr.Create, []string{ownersOrg, noOrg, header}},
		"update": {rr.Update, []string{ownersOrg, noOrg, header}},
	} {
		var got []string
		for _, m := range p.tamperingsFor(c.tmpl, op, "blue", "red") {
			got = append(got, m.name)
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if c.want != nil && !slices.Equal(got, c.want) || c.want == nil && (len(got) < 10 || !slices.Contains(got, query)) {
			t.Errorf("%s: got %q, expected %q", op, got, c.want)
		}
	}
}

// One way to name another org is enough to be tried.
func TestPlan_tamperings(t *testing.T) {
	counts := map[int]int{}
	for _, overrides := range []string{"", "\n    overrides: {headers: [X-Tenant-Id]}", "\n    overrides: {query: [org_id]}", "\n    overrides: {headers: [X-Tenant-Id], query: [org_id]}"} {
		for _, style := range []string{"token", "header", "query"} {
			p := newJob(t, strings.Replace(newNotesAPI(style).configuration("http://127.0.0.1:1"), "replica: here", "replica: here"+overrides, 1)).Probe.(*Probe)
			for _, rr := range newPlan(p).resources {
				for _, op := range operations {
					tmpl := rr.template(op)
					if tmpl == nil {
						continue
					}
					ways := len(p.tamperingsFor(tmpl, op, "owner", "intruder"))
					counts[min(ways, 2)]++
					if planned := rr.assertion(checkContext, op) != nil; planned != (ways > 0) {
						t.Errorf("%s%s: %s has %d ways, and is planned: %t", style, overrides, op, ways, planned)
					}
				}
			}
		}
	}
	if counts[1] == 0 || counts[2] == 0 {
		t.Errorf("not all cases are there: %v", counts)
	}
}
