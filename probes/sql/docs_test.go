package sql

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"prober/config"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// application has the tables of the page's application, whose other columns are nobody's business. What everybody may do by
// default is taken away.
const application = `
CREATE TABLE webhook_outbox_entries (oauth_application_id text, dlq_at timestamptz, delivered_at timestamptz, payload text);
INSERT INTO webhook_outbox_entries VALUES ('17', now(), NULL, '` + marker + `');
CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz, email text);
INSERT INTO users VALUES (1), (2);
CREATE TABLE identity_links (from_id int, to_id int);
INSERT INTO identity_links VALUES (1, 2);
CREATE TABLE oauth_applications (id text, active boolean, secret text);
INSERT INTO oauth_applications VALUES ('17', true);
CREATE TABLE link_deliveries (oauth_application_id text, from_id int, body text);
INSERT INTO link_deliveries VALUES ('17', 1);
REVOKE CONNECT ON DATABASE logi FROM PUBLIC;
REVOKE USAGE ON SCHEMA public FROM PUBLIC;
`

// testPage runs the SQL of the documentation's page as it is shown, and then its probes, its invariants and its gate. Each
// right that the page grants is needed, and no other is there.
func (c *cluster) testPage(t *testing.T) {
	b, err := os.ReadFile("../../docs/kinds/sql.md")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.ReplaceAll(string(b), "prober_ro", "prober_page") // a role of that name is there
	inLogi := func(sql string) { c.primary.SQL(t, "\\c logi\n"+sql) }
	c.primary.SQL(t, "CREATE DATABASE logi")
	inLogi(application)
	grants := regexp.MustCompile(`(?m)^GRANT (.*) TO prober_page;`).FindAllStringSubmatch(page, -1)
	for _, block := range regexp.MustCompile("(?ms)^```sql\n(.*?)^```").FindAllStringSubmatch(page, -1) {
		inLogi(block[1])
	}
	c.primary.SQL(t, "ALTER ROLE prober_page PASSWORD '"+password+"'")

	jobs := c.pageJobs(t, page)
	failing := func() string { // the first of them that does not pass
		for _, j := range jobs {
			if r := j.Do(t.Context()); r.Verdict() != probe.Pass {
				return j.Name + " " + probetest.NotPassed(r)
			}
		}
		return ""
	}
	followed := func(want bool) {
		t.Helper()
		testenv.Eventually(t, time.Minute, func(context.Context) error {
			if got := failing(); (got != "") != want {
				return errors.New("not passed: " + got)
			}
			return nil
		})
	}
	followed(false)
	if len(grants) < 9 {
		t.Fatalf("the page grants %d rights", len(grants))
	}
	for _, g := range grants {
		inLogi("REVOKE " + g[1] + " FROM prober_page")
		followed(true)
		inLogi("GRANT " + g[1] + " TO prober_page")
	}
	followed(false)
	inLogi(`SET ROLE prober_page; DO $$ BEGIN
		IF (SELECT count(*) FROM information_schema.column_privileges WHERE grantee = 'prober_page' AND privilege_type = 'SELECT') <> 12
			OR EXISTS (SELECT 1 FROM information_schema.column_privileges WHERE grantee = 'prober_page' AND privilege_type <> 'SELECT')
		THEN RAISE 'other rights than those of the page'; END IF; END $$`)
}

// pageJobs are the probes of the page, those of its gate, and one for each of its invariants.
func (c *cluster) pageJobs(t *testing.T, page string) (jobs []probe.Job) {
	t.Helper()
	yaml := regexp.MustCompile("(?ms)^```yaml\n(system: logi.*?)^```").FindAllStringSubmatch(page, -1)
	if len(yaml) != 2 {
		t.Fatalf("the page shows %d configurations of logi", len(yaml))
	}
	here := strings.NewReplacer("db.logi.example:5432", c.primary.Address(), "db-1.logi.example:5432", c.primary.Address(),
		"db-2.logi.example:5432", c.standby.Address(), "/run/secrets/prober/db", passwordFile(t))
	for _, y := range yaml {
		parsed, err := config.Parse(probe.Kinds{"sql": Kind()}, config.File{Name: "page.yaml", Data: []byte(here.Replace(y[1]))})
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, parsed.Jobs...)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| (.*) \\| `(SELECT count.*)` \\|$").FindAllStringSubmatch(page, -1) {
		p := c.probe(t)
		p.User, p.Database, p.Query, p.Violation, p.Control = "prober_page", "logi", row[2], "SELECT 1 AS n", "SELECT count(*) FROM identity_links"
		p.Values = map[string]Value{"violations": {Column: "n", Max: limit(0)}}
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, probe.Job{ID: probe.ID{System: "logi", Name: row[1]}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: 10 * time.Second})
	}
	if len(jobs) != 9 {
		t.Fatalf("the page has %d probes, expected four, the gate and four invariants", len(jobs))
	}
	return jobs
}
