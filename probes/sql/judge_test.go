package sql

import (
	"fmt"
	"strings"
	"testing"

	"prober/internal/postgres"
	"prober/internal/probe"
)

func answer(columns string, lines ...string) postgres.Rows {
	rows := postgres.Rows{Columns: strings.Fields(columns)}
	for _, line := range lines {
		var row []postgres.Value
		for _, text := range strings.Fields(line) {
			row = append(row, postgres.Value{Text: text, Valid: text != "NULL"})
		}
		rows.Values = append(rows.Values, row)
	}
	return rows
}

func TestJudge(t *testing.T) {
	max100 := map[string]Value{"dead": {Column: "n", Max: limit(100)}}
	by := &By{Column: "app", Names: map[string]string{"17": "billing"}}
	for name, test := range map[string]struct {
		probe Probe
		rows  postgres.Rows
		want  string
	}{
		"within":                  {Probe{Values: max100}, answer("n", "100"), "pass(ok): dead is 100"},
		"beyond":                  {Probe{Values: max100}, answer("n", "100.5"), "fail(value): dead is 100.5, expected at most 100"},
		"below":                   {Probe{Values: map[string]Value{"live": {Column: "n", Min: limit(1)}}}, answer("n", "0"), "fail(value): live is 0, expected at least 1"},
		"another":                 {Probe{Values: map[string]Value{"live": {Column: "n", Equal: limit(3)}}}, answer("n", "2"), "fail(value): live is 2, expected 3"},
		"equal":                   {Probe{Values: map[string]Value{"live": {Column: "n", Equal: limit(3)}}}, answer("n", "3.0"), "pass(ok): live is 3"},
		"false for 0":             {Probe{Values: map[string]Value{"ok": {Column: "n", Equal: limit(1)}}}, answer("n", "f"), "fail(value): ok is 0, expected 1"},
		"true for 1":              {Probe{Values: map[string]Value{"ok": {Column: "n", Equal: limit(1)}}}, answer("n", "t"), "pass(ok): ok is 1"},
		"NULL":                    {Probe{Values: max100}, answer("n", "NULL"), "inconclusive(no_value): dead is NULL or no number; coalesce() says what NULL means"},
		"NULL beside a breach":    {Probe{Values: max100}, answer("n", "NULL", "101"), "fail(value): dead is 101, expected at most 100"},
		"NULL beside a value":     {Probe{Values: max100}, answer("n", "1", "NULL"), "inconclusive(no_value): dead is NULL"},
		"NaN":                     {Probe{Values: max100}, answer("n", "NaN"), "inconclusive(no_value): "},
		"infinite":                {Probe{Values: max100}, answer("n", "-Infinity"), "inconclusive(no_value): "},
		"too large":               {Probe{Values: max100}, answer("n", "1e999"), "inconclusive(no_value): "},
		"a text":                  {Probe{Values: max100}, answer("n", marker), "inconclusive(no_value): "},
		"hexadecimal":             {Probe{Values: max100}, answer("n", "0x10"), "inconclusive(no_value): "},
		"another column":          {Probe{Values: max100}, answer("m", "1"), "inconclusive(schema): expected a column n in the answer, got 1 others"},
		"two columns of one name": {Probe{Values: max100}, answer("n m n", "1 1 101"), "inconclusive(schema): expected one column n in the answer, got 2"},
		"no row":                  {Probe{Values: max100}, answer("n"), "inconclusive(no_rows): expected a row, got none; empty says what that means"},
		"no row, hoped for":       {Probe{Values: max100, Empty: emptyPass}, answer("n"), "pass(ok): no row, as is hoped for"},
		"no row of the column":    {Probe{Values: max100, Empty: emptyPass}, answer("m"), "inconclusive(schema): expected a column n in the answer, got 1 others"},
		"no row and no column":    {Probe{Values: max100, Empty: emptyPass}, postgres.Rows{}, "inconclusive(schema): expected a column n in the answer, got 0 others"},
		"no row of a name":        {Probe{Values: max100, By: by, Empty: emptyPass}, answer("n"), "inconclusive(schema): expected a column app in the answer"},
		"no row, feared":          {Probe{Values: max100, Empty: emptyFail}, answer("n"), "fail(no_rows): expected a row, got none"},
		"of a name":               {Probe{Values: max100, By: by}, answer("app n", "17 101", "18 1"), "fail(value): dead of billing is 101, expected at most 100"},
		"of no name":              {Probe{Values: max100, By: by}, answer("app n", "17 1", marker+" 101"), "fail(value): dead of a row without a name is 101, expected at most 100"},
		"of NULL":                 {Probe{Values: max100, By: by}, answer("app n", "NULL 101"), "fail(value): dead of a row without a name is 101"},
		"one name within":         {Probe{Values: max100, By: by}, answer("app n", "17 1"), "pass(ok): 1 row within the limits"},
		"all names within":        {Probe{Values: max100, By: by}, answer("app n", "17 1", "18 2"), "pass(ok): 2 rows within the limits"},
		"no column for the name":  {Probe{Values: max100, By: by}, answer("n", "1"), "inconclusive(schema): expected a column app in the answer"},
		"two rows within":         {Probe{Values: max100}, answer("n", "1", "2"), "pass(ok): 2 rows within the limits"},
		"many":                    {Probe{Values: max100}, answer("n", "101", "102", "103", "104", "105"), "fail(value): dead is 101, expected at most 100; dead is 102, expected at most 100; dead is 103, expected at most 100; and 2 more"},
	} {
		t.Run(name, func(t *testing.T) {
			j := test.probe.judge(test.rows)
			got := fmt.Sprintf("%s(%s): %s", j.verdict, j.reason, j.detail)
			if !strings.HasPrefix(got, test.want) || strings.Contains(got, marker) {
				t.Errorf("\n got  %s\n want %s", got, test.want)
			}
			for key := range j.readings {
				if strings.Contains(fmt.Sprint(key), marker) {
					t.Errorf("a label from the data: %v", key)
				}
			}
		})
	}
}

