package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"prober/internal/probe"
)

//go:embed page/*.html
var pageSources embed.FS

//go:embed page/page.css
var style string

// A site is the options with what is made of them once.
type site struct {
	Options
	template *template.Template
	policy   string
	pace     pace
}

func newSite(o Options) *site {
	o.Title = cmp.Or(o.Title, "prober")
	sum := sha256.Sum256([]byte(style))
	return &site{
		Options: o,
		template: template.Must(template.New("").Funcs(template.FuncMap{
			"clock": clock, "moment": moment, "stamp": stamp, "words": words, "short": short, "relative": relative, "exchanges": exchanges,
		}).ParseFS(pageSources, "page/*.html")),
		policy: fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			base64.StdEncoding.EncodeToString(sum[:])),
	}
}

func (s *site) rows() []Row {
	if s.Status == nil {
		return nil
	}
	return s.Status()
}

// next is when the next run of a probe is due; the zero time if nobody knows.
func (s *site) next(id probe.ID) time.Time {
	if s.Next == nil {
		return time.Time{}
	}
	return s.Next(id)
}

// find returns the row of the probe that a path names, by system and name or by a name that only one system has.
func (s *site) find(system, name string) (Row, bool) {
	if system != "" && s.Probe != nil {
		d, ok := s.Probe(system, name)
		return d.Row, ok
	}
	rows := s.named(system, name)
	if len(rows) != 1 {
		return Row{}, false
	}
	return rows[0], true
}

// named returns the rows of the probes of a name, of all systems if none is given.
func (s *site) named(system, name string) []Row {
	return slices.DeleteFunc(s.rows(), func(row Row) bool { return row.Name != name || system != "" && row.System != system })
}

// A frame is what all pages have.
type frame struct {
	Title, Head string
	Build       string // the prober's version
	Style       template.CSS
	Now         time.Time
	Up          string // leads to the front page
	Worst       probe.Verdict
	Troubles    []trouble
	Works       []works
	Links       []namedLink
}

type namedLink struct{ Name, Path string }

// A trouble is a banner: something wrong with the prober itself.
type trouble struct{ What, Why string }

// frame returns the frame of a page from which up leads to the front page.
func (s *site) frame(up, head string) frame {
	return frame{
		Title: s.Title, Head: head, Build: s.Version, Style: template.CSS(style), Now: time.Now(), Up: up, Worst: probe.Pass,
		Troubles: s.troubles(), Links: s.links(up),
	}
}

// draw answers with a page, or with none if it cannot be drawn whole.
func (s *site) draw(w http.ResponseWriter, status int, name string, v any) {
	var b bytes.Buffer
	if err := s.template.ExecuteTemplate(&b, name, v); err != nil {
		http.Error(w, "the page cannot be drawn", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", s.policy)
	w.WriteHeader(status)
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
	if s.Unfit != nil {
		for _, check := range s.Unfit() {
			all = append(all, unfit(check))
		}
	}
	return all
}

// links lists what else there is to see.
func (s *site) links(up string) []namedLink {
	var all []namedLink
	for _, l := range []struct {
		there bool
		path  string
	}{
		{s.Incident != nil, "incident"}, {true, "api/v1/status"}, {s.Metrics != nil, "metrics"}, {s.Config != nil, "config"},
		{s.Schema != nil, "schema.json"}, {true, "-/healthy"}, {true, "-/ready"},
	} {
		if l.there {
			all = append(all, namedLink{"/" + l.path, up + l.path})
		}
	}
	return all
}

// A noteView is a page that only says something and leads on.
type noteView struct {
	frame
	Text string
	Ways []namedLink
}

// relative makes a path of ours hold behind any prefix, on the front page.
func relative(path string) string { return "./" + strings.TrimLeft(path, "/") }

// escaped is a name as one step of a path.
func escaped(name string) string { return url.PathEscape(name) }

// probePath leads to a probe's page from where up leads to the front page.
func probePath(up string, id probe.ID) string {
	return up + "probes/" + escaped(id.System) + "/" + escaped(id.Name)
}
