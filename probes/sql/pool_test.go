package sql

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"prober/internal/postgres"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// A pool may lead each transaction to another server: what the control proves of one says nothing of the other.
func TestQuery_oneServer(t *testing.T) {
	var transactions atomic.Int64
	full := true
	address := testenv.FakePostgres(t, func(sql string) testenv.PostgresAnswer {
		number := "0"
		switch {
		case strings.HasPrefix(sql, "BEGIN"):
			full = transactions.Add(1)%2 == 1
		case full:
			number = "7"
		}
		return testenv.PostgresAnswer{Columns: []string{"n"}, Rows: [][]any{{number}}}
	})
	p := &Probe{
		Settings: postgres.Settings{Database: "shop", User: "prober_ro"}, Address: address,
		Query: "SELECT count(*) AS n FROM dead", Control: "SELECT count(*) FROM entries", Values: map[string]Value{"dead": {Column: "n", Max: limit(5)}},
	}
	probetest.WantLines(t, run(t, p), "fail", "connect pass*", "control pass(ok): 7 is above zero", "values fail(value): dead is 7, expected at most 5")
	if n := transactions.Load(); n != 1 {
		t.Errorf("%d transactions", n)
	}
}

// The age of a heartbeat is the difference of two clocks: if that of the sender is ahead, a lag looks shorter than it is.
func TestReplication_clocks(t *testing.T) {
	for name, test := range map[string]struct {
		ahead any
		ages  []string
		want  string
	}{
		"one time":         {"-0.2", []string{"3"}, "pass(ok): the standby streams, and the heartbeat is 3 s old"},
		"a slow network":   {"-5", []string{"3"}, "pass(ok): "},
		"a sender ahead":   {"60", []string{"3"}, "inconclusive(control_failed): the sender's clock is 60 s ahead of the standby's, so the age of the heartbeat says nothing"},
		"no message yet":   {nil, []string{"3"}, "inconclusive(control_failed): no message of the sender has told its clock yet"},
		"two heartbeats":   {"0", []string{"3", "99"}, "inconclusive(schema): expected one value, the age of the heartbeat, got 2 rows"},
		"a heartbeat late": {"60", []string{"99"}, "fail(lagging): "},
	} {
		t.Run(name, func(t *testing.T) {
			address := testenv.FakePostgres(t, func(sql string) testenv.PostgresAnswer {
				if strings.Contains(sql, "pg_stat_wal_receiver") {
					return testenv.PostgresAnswer{Columns: []string{"a", "b", "c", "d"}, Rows: [][]any{{"t", "t", "streaming", test.ahead}}}
				}
				a := testenv.PostgresAnswer{Columns: []string{"age"}}
				for _, age := range test.ages {
					a.Rows = append(a.Rows, []any{age})
				}
				return a
			})
			p := &Probe{Settings: postgres.Settings{Database: "shop", User: "prober_ro"}, Address: address, Preset: presetReplication, Heartbeat: "SELECT age FROM heartbeat", MaxAge: new(probe.Duration(10 * time.Second))}
			r := run(t, p)
			probetest.WantLines(t, r, r.Verdict().String(), "connect pass*", "replication "+test.want+"*")
		})
	}
}

// TestPrimary_answers: what is no answer about a server says nothing of whether it is a primary, and why is told.
func TestPrimary_answers(t *testing.T) {
	columns := []string{"recovering", "cluster", "timeline", "started"}
	row := func(recovering any) []any { return []any{recovering, "7", "1", recovering} }
	sound := testenv.PostgresAnswer{Columns: columns, Rows: [][]any{row("t")}}
	for name, test := range map[string]struct {
		answer testenv.PostgresAnswer
		want   string
	}{
		"an error":         {testenv.PostgresAnswer{Code: "42501"}, "connect inconclusive(credential): "},
		"no row":           {testenv.PostgresAnswer{Columns: columns}, "connect fail(schema): expected one row about the server, got 0 rows"},
		"two rows":         {testenv.PostgresAnswer{Columns: columns, Rows: [][]any{row("f"), row("f")}}, "connect fail(schema): expected one row about the server, got 2 rows"},
		"a column too few": {testenv.PostgresAnswer{Columns: columns[:3], Rows: [][]any{row("f")[:3]}}, "connect fail(schema): expected one row about the server, got 1 row"},
		"no state":         {testenv.PostgresAnswer{Columns: columns, Rows: [][]any{row(nil)}}, "connect fail(schema): expected one row about the server, got 1 row"},
		"a standby":        {testenv.PostgresAnswer{Columns: columns, Rows: [][]any{{"t", "7", "1", "later"}}}, "primary fail(no_primary): "},
		"a primary":        {testenv.PostgresAnswer{Columns: columns, Rows: [][]any{row("f")}}, "primary pass(ok): "},
	} {
		t.Run(name, func(t *testing.T) {
			serve := func(a testenv.PostgresAnswer) string {
				return testenv.FakePostgres(t, func(sql string) testenv.PostgresAnswer {
					if strings.Contains(sql, "pg_is_in_recovery") {
						return a
					}
					return testenv.PostgresAnswer{}
				})
			}
			p := &Probe{Settings: postgres.Settings{Database: "shop", User: "prober_ro"}, Servers: []string{serve(sound), serve(test.answer)}, Preset: presetPrimary}
			r := run(t, p)
			lines := probetest.Lines(r)
			told := strings.Contains(lines, test.want) || strings.Contains(lines, strings.Replace(test.want, " ", "@"+p.Servers[1]+" ", 1))
			if !told || strings.Contains(lines, "primary pass(ok)") != (name == "a primary") {
				t.Errorf("expected %s, got %s", test.want, lines)
			}
		})
	}
}