func TestChecks(t *testing.T) {
	for want, p := range map[string]*Probe{
		"connect values":                   {Query: "SELECT 1"},
		"connect control values":           {Query: "SELECT 1", Control: "SELECT 1"},
		"connect control violation values": {Query: "SELECT 1", Control: "SELECT 1", Violation: "SELECT 2"},
		"connect violation values":         {Query: "SELECT 1", Violation: "SELECT 2"},
		"connect replication":              {Preset: presetReplication},
		"connect primary":                  {Preset: presetPrimary},
	} {
		if got := strings.Join(p.Checks(), " "); got != want {
			t.Errorf("got %q, expected %q", got, want)
		}
	}
}

// The label by has names of the configuration only, and the largest value of all others if that is asked for.
func TestJudge_readings(t *testing.T) {
	p := Probe{Values: map[string]Value{"dead": {Column: "n", Max: limit(1000)}}, By: &By{Column: "app", Names: map[string]string{"17": "billing"}}}
	rows := answer("app n", "17 3", "18 5", "19 7")
	if got := fmt.Sprint(p.judge(rows).readings); got != "map[{dead billing}:3]" {
		t.Error(got)
	}
	p.By.Other = true
	if got := fmt.Sprint(p.judge(rows).readings); got != "map[{dead billing}:3 {dead other}:7]" {
		t.Error(got)
	}
}

func TestCompare(t *testing.T) {
	primary := server{answered: true, primary: true, cluster: "1", started: "a"}
	standby := server{answered: true, cluster: "1", started: "b"}
	second := server{answered: true, primary: true, cluster: "1", started: "b"}
	for name, test := range map[string]struct {
		servers []server
		want    string
	}{
		"one primary":                    {[]server{primary, standby}, "ok: one primary among 2 servers behind the 2 addresses"},
		"two primaries":                  {[]server{primary, second}, "two_primaries: expected one primary behind the 2 addresses, got 2: each accepts writes"},
		"two, and one that is not there": {[]server{primary, {}, second}, "two_primaries: "},
		"none":                           {[]server{standby, standby}, "no_primary: expected one primary behind the 2 addresses, got none: nothing accepts writes"},
		"one server of two addresses":    {[]server{primary, primary, standby}, "ok: one primary among 2 servers behind the 3 addresses"},
		"one server alone":               {[]server{primary, primary}, "control_failed: the 2 addresses lead to one server: whether there is another primary is not known"},
		"one standby alone":              {[]server{standby, standby}, "no_primary: "},
		"one, and one that is not there": {[]server{primary, {}}, "control_failed: 1 of the 2 addresses answered, with 1 primary among them"},
		"a standby alone":                {[]server{standby, {}}, "control_failed: 1 of the 2 addresses answered, with 0 primaries among them"},
		"nobody":                         {[]server{{}, {}}, "control_failed: 0 of the 2 addresses answered"},
		"another cluster":                {[]server{primary, {answered: true, cluster: "2"}}, "other_cluster: expected one cluster behind the 2 addresses, got 2"},
	} {
		o := compare(test.servers)
		if got := o.Reason.Word + ": " + o.Detail; !strings.HasPrefix(got, test.want) {
			t.Errorf("%s:\n got  %s\n want %s", name, got, test.want)
		}
	}
	if probe.ControlFailed.Verdict != probe.Inconclusive {
		t.Error("a server that does not answer must leave the question open")
	}
}

// A statement that looks at nothing has the same answer everywhere.
func TestValidateLooks(t *testing.T) {
	for sql, ok := range map[string]bool{
		"SELECT 1": false, "SELECT 1 AS n -- from notes": false, "VALUES (1)": false, "SELECT 'from'": false, "WITH a AS (SELECT 1) SELECT 1": false, "SELECT (1)": false, "SELECT true": false,
		"SELECT count(*) FROM notes": true, "select 1 from\nnotes": true, "TABLE notes": true, "SELECT notes_count()": true, "SELECT pg_is_in_recovery ()": true, "SELECT count(*)from notes": true,
	} {
		if err := validateLooks(sql); (err == nil) != ok {
			t.Errorf("%q: %v", sql, err)
		}
	}
}

func TestValidateStatement(t *testing.T) {
	for sql, ok := range map[string]bool{
		"SELECT 1": true, "select 1": true, "(SELECT 1) UNION (SELECT 2)": true, "WITH a AS (SELECT 1) SELECT * FROM a": true,
		"-- why\n\tSELECT 1": true, "/* why\n not */ SELECT 1": true, "VALUES (1)": true, "TABLE a": true,
		"COMMIT": false, "INSERT INTO a VALUES (1)": false, "SELECTED": false, "/* SELECT */ DROP TABLE a": false, "-- SELECT 1": false,
		"SET a = 1": false, "CALL a()": false, "DO $$ $$": false, "EXPLAIN ANALYZE SELECT 1": false, "SELECT '\x00'": false, "1": false,
	} {
		if err := validateStatement(sql); (err == nil) != ok {
			t.Errorf("%q: %v", sql, err)
		}
	}
}
