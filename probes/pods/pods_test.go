package pods

import (
	"net/http"
	"testing"
	"time"

	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

func TestHealthy(t *testing.T) {
	r := run(t, healthy().probe(t))
	probetest.WantLines(t, r,
		"pass",
		"api pass(ok): read Deployment proxy and 3 pods",
		"ready pass(ok): 3 of 3 pods are ready",
		"crash_loop pass(ok): no container of 3 pods crashes again and again",
		"oom_killed pass(ok): no container of 3 pods was killed for want of memory in the last 15m",
		"image_pull pass(ok): every container of 3 pods has its image",
		"config pass(ok): no container of 3 pods lacks what it is configured with",
		"restarts pass(ok): 0 restarts in the last 10m",
		"liveness pass(ok): no container of the pod template is restarted for want of readiness",
	)
	if got := states(r); got != "ready=3" {
		t.Errorf("states %s", got)
	}
}

// TestFaults plants one fault in a healthy world each.
func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		harm   func(*world)
		want   []string
		states string
	}{
		"a crash loop": {func(w *world) {
			w.waiting(0, "CrashLoopBackOff", "back-off 5m0s restarting failed container")
			w.crashed(0, 7, "Error", 1, 4*time.Minute, 3*time.Minute)
		}, []string{"fail", "ready inconclusive(settling): expected 3 ready, got 2: 1 pod not ready, for *",
			"crash_loop fail(crash_loop): 1 of 3 pods: a container crashes again and again, exit status 1", "restarts inconclusive(settling): *"}, "crash_loop=1 ready=2"},
		"a crash loop between two crashes": {func(w *world) {
			w.crashed(1, 5, "Error", 1, 4*time.Minute, 3*time.Minute)
		}, []string{"inconclusive", "crash_loop inconclusive(settling): 1 of 3 pods: a container runs that ended twice soon after its start, the last time less than 10m ago",
			"restarts inconclusive(settling): *"}, "ready=3"},
		"a crash loop after a crash": {func(w *world) {
			w.unready(1, time.Second)
			w.container(1)["restartCount"] = 3
			w.container(1)["state"] = object{"terminated": object{"reason": "Error", "exitCode": 137, "startedAt": ago(20 * time.Second), "finishedAt": ago(time.Second)}}
		}, []string{"fail", "ready inconclusive(settling)*", "crash_loop fail(crash_loop): 1 of 3 pods: a container crashes again and again, killed (exit status 137)"}, "crash_loop=1 ready=2"},
		"one crash, long ago":  {func(w *world) { w.crashed(1, 9, "Error", 1, 2*time.Hour, time.Hour) }, []string{"pass"}, "ready=3"},
		"short runs, long ago": {func(w *world) { w.crashed(1, 9, "Error", 1, 2*time.Hour, 2*time.Hour-time.Minute) }, []string{"pass"}, "ready=3"},
		"out of memory, at no time": {func(w *world) {
			w.container(0)["lastState"] = object{"terminated": object{"reason": "OOMKilled", "exitCode": 137}}
		}, []string{"fail", "oom_killed fail(oom_killed): *"}, "oom_killed=1 ready=2"},
		"one crash, after a long run":    {func(w *world) { w.crashed(1, 1, "Error", 1, 2*time.Hour, time.Minute) }, []string{"pass"}, "ready=3"},
		"the first crash of a short run": {func(w *world) { w.crashed(1, 1, "Error", 1, 2*time.Minute, time.Minute) }, []string{"pass"}, "ready=3"},
		"an init container in a loop": {func(w *world) {
			w.unready(2, time.Minute)
			in(w.pods[2], "status")["initContainerStatuses"] = []any{object{"name": "init", "restartCount": 4, "state": object{"waiting": object{"reason": "CrashLoopBackOff"}}}}
		}, []string{"fail", "ready *", "crash_loop fail(crash_loop): 1 of 3 pods: a container crashes again and again", "restarts inconclusive(settling): *"}, "crash_loop=1 ready=2"},
		"an init container that is done": {func(w *world) {
			in(w.pods[2], "status")["initContainerStatuses"] = []any{object{"name": "init", "restartCount": 2, "state": object{"terminated": object{"exitCode": 0, "startedAt": ago(90 * time.Second), "finishedAt": ago(time.Minute)}}}}
		}, []string{"pass"}, "ready=3"},
		"out of memory": {func(w *world) { w.crashed(0, 1, "OOMKilled", 137, time.Hour, 3*time.Minute) },
			[]string{"fail", "oom_killed fail(oom_killed): 1 pod: a container was killed for want of memory (OOMKilled), the last one 3 minutes ago"}, "oom_killed=1 ready=2"},
		"out of memory, long ago": {func(w *world) { w.crashed(0, 1, "OOMKilled", 137, time.Hour, 16*time.Minute) }, []string{"pass"}, "ready=3"},
		"out of memory, just now": {func(w *world) {
			w.unready(0, time.Second)
			w.container(0)["state"] = object{"terminated": object{"reason": "OOMKilled", "exitCode": 137, "startedAt": ago(time.Hour), "finishedAt": ago(time.Second)}}
		}, []string{"fail", "ready *", "oom_killed fail(oom_killed): *"}, "oom_killed=1 ready=2"},
		"no image": {func(w *world) { w.waiting(1, "ImagePullBackOff", "Back-off pulling image") },
			[]string{"fail", "ready *", "image_pull fail(image_pull): 1 of 3 pods: a container has no image (ImagePullBackOff)"}, "image_pull=1 ready=2"},
		"no image, at first": {func(w *world) { w.waiting(1, "ErrImagePull", "") },
			[]string{"fail", "ready *", "image_pull fail(image_pull): 1 of 3 pods: a container has no image (ErrImagePull)"}, "image_pull=1 ready=2"},
		"no image of a new pod": {func(w *world) { // the rollout keeps the old ones
			w.pods = append(w.pods, pod(3))
			in(w.pods[3], "status", "conditions", 1)["status"] = "False"
			w.container(3)["state"] = object{"waiting": object{"reason": "InvalidImageName"}}
		}, []string{"fail", "image_pull fail(image_pull): 1 of 4 pods: a container has no image (InvalidImageName)"}, "image_pull=1 ready=3"},
		"no secret": {func(w *world) { w.waiting(2, "CreateContainerConfigError", `secret "db" not found`) },
			[]string{"fail", "ready *", "config fail(config_error): 1 of 3 pods: a container cannot be started (CreateContainerConfigError): a Secret does not exist"}, "config_error=1 ready=2"},
		"no key": {func(w *world) {
			w.waiting(2, "CreateContainerConfigError", "couldn't find key JWT_KEY_ID_CURRENT in Secret ibex/jwt")
		},
			[]string{"fail", "ready *", "config fail(config_error): 1 of 3 pods: a container cannot be started (CreateContainerConfigError): a variable names a key that its Secret does not have"}, "config_error=1 ready=2"},
		"no command": {func(w *world) {
			w.waiting(2, "RunContainerError", `exec: "prxy": executable file not found in $PATH`)
		}, []string{"fail", "ready *", "config fail(config_error): 1 of 3 pods: a container cannot be started (RunContainerError): its command, or a file, does not exist in the image"}, "config_error=1 ready=2"},

		"not ready":              {func(w *world) { w.unready(1, time.Minute) }, []string{"inconclusive", "ready inconclusive(settling): expected 3 ready, got 2: 1 pod not ready, for 1 minute so far"}, "not_ready=1 ready=2"},
		"not ready for too long": {func(w *world) { w.unready(1, 6*time.Minute) }, []string{"fail", "ready fail(replicas): expected 3 ready, got 2: 1 pod not ready, for 6 minutes"}, "not_ready=1 ready=2"},
		"none ready": {func(w *world) { w.unready(0, time.Second); w.unready(1, time.Second); w.unready(2, time.Second) },
			[]string{"fail", "ready fail(replicas): expected 3 ready, got 0: 3 pods not ready, for *"}, "not_ready=3"},
		"no node": {func(w *world) {
			w.unready(1, 6*time.Minute)
			in(w.pods[1], "status", "conditions", 0)["status"] = "False"
			in(w.pods[1], "status")["containerStatuses"] = nil
		}, []string{"fail", "ready fail(unscheduled): expected 3 ready, got 2: 1 pod not ready, 1 without a node that has room for it, for 6 minutes"}, "unscheduled=1 ready=2"},
		"a pod that was not created": {func(w *world) { w.pods = w.pods[:2]; in(w.workload, "status")["readyReplicas"] = 2 },
			[]string{"inconclusive", "ready inconclusive(settling): expected 3 ready, got 2: 0 pods not ready, 1 not created, for *"}, "ready=2"},
		"no pod": {func(w *world) { w.pods = nil; w.workload["status"] = object{"observedGeneration": 4} },
			[]string{"fail", "ready fail(replicas): expected 3 ready, got 0: 0 pods not ready, 3 not created, for *",
				"crash_loop inconclusive(no_pods): expected pods of the Deployment whose containers have a status, got none",
				"oom_killed inconclusive(no_pods)*", "image_pull inconclusive(no_pods)*", "config inconclusive(no_pods)*", "restarts inconclusive(no_pods)*"}, ""},
		"a selector that matches nothing": {func(w *world) { w.pods = nil },
			[]string{"inconclusive", "ready inconclusive(no_pods): expected the pods of the Deployment, of which its status counts 3: its selector matches 0 pods, and none is its own",
				"crash_loop inconclusive(no_pods)*", "oom_killed inconclusive(no_pods)*", "image_pull inconclusive(no_pods)*", "config inconclusive(no_pods)*", "restarts inconclusive(no_pods)*"}, ""},
		"pods of another": {func(w *world) {
			for i := range w.pods {
				in(w.pods[i], "metadata", "ownerReferences", 0)["name"] = "other-abc"
			}
		}, []string{"inconclusive", "ready inconclusive(no_pods): expected the pods of the Deployment, of which its status counts 3: its selector matches 3 pods, and none is its own",
			"crash_loop *", "oom_killed *", "image_pull *", "config *", "restarts *"}, ""},
		"pods without a status": {func(w *world) {
			for i := range w.pods {
				in(w.pods[i], "status")["containerStatuses"] = nil
			}
		}, []string{"inconclusive", "crash_loop inconclusive(no_pods)*", "oom_killed *", "image_pull *", "config *", "restarts *"}, "ready=3"},
		"pods that end": {func(w *world) {
			for i := range w.pods {
				in(w.pods[i], "metadata")["deletionTimestamp"] = ago(time.Second)
			}
		}, []string{"fail", "ready fail(replicas): *", "crash_loop *", "oom_killed *", "image_pull *", "config *", "restarts *"}, "terminating=3"},
		"an evicted pod beside": {func(w *world) {
			w.pods = append(w.pods, pod(3))
			in(w.pods[3], "status")["phase"] = "Failed"
		}, []string{"pass"}, "ready=3 ended=1"},
		"scaled to zero": {func(w *world) {
			in(w.workload, "spec")["replicas"] = 0
			w.pods, w.workload["status"] = nil, object{"observedGeneration": 4}
		}, []string{"fail", "ready fail(replicas): expected replicas, but the Deployment asks for none: it is scaled to zero",
			"crash_loop *", "oom_killed *", "image_pull *", "config *", "restarts *"}, ""},
		"a status of before": {func(w *world) { in(w.workload, "metadata")["generation"] = 5 },
			[]string{"inconclusive", "ready inconclusive(stale_or_cached): the status is of generation 4, and the Deployment of generation 5: its controller has not looked at it since it was changed"}, "ready=3"},
		"a status that never was": {func(w *world) { w.workload["status"] = object{} },
			[]string{"inconclusive", "ready inconclusive(stale_or_cached): *"}, "ready=3"},
		"a status that lags": {func(w *world) { in(w.workload, "status")["readyReplicas"] = 2 },
			[]string{"inconclusive", "ready inconclusive(stale_or_cached): 3 pods are ready, and the status of the Deployment counts 2: one of them is out of date"}, "ready=3"},

		"liveness on readiness": {func(w *world) { in(w.template(), "livenessProbe", "httpGet")["path"] = "/ready" },
			[]string{"fail", "liveness fail(liveness_is_readiness): containers[0].livenessProbe.httpGet: livenessProbe asks the same page as the readinessProbe: a dependency that is down would restart it"}, "ready=3"},
		"no readiness": {func(w *world) { delete(w.template(), "readinessProbe") },
			[]string{"fail", "liveness fail(no_readiness): containers[0]: expected a readinessProbe, since it listens on a port: without one it gets traffic before it is ready"}, "ready=3"},
		"no containers": {func(w *world) { in(w.workload, "spec", "template", "spec")["containers"] = nil },
			[]string{"inconclusive", "liveness inconclusive(control_failed): the pod template: expected containers, got none"}, "ready=3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := healthy()
			test.harm(w)
			r := run(t, w.probe(t))
			want(t, r, test.want...)
			if got := states(r); got != test.states {
				t.Errorf("states %s, want %s", got, test.states)
			}
		})
	}
}

