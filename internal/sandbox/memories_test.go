package sandbox

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// orgRequest is a request to the memories API with the token and the header of an org.
func (s *Sandbox) orgRequest(org, method, path, body string) request {
	return request{host: memories, method: method, path: path, token: s.tenants.token(org), body: body,
		header: http.Header{orgHeader: {org}}}
}

// createMemory creates a memory and returns its path.
func (s *Sandbox) createMemory(t *testing.T, org, text string) string {
	t.Helper()
	made := s.mustDo(t, s.orgRequest(org, "POST", "/v1/memories", fmt.Sprintf(`{"text":%q}`, text)))
	id, _ := made.json(t)["id"].(string)
	if made.status != 201 || id == "" {
		t.Fatalf("expected a memory created, got %d %s", made.status, made.body)
	}
	return "/v1/memories/" + id
}

// textsOf lists the texts of a page of the list.
func textsOf(t *testing.T, page response) string {
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
		answer := s.mustDo(t, request{host: memories, method: "GET", path: "/v1/whoami", token: token})
		if got := fmt.Sprint(answer.status, " ", strings.TrimSpace(answer.body)); got != want {
			t.Errorf("expected %s, got %s", want, got)
		}
	}
}

func TestMemories_lifecycle(t *testing.T) {
	s := start(t, Options{})
	made := s.mustDo(t, s.orgRequest(orgA, "POST", "/v1/memories", `{"text":"a canary","id":"chosen","org":"org-b","org_id":"org-a"}`))
	id, _ := made.json(t)["id"].(string)
	if made.status != 201 || len(id) < 20 || made.body != `{"archived":false,"id":"`+id+`","org":"org-a","text":"a canary"}`+"\n" {
		t.Fatalf("expected 201 and an id of the service's own, got %d %s", made.status, made.body)
	}
	own := "/v1/memories/" + id
	if got := made.header.Get("Location"); got != own {
		t.Errorf("expected the Location %s, got %q", own, got)
	}
	const gone = `{"error":"not_found"}`
	const invalid = `{"error":"invalid_request"}`
	whole := func(text string) string {
		return `{"archived":false,"id":"` + id + `","org":"org-a","text":"` + text + `"}`
	}
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
		{"the owner searches for something else", orgA, "GET", "/v1/memories?q=A+CAN", "", 200, `{"memories":[],"next":"","total":0}`},
		{"the owner exports", orgA, "GET", "/v1/memories/export", "", 200, brief("a canary") + "\n" + first},
		{"the owner counts", orgA, "GET", "/v1/memories/count", "", 200, `{"count":2}`},
		{"the other reads", orgB, "GET", own, "", 404, gone},
		{"the other searches", orgB, "GET", "/v1/memories?q=a+can", "", 200, `{"memories":[],"next":"","total":0}`},
		{"the other counts", orgB, "GET", "/v1/memories/count", "", 200, `{"count":1}`},
		{"the other updates", orgB, "PUT", own, `{"text":"b was here"}`, 404, gone},
		{"the other deletes", orgB, "DELETE", own, "", 404, gone},
		{"the owner still reads", orgA, "GET", own, "", 200, whole("a canary")},
		{"the owner updates", orgA, "PUT", own, `{"text":"changed"}`, 200, whole("changed")},
		{"the owner updates without a text", orgA, "PUT", own, `{}`, 400, invalid},
		{"the owner gives it away", orgA, "PUT", own, `{"text":"x","org_id":"org-b"}`, 403, `{"error":"org_mismatch"}`},
		{"the owner reads the change", orgA, "GET", own, "", 200, whole("changed")},
		{"into the other org", orgB, "POST", "/v1/memories", `{"text":"x","org_id":"org-a"}`, 403, `{"error":"org_mismatch"}`},
		{"into no org", orgB, "POST", "/v1/memories", `{"text":"x","org_id":""}`, 403, `{"error":"org_mismatch"}`},
		{"not JSON", orgA, "POST", "/v1/memories", "text", 400, invalid},
		{"no text", orgA, "POST", "/v1/memories", "{}", 400, invalid},
		{"too long", orgA, "POST", "/v1/memories", `{"text":"` + strings.Repeat("x", maxMemoryBytes) + `"}`, 400, invalid},
		{"the owner deletes", orgA, "DELETE", own, "", 204, ""},
		{"a read after the delete", orgA, "GET", own, "", 404, gone},
		{"a second delete", orgA, "DELETE", own, "", 404, gone},
		{"a nonexistent memory", orgA, "GET", "/v1/memories/never", "", 404, gone},
	} {
		answer := s.mustDo(t, s.orgRequest(step.org, step.method, step.path, step.body))
		if answer.status != step.status || strings.TrimSpace(answer.body) != step.want {
			t.Errorf("%s: expected %d %s, got %d %s", step.name, step.status, step.want, answer.status, answer.body)
		}
	}
	if got := fmt.Sprint(s.Memories()); got != "map[org-a:1 org-b:1]" {
		t.Errorf("expected only the seeds left, got %s", got)
	}
}

