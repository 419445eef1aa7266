package rls

import (
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// A stage is a question of a run, told by a part of it, and what a sound server answers.
type stage struct {
	name, about string
	rows        [][]any
}

// stages are in the order in which they are told apart.
var stages = []stage{
	{"relations", "relrowsecurity", [][]any{
		{"1", "core", "notes", "r", "10", "t", "t", "t", "f", "rawd", "t", "t", "t", nil, nil},
		{"2", "core", "comments", "r", "10", "t", "t", "t", "f", "r", "t", "t", "t", nil, nil},
	}},
	{"policies", "pg_policy", [][]any{{"1", "t", "*", "0", "t", "t", "f", "f"}, {"2", "t", "*", "0", "t", "t", "f", "f"}}},
	{"functions", "prosecdef", nil},
	{"roles", "rolbypassrls", [][]any{{"9", "t", "f", "f", "f", "f", "f", "f", "9", "9"}}},
	{"pool", "pg_backend_pid", [][]any{{"f", "4711", "f"}}},
	{"left", "current_setting($1", [][]any{{"f"}}},
	{"places", "ctid", [][]any{{nil}}},
	{"own row", `"org_id" = 'org-`, [][]any{{"t"}}},
	{"rows of others", "IS DISTINCT FROM", [][]any{{"f"}}},
	{"any row", "EXISTS", [][]any{{"f", "f"}}},
}

// answerStage answers as a sound server does, but for the stage that a test deforms.
func answerStage(sql string, deform func(*stage) testenv.PostgresAnswer) testenv.PostgresAnswer {
	at := slices.IndexFunc(stages, func(s stage) bool { return strings.Contains(sql, s.about) })
	if at < 0 {
		return testenv.PostgresAnswer{}
	}
	s := stages[at]
	return deform(&s)
}

// sound is the answer of a sound server.
func (s *stage) sound() testenv.PostgresAnswer {
	columns := map[string]int{"functions": 3}[s.name]
	if len(s.rows) > 0 {
		columns = len(s.rows[0])
	}
	return testenv.PostgresAnswer{Columns: make([]string, columns), Rows: s.rows}
}

// changed is the answer with each row changed.
func (s *stage) changed(change func([]any) []any) testenv.PostgresAnswer {
	rows := make([][]any, len(s.rows))
	for i, row := range s.rows {
		rows[i] = change(slices.Clone(row))
	}
	if len(rows) == 0 {
		rows = [][]any{change([]any{"core", "f", "7"})}
	}
	return testenv.PostgresAnswer{Columns: make([]string, len(rows[0])), Rows: rows}
}

// deformed are answers that no sound server gives.
var deformed = map[string]func(*stage) testenv.PostgresAnswer{
	"an error":            func(*stage) testenv.PostgresAnswer { return testenv.PostgresAnswer{Code: "XX000"} },
	"an error after rows": func(s *stage) testenv.PostgresAnswer { a := s.sound(); a.Code = "XX000"; return a },
	"endless rows": func(s *stage) testenv.PostgresAnswer {
		a := s.changed(func(row []any) []any { return row })
		a.Endless = true
		return a
	},
	"no end":      func(s *stage) testenv.PostgresAnswer { a := s.sound(); a.Hangs = true; return a },
	"no row":      func(s *stage) testenv.PostgresAnswer { a := s.sound(); a.Rows = nil; return a },
	"no column":   func(s *stage) testenv.PostgresAnswer { return s.changed(func([]any) []any { return []any{} }) },
	"one too few": func(s *stage) testenv.PostgresAnswer { return s.changed(func(row []any) []any { return row[1:] }) },
	"one too many": func(s *stage) testenv.PostgresAnswer {
		return s.changed(func(row []any) []any { return append(row, "t") })
	},
	"nothing but NULL": func(s *stage) testenv.PostgresAnswer {
		return s.changed(func(row []any) []any { return make([]any, len(row)) })
	},
	"nothing but a text": func(s *stage) testenv.PostgresAnswer {
		return s.changed(func(row []any) []any { return slices.Repeat([]any{marker}, len(row)) })
	},
}

// harmlessAnswers change nothing of what is asked: there may be no function, and no row in a table.
var harmlessAnswers = []string{"no row of functions", "nothing but NULL of places"}

// runFake runs a probe against a server that is not one.
func runFake(t *testing.T, deform func(*stage) testenv.PostgresAnswer) probe.Result {
	t.Helper()
	p := newProbeOf(testenv.FakePostgres(t, func(sql string) testenv.PostgresAnswer { return answerStage(sql, deform) }))
	p.Tables, p.Canaries, p.Columns, p.Exempt = []string{"notes"}, []string{"notes"}, map[string]string{"comments": "note_id"}, nil
	p.Looks = 20
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	job := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: 2 * time.Second}
	started := time.Now()
	r := job.Do(t.Context())
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if strings.Contains(probetest.Lines(r), marker) {
		t.Errorf("a text of the server is shown: %s", probetest.Lines(r))
	}
	return r
}

