package pods

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"prober/internal/kubernetes"
	"prober/internal/probe"
)

// starting makes the container of a pod one that has not been started yet.
func (w *world) starting(i int, reason string, since time.Duration) {
	w.unready(i, since)
	w.container(i)["state"] = object{"waiting": object{"reason": reason}}
}

// surge adds a pod beside those that are wanted.
func (w *world) surge(since time.Duration) int {
	i := len(w.pods)
	w.pods = append(w.pods, pod(i))
	c := in(w.pods[i], "status", "conditions", 1)
	c["status"], c["lastTransitionTime"] = "False", ago(since)
	return i
}

// ended gives a container an end.
func ended(reason string, code int, start, end string) object {
	return object{"terminated": object{"reason": reason, "exitCode": code, "startedAt": start, "finishedAt": end, "message": marker}}
}

// TestOddPods has what real clusters show now and then, and what no cluster should.
func TestOddPods(t *testing.T) {
	const never = "9999-12-31T23:59:59Z"
	for name, test := range map[string]struct {
		harm   func(*world)
		want   []string
		states string
	}{
		"no container has started": {func(w *world) {
			for i := range w.pods {
				w.starting(i, "ContainerCreating", time.Minute)
			}
		}, []string{"fail", "ready fail(replicas): *", "crash_loop inconclusive(no_pods): expected pods of the Deployment whose containers have started, got none",
			"oom_killed inconclusive(no_pods)*", "image_pull inconclusive(no_pods)*", "config inconclusive(no_pods)*", "restarts inconclusive(no_pods)*"}, "not_ready=3"},
		"a state of no kind": {func(w *world) {
			for i := range w.pods {
				w.container(i)["state"] = object{}
			}
		}, []string{"inconclusive", "crash_loop inconclusive(no_pods)*", "oom_killed *", "image_pull *", "config *", "restarts *"}, "ready=3"},
		"a rollout that does not get on": {func(w *world) {
			w.starting(w.surge(0), "ContainerCreating", 6*time.Minute)
			in(w.workload, "status")["readyReplicas"] = 3
		},
			[]string{"fail", "ready fail(replicas): 3 of 3 pods are ready, and 1 pod beside them is not, for 6 minutes"}, "not_ready=1 ready=3"},
		"a rollout that gets on": {func(w *world) { w.surge(4 * time.Minute) }, []string{"pass"}, "not_ready=1 ready=3"},
		"a rollout without image": {func(w *world) {
			w.container(w.surge(time.Hour))["state"] = object{"waiting": object{"reason": "ErrImagePull"}}
		}, []string{"fail", "image_pull fail(image_pull): 1 of 4 pods: *"}, "image_pull=1 ready=3"},
		"a pod that is terminated, and not replaced": {func(w *world) {
			in(w.pods[0], "metadata")["deletionTimestamp"] = ago(time.Hour)
			in(w.workload, "status")["readyReplicas"] = 2
		}, []string{"inconclusive", "ready inconclusive(settling): expected 3 ready, got 2: 0 pods not ready, 1 terminating, for 1 minute so far"}, "ready=2 terminating=1"},
		"a workload that is being deleted": {func(w *world) { in(w.workload, "metadata")["deletionTimestamp"] = ago(time.Hour) },
			[]string{"fail", "ready fail(replicas): expected a Deployment that stays, got one that is being deleted"}, "ready=3"},
		"a gate before the scheduler": {func(w *world) {
			w.unready(1, 6*time.Minute)
			c := in(w.pods[1], "status", "conditions", 0)
			c["status"], c["reason"] = "False", "SchedulingGated"
		}, []string{"fail", "ready fail(unscheduled): expected 3 ready, got 2: 1 pod not ready, 1 without a node, for 6 minutes"}, "unscheduled=1 ready=2"},

		"a command that does not exist, between waits": {func(w *world) {
			w.waiting(0, "CrashLoopBackOff", "back-off")
			w.container(0)["restartCount"] = 3
			w.container(0)["lastState"] = ended("StartError", 128, ago(time.Minute), ago(time.Minute))
			in(w.container(0), "lastState", "terminated")["message"] = `exec: "` + marker + `": executable file not found in $PATH`
		}, []string{"fail", "ready *", "crash_loop fail(crash_loop): 1 of 3 pods: a container crashes again and again, exit status 128",
			"config fail(config_error): 1 of 3 pods: a container cannot be started (StartError): its command, or a file, does not exist in the image"}, "config_error=1 ready=2"},
		"a hook that fails":  {func(w *world) { w.waiting(0, "PreCreateHookError", "") }, []string{"fail", "ready *", "config fail(config_error): *"}, "config_error=1 ready=2"},
		"a sandbox, refused": {func(w *world) { w.waiting(0, "ConfigPodSandboxError", "") }, []string{"fail", "ready *", "config fail(config_error): *"}, "config_error=1 ready=2"},

		"an init container out of memory, and then done": {func(w *world) {
			in(w.pods[1], "status")["initContainerStatuses"] = []any{object{"name": "init", "restartCount": 1,
				"state": ended("Completed", 0, ago(2*time.Minute), ago(time.Minute)), "lastState": ended("OOMKilled", 137, ago(4*time.Minute), ago(3*time.Minute))}}
		}, []string{"fail", "oom_killed fail(oom_killed): 1 pod: a container was killed for want of memory (OOMKilled), the last one 3 minutes ago"}, "oom_killed=1 ready=2"},
		"a sidecar in a loop": {func(w *world) {
			in(w.pods[1], "status")["initContainerStatuses"] = []any{object{"name": "mesh", "restartCount": 5,
				"state": object{"waiting": object{"reason": "CrashLoopBackOff"}}, "lastState": ended("Completed", 0, ago(2*time.Minute), ago(time.Minute))}}
		}, []string{"fail", "crash_loop fail(crash_loop): 1 of 3 pods: a container crashes again and again, exit status 0",
			"restarts inconclusive(settling): *"}, "crash_loop=1 ready=2"},
		"an ephemeral container without image": {func(w *world) {
			in(w.pods[1], "status")["ephemeralContainerStatuses"] = []any{object{"name": "debugger", "restartCount": 9, "state": object{"waiting": object{"reason": "ErrImagePull"}}}}
		}, []string{"pass"}, "ready=3"},
		"an evicted pod that ran out of memory long ago": {func(w *world) {
			i := w.surge(time.Hour)
			in(w.pods[i], "status")["phase"], in(w.pods[i], "status")["reason"] = "Failed", "Evicted"
			w.container(i)["state"] = ended("OOMKilled", 137, ago(2*time.Hour), ago(time.Hour))
		}, []string{"pass"}, "ready=3 ended=1"},
		"restarts of a young pod": {func(w *world) {
			in(w.pods[0], "metadata")["creationTimestamp"] = ago(9 * time.Minute)
			w.crashed(0, 6, "Error", 1, 8*time.Minute, time.Minute)
		}, []string{"fail", "crash_loop inconclusive(settling): *", "restarts fail(restarted): expected at most 3 restarts in the last 10m, got at least 6"}, "ready=3"},
		"restarts below zero": {func(w *world) { w.container(0)["restartCount"] = -1 << 62 }, []string{"pass"}, "ready=3"},
		"an end in 8000 years": {func(w *world) { w.container(0)["lastState"] = ended("OOMKilled", 137, ago(time.Hour), never) },
			[]string{"fail", "oom_killed fail(oom_killed): 1 pod: *"}, "oom_killed=1 ready=2"},
		"an owner that is not the controller": {func(w *world) { delete(in(w.pods[0], "metadata", "ownerReferences", 0), "controller") },
			[]string{"inconclusive", "ready inconclusive(settling): expected 3 ready, got 2: 0 pods not ready, 1 not created, for *"}, "ready=2"},
		"liveness on readiness, with a parameter": {func(w *world) { in(w.template(), "livenessProbe", "httpGet")["path"] = "/ready?full=1" }, []string{"fail", "liveness fail(liveness_is_readiness): *"}, "ready=3"},
		"paused": {func(w *world) { in(w.workload, "spec")["paused"] = true }, []string{"pass"}, "ready=3"},
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

// What is remembered of a clock that is wrong is over in time.
func TestOddPods_future(t *testing.T) {
	const never = "9999-12-31T23:59:59Z"
	w := healthy()
	w.container(0)["restartCount"] = 5
	w.container(0)["state"] = object{"running": object{"startedAt": never}}
	w.container(0)["lastState"] = ended("OOMKilled", 137, never, never)
	s, h := w.snapshot(t, time.Now()), &history{}
	h.update(s)
	later := healthy().snapshot(t, s.now.Add(oomRecent+time.Second))
	seen := h.update(later)
	if o := seen.oomKilled(later); !o.Passed() {
		t.Errorf("a container of then still counts: %s", o.Detail)
	}
	zero := 0
	if o := (&Probe{MaxRestarts: &zero}).restarts(t.Context(), later, seen); !o.Passed() {
		t.Errorf("a restart of then still counts: %s", o.Detail)
	}
}

// A flood of restarts takes little memory.
func TestRestarts_flood(t *testing.T) {
	w := healthy()
	var all []any
	for i := range 11_000 {
		all = append(all, object{"name": fmt.Sprint(i), "state": object{}})
	}
	in(w.pods[0], "status")["containerStatuses"] = all
	s, h := w.snapshot(t, time.Now()), &history{}
	h.update(s)
	for i := range s.pods[0].Status.ContainerStatuses {
		s.pods[0].Status.ContainerStatuses[i].RestartCount = 1 << 40
	}
	h.update(s)
	if len(h.counts) > maxContainers || cap(h.restarts) > 4*maxRemembered {
		t.Errorf("%d containers and %d restarts are remembered", len(h.counts), cap(h.restarts))
	}
}

// TestDaemonSet has pods on nodes that should not have one: they are not among those that are wanted.
func TestDaemonSet(t *testing.T) {
	w := healthy()
	w.kind = "DaemonSet"
	w.workload["kind"] = "DaemonSet"
	delete(in(w.workload, "spec"), "replicas")
	for i := range w.pods {
		in(w.pods[i], "metadata")["ownerReferences"] = []any{object{"kind": "DaemonSet", "name": "proxy", "uid": "d-1", "controller": true}}
	}
	ask := func() probe.Result {
		p := w.probe(t)
		p.Deployment, p.DaemonSet = "", "proxy"
		return run(t, p)
	}
	w.workload["status"] = object{"observedGeneration": 4, "desiredNumberScheduled": 2, "currentNumberScheduled": 2, "numberReady": 2, "numberMisscheduled": 1}
	want(t, ask(), "pass")
	w.workload["status"] = object{"observedGeneration": 4, "desiredNumberScheduled": 3, "currentNumberScheduled": 2, "numberReady": 2, "numberMisscheduled": 1}
	want(t, ask(), "inconclusive", "ready inconclusive(settling): expected 3 ready, got 2: 0 pods not ready, 1 not created, 1 on a node that should have none, for *")
	s, h := healthy().snapshot(t, time.Now()), &history{}
	s.workload.Status.NumberMisscheduled = 1
	h.missingFor(s, 3)
	s.now = s.now.Add(time.Hour)
	if got := h.missingFor(s, 3); got != time.Hour {
		t.Errorf("missing for %s", got)
	}
	w.workload["status"] = object{"observedGeneration": 4, "desiredNumberScheduled": 3, "currentNumberScheduled": 3, "readyReplicas": 3, "numberReady": 2}
	w.unready(0, 10*time.Minute) // it is on a cordoned node, which the set tolerates
	want(t, ask(), "fail", "ready fail(replicas): expected 3 ready, got 2: 1 pod not ready, for 10 minutes")
}

// StatefulSets that are updated in part, or by hand, are as good as others.
func TestStatefulSet(t *testing.T) {
	for _, strategy := range []object{{"type": "OnDelete"}, {"type": "RollingUpdate", "rollingUpdate": object{"partition": 2}}} {
		w := healthy()
		w.kind = "StatefulSet"
		w.workload["kind"] = "StatefulSet"
		in(w.workload, "spec")["updateStrategy"] = strategy
		w.workload["status"] = object{"observedGeneration": 4, "replicas": 3, "readyReplicas": 3, "currentReplicas": 2, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}
		for i := range w.pods {
			in(w.pods[i], "metadata")["ownerReferences"] = []any{object{"kind": "StatefulSet", "name": "proxy", "uid": "d-1", "controller": true}}
		}
		p := w.probe(t)
		p.Deployment, p.StatefulSet = "", "proxy"
		want(t, run(t, p), "pass")
	}
}

// TestBounds: a run of ten minutes is no short one, and a pod beside those that are wanted has its time, less what the clocks differ.
func TestBounds(t *testing.T) {
	now := time.Now()
	s := &snapshot{now: now}
	for after, short := range map[time.Duration]bool{calm - 1: true, calm: false} {
		if got := s.short(&kubernetes.Terminated{StartedAt: now.Add(-time.Minute - after), FinishedAt: now.Add(-time.Minute)}); got != short {
			t.Errorf("a run of %s: short %t", after, got)
		}
		if got := s.short(&kubernetes.Terminated{FinishedAt: now.Add(-after)}); got != short {
			t.Errorf("an end %s ago: short %t", after, got)
		}
	}
	w := healthy()
	w.surge(10 * time.Minute)
	surged, p := w.snapshot(t, now), New()
	for skew, want := range map[time.Duration]bool{0: false, 6 * time.Minute: true} {
		if surged.skew = skew; p.ready(surged, &history{}).Passed() != want {
			t.Errorf("unready for 10m, clocks that differ by %s: passed %t", skew, !want)
		}
	}
}

// If the clocks of the prober and of the cluster differ, times of the cluster say nothing: neither that all is well, nor for how
// long something has been wrong. What needs no time is judged.
func TestClocks(t *testing.T) {
	for name, test := range map[string]struct {
		ahead time.Duration // the cluster's clock
		harm  func(*world)
		want  []string
	}{
		"a bit ahead": {30 * time.Second, func(*world) {}, []string{"pass"}},
		"behind": {-20 * time.Minute, func(*world) {}, []string{"inconclusive", "crash_loop inconclusive(stale_or_cached): the clocks of the API server and of the prober differ by 20 minutes: times of pods cannot be judged",
			"oom_killed inconclusive(stale_or_cached)*", "restarts inconclusive(stale_or_cached)*"}},
		"ahead":             {20 * time.Minute, func(*world) {}, []string{"inconclusive", "crash_loop *", "oom_killed *", "restarts *"}},
		"behind, not ready": {-20 * time.Minute, func(w *world) { w.unready(0, 20*time.Minute) }, []string{"inconclusive", "ready inconclusive(settling): *", "crash_loop *", "oom_killed *", "restarts *"}},
		"behind, no image":  {-20 * time.Minute, func(w *world) { w.waiting(0, "ErrImagePull", "") }, []string{"fail", "ready *", "crash_loop *", "oom_killed *", "image_pull fail(image_pull): *", "restarts *"}},
		"behind, a loop":    {-20 * time.Minute, func(w *world) { w.waiting(0, "CrashLoopBackOff", "") }, []string{"fail", "ready *", "crash_loop fail(crash_loop): *", "oom_killed *", "restarts *"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy()
			test.harm(w)
			w.header = http.Header{"Date": {time.Now().Add(test.ahead).UTC().Format(http.TimeFormat)}}
			want(t, run(t, w.probe(t)), test.want...)
		})
	}
}