// What is wrong with the API says nothing of the pods, and is never a pass.
func TestAPI(t *testing.T) {
	const status = `{"kind":"Status","message":"` + marker + `","reason":"%"}`
	for name, test := range map[string]struct {
		code int
		body string
		want string
	}{
		"forbidden":    {403, status, "api inconclusive(forbidden): got 403: a request without a credential lacks the verb get of deployments in the namespace ibex"},
		"unauthorized": {401, status, "api inconclusive(credential): *"},
		"unavailable":  {503, status, "api inconclusive(status): *"},
		"throttled":    {429, status, "api inconclusive(rate_limited): *"},
		"a portal":     {200, "<html>" + marker, "api inconclusive(schema): *"},
		"no such API":  {404, "404 page not found", "api inconclusive(status): *"},
		"no workload":  {404, `{"kind":"Status","reason":"NotFound","details":{"name":"proxy"}}`, "api fail(not_found): expected Deployment proxy in the namespace ibex, got 404: it does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy()
			w.paths = map[string]http.HandlerFunc{"/": probetest.Respond(test.code, "application/json", test.body)}
			r := run(t, w.probe(t))
			want(t, r, map[bool]string{true: "fail", false: "inconclusive"}[name == "no workload"], test.want)
		})
	}
	p := New()
	p.Deployment = "proxy"
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	want(t, run(t, p), "inconclusive", "api inconclusive(no_cluster): expected namespace, or a prober that runs in a cluster: *")
}

