package incident

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"prober/internal/probe"
)

// at has a run of a check of each of two targets, of a version; what fails there is named.
func at(version string, failing ...string) func(*probe.Result) {
	return func(r *probe.Result) {
		r.Each([]string{"10.0.0.1:80", "10.0.0.2:80"}, func(i int, r *probe.Result) {
			trace := fmt.Sprintf("%032x", i+1)
			r.Exchanged(probe.Exchange{Check: "live", Target: r.Target(), TraceID: trace, Version: version, Reason: probe.OK, Started: r.Started})
			if slices.Contains(failing, r.Target()) {
				r.Fail("live", probe.Status, "expected 200, got 500")
			} else {
				r.Pass("live", "answers 200")
			}
		})
	}
}

// TestNote_scope: whether it fails everywhere, and which version passed last there if it was another one.
func TestNote_scope(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, during string // versions
		failing        []string
		want, lacks    string
	}{
		"at all targets":    {"1.4.1", "1.4.2", []string{"10.0.0.1:80", "10.0.0.2:80"}, "proxy fails at all of its 2 targets\n", "does not fail everywhere"},
		"at one of two":     {"1.4.1", "1.4.2", []string{"10.0.0.2:80"}, "proxy does not fail everywhere: at 1 of 2 targets (10.0.0.2:80)\n", "fails at all"},
		"a new version":     {"1.4.1", "1.4.2", []string{"10.0.0.2:80"}, "last version that passed `1.4.1`", "passed `1.4.2`"},
		"the same version":  {"1.4.1", "1.4.1", []string{"10.0.0.2:80"}, "version `1.4.1`", "last version that passed"},
		"it never had one":  {"", "1.4.2", []string{"10.0.0.2:80"}, "version `1.4.2`", "last version that passed"},
		"without a version": {"1.4.1", "", []string{"10.0.0.2:80"}, "last version that passed `1.4.1`", "passed ``"},
	} {
		tracker := New()
		tracker.SetJobs(jobs())
		see(tracker, "proxy", 0, at(c.before))
		see(tracker, "proxy", 1, at(c.during, c.failing...))
		if note := tracker.Note("ibex"); !strings.Contains(note, c.want) || strings.Contains(note, c.lacks) {
			t.Errorf("%s: expected %q and not %q in\n%s", name, c.want, c.lacks, note)
		}
	}
}

// TestNote_scopeWithoutTargets: what fails as a whole, while each of its targets passes, is not said to fail at none of them.
func TestNote_scopeWithoutTargets(t *testing.T) {
	t.Parallel()
	tracker := New()
	tracker.SetJobs(jobs())
	see(tracker, "proxy", 0, func(r *probe.Result) {
		at("1.4.1")(r)
		r.Fail("replicas", probe.Replicas, "expected 3, found 2")
	})
	if note := tracker.Note("ibex"); !strings.Contains(note, "proxy replicas") || strings.Contains(note, "of 2 targets") {
		t.Errorf("got\n%s", note)
	}
}

// TestNote_passingFromHere: a probe that passed while another failed shows that the network is well, until it fails too.
func TestNote_passingFromHere(t *testing.T) {
	t.Parallel()
	fails := func(r *probe.Result) { r.Fail("live", probe.Refused, "expected 200, nobody listens") }
	tracker := New()
	tracker.SetJobs(jobs())
	see(tracker, "proxy", 0, fails)
	see(tracker, "auth", 1, well)
	see(tracker, "tenants", 1, well)
	const lead = "not the prober's own network: passing from here: "
	if note := tracker.Note("ibex"); !strings.Contains(note, lead+"auth, tenants\n") && !strings.Contains(note, lead+"auth and tenants\n") {
		t.Errorf("got\n%s", note)
	}
	see(tracker, "auth", 2, fails)
	if note := tracker.Note("ibex"); !strings.Contains(note, lead+"tenants\n") {
		t.Errorf("after auth failed too: got\n%s", note)
	}
}

// TestNote_probeComesBack: a probe that a reload took away, and that fails once it is back, is probed.
func TestNote_probeComesBack(t *testing.T) {
	t.Parallel()
	tracker := New()
	tracker.SetJobs(jobs())
	see(tracker, "proxy", 0, oneReplicaDown)
	see(tracker, "auth", 0, oneReplicaDown)
	tracker.SetJobs(jobs()[1:])
	tracker.SetJobs(jobs())
	see(tracker, "proxy", 1, oneReplicaDown)
	see(tracker, "proxy", 2, well)
	see(tracker, "auth", 2, well)
	if note := tracker.Note("ibex"); !strings.Contains(note, "recovery verified") || strings.Contains(note, "no longer probed") {
		t.Errorf("got\n%s", note)
	}
}

