package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	h "prober/internal/html"

	g "maragu.dev/gomponents"

	"prober/internal/probe"
	"prober/internal/text"
)

// uptimeNames are the spans of probe.Past.Uptimes.
var uptimeNames = [...]string{"24 hours", "7 days", "30 days", "90 days"}

// formatUptime is an uptime for people.
//
//go:noinline
func formatUptime(u probe.Uptime) string { return u.String() }

// uptimes returns the uptime of each row in the last 24 hours.
func (s *server) uptimes(rows []*ProbeStatus) []probe.Uptime {
	ids := make([]probe.ID, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	if s.Uptimes != nil {
		if all := s.Uptimes(ids); len(all) == len(rows) {
			return all
		}
	}
	return make([]probe.Uptime, len(rows))
}

// addPast adds what is remembered of a probe to its page.
func (s *server) addPast(v *probeView, id probe.ID) {
	v.Breaches = s.openBreaches("../../", func(k probe.Key) bool { return k == id.Key() })
	v.Acknowledged = s.acknowledgements(id.Key())
	if s.Past == nil {
		return
	}
	past, err := s.Past(id)
	if err != nil {
		v.Banners = append(v.Banners, banner{"The history is not shown.", text.Lines(err.Error())})
	}
	v.Past = past
}

// past shows the uptime, the last 90 days and the changes of the verdict.
func (v probeView) past() g.Node {
	if v.Past.Days == nil && v.Past.Changes == nil && v.Acknowledged == nil {
		return nil
	}
	spans := g.Group{}
	for i, u := range v.Past.Uptimes {
		spans = append(spans, term("Last "+uptimeNames[i], h.Text(formatUptime(u))))
	}
	return section("uptime", heading("uptime", "Uptime"),
		softLine("The share of the time with a verdict in which the probe passed. Inconclusive runs, and time without any, are unknown."),
		h.Dl(h.Class("facts"), spans),
		g.Iff(len(v.Past.Days) > 0, func() g.Node {
			return h.Div(h.Class("charts"), figure("the last 90 days", "", dayBars(v.Past.Days, "days", barPitch, dayWords), dayEnds(v.Past.Days)))
		}),
		g.If(len(v.Past.Changes) > 0, h.Details(h.Summary(h.Text("Last changes of the verdict")),
			table([]string{"Time", "Verdict", "Why"}, g.Map(v.Past.Changes, changeRow)))),
		g.Map(v.Acknowledged, func(b probe.Breach) g.Node {
			a := b.Acknowledged
			return h.P(h.Text("Breach ("+strings.ReplaceAll(b.Reason, "_", " ")+", last "), dateTime(b.Last), h.Text(") acknowledged by "+a.By+" at "),
				dateTime(a.At), h.Text(": "+a.Why))
		}),
	)
}

func changeRow(c probe.Change) g.Node {
	return h.Tr(h.Td(dateTime(c.At)), h.Td(mark(c.Verdict)), h.Td(why(probe.Reason{Word: c.Reason}, c.Detail)))
}

// dayBars draws a bar for each day or hour as the strip does for each run: low if all runs passed, high if one failed, a frame if all
// were inconclusive, nothing without a run.
func dayBars(days []probe.Day, unit string, pitch int, words func(probe.Day) string) g.Node {
	bars := g.Group{}
	failed := 0
	for i, d := range days {
		v := probe.Inconclusive
		switch {
		case d.Fail > 0:
			failed++
			v = probe.Fail
		case d.Pass > 0:
			v = probe.Pass
		case d.Inconclusive == 0:
			continue
		}
		bars = append(bars, titledPath(v.String(), bar(v, i*pitch, pitch-1), words(d)))
	}
	return drawing("days", fmt.Sprintf("%d of the last %d %s had failures", failed, len(days), unit), len(days)*pitch, chartHeight, bars)
}

// dayEnds are the first day and the last.
func dayEnds(days []probe.Day) g.Node {
	date := func(d probe.Day) g.Node { return h.Span(h.Text(d.Start.Format(time.DateOnly))) }
	return h.Div(h.Class("ends"), date(days[0]), date(days[len(days)-1]))
}

// dayWords describes a day.
func dayWords(d probe.Day) string { return d.Start.Format(time.DateOnly) + ": " + runsWords(d) }

// runsWords describes the runs of a day or an hour.
func runsWords(d probe.Day) string {
	words := formatUptime(d.Uptime) + ", " + describeVerdicts(d.Fail, d.Inconclusive, d.Pass)
	if d.Pass > 0 {
		words += ", latency 95 % within " + formatLatency(d.Latency95) + ", max " + formatLatency(d.LatencyMax)
	}
	return words
}

// An incidentsView is the data of the list of incidents.
type incidentsView struct {
	layout
	Incidents []probe.IncidentRecord
	Earlier   string // path of the next page; empty if there is none
}

// incidents lists past incidents with their notes, the newest first, from the one before a time.
func (s *server) incidents(w http.ResponseWriter, r *http.Request) {
	before, _ := time.Parse(time.RFC3339Nano, r.URL.Query().Get("before"))
	v := incidentsView{layout: s.layout(r, "./", "incidents of the last 90 days")}
	all, err := s.Incidents(before)
	if err != nil {
		http.Error(w, text.Lines(err.Error()), http.StatusServiceUnavailable)
		return
	}
	if v.Incidents = all; len(all) > 0 {
		last := all[len(all)-1].Start
		if more, err := s.Incidents(last); err == nil && len(more) > 0 {
			v.Earlier = "./incidents?" + url.Values{"before": {last.UTC().Format(time.RFC3339Nano)}}.Encode()
		}
	}
	s.render(w, http.StatusOK, v.node())
}

func (v incidentsView) node() g.Node {
	return v.document(
		h.Header(h.H1(h.Text("Incidents of the last 90 days"))),
		h.Main(h.ID("main"), v.banners(),
			g.If(len(v.Incidents) == 0, h.P(h.Text("None is remembered."))),
			g.Map(v.Incidents, incidentNode),
			g.If(v.Earlier != "", h.P(h.Class("others"), namedLink{"Earlier", v.Earlier}.node())),
		),
	)
}

// incidentNode is an incident with its note.
func incidentNode(i probe.IncidentRecord) g.Node {
	took := "its end was not seen"
	switch {
	case i.Ongoing:
		took = "not over"
	case !i.End.IsZero():
		took = formatElapsed(i.End.Sub(i.Start))
	}
	parts := []string{took}
	if i.Severity != "" {
		parts = append(parts, i.Severity)
	}
	names := text.List(i.Probes, maxNames)
	return h.Details(h.Class("exchange"),
		h.Summary(h.Strong(dateTime(i.Start)), h.Text(" "+strings.Join(parts, ", ")), h.Br(), h.Text(i.System+": "+names)),
		h.Pre(h.Text(text.Lines(i.Note))),
	)
}
