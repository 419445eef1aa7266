package webhook

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// A try is what a sender does with an event: it waits, and delivers.
type try struct {
	after time.Duration
	key   string // of the event, unless given
}

func tries(after ...time.Duration) (all []try) {
	for _, d := range after {
		all = append(all, try{after: d})
	}
	return all
}

// TestJudge: what a sender does with the answers of a case, and what becomes of it. Time passes at once.
func TestJudge(t *testing.T) {
	const s, m = time.Second, time.Minute
	for _, c := range []struct {
		name  string
		case_ string
		tries []try
		want  string // of the checks delivered, case and same_key
	}{
		{"delivered at once", `{answers: [200]}`, tries(2 * s), `
delivered pass(ok): 1 event, within 2s
case@it pass(ok): 1 attempt, as expected; the last was answered 200`},
		{"never delivered", `{answers: [200]}`, nil, `
delivered fail(lost): expected the event of it within 1m, got nothing
case@it inconclusive(control_failed): no attempt came that could be answered; see delivered`},
		{"503 is tried again", `{answers: [503, 200], within: 10m}`, tries(s, 5*m), `
delivered pass(ok): 1 event, within 1s
same_key pass(ok): the same in 1 retry
case@it pass(ok): 2 attempts, as expected; the last was answered 200`},
		{"503 is dropped", `{answers: [503, 200], within: 10m}`, tries(s), `
delivered pass(ok): 1 event, within 1s
same_key inconclusive(nothing_checked): no event was tried twice
case@it fail(dropped_unexpectedly): expected another attempt within 10m after one that was answered 503, got none`},
		{"503 is tried again too late", `{answers: [503, 503, 200], within: 10m}`, tries(s, 10*m+2*s, s), `
delivered pass(ok): 1 event, within 1s
same_key inconclusive(nothing_checked): no event was tried twice
case@it fail(dropped_unexpectedly): expected another attempt within 10m after one that was answered 503, got none`},
		{"429 is tried again when it may be", `{answers: [{status: 429, retry_after: 30s}, 200], within: 10m}`, tries(s, 30*s), `
delivered pass(ok): 1 event, within 1s
same_key pass(ok): the same in 1 retry
case@it pass(ok): 2 attempts, as expected; the last was answered 200`},
		{"429 is tried again too early", `{answers: [{status: 429, retry_after: 30s}, 200], within: 10m}`, tries(s, 20*s), `
delivered pass(ok): 1 event, within 1s
same_key pass(ok): the same in 1 retry
case@it fail(retry_after_ignored): expected attempt 2 no sooner than 30s after one that was answered 429, got it after 20s`},
		{"another pause is asked for", `{answers: [{status: 429, retry_after: 30s}, 200], within: 10m, not_before: 10s}`, tries(s, 20*s), `
delivered pass(ok): 1 event, within 1s
same_key pass(ok): the same in 1 retry
case@it pass(ok): 2 attempts, as expected; the last was answered 200`},
		{"each pause is longer", `{answers: [503, 503, 503, 200], within: 10m, backoff: 2}`, tries(s, 10*s, 20*s, 39*s), `
delivered pass(ok): 1 event, within 1s
same_key pass(ok): the same in 3 retries
case@it pass(ok): 4 attempts, as expected; the last was answered 200`},
		{"a pause is as long as the one before", `{answers: [503, 503, 503, 200], within: 10m, backoff: 2}`, tries(s, 10*s, 20*s, 20*s), `
delivered pass(ok): 1 event, within 1s
same_key pass(ok): the same in 3 retries
case@it fail(no_backoff): expected a pause before attempt 4 of at least 2 times the one before, which was 20s, got 20s`},
		{"pauses may be as long, but not shorter", `{answers: [503, 503, 200], within: 10m, backoff: 1}`, tries(s, 30*s, 28*s), `
delivered pass(ok): 1 event, within 1s
same_key pass(ok): the same in 2 retries
case@it fail(no_backoff): expected a pause before attempt 3 of at least 1 times the one before, which was 30s, got 28s`},
		{"400 is final", `{answers: [400]}`, tries(s), `
delivered pass(ok): 1 event, within 1s
case@it pass(ok): 1 attempt, as expected; the last was answered 400, and none came within 1h`},
		{"400 is tried again", `{answers: [400]}`, tries(s, 50*m), `
delivered pass(ok): 1 event, within 1s
case@it fail(retried_unexpectedly): expected no attempt after one that was answered 400, got attempt 2 50m0s after the one before`},
		{"410 is final", `{answers: [410]}`, tries(s), `
delivered pass(ok): 1 event, within 1s
case@it pass(ok): 1 attempt, as expected; the last was answered 410, and none came within 1h`},
		{"410 is tried again", `{answers: [410]}`, tries(s, 50*m), `
delivered pass(ok): 1 event, within 1s
case@it fail(retried_unexpectedly): expected no attempt after one that was answered 410, got attempt 2 50m0s after the one before`},
		{"400 is watched for less than the schedule", `{answers: [400], quiet: 10m}`, tries(s, 50*m), `
delivered pass(ok): 1 event, within 1s
case@it inconclusive(window_too_short): no attempt came within 10m after one that was answered 400, but the sender may try again after 1h (schedule)`},
		{"400 is to be tried again", `{answers: [400], attempts: 2}`, tries(s, 30*s), `
delivered pass(ok): 1 event, within 1s
same_key pass(ok): the same in 1 retry
case@it pass(ok): 2 attempts, as expected; the last was answered 200`},
		{"409 on a retry settles", `{answers: [500, 409]}`, tries(s, 30*s), `
delivered pass(ok): 1 event, within 1s
same_key pass(ok): the same in 1 retry
case@it pass(ok): 2 attempts, as expected; the last was answered 409, and none came within 1h`},
		{"409 on a retry is tried again", `{answers: [500, 409]}`, tries(s, 30*s, 30*s), `
delivered pass(ok): 1 event, within 1s
same_key pass(ok): the same in 2 retries
case@it fail(retried_unexpectedly): expected no attempt after one that was answered 409, got attempt 3 30s after the one before`},
		{"a key for each attempt", `{answers: [500, 200]}`, []try{{after: s}, {after: 30 * s, key: "other"}}, `
delivered pass(ok): 1 event, within 1s
same_key fail(key_changed): expected the idempotency key of attempt 1 of it in attempt 2, got another
case@it pass(ok): 2 attempts, as expected; the last was answered 200`},
		{"a slow answer is waited for", `{answers: [{status: 200, after: 20s}]}`, tries(s), `
delivered pass(ok): 1 event, within 1s
case@it pass(ok): 1 attempt, as expected; the last was answered 200 after 20s, and none came within 1h`},
		{"a slow answer is not waited for", `{answers: [{status: 200, after: 20s}]}`, tries(s, 10*s), `
delivered pass(ok): 1 event, within 1s
case@it fail(retried_unexpectedly): expected no attempt after one that was answered 200 after 20s, got attempt 2 10s after the one before`},
		{"a slow answer is not waited for, and the retry takes a while", `{answers: [{status: 200, after: 20s}]}`, tries(s, 40*s), `
delivered pass(ok): 1 event, within 1s
case@it fail(retried_unexpectedly): expected no attempt after one that was answered 200 after 20s, got attempt 2 40s after the one before`},
		{"a slow answer is not waited for, as it may be", `{answers: [{status: 200, after: 20s}, 200]}`, tries(s, 10*s), `
delivered pass(ok): 1 event, within 1s
same_key pass(ok): the same in 1 retry
case@it pass(ok): 2 attempts, as expected; the last was answered 200`},
		{"a slow answer is waited for, and its Retry-After is not", `{answers: [{status: 429, after: 20s, retry_after: 30s}, 200]}`, tries(s, 45*s), `
delivered pass(ok): 1 event, within 1s
same_key pass(ok): the same in 1 retry
case@it fail(retry_after_ignored): expected attempt 2 no sooner than 30s after one that was answered 429 after 20s, got it after 25s`},
		{"a closed connection is tried again", `{answers: [{close: true}, 200]}`, tries(s, 10*s), `
delivered pass(ok): 1 event, within 1s
same_key pass(ok): the same in 1 retry
case@it pass(ok): 2 attempts, as expected; the last was answered 200`},
		{"a closed connection is not tried again", `{answers: [{close: true}, 200]}`, tries(s), `
delivered pass(ok): 1 event, within 1s
same_key inconclusive(nothing_checked): no event was tried twice
case@it fail(dropped_unexpectedly): expected another attempt within 1h after one that was closed without an answer, got none`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := begin(t, "    schedule: 1h\n    cases:\n      it: "+c.case_+"\n")
				x.wait.Go(func() {
					for _, next := range c.tries {
						time.Sleep(next.after)
						key := next.key
						if key == "" {
							key = "key"
						}
						x.sender.deliver("it", key)
					}
				})
				if got := lines(x.judged(t), checkDelivered, checkCase, checkKey); got != strings.TrimSpace(c.want) {
					t.Errorf("got\n%s\nexpected%s", got, c.want)
				}
			})
		})
	}
}

