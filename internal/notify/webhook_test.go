package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/testenv"
)

// begun is an alert that does not wait.
func begun(name string) probe.Alert {
	return probe.Alert{
		Labels:      map[string]string{"alertname": name, "severity": "critical", "system": "shop", "probe": "up"},
		Annotations: map[string]string{"summary": name + " of up", "description": "got \"503\"", "runbook_url": "https://docs.example/up", "impact": "nobody can pay", "deploys": "Deploy dep-2 of version 91bc started 2m 0s before the first failure. "},
		Probe:       key, Reason: "status",
	}
}

// hooked runs a Notifier with a webhook, in a bubble.
func hooked(t *testing.T, answer func(http.ResponseWriter), body string, run func(w *world, hook *fakeReceiver, start func() (stop func()))) {
	hook := &fakeReceiver{answer: answer}
	at := testenv.ServeInMemory(t, hook) + "/services/T0/s3cr3t-token"
	testenv.Bubble(t, func(ctx context.Context, open testenv.Open) {
		w := &world{}
		w.set(true)
		run(w, hook, func() (stop func()) {
			return w.start(t, dial.WithOpen(ctx, open), func(o *Options) {
				o.Webhook, o.WebhookBody = PrivateURL{Text: at}, Body{body}
			})
		})
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, text := range append(w.outcomes, string(w.state)) {
			if strings.Contains(text, "s3cr3t") {
				t.Errorf("the URL is shown: %s", text)
			}
		}
	})
}

// slack is the text of a message in the shape that Slack reads.
func slack(t *testing.T, body string) string {
	t.Helper()
	var message map[string]string
	if err := json.Unmarshal([]byte(body), &message); err != nil || len(message) != 1 {
		t.Fatalf("expected {\"text\": \"...\"}, got %s; %v", body, err)
	}
	return message["text"]
}

// TestWebhook: alerts that begin together are one message, and so are those that end together. A restart repeats none.
func TestWebhook(t *testing.T) {
	hooked(t, nil, "", func(w *world, hook *fakeReceiver, start func() func()) {
		stop := start()
		pass(10 * time.Minute)
		if got := hook.posts(); got != nil {
			t.Errorf("sent though there is no alert: %q", got)
		}
		w.set(true, begun("ProbeFailing"))
		pass(6 * time.Second)
		w.set(true, begun("ProbeFailing"), begun("ProbeSlow"))
		pass(10 * time.Minute)
		got := hook.posts()
		if len(got) != 1 {
			t.Fatalf("%d messages of two alerts that began together, expected 1: %q", len(got), got)
		}
		want := `firing: 2 alerts: ProbeFailing, ProbeSlow
- ProbeFailing (critical): ProbeFailing of up
Impact: nobody can pay
got "503"
Deploy dep-2 of version 91bc started 2m 0s before the first failure.
https://docs.example/up
https://prober.example/probes/shop/up
- ProbeSlow (critical): ProbeSlow of up
Impact: nobody can pay
got "503"
Deploy dep-2 of version 91bc started 2m 0s before the first failure.
https://docs.example/up
https://prober.example/probes/shop/up`
		if text := slack(t, got[0]); text != want {
			t.Errorf("got\n%s\nexpected\n%s", text, want)
		}
		stop()

		w.set(false)
		stop = start()
		pass(5 * time.Minute)
		if got := hook.posts(); got != nil {
			t.Errorf("after a restart it is sent again, or as resolved before the probe ran: %q", got)
		}
		w.set(true, begun("ProbeFailing"))
		pass(20 * time.Minute)
		got = hook.posts()
		if len(got) != 1 || !strings.HasPrefix(slack(t, got[0]), "resolved: ProbeSlow (critical): ProbeSlow of up\n") {
			t.Errorf("when one ended it got %q", got)
		}
		w.set(true)
		pass(20 * time.Minute)
		w.set(true, begun("ProbeFailing"))
		pass(20 * time.Minute)
		got = hook.posts()
		if len(got) != 2 || !strings.HasPrefix(slack(t, got[0]), "resolved: ProbeF") || !strings.HasPrefix(slack(t, got[1]), "firing: ProbeF") {
			t.Errorf("when it ended and began again it got %q", got)
		}
		stop()
	})
}

// TestWebhook_sick: what fails is sent again soon and then less often, what is refused once a minute, and each once when it is taken.
func TestWebhook_sick(t *testing.T) {
	for name, x := range map[string]struct {
		answer   func(http.ResponseWriter)
		attempts [2]int // within five minutes
	}{
		"500":     {func(w http.ResponseWriter) { w.WriteHeader(500) }, [2]int{7, 11}},
		"400":     {func(w http.ResponseWriter) { w.WriteHeader(400); fmt.Fprint(w, "no_such_hook") }, [2]int{4, 6}},
		"302":     {func(w http.ResponseWriter) { w.Header().Set("Location", "/x"); w.WriteHeader(302) }, [2]int{7, 11}},
		"slow":    {slow, [2]int{5, 9}},
		"endless": {endless, [2]int{5, 11}},
	} {
		t.Run(name, func(t *testing.T) {
			hooked(t, x.answer, "", func(w *world, hook *fakeReceiver, start func() func()) {
				w.set(true, begun("ProbeFailing"))
				stop := start()
				pass(5 * time.Minute)
				if n := len(hook.posts()); n < x.attempts[0] || n > x.attempts[1] {
					t.Errorf("%d attempts in five minutes, expected %d to %d", n, x.attempts[0], x.attempts[1])
				}
				w.mu.Lock()
				if len(w.outcomes) == 0 || slices.ContainsFunc(w.outcomes, func(s string) bool { return s == "<nil>" || strings.Contains(s, "no_such") }) {
					t.Errorf("reported %q", w.outcomes)
				}
				w.mu.Unlock()
				hook.set(nil)
				pass(2 * time.Minute)
				if got := hook.posts(); len(got) != 1 || !strings.HasPrefix(slack(t, got[0]), "firing") {
					t.Errorf("when it was well again it got %q", got)
				}
				stop()
			})
		})
	}
}

