package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/inbound"
	"prober/internal/jwk"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// A listening is a probe without a trigger, of which silence is judged.
type listening struct {
	*sender
	t *testing.T
}

const comesBySelf = "    trigger: none\n    within: 2m\n"

// listen has a probe listen for a minute.
func listen(t *testing.T, settings string) *listening {
	in, p := receivers(t, load(t, settings))
	time.Sleep(time.Minute)
	return &listening{&sender{secret: hookSecret, p: p, in: in}, t}
}

// restarted is the prober after a restart, which has only what lies on the disk.
func (l *listening) restarted() {
	l.in.Update(func(s *probe.InboxState) { s.Volatile = nil })
}

// sent is a delivery on its way: it comes now, whenever it was signed.
func (l *listening) sent(d probe.Delivery) probe.Answer {
	d.At = time.Now()
	return l.p.Receive(l.in, d)
}

// said is what the probe says of silence, without the times in it.
func (l *listening) said() string {
	r := probe.NewResult(probe.ID{System: "test", Name: "p"})
	run := &runState{Probe: l.p, r: r, in: l.in, began: time.Now(), clock: probe.WatchClock()}
	now := time.Now().Round(0)
	run.readGap(now.Add(-l.p.Within.D()), now)
	run.state(func(st *state, _ *probe.InboxState) { run.last = st.document.Last })
	run.judgeSilence(now)
	return lines(probetest.Lines(*r), checkDelivered)
}

func (l *listening) wants(when, want string) {
	l.t.Helper()
	if got := l.said(); !strings.HasPrefix(got, "delivered "+want) {
		l.t.Errorf("%s: got %q, expected %s", when, got, want)
	}
}

const (
	hasCome  = "pass(ok)"
	isLost   = "fail(lost)"
	settling = "inconclusive(settling)"
	mayHave  = "inconclusive(control_failed): not known, since deliveries may have come in vain: one may be a replay, since it was signed before the prober began to remember"
)

// A replay is no delivery, however often the prober is restarted: the silence of the sender is seen.
func TestReplay_restart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, comesBySelf)
		all := make([]probe.Delivery, 3)
		for i := range all {
			all[i] = l.signed("evt", fmt.Sprintf("key-%d", i), time.Now().Add(time.Duration(i-1)*30*time.Second))
			l.sent(all[i])
		}
		for i := range 4 {
			l.restarted()
			time.Sleep(45 * time.Second)
			for _, d := range all {
				if got := l.sent(d); got.Status != 200 {
					t.Errorf("a replay is answered %d", got.Status)
				}
			}
			l.wants(fmt.Sprintf("restart %d", i+1), []string{hasCome, hasCome, isLost, isLost}[i])
		}
		l.deliver("next", "key-9")
		l.wants("a new one", hasCome)
	})
}

// Two hosts that send have clocks that differ by more than within. Of what the slower one signs nothing is lost after a restart.
func TestReplay_twoClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, comesBySelf)
		time.Sleep(10 * time.Minute)
		const apart = 4 * time.Minute
		n := 0
		send := func(by time.Duration) {
			n++
			l.sent(l.signed("evt", fmt.Sprintf("key-%d", n), time.Now().Add(by)))
		}
		send(apart)
		time.Sleep(time.Minute)
		send(-apart)
		l.restarted()
		time.Sleep(time.Minute + 50*time.Second)
		send(-apart) // from now on the slow one alone
		for range 4 {
			time.Sleep(time.Minute + 50*time.Second)
			l.wants("the slow one sends", hasCome)
			send(-apart)
		}
	})
}

