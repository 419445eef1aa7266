package public

import (
	"html"
	"net/http"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// TestBars: a day is as high as what is known of it; what failed stands on top of what passed, with a gap, and above the others.
func TestBars(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		known, passed time.Duration
		want          string
	}{
		"nothing is known":        {0, 0, "none M0 29h4v3h-4z"},
		"all of it passed":        {day, day, "up M0 6h4v26h-4z"},
		"half of it is known":     {day / 2, day / 2, "up M0 19h4v13h-4z"},
		"a minute is known":       {time.Minute, time.Minute, "up M0 26h4v6h-4z"},
		"a second failed":         {day, day - time.Second, "down M0 0h4v12h-4z up M0 13h4v19h-4z"},
		"half of it failed":       {day, day / 2, "down M0 0h4v19h-4z up M0 20h4v12h-4z"},
		"half of what was known":  {day / 2, day / 4, "down M0 13h4v12h-4z up M0 26h4v6h-4z"},
		"all but two hours":       {day, 2 * time.Hour, "down M0 0h4v29h-4z up M0 30h4v2h-4z"},
		"all but 72 minutes":      {day, 72 * time.Minute, "down M0 0h4v30h-4z up M0 31h4v1h-4z"},
		"all but half an hour":    {day, day / 48, "down M0 0h4v31h-4z"}, // and the gap
		"all of it failed":        {day, 0, "down M0 0h4v32h-4z"},
		"a second of one, failed": {time.Minute, time.Minute - time.Second, "down M0 20h4v12h-4z"},
	} {
		var out strings.Builder
		p := part{days: []probe.Day{{Uptime: probe.Uptime{Span: day, Known: c.known, Passed: c.passed}}}}
		if err := p.bars().Render(&out); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, path := range strings.Split(out.String(), "<path ")[1:] {
			class, rest, _ := strings.Cut(strings.TrimPrefix(path, `class="`), `" d="`)
			d, _, _ := strings.Cut(rest, `"`)
			got = append(got, class+" "+d)
		}
		if all := strings.Join(got, " "); all != c.want {
			t.Errorf("%s: got %s, expected %s", name, all, c.want)
		}
	}
}

// TestServe_policy: the page runs its own style and script, and nothing else; it is not confined like what is no page.
func TestServe_policy(t *testing.T) {
	t.Parallel()
	page := ask(newWorld(t, "login").site(), "GET", "/")
	policy := page.Header().Get("Content-Security-Policy")
	for _, tag := range []string{"style", "script"} {
		_, rest, _ := strings.Cut(page.Body.String(), "<"+tag)
		_, rest, _ = strings.Cut(rest, ">")
		text, _, found := strings.Cut(rest, "</"+tag+">")
		if want := tag + "-src '" + hash(html.UnescapeString(text)) + "'"; !found || !strings.Contains(policy, want) {
			t.Errorf("expected %s, got %s", want, policy)
		}
	}
	if strings.Contains(policy, "sandbox") {
		t.Errorf("the links of the page lead nowhere: %s", policy)
	}
}

// TestRestrict: who reads or writes slowly, or sends a long header, is not waited for.
func TestRestrict(t *testing.T) {
	t.Parallel()
	s := Restrict(&http.Server{})
	for name, limit := range map[string]time.Duration{"header": s.ReadHeaderTimeout, "request": s.ReadTimeout, "response": s.WriteTimeout, "idle": s.IdleTimeout} {
		if limit <= 0 || limit > time.Minute {
			t.Errorf("%s: got %s", name, limit)
		}
	}
	if s.MaxHeaderBytes <= 0 || s.MaxHeaderBytes > 64<<10 {
		t.Errorf("a header may have %d bytes", s.MaxHeaderBytes)
	}
}
