package main

import (
	"maps"
	"strings"
	"testing"

	"prober/internal/testenv"
)

// TestReal_parse runs the documented configuration against a Parse Server whose access control lists keep users apart,
// and then with the lists, and the permissions of the class, opened alone.
func TestReal_parse(t *testing.T) {
	const masterKey = "master-key-of-the-parse-of-a-test"
	url := testenv.Parse(t, masterKey)
	master := func(t *testing.T, method, path string, body map[string]any) map[string]any {
		t.Helper()
		all := map[string]any{"_ApplicationId": "prober", "_MasterKey": masterKey, "_method": method}
		maps.Copy(all, body)
		return call(t, "POST", url+path, "", all)
	}
	permissions := func(opened ...string) map[string]any {
		all := map[string]any{}
		for _, operation := range []string{"find", "get", "count", "create", "update", "delete"} {
			all[operation] = map[string]any{"requiresAuthentication": true}
		}
		for _, operation := range opened {
			all[operation] = map[string]any{"*": true}
		}
		return map[string]any{"classLevelPermissions": all}
	}
	class := permissions()
	class["fields"] = map[string]any{"title": map[string]any{"type": "String"}}
	master(t, "POST", "/schemas/Note", class)
	master(t, "PUT", "/schemas/_User", map[string]any{"fields": map[string]any{"plan": map[string]any{"type": "String"}}})
	sessions := map[string]string{}
	for _, org := range []string{"one", "two"} {
		user := master(t, "POST", "/users", map[string]any{"username": "prober-" + org, "password": "password-of-" + org, "plan": "test"})
		sessions[org], _ = user["sessionToken"].(string)
	}
	dir := writeSecrets(t, map[string]string{"one": "password-of-one", "two": sessions["two"]})
	config := writeFile(t, t.TempDir(), "prober.yaml",
		example(t, "parse", "https://parse.example/parse", url, "/run/secrets/prober", dir, "timeout: 30s", "timeout: 55s"))

	lists := func(read, write bool) func(t *testing.T) {
		return func(t *testing.T) {
			call(t, "PUT", strings.TrimSuffix(url, "/parse")+"/opened", "", map[string]any{"publicRead": read, "publicWrite": write})
		}
	}
	permit := func(opened ...string) func(t *testing.T) {
		return func(t *testing.T) { master(t, "PUT", "/schemas/Note", permissions(opened...)) }
	}
	testHoles(t, config, []hole{
		{name: "lists that let everybody read", open: lists(true, false), close: lists(false, false), want: []string{
			"tenants context@notes/list leak_list", "tenants context@notes/read leak_body", "tenants isolated@notes/count leak_list",
			"tenants isolated@notes/list leak_list", "tenants isolated@notes/read leak_body", "tenants isolated@notes/search leak_list",
		}},
		{name: "lists that let everybody write", open: lists(false, true), close: lists(false, false), want: []string{
			"tenants context@notes/update foreign_write", "tenants isolated@notes/delete misleading_success", "tenants isolated@notes/update foreign_write",
		}},
		{name: "a class that lets everybody create", open: permit("create"), close: permit(), want: []string{"tenants authenticated@notes/create auth_bypass"}},
		// The lists still hold, so there is nothing to see.
		{name: "a class that lets everybody find", open: permit("find", "get", "count"), close: permit(), want: []string{
			"tenants authenticated@notes/count auth_bypass", "tenants authenticated@notes/list auth_bypass", "tenants authenticated@notes/search auth_bypass",
		}},
		{name: "a class that lets everybody write", open: permit("update", "delete"), close: permit()},
	})
}
