package inbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"prober/internal/probe"
)

func now() time.Time { return time.Now() }

func sleepWatches(n int) { time.Sleep(time.Duration(n) * watchEvery) }

// A disk keeps what Options.Save is given.
type disk struct {
	mu    sync.Mutex
	texts map[string][]byte
	err   error
	saves int
	stuck chan struct{} // closed when it is no longer; nil: it is not
}

func (d *disk) save(texts map[string][]byte) error {
	d.mu.Lock()
	stuck := d.stuck
	d.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.saves++; d.err != nil {
		return d.err
	}
	if d.texts == nil {
		d.texts = map[string][]byte{}
	}
	for key, text := range texts {
		if text == nil {
			delete(d.texts, key)
			continue
		}
		d.texts[key] = bytes.Clone(text)
	}
	return nil
}

// change changes the disk.
func (d *disk) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// document is what the disk has of the first probe.
func (d *disk) document(settings string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := New(Options{}, d.texts)
	p := &receiving{}
	j := jobOf("a", p)
	j.Settings = settings
	r.SetJobs([]probe.Job{j})
	return string(r.all[0].state.Document)
}

// Before a request is answered, what it changed is on the disk.
func TestReceivers_keeps(t *testing.T) {
	d := &disk{}
	inWorld(t, Options{Save: d.save}, func(w *world) {
		began := time.Now()
		for i := range 3 {
			w.ask(post("/" + tokenA))
			if got := d.document("same"); got != strings.Repeat("POST", i+1) {
				t.Errorf("after request %d the disk has %q", i, got)
			}
		}
		if got := d.document("other"); got != "" {
			t.Errorf("other settings have %q", got)
		}
		if time.Since(began) != 0 {
			t.Errorf("took %s", time.Since(began))
		}
		saves, more := 0, 0
		d.change(func() { saves = d.saves })
		time.Sleep(5 * time.Minute)
		d.change(func() { more = d.saves - saves })
		if more < 9 || more > 11 {
			t.Errorf("%d saves in 5 minutes without a request, expected 10", more)
		}
		synctest.Wait()
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, text := range d.texts {
			if bytes.Contains(text, []byte(tokenA)) || bytes.Contains(text, []byte("hi")) {
				t.Errorf("the disk has a token or a body: %s", text)
			}
		}
	}, &receiving{})
}

// A disk that fails or is stuck costs a second, and loses nothing but what a crash loses then.
func TestReceivers_badDisk(t *testing.T) {
	d := &disk{err: errors.New("full")}
	var outcomes []error
	inWorld(t, Options{Save: d.save, Saved: func(err error) { outcomes = append(outcomes, err) }}, func(w *world) {
		w.ask(post("/" + tokenA))
		synctest.Wait()
		if len(outcomes) == 0 || outcomes[len(outcomes)-1] == nil {
			t.Errorf("got %v", outcomes)
		}
		d.change(func() { d.err = nil })
		time.Sleep(aliveEvery + watchEvery)
		if got := d.document("same"); got != "POST" {
			t.Errorf("the disk has %q", got)
		}
		stuck := make(chan struct{})
		d.change(func() { d.stuck = stuck })
		began := time.Now()
		if status, _, _ := w.ask(post("/" + tokenA)); status != 200 || time.Since(began) != saveTimeout {
			t.Errorf("got %d after %s", status, time.Since(began))
		}
		d.change(func() { d.stuck = nil })
		close(stuck)
		synctest.Wait()
		if got := d.document("same"); got != "POSTPOST" {
			t.Errorf("the disk has %q", got)
		}
		d.change(func() { d.texts = nil }) // the file was replaced
		w.receivers.Lost()
		synctest.Wait()
		if got := d.document("same"); got != "POSTPOST" {
			t.Errorf("the new file has %q", got)
		}
	}, &receiving{})
}

