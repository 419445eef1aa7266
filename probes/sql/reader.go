package sql

import "prober/internal/postgres"

// maxRows is how many rows of an answer are read.
const maxRows = 1000

// A reader asks statements in one transaction, which can only read, as long as none of them fails: a pool may lead each
// transaction to another server, and what is proven of one says nothing of the other.
type reader struct {
	conn *postgres.Conn
	tx   *postgres.Tx // nil between transactions
}

// read asks one statement.
func (q *reader) read(sql string) (rows postgres.Rows, err error) {
	if q.tx == nil {
		if q.tx, err = q.conn.Begin(postgres.Unchanging); err != nil {
			return rows, err
		}
	}
	rows, err = q.tx.Query(postgres.Query{SQL: sql, MaxRows: maxRows})
	if err != nil {
		q.end()
	}
	return rows, err
}

// end ends the transaction. All that was asked in it has been answered, so its errors say nothing.
func (q *reader) end() {
	if q.tx != nil {
		_ = q.tx.Rollback()
		q.tx = nil
	}
}
