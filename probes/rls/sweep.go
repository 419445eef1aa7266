package rls

import (
	"fmt"
	"strings"

	"prober/internal/postgres"
	"prober/internal/probe"
)

// A situation is what the application's setting is while questions are asked.
type situation struct {
	name  string // for messages
	set   bool
	value string
}

// A question is whether a relation shows a row.
type question struct {
	relation *relation
	where    string // SQL behind WHERE; empty: any row
}

// sql is an expression that is true if there is such a row. Nothing of the row is read.
func (q question) sql() string {
	from := "SELECT 1 FROM " + quote(q.relation.schema) + "." + quote(q.relation.name)
	if q.where != "" {
		from += " WHERE " + q.where
	}
	return "EXISTS (" + from + ")"
}

// quote writes a name as SQL does.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// An answer is one to a question.
type answer struct {
	shown   bool
	refused bool           // the server refused to look: there is no org, or it is malformed
	failed  *probe.Outcome // it is not known
}

// batch is how many questions one query asks.
const batch = 50

// A sweeper asks many questions in few queries.
type sweeper struct {
	conn    *postgres.Conn
	setting string
	broken  *probe.Outcome // why nothing more can be asked
}

// ask answers questions in a situation, in their order.
func (s *sweeper) ask(in situation, questions []question) []answer {
	var answers []answer
	for len(questions) > 0 {
		n := min(batch, len(questions))
		answers = append(answers, s.askBatch(in, questions[:n])...)
		questions = questions[n:]
	}
	return answers
}

// askBatch asks in one query. An error of one question spoils all of a query, so they are then asked by halves.
func (s *sweeper) askBatch(in situation, questions []question) []answer {
	if s.broken == nil {
		answers, err := s.query(in, questions)
		switch code := postgres.Code(err); {
		case err == nil:
			return answers
		case isRefusal(code) && len(questions) == 1:
			return []answer{{refused: true}}
		case len(questions) > 1 && isOfOne(code):
			half := len(questions) / 2
			return append(s.askBatch(in, questions[:half]), s.askBatch(in, questions[half:])...)
		}
		why := postgres.Explain(err)
		if len(questions) == 1 && isOfOne(postgres.Code(err)) {
			return []answer{{failed: &why}}
		}
		s.broken = &why
	}
	answers := make([]answer, len(questions))
	for i := range answers {
		answers[i].failed = s.broken
	}
	return answers
}

// query asks in a transaction of its own.
func (s *sweeper) query(in situation, questions []question) ([]answer, error) {
	tx, err := s.conn.Begin(postgres.ReadOnly)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(questions))
	for i, q := range questions {
		list[i] = q.sql()
	}
	rows, err := s.inSituation(tx, in, "SELECT "+strings.Join(list, ", "))
	if rollback := tx.Rollback(); err == nil {
		err = rollback
	}
	if err != nil {
		return nil, err
	}
	if len(rows.Values) != 1 || len(rows.Values[0]) != len(questions) {
		return nil, &postgres.Error{Outcome: probe.Outcomef(probe.Protocol, "expected one row of %d values", len(questions))}
	}
	answers := make([]answer, len(questions))
	for i, v := range rows.Values[0] {
		if answers[i].shown = v.Text == "t"; !v.Valid || v.Text != "t" && v.Text != "f" {
			why := probe.Outcomef(probe.Protocol, "expected true or false from the server")
			answers[i].failed = &why
		}
	}
	return answers, nil
}

// inSituation runs a statement with one row as its answer, with the setting for this transaction alone.
func (s *sweeper) inSituation(tx *postgres.Tx, in situation, sql string) (postgres.Rows, error) {
	if _, err := tx.Query(postgres.Query{SQL: noCompilation, MaxRows: 1}); err != nil {
		return postgres.Rows{}, err
	}
	if in.set {
		if _, err := tx.Query(postgres.Query{SQL: "SELECT set_config($1, $2, true)", Args: []string{s.setting, in.value}, MaxRows: 1}); err != nil {
			return postgres.Rows{}, err
		}
	}
	return tx.Query(postgres.Query{SQL: sql, MaxRows: 1})
}

// isRefusal reports whether an error says that there is no org, or none of this form: a missing setting, a missing right, a
// value of another type, or what a function of the application raises.
func isRefusal(code string) bool {
	return code == "42704" || code == "42501" || code == "P0001" || strings.HasPrefix(code, "22")
}

// isOfOne reports whether an error may be that of one relation: a refusal, a lock, or a relation that is gone.
func isOfOne(code string) bool {
	return isRefusal(code) || code == "55P03" || strings.HasPrefix(code, "42") || strings.HasPrefix(code, "55")
}

// left reports whether the connection already has an org, which somebody else left.
func (s *sweeper) left() (bool, error) {
	rows, err := s.conn.Query(postgres.Query{SQL: leftQuery, Args: []string{s.setting}, MaxRows: 1})
	if err != nil {
		return false, err
	}
	return len(rows.Values) != 1 || len(rows.Values[0]) != 1 || rows.Values[0][0].Text != "f", nil
}

// leftQuery compares at the server, so that nobody's org leaves it.
const leftQuery = "SELECT coalesce(current_setting($1, true), '') <> ''"

// equals is a condition on the column of the org. Ids have no quotes, see validateOrgs.
func equals(column, id string) string { return fmt.Sprintf("%s = '%s'", quote(column), id) }

// differs is its opposite, true also for a row without an org.
func differs(column, id string) string {
	return fmt.Sprintf("%s IS DISTINCT FROM '%s'", quote(column), id)
}
