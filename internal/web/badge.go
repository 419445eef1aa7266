package web

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"

	"prober/internal/probe"
)

// badge serves the verdict of a probe, or its uptime, as a small SVG for a wiki or a README. It contains no script, no style and no
// references, and says in words what its color says.
func (s *server) badge(w http.ResponseWriter, r *http.Request) {
	name, is := strings.CutSuffix(r.PathValue("name"), ".svg")
	row, ok := s.find(r.PathValue("system"), name)
	if !is || !ok {
		http.Error(w, "no such probe, or several of that name: /badge/SYSTEM/NAME.svg", http.StatusNotFound)
		return
	}
	svg := badgeSVG(row.Name, summary(row), row.Verdict)
	if span := r.URL.Query().Get("uptime"); span != "" {
		if svg, ok = s.uptimeBadge(row, span); !ok {
			http.Error(w, "no such uptime: ?uptime=24h, 7d, 30d or 90d, where history is kept", http.StatusNotFound)
			return
		}
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	io.WriteString(w, svg)
}

// summary is a status in a few words.
func summary(row ProbeStatus) string {
	text := map[probe.Verdict]string{probe.Pass: "passed", probe.Fail: "FAILED", probe.Inconclusive: "inconclusive"}[row.Verdict]
	if why := reasonText(row.Reason); why != "" {
		text += ": " + why
	}
	if row.LastRun.IsZero() {
		text = "not run yet"
	}
	if !row.Maintenance.Until.IsZero() {
		text += " (maintenance)"
	}
	return text
}

// color is the background of a verdict, dark enough for white letters.
func color(v probe.Verdict) string {
	switch v {
	case probe.Pass:
		return "#1a7f37"
	case probe.Fail:
		return "#b42318"
	}
	return "#8a5a00"
}

// badgeSVG draws two texts on two backgrounds, in the usual shape. The width of the font is unknown, so textLength sets that of
// each text.
func badgeSVG(name, verdict string, v probe.Verdict) string {
	width := func(text string) int { return 13*len([]rune(text))/2 + 10 }
	left, right := width(name), width(verdict)
	name, verdict = html.EscapeString(name), html.EscapeString(verdict)
	text := func(x, w int, words string) string {
		line := func(y int, style string) string {
			return fmt.Sprintf(`<text x="%d" y="%d"%s textLength="%d" lengthAdjust="spacingAndGlyphs">%s</text>`, x+5, y, style, w-10, words)
		}
		return line(15, ` fill="#010101" fill-opacity=".3" aria-hidden="true"`) + line(14, "")
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="20" role="img" aria-label="%[2]s: %[3]s"><title>%[2]s: %[3]s</title>`+
		`<linearGradient id="s" x2="0" y2="100%%"><stop offset="0" stop-color="#bbb" stop-opacity=".1"/><stop offset="1" stop-opacity=".1"/></linearGradient>`+
		`<clipPath id="r"><rect width="%[1]d" height="20" rx="3" fill="#fff"/></clipPath>`+
		`<g clip-path="url(#r)"><rect width="%[4]d" height="20" fill="#555"/><rect x="%[4]d" width="%[5]d" height="20" fill="%[6]s"/><rect width="%[1]d" height="20" fill="url(#s)"/></g>`+
		`<g fill="#fff" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">%[7]s%[8]s</g></svg>`+"\n",
		left+right, name, verdict, left, right, color(v), text(0, left, name), text(left, right, verdict))
}

// iconSVG draws a verdict for the tab of a browser, each in a shape of its own.
func iconSVG(v probe.Verdict) string {
	shape := map[probe.Verdict]string{
		probe.Pass:         `<circle cx="8" cy="8" r="8" fill="%s"/><path d="M4 8l3 3 5-6" fill="none" stroke="#fff" stroke-width="2"/>`,
		probe.Fail:         `<rect width="16" height="16" fill="%s"/><path d="M4 4l8 8M12 4l-8 8" stroke="#fff" stroke-width="2"/>`,
		probe.Inconclusive: `<path d="M8 0l8 8-8 8-8-8z" fill="%s"/><path d="M4 8h8" stroke="#fff" stroke-width="2"/>`,
	}[v]
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">` + fmt.Sprintf(shape, color(v)) + "</svg>\n"
}

// serveIcon serves /icon/VERDICT.svg.
func (s *server) serveIcon(w http.ResponseWriter, r *http.Request) {
	for _, v := range probe.Verdicts {
		if r.PathValue("file") == v.String()+".svg" {
			w.Header().Set("Content-Type", "image/svg+xml")
			io.WriteString(w, iconSVG(v))
			return
		}
	}
	http.NotFound(w, r)
}
