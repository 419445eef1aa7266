package isolation

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// A row is an object of an org in a store.
type row struct{ org, id, text string }

// A store keeps the rows of an API that isolates orgs, unless a hole is open.
type store struct {
	hole string // what is open: an operation to every org, or "anonymous OPERATION" to everybody

	mu     sync.Mutex
	serial int
	rows   []row
}

// sees reports whether an org, which is empty for an anonymous caller, may do something with a row.
func (s *store) sees(op, org string, r row) bool {
	return org != "" && (r.org == org || s.hole == op) || org == "" && s.hole == "anonymous "+op
}

// find lists the rows with which an org may do something, of all or of those with an id.
func (s *store) find(op, org string, match func(row) bool) []row {
	var found []row
	for _, r := range s.rows {
		if match(r) && s.sees(op, org, r) {
			found = append(found, r)
		}
	}
	return found
}

// keys lists the ids of an org's rows.
func (s *store) keys(org string) []string {
	keys := []string{}
	for _, r := range s.rows {
		if r.org == org {
			keys = append(keys, r.id)
		}
	}
	return keys
}

func withID(id string) func(row) bool { return func(r row) bool { return r.id == id } }

func anyRow(row) bool { return true }

func (s *store) insert(org, id, text string) row {
	if id == "" {
		s.serial++
		id = fmt.Sprintf("00000000-0000-4000-8000-%012d", s.serial)
	}
	s.remove(func(r row) bool { return r.org == org && r.id == id })
	r := row{org, id, text}
	s.rows = append(s.rows, r)
	return r
}

func (s *store) remove(match func(row) bool) { s.rows = slices.DeleteFunc(s.rows, match) }

func (s *store) update(text string, match func(row) bool) {
	for i := range s.rows {
		if match(s.rows[i]) {
			s.rows[i].text = text
		}
	}
}

// caller returns the org of a request's token; ok is false for a token that is not accepted.
func caller(r *http.Request) (org string, ok bool) {
	token := r.Header.Get("X-Vault-Token") + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if _, password, ok := r.BasicAuth(); ok {
		token = password
	}
	for _, org := range []string{"one", "two"} {
		if token == "token-of-the-"+org+"-org" {
			return org, true
		}
	}
	return "", token == ""
}

// A style is a class of APIs: one of them, and what is found where a hole is open.
type style struct {
	serve func(s *store, w http.ResponseWriter, r *http.Request)
	holes map[string]string
	keeps bool // what is created expires
}

var (
	exampleBase   = regexp.MustCompile(`base: https://[^/\n]*`)
	exampleDelay  = regexp.MustCompile(`\n    (visibility_delay|tls): .*`)
	exampleSecret = "/run/secrets/prober/"
)

// example returns the configuration below a heading of the documentation, of a probe of a server on this machine.
func example(t *testing.T, heading, server string, change ...string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/kinds/isolation-examples.md")
	if err != nil {
		t.Fatal(err)
	}
	others, err := os.ReadFile("testdata/examples.md")
	if err != nil {
		t.Fatal(err)
	}
	page = append(page, others...)
	_, section, _ := strings.Cut(string(page), "\n## "+heading+"\n")
	_, text, _ := strings.Cut(section, "```yaml\n")
	text, _, found := strings.Cut(text, "```\n")
	if !found {
		t.Fatalf("the documentation has no configuration for %s", heading)
	}
	secrets := t.TempDir() + "/"
	for _, name := range []string{"one", "two", "anon-key"} {
		if err := os.WriteFile(secrets+name, []byte("token-of-the-"+name+"-org"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text = exampleDelay.ReplaceAllString(text, "")
	text = exampleBase.ReplaceAllString(text, "base: "+server)
	text = strings.Replace(text, "\n    orgs:", "\n    visibility_delay: 100ms\n    interleave: {requests: 40}\n    replica: here\n    orgs:", 1)
	for i := 0; i < len(change); i += 2 {
		if !strings.Contains(text, change[i]) {
			t.Fatalf("the configuration for %s has no %q", heading, change[i])
		}
	}
	return strings.ReplaceAll(strings.NewReplacer(change...).Replace(text), exampleSecret, secrets)
}

func (c style) job(t *testing.T, heading string, s *store, change ...string) probe.Job {
	server := testenv.ServeInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.serve(s, w, r)
	}))
	return newJob(t, example(t, heading, server, change...))
}

