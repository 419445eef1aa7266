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

// TestPages_room: at 1024 pixels the reasons of passing probes are not cut short, and on a phone the search form is low.
func TestPages_room(t *testing.T) {
	testenv.WithoutRace(t)
	o := full()
	o.Status = func() (rows []ProbeStatus) {
		for i := range 30 {
			rows = append(rows, ProbeStatus{
				ID:      probe.ID{System: "shop", Name: fmt.Sprintf("p%d", i), Type: []string{"http", "tcp"}[i%2], Severity: []string{"P1", "P2"}[i%2]},
				Verdict: probe.Pass, Detail: "3 of 3 replicas are live and ready, and each of them says that it is version 91bc04d791bc", Since: time.Now().Add(-time.Hour),
			})
		}
		return rows
	}
	server := httptest.NewServer(New(o))
	defer server.Close()
	b := testenv.NewBrowser(t)
	b.Window(1024, 800, false)
	b.Open(server.URL)
	var cut []string
	b.Eval(`[...document.querySelectorAll(".row.line .why")].filter(e => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight || e.clientHeight == 0).map(e => e.innerText)`, &cut)
	if len(cut) > 0 {
		t.Errorf("%d reasons are cut short: %q", len(cut), cut[0])
	}
	b.Window(360, 740, false)
	b.Open(server.URL)
	var height float64
	b.Eval(`document.querySelector("#search").getBoundingClientRect().height`, &height)
	if height < 30 || height > 90 {
		t.Errorf("the search form is %g pixels high on a phone", height)
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
