// Package pods asks the Kubernetes API whether the pods of a workload run, and why not.
package pods

import (
	"context"
	"time"

	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/replicas"
)

// Probe asks the API server of Kubernetes about one workload: whether its pods crash, run out of memory, lack their image, a
// variable or a Secret, and how many are ready. The server is a witness: whatever is wrong with it says nothing of the workload.
// No pods are no proof of anything either.
type Probe struct {
	kubernetes.Settings `yaml:",inline"`

	Deployment  string `yaml:"deployment" doc:"the Deployment to look at"`
	StatefulSet string `yaml:"statefulset" doc:"in its place, a StatefulSet"`
	DaemonSet   string `yaml:"daemonset" doc:"in its place, a DaemonSet"`
	CronJob     string `yaml:"cronjob" doc:"in its place, a CronJob, of which the last success counts"`

	Replicas     replicas.Replicas   `yaml:"replicas" doc:"how many there must be at least, and where health finds them: their addresses must be those of the ready pods"`
	UnreadyGrace probe.Duration      `yaml:"unready_grace" default:"5m" doc:"how long a pod may take to become ready, while others are"`
	MaxRestarts  *int                `yaml:"max_restarts" default:"3" doc:"how many restarts within 10 minutes are accepted; while an incident is open, none is"`
	Ready        string              `yaml:"ready" default:"/ready" doc:"the readiness path, which neither liveness nor startup may ask"`
	Env          map[string][]string `yaml:"env" doc:"by container, the variables that it must have"`
	MaxAge       probe.Duration      `yaml:"max_age" doc:"for a CronJob: how long ago its last success may be"`

	client  *kubernetes.Client
	history history
}

// Reasons of this kind, beside those of package kubernetes.
var (
	reasonCrashLoop = probe.Reason{Word: "crash_loop", Verdict: probe.Fail, Text: "the service crashes whenever it is started",
		Action: "Read the log of the last crash (kubectl logs --previous); roll back if it began with a deploy."}
	reasonOOMKilled = probe.Reason{Word: "oom_killed", Verdict: probe.Fail, Text: "a container ran out of memory",
		Action: "Raise the memory limit or roll back what made the memory grow; kubectl describe pod shows limit and time."}
	reasonImagePull = probe.Reason{Word: "image_pull", Verdict: probe.Fail, Text: "an image cannot be pulled",
		Action: "Check name, tag and pull secret of the image: kubectl describe pod shows what the registry said."}
	reasonConfigError = probe.Reason{Word: "config_error", Verdict: probe.Fail, Text: "a container lacks what it is configured with",
		Action: "Create the Secret, ConfigMap, key or variable that the detail names, or roll back the manifest that needs it."}
	reasonRestarted = probe.Reason{Word: "restarted", Verdict: probe.Fail, Text: "containers restart",
		Action: "Read why with kubectl describe pod (last state) and kubectl logs --previous."}
	reasonUnscheduled = probe.Reason{Word: "unscheduled", Verdict: probe.Fail, Text: "no node for a pod",
		Action: "Look at kubectl describe pod: no node has the room, the taint or the volume; add nodes or lower the requests."}
	reasonAddresses = probe.Reason{Word: "other_addresses", Verdict: probe.Fail, Text: "traffic goes elsewhere than to the ready pods",
		Action: "Compare the selector of the Service with the labels of the pods: traffic goes elsewhere than to the ready ones."}
	reasonLiveness = probe.Reason{Word: "liveness_is_readiness", Verdict: probe.Fail, Text: "liveness asks what readiness asks",
		Action: "Point livenessProbe at an endpoint of its own: as it is, a dependency that is down restarts every pod."}
	reasonNoReadiness = probe.Reason{Word: "no_readiness", Verdict: probe.Fail, Text: "no readiness probe",
		Action: "Add a readinessProbe: without one, pods get traffic before they can serve it."}
	reasonNoSuccess = probe.Reason{Word: "no_success", Verdict: probe.Fail, Text: "no success for too long",
		Action: "Look at the latest Jobs of the CronJob: failed, suspended, or never started."}
	reasonNoPods = probe.Reason{Word: "no_pods", Verdict: probe.Inconclusive, Text: "no pod to look at",
		Action: "Check name and namespace, and whether the workload is scaled to 0 on purpose."}
)