// TestStyles: each class of APIs can be expressed, a sound one passes with all that is asked proven and nothing left, and
// each hole is found, and only that.
func TestStyles(t *testing.T) {
	for name, c := range testenv.Sample(styles, 6) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &store{}
			r := ask(t, c.job(t, name, s))
			expectDecisive(t, r, "pass")
			if left := len(s.rows); left > 0 != c.keeps {
				t.Errorf("%d objects are left: %v", left, s.rows)
			}
			if got := measuredValue(r, "probe_isolation_cleanup_failures_total"); got > 0 {
				t.Errorf("%g attempts to delete failed", got)
			}
			for hole, want := range c.holes {
				t.Run(hole, func(t *testing.T) {
					testenv.Slow(t, "it runs the probe once for each hole of each class of APIs")
					t.Parallel()
					r := ask(t, c.job(t, name, &store{hole: hole}))
					expectDecisive(t, r, want)
					surface, _, _ := strings.Cut(want[strings.Index(want, "@")+1:], " ")
					for _, check := range r.Checks {
						if check.Verdict == probe.Fail && check.Target != surface {
							t.Errorf("%s@%s fails as well: %s", check.Name, check.Target, check.Detail)
						}
					}
				})
			}
		})
	}
}

// sent decodes the JSON of a request.
func sent(r *http.Request) map[string]any {
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	return body
}

func textOf(v any) string { s, _ := v.(string); return s }

func sentText(r *http.Request) string { b, _ := io.ReadAll(r.Body); return string(b) }

// styles are by the heading of their configuration in the documentation.
var styles = map[string]style{
	"PostgREST and Supabase":  {postgREST, postgRESTHoles, false},
	"GraphQL without a login": {graphQL, graphQLHoles, false},
	"JSON-RPC":                {jsonRPC, jsonRPCHoles, false},
	"filtering rules":         {filteringRules, filteringRulesHoles, false},
	"Loki, Mimir and others with a tenant header":            {tenantHeader, tenantHeaderHoles, true},
	"VictoriaMetrics and others with the tenant in the path": {tenantPath, tenantPathHoles, false},
	"Elasticsearch and OpenSearch":                           {searchIndex, searchIndexHoles, false},
	"Vault":                                                  {chosenKeys, chosenKeysHoles, false},
	"Kubernetes":                                             {namespaces, namespacesHoles, false},
}

// postgREST filters by row-level security: what an org may not see or change does not exist for it.
func postgREST(s *store, w http.ResponseWriter, r *http.Request) {
	org, ok := caller(r)
	if !ok {
		reply(w, 401, `{"code":"PGRST301"}`)
		return
	}
	shown := func(rows []row) string {
		all := []map[string]string{}
		for _, r := range rows {
			all = append(all, map[string]string{"id": r.id, "org": r.org, "text": r.text})
		}
		return marshal(all)
	}
	match := anyRow
	if id, ok := strings.CutPrefix(r.URL.Query().Get("id"), "eq."); ok {
		match = withID(id)
	}
	full := r.Header.Get("Prefer") == "return=representation"
	op := map[string]string{"GET": "read", "PATCH": "update", "DELETE": "delete"}[r.Method]
	if r.Method == "GET" && !r.URL.Query().Has("id") {
		op = "list"
	}
	found := s.find(op, org, match)
	switch {
	case strings.HasSuffix(r.URL.Path, "/rpc/whoami"):
		reply(w, 200, marshal(map[string]any{"org_id": org, "sub": "user-of-" + org, "test_org": true}))
		return
	case r.Method == "POST" && org == "":
		reply(w, 401, `{"code":"42501"}`)
		return
	case r.Method == "POST":
		body := sent(r)
		into := org
		if named := textOf(body["org_id"]); named != "" {
			into = named
		}
		if into != org && s.hole != "create" {
			reply(w, 403, `{"code":"42501"}`)
			return
		}
		reply(w, 201, shown([]row{s.insert(into, "", textOf(body["text"]))}))
		return
	case r.Method == "PATCH":
		new := textOf(sent(r)["text"])
		for i := range found {
			s.update(new, withID(found[i].id))
			found[i].text = new
		}
	case r.Method == "DELETE":
		for _, r := range found {
			s.remove(withID(r.id))
		}
	}
	if r.Method != "GET" && !full {
		w.WriteHeader(204)
		return
	}
	reply(w, 200, shown(found))
}

