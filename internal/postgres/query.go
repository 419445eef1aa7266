package postgres

import (
	"strconv"
	"strings"

	"prober/internal/dial"
	"prober/internal/memory"
	"prober/internal/pgwire"
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

// read sends a query as an unnamed statement and reads its rows.
func (c *Conn) read(q Query) (rows Rows, err error) {
	c.out.Begin('P').Text("").Text(q.SQL).Int16(0)
	c.out.Begin('B').Text("").Text("").Int16(0).Int16(len(q.Args))
	for _, a := range q.Args {
		c.out.Value([]byte(a))
	}
	c.out.Int16(0)
	c.out.Begin('D').Byte('P').Text("")
	c.out.Begin('E').Text("").Int32(0)
	c.out.Begin('S')
	described, complete := false, false
	err = c.ask(func(m pgwire.Message) error {
		switch m.Kind {
		case '1', '2', 'n': // parsed, bound, no rows
			return nil
		case 'T':
			if described {
				return pgwire.ErrMalformed
			}
			described = true
			rows.Columns, err = describe(m)
			return err
		case 'D':
			c.exchange.Enter(dial.PhaseTransfer)
			if !described || complete {
				return pgwire.ErrMalformed
			}
			return c.add(&rows, m, q.MaxRows)
		case 'C', 'I': // the command is complete, or was empty
			said, counted := strings.CutPrefix(m.Text(), "SELECT ")
			if complete || counted && described && said != strconv.Itoa(len(rows.Values)) {
				return pgwire.ErrMalformed // rows did not arrive
			}
			complete = true
			return nil
		case 'G', 'H', 'W':
			return &Error{Outcome: probe.Outcomef(probe.Schema, "expected a query, got a statement that copies")}
		}
		return pgwire.ErrMalformed
	})
	if err == nil && !complete {
		err = pgwire.ErrMalformed // there may be rows that did not arrive
	}
	return rows, err
}

// describe returns the names of the columns from the description of a row.
func describe(m pgwire.Message) (names []string, err error) {
	const about = 18 // bytes on the table, the type and the format
	for range m.Int16() {
		names = append(names, m.Text())
		if m.Bytes(about); m.Short() {
			break
		}
	}
	if !m.Complete() {
		return nil, pgwire.ErrMalformed
	}
	return names, nil
}

// add keeps a row, within the limits.
func (c *Conn) add(rows *Rows, m pgwire.Message, maxRows int) error {
	n := m.Int16()
	switch {
	case n != len(rows.Columns):
		return &Error{Outcome: probe.Outcomef(probe.Protocol, "the server sent a row that its own description does not fit")}
	case n > maxColumns:
		return &Error{Outcome: probe.Outcomef(probe.TooLarge, "expected at most %d columns, got %d", maxColumns, n)}
	case len(rows.Values) >= maxRows:
		return &Error{Outcome: probe.Outcomef(TooManyRows, "expected at most %s, got more", text.Count(maxRows, "row"))}
	}
	const each = 32 // bytes, beside its text
	size := int64(m.Len() + (n+1)*each)
	if err := memory.Take(c.ctx, size); err != nil {
		memory.Exceeded(c.ctx, "", err)
		return &Error{Outcome: probe.Outcomef(probe.SelfLimit, "%s", err)}
	}
	row := make([]Value, n)
	for i := range row {
		if length := m.Int32(); length != -1 {
			row[i] = Value{Text: string(m.Bytes(length)), Valid: true}
		}
	}
	if !m.Complete() {
		return pgwire.ErrMalformed
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
