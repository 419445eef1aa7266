package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	h "prober/internal/html"

	g "maragu.dev/gomponents"
)

// The cookie in which a browser keeps the theme that its user chose. Without it, the system's counts.
const themeCookie = "prober_theme"

var themes = [...]string{"light", "dark"}

// themeOf is the theme that was chosen; empty if none was.
func themeOf(r *http.Request) string {
	c, err := r.Cookie(themeCookie)
	if err != nil || !slices.Contains(themes[:], c.Value) {
		return ""
	}
	return c.Value
}

// setTheme keeps a choice, or forgets it, and returns to the page.
func (s *server) setTheme(w http.ResponseWriter, r *http.Request) {
	c := &http.Cookie{
		Name: themeCookie, Value: r.PostFormValue("theme"), Path: "/", MaxAge: int(365 * 24 * time.Hour / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
	}
	switch {
	case c.Value == "":
		c.MaxAge = -1
	case !slices.Contains(themes[:], c.Value):
		http.Error(w, "expected light, dark or nothing in the field theme", http.StatusBadRequest)
		return
	}
	http.SetCookie(w, c)
	w.Header().Set("Location", cameFrom(r, "./"))
	w.WriteHeader(http.StatusSeeOther)
}

// cameFrom is the path of the page from which a form was posted; the other one if that is not known. It never leads to another
// site, and holds behind any prefix.
func cameFrom(r *http.Request, other string) string {
	from, err := url.Parse(r.Referer())
	if err != nil || !strings.HasPrefix(from.Path, "/") || strings.HasPrefix(from.Path, "//") {
		return other
	}
	return (&url.URL{Path: from.Path, RawQuery: from.RawQuery}).String()
}

// bar is on top of all pages: the way to all probes, and the choice of the theme.
func (l layout) bar() g.Node {
	choice := func(value, words string) g.Node {
		return h.Button(h.Name("theme"), h.Value(value), h.Aria("pressed", map[bool]string{true: "true", false: "false"}[l.Theme == value]), h.Text(words))
	}
	return h.Nav(h.Class("bar"), h.Aria("label", "Site"),
		h.Div(h.A(h.Class("home "+l.Worst.String()), h.Href(l.Up), h.Text("All probes")),
			g.Map(l.Pages, func(p namedLink) g.Node { return p.node() })),
		h.Form(h.Class("theme"), h.Method("post"), h.Action(l.Up+"theme"),
			h.Div(h.Role("group"), h.Aria("label", "Theme"), choice("light", "Light"), choice("dark", "Dark"), choice("", "System"))),
	)
}
