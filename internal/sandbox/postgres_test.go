package sandbox

import (
	"context"
	"errors"
	"fmt"
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

// describeDatabase describes what a database server says to a client without a password.
func (s *Sandbox) describeDatabase(ctx context.Context, name string) string {
	limit := answerTimeout
	if s.alteredDatabase(name).login == loginHang {
		limit = 500 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := pgconn.Connect(ctx, "postgres://prober_ro@"+s.address(name)+"/logi?require_auth=none&sslmode=prefer")
	switch refused, ok := errors.AsType[*pgconn.PgError](err); {
	case ok:
		return refused.Code
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	case err != nil:
		return err.Error()[strings.LastIndex(err.Error(), ": ")+2:]
	}
	defer c.Close(ctx)
	var said []string
	for _, sql := range questions {
		r := c.ExecParams(ctx, sql, nil, nil, nil, nil).Read()
		var rows []string
		for _, row := range r.Rows {
			rows = append(rows, fmt.Sprintf("%s", row))
		}
		if r.Err != nil {
			rows = append(rows, "an error")
		}
		said = append(said, strings.Join(rows, " "))
	}
	return strings.Join(said, ", ")
}
