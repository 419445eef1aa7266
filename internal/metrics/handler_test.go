package metrics

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"prober/internal/probe"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func TestHandler(t *testing.T) {
	m, j := New(Build{}), job("a")
	m.SetJobs([]probe.Job{j})
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	for _, test := range []struct {
		name, method, query string
		header              map[string]string
		status              int
		contentType         string
		has, hasNot         string
	}{
		{"text", "GET", "", nil, 200, "text/plain; version=0.0.4", "probe_success{", "# EOF"},
		{"OpenMetrics", "GET", "", map[string]string{"Accept": openFormat}, 200, "application/openmetrics-text; version=1.0.0", "# EOF", "probe_runs_created"},
		{"what Prometheus asks for", "GET", "", map[string]string{"Accept": "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"}, 200, "application/openmetrics-text; version=1.0.0", "# EOF", ""},
		{"protobuf", "GET", "", map[string]string{"Accept": binaryFormat}, 200, "application/vnd.google.protobuf", "probe_success", "# HELP"},
		{"unknown format", "GET", "", map[string]string{"Accept": "image/png"}, 200, "text/plain", "probe_success{", ""},
		{"one family", "GET", "?name[]=probe_success", nil, 200, "text/plain", "probe_success{", "probe_verdict"},
		{"two families", "GET", "?name[]=probe_success&name[]=go_goroutines", nil, 200, "text/plain", "go_goroutines", "probe_verdict"},
		{"no such family", "GET", "?name[]=nothing", nil, 200, "text/plain", "", "probe"},
		{"a query that cannot be read", "GET", "?name[]=%zz;;", nil, 200, "text/plain", "probe_success{", ""},
		{"many families", "GET", "?" + strings.Repeat("name[]=x&", 5000), nil, 200, "text/plain", "", "probe"},
		{"a query with more than can be read", "GET", "?" + strings.Repeat("name[]=x&", 50000), nil, 200, "text/plain", "probe_success{", ""},
		{"HEAD", "HEAD", "", nil, 200, "text/plain", "", "probe"},
		{"POST", "POST", "", nil, 405, "text/plain", "only GET and HEAD", "probe_success"},
		{"unknown method", "BREW", "", nil, 405, "text/plain", "only GET and HEAD", "probe_success"},
	} {
		t.Run(test.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), test.method, server.URL+"/metrics"+test.query, nil)
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range test.header {
				req.Header.Set(name, value)
			}
			resp, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != test.status || !strings.HasPrefix(resp.Header.Get("Content-Type"), test.contentType) {
				t.Errorf("got %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
			}
			if test.status == 200 && !strings.Contains(strings.Join(resp.Header.Values("Vary"), ","), "Accept") {
				t.Error("the answer does not say that it varies with Accept")
			}
			if !strings.Contains(string(body), test.has) || test.hasNot != "" && strings.Contains(string(body), test.hasNot) {
				t.Errorf("expected %q and not %q in\n%.2000s", test.has, test.hasNot, body)
			}
		})
	}
}

// A compressor takes 1 MiB: there is one for all pages, in package web.
func TestHandler_leavesCompressingToTheServer(t *testing.T) {
	m := New(Build{})
	m.SetJobs([]probe.Job{job("a")})
	req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	req.Header.Set("Accept-Encoding", "gzip")
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, req)
	if coding := rec.Header().Get("Content-Encoding"); coding != "" || !strings.Contains(rec.Body.String(), "probe_success{") {
		t.Errorf("got %q\n%.200s", coding, rec.Body)
	}
}

// blockingWriter is a reader that does not read until it is let go.
type blockingWriter struct {
	http.ResponseWriter
	reading, free chan struct{}
	once          sync.Once
}

func (s *blockingWriter) Write(p []byte) (int, error) {
	s.once.Do(func() { s.reading <- struct{}{} })
	<-s.free
	return len(p), nil
}

func TestHandler_limitsScrapes(t *testing.T) {
	m := New(Build{})
	reading, free := make(chan struct{}), make(chan struct{})
	var scrapes sync.WaitGroup
	for range maxScrapes {
		scrapes.Go(func() {
			m.Handler().ServeHTTP(&blockingWriter{ResponseWriter: httptest.NewRecorder(), reading: reading, free: free}, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		})
	}
	for range maxScrapes {
		<-reading
	}
	if rec := request(m, http.MethodGet, textFormat); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("the forty-first got %d, expected 503", rec.Code)
	}
	close(free)
	scrapes.Wait()
	if rec := request(m, http.MethodGet, textFormat); rec.Code != http.StatusOK {
		t.Errorf("the next one got %d, expected 200", rec.Code)
	}
}

// closedWriter is a reader that went away.
type closedWriter struct {
	http.ResponseWriter
	writes int
}

func (g *closedWriter) Write([]byte) (int, error) {
	g.writes++
	return 0, errors.New("broken pipe")
}

func TestHandler_endsWithTheReader(t *testing.T) {
	for _, format := range []string{textFormat, openFormat, binaryFormat} {
		m := manyProbes(t, 1000)
		req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		req.Header.Set("Accept", format)
		g := &closedWriter{ResponseWriter: httptest.NewRecorder()}
		m.Handler().ServeHTTP(g, req)
		if g.writes != 1 {
			t.Errorf("%s: written to %d times, expected once", format, g.writes)
		}
		if got := value(t, m, `promhttp_metric_handler_errors_total{cause="encoding"}`); got != "0" {
			t.Errorf("%s: counted as our error", format)
		}
	}
}

