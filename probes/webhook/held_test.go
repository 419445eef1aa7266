package webhook

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/signature"
	"prober/probes/internal/probetest"
)

// TestAsk_disabled: a sender that delivers nothing any more after failing answers is told: all events that are asked for later are
// lost.
func TestAsk_disabled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, strings.Replace(twoCases, "within: 10s", "within: 2s", 1))
	var asked atomic.Int32
	answer := w.answer
	w.answer = func(rw http.ResponseWriter, id string) {
		w.silent.Store(asked.Add(1) > 2) // the third is the last event
		answer(rw, id)
	}
	const want = "enabled fail(disabled): expected an event within 2s after 3 failing answers, got none"
	if got := w.run(); lines(got, checkEnabled) != want || !strings.HasPrefix(got, "fail\n") {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
}

// TestAsk_notSettled: an event that was settled and lies among the dead letters is told.
func TestAsk_notSettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, twoCases)
	for i := range 9 {
		w.dead.Store(fmt.Sprintf("evt-%d", i), true)
	}
	const want = "dead fail(not_settled): expected settled to be settled after it was "
	if got := lines(w.run(), checkDead); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, ", got it among the dead letters") {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
}

// TestOffset: the time of an attempt, in whole seconds or by RFC 3339, in the content that was signed.
func TestOffset(t *testing.T) {
	stamp, err := jsonpath.Parse("$.at")
	if err != nil {
		t.Fatal(err)
	}
	p := &Probe{stamp: stamp}
	at := time.Now().Truncate(time.Second)
	for body, want := range map[string]string{
		fmt.Sprintf(`{"at": %d}`, at.Unix()): "0s", fmt.Sprintf(`{"at": "%d"}`, at.Unix()-10): "-10s",
		`{"at": "` + at.Add(10*time.Second).UTC().Format(time.RFC3339) + `"}`:       "10s",
		`{"at": "` + at.Add(10500*time.Millisecond).Format(time.RFC3339Nano) + `"}`: "10s",
		`{"at": "soon"}`: "none", `{"at": 1.5}`: "none", `{"at": true}`: "none", `{}`: "none", `no`: "none",
	} {
		got := "none"
		if offset, read, ok := p.offset(probe.Delivery{At: at}, signature.Signed{Payload: []byte(body)}); ok {
			got = read.Sub(at).Truncate(time.Second).String()
			if !offset.Within(read.Sub(at).Abs() + time.Minute) {
				t.Errorf("%s: the offset is %v", body, offset)
			}
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
}

// TestTrigger_request: the request that asks for an event says for which case, and has a text that no other has.
func TestTrigger_request(t *testing.T) {
	for body, want := range map[string]string{
		`{"for": "{case}", "once": "{nonce}"}`: `^POST /events/refused application/json \{"for": "refused", "once": "[A-Z0-9]{26}"\}$`,
		`[{"for": "{case}"}]`:                  `^POST /events/refused application/json \[\{"for": "refused"\}\]$`,
		`for={case}`:                           `^POST /events/refused  for=refused$`,
	} {
		got, seen := "", map[string]bool{}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			got = fmt.Sprintf("%s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"), text)
			fmt.Fprint(w, `{"event_id": "evt-1"}`)
		}))
		x := begin(t, "    within: 1s\n    schedule: 1h\n    cases:\n      refused: {answers: [400]}\n    trigger: {url: \""+server.URL+"/events/{case}\", body: '"+body+"', id: {json: $.event_id}}\n")
		for range 2 {
			if ok := x.trigger(t.Context(), x.cases[0], checkTriggered); !ok || !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("%s: %t, got %s\n%s", body, ok, got, probetest.Lines(*x.result))
			}
			if strings.Contains(body, "nonce") && seen[got] {
				t.Errorf("%s: twice the same", got)
			}
			seen[got] = true
		}
		if e := x.events[len(x.events)-1]; e.id != "evt-1" {
			t.Errorf("the id of the event is %q", e.id)
		}
		x.Close()
		server.Close()
	}
}

