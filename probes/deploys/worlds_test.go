package deploys

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// frozen returns the outcome of a run in an incident that freezes deploys, of the check of that.
func frozenSince(t *testing.T, p *Probe, age time.Duration) string {
	t.Helper()
	p.Freeze = &Freeze{Incident: "P1"}
	for _, c := range runDuring(t, p, since(age)).Checks {
		if c.Name == checkFreeze {
			return fmt.Sprintf("%s(%s)", c.Verdict, c.Reason)
		}
	}
	return "not checked"
}

// withImages has a ReplicaSet consist of these containers.
func withImages(set object, images ...string) object {
	containers := []any{}
	for _, i := range images {
		containers = append(containers, object{"name": "c", "image": i})
	}
	set["spec"].(object)["template"].(object)["spec"].(object)["containers"] = containers
	return set
}

// TestRollback_sharedName: a name that a deploy shares with an earlier one makes no rollback of it: a sidecar's tag, a branch,
// a tag that moved.
func TestRollback_sharedName(t *testing.T) {
	t.Parallel()
	digest := func(d string) string { return "sha256:" + strings.Repeat(d, 32) }
	kubernetes := func(before, now []string) *Probe {
		c, _, newest := ofKubernetes()
		newest["metadata"].(object)["creationTimestamp"] = time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
		c.answers[setsPath].(object)["items"] = []any{withImages(newest, now...), withImages(replicaSet("1", "", 40*time.Hour, 0), before...)}
		return c.kubernetes(t)
	}
	render := func(sha string) *Probe {
		entry := func(id, state, sha string, age time.Duration) object {
			e := renderEntry(id, state, "", age)
			e["deploy"].(object)["commit"], e["deploy"].(object)["image"] = nil, object{"ref": "shop:1.4", "sha": sha}
			return e
		}
		return ofRender(entry("dep-2", "live", sha, time.Minute), entry("dep-1", "deactivated", digest("9a"), 40*time.Hour)).render(t)
	}
	github := func(sha string) *Probe {
		c := ofGitHub("success", "inactive")
		list := c.answers["/repos/acme/api/deployments"].([]any)
		for _, d := range list {
			d.(object)["ref"] = "v2"
		}
		list[0].(object)["sha"], list[0].(object)["created_at"] = sha, before(time.Minute)
		return c.github(t)
	}
	const fail, pass = "fail(deploy_in_freeze)", "pass(ok)"
	for name, test := range map[string]struct {
		probe *Probe
		want  string
	}{
		"the tag of a sidecar":      {kubernetes([]string{"nginx:1.25", "shop:1.4.1"}, []string{"nginx:1.25", "shop:1.4.2"}), fail},
		"the digest of a sidecar":   {kubernetes([]string{"nginx@" + digest("1b"), "shop:1.4.1"}, []string{"nginx@" + digest("1b"), "shop:1.4.2"}), fail},
		"no version of the service": {kubernetes([]string{"nginx:1.25", "shop:latest"}, []string{"nginx:1.25", "shop:latest"}), fail},
		"the same images":           {kubernetes([]string{"nginx:1.25", "shop:1.4.1"}, []string{"nginx:1.25", "shop:1.4.1"}), pass},
		"a tag that moved":          {render(digest("7c")), fail},
		"the same image":            {render(digest("9a")), pass},
		"a branch":                  {github(commitA), fail},
		"the same commit":           {github(commitB), pass},
	} {
		if got := frozenSince(t, test.probe, 30*time.Minute); got != test.want {
			t.Errorf("%s: expected %s, got %s", name, test.want, got)
		}
	}
}

// TestRollback_kubernetes: a rollback of Kubernetes reuses the ReplicaSet, which is in the list once.
func TestRollback_kubernetes(t *testing.T) {
	t.Parallel()
	c, d, newest := ofKubernetes()
	p := c.kubernetes(t)
	run(t, p)
	rolledBack := replicaSet("3", "registry.example/proxy:1.4.1", 40*time.Hour, 3)
	rolledBack["metadata"].(object)["annotations"].(object)["deployment.kubernetes.io/revision-history"] = "1"
	d["metadata"].(object)["annotations"].(object)["deployment.kubernetes.io/revision"] = "3"
	c.answers[setsPath].(object)["items"] = []any{rolledBack, newest}
	if got := frozenSince(t, p, 30*time.Minute); got != "pass(ok)" {
		t.Errorf("got %s", got)
	}
}

