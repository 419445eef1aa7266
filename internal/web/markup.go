package web

import (
	"cmp"
	"net/url"
	"strings"
	"time"

	h "prober/internal/html"

	g "maragu.dev/gomponents"

	"prober/internal/probe"
)

// document is a whole page. All text in it is escaped; addresses are our own paths, or
// those that isLink lets through.
func (l layout) document(content ...g.Node) g.Node {
	return h.Doctype(h.HTML(h.Lang("en"), g.If(l.Theme != "", h.Data("theme", l.Theme)),
		h.Head(
			h.Meta(h.Charset("utf-8")),
			h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
			h.Meta(h.Name("color-scheme"), h.Content("light dark")),
			h.TitleEl(h.Text(l.Head+" - "+l.Title)),
			h.Link(h.Rel("icon"), h.Type("image/svg+xml"), h.Href(l.Up+"icon/"+l.Worst.String()+".svg")),
			h.StyleEl(g.Raw(style)),
		),
		h.Body(h.A(h.Class("skip"), h.Href("#main"), h.Text("Skip to the content")), l.bar(), g.Group(content), l.footer(),
			h.Div(h.Class("stale"), h.Role("status"),
				h.Text("This page is over two minutes old. Reload it before you trust it.")),
			g.If(l.Live, h.Script(h.Data("events", l.Up+"events"), g.Raw(script))),
		),
	))
}

// liveSwitch stops and resumes the updates of a live page. It is seen only where they work.
func (l layout) liveSwitch() g.Node {
	if !l.Live {
		return nil
	}
	return h.Button(h.Type("button"), h.Class("live-switch"), h.Data("own", ""), h.Text("Pause updates"))
}

func (l layout) footer() g.Node {
	build := ""
	if l.Build != "" {
		build = ", version " + l.Build
	}
	return h.Footer(
		h.P(h.Text("As of "), dateTime(l.Now), h.Text(build+". All times are UTC.")),
		h.Nav(h.Aria("label", "Addresses"), inlineList(l.Links, namedLink.node)),
	)
}

func (l layout) banners() g.Node {
	return g.Group{
		g.Map(l.Breaches, breachView.node),
		g.Map(l.Banners, func(b banner) g.Node {
			return h.Div(h.Class("banner bad"), h.Role("alert"), h.Strong(h.Text(b.What)), h.Pre(h.Text(b.Why)))
		}),
		g.Map(l.Maintenance, maintenanceBanner.node),
	}
}

func (m maintenanceBanner) node() g.Node {
	why := " "
	if m.Why != "" {
		why = " " + m.Why + ". "
	}
	names := m.Names
	if m.More > 0 {
		names = append(names[:len(names):len(names)], andMore(m.More))
	}
	return h.Div(h.Class("banner odd"),
		h.Strong(h.Text(m.What+" in maintenance until "), clock(m.Until), h.Text(".")),
		h.Text(why+"Probes keep running, alerts are silenced."),
		g.If(len(names) > 0, inlineList(names, g.Text)),
	)
}

// node is the message with its links.
func (v messageView) node() g.Node {
	return v.document(
		h.Header(h.H1(h.Text(v.Head))),
		h.Main(h.ID("main"),
			h.P(h.Text(v.Text)),
			h.Ul(g.Map(v.Choices, func(l namedLink) g.Node { return h.Li(l.node()) })),
		),
	)
}

//go:noinline
func (l namedLink) node() g.Node { return h.A(h.Href(l.Path), h.Text(l.Name)) }

// inlineList is a list whose items stand beside each other.
func inlineList[T any](all []T, node func(T) g.Node) g.Node {
	return h.Ul(h.Class("inline"), g.Map(all, func(one T) g.Node { return h.Li(node(one)) }))
}

// clock is a time of today without its date.
func clock(t time.Time) g.Node { return h.Time(h.DateTime(rfc3339(t)), h.Text(formatTime(t))) }

// shortClock is a clock where it goes without saying that all times are UTC.
func shortClock(t time.Time) g.Node {
	return h.Time(h.DateTime(rfc3339(t)), h.Text(strings.TrimSuffix(formatTime(t), " UTC")))
}

func dateTime(t time.Time) g.Node { return h.Time(h.DateTime(rfc3339(t)), h.Text(formatDateTime(t))) }

// mark is the symbol of a verdict, with its word: here there is room for all of it.
func mark(v probe.Verdict) g.Node {
	word := v.Mark()
	if v == probe.Inconclusive {
		word = v.String()
	}
	return h.Span(h.Class("mark "+v.String()), h.Text(word))
}

func soft(text string) g.Node { return h.Span(h.Class("soft"), h.Text(text)) }

// runbook is the name of a runbook, or the word, with a link if there is an address.
func runbook(name, address string) g.Node {
	if !isLink(address) {
		return h.Text(name)
	}
	return h.A(h.Href(address), h.Rel("noreferrer"), h.Text(cmp.Or(name, "runbook")))
}

// isLink reports whether an address that people wrote may be followed: what follows "javascript:" would run in the page.
func isLink(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// why is a reason and its detail. A detail that begins with the words of the reason does not repeat them.
func why(reason probe.Reason, detail string) g.Node {
	words := reasonText(reason)
	if words == "" {
		return h.Text(detail)
	}
	if rest, ok := strings.CutPrefix(detail, words); ok {
		return g.Group{h.Strong(h.Text(words)), h.Text(rest)}
	}
	return g.Group{h.Strong(h.Text(words)), h.Text(": " + detail)}
}

// section is a part of the page with its heading.
func section(id string, heading g.Node, content ...g.Node) g.Node {
	return h.Section(h.Aria("labelledby", id), heading, g.Group(content))
}

// heading is the heading of the section of that id.
func heading(id, text string) g.Node { return h.H2(h.ID(id), h.Text(text)) }

// term is a term and what stands for it; nothing if there is no value.
//
//go:noinline
func term(name string, value g.Node) g.Node { return h.Div(h.Dt(h.Text(name)), h.Dd(value)) }

// table is a table with these columns.
func table(columns []string, rows g.Node) g.Node {
	return h.Table(
		h.THead(h.Tr(g.Map(columns, func(c string) g.Node { return h.Th(h.Scope("col"), h.Text(c)) }))),
		h.TBody(rows),
	)
}
