package public

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	g "maragu.dev/gomponents"

	"prober/internal/probe"
)

// TestServe_logo: a picture that is opened by itself gets no more than it needs to draw.
func TestServe_logo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "login")
	w.page.Logo = filepath.Join(t.TempDir(), "shop.svg")
	write(t, w.page.Logo, `<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h8v8z"/></svg>`)
	s := w.site()
	if got := ask(s, "GET", "/logo.svg").Header().Get("Content-Security-Policy"); !strings.Contains(got, "sandbox") || !strings.Contains(got, "default-src 'none'") {
		t.Errorf("the policy of the logo is %s", got)
	}
	contains(t, ask(s, "GET", "/").Body.String(), `<img src="logo.svg" alt="">`)
	// A logo that is written again is read again.
	write(t, w.page.Logo, `<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h16v16z"/></svg>`)
	contains(t, w.site().look(w.page, now).texts()["logo.svg"], "h16v16z")
}

// TestLogo_root: a text of the outermost element is read as those within it are.
func TestLogo_root(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.svg")
	write(t, path, `<svg xmlns="http://www.w3.org/2000/svg">@import 'x';<path d="M0 0"/></svg>`)
	if _, err := readLogo(path); err == nil || !strings.Contains(err.Error(), "other addresses") {
		t.Errorf("got %v", err)
	}
}

func TestTook(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		59 * time.Second: "under a minute", time.Minute: "1 min", 59*time.Minute + 59*time.Second: "59 min", time.Hour: "1 h 0 min",
		24*time.Hour - time.Minute: "23 h 59 min", 24 * time.Hour: "1 d 0 h", 49 * time.Hour: "2 d 1 h",
	} {
		if got := took(d); got != want {
			t.Errorf("%s: got %s, expected %s", d, got, want)
		}
	}
}

func rendered(t *testing.T, n g.Node) string {
	t.Helper()
	var b strings.Builder
	if n != nil {
		if err := n.Render(&b); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// TestNotice_words: from when to when something was, and what it is about.
func TestNotice_words(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	text := func(n g.Node) string {
		words := rendered(t, n)
		for _, tag := range []string{`<time datetime="2026-11-28T09:00:00Z">`, `<time datetime="2026-11-28T10:30:00Z">`, "</time>"} {
			words = strings.ReplaceAll(words, tag, "")
		}
		return words
	}
	to := from.Add(90 * time.Minute)
	for want, n := range map[string]notice{
		"Since 28 Nov 2026, 09:00 UTC, not over yet":                         {open: true, incident: true, from: from},
		"From 28 Nov 2026, 09:00 UTC; its end is not known":                  {incident: true, from: from},
		"28 Nov 2026, 09:00 UTC":                                             {from: from},
		"From 28 Nov 2026, 09:00 UTC to 28 Nov 2026, 10:30 UTC":              {from: from, to: to},
		"From 28 Nov 2026, 09:00 UTC to 28 Nov 2026, 10:30 UTC (1 h 30 min)": {incident: true, from: from, to: to},
	} {
		if got := text(n.times()); got != want {
			t.Errorf("got %s, expected %s", got, want)
		}
	}
	if got := rendered(t, about(nil)) + "|" + rendered(t, about([]string{"a", "b"})); got != "|. Concerns a, b" {
		t.Errorf("got %s", got)
	}
}

// TestPage_sinceAtLeast: what was not seen to begin began at the latest then.
func TestPage_sinceAtLeast(t *testing.T) {
	t.Parallel()
	for _, exact := range []bool{true, false} {
		w := newWorld(t, "login")
		w.run("login", probe.Fail)
		last := w.runs["probe-login"]
		last.Since = probe.Since{At: now.Add(-39 * time.Minute), Exact: exact}
		w.runs["probe-login"] = last
		if got := strings.Contains(w.look().texts()["index.html"], " since at least <time"); got == exact {
			t.Errorf("since when is known %t: at least %t", exact, got)
		}
	}
}

// TestIncidents_sameSecond: incidents that began in the same second have names of their own, the first the plain one.
func TestIncidents_sameSecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "login", "front")
	start := now.Add(-30 * time.Minute)
	w.incident(start, start.Add(time.Minute), "login")
	w.incident(start.Add(time.Millisecond), start.Add(time.Minute), "front")
	seen := map[string]int{}
	plain := 0
	for _, n := range w.look().past {
		seen[n.id]++
		if !strings.HasSuffix(n.id, "-2") {
			plain++
		}
	}
	if len(seen) != 2 || plain != 1 {
		t.Errorf("got %v", seen)
	}
}

func TestTakesGzip(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		"": false, "gzip": true, "br, GZIP": true, "gzip;q=0.5": true, "gzip; q=1": true, "gzip;q=0": false, "gzip;q=0.0": false, "gzip;q=x": false, "gzipped": false, "br;q=1, deflate": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Encoding", header)
		if got := takesGzip(r); got != want {
			t.Errorf("%q: got %t, expected %t", header, got, want)
		}
	}
	s := newWorld(t, "login").site()
	if got := ask(s, "GET", "/").Header().Get("Vary"); got != "Accept-Encoding" {
		t.Errorf("Vary is %q", got)
	}
	if got := ask(s, "POST", "/").Header().Get("Allow"); got != "GET, HEAD" {
		t.Errorf("Allow is %q", got)
	}
}
