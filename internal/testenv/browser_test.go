package testenv

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestBrowser_errors shows a page on which everything is: what looks at good pages must see bad ones.
func TestBrowser_errors(t *testing.T) {
	const bad = `<!doctype html><html><head><meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="15"><title></title></head>
		<body><img src="nothing.png"><p style="color:#aaa">pale</p><button></button><script>throw new Error("thrown")</script></body></html>`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", "style-src 'none'")
		io.WriteString(w, bad)
	}))
	defer server.Close()
	b := NewBrowser(t)
	b.Window(360, 800, true)
	b.Open(server.URL)
	found := strings.Join(b.Axe(), "\n")
	for _, rule := range []string{"image-alt", "button-name", "html-has-lang", "document-title", "meta-refresh"} {
		if !strings.Contains(found, rule) {
			t.Errorf("axe did not find %s:\n%s", rule, found)
		}
	}
	console := strings.Join(b.Errors(), "\n")
	for _, line := range []string{"thrown", "404", "Content Security Policy"} {
		if !strings.Contains(console, line) {
			t.Errorf("the console did not show %q:\n%s", line, console)
		}
	}
	if again := b.Errors(); len(again) > 0 {
		t.Errorf("shown twice: %s", again)
	}
	var seen struct {
		Width int
		Dark  bool
	}
	b.Eval(`({width: innerWidth, dark: matchMedia("(prefers-color-scheme: dark)").matches})`, &seen)
	if seen.Width != 360 || !seen.Dark {
		t.Errorf("the window is %+v", seen)
	}
	b.Scripts(false)
	b.Open(server.URL)
	if console := strings.Join(b.Errors(), "\n"); strings.Contains(console, "thrown") {
		t.Error("scripts run that are off")
	}
	if png := b.Picture(false); !strings.HasPrefix(string(png), "\x89PNG") {
		t.Errorf("the picture begins with %q", png[:8])
	}
}
