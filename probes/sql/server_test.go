package sql

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// A cluster is PostgreSQL as Debian has it: a primary, and a standby that follows it.
type cluster struct {
	primary, standby testenv.Postgres
}

func startCluster(t *testing.T) *cluster {
	c := &cluster{primary: testenv.StartPostgres(t, "shared_preload_libraries=pg_stat_statements")}
	c.primary.Authenticate(t, "host all all all scram-sha-256")
	c.primary.SQL(t, `
		CREATE ROLE prober_ro LOGIN PASSWORD '`+password+`';
		CREATE ROLE boss SUPERUSER LOGIN PASSWORD '`+password+`';
		CREATE TABLE webhook_outbox_entries (oauth_application_id text, dlq_at timestamptz, delivered_at timestamptz);
		INSERT INTO webhook_outbox_entries VALUES ('17', NULL, now()), ('17', now() - interval '1 hour', NULL), ('17', now(), NULL),
			('23', now(), now()), ('`+marker+`', now() - interval '10 s', NULL);
		CREATE TABLE empty_entries (LIKE webhook_outbox_entries);
		CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz);
		INSERT INTO users SELECT n FROM generate_series(1, 9) n;
		CREATE TABLE identity_links (from_id int, to_id int);
		INSERT INTO identity_links VALUES (1, 2), (3, 2);
		CREATE TABLE oauth_applications (id text, active boolean);
		INSERT INTO oauth_applications VALUES ('17', true), ('23', true), ('99', false);
		CREATE TABLE link_deliveries (oauth_application_id text, from_id int);
		INSERT INTO link_deliveries SELECT a, l.from_id FROM identity_links l, unnest(ARRAY['17', '23']) a;
		CREATE TABLE heartbeat (at timestamptz);
		INSERT INTO heartbeat VALUES (now() - interval '1 hour');
		CREATE TABLE secrets (text text);
		GRANT SELECT ON webhook_outbox_entries, empty_entries, users, identity_links, oauth_applications, link_deliveries, heartbeat TO prober_ro`)
	c.standby = c.primary.StartStandby(t)
	return c
}

// TestServer asks Debian's PostgreSQL. The parts are in order: the last one promotes the standby.
func TestServer(t *testing.T) {
	testenv.WithoutRace(t)
	c := startCluster(t)
	t.Run("dead webhooks", c.testDeadWebhooks)
	t.Run("controls", c.testControls)
	t.Run("connect", c.testConnect)
	t.Run("merge invariants", c.testMerge)
	t.Run("pre-flip gate", c.testGate)
	t.Run("queries without the org", c.testQueries)
	t.Run("page", c.testPage)
	t.Run("replication", c.testReplication)
	t.Run("primary", c.testPrimary)
}

func (c *cluster) probe(t *testing.T) *Probe {
	return &Probe{Settings: login(t, "prober_ro"), Address: c.primary.Address()}
}

const deadQuery = `SELECT oauth_application_id, count(*) AS dead, extract(epoch FROM clock_timestamp() - min(dlq_at)) AS oldest
	FROM webhook_outbox_entries WHERE dlq_at IS NOT NULL AND delivered_at IS NULL GROUP BY 1`

// deadWebhooks is the query of the DLQ, by application and age.
func (c *cluster) deadWebhooks(t *testing.T) *Probe {
	p := c.probe(t)
	p.Query, p.Control, p.Empty = deadQuery, "SELECT count(*) FROM webhook_outbox_entries", emptyPass
	p.By = &By{Column: "oauth_application_id", Names: map[string]string{"17": "billing", "23": "eb"}, Other: true}
	p.Values = map[string]Value{"dead_rows": {Column: "dead", Max: limit(100)}, "oldest_dead_seconds": {Column: "oldest", Max: limit(86400)}}
	return p
}

