package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A testCase is the scoped query with its scope taken away in one way. Its query is a template; see filled.
type testCase struct {
	check string // the way
	name  string
	query string
}

// The corpora by name, in the order in which they are asked.
const (
	corpusClassics           = "classics"
	corpusClickHouse         = "clickhouse"
	corpusClickHouseOutbound = "clickhouse-outbound"
)

var corpusNames = []string{corpusClassics, corpusClickHouse, corpusClickHouseOutbound}

// corpus returns the cases of a corpus; none if there is no such corpus.
func corpus(name string) []testCase {
	switch name {
	case corpusClassics:
		return classics()
	case corpusClickHouse:
		return clickhouse()
	case corpusClickHouseOutbound:
		return clickhouseOutbound()
	}
	return nil
}

// A template fills in the variables of queries. All of the queries of a probe differ in nothing but what their templates say.
type template struct{ replacer *strings.Replacer }

// newTemplate returns the template for the settings. Ids are those of validateOrgs, so they need no escaping.
func newTemplate(p *Probe) template {
	database, name := "currentDatabase()", p.Table
	if before, after, found := strings.Cut(p.Table, "."); found {
		database, name = quoted(before), after
	}
	own, foreign := quoted(p.Orgs.Own.ID), quoted(p.Orgs.Foreign.ID)
	scope := p.Column + " = " + own
	and, where := "", ""
	if p.Filter != "" {
		and, where = " AND ("+p.Filter+")", " WHERE "+p.Filter
	}
	limit := fmt.Sprintf("LIMIT %d", p.Limit)
	end, also := limit, ""
	if p.TimeLimit > 0 {
		setting := "max_execution_time = " + seconds(p.TimeLimit.D())
		end, also = limit+" SETTINGS "+setting, ", "+setting
	}
	return template{strings.NewReplacer(
		"{select}", p.Select, "{table}", p.Table, "{database}", database, "{name}", name, "{column}", p.Column,
		"{own}", own, "{foreign}", foreign, "{scope}", scope, "{text of scope}", quoted(strings.ReplaceAll(scope, "'", "''")),
		"{escaped foreign}", escaped(p.Orgs.Foreign.ID), "{and}", and, "{where}", where,
		"{limit}", limit, "{end}", end, "{settings}", strings.TrimPrefix(end, limit), "{also}", also,
	)}
}

//go:noinline
func (t template) fill(query string) string { return t.replacer.Replace(query) }

// scoped is the query that the guard must accept.
const scoped = "SELECT {select} FROM {table} WHERE {scope}{and} {end}"

// mistaken is the scoped query with a column that does not exist, which is for the database to reject.
const mistaken = "SELECT prober_no_such_column FROM {table} WHERE {scope}{and} {end}"

func quoted(text string) string { return "'" + text + "'" }

// escaped writes a literal with its last character as \xHH.
func escaped(id string) string {
	if id == "" {
		return quoted(id) // refused by validateOrgs
	}
	last := len(id) - 1
	return fmt.Sprintf(`'%s\x%02x'`, id[:last], id[last])
}

func seconds(d time.Duration) string { return fmt.Sprint(int(max(1, d.Seconds()))) }

// checksOf lists the checks of cases, each once, in their order.
func checksOf(cases []testCase) (checks []string) {
	for _, c := range cases {
		if !slices.Contains(checks, c.check) {
			checks = append(checks, c.check)
		}
	}
	return checks
}
