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
	return h.Doctype(el("html", attr("lang", "en"), attr("data-updated", rfc3339(v.updated)),
		el("head",
			el("meta", attr("charset", "utf-8")),
			el("meta", attr("http-equiv", "Content-Security-Policy"), attr("content", policy)),
			el("meta", attr("name", "viewport"), attr("content", "width=device-width, initial-scale=1")),
			el("meta", attr("name", "color-scheme"), attr("content", "light dark")),
			el("title", txt(v.sentence+" - "+v.title)),
			el("link", attr("rel", "icon"), attr("type", "image/svg+xml"), attr("href", iconName)),
			el("link", attr("rel", "alternate"), attr("type", feedType), attr("title", v.title), attr("href", feedName)),
			el("style", g.Raw(style)),
		),
		el("body",
			el("a", attr("class", "skip"), attr("href", "#main"), txt("Skip to the content")),
			v.header(),
			el("main", attr("id", "main"),
				noticeCards("announcements", "Announcements", v.announcements),
				noticeCards("maintenance", "Planned maintenance", v.maintenance),
				v.components(),
				v.history(),
			),
			el("footer",
				el("p", txt("Last updated "), dateTime(v.updated), txt(".")),
				el("nav", attr("aria-label", "More"), el("ul",
					el("li", el("a", attr("href", feedName), txt("Feed"))),
					el("li", el("a", attr("href", statusName), txt("As JSON"))),
				)),
			),
			el("div", attr("class", "stale"), attr("role", "status"),
				txt("This page is over five minutes old: the status may be another one now. If it still is after you reload it, the status is not known.")),
			el("script", g.Raw(script)),
		),
	))
}

func (v *view) header() g.Node {
	var logo g.Node
	if v.logo != nil {
		logo = el("img", attr("src", v.logo.name), attr("alt", ""))
	}
	return el("header",
		el("div", attr("class", "brand"), logo, el("h1", txt(v.title))),
		g.If(v.text != "", el("p", attr("class", "soft"), txt(v.text))),
		el("div", attr("class", "head "+stateNames[v.state]),
			el("p", txt(v.sentence)),
			el("p", attr("class", "soft"), txt("As of "), dateTime(v.updated)),
		),
	)
}

// noticeCards lists what operators say.
func noticeCards(id, heading string, all []notice) g.Node {
	if all == nil {
		return nil
	}
	return section(id, heading, g.Map(all, func(n notice) g.Node {
		return el("article", attr("id", n.id), attr("class", "card notice"),
			el("h3", txt(n.title)),
			el("p", attr("class", "soft"), n.times(), about(n.components)),
			paragraphs(n.text),
		)
	}))
}

func section(id, heading string, content ...g.Node) g.Node {
	return el("section", attr("aria-labelledby", id), el("h2", attr("id", id), txt(heading)), g.Group(content))
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
		all = append(all, section(fmt.Sprintf("group%d", i+1), heading, el("ul", g.Map(groups[name], part.node))))
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
		since = g.Group{txt(words), dateTime(p.since.At)}
	}
	return el("li", attr("class", "card"),
		el("div", attr("class", "name"), el("h3", txt(p.Name)), el("span", attr("class", "state "+stateNames[p.state]), txt(stateWords[p.state]), since)),
		g.If(p.Text != "", el("p", attr("class", "soft"), txt(p.Text))),
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
		all = append(all, el("g", el("title", txt(d.Start.Format("2 Jan 2006")+": "+d.Uptime.String())), parts))
	}
	summary := fmt.Sprintf("%s: %d of the last %s had failures, %d are not known", p.Name, failed, text.Count(len(p.days), "day"), dark)
	uptime := "uptime unknown"
	if u := p.uptime(); u.Known > 0 {
		uptime = strings.Replace(u.String(), " %", " % uptime", 1)
	}
	return g.Group{
		el("svg", attr("class", "bars"), attr("role", "img"), attr("viewBox", fmt.Sprintf("0 0 %d %d", len(p.days)*barPitch, barHeight)), attr("preserveAspectRatio", "none"),
			el("title", txt(summary)), all),
		el("div", attr("class", "scale"), el("span", txt(fmt.Sprintf("%d days ago", len(p.days)))), el("span", txt(uptime)), el("span", txt("today"))),
	}
}

func bar(class string, x, y, height int) g.Node {
	return el("path", attr("class", class), attr("d", fmt.Sprintf("M%d %dh4v%dh-4z", x, y, height)))
}

// history lists past incidents and notices.
func (v *view) history() g.Node {
	heading := fmt.Sprintf("The last %d days", shownDays)
	note := el("p", attr("class", "soft"), txt("Uptime is the share of the time with a known status. Time without one is neither up nor down."))
	if v.noHistory {
		note = el("p", txt("The past cannot be shown at the moment."))
	}
	nothing := g.If(len(v.past) == 0 && !v.noHistory, el("p", txt("No incidents.")))
	return section("past", heading, note, nothing, el("ul", attr("class", "past"), g.Map(v.past, func(n notice) g.Node {
		return el("li", attr("id", n.id), el("h3", txt(n.heading())), el("p", attr("class", "soft"), n.times()), paragraphs(n.text))
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
		return g.Group{txt("Since "), dateTime(n.from), txt(", not over yet")}
	case n.incident && n.to.IsZero():
		return g.Group{txt("From "), dateTime(n.from), txt("; its end is not known")}
	case n.to.IsZero():
		return dateTime(n.from)
	}
	return g.Group{txt("From "), dateTime(n.from), txt(" to "), dateTime(n.to), g.If(n.incident, txt(" ("+took(n.to.Sub(n.from))+")"))}
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
	return txt(". Concerns " + strings.Join(components, ", "))
}

// paragraphs is a text whose paragraphs are separated by empty lines.
func paragraphs(s string) g.Node {
	parts := slices.DeleteFunc(strings.Split(s, "\n\n"), func(p string) bool { return strings.TrimSpace(p) == "" })
	return g.Map(parts, func(p string) g.Node { return el("p", txt(p)) })
}

func dateTime(t time.Time) g.Node {
	return el("time", attr("datetime", rfc3339(t)), txt(t.UTC().Format("2 Jan 2006, 15:04 UTC")))
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }
