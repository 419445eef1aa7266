package httpx

import (
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// nameserver answers questions for addresses on UDP until the test ends. Answer returns the code and the addresses
// for the n-th question of a type; ok false leaves the question unanswered.
func nameserver(t testing.TB, answer func(n int, six bool) (code dnsmessage.RCode, addrs []string, ok bool)) string {
	t.Helper()
	asked := map[dnsmessage.Type]int{}
	return testenv.ServeDNS(t, func(q dnsmessage.Question) (dnsmessage.RCode, []dnsmessage.ResourceBody, bool) {
		asked[q.Type]++
		code, addrs, ok := answer(asked[q.Type], q.Type == dnsmessage.TypeAAAA)
		return code, testenv.AddressRecords(q.Type, addrs...), ok
	})
}

// always answers every question alike.
func always(code dnsmessage.RCode, addrs ...string) func(int, bool) (dnsmessage.RCode, []string, bool) {
	return func(int, bool) (dnsmessage.RCode, []string, bool) { return code, addrs, true }
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(int, bool) (dnsmessage.RCode, []string, bool)
		why    probe.Reason
		want   string
		denied string
	}{
		{"an address", always(dnsmessage.RCodeSuccess, "127.0.0.1"), probe.OK, "", ""},
		{"NXDOMAIN", always(dnsmessage.RCodeNameError), probe.NXDomain, "the name target.test does not exist", ""},
		{"no address", always(dnsmessage.RCodeSuccess), probe.NoAddress, "the name target.test exists and has no address", ""},
		{"SERVFAIL", always(dnsmessage.RCodeServerFailure), probe.DNSServfail, "the name target.test could not be looked up: the name server fails", ""},
		{"REFUSED", always(dnsmessage.RCodeRefused), probe.DNSServfail, "the name target.test could not be looked up: the name server fails", ""},
		{"silence", func(int, bool) (dnsmessage.RCode, []string, bool) { return 0, nil, false }, probe.DNSTimeout, "no name server answered for target.test within TIME", ""},
		{"an address within IPv6", always(dnsmessage.RCodeSuccess, "::ffff:127.0.0.1"), probe.OK, "", ""},
		{"dead addresses only", always(dnsmessage.RCodeSuccess, "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"), probe.Refused, "connection refused by 127.0.0.", ""},
		{"no way there", always(dnsmessage.RCodeSuccess, "127.255.255.255"), probe.SelfNetwork, "this machine has no network route to the target", ""},
		{"no way to the first address", always(dnsmessage.RCodeSuccess, "127.255.255.255", "127.0.0.2"), probe.Refused, "connection refused by 127.0.0.2", ""},
		{"no way to the last address", always(dnsmessage.RCodeSuccess, "127.0.0.2", "127.255.255.255"), probe.Refused, "connection refused by 127.0.0.2", ""},
		{"a dead address first", always(dnsmessage.RCodeSuccess, "127.0.0.2", "127.0.0.1"), probe.OK, "", ""},
		{"metadata", always(dnsmessage.RCodeSuccess, "169.254.169.254"), probe.Protocol, "169.254.169.254 is where clouds hand out credentials: such an address is never dialled", "metadata"},
		{"metadata of Alibaba", always(dnsmessage.RCodeSuccess, "100.100.100.200"), probe.Protocol, "100.100.100.200 is where clouds hand out credentials: such an address is never dialled", "metadata"},
		{"metadata over IPv6", always(dnsmessage.RCodeSuccess, "fd00:ec2::254"), probe.Protocol, "fd00:ec2::254 is where clouds hand out credentials: such an address is never dialled", "metadata"},
		{"metadata within IPv6", always(dnsmessage.RCodeSuccess, "::ffff:169.254.169.254"), probe.Protocol, "169.254.169.254 is where clouds hand out credentials: such an address is never dialled", "metadata"},
		{"metadata within NAT64", always(dnsmessage.RCodeSuccess, "64:ff9b::a9fe:a9fe"), probe.Protocol, "64:ff9b::a9fe:a9fe is where clouds hand out credentials: such an address is never dialled", "metadata"},
		{"link-local", always(dnsmessage.RCodeSuccess, "169.254.0.1"), probe.Protocol, "169.254.0.1 is link-local: such an address is never dialled", "link_local"},
		{"link-local over IPv6", always(dnsmessage.RCodeSuccess, "fe80::1"), probe.Protocol, "fe80::1 is link-local: such an address is never dialled", "link_local"},
		{"unspecified", always(dnsmessage.RCodeSuccess, "0.0.0.0"), probe.Protocol, "0.0.0.0 is unspecified: such an address is never dialled", "unspecified"},
		{"unspecified over IPv6", always(dnsmessage.RCodeSuccess, "::"), probe.Protocol, ":: is unspecified: such an address is never dialled", "unspecified"},
		{"multicast", always(dnsmessage.RCodeSuccess, "224.0.0.1"), probe.Protocol, "224.0.0.1 is multicast: such an address is never dialled", "multicast"},
		{"broadcast", always(dnsmessage.RCodeSuccess, "255.255.255.255"), probe.Protocol, "255.255.255.255 is multicast: such an address is never dialled", "multicast"},
		{"a hundred bad ones", always(dnsmessage.RCodeSuccess, strings.Fields(strings.Repeat("169.254.169.254 ", 60))...), probe.Protocol, "never dialled", "metadata"},
	} {
		t.Run(c.name, func(t *testing.T) {
			timeout := patience
			if c.why == probe.DNSTimeout {
				timeout = impatience
			}
			z := serve(t, says(okAnswer)) // on 127.0.0.1 only
			s := &Settings{Resolver: nameserver(t, c.answer)}
			a, _ := ask(t, s, timeout, Request{URL: "http://target.test:" + port(z.Addr().String()) + "/"})
			if a.Reason != c.why || !strings.Contains(simple(a.Detail), c.want) {
				t.Errorf("got %s: %s, want %s: %s", a.Reason, a.Detail, c.why, c.want)
			}
			if a.Denied != c.denied {
				t.Errorf("denied %q, want %q", a.Denied, c.denied)
			}
			if c.why == probe.OK && phases(a) != "resolve connect processing transfer" {
				t.Errorf("phases %s", phases(a))
			}
			if c.why != probe.OK && (z.conns.Load() != 0 || a.Connections != 0 || (c.denied != "" && a.Addr != "")) {
				t.Errorf("opened %d connections and told %d", z.conns.Load(), a.Connections)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		a, _ := ask(t, &Settings{Resolver: "127.0.0.1:1"}, patience, Request{URL: "http://target.test/"})
		if a.Reason != probe.DNSServfail {
			t.Errorf("got %s: %s", a.Reason, a.Detail)
		}
	})
}

// TestSecretName puts a secret where a sentence would repeat it.
func TestSecretName(t *testing.T) {
	known(t, "s3cr3t-name")
	s := &Settings{Resolver: nameserver(t, always(dnsmessage.RCodeNameError))}
	a, r := ask(t, s, patience, Request{URL: "http://s3cr3t-name.test/"})
	if a.Reason != probe.NXDomain || strings.Contains(a.Detail+a.URL+r.Exchanges[0].URL, "s3cr3t-n") {
		t.Errorf("got %s: %s, %s", a.Reason, a.Detail, a.URL)
	}
}

// TestForeignName asks for a name as DNS writes it.
func TestForeignName(t *testing.T) {
	z := serve(t, says(okAnswer))
	s := &Settings{Resolver: nameserver(t, always(dnsmessage.RCodeSuccess, "127.0.0.1"))}
	a, _ := ask(t, s, patience, Request{URL: "http://bücher.test:" + port(z.Addr().String()) + "/"})
	if a.Reason != probe.OK {
		t.Errorf("got %s: %s", a.Reason, a.Detail)
	}
	if got := hostOf(&url.URL{Host: "bücher.test:80"}); got != "xn--bcher-kva.test" {
		t.Errorf("asks for %s", got)
	}
}

// TestSilentAddress leaves time for the other address of a name when the first one does not answer.
func TestSilentAddress(t *testing.T) {
	z := serve(t, says(okAnswer))
	n, err := strconv.Atoi(port(z.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	blackHole(t, 2, n)
	s := &Settings{Resolver: nameserver(t, always(dnsmessage.RCodeSuccess, "127.0.0.2", "127.0.0.1"))}
	a, _ := ask(t, s, 5*impatience, Request{URL: "http://target.test:" + strconv.Itoa(n) + "/"})
	if a.Reason != probe.OK || a.Addr != z.Addr().String() || a.Connections != 1 {
		t.Errorf("got %s: %s, %s, %d connections", a.Reason, a.Detail, a.Addr, a.Connections)
	}
}

// TestRebinding lets a name server change its mind between two exchanges, also on a client that keeps connections.
func TestRebinding(t *testing.T) {
	for _, connection := range []string{fresh, reuse} {
		z := serve(t, func(_ *zoo, c net.Conn) { io.WriteString(c, "") })
		var bad atomic.Bool
		resolver := nameserver(t, func(int, bool) (dnsmessage.RCode, []string, bool) {
			if bad.Load() {
				return dnsmessage.RCodeSuccess, []string{"169.254.169.254"}, true
			}
			return dnsmessage.RCodeSuccess, []string{"127.0.0.1"}, true
		})
		url := "http://target.test:" + port(z.Addr().String()) + "/"
		client, err := (&Settings{Resolver: resolver, Connection: connection}).Client(url)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if a, _ := askWith(t, client, patience, Request{URL: url}); a.Reason != probe.Reset {
			t.Fatalf("got %s: %s", a.Reason, a.Detail)
		}
		bad.Store(true)
		a, _ := askWith(t, client, patience, Request{URL: url})
		if a.Reason != probe.Protocol || a.Denied != "metadata" || a.Connections != 0 {
			t.Errorf("got %s: %s, denied %q, %d connections", a.Reason, a.Detail, a.Denied, a.Connections)
		}
	}
}
