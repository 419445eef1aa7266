package timesync

import (
	"context"
	"errors"
	"net"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"

	"github.com/beevik/ntp"
)

// A Client queries NTP servers. The zero value uses the name servers of this machine.
type Client struct {
	Resolver *net.Resolver

	// In place of the library and of the network, in tests.
	query func(address string, o ntp.QueryOptions) (*ntp.Response, error)
	open  func(ctx context.Context, network, address string) (net.Conn, error)
}

// maxUnmatched is how many packets with another origin timestamp are ignored while waiting for the right one.
const maxUnmatched = 16

// Ask queries a server, host:port, once, and returns by ctx's deadline. The error is a ReplyError if the server replied
// and its reply cannot be used; otherwise it says why there was no reply.
func (a *Client) Ask(ctx context.Context, server string) (reply Reply, err error) {
	x := &exchange{}
	defer func() {
		// A packet with Poll or Precision 0x80 made a version of the library panic. That must not end the prober.
		if recover() != nil {
			reply, err = Reply{}, reject(BadReply, "its reply cannot be read")
		}
	}()
	query := a.query
	if query == nil {
		query = ntp.QueryWithOptions
	}
	// The question carries no credential, and clouds have their time servers at link-local addresses.
	dialer := dial.Dialer{Resolver: a.Resolver, AllowLinkLocal: true, Open: a.open}
	end, bounded := ctx.Deadline()
	if !bounded {
		end = time.Now().Add(5 * time.Second)
	}
	read, err := query(server, ntp.QueryOptions{
		Version: version,
		Timeout: max(time.Until(end), time.Nanosecond), // the library takes 0 for 5 s
		Dialer: func(_, address string) (net.Conn, error) {
			// The library's own dialer would wait for a name server for ever, whatever its timeout.
			conn, err := dialer.DialContext(ctx, "udp", address)
			if err != nil {
				return nil, err
			}
			x.Conn, x.peer = conn, dial.Underlying(conn).Peer()
			return x, nil
		},
	})
	switch {
	case x.kiss() != nil:
		return Reply{}, x.kiss()
	case err == nil && x.reply != nil:
		return x.interpret(read)
	case !x.received.IsZero() || x.short:
		return Reply{}, reject(BadReply, "its reply is not valid (RFC 5905)")
	case x.unmatched > 0:
		return Reply{}, reject(Replayed, "its reply is to another request")
	}
	return Reply{}, err
}

// An exchange is one request and its reply. It sits between the library and the socket, where it notes when the packets
// were sent and received. It ignores replies to other requests, and what is too short for one: the library would give up at the first, and anyone who
// sends one could suppress the real reply.
type exchange struct {
	net.Conn
	peer string

	request        []byte
	reply          []byte // with the origin timestamp of the request
	sent, received time.Time
	unmatched      int
	short          bool // the last that was ignored is no packet of NTP
}

// Write sends the request.
func (x *exchange) Write(p []byte) (int, error) {
	x.request = append([]byte(nil), p...)
	x.sent = probe.ReadClock()
	return x.Conn.Write(p)
}

// Read waits for the reply to the request.
func (x *exchange) Read(p []byte) (int, error) {
	for x.unmatched < maxUnmatched {
		n, err := x.Conn.Read(p)
		if err != nil {
			return n, err
		}
		x.short = n < headerLength
		if x.short || string(p[24:32]) != string(x.request[40:48]) {
			x.unmatched++
			continue
		}
		x.received = probe.ReadClock()
		x.reply = append([]byte(nil), p[:n]...)
		return n, nil
	}
	return 0, errors.New("too many packets that do not match the request")
}

// kiss reads a kiss-o'-death packet (RFC 5905, section 7.4), whose other fields mean nothing; nil if the reply is
// something else. A packet without the origin timestamp of the request never gets here, or anyone could keep a server
// from being queried.
func (x *exchange) kiss() error {
	const server = 4
	if x.reply == nil || x.reply[0]&7 != server || x.reply[0]>>3&7 != version || x.reply[1] != 0 {
		return nil
	}
	switch string(x.reply[12:16]) {
	case "RATE":
		return reject(probe.RateLimited, "it demands fewer requests (kiss-o'-death RATE)")
	case "DENY", "RSTR":
		return reject(Kiss, "it refuses requests (kiss-o'-death DENY or RSTR)")
	}
	return reject(Unsynchronised, "it is not synchronised (stratum 0)")
}
