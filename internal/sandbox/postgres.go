package sandbox

import (
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A database is what a PostgreSQL server of the sample system is and has. It knows the answers to the demo's questions and
// no SQL: tests against real servers hold what policies, replication and pools do.
type database struct {
	login     loginStep
	primary   bool
	timeline  int
	started   string
	streams   bool    // receives from the primary
	heartbeat float64 // age in seconds, as the server sees it
	entries   int     // of the outbox of webhooks
	dead      int     // of these
	deadFor   float64 // age of the oldest in seconds
	chains    int     // of links between identities
}

// A loginStep is what a server does with whoever wants to log in.
type loginStep int

const (
	loginAccept loginStep = iota
	loginReject
	loginCleartext // asks for the password in clear
	loginHang
)

// databases are the two servers without faults: a primary, and a standby that follows it.
func databases() map[string]database {
	return map[string]database{
		postgres1: {primary: true, timeline: 1, started: "2026-01-01 00:00:01+00", heartbeat: 0.3, entries: 1200, dead: 2, deadFor: 60},
		postgres2: {streams: true, timeline: 1, started: "2026-01-01 00:00:02+00", heartbeat: 0.4, entries: 1200, dead: 2, deadFor: 60},
	}
}

// A databaseFault changes what a server is and has.
type databaseFault func(*database)

func onDatabase(hosts []string, change databaseFault) effect {
	return effect{hosts: hosts, alterDatabase: change}
}

// alteredDatabase is a server with the active faults.
func (s *Sandbox) alteredDatabase(name string) database {
	d := databases()[name]
	for _, f := range *s.active.Load() {
		for _, e := range f.effects {
			if e.alterDatabase != nil && e.on(name) {
				e.alterDatabase(&d)
			}
		}
	}
	return d
}

// servePostgres makes a host a server of PostgreSQL's protocol.
func servePostgres(h *host) {
	h.serve = func(listener net.Listener) (end func()) {
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
						session{h, pgproto3.NewBackend(conn, conn), conn}.run()
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
}

// maxMessage bounds what a client may send at a time.
const maxMessage = 64 << 10

func (s session) run() {
	s.backend.SetMaxBodyLen(maxMessage)
	if !s.start() {
		return
	}
	var sql string
	inTransaction := byte('I')
	for {
		message, err := s.backend.Receive()
		if err != nil {
			return
		}
		switch m := message.(type) {
		case *pgproto3.Query:
			inTransaction = s.command(m.String)
		case *pgproto3.Parse:
			sql = m.Query
			s.backend.Send(&pgproto3.ParseComplete{})
		case *pgproto3.Bind:
			s.backend.Send(&pgproto3.BindComplete{})
		case *pgproto3.Execute:
			s.answer(sql)
		case *pgproto3.Sync:
			s.backend.Send(&pgproto3.ReadyForQuery{TxStatus: inTransaction})
			if s.backend.Flush() != nil {
				return
			}
		case *pgproto3.Terminate:
			return
		}
	}
}

// start lets a client in, as far as the faults do.
func (s session) start() bool {
	message, err := s.backend.ReceiveStartupMessage()
	if _, asks := message.(*pgproto3.SSLRequest); asks && err == nil {
		if _, err = s.conn.Write([]byte{'N'}); err == nil {
			message, err = s.backend.ReceiveStartupMessage()
		}
	}
	if _, starts := message.(*pgproto3.StartupMessage); !starts || err != nil {
		return false
	}
	switch s.host.sandbox.alteredDatabase(s.host.name).login {
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

// command runs statements without an answer and returns whether a transaction is open after them.
func (s session) command(sql string) (transaction byte) {
	transaction = 'I'
	for statement := range strings.SplitSeq(sql, ";") {
		word, _, _ := strings.Cut(strings.TrimSpace(statement), " ")
		if word == "BEGIN" || word == "SET" {
			transaction = 'T'
		}
		s.backend.Send(&pgproto3.CommandComplete{CommandTag: []byte(word)})
	}
	s.backend.Send(&pgproto3.ReadyForQuery{TxStatus: transaction})
	_ = s.backend.Flush()
	return transaction
}

// answer sends the answer to a question. The client has asked for its description together with the rows.
func (s session) answer(sql string) {
	columns, rows, known := s.host.sandbox.alteredDatabase(s.host.name).ask(sql)
	if !known {
		s.backend.Send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "42P01", Message: "the sample system does not know this question"})
		return
	}
	var fields []pgproto3.FieldDescription
	for _, name := range columns {
		fields = append(fields, pgproto3.FieldDescription{Name: []byte(name), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1})
	}
	s.backend.Send(&pgproto3.RowDescription{Fields: fields})
	for _, row := range rows {
		var values [][]byte
		for _, v := range row {
			values = append(values, []byte(v))
		}
		s.backend.Send(&pgproto3.DataRow{Values: values})
	}
	s.backend.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT " + strconv.Itoa(len(rows)))})
}

// ask knows the questions by what they are about.
func (d database) ask(sql string) (columns []string, rows [][]string, known bool) {
	one := func(name, value string) ([]string, [][]string, bool) {
		return []string{name}, [][]string{{value}}, true
	}
	truth := map[bool]string{true: "t", false: "f"}
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	about := func(words ...string) bool {
		for _, w := range words {
			if !strings.Contains(sql, w) {
				return false
			}
		}
		return true
	}
	switch {
	case about("pg_control_system"):
		return []string{"recovering", "system", "timeline", "started"}, [][]string{{truth[!d.primary], "7300000000000000000", strconv.Itoa(d.timeline), d.started}}, true
	case about("pg_stat_wal_receiver"):
		rows = [][]string{{truth[!d.primary], truth[d.streams], "streaming"}}
		return []string{"recovering", "received", "status"}, rows, true
	case about("prober_heartbeat"):
		return one("age", number(d.heartbeat))
	case about("webhook_outbox_entries", "dlq_at"):
		if d.dead > 0 {
			rows = [][]string{{"17", strconv.Itoa(d.dead), number(d.deadFor)}}
		}
		return []string{"oauth_application_id", "dead", "oldest"}, rows, true
	case about("webhook_outbox_entries"):
		return one("count", strconv.Itoa(d.entries))
	case about("identity_links", "JOIN"):
		return one("n", strconv.Itoa(d.chains))
	case about("identity_links"):
		return one("count", "40")
	case sql == "SELECT 1 AS n":
		return one("n", "1")
	}
	return nil, nil, false
}