func TestMemories_headers(t *testing.T) {
	s := start(t, Options{})
	for path, want := range map[string]string{
		"/v1/memories":        "application/json",
		"/v1/memories/export": "application/x-ndjson",
		"/v1/memories/never":  "application/json",
	} {
		answer := s.mustDo(t, s.orgRequest(orgA, "GET", path, ""))
		headers := []string{answer.header.Get("Content-Type"), answer.header.Get("Cache-Control"), answer.header.Get("Vary")}
		if got := strings.Join(headers, "; "); got != want+"; private, no-store; Authorization, X-Org-Id" {
			t.Errorf("%s: got %s", path, got)
		}
	}
}

// Every route refuses a request that does not name its org exactly.
func TestMemories_failClosedWithoutOrg(t *testing.T) {
	s := start(t, Options{})
	own := s.createMemory(t, orgA, "a canary")
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
		{"an unknown org", s.credentials.orgA, []string{"org-z"}, "403 org_mismatch"},
		{"another case", s.credentials.orgA, []string{"Org-A"}, "403 org_mismatch"},
		{"an inner space", s.credentials.orgA, []string{"org -a"}, "403 org_mismatch"},
		{"a no-break space", s.credentials.orgA, []string{"org-a\u00a0"}, "403 org_mismatch"},
		{"SQL", s.credentials.orgA, []string{"org-a' OR '1'='1"}, "403 org_mismatch"},
		{"a very long one", s.credentials.orgA, []string{strings.Repeat("a", 8<<10)}, "403 org_mismatch"},
	} {
		for _, r := range routes {
			a := request{host: memories, method: r.method, path: r.path, token: c.token, body: r.body, header: http.Header{orgHeader: c.orgs}}
			answer := s.mustDo(t, a)
			if got := fmt.Sprint(answer.status, " ", answer.json(t)["error"]); got != c.want {
				t.Errorf("%s: %s %s: expected %s, got %s", c.name, r.method, r.path, c.want, got)
			}
		}
	}
	if answer := s.mustDo(t, s.orgRequest(orgA, "GET", own, "")); answer.json(t)["text"] != "a canary" {
		t.Errorf("a refused update was done: %s", answer.body)
	}
	if got := fmt.Sprint(s.Memories()); got != "map[org-a:2 org-b:1]" {
		t.Errorf("a refused create or delete was done: %s", got)
	}
}

func TestMemories_paging(t *testing.T) {
	s := start(t, Options{})
	paths := map[string]string{}
	for i := range 6 {
		name := fmt.Sprintf("page-a%d", i)
		paths[name] = s.createMemory(t, orgA, name)
		s.createMemory(t, orgB, fmt.Sprintf("b%d", i))
	}
	page := func(query string) (string, string) {
		t.Helper()
		answer := s.mustDo(t, s.orgRequest(orgA, "GET", "/v1/memories?q=page-&limit="+query, ""))
		next, _ := answer.json(t)["next"].(string)
		return textsOf(t, answer), next
	}
	first, next := page("2")
	if first != "page-a5 page-a4" || next == "" {
		t.Fatalf("expected the two newest and a cursor, got %s and %q", first, next)
	}
	// Memories that are created or deleted in the meantime move nothing.
	s.mustDo(t, s.orgRequest(orgA, "DELETE", paths["page-a4"], ""))
	s.createMemory(t, orgA, "page-a6")
	second, next := page("2&cursor=" + next)
	third, _ := page("2&cursor=" + next)
	if second != "page-a3 page-a2" || third != "page-a1 page-a0" {
		t.Errorf("expected the next pages, got %s and %s", second, third)
	}
	for query, want := range map[string]string{
		"?limit=0": "invalid_limit", "?limit=-1": "invalid_limit", "?limit=x": "invalid_limit", "?cursor=!": "invalid_cursor",
	} {
		answer := s.mustDo(t, s.orgRequest(orgA, "GET", "/v1/memories"+query, ""))
		if answer.status != 400 || answer.json(t)["error"] != want {
			t.Errorf("%s: expected 400 %s, got %d %s", query, want, answer.status, answer.body)
		}
	}
}

