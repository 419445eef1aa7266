package heartbeat

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// A withGaps is an inbox that missed something.
type withGaps struct {
	probe.Inbox
	gaps []probe.InboxGap // the oldest first
}

func (in withGaps) Gap(from, to time.Time) (last probe.InboxGap, any bool) {
	for _, g := range in.gaps {
		if !to.Before(from) && !g.To.Before(from) && !g.From.After(to) {
			last, any = g, true
		}
	}
	return last, any
}

// Times between which the prober's clock was set are not compared: they make a job neither too slow nor too fast, nor too frequent.
func TestHeartbeat_clockSet(t *testing.T) {
	settings := Probe{
		Period: probe.Duration(6 * time.Hour), Grace: probe.Duration(10 * time.Minute), MinGap: length(30 * time.Minute),
		Duration: durations{Min: length(time.Minute), Max: length(20 * time.Minute)},
	}
	began := time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC) // when a bubble begins
	at := func(minute int) time.Time { return began.Add(time.Duration(minute) * time.Minute) }
	set := func(from, to int) probe.InboxGap {
		return probe.InboxGap{From: at(from), To: at(to), Why: probe.ClockSet}
	}
	overloaded := probe.InboxGap{From: at(61), To: at(62), Why: "the listener was overloaded"}
	for name, c := range map[string]struct {
		reports []string
		at      []int
		gaps    []probe.InboxGap
		want    string
	}{
		"not set":                         {[]string{"", "/start", ""}, []int{10, 50, 69}, nil, "pass"},
		"too frequent":                    {[]string{"/start", "", "/start", ""}, []int{40, 50, 55, 69}, nil, "frequency=too_often"},
		"something was missed":            {[]string{"/start", "", "/start", ""}, []int{40, 50, 55, 69}, []probe.InboxGap{overloaded}, "frequency=too_often"},
		"too slow":                        {[]string{"", "/start", ""}, []int{10, 45, 69}, []probe.InboxGap{overloaded}, "duration=too_long"},
		"set ahead while it ran":          {[]string{"", "/start", ""}, []int{5, 10, 69}, []probe.InboxGap{set(11, 60)}, "duration=self_clock"},
		"and something was missed, too":   {[]string{"", "/start", ""}, []int{5, 10, 69}, []probe.InboxGap{set(11, 60), overloaded}, "duration=self_clock"},
		"set back while it ran":           {[]string{"", "/start", ""}, []int{10, 69, 60}, []probe.InboxGap{set(60, 69)}, "duration=self_clock"},
		"set back between two reports":    {[]string{"/start", "", "/start", ""}, []int{60, 65, 44, 50}, []probe.InboxGap{set(40, 68)}, "duration=self_clock"},
		"set back, and the next is later": {[]string{"/start", "", "/start", ""}, []int{40, 45, 50, 55}, []probe.InboxGap{set(45, 52)}, "duration=self_clock"},
	} {
		inWorld(t, settings, func(w *world) {
			in, err := w.job.Inbox()
			if err != nil {
				t.Fatal(err)
			}
			for i, path := range c.reports {
				if got := w.job.Probe.(*Probe).Receive(in, probe.Delivery{At: at(c.at[i]), Method: http.MethodPost, Path: path}); got.Status != 0 {
					t.Errorf("%s: %s is answered %d", name, path, got.Status)
				}
			}
			w.job.Inbox = func() (probe.Inbox, error) { return withGaps{in, c.gaps}, nil }
			wait(70 * time.Minute)
			t.Log(name)
			w.wants(c.want)
		})
	}
}

// A report that came before the clock was set back is older than it looks: what may be late already does not pass.
func TestHeartbeat_clockSetBack(t *testing.T) {
	began := time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	at := func(minute int) time.Time { return began.Add(time.Duration(minute) * time.Minute) }
	overloaded := probe.InboxGap{From: at(80), To: at(81), Why: "the listener was overloaded"}
	for name, c := range map[string]struct {
		from, to, now int
		want          string
	}{
		"not yet late in any case": {10, 69, 300, "pass"},
		"perhaps late":             {10, 69, 400, "on_time=self_clock"},
		"late, if nothing came":    {10, 69, 431, "on_time=not_heard"},
		"late":                     {10, 69, 460, "on_time=late"},
		"the report came after":    {10, 59, 400, "pass"},
		"set ahead":                {61, 120, 400, "pass"},
	} {
		inWorld(t, Probe{Period: probe.Duration(6 * time.Hour), Grace: probe.Duration(10 * time.Minute)}, func(w *world) {
			in, err := w.job.Inbox()
			if err != nil {
				t.Fatal(err)
			}
			w.job.Probe.(*Probe).Receive(in, probe.Delivery{At: at(60), Method: http.MethodPost})
			gaps := []probe.InboxGap{{From: at(c.from), To: at(c.to), Why: probe.ClockSet}, overloaded}
			w.job.Inbox = func() (probe.Inbox, error) { return withGaps{in, gaps}, nil }
			wait(time.Duration(c.now) * time.Minute)
			t.Log(name)
			w.wants(c.want)
		})
	}
}

// A client of healthchecks.io may ask that the check be made if there is none: here it is there.
func TestHeartbeat_create(t *testing.T) {
	for _, query := range []string{"?create=1", rid(1) + "&create=1", "?create=1&" + rid(1)[1:], "?create=0", "?"} {
		inWorld(t, every(time.Hour), func(w *world) {
			w.post(query)
			w.wants("pass")
			w.post("/fail" + query)
			w.wants("success=job_failed")
		})
	}
}

// A job that reports without the listener's password is late all the same, and the run says how often it tried since its last report.
func TestHeartbeat_unauthorized(t *testing.T) {
	inWorld(t, every(time.Hour), func(w *world) {
		in, err := w.job.Inbox()
		if err != nil {
			t.Fatal(err)
		}
		since := time.Now()
		w.job.Inbox = func() (probe.Inbox, error) { return refusing{in, &since}, nil }
		said := func(reason string) {
			t.Helper()
			r := w.run()
			want := "; 3 requests to this path did not have the password of --inbound.config.file"
			if c := r.Checks[0]; c.Verdict != probe.Fail || c.Reason.Word != reason || !strings.HasSuffix(c.Detail, "ago"+want) {
				t.Errorf("got %s(%s): %s", c.Verdict, c.Reason, c.Detail)
			}
		}
		wait(2 * time.Hour)
		said("never_came")
		w.post("")
		since = time.Now()
		wait(2 * time.Hour)
		said("late")
	})
}

// A refusing inbox had three requests without the password after a time.
type refusing struct {
	probe.Inbox
	since *time.Time
}

func (in refusing) Unauthorized(from time.Time) int {
	if !from.Equal(in.since.Round(0)) {
		return 0
	}
	return 3
}
