package sql

import (
	"context"

	"prober/internal/postgres"
	"prober/internal/probe"
	"prober/internal/text"
)

// identity asks a server what it is. The moment of its start tells two servers of one cluster apart, and that two addresses
// lead to the same.
const identity = `SELECT pg_catalog.pg_is_in_recovery(), (pg_catalog.pg_control_system()).system_identifier,
	(pg_catalog.pg_control_checkpoint()).timeline_id, pg_catalog.pg_postmaster_start_time()`

// A server is what one address leads to.
type server struct {
	answered bool
	primary  bool
	cluster  string // of the target's; never shown
	started  string // of the target's; never shown
}

// askPrimary asks every server at once, and notes whether exactly one of them is a primary: after a promotion without
// fencing, the old primary does not know of the new one.
func (p *Probe) askPrimary(ctx context.Context, r *probe.Result) {
	servers := make([]server, len(p.Servers))
	r.Each(p.Servers, func(i int, r *probe.Result) { servers[i] = p.identify(ctx, r, p.Servers[i]) })
	o := compare(servers)
	if o.Reason == probe.OK {
		r.Pass(presetPrimary, "%s", o.Detail)
		return
	}
	r.Note(presetPrimary, o)
}

func (p *Probe) identify(ctx context.Context, r *probe.Result, address string) (s server) {
	conn := p.connect(ctx, r, address)
	if conn == nil {
		return s
	}
	defer conn.Close()
	q := &reader{conn: conn}
	defer q.end()
	rows, err := q.read(identity)
	if err != nil {
		r.Note("connect", postgres.Explain(err))
		return s
	}
	if len(rows.Values) != 1 || len(rows.Columns) != 4 || !rows.Values[0][0].Valid {
		r.Report("connect", probe.Schema, "expected one row about the server, got %s", text.Count(len(rows.Values), "row"))
		return s
	}
	row := rows.Values[0]
	s = server{answered: true, primary: row[0].Text == "f", cluster: row[1].Text, started: row[3].Text}
	recovering := 1.0
	what := "a standby"
	if s.primary {
		recovering, what = 0, "a primary"
	}
	r.Measure(recoveryGauge, recovering, address)
	if timeline, ok := number(row[2]); ok {
		r.Measure(timelineGauge, timeline, address)
	}
	r.Pass("connect", "it is %s", what)
	return s
}

// compare says what the servers are together.
func compare(servers []server) probe.Outcome {
	primaries, clusters, different := map[string]bool{}, map[string]bool{}, map[string]bool{}
	answered := 0
	for _, s := range servers {
		if !s.answered {
			continue
		}
		answered++
		clusters[s.cluster] = true
		different[s.cluster+" "+s.started] = true
		if s.primary {
			primaries[s.cluster+" "+s.started] = true
		}
	}
	all := text.Plural(len(servers), "address", "addresses")
	switch {
	case len(clusters) > 1:
		return probe.Outcomef(reasonOtherCluster, "expected one cluster behind the %s, got %d", all, len(clusters))
	case len(primaries) > 1:
		return probe.Outcomef(reasonTwoPrimaries, "expected one primary behind the %s, got %d: each accepts writes", all, len(primaries))
	case answered < len(servers):
		return probe.Outcomef(probe.ControlFailed, "%d of the %s answered, with %s among them: what the others are is not known", answered, all, text.Plural(len(primaries), "primary", "primaries"))
	case len(primaries) == 0:
		return probe.Outcomef(reasonNoPrimary, "expected one primary behind the %s, got none: nothing accepts writes", all)
	case len(different) == 1:
		return probe.Outcomef(probe.ControlFailed, "the %s lead to one server: whether there is another primary is not known", all)
	}
	return probe.Outcomef(probe.OK, "one primary among %d servers behind the %s", len(different), all)
}