type panickingCollector struct{ prometheus.Desc }

func (p *panickingCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- prometheus.NewDesc("broken_one", "x", nil, nil)
}
func (p *panickingCollector) Collect(chan<- prometheus.Metric) { panic("secret-of-the-collector") }

type duplicateCollector struct{}

func (duplicateCollector) Describe(chan<- *prometheus.Desc) {}
func (duplicateCollector) Collect(ch chan<- prometheus.Metric) {
	for range 2 {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("broken_two", "x", nil, nil), prometheus.GaugeValue, 1)
	}
}

func TestHandler_brokenCollector(t *testing.T) {
	for name, c := range map[string]prometheus.Collector{"panic": &panickingCollector{}, "duplicate": duplicateCollector{}} {
		t.Run(name, func(t *testing.T) {
			m := New(Build{})
			m.SetJobs([]probe.Job{job("a")})
			m.self.registry.MustRegister(c)
			rec := request(m, http.MethodGet, textFormat)
			body := rec.Body.String()
			if rec.Code != http.StatusOK {
				t.Errorf("status %d", rec.Code)
			}
			for _, want := range []string{"probe_success{", "go_goroutines", "prober_build_info"} {
				if !strings.Contains(body, want) {
					t.Errorf("%s is missing", want)
				}
			}
			for _, leak := range []string{"secret-of", "goroutine ", "handler_test.go", "panic("} {
				if strings.Contains(body, leak) {
					t.Errorf("the body has %q in it", leak)
				}
			}
			if got := value(t, m, `promhttp_metric_handler_errors_total{cause="gathering"}`); got == "0" {
				t.Error("the error was not counted")
			}
		})
	}
}

func TestHandler_panickingFamily(t *testing.T) {
	for _, format := range []string{textFormat, openFormat, binaryFormat} {
		m := manyProbes(t, 3)
		p := m.getScrape()
		p.snapshot(m.jobs.Load().order)
		rec := httptest.NewRecorder()
		p.out.Reset(rec, negotiate(format), false)
		n := 0
		broken := &fixedFamily{"probe_aa_broken", "x", gauge, func(r *jobSnapshot, p *scrape) {
			if n++; n == 2 {
				panic("secret-of-the-family")
			}
			p.gauge(r, 1)
		}}
		err := p.write(family{name: broken.name, fixed: broken})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: expected an error without the value, got %v", format, err)
		}
		for i := range fixedFamilies {
			if err := p.write(family{name: fixedFamilies[i].name, fixed: &fixedFamilies[i]}); err != nil {
				t.Error(err)
			}
		}
		if err := p.out.Close(); err != nil {
			t.Error(err)
		}
		for line := range strings.Lines(rec.Body.String()) {
			if format != binaryFormat && !strings.HasPrefix(line, "#") && (!strings.HasPrefix(line, "probe_") || len(strings.Fields(line)) < 2) {
				t.Errorf("%s: broken line %q", format, line)
			}
		}
		if format == binaryFormat && strings.Contains(rec.Body.String(), "broken") {
			t.Error("the broken family is there in protobuf")
		}
	}
}

func TestHandler_invalidLibraryFamily(t *testing.T) {
	m := manyProbes(t, 1)
	p := m.getScrape()
	rec := httptest.NewRecorder()
	p.out.Reset(rec, negotiate(textFormat), false)
	kind, name := dto.MetricType_COUNTER, "half_total"
	if p.write(family{name: name, library: &dto.MetricFamily{Name: &name, Type: &kind, Metric: []*dto.Metric{{Counter: &dto.Counter{}}, {}}}}) == nil {
		t.Error("expected an error of a counter without a value")
	}
	if err := p.out.Close(); err != nil || rec.Body.Len() != 0 {
		t.Errorf("%v, written: %q", err, rec.Body)
	}
}

func TestHandler_setsWriteDeadline(t *testing.T) {
	m := New(Build{})
	w := &deadlineRecorder{ResponseWriter: httptest.NewRecorder()}
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if len(w.deadlines) != 2 || w.deadlines[0].IsZero() || !w.deadlines[1].IsZero() {
		t.Errorf("expected a deadline, and none after the scrape, got %v", w.deadlines)
	}
}

type deadlineRecorder struct {
	http.ResponseWriter
	deadlines []time.Time
}

func (w *deadlineRecorder) SetWriteDeadline(d time.Time) error {
	w.deadlines = append(w.deadlines, d)
	return nil
}

// TestProbe_itsSeriesAlone compares the page of each probe with its lines of the whole page.
func TestProbe_itsSeriesAlone(t *testing.T) {
	m := manyProbes(t, 3)
	lines := func(h http.Handler) (all []string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		for line := range strings.Lines(w.Body.String()) {
			if !strings.HasPrefix(line, "#") {
				all = append(all, line)
			}
		}
		return all
	}
	whole := lines(m.Handler())
	for i := range 3 {
		name := fmt.Sprintf("probe-%05d", i)
		want := slices.DeleteFunc(slices.Clone(whole), func(line string) bool { return !strings.Contains(line, `probe="`+name+`"`) })
		if got := lines(m.Probe(job(name).ID)); len(got) < 10 || !slices.Equal(got, want) {
			t.Errorf("%s: got %d series, expected %d:\n%s", name, len(got), len(want), strings.Join(got, ""))
		}
	}
	w := httptest.NewRecorder()
	m.Probe(job("gone").ID).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("a probe that is gone: got %d", w.Code)
	}
}
