package httpx

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"syscall"
	"testing"
	"time"

	"prober/internal/probe"
)

// BenchmarkDo measures an exchange beside a bare GET of net/http to the same server.
func BenchmarkDo(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	defer server.Close()
	for _, connection := range []string{fresh, reuse} {
		b.Run(connection+"/bare", func(b *testing.B) {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: connection == fresh}}
			defer client.CloseIdleConnections()
			b.ReportAllocs()
			defer processorTime(b)()
			for b.Loop() {
				ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
				req, err := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
				if err != nil {
					b.Fatal(err)
				}
				resp, err := client.Do(req)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				cancel()
			}
		})
		b.Run(connection+"/do", func(b *testing.B) {
			client, err := (&Settings{Connection: connection}).Client(server.URL)
			if err != nil {
				b.Fatal(err)
			}
			defer client.Close()
			b.ReportAllocs()
			defer processorTime(b)()
			for b.Loop() {
				ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
				if a := client.Do(ctx, probe.NewResult(probe.ID{}), Request{URL: server.URL}); a.Reason != probe.OK {
					b.Fatal(a.Detail)
				}
				cancel()
			}
		})
	}
}

// processorTime reports the time that the process took for an operation, the server's part of it included. On a busy machine
// it says more than the time that passed.
func processorTime(b *testing.B) (stop func()) {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	start := used()
	return func() { b.ReportMetric(float64(used()-start)/float64(b.N), "cpu-ns/op") }
}

// BenchmarkClients measures what an idle client costs, before and after its first exchange.
func BenchmarkClients(b *testing.B) {
	const n = 10_000
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		clients := make([]*Client, n)
		start := heap()
		for i := range clients {
			c, err := (&Settings{}).Client(server.URL)
			if err != nil {
				b.Fatal(err)
			}
			clients[i] = c
		}
		idle := heap()
		for _, c := range clients {
			c.Do(b.Context(), probe.NewResult(probe.ID{}), Request{URL: server.URL})
		}
		used := heap()
		b.ReportMetric(float64(idle-start)/n, "B/client")
		b.ReportMetric(float64(used-start)/n, "B/used-client")
		runtime.KeepAlive(clients)
	}
}
