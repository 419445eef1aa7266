package public

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"prober/internal/drop"
	h "prober/internal/html"

	g "maragu.dev/gomponents"

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
	return h.Doctype(h.El("html", h.Attr("lang", "en"), h.Attr("data-updated", rfc3339(v.updated)),
		h.El("head",
			h.El("meta", h.Attr("charset", "utf-8")),
			h.El("meta", h.Attr("http-equiv", "Content-Security-Policy"), h.Attr("content", policy)),
			h.El("meta", h.Attr("name", "viewport"), h.Attr("content", "width=device-width, initial-scale=1")),
			h.El("meta", h.Attr("name", "color-scheme"), h.Attr("content", "light dark")),
			h.El("title", h.Text(v.sentence+" - "+v.title)),
			h.El("link", h.Attr("rel", "icon"), h.Attr("type", "image/svg+xml"), h.Attr("href", iconName)),
			h.El("link", h.Attr("rel", "alternate"), h.Attr("type", feedType), h.Attr("title", v.title), h.Attr("href", feedName)),
			h.El("style", g.Raw(style)),
		),
		h.El("body",
			h.El("a", h.Attr("class", "skip"), h.Attr("href", "#main"), h.Text("Skip to the content")),
			v.header(),
			h.El("main", h.Attr("id", "main"),
				noticeCards("announcements", "Announcements", v.announcements),
				noticeCards("maintenance", "Planned maintenance", v.maintenance),
				v.components(),
				v.history(),
			),
			h.El("footer",
				h.El("p", h.Text("Last updated "), dateTime(v.updated), h.Text(".")),
				h.El("nav", h.Attr("aria-label", "More"), h.El("ul",
					h.El("li", h.El("a", h.Attr("href", feedName), h.Text("Feed"))),
					h.El("li", h.El("a", h.Attr("href", statusName), h.Text("As JSON"))),
				)),
			),
			h.El("div", h.Attr("class", "stale"), h.Attr("role", "status"),
				h.Text("This page is over five minutes old: the status may be another one now. If it still is after you reload it, the status is not known.")),
			h.El("script", g.Raw(script)),
		),
	))
}

func (v *view) header() g.Node {
	var logo g.Node
	if v.logo != nil {
		logo = h.El("img", h.Attr("src", v.logo.name), h.Attr("alt", ""))
	}
	return h.El("header",
		h.El("div", h.Attr("class", "brand"), logo, h.El("h1", h.Text(v.title))),
		g.If(v.text != "", h.El("p", h.Attr("class", "soft"), h.Text(v.text))),
		h.El("div", h.Attr("class", "head "+stateNames[v.state]),
			h.El("p", h.Text(v.sentence)),
			h.El("p", h.Attr("class", "soft"), h.Text("As of "), dateTime(v.updated)),
		),
	)
}

// noticeCards lists what operators say.
func noticeCards(id, heading string, all []notice) g.Node {
	if all == nil {
		return nil
	}
	return section(id, heading, h.Each(all, func(n notice) g.Node {
		return h.El("article", h.Attr("id", n.id), h.Attr("class", "card notice"),
			h.El("h3", h.Text(n.title)),
			h.El("p", h.Attr("class", "soft"), n.times(), about(n.components)),
			paragraphs(n.text),
		)
	}))
}

func section(id, heading string, content ...g.Node) g.Node {
	return h.El("section", h.Attr("aria-labelledby", id), h.El("h2", h.Attr("id", id), h.Text(heading)), g.Group(content))
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
		all = append(all, section(fmt.Sprintf("group%d", i+1), heading, h.El("ul", h.Each(groups[name], part.node))))
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
		since = g.Group{h.Text(words), dateTime(p.since.At)}
	}
	return h.El("li", h.Attr("class", "card"),
		h.El("div", h.Attr("class", "name"), h.El("h3", h.Text(p.Name)), h.El("span", h.Attr("class", "state "+stateNames[p.state]), h.Text(stateWords[p.state]), since)),
		g.If(p.Text != "", h.El("p", h.Attr("class", "soft"), h.Text(p.Text))),
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
		all = append(all, h.El("g", h.El("title", h.Text(d.Start.Format("2 Jan 2006")+": "+d.Uptime.String())), parts))
	}
	summary := fmt.Sprintf("%s: %d of the last %s had failures, %d are not known", p.Name, failed, text.Count(len(p.days), "day"), dark)
	uptime := "uptime unknown"
	if u := p.uptime(); u.Known > 0 {
		uptime = strings.Replace(u.String(), " %", " % uptime", 1)
	}
	return g.Group{
		h.El("svg", h.Attr("class", "bars"), h.Attr("role", "img"), h.Attr("viewBox", fmt.Sprintf("0 0 %d %d", len(p.days)*barPitch, barHeight)), h.Attr("preserveAspectRatio", "none"),
			h.El("title", h.Text(summary)), all),
		h.El("div", h.Attr("class", "scale"), h.El("span", h.Text(fmt.Sprintf("%d days ago", len(p.days)))), h.El("span", h.Text(uptime)), h.El("span", h.Text("today"))),
	}
}

func bar(class string, x, y, height int) g.Node {
	return h.El("path", h.Attr("class", class), h.Attr("d", fmt.Sprintf("M%d %dh4v%dh-4z", x, y, height)))
}

// history lists past incidents and notices.
func (v *view) history() g.Node {
	heading := fmt.Sprintf("The last %d days", shownDays)
	note := h.El("p", h.Attr("class", "soft"), h.Text("Uptime is the share of the time with a known status. Time without one is neither up nor down."))
	if v.noHistory {
		note = h.El("p", h.Text("The past cannot be shown at the moment."))
	}
	var rest g.Node
	switch {
	case v.more:
		rest = h.El("p", h.Attr("class", "soft"), h.Text("Older incidents are not listed."))
	case len(v.past) == 0 && !v.noHistory:
		rest = h.El("p", h.Text("No incidents."))
	}
	return section("past", heading, note, h.El("ul", h.Attr("class", "past"), h.Each(v.past, func(n notice) g.Node {
		return h.El("li", h.Attr("id", n.id), h.El("h3", h.Text(n.heading())), h.El("p", h.Attr("class", "soft"), n.times()), paragraphs(n.text))
	})), rest)
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
		return g.Group{h.Text("Since "), dateTime(n.from), h.Text(", not over yet")}
	case n.incident && n.to.IsZero():
		return g.Group{h.Text("From "), dateTime(n.from), h.Text("; its end is not known")}
	case n.to.IsZero():
		return dateTime(n.from)
	}
	return g.Group{h.Text("From "), dateTime(n.from), h.Text(" to "), dateTime(n.to), g.If(n.incident, h.Text(" ("+took(n.to.Sub(n.from))+")"))}
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
	return h.Text(". Concerns " + strings.Join(components, ", "))
}

// paragraphs is a text whose paragraphs are separated by empty lines.
func paragraphs(s string) g.Node {
	parts := drop.If(strings.Split(s, "\n\n"), func(p string) bool { return strings.TrimSpace(p) == "" })
	return g.Map(parts, func(p string) g.Node { return h.El("p", h.Text(p)) })
}

func dateTime(t time.Time) g.Node {
	return h.El("time", h.Attr("datetime", rfc3339(t)), h.Text(t.UTC().Format("2 Jan 2006, 15:04 UTC")))
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }
