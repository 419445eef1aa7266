package web

import (
	"fmt"
	"strconv"

	h "prober/internal/html"

	g "maragu.dev/gomponents"

	"prober/internal/probe"
)

func (v probeView) node() g.Node {
	return v.document(
		h.Header(h.Class("status "+v.Verdict.String()),
			h.H1(mark(v.Verdict), h.Text(" "+v.name())),
			softLine(v.About.Text),
			softLine(asksText(v.Addresses)),
			h.P(h.Class("lead"), v.why(), g.If(v.Verdict == probe.Fail && v.About.Impact != "", g.Group{h.Text("."), v.impact()})),
			v.explained(),
			softLine(v.whatToDo()),
			g.If(!v.Since.IsZero(), h.P(h.Class("soft"), h.Text(v.State+" "+v.sinceWords()), dateTime(v.Since), h.Text(" ("+v.For+")."))),
			g.Map(v.Deploys, func(sentence string) g.Node { return h.P(h.Text(sentence)) }),
		),
		h.Main(h.ID("main"), v.banners(), v.recent(), v.past(), v.asks(), v.configuration(), g.Map(v.RunViews, runView.node)),
	)
}

// whatToDo says what the person on call can do about a probe that did not pass. One that did not run is only waited for.
func (v probeView) whatToDo() string {
	if v.Verdict == probe.Pass || v.LastRun.IsZero() || v.Reason.Action == "" {
		return ""
	}
	return "What to do: " + v.Reason.Action
}

// recent shows the last runs.
func (v probeView) recent() g.Node {
	schedule := g.Group{}
	if !v.LastRun.IsZero() {
		schedule = append(schedule, h.Text("Last run "), clock(v.LastRun), h.Text(", "))
	}
	if !v.NextRun.IsZero() {
		schedule = append(schedule, h.Text("next run "), clock(v.NextRun), h.Text(", "))
	}
	return section("recent", heading("recent", "Recent runs"),
		h.Div(h.Class("charts"),
			figure(v.Chart.Words, v.Chart.Latencies, v.Chart.runBars(), v.Chart.scale(), v.Chart.latencyBars(), v.Chart.ends()),
			v.lastDay()),
		g.If(len(v.Runs) > 0, h.Details(h.Summary(h.Text("All runs")),
			table([]string{"Started", "Verdict", "Why", "Latency"}, g.Map(v.Runs, Run.row)))),
		h.P(schedule, h.Text("one every "+v.Every+". "), v.liveSwitch()),
		g.If(v.RunPath != "", h.Form(h.Method("post"), h.Action(v.RunPath), h.Button(h.Text("Run now")), h.Text(" "), v.runOutcome())),
	)
}

// runOutcome stands beside the button.
func (v probeView) runOutcome() g.Node {
	if v.RunOutcome == "" {
		return soft("runs the probe once more, in addition to the schedule")
	}
	return h.Strong(h.Role("status"), h.Text(v.RunOutcome))
}

// figure is a card with charts of the same time and what they show.
func figure(words, more string, parts ...g.Node) g.Node {
	return h.Figure(g.Group(parts), h.FigCaption(h.Text(words), g.If(more != "", g.Group{h.Br(), h.Text(more)})))
}

func (r Run) row() g.Node {
	return h.Tr(h.Td(dateTime(r.Started)), h.Td(mark(r.Verdict)), h.Td(h.Text(reasonText(r.Reason))), h.Td(h.Text(formatLatency(r.Latency))))
}

