package sandbox

import (
	"strconv"
	"strings"
)

// A database is what a PostgreSQL server of the sample system is and has. It knows the answers to the demo's questions and
// no SQL: tests against real servers hold what policies, replication and pools do.
type database struct {
	login     loginStep
	primary   bool
	timeline  int
	started   string
	streams   bool    // receives from the primary
	heartbeat float64 // age in seconds, as the server sees it
	entries   int     // of the outbox of webhooks
	dead      int     // of these
	deadFor   float64 // age of the oldest in seconds
	chains    int     // of links between identities

	tenants *rowSecurity // of the database behind the pool; nil: it has none of the above
}

// databases are the servers without faults: a primary, a standby that follows it, and the pool before another one.
func databases() map[string]database {
	return map[string]database{
		postgres1: {primary: true, timeline: 1, started: "2026-01-01 00:00:01+00", heartbeat: 0.3, entries: 1200, dead: 2, deadFor: 60},
		postgres2: {streams: true, timeline: 1, started: "2026-01-01 00:00:02+00", heartbeat: 0.4, entries: 1200, dead: 2, deadFor: 60},
		pgbouncer: {tenants: newRowSecurity()},
	}
}

// A databaseFault changes what a server is and has.
type databaseFault func(*database)

//go:noinline
func onDatabase(hosts []string, change databaseFault) *effect {
	return &effect{hosts: hosts, alterDatabase: change}
}

// alteredDatabase is a server with the active faults.
func (s *Sandbox) alteredDatabase(name string) database {
	d := databases()[name]
	for _, f := range *s.active.Load() {
		for _, e := range f.effects {
			if e.alterDatabase != nil && e.on(name) {
				e.alterDatabase(&d)
			}
		}
	}
	return d
}

// ask knows the questions by what they are about.
func (d database) ask(c *dbClient, sql string, args []string) reply {
	if d.tenants != nil {
		return d.tenants.ask(c, sql, args)
	}
	one := func(name, value string) reply { return reply{columns: []string{name}, rows: [][]string{{value}}} }
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	about := func(words ...string) bool {
		for _, w := range words {
			if !strings.Contains(sql, w) {
				return false
			}
		}
		return true
	}
	switch {
	case about("pg_control_system"):
		return reply{
			columns: []string{"recovering", "system", "timeline", "started"},
			rows:    [][]string{{truth(!d.primary), "7300000000000000000", strconv.Itoa(d.timeline), d.started}},
		}
	case about("pg_stat_wal_receiver"):
		return reply{columns: []string{"recovering", "received", "status", "ahead"}, rows: [][]string{{truth(!d.primary), truth(d.streams), "streaming", "0"}}}
	case about("prober_heartbeat"):
		return one("age", number(d.heartbeat))
	case about("webhook_outbox_entries", "dlq_at"):
		var rows [][]string
		if d.dead > 0 {
			rows = [][]string{{"17", strconv.Itoa(d.dead), number(d.deadFor)}}
		}
		return reply{columns: []string{"oauth_application_id", "dead", "oldest"}, rows: rows}
	case about("webhook_outbox_entries"):
		return one("count", strconv.Itoa(d.entries))
	case about("identity_links", "JOIN"):
		return one("n", strconv.Itoa(d.chains))
	case about("identity_links"):
		return one("count", "40")
	case sql == "SELECT 1 AS n":
		return one("n", "1")
	}
	return reply{err: undefinedTable}
}
