package public

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"prober/internal/text"
)

//go:embed page.css
var style string

// script shows that the page is old by the reader's clock, also a copy that nobody writes any more. Without it the page shows
// only for how long it has been open.
const script = `(function () { function look() { if (Date.now() - new Date(document.documentElement.dataset.updated) > 300000) document.documentElement.className = "old" } look(); setInterval(look, 10000) })()`

// policy allows what the page has and nothing else.
var policy = fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; img-src 'self'; form-action 'none'; base-uri 'none'", hash(style), hash(script))

func hash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// page is the whole page. All text in it is escaped.
func (v *view) page() g.Node {
	return h.Doctype(h.HTML(h.Lang("en"), h.Data("updated", rfc3339(v.updated)),
		h.Head(
			h.Meta(h.Charset("utf-8")),
			h.Meta(g.Attr("http-equiv", "Content-Security-Policy"), h.Content(policy)),
			h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
			h.Meta(h.Name("color-scheme"), h.Content("light dark")),
			h.TitleEl(g.Text(v.sentence+" - "+v.title)),
			h.Link(h.Rel("icon"), h.Type("image/svg+xml"), h.Href(iconName)),
			h.Link(h.Rel("alternate"), h.Type(feedType), h.Title(v.title), h.Href(feedName)),
			h.StyleEl(g.Raw(style)),
		),
		h.Body(
			h.A(h.Class("skip"), h.Href("#main"), g.Text("Skip to the content")),
			v.header(),
			h.Main(h.ID("main"),
				noticeCards("announcements", "Announcements", v.announcements),
				noticeCards("maintenance", "Planned maintenance", v.maintenance),
				v.components(),
				v.history(),
			),
			h.Footer(
				h.P(g.Text("Last updated "), dateTime(v.updated), g.Text(".")),
				h.Nav(h.Aria("label", "More"), h.Ul(
					h.Li(h.A(h.Href(feedName), g.Text("Feed"))),
					h.Li(h.A(h.Href(statusName), g.Text("As JSON"))),
				)),
			),
			h.Div(h.Class("stale"), h.Role("status"),
				g.Text("This page is over five minutes old: the status may be another one now. If it still is after you reload it, the status is not known.")),
			h.Script(g.Raw(script)),
		),
	))
}

func (v *view) header() g.Node {
	var logo g.Node
	if v.logo != nil {
		logo = h.Img(h.Src(v.logo.name), h.Alt(""))
	}
	return h.Header(
		h.Div(h.Class("brand"), logo, h.H1(g.Text(v.title))),
		g.If(v.text != "", h.P(h.Class("soft"), g.Text(v.text))),
		h.Div(h.Class("head "+stateNames[v.state]),
			h.P(g.Text(v.sentence)),
			h.P(h.Class("soft"), g.Text("As of "), dateTime(v.updated)),
		),
	)
}

// noticeCards lists what operators say.
func noticeCards(id, heading string, all []notice) g.Node {
	if all == nil {
		return nil
	}
	return section(id, heading, g.Map(all, func(n notice) g.Node {
		return h.Article(h.ID(n.id), h.Class("card notice"),
			h.H3(g.Text(n.title)),
			h.P(h.Class("soft"), n.times(), about(n.components)),
			paragraphs(n.text),
		)
	}))
}

func section(id, heading string, content ...g.Node) g.Node {
	return h.Section(h.Aria("labelledby", id), h.H2(h.ID(id), g.Text(heading)), g.Group(content))
}

// components lists the components, those of a group together.
func (v *view) components() g.Node {
	var names []string
	groups := map[string][]part{}
	for _, p := range v.parts {
		if groups[p.Group] == nil {
			names = append(names, p.Group)
		}
		groups[p.Group] = append(groups[p.Group], p)
	}
	all := g.Group{}
	for i, name := range names {
		heading := name
		if name == "" {
			heading = "Components"
		}
		all = append(all, section(fmt.Sprintf("group%d", i+1), heading, h.Ul(g.Map(groups[name], part.node))))
	}
	return all
}

func (p part) node() g.Node {
	var since g.Node
	if !p.since.At.IsZero() {
		words := " since "
		if !p.since.Exact {
			words = " since at least "
		}
		since = g.Group{g.Text(words), dateTime(p.since.At)}
	}
	return h.Li(h.Class("card"),
		h.Div(h.Class("name"), h.H3(g.Text(p.Name)), h.Span(h.Class("state "+stateNames[p.state]), g.Text(stateWords[p.state]), since)),
		g.If(p.Text != "", h.P(h.Class("soft"), g.Text(p.Text))),
		p.bars(),
	)
}

// The bars: one for each day. One that failed is higher, and what is not known is missing from its height.
const (
	barPitch  = 5
	barHeight = 32
	barRise   = 6 // of a bar that failed above the others
)