var postgRESTHoles = map[string]string{
	"read": "isolated@notes/read fail(leak_body)", "list": "isolated@notes/list fail(leak_list)",
	"update": "isolated@notes/update fail(foreign_write)", "delete": "isolated@notes/delete fail(leak_body)",
	"create": "isolated@notes/create fail(foreign_write)", "anonymous read": "authenticated@notes/read fail(auth_bypass)",
	"anonymous list": "authenticated@notes/list fail(auth_bypass)",
}

// graphQL answers every request with 200: what an org may not see is null, and what it may not change is an error.
func graphQL(s *store, w http.ResponseWriter, r *http.Request) {
	org, ok := caller(r)
	if !ok {
		reply(w, 401, `{"errors":[{"message":"jwt malformed"}]}`)
		return
	}
	body := sent(r)
	query, variables := textOf(body["query"]), map[string]any{}
	if v, ok := body["variables"].(map[string]any); ok {
		variables = v
	}
	id, new := textOf(variables["id"]), textOf(variables["text"])
	node := func(rows []row) any {
		if len(rows) == 0 {
			return nil
		}
		return map[string]string{"id": rows[0].id, "text": rows[0].text}
	}
	data := func(field string, value any) {
		reply(w, 200, marshal(map[string]any{"data": map[string]any{field: value}}))
	}
	refuse := func(field, message string) {
		reply(w, 200, marshal(map[string]any{"errors": []any{map[string]any{"message": message}}, "data": map[string]any{field: nil}}))
	}
	asks := func(field string) bool { return strings.Contains(query, field) }
	switch {
	case asks("currentOrg"):
		data("currentOrg", map[string]any{"slug": org, "plan": "test"})
	case asks("noteById"):
		data("noteById", node(s.find("read", org, withID(id))))
	case asks("allNotes"):
		nodes := []any{}
		for _, r := range s.find("list", org, anyRow) {
			nodes = append(nodes, node([]row{r}))
		}
		data("allNotes", map[string]any{"nodes": nodes})
	case asks("createNote"):
		if org == "" {
			refuse("createNote", "permission denied for table notes")
			return
		}
		data("createNote", map[string]any{"note": node([]row{s.insert(org, "", new)})})
	case asks("updateNoteById"), asks("deleteNoteById"):
		field, op := "updateNoteById", "update"
		if asks("deleteNoteById") {
			field, op = "deleteNoteById", "delete"
		}
		found := s.find(op, org, withID(id))
		if len(found) == 0 {
			refuse(field, "No values were "+op+"d in collection 'notes'")
			return
		}
		if op == "update" {
			s.update(new, withID(id))
		} else {
			s.remove(withID(id))
		}
		data(field, map[string]any{"note": map[string]string{"id": id}})
	default:
		reply(w, 400, `{"errors":[{"message":"syntax"}]}`)
	}
}

var graphQLHoles = map[string]string{
	"read": "isolated@notes/read fail(leak_body)", "list": "isolated@notes/list fail(leak_list)",
	"update": "isolated@notes/update fail(foreign_write)", "delete": "isolated@notes/delete fail(foreign_delete)",
	"anonymous read": "authenticated@notes/read fail(auth_bypass)", "anonymous list": "authenticated@notes/list fail(auth_bypass)",
}