// TestRedirect_isNoDelivery: what a sender asks for when it follows a redirect is no delivery without a signature.
func TestRedirect_isNoDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := begin(t, "    schedule: 1h\n    cases:\n      it: {answers: [302]}\n")
		x.wait.Go(func() {
			answer := x.sender.deliver("it", "1")
			x.Receive(x.in, probe.Delivery{At: time.Now(), Method: http.MethodGet, Path: answer.Location[strings.LastIndex(answer.Location, "/"):]})
		})
		if got := lines(x.judged(t), checkSignature); !strings.HasPrefix(got, "signature pass(ok): 1 delivery verifies by ") {
			t.Errorf("got %s", got)
		}
	})
}

// TestJudgeEnabled_cutShort: a run that is over before the last event is due does not know whether it comes.
func TestJudgeEnabled_cutShort(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"event_id": "last"}`) }))
	defer server.Close()
	x := begin(t, "    within: 1h\n    schedule: 1h\n    cases:\n      it: {answers: [503, 503, 503]}\n    trigger: {url: \""+server.URL+"\", id: {json: $.event_id}}\n")
	defer x.Close()
	x.sender.deliver("it", "key")
	x.rules = []ruling{{}}
	ctx, end := context.WithTimeout(t.Context(), 3*time.Second)
	defer end()
	x.judgeEnabled(ctx)
	const want = "enabled inconclusive(window_too_short): the run was over before the last event was due"
	if got := lines(probetest.Lines(*x.result), checkEnabled); got != want {
		t.Errorf("got %s, expected %s", got, want)
	}
}

// TestTrigger_header: the id of the event may be in a header of the response.
func TestTrigger_header(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Event", "evt-7") }))
	defer server.Close()
	x := begin(t, "    within: 1s\n    schedule: 1h\n    cases:\n      it: {answers: [400]}\n    trigger: {url: \""+server.URL+"\", id: {header: X-Event}}\n")
	defer x.Close()
	if !x.trigger(t.Context(), x.cases[0], checkTriggered) || x.events[len(x.events)-1].id != "evt-7" {
		t.Errorf("the id of the event is %q: %s", x.events[len(x.events)-1].id, probetest.Lines(*x.result))
	}
}

// TestJudgeCases_inVain: deliveries that may have come in vain take nothing from an event that came, and all from one that must not come.
func TestJudgeCases_inVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := begin(t, "    within: 1s\n    schedule: 1h\n    cases:\n      came: {answers: [200]}\n      over: {answers: [400]}\n")
		x.sender.deliver("came", "1")
		x.sender.deliver("over", "2")
		time.Sleep(2 * time.Hour)
		x.runState.gap = "the prober was restarted"
		x.judgeCases(x.events, time.Now())
		const want = `case@came pass(ok): 1 attempt, as expected; the last was answered 200
