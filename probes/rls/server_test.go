package rls

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// A planted is one mistake, what must be said of it, and nothing else.
type planted struct {
	sql  string
	want []string // lines after the verdict, in which * stands for any text
}

// policy is that of a sound table.
const ownPolicy = `CREATE POLICY own ON core.t USING (org_id = current_setting('app.org_id', true));`

// table is a sound table t, whose mistakes follow.
const table = `CREATE TABLE core.t (id int, org_id text, body text); ALTER TABLE core.t OWNER TO owner;
INSERT INTO core.t VALUES (1, 'org-a', 'a'), (2, 'org-b', 'hunter2'); GRANT SELECT, INSERT, UPDATE, DELETE ON core.t TO app;
`

const enable = "ALTER TABLE core.t ENABLE ROW LEVEL SECURITY;\n"

// mistakes are those that a catalogue can hold, by name.
var mistakes = map[string]planted{
	"disabled":          {table + ownPolicy, []string{"enabled fail(rls_disabled): expected that row-level security is on for every table that the role can reach, got 1 exception: t (not enabled)", "isolated fail(leak_list): expected no row of another org, got some: t (to a, to b, to an org that does not exist)"}},
	"forced_only":       {table + ownPolicy + "ALTER TABLE core.t FORCE ROW LEVEL SECURITY", []string{"enabled fail(rls_disabled): * t (forced, but not enabled)", "isolated fail(leak_list): expected no row of another org, got some: t (to a, to b, to an org that does not exist)"}},
	"no_policy":         {table + enable, []string{"policies inconclusive(no_policy): * t (no policy for SELECT: the role sees nothing, and nothing is proven)"}},
	"policy_for_others": {table + enable + "CREATE POLICY all_of_it ON core.t TO reporting USING (true)", []string{"policies inconclusive(no_policy): *"}},
	"second_policy":     {table + enable + ownPolicy + "CREATE POLICY open ON core.t FOR SELECT USING (true)", []string{"policies fail(policy_open): expected that every policy for the role looks at the org of a row, got 1 exception: t (open for SELECT)", "isolated fail(leak_list): expected no row of another org, got some: t (to a, to b, to an org that does not exist)"}},
	"another_column":    {table + enable + "CREATE POLICY own ON core.t USING (id > 0) WITH CHECK (org_id = current_setting('app.org_id', true))", []string{"policies fail(policy_open): * t (open for SELECT, UPDATE, DELETE)", "isolated fail(leak_list): expected no row of another org, got some: t (to a, to b, to an org that does not exist)"}},
	"delete_any":        {table + enable + ownPolicy + "CREATE POLICY open ON core.t FOR DELETE USING (id > 0)", []string{"policies fail(policy_open): * t (open for DELETE)"}},
	"update_any":        {table + enable + ownPolicy + "CREATE POLICY open ON core.t FOR UPDATE USING (true) WITH CHECK (org_id = current_setting('app.org_id', true))", []string{"policies fail(policy_open): * t (open for UPDATE)"}},
	"with_check":        {table + enable + "CREATE POLICY own ON core.t USING (org_id = current_setting('app.org_id', true)) WITH CHECK (true)", []string{"write_policies fail(check_open): expected that every policy for the role looks at the org of a row that is written, got 1 exception: t (WITH CHECK is open for INSERT, UPDATE)"}},
	"insert_any":        {table + enable + ownPolicy + "CREATE POLICY open ON core.t FOR INSERT WITH CHECK (length(body) < 100)", []string{"write_policies fail(check_open): * t (WITH CHECK is open for INSERT)"}},
	"no_column":         {table + enable + ownPolicy + "ALTER TABLE core.t DROP COLUMN org_id CASCADE; CREATE POLICY own ON core.t USING (true)", []string{"policies fail(no_org_column): * t (has no such column)", "isolated fail(leak_list): * t (one row to a and b, to an org that does not exist)"}},
	"partition":         {"GRANT SELECT ON core.events_a TO app", []string{"partitions fail(partition_open): expected that no partition or child table gets around the policies of its parent, got 1 exception: sha256:* (can be reached by itself, without row-level security)", "isolated fail(leak_list): * sha256:* (to a, to b, to an org that does not exist)"}},
	"child":             {"CREATE TABLE core.t () INHERITS (core.notes); GRANT DELETE ON core.t TO app", []string{"partitions fail(partition_open): * t (*"}},
	"superuser_view":    {"CREATE VIEW core.t AS SELECT id FROM core.notes; GRANT SELECT ON core.t TO app", []string{"views fail(leaky_view): expected that no view reads as a role that policies do not bind, got 1 exception: t (its owner is not bound by the policies)", "isolated fail(leak_list): * t (to an org that does not exist)"}},
	"owner_view":        {"CREATE VIEW core.t AS SELECT id FROM core.events; ALTER VIEW core.t OWNER TO owner; GRANT SELECT ON core.t TO app", []string{"views fail(leaky_view): * t (its owner is not bound by the policies)", "isolated fail(leak_list): * t (to an org that does not exist)"}},
	"reporting_view": {"CREATE POLICY report ON core.notes TO reporting USING (true); GRANT USAGE ON SCHEMA core TO reporting; GRANT SELECT ON core.notes TO reporting; CREATE VIEW core.t AS SELECT id FROM core.notes; ALTER VIEW core.t OWNER TO reporting; GRANT SELECT ON core.t TO app",
		[]string{"views fail(leaky_view): * t (its owner is not bound by the policies)", "isolated fail(leak_list): * t (to an org that does not exist)"}},
	"invoker_over_it": {"CREATE VIEW core.inner_one AS SELECT id FROM core.notes; CREATE VIEW core.t WITH (security_invoker = on) AS SELECT * FROM core.inner_one; GRANT SELECT ON core.t, core.inner_one TO app; REVOKE SELECT ON core.inner_one FROM app; GRANT SELECT (id) ON core.inner_one TO app", []string{"views fail(leaky_view): * got 2 exceptions: sha256:* (its owner is not bound by the policies), t (a view that it reads is leaky)", "isolated fail(leak_list): * sha256:* (to an org that does not exist), t (to an org that does not exist)"}},
	"view_elsewhere":  {"CREATE SCHEMA elsewhere; GRANT USAGE ON SCHEMA elsewhere TO app; CREATE VIEW elsewhere.hunter2 AS SELECT id FROM core.notes; GRANT SELECT ON elsewhere.hunter2 TO app", []string{"views fail(leaky_view): * sha256:* (its owner*", "isolated fail(leak_list): * sha256:* (to an org that does not exist)"}},
	"table_out_of_reach": {"CREATE TABLE core.hidden (org_id text); INSERT INTO core.hidden VALUES ('org-a'), ('org-b'); ALTER TABLE core.hidden OWNER TO owner; CREATE VIEW core.t AS SELECT * FROM core.hidden; ALTER VIEW core.t OWNER TO owner; GRANT SELECT ON core.t TO app",
		[]string{"views fail(leaky_view): * t (its owner is not bound by the policies)", "isolated fail(leak_list): expected no row of another org, got some: t (to a, to b, to an org that does not exist)"}},
	"materialized": {"CREATE MATERIALIZED VIEW core.t AS SELECT * FROM core.mine; GRANT SELECT ON core.t TO app", []string{"materialized_views fail(leaky_materialized_view): expected that no materialized view with data of tenants is in the role's reach, got 1 exception: t (has no policies, and the role may read it)", "isolated fail(leak_list): * t (to a, to b, to an org that does not exist)"}},
	"definer":      {"CREATE FUNCTION core.t() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM core.notes'", []string{"functions fail(definer_exempt): expected that no function that the role may call runs as a role that policies do not bind, got 1 exception: t (SECURITY DEFINER, and its owner is not bound by the policies)"}},
	"empty_setting": {table + enable + "CREATE POLICY own ON core.t USING (org_id = current_setting('app.org_id', true) OR current_setting('app.org_id', true) = '')",
		[]string{"fail_closed fail(fails_open): expected no row without an org, got some: t (to an empty org)"}},
	"missing_setting": {table + enable + "CREATE POLICY own ON core.t USING (org_id = current_setting('app.org_id', true) OR current_setting('app.org_id', true) IS NULL)",
		[]string{"fail_closed fail(fails_open): * t (to no org)"}},
	"malformed_setting": {table + enable + "CREATE POLICY own ON core.t USING (org_id = current_setting('app.org_id', true) OR current_setting('app.org_id', true) ~ ' ')",
		[]string{"fail_closed fail(fails_open): * t (to a malformed org)"}},
	"not_compared": {table + enable + "CREATE POLICY own ON core.t USING (org_id IS NOT NULL)", []string{"isolated fail(leak_list): * t (to a, to b, to an org that does not exist)"}},
	"one_org_sees_another": {table + enable + "CREATE POLICY own ON core.t USING (org_id = current_setting('app.org_id', true) OR org_id = 'org-b' AND current_setting('app.org_id', true) = 'org-a')",
		[]string{"isolated fail(leak_list): * t (to a)"}},
	"foreign_table": {"DROP FOREIGN DATA WRAPPER IF EXISTS w CASCADE; CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE core.t (org_id text) SERVER s; GRANT INSERT ON core.t TO app", []string{"enabled fail(rls_disabled): * t (a foreign table, which has none)"}},
}

