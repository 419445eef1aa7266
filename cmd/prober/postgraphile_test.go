package main

import (
	"slices"
	"strings"
	"testing"

	"prober/internal/testenv"
)

// TestReal_postGraphile runs the documented configuration against a PostGraphile over tables that row-level security
// protects, and then with each policy opened alone.
func TestReal_postGraphile(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	url, db := testenv.PostGraphile(t)
	answer := call(t, "POST", url, "", map[string]any{
		"query": `mutation { authenticate(input: {org: "prober-two", password: "password-of-two"}) { token } }`,
	})
	data, _ := answer["data"].(map[string]any)
	signedIn, _ := data["authenticate"].(map[string]any)
	token, _ := signedIn["token"].(string)
	dir := writeSecrets(t, map[string]string{"one": "password-of-one", "two": token})
	config := writeFile(t, t.TempDir(), "prober.yaml",
		example(t, "postgraphile", "https://graphql.example", strings.TrimSuffix(url, "/graphql"), "/run/secrets/prober", dir, "timeout: 30s", "timeout: 55s"))

	sql := func(statements string) func(t *testing.T) {
		return func(t *testing.T) { db.SQL(t, statements) }
	}
	opened := func(name, open, closed string, want ...string) hole {
		return hole{name: name, open: sql(open), close: sql(closed), want: want}
	}
	const (
		seeAll, seeOwn       = "alter policy see on app.notes using (true);", "alter policy see on app.notes using (org = private.org());"
		addAll, addOwn       = "alter policy add on app.notes with check (true);", "alter policy add on app.notes with check (org = private.org());"
		changeAll, changeOwn = "alter policy change on app.notes using (true);", "alter policy change on app.notes using (org = private.org());"
		removeAll, removeOwn = "alter policy remove on app.notes using (true);", "alter policy remove on app.notes using (org = private.org());"
		// What a change of a role leaves valid is planned again.
		replan = "alter table app.notes enable row level security;"
	)
	toOrgs := []string{
		"tenants context@notes/list leak_list", "tenants context@notes/read leak_body", "tenants isolated@notes/count leak_list",
		"tenants isolated@notes/list leak_list", "tenants isolated@notes/read leak_body", "tenants isolated@notes/search leak_list",
	}
	toNobody := []string{
		"tenants authenticated@notes/count auth_bypass", "tenants authenticated@notes/list auth_bypass",
		"tenants authenticated@notes/read auth_bypass", "tenants authenticated@notes/search auth_bypass",
	}
	changed := []string{"tenants context@notes/update mismatch_not_rejected", "tenants isolated@notes/update foreign_write"}
	testHoles(t, config, []hole{
		opened("select", seeAll, seeOwn, slices.Concat(toOrgs, toNobody)...),
		opened("a function of the table's owner", "alter function app.search_notes security definer", "alter function app.search_notes security invoker",
			"tenants authenticated@notes/search auth_bypass", "tenants isolated@notes/search leak_list"),
		opened("select, to nobody in particular", "create policy nobody on app.notes for select to anonymous using (true)", "drop policy nobody on app.notes", toNobody...),
		// PostGraphile has each command return the row, so nothing is written that the policy for select does not show.
		opened("insert alone", addAll, addOwn),
		opened("update alone", changeAll, changeOwn),
		opened("delete alone", removeAll, removeOwn),
		opened("select and update", seeAll+changeAll, seeOwn+changeOwn,
			slices.Concat(toOrgs, toNobody, changed, []string{"tenants authenticated@notes/update auth_bypass"})...),
		opened("select and delete", seeAll+removeAll, seeOwn+removeOwn,
			slices.Concat(toOrgs, toNobody, []string{"tenants isolated@notes/delete foreign_delete"})...),
		opened("a table without it", "alter table app.notes disable row level security", "alter table app.notes enable row level security",
			slices.Concat(toOrgs, toNobody, changed, []string{"tenants authenticated@notes/create auth_bypass", "tenants isolated@notes/delete misleading_success"})...),
		opened("a role that it does not bind", "alter role member bypassrls;"+replan, "alter role member nobypassrls;"+replan,
			slices.Concat(toOrgs, changed, []string{"tenants isolated@notes/delete misleading_success"})...),
	})
}
