package web

import (
	"fmt"
	"strconv"
	"strings"

	h "prober/internal/html"

	g "maragu.dev/gomponents"

	"prober/internal/probe"
)

func (v indexView) node() g.Node {
	return v.document(
		h.Header(h.Class("status "+v.Worst.String()),
			h.H1(h.Text(v.Title+": "+v.Head)),
			g.Iff(v.Lead != nil, func() g.Node { return v.Lead.node() }),
			g.If(len(v.Counts) > 0, h.Ul(h.Class("counts"), h.Aria("label", "Verdicts"), g.Map(v.Counts, verdictCount.node))),
			softLine(v.Shard),
			h.P(h.Class("soft"), h.Text("As of "), dateTime(v.Now), h.Text(". "), h.Span(h.Class("reload"), v.Reload.node(), h.Text(".")), v.liveSwitch(),
				g.If(v.Note != "", g.Group{h.Text(" "), namedLink{"Incident note", v.Note}.node(), h.Text(".")})),
			g.If(len(v.Systems) > 0, h.Nav(h.Aria("label", "Systems"), inlineList(v.Systems, systemLink.node))),
			v.Search.node(),
		),
		h.Main(h.ID("main"),
			v.banners(),
			h.Each(v.Sections, verdictSection.node),
		),
	)
}

// node names the most urgent cause, and what it explains.
func (l leadView) node() g.Node {
	explains := g.Group{}
	for i, other := range l.Explains[:min(len(l.Explains), maxNames)] {
		if i > 0 {
			explains = append(explains, h.Text(", "))
		}
		explains = append(explains, other.node())
	}
	if more := len(l.Explains) - maxNames; more > 0 {
		explains = append(explains, h.Text(" "+andMore(more)))
	}
	return h.P(h.Class("lead"), namedLink{l.title(), l.Path}.node(), h.Text(": "), l.why(),
		g.If(len(explains) > 0, g.Group{h.Text(". It explains "), explains}), h.Text("."), l.impact())
}

// node is a form that works without scripts.
func (f searchForm) node() g.Node {
	hidden := func(name, value string) g.Node {
		return g.If(value != "" && value != "0", h.Input(h.Type("hidden"), h.Name(name), h.Value(value)))
	}
	choice := func(label, name, chosen string, all []string) g.Node {
		if len(all) < 2 {
			return hidden(name, chosen)
		}
		options := g.Map(all, func(one string) g.Node {
			return h.Option(h.Value(one), g.If(strings.EqualFold(one, chosen), h.Selected()), h.Text(one))
		})
		return h.Label(h.Text(label+" "), h.Select(h.Name(name), h.Option(h.Value(""), h.Text("any "+strings.ToLower(label))), options))
	}
	return h.Form(h.ID("search"), h.Class("search"), h.Role("search"), h.Action("./"),
		h.Label(h.Text("Search "), h.Input(h.Type("search"), h.Name(textParameter), h.Value(f.text), h.Attr("placeholder", "name or reason"))),
		choice("Verdict", verdictParameter, f.verdict, verdictWords()),
		choice("Severity", severityParameter, f.severity, f.Severities),
		choice("Type", kindParameter, f.kind, f.Kinds),
		hidden(systemParameter, f.system), hidden(runbookParameter, f.runbook), hidden(refreshParameter, strconv.Itoa(f.refresh)),
		h.Button(h.Text("Show")),
		g.If(f.Active, g.Group{h.Text(" "), namedLink{"Show all", f.cleared()}.node()}),
	)
}

func (c verdictCount) node() g.Node {
	content := g.Group{h.Strong(h.Text(strconv.Itoa(c.Count))), h.Text(" " + c.Words)}
	if c.Path == "" {
		return h.Li(h.Class(c.Verdict.String()), h.Span(content))
	}
	return h.Li(h.Class(c.Verdict.String()), h.A(h.Href(c.Path), content))
}

func (l systemLink) node() g.Node {
	return h.A(h.Href(l.Path), g.If(l.Here, h.Aria("current", "true")), h.Text(l.Name))
}

