package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"prober/internal/testenv"
)

// An outbox is a sender of webhooks that keeps its events in PostgreSQL: what is due is delivered, 409 settles an event, 408, 429
// and 5xx are tried again, and any other 4xx makes it a dead letter at once. Of the application 23 it takes 409 for a refusal.
type outbox struct {
	testenv.Postgres
	t      *testing.T
	secret []byte
	hooks  map[string]string // by application
}

func (o *outbox) query(statements string, args ...any) string {
	out, err := o.Query(o.t, fmt.Sprintf(statements, args...))
	if err != nil {
		o.t.Errorf("psql: %v\n%s", err, out)
	}
	return strings.TrimSpace(out)
}

// ServeHTTP has an event delivered, and lists the dead letters of an application.
func (o *outbox) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	app, err := strconv.Atoi(r.FormValue("app"))
	switch {
	case err != nil:
		rw.WriteHeader(http.StatusBadRequest)
	case r.Method == http.MethodPost:
		fmt.Fprintf(rw, `{"event_id": %q}`, o.query("INSERT INTO webhook_outbox_entries (oauth_application_id) VALUES (%d) RETURNING event_id", app))
	default:
		fmt.Fprintf(rw, `{"items": %s}`, o.query(`SELECT coalesce(json_agg(json_build_object('event_id', event_id)), '[]') FROM webhook_outbox_entries
			WHERE oauth_application_id = %d AND dlq_at IS NOT NULL AND delivered_at IS NULL`, app))
	}
}

// dispatch delivers what is due until ctx ends.
func (o *outbox) dispatch(ctx context.Context) {
	for ctx.Err() == nil {
		due := o.query(`SELECT event_id, oauth_application_id FROM webhook_outbox_entries
			WHERE dlq_at IS NULL AND delivered_at IS NULL AND next_at <= clock_timestamp() ORDER BY next_at`)
		var all sync.WaitGroup
		for line := range strings.Lines(due) {
			id, app, _ := strings.Cut(strings.TrimSpace(line), "|")
			all.Go(func() {
				o.query("UPDATE webhook_outbox_entries SET attempts = attempts + 1, %s WHERE event_id = '%s'", o.attempt(ctx, id, app), id)
			})
		}
		all.Wait()
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// attempt delivers an event, and returns what becomes of its row.
func (o *outbox) attempt(ctx context.Context, id, app string) string {
	const delivered, dead, again = "delivered_at = clock_timestamp()", "dlq_at = clock_timestamp()", "next_at = clock_timestamp() + interval '%d ms'"
	body, stamp := fmt.Sprintf(`{"event_id": %q}`, id), strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, o.secret)
	mac.Write([]byte(id + "." + stamp + "." + body))
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, o.hooks[app], strings.NewReader(body))
	req.Header = http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))}}
	resp, err := http.DefaultTransport.RoundTrip(req) // follows no redirect
	if err != nil {
		return fmt.Sprintf(again, 1000)
	}
	resp.Body.Close()
	switch status := resp.StatusCode; {
	case status/100 == 2, status == http.StatusConflict && app != "23":
		return delivered
	case status == http.StatusTooManyRequests:
		wait, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return fmt.Sprintf(again, wait*1000+50)
	case status == http.StatusRequestTimeout, status/100 == 5:
		return fmt.Sprintf(again, 1000) // another second, so that the retry is signed for another time
	}
	return dead
}

