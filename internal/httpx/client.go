package httpx

import (
	"net"
	"net/http"
	"runtime/debug"
	"sync"

	"prober/internal/dial"
)

// maxHeader bounds the head of an answer, together with those of the interim answers before it.
const maxHeader = 64 << 10

// A Client makes exchanges with the same settings. Its methods may be called from several goroutines.
type Client struct {
	settings   *Settings
	dialer     *dial.Dialer
	gateway    *gateway        // nil without a proxy
	http2      *http.Transport // nil if HTTP/2 is not offered
	reuses     bool
	kept       *kept   // also those of clients that share connections
	tokens     *tokens // nil without oauth2 or login
	credential bool    // every request that is not anonymous carries one
	waits      waits
	finders    finderCache // of what was sent
	bound      int64       // bytes that may be read from a connection for one exchange
}

// Client checks the settings, and the URL that will be asked by them, and returns a client. The error joins a
// probe.SettingError for each thing that is wrong and repeats no secret; what is wrong with the URL is said of the setting
// url. An empty URL is not looked at. The settings must not change afterwards.
//
//go:noinline
func (s *Settings) Client(url string) (*Client, error) {
	return s.ClientFor(map[string]string{"url": url})
}

// ClientFor is Client for URLs that other settings hold: it takes each by the path of its setting.
func (s *Settings) ClientFor(urls map[string]string) (*Client, error) {
	if err := s.validate(urls); err != nil {
		return nil, err
	}
	c := &Client{}
	c.init(s, s.Connection == reuse, s.HTTP2 || s.OnlyHTTP2)
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
	c.kept, c.dialer = other.kept, other.dialer
	return c, nil
}

// init builds everything in place: there may be ten thousand clients.
func (c *Client) init(s *Settings, reuses, http2 bool) {
	c.settings, c.reuses, c.kept = s, reuses, &kept{}
	// Chunks of one byte are six times as long as their content. HTTP/2 needs no such allowance, but has frames that cost
	// the reader more than the writer.
	c.bound = 8*s.maxBody() + 1<<20
	if http2 {
		c.bound = 2*s.maxBody() + 256<<10
		c.http2 = newHTTP2()
	}
	c.dialer = dial.New(s.Resolver, s.TLS)
	c.gateway = newGateway(s, c.bound)
	c.dialer.MaxRead, c.dialer.IPVersion = c.bound, s.Route.IPVersion
}

// Close closes the connections kept for reuse.
//
//go:noinline
func (c *Client) Close() { c.kept.close() }

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