// What was signed before a probe with these settings began to listen may be a replay: it neither counts as a delivery nor does
// its sender look silent. So it is as long as such a timestamp is good.
func TestReplay_settings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receivers := inbound.New(inbound.Options{}, nil)
		use := func(settings string) *listening {
			job := receivers.SetJobs([]probe.Job{load(t, settings)})[0]
			in, err := job.Inbox()
			if err != nil {
				t.Fatal(err)
			}
			return &listening{&sender{secret: hookSecret, p: job.Probe.(*Probe), in: in}, t}
		}
		l := use("    trigger: none\n    within: 3m\n")
		time.Sleep(time.Minute)
		old := l.signed("evt", "key", time.Now())
		l.sent(old)
		l.wants("it came", hasCome)
		l = use(comesBySelf)
		time.Sleep(time.Minute)
		l.wants("nothing since", settling)
		l.sent(old)
		l.wants("a replay", mayHave)
		time.Sleep(90 * time.Second)
		l.wants("two minutes and a half later", mayHave)
		time.Sleep(31 * time.Second)
		l.wants("three minutes later", isLost)
		time.Sleep(3 * time.Minute)
		l.sent(old) // by now its timestamp is of another time
		l.wants("a replay after that", isLost)
		l.sent(l.signed("evt", "key-2", time.Now().Add(-4*time.Minute)))
		l.wants("a sender whose clock is slow", hasCome)
	})
}

// In a run whose trigger tells the id, a slow clock is no replay; but what belongs to no event of the run is.
func TestReplay_trigger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := begin(t, "    schedule: 1h\n    cases:\n      it: {answers: [503, 200]}\n")
		last := func() (at time.Time) {
			x.state(func(st *state, _ *probe.InboxState) { at = st.document.Last })
			return at
		}
		slow := time.Now().Add(-time.Minute)
		x.Receive(x.in, x.sender.signed("before", "key", slow))
		if !last().IsZero() {
			t.Error("a replay counts as the last delivery")
		}
		x.state(func(st *state, _ *probe.InboxState) { st.run.asking = newEvent(x.cases[0]) })
		x.Receive(x.in, x.sender.signed("unknown", "key-2", slow))
		if !last().IsZero() {
			t.Error("a replay that comes during a trigger counts as the last delivery")
		}
		if got := x.Receive(x.in, x.sender.signed("it", "key-3", slow)); got.Status != 503 || last().IsZero() {
			t.Errorf("an event of the run is answered %d, the last delivery was at %s", got.Status, last())
		}
	})
}

// More contents than fit are forgotten, in memory and on the disk, and then the time of the latest of these tells what may be a replay.
func TestReplay_forgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, comesBySelf)
		first := l.signed("evt", "first", time.Now())
		l.sent(first)
		time.Sleep(5 * time.Second)
		for i := range maxKeptSeen {
			l.deliver("evt", fmt.Sprintf("key-%d", i))
		}
		l.restarted()
		time.Sleep(3 * time.Minute)
		l.sent(first)
		l.wants("what is not on the disk", mayHave)
		l.deliver("evt", "key")
		l.wants("a new one", hasCome)

		l = listen(t, comesBySelf)
		l.sent(first)
		second := l.signed("evt", "second", time.Now())
		l.sent(second)
		for i := range maxReplays {
			l.deliver("evt", fmt.Sprintf("key-%d", i))
		}
		time.Sleep(3 * time.Minute)
		l.sent(second)
		l.wants("what is not in memory", mayHave)
	})
}

// After the clock was set back, all that is signed from now on is new.
func TestReplay_clock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, comesBySelf)
		l.in.Update(func(s *probe.InboxState) { stateOf(s).document.Floor = time.Now().Add(time.Hour) })
		l.sent(l.signed("evt", "key", time.Now().Add(-time.Second)))
		l.wants("signed before", mayHave)
		time.Sleep(2 * time.Second)
		l.deliver("evt", "key-2")
		l.wants("signed after", hasCome)
	})
}