// Whatever a server answers, a run ends, and it passes only if every answer has the form that was asked for.
func TestHostile(t *testing.T) {
	testenv.Slow(t, "waits for servers that hang")
	if r := runFake(t, (*stage).sound); r.Verdict() != probe.Pass {
		t.Fatalf("a sound server does not pass: %s", probetest.Lines(r))
	}
	for _, s := range stages {
		for name, deform := range deformed {
			t.Run(name+" of "+s.name, func(t *testing.T) {
				t.Parallel()
				r := runFake(t, func(now *stage) testenv.PostgresAnswer {
					if now.name == s.name {
						return deform(now)
					}
					return now.sound()
				})
				if harmless := slices.Contains(harmlessAnswers, name+" of "+s.name); (r.Verdict() == probe.Pass) != harmless {
					t.Errorf("got %s", probetest.Lines(r))
				}
			})
		}
	}
}

// Answers that contradict each other end a run too: what is its own parent, what reads itself, two that are one.
func TestHostile_contradictions(t *testing.T) {
	own := func(row []any, at int, value string) []any { row[at] = value; return row }
	for name, test := range map[string]struct {
		stage  string
		change func([]any) []any
		want   string
	}{
		"its own parent":          {"relations", func(row []any) []any { return own(own(row, 5, "f"), 13, row[0].(string)) }, "partitions fail(partition_open): "},
		"a view of itself":        {"relations", func(row []any) []any { return own(own(row, 3, "v"), 14, "1 2") }, "tables fail(tables_missing): "},
		"one number":              {"relations", func(row []any) []any { return own(row, 0, "1") }, "connect fail(protocol): expected each relation once, got one twice"},
		"no number":               {"relations", func(row []any) []any { return own(row, 0, "-1") }, "connect fail(protocol): expected each relation once, got one twice"},
		"an unknown kind":         {"relations", func(row []any) []any { return own(row, 3, "?") }, "tables fail(tables_missing): "},
		"a number beyond all":     {"relations", func(row []any) []any { return own(row, 0, strings.Repeat("9", 500)) }, "connect fail(protocol): expected each relation once, got one twice"},
		"nobody who asks":         {"roles", func(row []any) []any { return own(row, 1, "f") }, "connect fail(protocol): expected the role that asks among the roles, got none"},
		"forced and not active":   {"relations", func(row []any) []any { return own(row, 7, "f") }, "enabled fail(rls_inactive): "},
		"a superuser by its role": {"roles", func(row []any) []any { return own(row, 2, "t") }, "role fail(role_exempt): "},
		"one place for all":       {"places", func(row []any) []any { return own(row, 0, "7(0,1)") }, "isolated fail(leak_list): "},
		"another process a look":  {"pool", func(row []any) []any { return own(row, 1, time.Now().String()) }, "residue inconclusive(control_failed): "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runFake(t, func(now *stage) testenv.PostgresAnswer {
				if now.name == test.stage {
					return now.changed(test.change)
				}
				return now.sound()
			})
			if lines := probetest.Lines(r); r.Verdict() == probe.Pass || !strings.Contains(lines, test.want) {
				t.Errorf("expected %s, got %s", test.want, lines)
			}
		})
	}
}
