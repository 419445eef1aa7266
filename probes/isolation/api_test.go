package isolation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"prober/config"
	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// A notesAPI is an API of several tenants that isolates them. A test may intercept its requests.
type notesAPI struct {
	style     string                       // where the org is named: header, path, query, body or token
	caller    func(r *http.Request) string // the org of a credential; by default that of the bearer token
	intercept func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc)
	lag       time.Duration                  // how long a new note is not shown
	testOrgs  bool                           // whoami marks the orgs as test orgs
	pageSize  int                            // notes per page
	newID     func(n int, org string) string // the id of the n-th note

	requests atomic.Int64
	writes   atomic.Int64
	mu       sync.Mutex
	serial   int
	notes    []note
}

type note struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	org  string
	made time.Time
}

// An apiRequest is a request as the API understands it.
type apiRequest struct {
	*http.Request
	op        string // read, list, search, export, count, create, update, delete, whoami
	org       string // of the token
	id        string
	owner     string // of the requested note, if it exists
	note      note
	orgInBody *string // the org in the body, if it is named there
}

var tokens = map[string]string{"Bearer token-of-the-red-org": "red", "Bearer token-of-the-blue-org": "blue"}

func newNotesAPI(style string) *notesAPI {
	name := func(n int, org string) string { return fmt.Sprintf("note-%08d-%s", n, org) }
	return &notesAPI{style: style, testOrgs: true, pageSize: 100, newID: name}
}

func (n *notesAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.requests.Add(1)
	if r.Method != "GET" {
		n.writes.Add(1)
	}
	q := n.read(r)
	next := func(w http.ResponseWriter, _ *http.Request) { n.answer(w, q) }
	if n.intercept != nil {
		n.intercept(w, q, next)
		return
	}
	next(w, r)
}

