package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"prober/internal/probe"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var style string

// mostChecks bounds the checks shown of one probe; /api/v1/status has all.
const mostChecks = 20

// A site is the options with what is made of them once.
type site struct {
	Options
	template *template.Template
	policy   string
}

func newSite(o Options) *site {
	o.Title = cmp.Or(o.Title, "prober")
	sum := sha256.Sum256([]byte(style))
	return &site{
		Options: o,
		template: template.Must(template.New("page").Funcs(template.FuncMap{
			"clock": clock, "words": words, "short": short, "mark": mark, "relative": relative,
		}).Parse(pageSource)),
		policy: fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			base64.StdEncoding.EncodeToString(sum[:])),
	}
}

func (s *site) rows() []Row {
	if s.Status == nil {
		return nil
	}
	return s.Status()
}

// A view is what the page shows.
type view struct {
	Title, Version string
	Style          template.CSS
	Now            time.Time
	Head           string
	Troubles       []trouble
	Rows           []rowView
	Switches       []Switch
	Links          []string
}

// A trouble is a banner: something wrong with the prober itself.
type trouble struct{ What, Why string }

// A rowView is a row of which not too much is shown.
type rowView struct {
	Row
	Shown []probe.Check // beside the one that the row itself tells of
	More  int
}

func (s *site) page(w http.ResponseWriter, _ *http.Request) {
	rows := s.rows()
	v := view{
		Title: s.Title, Version: s.Version, Style: template.CSS(style), Now: time.Now(), Head: headline(rows),
		Troubles: s.troubles(), Links: s.links(),
	}
	for _, row := range rows {
		shown := row.Failing
		if len(shown) == 1 {
			shown = nil // the row says it all
		}
		more := max(0, len(shown)-mostChecks)
		v.Rows = append(v.Rows, rowView{Row: row, Shown: shown[:len(shown)-more], More: more})
	}
	if s.Switches != nil {
		v.Switches = s.Switches()
	}
	var b bytes.Buffer
	if err := s.template.Execute(&b, v); err != nil {
		http.Error(w, "the page cannot be drawn", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", s.policy)
	w.Write(b.Bytes())
}

func (s *site) troubles() []trouble {
	var all []trouble
	for _, t := range []trouble{
		{"The last reload failed. The configuration before keeps running.", reasonOf(s.ReloadError)},
		{"The prober itself is not healthy.", reasonOf(s.Healthy)},
		{"The prober is not ready.", reasonOf(s.Ready)},
	} {
		if t.Why != "" {
			all = append(all, t)
		}
	}
	return all
}

// links lists what else there is to see.
func (s *site) links() []string {
	all := []string{"/api/v1/status", "/-/healthy", "/-/ready"}
	if s.Metrics != nil {
		all = append(all, "/metrics")
	}
	if s.Config != nil {
		all = append(all, "/config")
	}
	if s.Incident != nil {
		all = append(all, "/incident")
	}
	if s.Schema != nil {
		all = append(all, "/schema.json")
	}
	return all
}

// headline counts the probes by their verdicts, the worst first.
func headline(rows []Row) string {
	if len(rows) == 0 {
		return "no probes"
	}
	n := count(rows)
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{{n.Fail, "failed"}, {n.Inconclusive, "could not tell"}, {n.Pass, "passed"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return strings.Join(parts, ", ")
}

// relative makes a path of ours hold behind any prefix.
func relative(path string) string { return "./" + strings.TrimLeft(path, "/") }
