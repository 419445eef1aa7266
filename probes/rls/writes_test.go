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
}