// TestWebhook_away: people learn the end of what they know, however long the webhook was away, and of what came and went meanwhile.
func TestWebhook_away(t *testing.T) {
	hooked(t, nil, `{"is": "${status}", "of": "${alertname}"}`, func(w *world, hook *fakeReceiver, start func() func()) {
		w.set(true, begun("Known"))
		stop := start()
		pass(time.Minute)
		hook.set(func(w http.ResponseWriter) { w.WriteHeader(503) })
		w.set(true)
		pass(3 * time.Hour)
		w.set(true, begun("Short"))
		pass(time.Minute)
		w.set(true)
		pass(time.Minute)
		hook.posts()
		hook.set(nil)
		pass(2 * time.Minute)
		if got := strings.Join(hook.posts(), ""); got != `{"is": "resolved", "of": "Short, Known"}` {
			t.Errorf("when it was back it got %s", got)
		}
		pass(time.Hour)
		if got := hook.posts(); got != nil {
			t.Errorf("and then %q", got)
		}
		stop()
	})
}

// TestWebhook_many: many alerts are few bounded messages, whose text is bounded.
func TestWebhook_many(t *testing.T) {
	hooked(t, nil, "", func(w *world, hook *fakeReceiver, start func() func()) {
		var all []probe.Alert
		for i := range 2*maxBatch + 1 {
			all = append(all, begun(fmt.Sprintf("A%03d", i)))
			all[i].Annotations["description"] = strings.Repeat("é", 2000)
		}
		w.set(true, all...)
		stop := start()
		pass(time.Minute)
		got := hook.posts()
		if len(got) != 3 {
			t.Fatalf("%d messages, expected 3", len(got))
		}
		if text := slack(t, got[0]); len(text) > 2*maxText || !strings.Contains(text, "\nand 9") {
			t.Errorf("%d bytes: %s", len(text), text)
		}
		stop()
	})
}

// TestWebhook_secret: the URL is a secret, so it is sent over http to this machine only, and no error has it.
func TestWebhook_secret(t *testing.T) {
	for _, p := range []PrivateURL{{Text: "http://hooks.example/s3cr3t-path"}, {Text: "ftp://hooks.example/s3cr3t-path"}, {File: "/nonexistent"}} {
		if _, err := New(Options{Webhook: p}); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%v", err)
		}
	}
}

// TestBody: what is filled in stays inside its quotes, is not filled in again, and calls nobody.
func TestBody(t *testing.T) {
	hostile := begun("A")
	hostile.Annotations["summary"] = "\"}],\n\\u0041 ${severity} \x00 <!channel> <@U1> @everyone <https://bad.example|good> @Channel <MAILTO:x|y> [good](https://bad.example) \u2028"
	body, err := ParseBody("body.json", `{"a": ["${summary}", "$${status}$ {x} $severity \\${title}"], "t": "${starts_at} ${ends_at}", "n": 1}`)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	filled := body.fill(message{alerts: []Alert{{Labels: hostile.Labels, Annotations: hostile.Annotations, Started: at}}})
	var got struct {
		A []string
		T string
	}
	if err := json.Unmarshal(filled, &got); err != nil {
		t.Fatalf("%s: %v", filled, err)
	}
	if want := "\"}],\n\\u0041 ${severity} \x00 <\u200b!channel> <\u200b@U1> @\u200beveryone <\u200bhttps://bad.example|good> @\u200bChannel <\u200bMAILTO:x|y> [good]\u200b(https://bad.example) \u2028"; got.A[0] != want {
		t.Errorf("got %q, expected %q", got.A[0], want)
	}
	if !strings.HasPrefix(got.A[1], "$firing$ {x} $severity \\firing: A (critical): ") || got.T != "2026-01-02T03:04:05Z " {
		t.Errorf("got %q", got)
	}
}

// TestBody_refused: a template that could make no valid JSON is refused, with its line.
func TestBody_refused(t *testing.T) {
	for text, want := range map[string]string{
		"{\n\"text\": \"${titel}\"}":        "body.json:2: unknown name ${titel}",
		"{\"text\": \"${title\"}":           "body.json:1: unknown name ${title",
		"{\"text\": \"${}\"}":               "body.json:1: unknown name ${}",
		"{\n\n\"text\": ${title}}":          "body.json:3: expected JSON with ${NAME} inside quotes only",
		"{\"text\": 1${status}}":            "body.json:1: expected JSON",
		"{\"text\": \"\\u00${status}\"}":    "body.json:1: expected JSON",
		"{\"text\": \"\\${status}\"}":       "body.json:1: expected JSON",
		"{\"text\":\n \"${title}\",\n}":     "body.json:3: expected JSON",
		"":                                  "body.json:1: expected JSON",
		"{} {}":                             "body.json:1: expected JSON",
		"\"" + strings.Repeat("x", MaxBody): "body.json: expected at most 65536 bytes",
	} {
		if _, err := ParseBody("body.json", text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q: %v, expected %s", text, err, want)
		}
	}
	for name := range (message{}).values() {
		if _, err := ParseBody("body.json", `{"x": "${`+name+`}"}`); err != nil {
			t.Error(err)
		}
	}
}
