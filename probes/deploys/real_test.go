package deploys

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/secret"
	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// TestReal_kubernetes reads rollouts from a real API server with the shipped Role, of which the test is the controller: complete,
// in progress, failed, rolled back, scaled to 0, and one that nobody has looked at.
func TestReal_kubernetes(t *testing.T) {
	c := testenv.Kubernetes(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(c.Prober(t, "../../config/deploy/role.yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	const (
		deployments = "/apis/apps/v1/namespaces/ibex/deployments"
		sets        = "/apis/apps/v1/namespaces/ibex/replicasets"
	)
	meta := func(o object) object { return o["metadata"].(object) }
	template := func(image string) object {
		return object{"metadata": object{"labels": object{"app": "proxy"}}, "spec": object{"containers": []any{object{"name": "proxy", "image": image}}}}
	}
	selector := object{"matchLabels": object{"app": "proxy"}}
	// status is what the Deployment's controller writes of three replicas.
	status := func(updated, existing, available int, progressing, reason string) {
		t.Helper()
		now := c.Must(t, "GET", deployments+"/proxy", nil)
		at := time.Now().UTC().Format(time.RFC3339)
		c.Report(t, deployments+"/proxy", object{
			"observedGeneration": meta(now)["generation"], "replicas": existing, "updatedReplicas": updated, "readyReplicas": available, "availableReplicas": available,
			"conditions": []any{object{"type": "Progressing", "status": progressing, "reason": reason, "lastUpdateTime": at, "lastTransitionTime": at}},
		})
	}
	// revise numbers the Deployment and one of its ReplicaSets, as the controller does.
	revise := func(set, revision string, more object) {
		t.Helper()
		for path, annotations := range map[string]object{deployments + "/proxy": {}, sets + "/" + set: more} {
			now := c.Must(t, "GET", path, nil)
			annotations["deployment.kubernetes.io/revision"] = revision
			meta(now)["annotations"] = annotations
			c.Must(t, "PUT", path, now)
		}
	}
	set := func(name, image string, available int) {
		t.Helper()
		owner := meta(c.Must(t, "GET", deployments+"/proxy", nil))["uid"]
		c.Create(t, sets, object{
			"metadata": object{"name": name, "labels": object{"app": "proxy"},
				"ownerReferences": []any{object{"apiVersion": "apps/v1", "kind": "Deployment", "name": "proxy", "uid": owner, "controller": true}}},
			"spec": object{"replicas": available, "selector": selector, "template": template(image)}, "status": object{"replicas": available, "readyReplicas": available, "availableReplicas": available},
		})
	}
	c.Must(t, "POST", deployments, object{"metadata": object{"name": "proxy"}, "spec": object{"replicas": 3, "selector": selector, "template": template("proxy:1.4.1")}})
	p := &Probe{Kubernetes: &Kubernetes{Deployment: "proxy", Namespace: "ibex", API: c.URL}}
	p.Settings = httpx.Settings{Bearer: secret.File(file), TLS: &dial.TLS{CAFile: c.CA}}
	want := func(verdict string, lines ...string) {
		t.Helper()
		probetest.WantLines(t, run(t, p), append([]string{verdict}, lines...)...)
	}
	const three = "suspended pass(ok): the Deployment is scaled to 3"

	want("inconclusive", three, "latest inconclusive(no_deploys): *")
	set("proxy-1", "proxy:1.4.1", 3)
	want("inconclusive", three, "latest inconclusive(settling): the controller has not looked at the Deployment since it was changed")
	revise("proxy-1", "1", object{})
	status(3, 3, 3, "True", "NewReplicaSetAvailable")
	want("pass", three, "latest pass(ok): deploy revision-1 of 1.4.1, complete", "stuck pass(ok): no deploy is in progress")

	set("proxy-2", "proxy:1.4.2", 1)
	revise("proxy-2", "2", object{})
	status(1, 4, 3, "True", "ReplicaSetUpdated")
	want("pass", three, "latest pass(ok): deploy revision-2 of 1.4.2, in progress", "stuck pass(ok): deploy revision-2 of 1.4.2, in progress, started *")
	status(1, 4, 3, "False", "ProgressDeadlineExceeded")
	want("fail", three, "latest fail(deploy_failed): expected the latest deploy to be live, got deploy revision-2 of 1.4.2, progress deadline exceeded; live is deploy revision-1 of 1.4.1", "stuck pass(ok): *")
	revise("proxy-1", "3", object{"deployment.kubernetes.io/revision-history": "1"})
	status(3, 3, 3, "True", "NewReplicaSetAvailable")
	want("pass", three, "latest pass(ok): deploy revision-3 of 1.4.1, complete", "stuck pass(ok): *")

	now := c.Must(t, "GET", deployments+"/proxy", nil)
	now["spec"].(object)["replicas"] = 0
	c.Must(t, "PUT", deployments+"/proxy", now)
	want("fail", "suspended fail(service_suspended): *", "latest inconclusive(settling): *")
	if text := strings.Join(p.Addresses(), " "); !strings.Contains(text, c.URL) {
		t.Errorf("got %s", text)
	}
}