// The largest document that there can be is kept.
func TestDocument_size(t *testing.T) {
	p := newProvider(t, "a")
	st := &state{document: document{Owed: 1 << 30}}
	key := p.set(t)[0]
	at := time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.FixedZone("", 3600))
	var set jwk.Set
	for i := range maxKeys {
		key.ID = fmt.Sprint(i)
		set = append(set, key)
	}
	d := &st.document
	d.read(set, bytes.Repeat([]byte("x"), maxKeptSet), at)
	for i := range d.Keys {
		d.Keys[i].Lacked, d.Keys[i].Signed = at, at
	}
	d.Last, d.Stamp, d.Floor, d.Doubt, d.Vain = at, at, at, at, at
	st.seen = make([]content, maxReplays)
	var s probe.InboxState
	if st.save(&s); len(s.Document) == 0 || len(s.Document) > probe.MaxInboxDocument {
		t.Errorf("%d bytes are kept", len(s.Document))
	}
	if got := stateOf(&s); len(got.seen) != maxKeptSeen || len(got.document.Keys) != maxKeys || got.document.Owed != 1<<30 {
		t.Errorf("got %d contents and %d keys", len(got.seen), len(got.document.Keys))
	}
}

// Whoever sees a delivery that is answered with a redirect can send it again, and follow. That does not make the sender fail; and if the
// sender follows, it does.
func TestReplay_redirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := func() (*runner, string, string) {
			x := begin(t, "    schedule: 1s\n    cases:\n      it: {answers: [302]}\n")
			d := x.sender.signed("it", "key", time.Now())
			path := func(a probe.Answer) string {
				if a.Status != 302 || a.Location == "" {
					t.Fatalf("answered %+v", a)
				}
				return a.Location[strings.LastIndexByte(a.Location, '/'):]
			}
			return x, path(x.Receive(x.in, d)), path(x.Receive(x.in, d))
		}
		for name, c := range map[string]struct {
			sender, other bool
			want          string
		}{
			"nobody":     {false, false, "case@it pass(ok)"},
			"the sender": {true, false, "case@it fail(redirect_followed)"},
			"another":    {false, true, "case@it inconclusive(control_failed): a redirect was followed that had answered a replay"},
			"both":       {true, true, "case@it fail(redirect_followed)"},
		} {
			x, mine, theirs := begun()
			for path, follows := range map[string]bool{mine: c.sender, theirs: c.other} {
				if follows {
					x.Receive(x.in, probe.Delivery{At: time.Now(), Method: "GET", Path: path})
				}
			}
			if got := lines(x.judged(t), checkCase); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s follows: got %s, expected %s", name, got, c.want)
			}
		}
	})
}

// What is forgotten since the clock was ahead for a while may come again once it is set back.
func TestReplay_clockAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, comesBySelf)
		first := l.signed("evt", "first", time.Now())
		l.sent(first)
		l.in.Update(func(s *probe.InboxState) { stateOf(s).seen[0].at = first.At.Add(-time.Hour) }) // as if the next one came an hour later
		l.deliver("evt", "second")
		l.in.Update(func(s *probe.InboxState) { stateOf(s).document.Last = first.At.Round(0) })
		time.Sleep(3 * time.Minute)
		l.sent(first)
		l.wants("a replay", mayHave)
	})
}

// Of a document that is damaged nothing is known, not even what came before it was read.
func TestReplay_damaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, comesBySelf)
		first := l.signed("evt", "first", time.Now())
		l.sent(first)
		l.in.Update(func(s *probe.InboxState) { s.Volatile, s.Document = nil, s.Document[:len(s.Document)/2] })
		time.Sleep(3 * time.Minute)
		l.sent(first)
		l.wants("a replay", mayHave)
		time.Sleep(2*time.Minute + time.Second)
		l.wants("later", isLost)
	})
}

// A document of a version that remembered no contents says by its last timestamp what may be a replay.
func TestReplay_olderDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen(t, comesBySelf)
		first := l.signed("evt", "first", time.Now())
		l.sent(first)
		l.in.Update(func(s *probe.InboxState) {
			old := stateOf(s).document
			old.Floor, old.Seen, old.Owed = time.Time{}, nil, 0
			s.Document, _ = json.Marshal(map[string]any{"last": old.Last, "stamp": old.Stamp})
			s.Volatile = nil
		})
		l.wants("it has come", hasCome)
		time.Sleep(3 * time.Minute)
		l.sent(first)
		l.wants("a replay", mayHave)
		l.deliver("next", "key")
		l.wants("a new one", hasCome)
	})
}
