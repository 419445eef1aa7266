package pods

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/internal/secret"
	"prober/internal/testenv"
)

// A cluster is a real API server, of which the test is the kubelet and the controllers.
type cluster struct {
	testenv.Cluster
	t     *testing.T
	token string // of the prober
	file  string // with the token
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{Cluster: testenv.Kubernetes(t), t: t, file: filepath.Join(t.TempDir(), "token")}
	c.token = c.Prober(t, "../../config/deploy/role.yaml")
	if err := os.WriteFile(c.file, []byte(c.token), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cluster) create(collection string, o object) {
	c.t.Helper()
	c.Create(c.t, collection, o)
}

// report replaces the status of a pod, as the kubelet does.
func (c *cluster) report(pod object) {
	c.t.Helper()
	c.Report(c.t, podsPath+"/"+in(pod, "metadata")["name"].(string), pod["status"])
}

const podsPath = "/api/v1/namespaces/ibex/pods"

// ask returns a probe of the Deployment proxy, with the shipped Role.
func (c *cluster) ask(namespace string) *Probe {
	p := New()
	p.Settings = kubernetes.Settings{API: c.URL, Namespace: namespace, Settings: httpx.Settings{Bearer: secret.File(c.file), TLS: &dial.TLS{CAFile: c.CA}}}
	p.Deployment = "proxy"
	return p
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
	c := newCluster(t)
	w := healthy()
	in(w.workload, "status")["observedGeneration"] = 1
	c.create("/apis/apps/v1/namespaces/ibex/deployments", w.workload)
	for _, p := range w.pods {
		c.create(podsPath, real(p))
	}
	t.Run("healthy", func(t *testing.T) { want(t, run(t, c.ask("ibex")), "pass") })
	for name, test := range map[string]struct {
		harm func(*world)
		want []string
	}{
		"a crash loop": {func(w *world) {
			w.waiting(0, "CrashLoopBackOff", "")
			w.crashed(0, 7, "Error", 1, 4*time.Minute, 3*time.Minute)
		}, []string{"fail", "ready *", "crash_loop fail(crash_loop): 1 of 3 pods: a container crashes again and again, exit status 1",
			"restarts inconclusive(settling): expected at most 3 restarts in the last 10m, got at least 1, *"}},
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
			want(t, run(t, c.ask("ibex")), test.want...)
		})
	}
	c.report(real(healthy().pods[0]))
	t.Run("several pages", func(t *testing.T) {
		for i := range 60 {
			other := real(pod(100 + i))
			in(other, "metadata", "ownerReferences", 0)["name"] = "other-abc"
			c.Must(t, "POST", podsPath, other)
		}
		want(t, run(t, c.ask("ibex")), "pass")
	})
	t.Run("a list that is forgotten", func(t *testing.T) { c.forgetting(t) })
	t.Run("other workloads", func(t *testing.T) { c.others(t) })
	t.Run("a change that no controller has seen", func(t *testing.T) {
		d := c.Must(t, "GET", "/apis/apps/v1/namespaces/ibex/deployments/proxy", nil)
		in(d, "spec")["replicas"] = 5
		c.Must(t, "PUT", "/apis/apps/v1/namespaces/ibex/deployments/proxy", d)
		want(t, run(t, c.ask("ibex")), "inconclusive", "ready inconclusive(stale_or_cached): the status is of generation 1, and the Deployment of generation 2*")
	})
	t.Run("another namespace", func(t *testing.T) {
		want(t, run(t, c.ask("default")), "inconclusive", "api inconclusive(forbidden): got 403: the prober's credential lacks the verb get of deployments in the namespace default")
	})
	t.Run("no such Deployment", func(t *testing.T) {
		p := c.ask("ibex")
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
			if code, _ := c.Call(t, c.token, q[0], q[1], nil); code != 403 {
				t.Errorf("%s %s: expected 403, got %d", q[0], q[1], code)
			}
		}
	})
	t.Run("an invalid token", func(t *testing.T) {
		if err := os.WriteFile(c.file, []byte("nobody-s-token"), 0o600); err != nil {
			t.Fatal(err)
		}
		want(t, run(t, c.ask("ibex")), "inconclusive", "api inconclusive(credential): got 401: the API server does not accept the prober's credential")
	})
}

// forgetting has the store forget what was before each second page, once and always.
func (c *cluster) forgetting(t *testing.T) {
	target, err := url.Parse(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // loopback
	left := 0
	var gone int
	proxy.ModifyResponse = func(a *http.Response) error {
		if a.StatusCode == http.StatusGone {
			gone++
		}
		return nil
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.FormValue("continue") != "" && left > 0 {
			left--
			c.Forget(t)
		}
		proxy.ServeHTTP(w, q)
	}))
	defer s.Close()
	ask := func(times int) probe.Result {
		left, gone = times, 0
		p := c.ask("ibex")
		p.API, p.TLS = s.URL, nil
		return run(t, p)
	}
	want(t, ask(1), "pass")
	if gone != 1 {
		t.Errorf("%d answers were 410, expected one", gone)
	}
	want(t, ask(2), "inconclusive", "api inconclusive(expired): got 410: the API server no longer has the list of pods as it was")
}

