package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/memory"
	"prober/internal/probe"
)

// A hostile server does what a test says with each connection, and keeps what it was sent.
type hostile struct {
	address string

	mu   sync.Mutex
	sent bytes.Buffer
}

// serve starts a server that ends with the test.
func serve(t *testing.T, answer func(net.Conn)) *hostile {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hostile{address: l.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer nc.Close()
				answer(tee{nc, h})
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return h
}

// A tee keeps what is read from a connection.
type tee struct {
	net.Conn
	kept io.Writer
}

func (t tee) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	_, _ = t.kept.Write(p[:n])
	return n, err
}

// Write keeps what the server was sent.
func (h *hostile) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sent.Write(p)
}

func (h *hostile) received() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sent.String()
}

// message is one message of the server's.
func message(kind byte, parts ...any) []byte {
	var body []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			body = append(append(body, p...), 0)
		case int:
			body = binary.BigEndian.AppendUint32(body, uint32(p))
		case int16:
			body = binary.BigEndian.AppendUint16(body, uint16(p))
		case byte:
			body = append(body, p)
		case []byte:
			body = append(body, p...)
		}
	}
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)), body...)
}

var (
	letIn   = message('R', 0)
	ready   = message('Z', byte('I'))
	inTx    = message('Z', byte('T'))
	begun   = bytes.Join([][]byte{message('C', "BEGIN"), message('C', "SET"), message('C', "SET"), message('C', "SET"), inTx}, nil)
	columns = message('T', int16(1), "n", 0, int16(0), 23, int16(4), -1, int16(0))
	row     = message('D', int16(1), 1, byte('7'))
	done    = bytes.Join([][]byte{message('C', "SELECT 1"), inTx}, nil)
	refusal = message('E', byte('S'), "FATAL", byte('C'), "28P01", byte('M'), marker, byte('D'), marker, byte('H'), marker, byte('t'), marker, byte(0))
)

// wide is the description of many columns, and a row of NULLs.
func wide(n int) []byte {
	about, values := []any{int16(n)}, []any{int16(n)}
	for range n {
		about, values = append(about, "n", make([]byte, 18)), append(values, -1)
	}
	return slices.Concat(message('T', about...), message('D', values...))
}

// next reads one message of the client's, or its startup.
func next(nc net.Conn, startup bool) {
	head := make([]byte, 5)
	if startup {
		head = head[:4]
	}
	if _, err := io.ReadFull(nc, head); err != nil {
		return
	}
	n := int64(binary.BigEndian.Uint32(head[len(head)-4:])) - 4
	_, _ = io.CopyN(io.Discard, nc, min(n, 1<<20))
}

// untilSync reads messages of the client's to the end of an extended query.
func untilSync(nc net.Conn) {
	for range 5 { // Parse, Bind, Describe, Execute, Sync
		next(nc, false)
	}
}

// loggedIn lets a client without a password in, and into a transaction, before it answers its query.
func loggedIn(answer func(net.Conn)) func(net.Conn) {
	return func(nc net.Conn) {
		next(nc, true)
		nc.Write(slices.Concat(letIn, ready))
		next(nc, false)
		nc.Write(begun)
		untilSync(nc)
		nc.Write(slices.Concat(message('1'), message('2')))
		answer(nc)
	}
}

func hang(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) }

func anonymous() *Settings { return &Settings{Database: "postgres", User: "app"} }

