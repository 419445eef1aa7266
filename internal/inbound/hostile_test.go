package inbound

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/internal/secret"
)

// A job that uses a new token before the prober has read it is not late: the prober refused it.
func TestTokens_replaced(t *testing.T) {
	p := &receiving{}
	inWorld(t, Options{}, func(w *world) {
		sleepWatches(1)
		<-time.After(time.Second)
		replaced := now()
		t.Setenv("INBOUND_TEST_a", tokenB)
		if status, _, _ := w.ask(post("/" + tokenB)); status != 404 {
			t.Errorf("answered %d", status)
		}
		sleepWatches(tokensEvery + 1)
		if status, _, _ := w.ask(post("/" + tokenB)); status != 200 {
			t.Errorf("the new token is answered %d", status)
		}
		if gap, any := w.inbox(0).Gap(replaced, now()); !any || gap.Why != whyToken || gap.From.After(replaced) {
			t.Errorf("got %+v, %v", gap, any)
		}
		if gap, any := w.inbox(0).Gap(now(), now()); any {
			t.Errorf("and later %+v", gap)
		}
	}, p)
}

// A reload while the file of a token cannot be read refuses nobody: the token that was read before is good.
func TestSetJobs_tokenMissing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(tokenA), 0o600); err != nil {
		t.Fatal(err)
	}
	r := New(Options{}, nil)
	load := func() {
		j := probe.Job{ID: probe.ID{System: "s", Name: "a", Type: "receiving"}, Probe: &receiving{token: secret.File(file)}, Settings: "same"}
		r.SetJobs([]probe.Job{j})
	}
	load()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	load()
	if r.find(tokenA) == nil {
		t.Error("the token is refused")
	}
	if r.troubleOf(r.all[0]) == nil {
		t.Error("expected the probe to say that its token cannot be read")
	}
}
