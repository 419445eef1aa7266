package clock

import (
	"context"
	"strconv"
	"time"

	"prober/internal/postgres"
	"prober/internal/probe"
)

// Database is a PostgreSQL server whose clock is read.
type Database struct {
	postgres.Settings `yaml:",inline"`

	Address string `yaml:"address" required:"true" doc:"host:port of the server, or of the pool before it"`
}

// clockQuery asks for the server's own clock, in microseconds since 1970. The time of the transaction would be older.
const clockQuery = "SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::pg_catalog.int8"

// clockUnit is how far the answer may be off because of its last digit: a float of microseconds since 1970 has 53 bits.
const clockUnit = 2 * time.Microsecond

// readPostgres asks a database for its clock. The connection is there already when the question is sent.
func (s *source) readPostgres(ctx context.Context, r *probe.Result) (said reading, t *probe.Outcome) {
	began := time.Now()
	conn, err := s.database.Connect(ctx, r, "source", s.Postgres.Address)
	if err != nil {
		o := postgres.Explain(err)
		return reading{}, &o
	}
	defer conn.Close()
	tx, err := conn.Begin(postgres.ReadOnly)
	if err != nil {
		o := postgres.Explain(err)
		return reading{}, &o
	}
	said.Sent = time.Now()
	rows, err := tx.Query(postgres.Query{SQL: clockQuery, MaxRows: 1})
	said.Received = time.Now()
	if err != nil {
		o := postgres.Explain(err)
		return reading{}, &o
	}
	_ = tx.Rollback() // the answer is there; the connection ends anyway
	if len(rows.Values) != 1 || len(rows.Columns) != 1 {
		return reading{}, readErrorf(probe.Schema, "the server did not answer with one time")
	}
	micros, err := strconv.ParseInt(rows.Values[0][0].Text, 10, 64)
	if err != nil {
		return reading{}, readErrorf(probe.Schema, "the server did not answer with a time")
	}
	at := time.UnixMicro(micros)
	said.Sample.Earliest, said.Sample.Latest = at.Add(-clockUnit), at.Add(clockUnit)
	said.before, said.from = said.Sent.Sub(began), conn.Peer()
	return said, nil
}
