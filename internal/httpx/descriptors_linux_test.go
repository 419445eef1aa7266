package httpx

import (
	"os"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/testenv"
)

// TestNothingLeft counts file descriptors after exchanges that ended in every way.
func TestNothingLeft(t *testing.T) {
	testenv.Slow(t, "it waits for the deadlines of some hundred exchanges")
	p := newPKI(t)
	good := serve(t, says(okAnswer))
	silent := serve(t, hold)
	endless := serve(t, repeats("HTTP/1.1 200 OK\r\n\r\n", "x", nil))
	goaway := serveH2(t, p, func(h *h2, _ uint32) { h.WriteGoAway(0, 0, nil) })
	before := descriptors(t)
	for _, connection := range []string{fresh, reuse} {
		for _, c := range []struct {
			url     string
			two     bool
			timeout time.Duration
		}{
			{good.url(), false, patience},
			{silent.url(), false, impatience / 10},
			{silent.https(), false, impatience / 10},
			{silent.https(), true, impatience / 10},
			{endless.url(), false, patience},
			{goaway.https(), true, patience},
			{"http://127.0.0.1:1/", false, patience},
		} {
			client, err := (&Settings{Connection: connection, HTTP2: c.two, TLS: &dial.TLS{CAFile: p.file}}).Client(c.url)
			if err != nil {
				t.Fatal(err)
			}
			for range 20 {
				askWith(t, client, c.timeout, Request{URL: c.url})
			}
			if a, _ := askWith(t, client, time.Nanosecond, Request{URL: c.url}); a.Reason != probe.Timeout {
				t.Errorf("got %s: %s", a.Reason, a.Detail)
			}
			client.Close()
		}
	}
	// The servers' halves are closed as soon as they have seen the end of ours.
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for descriptors(t) > before {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d descriptors are open, there were %d", descriptors(t), before)
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}
