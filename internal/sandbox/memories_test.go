package sandbox

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// asking is a request to the memories API with the token of an org and a header that says so.
func (s *Sandbox) asking(org, method, path, body string) ask {
	return ask{host: memories, method: method, path: path, token: s.tenants.token(org), body: body,
		header: http.Header{orgHeader: {org}}}
}

// make creates a memory and returns its path.
func (s *Sandbox) make(t *testing.T, org, text string) string {
	t.Helper()
	made := s.must(t, s.asking(org, "POST", "/v1/memories", fmt.Sprintf(`{"text":%q}`, text)))
	id, _ := made.json(t)["id"].(string)
	if made.status != 201 || id == "" {
		t.Fatalf("wanted a memory created, got %d %s", made.status, made.body)
	}
	return "/v1/memories/" + id
}

// texts lists the texts of a page of the list.
func texts(t *testing.T, page got) string {
	t.Helper()
	var all []string
	for _, m := range page.json(t)["memories"].([]any) {
		all = append(all, m.(object)["text"].(string))
	}
	return strings.Join(all, " ")
}

func TestWhoami(t *testing.T) {
	s := start(t, Options{})
	for token, want := range map[string]string{
		s.credentials.orgA: `200 {"org":"org-a","subject":"svc-a","test_org":true}`,
		s.credentials.orgB: `200 {"org":"org-b","subject":"svc-b","test_org":true}`,
		"garbage":          `401 {"error":"unauthorized"}`,
		"":                 `401 {"error":"unauthorized"}`,
	} {
		answer := s.must(t, ask{host: memories, method: "GET", path: "/v1/whoami", token: token})
		if told := fmt.Sprint(answer.status, " ", strings.TrimSpace(answer.body)); told != want {
			t.Errorf("wanted %s, got %s", want, told)
		}
	}
}

func TestAMemoryFromCreationToDeletion(t *testing.T) {
	s := start(t, Options{})
	made := s.must(t, s.asking(orgA, "POST", "/v1/memories", `{"text":"a canary","id":"chosen","org":"org-b","org_id":"org-a"}`))
	id, _ := made.json(t)["id"].(string)
	if made.status != 201 || len(id) < 20 || made.body != `{"id":"`+id+`","org":"org-a","text":"a canary"}`+"\n" {
		t.Fatalf("wanted 201 and an id of the service's own, got %d %s", made.status, made.body)
	}
	own := "/v1/memories/" + id
	if got := made.header.Get("Location"); got != own {
		t.Errorf("wanted the Location %s, got %q", own, got)
	}
	const gone = `{"error":"not_found"}`
	const invalid = `{"error":"invalid_request"}`
	whole := func(text string) string { return `{"id":"` + id + `","org":"org-a","text":"` + text + `"}` }
	brief := func(text string) string { return `{"id":"` + id + `","text":"` + text + `"}` }
	first := `{"id":"` + s.Env()["PROBER_DEMO_MEMORY_A"] + `","text":"` + s.Env()["PROBER_DEMO_CANARY_A"] + `"}`
	for _, step := range []struct {
		name, org, method, path, body string
		status                        int
		want                          string
	}{
		{"the owner reads", orgA, "GET", own, "", 200, whole("a canary")},
		{"the owner lists", orgA, "GET", "/v1/memories", "", 200, `{"memories":[` + brief("a canary") + `,` + first + `],"next":"","total":2}`},
		{"the owner searches", orgA, "GET", "/v1/memories?q=a+can", "", 200, `{"memories":[` + brief("a canary") + `],"next":"","total":1}`},
		{"the owner searches in vain", orgA, "GET", "/v1/memories?q=A+CAN", "", 200, `{"memories":[],"next":"","total":0}`},
		{"the owner exports", orgA, "GET", "/v1/memories/export", "", 200, brief("a canary") + "\n" + first},
		{"the owner counts", orgA, "GET", "/v1/memories/count", "", 200, `{"count":2}`},
		{"the other reads", orgB, "GET", own, "", 404, gone},
		{"the other searches", orgB, "GET", "/v1/memories?q=a+can", "", 200, `{"memories":[],"next":"","total":0}`},
		{"the other counts", orgB, "GET", "/v1/memories/count", "", 200, `{"count":1}`},
		{"the other updates", orgB, "PUT", own, `{"text":"b was here"}`, 404, gone},
		{"the other deletes", orgB, "DELETE", own, "", 404, gone},
		{"the owner still reads", orgA, "GET", own, "", 200, whole("a canary")},
		{"the owner updates", orgA, "PUT", own, `{"text":"changed"}`, 200, whole("changed")},
		{"the owner updates with nothing", orgA, "PUT", own, `{}`, 400, invalid},
		{"the owner gives it away", orgA, "PUT", own, `{"text":"x","org_id":"org-b"}`, 403, `{"error":"org_mismatch"}`},
		{"the owner reads the change", orgA, "GET", own, "", 200, whole("changed")},
		{"into the other org", orgB, "POST", "/v1/memories", `{"text":"x","org_id":"org-a"}`, 403, `{"error":"org_mismatch"}`},
		{"into no org", orgB, "POST", "/v1/memories", `{"text":"x","org_id":""}`, 403, `{"error":"org_mismatch"}`},
		{"not JSON", orgA, "POST", "/v1/memories", "text", 400, invalid},
		{"no text", orgA, "POST", "/v1/memories", "{}", 400, invalid},
		{"too long", orgA, "POST", "/v1/memories", `{"text":"` + strings.Repeat("x", maxMemoryBytes) + `"}`, 400, invalid},
		{"the owner deletes", orgA, "DELETE", own, "", 204, ""},
		{"it is gone", orgA, "GET", own, "", 404, gone},
		{"it is gone for good", orgA, "DELETE", own, "", 404, gone},
		{"one that never was", orgA, "GET", "/v1/memories/never", "", 404, gone},
	} {
		answer := s.must(t, s.asking(step.org, step.method, step.path, step.body))
		if answer.status != step.status || strings.TrimSpace(answer.body) != step.want {
			t.Errorf("%s: wanted %d %s, got %d %s", step.name, step.status, step.want, answer.status, answer.body)
		}
	}
	if got := fmt.Sprint(s.Memories()); got != "map[org-a:1 org-b:1]" {
		t.Errorf("wanted nothing left, got %s", got)
	}
}

func TestTheKindsOfAnswers(t *testing.T) {
	s := start(t, Options{})
	for path, want := range map[string]string{
		"/v1/memories":        "application/json",
		"/v1/memories/export": "application/x-ndjson",
		"/v1/memories/never":  "application/json",
	} {
		answer := s.must(t, s.asking(orgA, "GET", path, ""))
		told := []string{answer.header.Get("Content-Type"), answer.header.Get("Cache-Control"), answer.header.Get("Vary")}
		if got := strings.Join(told, "; "); got != want+"; private, no-store; Authorization, X-Org-Id" {
			t.Errorf("%s: got %s", path, got)
		}
	}
}

// Every route refuses whoever does not say, in so many words, for which org it asks.
func TestEveryRouteFailsClosed(t *testing.T) {
	s := start(t, Options{})
	own := s.make(t, orgA, "a canary")
	routes := []struct{ method, path, body string }{
		{"GET", "/v1/memories", ""}, {"GET", "/v1/memories?q=a", ""}, {"POST", "/v1/memories", `{"text":"x"}`},
		{"GET", "/v1/memories/export", ""}, {"GET", "/v1/memories/count", ""},
		{"GET", own, ""}, {"PUT", own, `{"text":"x"}`}, {"DELETE", own, ""},
	}
	for _, c := range []struct {
		name, token string
		orgs        []string
		want        string
	}{
		{"no token", "", []string{orgA}, "401 unauthorized"},
		{"garbage", "garbage", []string{orgA}, "401 unauthorized"},
		{"no token and no org", "", nil, "401 unauthorized"},
		{"no org", s.credentials.orgA, nil, "400 org_required"},
		{"an empty org", s.credentials.orgA, []string{""}, "400 org_required"},
		{"two orgs", s.credentials.orgA, []string{orgA, orgB}, "400 org_ambiguous"},
		{"its org twice", s.credentials.orgA, []string{orgA, orgA}, "400 org_ambiguous"},
		{"two orgs in one", s.credentials.orgA, []string{"org-a, org-b"}, "403 org_mismatch"},
		{"the other's org", s.credentials.orgB, []string{orgA}, "403 org_mismatch"},
		{"an org of nobody", s.credentials.orgA, []string{"org-z"}, "403 org_mismatch"},
		{"another case", s.credentials.orgA, []string{"Org-A"}, "403 org_mismatch"},
		{"a space within", s.credentials.orgA, []string{"org -a"}, "403 org_mismatch"},
		{"a space that is none", s.credentials.orgA, []string{"org-a\u00a0"}, "403 org_mismatch"},
		{"SQL", s.credentials.orgA, []string{"org-a' OR '1'='1"}, "403 org_mismatch"},
		{"a very long one", s.credentials.orgA, []string{strings.Repeat("a", 8<<10)}, "403 org_mismatch"},
	} {
		for _, r := range routes {
			a := ask{host: memories, method: r.method, path: r.path, token: c.token, body: r.body, header: http.Header{orgHeader: c.orgs}}
			answer := s.must(t, a)
			if got := fmt.Sprint(answer.status, " ", answer.json(t)["error"]); got != c.want {
				t.Errorf("%s: %s %s: wanted %s, got %s", c.name, r.method, r.path, c.want, got)
			}
		}
	}
	if answer := s.must(t, s.asking(orgA, "GET", own, "")); answer.json(t)["text"] != "a canary" {
		t.Errorf("what was refused was done: %s", answer.body)
	}
	if got := fmt.Sprint(s.Memories()); got != "map[org-a:2 org-b:1]" {
		t.Errorf("what was refused was done: %s", got)
	}
}

func TestPaging(t *testing.T) {
	s := start(t, Options{})
	paths := map[string]string{}
	for i := range 6 {
		name := fmt.Sprintf("page-a%d", i)
		paths[name] = s.make(t, orgA, name)
		s.make(t, orgB, fmt.Sprintf("b%d", i))
	}
	page := func(query string) (string, string) {
		t.Helper()
		answer := s.must(t, s.asking(orgA, "GET", "/v1/memories?q=page-&limit="+query, ""))
		next, _ := answer.json(t)["next"].(string)
		return texts(t, answer), next
	}
	first, next := page("2")
	if first != "page-a5 page-a4" || next == "" {
		t.Fatalf("wanted the two newest and a cursor, got %s and %q", first, next)
	}
	// What goes and comes meanwhile moves nothing.
	s.must(t, s.asking(orgA, "DELETE", paths["page-a4"], ""))
	s.make(t, orgA, "page-a6")
	second, next := page("2&cursor=" + next)
	third, _ := page("2&cursor=" + next)
	if second != "page-a3 page-a2" || third != "page-a1 page-a0" {
		t.Errorf("wanted the next pages, got %s and %s", second, third)
	}
	for query, want := range map[string]string{
		"?limit=0": "invalid_limit", "?limit=-1": "invalid_limit", "?limit=x": "invalid_limit", "?cursor=!": "invalid_cursor",
	} {
		answer := s.must(t, s.asking(orgA, "GET", "/v1/memories"+query, ""))
		if answer.status != 400 || answer.json(t)["error"] != want {
			t.Errorf("%s: wanted 400 %s, got %d %s", query, want, answer.status, answer.body)
		}
	}
}

