package rls

import (
	"testing"

	"prober/internal/testenv"
)

// What one org can do to another's rows is tried and rolled back: no row is another afterwards.
func testWrites(t *testing.T, s testenv.Postgres) {
	for _, test := range []struct {
		name, policy string
		want         []string
	}{
		{"sound", "USING (org_id = current_setting('app.org_id', true))", nil},
		{"check", "USING (org_id = current_setting('app.org_id', true)) WITH CHECK (true)",
			[]string{"write_policies fail(check_open): *", "writes fail(foreign_write): expected that no org can change rows of another, got some: t (insert by a, insert by b); all of it was rolled back"}},
		{"check, with a key", "USING (org_id = current_setting('app.org_id', true)) WITH CHECK (true); ALTER TABLE core.t ADD PRIMARY KEY (id)",
			[]string{"write_policies fail(check_open): *", "writes fail(foreign_write): * t (insert by a, insert by b)*"}},
		{"sound, with a key", "USING (org_id = current_setting('app.org_id', true)); ALTER TABLE core.t ADD PRIMARY KEY (id)", nil},
		{"all", "USING (org_id IS NOT NULL)",
			[]string{"isolated fail(leak_list): *", "writes fail(foreign_write): * t (change by a, delete by a, insert by a, change by b, delete by b, insert by b)*"}},
		{"delete", "FOR SELECT USING (org_id IS NOT NULL); CREATE POLICY d ON core.t FOR DELETE USING (org_id IS NOT NULL)",
			[]string{"isolated fail(leak_list): *", "writes fail(foreign_delete): * t (delete by a, delete by b)*"}},
		{"an identity and a generated column", "USING (org_id = current_setting('app.org_id', true)) WITH CHECK (true); ALTER TABLE core.t ADD no bigint GENERATED ALWAYS AS IDENTITY, ADD size int GENERATED ALWAYS AS (length(body)) STORED",
			[]string{"write_policies fail(check_open): *", "writes fail(foreign_write): * t (insert by a, insert by b)*"}},
		{"some columns", "USING (org_id = current_setting('app.org_id', true)) WITH CHECK (true); REVOKE INSERT ON core.t FROM app; GRANT INSERT (org_id, body) ON core.t TO app",
			[]string{"write_policies fail(check_open): *", "writes fail(foreign_write): * t (insert by a, insert by b)*"}},
		{"a row that cannot be copied", "USING (org_id = current_setting('app.org_id', true)); CREATE FUNCTION core.refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no' USING ERRCODE = 'check_violation'; END$$; CREATE TRIGGER refuse BEFORE INSERT ON core.t FOR EACH ROW EXECUTE FUNCTION core.refuse()",
			[]string{"writes inconclusive(control_failed): not everything was tried: *"}},
		{"a row of its own that breaks a rule", "USING (org_id = current_setting('app.org_id', true)); ALTER TABLE core.t ADD CONSTRAINT none CHECK (id < 0) NOT VALID",
			[]string{"writes inconclusive(control_failed): not everything was tried: *"}},
		{"no row of its own", "TO reporting USING (true); CREATE POLICY i ON core.t FOR INSERT WITH CHECK (true)",
			[]string{"policies inconclusive(no_policy): *", "write_policies fail(check_open): *", "control inconclusive(control_failed): *", "isolated inconclusive(control_failed): *", "fail_closed inconclusive(control_failed): *", "writes inconclusive(control_failed): nothing could be tried: *"}},
		{"read only", "FOR SELECT USING (org_id = current_setting('app.org_id', true))",
			[]string{"writes inconclusive(control_failed): nothing could be tried: no test org can change or delete its own rows in canaries"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := plant(t, s, table+enable+"CREATE POLICY own ON core.t "+test.policy)
			p.Names, p.Canaries, p.Writes = []string{"t"}, []string{"t"}, true
			wantLines(t, notPassed(t, p), test.want)
			s.SQL(t, "DO $$ BEGIN IF (SELECT string_agg(id || org_id || body, ' ' ORDER BY id) FROM core.t) <> '1org-aa 2org-bhunter2' THEN RAISE 'a row was changed'; END IF; END $$")
		})
	}
	// Nothing is tried on what is no canary, though it would be rolled back: a sequence is not.
	p := plant(t, s, table+enable+ownPolicy+`
CREATE SEQUENCE core.touched; GRANT USAGE ON SEQUENCE core.touched TO app;
CREATE FUNCTION core.touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM nextval('core.touched'); RETURN coalesce(new, old); END$$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE OR DELETE ON core.events FOR EACH ROW EXECUTE FUNCTION core.touch()`)
	p.Canaries, p.Writes = []string{"t"}, true
	wantLines(t, notPassed(t, p), nil)
	s.SQL(t, "DO $$ BEGIN IF (SELECT is_called FROM core.touched) THEN RAISE 'a row was touched'; END IF; END $$")
	// An org without a row has nothing to try with, and that no row of it was changed proves nothing.
	p = plant(t, s, table+enable+ownPolicy)
	p.Names, p.Canaries, p.Writes, p.Orgs["c"] = []string{"t"}, []string{"t"}, true, Org{ID: "org-c"}
	wantLines(t, notPassed(t, p), []string{"control inconclusive(control_failed): * t (none of c)", "isolated inconclusive(control_failed): *", "fail_closed inconclusive(control_failed): *", "writes inconclusive(control_failed): nothing is proven: *"})
}
