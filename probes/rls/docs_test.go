package rls

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"prober/config"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// testPage runs the SQL of the documentation's page and then its configuration. The hash that it looks up is that of a table.
func testPage(t *testing.T, s testenv.Postgres) {
	page, err := os.ReadFile("../../docs/kinds/rls.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?ms)^```sql\n(.*?)^```").FindAllSubmatch(page, -1) {
		s.SQL(t, string(block[1]))
	}
	s.SQL(t, "ALTER ROLE ibex_app PASSWORD '"+password+"'; ALTER ROLE prober_rls PASSWORD '"+password+"'")
	pool := s.StartPgBouncer(t, map[string]string{"ibex_app": password, "prober_rls": password}, "default_pool_size = 1")
	shown := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```").FindSubmatch(page)
	text := strings.NewReplacer("pgbouncer.ibex-system.svc:6432", pool, "database: ibex\n", "database: postgres\n", "{file: /run/secrets/prober/ibex-app}", "{env: TEST_RLS_PASSWORD}").Replace(string(shown[1]))
	c, err := config.Parse(probe.Kinds{"rls": Kind()}, config.File{Name: "page.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	p := c.Jobs[0].Probe.(*Probe)
	for _, user := range []string{"prober_rls", p.User} {
		p.User = user
		if got := notPassed(t, p); got != "pass" {
			t.Errorf("%s: %s", user, got)
		}
	}
	s.SQL(t, "CREATE TABLE ibex_core.hunter2 (); GRANT SELECT ON ibex_core.hunter2 TO ibex_app")
	hash := regexp.MustCompile(`sha256:([0-9a-f]{8}) \(not enabled\)`).FindStringSubmatch(probetest.Lines(probetest.Run(t, Kind(), p)))
	if hash == nil {
		t.Fatal("expected a table to be shown as a hash")
	}
	query := regexp.MustCompile("(?ms)^```sql\n(SELECT n.nspname.*?);\n```").FindSubmatch(page)
	s.SQL(t, "DO $$ BEGIN IF NOT EXISTS ("+strings.Replace(string(query[1]), "1a2b3c4d", hash[1], 1)+") THEN RAISE 'not found'; END IF; END $$")
}
