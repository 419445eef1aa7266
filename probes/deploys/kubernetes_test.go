package deploys

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

const (
	deploymentPath = "/apis/apps/v1/namespaces/shop/deployments/proxy"
	setsPath       = "/apis/apps/v1/namespaces/shop/replicasets"
)

// replicaSet is one of the Deployment's, as the API has it.
func replicaSet(revision, image string, age time.Duration, available int) object {
	return object{
		"metadata": object{
			"name": "proxy-" + revision, "namespace": "shop", "uid": "set-" + revision, "creationTimestamp": time.Now().Add(-age).UTC().Format(time.RFC3339),
			"annotations":     object{"deployment.kubernetes.io/revision": revision},
			"ownerReferences": []any{object{"kind": "Deployment", "name": "proxy", "uid": "d-1", "controller": true}},
		},
		"spec":   object{"replicas": available, "template": object{"spec": object{"containers": []any{object{"name": "proxy", "image": image}}}}},
		"status": object{"replicas": available, "availableReplicas": available},
	}
}

// ofKubernetes is a recording of an API server with a Deployment of three replicas, complete, and two ReplicaSets.
func ofKubernetes() (c *recording, deployment, newest object) {
	newest = replicaSet("2", "registry.example/proxy:1.4.2@sha256:"+strings.Repeat("9a", 32), time.Hour, 3)
	deployment = object{
		"kind": "Deployment", "apiVersion": "apps/v1",
		"metadata": object{"name": "proxy", "namespace": "shop", "uid": "d-1", "generation": 7, "annotations": object{"deployment.kubernetes.io/revision": "2"}},
		"spec":     object{"replicas": 3, "selector": object{"matchLabels": object{"app": "proxy"}}},
		"status": object{
			"observedGeneration": 7, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3,
			"conditions": []any{object{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "lastUpdateTime": time.Now().Add(-59 * time.Minute).UTC().Format(time.RFC3339)}},
		},
	}
	other := replicaSet("9", "registry.example/other:9", time.Minute, 3)
	other["metadata"].(object)["ownerReferences"].([]any)[0].(object)["uid"] = "d-2"
	c = &recording{answers: map[string]any{
		deploymentPath: deployment,
		setsPath: object{"kind": "ReplicaSetList", "apiVersion": "apps/v1", "metadata": object{"resourceVersion": "1000"},
			"items": []any{replicaSet("1", "registry.example/proxy:1.4.1", 40*time.Hour, 0), newest, other}},
	}}
	return c, deployment, newest
}

func (c *recording) kubernetes(t *testing.T) *Probe {
	t.Helper()
	p := &Probe{Kubernetes: &Kubernetes{Deployment: "proxy", Namespace: "shop", API: c.serve(t)}}
	p.Bearer = credential
	return p
}

// progressing sets the status of a Deployment whose rollout goes on, or has failed.
func progressing(d object, status, reason string, updated, available int) {
	s := d["status"].(object)
	s["replicas"], s["updatedReplicas"], s["availableReplicas"] = 4, updated, available
	s["conditions"].([]any)[0].(object)["status"], s["conditions"].([]any)[0].(object)["reason"] = status, reason
}

