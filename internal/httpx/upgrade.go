package httpx

import (
	"io"
	"net"
	"net/http"

	"prober/internal/probe"
)

// An Upgrade asks the server to go on in another protocol on the connection of the request (RFC 9110, section 7.8). The connection is
// never kept. A server that does not agree answers as to any other request.
type Upgrade struct {
	Protocol string // the word for the header Upgrade

	// Speak is called if the server agrees with 101. It checks what the header says, and has the connection until it returns; reads
	// and writes end with the exchange. It returns what became of the exchange. Explain returns what an error of the connection is.
	Speak func(nc net.Conn, header http.Header, explain func(error) probe.Outcome) probe.Outcome
}

// ask writes the header of an upgrade.
func (u *Upgrade) ask(req *http.Request) {
	req.Header["Connection"], req.Header["Upgrade"] = []string{"Upgrade"}, []string{u.Protocol}
}

// speak goes on in the other protocol.
func (u *Upgrade) speak(a *Answer, x *exchange, resp *http.Response) (o probe.Outcome, err error) {
	if a.Proto, err = x.inspect(resp); err != nil {
		return o, err
	}
	a.Status, a.StatusText, a.Header = resp.StatusCode, resp.Status, resp.Header
	return u.Speak(upgraded{x.conn.Conn, x.http1.in}, resp.Header, x.explain), nil
}

// upgraded is a connection of which something may have been read together with the answer.
type upgraded struct {
	net.Conn
	in io.Reader
}

// Read reads what came with the answer first.
func (u upgraded) Read(p []byte) (int, error) { return u.in.Read(p) }