func (s verdictSection) node() g.Node {
	id := s.ID + "-head"
	head := h.H2(h.ID(id), h.Class(s.Verdict.String()), h.Text(s.Head))
	content := g.Group{
		g.If(len(s.Rows) > 0, h.Ul(h.Class("rows"), h.Role("list"), h.Each(s.Rows, rowView.node))),
		h.Each(s.Groups, group.node),
		g.If(len(s.Others) > 0, h.P(h.Class("others"), h.Text(s.Left), g.Map(s.Others, func(l namedLink) g.Node {
			return g.Group{h.Text(" "), l.node()}
		}))),
	}
	if s.Verdict == probe.Pass {
		return h.Section(h.ID(s.ID), h.Aria("labelledby", id),
			h.Details(g.If(!s.Closed, h.Open()), h.Summary(head), content))
	}
	return h.Section(h.ID(s.ID), h.Aria("labelledby", id), head, content)
}

func (of group) node() g.Node {
	key := of.System + " " + of.Runbook
	return g.Group{
		h.H3(h.Data("key", "head of "+key), namedLink{of.System, of.Path}.node(),
			g.If(of.Runbook != "", g.Group{h.Text(" "), soft("runbook"), h.Text(" "), runbook(of.Runbook, of.RunbookURL)})),
		h.Ul(h.Class("rows"), h.Role("list"), h.Data("key", "list of "+key), h.Each(of.Rows, rowView.line)),
	}
}

// line is a probe that passed, in one line.
func (v rowView) line() g.Node {
	return h.Li(h.Class("row line pass"), h.Data("key", v.Key().String()),
		h.Div(h.Class("state"), mark(v.Verdict)),
		h.Div(h.Class("what"), v.heading()),
		h.Div(h.Class("why"), h.Title(v.Detail+" "+asksText(v.addresses())), h.Span(h.Text(v.Detail)), v.asked()),
		h.Div(h.Class("past"), v.Chart.strip()),
		h.Div(h.Class("when soft"), h.Span(h.Class("more"), h.Text(v.sinceWords()), clock(v.Since), h.Text(", ")),
			h.Span(h.Class("took"), h.Text(formatLatency(v.Latency)), g.If(v.Uptime.Known > 0, h.Text(", "))), h.Text(v.uptimeWords(""))),
	)
}

// impact is what a failure means to customers; nothing if nobody said so.
func (v rowView) impact() g.Node {
	if v.About.Impact == "" {
		return nil
	}
	return g.Group{h.Text(" Impact: "), h.Strong(h.Text(v.About.Impact)), h.Text(".")}
}

// heading is what people call the probe with what it is.
func (v rowView) heading() g.Node {
	return g.Group{
		h.A(h.Class("name"), h.Href(v.Path), h.Text(v.title())), h.Text(" "),
		g.If(v.About.Title != "", soft(v.Name+" ")), soft(v.Type),
		g.If(v.Severity != "", g.Group{h.Text(" "), h.Span(h.Class(fmt.Sprintf("tag level%d", urgency(v.Severity))), h.Text(v.Severity))}),
		g.If(v.Maintained, g.Group{h.Text(" "), h.Span(h.Class("tag odd"), h.Text("maintenance"))}),
	}
}

// place is the system and the runbook of a row that does not stand below their heading.
func (v rowView) place() g.Node {
	of := g.Group{namedLink{v.systemTitle(), filter{system: v.System}.path()}.node()}
	if v.Runbook != "" {
		of = append(of, h.Text(" runbook "), runbook(v.runbookTitle(), v.RunbookURL))
	}
	return h.Div(h.Class("place soft"), of)
}

func (v rowView) node() g.Node {
	class := "row " + v.Verdict.String()
	if v.CausePath != "" {
		class += " consequence"
	}
	return h.Li(h.Class(class), h.Data("key", v.Key().String()),
		h.Div(h.Class("state"), mark(v.Verdict)),
		h.Div(h.Class("what"), v.heading(), v.place()),
		v.reasons(),
		h.Div(h.Class("past"), v.bars(), v.Chart.spark(), v.Chart.ends()),
		h.Div(h.Class("when soft"), v.times()),
	)
}

// bars are the last runs, each with its own words if there is room for them.
func (v rowView) bars() g.Node {
	if v.Titled {
		return v.Chart.runBars()
	}
	return v.Chart.strip()
}

