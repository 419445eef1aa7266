package sql

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"prober/config"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// testQueries runs the example of the documentation that looks for statements without the org.
func (c *cluster) testQueries(t *testing.T) {
	page, err := os.ReadFile("../../docs/kinds/sql.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```yaml\n(system: ibex-queries\n.*?)```").FindSubmatch(page)
	if shown == nil {
		t.Fatal("the page shows no queries without the org")
	}
	t.Setenv("TEST_SQL_PASSWORD", password)
	text := strings.NewReplacer("db.ibex.example:5432", c.primary.Address(), "database: ibex\n", "database: postgres\n", "{file: /run/secrets/prober/db}", "{env: TEST_SQL_PASSWORD}").Replace(string(shown[1]))
	loaded, err := config.Parse(probe.Kinds{"sql": Kind()}, config.File{Name: "page.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	c.primary.SQL(t, `CREATE EXTENSION pg_stat_statements; CREATE ROLE ibex_app; CREATE TABLE memories (id int, org_id int); GRANT SELECT ON memories TO ibex_app`)
	for _, step := range []struct{ name, sql, want string }{
		{"no right to read texts", "SET ROLE ibex_app; SELECT 1 FROM memories WHERE org_id = 1", "control inconclusive(control_failed): expected a number above zero, got 0*"},
		{"with it", "GRANT pg_read_all_stats TO prober_ro", "values pass(ok): queries_without_org is 0"},
		{"the prober's own", "SET ROLE ibex_app; /* prober */ SELECT 1 FROM memories", "values pass(ok): queries_without_org is 0"},
		{"a query without the org", "SET ROLE ibex_app; SELECT * FROM Memories WHERE id = 7", "values fail(value): queries_without_org is 1, expected at most 0"},
		{"reset", "SELECT pg_stat_statements_reset(); SET ROLE ibex_app; SELECT 1 FROM memories WHERE org_id = 1", "values pass(ok): queries_without_org is 0"},
	} {
		c.primary.SQL(t, step.sql)
		r := run(t, loaded.Jobs[0].Probe.(*Probe))
		lines := probetest.Lines(r)
		prefix, _ := strings.CutSuffix(step.want, "*")
		if !strings.Contains(lines, "\n"+prefix) {
			t.Errorf("%s: %s", step.name, lines)
		}
	}
	c.primary.SQL(t, "REVOKE pg_read_all_stats FROM prober_ro")
}