// harmless is what looks like a mistake, and is none.
const harmless = `
CREATE TABLE core.t (id int, org_id text, body text);
CREATE TABLE core.hidden (org_id text);
CREATE VIEW core.over_invoker AS SELECT * FROM core.mine;
CREATE MATERIALIZED VIEW core.counted AS SELECT count(*) FROM core.notes;
CREATE MATERIALIZED VIEW core.priced AS SELECT * FROM core.plans;
CREATE FUNCTION core.touched() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION core.secret() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM core.notes';
REVOKE EXECUTE ON FUNCTION core.secret FROM PUBLIC;
CREATE FUNCTION core.bound_count() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM core.notes';
ALTER FUNCTION core.bound_count OWNER TO auditor;
GRANT SELECT ON core.over_invoker, core.priced TO app;
GRANT USAGE ON SCHEMA core TO librarian;
GRANT SELECT ON core.notes TO librarian;
CREATE VIEW core.shelf AS SELECT * FROM core.notes;
ALTER VIEW core.shelf OWNER TO librarian;
GRANT SELECT ON core.shelf TO app;
CREATE TABLE core.strict (org_id text, n int);
ALTER TABLE core.strict ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON core.strict USING (org_id = current_setting('app.org_id') AND n = length(current_setting('app.org_id'))::int);
CREATE FUNCTION core.org() RETURNS text LANGUAGE plpgsql AS $$BEGIN IF coalesce(current_setting('app.org_id', true), '') = '' THEN RAISE 'no org'; END IF; RETURN current_setting('app.org_id'); END$$;
CREATE TABLE core.raising (org_id text);
ALTER TABLE core.raising ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON core.raising USING (org_id = core.org());
INSERT INTO core.strict VALUES ('org-b', 5);
INSERT INTO core.raising VALUES ('org-b');
GRANT SELECT ON core.strict, core.raising TO app;
ALTER TABLE core.t ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_row ON core.t USING (body <> '');
CREATE POLICY own ON core.t AS RESTRICTIVE USING (org_id = current_setting('app.org_id', true));
CREATE POLICY whole ON core.events USING ((events).org_id = current_setting('app.org_id', true));
CREATE POLICY admins ON core.t TO reporting USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON core.t TO app;
ALTER TABLE core.events_a ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON core.events_a TO app;
`

