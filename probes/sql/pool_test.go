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

// A statement that fails spoils its transaction: the next one is asked in another. The last one is ended too.
func TestQuery_afterAnError(t *testing.T) {
	var asked []string
	address := testenv.FakePostgres(t, func(sql string) testenv.PostgresAnswer {
		word, _, _ := strings.Cut(sql, " ")
		switch asked = append(asked, word); {
		case strings.Contains(sql, "entries"):
			return testenv.PostgresAnswer{Code: "42P01"}
		case word == "SELECT":
			return testenv.PostgresAnswer{Columns: []string{"n"}, Rows: [][]any{{"1"}}}
		}
		return testenv.PostgresAnswer{}
	})
	p := &Probe{
		Settings: postgres.Settings{Database: "shop", User: "prober_ro"}, Address: address,
		Query: "SELECT count(*) AS n FROM dead", Control: "SELECT count(*) FROM entries", Values: map[string]Value{"dead": {Column: "n", Max: limit(5)}},
	}
	run(t, p)
	if got := strings.Join(asked, " "); strings.Count(got, "BEGIN") != 2 || strings.Count(got, "ROLLBACK") != 2 {
		t.Errorf("asked %s", got)
	}
}

// What the query says counts if each of the controls that there are holds.
func TestQuery_controls(t *testing.T) {
	refused := testenv.PostgresAnswer{Code: "42501"}
	number := func(n any) testenv.PostgresAnswer {
		return testenv.PostgresAnswer{Columns: []string{"n"}, Rows: [][]any{{n}}}
	}
	const open = "values inconclusive(control_failed): dead is 1; but without the controls that proves nothing"
	for name, test := range map[string]struct {
		control, violation *testenv.PostgresAnswer // nil: none is configured
		want               []string
	}{
		"limits alone":              {nil, nil, []string{"pass", "values pass(ok): dead is 1"}},
		"a control":                 {new(number("1")), nil, []string{"pass", "control pass(ok): 1 is above zero", "values pass(ok): dead is 1"}},
		"a control of less":         {new(number("0.5")), nil, []string{"pass", "control pass(ok): 0.5 is above zero", "values pass(ok): *"}},
		"a control of nothing":      {new(number("0")), nil, []string{"inconclusive", "control inconclusive(control_failed): expected a number above zero, got 0: the query may look at the wrong place", open}},
		"a control of NULL":         {new(number(nil)), nil, []string{"inconclusive", "control inconclusive(control_failed): expected a number above zero, got NULL or no number", open}},
		"a control without a row":   {new(testenv.PostgresAnswer{Columns: []string{"n"}}), nil, []string{"inconclusive", "control inconclusive(control_failed): expected a number above zero, got no row", open}},
		"a control that is refused": {&refused, nil, []string{"inconclusive", "control inconclusive(credential): *", open}},
		"a violation":               {nil, new(number("9")), []string{"pass", "violation pass(ok): it breaks the limits, as it must: dead is 9, expected at most 5", "values pass(ok): dead is 1"}},
		"a violation of none":       {nil, new(number("5")), []string{"inconclusive", "violation inconclusive(control_failed): expected it to break a limit, got: dead is 5", open}},
		"a violation of NULL":       {nil, new(number(nil)), []string{"inconclusive", "violation inconclusive(control_failed): *", open}},
		"a violation not allowed":   {nil, &refused, []string{"inconclusive", "violation inconclusive(credential): *", open}},
		"a control and a violation": {new(number("1")), new(number("9")), []string{"pass", "control pass*", "violation pass*", "values pass*"}},
		"the control alone holds":   {new(number("1")), new(number("5")), []string{"inconclusive", "control pass*", "violation inconclusive*", open}},
		"the violation alone holds": {new(number("0")), new(number("9")), []string{"inconclusive", "control inconclusive*", "violation pass*", open}},
	} {
		t.Run(name, func(t *testing.T) {
			address := testenv.FakePostgres(t, func(sql string) testenv.PostgresAnswer {
				switch {
				case strings.Contains(sql, "FROM control"):
					return *test.control
				case strings.Contains(sql, "FROM violation"):
					return *test.violation
				}
				return number("1")
			})
			p := &Probe{
				Settings: postgres.Settings{Database: "shop", User: "prober_ro"}, Address: address,
				Query: "SELECT n FROM dead", Values: map[string]Value{"dead": {Column: "n", Min: limit(1), Max: limit(5)}},
			}
			if test.control != nil {
				p.Control = "SELECT n FROM control"
			}
			if test.violation != nil {
				p.Violation = "SELECT n FROM violation"
			}
			r := run(t, p)
			probetest.WantLines(t, r, append([]string{test.want[0], "connect pass*"}, test.want[1:]...)...)
			for _, s := range r.Samples {
				if s.Measure == rowsGauge && s.Value != 1 || s.Measure == valueGauge && s.Value != 1 {
					t.Errorf("%s is %v", s.Name, s.Value)
				}
			}
			if got := len(r.Samples); got != 2 {
				t.Errorf("got %d samples: %v", got, r.Samples)
			}
		})
	}
}

