package testenv

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Browser is a headless Chromium with one page, controlled over a pipe with the Chrome DevTools protocol. It can only
// reach 127.0.0.1.
type Browser struct {
	t       testing.TB
	to      io.Writer
	session string
	replies chan reply

	mu     sync.Mutex
	last   int
	events map[string]int // number of each
	errors []string
}

// A reply is a message of the protocol, an answer or an event.
type reply struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// commandTimeout is the timeout of one command: axe on a long page, on a busy machine.
const commandTimeout = 3 * time.Minute

// NewBrowser starts a browser that ends with the test.
func NewBrowser(t testing.TB) *Browser {
	t.Helper()
	chromium := Need(t, "chromium")
	theirs, to := pipe(t)
	from, ours := pipe(t)
	cmd := exec.Command(chromium, "--headless=new", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(),
		"--no-sandbox", // containers do not allow it; the browser only loads the tests' own pages
		"--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--log-level=3", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	cmd.ExtraFiles = []*os.File{theirs, ours} // 3 is read and 4 is written by the browser
	b := &Browser{t: t, to: to, replies: make(chan reply, 100), events: map[string]int{}}
	StartCmd(t, cmd)
	theirs.Close()
	ours.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		b.read(from)
	}()
	t.Cleanup(func() { to.Close(); from.Close(); <-read })
	b.open()
	return b
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// open attaches to the page.
func (b *Browser) open() {
	b.t.Helper()
	var targets struct {
		TargetInfos []struct{ TargetID, Type string }
	}
	var attached struct{ SessionID string }
	for deadline := time.Now().Add(commandTimeout); attached.SessionID == "" && time.Now().Before(deadline); {
		b.do("Target.getTargets", nil, &targets)
		for _, target := range targets.TargetInfos {
			if target.Type == "page" && attached.SessionID == "" {
				b.do("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
			}
		}
	}
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		b.do(domain+".enable", nil, nil)
	}
}

// read reads the browser's messages: JSON, each terminated by a zero byte.
func (b *Browser) read(from io.Reader) {
	defer close(b.replies)
	for in := bufio.NewReaderSize(from, 1<<20); ; {
		message, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var r reply
		if json.Unmarshal(message[:len(message)-1], &r) != nil {
			continue
		}
		if r.ID != 0 {
			b.replies <- r
			continue
		}
		b.mu.Lock()
		b.events[r.Method]++
		switch {
		case r.Method == "Runtime.exceptionThrown", r.Method == "Log.entryAdded" && !strings.Contains(string(r.Params), `"level":"verbose"`),
			r.Method == "Runtime.consoleAPICalled" && strings.Contains(string(r.Params), `"type":"error"`):
			b.errors = append(b.errors, string(r.Params))
		}
		b.mu.Unlock()
	}
}

// do sends a command and reads its result into out.
func (b *Browser) do(method string, params map[string]any, out any) {
	b.t.Helper()
	b.last++
	message := map[string]any{"id": b.last, "method": method}
	if params != nil {
		message["params"] = params
	}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	text, err := json.Marshal(message)
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	if err != nil {
		b.t.Fatalf("cannot send a command to the browser: %v", err)
	}
	timer := time.NewTimer(commandTimeout)
	defer timer.Stop()
	for {
		select {
		case r, open := <-b.replies:
			switch {
			case !open:
				b.t.Fatalf("the browser ended during %s", method)
			case r.ID != b.last:
				continue // of a command that timed out
			case r.Error != nil:
				b.t.Fatalf("%s: %s", method, r.Error.Message)
			case out != nil:
				if err := json.Unmarshal(r.Result, out); err != nil {
					b.t.Fatalf("%s: %v", method, err)
				}
			}
			return
		case <-timer.C:
			b.t.Fatalf("%s: no answer in %s", method, commandTimeout)
		}
	}
}

// eventCount returns how often an event occurred.
func (b *Browser) eventCount(event string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.events[event]
}

// Window sets the size of the page in CSS pixels, and the preference for dark colors.
func (b *Browser) Window(width, height int, dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	b.do("Emulation.setEmulatedMedia", map[string]any{"media": "", "features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Print shows the page as it is printed, until Window is called.
func (b *Browser) Print() {
	b.t.Helper()
	b.do("Emulation.setEmulatedMedia", map[string]any{"media": "print"}, nil)
}

// Scripts switches the page's own scripts on or off, from the next page on.
func (b *Browser) Scripts(on bool) {
	b.t.Helper()
	b.do("Emulation.setScriptExecutionDisabled", map[string]any{"value": !on}, nil)
}

// Open loads a page and waits until it and its resources are loaded.
func (b *Browser) Open(url string) {
	b.t.Helper()
	b.Loads(func() {
		var went struct{ ErrorText string }
		b.do("Page.navigate", map[string]any{"url": url}, &went)
		if went.ErrorText != "" {
			b.t.Fatalf("%s: %s", url, went.ErrorText)
		}
	})
}

// Loads runs act, which leads to another page, and waits until that is loaded.
func (b *Browser) Loads(act func()) {
	b.t.Helper()
	const loaded = "Page.loadEventFired"
	before := b.eventCount(loaded)
	act()
	Eventually(b.t, commandTimeout, func(context.Context) error {
		if b.eventCount(loaded) == before {
			return errors.New("no page was loaded")
		}
		return nil
	})
}

// Eval evaluates an expression on the page, waits if it is a promise, and reads its value into out.
func (b *Browser) Eval(expression string, out any) {
	b.t.Helper()
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	b.do("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &got)
	if got.ExceptionDetails != nil {
		b.t.Fatalf("on the page: %s", got.ExceptionDetails.Exception.Description)
	}
	if out != nil {
		if err := json.Unmarshal(got.Result.Value, out); err != nil {
			b.t.Fatalf("on the page: %v", err)
		}
	}
}

// Press presses and releases a key: Tab or Enter.
func (b *Browser) Press(key string) {
	b.t.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13}
	down := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
	if key == "Enter" {
		down["text"] = "\r"
	}
	b.do("Input.dispatchKeyEvent", down, nil)
	b.do("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}, nil)
}

// Errors returns the console messages since the last call: errors, warnings and violations of the content security policy.
func (b *Browser) Errors() []string {
	b.Eval("1", nil) // its answer comes after all earlier events
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.errors
	b.errors = nil
	return was
}

// Axe returns the accessibility violations that axe-core finds: for each its rule and the first elements that violate it.
func (b *Browser) Axe() []string {
	b.t.Helper()
	script, err := os.ReadFile(filepath.Join(npmModules(b.t, npmLock, "axe-core"), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.Eval(string(script)+"; 1", nil)
	var found struct {
		Passes     int
		Violations []struct {
			ID    string
			Nodes []struct{ HTML, FailureSummary string }
		}
	}
	b.Eval(`axe.run(document, {resultTypes: ["violations"]}).then(r => ({passes: r.passes.length, violations: r.violations.map(v => ({id: v.id,
		nodes: v.nodes.slice(0, 3).map(n => ({html: n.html, failureSummary: n.failureSummary}))}))}))`, &found)
	if found.Passes == 0 {
		b.t.Fatal("axe checked no elements")
	}
	var all []string
	for _, v := range found.Violations {
		text := v.ID
		for _, n := range v.Nodes {
			text += fmt.Sprintf("\n  %.300s\n    %s", n.HTML, n.FailureSummary)
		}
		all = append(all, text)
	}
	return all
}

// Picture returns a PNG of the visible part of the page, or of the whole page.
func (b *Browser) Picture(whole bool) []byte {
	b.t.Helper()
	var shot struct{ Data string }
	b.do("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": whole}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	return png
}