func TestServer(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	s := start(t)
	t.Run("sound", func(t *testing.T) { testSound(t, s) })
	t.Run("mistakes", func(t *testing.T) { testMistakes(t, s) })
	t.Run("hidden", func(t *testing.T) { testHidden(t, s) })
	t.Run("all mistakes", func(t *testing.T) { testAllMistakes(t, s) })
	t.Run("roles", func(t *testing.T) { testRoles(t, s) })
	t.Run("role left", func(t *testing.T) { testRoleLeft(t, s) })
	t.Run("residue", func(t *testing.T) { testResidue(t, s) })
	t.Run("writes", func(t *testing.T) { testWrites(t, s) })
	t.Run("page", func(t *testing.T) { testPage(t, s) })
	t.Run("settings", func(t *testing.T) { testDeclared(t, s) })
}

// soundRuns is how often a sound schema is asked, of the server and through its pool; RLS_RUNS=1000 for more.
func soundRuns() int {
	if n, err := strconv.Atoi(os.Getenv("RLS_RUNS")); err == nil {
		return n
	}
	return 5
}

func testSound(t *testing.T, s testenv.Postgres) {
	p := plant(t, s, harmless)
	pooled := newProbe(s)
	pooled.Address = s.StartPgBouncer(t, map[string]string{"app": password}, "default_pool_size = 2")
	pooled.Looks, pooled.Writes, pooled.Canaries = 20, true, []string{"notes"}
	for name, p := range map[string]*Probe{"server": p, "pool": pooled} {
		started := time.Now()
		for range soundRuns() {
			if got := notPassed(t, p); got != "pass" {
				t.Fatalf("%s: %s", name, got)
			}
		}
		t.Logf("%d runs of the %s, %s each", soundRuns(), name, (time.Since(started) / time.Duration(max(soundRuns(), 1))).Round(time.Millisecond))
	}
	got := states(probetest.Run(t, Kind(), p))
	if want := (map[string]float64{"protected": 10, "unprotected": 0, "unreachable": 2, "exempt": 2}); !maps.Equal(got, want) {
		t.Errorf("got %v, expected %v", got, want)
	}
}

