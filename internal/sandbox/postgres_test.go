package sandbox

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// questions are those of the demo's configuration, in short.
var questions = []string{
	"SELECT pg_control_system()", "SELECT FROM pg_stat_wal_receiver", "SELECT FROM prober_heartbeat", "SELECT FROM webhook_outbox_entries WHERE dlq_at",
	"SELECT count(*) FROM webhook_outbox_entries", "SELECT FROM identity_links JOIN identity_links", "SELECT FROM identity_links", "SELECT 1 AS n", "SELECT 2",
}

// describeDatabase describes what a database server says to a client without a password, by what it is asked about.
func (s *Sandbox) describeDatabase(ctx context.Context, name string) map[string]string {
	limit := answerTimeout
	if s.alteredDatabase(name).login == loginHang {
		limit = 500 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := pgconn.Connect(ctx, "postgres://prober_ro@"+s.address(name)+"/logi?require_auth=none&sslmode=prefer")
	about := func(said string) map[string]string { return map[string]string{"database": said} }
	switch refused, ok := errors.AsType[*pgconn.PgError](err); {
	case ok:
		return about(refused.Code)
	case errors.Is(err, syscall.ECONNREFUSED):
		return about("refused")
	case errors.Is(err, context.DeadlineExceeded):
		return about("no answer")
	case err != nil:
		return about(err.Error()[strings.LastIndex(err.Error(), ": ")+2:])
	}
	defer c.Close(ctx)
	if name == pgbouncer {
		return describeTenants(ctx, c)
	}
	var said []string
	for _, sql := range questions {
		said = append(said, describeAnswer(ctx, c, sql))
	}
	return about(strings.Join(said, ", "))
}

// describeAnswer describes the rows that answer a question.
func describeAnswer(ctx context.Context, c *pgconn.PgConn, sql string, args ...[]byte) string {
	r := c.ExecParams(ctx, sql, args, nil, nil, nil).Read()
	var rows []string
	for _, row := range r.Rows {
		rows = append(rows, fmt.Sprintf("%s", row))
	}
	if refused, ok := errors.AsType[*pgconn.PgError](r.Err); ok {
		rows = append(rows, "error "+refused.Code)
	}
	return strings.Join(rows, " ")
}

// describeTenants describes what the catalogue of the database behind the pool says, and what its application is shown: of
// each relation any row, one of org-b, and one of anyone but org-a.
func describeTenants(ctx context.Context, c *pgconn.PgConn) map[string]string {
	said := map[string]string{"database": "lets the role in"}
	for about, sql := range map[string]string{
		"policies": "SELECT FROM pg_policy", "functions": "SELECT prosecdef", "roles": "SELECT rolbypassrls",
		"pool": "SELECT current_setting($1, true), pg_backend_pid()", "org": "SELECT current_setting($1, true)", "columns": "SELECT quote_ident", "anything else": "SELECT 2",
	} {
		said[about] = describeAnswer(ctx, c, sql)
	}
	if said["pool"] = strings.Replace(said["pool"], " 4711 ", " a process of the pool ", 1); !strings.Contains(said["pool"], "of the pool") {
		said["pool"] = ownProcess.ReplaceAllString(said["pool"], " a process of its own ")
	}
	for relation := range strings.SplitAfterSeq(describeAnswer(ctx, c, "SELECT relrowsecurity"), "]") {
		if words := strings.Fields(relation); len(words) > 2 {
			said["relations"] += words[2] + " "
			said["relation "+words[2]] = strings.TrimSpace(relation)
		}
	}
	const look = `SELECT EXISTS (SELECT 1 FROM "ibex_core"."%[1]s"), EXISTS (SELECT 1 FROM "ibex_core"."%[1]s" WHERE "org_id" = 'org-b'), EXISTS (SELECT 1 FROM "ibex_core"."%[1]s" WHERE "org_id" IS DISTINCT FROM 'org-a')`
	for _, now := range []string{"unset", "", "not an org", orgA, orgB, "org-c"} {
		for _, table := range []string{"memories", "events_2026", "memory_counts", "recent_events"} {
			transaction(ctx, c, now, func() {
				said["rows of "+table] += fmt.Sprintf("%q %s ", now, describeAnswer(ctx, c, fmt.Sprintf(look, table)))
			})
		}
	}
	for _, sql := range []string{
		`WITH tried AS (UPDATE "ibex_core"."memories" SET "org_id" = "org_id" WHERE "org_id" = '%s' RETURNING 1)`,
		`WITH tried AS (DELETE FROM "ibex_core"."memories" WHERE "org_id" = '%s' RETURNING 1)`,
		`WITH tried AS (INSERT INTO "ibex_core"."memories" (id, org_id) SELECT jsonb_build_object('org_id', '%s')) FROM "ibex_core"."memories" x WHERE "org_id" = 'org-a')`,
	} {
		for _, org := range []string{orgA, orgB} {
			transaction(ctx, c, orgA, func() {
				said["writes of org-a"] += fmt.Sprintf("%s of %s %s ", writing.FindString(sql), org, describeAnswer(ctx, c, fmt.Sprintf(sql, org)))
			})
		}
	}
	return said
}

var (
	ownProcess = regexp.MustCompile(` [0-9]+ `)
	writing    = regexp.MustCompile("UPDATE|DELETE|INSERT")
)

// transaction asks in a transaction that is rolled back, in which an org may be set.
func transaction(ctx context.Context, c *pgconn.PgConn, org string, ask func()) {
	_ = c.Exec(ctx, "BEGIN").Close()
	if org != "unset" {
		describeAnswer(ctx, c, "SELECT set_config($1, $2, true)", []byte("app.org_id"), []byte(org))
	}
	ask()
	_ = c.Exec(ctx, "ROLLBACK").Close()
}
