package web

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	g "maragu.dev/gomponents"

	"prober/internal/drop"
	"prober/internal/probe"
)

//go:embed page.css
var style string

// A server is the options with what is computed from them once.
type server struct {
	Options
	policy   string
	limiter  rateLimiter
	refusals refusals
	streams  *streams
	waits    *streams // who waits for a run
	pulls    turnstile
}

func newServer(o Options) *server {
	o.Title = cmp.Or(o.Title, "prober")
	return &server{
		Options: o, streams: newStreams(maxStreams), waits: newStreams(maxWaits), pulls: turnstile{taken: map[probe.Key]chan struct{}{}},
		policy: fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			hashOf(style), hashOf(script)),
	}
}

// hashOf is the source of a style or script in a policy.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

//go:noinline
func (s *server) statuses() []ProbeStatus {
	if s.Status == nil {
		return nil
	}
	return s.Status()
}

// next is when the next run of a probe is due; the zero time if unknown.
func (s *server) next(id probe.ID) time.Time {
	if s.Next == nil {
		return time.Time{}
	}
	return s.Next(id)
}

// find returns the status of the probe that a path names, by system and name or by a name that only one system has.
func (s *server) find(system, name string) (ProbeStatus, bool) {
	if system != "" && s.Probe != nil {
		d, ok := s.Probe(system, name)
		return d.ProbeStatus, ok
	}
	rows := s.byName(system, name)
	if len(rows) != 1 {
		return ProbeStatus{}, false
	}
	return rows[0], true
}

// byName returns the statuses of the probes of that name, in all systems if system is empty.
func (s *server) byName(system, name string) []ProbeStatus {
	return drop.If(s.statuses(), func(row ProbeStatus) bool { return row.Name != name || system != "" && row.System != system })
}

// A layout is the data that all pages have.
type layout struct {
	Title, Head string
	Build       string // the prober's version
	Now         time.Time
	Up          string // path of the index page
	Worst       probe.Verdict
	Live        bool // the page keeps itself up to date
	Theme       string
	Pages       []namedLink // at the top, beside that of all probes
	Banners     []banner
	Maintenance []maintenanceBanner
	Breaches    []breachView // that nobody acknowledged
	Links       []namedLink
}

type namedLink struct{ Name, Path string }

// A banner says that something is wrong with the prober itself.
type banner struct{ What, Why string }

// layout returns the layout of a page. The path up leads from it to the index page.
func (s *server) layout(r *http.Request, up, head string) layout {
	var pages []namedLink
	if s.Incidents != nil {
		pages = append(pages, namedLink{"Incidents", up + "incidents"})
	}
	if s.Faults != nil {
		pages = append(pages, faultsLink(up, s.Faults()))
	}
	return layout{
		Theme: themeOf(r), Pages: pages, Title: s.Title, Head: head, Build: s.Version, Now: time.Now(), Up: up, Worst: probe.Pass,
		Banners: s.banners(), Links: s.links(up),
	}
}

// render writes a page, in small parts: a page of many probes has megabytes.
func (s *server) render(w http.ResponseWriter, status int, page g.Node) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", s.policy)
	w.WriteHeader(status)
	out := bufio.NewWriterSize(w, 4<<10)
	_ = page.Render(out) // fails only with the reader's connection
	_ = out.Flush()
}

func (s *server) banners() []banner {
	var all []banner
	for _, t := range []banner{
		{"The last reload failed. The previous configuration keeps running.", errorText(s.ReloadError)},
		{"The prober itself is not healthy.", errorText(s.Healthy)},
		{"The prober is not ready.", errorText(s.Ready)},
	} {
		if t.Why != "" {
			all = append(all, t)
		}
	}
	if s.FailedSelfChecks != nil {
		for _, check := range s.FailedSelfChecks() {
			all = append(all, selfCheckBanner(check))
		}
	}
	return all
}

// links lists the other routes.
func (s *server) links(up string) []namedLink {
	var all []namedLink
	for _, l := range []struct {
		there bool
		path  string
	}{
		{s.Incident != nil, "incident"}, {s.Incidents != nil, "incidents"}, {true, "api/v1/status"}, {s.Metrics != nil, "metrics"}, {s.Config != nil, "config"},
		{s.Schema != nil, "schema.json"}, {true, "-/healthy"}, {true, "-/ready"},
	} {
		if l.there {
			all = append(all, namedLink{"/" + l.path, up + l.path})
		}
	}
	return all
}

// A messageView is a page with a message and links.
type messageView struct {
	layout
	Text    string
	Choices []namedLink
}

// relative makes a path relative to the index page, so that it works behind any prefix.
func relative(path string) string { return "./" + strings.TrimLeft(path, "/") }

// escaped is a name as one path segment.
func escaped(name string) string { return url.PathEscape(name) }

// probePath is the path of a probe's page from a page from which up leads to the index page.
func probePath(up string, id probe.ID) string {
	return up + "probes/" + escaped(id.System) + "/" + escaped(id.Name)
}
