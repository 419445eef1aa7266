package rls

import (
	"fmt"
	"strings"

	"prober/internal/postgres"
	"prober/internal/probe"
)

// A situation is what the application's setting is while questions are asked.
type situation struct {
	name    string // for messages
	set     bool
	value   string
	refuses bool // a refusal is a good answer; of an org that there is, nothing refuses to look
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
//
//go:noinline
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

// askBatch asks in a transaction of its own. Once that failed for a reason that holds for all questions, nothing more is asked.
func (s *sweeper) askBatch(in situation, questions []question) []answer {
	if s.broken == nil {
		answers, err := s.within(in, questions)
		if err == nil {
			return answers
		}
		why := postgres.Explain(err)
		s.broken = &why
	}
	answers := make([]answer, len(questions))
	for i := range answers {
		answers[i].failed = s.broken
	}
	return answers
}

// within asks in one transaction, which is rolled back.
func (s *sweeper) within(in situation, questions []question) ([]answer, error) {
	tx, err := s.conn.Begin(postgres.ReadOnly)
	if err != nil {
		return nil, err
	}
	answers, err := s.answersIn(tx, in, questions)
	if rollback := tx.Rollback(); err == nil {
		err = rollback
	}
	return answers, err
}

// answersIn asks in one query. An error of one question spoils all of it, so they are then asked one by one.
func (s *sweeper) answersIn(tx *postgres.Tx, in situation, questions []question) ([]answer, error) {
	if err := s.enter(tx, in); err != nil {
		return nil, err
	}
	answers, err := query(tx, questions)
	if err != nil && isOfOne(postgres.Code(err)) {
		return oneByOne(tx, questions)
	}
	return answers, err
}

// oneByOne asks each question by itself, in a transaction that has failed.
func oneByOne(tx *postgres.Tx, questions []question) ([]answer, error) {
	answers := make([]answer, len(questions))
	failed := true
	for i := range questions {
		if failed {
			if _, err := tx.Query(postgres.Query{SQL: "ROLLBACK TO SAVEPOINT entered"}); err != nil {
				return nil, err
			}
		}
		one, err := query(tx, questions[i:i+1])
		failed = err != nil
		switch code := postgres.Code(err); {
		case err == nil:
			answers[i] = one[0]
		case isRefusal(code):
			answers[i].refused = true
		case isOfOne(code):
			why := postgres.Explain(err)
			answers[i].failed = &why
		default:
			return nil, err
		}
	}
	return answers, nil
}

// query asks all questions in one statement.
func query(tx *postgres.Tx, questions []question) ([]answer, error) {
	list := make([]string, len(questions))
	for i, q := range questions {
		list[i] = q.sql()
	}
	rows, err := tx.Query(postgres.Query{SQL: tag + "SELECT " + strings.Join(list, ", "), MaxRows: 1})
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

// enter brings a transaction into a situation, which ends with it.
func (s *sweeper) enter(tx *postgres.Tx, in situation) error {
	if in.set {
		if _, err := tx.Query(postgres.Query{SQL: "SELECT set_config($1, $2, true)", Args: []string{s.setting, in.value}, MaxRows: 1}); err != nil {
			return err
		}
	}
	_, err := tx.Query(postgres.Query{SQL: "SAVEPOINT entered"})
	return err
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
