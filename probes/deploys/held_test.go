package deploys

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// TestGitHub_order: neither a list of deployments nor one of statuses need be in order.
func TestGitHub_order(t *testing.T) {
	t.Parallel()
	c := ofGitHub("failure", "success", "inactive")
	list := c.answers["/repos/acme/api/deployments"].([]any)
	slices.Reverse(list)
	for _, id := range []int{1000, 999, 998} {
		slices.Reverse(c.answers[fmt.Sprintf("/repos/acme/api/deployments/%d/statuses", id)].([]any))
	}
	probetest.WantLines(t, run(t, c.github(t)), "fail", "latest fail(deploy_failed): expected the latest deploy to be live, got deploy 1000 of 3f2a91c03f2a, failure; live is deploy 999 of 91bc04d791bc", "stuck pass(ok): *")

	// The state of six is asked for only if none of five is live.
	states := append([]string{"success"}, slices.Repeat([]string{"inactive"}, 9)...)
	c = ofGitHub(states...)
	if run(t, c.github(t)); len(c.asked) != 1+maxMeasured {
		t.Errorf("expected %d requests, got %q", 1+maxMeasured, c.asked)
	}
	// Bounded also if they are not in order: the newest counts, which is the last.
	list = list[:0]
	for n := range githubPage {
		list = append(list, object{"id": n + 1, "sha": commitA, "created_at": before(time.Duration(20-n) * time.Hour)})
		c.answers[fmt.Sprintf("/repos/acme/api/deployments/%d/statuses", n+1)] = []any{object{"state": "success", "created_at": before(time.Hour)}}
	}
	c.answers["/repos/acme/api/deployments"] = list
	if r := run(t, c.github(t)); r.Deploys[0].ID != "10" {
		t.Errorf("expected the newest first, got %+v", r.Deploys)
	}
}

// TestGitHub_replaced: a deployment that was replaced went live when it was a success, not when it was replaced.
func TestGitHub_replaced(t *testing.T) {
	t.Parallel()
	c := ofGitHub("success", "inactive")
	for status, want := range map[string]time.Duration{"success": 90 * time.Minute, "in_progress": 0} {
		c.answers["/repos/acme/api/deployments/999/statuses"] = []any{
			object{"state": "inactive", "created_at": before(time.Minute)}, object{"state": status, "created_at": before(90 * time.Minute)},
		}
		ended := run(t, c.github(t)).Deploys[1].Ended
		if got := time.Since(ended).Round(time.Minute); want == 0 && !ended.IsZero() || want != 0 && got != want {
			t.Errorf("%s: it ended %s", status, ended)
		}
	}
}

// TestKubernetes_ended: a rollout went live at its last progress, and one that goes on has no end. What a complete one left
// behind is not live, though a pod of it still ends.
func TestKubernetes_ended(t *testing.T) {
	t.Parallel()
	c, d, _ := ofKubernetes()
	c.answers[setsPath].(object)["items"].([]any)[0] = replicaSet("1", "registry.example/proxy:1.4.1", 40*time.Hour, 1)
	r := run(t, c.kubernetes(t))
	if got := time.Since(r.Deploys[0].Ended).Round(time.Minute); got != 59*time.Minute {
		t.Errorf("it went live %s ago", got)
	}
	if r.Deploys[1].State != probe.DeploySuperseded {
		t.Errorf("the one before is %s", r.Deploys[1].State)
	}
	progressing(d, "True", "ReplicaSetUpdated", 1, 3)
	r = run(t, c.kubernetes(t))
	if !r.Deploys[0].Ended.IsZero() || r.Deploys[1].State != probe.DeployLive {
		t.Errorf("in progress: got %+v", r.Deploys)
	}
}

// TestKubernetes_rollbackSeenLate: of a rollback that was made before the first run, the start stays what it was at first.
func TestKubernetes_rollbackSeenLate(t *testing.T) {
	t.Parallel()
	c, _, newest := ofKubernetes()
	newest["metadata"].(object)["annotations"].(object)["deployment.kubernetes.io/revision-history"] = "1"
	p := c.kubernetes(t)
	for n := range 3 {
		if got := time.Since(run(t, p).Deploys[0].Started).Round(time.Minute); got != 59*time.Minute {
			t.Errorf("run %d: it started %s ago", n+1, got)
		}
	}
}

// TestFreeze_why: the message says why deploys are frozen. A deploy without a time that is older than one before the freeze was
// not made in it.
func TestFreeze_why(t *testing.T) {
	t.Parallel()
	noTime := renderEntry("dep-1", "deactivated", commitB, 0)
	for _, field := range []string{"createdAt", "startedAt"} {
		delete(noTime["deploy"].(object), field)
	}
	for why, words := range map[string]string{"end of year": "Z (end of year)", "": "Z"} {
		for name, age := range map[string]time.Duration{"fail": time.Hour, "pass": 3 * time.Hour} {
			p := ofRender(renderEntry("dep-2", "live", commitA, age), noTime).render(t)
			p.Freeze = &Freeze{Windows: []FreezeWindow{{Why: why, WindowTimes: probe.WindowTimes{From: before(2 * time.Hour), To: before(-time.Hour)}}}}
			last := run(t, p).Checks[3]
			want := words
			if name == "fail" {
				want += ", got"
			}
			if last.Verdict.String() != name || !strings.Contains(last.Detail+"\n", want+map[string]string{"fail": " ", "pass": "\n"}[name]) {
				t.Errorf("%s, %q: got %s: %s", name, why, last.Verdict, last.Detail)
			}
		}
	}
}

