package inbound

import (
	"strings"
	"testing"

	"prober/internal/probe"
)

func TestCheckToken(t *testing.T) {
	for token, want := range map[string]string{
		tokenA: "", tokenB: "", "8b7f2c1e-93d4-4a6b-b0e5-7c21f98d3a64": "", strings.Repeat("k7Qz0vB2mXw9rT4y", 8)[:127] + "-": "",
		"k7Qz0vB2mXw9rT4yLp6sN":          "expected 22 to 128 characters, got 21",
		strings.Repeat(tokenA, 6):        "expected 22 to 128 characters, got 132",
		tokenA + "/":                     "expected letters, digits, - and _ only",
		tokenA + "é":                     "expected letters, digits, - and _ only",
		tokenA + ".":                     "expected letters, digits, - and _ only",
		strings.Repeat("a", 40):          "can be guessed",
		strings.Repeat("password", 4):    "can be guessed",
		"abcdefghijklmnopqrstuvwxyz":     "can be guessed",
		"0123456789abcdefghijklmnopqr":   "can be guessed",
		"00000000-0000-0000-0000-000001": "can be guessed",
		strings.Repeat(tokenA, 2):        "can be guessed",
	} {
		err := checkToken(token)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: expected %q, got %v", token, want, err)
		}
		if err != nil && strings.Contains(err.Error(), token) {
			t.Errorf("the error repeats the token: %v", err)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Setenv("INBOUND_TEST_a", tokenA)
	t.Setenv("INBOUND_TEST_b", tokenB)
	a, b, c, d := &receiving{}, &receiving{}, &receiving{}, &receiving{}
	jobs := []probe.Job{jobOf("a", a), jobOf("b", b), jobOf("c", c), {Probe: nil}}
	if err := Check(jobs); err != nil {
		t.Errorf("a source that cannot be read is no mistake: %v", err)
	}
	t.Setenv("INBOUND_TEST_b", tokenA)
	d.token = c.token
	jobs = append(jobs, probe.Job{ID: probe.ID{System: "s", Name: "d"}, Probe: d})
	want := "prober: s/b: token from env INBOUND_TEST_b: it is that of s/a too; each probe needs one of its own\n" +
		"prober: s/d: token from env INBOUND_TEST_c: it is that of s/c too; each probe needs one of its own"
	jobs[4].Probe.(*receiving).token = jobs[2].Probe.(*receiving).token
	if err := Check(jobs); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	t.Setenv("INBOUND_TEST_b", "hunter2")
	if err := Check(jobs[:2]); err == nil || !strings.HasPrefix(err.Error(), "prober: s/b: token from env INBOUND_TEST_b: expected 22 to 128 characters") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// A token that is replaced is followed, and one that two probes have is nobody's.
func TestReceivers_rotation(t *testing.T) {
	a, b := &receiving{}, &receiving{}
	inWorld(t, Options{}, func(w *world) {
		asks := func(token string, want int) {
			t.Helper()
			if status, _, _ := w.ask(post("/" + token)); status != want {
				t.Errorf("expected %d, got %d", want, status)
			}
		}
		next := "n3Wt0kEnq8ZpL5vXr1YcHb"
		t.Setenv("INBOUND_TEST_a", next)
		asks(tokenA, 200)
		sleepWatches(tokensEvery + 1)
		asks(tokenA, 404)
		asks(next, 200)
		replaced := now()
		t.Setenv("INBOUND_TEST_a", "")
		sleepWatches(tokensEvery + 1)
		asks(next, 200) // a file that is replaced may be missing for a moment
		if _, err := w.job(0).Inbox(); err == nil {
			t.Error("expected the probe to know that its token is missing")
		}
		if _, missed := w.inbox(0).Gap(replaced, now()); missed {
			t.Error("nothing was missed")
		}
		t.Setenv("INBOUND_TEST_a", tokenB)
		sleepWatches(tokensEvery + 1)
		asks(next, 404)
		asks(tokenB, 404)
		for i := range 2 {
			if _, err := w.job(i).Inbox(); err != errTwice {
				t.Errorf("probe %d: got %v", i, err)
			}
			if gap, missed := w.inbox(i).Gap(w.began, now()); !missed || gap.Why != whyToken {
				t.Errorf("probe %d: got %+v", i, gap)
			}
		}
		t.Setenv("INBOUND_TEST_a", tokenA)
		sleepWatches(tokensEvery + 1)
		asks(tokenA, 200)
		asks(tokenB, 200)
		if _, err := w.job(1).Inbox(); err != nil {
			t.Error(err)
		}
	}, a, b)
}
