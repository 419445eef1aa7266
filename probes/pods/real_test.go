package pods

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/kubernetes"
	"prober/internal/secret"
	"prober/internal/testenv"
)

// A cluster is a real API server, of which the test is the kubelet and the controllers.
type cluster struct {
	testenv.Cluster
	t      *testing.T
	client *http.Client
}

// call makes a request as somebody and returns the status and the answer.
func (c *cluster) call(token, method, path string, body any) (int, object) {
	c.t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	q, err := http.NewRequestWithContext(c.t.Context(), method, c.URL+path, bytes.NewReader(content))
	if err != nil {
		c.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Content-Type", "application/json")
	a, err := c.client.Do(q)
	if err != nil {
		return 0, object{"message": err.Error()}
	}
	defer a.Body.Close()
	var answer object
	_ = json.NewDecoder(a.Body).Decode(&answer)
	return a.StatusCode, answer
}

// must makes a request as the admin, who may do everything.
func (c *cluster) must(method, path string, body any) object {
	c.t.Helper()
	code, answer := c.call(c.Admin, method, path, body)
	if code < 200 || code > 299 {
		c.t.Fatalf("%s %s: %d: %v", method, path, code, answer["message"])
	}
	return answer
}

// create makes an object and gives it its status, as controllers do.
func (c *cluster) create(collection string, o object) {
	c.t.Helper()
	made := c.must("POST", collection, o)
	made["status"] = o["status"]
	c.must("PUT", collection+"/"+in(made, "metadata")["name"].(string)+"/status", made)
}

// report replaces the status of a pod, as the kubelet does.
func (c *cluster) report(pod object) {
	c.t.Helper()
	path := "/api/v1/namespaces/ibex/pods/" + in(pod, "metadata")["name"].(string)
	now := c.must("GET", path, nil)
	now["status"] = pod["status"]
	c.must("PUT", path+"/status", now)
}

// shippedRole makes the objects of config/deploy/role.yaml.
func (c *cluster) shippedRole() {
	c.t.Helper()
	data, err := os.ReadFile("../../config/deploy/role.yaml")
	if err != nil {
		c.t.Fatal(err)
	}
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var o object
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			c.t.Fatal(err)
		}
		kind := strings.ToLower(o["kind"].(string)) + "s"
		c.must("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/ibex/"+kind, o)
	}
}

// real completes a pod of a world to one that an API server accepts.
func real(p object) object {
	p["apiVersion"], p["kind"] = "v1", "Pod"
	p["spec"] = object{"containers": []any{object{"name": "proxy", "image": "proxy"}}}
	in(p, "metadata", "ownerReferences", 0)["apiVersion"] = "apps/v1"
	status := in(p, "status")
	status["podIP"] = in(p, "status", "podIPs", 0)["ip"]
	for _, s := range status["containerStatuses"].([]any) {
		s.(object)["image"], s.(object)["imageID"] = "proxy", ""
	}
	return p
}