// What the receiver of a standby says, or does not.
func TestReplication_receiver(t *testing.T) {
	columns := []string{"a", "b", "c", "d"}
	state := func(values ...any) testenv.PostgresAnswer {
		return testenv.PostgresAnswer{Columns: columns, Rows: [][]any{values}}
	}
	const cutOff = "fail(not_streaming): expected a receiver that streams from the primary, got "
	for name, test := range map[string]struct {
		receiver, heartbeat testenv.PostgresAnswer
		want                string
	}{
		"refused":              {testenv.PostgresAnswer{Code: "42501"}, state(), "inconclusive(credential): "},
		"no row":               {testenv.PostgresAnswer{Columns: columns}, state(), "fail(schema): expected the state of the receiver, got 0 rows"},
		"two rows":             {testenv.PostgresAnswer{Columns: columns, Rows: [][]any{{"t", "t", "streaming", "0"}, {"t", "t", "streaming", "0"}}}, state(), "fail(schema): expected the state of the receiver, got 2 rows"},
		"a column too few":     {testenv.PostgresAnswer{Columns: columns[:3], Rows: [][]any{{"t", "t", "streaming"}}}, state(), "fail(schema): "},
		"a primary":            {state("f", "f", nil, nil), state(), "fail(not_standby): expected a standby, got a primary"},
		"no receiver":          {state("t", "f", nil, nil), state(), cutOff + "none: the standby is cut off"},
		"a role that sees nil": {state("t", "t", nil, nil), state(), "inconclusive(credential): the role may not see the state of the receiver"},
		"one that waits":       {state("t", "t", "waiting", nil), state(), cutOff + "one that does not"},
		"no heartbeat":         {state("t", "t", "streaming", "0"), testenv.PostgresAnswer{Columns: []string{"age"}}, "inconclusive(no_rows): expected the age of a heartbeat, got no row"},
		"a heartbeat refused":  {state("t", "t", "streaming", "0"), testenv.PostgresAnswer{Code: "42501"}, "inconclusive(credential): "},
		"a heartbeat of NULL":  {state("t", "t", "streaming", "0"), testenv.PostgresAnswer{Columns: []string{"age"}, Rows: [][]any{{nil}}}, "inconclusive(no_value): expected the age of a heartbeat in seconds, got NULL or no number"},
	} {
		t.Run(name, func(t *testing.T) {
			address := testenv.FakePostgres(t, func(sql string) testenv.PostgresAnswer {
				if strings.Contains(sql, "pg_stat_wal_receiver") {
					return test.receiver
				}
				return test.heartbeat
			})
			p := &Probe{Settings: postgres.Settings{Database: "shop", User: "prober_ro"}, Address: address, Preset: presetReplication, Heartbeat: "SELECT age FROM heartbeat", MaxAge: new(probe.Duration(10 * time.Second))}
			r := run(t, p)
			probetest.WantLines(t, r, r.Verdict().String(), "connect pass*", "replication "+test.want+"*")
		})
	}
}

func TestAddresses(t *testing.T) {
	p := &Probe{Address: "a:1", Servers: []string{"b:1", "c:1"}}
	for preset, want := range map[string]string{"": "a:1", presetReplication: "a:1", presetPrimary: "b:1 c:1"} {
		p.Preset = preset
		if got := strings.Join(p.Addresses(), " "); got != want {
			t.Errorf("%q: got %s", preset, got)
		}
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
		"just in time":     {"0", []string{"10"}, "pass(ok): the standby streams, and the heartbeat is 10 s old"},
		"just too late":    {"0", []string{"10.1"}, "fail(lagging): "},
		"a sender, nearly": {format(maxAhead), []string{"3"}, "pass(ok): "},
		"ahead, nearly":    {"0", []string{format(-maxAhead)}, "pass(ok): "},
		"ahead":            {"0", []string{format(-maxAhead - 1)}, "inconclusive(control_failed): the heartbeat is " + format(maxAhead+1) + " s ahead of the standby's clock, so its age says nothing"},
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
			recovering, known := sample(r, recoveryGauge, p.Servers[1])
			timeline, _ := sample(r, timelineGauge, p.Servers[1])
			if (name == "a primary" || name == "a standby") &&
				(!strings.Contains(lines, "connect@"+p.Servers[1]+" pass(ok): it is "+name) || !known || (recovering == 1) != (name == "a standby") || timeline != 1) {
				t.Errorf("recovering %v, timeline %v, %s", recovering, timeline, lines)
			}
		})
	}
}