// An event that comes while others are still waited for is late, not lost.
func TestJudge_late(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := begin(t, "    schedule: 1h\n    cases:\n      early: {answers: [400]}\n      it: {answers: [200]}\n")
		x.wait.Go(func() {
			x.sender.deliver("early", "1")
			time.Sleep(2 * time.Minute)
			x.sender.deliver("it", "2")
		})
		if got, want := lines(x.judged(t), checkDelivered), "delivered fail(delivered_late): expected the event of it within 1m, got it after 2m0s"; got != want {
			t.Errorf("got %s, expected %s", got, want)
		}
	})
}

// A redirect that is followed is known by the path that it leads to, which nobody else knows.
func TestJudge_redirect(t *testing.T) {
	for _, c := range []struct {
		method, body, want string
	}{
		{"GET", "", "case@it fail(redirect_followed): expected no request to where the redirect leads, got a GET without a body"},
		{"POST", "{}", "case@it fail(redirect_followed): expected no request to where the redirect leads, got a POST with a body"},
		{"", "", "case@it pass(ok): 1 attempt, as expected; the last was answered 302, and none came within 1h"},
	} {
		synctest.Test(t, func(t *testing.T) {
			x := begin(t, "    schedule: 1h\n    cases:\n      it: {answers: [302]}\n")
			x.wait.Go(func() {
				answer := x.sender.deliver("it", "1")
				at := strings.LastIndex(answer.Location, "/")
				if c.method != "" {
					x.Receive(x.in, probe.Delivery{At: time.Now(), Method: c.method, Path: answer.Location[at:], Body: []byte(c.body)})
				} else {
					x.Receive(x.in, probe.Delivery{At: time.Now(), Method: "GET", Path: "/guessed"})
				}
			})
			if got := lines(x.judged(t), checkCase); got != c.want {
				t.Errorf("got %s, expected %s", got, c.want)
			}
		})
	}
}