func (c *cluster) testDeadWebhooks(t *testing.T) {
	r := run(t, c.deadWebhooks(t))
	probetest.WantLines(t, r, "pass", "connect pass(ok): connected to *", "control pass(ok): 5 is above zero", "values pass(ok): 2 rows within the limits")
	for by, want := range map[string]float64{"billing": 2, "other": 1} {
		if got, _ := sample(r, valueGauge, "dead_rows", by); got != want {
			t.Errorf("%s has %g dead rows, expected %g", by, got, want)
		}
	}
	if _, known := sample(r, valueGauge, "dead_rows", "eb"); known {
		t.Error("an application without dead rows has a value")
	}
	if age, _ := sample(r, valueGauge, "oldest_dead_seconds", "billing"); age < 3600 || age > 7200 {
		t.Errorf("the oldest is %g s old", age)
	}
	if rows, _ := sample(r, rowsGauge); rows != 2 {
		t.Errorf("%g rows", rows)
	}
	if text := probetest.Lines(r); strings.Contains(text, marker) || len(r.Exchanges) != 1 || r.Exchanges[0].Version == "" {
		t.Errorf("%s%+v", text, r.Exchanges)
	}

	grown := c.deadWebhooks(t)
	grown.Values["dead_rows"] = Value{Column: "dead", Max: limit(1)}
	grown.Values["oldest_dead_seconds"] = Value{Column: "oldest", Max: limit(5)}
	r = run(t, grown)
	want := []string{"dead_rows of billing is 2, expected at most 1", "oldest_dead_seconds of billing is 3", "oldest_dead_seconds of a row without a name is "}
	for _, text := range want {
		if !strings.Contains(probetest.Lines(r), text) {
			t.Errorf("no %q in %s", text, probetest.Lines(r))
		}
	}
	if r.Verdict() != probe.Fail {
		t.Error(r.Verdict())
	}
}

// An empty table has no dead rows either, and a query that cannot fail proves nothing.
func (c *cluster) testControls(t *testing.T) {
	p := c.deadWebhooks(t)
	p.Query = strings.Replace(deadQuery, "webhook_outbox_entries", "empty_entries", 1)
	p.Control = "SELECT count(*) FROM empty_entries"
	probetest.WantLines(t, run(t, p), "inconclusive", "connect pass*",
		"control inconclusive(control_failed): expected a number above zero, got 0: the query may look at the wrong place",
		"values inconclusive(control_failed): no row, as is hoped for; but without the controls that proves nothing")

	for control, want := range map[string]string{
		"SELECT 1 FROM empty_entries": "control inconclusive(control_failed): expected a number above zero, got no row",
		"SELECT NULL FROM users":      "control inconclusive(control_failed): expected a number above zero, got NULL or no number",
		"SELECT text FROM secrets":    "control inconclusive(credential): the role lacks a right that the query needs (SQLSTATE 42501)",
		"SELECT (clock_timestamp() - max(at) < interval '1 min')::int FROM heartbeat": "control inconclusive(control_failed): expected a number above zero, got 0: the query may look at the wrong place",
		"WITH a AS (INSERT INTO users VALUES (0) RETURNING 1) SELECT * FROM a":        "control inconclusive(read_only_violated): the query tries to write in a read-only transaction (SQLSTATE 25006)",
	} {
		p := c.deadWebhooks(t)
		p.Control = control
		probetest.WantLines(t, run(t, p), "inconclusive", "connect pass*", want,
			"values inconclusive(control_failed): 2 rows within the limits; but without the controls that proves nothing")
	}

	// A limit that is broken is broken, whatever the controls say.
	p = c.deadWebhooks(t)
	p.Control, p.Values = "SELECT 0 FROM users", map[string]Value{"dead_rows": {Column: "dead", Max: limit(1)}}
	r := run(t, p)
	probetest.WantLines(t, r, "fail", "connect pass*", "control inconclusive*", "values fail(value): dead_rows of billing is 2, expected at most 1")

	// Without empty, no row means nothing.
	p = c.deadWebhooks(t)
	p.Query, p.Empty = deadQuery+" HAVING false", ""
	probetest.WantLines(t, run(t, p), "inconclusive", "connect pass*", "control pass*", "values inconclusive(no_rows): expected a row, got none; empty says what that means")

	for query, want := range map[string]string{
		"SELECT 'x' AS dead, 1 AS oldest, '17' AS oauth_application_id": "values inconclusive(no_value): *",
		"SELECT 1":                  "values inconclusive(schema): expected a column oauth_application_id in the answer*",
		"SELECT dead FROM missing":  "values fail(schema): a table of the query does not exist*",
		"SELECT nowhere FROM users": "values fail(schema): a column of the query does not exist (SQLSTATE 42703)",
		"SELECT 1; SELECT 2":        "values fail(schema): the query is not one valid statement (SQLSTATE 42601)",
		"SELECT n AS dead, n AS oldest, n AS oauth_application_id FROM generate_series(1, 1001) n":     "values inconclusive(too_many_rows): expected at most 1000 rows, got more",
		"SELECT id AS dead, 1 AS oldest, id AS oauth_application_id FROM users WHERE id = 1 FOR SHARE": "values inconclusive(read_only_violated): *",
	} {
		p := c.deadWebhooks(t)
		p.Query = query
		r := run(t, p)
		probetest.WantLines(t, r, r.Verdict().String(), "connect pass*", "control pass*", want)
	}
}

