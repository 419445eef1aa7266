package probe

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
)

func TestTarget_split(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"10.0.0.1:80": "10.0.0.1 80", "shop.example": "shop.example ", "shop.example.:443": "shop.example. 443", "[::1]:80": "::1 80", "[::1]": "::1 ",
		"a_b-c:1": "a_b-c 1", "http://shop.example": "shop.example 80", "http://shop.example/~x": "shop.example 80", "https://shop.example/x/y": "shop.example 443", "https://[::1]:8443/": "::1 8443",

		"": "no", "::1": "no", "[::1": "no", "::1]": "no", "a]": "no", "[]": "no", "::1:80": "no", "[10.0.0.1]:80": "no", "[shop.example]:80": "no", "[::1%eth0]:80": "no", "a:0": "no", "a:65536": "no", "a:080": "no", "a:http": "no", "a:": "no", ":80": "no",
		"u@a:80": "no", "u:p@a": "no", "a/b": "no", "a?b": "no", "a#b": "no", "a b": "no", "a\nb": "no", "{host}": "no", "-a": "no", "a..b:80": "a..b 80",
		"http://u@a/": "no", "http://u:p@a/": "no", "http://a/?q": "no", "http://a/#f": "no", "ftp://a": "no", "javascript://a": "no", "http://": "no", "http:///x": "no", "http:a://b": "no",
		"http://a/{x}": "no", "http://a/ b": "no", "http://a\\@b/": "no", "http://a/\n": "no", "HTTP://a": "a 80", "//a": "no", "http://a:99999/": "no",
		strings.Repeat("a", 253): strings.Repeat("a", 253) + " ", strings.Repeat("a", 254): "no",
	} {
		host, port, ok := Target{Address: address}.Split()
		got := "no"
		if ok {
			got = host + " " + port
		}
		if got != want {
			t.Errorf("%q: got %q, expected %q", address, got, want)
		}
	}
}

// FuzzTarget_split holds that what is accepted stays within the host of a URL.
func FuzzTarget_split(f *testing.F) {
	f.Add("10.0.0.1:80")
	f.Add("[::1]:80")
	f.Add("https://shop.example:1/x")
	f.Fuzz(func(t *testing.T, address string) {
		target := Target{Address: address}
		host, port, ok := target.Split()
		if !ok || target.IsURL() {
			return
		}
		u, err := url.Parse(fmt.Sprintf("https://%s/health", address))
		if err != nil || u.Hostname() != host || u.Port() != port || u.Path != "/health" || u.User != nil || u.RawQuery != "" {
			t.Errorf("%q: got %q and %q, and the URL %v, %v", address, host, port, u, err)
		}
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			t.Errorf("%q: got the host %q", address, host)
		}
	})
}