// read parses a request.
func (n *notesAPI) read(r *http.Request) *apiRequest {
	q := &apiRequest{Request: r, org: tokens[r.Header.Get("Authorization")]}
	if n.caller != nil {
		q.org = n.caller(r)
	}
	path := strings.TrimPrefix(r.URL.Path, "/v1")
	if n.style == "path" {
		if rest, ok := strings.CutPrefix(path, "/orgs/"); ok {
			_, path, _ = strings.Cut(rest, "/")
			path = "/" + path
		}
	}
	id, one := strings.CutPrefix(path, "/notes/")
	op, called := strings.CutPrefix(path, "/call/")
	switch {
	case path == "/whoami":
		q.op = "whoami"
	case called:
		q.call(op)
	case path == "/notes/export", path == "/notes/count":
		q.op = id
	case one:
		q.op, q.id = map[string]string{"GET": "read", "PUT": "update", "DELETE": "delete"}[r.Method], id
	case path == "/notes" && r.Method == "POST":
		q.op = "create"
	case path == "/notes" && r.URL.Query().Has("q"):
		q.op = "search"
	case path == "/notes":
		q.op = "list"
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := n.index(q.id); i >= 0 {
		q.note, q.owner = n.notes[i], n.notes[i].org
	}
	return q
}

// call parses a request that has everything in its body.
func (q *apiRequest) call(op string) {
	var sent struct {
		Org           *string
		ID, Q, Cursor string
	}
	body := new(bytes.Buffer)
	_, _ = body.ReadFrom(q.Body)
	_ = json.Unmarshal(body.Bytes(), &sent)
	q.Body = readCloser{body}
	q.op, q.id, q.orgInBody = op, sent.ID, sent.Org
	q.URL.RawQuery = url.Values{"q": {sent.Q}, "cursor": {sent.Cursor}}.Encode()
}

func (n *notesAPI) index(id string) int {
	return slices.IndexFunc(n.notes, func(m note) bool { return m.ID == id })
}

// orgs lists the orgs that a request names.
func (n *notesAPI) orgs(q *apiRequest) []string {
	switch n.style {
	case "header":
		return q.Header.Values("X-Org-Id")
	case "path":
		rest, ok := strings.CutPrefix(q.URL.Path, "/v1/orgs/")
		org, _, _ := strings.Cut(rest, "/")
		if ok {
			return []string{org}
		}
		return nil
	case "query":
		return q.URL.Query()["org"]
	case "body":
		if q.orgInBody == nil {
			return nil
		}
		return []string{*q.orgInBody}
	}
	return []string{q.org}
}

func (n *notesAPI) answer(w http.ResponseWriter, q *apiRequest) {
	said := n.orgs(q)
	switch {
	case q.org == "":
		reply(w, 401, `{"error":"unauthorized"}`)
		return
	case q.op == "whoami":
		reply(w, 200, fmt.Sprintf(`{"org":%q,"test_org":%t}`, q.org, n.testOrgs))
		return
	case len(said) != 1 || said[0] == "":
		reply(w, 400, `{"error":"org_required"}`)
		return
	case said[0] != q.org:
		reply(w, 403, `{"error":"org_mismatch"}`)
		return
	}
	n.serve(w, q, func(m note) bool { return m.org == q.org && time.Since(m.made) >= n.lag })
}

// serve responds with the notes that a caller is shown.
func (n *notesAPI) serve(w http.ResponseWriter, q *apiRequest, shows func(note) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	seen := []note{}
	for _, m := range n.notes {
		if shows(m) && strings.Contains(m.Text, q.URL.Query().Get("q")) {
			seen = append(seen, m)
		}
	}
	at := n.index(q.id)
	var sent struct {
		Text string  `json:"text"`
		Org  *string `json:"org_id"`
	}
	if q.op == "create" || q.op == "update" {
		_ = json.NewDecoder(q.Body).Decode(&sent)
	}
	switch q.op {
	case "create":
		if sent.Org != nil && *sent.Org != q.org {
			reply(w, 422, `{"error":"org"}`)
			return
		}
		n.serial++
		m := note{ID: n.newID(n.serial, q.org), Text: sent.Text, org: q.org, made: time.Now()}
		n.notes = append(n.notes, m)
		w.Header().Set("Location", "/v1/notes/"+m.ID)
		reply(w, 201, marshal(m))
	case "list", "search":
		from, _ := strconv.Atoi(q.URL.Query().Get("cursor"))
		to := min(from+n.pageSize, len(seen))
		next := ""
		if to < len(seen) {
			next = strconv.Itoa(to)
		}
		reply(w, 200, marshal(map[string]any{"notes": seen[min(from, to):to], "next": next}))
	case "export":
		reply(w, 200, marshal(seen))
	case "count":
		reply(w, 200, fmt.Sprintf(`{"count":%d}`, len(seen)))
	case "read", "update", "delete":
		if at < 0 || !shows(n.notes[at]) {
			reply(w, 404, `{"error":"not_found"}`)
			return
		}
		switch q.op {
		case "update":
			n.notes[at].Text = sent.Text
		case "delete":
			n.notes = slices.Delete(n.notes, at, at+1)
			w.WriteHeader(204)
			return
		}
		reply(w, 200, marshal(n.notes[at]))
	default:
		reply(w, 404, `{"error":"no_such_page"}`)
	}
}

// anyNote shows every note to everybody.
func anyNote(note) bool { return true }

// list returns the notes that exist.
func (n *notesAPI) list() []note {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.notes)
}

func (n *notesAPI) add(org, id, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notes = append(n.notes, note{ID: id, Text: text, org: org})
}

func marshal(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}

// start serves the API and returns a configuration of a probe of it.
func (n *notesAPI) start(t *testing.T) string {
	t.Helper()
	return n.configuration(testenv.ServeInMemory(t, n))
}

