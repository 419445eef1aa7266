package kubernetes

import (
	"context"

	"prober/internal/probe"
)

// ServiceName is the label by which an EndpointSlice names its Service.
const ServiceName = "kubernetes.io/service-name"

// An EndpointSlice is a part of the endpoints of a Service.
type EndpointSlice struct {
	Metadata    Metadata       `json:"metadata"`
	AddressType string         `json:"addressType"` // IPv4, IPv6 or FQDN
	Endpoints   []Endpoint     `json:"endpoints"`
	Ports       []EndpointPort `json:"ports"`
}

func (s *EndpointSlice) metadata() *Metadata { return &s.Metadata }

// An Endpoint is usually a pod. All its addresses lead to the same.
type Endpoint struct {
	Addresses  []string `json:"addresses"`
	Conditions struct {
		Ready       *bool `json:"ready"` // not known counts as ready
		Terminating *bool `json:"terminating"`
	} `json:"conditions"`
	TargetRef *struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
	} `json:"targetRef"`
	NodeName string `json:"nodeName"`
	Zone     string `json:"zone"`
}

// Ready reports whether the endpoint gets traffic.
func (e *Endpoint) Ready() bool {
	is := func(b *bool, otherwise bool) bool { return b == nil && otherwise || b != nil && *b }
	return is(e.Conditions.Ready, true) && !is(e.Conditions.Terminating, false)
}

// An EndpointPort is a port of all endpoints of a slice. Without a number it stands for all ports.
type EndpointPort struct {
	Name string `json:"name"`
	Port *int   `json:"port"`
}

// EndpointSlices fetches the endpoints of a Service.
func (c *Client) EndpointSlices(ctx context.Context, r *probe.Result, check, namespace, service string) ([]EndpointSlice, probe.Outcome) {
	return list[EndpointSlice](ctx, c, r, check, request{
		api: "apis/discovery.k8s.io/v1", resource: "endpointslices", kind: "EndpointSlice", ns: namespace, selector: ServiceName + "=" + service,
	})
}
