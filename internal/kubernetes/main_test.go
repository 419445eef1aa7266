package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"prober/internal/probe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// marker is in what the server says; no text of ours may repeat it.
const marker = "hunter2-7f3a9c51d2"

// A fake answers each request with the next of its answers, "STATUS BODY", and the last one for good.
type fake struct {
	mu      sync.Mutex
	answers []string
	header  http.Header
	asked   []string // paths with their query
	tokens  []string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, q.URL.RequestURI())
	f.tokens = append(f.tokens, q.Header.Get("Authorization"))
	status, body := 200, f.answers[min(len(f.asked), len(f.answers))-1]
	if n, rest, ok := strings.Cut(body, " "); ok && len(n) == 3 {
		fmt.Sscan(n, &status)
		body = rest
	}
	for name, values := range f.header {
		w.Header()[name] = values
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}

func serve(t *testing.T, answers ...string) (*fake, *Client) {
	t.Helper()
	f := &fake{answers: answers, header: http.Header{}}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	c, err := (&Settings{API: s.URL + "/", Namespace: "shop"}).Client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return f, c
}

// failure is a status of the API.
func failure(code int, reason, name string) string {
	b, _ := json.Marshal(map[string]any{
		"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": marker, "reason": reason, "code": code,
		"details": map[string]any{"name": name, "kind": "deployments"},
	})
	return fmt.Sprintf("%d %s", code, b)
}

// pods is a page of pods by their names.
func pods(version, next string, names ...string) string {
	var items []string
	for _, name := range names {
		items = append(items, fmt.Sprintf(`{"metadata":{"name":%q,"namespace":"shop","uid":"uid-%s"},"status":{"phase":"Running"}}`, name, name))
	}
	return fmt.Sprintf(`{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":%q,"continue":%q},"items":[%s]}`, version, next, strings.Join(items, ","))
}

var web = Selector{MatchLabels: map[string]string{"app": "web"}}

func listPods(t *testing.T, c *Client) (string, probe.Outcome) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	all, o := c.Pods(ctx, probe.NewResult(probe.ID{}), "api", "shop", web)
	var names []string
	for _, p := range all {
		names = append(names, p.Metadata.Name)
	}
	return strings.Join(names, " "), o
}

func getDeployment(t *testing.T, c *Client) (*Deployment, probe.Outcome) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return c.Deployment(ctx, probe.NewResult(probe.ID{}), "api", "shop", "web")
}

// expect compares an outcome with "REASON: DETAIL", where the detail may end in *.
func expect(t *testing.T, o probe.Outcome, want string) {
	t.Helper()
	got := o.Reason.Word + ": " + o.Detail
	if o.Passed() {
		got = "ok"
	}
	if strings.Contains(got, marker) {
		t.Errorf("the server's text is repeated: %s", got)
	}
	if prefix, open := strings.CutSuffix(want, "*"); got != want && !(open && strings.HasPrefix(got, prefix)) {
		t.Errorf("\n got  %s\n want %s", got, want)
	}
}