// No password leaves in a form that gives it away, and what the server says is not shown.
func TestConnect_hostile(t *testing.T) {
	startup := func(answer ...[]byte) func(net.Conn) {
		return func(nc net.Conn) {
			next(nc, true)
			nc.Write(bytes.Join(answer, nil))
			hang(nc)
		}
	}
	scram := message('R', 10, "SCRAM-SHA-256", byte(0))
	for name, test := range map[string]struct {
		answer func(net.Conn)
		want   string
	}{
		"asks for the password in clear": {startup(message('R', 3)), "weak_auth: expected SCRAM, but the server asks for the password in clear; it was not sent"},
		"asks for MD5":                   {startup(message('R', 5, []byte("salt"))), "weak_auth: expected SCRAM, but the server asks for an MD5 hash of the password; it was not sent"},
		"asks for nothing":               {startup(letIn, ready), "weak_auth: expected SCRAM, but the server lets the role in without asking for its password"},
		"asks for GSS":                   {startup(message('R', 7)), "weak_auth: expected SCRAM, but the server asks for another way to authenticate"},
		"knows another SASL only":        {startup(message('R', 10, marker, byte(0))), "protocol: the answer of "},
		"a nonce of its own": {func(nc net.Conn) {
			next(nc, true)
			nc.Write(scram)
			next(nc, false)
			nc.Write(message('R', 11, []byte("r="+marker+",s=c2FsdA==,i=4096")))
			hang(nc)
		}, "protocol: the answer of "},
		"a refusal with secrets":         {startup(refusal), "credential: the server rejects the password (SQLSTATE 28P01)"},
		"an error without a state":       {startup(message('E', byte('S'), "FATAL", byte('M'), marker, byte(0))), "protocol: the server reported an error without a valid SQLSTATE"},
		"a state that is a text":         {startup(message('E', byte('C'), marker, byte('M'), marker, byte(0))), "protocol: the server reported an error without a valid SQLSTATE"},
		"an unknown state":               {startup(message('E', byte('C'), "ZZ999", byte('M'), marker, byte(0))), "query_failed: the server could not run the query"},
		"an unknown message":             {startup(message('?', marker)), "protocol: the answer of "},
		"a message of no length":         {startup([]byte{'R', 0, 0, 0, 0}), "protocol: the answer of "},
		"a message of 2 GiB":             {startup([]byte{'R', 0x7f, 0xff, 0xff, 0xff}), "protocol: the answer of "},
		"a message that breaks off":      {func(nc net.Conn) { next(nc, true); nc.Write([]byte{'R', 0, 0, 0, 8, 0}) }, "truncated: the answer of "},
		"a message cut short":            {startup([]byte{'R', 0, 0, 0, 8, 0}), "timeout: no complete answer within "},
		"another protocol":               {startup([]byte("HTTP/1.1 400 Bad Request\r\n\r\n" + marker)), "protocol: the answer of "},
		"a greeting of SSH":              {startup([]byte("SSH-2.0-OpenSSH_9.6\r\n")), "protocol: the answer of "},
		"an error of version 2":          {startup([]byte("EFATAL:  unsupported frontend protocol\n\x00")), "protocol: the answer of "},
		"an alert of TLS":                {startup([]byte{0x15, 3, 1, 0, 2, 2, 0x46}), "protocol: the answer of "},
		"silence":                        {hang, "timeout: no complete answer within "},
		"silence after the startup":      {startup(), "timeout: no complete answer within "},
		"silence after its question":     {startup(scram), "timeout: no complete answer within "},
		"a goodbye":                      {func(nc net.Conn) { next(nc, true) }, "reset: connection closed by "},
		"readiness without a login":      {startup(ready), "protocol: the answer of "},
		"a flood of notices":             {flood(message('N', byte('S'), "WARNING", byte('C'), "01000", byte('M'), marker, byte(0))), "too_large: the server sent more than is read of an answer"},
		"a flood of parameters":          {flood(message('S', marker, marker)), "too_large: the server sent more than is read of an answer"},
		"an announced row before it all": {startup(columns, row), "protocol: the answer of "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, test.answer)
			got, x := connect(t, client(t, settings(t)), s.address, timeoutFor(test.want))
			wantPrefix(t, got, test.want)
			if x.Reason.Word == "ok" || x.Addr != s.address || x.Expected {
				t.Errorf("the exchange is recorded as %+v", x)
			}
			if sent := s.received(); strings.Contains(sent, password) || strings.Contains(sent, "md5") {
				t.Errorf("the server got %q", sent)
			}
		})
	}
}

// timeoutFor returns a short timeout where it is what ends the attempt, and one that a busy machine keeps where it is not.
func timeoutFor(want string) time.Duration {
	if strings.HasPrefix(want, "timeout: no complete answer") {
		return 500 * time.Millisecond
	}
	return 30 * time.Second
}

// flood sends a message again and again.
func flood(m []byte) func(net.Conn) {
	return func(nc net.Conn) {
		next(nc, true)
		many := bytes.Repeat(m, 1+4096/len(m))
		for range 1 << 14 {
			if _, err := nc.Write(many); err != nil {
				return
			}
		}
	}
}