func TestReplicas(t *testing.T) {
	w := healthy()
	p := w.probe(t)
	p.Replicas.Want = 4
	want(t, run(t, p), "fail", "ready fail(replicas): expected 4 replicas, but the Deployment asks for 3")

	for name, test := range map[string]struct {
		harm  func(*world)
		found []string
		want  []string
	}{
		"the same":               {func(*world) {}, []string{"127.0.1.0:80", "127.0.1.1:80", "127.0.1.2:80"}, []string{"pass"}},
		"one is not found":       {func(*world) {}, []string{"127.0.1.0:80", "127.0.1.1:80"}, []string{"fail", "replicas fail(other_addresses): expected the addresses of 3 ready pods, got 2 addresses: 1 missing, and 0 that no pod of the Deployment has"}},
		"one just became ready":  {func(w *world) { in(w.pods[2], "status", "conditions", 1)["lastTransitionTime"] = ago(time.Second) }, []string{"127.0.1.0:80", "127.0.1.1:80"}, []string{"inconclusive", "replicas inconclusive(settling): *"}},
		"one is nobody's":        {func(*world) {}, []string{"127.0.1.0:80", "127.0.1.1:80", "127.0.1.2:80", "127.0.1.9:80"}, []string{"inconclusive", "replicas inconclusive(settling): expected the addresses of 3 ready pods, got 4 addresses: 0 missing, and 1 that no pod of the Deployment has, for less than 1m"}},
		"one is that of unready": {func(w *world) { w.unready(2, time.Minute) }, []string{"127.0.1.0:80", "127.0.1.1:80", "127.0.1.2:80"}, []string{"inconclusive", "ready inconclusive(settling): *"}},
		"none is ready":          {func(w *world) { w.unready(0, 0); w.unready(1, 0); w.unready(2, 0) }, []string{"127.0.1.0:80"}, []string{"fail", "ready *", "replicas fail(replicas): expected ready pods to compare the addresses with, got none"}},
		"a pod of two families": {func(w *world) {
			in(w.pods[0], "status")["podIPs"] = []any{object{"ip": "fd00::1"}, object{"ip": "127.0.1.0"}}
		}, []string{"127.0.1.0:80", "127.0.1.1:80", "127.0.1.2:80"}, []string{"pass"}},
		"pods at the address of a node": {func(w *world) {
			for i := range w.pods {
				in(w.pods[i], "status")["podIPs"] = []any{object{"ip": "127.0.1.0"}}
			}
		}, []string{"127.0.1.0:80"}, []string{"pass"}},
		"a pod without addresses": {func(w *world) { in(w.pods[0], "status")["podIPs"] = []any{object{"ip": marker}} }, []string{"127.0.1.0:80", "127.0.1.1:80", "127.0.1.2:80"}, []string{"fail", "replicas fail(other_addresses): expected the addresses of 3 ready pods, got 3 addresses: 1 missing, and 1 that*"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy()
			test.harm(w)
			p := w.probe(t)
			p.Replicas.Static, p.Replicas.Want = test.found, min(3, len(test.found))
			want(t, run(t, p), test.want...)
		})
	}
}

