package sql

import (
	"prober/internal/postgres"
	"prober/internal/probe"
)

// receiver asks a standby whether it is one, and for its connection to the primary. The state is NULL for a role that may
// not see it.
const receiver = `SELECT pg_catalog.pg_is_in_recovery(), r.pid IS NOT NULL, r.status
	FROM (SELECT 1) one LEFT JOIN pg_catalog.pg_stat_wal_receiver r ON true`

// maxAhead is how far the clock of the primary may be ahead of the standby's before the age of a heartbeat means nothing.
const maxAhead = 1

// askReplication notes whether a standby follows. The position that it has received and the one that it has replayed are
// equal on a standby that was cut off, and the time of the last transaction is old on an idle primary: so there must be a
// receiver that streams, and a heartbeat that is not too old.
func (p *Probe) askReplication(conn *postgres.Conn, r *probe.Result) {
	const check = presetReplication
	rows, err := read(conn, receiver)
	if err != nil {
		r.Note(check, postgres.Explain(err))
		return
	}
	if len(rows.Values) != 1 || len(rows.Columns) != 3 {
		r.Report(check, probe.Schema, "expected the state of the receiver, got %d rows", len(rows.Values))
		return
	}
	recovering, received, status := rows.Values[0][0], rows.Values[0][1], rows.Values[0][2]
	switch {
	case recovering.Text != "t":
		r.Report(check, reasonNotStandby, "expected a standby, got a primary")
		return
	case received.Text != "t":
		r.Report(check, reasonNotStreaming, "expected a receiver that streams from the primary, got none: the standby is cut off")
		return
	case !status.Valid:
		r.Inconclusive(check, probe.Credential, "the role may not see the state of the receiver: grant it pg_read_all_stats")
		return
	case status.Text != "streaming":
		r.Report(check, reasonNotStreaming, "expected a receiver that streams from the primary, got one that does not")
		return
	}
	p.askHeartbeat(conn, r)
}

func (p *Probe) askHeartbeat(conn *postgres.Conn, r *probe.Result) {
	const check = presetReplication
	rows, err := read(conn, p.Heartbeat)
	if err != nil {
		r.Note(check, postgres.Explain(err))
		return
	}
	if len(rows.Values) == 0 || len(rows.Columns) == 0 {
		r.Report(check, reasonNoRows, "expected the age of a heartbeat, got no row")
		return
	}
	age, ok := number(rows.Values[0][0])
	if !ok {
		r.Report(check, reasonNoValue, "expected the age of a heartbeat in seconds, got NULL or no number")
		return
	}
	r.Measure(heartbeatGauge, age)
	switch {
	case age < -maxAhead:
		r.Inconclusive(check, probe.ControlFailed, "the heartbeat is %s s ahead of the standby's clock, so its age says nothing", format(-age))
	case age > p.MaxAge.D().Seconds():
		r.Report(check, reasonLagging, "the heartbeat is %s s old, expected at most %s: the standby is behind, or nobody writes the heartbeat", format(age), p.MaxAge)
	default:
		r.Pass(check, "the standby streams, and the heartbeat is %s s old", format(age))
	}
}