// A run that is over too soon knows nothing of what might have followed.
func TestJudge_cutShort(t *testing.T) {
	x := begin(t, "    schedule: 1h\n    cases:\n      it: {answers: [400]}\n      retry: {answers: [503, 200]}\n")
	x.sender.deliver("it", "1")
	x.sender.deliver("retry", "2")
	for i, want := range []string{
		"the run was over 1s after an attempt that was answered 400; whether another attempt follows is known after 1h",
		"the run was over 1s after an attempt that was answered 503, before attempt 2 was due",
	} {
		if got := x.judge(x.events[i], x.events[i].attempts[0].at.Add(time.Second)); got.Reason != reasonWindow || got.Detail != want || got.settled {
			t.Errorf("got %s %q, expected %q", got.Reason, got.Detail, want)
		}
	}
}

// What may have come in vain is neither missing nor known not to have come.
func TestExcused(t *testing.T) {
	run := &runState{gap: "the listener was overloaded"}
	for _, c := range []struct {
		why      probe.Reason
		negative bool
		want     probe.Reason
	}{
		{reasonLost, false, probe.ControlFailed}, {reasonDropped, false, probe.ControlFailed}, {reasonLate, false, probe.ControlFailed},
		{probe.OK, true, probe.ControlFailed}, {probe.OK, false, probe.OK}, {reasonRetried, true, reasonRetried}, {reasonRedirect, false, reasonRedirect},
	} {
		if got := run.excused(probe.Outcome{Reason: c.why}, c.negative); got.Reason != c.want {
			t.Errorf("%s: got %s, expected %s", c.why, got.Reason, c.want)
		}
	}
	run.gap = ""
	if got := run.excused(probe.Outcome{Reason: reasonLost}, false); got.Reason != reasonLost {
		t.Errorf("without a gap: got %s", got.Reason)
	}
}