// Addresses of nobody are a failure once no name server can still have them by mistake.
func TestReplicas_lasting(t *testing.T) {
	now := time.Now()
	p, h := New(), &history{}
	w := healthy()
	s := w.snapshot(t, now)
	found := []string{"127.0.1.0:80", "127.0.1.1:80", "127.0.1.2:80", "127.0.1.9:80"}
	for after, reason := range []probe.Reason{0: probe.Settling, 59: probe.Settling, 60: reasonAddresses, 61: reasonAddresses} {
		if reason.Word == "" {
			continue
		}
		s.now = now.Add(time.Duration(after) * time.Second)
		if o := p.judgeAddresses(s, found, h); o.Reason != reason {
			t.Errorf("after %d s: %s", after, o.Reason)
		}
	}
	if o := p.judgeAddresses(s, found[:3], h); !o.Passed() {
		t.Errorf("got %s", o.Detail)
	}
	if o := p.judgeAddresses(s, found, h); o.Reason != probe.Settling {
		t.Errorf("again: %s", o.Reason)
	}
}

func TestEnv(t *testing.T) {
	for name, test := range map[string]struct {
		env  map[string][]string
		harm func(*world)
		want []string
	}{
		"all":           {map[string][]string{"proxy": {"JWT_KEY_ID_CURRENT", "DATABASE_URL"}}, nil, []string{"pass"}},
		"one missing":   {map[string][]string{"proxy": {"JWT_KEY_ID_CURRENT", "JWT_PUBLIC_KEYS_PEM"}}, nil, []string{"fail", "env fail(config_error): expected the variable JWT_PUBLIC_KEYS_PEM of the container proxy, but the pod template does not set it"}},
		"an empty one":  {map[string][]string{"proxy": {"EMPTY"}}, nil, []string{"fail", "env fail(config_error): expected the variable EMPTY*"}},
		"an optional":   {map[string][]string{"proxy": {"FLAGS", "DATABASE_URL"}}, nil, []string{"inconclusive", "env inconclusive(control_failed): 1 variable may be set or not: by envFrom, or from an optional key, which the prober does not read"}},
		"no container":  {map[string][]string{"prxy": {"FLAGS"}}, nil, []string{"fail", "env fail(config_error): expected a container prxy in the pod template, got none"}},
		"from a Secret": {map[string][]string{"proxy": {"OTHER"}}, func(w *world) { w.template()["envFrom"] = []any{object{}} }, []string{"inconclusive", "env inconclusive(control_failed): *"}},
		"set, and then emptied": {map[string][]string{"proxy": {"DATABASE_URL"}}, func(w *world) {
			w.template()["env"] = append(w.template()["env"].([]any), object{"name": "DATABASE_URL"})
		}, []string{"fail", "env fail(config_error): *"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy()
			if test.harm != nil {
				test.harm(w)
			}
			p := w.probe(t)
			p.Env = test.env
			want(t, run(t, p), test.want...)
		})
	}
}