// The next process knows what was kept, since when it counts, and that nobody listened in between.
func TestReceivers_restart(t *testing.T) {
	t.Setenv("INBOUND_TEST_a", tokenA)
	t.Setenv("INBOUND_TEST_b", tokenB)
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		ctx, kill := context.WithCancel(t.Context())
		first := New(Options{Save: func(texts map[string][]byte) error {
			if ctx.Err() != nil {
				return ctx.Err() // it is dead
			}
			return d.save(texts)
		}}, nil)
		began := time.Now()
		first.SetJobs([]probe.Job{jobOf("a", &receiving{}), jobOf("b", &receiving{})})
		var all sync.WaitGroup
		all.Go(func() { first.Run(ctx) })
		time.Sleep(time.Hour)
		first.all[0].Update(func(s *probe.InboxState) { s.Document, s.Volatile = []byte("x"), 1 })
		time.Sleep(10*time.Minute + 10*time.Second)
		kill()
		all.Wait()
		killed := time.Now()
		time.Sleep(time.Minute)

		next := New(Options{Save: d.save}, d.texts)
		next.SetJobs([]probe.Job{jobOf("a", &receiving{})})
		in := next.all[0].inbox
		if !in.Since().Equal(began) || string(in.state.Document) != "x" || in.state.Volatile != nil {
			t.Errorf("got %s %+v", in.Since(), in.state)
		}
		gap, missed := in.Gap(began, time.Now())
		if !missed || gap.Why != whyDown || !gap.To.Equal(time.Now()) || gap.From.After(killed) || killed.Sub(gap.From) > aliveEvery+watchEvery {
			t.Errorf("got %+v", gap)
		}
		if _, missed := in.Gap(began, killed.Add(-aliveEvery-watchEvery)); missed {
			t.Error("before that it listened")
		}
		next.Save()
		for key := range d.texts {
			if strings.Contains(key, "\x00b\x00") {
				t.Errorf("%q is no longer configured", key)
			}
		}
		if fresh := New(Options{}, map[string][]byte{keyOf(probe.ID{System: "s", Name: "a", Type: "receiving"}): []byte(`{"settings":"same","document":"eA=="}`)}); len(fresh.kept) != 0 {
			t.Error("what nobody knows the end of is used")
		}
		for _, text := range []string{"", "{", "null", `[]`, `{"alive":"x"}`} {
			New(Options{}, map[string][]byte{KeyPrefix: []byte(text), KeyPrefix + "s": []byte(text)})
		}
	})
}

// A reload with equal settings keeps the inbox; another one starts from scratch.
func TestReceivers_reload(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		in := w.inbox(0)
		in.Update(func(s *probe.InboxState) { s.Volatile = 1 })
		w.receivers.SetJobs([]probe.Job{jobOf("a", &receiving{})})
		if w.inbox(0) != in {
			t.Error("a reload forgets")
		}
		changed := jobOf("a", &receiving{})
		changed.Settings = "other"
		time.Sleep(time.Minute)
		w.receivers.SetJobs([]probe.Job{changed})
		if now := w.inbox(0); now == in || now.Since() == in.Since() || now.state.Volatile != nil {
			t.Error("other settings begin with what others left")
		}
		w.receivers.SetJobs(nil)
		if status, _, _ := w.ask(post("/" + tokenA)); status != 404 {
			t.Errorf("a probe that was removed: got %d", status)
		}
	}, &receiving{})
}

// What changes no document is not written: a run that looks at its inbox costs no disk, and the requests that come meanwhile do not
// wait for one.
func TestInbox_unchanged(t *testing.T) {
	d := &disk{}
	inWorld(t, Options{Save: d.save}, func(w *world) {
		in, err := w.job(0).Inbox()
		if err != nil {
			t.Fatal(err)
		}
		saves := func() (n int) {
			synctest.Wait()
			d.change(func() { n = d.saves })
			return n
		}
		keep := func(text string) {
			in.Update(func(s *probe.InboxState) { s.Document, s.Volatile = []byte(text), new(int) })
		}
		keep("one")
		before := saves()
		keep("one")
		in.Update(func(*probe.InboxState) {})
		if got := saves(); got != before {
			t.Errorf("it was saved %d times more", got-before)
		}
		keep("two")
		if got := saves(); got != before+1 {
			t.Errorf("what changed was saved %d times", got-before)
		}
	}, &receiving{})
}

func TestInbox_wait(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		in := w.inbox(0)
		came := func(s *probe.InboxState) bool { return string(s.Document) == "POSTPOST" }
		go func() {
			time.Sleep(time.Second)
			w.ask(post("/" + tokenA))
			time.Sleep(time.Second)
			w.ask(post("/" + tokenA))
		}()
		began := time.Now()
		if err := in.Wait(w.t.Context(), came); err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("got %v after %s", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		defer cancel()
		if err := in.Wait(ctx, func(*probe.InboxState) bool { return false }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	}, &receiving{})
}

// set returns a reading as it would be had somebody set the wall clock ahead by that much before it: a Time holds the monotonic one in
// its second word.
func set(reading time.Time, by time.Duration) time.Time {
	reading = reading.Add(by)
	*(*int64)(unsafe.Add(unsafe.Pointer(&reading), 8)) -= int64(by)
	return reading
}

