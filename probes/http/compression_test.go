package http

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"prober/internal/httpx"
	"prober/internal/secret"
	"prober/probes/internal/expect"
	"prober/probes/internal/probetest"
)

// zip codes a text with gzip.
func zip(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return b.String()
}

// deflated codes a text as deflate of HTTP, which is that of zlib.
func deflated(text string) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return b.String()
}

// bare codes a text with deflate alone, as some servers do.
func bare(text string) string {
	var b bytes.Buffer
	z, _ := flate.NewWriter(&b, flate.BestSpeed)
	z.Write([]byte(text))
	z.Close()
	return b.String()
}

// coded answers every request in a coding.
func coded(coding, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", coding)
		w.Write([]byte(body))
	}
}

// TestCompression asks servers that code their answers as they are asked, always, never, or wrongly.
func TestCompression(t *testing.T) {
	asked := ""
	u := probetest.Serve(t, map[string]http.HandlerFunc{
		"/plain": func(w http.ResponseWriter, q *http.Request) {
			asked = q.Header.Get("Accept-Encoding")
			w.Write([]byte("green"))
		},
		"/gzip":            coded("gzip", zip("green")),
		"/x-gzip":          coded("X-Gzip", zip("green")),
		"/br":              coded("br", "\x0b\x02\x80green\x03"),
		"/deflate":         coded("deflate", deflated("green")),
		"/identity":        coded("identity", "green"),
		"/twice":           coded("gzip, gzip", zip(zip("green"))),
		"/br-gzip":         coded("br, gzip", zip("green")),
		"/zstd":            coded("zstd", "green"),
		"/bomb":            coded("gzip", zip(strings.Repeat("0", 2<<20))),
		"/br-bomb":         coded("br", strings.Repeat("\x00", 2<<20)),
		"/br-text":         coded("br", strings.Repeat("green ", 10)),
		"/br-json":         coded("br", `{"ok":true}`),
		"/br-zip":          coded("br", zip("green")),
		"/br-none":         coded("br", ""),
		"/zip-none":        coded("gzip", ""),
		"/zip-of-nothing":  coded("gzip", zip("")),
		"/deflate-bomb":    coded("deflate", deflated(strings.Repeat("0", 2<<20))),
		"/deflate-text":    coded("deflate", "green"),
		"/deflate-bare":    coded("deflate", bare("green")),
		"/deflate-zip":     coded("deflate", zip("green")),
		"/deflate-cut":     coded("deflate", deflated("green")[:9]),
		"/deflate-more":    coded("deflate", deflated("green")+"more"),
		"/deflate-damaged": coded("deflate", deflated("green")[:8]+"0123456789"),
		"/deflate-none":    coded("deflate", ""),
		"/damaged":         coded("gzip", "what is not compressed at all"),
	})
	const ok, body = "status pass(ok): got 200", "body pass(ok): the body is as expected"
	const lie = "status fail(protocol): the header says that the body is in br, and it is not"
	const damaged = "status fail(protocol): the deflate data of the body is damaged, or without the header of zlib"
	protocol := "status fail(protocol): the body has a content coding that was not requested"
	for _, c := range []struct {
		compression, path string
		want              []string
	}{
		{"", "/plain", []string{"pass", ok, body}},
		{"", "/gzip", []string{"pass", ok, body}},
		{"", "/br", []string{"fail", protocol}},
		{"gzip", "/gzip", []string{"pass", ok, "compression pass(ok): the body came compressed with gzip", body}},
		{"gzip", "/x-gzip", []string{"pass", ok, "compression pass(ok): the body came compressed with gzip", body}},
		{"gzip", "/plain", []string{"fail", ok, "compression fail(compression): expected the body compressed with gzip, got it uncompressed", body}},
		{"gzip", "/br", []string{"fail", protocol}},
		{"gzip", "/twice", []string{"fail", protocol}},
		{"gzip", "/bomb", []string{"fail", "status fail(too_large): the body is larger than 1048576 bytes"}},
		{"gzip", "/damaged", []string{"fail", "status fail(protocol): the gzip data of the body is damaged"}},
		{"identity", "/plain", []string{"pass", ok, "compression pass(ok): the body came uncompressed", body}},
		{"identity", "/identity", []string{"pass", ok, "compression pass(ok): the body came uncompressed", body}},
		{"identity", "/gzip", []string{"fail", ok, "compression fail(compression): expected the body uncompressed, got it compressed with gzip", body}},
		{"identity", "/br", []string{"fail", protocol}},
		{"br", "/br", []string{"pass", ok, "compression pass(ok): the body came compressed with br by its header and its first bytes; it is not decoded"}},
		{"br", "/gzip", []string{"fail", ok, "compression fail(compression): expected the body compressed with br, got it compressed with gzip"}},
		{"br", "/plain", []string{"fail", ok, "compression fail(compression): expected the body compressed with br, got it uncompressed"}},
		{"br", "/br-gzip", []string{"fail", protocol}},
		{"br", "/zstd", []string{"fail", protocol}},
		{"br", "/br-bomb", []string{"fail", "status fail(too_large): the body is larger than 1048576 bytes"}},
		{"br", "/br-text", []string{"fail", lie}},
		{"br", "/br-json", []string{"fail", lie}},
		{"br", "/br-zip", []string{"fail", lie}},
		{"br", "/br-none", []string{"fail", ok, "compression fail(compression): expected the body compressed with br, got none"}},
		{"gzip", "/zip-none", []string{"fail", ok, "compression fail(compression): expected the body compressed with gzip, got none", "body fail(body): *"}},
		{"gzip", "/zip-of-nothing", []string{"fail", ok, "compression pass(ok): the body came compressed with gzip", "body fail(body): *"}},
		{"deflate", "/deflate", []string{"pass", ok, "compression pass(ok): the body came compressed with deflate", body}},
		{"deflate", "/gzip", []string{"fail", ok, "compression fail(compression): expected the body compressed with deflate, got it compressed with gzip", body}},
		{"deflate", "/deflate-bomb", []string{"fail", "status fail(too_large): the body is larger than 1048576 bytes"}},
		{"deflate", "/deflate-text", []string{"fail", damaged}},
		{"deflate", "/deflate-bare", []string{"fail", damaged}},
		{"deflate", "/deflate-zip", []string{"fail", damaged}},
		{"deflate", "/deflate-more", []string{"fail", damaged}},
		{"deflate", "/deflate-damaged", []string{"fail", damaged}},
		{"deflate", "/deflate-cut", []string{"fail", "status fail(truncated): *"}},
		{"deflate", "/deflate-none", []string{"fail", ok, "compression fail(compression): expected the body compressed with deflate, got none", "body fail(body): *"}},
		{"", "/deflate", []string{"fail", protocol}},
		{"deflate", "/br", []string{"fail", protocol}},
	} {
		p := &Probe{URL: u + c.path, Compression: c.compression}
		if c.compression != "br" {
			p.Expect.Body = &expect.Match{Equals: str("green")}
		}
		asked = ""
		r := probetest.Run(t, Kind(), p)
		probetest.WantLines(t, r, c.want...)
		if c.path == "/plain" && asked != c.compression && (asked != "gzip" || c.compression != "") {
			t.Errorf("%q: asked for %q", c.compression, asked)
		}
	}
}

