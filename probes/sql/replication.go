package sql

import (
	"prober/internal/postgres"
	"prober/internal/probe"
	"prober/internal/text"
)

// receiver asks a standby whether it is one, and for its connection to the primary: its state, which is NULL for a role that may
// not see it, and how far the clock of the sender was ahead when its last message came.
const receiver = `SELECT pg_catalog.pg_is_in_recovery(), r.pid IS NOT NULL, r.status,
	extract(epoch FROM r.last_msg_send_time - r.last_msg_receipt_time)
	FROM (SELECT 1) one LEFT JOIN pg_catalog.pg_stat_wal_receiver r ON true`

// maxAhead is how far the clock of the primary may be ahead of the standby's before the age of a heartbeat means nothing.
const maxAhead = 1

// askReplication notes whether a standby follows. The position that it has received and the one that it has replayed are
// equal on a standby that was cut off, and the time of the last transaction is old on an idle primary: so there must be a
// receiver that streams, and a heartbeat that is not too old.
func (p *Probe) askReplication(q *reader, r *probe.Result) {
	const check = presetReplication
	rows, err := q.read(receiver)
	if err != nil {
		r.Note(check, postgres.Explain(err))
		return
	}
	if len(rows.Values) != 1 || len(rows.Columns) != 4 {
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
	p.askHeartbeat(q, r, rows.Values[0][3])
}

// askHeartbeat notes how old the heartbeat is. Its age is the difference of two clocks: one that is ahead, by as many seconds as a
// message of the sender's says, hides as much of a lag.
func (p *Probe) askHeartbeat(q *reader, r *probe.Result, sender postgres.Value) {
	const check = presetReplication
	rows, err := q.read(p.Heartbeat)
	if err != nil {
		r.Note(check, postgres.Explain(err))
		return
	}
	if len(rows.Values) == 0 || len(rows.Columns) == 0 {
		r.Report(check, reasonNoRows, "expected the age of a heartbeat, got no row")
		return
	}
	if len(rows.Values) > 1 {
		r.Inconclusive(check, probe.Schema, "expected one value, the age of the heartbeat, got %s", text.Count(len(rows.Values), "row"))
		return
	}
	age, ok := number(rows.Values[0][0])
	if !ok {
		r.Report(check, reasonNoValue, "expected the age of a heartbeat in seconds, got NULL or no number")
		return
	}
	r.Measure(heartbeatGauge, age)
	ahead, told := number(sender)
	switch {
	case age < -maxAhead:
		r.Inconclusive(check, probe.ControlFailed, "the heartbeat is %s s ahead of the standby's clock, so its age says nothing", format(-age))
	case age > p.MaxAge.D().Seconds():
		r.Report(check, reasonLagging, "the heartbeat is %s s old, expected at most %s: the standby is behind, or nobody writes the heartbeat", format(age), p.MaxAge)
	case !told:
		r.Inconclusive(check, probe.ControlFailed, "no message of the sender has told its clock yet, so the age of the heartbeat says nothing")
	case ahead > maxAhead:
		r.Inconclusive(check, probe.ControlFailed, "the sender's clock is %s s ahead of the standby's, so the age of the heartbeat says nothing", format(ahead))
	default:
		r.Pass(check, "the standby streams, and the heartbeat is %s s old", format(age))
	}
}
