package testenv

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A PostgresAnswer is what a fake server answers to a statement.
type PostgresAnswer struct {
	Columns []string
	Rows    [][]any // of strings; nil stands for NULL
	Code    string  // a SQLSTATE: an error, after the rows
	Endless bool    // the last row again and again
	Hangs   bool    // nothing more, after the rows
}

// FakePostgres starts a server that speaks PostgreSQL's protocol, lets everybody in and has a function answer each statement: what
// real servers do not say. It ends with the test and returns host:port. The function may be called by several connections at once.
func FakePostgres(t testing.TB, answer func(sql string) PostgresAnswer) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer nc.Close()
				s := fakeSession{pgproto3.NewBackend(nc, nc), answer}
				s.run()
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

// A fakeSession is one connection.
type fakeSession struct {
	*pgproto3.Backend
	answer func(string) PostgresAnswer
}

func (s fakeSession) run() {
	if _, err := s.ReceiveStartupMessage(); err != nil {
		return
	}
	s.Send(&pgproto3.AuthenticationOk{})
	s.Send(&pgproto3.ParameterStatus{Name: "is_superuser", Value: "off"})
	s.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	state, sql := byte('I'), ""
	s.ready(state)
	for {
		message, err := s.Receive()
		if err != nil {
			return
		}
		switch m := message.(type) {
		case *pgproto3.Query:
			if state = 'I'; strings.HasPrefix(m.String, "BEGIN") || strings.HasPrefix(m.String, "ROLLBACK TO") {
				state = 'T'
			}
			s.answer(m.String)
			s.Send(&pgproto3.CommandComplete{CommandTag: []byte("DONE")})
			s.ready(state)
		case *pgproto3.Parse:
			sql = m.Query
			s.Send(&pgproto3.ParseComplete{})
		case *pgproto3.Bind:
			s.Send(&pgproto3.BindComplete{})
		case *pgproto3.Execute:
			if !s.reply(s.answer(sql)) {
				return
			}
		case *pgproto3.Sync:
			s.ready(state)
		case *pgproto3.Terminate:
			return
		}
	}
}

func (s fakeSession) ready(state byte) {
	s.Send(&pgproto3.ReadyForQuery{TxStatus: state})
	_ = s.Flush() // the next read tells
}

// reply sends an answer and reports whether it has an end.
func (s fakeSession) reply(a PostgresAnswer) bool {
	var fields []pgproto3.FieldDescription
	for _, name := range a.Columns {
		fields = append(fields, pgproto3.FieldDescription{Name: []byte(name), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1})
	}
	s.Send(&pgproto3.RowDescription{Fields: fields})
	var last *pgproto3.DataRow
	for _, row := range a.Rows {
		last = &pgproto3.DataRow{}
		for _, v := range row {
			text, given := v.(string)
			last.Values = append(last.Values, []byte(text))
			if !given {
				last.Values[len(last.Values)-1] = nil
			}
		}
		s.Send(last)
	}
	for a.Endless && last != nil {
		s.Send(last)
		if s.Flush() != nil {
			return false
		}
	}
	if a.Hangs {
		_ = s.Flush()
		_, _ = s.Receive()
		return false
	}
	if a.Code != "" {
		s.Send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: a.Code, Message: "no"})
		return true
	}
	s.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT")})
	return true
}