// TestKubernetes: a rollout is complete by its numbers, once it was observed; conditions alone are not enough.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	const three = "suspended pass(ok): the Deployment is scaled to 3"
	for name, test := range map[string]struct {
		change func(c *recording, d, newest object)
		want   []string
	}{
		"complete": {func(*recording, object, object) {}, []string{"pass", three, "latest pass(ok): deploy revision-2 of sha256:9a9a9a9a9a9a, complete", "stuck pass(ok): no deploy is in progress"}},
		"a pod is lost later": {func(_ *recording, d, _ object) { d["status"].(object)["availableReplicas"] = 2 },
			[]string{"pass", three, "latest pass(ok): deploy revision-2 of sha256:9a9a9a9a9a9a, complete", "stuck pass(ok): *"}},
		"not observed": {func(_ *recording, d, _ object) { d["metadata"].(object)["generation"] = 8 },
			[]string{"inconclusive", three, "latest inconclusive(settling): the controller has not looked at the Deployment since it was changed"}},
		"not observed, the first": {func(c *recording, d, s object) {
			d["metadata"].(object)["generation"] = 8
			c.answers[setsPath].(object)["items"] = []any{s}
		}, []string{"inconclusive", three, "latest inconclusive(settling): the controller has not looked at the Deployment since it was changed"}},
		"the twelfth": {func(c *recording, d, s object) {
			for _, of := range []object{d, s} {
				of["metadata"].(object)["annotations"].(object)["deployment.kubernetes.io/revision"] = "12"
			}
		}, []string{"pass", three, "latest pass(ok): deploy revision-12 of sha256:9a9a9a9a9a9a, complete", "stuck pass(ok): no deploy is in progress"}},
		"no number of replicas": {func(_ *recording, d, _ object) { delete(d["spec"].(object), "replicas") },
			[]string{"inconclusive", "suspended inconclusive(schema): expected the number of replicas, which the API server always fills in, got none", "latest inconclusive(*", "stuck inconclusive(*"}},
		"in progress": {func(_ *recording, d, s object) {
			progressing(d, "True", "ReplicaSetUpdated", 1, 3)
			s["metadata"].(object)["creationTimestamp"] = before(5 * time.Minute)
		}, []string{"pass", three, "latest pass(ok): deploy revision-2 of sha256:9a9a9a9a9a9a, in progress", "stuck pass(ok): deploy revision-2 *"}},
		"stuck": {func(_ *recording, d, _ object) { progressing(d, "True", "ReplicaSetUpdated", 1, 3) },
			[]string{"fail", three, "latest pass(ok): *", "stuck fail(deploy_stuck): expected a deploy to end within 15m, got deploy revision-2 of sha256:9a9a9a9a9a9a, in progress, started 1h0m*"}},
		"failed": {func(_ *recording, d, _ object) { progressing(d, "False", "ProgressDeadlineExceeded", 1, 3) },
			[]string{"fail", three, "latest fail(deploy_failed): expected the latest deploy to be live, got deploy revision-2 of sha256:9a9a9a9a9a9a, progress deadline exceeded", "stuck pass(ok): *"}},
		"failed, the one before serves": {func(c *recording, d, _ object) {
			progressing(d, "False", "ProgressDeadlineExceeded", 1, 3)
			c.answers[setsPath].(object)["items"].([]any)[0] = replicaSet("1", "registry.example/proxy:1.4.1", 40*time.Hour, 3)
		}, []string{"fail", three, "latest fail(deploy_failed): expected the latest deploy to be live, got deploy revision-2 of sha256:9a9a9a9a9a9a, progress deadline exceeded; live is deploy revision-1 of 1.4.1", "stuck pass(ok): *"}},
		"paused": {func(c *recording, d, _ object) {
			progressing(d, "Unknown", "DeploymentPaused", 1, 3)
			d["spec"].(object)["paused"] = true
			c.answers[setsPath].(object)["items"].([]any)[0] = replicaSet("1", "registry.example/proxy:1.4.1", 40*time.Hour, 3)
		}, []string{"pass", three, "latest pass(ok): deploy revision-1 of 1.4.1, *", "stuck pass(ok): *"}},
		"scaled to 0": {func(_ *recording, d, _ object) {
			d["spec"].(object)["replicas"] = 0
			for _, n := range []string{"replicas", "updatedReplicas", "availableReplicas"} {
				d["status"].(object)[n] = 0
			}
		}, []string{"fail", "suspended fail(service_suspended): expected a Deployment with replicas, got one that is scaled to 0", "latest pass(ok): *", "stuck pass(ok): *"}},
		"no ReplicaSets": {func(c *recording, _, _ object) { c.answers[setsPath].(object)["items"] = []any{} },
			[]string{"inconclusive", three, "latest inconclusive(no_deploys): expected the ReplicaSets of the Deployment, got none"}},
		"no revision": {func(c *recording, _, s object) {
			delete(s["metadata"].(object), "annotations")
			c.answers[setsPath].(object)["items"] = []any{s}
		}, []string{"inconclusive", three, "latest inconclusive(settling): *"}},
		"it does not exist": {func(c *recording, _, _ object) {
			c.answers[deploymentPath] = respond(404, `{"kind":"Status","reason":"NotFound","details":{"name":"proxy"}}`)
		}, []string{"fail", "suspended fail(not_found): expected Deployment proxy in the namespace shop, got 404: it does not exist", "latest fail(not_found): *"}},
		"another 404": {func(c *recording, _, _ object) { c.answers[deploymentPath] = respond(404, `{}`) },
			[]string{"inconclusive", "suspended inconclusive(status): *", "latest inconclusive(status): *"}},
		"403": {func(c *recording, _, _ object) {
			c.answers[setsPath] = respond(403, `{"kind":"Status","reason":"Forbidden"}`)
		}, []string{"inconclusive", three, "latest inconclusive(forbidden): got 403: the prober's credential lacks the verb list of replicasets in the namespace shop"}},
		"410": {func(c *recording, _, _ object) {
			c.answers[setsPath] = respond(410, `{"kind":"Status","reason":"Expired"}`)
		},
			[]string{"inconclusive", three, "latest inconclusive(expired): *"}},
		"429": {func(c *recording, _, _ object) {
			c.answers[setsPath] = respond(429, `{"kind":"Status"}`, "Retry-After", "5")
		}, []string{"inconclusive", three, "latest inconclusive(rate_limited): *"}},
		"a login page": {func(c *recording, _, _ object) { c.answers[setsPath] = "<html>" },
			[]string{"inconclusive", three, "latest inconclusive(schema): *"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, d, newest := ofKubernetes()
			test.change(c, d, newest)
			probetest.WantLines(t, run(t, c.kubernetes(t)), test.want...)
		})
	}
}

