package web

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"prober/internal/probe"
)

func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, j := NewStatusStore(), job("proxy")
		b.SetJobs([]probe.Job{j})
		begin := time.Now()
		for i := range 100 {
			b.Observe(resultOf(j, []probe.Reason{probe.OK, probe.Timeout, probe.SelfClock}[i%3]))
			want := min(i+1, maxRuns)
			runs := b.Statuses()[0].History.Runs()
			if len(runs) != want {
				t.Fatalf("after %d runs: %d are remembered, wanted %d", i+1, len(runs), want)
			}
			for k, r := range runs {
				n := i + 1 - want + k
				why := []probe.Reason{probe.OK, probe.Timeout, probe.SelfClock}[n%3]
				if !r.Started.Equal(begin.Add(time.Duration(n)*j.Interval)) || r.Reason != why || r.Verdict != why.Verdict || r.Latency != 12*time.Millisecond {
					t.Fatalf("after %d runs: number %d is %+v, wanted the run of %s", i+1, k, r, why)
				}
			}
			<-time.After(j.Interval)
		}
	})
	if size := unsafe.Sizeof(packed{}); size != 12 {
		t.Errorf("a run takes %d bytes, wanted 12", size)
	}
}

func TestHistory_bounds(t *testing.T) {
	var h History
	h.runs = appended(h.runs, pack(time.Unix(-5, 0), probe.Fail, noReason, -time.Second))
	h.runs = appended(h.runs, pack(time.Unix(1<<40, 0), probe.Pass, 0, 1000*time.Hour))
	if runs := h.Runs(); runs[0].Latency != 0 || runs[0].Started.Unix() != 0 || runs[0].Reason.Word != "" || runs[1].Latency < 11*time.Hour {
		t.Errorf("got %+v", runs)
	}
	words := reasonTable{numbers: map[probe.Reason]uint8{}}
	for i := range 300 {
		words.intern(probe.Reason{Word: fmt.Sprint("reason", i)})
	}
	if len(words.reasons) != 255 || words.intern(probe.Reason{Word: "reason7"}) != 7 || words.intern(probe.Reason{Word: "another"}) != noReason {
		t.Errorf("%d reasons, wanted 255 and no more", len(words.reasons))
	}
}

func TestNewRunDetail(t *testing.T) {
	r := probe.NewResult(probe.ID{System: "ibex", Name: "proxy"})
	for i := range 200 {
		name := fmt.Sprint("check", i)
		if i == 150 || i == 199 {
			r.Fail(name, probe.Status, "no")
		} else {
			r.Pass(name, "yes")
		}
		r.Exchanged(probe.Exchange{Check: name, Reason: probe.OK, Status: 200})
	}
	s := newRunDetail(r)
	var names []string
	for _, c := range s.Checks {
		names = append(names, c.Name)
	}
	if len(s.Checks) != maxDetailChecks || s.MoreChecks != 160 || !strings.HasSuffix(strings.Join(names, " "), "check36 check37 check150 check199") {
		t.Errorf("kept %d checks, left %d: %s", len(s.Checks), s.MoreChecks, names)
	}
	last := s.Exchanges[len(s.Exchanges)-2:]
	if len(s.Exchanges) != maxDetailExchanges || s.MoreExchanges != 180 || last[0].Check != "check150" || last[1].Check != "check199" {
		t.Errorf("kept %d exchanges, left %d, the last for %s and %s", len(s.Exchanges), s.MoreExchanges, last[0].Check, last[1].Check)
	}
	r.Checks[0].Detail = "the probe's own copy"
	if s.Checks[0].Detail != "yes" {
		t.Error("the story changes with the result")
	}
}

func TestStatusStore_lastFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, j := NewStatusStore(), job("proxy")
		b.SetJobs([]probe.Job{j})
		if d, ok := b.Probe("ibex", "proxy"); !ok || d.Last != nil || d.Failed != nil || d.Job.Interval != j.Interval {
			t.Errorf("before the first run: %v %+v", ok, d)
		}
		begin := time.Now()
		for _, why := range []probe.Reason{probe.OK, probe.Status, probe.SelfNetwork, probe.OK} {
			b.Observe(resultOf(j, why))
			<-time.After(j.Interval)
		}
		d, _ := b.Probe("ibex", "proxy")
		if got := d.Last.Started.Sub(begin); got != 3*j.Interval {
			t.Errorf("the last run started after %s", got)
		}
		if d.Failed == nil || d.Failed.Started.Sub(begin) != j.Interval || d.Failed.Checks[1].Reason != probe.Status || len(d.Failed.Exchanges) != 2 {
			t.Errorf("the last failure is %+v; an inconclusive run is none", d.Failed)
		}
		for _, no := range [][2]string{{"ibex", "nobody"}, {"1pass", "proxy"}, {"", "proxy"}} {
			if _, ok := b.Probe(no[0], no[1]); ok {
				t.Errorf("there is a probe %s/%s", no[0], no[1])
			}
		}
		changed := j
		changed.Settings = "another question"
		b.SetJobs([]probe.Job{changed})
		if d, _ := b.Probe("ibex", "proxy"); d.Last != nil || d.Failed != nil || len(d.History.Runs()) != 0 {
			t.Error("what was seen by other settings is told of these")
		}
	})
}

func TestStatusStore_maintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, j := NewStatusStore(), job("proxy")
		end := time.Now().Add(time.Hour)
		j.Maintenance = []probe.Window{{Why: "database move", From: time.Now(), To: end}}
		b.SetJobs([]probe.Job{j, job("other")})
		rows := b.Statuses()
		if m := rows[0].Maintenance; m.Why != "database move" || !m.Until.Equal(end) || !rows[1].Maintenance.Until.IsZero() {
			t.Errorf("got %+v and %+v", m, rows[1].Maintenance)
		}
		<-time.After(time.Hour)
		if m := b.Statuses()[0].Maintenance; !m.Until.IsZero() {
			t.Errorf("when it is over: %+v", m)
		}
	})
}

func TestPublicURL(t *testing.T) {
	for address, want := range map[string]string{
		"https://docs.example/a?b=c#d": "https://docs.example/a#d", "javascript:alert(1)": "", "data:text/html,x": "", "//evil.example/": "",
		"ftp://docs.example/": "", "https:///nowhere": "", "": "", "\x7f": "",
	} {
		if got := publicURL(address); got != want {
			t.Errorf("%q leads to %q, wanted %q", address, got, want)
		}
	}
}