func (c *cluster) testConnect(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Probe)
		want   string
	}{
		"a superuser":        {func(p *Probe) { p.User = "boss" }, "connect inconclusive(superuser): expected a role that can only read, got a superuser*"},
		"an unknown role":    {func(p *Probe) { p.User = "stranger" }, "connect inconclusive(credential): the server rejects the password (SQLSTATE 28P01)"},
		"an unknown one too": {func(p *Probe) { p.Database = "gone" }, "connect fail(schema): the database does not exist (SQLSTATE 3D000)"},
		"nobody there":       {func(p *Probe) { p.Address = "127.0.0.1:1" }, "connect fail(refused): connection refused by 127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.deadWebhooks(t)
			test.change(p)
			r := run(t, p)
			probetest.WantLines(t, r, r.Verdict().String(), test.want)
		})
	}
}

// mergeInvariants are those of links between identities, with a violation each.
func mergeInvariants() map[string][2]string {
	return map[string][2]string{
		"chains":   {"SELECT count(*) AS n FROM identity_links a JOIN identity_links b ON b.from_id = a.to_id", "INSERT INTO identity_links VALUES (2, 9)"},
		"mirrored": {"SELECT count(*) AS n FROM identity_links a JOIN identity_links b ON b.from_id = a.to_id AND b.to_id = a.from_id", "INSERT INTO identity_links VALUES (2, 1)"},
		"orphans":  {"SELECT count(*) AS n FROM identity_links l LEFT JOIN users u ON u.id = l.to_id AND u.deleted_at IS NULL WHERE u.id IS NULL", "UPDATE users SET deleted_at = now() WHERE id = 2"},
		"two":      {"SELECT count(*) AS n FROM (SELECT from_id FROM identity_links GROUP BY 1 HAVING count(DISTINCT to_id) > 1) d", "INSERT INTO identity_links VALUES (1, 4)"},
	}
}

func (c *cluster) testMerge(t *testing.T) {
	for name, invariant := range mergeInvariants() {
		t.Run(name, func(t *testing.T) {
			p := c.probe(t)
			p.Query, p.Violation = invariant[0], "SELECT 1 AS n"
			p.Control = "SELECT count(*) FROM identity_links"
			p.Values = map[string]Value{"violations": {Column: "n", Max: limit(0)}}
			r := run(t, p)
			probetest.WantLines(t, r, "pass", "connect pass*", "control pass(ok): 2 is above zero",
				"violation pass(ok): it breaks the limits, as it must: violations is 1, expected at most 0", "values pass(ok): violations is 0")

			c.primary.SQL(t, invariant[1])
			defer c.primary.SQL(t, "TRUNCATE identity_links; INSERT INTO identity_links VALUES (1, 2), (3, 2); UPDATE users SET deleted_at = NULL")
			r = run(t, p)
			if r.Verdict() != probe.Fail || !strings.Contains(probetest.Lines(r), "values fail(value): violations is ") {
				t.Error(probetest.Lines(r))
			}
		})
	}
	p := c.probe(t)
	p.Query, p.Violation, p.Values = "SELECT 0 AS n", "SELECT 0 AS n FROM users WHERE id = 1", map[string]Value{"violations": {Column: "n", Max: limit(0)}}
	probetest.WantLines(t, run(t, p), "inconclusive", "connect pass*", "violation inconclusive(control_failed): expected it to break a limit, got: violations is 0",
		"values inconclusive(control_failed): violations is 0; but without the controls that proves nothing")
}