// Whatever the answer to a query is, it costs bounded time and memory.
func TestQuery_hostile(t *testing.T) {
	rows := func(m []byte) func(net.Conn) {
		return func(nc net.Conn) {
			nc.Write(columns)
			many := bytes.Repeat(m, 1+4096/len(m))
			for range 1 << 16 {
				if _, err := nc.Write(many); err != nil {
					return
				}
			}
		}
	}
	send := func(parts ...[]byte) func(net.Conn) {
		return func(nc net.Conn) { nc.Write(bytes.Join(parts, nil)); hang(nc) }
	}
	rolledBack := func(parts ...[]byte) func(net.Conn) {
		return func(nc net.Conn) {
			nc.Write(bytes.Join(parts, nil))
			next(nc, false)
			nc.Write(slices.Concat(message('C', "ROLLBACK"), ready))
			hang(nc)
		}
	}
	for name, test := range map[string]struct {
		answer func(net.Conn)
		want   string
	}{
		"endless rows":               {rows(row), "too_many_rows: expected at most 10 rows, got more"},
		"endless notices":            {rows(message('N', byte('M'), marker, byte(0))), "too_large: the server sent more than is read of an answer"},
		"endless parameters":         {rows(message('S', marker, marker)), "too_large: the server sent more than is read of an answer"},
		"a row of 768 MiB":           {send(columns, []byte{'D', 0x30, 0, 0, 0, 0, 1, 0x2f, 0xff, 0xff, 0xf0}), "too_large: the server announced a message of more than 64 KiB"},
		"a value longer than a row":  {send(columns, message('D', int16(1), 1<<30)), "protocol: the answer of "},
		"a row of other columns":     {send(columns, message('D', int16(2), 1, byte('7'), 1, byte('8'))), "protocol: the server sent a row that its own description does not fit"},
		"more columns than it sends": {send(message('T', int16(2000)), row), "protocol: the answer of "},
		"a row without a word of it": {send(row, done), "protocol: "},
		"no end of the rows":         {send(columns, row), "timeout: no complete answer within "},
		"nothing":                    {hang, "timeout: no complete answer within "},
		"an error with secrets":      {send(message('E', byte('S'), "ERROR", byte('C'), "42P01", byte('M'), marker, byte('s'), marker, byte(0)), message('Z', byte('E'))), "schema: a table of the query does not exist"},
		"a query that was cancelled": {send(message('E', byte('S'), "ERROR", byte('C'), "57014", byte('M'), marker, byte(0)), message('Z', byte('E'))), "timeout: the query took longer than the run may, and was cancelled (SQLSTATE 57014)"},
		"the end of the transaction": {send(columns, row, message('C', "COMMIT"), ready), "read_only_violated: the statement ended the transaction that bounds it"},
		"a goodbye":                  {func(nc net.Conn) { nc.Write(columns) }, "reset: connection closed by "},
		"a goodbye between rows":     {func(nc net.Conn) { nc.Write(slices.Concat(columns, row)) }, "truncated: the answer of "},
		"an error, then a goodbye":   {func(nc net.Conn) { nc.Write(refusal) }, "credential: the server rejects the password (SQLSTATE 28P01)"},
		"no end of the command":      {send(columns, row, inTx), "protocol: the answer of "},
		"a row after its end":        {send(columns, message('C', "SELECT 0"), row, inTx), "protocol: the answer of "},
		"fewer rows than it says":    {send(columns, row, message('C', "SELECT 2"), inTx), "protocol: the answer of "},
		"no row of one":              {send(columns, done), "protocol: the answer of "},
		"two ends":                   {send(columns, row, message('C', "SELECT 1"), message('C', "SELECT 1"), inTx), "protocol: the answer of "},
		"rows as it says":            {rolledBack(columns, row, done), "ok: "},
		"a length below NULL":        {send(columns, message('D', int16(1), -2), done), "protocol: the answer of "},
		"as many columns as may be":  {rolledBack(wide(maxColumns), done), "ok: "},
		"a column too many":          {send(wide(maxColumns+1), done), "too_large: expected at most 64 columns, got 65"},
		"as many rows as may be":     {rolledBack(columns, bytes.Repeat(row, 10), message('C', "SELECT 10"), inTx), "ok: "},
		"a row too many":             {send(columns, bytes.Repeat(row, 11), message('C', "SELECT 11"), inTx), "too_many_rows: expected at most 10 rows, got more"},
		"two descriptions":           {send(columns, columns, row, done), "protocol: the answer of "},
		"a row longer than itself":   {send(columns, message('D', int16(1), 1, byte('7'), byte('8')), done), "protocol: the answer of "},
		"a state of nobody":          {send(columns, row, message('C', "SELECT 1"), message('Z', byte('X'))), "protocol: the answer of "},
		"a transaction that failed":  {send(columns, row, message('C', "SELECT 1"), message('Z', byte('E'))), "protocol: the answer of "},
		"a copy":                     {send(message('G', byte(0), int16(0))), "schema: expected a query, got a statement that copies"},
		"a message of nobody":        {send(columns, message('?', marker), row, done), "protocol: the answer of "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, loggedIn(test.answer))
			got, _ := attempt(t, client(t, anonymous()), s.address, timeoutFor(test.want), func(c *Conn) error {
				_, err := query(c, Query{SQL: "SELECT n", MaxRows: 10})
				if err != nil && Code(err) == "" && c.command("SELECT 1") == nil {
					t.Error("the connection is still used")
				}
				return err
			})
			wantPrefix(t, got, test.want)
		})
	}
}