// Each mistake alone is named, and nothing else is.
func testMistakes(t *testing.T, s testenv.Postgres) {
	for name, mistake := range testenv.Sample(mistakes, 4) {
		t.Run(name, func(t *testing.T) {
			p := plant(t, s, mistake.sql)
			p.Names = []string{"t"}
			wantLines(t, notPassed(t, p), mistake.want)
			if got := states(probetest.Run(t, Kind(), p))["unprotected"]; name == "disabled" && got != 1 || name == "no_policy" && got != 0 {
				t.Errorf("%g relations are unprotected", got)
			}
		})
	}
}

// All mistakes together are named one by one.
func testAllMistakes(t *testing.T, s testenv.Postgres) {
	var sql strings.Builder
	names := slices.Sorted(maps.Keys(mistakes))
	for _, name := range names {
		sql.WriteString(regexp.MustCompile(`core\.t\b`).ReplaceAllString(mistakes[name].sql, "core."+name) + ";\n")
	}
	p := plant(t, s, sql.String())
	p.Names = append(names, "events_a", "inner_one", "elsewhere.hunter2")
	r := probetest.Run(t, Kind(), p)
	for _, name := range names {
		check, _, _ := strings.Cut(mistakes[name].want[0], " ")
		at := slices.IndexFunc(r.Checks, func(c probe.Check) bool { return c.Name == check })
		if named := map[string]string{"partition": "events_a", "view_elsewhere": "elsewhere.hunter2"}[name]; named != "" {
			name = named
		}
		if !strings.Contains(r.Checks[at].Detail, " "+name+" (") {
			t.Errorf("%s is not named by %s: %s", name, check, r.Checks[at].Detail)
		}
	}
}

// wantLines compares the lines after the verdict with patterns, in which * stands for any text.
func wantLines(t *testing.T, got string, want []string) {
	t.Helper()
	lines := strings.Split(got, "\n")[1:]
	if len(lines) != len(want) {
		t.Fatalf("expected %d lines, got %s", len(want), got)
	}
	for i, pattern := range want {
		parts := strings.Split(pattern, "*")
		rest, ok := strings.CutPrefix(lines[i], parts[0])
		for _, part := range parts[1:] {
			at := strings.Index(rest, part)
			ok = ok && at >= 0
			rest = rest[max(at, 0)+min(len(part), len(rest)-max(at, 0)):]
		}
		if !ok || rest != "" && !strings.HasSuffix(pattern, "*") {
			t.Errorf("\n got  %s\n want %s", lines[i], pattern)
		}
	}
}

