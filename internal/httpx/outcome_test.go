package httpx

import (
	"context"
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
	client, err := (&Settings{}).Client("")
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