// An answer that comes twice is not taken for the one to the next query. A notice that nobody asked for is none.
func TestQuery_unasked(t *testing.T) {
	notice := message('N', byte('M'), marker, byte(0))
	answer := slices.Concat(columns, row, message('C', "SELECT 1"), inTx)
	for name, test := range map[string]struct {
		more []byte
		want string
	}{"the answer again": {answer, "protocol: the answer of "}, "a notice": {notice, "ok: "}} {
		s := serve(t, loggedIn(func(nc net.Conn) {
			nc.Write(slices.Concat(answer, test.more))
			next(nc, false)
			nc.Write(answer)
			hang(nc)
		}))
		got, _ := attempt(t, client(t, anonymous()), s.address, 30*time.Second, func(c *Conn) error {
			tx, err := c.Begin(ReadOnly)
			if err != nil {
				return err
			}
			if _, err := tx.Query(Query{SQL: "SELECT n", MaxRows: 10}); err != nil {
				t.Errorf("%s: the answer itself: %v", name, err)
			}
			_, err = tx.Query(Query{SQL: "SELECT m", MaxRows: 10})
			return err
		})
		wantPrefix(t, got, test.want)
	}
}

// Nothing is asked outside of the transaction that bounds it: a server or a pool that did not begin one is not asked.
func TestBegin_withoutTransaction(t *testing.T) {
	for status, want := range map[byte]string{
		'I': "control_failed: expected a transaction that bounds the query, but the server began none",
		'E': "protocol: the answer of ", // it has failed, and the server does not say why
		'T': "ok: ",
	} {
		s := serve(t, func(nc net.Conn) {
			next(nc, true)
			nc.Write(slices.Concat(letIn, ready))
			next(nc, false)
			nc.Write(slices.Concat(message('C', "BEGIN"), message('Z', status)))
			hang(nc)
		})
		got, _ := attempt(t, client(t, anonymous()), s.address, 30*time.Second, func(c *Conn) error {
			_, err := c.Begin(ReadOnly)
			if err != nil && c.command("SELECT 1") == nil {
				t.Error("the connection is still used")
			}
			return err
		})
		wantPrefix(t, got, want)
	}
}

