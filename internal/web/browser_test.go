package web

import (
	"context"
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

// TestPages_inABrowser looks at the pages as people do: on a desk and on a phone, in the light and in the dark. Axe must
// find nothing that keeps anybody from using them, the console must stay silent, and nothing may be wider than a phone.
func TestPages_inABrowser(t *testing.T) {
	testenv.WithoutRace(t)
	b := testenv.NewBrowser(t)
	for _, n := range []int{3, 300} {
		for _, red := range []bool{false, true} {
			jobs := manyJobs(n)
			paths := map[string]string{"front": "/"}
			if n == 3 {
				paths["probe"] = "/probes/" + jobs[1].System + "/" + jobs[1].Name
			}
			if n == 3 && red {
				paths["incidents"], paths["faults"] = "/incidents", "/demo"
			}
			for page, path := range paths {
				for _, width := range []int{1280, 360} {
					for _, dark := range []bool{false, true} {
						name := fmt.Sprintf("%s-%d-%s-%d-%s", page, n, map[bool]string{true: "red", false: "green"}[red], width, map[bool]string{true: "dark", false: "light"}[dark])
						if (n > 3 || !red || page == "incidents" || page == "faults") && (red == dark) != (width == 360) {
							continue // what differs is seen at 3 red ones
						}
						t.Run(name, func(t *testing.T) {
							board, _ := storeWithRuns(n, red) // now: the last runs of another one may be out of date
							server := httptest.NewServer(New(optionsFor(board, red)))
							defer server.Close()
							checkPage(t, b, server.URL+path, name, width, dark)
							if n == 3 || red && width == 360 { // it takes its time at 300
								checkAccess(t, b)
							}
							b.Open("about:blank") // what the page would still load ends before the server does
						})
					}
				}
			}
		}
	}
}

// checkPage opens a page and says what is wrong with it.
func checkPage(t *testing.T, b *testenv.Browser, url, name string, width int, dark bool) {
	b.Window(width, 800, dark)
	b.Open(url)
	var wide struct {
		Page  int
		Parts []string
		Text  string
		Tall  int
		Lines int
	}
	b.Eval(`({page: document.documentElement.scrollWidth, tall: document.documentElement.scrollHeight, lines: document.querySelectorAll("details[open] .row.line").length, text: document.body.innerText, parts: [...document.querySelectorAll("main *")]
		.filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map(e => e.outerHTML.slice(0, 200))})`, &wide)
	if wide.Page > width || len(wide.Parts) > 0 {
		t.Errorf("%d pixels wide on a screen of %d: %q", wide.Page, width, wide.Parts)
	}
	if wide.Lines == 300 && wide.Tall > 12_000 {
		t.Errorf("300 passing probes are %d pixels high", wide.Tall)
	}
	if strings.Contains(wide.Text, "Reload it before") {
		t.Error("a page that was just drawn says that it is old")
	}
	for _, line := range b.Errors() {
		t.Errorf("console: %s", line)
	}
	if folder := os.Getenv(pictures); folder != "" {
		if err := os.WriteFile(filepath.Join(folder, name+".png"), b.Picture(true), 0o600); err != nil {
			t.Error(err)
		}
	}
}

// checkAccess says what keeps people from using the page that is open.
func checkAccess(t *testing.T, b *testenv.Browser) {
	for _, wrong := range b.Axe() {
		t.Errorf("axe: %s", wrong)
	}
}

// TestPages_firstScreen finds on the first screen what each reader looks for: the engineer what is down and since when, the
// manager how bad it is and for whom.
func TestPages_firstScreen(t *testing.T) {
	testenv.WithoutRace(t)
	since := time.Now().Add(-39 * time.Minute)
	auth := ProbeStatus{ID: probe.ID{System: "shop", Name: "auth", Type: "http", Severity: "P2"}, Verdict: probe.Fail, Reason: probe.Refused, Detail: "connection refused by 10.1.2.3:8081", Since: since, SinceExact: true}
	proxy := ProbeStatus{ID: probe.ID{System: "shop", Name: "proxy", Type: "health", Severity: "P1"}, Verdict: probe.Fail, Detail: "not ready", Since: since, SinceExact: true, Cause: auth.Key(),
		About: About{Impact: "customers cannot log in", SystemTitle: "The shop"}}
	auth.About.SystemTitle = "The shop"
	rows := []ProbeStatus{auth, proxy}
	for i := range 300 {
		rows = append(rows, ProbeStatus{ID: probe.ID{System: "shop", Name: fmt.Sprintf("p%d", i)}, Verdict: probe.Pass, Since: since, About: About{SystemTitle: "The shop"}})
	}
	o := full()
	o.Status = func() []ProbeStatus { return rows }
	server := httptest.NewServer(New(o))
	defer server.Close()
	b := testenv.NewBrowser(t)
	for _, width := range []int{1440, 360} {
		b.Window(width, 600, false)
		b.Open(server.URL)
		var seen string
		b.Eval(`[...document.querySelectorAll("h1, header p, header li")].filter(e => { const r = e.getBoundingClientRect(); return r.top >= 0 && r.bottom <= 600 })
			.map(e => e.innerText).join("\n")`, &seen)
		for _, want := range []string{"The shop: 1 P1, 1 P2 failed since", "(39 min)", "auth: connection refused", "It explains proxy", "Impact: customers cannot log in", "300 passed"} {
			if !strings.Contains(seen, want) {
				t.Errorf("%d pixels wide: the first screen lacks %q:\n%s", width, want, seen)
			}
		}
	}
}

// addressed is a probe that says whom it asks.
type addressed struct{ probe.Probe }

func (addressed) Addresses() []string {
	return []string{"https://shop.example/api/v1/health", "https://shop.example/api/v1/ready", "10.0.0.1:443", "10.0.0.2:443"}
}

// passingStore is a board of that many probes that pass, with titles and reasons as long as people and kinds write them.
func passingStore(n int) *StatusStore {
	details := []string{
		"got 200", "3 of 3 replicas are live and ready", "isolation holds on 14 surfaces, 320 requests", "valid for 41 days, chain of 3 certificates",
		"read Deployment checkout: 3 of 3 pods are ready, and the rollout of revision 41 is complete",
	}
	titles := []string{"", "Sign in", "", "Checkout of the shop in Europe"}
	b, jobs := NewStatusStore(), manyJobs(n)
	for i := range jobs {
		jobs[i].About.Title = titles[i%len(titles)]
		jobs[i].Probe = addressed{}
	}
	b.SetJobs(jobs)
	for i := range jobs {
		for run := range maxRuns {
			r := probe.NewResult(jobs[i].ID)
			r.Started, r.Took = time.Now().Add(time.Duration(run-maxRuns)*jobs[i].Interval), time.Duration(50+i*7919%500+run)*time.Millisecond
			r.Pass("status", "%s", details[i%len(details)])
			b.Observe(*r)
		}
	}
	return b
}

// TestPages_room: nothing of a passing probe is cut short, unless it is left out on a phone; there, the search form is low. 300 of
// them are neither long nor large.
func TestPages_room(t *testing.T) {
	testenv.WithoutRace(t)
	o := optionsFor(passingStore(300), false)
	o.Uptimes = func(ids []probe.ID) []probe.Uptime {
		all := make([]probe.Uptime, len(ids))
		for i := range all {
			all[i] = probe.Uptime{Span: 24 * time.Hour, Known: 22 * time.Hour, Passed: 22*time.Hour - time.Duration(i)*time.Second}
		}
		return all
	}
	page := New(o)
	if size := ask(page, "GET", "/", "Accept-Encoding", "gzip").Body.Len(); size > 80_000 {
		t.Errorf("300 passing probes take %d bytes compressed", size)
	} else {
		t.Logf("%d bytes compressed", size)
	}
	server := httptest.NewServer(page)
	defer server.Close()
	b := testenv.NewBrowser(t)
	for _, width := range []int{1440, 1280, 1024, 360} {
		b.Window(width, 800, false)
		b.Open(server.URL)
		var seen struct {
			Cut    []string
			Tall   int
			Search float64
		}
		b.Eval(`({cut: [...document.querySelectorAll(".row.line > div")].filter(e => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight).map(e => e.innerText),
			tall: document.documentElement.scrollHeight, search: document.querySelector("#search").getBoundingClientRect().height})`, &seen)
		if len(seen.Cut) > 0 {
			t.Errorf("%d pixels wide: %d texts are cut short: %q", width, len(seen.Cut), seen.Cut[0])
		}
		if seen.Tall > 12_000 || seen.Tall < 5000 {
			t.Errorf("%d pixels wide: 300 passing probes are %d pixels high", width, seen.Tall)
		}
		if width < 500 && (seen.Search < 30 || seen.Search > 90) {
			t.Errorf("the search form is %g pixels high on a phone", seen.Search)
		}
		t.Logf("%d pixels wide: %d high", width, seen.Tall)
	}
}

// TestPages_print: paper has what the page says, in ink that is seen without the backgrounds, which browsers do not print, and nothing
// to press.
func TestPages_print(t *testing.T) {
	testenv.WithoutRace(t)
	board, jobs := storeWithRuns(3, true)
	server := httptest.NewServer(New(optionsFor(board, true)))
	defer server.Close()
	b := testenv.NewBrowser(t)
	for path, want := range map[string]string{"/": "1 failed", "/probes/" + jobs[1].System + "/" + jobs[1].Name: "Recent runs"} {
		b.Window(794, 1123, true) // A4, and a reader who prefers the dark
		b.Open(server.URL + path)
		b.Print()
		var seen struct {
			Text    string
			Wide    int
			Pressed []string
			Pale    []string
		}
		b.Eval(`({text: document.body.innerText, wide: document.documentElement.scrollWidth,
			pressed: [...document.querySelectorAll("button, input, select, .reload, .stale")].filter(e => e.getClientRects().length).map(e => e.outerHTML.slice(0, 100)),
			pale: [...document.querySelectorAll("main *, header *")].flatMap(e => ["", "::before"].map(part => [e, getComputedStyle(e, part || null)]))
				.filter(([e, s]) => { const [r, g, b, a] = s.color.match(/[\d.]+/g).map(Number); return r + g + b > 500 && e.innerText && e.getClientRects().length }).map(([e]) => e.outerHTML.slice(0, 100))})`, &seen)
		if !strings.Contains(seen.Text, want) || seen.Wide > 794 {
			t.Errorf("%s: %d pixels wide on paper of 794: %s", path, seen.Wide, seen.Text)
		}
		if len(seen.Pressed) > 0 || len(seen.Pale) > 0 {
			t.Errorf("%s: on paper are %q, and too pale are %q", path, seen.Pressed, seen.Pale)
		}
	}
}

// TestPages_withoutScriptAndMouse goes from the front page to a probe's page and runs the probe with the keyboard
// alone, in a browser that runs no scripts.
func TestPages_withoutScriptAndMouse(t *testing.T) {
	testenv.WithoutRace(t)
	board, jobs := storeWithRuns(3, true)
	o := optionsFor(board, true)
	o.Run = func(_ context.Context, id probe.ID) error {
		for i := range jobs {
			if jobs[i].ID == id {
				board.Observe(ordinaryResult(&jobs[i], time.Now(), 7, probe.OK))
			}
		}
		return nil
	}
	server := httptest.NewServer(New(o))
	defer server.Close()
	b := testenv.NewBrowser(t)
	b.Window(1280, 800, false)
	b.Scripts(false)
	b.Open(server.URL)
	focus := func(wanted string) {
		t.Helper()
		for range 60 {
			b.Press("Tab")
			var at struct {
				Text string
				Line string
			}
			b.Eval(`({text: document.activeElement.innerText, line: getComputedStyle(document.activeElement).outlineStyle})`, &at)
			if at.Text != wanted {
				continue
			}
			if at.Line != "solid" {
				t.Errorf("%s has the focus, and nobody sees it: outline %s", wanted, at.Line)
			}
			return
		}
		t.Fatalf("the keyboard does not reach %q", wanted)
	}
	focus("Skip to the content")
	focus(jobs[1].Name)
	b.Loads(func() { b.Press("Enter") })
	head := func() (text string) {
		b.Eval(`document.querySelector("h1").innerText + " " + location.pathname`, &text)
		return text
	}
	if got, want := head(), "FAIL ibex/health-001 /probes/ibex/health-001"; got != want {
		t.Fatalf("led to %q, wanted %q", got, want)
	}
	focus("Run now")
	b.Loads(func() { b.Press("Enter") })
	if got, want := head(), "ok ibex/health-001 /probes/ibex/health-001"; got != want {
		t.Errorf("after the run: %q, wanted %q", got, want)
	}
	var status string
	b.Eval(`document.querySelector("form [role=status]").innerText`, &status)
	if !strings.HasPrefix(status, "This is the result of the run that you asked for at ") {
		t.Errorf("beside the button: %q", status)
	}
	for _, line := range b.Errors() {
		t.Errorf("console: %s", line)
	}
}

// TestPages_warnWhenOld lets the page's own clock go on: without a script it says that it may be out of date.
func TestPages_warnWhenOld(t *testing.T) {
	server := httptest.NewServer(New(full()))
	defer server.Close()
	b := testenv.NewBrowser(t)
	b.Open(server.URL)
	// Another theme than that of the system, without a script.
	background := func() (color string) {
		b.Eval(`getComputedStyle(document.body).backgroundColor`, &color)
		return color
	}
	light := background()
	b.Loads(func() { b.Eval(`document.querySelector(".theme button[value=dark]").click()`, nil) })
	dark := background()
	b.Loads(func() { b.Eval(`document.querySelector(".theme button[value='']").click()`, nil) })
	if again := background(); dark == light || again != light {
		t.Errorf("the page is %s, then %s in the dark theme, then %s", light, dark, again)
	}
	old := func() (shown bool) {
		b.Eval(`document.body.innerText.includes("Reload it before")`, &shown)
		return shown
	}
	if old() {
		t.Error("a new page says that it is old")
	}
	b.Eval(`document.getAnimations().forEach(a => { a.currentTime = 140000 })`, nil)
	if !old() {
		t.Error("an old page does not say that it is old")
	}
}