// A role that policies do not bind proves nothing, whatever the policies are.
func testRoles(t *testing.T, s testenv.Postgres) {
	plant(t, s, "")
	for user, want := range map[string][]string{
		"boss":           {"role fail(role_exempt): expected a role that policies bind, got a superuser: *"},
		"app_bypass":     {"role fail(role_exempt): expected a role that policies bind, got one with BYPASSRLS: *", "isolated fail(leak_list): *"},
		"app_becomes":    {"role fail(role_exempt): expected a role that policies bind, got a member of a role that is superuser or has BYPASSRLS: *"},
		"app_owner":      {"role fail(role_owns): expected a role that policies bind, got the owner, or a member of the owner, of 1 table without FORCE ROW LEVEL SECURITY: events", "partitions fail(partition_open): *", "isolated fail(leak_list): *"},
		"app_lazy_owner": {"role fail(role_owns): *", "control inconclusive(control_failed): *", "isolated inconclusive(control_failed): *", "fail_closed inconclusive(control_failed): *"},
	} {
		t.Run(user, func(t *testing.T) {
			p := newProbe(s)
			p.User = user
			if user == "boss" {
				got := notPassed(t, p)
				if lines := strings.Split(got, "\n"); len(lines) < 2 || !strings.HasPrefix(lines[1], strings.TrimSuffix(want[0], "*")) {
					t.Error(got)
				}
				return
			}
			wantLines(t, notPassed(t, p), want)
		})
	}
	// The owner of tables that are all forced is bound.
	s.SQL(t, "ALTER TABLE core.events FORCE ROW LEVEL SECURITY; ALTER TABLE core.events_a ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
	p := newProbe(s)
	p.User = "app_owner"
	wantLines(t, notPassed(t, p), nil)
}

// What is declared must be there: no schema is protected because it is empty.
func testDeclared(t *testing.T, s testenv.Postgres) {
	plant(t, s, "")
	for name, test := range map[string]struct {
		change func(*Probe)
		want   []string
	}{
		"a table that is gone":  {func(p *Probe) { p.Tables, p.Canaries = []string{"notes", "gone"}, []string{"notes"} }, []string{"tables fail(tables_missing): expected all of tables in the schema, got 2 without gone"}},
		"fewer than declared":   {func(p *Probe) { p.MinTables = 3 }, []string{"tables fail(tables_missing): expected at least 3 tables in the schema, got 2"}},
		"an empty schema":       {func(p *Probe) { p.Schema, p.Tables, p.MinTables, p.Canaries = "public", nil, 1, []string{"notes"} }, []string{"tables fail(tables_missing): expected at least 1 table in the schema, got 0", "control inconclusive(control_failed): *", "isolated inconclusive(control_failed): *", "fail_closed inconclusive(control_failed): *"}},
		"another column":        {func(p *Probe) { p.Column = "tenant" }, []string{"policies fail(no_org_column): * got 2 exceptions: events (has no such column), notes (has no such column)"}},
		"a canary that is gone": {func(p *Probe) { p.Canaries = []string{"notes", "gone"} }, []string{"control inconclusive(control_failed): expected every test org to see its own row in each of canaries, got none in gone (cannot be read)", "isolated inconclusive(control_failed): nothing is proven: not every test org sees its own row", "fail_closed inconclusive(control_failed): *"}},
		"an org without a row":  {func(p *Probe) { p.Orgs["c"] = Org{ID: "org-c"} }, []string{"control inconclusive(control_failed): * got none in notes (none of c), events (none of c)", "isolated inconclusive(control_failed): *", "fail_closed inconclusive(control_failed): *"}},
		"names of canaries":     {func(p *Probe) { p.Tables, p.MinTables, p.Canaries, p.Column = nil, 2, []string{"notes"}, "tenant" }, []string{"policies fail(no_org_column): * sha256:*, notes (has no such column)"}},
		"a column of its own": {func(p *Probe) {
			p.Column, p.Columns = "tenant", map[string]string{"notes": "org_id", "events": "org_id"}
		}, nil},
		"not exempt":              {func(p *Probe) { p.Exempt = nil }, []string{"enabled fail(rls_disabled): * sha256:* (not enabled)", "isolated fail(leak_list): * sha256:* (one row to a and b, to an org that does not exist)"}},
		"a wrong password":        {func(p *Probe) { p.User = "nobody" }, []string{"connect inconclusive(credential): the server rejects the password (SQLSTATE 28P01)"}},
		"a database that is gone": {func(p *Probe) { p.Database = "gone" }, []string{"connect fail(schema): the database does not exist (SQLSTATE 3D000)"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProbe(s)
			test.change(p)
			wantLines(t, notPassed(t, p), test.want)
		})
	}
}