// TestOutbox has a real outbox in PostgreSQL, whose dispatcher delivers to the listener of a prober. The kind webhook says which events
// died and which must not have, and the kind sql counts them by application: both agree, for a sound sender and for one that takes the
// 409 on a retry for a refusal.
func TestOutbox(t *testing.T) {
	testenv.Slow(t, "it starts PostgreSQL and a prober")
	testenv.WithoutRace(t)
	t.Parallel()
	server := testenv.StartPostgres(t)
	server.Authenticate(t, "host all all all scram-sha-256")
	server.SQL(t, `
		CREATE ROLE prober_ro LOGIN PASSWORD 'correct-horse-battery';
		CREATE TABLE webhook_outbox_entries (event_id text PRIMARY KEY DEFAULT 'evt_' || replace(gen_random_uuid()::text, '-', ''), oauth_application_id int,
			attempts int DEFAULT 0, next_at timestamptz DEFAULT clock_timestamp(), delivered_at timestamptz, dlq_at timestamptz);
		INSERT INTO webhook_outbox_entries (oauth_application_id, delivered_at) VALUES (17, clock_timestamp());
		GRANT SELECT ON webhook_outbox_entries TO prober_ro`)
	o := &outbox{Postgres: server, t: t, secret: []byte("0123456789abcdef0123456789abcdef")}
	provider := httptest.NewServer(o)
	defer provider.Close()
	dir, port := t.TempDir(), testenv.FreePort(t)
	tokens := map[string]string{"17": backupToken, "23": queueToken}
	o.hooks = map[string]string{}
	config := "system: logi\nprobes:\n"
	for app, token := range tokens {
		public := fmt.Sprintf("http://127.0.0.1:%d/", port)
		o.hooks[app] = public + token
		config += fmt.Sprintf(`
  - name: webhooks-%[1]s
    type: webhook
    interval: 1d
    timeout: 1m
    public: %[2]s{token}
    token: {file: %[3]s}
    trigger: {url: "%[4]s/events?app=%[1]s", id: {json: $.event_id}}
    signature: {scheme: standard, secrets: [{file: %[5]s}]}
    id: {json: $.event_id}
    within: 10s
    schedule: 1500ms
    cases:
      delivered: {answers: [200]}
      retried: {answers: [503, 200]}
      limited: {answers: [{status: 429, retry_after: 1s}, 200]}
      refused: {answers: [400], dead: true}
      settled: {answers: [500, 409], dead: false}
    dead: {url: "%[4]s/dead?app=%[1]s", has: "$.items[?@.event_id == '{id}']"}
`, app, public, writeFile(t, dir, "token-"+app, token), provider.URL, writeFile(t, dir, "secret", "whsec_"+base64.StdEncoding.EncodeToString(o.secret)))
	}
	config += fmt.Sprintf(`
  - name: dead-webhooks
    type: sql
    interval: 1d
    address: %s
    database: postgres
    user: prober_ro
    password: {file: %s}
    query: |
      SELECT oauth_application_id, count(*) AS dead FROM webhook_outbox_entries WHERE dlq_at IS NOT NULL AND delivered_at IS NULL GROUP BY 1
    control: SELECT count(*) FROM webhook_outbox_entries
    by: {column: oauth_application_id, names: {"17": sound, "23": conflict-is-failure}}
    values: {dead: {column: dead, max: 1}}
    empty: pass
`, server.Address(), writeFile(t, dir, "password", "correct-horse-battery"))
	ctx, end := context.WithCancel(t.Context())
	var dispatching sync.WaitGroup
	dispatching.Go(func() { o.dispatch(ctx) })
	defer dispatching.Wait()
	defer end()
	p := start(t, nil, "--config.file="+writeFile(t, dir, "prober.yaml", config), "--inbound.listen-address=127.0.0.1:"+strconv.Itoa(port))

	var runs sync.WaitGroup
	ask := func(name string) {
		if status, body := p.post(t, "/probes/logi/"+name+"/run"); status != 200 {
			t.Errorf("%s: got %d %s", name, status, body)
		}
	}
	for app := range tokens {
		runs.Go(func() { ask("webhooks-" + app) })
	}
	runs.Wait()
	ask("dead-webhooks")
	_, status, err := p.get("/api/v1/status?recent=0")
	for _, want := range []string{
		`"name":"webhooks-17","type":"webhook","verdict":"pass"`,
		`"name":"webhooks-23","type":"webhook","verdict":"fail","reason":"not_settled","check":"dead"`,
		`"name":"dead-webhooks","type":"sql","verdict":"fail"`, "dead of conflict-is-failure is ",
	} {
		if err != nil || !strings.Contains(status, want) {
			t.Errorf("expected %s, got %s, %v", want, status, err)
		}
	}
	// The run left a dead letter of the sound one, and two of the other.
	_, metrics, err := p.get("/metrics")
	for by, n := range map[string]int{"sound": 1, "conflict-is-failure": 2} {
		if line := fmt.Sprintf("\nprobe_sql_value{probe=\"dead-webhooks\",system=\"logi\",type=\"sql\",name=\"dead\",by=%q} %d\n", by, n); err != nil || !strings.Contains(metrics, line) {
			t.Errorf("expected %s, %v", line, err)
		}
	}
	if n := strings.Count(status, `"verdict":"fail","reason"`); n != 4 { // of two probes, and of one check of each
		t.Errorf("%d failures, expected one check of two probes: %s", n, status)
	}
}