// A prober that was stopped, or whose clock was set, may have missed something.
func TestReceivers_watch(t *testing.T) {
	last := time.Now()
	for name, test := range map[string]struct {
		now      time.Time
		why      string
		from, to time.Time
	}{
		"on time":     {last.Add(watchEvery + time.Second), "", last, last},
		"late":        {last.Add(time.Minute), whyStopped, last, last.Add(time.Minute)},
		"set ahead":   {set(last.Add(watchEvery), time.Hour), whyClock, last, last.Add(time.Hour)},
		"set back":    {set(last.Add(watchEvery), -time.Hour), whyClock, last.Add(-time.Hour), last},
		"a small one": {set(last.Add(watchEvery), time.Second), "", last, last},
	} {
		r := New(Options{}, nil)
		r.watch(last, test.now)
		if test.why == "" {
			if len(r.gaps) > 0 {
				t.Errorf("%s: got %+v", name, r.gaps)
			}
			continue
		}
		if len(r.gaps) != 1 || r.gaps[0].Why != test.why || r.gaps[0].From.After(test.from.Add(watchEvery)) || r.gaps[0].To.Before(test.to) {
			t.Errorf("%s: got %+v", name, r.gaps)
		}
	}
}

// Gaps are bounded, and none of them is ever forgotten to the probe's harm.
func TestGaps(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var g gaps
	for i := range 100 {
		g.add(began.Add(time.Duration(i)*time.Hour), began.Add(time.Duration(i)*time.Hour), fmt.Sprint("why", i%2))
	}
	if len(g) != maxGaps || !g[0].From.Equal(began) || !g[0].To.Equal(began.Add(36*time.Hour)) || !g[1].From.Equal(began.Add(37*time.Hour)) {
		t.Errorf("got %d, %+v", len(g), g[:2])
	}
	g = nil
	for i := range 10 {
		g.add(began.Add(time.Duration(i)*time.Minute), began.Add(time.Duration(i)*time.Minute), "why")
	}
	g.add(began.Add(11*time.Minute), began.Add(12*time.Minute), "why")
	if len(g) != 2 || !g[0].To.Equal(began.Add(9*time.Minute)) {
		t.Errorf("got %+v", g)
	}
	in := &inbox{of: New(Options{}, nil), since: began.Add(time.Minute), gaps: g}
	for _, test := range []struct {
		from, to int
		want     int // minutes of the last gap's end; -1 for none
	}{
		{0, 60, 12}, {0, 10, 9}, {10, 10, -1}, {12, 13, 12}, {13, 14, -1}, {-10, 0, -1}, {5, 5, 9},
	} {
		gap, missed := in.Gap(began.Add(time.Duration(test.from)*time.Minute), began.Add(time.Duration(test.to)*time.Minute))
		if missed != (test.want >= 0) || missed && !gap.To.Equal(began.Add(time.Duration(test.want)*time.Minute)) {
			t.Errorf("%+v: got %+v", test, gap)
		}
	}
}

// A run that begins before the next tick, as soon as the prober goes on or its clock was set, knows of it.
func TestInbox_gapBeforeTheTick(t *testing.T) {
	now := probe.ReadClock()
	for name, test := range map[string]struct {
		last time.Time
		why  string
	}{
		"just now":   {now, ""},
		"not begun":  {time.Time{}, ""},
		"stopped":    {now.Add(-time.Hour), whyStopped},
		"set ahead":  {set(now, -time.Hour), whyClock},
		"set back":   {set(now, time.Hour), whyClock},
		"a bit late": {now.Add(-watchEvery), ""},
	} {
		r := New(Options{}, nil)
		in := newInbox(r, "key", "", now.Add(-2*time.Hour))
		r.ticked(test.last)
		for range 3 {
			if gap, _ := in.Gap(now.Add(-10*time.Minute), now.Add(time.Minute)); gap.Why != test.why {
				t.Errorf("%s: got %+v", name, gap)
			}
		}
		if len(r.gaps) > 1 {
			t.Errorf("%s: got %+v", name, r.gaps)
		}
	}
}

// A run that is under way when its settings change hears nothing any more, and knows it.
func TestReceivers_changedUnderRun(t *testing.T) {
	t.Setenv("INBOUND_TEST_a", tokenA)
	r := New(Options{}, nil)
	job := jobOf("a", &receiving{})
	inboxOf := func(settings string) probe.Inbox {
		job.Settings = settings
		in, err := r.SetJobs([]probe.Job{job})[0].Inbox()
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	first := inboxOf("one")
	missed := func(in probe.Inbox) string {
		gap, _ := in.Gap(time.Now(), time.Now().Add(time.Hour))
		return gap.Why
	}
	if again := inboxOf("one"); again != first || missed(first) != "" {
		t.Errorf("with the same settings: another inbox, or %q", missed(first))
	}
	second := inboxOf("two")
	if missed(first) != whyReload || missed(second) != "" {
		t.Errorf("got %q, and of the new one %q", missed(first), missed(second))
	}
}