// others are a StatefulSet and a DaemonSet, each with its pods, and a CronJob with a Job that runs.
func (c *cluster) others(t *testing.T) {
	owned := func(kind, name, uid, label string, i int) object {
		p := real(pod(200 + i))
		in(p, "metadata")["name"] = fmt.Sprintf("%s-%d", name, i)
		in(p, "metadata")["labels"] = object{label: name}
		in(p, "metadata")["ownerReferences"] = []any{object{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true}}
		return p
	}
	for kind, status := range map[string]object{
		"StatefulSet": {"observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "currentReplicas": 2, "availableReplicas": 2},
		"DaemonSet":   {"observedGeneration": 1, "desiredNumberScheduled": 2, "currentNumberScheduled": 2, "numberReady": 2, "numberMisscheduled": 0},
	} {
		t.Run(kind, func(t *testing.T) {
			name, collection := strings.ToLower(kind), "/apis/apps/v1/namespaces/ibex/"+strings.ToLower(kind)+"s"
			w := healthy().workload
			w["kind"], w["metadata"], w["status"] = kind, object{"name": name}, status
			spec := in(w, "spec")
			spec["selector"] = object{"matchLabels": object{"set": name}}
			in(spec, "template", "metadata")["labels"] = object{"set": name}
			if spec["replicas"] = 2; kind == "DaemonSet" {
				delete(spec, "replicas")
			}
			c.create(collection, w)
			uid := in(c.Must(t, "GET", collection+"/"+name, nil), "metadata")["uid"].(string)
			for i := range 2 {
				c.create(podsPath, owned(kind, name, uid, "set", i))
			}
			p := c.ask("ibex")
			if p.Deployment, p.StatefulSet = "", name; kind == "DaemonSet" {
				p.StatefulSet, p.DaemonSet = "", name
			}
			want(t, run(t, p), "pass")
			if kind == "DaemonSet" { // a pod on a node that should have none
				status["desiredNumberScheduled"], status["numberReady"], status["numberMisscheduled"] = 2, 1, 1
				c.Report(t, collection+"/"+name, status)
				want(t, run(t, p), "inconclusive", "ready inconclusive(settling): expected 2 ready, got 1: *")
				return
			}
			harmed := owned(kind, name, uid, "set", 1)
			status := in(harmed, "status", "containerStatuses", 0)
			status["ready"], status["state"] = false, object{"waiting": object{"reason": "ErrImagePull"}}
			in(harmed, "status", "conditions", 1)["status"] = "False"
			c.report(harmed)
			want(t, run(t, p), "fail", "ready *", "image_pull fail(image_pull): 1 of 2 pods: *")
		})
	}
	t.Run("CronJob", func(t *testing.T) {
		const collection = "/apis/batch/v1/namespaces/ibex/cronjobs"
		template := object{"spec": object{"restartPolicy": "OnFailure", "containers": []any{object{"name": "backup", "image": "backup"}}}}
		c.create(collection, object{
			"kind": "CronJob", "metadata": object{"name": "backup"},
			"spec":   object{"schedule": "0 3 * * *", "timeZone": "Europe/Berlin", "concurrencyPolicy": "Forbid", "jobTemplate": object{"spec": object{"template": template}}},
			"status": object{"lastScheduleTime": ago(time.Hour), "lastSuccessfulTime": ago(50 * time.Minute)},
		})
		p := c.ask("ibex")
		p.Deployment, p.CronJob, p.MaxAge = "", "backup", probe.Duration(time.Hour)
		want(t, run(t, p), "pass")
		p.MaxAge = probe.Duration(40 * time.Minute)
		want(t, run(t, p), "fail", "last_success fail(no_success): expected a success within 40m, got the last one 50 minutes ago")
		p.MaxAge = probe.Duration(time.Hour)
		c.Must(t, "POST", "/apis/batch/v1/namespaces/ibex/jobs", object{"kind": "Job", "metadata": object{"name": "backup-1"}, "spec": object{"template": template}})
		job := in(c.Must(t, "GET", "/apis/batch/v1/namespaces/ibex/jobs/backup-1", nil), "metadata")["uid"].(string)
		c.Report(t, collection+"/backup", object{
			"lastScheduleTime": ago(time.Minute), "lastSuccessfulTime": ago(50 * time.Minute),
			"active": []any{object{"apiVersion": "batch/v1", "kind": "Job", "name": "backup-1", "namespace": "ibex", "uid": job}},
		})
		broken := owned("Job", "backup-1", job, "batch.kubernetes.io/job-name", 0)
		in(broken, "metadata", "ownerReferences", 0)["apiVersion"] = "batch/v1"
		in(broken, "status", "containerStatuses", 0)["state"] = object{"waiting": object{"reason": "CreateContainerConfigError", "message": `secret "db" not found`}}
		c.create(podsPath, broken)
		want(t, run(t, p), "fail", "last_success fail(config_error): 1 of 1 pod: a container cannot be started (CreateContainerConfigError): a Secret does not exist")
		now := c.Must(t, "GET", collection+"/backup", nil)
		in(now, "spec")["suspend"] = true
		c.Must(t, "PUT", collection+"/backup", now)
		c.Report(t, collection+"/backup", object{"lastSuccessfulTime": ago(2 * time.Hour)})
		want(t, run(t, p), "fail", "last_success fail(no_success): expected a success within 1h, got the last one 2 hours ago; it is suspended")
	})
}
