package public

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
)

func ask(s *Site, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// TestServe answers GET and HEAD for five paths, with the headers that a page needs which anybody may read.
func TestServe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "login")
	w.page.Logo = filepath.Join(t.TempDir(), "shop.SVG")
	write(t, w.page.Logo, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0h8v8z"/></svg>`)
	s := w.site()
	for path, want := range map[string]int{
		"/": 200, "/index.html": 200, "/feed.atom": 200, "/status.json": 200, "/icon.svg": 200, "/logo.svg": 200, "/?a=b": 200,
		"/metrics": 404, "/debug/pprof/": 404, "/-/healthy": 404, "/config": 404, "/api/v1/status": 404, "/probes/a": 404, "/favicon.ico": 404,
		"/../index.html": 404, "//": 404, "/logo.svg/": 404, "/" + strings.Repeat("a", 5000): 404, "/notices.yaml": 404,
	} {
		got := ask(s, "GET", path)
		if got.Code != want {
			t.Errorf("GET %.40s: got %d, expected %d", path, got.Code, want)
		}
		for _, name := range []string{"X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy", "Cache-Control"} {
			if got.Header().Get(name) == "" {
				t.Errorf("GET %.40s: no %s", path, name)
			}
		}
		if got.Header().Get("Set-Cookie") != "" {
			t.Errorf("GET %s sets a cookie", path)
		}
	}
	page := ask(s, "GET", "/")
	if csp := page.Header().Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("policy %s", csp)
	}
	if head := ask(s, "HEAD", "/"); head.Body.Len() != 0 || head.Header().Get("Content-Length") != fmt.Sprint(page.Body.Len()) {
		t.Errorf("HEAD: %d bytes, length %s", head.Body.Len(), head.Header().Get("Content-Length"))
	}
	zipped := ask(s, "GET", "/", "Accept-Encoding", "br, gzip")
	z, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); err != nil || string(text) != page.Body.String() {
		t.Errorf("compressed it is another page: %v", err)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"} {
		if got := ask(s, method, "/"); got.Code != http.StatusMethodNotAllowed || got.Header().Get("Connection") != "close" {
			t.Errorf("%s: got %d", method, got.Code)
		}
	}
	r := httptest.NewRequest("GET", "/", strings.NewReader("a body"))
	got := httptest.NewRecorder()
	if s.ServeHTTP(got, r); got.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("with a body: got %d", got.Code)
	}
	w.page = nil
	if got := ask(s, "GET", "/"); got.Code != 404 {
		t.Errorf("without a page: got %d", got.Code)
	}
}

// TestServe_thousandReaders renders once in five seconds, however many ask, and never shows what is older.
func TestServe_thousandReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "login")
		s := w.site()
		for round := range 4 {
			var all sync.WaitGroup
			for range 250 {
				all.Go(func() { ask(s, "GET", "/") })
				all.Go(func() { ask(s, "GET", "/feed.atom", "Accept-Encoding", "gzip") })
				all.Go(func() { ask(s, "GET", "/"+strings.Repeat("x", 100)) })
			}
			all.Wait()
			if got := w.asked.Load(); got != int64(round+1) {
				t.Fatalf("rendered %d times in %d rounds", got, round+1)
			}
			time.Sleep(maxAge)
		}
		contains(t, ask(s, "GET", "/").Body.String(), "As of <time datetime=\""+rfc3339(time.Now()))
	})
}

// TestDays: all days are read once an hour, when a day begins and when the page changes; otherwise the last two.
func TestDays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "login")
	var reads []int
	read := func(groups [][]probe.ID, ago, days int) (all [][]probe.Day, err error) {
		reads = append(reads, days)
		if w.err != nil {
			return nil, w.err
		}
		for range groups {
			all = append(all, make([]probe.Day, days))
		}
		return all, nil
	}
	var c dayCache
	evening := time.Date(2026, 11, 28, 23, 50, 0, 0, time.UTC)
	for _, step := range []struct {
		at   time.Time
		page *probe.PublicPage
		err  error
	}{
		{evening, w.page, errors.New("slow")}, {evening, w.page, nil}, {evening.Add(time.Minute), w.page, nil}, {evening.Add(2 * time.Minute), w.page, errors.New("slow")},
		{evening.Add(11 * time.Minute), w.page, nil}, {evening.Add(12 * time.Minute), w.page, nil}, {evening.Add(72 * time.Minute), w.page, nil},
		{evening.Add(73 * time.Minute), newWorld(t, "login").page, nil}, {evening, w.page, nil},
	} {
		w.err = step.err
		days, err := c.joint(step.page, step.at, Options{Joint: read})
		if (err != nil) != (step.err != nil) || len(days) != 1 || err == nil && len(days[0]) != shownDays {
			t.Errorf("got %v and %v", days, err)
		}
	}
	if got, want := fmt.Sprint(reads), "[90 90 2 2 2 90 2 2 90 2 90 2 90 2]"; got != want {
		t.Errorf("read %s days, expected %s", got, want)
	}
}

