package metrics

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"prober/internal/probe"
)

const (
	// maxScrapes bounds concurrent scrapes, as in node_exporter.
	maxScrapes = 40
	// scrapeTimeout bounds how long a client may take to read one scrape. Without it, clients that never read could hold
	// all slots for ever.
	scrapeTimeout = time.Minute
)

// formats are the supported formats, the preferred one first.
var formats = [...]expfmt.Format{
	expfmt.FmtOpenMetrics_1_0_0, expfmt.FmtOpenMetrics_0_0_1, expfmt.FmtProtoDelim, expfmt.FmtText,
}

// Handler returns the handler of /metrics. It answers GET and HEAD in the format that the client prefers, with
// name[]=FAMILY any number of times for those families only, and 503 to more than 40 clients at once. It does not compress:
// package web does, for all pages with one compressor.
func (m *Metrics) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		m.serve(w, req, func(p *scrape) { m.writeFamilies(p, req.URL.Query()["name[]"]) })
	})
}

// Probe returns a handler like that of Handler, of the series of one probe and no others. It answers 404 if the probe is gone.
func (m *Metrics) Probe(id probe.ID) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s := m.jobs.Load().states[keyOf(id)]
		if s == nil {
			http.Error(w, "no such probe", http.StatusNotFound)
			return
		}
		m.serve(w, req, func(p *scrape) { m.write(p, []*state{s}, nil, nil) })
	})
}

func (m *Metrics) serve(w http.ResponseWriter, req *http.Request, write func(*scrape)) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD are answered here", http.StatusMethodNotAllowed)
		return
	}
	select {
	case m.scrapeSlots <- struct{}{}:
		defer func() { <-m.scrapeSlots }()
	default:
		http.Error(w, "more than "+strconv.Itoa(maxScrapes)+" scrapes at once, try again later", http.StatusServiceUnavailable)
		return
	}
	format := expfmt.NegotiateAccept(req.Header, formats[:]...)
	h := w.Header()
	h.Set("Content-Type", string(format))
	h.Add("Vary", "Accept")
	if req.Method == http.MethodHead {
		return
	}
	control := http.NewResponseController(w)
	if control.SetWriteDeadline(time.Now().Add(scrapeTimeout)) == nil {
		// The connection may serve other requests after this one.
		defer control.SetWriteDeadline(time.Time{})
	}
	_ = m.writeTo(w, format, write)
}

// Write writes all series in the format, or those of the named families only. It returns the first error of w; an error
// in one family is counted and does not affect the others.
func (m *Metrics) Write(w io.Writer, format expfmt.Format, families ...string) error {
	return m.writeTo(w, format, func(p *scrape) { m.writeFamilies(p, families) })
}

func (m *Metrics) writeTo(w io.Writer, format expfmt.Format, write func(*scrape)) error {
	p := m.getScrape()
	defer m.putScrape(p)
	p.out.Reset(w, format, m.CreatedLines)
	write(p)
	return p.out.Close()
}

// writeFamilies writes all families, or those in only.
func (m *Metrics) writeFamilies(p *scrape, only []string) {
	gathered, err := m.self.gather()
	if err != nil {
		m.self.scrapeErr.WithLabelValues(gathering).Inc()
	}
	m.write(p, m.jobs.Load().order, gathered, only)
}

// write writes the families of some probes, or those in only. An error in one family does not affect the others.
func (m *Metrics) write(p *scrape, of []*state, gathered []*dto.MetricFamily, only []string) {
	p.snapshot(of)
	p.sortFamilies(gathered)
	for _, part := range p.families {
		if p.out.Failed() {
			break
		}
		if len(only) > 0 && !slices.Contains(only, part.name) {
			continue
		}
		if p.write(part) != nil {
			m.self.scrapeErr.WithLabelValues(encoding).Inc()
		}
	}
}

// getScrape returns a scrape with the memory of an earlier one, if there is a spare one.
func (m *Metrics) getScrape() *scrape {
	select {
	case p := <-m.spareScrape:
		return p
	default:
		return newScrape()
	}
}

func (m *Metrics) putScrape(p *scrape) {
	p.release()
	select {
	case m.spareScrape <- p:
	default:
	}
}
