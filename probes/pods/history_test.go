package pods

import (
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// Restarts count from the onset of an incident; one that began before the prober saw the container is known by its time.
func TestRestarts(t *testing.T) {
	onset := probe.Incident{Start: time.Now().Add(-20 * time.Minute)}
	over := onset
	over.End = time.Now().Add(-time.Minute)
	zero := 0
	for name, test := range map[string]struct {
		incident probe.Incident
		max      *int
		ago      []time.Duration // of the restart of each pod
		want     []string
	}{
		"none, calm":                      {probe.Incident{}, nil, nil, []string{"pass"}},
		"three, calm":                     {probe.Incident{}, nil, []time.Duration{time.Minute, time.Minute, time.Minute}, []string{"pass"}},
		"one, calm, none accepted":        {probe.Incident{}, &zero, []time.Duration{time.Minute}, []string{"fail", "restarts fail(restarted): expected at most 0 restarts in the last 10m, got at least 1"}},
		"one, long ago, none accepted":    {probe.Incident{}, &zero, []time.Duration{11 * time.Minute}, []string{"pass"}},
		"one since the onset":             {onset, nil, []time.Duration{time.Minute}, []string{"fail", "restarts fail(restarted): expected no restart since the onset of the incident 20 minutes ago, got at least 1"}},
		"one since the onset, and calm":   {onset, nil, []time.Duration{11 * time.Minute}, []string{"pass"}},
		"one before the onset":            {onset, nil, []time.Duration{21 * time.Minute}, []string{"pass"}},
		"one since an onset that is over": {over, nil, []time.Duration{time.Minute}, []string{"pass"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy()
			for i, at := range test.ago {
				w.crashed(i, 1, "Error", 1, 5*time.Hour, at)
			}
			p := w.probe(t)
			p.MaxRestarts = test.max
			want(t, runIn(t, p, test.incident), test.want...)
		})
	}
	w := healthy()
	w.crashed(0, 1, "Error", 1, 5*time.Hour, 9*time.Minute)
	early := probe.Incident{Start: time.Now().Add(-8 * time.Minute)} // a restart just before it
	r := runIn(t, w.probe(t), early)
	want(t, r, "pass")
}

// Between two runs of the prober the count of the kubelet says how many restarts there were.
func TestRestarts_counted(t *testing.T) {
	w := healthy()
	w.crashed(0, 40, "Error", 1, 6*time.Hour, 5*time.Hour)
	p := w.probe(t)
	want(t, run(t, p), "pass")
	added := func(r probe.Result) (sum float64) {
		for _, s := range r.Samples {
			if s.Measure == restartsCounter {
				sum += s.Value
			}
		}
		return sum
	}
	w.crashed(0, 43, "Error", 1, 2*time.Hour, time.Minute)
	r := run(t, p)
	want(t, r, "pass")
	if added(r) != 3 {
		t.Errorf("counted %v", added(r))
	}
	w.crashed(0, 44, "Error", 1, 2*time.Hour, time.Second)
	r = run(t, p)
	want(t, r, "fail", "restarts fail(restarted): expected at most 3 restarts in the last 10m, got at least 4")
	if added(r) != 1 {
		t.Errorf("counted %v", added(r))
	}
	w.container(0)["restartCount"] = 0 // made again under the same uid, as static pods are
	if r = run(t, p); added(r) != 0 {
		t.Errorf("counted %v", added(r))
	}
}

// What was restarted before the prober looked may have been restarted more often than is known.
func TestRestarts_beforeTheFirstRun(t *testing.T) {
	for name, test := range map[string]struct {
		restarts   int
		start, end time.Duration // how long ago the run before began and ended
		want       []string
	}{
		"one":                          {1, 3 * time.Minute, time.Minute, []string{"pass", "restarts pass(ok): 1 restart in the last 10m"}},
		"as many as are accepted":      {3, 3 * time.Minute, time.Minute, []string{"restarts pass(ok): 1 restart in the last 10m"}},
		"more, after a short run":      {7, 3 * time.Minute, time.Minute, []string{"inconclusive", "restarts inconclusive(settling): expected at most 3 restarts in the last 10m, got at least 1, and when 6 restarts more were made is unknown: the prober did not look yet"}},
		"more, after a long run":       {7, 11 * time.Minute, time.Minute, []string{"pass", "restarts pass(ok): 1 restart in the last 10m"}},
		"more, the last a while ago":   {7, 13 * time.Minute, 11 * time.Minute, []string{"pass", "restarts pass(ok): 0 restarts in the last 10m"}},
		"very many, after a short run": {1 << 40, 3 * time.Minute, time.Minute, []string{"inconclusive", "restarts inconclusive(settling): *99 restarts more*"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy()
			w.crashed(0, test.restarts, "Error", 1, test.start, test.end)
			r := run(t, w.probe(t))
			got := map[string]string{}
			for _, c := range r.Checks {
				got[c.Name] = c.Name + " " + c.Verdict.String() + "(" + c.Reason.Word + "): " + c.Detail
			}
			last := test.want[len(test.want)-1]
			if before, after, any := strings.Cut(last, "*"); got["restarts"] != last && !(any && strings.HasPrefix(got["restarts"], before) && strings.Contains(got["restarts"], strings.TrimSuffix(after, "*"))) {
				t.Errorf("got %s\nexpected %s", got["restarts"], last)
			}
		})
	}
}

// An init container is done long before the prober looks: its last start is known, by which nothing was restarted lately.
func TestRestarts_initContainerThatIsDone(t *testing.T) {
	for name, test := range map[string]struct {
		start time.Duration
		want  []string
	}{
		"long ago": {30 * 24 * time.Hour, []string{"pass"}},
		"lately":   {5 * time.Minute, []string{"inconclusive", "restarts inconclusive(settling): *"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy()
			in(w.pods[2], "status")["initContainerStatuses"] = []any{object{"name": "init", "restartCount": 7, "state": object{"terminated": object{"reason": "Completed", "exitCode": 0, "startedAt": ago(test.start), "finishedAt": ago(test.start - time.Minute)}}}}
			zero := 0
			p := w.probe(t)
			if p.MaxRestarts = &zero; name == "lately" {
				p.MaxRestarts = nil
			}
			want(t, run(t, p), test.want...)
		})
	}
}

// It is known again once all that may have been is over.
func TestRestarts_settle(t *testing.T) {
	w, p, h := healthy(), New(), &history{}
	w.crashed(0, 7, "Error", 1, 3*time.Minute, time.Minute)
	now := time.Now()
	s := w.snapshot(t, now)
	for _, test := range []struct {
		after time.Duration
		want  probe.Reason
	}{{0, probe.Settling}, {9*time.Minute - 2*time.Second, probe.Settling}, {9*time.Minute + 2*time.Second, probe.OK}} {
		s.now = now.Add(test.after)
		if o := p.restarts(t.Context(), s, h.update(s)); o.Reason.Word != test.want.Word {
			t.Errorf("after %s: %s: %s", test.after, o.Reason.Word, o.Detail)
		}
	}
}

// A pod that ran out of memory may be replaced, and all that the API knew of it is gone.
func TestOOMKilled_remembered(t *testing.T) {
	w := healthy()
	w.crashed(0, 1, "OOMKilled", 137, time.Hour, 14*time.Minute)
	p := w.probe(t)
	want(t, run(t, p), "fail", "oom_killed fail(oom_killed): 1 pod: *")
	in(w.pods[0], "metadata")["uid"] = "p-9"
	w.container(0)["lastState"], w.container(0)["restartCount"] = object{}, 0
	want(t, run(t, p), "fail", "oom_killed fail(oom_killed): a container of a pod that is gone was killed for want of memory (OOMKilled), 14 minutes ago")
	p.history.oom.at = time.Now().Add(-oomRecent)
	want(t, run(t, p), "pass")
}

// A pod that nobody creates becomes a failure in time, and so does one that is not ready.
func TestReady_lasting(t *testing.T) {
	now := time.Now()
	w := healthy()
	w.pods = w.pods[:2]
	s, p, h := w.snapshot(t, now), New(), &history{}
	if o := p.ready(s, h); o.Reason != probe.Settling {
		t.Errorf("got %s", o.Reason)
	}
	s.now = now.Add(5*time.Minute - time.Second)
	if o := p.ready(s, h); o.Reason != probe.Settling {
		t.Errorf("got %s", o.Reason)
	}
	s.now = now.Add(5 * time.Minute)
	if o := p.ready(s, h); o.Reason != probe.Replicas {
		t.Errorf("got %s", o.Reason)
	}
	full := healthy().snapshot(t, s.now)
	if o := p.ready(full, h); !o.Passed() {
		t.Errorf("got %s", o.Detail)
	}
	if o := p.ready(s, h); o.Reason != probe.Settling {
		t.Errorf("again: got %s", o.Reason)
	}
}
