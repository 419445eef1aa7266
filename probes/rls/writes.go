package rls

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"prober/internal/postgres"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/breach"
)

// surfaceWrites is what the breaches of attempts to write are counted under.
const surfaceWrites = "postgres/writes"

// An attempt is what one org tries on rows of another. Its control is the same on rows of its own.
type attempt struct {
	name      string // for messages
	privilege byte
	why       probe.Reason
	sql       string // with the table, the column, the column as a text, the own org, that whose rows are meant, and what can be inserted
}

// attempts name the rows that they are about, so that an open policy does not make them lock those of all orgs. The insert
// copies a row of the own org, and counts those that there are to copy. It returns nothing of the new one: otherwise policies for
// SELECT would hold for it as well, and hide that those for INSERT do not.
var attempts = []attempt{
	{"change", 'w', breach.ForeignWrite, "WITH tried AS (UPDATE %[1]s SET %[2]s = %[2]s WHERE %[2]s = '%[5]s' RETURNING 1) SELECT count(*) FROM tried"},
	{"delete", 'd', breach.ForeignDelete, "WITH tried AS (DELETE FROM %[1]s WHERE %[2]s = '%[5]s' RETURNING 1) SELECT count(*) FROM tried"},
	{"insert", 'a', breach.ForeignWrite, "WITH tried AS (INSERT INTO %[1]s (%[6]s) OVERRIDING SYSTEM VALUE SELECT %[6]s FROM (SELECT (jsonb_populate_record(x, jsonb_build_object('%[3]s', '%[5]s'))).* FROM %[1]s x WHERE %[2]s = '%[4]s' LIMIT 1) y) SELECT count(*) FROM %[1]s WHERE %[2]s = '%[4]s'"},
}

// insertableQuery lists the columns of a table ($1) that the role may insert and that are not computed.
const insertableQuery = `
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_catalog.pg_attribute
WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND has_column_privilege(attrelid, attnum, 'INSERT')`

// Writes are what the attempts came to.
type writes struct {
	sweep          *sweep
	tried, untried int
	why            probe.Reason // of the first that succeeded
	succeeded      []finding
	failed         *probe.Outcome
}

// writes tries, as each test org, to change the canaries of another. Everything is rolled back.
func (s *sweep) writes(r *probe.Result) {
	w := &writes{sweep: s}
	for _, t := range s.relations {
		if !t.isTable() || !s.comparable(t) || !s.isCanary(t) {
			continue
		}
		columns, err := s.insertable(t)
		if err != nil {
			w.fail(postgres.Explain(err))
			break
		}
		for _, own := range s.p.orgNames() {
			for _, other := range s.p.orgNames() {
				for _, a := range attempts {
					if own != other && t.may(a.privilege) {
						w.try(t, a, own, other, columns)
					}
				}
			}
		}
	}
	w.report(r)
}

// insertable lists the columns of a table that can be inserted, as SQL does.
func (s *sweep) insertable(t *relation) (string, error) {
	rows, err := s.asker.conn.Query(postgres.Query{SQL: insertableQuery, Args: []string{string(t.oid)}, MaxRows: 1})
	if err != nil {
		return "", err
	}
	if len(rows.Values) != 1 || len(rows.Values[0]) != 1 {
		return "", &postgres.Error{Outcome: probe.Outcomef(probe.Protocol, "expected one list of columns")}
	}
	return rows.Values[0][0].Text, nil
}

// try makes an attempt, if its control shows that it could succeed. What denies the control too could deny nothing else.
func (w *writes) try(t *relation, a attempt, own, other, columns string) {
	p := w.sweep.p
	on := func(id string) (int, error) {
		sql := tag + fmt.Sprintf(a.sql, quote(t.schema)+"."+quote(t.name), quote(p.Column), strings.ReplaceAll(p.Column, "'", "''"), p.Orgs[own].ID, id, columns)
		return w.sweep.asker.affected(p.as(own), sql)
	}
	n, err := on(p.Orgs[own].ID)
	switch {
	case err != nil && !isDenied(postgres.Code(err)):
		w.fail(postgres.Explain(err))
		return
	case err != nil || n == 0:
		w.untried++
		return
	}
	n, err = on(p.Orgs[other].ID)
	w.tried++
	switch {
	case n > 0 && err == nil:
		if len(w.succeeded) == 0 {
			w.why = a.why
		}
		w.succeeded = append(w.succeeded, finding{t, a.name + " by " + own})
	case err != nil && !isDenied(postgres.Code(err)):
		w.fail(postgres.Explain(err))
	}
}

// fail keeps why something is not known, if it is the first.
func (w *writes) fail(why probe.Outcome) {
	if w.failed == nil {
		w.failed = &why
	}
}

// isDenied reports whether an error says that a write is denied: by a policy, or by a function of the application.
func isDenied(code string) bool { return code == "42501" || code == "P0001" }

// duplicate is the error of a row with a key that is taken. Keys are looked at after the policies, which let the row pass then.
const duplicate = "23505"

// affected returns how many rows a statement changes, in a transaction that is rolled back.
func (s *sweeper) affected(in situation, sql string) (int, error) {
	tx, err := s.conn.Begin(postgres.ReadWrite)
	if err != nil {
		return 0, err
	}
	var rows postgres.Rows
	if err = s.enter(tx, in); err == nil {
		rows, err = tx.Query(postgres.Query{SQL: sql, MaxRows: 1})
	}
	if rollback := tx.Rollback(); err == nil {
		err = rollback
	}
	switch {
	case postgres.Code(err) == duplicate:
		return 1, nil
	case err != nil:
		return 0, err
	}
	if len(rows.Values) == 1 && len(rows.Values[0]) == 1 {
		if n, err := strconv.Atoi(rows.Values[0][0].Text); err == nil {
			return n, nil
		}
	}
	return 0, &postgres.Error{Outcome: probe.Outcomef(probe.Protocol, "expected one number")}
}

// report notes the check, and counts a breach or the time of the proof.
func (w *writes) report(r *probe.Result) {
	switch {
	case len(w.succeeded) > 0:
		r.Report(checkWrites, w.why, "expected that no org can change rows of another, got some: %s; all of it was rolled back", w.sweep.list(w.succeeded))
		r.Measure(breach.Total, 1, surfaceWrites)
	case w.failed != nil:
		r.Report(checkWrites, asUnproven(w.failed.Reason), "not everything was tried: %s", w.failed.Detail)
	case w.tried == 0:
		r.Report(checkWrites, probe.ControlFailed, "nothing could be tried: no test org can change or delete its own rows in canaries")
	case len(w.sweep.missing) > 0:
		r.Report(checkWrites, probe.ControlFailed, "nothing is proven: not every test org sees its own row")
	default:
		r.Pass(checkWrites, "%s on rows of another org changed nothing, and %d could not be made; all of it was rolled back", text.Count(w.tried, "attempt"), w.untried)
		r.Measure(breach.LastProven, float64(time.Now().Unix()), surfaceWrites)
	}
}