// TestCompression_unread: what is not decoded was not searched for the credential either.
func TestCompression_unread(t *testing.T) {
	t.Setenv("TEST_COMPRESSION_TOKEN", "token-of-the-prober")
	u := probetest.Serve(t, map[string]http.HandlerFunc{"/br": coded("br", "\x0b\x02\x80green\x03"), "/gzip": coded("gzip", zip("green")), "/plain": coded("identity", "green")})
	for path, sought := range map[string]bool{"/br": false, "/gzip": true, "/plain": true} {
		p := &Probe{URL: u + path, Compression: "br"}
		p.Bearer = secret.Env("TEST_COMPRESSION_TOKEN")
		if x := probetest.Run(t, Kind(), p).Exchanges[0]; x.SoughtCredential != sought {
			t.Errorf("%s: the credential was sought: %t", path, x.SoughtCredential)
		}
	}
}

// TestHTTPVersion asks servers of each version.
func TestHTTPVersion(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	trusted := authority(t, server)
	old := raw(t, "HTTP/1.0 200 OK\r\n\r\n")
	for _, c := range []struct {
		url   string
		http2 bool
		want  expect.HTTPVersions
		check string
	}{
		{server.URL, true, expect.HTTPVersions{"2"}, "http_version pass(ok): got HTTP/2.0"},
		{server.URL, true, expect.HTTPVersions{"1.1", "2"}, "http_version pass(ok): got HTTP/2.0"},
		{server.URL, true, expect.HTTPVersions{"1.1"}, "http_version fail(http_version): expected HTTP version 1.1, got HTTP/2.0"},
		{server.URL, false, expect.HTTPVersions{"1.1"}, "http_version pass(ok): got HTTP/1.1"},
		{old, false, expect.HTTPVersions{"1.1", "2"}, "http_version fail(http_version): expected HTTP version 1.1 or 2, got HTTP/1.0"},
		{old, false, expect.HTTPVersions{"1.0"}, "http_version pass(ok): got HTTP/1.0"},
	} {
		p := &Probe{URL: c.url, Expect: expect.Expect{Status: httpx.Codes(200), HTTPVersion: c.want}}
		if p.HTTP2 = c.http2; strings.HasPrefix(c.url, "https") {
			p.TLS = trusted
		}
		r := probetest.Run(t, Kind(), p)
		probetest.WantLines(t, r, r.Verdict().String(), "status pass(ok): got 200", c.check)
	}
}