// TestGitHub_branch: a ref of several commits is a branch, and no version.
func TestGitHub_branch(t *testing.T) {
	t.Parallel()
	for want, refs := range map[string][2]string{"fail(not_running)": {"v2", "v2"}, "pass(ok)": {"v2", "v1"}} {
		c := ofGitHub("success", "inactive")
		for i, d := range c.answers["/repos/acme/api/deployments"].([]any) {
			d.(object)["ref"] = refs[i]
		}
		r := run(t, c.github(t).runsAt(t, service(t, "v2").URL))
		last := r.Checks[len(r.Checks)-1]
		if got := fmt.Sprintf("%s(%s)", last.Verdict, last.Reason); got != want {
			t.Errorf("%v: expected %s, got %s", refs, want, got)
		}
	}
}

// TestKubernetes_sidecar: what tells rollouts apart is their version, not what all of them have.
func TestKubernetes_sidecar(t *testing.T) {
	t.Parallel()
	c, _, newest := ofKubernetes()
	c.answers[setsPath].(object)["items"] = []any{withImages(newest, "nginx:1.25", "shop:1.4.2"), withImages(replicaSet("1", "", 40*time.Hour, 0), "nginx:1.25", "shop:1.4.1")}
	r := run(t, c.kubernetes(t))
	if got := r.Deploys[0].Version + " " + r.Deploys[1].Version; got != "1.4.2 1.4.1" || r.Running != "1.4.2" {
		t.Errorf("got %s, and %s runs", got, r.Running)
	}
}

// TestKubernetes_newerSet: a Deployment and ReplicaSets that are not of one moment prove nothing.
func TestKubernetes_newerSet(t *testing.T) {
	t.Parallel()
	for _, revision := range []string{"1", "3"} {
		c, d, _ := ofKubernetes()
		d["metadata"].(object)["annotations"].(object)["deployment.kubernetes.io/revision"] = revision
		r := run(t, c.kubernetes(t))
		if got := probetest.NotPassed(r); !strings.HasPrefix(got, "inconclusive\nlatest inconclusive(settling): ") || r.Running != "" {
			t.Errorf("revision %s: got\n%s\nand %s runs", revision, got, r.Running)
		}
	}
}

// TestKubernetes_canary: a rollout that somebody paused once pods of it run is there, and may be what broke the system.
func TestKubernetes_canary(t *testing.T) {
	t.Parallel()
	for updated, want := range []probe.DeployState{probe.DeployWaiting, probe.DeployPaused} {
		c, d, newest := ofKubernetes()
		progressing(d, "Unknown", "DeploymentPaused", updated, 3)
		d["spec"].(object)["paused"] = true
		newest["metadata"].(object)["creationTimestamp"] = time.Now().Add(-3 * time.Minute).UTC().Format(time.RFC3339)
		c.answers[setsPath].(object)["items"].([]any)[0] = replicaSet("1", "registry.example/proxy:1.4.1", 40*time.Hour, 3)
		p := c.kubernetes(t)
		r := runDuring(t, p, since(time.Minute))
		there := want == probe.DeployPaused
		if r.Deploys[0].State != want || r.Deploys[0].NearOnset(time.Now()) != there || (r.Running == "") != there {
			t.Errorf("%d updated: got %+v, and %q runs\n%s", updated, r.Deploys[0], r.Running, probetest.Lines(r))
		}
		if got := frozenSince(t, p, 30*time.Minute); (got == "fail(deploy_in_freeze)") != there {
			t.Errorf("%d updated: got %s", updated, got)
		}
	}
}

// TestRunning_several: what runs is unknown while anything newer than the live deploy goes on, or may.
func TestRunning_several(t *testing.T) {
	t.Parallel()
	live := renderEntry("dep-2", "live", commitA, time.Hour)
	failed := renderEntry("dep-4", "build_failed", commitC, time.Minute)
	for state, want := range map[string]string{"update_in_progress": "", "queued": "", "something new": "", "update_failed": commitA, "canceled": commitA} {
		c := ofRender(failed, renderEntry("dep-3", state, commitB, 2*time.Minute), live)
		if r := runDuring(t, c.render(t), probe.Incident{}); r.Running != want {
			t.Errorf("%s: expected %q, got %q", state, want, r.Running)
		}
		r := run(t, c.render(t).runsAt(t, service(t, commitB).URL))
		if last := r.Checks[len(r.Checks)-1]; last.Verdict == probe.Pass != (state == "update_in_progress" || state == "queued") {
			t.Errorf("%s: got %s(%s): %s", state, last.Verdict, last.Reason, last.Detail)
		}
	}
}