// gate asks whether every relying party has received its links: the list of them comes from the applications, and 0 owed of
// 0 is no proof.
const gate = `SELECT a.id, count(l.from_id) AS owed, count(l.from_id) - count(d.from_id) AS missing
	FROM oauth_applications a CROSS JOIN identity_links l
	LEFT JOIN link_deliveries d ON d.oauth_application_id = a.id AND d.from_id = l.from_id
	WHERE a.active GROUP BY a.id`

func (c *cluster) testGate(t *testing.T) {
	p := c.probe(t)
	p.Query, p.Empty = gate, emptyFail
	p.Control = "SELECT count(*) FROM oauth_applications WHERE active"
	p.By = &By{Column: "id", Names: map[string]string{"17": "billing"}, Other: true}
	p.Values = map[string]Value{"owed": {Column: "owed", Min: limit(1)}, "missing": {Column: "missing", Equal: limit(0)}}
	probetest.WantLines(t, run(t, p), "pass", "connect pass*", "control pass(ok): 2 is above zero", "values pass(ok): 2 rows within the limits")
	c.primary.SQL(t, "DELETE FROM link_deliveries WHERE oauth_application_id = '17' AND from_id = 1")
	probetest.WantLines(t, run(t, p), "fail", "connect pass*", "control pass*", "values fail(value): missing of billing is 1, expected 0")
	c.primary.SQL(t, "INSERT INTO link_deliveries VALUES ('17', 1)")
	c.primary.SQL(t, "CREATE TABLE saved AS TABLE identity_links; TRUNCATE identity_links")
	probetest.WantLines(t, run(t, p), "fail", "connect pass*", "control pass*", "values fail(no_rows): expected a row, got none")
	c.primary.SQL(t, "INSERT INTO identity_links TABLE saved; DROP TABLE saved")
}

const heartbeatAge = "SELECT extract(epoch FROM clock_timestamp() - max(at)) FROM heartbeat"

