package pods

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/kubernetes"
	"prober/internal/probe"
)

// TestClassify: of what the kubelet says only the kind is told, whatever names and values are in it.
func TestClassify(t *testing.T) {
	for message, want := range map[string]string{
		"couldn't find key A in Secret ibex/a":                  "a variable names a key that its Secret does not have",
		"couldn't find key A in ConfigMap ibex/a":               "a variable names a key that its ConfigMap does not have",
		`secret "a" not found`:                                  "a Secret does not exist",
		`configmap "a" not found`:                               "a ConfigMap does not exist",
		`secrets "a" is forbidden: no relationship found`:       "the kubelet may not read a Secret or ConfigMap",
		"container has runAsNonRoot and image will run as root": "its image would run as root, which runAsNonRoot forbids",
		`exec: "a": executable file not found in $PATH`:         "its command, or a file, does not exist in the image",
		"stat /a: no such file or directory":                    "its command, or a file, does not exist in the image",
		"exec /a: permission denied":                            "it has no permission for its command, or a file",
		"something else":                                        "", "": "", strings.Repeat("x", 2000) + "forbidden": "",
	} {
		if got := classify(message); got != want {
			t.Errorf("%s: got %q, want %q", message, got, want)
		}
	}
}

// terminated is a container that has ended with a status, and was not started again yet.
func (w *world) terminated(i, restarts, code int) {
	w.container(i)["restartCount"] = restarts
	w.container(i)["state"] = object{"terminated": object{"reason": "Error", "exitCode": code, "startedAt": ago(20 * time.Second), "finishedAt": ago(time.Second)}}
}

// TestCrashLoop_exitCodes: the status is told if it is that of all that crash, and one that a process can have.
func TestCrashLoop_exitCodes(t *testing.T) {
	for name, test := range map[string]struct {
		codes []int
		want  string
	}{
		"one": {[]int{2}, "1 of 3 pods: a container crashes again and again, exit status 2"}, "two alike": {[]int{0, 0}, "2 of 3 pods: a container crashes again and again, exit status 0"},
		"two that differ": {[]int{0, 1}, "2 of 3 pods: a container crashes again and again"}, "the last": {[]int{255}, "1 of 3 pods: a container crashes again and again, exit status 255"},
		"one too high": {[]int{256}, "1 of 3 pods: a container crashes again and again"}, "below zero": {[]int{-1}, "1 of 3 pods: a container crashes again and again"},
	} {
		w := healthy()
		for i, code := range test.codes {
			w.terminated(i, 1, code)
		}
		if o := crashLoop(w.snapshot(t, time.Now())); o.Reason != reasonCrashLoop || o.Detail != test.want {
			t.Errorf("%s: got %s: %s", name, o.Reason, o.Detail)
		}
	}
}

// TestCrashLoop_firstEnd: one end is no loop, two are.
func TestCrashLoop_firstEnd(t *testing.T) {
	for restarts, want := range []probe.Reason{probe.OK, reasonCrashLoop} {
		w := healthy()
		w.terminated(0, restarts, 1)
		if o := crashLoop(w.snapshot(t, time.Now())); o.Reason.Word != want.Word {
			t.Errorf("ended and %d restarts: got %s", restarts, o.Reason)
		}
		w = healthy()
		w.crashed(0, restarts+1, "Error", 1, 3*time.Minute, time.Minute)
		want = []probe.Reason{probe.OK, probe.Settling}[restarts]
		if o := crashLoop(w.snapshot(t, time.Now())); o.Reason.Word != want.Word {
			t.Errorf("running, and %d restarts: got %s", restarts+1, o.Reason)
		}
	}
}