// A query that is still running is cancelled over a connection of its own by the key that the server gave, whatever the
// server makes of that. One that has been answered is not, and nothing is without a key.
func TestClose_cancels(t *testing.T) {
	key := message('K', 77, []byte("\x01\x02\x03\x04"))
	for name, test := range map[string]struct {
		login   []byte
		answer  []byte // to the query
		refuses bool   // to hear of it
		cancels bool
	}{
		"running":              {slices.Concat(letIn, key, ready), columns, false, true},
		"answered":             {slices.Concat(letIn, key, ready), slices.Concat(columns, row, done), false, false},
		"refused":              {slices.Concat(letIn, key, ready), slices.Concat(refusal, message('Z', byte('E'))), false, false},
		"without a key":        {slices.Concat(letIn, ready), columns, false, false},
		"who does not hang up": {slices.Concat(letIn, key, ready), columns, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var firsts [][]byte
			s := serve(t, func(nc net.Conn) {
				head := make([]byte, 8)
				if _, err := io.ReadFull(nc, head); err != nil {
					return
				}
				first := make([]byte, binary.BigEndian.Uint32(head)-8)
				_, _ = io.ReadFull(nc, first)
				first = slices.Concat(head, first)
				mu.Lock()
				firsts = append(firsts, first)
				mu.Unlock()
				if binary.BigEndian.Uint32(head[4:]) == 80877102 { // CancelRequest
					if test.refuses {
						hang(nc)
					}
					return
				}
				nc.Write(test.login)
				next(nc, false)
				nc.Write(begun)
				untilSync(nc)
				nc.Write(slices.Concat(message('1'), message('2'), test.answer))
				hang(nc)
			})
			attempt(t, client(t, anonymous()), s.address, time.Second, func(c *Conn) error {
				tx, err := c.Begin(ReadOnly)
				if err == nil {
					_, err = tx.Query(Query{SQL: "SELECT n", MaxRows: 10})
				}
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			want := []byte{0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 77, 1, 2, 3, 4}
			if cancelled := len(firsts) > 1; cancelled != test.cancels || cancelled && !bytes.Equal(firsts[1], want) || len(firsts) > 2 {
				t.Errorf("cancelled %t; the server was first sent %x", cancelled, firsts)
			}
		})
	}
}

// A row is charged by its bytes, and 32 for each value and for itself.
func TestQuery_charge(t *testing.T) {
	big := message('D', int16(1), 60000, bytes.Repeat([]byte{'x'}, 60000))
	s := serve(t, loggedIn(func(nc net.Conn) { nc.Write(slices.Concat(columns, big, message('C', "SELECT 1"), inTx)); hang(nc) }))
	const free = 32 << 10 // without a charge, see package memory
	const exact = maxMessage + 4 + 60000 + 2*32 - free
	for room, fits := range map[int64]bool{exact: true, exact - 1: false} {
		ctx, account := memory.NewBudget(room).Open(t.Context())
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		conn, err := client(t, anonymous()).Connect(ctx, probe.NewResult(probe.ID{}), "connect", s.address)
		if err != nil {
			t.Fatal(err)
		}
		tx, err := conn.Begin(ReadOnly)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = tx.Query(Query{SQL: "SELECT n", MaxRows: 10}); (err == nil) != fits || err != nil && Explain(err).Reason != probe.SelfLimit {
			t.Errorf("%d bytes of room: %v", room, err)
		}
		conn.Close()
		cancel()
		account.Close()
	}
}

// What a server sends is bounded in memory too.
func TestQuery_hostileMemory(t *testing.T) {
	big := message('D', int16(1), 60000, bytes.Repeat([]byte{'x'}, 60000))
	s := serve(t, loggedIn(func(nc net.Conn) {
		nc.Write(columns)
		for range 1000 {
			if _, err := nc.Write(big); err != nil {
				return
			}
		}
	}))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, _ := attempt(t, client(t, anonymous()), s.address, 5*time.Second, func(c *Conn) error {
		_, err := query(c, Query{SQL: "SELECT n", MaxRows: 1000})
		return err
	})
	runtime.ReadMemStats(&after)
	wantPrefix(t, got, "too_large: the server sent more than is read of an answer")
	if grew := after.TotalAlloc - before.TotalAlloc; grew > 8<<20 {
		t.Errorf("it took %d KiB", grew>>10)
	}
}

// Answers are charged to what all runs may take together.
func TestQuery_budget(t *testing.T) {
	big := message('D', int16(1), 60000, bytes.Repeat([]byte{'x'}, 60000))
	s := serve(t, loggedIn(func(nc net.Conn) { nc.Write(slices.Concat(columns, bytes.Repeat(big, 8))); hang(nc) }))
	ctx, account := memory.NewBudget(200 << 10).Open(t.Context())
	defer account.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r := probe.NewResult(probe.ID{})
	conn, err := client(t, anonymous()).Connect(ctx, r, "connect", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = query(conn, Query{SQL: "SELECT n", MaxRows: 10})
	if o := Explain(err); o.Reason != probe.SelfLimit || len(account.Excesses()) != 1 {
		t.Errorf("got %+v, noted %d", o, len(account.Excesses()))
	}
}

// A connection gives back what it took, and no more: also if there was no room for it.
func TestConnect_budgetIsGivenBack(t *testing.T) {
	s := serve(t, loggedIn(hang))
	for _, room := range []int64{maxMessage / 4, maxMessage} {
		ctx, account := memory.NewBudget(room).Open(t.Context())
		defer account.Close()
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		conn, err := client(t, anonymous()).Connect(ctx, probe.NewResult(probe.ID{}), "connect", s.address)
		if fits := room == maxMessage; (err == nil) != fits {
			t.Fatalf("%d bytes of room: %v", room, err)
		}
		if err == nil {
			conn.Close()
		}
		const free = 32 << 10 // without a charge, see package memory
		if err := memory.Take(ctx, room+free+1); err == nil {
			t.Errorf("%d bytes of room: more was given back than taken", room)
		}
		if err := memory.Take(ctx, room+free); err != nil {
			t.Errorf("%d bytes of room: less was given back than taken: %v", room, err)
		}
	}
}

// Off this machine nothing is said before TLS is agreed on and the certificate is verified.
func TestConnect_onlyByTLS(t *testing.T) {
	for name, test := range map[string]struct{ answer, want string }{
		"no TLS":          {"N", "tls: the server offers no TLS, without which nothing is sent to another machine"},
		"an error":        {"E" + marker, "refused: the server refused the connection before TLS"},
		"another answer":  {"H", "tls: the TLS handshake with "},
		"TLS in words":    {"S" + marker + strings.Repeat(" ", 100), "tls: "},
		"nothing":         {"", "timeout: no complete answer within "},
		"TLS and nothing": {"S", "timeout: no complete answer within "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(nc net.Conn) {
				_, _ = io.CopyN(io.Discard, nc, 8)
				io.WriteString(nc, test.answer)
				hang(nc)
			})
			c := client(t, settings(t))
			c.dialer.Open = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, s.address)
			}
			got, _ := connect(t, c, "192.0.2.1:5432", 500*time.Millisecond)
			wantPrefix(t, got, test.want)
			if sent := s.received(); strings.Contains(sent, "app") || !strings.HasPrefix(sent, "\x00\x00\x00\x08\x04\xd2\x16\x2f") {
				t.Errorf("the server got %q", sent)
			}
		})
	}
}

