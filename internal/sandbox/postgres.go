package sandbox

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"prober/internal/pgwire"
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
			(&session{host: h, in: pgwire.NewReader(conn, maxMessage), conn: conn, client: dbClient{process: int(processes.Add(1))}}).run()
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
	host   *host
	conn   net.Conn
	in     *pgwire.Reader
	out    pgwire.Writer
	status byte // as ReadyForQuery says it: I, T in a transaction, E in one that has failed
	client dbClient
}

// maxMessage bounds what a client may send at a time.
const maxMessage = 64 << 10

func (s *session) run() {
	if !s.start() {
		return
	}
	var sql string
	var args []string
	for {
		m, err := s.in.Next()
		if err != nil {
			return
		}
		switch m.Kind {
		case 'Q':
			s.command(m.Text())
		case 'P':
			m.Text()
			sql = m.Text()
			s.out.Begin('1')
		case 'B':
			args = arguments(m)
			s.out.Begin('2')
		case 'E':
			s.answer(sql, args)
		case 'S':
			s.ready()
		case 'X':
			return
		}
	}
}

// arguments returns the parameters that a client binds, as text.
func arguments(m pgwire.Message) (args []string) {
	m.Text()
	m.Text()
	m.Bytes(2 * m.Int16()) // their formats
	for range m.Int16() {
		args = append(args, string(m.Bytes(m.Int32())))
		if m.Short() {
			break
		}
	}
	return args
}

// ready sends what was collected: the server waits for the next message.
func (s *session) ready() bool {
	return s.out.Begin('Z').Byte(s.status).Flush(s.conn) == nil // the next read tells too
}

// refuse collects an error.
func (s *session) refuse(severity, code, message string) {
	s.out.Begin('E').Byte('S').Text(severity).Byte('V').Text(severity).Byte('C').Text(code).Byte('M').Text(message).Byte(0)
}

// start lets a client in, as far as the faults do.
func (s *session) start() bool {
	first, err := s.in.Startup()
	asked := first.Int32()
	if asked == pgwire.SSLRequest && err == nil {
		if _, err = s.conn.Write([]byte{'N'}); err == nil {
			first, err = s.in.Startup()
			asked = first.Int32()
		}
	}
	if asked != pgwire.Version || err != nil {
		return false
	}
	switch s.host.sandbox.alteredDatabase(s.host.name).login {
	case loginReject:
		s.refuse("FATAL", "28P01", "password authentication failed")
		_ = s.out.Flush(s.conn)
		return false
	case loginCleartext:
		_ = s.out.Begin('R').Int32(3).Flush(s.conn)
		return false
	case loginHang:
		_, _ = s.in.Next() // until the client gives up, or the host closes
		return false
	}
	s.out.Begin('R').Int32(0)
	s.out.Begin('S').Text("is_superuser").Text("off")
	s.out.Begin('S').Text("server_version").Text("15.18")
	s.out.Begin('K').Int32(1).Int32(1)
	s.status = 'I'
	return s.ready()
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
		s.out.Begin('C').Text(word)
	}
	s.ready()
}

// answer collects the answer to a question. The client has asked for its description together with the rows.
func (s *session) answer(sql string, args []string) {
	r := s.host.sandbox.alteredDatabase(s.host.name).ask(&s.client, sql, args)
	if r.err != "" {
		s.refuse("ERROR", string(r.err), "the sample system has no answer")
		if s.status == 'T' {
			s.status = 'E'
		}
		return
	}
	if s.status == 'E' {
		s.status = 'T' // the question went back to a savepoint
	}
	const text = 25 // the type
	s.out.Begin('T').Int16(len(r.columns))
	for _, name := range r.columns {
		s.out.Text(name).Int32(0).Int16(0).Int32(text).Int16(-1).Int32(-1).Int16(0)
	}
	for _, row := range r.rows {
		s.out.Begin('D').Int16(len(row))
		for _, v := range row {
			s.out.Value([]byte(v))
		}
	}
	s.out.Begin('C').Text("SELECT " + strconv.Itoa(len(r.rows)))
}
