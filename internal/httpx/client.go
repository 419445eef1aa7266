package httpx

import (
	"context"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"prober/internal/dial"
)

// Bounds of headers and of kept connections.
const (
	maxHeader = 64 << 10
	idleFor   = 2 * time.Minute // how long a connection is kept, with connection: reuse
	maxIdle   = 16              // connections kept to one host, for exchanges at the same time
)

// A Client makes exchanges with the same settings. Its methods may be called from several goroutines.
type Client struct {
	settings   *Settings
	transport  http.Transport
	http       http.Client
	dialer     *dial.Dialer
	tokens     *tokens // nil without oauth2 or login
	reuses     bool
	http2      bool
	credential bool          // every request that is not anonymous carries one
	generation atomic.Uint32 // raised when kept connections are abandoned, see finish
	waits      waits
	bound      int64 // bytes that may be read from a connection for one exchange
}

// Client checks the settings, and the URL that will be asked by them, and returns a client. The error joins a
// probe.SettingError for each thing that is wrong and repeats no secret; what is wrong with the URL is said of the setting
// url. An empty URL is not looked at. The settings must not change afterwards.
func (s *Settings) Client(url string) (*Client, error) {
	return s.ClientFor(map[string]string{"url": url})
}

// ClientFor is Client for URLs that other settings hold: it takes each by the path of its setting.
func (s *Settings) ClientFor(urls map[string]string) (*Client, error) {
	if err := s.validate(urls); err != nil {
		return nil, err
	}
	c := &Client{}
	if err := c.init(s, s.Connection == reuse, s.HTTP2); err != nil {
		return nil, err
	}
	c.credential = s.HasCredential()
	if issuer := s.issuer(); issuer != nil {
		t, err := newTokens(s, issuer)
		if err != nil {
			return nil, err
		}
		c.tokens = t
	}
	return c, nil
}

// SharingConnections checks the settings as ClientFor does and returns a client that sends its requests over the kept
// connections of another. The settings must differ from those of the other in credentials and headers only, and neither
// may have a client certificate, which belongs to a connection. Only the other has to be closed.
func (s *Settings) SharingConnections(other *Client, urls map[string]string) (*Client, error) {
	c, err := s.ClientFor(urls)
	if err != nil {
		return nil, err
	}
	c.http.Transport = &other.transport
	return c, nil
}

// init builds everything in place: there may be ten thousand clients.
func (c *Client) init(s *Settings, reuses, http2 bool) error {
	c.settings, c.reuses, c.http2 = s, reuses, http2
	// Chunks of one byte are six times as long as their content. HTTP/2 needs no such allowance, but has frames that cost
	// the reader more than the writer.
	c.bound = 8*s.maxBody() + 1<<20
	if http2 {
		c.bound = 2*s.maxBody() + 256<<10
	}
	d, err := dial.New(s.Resolver, s.TLS)
	if err != nil {
		return err
	}
	d.MaxRead = c.bound
	c.dialer = d
	t := &c.transport
	t.DialContext, t.DialTLSContext = dialPlain, dialTLS
	t.DisableKeepAlives = !reuses
	t.DisableCompression = true
	t.MaxResponseHeaderBytes = maxHeader
	t.IdleConnTimeout, t.MaxIdleConnsPerHost = idleFor, maxIdle
	t.ReadBufferSize, t.WriteBufferSize = 2<<10, 1<<10
	t.Protocols = onlyHTTP1
	if http2 {
		t.Protocols = alsoHTTP2
		t.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 256 << 10, MaxReceiveBufferPerConnection: 1 << 20}
	}
	c.http.Transport = t
	c.http.CheckRedirect = noRedirect
	return nil
}

var onlyHTTP1, alsoHTTP2 = protocols(false), protocols(true)

func protocols(two bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(two)
	return p
}

func dialPlain(ctx context.Context, _, _ string) (net.Conn, error) {
	return exchangeOf(ctx).dial(false)
}

func dialTLS(ctx context.Context, _, _ string) (net.Conn, error) { return exchangeOf(ctx).dial(true) }

// noRedirect follows no redirect: it would forward credentials to other ports and sub-domains, and in clear.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Close closes the connections kept for reuse.
func (c *Client) Close() {
	c.transport.CloseIdleConnections()
	if c.tokens != nil {
		c.tokens.client.transport.CloseIdleConnections()
	}
}

// Resolver returns what the client asks for addresses: the name server of the settings, or the system's.
func (c *Client) Resolver() *net.Resolver { return c.dialer.Resolver }

// product is the name in User-Agent.
const product = "prober"

// userAgent returns "prober/VERSION", with the version in the build information.
var userAgent = sync.OnceValue(func() string {
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		version = info.Main.Version
	}
	return product + "/" + version
})