func TestOtherWorkloads(t *testing.T) {
	for kind, set := range map[string]func(*Probe){
		"StatefulSet": func(p *Probe) { p.Deployment, p.StatefulSet = "", "proxy" },
		"DaemonSet":   func(p *Probe) { p.Deployment, p.DaemonSet = "", "proxy" },
	} {
		t.Run(kind, func(t *testing.T) {
			w := healthy()
			w.kind = kind
			w.workload["kind"] = kind
			if kind == "DaemonSet" {
				delete(w.workload["spec"].(object), "replicas")
				w.workload["status"] = object{"observedGeneration": 4, "desiredNumberScheduled": 3, "currentNumberScheduled": 3, "numberReady": 3}
			}
			for i := range w.pods {
				in(w.pods[i], "metadata")["ownerReferences"] = []any{object{"kind": kind, "name": "proxy", "uid": "d-1", "controller": true}}
			}
			p := w.probe(t)
			set(p)
			want(t, run(t, p), "pass")
			in(w.pods[0], "metadata", "ownerReferences", 0)["uid"] = "d-0" // of one that was deleted
			r := run(t, p)
			want(t, r, "inconclusive", "ready inconclusive(settling): expected 3 ready, got 2: 0 pods not ready, 1 not created, for *")
			if kind == "DaemonSet" {
				w.workload["status"] = object{"observedGeneration": 4}
				want(t, run(t, p), "fail", "ready fail(replicas): expected pods, but no node is to run the DaemonSet")
			}
		})
	}
}

// snapshot is the world as the prober reads it.
func (w *world) snapshot(t *testing.T, now time.Time) *snapshot {
	t.Helper()
	p := w.probe(t)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	r := probe.NewResult(probe.ID{})
	workload, o := p.client.Workload(t.Context(), r, "api", "Deployment", "ibex", "proxy")
	if !o.Passed() {
		t.Fatal(o.Detail)
	}
	all, o := p.client.Pods(t.Context(), r, "api", "ibex", workload.Spec.Selector)
	if !o.Passed() {
		t.Fatal(o.Detail)
	}
	return newSnapshot(workload, all, now)
}
