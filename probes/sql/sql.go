// Package sql asks a PostgreSQL database read-only questions: numbers with limits, whether a standby follows, and which
// server is the primary.
package sql

import (
	"context"

	"prober/internal/postgres"
	"prober/internal/probe"
)

// Probe asks one query and compares the numbers in its answer with limits. A number that is to be 0 also is 0 in an empty
// table, in the wrong table and in a query that cannot fail: so there is a control, whose answer must be above zero, or a
// violation, which must break the limits. With a preset it asks instead whether a standby follows its primary, or which of
// several servers is the primary.
type Probe struct {
	postgres.Settings `yaml:",inline"`

	Address string   `yaml:"address" doc:"host:port of the server, or of the pool before it"`
	Servers []string `yaml:"addresses" doc:"for the preset primary: host:port of every server of the cluster"`
	Preset  string   `yaml:"preset" doc:"replication (a standby follows) or primary (exactly one is) in place of a query"`

	Query     string           `yaml:"query" doc:"the question: one statement that reads"`
	Control   string           `yaml:"control" doc:"a statement whose first value must be above zero, such as the number of all rows"`
	Violation string           `yaml:"violation" doc:"a statement whose answer must break the limits, which shows that the query can"`
	Values    map[string]Value `yaml:"values" empty:"true" doc:"by name, a number in each row of the answer, and its limits"`
	By        *By              `yaml:"by" doc:"what tells the rows of the answer apart"`
	Empty     string           `yaml:"empty" doc:"what an answer without a row means: pass or fail; default: nothing is known then"`

	Heartbeat string          `yaml:"heartbeat" doc:"for the preset replication: a statement for the age, in seconds, of a row that the primary writes all the time"`
	MaxAge    *probe.Duration `yaml:"max_age" doc:"for the preset replication: how old the heartbeat may be on the standby"`

	client *postgres.Client
}

// A Value is a number in each row of the answer.
type Value struct {
	Column string  `yaml:"column" required:"true" doc:"the column that has it"`
	Min    *Number `yaml:"min" doc:"the least that it may be: a number, or a duration for seconds"`
	Max    *Number `yaml:"max" doc:"the most that it may be"`
	Equal  *Number `yaml:"equal" doc:"what it must be"`
}

// By tells the rows of the answer apart, by names from the configuration only.
type By struct {
	Column string            `yaml:"column" required:"true" doc:"the column whose texts tell the rows apart"`
	Names  map[string]string `yaml:"names" required:"true" doc:"names for its texts; they become the label by"`
	Other  bool              `yaml:"other" doc:"export the largest value of all other rows as other; they are compared in any case"`
}

// The values of preset and of empty.
const (
	presetReplication = "replication"
	presetPrimary     = "primary"

	emptyPass = "pass"
	emptyFail = "fail"
)

// otherRows is the label of rows without a name.
const otherRows = "other"

// Reasons of this kind, beside those of package postgres.
var (
	reasonValue = probe.Reason{Word: "value", Verdict: probe.Fail, Text: "a value beyond its limit",
		Action: "Run the query by hand and see which value is beyond its limit, and since when; then look at what was deployed at that time."}
	reasonNoRows = probe.Reason{Word: "no_rows", Verdict: probe.Inconclusive, Text: "the answer has no row",
		Action: "Check the query and its time span: no row proves nothing."}
	reasonNoValue = probe.Reason{Word: "no_value", Verdict: probe.Inconclusive, Text: "NULL, or no number",
		Action: "Check the query: it returned NULL or a text where a number is needed."}
	reasonSuperuser = probe.Reason{Word: "superuser", Verdict: probe.Inconclusive, Text: "the role is a superuser",
		Action: "Give the probe a role without SUPERUSER: as it is, the check proves nothing."}
	reasonLagging = probe.Reason{Word: "lagging", Verdict: probe.Fail, Text: "the replica is too far behind",
		Action: "Look at the load and the network between primary and replica, and at replication slots; do not fail over to it now."}
	reasonNotStreaming = probe.Reason{Word: "not_streaming", Verdict: probe.Fail, Text: "the standby receives nothing",
		Action: "Look at pg_stat_replication and the standby's log: it receives nothing, and falls behind."}
	reasonNotStandby = probe.Reason{Word: "not_standby", Verdict: probe.Fail, Text: "a primary in place of a standby",
		Action: "A standby became a primary: look for a failover, and for two primaries that both take writes."}
	reasonTwoPrimaries = probe.Reason{Word: "two_primaries", Verdict: probe.Fail, Seen: true, Text: "more than one primary",
		Action: "Stop writes to one of them now: two primaries take writes, and their data drift apart."}
	reasonNoPrimary = probe.Reason{Word: "no_primary", Verdict: probe.Fail, Text: "no primary",
		Action: "Promote a standby or bring the primary back: nothing can be written."}
	reasonOtherCluster = probe.Reason{Word: "other_cluster", Verdict: probe.Fail, Seen: true, Text: "servers of different clusters",
		Action: "Check the addresses: the servers do not belong to the same cluster."}
)