// TestBreaches_besideAFailure: a breach is found wherever it stands among what failed, and nothing else is one.
func TestBreaches_besideAFailure(t *testing.T) {
	t.Parallel()
	broken := func(r *probe.Result) { r.Fail("listed", probe.Status, "expected 200, got 500") }
	leaks := func(r *probe.Result) { r.Fail("isolated", leak, "org-b read an object of org-a") }
	for name, c := range map[string]struct {
		run  []func(*probe.Result)
		want string
	}{
		"a failure":                 {[]func(*probe.Result){broken}, ""},
		"a failure, then a breach":  {[]func(*probe.Result){broken, leaks}, "leak"},
		"a breach, then a failure":  {[]func(*probe.Result){leaks, broken}, "leak"},
		"a pass, then a breach":     {[]func(*probe.Result){well, leaks}, "leak"},
		"something else, then both": {[]func(*probe.Result){func(r *probe.Result) { r.Inconclusive("x", probe.Timeout, "") }, broken, leaks}, "leak"},
	} {
		tracker := New()
		tracker.SetJobs(jobs())
		see(tracker, "tenants", 0, func(r *probe.Result) {
			for _, note := range c.run {
				note(r)
			}
		})
		got := ""
		for _, b := range tracker.Breaches() {
			got += b.Reason
		}
		if got != c.want {
			t.Errorf("%s: got %q, expected %q", name, got, c.want)
		}
	}
}

// TestNote_publicNotice: the text for customers names the components of the probes that failed, each once, and no others.
func TestNote_publicNotice(t *testing.T) {
	t.Parallel()
	all := jobs()
	all[0].Components, all[1].Components, all[2].Components = []string{"Login", "Shop"}, []string{"Mail"}, []string{"Shop"}
	tracker := New()
	tracker.SetJobs(all)
	for _, name := range []string{"proxy", "auth", "tenants"} {
		see(tracker, name, 0, well)
	}
	fails := func(r *probe.Result) { r.Fail("live", probe.Status, "expected 200, got 500") }
	see(tracker, "proxy", 1, fails)
	see(tracker, "tenants", 1, fails)
	const want = "there are problems with Login and Shop. We are working on it."
	if note := tracker.Note("ibex"); !strings.Contains(note, want) && !strings.Contains(note, strings.Replace(want, " and ", ", ", 1)) || strings.Contains(note, "Mail") {
		t.Errorf("expected %q in\n%s", want, note)
	}
}

// TestSystems: those whose incident goes on stand first.
func TestSystems(t *testing.T) {
	t.Parallel()
	tracker := New()
	var all []probe.Job
	for _, system := range []string{"a", "b", "c", "d"} {
		all = append(all, probe.Job{ID: probe.ID{System: system, Name: "up"}})
	}
	tracker.SetJobs(all)
	observe := func(system string, v func(*probe.Result), minute int) {
		see(tracker, "", minute, func(r *probe.Result) { r.ID = probe.ID{System: system, Name: "up"}; v(r) })
	}
	fails := func(r *probe.Result) { r.Fail("live", probe.Status, "expected 200, got 500") }
	for _, system := range []string{"d", "c", "b", "a"} {
		observe(system, fails, 0)
	}
	observe("a", well, 1)
	observe("c", well, 1)
	if got := fmt.Sprint(tracker.Systems()); got != "[b d a c]" {
		t.Errorf("got %s", got)
	}
}

// TestIncident_newestDeploys: of several rollouts near the onset the newest stands first, and the five newest are kept, whether they
// were known when the first probe failed or are reported later.
func TestIncident_newestDeploys(t *testing.T) {
	t.Parallel()
	for _, known := range []int{0, 1, 4, 7} {
		w := newDeployWorld()
		w.wellFor(0, 20)
		for n := range 7 {
			if w.deploy(fmt.Sprintf("dep-%d", n), "1.4.2", float64(21+n), probe.DeployLive); n+1 == known {
				w.report(29)
			}
		}
		w.fails("proxy", 30)
		w.report(31)
		got := ""
		for _, d := range w.Incident("ibex").Near["deploys"] {
			got += d.ID + " "
		}
		if got != "dep-6 dep-5 dep-4 dep-3 dep-2 " {
			t.Errorf("%d were known: got %s", known, got)
		}
	}
}
