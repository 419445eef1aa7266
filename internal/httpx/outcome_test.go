package httpx

import (
	"context"
	"errors"
	"net"
	"testing"

	"prober/internal/probe"
)

func TestRefused(t *testing.T) {
	const addr = "127.0.0.1:1" // a port just closed might be somebody else's by now
	a, r := ask(t, &Settings{}, patience, Request{URL: "http://" + addr + "/"})
	if a.Reason != probe.Refused || a.Detail != "connection refused by "+addr || a.Addr != addr || a.Connections != 0 || phases(a) != "connect" {
		t.Errorf("got %s: %s, %+v", a.Reason, a.Detail, a.Exchange)
	}
	if r.Verdict() != probe.Fail || r.Checks[0].Detail != a.Detail {
		t.Errorf("noted %+v", r.Checks)
	}
}

func TestCancelled(t *testing.T) {
	z := serve(t, hold)
	client, err := (&Settings{}).Client(z.url())
	if err != nil {
		t.Fatal(err)
	}
	for _, early := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		if early {
			cancel()
		} else {
			go func() {
				for z.conns.Load() == 0 {
				}
				cancel()
			}()
		}
		r := probe.NewResult(probe.ID{})
		a := client.Do(ctx, r, Request{URL: z.url()})
		cancel()
		if a.Reason != probe.Cancelled || a.Detail != "the run was cancelled" || !a.Incomplete(r, "answer") {
			t.Errorf("got %s: %s", a.Reason, a.Detail)
		}
		if r.Verdict() != probe.Inconclusive {
			t.Errorf("verdict %s", r.Verdict())
		}
	}
}

func TestBadRequests(t *testing.T) {
	client, err := (&Settings{}).Client()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []Request{
		{URL: ""}, {URL: "/path"}, {URL: "ftp://127.0.0.1/"}, {URL: "http://"}, {URL: "http://a b/"}, {URL: "http://" + marker + ":x@127.0.0.1:1/"},
		{URL: "http://127.0.0.1:1/", Method: "GE T"}, {URL: "http://127.0.0.1:99999/"}, {URL: "http://[::1/" + marker},
	} {
		a, _ := askWith(t, client, patience, q)
		if a.Reason != probe.Protocol {
			t.Errorf("%+v: got %s: %s", q, a.Reason, a.Detail)
		}
	}
}

func TestExplainAlone(t *testing.T) {
	for _, c := range []struct {
		err  error
		why  probe.Reason
		want string
	}{
		{&net.DNSError{Err: "no such host", Name: marker, IsNotFound: true}, probe.NXDomain, "the name does not exist"},
		{&net.DNSError{Err: "i/o timeout", Name: marker, IsTimeout: true}, probe.DNSTimeout, "no name server answered in time"},
		{&net.DNSError{Err: "server misbehaving", Name: marker}, probe.DNSServfail, "the name could not be looked up: the name server fails"},
		{&net.DNSError{Err: "dial udp 10.0.0.1:53: socket: too many open files", Name: marker}, probe.SelfNetwork, "this process has too many open files"},
		{errors.New(marker), probe.Protocol, "the answer is not the HTTP that was asked for"},
	} {
		if why, detail := Explain(t.Context(), c.err); why != c.why || detail != c.want {
			t.Errorf("%v: got %s: %s", c.err, why, detail)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if why, detail := Explain(ctx, &net.DNSError{UnwrapErr: context.Canceled, Err: "operation was canceled"}); why != probe.Cancelled {
		t.Errorf("got %s: %s", why, detail)
	}
}
