package web

import (
	"fmt"
	"strings"

	h "prober/internal/html"

	g "maragu.dev/gomponents"

	"prober/internal/probe"
)

const (
	maxAsked    = 3   // addresses in a line
	maxSettings = 200 // on a page; an isolation probe may have many more
)

// asksText names the first addresses; empty if there are none.
func asksText(addresses []string) string {
	if len(addresses) == 0 {
		return ""
	}
	shown := addresses[:min(len(addresses), maxAsked)]
	words := "Asks " + strings.Join(shown, ", ")
	if more := len(addresses) - len(shown); more > 0 {
		words += " " + andMore(more)
	}
	return words
}

// asked is whom the probe asks, after its message; nothing if that is not known.
func (v rowView) asked() g.Node {
	words := asksText(v.addresses())
	if words == "" {
		return nil
	}
	return g.Group{h.Text(" "), soft(words)}
}

// asks shows whom the probe asks, and what it sends and expects.
func (v probeView) asks() g.Node {
	if len(v.Addresses) == 0 && len(v.Settings) == 0 {
		return nil
	}
	left := maxSettings
	settings := settingList(v.Settings, &left)
	return section("asks", heading("asks", "What it asks and expects"),
		g.If(len(v.Addresses) > maxAsked, h.Details(h.Summary(h.Text(fmt.Sprintf("%d addresses", len(v.Addresses)))),
			h.Ul(g.Map(v.Addresses[:min(len(v.Addresses), maxSettings)], func(a string) g.Node { return h.Li(h.Code(h.Text(a))) })))),
		settings,
		g.If(left < 0, softLine(andMore(-left)+" in /config.")),
	)
}

// settingList lists settings with their parts, as long as there is some left to show.
func settingList(all []probe.Setting, left *int) g.Node {
	items := g.Group{}
	for _, s := range all {
		if *left--; *left < 0 {
			settingList(s.Parts, left) // to count them
			continue
		}
		item := g.Group{soft(s.Name)}
		if s.Value != "" {
			item = append(item, h.Text(" "), h.Code(h.Text(s.Value)))
		}
		if len(s.Parts) > 0 {
			item = append(item, settingList(s.Parts, left))
		}
		items = append(items, h.Li(item))
	}
	if len(items) == 0 {
		return nil
	}
	return h.Ul(h.Class("settings"), items)
}