func TestPagesAreBounded(t *testing.T) {
	s := start(t, Options{})
	for i := range 250 {
		s.tenants.create(orgA, fmt.Sprintf("no. %d", i))
	}
	for query, want := range map[string]int{"": 50, "?limit=200": 200, "?limit=100000": 200, "?limit=1": 1, "?q=no.+24&limit=200": 11} {
		answer := s.must(t, s.asking(orgA, "GET", "/v1/memories"+query, "")).json(t)
		if got := len(answer["memories"].([]any)); got != want {
			t.Errorf("%s: wanted %d, got %d", query, want, got)
		}
	}
	seen, cursor := map[string]bool{}, ""
	for pages := 0; pages == 0 || cursor != ""; pages++ {
		answer := s.must(t, s.asking(orgA, "GET", "/v1/memories?limit=60&cursor="+cursor, "")).json(t)
		for _, m := range answer["memories"].([]any) {
			seen[m.(object)["id"].(string)] = true
		}
		if cursor, _ = answer["next"].(string); pages > 5 {
			t.Fatal("the pages never end")
		}
	}
	if len(seen) != 251 {
		t.Errorf("wanted 251 memories on the pages, got %d", len(seen))
	}
}

func TestMemoriesAreBounded(t *testing.T) {
	s := start(t, Options{})
	for i := range maxMemories - 1 {
		if _, ok := s.tenants.create(orgA, "x"); !ok {
			t.Fatalf("only %d memories are kept", i+1)
		}
	}
	answer := s.must(t, s.asking(orgA, "POST", "/v1/memories", `{"text":"one more"}`))
	if answer.status != http.StatusInsufficientStorage || s.Memories()[orgA] != maxMemories {
		t.Errorf("wanted 507 and %d memories, got %d and %d", maxMemories, answer.status, s.Memories()[orgA])
	}
	s.make(t, orgB, "the other org has room")
}

// Two of each org write, read and delete at once; the race detector judges, and nobody sees anything of the others.
func TestTenantsAtOnce(t *testing.T) {
	s := start(t, Options{})
	var all sync.WaitGroup
	for _, org := range []string{orgA, orgB, orgA, orgB} {
		all.Go(func() {
			for i := range 20 {
				path := s.make(t, org, "of "+org)
				for _, a := range []ask{
					s.asking(org, "GET", path, ""), s.asking(org, "GET", "/v1/memories?q=of+", ""),
					s.asking(org, "PUT", path, fmt.Sprintf(`{"text":"of %s, %d"}`, org, i)), s.asking(org, "GET", path, ""),
				} {
					answer := s.must(t, a)
					if other := map[string]string{orgA: orgB, orgB: orgA}[org]; answer.status != 200 || strings.Contains(answer.body, other) {
						t.Errorf("%s %s as %s: got %d %s", a.method, a.path, org, answer.status, answer.body)
					}
				}
				if answer := s.must(t, s.asking(org, "DELETE", path, "")); answer.status != 204 {
					t.Errorf("wanted 204, got %d", answer.status)
				}
			}
		})
	}
	all.Wait()
	if got := fmt.Sprint(s.Memories()); got != "map[org-a:1 org-b:1]" {
		t.Errorf("wanted nothing left, got %s", got)
	}
}

// A stopped clock, or one that is put back, must not make two memories share a place in the list.
func TestEveryMemoryHasAPlaceOfItsOwn(t *testing.T) {
	h := newTenants("a", "b")
	h.memories[len(h.memories)-1].order = 1 << 62 // made by a clock far ahead
	first, _ := h.create(orgA, "first")
	second, _ := h.create(orgA, "second")
	if first.order != 1<<62+1 || second.order != 1<<62+2 {
		t.Errorf("got the places %d and %d", first.order, second.order)
	}
}