// TestDays_many: a page waits for the past of many probes for a second and a part; the next pages have more of it.
func TestDays_many(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := &probe.PublicPage{}
		for range 100 {
			page.Components = append(page.Components, probe.Component{Name: "Part", Probes: make([]probe.ID, 10)})
		}
		read := func(groups [][]probe.ID, ago, days int) (all [][]probe.Day, err error) {
			for _, ids := range groups {
				time.Sleep(time.Duration(len(ids)*days/90) * 4 * time.Millisecond)
				all = append(all, make([]probe.Day, days))
			}
			return all, nil
		}
		var c dayCache
		for n := 1; ; n++ {
			began := time.Now()
			all, err := c.joint(page, began, Options{Joint: read})
			known := 100 - len(slices.DeleteFunc(slices.Clone(all), func(d []probe.Day) bool { return d != nil }))
			if took := time.Since(began); took > readBudget+200*time.Millisecond {
				t.Errorf("page %d took %s", n, took)
			}
			if want := min(25*n, 100); known != want || (err == nil) != (want == 100) {
				t.Errorf("page %d: %d components are known, expected %d: %v", n, known, want, err)
			}
			if known == 100 || n == 10 {
				break
			}
			time.Sleep(maxAge)
		}
	})
}

// TestDays_large: the past of one component with very many probes is read day by day, over several pages. What was known stays
// on the page while it is read again.
func TestDays_large(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const probes = 9000
		page := &probe.PublicPage{Components: []probe.Component{{Name: "Fleet", Probes: make([]probe.ID, probes)}, {Name: "Shop", Probes: make([]probe.ID, 3)}}}
		today := time.Now().UTC().Truncate(24 * time.Hour)
		read := func(groups [][]probe.ID, ago, days int) (all [][]probe.Day, err error) {
			asked := 0
			for _, ids := range groups {
				asked += len(ids) * days
				var one []probe.Day
				for n := range days {
					one = append(one, probe.Day{Start: today.AddDate(0, 0, n-days-ago+1)})
				}
				all = append(all, one)
			}
			if asked > probes*freshDays {
				t.Errorf("%d days of probes in one part", asked)
			}
			time.Sleep(time.Duration(asked) * 5 * time.Microsecond)
			return all, nil
		}
		inOrder := func(days []probe.Day) bool {
			for n, d := range days {
				if !d.Start.Equal(today.AddDate(0, 0, n-len(days)+1)) {
					return false
				}
			}
			return len(days) == shownDays
		}
		var c dayCache
		pages := 0
		for {
			pages++
			began := time.Now()
			all, err := c.joint(page, began, Options{Joint: read})
			if took := time.Since(began); took > readBudget+200*time.Millisecond {
				t.Errorf("page %d took %s", pages, took)
			}
			if err == nil {
				if !inOrder(all[0]) || !inOrder(all[1]) {
					t.Errorf("got %v", all[0])
				}
				break
			}
			if all[0] != nil || pages == 10 {
				t.Fatalf("page %d: %v", pages, err)
			}
			time.Sleep(maxAge)
		}
		if pages < 3 {
			t.Errorf("all was read in %d pages", pages)
		}
		time.Sleep(rereadDays)
		for range pages {
			if all, err := c.joint(page, time.Now(), Options{Joint: read}); err != nil || !inOrder(all[0]) {
				t.Errorf("while it is read again: %v, %v", err, all[0])
			}
			time.Sleep(maxAge)
		}
		if age := time.Since(c.parts[0].read); age > time.Minute {
			t.Errorf("what was read is %s old", age)
		}
		// A command that writes the page once waits for all of it.
		c = dayCache{}
		if all, err := c.joint(page, time.Now(), Options{Joint: read, Complete: true}); err != nil || !inOrder(all[0]) {
			t.Errorf("at once: %v, %v", err, all[0])
		}
	})
}

