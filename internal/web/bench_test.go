package web

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// BenchmarkPage draws the front page and answers the status; the memory per page is with the rows that are copied for it.
func BenchmarkPage(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
		red  bool
	}{{"3", 3, true}, {"300", 300, true}, {"10000", 10000, true}} {
		board, jobs := storeWithRuns(size.n, size.red)
		o := optionsFor(board, size.red)
		h := New(o)
		for name, path := range map[string]string{"front": "/", "probe": "/probes/" + jobs[1].System + "/" + jobs[1].Name, "json": "/api/v1/status", "lean": "/api/v1/status?recent=0"} {
			b.Run(size.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				bytes := 0
				for b.Loop() {
					w := &counting{header: http.Header{}}
					h.ServeHTTP(w, httptest.NewRequest("GET", "http://prober.example"+path, nil))
					bytes = w.bytes
				}
				b.ReportMetric(float64(bytes), "bytes")
			})
		}
	}
}

// counting is a reader that counts.
type counting struct {
	header http.Header
	bytes  int
}

func (c *counting) Header() http.Header { return c.header }
func (c *counting) WriteHeader(int)     {}
func (c *counting) Write(p []byte) (int, error) {
	c.bytes += len(p)
	return len(p), nil
}

// BenchmarkStatusStore tells the memory of a probe on the board: of one that always passed, of one that failed once and passes
// again, and of one with the largest run that is kept.
func BenchmarkStatusStore(b *testing.B) {
	const n = 10000
	for b.Loop() {
		for name, fill := range map[string]func(*probe.Job, int, int) probe.Result{
			"B/passed": func(j *probe.Job, i, run int) probe.Result { return ordinaryResult(j, at(run), i+run, probe.OK) },
			"B/failed": func(j *probe.Job, i, run int) probe.Result {
				return ordinaryResult(j, at(run), i+run, []probe.Reason{probe.OK, probe.Status}[run%2])
			},
		} {
			b.ReportMetric(kept(n, fill), name)
		}
		b.ReportMetric(kept(100, func(j *probe.Job, i, run int) probe.Result { return huge(j, at(run), run) }), "B/huge")
	}
}

func at(run int) time.Time { return time.Unix(1_800_000_000, 0).Add(time.Duration(run) * time.Minute) }

// kept is how much memory a probe on a board of n takes after as many runs as it remembers, and one more.
func kept(n int, fill func(j *probe.Job, i, run int) probe.Result) float64 {
	jobs := manyJobs(n)
	board := NewStatusStore()
	empty := heap()
	board.SetJobs(jobs)
	for run := range maxRuns + 1 {
		for i := range jobs {
			board.Observe(fill(&jobs[i], i, run))
		}
	}
	full := heap()
	runtime.KeepAlive(board)
	runtime.KeepAlive(jobs)
	return (full - empty) / float64(n)
}

func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// huge is a run with more checks and exchanges than are kept, each with a text as long as a result admits. It passes and
// fails by turns.
func huge(j *probe.Job, started time.Time, run int) probe.Result {
	r := probe.NewResult(j.ID)
	r.Started = started
	long := strings.Repeat("x", 600)
	for i := range 200 {
		if run%2 == 0 && i == 150 {
			r.Fail("status", probe.Status, "%d %s", i, long)
			continue
		}
		r.Pass("status", "%d %s", i, long)
		r.Exchanged(probe.Exchange{Check: "status", Reason: probe.OK, URL: long + started.String(), Version: long + started.String(), TraceID: long + started.String(), Phases: make([]probe.Phase, 5)})
	}
	return *r
}