// A name that is said to be of this machine, and is not, gets nothing.
func TestConnect_notThisMachine(t *testing.T) {
	c := client(t, settings(t))
	c.dialer.Open = func(context.Context, string, string) (net.Conn, error) {
		t.Error("it is dialled")
		return nil, io.EOF
	}
	x := dial.Begin(t.Context(), 1)
	defer x.Close()
	o := &opener{dialer: c.dialer}
	if _, err := o.open(x.Context(), x, "192.0.2.1:5432"); x.Explain(err).Reason != probe.Credential {
		t.Error(err)
	}
}

// Without the files for TLS nothing is dialled, and the check says which one is missing.
func TestConnect_missingFiles(t *testing.T) {
	s := settings(t)
	s.TLS = &dial.TLS{CAFile: "/nowhere/ca.pem"}
	c := client(t, s)
	c.dialer.Open = func(context.Context, string, string) (net.Conn, error) {
		t.Error("it is dialled")
		return nil, io.EOF
	}
	got, _ := connect(t, c, "192.0.2.1:5432", time.Second)
	wantPrefix(t, got, "credential: /nowhere/ca.pem: no such file or directory")
}

// Nothing comes from the environment, nor from a file below the user's home.
func TestConnect_environment(t *testing.T) {
	home := t.TempDir()
	service := filepath.Join(home, ".pg_service.conf")
	for name, content := range map[string]string{".pgpass": "*:*:*:*:" + marker + "\n", ".pg_service.conf": "[prod]\nuser=" + marker + "\n"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"HOME": home, "PGHOST": "192.0.2.1", "PGPORT": "1", "PGUSER": marker, "PGDATABASE": marker, "PGPASSWORD": marker, "PGOPTIONS": "-c a=" + marker,
		"PGPASSFILE": filepath.Join(home, ".pgpass"), "PGAPPNAME": marker, "PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/nowhere", "PGSSLCERTMODE": "require",
		"PGCONNECT_TIMEOUT": "x", "PGTARGETSESSIONATTRS": "x", "PGTZ": marker, "PGREQUIREAUTH": "none", "PGCHANNELBINDING": "x",
		"PGMINPROTOCOLVERSION": "x", "PGMAXPROTOCOLVERSION": "x", "PGSSLNEGOTIATION": "direct", "PGSERVICEFILE": service, "PGSERVICE": "prod",
	} {
		t.Setenv(name, value)
	}
	s := serve(t, func(nc net.Conn) {
		next(nc, true)
		nc.Write(message('R', 3))
		hang(nc)
	})
	got, _ := connect(t, client(t, anonymous()), s.address, 2*time.Second)
	wantPrefix(t, got, "weak_auth: expected SCRAM, but the server asks for the password in clear")
	if sent := s.received(); strings.Contains(sent, marker) || !strings.Contains(sent, "user\x00app\x00") || strings.Contains(sent, "options") {
		t.Errorf("the server got %q", sent)
	}
}