case@over inconclusive(control_failed): not known, since deliveries may have come in vain: the prober was restarted`
		if got := lines(probetest.Lines(*x.result), checkCase); got != want {
			t.Errorf("got\n%s\nexpected\n%s", got, want)
		}
	})
}

// A lossy inbox has refused requests for want of the listener's password.
type lossy struct{ probe.Inbox }

func (lossy) Unauthorized(time.Time) int { return 2 }

// TestJudgeDelivered_refused: whose event does not come is told of requests that were refused before anybody looked at them.
func TestJudgeDelivered_refused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := begin(t, "    within: 1s\n    schedule: 1h\n    cases:\n      it: {answers: [200]}\n")
		x.in = lossy{x.in}
		const want = "delivered fail(lost): expected the event of it within 1s, got nothing; 2 requests to this path did not have the password of --inbound.config.file"
		if got := lines(x.judged(t), checkDelivered); got != want {
			t.Errorf("got %s", got)
		}
	})
}

// TestJudgeLead: a key must have been published for as long as receivers keep the key set, and no less.
func TestJudgeLead(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		since, lacked time.Duration // before it signed; 0 is never
		want          string
	}{
		"for long enough":    {time.Hour, 2 * time.Hour, "pass"},
		"since it was known": {time.Hour, 0, "pass"},
		"too late":           {30 * time.Minute, time.Hour - 1, "fail"},
		"perhaps too late":   {30 * time.Minute, time.Hour, "nothing"},
		"nobody knows":       {time.Hour - 1, 0, "nothing"},
	} {
		r := probe.NewResult(probe.ID{})
		run := &runState{Probe: &Probe{}, r: r}
		run.Signature.Cache = probe.Duration(time.Hour)
		key := keyRecord{Key: "k", Since: now.Add(-c.since)}
		if c.lacked > 0 {
			key.Lacked = now.Add(-c.lacked)
		}
		run.judgeLead(&document{Keys: []keyRecord{key}}, []attempt{{at: now, signer: "k"}})
		got := "nothing"
		for _, check := range r.Checks {
			got = check.Verdict.String()
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// TestSpent: whoever would be asked with next to no time left of the run is not asked, and not blamed.
func TestSpent(t *testing.T) {
	t.Parallel()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	x := begin(t, "    within: 1s\n    schedule: 1h\n    cases:\n      it: {answers: [503], dead: true}\n    trigger: {url: \""+server.URL+"\", id: {json: $.event_id}}\n"+
		"    dead: {url: \""+server.URL+"/{id}\", has: \"$['{id}']\"}\n")
	x.rules = []ruling{{Outcome: probe.Outcome{Reason: probe.OK}}}
	ctx, end := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer end()
	x.trigger(ctx, x.cases[0], checkTriggered)
	x.judgeDead(ctx, x.events[:1])
	x.judgeEnabled(ctx)
	x.Probe.Close()
	server.Close()
	const want = `triggered inconclusive(window_too_short): the run was over before the event of it could be asked for
dead inconclusive(control_failed): the run was over before all dead letters could be asked for
enabled inconclusive(window_too_short): the run was over before the last event could be asked for, after 0 failing answers`
	if got := strings.TrimPrefix(probetest.Lines(*x.result), "inconclusive\n"); strings.TrimSpace(got) != want || asked > 0 {
		t.Errorf("%d requests, got\n%s\nexpected\n%s", asked, got, want)
	}
}

// TestTimestamp: an attempt that was signed long before it came, or later, has the time of something else; a receiver refuses it.
func TestTimestamp(t *testing.T) {
	for name, c := range map[string]struct {
		at   time.Duration // from now
		want string
	}{
		"now":              {0, "timestamp pass(ok): within 1s of the arrival"},
		"a moment ago":     {-4 * time.Minute, "timestamp pass(ok): within 4m0s of the arrival"},
		"long ago":         {-10 * time.Minute, "timestamp fail(old_timestamp): expected a timestamp within 5m of the arrival, got one that is 10m0s behind"},
		"not yet":          {10 * time.Minute, "timestamp fail(old_timestamp): expected a timestamp within 5m of the arrival, got one that is 10m1s ahead"},
		"nothing verified": {-1, "timestamp inconclusive(nothing_checked): nothing was delivered that verifies"},
	} {
		synctest.Test(t, func(t *testing.T) {
			x := begin(t, "    within: 1s\n    schedule: 1h\n    cases:\n      it: {answers: [400]}\n")
			d := x.sender.signed("it", "1", time.Now().Add(c.at))
			if c.at == -1 {
				d.Body = append(d.Body, ' ')
			}
			x.wait.Go(func() { x.Receive(x.in, d) })
			got := lines(x.judged(t), checkTimestamp)
			if got != c.want || (x.result.Verdict() == probe.Pass) != strings.Contains(c.want, "pass") {
				t.Errorf("%s: got %s, expected %s\n%s", name, got, c.want, probetest.Lines(*x.result))
			}
		})
	}
}

// TestCollect_restarted: a prober that knows of a recent delivery from before it was started passes, though none has come since.
func TestCollect_restarted(t *testing.T) {
	w := newWorld(t, nil, "    trigger: none\n    within: 1h\n")
	w.state(func(st *state, _ *probe.InboxState) { st.document.Last = time.Now().Add(-10 * time.Minute) })
	if got := w.run(); !strings.HasPrefix(got, "pass\n") || !strings.Contains(got, "delivered pass(ok): the last delivery came 10m0s ago") {
		t.Errorf("got %s", got)
	}
}