// jsonRPC answers every request with 200, and refuses with an error. The org is a parameter.
func jsonRPC(s *store, w http.ResponseWriter, r *http.Request) {
	org, ok := caller(r)
	body := sent(r)
	params, _ := body["params"].(map[string]any)
	method, id := textOf(body["method"]), textOf(params["id"])
	refuse := func(code int) {
		reply(w, 200, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"error":{"code":%d,"message":"no"}}`, code))
	}
	result := func(v any) { reply(w, 200, marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "result": v})) }
	op := strings.Replace(strings.TrimPrefix(method, "notes."), "get", "read", 1)
	open := s.hole == "anonymous "+op && org == ""
	switch {
	case (!ok || org == "") && !open:
		refuse(-32001)
		return
	case method == "whoami":
		result(map[string]any{"org": org, "test": true})
		return
	case textOf(params["org"]) != org && !open && s.hole != "context "+op:
		refuse(-32003)
		return
	}
	if s.hole == "context "+op {
		org = textOf(params["org"])
	}
	found := s.find(op, org, withID(id))
	if op == "list" {
		found = s.find(op, org, anyRow)
	}
	switch {
	case op == "create":
		result(map[string]any{"id": s.insert(org, "", textOf(params["text"])).id})
		return
	case op == "list":
	case len(found) == 0:
		refuse(-32004)
		return
	case op == "update":
		s.update(textOf(params["text"]), withID(id))
		result(true)
		return
	case op == "delete":
		s.remove(withID(id))
		result(true)
		return
	}
	all := []string{}
	for _, r := range found {
		all = append(all, r.id+" "+r.text)
	}
	result(all)
}

var jsonRPCHoles = map[string]string{
	"read": "isolated@notes/read fail(leak_body)", "list": "isolated@notes/list fail(leak_list)",
	"delete":       "isolated@notes/delete fail(foreign_delete)",
	"context read": "context@notes/read fail(leak_body)", "context list": "context@notes/list fail(leak_list)",
	"context create": "context@notes/create fail(foreign_write)",
	"anonymous read": "authenticated@notes/read fail(auth_bypass)", "anonymous list": "authenticated@notes/list fail(auth_bypass)",
}

// tenantHeader takes the org from a header, whoever says it: it has no credentials, no ids and nothing to delete.
func tenantHeader(s *store, w http.ResponseWriter, r *http.Request) {
	org := r.Header.Get("X-Scope-OrgID")
	query := r.URL.Query().Get("query")
	op := map[bool]string{true: "search", false: "list"}[strings.Contains(query, "|=")]
	pushes := strings.HasSuffix(r.URL.Path, "/push")
	switch {
	case org == "" && (pushes || s.hole != "anonymous "+op):
		reply(w, 401, `no org id`)
		return
	case pushes:
		streams, _ := sent(r)["streams"].([]any)
		for _, stream := range streams {
			values, _ := stream.(map[string]any)["values"].([]any)
			for _, value := range values {
				line, _ := value.([]any)
				if len(textOf(line[0])) != 19 {
					reply(w, 400, `timestamp`)
					return
				}
				s.insert(org, "", textOf(line[1]))
			}
		}
		w.WriteHeader(204)
		return
	}
	_, wanted, _ := strings.Cut(query, "|= ")
	lines := []string{}
	for _, r := range s.find(op, org, anyRow) {
		if strings.Contains(r.text, strings.Trim(wanted, `"`)) {
			lines = append(lines, r.text)
		}
	}
	reply(w, 200, marshal(map[string]any{"status": "success", "data": map[string]any{"result": lines, "stats": map[string]int{"bytes": 7}}}))
}

var tenantHeaderHoles = map[string]string{
	"list": "isolated@lines/list fail(leak_list)", "search": "isolated@lines/search fail(leak_list)",
	"anonymous list": "context@lines/list fail(leak_list)", "anonymous search": "context@lines/search fail(mismatch_not_rejected)",
}

// tenantPath takes the org from the path, whoever says it, and names what is deleted by a query.
func tenantPath(s *store, w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	if len(parts) < 4 || strings.Trim(parts[2], "0123456789") != "" {
		reply(w, 400, `{"status":"error"}`)
		return
	}
	org, match := parts[2], r.URL.Query().Get("match[]")
	selected := func(r row) bool { return match == "prober_canary" || strings.Contains(match, r.text) }
	switch parts[1] {
	case "insert":
		_, label, _ := strings.Cut(sentText(r), `{canary="`)
		label, _, _ = strings.Cut(label, `"`)
		s.insert(org, "", label)
		w.WriteHeader(204)
	case "delete":
		for _, r := range s.find("delete", org, selected) {
			s.remove(withID(r.id))
		}
		w.WriteHeader(204)
	default:
		series := []any{}
		for _, r := range s.find("list", org, selected) {
			series = append(series, map[string]string{"__name__": "prober_canary", "canary": r.text})
		}
		reply(w, 200, marshal(map[string]any{"status": "success", "data": series}))
	}
}

var tenantPathHoles = map[string]string{
	"list": "isolated@series/list fail(leak_list)", "delete": "isolated@series/delete fail(foreign_delete)",
}