// TestLimitOf: for how long a platform is left alone.
func TestLimitOf(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_900_000_000, 0)
	for _, test := range []struct {
		headers map[string]string
		want    time.Duration
		limited bool
	}{
		{map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1900000600"}, 10 * time.Minute, true},
		{map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1899999000"}, 0, true},
		{map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "45"}, 45 * time.Second, true},
		{map[string]string{"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "1900000600"}, 0, false},
		{map[string]string{"Retry-After": now.Add(time.Minute).UTC().Format(http.TimeFormat)}, time.Minute, true},
		{map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "1"}, time.Second, true},
		{map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "0"}, 0, true},
		{map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "-45"}, 0, true},
		{map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "1099511627775"}, maxWait, true}, // one less than 2^40
		{map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "1099511627776"}, 0, true},
		{map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "99999999999999999999"}, 0, true},
		{map[string]string{"Retry-After": "-5"}, 0, true},
		{map[string]string{"Retry-After": "99999999999999999999"}, 0, true},
		{nil, 0, false},
	} {
		h := http.Header{}
		for k, v := range test.headers {
			h.Set(k, v)
		}
		if got, limited := limitOf(h, now); got != test.want || limited != test.limited {
			t.Errorf("%v: expected %s, %t, got %s, %t", test.headers, test.want, test.limited, got, limited)
		}
	}
}

// TestRender_cursor: a cursor of as many bytes as there may be is asked with, and that of the last deploy of a page alone.
func TestRender_cursor(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]bool{maxCursor: true, maxCursor + 1: false} {
		c := ofRender()
		var page []any
		for n := range renderPage {
			e := renderEntry(fmt.Sprintf("dep-%d", n), "build_failed", commitB, time.Duration(n+1)*time.Hour)
			e["cursor"] = strings.Repeat("c", 100_000)
			page = append(page, e)
		}
		page[renderPage-1].(object)["cursor"] = strings.Repeat("c", length)
		c.answers["/v1/services/srv-1/deploys"] = page
		got := probetest.NotPassed(run(t, c.render(t)))
		if asked := !strings.Contains(got, "expected a cursor of at most"); asked != want {
			t.Errorf("%d bytes: asked for the next page %t\n%.300s", length, asked, got)
		}
	}
}

// TestNamed: a deploy has no end while it is under way, nor one before its start.
func TestNamed(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_900_000_000, 0)
	for name, c := range map[string]struct {
		state probe.DeployState
		ended time.Time
		want  bool
	}{
		"ended after its start":  {probe.DeployLive, at.Add(time.Minute), true},
		"ended at once":          {probe.DeployLive, at, true},
		"ended before its start": {probe.DeployLive, at.Add(-time.Minute), false},
		"under way, and ended":   {probe.DeployInProgress, at.Add(time.Minute), false},
	} {
		d := deploy{}
		d.State, d.Started, d.Ended = c.state, at, c.ended
		if got := named([]deploy{d})[0]; got.Ended.IsZero() == c.want {
			t.Errorf("%s: ended %s", name, got.Ended)
		}
	}
}

// TestRecent: the deploys of the last run that had some are remembered, also if it is one.
func TestRecent(t *testing.T) {
	t.Parallel()
	var c recent
	one, two := make([]deploy, 1), make([]deploy, 2)
	for i, step := range []struct {
		all  []deploy
		want int
	}{{nil, 0}, {one, 1}, {nil, 1}, {two, 2}, {one, 1}, {nil, 1}} {
		if got := len(c.update(step.all)); got != step.want {
			t.Errorf("run %d: %d are known, expected %d", i, got, step.want)
		}
	}
}

func TestRevision(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"3": 3, "0": 0, "": 0, "x": 0, "-3": 0, "99999999999999999999": 0} {
		if got := revision(&kubernetes.Metadata{Annotations: map[string]string{kubernetes.Revision: text}}); got != want {
			t.Errorf("%q: got %d, expected %d", text, got, want)
		}
	}
}

// TestMoment: a time before there were any, or in the future, is unknown.
func TestMoment(t *testing.T) {
	t.Parallel()
	for text, known := range map[string]bool{
		"1970-01-01T00:00:00Z": true, "1969-12-31T23:59:59Z": false, "0001-01-01T00:00:00Z": false, "": false, "yesterday": false,
		time.Now().Add(maxClockDifference / 2).Format(time.RFC3339): true, time.Now().Add(2 * maxClockDifference).Format(time.RFC3339): false,
	} {
		if got := moment(text); got.IsZero() == known {
			t.Errorf("%q: got %s", text, got)
		}
	}
}

// TestClose_running: the connection to what answers is closed too.
func TestClose_running(t *testing.T) {
	url, open := testenv.ServeCounted(t, probetest.Respond(200, "application/json", `{"commit": "`+commitA+`"}`))
	p := ofRender(renderEntry("dep-2", "live", commitA, time.Hour)).render(t)
	p.runsAt(t, url)
	p.Runs.Connection = "reuse"
	run(t, p)
	testenv.WantClosed(t, p, 1, open)
}
