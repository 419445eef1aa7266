package kubernetes

import (
	"context"
	"time"

	"prober/internal/probe"
)

// A Pod is a set of containers on one node.
type Pod struct {
	Metadata Metadata `json:"metadata"`
	Status   struct {
		Phase                 string            `json:"phase"` // Pending, Running, Succeeded, Failed or Unknown
		Reason                string            `json:"reason"`
		PodIPs                []PodIP           `json:"podIPs"`
		Conditions            []Condition       `json:"conditions"`
		InitContainerStatuses []ContainerStatus `json:"initContainerStatuses"`
		ContainerStatuses     []ContainerStatus `json:"containerStatuses"`
	} `json:"status"`
}

// A PodIP is one address of a pod, which has one of each family at most.
type PodIP struct {
	IP string `json:"ip"`
}

func (p *Pod) metadata() *Metadata { return &p.Metadata }

// Ready reports whether the pod accepts traffic, as the kubelet and the controller of its node see it.
func (p *Pod) Ready() bool {
	return p.Metadata.DeletionTimestamp == nil && FindCondition(p.Status.Conditions, "Ready").Status == "True"
}

// A ContainerStatus is what the kubelet says of a container.
type ContainerStatus struct {
	Name         string         `json:"name"`
	RestartCount int            `json:"restartCount"`
	State        ContainerState `json:"state"`
	LastState    ContainerState `json:"lastState"` // of the run before
	ImageID      string         `json:"imageID"`   // with the digest that runs
}

// A ContainerState is one of the three, or nothing.
type ContainerState struct {
	Waiting    *Waiting    `json:"waiting"`
	Running    *Running    `json:"running"`
	Terminated *Terminated `json:"terminated"`
}

// Waiting is the state of a container that does not run yet, or not again.
type Waiting struct {
	Reason  string `json:"reason"`
	Message string `json:"message"` // names images, Secrets and files: it must not be shown
}

// Running is the state of a container that runs.
type Running struct {
	StartedAt time.Time `json:"startedAt"`
}

// Terminated is the state of a container that has ended.
type Terminated struct {
	Reason     string    `json:"reason"`
	Message    string    `json:"message"` // as that of Waiting
	ExitCode   int       `json:"exitCode"`
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt"`
}

// Pods fetches the pods that a selector selects, those of other owners too.
func (c *Client) Pods(ctx context.Context, r *probe.Result, check, namespace string, selector Selector) ([]Pod, probe.Outcome) {
	text, o := selector.query()
	if !o.Passed() {
		return nil, o
	}
	return list[Pod](ctx, c, r, check, request{api: "api/v1", resource: "pods", kind: "Pod", ns: namespace, selector: text})
}
