// Package dial is the only way to a socket. Whatever a kind of probe speaks, its connections come from here.
//
// It promises, against any target and any name server:
//
//   - link-local, metadata, multicast and unspecified addresses are never dialled;
//   - an exchange opens a bounded number of connections and reads a bounded number of bytes;
//   - reads and writes end with the exchange's context, whoever uses the connection by then;
//   - each error has one reason of the closed set and one sentence, which holds no byte of the target's.
//
// A kind begins an [Exchange] per question. It passes [Exchange.Context] to whatever dials: its own code, or a third-party
// client that was given [Dialer.DialContext]:
//
//	x := dial.Begin(ctx, 1)
//	defer x.Close()
//	conn, err := p.dialer.DialContext(x.Context(), "tcp", p.Address)
//	if err != nil {
//		r.Note("connect", x.Explain(err))
//	}
package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// defaultMaxRead is how many bytes may be read from a connection unless MaxRead says otherwise.
const defaultMaxRead = 16 << 20

// A Dialer opens connections. The zero value asks the name servers of this machine and trusts its certificate
// authorities. A Dialer does not change once it is in use; its methods may be called from several goroutines.
type Dialer struct {
	Resolver *net.Resolver // nil: the name servers of this machine
	MaxRead  int64         // bytes that may be read from one connection; 0: 16 MiB

	// IPVersion says which addresses of a host are dialled, and which first.
	IPVersion IPVersion

	// AllowLinkLocal allows link-local and metadata addresses. It is meant for protocols whose questions and answers carry
	// no credentials, such as NTP: clouds have time servers at these addresses.
	AllowLinkLocal bool

	// Ping are the settings of sockets for echo requests.
	Ping Ping

	// Open, if set, opens a connection to an IP:port in place of the network, for tests. It is not called for addresses
	// that are denied.
	Open func(ctx context.Context, network, address string) (net.Conn, error)

	tls   *TLS
	files *tlsFiles // of tls; nil only if that is
}

// New returns a dialer that asks the name server at resolver, host:port, and uses TLS with the settings t. If resolver is
// empty it asks the machine's own name servers; if t is nil it uses the defaults. The files of t are read at use.
//
//go:noinline
func New(resolver string, t *TLS) *Dialer {
	d := &Dialer{Resolver: Resolver(resolver), tls: t}
	if t != nil {
		d.files = &tlsFiles{}
	}
	return d
}

// ErrConns is returned when an exchange has opened as many connections as it may.
var ErrConns = errors.New("too many connections for one exchange")

// DialContext opens a connection to address, host:port, over "tcp" or "udp", or to the path of a socket over "unix". The host's addresses are tried one after
// the other, those of IPv6 and of IPv4 in turn, at most 16 of them. Over "icmp", the address is a host without a port, and what is
// read and written are messages of ICMP: echo requests with the port of the local address as their identifier, and replies or an
// [EchoError]. Nothing is sent to an address before that.
//
// If ctx comes from an [Exchange], the exchange counts the connection, times the phases and closes it. The connection
// is bound to the exchange's context, or to ctx if there is no exchange: reads and writes fail once that is over. A
// dial also ends with ctx, so that a client may bound its own dials.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	x := exchangeOf(ctx)
	if x == nil {
		x = Begin(ctx, 1)
	}
	ctx, cancel := x.bound(ctx)
	defer cancel()
	if !x.mayOpen() {
		return nil, ErrConns
	}
	nc, err := d.open(ctx, x, network, address)
	if err != nil {
		return nil, err
	}
	return x.opened(nc, d.maxRead())
}