// TestJudgeDelivered: of several events the worst decides, wherever it stands: one that is not known is not delivered.
func TestJudgeDelivered(t *testing.T) {
	now := time.Now()
	at := func(ago time.Duration, after ...time.Duration) *event {
		e := &event{namedCase: namedCase{name: "it"}, triggered: now.Add(-ago)}
		for _, d := range after {
			e.attempts = append(e.attempts, attempt{at: e.triggered.Add(d)})
		}
		return e
	}
	good, slower, open, lost := at(time.Minute, time.Second), at(time.Minute, 2*time.Second, 9*time.Second), at(time.Second), at(time.Minute)
	late := at(time.Minute, 11*time.Second)
	const (
		isOpen = "delivered inconclusive(window_too_short): the run was over before the event of it was due"
		isLost = "delivered fail(lost): expected the event of it within 10s, got nothing"
		isLate = "delivered fail(delivered_late): expected the event of it within 10s, got it after 11s"
	)
	for _, c := range []struct {
		events []*event
		want   string
	}{
		{[]*event{good}, "delivered pass(ok): 1 event, within 1s, slowest 1"},
		{[]*event{good, slower}, "delivered pass(ok): 2 events, within 2s, slowest 2"},
		{[]*event{slower, good}, "delivered pass(ok): 2 events, within 2s, slowest 2"},
		{[]*event{good, open}, isOpen}, {[]*event{open, good}, isOpen},
		{[]*event{good, lost}, isLost}, {[]*event{lost, good}, isLost}, {[]*event{open, lost}, isLost}, {[]*event{lost, open}, isLost},
		{[]*event{late, lost}, isLate}, {[]*event{lost, late}, isLost},
	} {
		r := probe.NewResult(probe.ID{})
		run := &runState{Probe: &Probe{Within: probe.Duration(10 * time.Second)}, r: r}
		run.judgeDelivered(c.events, now)
		got := lines(probetest.Lines(*r), checkDelivered)
		for _, s := range r.Samples {
			got += fmt.Sprintf(", slowest %g", s.Value)
		}
		if got != c.want {
			t.Errorf("got %s, expected %s", got, c.want)
		}
	}
}

// TestJudgeTimes_unreadable: an attempt without a time that can be read may be of any time.
func TestJudgeTimes_unreadable(t *testing.T) {
	x := begin(t, "    within: 1s\n    schedule: 1h\n    cases:\n      it: {answers: [400]}\n")
	x.judgeTimes([]attempt{{}}, []refusal{{err: errStale}})
	if got, want := lines(probetest.Lines(*x.result), checkTimestamp), "timestamp fail(old_timestamp): expected the time of the attempt, got one that cannot be read"; got != want {
		t.Errorf("got %s, expected %s", got, want)
	}
	x.end()
}

// TestJudgeProofs_tampered: a signature proves something only where copies with a byte changed were made, and none of them verifies.
func TestJudgeProofs_tampered(t *testing.T) {
	for _, c := range []struct {
		attempts, copies, accepted int
		want                       string
	}{
		{1, 4, 0, "tampered pass(ok): none of 4 copies with a byte changed verifies"},
		{1, 4, 1, "tampered inconclusive(self_engine): 1 of 4 copies with a byte changed verify too: what was proven by a signature is worth nothing"},
		{1, 0, 0, "tampered inconclusive(control_failed): no copy with a byte changed could be made"},
		{0, 4, 0, "tampered inconclusive(nothing_checked): nothing was delivered that verifies"},
	} {
		x := begin(t, "    within: 1s\n    schedule: 1h\n    cases:\n      it: {answers: [400]}\n")
		x.judgeProofs(t.Context(), []*event{{attempts: make([]attempt, c.attempts)}}, c.copies, c.accepted)
		if got := lines(probetest.Lines(*x.result), checkTampered); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
		x.end()
	}
}

func TestRound1(t *testing.T) {
	for d, want := range map[time.Duration]string{1234 * time.Millisecond: "1.23s", 9996 * time.Millisecond: "10s", 10400 * time.Millisecond: "10s", 70600 * time.Millisecond: "1m11s"} {
		if got := round1(d).String(); got != want {
			t.Errorf("%d: got %s, want %s", d, got, want)
		}
	}
}
