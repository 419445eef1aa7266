package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"prober/internal/testenv"
)

// TestRealGate runs the gate of docs/kinds/sql.md as a pipeline does, against a real PostgreSQL server. Only a database in
// which every relying party has every link gets exit status 0.
func TestRealGate(t *testing.T) {
	testenv.WithoutRace(t)
	page, err := os.ReadFile("../../docs/kinds/sql.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```yaml\n(system: logi-gate\n.*?)```").FindSubmatch(page)
	if shown == nil {
		t.Fatal("docs/kinds/sql.md shows no gate")
	}
	server := testenv.StartPostgres(t)
	server.Authenticate(t, "host all all all scram-sha-256")
	server.SQL(t, `
		CREATE ROLE prober_ro LOGIN PASSWORD 'correct-horse-battery';
		CREATE TABLE identity_links (from_id int, to_id int);
		CREATE TABLE oauth_applications (id text, active boolean);
		CREATE TABLE link_deliveries (oauth_application_id text, from_id int);
		GRANT SELECT ON identity_links, oauth_applications, link_deliveries TO prober_ro`)
	dir := t.TempDir()
	password := writeFile(t, dir, "password", "correct-horse-battery")
	config := writeFile(t, dir, "gate.yaml", strings.NewReplacer(
		"db.logi.example:5432", server.Address(), "database: logi", "database: postgres", "/run/secrets/prober/db", password,
	).Replace(string(shown[1])))

	for _, step := range []struct {
		name, sql string
		status    int
		says      string
	}{
		{"no applications, no links", "", exitFail, "expected a row, got none [no_rows]"},
		{"nothing delivered", "INSERT INTO oauth_applications VALUES ('17', true), ('23', true), ('99', false); INSERT INTO identity_links VALUES (1, 2), (3, 2)", exitFail,
			"missing of billing is 2, expected 0; missing of eb is 2, expected 0"},
		{"all but one", "INSERT INTO link_deliveries VALUES ('17', 1), ('17', 3), ('23', 1)", exitFail, "missing of eb is 1, expected 0"},
		{"everything", "INSERT INTO link_deliveries VALUES ('23', 3)", exitPass, "ok every-rp-has-its-links"},
		{"another right missing", "REVOKE SELECT ON link_deliveries FROM prober_ro", exitInconclusive, "the role lacks a right that the query needs (SQLSTATE 42501) [credential]"},
	} {
		server.SQL(t, step.sql)
		var out, errs strings.Builder
		status := run(t.Context(), []string{"--once", "--runbook=pre-flip", "--config.file=" + config}, &out, &errs)
		said := strings.Join(strings.Fields(out.String()), " ")
		if status != step.status || !strings.Contains(said, step.says) {
			t.Errorf("%s: exit status %d, expected %d with %q:\n%s%s", step.name, status, step.status, step.says, out.String(), errs.String())
		}
	}
}
