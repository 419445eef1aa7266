package kubernetes

import (
	"context"
	"maps"
	"time"

	"prober/internal/probe"
)

// Metadata is what every object has. Of all objects only the fields are read that a probe needs.
type Metadata struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace"`
	UID               string            `json:"uid"`
	Generation        int64             `json:"generation"`
	CreationTimestamp time.Time         `json:"creationTimestamp"`
	DeletionTimestamp *time.Time        `json:"deletionTimestamp"`
	Labels            map[string]string `json:"labels"`
	Annotations       map[string]string `json:"annotations"`
	OwnerReferences   []OwnerReference  `json:"ownerReferences"`

	Read time.Time `json:"-"` // when the server handed the object out, by its own clock; zero in a list, or if it does not say
}

// trim forgets the labels and annotations that nobody asks for: each may be long, and there may be many objects.
func (m *Metadata) trim() {
	unknown := func(key, _ string) bool { return key != PodHash && key != Revision && key != RevisionHistory }
	maps.DeleteFunc(m.Labels, unknown)
	maps.DeleteFunc(m.Annotations, unknown)
}

// An OwnerReference names an object that this one belongs to.
type OwnerReference struct {
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Controller bool   `json:"controller"`
}

// Controller returns the owner that manages the object; the zero value if there is none.
func (m *Metadata) Controller() OwnerReference {
	for _, o := range m.OwnerReferences {
		if o.Controller {
			return o
		}
	}
	return OwnerReference{}
}

// Revision is the annotation by which a Deployment numbers its ReplicaSets, and itself. A rollback gives an old ReplicaSet a new
// number.
const Revision = "deployment.kubernetes.io/revision"

// RevisionHistory is the annotation of a ReplicaSet that had other numbers before.
const RevisionHistory = "deployment.kubernetes.io/revision-history"

// A Condition is one of an object's conditions.
type Condition struct {
	Type               string    `json:"type"`
	Status             string    `json:"status"` // True, False or Unknown
	Reason             string    `json:"reason"`
	LastTransitionTime time.Time `json:"lastTransitionTime"`
	LastUpdateTime     time.Time `json:"lastUpdateTime"`
}

// FindCondition returns the condition of a type; the zero value, whose status is empty, if there is none.
func FindCondition(all []Condition, kind string) Condition {
	for _, c := range all {
		if c.Type == kind {
			return c
		}
	}
	return Condition{}
}

// A Deployment manages ReplicaSets, each with a pod template of its own.
type Deployment struct {
	Metadata Metadata `json:"metadata"`
	Spec     struct {
		Replicas *int        `json:"replicas"` // the API server fills it in
		Paused   bool        `json:"paused"`
		Selector Selector    `json:"selector"`
		Template PodTemplate `json:"template"`
	} `json:"spec"`
	Status struct {
		ObservedGeneration int64       `json:"observedGeneration"`
		Replicas           int         `json:"replicas"`
		UpdatedReplicas    int         `json:"updatedReplicas"`
		ReadyReplicas      int         `json:"readyReplicas"`
		AvailableReplicas  int         `json:"availableReplicas"`
		Conditions         []Condition `json:"conditions"`
	} `json:"status"`
}

// Observed reports whether the status is that of the object as it is: a controller that has not looked at it since it was changed
// says nothing of it.
func (d *Deployment) Observed() bool { return d.Status.ObservedGeneration >= d.Metadata.Generation }

// A ReplicaSet is a pod template of a Deployment, with its pods.
type ReplicaSet struct {
	Metadata Metadata `json:"metadata"`
	Spec     struct {
		Replicas *int        `json:"replicas"`
		Template PodTemplate `json:"template"`
	} `json:"spec"`
	Status struct {
		ObservedGeneration int64 `json:"observedGeneration"`
		Replicas           int   `json:"replicas"`
		ReadyReplicas      int   `json:"readyReplicas"`
		AvailableReplicas  int   `json:"availableReplicas"`
	} `json:"status"`
}

func (s *ReplicaSet) metadata() *Metadata { return &s.Metadata }

// Deployment fetches a Deployment. The exchange is recorded in r as one of a check; the outcome is OK, or says why there is none.
func (c *Client) Deployment(ctx context.Context, r *probe.Result, check, namespace, name string) (*Deployment, probe.Outcome) {
	d := &Deployment{}
	q := request{api: "apis/apps/v1", resource: "deployments", kind: "Deployment", ns: namespace, name: name}
	return d, c.get(ctx, r, check, q, d, &d.Metadata)
}

// ReplicaSets fetches the ReplicaSets that a selector selects, those of other owners too.
func (c *Client) ReplicaSets(ctx context.Context, r *probe.Result, check, namespace string, selector Selector) ([]ReplicaSet, probe.Outcome) {
	text, o := selector.query()
	if !o.Passed() {
		return nil, o
	}
	return list[ReplicaSet](ctx, c, r, check, request{
		api: "apis/apps/v1", resource: "replicasets", kind: "ReplicaSet", ns: namespace, selector: text,
	})
}
