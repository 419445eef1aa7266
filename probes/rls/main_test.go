package rls

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// password is that of every role of the tests.
const password = "correct-horse-battery"

// marker is in every row of another org and in names that the configuration does not have; no text may repeat it.
const marker = "hunter2"

func TestMain(m *testing.M) {
	if err := os.Setenv("TEST_RLS_PASSWORD", password); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// roles are those that the tests connect as, and those that own things.
const roles = `
CREATE ROLE owner NOLOGIN;
CREATE ROLE reporting NOLOGIN;
CREATE ROLE auditor NOLOGIN;
CREATE ROLE librarian NOLOGIN;
CREATE ROLE boss LOGIN SUPERUSER PASSWORD '` + password + `';
CREATE ROLE app LOGIN PASSWORD '` + password + `';
CREATE ROLE app_bypass LOGIN BYPASSRLS PASSWORD '` + password + `';
CREATE ROLE app_becomes LOGIN NOINHERIT PASSWORD '` + password + `';
CREATE ROLE app_member LOGIN IN ROLE app PASSWORD '` + password + `';
CREATE ROLE app_owner LOGIN PASSWORD '` + password + `';
CREATE ROLE app_lazy_owner LOGIN NOINHERIT PASSWORD '` + password + `';
GRANT app_bypass TO app_becomes;
GRANT owner TO app_owner, app_lazy_owner;
`

// start starts the server of a test, with its roles.
func start(t *testing.T) testenv.Postgres {
	t.Helper()
	s := testenv.StartPostgres(t)
	s.SQL(t, roles)
	s.Authenticate(t, "host all all all scram-sha-256")
	return s
}

// sound is a schema without a mistake. Its owner is bound by FORCE, or is not the role of the application.
const sound = `
CREATE SCHEMA core AUTHORIZATION owner;
SET ROLE owner;
CREATE TABLE core.notes (id int PRIMARY KEY, org_id text NOT NULL, body text);
CREATE TABLE core.events (id int, org_id text NOT NULL, body text) PARTITION BY RANGE (id);
CREATE TABLE core.events_a PARTITION OF core.events FOR VALUES FROM (0) TO (1000);
CREATE TABLE core.plans (id int, body text);
ALTER TABLE core.notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE core.events ENABLE ROW LEVEL SECURITY;
INSERT INTO core.plans VALUES (1, 'free');
INSERT INTO core.events VALUES (1, 'org-a', 'a'), (2, 'org-b', 'hunter2');
CREATE POLICY own ON core.notes USING (org_id = current_setting('app.org_id', true));
CREATE POLICY own ON core.events USING (org_id = current_setting('app.org_id', true));
CREATE POLICY small ON core.notes AS RESTRICTIVE USING (length(body) < 1000);
CREATE VIEW core.mine WITH (security_invoker = true) AS SELECT * FROM core.events;
CREATE VIEW core.bound AS SELECT * FROM core.notes;
CREATE FUNCTION core.lower_body(t text) RETURNS text LANGUAGE sql AS 'SELECT lower(t)';
RESET ROLE;
INSERT INTO core.notes VALUES (1, 'org-a', 'a'), (2, 'org-b', 'hunter2');
GRANT USAGE ON SCHEMA core TO app, app_bypass, app_becomes;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.notes, core.events TO app, app_bypass, app_becomes;
GRANT SELECT ON core.plans, core.mine, core.bound TO app, app_bypass, app_becomes;
`

// plant replaces what is in the database by the sound schema and what a test adds to it.
func plant(t *testing.T, server testenv.Postgres, more string) *Probe {
	t.Helper()
	server.SQL(t, "SET client_min_messages = warning; DROP SCHEMA IF EXISTS core, elsewhere CASCADE;\n"+sound+more)
	return newProbe(server)
}

// newProbe returns a probe of the schema as the application.
func newProbe(server testenv.Postgres) *Probe {
	p := newProbeOf(server.Address())
	p.Password = secret.Env("TEST_RLS_PASSWORD")
	return p
}

// newProbeOf returns a probe of a schema like that at an address.
func newProbeOf(address string) *Probe {
	p := New()
	p.Looks = 0
	p.Address, p.Database, p.User = address, "postgres", "app"
	p.Schema, p.Column, p.Tables = "core", "org_id", []string{"notes", "events"}
	p.Exempt = map[string]string{"plans": "the same for all"}
	p.Setting, p.Orgs = "app.org_id", map[string]Org{"a": {ID: "org-a"}, "b": {ID: "org-b"}}
	return p
}

// notPassed runs a probe and returns its verdict and the checks that did not pass. Nothing of the data, or of a name that the
// configuration does not have, may be in the result.
func notPassed(t *testing.T, p *Probe) string {
	t.Helper()
	r := probetest.Run(t, Kind(), p)
	all := probetest.Lines(r)
	for _, x := range r.Exchanges {
		all += x.URL
	}
	for _, secret := range []string{marker, password, "org-a", "org-b"} {
		if strings.Contains(all, secret) {
			t.Errorf("%s is shown: %s", secret, all)
		}
	}
	return probetest.NotPassed(r)
}

// states returns the counts of the relations by their state.
func states(r probe.Result) map[string]float64 {
	counts := map[string]float64{}
	for _, s := range r.Samples {
		if s.Measure == relationCount {
			counts[s.Values[0]] = s.Value
		}
	}
	return counts
}
