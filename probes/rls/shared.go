package rls

import (
	"slices"
	"strings"

	"prober/internal/postgres"
	"prober/internal/probe"
)

// Bounds of what is compared: of each table so many rows, of so many tables in a query. Test orgs have few.
const (
	maxPlaces   = "100"
	placesBatch = 20
)

// asEach looks, where rows do not say whose they are, whether one row is shown to two test orgs. Where a row is stored tells it
// from others, and says nothing of it.
func (s *sweep) asEach() {
	var tables []*relation
	for _, t := range s.relations {
		switch {
		case !t.isTable() || s.comparable(t):
		case t.readsAll:
			tables = append(tables, t)
		default:
			s.fail(probe.Outcomef(probe.ControlFailed, "the role may not read the column that says whose a row of %s is", s.p.shown(t.ident)))
		}
	}
	for some := range slices.Chunk(tables, placesBatch) {
		found, err := s.shared(some)
		if err != nil {
			s.fail(refusedAs(err))
		}
		s.leaks = append(s.leaks, found...)
	}
}

// refusedAs is why the places of rows are not known.
func refusedAs(err error) probe.Outcome {
	if isRefusal(postgres.Code(err)) {
		return probe.Outcomef(probe.ControlFailed, "the server refuses to look as one of the test orgs")
	}
	return postgres.Explain(err)
}

// shared returns the tables that show one row to two test orgs. All of them look in one transaction and at one moment, so a place
// has one row.
func (s *sweep) shared(tables []*relation) (found []finding, err error) {
	tx, err := s.asker.conn.Begin(postgres.Unchanging)
	if err != nil {
		return nil, err
	}
	defer func() {
		if rollback := tx.Rollback(); err == nil {
			err = rollback
		}
	}()
	seen := make([]map[string]string, len(tables)) // by place, to which org
	for _, name := range s.p.orgNames() {
		if err := s.asker.enter(tx, s.p.as(name)); err != nil {
			return nil, err
		}
		rows, err := tx.Query(postgres.Query{SQL: places(tables), MaxRows: 1})
		if err != nil {
			return nil, err
		}
		if len(rows.Values) != 1 || len(rows.Values[0]) != len(tables) {
			return nil, &postgres.Error{Outcome: probe.Outcomef(probe.Protocol, "expected one row of %d values", len(tables))}
		}
		for i, v := range rows.Values[0] {
			if seen[i] == nil {
				seen[i] = map[string]string{}
			}
			if other := add(seen[i], strings.Fields(v.Text), name); other != "" {
				found = append(found, finding{tables[i], "one row to " + other + " and " + name})
			}
		}
	}
	return found, nil
}

// places asks where the first rows of tables are stored.
func places(tables []*relation) string {
	list := make([]string, len(tables))
	for i, t := range tables {
		list[i] = "(SELECT string_agg(x.tableoid::text || x.ctid::text, ' ') FROM (SELECT tableoid, ctid FROM " +
			quote(t.schema) + "." + quote(t.name) + " LIMIT " + maxPlaces + ") x)"
	}
	return tag + "SELECT " + strings.Join(list, ", ")
}

// add notes to which org places are shown, and returns another that was shown one of them before.
func add(seen map[string]string, places []string, org string) (other string) {
	for _, place := range places {
		if had, ok := seen[place]; ok {
			other = had
		}
		seen[place] = org
	}
	return other
}