// chosenKeys keeps values below a path for each org, under keys that the client chooses, as Vault does.
func chosenKeys(s *store, w http.ResponseWriter, r *http.Request) {
	org, ok := caller(r)
	parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/v1/"), "/", 4)
	op := map[string]string{"GET": "read", "PUT": "update", "POST": "update", "DELETE": "delete", "LIST": "list"}[r.Method]
	switch {
	case r.URL.Path == "/v1/auth/token/lookup-self" && ok && org != "":
		reply(w, 200, marshal(map[string]any{"data": map[string]any{"meta": map[string]string{"org": org, "test_org": "true"}}}))
		return
	case len(parts) < 3:
		reply(w, 403, `{"errors":["permission denied"]}`)
		return
	}
	key := ""
	if len(parts) == 4 {
		key = parts[3]
	}
	named := parts[2]
	match := func(r row) bool { return r.org == named && r.id == key }
	exists := slices.ContainsFunc(s.rows, match)
	if op == "update" && !exists {
		op = "create"
	}
	if key != "" && !strings.HasPrefix(key, "prober-") || "prober-"+org != named && (org == "" || s.hole != op) && (org != "" || s.hole != "anonymous "+op) {
		reply(w, 403, `{"errors":["permission denied"]}`)
		return
	}
	switch op {
	case "list":
		reply(w, 200, marshal(map[string]any{"data": map[string]any{"keys": s.keys(named)}}))
	case "create", "update":
		body, _ := sent(r)["data"].(map[string]any)
		s.insert(named, key, textOf(body["text"]))
		reply(w, 200, `{"data":{"version":1}}`)
	case "delete":
		s.remove(match)
		w.WriteHeader(204)
	case "read":
		if !exists {
			reply(w, 404, `{"errors":[]}`)
			return
		}
		value := s.rows[slices.IndexFunc(s.rows, match)].text
		reply(w, 200, marshal(map[string]any{"data": map[string]any{"data": map[string]string{"text": value}}}))
	}
}

var chosenKeysHoles = map[string]string{
	"read": "context@secrets/read fail(leak_body)", "list": "context@secrets/list fail(leak_list)",
	"update": "context@secrets/update fail(foreign_write)", "delete": "context@secrets/delete fail(foreign_delete)",
	"create": "context@secrets/create fail(foreign_write)", "anonymous read": "authenticated@secrets/read fail(auth_bypass)",
}

// namespaces keeps named objects in a namespace for each org, as Kubernetes does.
func namespaces(s *store, w http.ResponseWriter, r *http.Request) {
	org, ok := caller(r)
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/"), "/")
	op := map[string]string{"GET": "read", "PATCH": "update", "DELETE": "delete", "POST": "create"}[r.Method]
	if len(parts) == 2 && op == "read" {
		op = "list"
	}
	switch {
	case !ok:
		reply(w, 401, `{"kind":"Status","code":401}`)
		return
	case strings.HasSuffix(r.URL.Path, "/selfsubjectreviews"):
		reply(w, 201, marshal(map[string]any{"status": map[string]any{"userInfo": map[string]string{"username": "system:serviceaccount:" + org + ":prober"}}}))
		return
	case parts[0] != "prober-"+org && (org == "" || s.hole != op):
		reply(w, 403, `{"kind":"Status","code":403}`)
		return
	}
	object := func(r row) map[string]any {
		return map[string]any{"metadata": map[string]string{"name": r.id, "namespace": r.org}, "data": map[string]string{"text": r.text}}
	}
	inNamespace := func(r row) bool { return r.org == parts[0] }
	named := func(r row) bool { return inNamespace(r) && r.id == parts[len(parts)-1] }
	at := slices.IndexFunc(s.rows, named)
	body := sent(r)
	data, _ := body["data"].(map[string]any)
	switch {
	case op == "create":
		metadata, _ := body["metadata"].(map[string]any)
		reply(w, 201, marshal(object(s.insert(parts[0], textOf(metadata["name"]), textOf(data["text"])))))
	case op == "list":
		items := []any{}
		for _, r := range s.rows {
			if inNamespace(r) {
				items = append(items, object(r))
			}
		}
		reply(w, 200, marshal(map[string]any{"items": items}))
	case at < 0:
		reply(w, 404, `{"kind":"Status","code":404}`)
	case op == "read":
		reply(w, 200, marshal(object(s.rows[at])))
	case op == "update":
		s.update(textOf(data["text"]), named)
		reply(w, 200, `{"kind":"ConfigMap"}`)
	case op == "delete":
		s.remove(named)
		reply(w, 200, `{"kind":"Status","status":"Success"}`)
	}
}

var namespacesHoles = map[string]string{
	"read": "context@configmaps/read fail(leak_body)", "create": "context@configmaps/create fail(foreign_write)",
	"update": "context@configmaps/update fail(foreign_write)", "delete": "context@configmaps/delete fail(foreign_delete)",
}

