package rls

import (
	"testing"

	"prober/internal/testenv"
)

// hidden are mistakes that a question about a table by itself does not find.
var hidden = map[string]planted{
	"column_out_of_reach": {table + enable + "CREATE POLICY own ON core.t USING (org_id = current_setting('app.org_id', true) OR org_id = 'org-b' AND current_setting('app.org_id', true) = 'org-a'); REVOKE SELECT ON core.t FROM app; GRANT SELECT (id, body) ON core.t TO app",
		[]string{"isolated inconclusive(control_failed): not everything was asked: *", "fail_closed inconclusive(control_failed): *"}},
	"refused_as_an_org": {table + enable + "CREATE POLICY own ON core.t USING (CASE current_setting('app.org_id', true) WHEN 'org-a' THEN 1 / (id - id) = 1 ELSE org_id = current_setting('app.org_id', true) END)",
		[]string{"isolated inconclusive(control_failed): not everything was asked: *", "fail_closed inconclusive(control_failed): *"}},
	"child_of_two": {"CREATE TABLE core.t () INHERITS (core.plans, core.notes); GRANT SELECT ON core.t TO app",
		[]string{"partitions fail(partition_open): * t (*"}},
	"function_in_a_view": {"CREATE SCHEMA elsewhere; CREATE FUNCTION elsewhere.every_note() RETURNS TABLE (id int) LANGUAGE sql SECURITY DEFINER AS 'SELECT id FROM core.notes'; CREATE VIEW core.t AS SELECT * FROM elsewhere.every_note(); GRANT SELECT ON core.t TO app",
		[]string{"functions fail(definer_exempt): * sha256:*"}},
	"written_through_a_view": {"CREATE POLICY import ON core.notes FOR INSERT TO owner WITH CHECK (length(body) > 0); CREATE VIEW core.t AS SELECT * FROM core.notes; ALTER VIEW core.t OWNER TO owner; GRANT SELECT, INSERT ON core.t TO app",
		[]string{"views fail(leaky_view): * t (*"}},
	"truncate": {table + enable + ownPolicy + "GRANT TRUNCATE ON core.t TO app", []string{"write_policies fail(truncate_granted): * t (*"}},
	"policy_of_a_role_to_become": {"CREATE POLICY report ON core.notes TO reporting USING (true); GRANT reporting TO app; ALTER ROLE app NOINHERIT",
		[]string{"role fail(role_exempt): *"}},
	"reads_files":   {"GRANT pg_read_server_files TO app", []string{"role fail(role_exempt): *"}},
	"runs_programs": {"GRANT pg_execute_server_program TO app", []string{"role fail(role_exempt): *"}},
	"creates_roles": {"ALTER ROLE app CREATEROLE", []string{"role fail(role_exempt): *"}},
	"any_known_org": {"CREATE TABLE core.orgs (name text); INSERT INTO core.orgs VALUES ('org-a'), ('org-b'); ALTER TABLE core.orgs ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON core.orgs USING (name = current_setting('app.org_id', true)); ALTER TABLE core.orgs OWNER TO owner; GRANT SELECT ON core.orgs TO app;" +
		table + enable + "CREATE POLICY own ON core.t USING (id IS NOT NULL AND EXISTS (SELECT 1 FROM core.orgs))",
		[]string{"isolated fail(leak_list): *"}},
}

// undo takes back what a mistake gave to the role, which no schema holds.
const undo = "SET client_min_messages = error; ALTER ROLE app INHERIT NOCREATEROLE; REVOKE reporting, pg_read_server_files, pg_execute_server_program FROM app; "

func testHidden(t *testing.T, s testenv.Postgres) {
	for name, mistake := range testenv.Sample(hidden, 4) {
		t.Run(name, func(t *testing.T) {
			p := plant(t, s, mistake.sql)
			defer s.SQL(t, undo)
			p.Names = []string{"t"}
			p.Columns = map[string]string{"orgs": "name"}
			if name == "any_known_org" {
				p.Columns["t"] = "id"
			}
			wantLines(t, notPassed(t, p), mistake.want)
		})
	}
}

// A role that is set when it logs in is that of the application, but whoever logged in may be it again. One that another client
// left on a connection of the pool is not.
func testRoleLeft(t *testing.T, s testenv.Postgres) {
	plant(t, s, "")
	defer s.SQL(t, "ALTER ROLE boss RESET role; ALTER ROLE prober RESET role")
	s.SQL(t, "CREATE ROLE prober LOGIN IN ROLE app PASSWORD '"+password+"'; ALTER ROLE prober SET role = app; ALTER ROLE boss SET role = app; CREATE ROLE other IN ROLE app; GRANT other TO app_member")
	p := newProbe(s)
	p.User = "prober"
	wantLines(t, notPassed(t, p), nil)
	p.User = "boss"
	wantLines(t, notPassed(t, p), []string{"role fail(role_exempt): expected a role that policies bind, got a member of a role that is superuser or has BYPASSRLS: SET ROLE is all that it takes"})

	p = newProbe(s)
	p.User, p.Looks = "app_member", 6
	p.Address = s.StartPgBouncer(t, map[string]string{"app_member": password}, "default_pool_size = 1")
	wantLines(t, notPassed(t, p), nil)
	tellAs(t, "app_member", p.Address, "SET ROLE other")
	wantLines(t, notPassed(t, p), []string{"role fail(role_left): expected the role that logs in, got another, which somebody left on the connection of the pool: what follows is about that one", "residue fail(role_left): expected the role that logs in, got another in 6 of 6 looks: *"})
	tellAs(t, "app_member", p.Address, "RESET ROLE")
	wantLines(t, notPassed(t, p), nil)
}