// TestKubernetes_rollback: a rollback reuses an old ReplicaSet, which looks old. When it started is when its revision was seen
// first or, for the first run, its last progress.
func TestKubernetes_rollback(t *testing.T) {
	t.Parallel()
	c, d, newest := ofKubernetes()
	p := c.kubernetes(t)
	run(t, p)
	rolledBack := replicaSet("3", "registry.example/proxy:1.4.1", 40*time.Hour, 3)
	rolledBack["metadata"].(object)["annotations"].(object)["deployment.kubernetes.io/revision-history"] = "1"
	d["metadata"].(object)["annotations"].(object)["deployment.kubernetes.io/revision"] = "3"
	newest["status"].(object)["availableReplicas"] = 0
	c.answers[setsPath].(object)["items"] = []any{rolledBack, newest}
	started := func(r probe.Result) time.Duration {
		if len(r.Deploys) != 2 || r.Deploys[0].ID != "revision-3" || r.Deploys[0].Version != "1.4.1" || r.Running != "1.4.1" {
			t.Errorf("got %+v, and %s runs", r.Deploys, r.Running)
			return 0
		}
		return time.Since(r.Deploys[0].Started)
	}
	for range 2 {
		if got := started(run(t, p)); got < 0 || got > time.Minute {
			t.Errorf("it was seen just now, and started %s ago", got)
		}
	}
	if got := started(run(t, c.kubernetes(t))); got < 58*time.Minute || got > 61*time.Minute {
		t.Errorf("its last progress was 59m ago, and it started %s ago", got)
	}
}

// TestKubernetes_versions: digests before tags, and no tag that names no version.
func TestKubernetes_versions(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("9a", 32)
	for image, want := range map[string]string{
		"proxy:1.4.2": "[1.4.2]", "registry.example:5000/proxy": "[]", "proxy:latest": "[]", "proxy@" + digest: "[" + digest + "]",
		"registry.example:5000/a/proxy:v2@" + digest: "[" + digest + " v2]", "": "[]", "proxy:" + marker: "[]",
	} {
		c, _, newest := ofKubernetes()
		newest["spec"].(object)["template"].(object)["spec"].(object)["containers"].([]any)[0].(object)["image"] = image
		p := c.kubernetes(t)
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		all, o := p.platform.deploys(t.Context(), p.api(probe.NewResult(probe.ID{}), checkLatest))
		if !o.Passed() || fmt.Sprint(all[0].names) != want {
			t.Errorf("%s: expected %s, got %v (%v)", image, want, all, o)
		}
	}
}