// Measures of this kind.
var (
	podsGauge = &probe.Measure{
		Name:   "probe_pods",
		Help:   "Pods of the workload in the last run, each by the worst that is known of it.",
		Labels: []string{"state"},
	}
	wantedGauge = &probe.Measure{
		Name: "probe_pods_wanted",
		Help: "Pods that the workload asks for.",
	}
	readyGauge = &probe.Measure{
		Name: "probe_pods_ready",
		Help: "Pods that are ready.",
	}
	restartsCounter = &probe.Measure{
		Name:    "probe_pods_restarts_total",
		Help:    "Restarts of containers that the prober has seen.",
		Counter: true,
	}
	successGauge = &probe.Measure{
		Name: "probe_pods_last_success_timestamp_seconds",
		Help: "When a Job of the CronJob succeeded last.",
		Kept: true,
	}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return New() },
		Summary:  "the pods of a Kubernetes workload: crash loops, memory, images, missing variables and Secrets, restarts, and how many are ready",
		Measures: []*probe.Measure{podsGauge, wantedGauge, readyGauge, restartsCounter, successGauge},
		Reasons: append([]probe.Reason{
			reasonCrashLoop, reasonOOMKilled, reasonImagePull, reasonConfigError, reasonRestarted, reasonUnscheduled, reasonAddresses,
			reasonLiveness, reasonNoReadiness, reasonNoSuccess, reasonNoPods,
		}, kubernetes.Reasons()...),
	}
}

var (
	_ probe.Addresser   = (*Probe)(nil)
	_ probe.Closer      = (*Probe)(nil)
	_ probe.Initializer = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe {
	return &Probe{UnreadyGrace: probe.Duration(5 * time.Minute), Ready: "/ready"}
}

// Close closes the connections to the server.
func (p *Probe) Close() { p.client.Close() }

// InitialSamples lists the counter of restarts.
func (p *Probe) InitialSamples() []probe.Sample {
	if p.CronJob != "" {
		return nil
	}
	return []probe.Sample{{Measure: restartsCounter}}
}

// Checks names what a run notes.
func (p *Probe) Checks() []string {
	if p.CronJob != "" {
		return []string{"api", "last_success"}
	}
	names := []string{"api", "ready"}
	if !p.Replicas.None() {
		names = append(names, "replicas")
	}
	names = append(names, "crash_loop", "oom_killed", "image_pull", "config", "restarts", "liveness")
	if len(p.Env) > 0 {
		names = append(names, "env")
	}
	return names
}

// Ask reads the workload and its pods, and judges them.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	namespace, o := p.client.Namespace()
	if !o.Passed() {
		kubernetes.Note(r, "api", o)
		return
	}
	if p.CronJob != "" {
		p.askCronJob(ctx, r, namespace)
		return
	}
	kind, name := p.workload()
	w, o := p.client.Workload(ctx, r, "api", kind, namespace, name)
	if !o.Passed() {
		kubernetes.Note(r, "api", o)
		return
	}
	all, o := p.client.Pods(ctx, r, "api", namespace, w.Spec.Selector)
	if !o.Passed() {
		kubernetes.Note(r, "api", o)
		return
	}
	s := newSnapshot(w, all, time.Now())
	r.Pass("api", "read %s %s and %s", kind, name, countPods(len(s.pods)))
	p.judge(ctx, r, s)
}

// workload returns the kind and the name of what is looked at.
func (p *Probe) workload() (kind, name string) {
	switch {
	case p.StatefulSet != "":
		return kubernetes.KindStatefulSet, p.StatefulSet
	case p.DaemonSet != "":
		return kubernetes.KindDaemonSet, p.DaemonSet
	}
	return kubernetes.KindDeployment, p.Deployment
}

// judge notes every check but that of the API.
func (p *Probe) judge(ctx context.Context, r *probe.Result, s *snapshot) {
	seen := p.history.update(s)
	s.measure(r)
	r.Measure(restartsCounter, float64(seen.added))
	r.Note("ready", p.ready(s, &p.history))
	if !p.Replicas.None() {
		p.compareAddresses(ctx, r, s)
	}
	for _, c := range []struct {
		name  string
		judge func(*snapshot) probe.Outcome
		timed bool // by times of the cluster
	}{
		{"crash_loop", crashLoop, true}, {"oom_killed", seen.oomKilled, true}, {"image_pull", imagePull, false}, {"config", configError, false},
		{"restarts", func(s *snapshot) probe.Outcome { return p.restarts(ctx, s, seen) }, true},
	} {
		o := c.judge(s)
		switch {
		case !o.Passed():
		case s.known() == 0:
			o = probe.Outcomef(reasonNoPods, "expected pods of the %s whose containers have a status, got none", s.workload.Kind)
		case s.begun() == 0:
			o = probe.Outcomef(reasonNoPods, "expected pods of the %s whose containers have started, got none", s.workload.Kind)
		case c.timed && s.skew > 0:
			o = probe.Outcomef(probe.StaleOrCached, "the clocks of the API server and of the prober differ by %s: times of pods cannot be judged", text.Roughly(s.skew))
		}
		r.Note(c.name, o)
	}
	r.Note("liveness", p.liveness(s))
	if len(p.Env) > 0 {
		r.Note("env", p.environment(s))
	}
}