// TestLogo takes pictures and nothing else.
func TestLogo(t *testing.T) {
	t.Parallel()
	const open = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">`
	png := "\x89PNG\r\n\x1a\n" + strings.Repeat("\x00", 50)
	for _, c := range []struct{ name, text, wrong string }{
		{"a.png", png, ""},
		{"a.jpg", "\xff\xd8\xff" + strings.Repeat("\x00", 50), ""},
		{"a.webp", "RIFF\x00\x00\x00\x00WEBPVP8 ", ""},
		{"a.svg", open + `<defs><linearGradient id="a"/></defs><style>.b{fill:url(#a)}</style><path class="b" d="M0 0" fill="url('#a')"/><use xlink:href="#a"/></svg>`, ""},
		{"a.svg", `<?xml version="1.0"?><!-- by hand -->` + open + `<title>Shop</title></svg>`, ""},
		{"a.jpg", png, "expected image/jpeg, got image/png"},
		{"a.png", open + "</svg>", "expected image/png"},
		{"a.gif", "GIF89a", "expected a name"},
		{"a.png", strings.Repeat("a", maxLogo+1), "larger than 64 KiB"},
		{"a.svg", open + `<script>alert(1)</script></svg>`, "more than draw"},
		{"a.svg", open + `<SCRIPT/></svg>`, "more than draw"},
		{"a.svg", open + `<foreignObject/></svg>`, "more than draw"},
		{"a.svg", open + `<h:script xmlns:h="http://www.w3.org/1999/xhtml"/></svg>`, "more than draw"},
		{"a.svg", open + `<set attributeName="href" to="javascript:a"/></svg>`, "more than draw"},
		{"a.svg", open + `<a href="#b"/></svg>`, "more than draw"},
		{"a.svg", open + `<image href="#b"/></svg>`, "more than draw"},
		{"a.svg", open + `<path onload="a"/></svg>`, "event handler"},
		{"a.svg", open + `<path ONLOAD="a"/></svg>`, "event handler"},
		{"a.svg", open + `<use href="https://x.example/#a"/></svg>`, "other addresses"},
		{"a.svg", open + `<path src="//x.example/a"/></svg>`, "other addresses"},
		{"a.svg", open + `<g xml:base="//x.example/"><use href="#a"/></g></svg>`, "other addresses"},
		{"a.svg", open + `<use xlink:href="data:image/svg+xml,a"/></svg>`, "other addresses"},
		{"a.svg", open + `<path style="fill: u&#114;l( 'https://x.example/')"/></svg>`, "other addresses"},
		{"a.svg", open + `<path style="fill: \75rl(x)"/></svg>`, "other addresses"},
		{"a.svg", open + `<style>@import 'x';</style></svg>`, "other addresses"},
		{"a.svg", open + `<style><![CDATA[a{background:url(//x)}]]></style></svg>`, "other addresses"},
		{"a.svg", open + `<style>@imp<!-- -->ort 'x';</style></svg>`, "other addresses"},
		{"a.svg", open + `<style>a{background:ur<![CDATA[l(//x)]]>}</style></svg>`, "other addresses"},
		{"a.svg", open + `<style>@imp<g>b</g>ort 'x';</style></svg>`, "other addresses"},
		{"a.svg", open + `<g>@imp</g><g>ort</g></svg>`, ""},
		{"a.svg", `<?xml-stylesheet href="x"?>` + open + `</svg>`, "processing instruction"},
		{"a.svg", `<!DOCTYPE svg [<!ENTITY a "b">]>` + open + `&a;</svg>`, "DOCTYPE"},
		{"a.svg", open + `<path`, "expected an SVG"},
		{"a.svg", `<html/>`, "expected an SVG"},
		{"a.svg", "", "expected an SVG"},
		{"a.svg", png, "expected an SVG"},
	} {
		path := filepath.Join(t.TempDir(), c.name)
		write(t, path, c.text)
		_, err := readLogo(path)
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s %.150q: got %v, expected %q", c.name, c.text, err, c.wrong)
		}
	}
	for _, path := range []string{t.TempDir() + "/missing.png", os.DevNull + ".png"} {
		if _, err := readLogo(path); err == nil {
			t.Errorf("%s was read", path)
		}
	}
}

// TestPage_largest bounds what the largest page that may be configured takes: in memory, and to read.
func TestPage_largest(t *testing.T) {
	t.Parallel()
	var all []string
	for i := range 100 {
		all = append(all, fmt.Sprintf("component-%02d", i))
	}
	w := newWorld(t, all...)
	for i := range 50 {
		w.incident(now.Add(-time.Duration(i+1)*time.Hour), now.Add(-time.Duration(i)*time.Hour), all...)
	}
	plain, zip := 0, 0
	for _, d := range w.look().documents() {
		plain, zip = plain+d.size, zip+cap(d.zip)+cap(d.plain)
	}
	if plain > 2<<20 || zip > 150<<10 {
		t.Errorf("%d KiB, and %d compressed", plain>>10, zip>>10)
	}
	t.Logf("%d KiB, and %d compressed", plain>>10, zip>>10)
}

// BenchmarkPage renders the page of 20 components.
func BenchmarkPage(b *testing.B) {
	var all []string
	for i := range 20 {
		all = append(all, fmt.Sprintf("component-%02d", i))
	}
	w := newWorld(b, all...)
	b.ReportAllocs()
	for b.Loop() {
		w.look().documents()
	}
}
