package sql

import (
	"testing"

	"prober/internal/postgres"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// TestQuery_answers: an answer without a number proves nothing, and one without a row what the configuration says.
func TestQuery_answers(t *testing.T) {
	t.Parallel()
	none := testenv.PostgresAnswer{Columns: []string{"n"}}
	row := func(all ...any) testenv.PostgresAnswer {
		a := testenv.PostgresAnswer{Columns: []string{"n"}}
		for _, n := range all {
			a.Rows = append(a.Rows, []any{n})
		}
		return a
	}
	for name, c := range map[string]struct {
		answer testenv.PostgresAnswer
		empty  string
		want   []string // the verdict, and what the check says
	}{
		"a number":              {row("1"), "", []string{"pass", "values pass(ok): dead is 1"}},
		"too many":              {row("6"), "", []string{"fail", "values fail(value): dead is 6, expected at most 5"}},
		"NULL":                  {row(nil), "", []string{"inconclusive", "values inconclusive(no_value): dead is NULL or no number; coalesce() says what NULL means"}},
		"a text":                {row("many"), "", []string{"inconclusive", "values inconclusive(no_value): dead is NULL or no number; *"}},
		"not a number":          {row("NaN"), "", []string{"inconclusive", "values inconclusive(no_value): *"}},
		"no row":                {none, "", []string{"inconclusive", "values inconclusive(no_rows): expected a row, got none; empty says what that means"}},
		"no row, as is hoped":   {none, "pass", []string{"pass", "values pass(ok): no row, as is hoped for"}},
		"no row, as is feared":  {none, "fail", []string{"fail", "values fail(no_rows): expected a row, got none"}},
		"no such column":        {testenv.PostgresAnswer{Columns: []string{"m"}, Rows: [][]any{{"1"}}}, "", []string{"inconclusive", "values inconclusive(schema): *"}},
		"no column, and no row": {testenv.PostgresAnswer{Columns: []string{"m"}}, "pass", []string{"inconclusive", "values inconclusive(schema): *"}},
		"NULL beside too many":  {row(nil, "6"), "", []string{"fail", "values fail(value): dead is 6, expected at most 5"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := testenv.FakePostgres(t, func(string) testenv.PostgresAnswer { return c.answer })
			p := &Probe{
				Settings: postgres.Settings{Database: "shop", User: "prober_ro"}, Address: address, Empty: c.empty,
				Query: "SELECT n FROM dead", Values: map[string]Value{"dead": {Column: "n", Min: limit(1), Max: limit(5)}},
			}
			probetest.WantLines(t, run(t, p), append([]string{c.want[0], "connect pass*"}, c.want[1:]...)...)
		})
	}
}

// TestValidate_proves: limits that an empty table would keep too need a control, and others do not.
func TestValidate_proves(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		values  map[string]Value
		control string
		ok      bool
	}{
		"at least 1":               {map[string]Value{"a": {Min: limit(1)}}, "", true},
		"at least a half":          {map[string]Value{"a": {Min: limit(0.5)}}, "", true},
		"at least 0":               {map[string]Value{"a": {Min: limit(0)}}, "", false},
		"at most 5":                {map[string]Value{"a": {Max: limit(5)}}, "", false},
		"at most 5, a control":     {map[string]Value{"a": {Max: limit(5)}}, "SELECT count(*) FROM entries", true},
		"exactly 1":                {map[string]Value{"a": {Equal: limit(1)}}, "", true},
		"exactly 0":                {map[string]Value{"a": {Equal: limit(0)}}, "", false},
		"one of two that proves":   {map[string]Value{"a": {Min: limit(1)}, "b": {Max: limit(5)}}, "", false},
		"from 1 to 1":              {map[string]Value{"a": {Min: limit(1), Max: limit(1)}}, "", true},
		"at least 1, at most less": {map[string]Value{"a": {Min: limit(1), Max: limit(0.5)}}, "", false},
	} {
		p := &Probe{Settings: postgres.Settings{Database: "shop", User: "prober_ro"}, Address: "127.0.0.1:5432", Query: "SELECT a, b FROM c", Values: c.values, Control: c.control}
		for name, v := range c.values {
			v.Column = name
			c.values[name] = v
		}
		if err := p.Validate(); (err == nil) != c.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
