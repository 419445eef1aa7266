package sandbox

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A loginStep is what a server does with whoever wants to log in.
type loginStep int

const (
	loginAccept loginStep = iota
	loginReject
	loginCleartext // asks for the password in clear
	loginHang
)

// servePostgres makes a host a server of PostgreSQL's protocol.
func servePostgres(h *host) {
	var processes atomic.Int32 // of the server, one for each connection
	h.serve = func(listener net.Listener) (end func()) {
		return serveConnections(listener, func(conn net.Conn) {
			(&session{host: h, backend: pgproto3.NewBackend(conn, conn), conn: conn, client: dbClient{process: int(processes.Add(1))}}).run()
		})
	}
}

// serveConnections runs a function for each connection until the returned function is called.
func serveConnections(listener net.Listener, run func(net.Conn)) (end func()) {
	c := &connections{open: map[net.Conn]bool{}}
	c.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			c.running.Go(func() {
				defer c.remove(conn)
				if c.add(conn) {
					run(conn)
				}
			})
		}
	})
	return func() {
		listener.Close()
		c.close()
		c.running.Wait()
	}
}

// connections are those of a host that speaks no HTTP.
type connections struct {
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
}

func (c *connections) add(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[conn] = true
	return !c.closed
}

func (c *connections) remove(conn net.Conn) {
	conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
}

func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for conn := range c.open {
		conn.Close()
	}
}

// A session is one connection of a client.
type session struct {
	host    *host
	backend *pgproto3.Backend
	conn    net.Conn
	status  byte // as ReadyForQuery says it: I, T in a transaction, E in one that has failed
	client  dbClient
}

// maxMessage bounds what a client may send at a time.
const maxMessage = 64 << 10

func (s *session) run() {
	s.backend.SetMaxBodyLen(maxMessage)
	if !s.start() {
		return
	}
	var sql string
	var args []string
	s.status = 'I'
	for {
		message, err := s.backend.Receive()
		if err != nil {
			return
		}
		switch m := message.(type) {
		case *pgproto3.Query:
			s.command(m.String)
		case *pgproto3.Parse:
			sql = m.Query
			s.backend.Send(&pgproto3.ParseComplete{})
		case *pgproto3.Bind:
			args = nil
			for _, a := range m.Parameters {
				args = append(args, string(a))
			}
			s.backend.Send(&pgproto3.BindComplete{})
		case *pgproto3.Execute:
			s.answer(sql, args)
		case *pgproto3.Sync:
			s.backend.Send(&pgproto3.ReadyForQuery{TxStatus: s.status})
			if s.backend.Flush() != nil {
				return
			}
		case *pgproto3.Terminate:
			return
		}
	}
}

// start lets a client in, as far as the faults do.
func (s *session) start() bool {
	message, err := s.backend.ReceiveStartupMessage()
	if _, asks := message.(*pgproto3.SSLRequest); asks && err == nil {
		if _, err = s.conn.Write([]byte{'N'}); err == nil {
			message, err = s.backend.ReceiveStartupMessage()
		}
	}
	if _, starts := message.(*pgproto3.StartupMessage); !starts || err != nil {
		return false
	}
	d := s.host.sandbox.alteredDatabase(s.host.name)
	switch d.login {
	case loginReject:
		s.backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: "password authentication failed"})
		_ = s.backend.Flush()
		return false
	case loginCleartext:
		s.backend.Send(&pgproto3.AuthenticationCleartextPassword{})
		_ = s.backend.Flush()
		return false
	case loginHang:
		_, _ = s.backend.Receive() // until the client gives up, or the host closes
		return false
	}
	s.backend.Send(&pgproto3.AuthenticationOk{})
	s.backend.Send(&pgproto3.ParameterStatus{Name: "is_superuser", Value: "off"})
	s.backend.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: "15.18"})
	s.backend.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	s.backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	return s.backend.Flush() == nil
}

// command runs statements without an answer: those that begin a transaction, set its limits and end it.
func (s *session) command(sql string) {
	for statement := range strings.SplitSeq(sql, ";") {
		word, _, _ := strings.Cut(strings.TrimSpace(statement), " ")
		switch word {
		case "BEGIN":
			s.status = 'T'
		case "ROLLBACK":
			s.status = 'I'
			s.client.rollback()
		}
		s.backend.Send(&pgproto3.CommandComplete{CommandTag: []byte(word)})
	}
	s.backend.Send(&pgproto3.ReadyForQuery{TxStatus: s.status})
	_ = s.backend.Flush()
}

// answer sends the answer to a question. The client has asked for its description together with the rows.
func (s *session) answer(sql string, args []string) {
	r := s.host.sandbox.alteredDatabase(s.host.name).ask(&s.client, sql, args)
	if r.err != "" {
		s.backend.Send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: string(r.err), Message: "the sample system has no answer"})
		if s.status == 'T' {
			s.status = 'E'
		}
		return
	}
	if s.status == 'E' {
		s.status = 'T' // the question went back to a savepoint
	}
	var fields []pgproto3.FieldDescription
	for _, name := range r.columns {
		fields = append(fields, pgproto3.FieldDescription{Name: []byte(name), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1})
	}
	s.backend.Send(&pgproto3.RowDescription{Fields: fields})
	for _, row := range r.rows {
		var values [][]byte
		for _, v := range row {
			values = append(values, []byte(v))
		}
		s.backend.Send(&pgproto3.DataRow{Values: values})
	}
	s.backend.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT " + strconv.Itoa(len(r.rows)))})
}