func (p part) bars() g.Node {
	if p.days == nil {
		return nil
	}
	all := g.Group{}
	failed, dark := 0, 0
	for i, d := range p.days {
		x := i * barPitch
		share := func(of time.Duration) int {
			return int(float64(of) / float64(max(d.Span, 1)) * float64(barHeight-barRise))
		}
		height := max(share(d.Known), barRise)
		down := d.Known - d.Passed
		var parts g.Group
		switch {
		case d.Known <= 0:
			dark++
			parts = g.Group{bar("none", x, barHeight-3, 3)}
		case down > 0:
			failed++
			red := min(max(share(down), barRise), height) + barRise
			parts = g.Group{bar("down", x, barHeight-height-barRise, red)}
			if rest := height + barRise - red - 1; rest > 0 && d.Passed > 0 {
				parts = append(parts, bar("up", x, barHeight-rest, rest))
			}
		default:
			parts = g.Group{bar("up", x, barHeight-height, height)}
		}
		all = append(all, g.El("g", h.TitleEl(g.Text(d.Start.Format("2 Jan 2006")+": "+d.Uptime.String())), parts))
	}
	summary := fmt.Sprintf("%s: %d of the last %s had failures, %d are not known", p.Name, failed, text.Count(len(p.days), "day"), dark)
	uptime := "uptime unknown"
	if u := p.uptime(); u.Known > 0 {
		uptime = strings.Replace(u.String(), " %", " % uptime", 1)
	}
	return g.Group{
		h.SVG(h.Class("bars"), h.Role("img"), g.Attr("viewBox", fmt.Sprintf("0 0 %d %d", len(p.days)*barPitch, barHeight)), g.Attr("preserveAspectRatio", "none"),
			h.TitleEl(g.Text(summary)), all),
		h.Div(h.Class("scale"), h.Span(g.Textf("%d days ago", len(p.days))), h.Span(g.Text(uptime)), h.Span(g.Text("today"))),
	}
}

func bar(class string, x, y, height int) g.Node {
	return g.El("path", h.Class(class), g.Attr("d", fmt.Sprintf("M%d %dh4v%dh-4z", x, y, height)))
}

// history lists past incidents and notices.
func (v *view) history() g.Node {
	heading := fmt.Sprintf("The last %d days", shownDays)
	note := h.P(h.Class("soft"), g.Text("Uptime is the share of the time with a known status. Time without one is neither up nor down."))
	if v.noHistory {
		note = h.P(g.Text("The past cannot be shown at the moment."))
	}
	nothing := g.If(len(v.past) == 0 && !v.noHistory, h.P(g.Text("No incidents.")))
	return section("past", heading, note, nothing, h.Ul(h.Class("past"), g.Map(v.past, func(n notice) g.Node {
		return h.Li(h.ID(n.id), h.H3(g.Text(n.heading())), h.P(h.Class("soft"), n.times()), paragraphs(n.text))
	})))
}

// heading is the title of a notice, or what an incident was about.
func (n notice) heading() string {
	if n.incident {
		return "Problems: " + strings.Join(n.components, ", ")
	}
	return n.title
}

// times says from when to when.
func (n notice) times() g.Node {
	switch {
	case n.open:
		return g.Group{g.Text("Since "), dateTime(n.from), g.Text(", not over yet")}
	case n.incident && n.to.IsZero():
		return g.Group{g.Text("From "), dateTime(n.from), g.Text("; its end is not known")}
	case n.to.IsZero():
		return dateTime(n.from)
	}
	return g.Group{g.Text("From "), dateTime(n.from), g.Text(" to "), dateTime(n.to), g.If(n.incident, g.Text(" ("+took(n.to.Sub(n.from))+")"))}
}

// took is how long something took, in words.
func took(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "under a minute"
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d/time.Hour), int(d%time.Hour/time.Minute))
	}
	return fmt.Sprintf("%d d %d h", int(d/(24*time.Hour)), int(d%(24*time.Hour)/time.Hour))
}

func about(components []string) g.Node {
	if len(components) == 0 {
		return nil
	}
	return g.Text(". Concerns " + strings.Join(components, ", "))
}

// paragraphs is a text whose paragraphs are separated by empty lines.
func paragraphs(s string) g.Node {
	parts := slices.DeleteFunc(strings.Split(s, "\n\n"), func(p string) bool { return strings.TrimSpace(p) == "" })
	return g.Map(parts, func(p string) g.Node { return h.P(g.Text(p)) })
}

func dateTime(t time.Time) g.Node {
	return h.Time(h.DateTime(rfc3339(t)), g.Text(t.UTC().Format("2 Jan 2006, 15:04 UTC")))
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }
