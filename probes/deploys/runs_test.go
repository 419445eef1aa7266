package deploys

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
	"prober/probes/internal/replicas"
)

// service answers /version like a service of a version; with an empty one it states none.
func service(t *testing.T, version string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if status, err := fmt.Sscanf(version, "%d ", new(int)); status == 1 && err == nil {
			w.WriteHeader(503)
		}
		fmt.Fprintf(w, `{"commit":%q}`, version)
	}))
	t.Cleanup(s.Close)
	return s
}

// runsAt has the probe ask where the service states its version.
func (p *Probe) runsAt(t *testing.T, url string) *Probe {
	t.Helper()
	p.Runs = &Runs{URL: url}
	p.Runs.Version = &httpx.Source{JSON: probetest.Path(t, "$.commit")}
	return p
}

// TestRunning: what answers is what was deployed.
func TestRunning(t *testing.T) {
	t.Parallel()
	missing := func(d object, fields ...string) object {
		for _, f := range fields {
			delete(d["deploy"].(object), f)
		}
		return d
	}
	entry := renderEntry
	for name, test := range map[string]struct {
		deploys []object
		version string
		want    string
	}{
		"the live one":           {[]object{entry("dep-2", "live", commitA, time.Hour)}, commitA, "pass(ok): got version 3f2a91c03f2a, as deployed"},
		"abbreviated":            {[]object{entry("dep-2", "live", commitA, time.Hour)}, commitA[:7], "pass(ok): got version 3f2a91c, as deployed"},
		"the one before":         {[]object{entry("dep-2", "live", commitA, time.Hour), entry("dep-1", "deactivated", commitB, 5*time.Hour)}, commitB, "fail(not_running): expected deploy dep-2 of 3f2a91c03f2a, which is live, got deploy dep-1 of 91bc04d791bc (deactivated)"},
		"one that failed":        {[]object{entry("dep-3", "update_failed", commitC, time.Minute), entry("dep-2", "live", commitA, time.Hour)}, commitC, "fail(not_running): expected deploy dep-2 of 3f2a91c03f2a, which is live, got deploy dep-3 of c0ffee12c0ff (update_failed)"},
		"one that nobody knows":  {[]object{entry("dep-2", "live", commitA, time.Hour)}, "1.4.2", "fail(not_running): expected deploy dep-2 of 3f2a91c03f2a, which is live, got version 1.4.2"},
		"the one in progress":    {[]object{entry("dep-3", "update_in_progress", commitC, time.Minute), entry("dep-2", "live", commitA, time.Hour)}, commitC, "pass(ok): got version c0ffee12c0ff, of a deploy in progress"},
		"before the one begins":  {[]object{entry("dep-3", "update_in_progress", commitC, time.Minute), entry("dep-2", "live", commitA, time.Hour)}, commitA, "pass(ok): got version 3f2a91c03f2a, as deployed"},
		"live just now":          {[]object{entry("dep-2", "live", commitA, 4*time.Minute), entry("dep-1", "deactivated", commitB, 5*time.Hour)}, commitB, "inconclusive(settling): expected deploy dep-2 of 3f2a91c03f2a, got deploy dep-1 of 91bc04d791bc (deactivated); that is a failure if it lasts for 5m (version_grace)"},
		"live since unknown":     {[]object{missing(entry("dep-2", "live", commitA, time.Hour), "finishedAt", "startedAt", "createdAt")}, commitB, "inconclusive(settling): *"},
		"not finished, long ago": {[]object{missing(entry("dep-2", "live", commitA, time.Hour), "finishedAt")}, commitB, "fail(not_running): *"},
		"not finished, just now": {[]object{missing(entry("dep-2", "live", commitA, 10*time.Minute), "finishedAt")}, commitB, "inconclusive(settling): *"},
		"no commit":              {[]object{missing(entry("dep-2", "live", commitA, time.Hour), "commit")}, commitA, "inconclusive(control_failed): got version 3f2a91c03f2a; the platform does not report the version of dep-2, which is live"},
		"none is live":           {[]object{entry("dep-2", "deactivated", commitA, time.Hour)}, commitA, "inconclusive(no_live_deploy): got deploy dep-2 of 3f2a91c03f2a (deactivated); no deploy is known to be live"},
		"no deploys":             {nil, commitA, "inconclusive(control_failed): got version 3f2a91c03f2a; what was deployed is unknown (no_deploys)"},
		"no version":             {[]object{entry("dep-2", "live", commitA, time.Hour)}, "", "inconclusive(no_version): expected the version of what answers, got none, or one in another form"},
		"no form of a version":   {[]object{entry("dep-2", "live", commitA, time.Hour)}, marker, "inconclusive(no_version): *"},
		"it is down":             {[]object{entry("dep-2", "live", commitA, time.Hour)}, "503 x", "fail(status): expected 200, got 503"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, ofRender(test.deploys...).render(t).runsAt(t, service(t, test.version).URL))
			lines := strings.Split(strings.TrimSpace(probetest.Lines(r)), "\n")
			want, prefix := strings.CutSuffix("running "+test.want, "*")
			if got := lines[len(lines)-1]; got != want && !(prefix && strings.HasPrefix(got, want)) {
				t.Errorf("expected %s, got %s", want, got)
			}
		})
	}
}

// TestRunning_image: a service that is deployed as an image may state its digest or its tag, but latest is no version.
func TestRunning_image(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("9a0b1c2d", 8)
	for version, want := range map[string]string{
		digest: "pass(ok): got version sha256:9a0b1c2d9a0b, as deployed", "1.4.2": "pass(ok): *", "v1.4.2": "pass(ok): *",
		"1.4.1": "fail(not_running): *", "latest": "fail(not_running): *", "shop": "fail(not_running): *",
	} {
		for _, ref := range []string{"registry.example:5000/shop:1.4.2", "registry.example/shop:1.4.2@" + digest, "shop:latest"} {
			d := renderEntry("dep-2", "live", "", time.Hour)
			d["deploy"].(object)["commit"] = nil
			d["deploy"].(object)["image"] = object{"ref": ref, "sha": digest}
			expected := want
			if ref == "shop:latest" && version != digest {
				expected = "fail(not_running): *"
			}
			r := run(t, ofRender(d).render(t).runsAt(t, service(t, version).URL))
			last := r.Checks[len(r.Checks)-1]
			got := fmt.Sprintf("%s(%s): %s", last.Verdict, last.Reason, last.Detail)
			if prefix, _ := strings.CutSuffix(expected, "*"); !strings.HasPrefix(got, prefix) {
				t.Errorf("%s, %s: expected %s, got %s", version, ref, expected, got)
			}
		}
	}
}

// TestReplicas: each replica runs what was deployed, and all run one version.
func TestReplicas(t *testing.T) {
	t.Parallel()
	at := func(versions ...string) replicas.Replicas {
		c := replicas.Replicas{Want: len(versions)}
		for _, v := range versions {
			c.Static = append(c.Static, strings.TrimPrefix(service(t, v).URL, "http://"))
		}
		return c
	}
	probeOf := func(c *recording, versions ...string) *Probe {
		p := c.render(t).runsAt(t, "http://shop.example/version")
		p.Runs.Replicas = at(versions...)
		return p
	}
	p := probeOf(ofRender(renderEntry("dep-2", "live", commitA, time.Hour)), commitA, commitA)
	if r := run(t, p); r.Verdict() != probe.Pass || len(r.Checks) != 6 {
		t.Errorf("two of one version:\n%s", probetest.Lines(r))
	}
	p = probeOf(ofRender(renderEntry("dep-2", "live", commitA, time.Hour)), commitA, commitB)
	a, b := p.Runs.Replicas.Static[0], p.Runs.Replicas.Static[1]
	probetest.WantLines(t, run(t, p), "fail", notSuspended, "latest pass(ok): *", "stuck pass(ok): *", "replicas pass(ok): found 2 replicas",
		"running@"+a+" pass(ok): *", "running@"+b+" fail(not_running): *",
		"versions inconclusive(settling): GET http://shop.example/version is answered by 2 versions: *")

	// In a rollout both are right; how long it may take is version_grace.
	p = probeOf(ofRender(renderEntry("dep-3", "update_in_progress", commitB, time.Minute), renderEntry("dep-2", "live", commitA, time.Hour)), commitA, commitB)
	job := probe.Job{ID: probe.ID{System: "test", Name: "it"}, Kind: Kind(), Probe: p, Interval: time.Minute, Timeout: 10 * time.Second, Versions: new(probe.VersionHistory)}
	p.Runs.VersionGrace = probe.Duration(time.Nanosecond)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	job.Do(t.Context())
	if got := probetest.NotPassed(job.Do(t.Context())); !strings.HasPrefix(got, "fail\nversions fail(mixed_versions): ") {
		t.Errorf("got\n%s", got)
	}

	p = probeOf(ofRender(renderEntry("dep-2", "live", commitA, time.Hour)), commitA)
	p.Runs.Replicas = replicas.Replicas{DNS: "localhost:1", Want: 3}
	if got := probetest.NotPassed(run(t, p)); !strings.HasPrefix(got, "fail\nreplicas fail(replicas): expected 3 replicas, got 1\nrunning@127.0.0.1:1 fail(refused): ") {
		t.Errorf("got\n%s", got)
	}
}
