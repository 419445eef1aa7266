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

// Bounds of an answer beside its body.
const (
	maxHeader = 64 << 10
	idleFor   = 2 * time.Minute // a kept connection, under connection: reuse
	maxIdle   = 16              // kept connections to one host, so that exchanges at the same time find some
)

// A Client makes exchanges after one Settings. Its methods may be called from several goroutines.
type Client struct {
	settings   *Settings
	transport  http.Transport
	http       http.Client
	dialer     *dial.Dialer
	tokens     *tokens // nil without oauth2
	reuses     bool
	http2      bool
	credential bool          // every request carries one, unless it is anonymous
	given      atomic.Uint32 // times that kept connections were given up, see finish
	bound      int64         // bytes that may be read from a connection for one exchange
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
	if s.OAuth2 != nil {
		t, err := newTokens(s)
		if err != nil {
			return nil, err
		}
		c.tokens = t
	}
	return c, nil
}

// SharingConnections checks the settings as Client does and returns a client that sends its requests over the kept connections of
// another. The settings must be those of the other but for credentials and headers, and neither may show a client
// certificate, which belongs to a connection. Close has to be called on the other only.
func (s *Settings) SharingConnections(other *Client, url string) (*Client, error) {
	c, err := s.Client(url)
	if err != nil {
		return nil, err
	}
	c.http.Transport = &other.transport
	return c, nil
}

// init builds everything in place, since ten thousand clients are kept.
func (c *Client) init(s *Settings, reuses, http2 bool) error {
	c.settings, c.reuses, c.http2 = s, reuses, http2
	// Chunks of a byte each are six times as long as what they hold. HTTP/2 has no need of such, but has frames
	// that cost the reader more than the writer.
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

// noRedirect follows no redirect: one would take credentials along, to other ports, sub-domains and in clear.
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

// product names the program and its version, for User-Agent.
const product = "prober"

// userAgent is "prober/VERSION", with the version that the Go tool built in.
var userAgent = sync.OnceValue(func() string {
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		version = info.Main.Version
	}
	return product + "/" + version
})