func TestMemories_pageSize(t *testing.T) {
	s := start(t, Options{})
	for i := range 250 {
		s.tenants.create(orgA, fmt.Sprintf("no. %d", i))
	}
	for query, want := range map[string]int{"": 50, "?limit=200": 200, "?limit=100000": 200, "?limit=1": 1, "?q=no.+24&limit=200": 11} {
		answer := s.mustDo(t, s.orgRequest(orgA, "GET", "/v1/memories"+query, "")).json(t)
		if got := len(answer["memories"].([]any)); got != want {
			t.Errorf("%s: expected %d, got %d", query, want, got)
		}
	}
	seen, cursor := map[string]bool{}, ""
	for pages := 0; pages == 0 || cursor != ""; pages++ {
		answer := s.mustDo(t, s.orgRequest(orgA, "GET", "/v1/memories?limit=60&cursor="+cursor, "")).json(t)
		for _, m := range answer["memories"].([]any) {
			seen[m.(object)["id"].(string)] = true
		}
		if cursor, _ = answer["next"].(string); pages > 5 {
			t.Fatal("the pages never end")
		}
	}
	if len(seen) != 251 {
		t.Errorf("expected 251 memories on the pages, got %d", len(seen))
	}
}

func TestMemories_maxPerOrg(t *testing.T) {
	s := start(t, Options{})
	for i := range maxMemories - 1 {
		if _, ok := s.tenants.create(orgA, "x"); !ok {
			t.Fatalf("only %d memories are stored", i+1)
		}
	}
	answer := s.mustDo(t, s.orgRequest(orgA, "POST", "/v1/memories", `{"text":"one more"}`))
	if answer.status != http.StatusInsufficientStorage || s.Memories()[orgA] != maxMemories {
		t.Errorf("expected 507 and %d memories, got %d and %d", maxMemories, answer.status, s.Memories()[orgA])
	}
	s.createMemory(t, orgB, "the other org has room")
}

// Two callers of each org write, read and delete concurrently. No org sees the other's memories, and the race detector
// finds nothing.
func TestMemories_concurrent(t *testing.T) {
	s := start(t, Options{})
	var all sync.WaitGroup
	for _, org := range []string{orgA, orgB, orgA, orgB} {
		all.Go(func() {
			for i := range 20 {
				path := s.createMemory(t, org, "of "+org)
				for _, a := range []request{
					s.orgRequest(org, "GET", path, ""), s.orgRequest(org, "GET", "/v1/memories?q=of+", ""),
					s.orgRequest(org, "PUT", path, fmt.Sprintf(`{"text":"of %s, %d"}`, org, i)), s.orgRequest(org, "GET", path, ""),
				} {
					answer := s.mustDo(t, a)
					if other := map[string]string{orgA: orgB, orgB: orgA}[org]; answer.status != 200 || strings.Contains(answer.body, other) {
						t.Errorf("%s %s as %s: got %d %s", a.method, a.path, org, answer.status, answer.body)
					}
				}
				if answer := s.mustDo(t, s.orgRequest(org, "DELETE", path, "")); answer.status != 204 {
					t.Errorf("expected 204, got %d", answer.status)
				}
			}
		})
	}
	all.Wait()
	if got := fmt.Sprint(s.Memories()); got != "map[org-a:1 org-b:1]" {
		t.Errorf("expected only the seeds left, got %s", got)
	}
}

// A clock that stops or is set back must not give two memories the same order.
func TestTenants_uniqueOrder(t *testing.T) {
	h := newTenants("a", "b")
	h.memories[len(h.memories)-1].order = 1 << 62 // created by a clock that is far ahead
	first, _ := h.create(orgA, "first")
	second, _ := h.create(orgA, "second")
	if first.order != 1<<62+1 || second.order != 1<<62+2 {
		t.Errorf("expected increasing orders, got %d and %d", first.order, second.order)
	}
}