// reasons says why: the decisive failure, the others, and what goes with them.
func (v rowView) reasons() g.Node {
	lead := g.Group{v.why()}
	if v.Lead != nil {
		lead = append(lead, h.Text(" "), soft("(check "+v.Lead.Name+v.Lead.targets()+")"))
	}
	others := g.Map(v.Shown, func(f failureGroup) g.Node {
		return h.Li(h.Text(f.Name+f.targets()+": "), why(f.Reason, f.Detail))
	})
	if v.More > 0 {
		others = append(others, h.Li(h.Text(andMore(v.More))))
	}
	return h.Div(h.Class("why"),
		h.P(lead),
		g.If(v.Verdict == probe.Fail && v.About.Impact != "", h.P(v.impact())),
		v.explained(),
		g.If(len(others) > 0, h.Ul(others)),
		g.If(v.Consequences != "", softLine("Also inconclusive as a consequence: "+v.Consequences+".")),
		g.If(v.Verdict != probe.Pass, softLine(v.origin())),
	)
}

// why is the reason and its detail. A dependency that is the reason is named: by the probe that explains it, else by its address.
func (v rowView) why() g.Node {
	before, after, found := strings.Cut(reasonText(v.Reason), itsDependency)
	if !v.Reason.Dependency || !found || v.CausePath == "" && v.Dependency == "" {
		return why(v.Reason, v.Detail)
	}
	dependency := h.Text(v.Dependency)
	if v.CausePath != "" {
		dependency = namedLink{v.Cause.Name, v.CausePath}.node()
	}
	return g.Group{h.Strong(h.Text(before+itsDependency+" "), dependency, h.Text(after)), h.Text(": " + v.Detail)}
}

// itsDependency is what the text of a reason with a dependency calls it.
const itsDependency = "its dependency"

// explained names the probe that explains this one; nothing if there is none.
func (v rowView) explained() g.Node {
	if v.CausePath == "" {
		return nil
	}
	return h.P(h.Text("Explained by "), namedLink{v.Cause.Name, v.CausePath}.node(), h.Text("."))
}

// origin names the trace and the version of a failure, as far as they are known.
func (v rowView) origin() string {
	var parts []string
	if v.TraceID != "" {
		parts = append(parts, "trace id "+v.TraceID)
	}
	if v.Version != "" {
		parts = append(parts, "version "+v.Version)
	}
	return strings.Join(parts, ", ")
}

// times says since when the verdict holds, how long the last run took, and when the next one is.
func (v rowView) times() g.Node {
	all := g.Group{h.Text("not run yet")}
	if !v.Since.IsZero() {
		all = g.Group{h.Text(v.State + " " + v.sinceWords()), clock(v.Since), h.Text(" (" + v.For + ")")}
	}
	if v.Latency != 0 || !v.NextRun.IsZero() {
		all = append(all, h.Br())
	}
	if v.Latency != 0 {
		all = append(all, h.Text("latency "+formatLatency(v.Latency)))
	}
	if v.Latency != 0 && !v.NextRun.IsZero() {
		all = append(all, h.Text(", "))
	}
	if !v.NextRun.IsZero() {
		all = append(all, h.Text("next "), clock(v.NextRun))
	}
	if words := v.uptimeWords(""); words != "" {
		all = append(all, h.Br(), h.Text(words))
	}
	return all
}

// uptimeWords is the uptime of the last 24 hours after a separator; empty if nothing is known.
func (v rowView) uptimeWords(separator string) string {
	if v.Uptime.Known == 0 {
		return ""
	}
	return separator + "24 h: " + formatUptime(v.Uptime)
}

// targets names the targets after the name of a check.
func (f failureGroup) targets() string {
	text := ""
	if len(f.Targets) > 0 {
		text = " " + strings.Join(f.Targets, ", ")
	}
	if f.More > 0 {
		text += " " + andMore(f.More)
	}
	return text
}

//go:noinline
func andMore(n int) string { return fmt.Sprintf("and %d more", n) }

// softLine is a paragraph of lesser weight; nothing without text.
//
//go:noinline
func softLine(text string) g.Node {
	if text == "" {
		return nil
	}
	return h.P(h.Class("soft"), h.Text(text))
}

func (f Fault) node() g.Node {
	action := g.Group{h.Button(h.Text("Inject " + f.Name))}
	if f.Active {
		action = g.Group{h.Span(h.Class("mark fail"), h.Text("active")), h.Text(" "), h.Button(h.Text("Clear " + f.Name))}
	}
	class := "row fault"
	if f.Active {
		class += " active"
	}
	return h.Li(h.Class(class),
		h.Div(h.Class("what"), h.Strong(h.Class("name"), h.Text(f.Name))),
		h.Div(h.Class("why"), h.P(h.Text(f.Summary)), softLine(f.Signal)),
		h.Form(h.Class("when"), h.Method("post"), h.Action(relative(f.Path)), action),
	)
}
