package postgres

import (
	"prober/internal/dial"
	"prober/internal/memory"
	"prober/internal/probe"
	"prober/internal/text"
)

// maxColumns is how many columns a row may have.
const maxColumns = 64

// A Query is one statement with its arguments. The server refuses a second statement behind it.
type Query struct {
	SQL     string
	Args    []string // of $1, $2, ...; the server reads them as the types that it expects
	MaxRows int      // that are read; more of them are an error
}

// Rows are the answer to a query.
type Rows struct {
	Columns []string // as the query names them
	Values  [][]Value
}

// A Value is a value as the server writes it. It comes from the target and must not reach a message or a label.
type Value struct {
	Text  string
	Valid bool // false: NULL
}

// Query runs a statement outside of a transaction, where no limit of the server holds but its own: the answer is waited for
// as long as the run lasts, and then the query is cancelled.
func (c *Conn) Query(q Query) (rows Rows, err error) {
	err = c.guard(func() error {
		rows, err = c.read(q)
		return err
	})
	if err != nil {
		return Rows{}, err
	}
	return rows, nil
}

func (c *Conn) read(q Query) (Rows, error) {
	args := make([][]byte, len(q.Args))
	for i, a := range q.Args {
		args[i] = []byte(a)
	}
	var rows Rows
	reader := c.pg.ExecParams(c.work, q.SQL, args, nil, nil, nil)
	for reader.NextRow() {
		c.exchange.Enter(dial.PhaseTransfer)
		if rows.Columns == nil {
			for _, f := range reader.FieldDescriptions() {
				rows.Columns = append(rows.Columns, f.Name)
			}
		}
		if err := c.add(&rows, reader.Values(), q.MaxRows); err != nil {
			// The rest of the rows, of which there may be no end, is not waited for.
			c.exchange.Close()
			return Rows{}, err
		}
	}
	if rows.Columns == nil {
		for _, f := range reader.FieldDescriptions() {
			rows.Columns = append(rows.Columns, f.Name)
		}
	}
	_, err := reader.Close()
	return rows, err
}

// add keeps a row, within the limits.
func (c *Conn) add(rows *Rows, values [][]byte, maxRows int) error {
	switch {
	case len(values) != len(rows.Columns):
		return &Error{Outcome: probe.Outcomef(probe.Protocol, "the server sent a row that its own description does not fit")}
	case len(values) > maxColumns:
		return &Error{Outcome: probe.Outcomef(probe.TooLarge, "expected at most %d columns, got %d", maxColumns, len(values))}
	case len(rows.Values) >= maxRows:
		return &Error{Outcome: probe.Outcomef(TooManyRows, "expected at most %s, got more", text.Count(maxRows, "row"))}
	}
	const each = 32 // bytes, beside its text
	size := int64(each)
	row := make([]Value, len(values))
	for i, v := range values {
		row[i] = Value{Text: string(v), Valid: v != nil}
		size += int64(len(v)) + each
	}
	if err := memory.Take(c.ctx, size); err != nil {
		memory.Exceeded(c.ctx, "", err)
		return &Error{Outcome: probe.Outcomef(probe.SelfLimit, "%s", err)}
	}
	rows.Values = append(rows.Values, row)
	return nil
}

// Column returns the index of a column, or an error that names it: the name is the configuration's.
func (r Rows) Column(name string) (int, error) {
	found, at := 0, 0
	for i, c := range r.Columns {
		if c == name {
			found++
			at = i
		}
	}
	switch found {
	case 0:
		return 0, &Error{Outcome: probe.Outcomef(probe.Schema, "expected a column %s in the answer, got %d others", name, len(r.Columns))}
	case 1:
		return at, nil
	}
	return 0, &Error{Outcome: probe.Outcomef(probe.Schema, "expected one column %s in the answer, got %d", name, found)}
}
