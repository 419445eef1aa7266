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

// Client asks NTP servers. The zero value looks names up as this machine does.
type Client struct {
	Resolver *net.Resolver

	// In place of the library and of the network, in tests.
	query func(address string, o ntp.QueryOptions) (*ntp.Response, error)
	open  func(ctx context.Context, network, address string) (net.Conn, error)
}

// maxUnmatched is how many packets with another origin are passed over while the right one is waited for.
const maxUnmatched = 16

// Ask asks a server, host:port, once, and returns by ctx's deadline. The error is a Flaw where the server answered and
// its answer is not used, and else what kept it from answering.
func (a *Client) Ask(ctx context.Context, server string) (reply Reply, err error) {
	x := &exchange{}
	defer func() {
		// A single packet made a version of the library panic: Poll or Precision 0x80. That must not end the prober.
		if recover() != nil {
			reply, err = Reply{}, reject(BadReply, "its answer cannot be read")
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
		Timeout: max(time.Until(end), time.Nanosecond), // 0 would mean 5 s to it
		Dialer: func(_, address string) (net.Conn, error) {
			// The library itself would wait for a name server as long as that takes, whatever its timeout.
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
	case err == nil && len(x.reply) >= headerLength:
		return x.interpret(read)
	case !x.received.IsZero():
		return Reply{}, reject(BadReply, "its answer is none that RFC 5905 allows")
	case x.unmatched > 0:
		return Reply{}, reject(Replayed, "it answered another question than was asked")
	}
	return Reply{}, err
}

// An exchange is one question and its answer. It stands between the library and the socket, where it notes when the
// packets went and came, and passes over those that answer another question: the library would give up at the first,
// and whoever sends one could keep a true answer away.
type exchange struct {
	net.Conn
	peer string

	question       []byte
	reply          []byte // with the question's own origin, or too short to have one
	sent, received time.Time
	unmatched      int
}

// Write sends the question.
func (x *exchange) Write(p []byte) (int, error) {
	x.question = append([]byte(nil), p...)
	x.sent = probe.ReadClock()
	return x.Conn.Write(p)
}

// Read waits for the answer to the question.
func (x *exchange) Read(p []byte) (int, error) {
	for x.unmatched < maxUnmatched {
		n, err := x.Conn.Read(p)
		if err != nil {
			return n, err
		}
		if n >= headerLength && string(p[24:32]) != string(x.question[40:48]) {
			x.unmatched++
			continue
		}
		x.received = probe.ReadClock()
		x.reply = append([]byte(nil), p[:n]...)
		return n, nil
	}
	return 0, errors.New("too many packets that answer no question")
}

// kiss reads a kiss of death (RFC 5905, section 7.4), whose other fields mean nothing; nil if the answer is none. One
// without the question's origin never gets here, or anybody could keep a server from being asked.
func (x *exchange) kiss() error {
	const server = 4
	if len(x.reply) < headerLength || x.reply[0]&7 != server || x.reply[0]>>3&7 != version || x.reply[1] != 0 {
		return nil
	}
	switch string(x.reply[12:16]) {
	case "RATE":
		return reject(probe.RateLimited, "it says that it is asked too often (kiss of death RATE)")
	case "DENY", "RSTR":
		return reject(Kiss, "it forbids to be asked (kiss of death DENY or RSTR)")
	}
	return reject(Unsynchronised, "it says that it does not know the time (stratum 0)")
}
