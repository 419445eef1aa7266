package timesync

import (
	"testing"
	"time"
)

// TestEstimate_Add checks that the first sample stands alone, that each further one narrows what is known, and that a clock
// that was seen to advance stays so.
func TestEstimate_Add(t *testing.T) {
	at := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	showed := func(shown, sent time.Duration) Sample {
		return Sample{Earliest: at.Add(shown), Latest: at.Add(shown + time.Second), Sent: at.Add(sent), Received: at.Add(sent + 200*ms)}
	}
	var e Estimate
	e.Add(showed(5*time.Second, 0))
	if want := (Interval{Lo: 4800 * ms, Hi: 6 * time.Second}); e.Interval != want || e.Samples != 1 || e.Moved {
		t.Errorf("one sample: got %v of %d, moved %t; expected %v", e.Interval, e.Samples, e.Moved, want)
	}
	e.Add(showed(5*time.Second, 500*ms))
	if want := (Interval{Lo: 4800 * ms, Hi: 5500 * ms}); !near(e.Interval, want) || e.Moved {
		t.Errorf("two that show the same: got %v, moved %t; expected about %v", e.Interval, e.Moved, want)
	}
	e.Add(showed(6*time.Second, 900*ms))
	if want := (Interval{Lo: 4900 * ms, Hi: 5500 * ms}); !near(e.Interval, want) || !e.Moved {
		t.Errorf("one that shows the next second: got %v, moved %t; expected about %v", e.Interval, e.Moved, want)
	}
	e.Add(showed(5*time.Second, time.Second))
	if !e.Moved {
		t.Error("a clock that advanced and went back never advanced")
	}
}

// near reports whether two intervals are the same but for the drift of a few seconds.
func near(a, b Interval) bool { return (a.Lo-b.Lo).Abs() < ms && (a.Hi-b.Hi).Abs() < ms }

// TestEstimate_Next checks that a request arrives at a clock with whole seconds when its tick is expected.
func TestEstimate_Next(t *testing.T) {
	at := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	received := at.Add(200 * ms) // half of which is the way there
	for name, c := range map[string]struct {
		unit, spare, before, want time.Duration
	}{
		"at once where it has fractions": {time.Second - 1, 0, 0, 0},
		"ahead by 400 ms":                {time.Second, 0, 0, 300 * ms},
		"sent some time after the wait":  {time.Second, 0, 50 * ms, 250 * ms},
		"it may be late itself":          {time.Second, 600 * ms, 0, 600 * ms},
	} {
		var e Estimate
		e.Add(Sample{Earliest: at, Latest: at.Add(c.unit), Sent: at, Received: received})
		if got := e.Next(received, c.spare, c.before); got != c.want {
			t.Errorf("%s: got %s, expected %s", name, got, c.want)
		}
	}
}

// TestEstimate_Exhausted checks that a clock is read again until nothing but the network and its own delay is left, and until it
// was seen to advance.
func TestEstimate_Exhausted(t *testing.T) {
	for name, c := range map[string]struct {
		width, lead, spare time.Duration
		moved, want        bool
	}{
		"as wide as the network is slow":  {400 * ms, 100 * ms, 0, true, true},
		"wider":                           {401 * ms, 100 * ms, 0, true, false},
		"a clock that may be late itself": {401 * ms, 100 * ms, ms, true, true},
		"a fast network":                  {20 * ms, ms, 0, true, true},
		"wider, in a fast network":        {20*ms + 1, ms, 0, true, false},
		"it was not seen to advance":      {0, ms, 0, false, false},
	} {
		e := Estimate{Interval: Interval{Hi: c.width}, lead: c.lead, Moved: c.moved}
		if got := e.Exhausted(c.spare); got != c.want {
			t.Errorf("%s: got %t, expected %t", name, got, c.want)
		}
	}
}

// TestReply_ReferenceID checks that two requests see the same server as the same.
func TestReply_ReferenceID(t *testing.T) {
	reference := time.Now().Add(-time.Hour).Truncate(time.Second)
	for after, want := range map[time.Duration]bool{0: false, ms: true} {
		client := answering(tampered(func(b []byte) {
			copy(b[12:], "GPS0")
			put64(b[16:], reference.Add(after))
		}))
		var ids []string
		for range 2 {
			reply, err := client.Ask(t.Context(), "127.0.0.1:123")
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, reply.ReferenceID)
		}
		if ids[0] != ids[1] || (ids[0] != "") != want {
			t.Errorf("%s after a whole second: got %q, expected the same twice, and none for a whole second", after, ids)
		}
	}
	id := func(change func(b []byte)) string {
		reply, err := answering(tampered(func(b []byte) {
			copy(b[12:], "GPS0")
			put64(b[16:], reference.Add(ms))
			change(b)
		})).Ask(t.Context(), "127.0.0.1:123")
		if err != nil {
			t.Fatal(err)
		}
		return reply.ReferenceID
	}
	one := id(func([]byte) {})
	for name, c := range map[string]struct {
		change func(b []byte)
		same   bool
	}{
		"another stratum":       {func(b []byte) { b[1]++ }, false},
		"another reference":     {func(b []byte) { b[12]++ }, false},
		"referred to later":     {func(b []byte) { b[23]++ }, false},
		"another poll interval": {func(b []byte) { b[2]++ }, true}, // a server may say another one to each client
	} {
		if got := id(c.change); (got == one) != c.same {
			t.Errorf("%s: taken for the same server: %t", name, !c.same)
		}
	}
}