// Each word is told once, and three of them.
func TestImagePull_words(t *testing.T) {
	w := healthy()
	words := []string{"ErrImagePull", "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
	for i, word := range words {
		if i >= len(w.pods) {
			w.pods = append(w.pods, pod(i))
		}
		w.waiting(i, word, "")
	}
	const want = "5 of 5 pods: a container has no image (ErrImagePull, ImagePullBackOff, InvalidImageName and 1 more)"
	if o := imagePull(w.snapshot(t, time.Now())); o.Detail != want {
		t.Errorf("got %s", o.Detail)
	}
}

// TestCronJob_limits: a success that is due now is late, and of very many Jobs that run some are looked at.
func TestCronJob_limits(t *testing.T) {
	s, p := &snapshot{now: time.Now()}, &Probe{MaxAge: probe.Duration(time.Hour)}
	for age, want := range map[time.Duration]probe.Reason{time.Hour - 1: probe.Settling, time.Hour: reasonNoSuccess} {
		j := &kubernetes.CronJob{}
		j.Metadata.CreationTimestamp = s.now.Add(-age)
		if o := p.lastSuccess(j, s); o.Reason.Word != want.Word {
			t.Errorf("made %s ago: got %s", age, o.Reason)
		}
	}
	j := &kubernetes.CronJob{}
	for i := range 2 * maxJobs {
		j.Status.Active = append(j.Status.Active, kubernetes.OwnerReference{Name: fmt.Sprint("backup-", i)})
	}
	if n := len(activeJobs(j)); n != maxJobs {
		t.Errorf("%d Jobs are looked at", n)
	}
}

// TestRestartedAt: what tells best when a container was started last.
func TestRestartedAt(t *testing.T) {
	now := time.Now()
	s := &snapshot{now: now}
	at := func(d time.Duration) time.Time { return now.Add(-d) }
	running := func(d time.Duration) *kubernetes.ContainerStatus {
		c := &kubernetes.ContainerStatus{}
		c.State.Running = &kubernetes.Running{StartedAt: at(d)}
		return c
	}
	late := running(0)
	late.State.Running.StartedAt = time.Time{}
	late.LastState.Terminated = &kubernetes.Terminated{FinishedAt: at(time.Hour)}
	for _, c := range []struct {
		c    *kubernetes.ContainerStatus
		want time.Duration
	}{{running(time.Minute), time.Minute}, {late, time.Hour}, {&kubernetes.ContainerStatus{}, 0}} {
		if got := now.Sub(s.restartedAt(c.c)); got != c.want {
			t.Errorf("%+v: got %s ago", c.c.State, got)
		}
	}
}

// A container that ran out of memory, and has ended in another way since, is still one that ran out of memory.
func TestOOMKilled_endedSince(t *testing.T) {
	w := healthy()
	w.crashed(0, 1, "OOMKilled", 137, time.Hour, 5*time.Minute)
	p := w.probe(t)
	run(t, p)
	w.crashed(0, 2, "Completed", 0, 5*time.Minute, 4*time.Minute)
	r := run(t, p)
	const want = "a container was killed for want of memory (OOMKilled), 5 minutes ago, and has ended again since"
	if !slices.ContainsFunc(r.Checks, func(c probe.Check) bool {
		return c.Name == "oom_killed" && c.Reason == reasonOOMKilled && c.Detail == want
	}) {
		t.Errorf("got %+v", r.NotPassed())
	}
}

// A workload of one replica is one as any other.
func TestOneReplica(t *testing.T) {
	w := healthy()
	w.pods = w.pods[:1]
	in(w.workload, "spec")["replicas"] = 1
	w.workload["status"] = object{"observedGeneration": 4, "replicas": 1, "readyReplicas": 1}
	p := w.probe(t)
	p.Replicas.Static, p.Replicas.Want = []string{"127.0.1.0:80"}, 1
	want(t, run(t, p), "pass")
	w.kind, w.workload["kind"] = "DaemonSet", "DaemonSet"
	w.workload["status"] = object{"observedGeneration": 4, "desiredNumberScheduled": 1, "currentNumberScheduled": 1, "numberReady": 1}
	in(w.pods[0], "metadata")["ownerReferences"] = []any{object{"kind": "DaemonSet", "name": "proxy", "uid": "d-1", "controller": true}}
	p = w.probe(t)
	p.Deployment, p.DaemonSet = "", "proxy"
	r := run(t, p)
	want(t, r, "pass")
	wanted := func(r probe.Result) bool {
		return slices.ContainsFunc(r.Samples, func(s probe.Sample) bool { return s.Measure == wantedGauge && s.Value == 1 })
	}
	if !wanted(r) {
		t.Error("how many are wanted is not told")
	}
	in(w.workload, "metadata")["generation"] = 5 // how many nodes are to have a pod is not known yet
	if r = run(t, p); wanted(r) {
		t.Error("what was wanted before is told")
	}
}

// A pod that terminates in place of one that is not ready yet is not missing.
func TestReady_terminatingBeside(t *testing.T) {
	w := healthy()
	w.unready(1, 6*time.Minute)
	w.pods = append(w.pods, pod(3))
	in(w.pods[3], "metadata")["deletionTimestamp"] = ago(time.Minute)
	want(t, run(t, w.probe(t)), "fail", "ready fail(replicas): expected 3 ready, got 2: 1 pod not ready, for 6 minutes")
}

// Of several mistakes in a pod template the worst is told, and how many there are beside it.
func TestLiveness_several(t *testing.T) {
	w := healthy()
	in(w.template(), "livenessProbe", "httpGet")["path"] = "/ready"
	containers := in(w.workload, "spec", "template", "spec")
	containers["containers"] = append(containers["containers"].([]any), object{"name": "other", "ports": []any{object{"containerPort": 9000}}})
	if o := w.probe(t).liveness(w.snapshot(t, time.Now())); o.Reason != reasonLiveness || !strings.HasSuffix(o.Detail, ", and 1 other mistake") {
		t.Errorf("got %s: %s", o.Reason, o.Detail)
	}
}

// TestValidate_bounds: what a setting may be at least and at most, and what a run is announced by.
func TestValidate_bounds(t *testing.T) {
	number := func(n int) *int { return &n }
	many := func(n int) map[string][]string { return map[string][]string{"proxy": slices.Repeat([]string{"A"}, n)} }
	for name, test := range map[string]struct {
		change func(*Probe)
		want   string
	}{
		"no restart":         {func(p *Probe) { p.MaxRestarts = number(0) }, ""},
		"fewer":              {func(p *Probe) { p.MaxRestarts = number(-1) }, "max_restarts: "},
		"the most restarts":  {func(p *Probe) { p.MaxRestarts = number(maxRestarts) }, ""},
		"more restarts":      {func(p *Probe) { p.MaxRestarts = number(maxRestarts + 1) }, "max_restarts: "},
		"the most variables": {func(p *Probe) { p.Env = many(maxVariables) }, ""},
		"more variables":     {func(p *Probe) { p.Env = many(maxVariables + 1) }, "env.proxy: "},
		"no variable":        {func(p *Probe) { p.Env = many(0) }, "env.proxy: "},
		"no grace":           {func(p *Probe) { p.UnreadyGrace = 0 }, ""},
		"the most replicas":  {func(p *Probe) { p.Replicas.Want = 100 }, ""},
		"more replicas":      {func(p *Probe) { p.Replicas.Want = 101 }, "replicas.want: "},
		"replicas below 0":   {func(p *Probe) { p.Replicas.Want = -1 }, "replicas.want: "},
		"a moment":           {func(p *Probe) { p.Deployment, p.CronJob, p.MaxAge = "", "backup", 1 }, ""},
		"an age below zero":  {func(p *Probe) { p.Deployment, p.CronJob, p.MaxAge = "", "backup", -1 }, "max_age: "},
	} {
		p := New()
		p.Settings, p.Deployment = kubernetes.Settings{API: "https://127.0.0.1:1", Namespace: "ibex"}, "proxy"
		test.change(p)
		if err := p.Validate(); (err == nil) != (test.want == "") || err != nil && !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
	p := New()
	p.Replicas.Static, p.Env = []string{"127.0.0.1:1"}, many(1)
	if got := strings.Join(p.Checks(), " "); got != "api ready replicas crash_loop oom_killed image_pull config restarts liveness env" {
		t.Errorf("the checks %s are announced", got)
	}
}
