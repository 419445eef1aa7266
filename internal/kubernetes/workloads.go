package kubernetes

import (
	"context"
	"slices"
	"time"

	"prober/internal/probe"
)

// The kinds of workloads, as the API calls them.
const (
	KindDeployment  = "Deployment"
	KindStatefulSet = "StatefulSet"
	KindDaemonSet   = "DaemonSet"
)

var workloadResources = map[string]string{KindDeployment: "deployments", KindStatefulSet: "statefulsets", KindDaemonSet: "daemonsets"}

// A Workload is a Deployment, a StatefulSet or a DaemonSet: what they have in common.
type Workload struct {
	Kind     string   `json:"kind"`
	Metadata Metadata `json:"metadata"`
	Spec     struct {
		Replicas *int        `json:"replicas"` // not of a DaemonSet
		Selector Selector    `json:"selector"`
		Template PodTemplate `json:"template"`
	} `json:"spec"`
	Status struct {
		ObservedGeneration int64 `json:"observedGeneration"`
		Replicas           int   `json:"replicas"`
		ReadyReplicas      int   `json:"readyReplicas"`

		DesiredNumberScheduled int `json:"desiredNumberScheduled"` // of a DaemonSet, as are the next
		CurrentNumberScheduled int `json:"currentNumberScheduled"`
		NumberReady            int `json:"numberReady"`
		NumberMisscheduled     int `json:"numberMisscheduled"` // pods on nodes that should have none
	} `json:"status"`
}

// Workload fetches a Deployment, StatefulSet or DaemonSet by its kind.
func (c *Client) Workload(ctx context.Context, r *probe.Result, check, kind, namespace, name string) (*Workload, probe.Outcome) {
	w := &Workload{}
	q := request{api: "apis/apps/v1", resource: workloadResources[kind], kind: kind, ns: namespace, name: name}
	o := c.get(ctx, r, check, q, w, &w.Metadata)
	if o.Passed() && kind != KindDaemonSet && w.Spec.Replicas == nil {
		o = probe.Outcomef(probe.Schema, "expected a %s with the number of its replicas, which the API server always fills in, got none", kind)
	}
	return w, o
}

// Observed reports whether the status is that of the object as it is.
func (w *Workload) Observed() bool { return w.Status.ObservedGeneration >= w.Metadata.Generation }

// Wanted is how many pods there should be: of a DaemonSet as many as its controller has counted nodes for.
func (w *Workload) Wanted() int {
	if w.Kind == KindDaemonSet {
		return w.Status.DesiredNumberScheduled
	}
	return *w.Spec.Replicas
}

// Existing is how many pods the controller has counted.
func (w *Workload) Existing() int { return max(w.Status.Replicas, w.Status.CurrentNumberScheduled) }

// ReadyCount is how many of them were ready.
func (w *Workload) ReadyCount() int { return max(w.Status.ReadyReplicas, w.Status.NumberReady) }

// PodHash is the label by which a Deployment tells the pods of its ReplicaSets apart.
const PodHash = "pod-template-hash"

// Owns reports whether a pod is one of the workload's. A selector may match others too.
func (w *Workload) Owns(p *Pod) bool {
	owner := p.Metadata.Controller()
	if w.Kind == KindDeployment {
		// By way of a ReplicaSet, whose name is made of these.
		hash := p.Metadata.Labels[PodHash]
		return owner.Kind == "ReplicaSet" && hash != "" && owner.Name == w.Metadata.Name+"-"+hash
	}
	return owner.Kind == w.Kind && owner.UID == w.Metadata.UID
}

// A CronJob starts Jobs by a schedule.
type CronJob struct {
	Metadata Metadata `json:"metadata"`
	Spec     struct {
		Suspend     bool `json:"suspend"`
		JobTemplate struct {
			Spec struct {
				Template PodTemplate `json:"template"`
			} `json:"spec"`
		} `json:"jobTemplate"`
	} `json:"spec"`
	Status struct {
		Active             []OwnerReference `json:"active"` // Jobs that run now
		LastScheduleTime   *time.Time       `json:"lastScheduleTime"`
		LastSuccessfulTime *time.Time       `json:"lastSuccessfulTime"`
	} `json:"status"`
}

// CronJob fetches a CronJob.
func (c *Client) CronJob(ctx context.Context, r *probe.Result, check, namespace, name string) (*CronJob, probe.Outcome) {
	j := &CronJob{}
	q := request{api: "apis/batch/v1", resource: "cronjobs", kind: "CronJob", ns: namespace, name: name}
	return j, c.get(ctx, r, check, q, j, &j.Metadata)
}

// Owns reports whether a pod is of one of the Jobs that run now. Others may have the same labels.
func (j *CronJob) Owns(p *Pod) bool {
	owner := p.Metadata.Controller()
	return owner.Kind == "Job" && owner.UID != "" && slices.ContainsFunc(j.Status.Active, func(job OwnerReference) bool { return job.UID == owner.UID })
}

// OfJobs selects the pods of Jobs by the names of these.
func OfJobs(names []string) Selector {
	return Selector{MatchExpressions: []Expression{{Key: "batch.kubernetes.io/job-name", Operator: "In", Values: names}}}
}
