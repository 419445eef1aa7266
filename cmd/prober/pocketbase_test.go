package main

import (
	"strings"
	"testing"

	"prober/internal/testenv"
)

// TestReal_pocketBase runs the documented configuration against a PocketBase with one collection, whose rules keep orgs
// apart, and then with each rule opened alone: to everybody, and to everybody who is signed in.
func TestReal_pocketBase(t *testing.T) {
	const email, password = "admin@pocketbase.test", "password-of-the-admin"
	url := testenv.PocketBase(t, email, password)
	collections := url + "/api/collections/"
	signIn := func(collection, email, password string) string {
		answer := call(t, "POST", collections+collection+"/auth-with-password", "", map[string]any{"identity": email, "password": password})
		token, _ := answer["token"].(string)
		return token
	}
	admin := signIn("_superusers", email, password)

	fields, _ := call(t, "GET", collections+"users", admin, nil)["fields"].([]any)
	for _, name := range []string{"org", "plan"} {
		fields = append(fields, map[string]any{"name": name, "type": "text"})
	}
	call(t, "PATCH", collections+"users", admin, map[string]any{"fields": fields})
	const sameOrg, signedIn, everybody = `@request.auth.org != "" && org = @request.auth.org`, `@request.auth.id != ""`, ""
	rules := map[string]any{"name": "notes", "type": "base", "fields": []any{
		map[string]any{"name": "title", "type": "text"}, map[string]any{"name": "org", "type": "text", "required": true},
	}}
	for _, rule := range []string{"listRule", "viewRule", "createRule", "updateRule", "deleteRule"} {
		rules[rule] = sameOrg
	}
	call(t, "POST", url+"/api/collections", admin, rules)

	secrets := map[string]string{}
	for _, org := range []string{"one", "two"} {
		user, password := org+"@prober.example", "password-of-"+org
		call(t, "POST", collections+"users/records", admin, map[string]any{
			"email": user, "password": password, "passwordConfirm": password, "org": "prober-" + org, "plan": "test",
		})
		secrets[org] = password
	}
	secrets["token"], secrets["admin"] = signIn("users", "one@prober.example", secrets["one"]), admin
	dir := writeSecrets(t, secrets)
	config := writeFile(t, t.TempDir(), "prober.yaml", example(t, "pocketbase", "https://base.example", url, "/run/secrets/prober", dir, "timeout: 30s", "timeout: 55s"))

	set := func(rule, text string) func(t *testing.T) {
		return func(t *testing.T) { call(t, "PATCH", collections+"notes", admin, map[string]any{rule: text}) }
	}
	opened := func(name, rule, text string, want ...string) hole {
		return hole{name: name, open: set(rule, text), close: set(rule, sameOrg), want: want}
	}
	// One rule is for all that shows more than one object.
	listed := []string{
		"tenants context@notes/list leak_list", "tenants isolated@notes/count leak_list",
		"tenants isolated@notes/list leak_list", "tenants isolated@notes/search leak_list",
	}
	testHoles(t, config, []hole{
		opened("list, signed in", "listRule", signedIn, listed...),
		opened("list, everybody", "listRule", everybody, append(listed,
			"tenants authenticated@notes/count auth_bypass", "tenants authenticated@notes/list auth_bypass", "tenants authenticated@notes/search auth_bypass")...),
		opened("view, signed in", "viewRule", signedIn, "tenants context@notes/read leak_body", "tenants isolated@notes/read leak_body"),
		opened("view, everybody", "viewRule", everybody, "tenants authenticated@notes/read auth_bypass", "tenants context@notes/read leak_body", "tenants isolated@notes/read leak_body"),
		opened("create, signed in", "createRule", signedIn, "tenants context@notes/create foreign_write"),
		opened("create, everybody", "createRule", everybody, "tenants authenticated@notes/create auth_bypass", "tenants context@notes/create foreign_write"),
		opened("update, signed in", "updateRule", signedIn, "tenants context@notes/update foreign_write", "tenants isolated@notes/update foreign_write"),
		opened("update, everybody", "updateRule", everybody, "tenants authenticated@notes/update auth_bypass", "tenants context@notes/update foreign_write", "tenants isolated@notes/update foreign_write"),
		opened("delete, signed in", "deleteRule", signedIn, "tenants isolated@notes/delete foreign_delete"),
		opened("delete, everybody", "deleteRule", everybody, "tenants isolated@notes/delete foreign_delete"),
	})

	t.Run("protected and health", func(t *testing.T) {
		config := writeFile(t, t.TempDir(), "prober.yaml", strings.NewReplacer("URL", url, "DIR", dir).Replace(`
system: pocketbase
timeout: 25s
probes:
  - {name: health, type: health, service: URL, live: /api/health, ready: {path: /api/health, expect: {json: {$.code: 200}}}}
  - name: list
    type: protected
    url: URL/api/collections/notes/records
    denied: {status: 200, empty: $.items}
    callers: {valid: {status: 200, bearer: {file: DIR/token}}}
    forgeries: true
  - name: refresh
    type: protected
    method: POST
    url: URL/api/collections/users/auth-refresh
    callers:
      valid: {status: 200, bearer: {file: DIR/token}}
      admin: {status: 403, bearer: {file: DIR/admin}}
    forgeries: true
`))
		call(t, "POST", collections+"notes/records", admin, map[string]any{"title": "a note", "org": "prober-one"})
		testHoles(t, config, []hole{opened("list, everybody", "listRule", everybody, "list anonymous auth_bypass", "list forgeries auth_bypass", "list invalid auth_bypass")})
	})
}
