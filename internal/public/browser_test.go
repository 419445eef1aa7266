package public

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/testenv"
)

// pictures names a folder that gets a picture of every page that the browser looks at, for people to look at.
const pictures = "PROBER_TEST_PICTURES"

// recent is a world whose runs and days are of now, since a browser has a clock of its own.
func recent(t *testing.T, bad bool) *world {
	w := newWorld(t, "storefront", "login", "search", "export")
	age := time.Since(now)
	for name, r := range w.runs {
		r.At, r.Since.At = r.At.Add(age), r.Since.At.Add(age)
		w.runs[name] = r
	}
	for i := range w.days {
		w.days[i].Start = time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, i-len(w.days)+1)
	}
	w.page.Logo = filepath.Join(t.TempDir(), "shop.svg")
	write(t, w.page.Logo, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><style>.a{fill:#0b57a4}</style><path class="a" d="M2 8h28l-4 16H6z"/></svg>`)
	w.page.Components[2].Text = "Finds articles, also in pictures."
	if bad {
		for i, v := range []probe.Verdict{probe.Fail, probe.Inconclusive} {
			name := []string{"login", "search"}[i]
			r := w.runs["probe-"+name]
			r.Verdict = v
			w.runs["probe-"+name] = r
		}
		w.incident(time.Now().Add(-39*time.Minute), time.Time{}, "login")
		w.incident(time.Now().AddDate(0, 0, -20), time.Now().AddDate(0, 0, -20).Add(12*time.Minute), "storefront", "search")
		at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
		write(t, w.page.Notices, fmt.Sprintf(`
announcements: [{at: %s, title: We are working on the login, text: "Who is logged in stays so. The next news by 14:00 UTC.", components: [Login]}]
maintenance: [{at: %s, from: %s, to: %s, title: A move of the search, components: [Search]}]
`, at(-30*time.Minute), at(-48*time.Hour), at(48*time.Hour), at(50*time.Hour)))
	}
	return w
}

// TestPage_inABrowser looks at the page as people do: wide and on a phone, in the light and in the dark, with and without
// scripts. Axe must find nothing, the console must stay silent, and nothing may be wider than the screen. The answer that a
// customer looks for is on the first screen.
func TestPage_inABrowser(t *testing.T) {
	testenv.WithoutRace(t)
	b := testenv.NewBrowser(t)
	for _, bad := range []bool{false, true} {
		server := httptest.NewServer(recent(t, bad).site())
		defer server.Close()
		for _, width := range []int{1440, 360} {
			{
				dark := bad == (width == 1440) // axe takes its time
				name := fmt.Sprintf("public-%d-%s-%s", width, map[bool]string{true: "bad", false: "good"}[bad], map[bool]string{true: "dark", false: "light"}[dark])
				b.Window(width, 600, dark)
				b.Open(server.URL)
				var seen struct {
					Wide        int
					First, Text string
					Logo        int
				}
				b.Eval(`({wide: document.documentElement.scrollWidth, text: document.body.innerText, logo: document.querySelector("img").naturalWidth,
					first: [...document.querySelectorAll("h1, header p, h3, .state")].filter(e => { const r = e.getBoundingClientRect(); return r.top >= 0 && r.bottom <= 600 }).map(e => e.innerText).join("\n")})`, &seen)
				if seen.Wide > width || seen.Logo == 0 {
					t.Errorf("%s: %d pixels wide, the logo is %d", name, seen.Wide, seen.Logo)
				}
				want := []string{"The shop", "All components are operational", "As of "}
				if bad {
					want = []string{"The shop", "Login is unavailable. The status of 1 of 4 components is not known", "We are working on the login"}
				}
				contains(t, seen.First, want...)
				if strings.Contains(seen.Text, "over five minutes old") {
					t.Errorf("%s: a new page says that it is old", name)
				}
				for _, wrong := range b.Axe() {
					t.Errorf("%s: axe: %s", name, wrong)
				}
				for _, line := range b.Errors() {
					t.Errorf("%s: console: %s", name, line)
				}
				if folder := os.Getenv(pictures); folder != "" {
					if err := os.WriteFile(filepath.Join(folder, name+".png"), b.Picture(true), 0o600); err != nil {
						t.Error(err)
					}
				}
			}
		}
	}
}

// TestPage_old: a copy that nobody writes any more says so, also if it was just opened.
func TestPage_old(t *testing.T) {
	testenv.WithoutRace(t)
	b := testenv.NewBrowser(t)
	site := newWorld(t, "login").site()
	for age, old := range map[time.Duration]bool{time.Minute: false, 6 * time.Minute: true} {
		at := time.Now().Add(-age)
		site.rendered = &rendering{at: time.Now(), page: site.options.Page(), documents: site.look(site.options.Page(), at).documents()}
		server := httptest.NewServer(site)
		b.Window(360, 600, false)
		b.Open(server.URL)
		var text string
		b.Eval(`document.body.innerText`, &text)
		if got := strings.Contains(text, "over five minutes old"); got != old {
			t.Errorf("after %s: says that it is old: %v", age, got)
		}
		server.Close()
	}
}