func (d *Dialer) open(ctx context.Context, x *Exchange, network, address string) (net.Conn, error) {
	if network == "unix" {
		return d.connectUnix(ctx, x, address)
	}
	if network == networkICMP {
		return d.connect(ctx, x, network, address, "0")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return d.connect(ctx, x, network, host, port)
}

// networkICMP is the network of echo requests.
const networkICMP = "icmp"

// DialTLSContext opens a connection to address, host:port, and speaks TLS on it. The server is verified as the host
// or, if the settings name one, by that name.
func (d *Dialer) DialTLSContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	cfg, err := d.TLSConfig(host, false)
	if err != nil {
		return nil, err
	}
	nc, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	tc, err := Handshake(ctx, nc, cfg)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

// Handshake performs a TLS handshake on a connection, by the deadlines of ctx and of the exchange that ctx comes from. It
// does not close the connection if the handshake fails. Sessions are never resumed: that would hide problems with
// certificates.
func Handshake(ctx context.Context, nc net.Conn, cfg *tls.Config) (*tls.Conn, error) {
	x := exchangeOf(ctx)
	if x == nil {
		x = Begin(ctx, 1)
	}
	ctx, cancel := x.bound(ctx)
	defer cancel()
	x.Enter(PhaseTLS)
	x.verifies(cfg.ServerName)
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			x.certified(expiry(nil, bad.UnverifiedCertificates))
		}
		return nil, err
	}
	state := tc.ConnectionState()
	end := expiry(state.VerifiedChains, state.PeerCertificates)
	x.certified(end)
	if c := Underlying(nc); c != nil {
		c.certified(end)
	}
	return tc, nil
}

// Resolves reports whether the host of address, host:port, has the IP address of a peer, IP:port: whoever dialled it now
// might get there. An address that is an IP itself is not looked up.
func (d *Dialer) Resolves(ctx context.Context, address, peer string) (bool, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false, err
	}
	x := exchangeOf(ctx)
	if x == nil {
		x = Begin(ctx, 1)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	found, n, err := d.search(ctx, x, "tcp", host, port)
	if err != nil {
		return false, err
	}
	known := false
	for found.pending > 0 {
		a, _ := found.next(nil)
		known = known || len(a.addrs) > 0
		if slices.ContainsFunc(a.addrs, func(ip netip.Addr) bool { return netip.AddrPortFrom(ip, n).String() == peer }) {
			return true, nil
		}
	}
	if !known {
		return false, found.err()
	}
	return false, nil
}

// An opener opens a connection to an IP:port.
type opener = func(ctx context.Context, network, address string) (net.Conn, error)

type openKey struct{}

// WithOpen returns a context in which every dialer without an Open has this one, for tests of whole probes.
func WithOpen(ctx context.Context, open func(ctx context.Context, network, address string) (net.Conn, error)) context.Context {
	return context.WithValue(ctx, openKey{}, open)
}

func (d *Dialer) maxRead() int64 {
	if d.MaxRead > 0 {
		return d.MaxRead
	}
	return defaultMaxRead
}

// connectTo dials one address and leaves time for the remaining ones. All connections to targets are opened here, after
// the address was checked.
func (d *Dialer) connectTo(ctx context.Context, network string, addr netip.AddrPort, left int) (net.Conn, error) {
	if class := denied(addr.Addr()); class != "" && !(d.AllowLinkLocal && (class == classLinkLocal || class == classMetadata)) {
		return nil, &DeniedError{addr.Addr(), class}
	}
	if end, ok := ctx.Deadline(); ok && left > 1 {
		share, cancel := context.WithTimeout(ctx, time.Until(end)/time.Duration(min(left, maxShares)))
		defer cancel()
		ctx = share
	}
	open := d.Open
	if open == nil {
		open, _ = ctx.Value(openKey{}).(opener)
	}
	if open != nil {
		return open(ctx, network, addr.String())
	}
	if network == networkICMP {
		return openPing(addr.Addr(), d.Ping)
	}
	// Keep-alive packets would only cost system calls on short connections. DialTCP would bind one of 28,000 local ports
	// first, for this connection only; without it, connections to different targets can share a port.
	nd := net.Dialer{KeepAlive: -1}
	return nd.DialContext(ctx, network, addr.String())
}

// search starts to look up a host. An IP address is not looked up.
func (d *Dialer) search(ctx context.Context, x *Exchange, network, host, port string) (*search, uint16, error) {
	families := d.IPVersion.families(network)
	if families == nil {
		return nil, 0, net.UnknownNetworkError(network)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, 0, err
	}
	host = HostName(host)
	if ip, err := netip.ParseAddr(host); err == nil {
		known := &search{ctx: ctx, prefers: families[0], answers: make(chan answer, 1), pending: 1}
		known.answers <- answer{family: families[0], addrs: []netip.Addr{ip}}
		return known, uint16(n), nil
	}
	x.Enter(PhaseResolve)
	x.resolves(host, familyName(families))
	return startSearch(ctx, d.Resolver, host, families...), uint16(n), nil
}

// local reports whether an error is due to this machine.
func local(err error) bool {
	for errno := range selfNetwork {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