func (c *cluster) testReplication(t *testing.T) {
	p := &Probe{Settings: login(t, "prober_ro"), Address: c.standby.Address(), Preset: presetReplication, Heartbeat: heartbeatAge, MaxAge: new(probe.Duration(10 * time.Minute))}
	line := func(p *Probe) string {
		r := run(t, p)
		return r.Verdict().String() + " " + strings.Join(strings.Split(strings.TrimSpace(probetest.Lines(r)), "\n")[2:], " ")
	}
	eventually := func(want string) {
		t.Helper()
		testenv.Eventually(t, 20*time.Second, func(context.Context) error {
			if got := line(p); !strings.HasPrefix(got, want) {
				return errors.New(got)
			}
			return nil
		})
	}
	// A role without the right sees a receiver and not its state.
	eventually("inconclusive replication inconclusive(credential): the role may not see the state of the receiver: grant it pg_read_all_stats")
	c.primary.SQL(t, "GRANT pg_read_all_stats TO prober_ro")
	eventually("fail replication fail(lagging): the heartbeat is 3")
	// The primary goes on and replay does not: the receiver streams all the same.
	c.standby.SQL(t, "SELECT pg_wal_replay_pause()")
	c.primary.SQL(t, "UPDATE heartbeat SET at = now()")
	if got := line(p); !strings.HasPrefix(got, "fail replication fail(lagging): ") {
		t.Error(got)
	}
	c.standby.SQL(t, "SELECT pg_wal_replay_resume()")
	eventually("pass replication pass(ok): the standby streams, and the heartbeat is ")
	if age, ok := sample(run(t, p), heartbeatGauge); !ok || age < 0 || age > 600 {
		t.Errorf("the heartbeat is %g s old", age)
	}
	// The primary is idle and the standby has all of it: that is no lag, however long ago the last transaction was.
	idle := *p
	idle.Heartbeat = "SELECT 0 WHERE now() - pg_last_xact_replay_timestamp() >= interval '0'"
	if got := line(&idle); !strings.HasPrefix(got, "pass ") {
		t.Error(got)
	}
	for heartbeat, want := range map[string]string{
		"SELECT max(at) FROM heartbeat":                                           "inconclusive replication inconclusive(no_value): ",
		"SELECT extract(epoch FROM now() - max(at)) FROM heartbeat WHERE false":   "inconclusive replication inconclusive(no_value): ",
		"SELECT 1 FROM heartbeat WHERE false":                                     "inconclusive replication inconclusive(no_rows): ",
		"SELECT -60 FROM heartbeat":                                               "inconclusive replication inconclusive(control_failed): the heartbeat is 60 s ahead of the standby's clock",
		"SELECT extract(epoch FROM clock_timestamp() - max(at)) FROM heartbeats_": "fail replication fail(schema): ",
	} {
		other := *p
		other.Heartbeat = heartbeat
		if got := line(&other); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s", heartbeat, got)
		}
	}
	primary := *p
	primary.Address = c.primary.Address()
	if got := line(&primary); !strings.HasPrefix(got, "fail replication fail(not_standby): expected a standby, got a primary") {
		t.Error(got)
	}
	// Cut off, it has replayed all that it received, and the heartbeat is fresh.
	c.standby.SQL(t, "ALTER SYSTEM SET primary_conninfo = ''")
	c.standby.SQL(t, "SELECT pg_reload_conf()")
	eventually("fail replication fail(not_streaming): expected a receiver that streams from the primary, got none: the standby is cut off")
}

// testPrimary promotes the standby without fencing the primary.
func (c *cluster) testPrimary(t *testing.T) {
	p := &Probe{Settings: login(t, "prober_ro"), Preset: presetPrimary, Servers: []string{c.primary.Address(), c.standby.Address()}}
	r := run(t, p)
	probetest.WantLines(t, r, "pass", "connect@"+p.Servers[0]+" pass(ok): it is a primary", "connect@"+p.Servers[1]+" pass(ok): it is a standby", "primary pass(ok): one primary among 2 servers behind the 2 addresses")
	if timeline, _ := sample(r, timelineGauge, p.Servers[1]); timeline != 1 {
		t.Errorf("timeline %g", timeline)
	}
	away := &Probe{Settings: login(t, "prober_ro"), Preset: presetPrimary, Servers: []string{c.standby.Address(), "127.0.0.1:1"}}
	probetest.WantLines(t, run(t, away), "fail", "connect@"+p.Servers[1]+" pass(ok): it is a standby", "connect@127.0.0.1:1 fail(refused)*",
		"primary inconclusive(control_failed): 1 of the 2 addresses answered, with 0 primaries among them: what the others are is not known")
	c.standby.SQL(t, "SELECT pg_promote()")
	c.standby.SQL(t, "CHECKPOINT")
	r = run(t, p)
	probetest.WantLines(t, r, "fail", "connect@"+p.Servers[0]+" pass(ok): it is a primary", "connect@"+p.Servers[1]+" pass(ok): it is a primary",
		"primary fail(two_primaries): expected one primary behind the 2 addresses, got 2: each accepts writes")
	if timeline, _ := sample(r, timelineGauge, p.Servers[1]); timeline != 2 {
		t.Errorf("timeline %g after a promotion", timeline)
	}
	if recovering, ok := sample(r, recoveryGauge, p.Servers[1]); !ok || recovering != 0 {
		t.Errorf("in recovery: %g", recovering)
	}
}