// Measures of this kind.
var (
	valueGauge = &probe.Measure{
		Name:   "probe_sql_value",
		Help:   "A value of the last answer; by is the name of its row, empty if the rows are not told apart, and the largest counts.",
		Labels: []string{"name", "by"},
	}
	rowsGauge = &probe.Measure{
		Name: "probe_sql_rows",
		Help: "Rows of the last answer.",
	}
	heartbeatGauge = &probe.Measure{
		Name: "probe_sql_heartbeat_age_seconds",
		Help: "Age of the heartbeat on the standby.",
	}
	recoveryGauge = &probe.Measure{
		Name:   "probe_sql_in_recovery",
		Help:   "1 if the server is a standby, 0 if it is a primary.",
		Labels: []string{"target"},
	}
	timelineGauge = &probe.Measure{
		Name:   "probe_sql_timeline",
		Help:   "Timeline of the server at its last checkpoint: each promotion begins a new one.",
		Labels: []string{"target"},
	}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return &Probe{} },
		Summary:  "a PostgreSQL database: numbers of a read-only query with limits, whether a standby follows, and that there is one primary",
		Measures: []*probe.Measure{valueGauge, rowsGauge, heartbeatGauge, recoveryGauge, timelineGauge},
		Reasons: append([]probe.Reason{
			reasonValue, reasonNoRows, reasonNoValue, reasonSuperuser, reasonLagging, reasonNotStreaming, reasonNotStandby,
			reasonTwoPrimaries, reasonNoPrimary, reasonOtherCluster,
		}, postgres.Reasons()...),
	}
}

// Checks names what a run notes.
func (p *Probe) Checks() []string {
	names := []string{"connect"}
	switch p.Preset {
	case presetReplication, presetPrimary:
		return append(names, p.Preset)
	}
	if p.Control != "" {
		names = append(names, "control")
	}
	if p.Violation != "" {
		names = append(names, "violation")
	}
	return append(names, "values")
}

// Ask asks the query, or what the preset says.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	if p.Preset == presetPrimary {
		p.askPrimary(ctx, r)
		return
	}
	conn := p.connect(ctx, r, p.Address)
	if conn == nil {
		return
	}
	defer conn.Close()
	r.Pass("connect", "connected to %s as %s", conn.Peer(), p.User)
	q := &reader{conn: conn}
	defer q.end()
	if p.Preset == presetReplication {
		p.askReplication(q, r)
		return
	}
	p.askQuery(q, r)
}

// connect returns a connection, or notes why there is none to be used and returns nil.
func (p *Probe) connect(ctx context.Context, r *probe.Result, address string) *postgres.Conn {
	conn, err := p.client.Connect(ctx, r, "connect", address)
	if err != nil {
		r.Note("connect", postgres.Explain(err))
		return nil
	}
	if conn.Superuser() {
		conn.Close()
		r.Report("connect", reasonSuperuser, "expected a role that can only read, got a superuser: a read-only transaction does not bind it, so nothing was asked")
		return nil
	}
	return conn
}
