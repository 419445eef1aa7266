package metrics

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/expfmt"
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
func (m *Metrics) Handler() http.Handler { return http.HandlerFunc(m.serve) }

func (m *Metrics) serve(w http.ResponseWriter, req *http.Request) {
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
	m.Write(w, format, req.URL.Query()["name[]"]...)
}

// Write writes all series in the format, or those of the named families only. It returns the first error of w; an error
// in one family is counted and does not affect the others.
func (m *Metrics) Write(w io.Writer, format expfmt.Format, families ...string) error {
	p := m.getScrape()
	defer m.putScrape(p)
	p.out.Reset(w, format, m.CreatedLines)
	m.writeFamilies(p, families)
	return p.out.Close()
}

// writeFamilies writes all families, or those in only. An error in one family does not affect the others.
func (m *Metrics) writeFamilies(p *scrape, only []string) {
	p.snapshot(m.jobs.Load())
	gathered, err := m.self.gather()
	if err != nil {
		m.self.scrapeErr.WithLabelValues(gathering).Inc()
	}
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
