package jwks

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// BenchmarkJWKS reads and checks a set of 10,000 keys, 1.4 MiB: what a hostile publisher could cost where max_body
// allows it. The default refuses it unread.
func BenchmarkJWKS(b *testing.B) {
	const keys = 10_000
	var entries []any
	for i := range keys {
		entries = append(entries, entry(b, newJWK(b, fmt.Sprint("k", i), "ES256")))
	}
	body := keysetOf(b, entries...)
	server := httptest.NewServer(probetest.Respond(http.StatusOK, "application/json", body))
	defer server.Close()
	p := jwks([]string{server.URL}, "k1", "k9999")
	p.MaxBody = 4 << 20
	if err := p.Validate(); err != nil {
		b.Fatal(err)
	}
	job := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Probe: p, Interval: time.Minute, Timeout: 30 * time.Second}
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if r := job.Do(b.Context()); r.Verdict() != probe.Pass {
			b.Fatal(probetest.Lines(r))
		}
	}
	b.ReportMetric(keys*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
}