// TestReal_kubernetes runs the probe against a real API server with the shipped Role: a healthy Deployment, each fault as the
// kubelet reports it, a list of several pages, and what the Role does not allow.
func TestReal_kubernetes(t *testing.T) {
	c := &cluster{Cluster: testenv.Kubernetes(t), t: t, client: &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, //nolint:gosec // loopback
	}}}
	testenv.Eventually(t, 3*time.Minute, func(context.Context) error {
		if code, answer := c.call(c.Admin, "GET", "/readyz", nil); code != 200 {
			return fmt.Errorf("not ready: %d %v", code, answer)
		}
		return nil
	})
	for _, name := range []string{"ibex", "monitoring"} {
		c.must("POST", "/api/v1/namespaces", object{"metadata": object{"name": name}})
	}
	c.must("POST", "/api/v1/namespaces/monitoring/serviceaccounts", object{"metadata": object{"name": "prober"}})
	c.shippedRole()
	token := in(c.must("POST", "/api/v1/namespaces/monitoring/serviceaccounts/prober/token", object{}), "status")["token"].(string)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}

	w := healthy()
	in(w.workload, "status")["observedGeneration"] = 1
	c.create("/apis/apps/v1/namespaces/ibex/deployments", w.workload)
	for _, p := range w.pods {
		c.create("/api/v1/namespaces/ibex/pods", real(p))
	}
	ask := func(namespace string) *Probe {
		p := New()
		p.Settings = kubernetes.Settings{API: c.URL, Namespace: namespace, Settings: httpx.Settings{
			Bearer: secret.File(file), TLS: &dial.TLS{CAFile: c.CA},
		}}
		p.Deployment = "proxy"
		return p
	}
	t.Run("healthy", func(t *testing.T) { want(t, run(t, ask("ibex")), "pass") })
	for name, test := range map[string]struct {
		harm func(*world)
		want []string
	}{
		"a crash loop": {func(w *world) {
			w.waiting(0, "CrashLoopBackOff", "")
			w.crashed(0, 7, "Error", 1, 4*time.Minute, 3*time.Minute)
		}, []string{"fail", "ready *", "crash_loop fail(crash_loop): 1 of 3 pods: a container crashes again and again, exit status 1"}},
		"out of memory": {func(w *world) { w.crashed(0, 1, "OOMKilled", 137, time.Hour, 3*time.Minute) }, []string{"fail", "oom_killed fail(oom_killed): *"}},
		"no image":      {func(w *world) { w.waiting(0, "ImagePullBackOff", "") }, []string{"fail", "ready *", "image_pull fail(image_pull): *"}},
		"no secret": {func(w *world) { w.waiting(0, "CreateContainerConfigError", `secret "db" not found`) },
			[]string{"fail", "ready *", "config fail(config_error): 1 of 3 pods: a container cannot be started (CreateContainerConfigError): a Secret does not exist"}},
		"not ready": {func(w *world) { w.unready(0, 6*time.Minute) }, []string{"fail", "ready fail(replicas): expected 3 ready, got 2: 1 pod not ready, for 6 minutes"}},
	} {
		t.Run(name, func(t *testing.T) {
			harmed := healthy()
			test.harm(harmed)
			c.report(real(harmed.pods[0]))
			want(t, run(t, ask("ibex")), test.want...)
		})
	}
	c.report(real(healthy().pods[0]))
	t.Run("several pages", func(t *testing.T) {
		for i := range 60 {
			other := real(pod(100 + i))
			in(other, "metadata", "ownerReferences", 0)["name"] = "other-abc"
			c.must("POST", "/api/v1/namespaces/ibex/pods", other)
		}
		want(t, run(t, ask("ibex")), "pass")
	})
	t.Run("a change that no controller has seen", func(t *testing.T) {
		d := c.must("GET", "/apis/apps/v1/namespaces/ibex/deployments/proxy", nil)
		in(d, "spec")["replicas"] = 5
		c.must("PUT", "/apis/apps/v1/namespaces/ibex/deployments/proxy", d)
		want(t, run(t, ask("ibex")), "inconclusive", "ready inconclusive(stale_or_cached): the status is of generation 1, and the Deployment of generation 2*")
	})
	t.Run("another namespace", func(t *testing.T) {
		want(t, run(t, ask("default")), "inconclusive", "api inconclusive(forbidden): got 403: the prober's credential lacks the verb get of deployments in the namespace default")
	})
	t.Run("no such Deployment", func(t *testing.T) {
		p := ask("ibex")
		p.Deployment = "prxy"
		want(t, run(t, p), "fail", "api fail(not_found): expected Deployment prxy in the namespace ibex, got 404: it does not exist")
	})
	t.Run("what the Role does not allow", func(t *testing.T) {
		name := in(w.pods[0], "metadata")["name"].(string)
		for _, q := range [][2]string{
			{"GET", "/api/v1/namespaces/ibex/secrets"}, {"GET", "/api/v1/namespaces/ibex/configmaps"}, {"GET", "/api/v1/namespaces/ibex/events"},
			{"GET", "/api/v1/namespaces/ibex/pods/" + name + "/log"}, {"GET", "/api/v1/namespaces/ibex/pods?watch=1"}, {"DELETE", "/api/v1/namespaces/ibex/pods/" + name},
			{"GET", "/apis/apps/v1/namespaces/ibex/deployments"}, {"DELETE", "/apis/apps/v1/namespaces/ibex/deployments/proxy"},
			{"GET", "/api/v1/pods"}, {"GET", "/api/v1/namespaces/monitoring/pods"}, {"GET", "/api/v1/nodes"},
		} {
			if code, _ := c.call(token, q[0], q[1], nil); code != 403 {
				t.Errorf("%s %s: expected 403, got %d", q[0], q[1], code)
			}
		}
	})
	t.Run("an invalid token", func(t *testing.T) {
		if err := os.WriteFile(file, []byte("nobody-s-token"), 0o600); err != nil {
			t.Fatal(err)
		}
		want(t, run(t, ask("ibex")), "inconclusive", "api inconclusive(credential): got 401: the API server does not accept the prober's credential")
	})
}