// filteringRules filters by rules, for everybody and without a word: a guest, or a token that is not valid, sees an empty
// list.
func filteringRules(s *store, w http.ResponseWriter, r *http.Request) {
	org, _ := caller(r)
	id, one := strings.CutPrefix(r.URL.Path, "/api/collections/notes/records/")
	op := map[string]string{"GET": "read", "PATCH": "update", "DELETE": "delete", "POST": "create"}[r.Method]
	found := s.find(op, org, withID(id))
	object := func(r row) map[string]string { return map[string]string{"id": r.id, "text": r.text} }
	switch {
	case strings.HasSuffix(r.URL.Path, "/auth-refresh"):
		if org == "" {
			reply(w, 401, `{"status":401}`)
			return
		}
		reply(w, 200, marshal(map[string]any{"record": map[string]any{"id": "user-of-" + org, "org": org, "test_org": true}}))
	case op == "create" && org == "":
		reply(w, 400, `{"status":400}`)
	case op == "create":
		reply(w, 200, marshal(object(s.insert(org, "", textOf(sent(r)["text"])))))
	case !one:
		items := []any{}
		for _, row := range s.find("list", org, anyRow) {
			if r.URL.Query().Get("page") == "1" {
				items = append(items, object(row))
			}
		}
		reply(w, 200, marshal(map[string]any{"page": 1, "perPage": 30, "items": items, "totalItems": len(items)}))
	case len(found) == 0:
		reply(w, 404, `{"status":404}`)
	case op == "update":
		s.update(textOf(sent(r)["text"]), withID(id))
		reply(w, 200, `{"id":"`+id+`"}`)
	case op == "delete":
		s.remove(withID(id))
		w.WriteHeader(204)
	default:
		reply(w, 200, marshal(object(found[0])))
	}
}

var filteringRulesHoles = map[string]string{
	"read": "isolated@notes/read fail(leak_body)", "list": "isolated@notes/list fail(leak_list)",
	"update": "isolated@notes/update fail(foreign_write)", "delete": "isolated@notes/delete fail(foreign_delete)",
	"anonymous read": "authenticated@notes/read fail(auth_bypass)", "anonymous list": "authenticated@notes/list fail(auth_bypass)",
}

// searchIndex filters the documents of an index that all orgs share, as Elasticsearch does, and reads by POST.
func searchIndex(s *store, w http.ResponseWriter, r *http.Request) {
	org, ok := caller(r)
	op := map[string]string{"DELETE": "delete", "POST": "create"}[r.Method]
	body := sent(r)
	query, _ := body["query"].(map[string]any)
	match := anyRow
	if strings.HasSuffix(r.URL.Path, "/_search") {
		op = "list"
		if ids, ok := query["ids"].(map[string]any); ok {
			values, _ := ids["values"].([]any)
			op, match = "read", withID(textOf(values[0]))
		}
	}
	switch {
	case (!ok || org == "") && s.hole != "anonymous "+op:
		reply(w, 401, `{"status":401}`)
	case strings.HasSuffix(r.URL.Path, "/_authenticate"):
		reply(w, 200, marshal(map[string]any{"username": "prober-" + org, "metadata": map[string]any{"org": org, "test_org": true}}))
	case op == "create":
		reply(w, 201, marshal(map[string]string{"_id": s.insert(org, "", textOf(body["text"])).id}))
	case op == "delete":
		id := strings.TrimPrefix(r.URL.Path, "/notes/_doc/")
		if len(s.find(op, org, withID(id))) == 0 {
			reply(w, 404, `{"result":"not_found"}`)
			return
		}
		s.remove(withID(id))
		reply(w, 200, `{"result":"deleted"}`)
	default:
		hits := []any{}
		for _, r := range s.find(op, org, match) {
			hits = append(hits, map[string]any{"_id": r.id, "_source": map[string]string{"text": r.text}})
		}
		reply(w, 200, marshal(map[string]any{"took": 3, "_shards": map[string]int{"failed": 0}, "hits": map[string]any{"total": map[string]int{"value": len(hits)}, "hits": hits}}))
	}
}

var searchIndexHoles = map[string]string{
	"read": "isolated@notes/read fail(leak_body)", "list": "isolated@notes/list fail(leak_list)",
	"delete": "isolated@notes/delete fail(foreign_delete)", "anonymous list": "authenticated@notes/list fail(auth_bypass)",
}
