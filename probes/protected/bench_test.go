//go:build unix

package protected

import (
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"prober/internal/httpx"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/probes/internal/probetest"
)

// BenchmarkProtected measures the CPU of a run with all forgeries, and that of as many plain requests over the same
// client to the same server, in turn. The server, which only compares tokens, is in both.
func BenchmarkProtected(b *testing.B) {
	for _, alg := range []jose.SignatureAlgorithm{jose.ES256, jose.RS256} {
		b.Run(string(alg), func(b *testing.B) {
			g := &gate{t: b, alg: alg, now: time.Now(), signature: map[string]bool{}}
			g.makeKey()
			p := g.knocker()
			token := secretOf(b, "VALID")
			answer := func(w http.ResponseWriter, q *http.Request) {
				switch {
				case q.URL.Path != gateRoute:
					w.WriteHeader(404)
				case q.Header.Get("Authorization") == "Bearer "+token:
					w.WriteHeader(501)
				default:
					w.WriteHeader(401)
				}
			}
			server := httptest.NewServer(http.HandlerFunc(answer))
			defer server.Close()
			b.Setenv("TEST_GATE_PEM", string(secretsFrom(g.private.Public())[0].key))
			p.URL, p.Code = server.URL+gateRoute, nil
			for name, c := range p.Callers {
				c.Code, c.Status = "", httpx.Codes(401)
				if name == callerValid {
					c.Status = httpx.Codes(501)
				}
				p.Callers[name] = c
			}
			p.Forgeries = &Forgeries{Keys: secret.Env("TEST_GATE_PEM").Public()}
			if err := p.Validate(); err != nil {
				b.Fatal(err)
			}
			job := probe.Job{Probe: p, Timeout: 10 * time.Second}
			first := job.Do(b.Context())
			if first.Verdict() != probe.Pass {
				b.Fatal(probetest.Lines(first))
			}
			requests := len(first.Exchanges)
			var probed, plain time.Duration
			for b.Loop() {
				start := cpu(b)
				job.Do(b.Context())
				between := cpu(b)
				r := probe.NewResult(probe.ID{})
				for range requests {
					p.valid.client.Do(b.Context(), r, httpx.Request{Check: "it", Method: "POST", URL: p.URL, Want: httpx.Codes(501)})
				}
				probed += between - start
				plain += cpu(b) - between
			}
			b.ReportMetric(float64(requests), "requests/run")
			b.ReportMetric(float64(probed.Microseconds())/float64(b.N), "cpu-us/run")
			b.ReportMetric(float64(plain.Microseconds())/float64(b.N), "cpu-us/plain")
			b.ReportMetric(float64(probed)/float64(plain), "ratio")
		})
	}
}

// BenchmarkForge measures what it costs to make all forgeries, which is done once for each token.
func BenchmarkForge(b *testing.B) {
	for _, alg := range []jose.SignatureAlgorithm{jose.ES256, jose.RS256} {
		b.Run(string(alg), func(b *testing.B) {
			g := &gate{t: b, alg: alg, now: time.Now(), signature: map[string]bool{}}
			g.makeKey()
			tokens := []string{g.issue(nil), g.issue(nil)}
			i := 0
			var f forgeryCache
			for b.Loop() {
				i++
				real := jwk.ReadRaw(tokens[i%2])
				if _, err := f.all("bench", forgeryBuilder{real: real}, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// cpu is what this process has used so far.
func cpu(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
