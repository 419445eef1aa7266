package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTheme(t *testing.T) {
	h := New(full())
	form := func(theme, referer string) *http.Response {
		r := httptest.NewRequest("POST", "http://prober.example/theme", strings.NewReader("theme="+theme))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Referer", referer)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result()
	}
	for _, c := range []struct{ theme, referer, cookie, to string }{
		{"dark", "http://prober.example/probes/a/b?run=early", "prober_theme=dark; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax", "/probes/a/b?run=early"},
		{"light", "https://proxy.example/prefix/", "prober_theme=light; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax", "/prefix/"},
		{"", "", "prober_theme=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax", "./"},
		{"dark", "https://x.example//evil.example/", "prober_theme=dark; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax", "./"},
		{"dark", "javascript:alert(1)", "prober_theme=dark; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax", "./"},
	} {
		got := form(c.theme, c.referer)
		if got.StatusCode != 303 || got.Header.Get("Set-Cookie") != c.cookie || got.Header.Get("Location") != c.to {
			t.Errorf("%+v: got %d, %q to %q", c, got.StatusCode, got.Header.Get("Set-Cookie"), got.Header.Get("Location"))
		}
	}
	if got := form("%3Cb%3E", ""); got.StatusCode != 400 || got.Header.Get("Set-Cookie") != "" {
		t.Errorf("an unknown theme: got %d %q", got.StatusCode, got.Header.Get("Set-Cookie"))
	}
	if w := ask(h, "POST", "/theme?theme=dark", "Origin", "https://evil.example"); w.Code != 403 {
		t.Errorf("another site: got %d", w.Code)
	}
	for cookie, want := range map[string]string{"dark": `<html lang="en" data-theme="dark">`, "light": `<html lang="en" data-theme="light">`, "evil": "", "": ""} {
		page := ask(h, "GET", "/", "Cookie", "other=1; prober_theme="+cookie).Body.String()
		if want != "" && !strings.Contains(page, want) || want == "" && !strings.Contains(page, `<html lang="en">`) {
			t.Errorf("theme %q: %.200s", cookie, page)
		}
	}
}