// configuration shows what the probe is configured to do.
func (v probeView) configuration() g.Node {
	code := func(s string) g.Node { return h.Li(h.Code(h.Text(s))) }
	return section("facts", heading("facts", "Configuration"), h.Dl(h.Class("facts"),
		term("Type", h.Text(v.Type)),
		g.If(v.Runbook != "" || v.RunbookURL != "", term("Runbook", runbook(v.runbookTitle(), v.RunbookURL))),
		g.If(v.Severity != "", term("Severity", h.Text(v.Severity))),
		term("Interval", h.Text(v.Every)),
		term("Timeout", h.Text(v.Limit)),
		g.If(len(v.Dependencies) > 0, term("Depends on", inlineList(v.Dependencies, dependency.node))),
		g.If(len(v.Labels) > 0, term("Labels", h.Ul(g.Map(v.Labels, code)))),
		g.If(len(v.Signals) > 0, term("Signals", h.Ul(g.Map(v.Signals, func(s signalView) g.Node {
			return h.Li(h.Text(s.Check+": "), h.Code(h.Text(s.Series)))
		})))),
	))
}

func (d dependency) node() g.Node {
	return g.Group{d.namedLink.node(), h.Text(" "), g.If(d.Known, mark(d.Verdict)), g.If(d.Elsewhere != "", soft("runs in "+d.Elsewhere))}
}

func (v runView) node() g.Node {
	return section(v.ID, heading(v.ID, v.Head),
		g.If(v.Text != "", h.P(h.Text(v.Text))),
		g.Iff(v.Run != nil, func() g.Node { return v.Run.node() }),
	)
}

func (d *RunDetail) node() g.Node {
	rows := g.Group{}
	for _, v := range []probe.Verdict{probe.Fail, probe.Inconclusive, probe.Pass} { // the worst first
		for _, c := range d.Checks {
			if c.Verdict != v {
				continue
			}
			name := g.Group{h.Text(c.Name)}
			if c.Target != "" {
				name = append(name, h.Text(" "), soft(c.Target))
			}
			rows = append(rows, h.Tr(h.Td(mark(v)), h.Th(h.Scope("row"), name), h.Td(why(c.Reason, c.Detail))))
		}
	}
	if d.MoreChecks > 0 {
		rows = append(rows, h.Tr(h.Td(), h.Th(h.Scope("row"), h.Text(andMore(d.MoreChecks))), h.Td(h.Text("not stored"))))
	}
	asked := g.Map(exchanges(d), exchangeView.node)
	if len(asked) == 0 {
		asked = g.Group{h.P(h.Text("No requests."))}
	}
	return g.Group{
		h.P(h.Class("soft"), h.Text("Started "), dateTime(d.Started), h.Text(", took "+formatLatency(d.Took)+".")),
		h.H3(h.Text("Checks")),
		table([]string{"Verdict", "Check", "Why"}, rows),
		h.H3(h.Text("Requests")),
		asked,
		g.If(d.MoreExchanges > 0, h.P(h.Text(fmt.Sprintf("And %d more exchanges that were not stored.", d.MoreExchanges)))),
	}
}

func (x exchangeView) node() g.Node {
	outcome := h.Text(x.Outcome)
	if x.Failed {
		outcome = h.Strong(h.Class("fail"), outcome)
	}
	return h.Details(h.Class("exchange"), h.Data("key", x.Method+" "+x.URL+" "+x.For), g.If(x.Open, h.Open()),
		h.Summary(h.Strong(h.Text(x.Method+" "+x.URL)), g.If(x.For != "", g.Group{h.Text(" "), soft("for " + x.For)}), h.Br(), outcome),
		g.If(len(x.Phases) > 0, g.Group{
			h.SVG(h.Class("phases"), h.Role("img"), h.Attr("viewBox", "0 0 300 12"), h.Attr("preserveAspectRatio", "none"),
				h.TitleEl(h.Text(x.PhaseWords)), g.Map(x.Phases, phaseView.node)),
			softLine(x.PhaseWords),
		}),
		h.Dl(h.Class("facts"), g.Map(x.Facts, func(f fact) g.Node { return term(f.Name, h.Text(f.Value)) })),
	)
}

func (p phaseView) node() g.Node {
	number := strconv.Itoa
	return h.El("rect", h.Class(p.Name), h.Attr("x", number(p.X)), h.Attr("y", number(p.Y)), h.Width(number(p.Width)), h.Height(number(p.Height)))
}
