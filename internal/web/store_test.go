package web

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"prober/internal/probe"
)

func job(name string) probe.Job {
	return probe.Job{
		ID:         probe.ID{System: "ibex", Name: name, Type: "http", Runbook: "proxy-down", Severity: "P1"},
		RunbookURL: "https://user:hunter2@docs.example/page?token=hunter2#proxy-down",
		Interval:   30 * time.Second, Timeout: 5 * time.Second,
	}
}

// resultOf is a result of a run that starts now.
func resultOf(j probe.Job, why probe.Reason) probe.Result {
	r := probe.NewResult(j.ID)
	r.Started, r.Took = time.Now(), 40*time.Millisecond
	r.Pass("certificate", "41 days left")
	if why == probe.OK {
		r.Pass("status", "wanted 200, got 200")
	} else {
		r.Report("status", why, "wanted 200, got something else")
	}
	r.Exchanged(probe.Exchange{Check: "status", Took: 12 * time.Millisecond, TraceID: "4bf9", Version: "1.4.2"})
	r.Exchanged(probe.Exchange{Check: "other", Took: 3 * time.Millisecond, TraceID: "0000"})
	return *r
}

func TestStatusStore_since(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, j := NewStatusStore(), job("proxy")
		b.SetJobs([]probe.Job{j})
		row := b.Statuses()[0]
		if row.Verdict != probe.Inconclusive || row.Reason != probe.NothingChecked || row.Detail != "not run yet" || !row.Since.IsZero() || !row.LastRun.IsZero() {
			t.Errorf("before the first run: %+v", row)
		}
		if row.RunbookURL != "https://docs.example/page#proxy-down" {
			t.Errorf("the runbook is at %s", row.RunbookURL)
		}
		begin := time.Now()
		at := func() time.Duration { return time.Since(begin) }
		for _, step := range []struct {
			why     probe.Reason
			verdict probe.Verdict
			since   time.Duration
			failing int
		}{
			{probe.OK, probe.Pass, 0, 0},
			{probe.OK, probe.Pass, 0, 0},
			{probe.Status, probe.Fail, 60 * time.Second, 1},
			{probe.Timeout, probe.Fail, 60 * time.Second, 1}, // another reason is the same verdict
			{probe.SelfNetwork, probe.Inconclusive, 120 * time.Second, 1},
			{probe.OK, probe.Pass, 150 * time.Second, 0},
		} {
			now := at()
			b.Observe(resultOf(j, step.why))
			row := b.Statuses()[0]
			if row.Verdict != step.verdict || row.Since.Sub(begin) != step.since || row.LastRun.Sub(begin) != now || len(row.Failing) != step.failing {
				t.Errorf("at %s: got %s since %s, last run at %s, failing %v", now, row.Verdict, row.Since.Sub(begin), row.LastRun.Sub(begin), row.Failing)
			}
			if step.failing > 0 && (row.Reason != step.why || row.Check != "status" || row.TraceID != "4bf9" || row.Version != "1.4.2") {
				t.Errorf("at %s: got %+v", now, row)
			}
			if row.Latency != 12*time.Millisecond {
				t.Errorf("latency %s", row.Latency)
			}
			<-time.After(j.Interval)
		}
	})
}

func TestStatusStore_overdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, j := NewStatusStore(), job("proxy")
		b.SetJobs([]probe.Job{j})
		b.Observe(resultOf(j, probe.OK))
		last := time.Now()
		<-time.After(2*j.Interval + j.Timeout)
		if row := b.Statuses()[0]; row.Verdict != probe.Pass || row.Overdue {
			t.Errorf("one skipped run is no reason to doubt: %+v", row)
		}
		<-time.After(time.Minute)
		row := b.Statuses()[0]
		want := "expected a run every 30s, the last one was at " + formatDateTime(last) + " and ended with pass"
		if row.Verdict != probe.Inconclusive || !row.Overdue || row.Reason != probe.StaleOrCached || row.Detail != want || !row.Since.After(last) {
			t.Errorf("got %+v", row)
		}
		b.Observe(resultOf(j, probe.OK))
		if row := b.Statuses()[0]; row.Verdict != probe.Pass || row.Overdue || !row.Since.Equal(last) {
			t.Errorf("after a new run: %+v", row)
		}
	})
}

// A probe whose target asked to be left alone is not out of date until it should have run again, and says why it waits.
func TestStatusStore_rateLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, j := NewStatusStore(), job("proxy")
		b.SetJobs([]probe.Job{j})
		b.Observe(resultOf(j, probe.RateLimited))
		until := time.Now().Add(10 * time.Minute)
		b.Limited(j.ID, until)
		<-time.After(9 * time.Minute)
		want := "it is not run before " + formatDateTime(until) + ", because its target asked for fewer requests"
		if row := b.Statuses()[0]; row.Overdue || row.Reason != probe.RateLimited || !strings.HasSuffix(row.Detail, want) || !row.Limited.Equal(until) {
			t.Errorf("while it waits: %+v", row)
		}
		<-time.After(5 * time.Minute)
		if row := b.Statuses()[0]; !row.Overdue {
			t.Errorf("when it should have run again: %+v", row)
		}
		b.Observe(resultOf(j, probe.OK))
		b.Limited(j.ID, time.Time{})
		if row := b.Statuses()[0]; row.Overdue || strings.Contains(row.Detail, want) || !row.Limited.IsZero() {
			t.Errorf("after a pass: %+v", row)
		}
	})
}

// Since when a probe has its verdict comes from the history, so that a restart changes nothing.
func TestStatusStore_rememberedSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, j := NewStatusStore(), job("proxy")
		since := time.Now().Add(-3 * time.Hour)
		b.Since = func(id probe.ID) probe.Since {
			if id != j.ID {
				t.Errorf("asked of %v", id)
			}
			return probe.Since{At: since, Exact: true}
		}
		b.SetJobs([]probe.Job{j})
		b.Observe(resultOf(j, probe.Status))
		if row := b.Statuses()[0]; !row.Since.Equal(since) || !row.SinceExact {
			t.Errorf("it fails since %s, expected %s", row.Since, since)
		}
		since = time.Time{}
		<-time.After(j.Interval)
		b.Observe(resultOf(j, probe.OK))
		if row := b.Statuses()[0]; !row.Since.Equal(time.Now()) {
			t.Errorf("it passes since %s", row.Since)
		}
		<-time.After(j.Interval)
		b.Observe(resultOf(j, probe.Status))
		if row := b.Statuses()[0]; !row.Since.Equal(time.Now()) {
			t.Errorf("it fails since %s, expected the run itself", row.Since)
		}
	})
}

func TestStatusStore_reload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewStatusStore()
		stays, goes, changes := job("stays"), job("goes"), job("changes")
		b.SetJobs([]probe.Job{stays, goes, changes})
		for _, j := range []probe.Job{stays, goes, changes} {
			b.Observe(resultOf(j, probe.Status))
		}
		begin := time.Now()
		<-time.After(time.Second)

		stays.Severity, stays.Interval = "P2", time.Minute
		other := changes
		other.Type = "health"
		b.SetJobs([]probe.Job{job("new"), other, stays})
		b.Observe(resultOf(goes, probe.Status))
		b.Observe(resultOf(changes, probe.Status))
		rows := b.Statuses()
		if len(rows) != 3 || rows[0].Name != "new" || rows[1].Name != "changes" || rows[2].Name != "stays" {
			t.Fatalf("got %+v", rows)
		}
		if !rows[0].LastRun.IsZero() || !rows[1].LastRun.IsZero() {
			t.Error("a new probe, or one of a new type, has a past")
		}
		if r := rows[2]; r.Verdict != probe.Fail || !r.Since.Equal(begin) || r.Severity != "P2" || r.Interval != time.Minute {
			t.Errorf("the probe that stays: %+v", r)
		}
	})
}

func TestStatusStore_olderRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, j := NewStatusStore(), job("proxy")
		b.SetJobs([]probe.Job{j, j})
		old := resultOf(j, probe.OK)
		<-time.After(time.Second)
		b.Observe(resultOf(j, probe.Status))
		b.Observe(old)
		if rows := b.Statuses(); len(rows) != 1 || rows[0].Verdict != probe.Fail {
			t.Errorf("got %+v", rows)
		}
	})
}

func TestStatusStore_concurrentUse(t *testing.T) {
	b := NewStatusStore()
	var jobs []probe.Job
	for i := range 20 {
		jobs = append(jobs, job(fmt.Sprint("p", i)))
	}
	b.SetJobs(jobs)
	var all sync.WaitGroup
	for _, j := range jobs {
		all.Go(func() {
			for range 50 {
				b.Observe(resultOf(j, probe.Status))
			}
		})
		all.Go(func() {
			for range 20 {
				for _, row := range b.Statuses() {
					if len(row.Failing) > 0 {
						row.Failing[0].Detail = "the caller's own copy"
					}
				}
			}
		})
		all.Go(func() { b.SetJobs(jobs[:10]); b.SetJobs(jobs) })
	}
	all.Wait()
	if n := len(b.Statuses()); n != 10 && n != 20 {
		t.Errorf("%d rows", n)
	}
}
