package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"prober/internal/probe"

	"github.com/prometheus/common/expfmt"
)

func negotiate(accept string) expfmt.Format {
	return expfmt.NegotiateAccept(http.Header{"Accept": {accept}}, formats[:]...)
}

var benchPhases = []probe.Phase{{Name: "resolve", Took: 1e6}, {Name: "connect", Took: 1234567}, {Name: "tls", Took: 7e6}, {Name: "processing", Took: 9876543}, {Name: "transfer", Took: 54321}}

// run is an ordinary run: one exchange over TLS, two checks, one measure.
func run(j probe.Job, i int) probe.Result {
	took := time.Duration(5+(i*7919)%97) * time.Millisecond / 4
	return resultOf(j, took+time.Millisecond, func(r *probe.Result) {
		r.Pass("status", "got 200")
		r.Pass("body", "got ok")
		r.Measure(offsetMeasure, took.Seconds())
		r.Exchanged(probe.Exchange{Check: "status", Method: "GET", URL: "https://example/", Status: 200, Took: took, Phases: benchPhases, Connections: 1,
			TraceID: trace(i + 1), Version: "v1.2.3", CertExpiry: r.Started.Add(1e15)})
	})
}

// manyProbes is many probes that ran.
func manyProbes(t testing.TB, n int) *Metrics {
	t.Helper()
	m := New(Build{Version: "1.0.0"})
	jobs := make([]probe.Job, n)
	for i := range jobs {
		jobs[i] = job(fmt.Sprintf("probe-%05d", i))
	}
	m.SetJobs(jobs)
	for i, j := range jobs {
		for k := range 20 {
			m.Observe(run(j, i+k*31))
		}
	}
	return m
}

// discard is a reader that counts.
type discard struct {
	header http.Header
	bytes  int
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}
func (d *discard) Write(p []byte) (int, error) {
	d.bytes += len(p)
	return len(p), nil
}

func BenchmarkScrape10000(b *testing.B) {
	m := manyProbes(b, 10000)
	for _, c := range []struct{ name, accept string }{{"text", textFormat}, {"openmetrics", openFormat}, {"protobuf", binaryFormat}} {
		b.Run(c.name, func(b *testing.B) {
			req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			req.Header.Set("Accept", c.accept)
			b.ReportAllocs()
			var d discard
			for b.Loop() {
				d = discard{header: http.Header{}}
				m.Handler().ServeHTTP(&d, req)
			}
			b.ReportMetric(float64(d.bytes), "bytes")
		})
	}
}

// BenchmarkExpfmt10000 writes the same families with the library, for comparison: only the writing, with the messages
// already made.
func BenchmarkExpfmt10000(b *testing.B) {
	m := manyProbes(b, 10000)
	families := decode(b, m)
	for _, accept := range []string{textFormat, openFormat, binaryFormat} {
		b.Run(map[string]string{textFormat: "text", openFormat: "openmetrics", binaryFormat: "protobuf"}[accept], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				enc := expfmt.NewEncoder(&discard{}, negotiate(accept))
				for _, f := range families {
					if err := enc.Encode(f); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkObserve(b *testing.B) {
	m, j := New(Build{}), job("a")
	m.SetJobs([]probe.Job{j})
	r := run(j, 1)
	b.ReportAllocs()
	for b.Loop() {
		m.Observe(r)
	}
}

// BenchmarkState tells the memory of one probe: known, after its first run and after many, and of the pages kept.
func BenchmarkState(b *testing.B) {
	const n = 10000
	heap := func() float64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	jobs := make([]probe.Job, n)
	for i := range jobs {
		jobs[i] = job(fmt.Sprintf("probe-%05d", i))
	}
	for b.Loop() {
		empty := heap()
		m := New(Build{})
		m.SetJobs(jobs)
		known := heap()
		for i, j := range jobs {
			m.Observe(run(j, i))
		}
		once := heap()
		for k := range 50 {
			for i, j := range jobs {
				m.Observe(run(j, i+k*31))
			}
		}
		often := heap()
		req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		m.Handler().ServeHTTP(&discard{header: http.Header{}}, req)
		scraped := heap()
		b.ReportMetric((known-empty)/n, "B/known")
		b.ReportMetric((once-empty)/n, "B/once")
		b.ReportMetric((often-empty)/n, "B/often")
		b.ReportMetric((scraped-often)/n, "B/page")
		runtime.KeepAlive(m)
	}
}

func BenchmarkSetJobs10000(b *testing.B) {
	jobs := make([]probe.Job, 10000)
	for i := range jobs {
		jobs[i] = job(fmt.Sprintf("probe-%05d", i))
	}
	m := New(Build{})
	for b.Loop() {
		m.SetJobs(jobs)
	}
}