// configuration returns that of a probe of the API at a URL.
func (n *notesAPI) configuration(url string) string {
	headers, notes := "", "/notes"
	switch n.style {
	case "header":
		headers = `headers: {X-Org-Id: "{org}"}`
	case "path":
		notes = "/orgs/{org}/notes"
	}
	text := `
system: test
probes:
  - name: it
    type: isolation
    interval: 1m
    timeout: 20s
    base: BASE/v1
    HEADERS
    orgs:
      blue: {bearer: {env: TEST_ISO_BLUE}}
      red:  {bearer: {env: TEST_ISO_RED}}
    identity: {url: /whoami, org: $.org, test_org: {"$.test_org": true}}
    visibility_delay: 300ms
    interleave: {requests: 40}
    replica: here
    resources:
      notes:
        create: {url: "NOTES", json: {text: "{canary}"}}
        read:   "NOTES/{id}"
        update: {url: "NOTES/{id}", json: {text: "{canary}"}}
        delete: "NOTES/{id}"
        list:   "NOTES?cursor={cursor}"
        next:   $.next
        search: "NOTES?q={canary}"
        export: "NOTES/export"
        count:  "NOTES/count"
        number: $.count
`
	return strings.NewReplacer("BASE", url, "HEADERS", headers, "NOTES", notes).Replace(text)
}

// newJob loads a configuration as the prober does.
func newJob(t *testing.T, text string) probe.Job {
	t.Helper()
	cfg, err := config.Parse(probe.Kinds{"isolation": Kind()}, config.File{Name: "test.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return cfg.Jobs[0]
}

// ask runs a job once, in a bubble of package synctest.
func ask(t *testing.T, job probe.Job) probe.Result {
	t.Helper()
	return askAll(t, job)[0]
}

// askAll runs jobs once, at the same time.
func askAll(t *testing.T, jobs ...probe.Job) []probe.Result {
	t.Helper()
	results := make([]probe.Result, len(jobs))
	inMemory(t, func(ctx context.Context) {
		var wg sync.WaitGroup
		for i, job := range jobs {
			wg.Go(func() { results[i] = job.Do(ctx) })
		}
		wg.Wait()
		for _, job := range jobs {
			job.Probe.(*Probe).anonymous.Close() // the kept connections end with the bubble
		}
	})
	return results
}

// inMemory calls f with a context in which the servers in memory are reached.
func inMemory(t *testing.T, f func(context.Context)) {
	t.Helper()
	testenv.Bubble(t, func(ctx context.Context, open testenv.Open) { f(dial.WithOpen(ctx, open)) })
}

// runProbe runs the probe once, with replacements in its configuration.
func (n *notesAPI) runProbe(t *testing.T, change ...string) probe.Result {
	t.Helper()
	return ask(t, newJob(t, strings.NewReplacer(change...).Replace(n.start(t))))
}

var statusInDetail = regexp.MustCompile(`\b(?:got|answer) ([1-5]\d\d)\b`)

// expectDecisive compares the verdict and the check that decides it, and the status in its detail with that of its exchange.
func expectDecisive(t *testing.T, r probe.Result, want string) {
	t.Helper()
	why := r.Decisive()
	if said := statusInDetail.FindStringSubmatch(why.Detail); said != nil && why.Verdict != probe.Pass {
		if i := r.Evidence(why); i < 0 || said[1] != strconv.Itoa(r.Exchanges[i].Status) {
			t.Errorf("the linked exchange is not that of: %s", why.Detail)
		}
	}
	got := fmt.Sprintf("%s@%s %s(%s)", why.Name, why.Target, why.Verdict, why.Reason)
	if want == "pass" && r.Verdict() == probe.Pass {
		return
	}
	if got != want {
		t.Errorf("got %s, want %s\n%s", got, want, probetest.Lines(r))
	}
}

// measuredValue returns the last value of a measure with these labels; -1 if there is none.
func measuredValue(r probe.Result, name string, labels ...string) float64 {
	value := -1.0
	for _, s := range r.Samples {
		if s.Name == name && slices.Equal(s.Values, labels) {
			value = s.Value
		}
	}
	return value
}

func parse(text string) (*config.Config, error) {
	return config.Parse(probe.Kinds{"isolation": Kind()}, config.File{Name: "test.yaml", Data: []byte(text)})
}

// decode reads the JSON that a request sends.
func decode(q *apiRequest, into any) { _ = json.NewDecoder(q.Body).Decode(into) }
