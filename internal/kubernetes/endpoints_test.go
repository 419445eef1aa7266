package kubernetes

import (
	"fmt"
	"testing"
)

// slice is a list of one EndpointSlice, with the endpoints of a JSON list.
func slice(endpoints string) string {
	return fmt.Sprintf(`{"kind":"EndpointSliceList","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"web-1","namespace":"shop","uid":"u1","labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4","endpoints":%s,"ports":[{"name":"http","port":8080}]}]}`, endpoints)
}

func TestEndpointSlices(t *testing.T) {
	f, c := serve(t, slice(`[{"addresses":["10.0.0.1"]},{"addresses":["10.0.0.2"],"conditions":{"ready":true},"targetRef":{"kind":"Pod","name":"web-b"},"nodeName":"n1","zone":"a"},
		{"addresses":["10.0.0.3"],"conditions":{"ready":false,"serving":false}},{"addresses":["10.0.0.4"],"conditions":{"ready":true,"terminating":true}}]`))
	all, o := c.EndpointSlices(t.Context(), newResult(), "list", "shop", "web")
	expect(t, o, "ok")
	got := ""
	for _, e := range all[0].Endpoints {
		got += fmt.Sprint(e.Addresses[0], " ", e.Ready(), ", ")
	}
	if want := "10.0.0.1 true, 10.0.0.2 true, 10.0.0.3 false, 10.0.0.4 false, "; got != want || *all[0].Ports[0].Port != 8080 || all[0].Endpoints[1].TargetRef.Name != "web-b" {
		t.Errorf("got %s, %+v", got, all[0])
	}
	if want := "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dweb&limit=50"; f.asked[0] != want {
		t.Errorf("asked %s", f.asked[0])
	}

	_, c = serve(t, failure(403, "Forbidden", ""))
	_, o = c.EndpointSlices(t.Context(), newResult(), "list", "shop", "web")
	expect(t, o, "forbidden: got 403: *")
	_, c = serve(t, slice(`[{"addresses":"10.0.0.1"}]`))
	_, o = c.EndpointSlices(t.Context(), newResult(), "list", "shop", "web")
	expect(t, o, "schema: the list of endpointslices has an object that is not one of the kind EndpointSlice")
}
