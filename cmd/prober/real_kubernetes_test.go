package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"prober/internal/testenv"
)

// TestReal_kubernetes has a serving prober follow the endpoints of a Service of a real API server with the shipped Role: as they come, get
// ready, are replaced and go, while the API may not be read, and after a restart. An API server takes no loopback addresses for endpoints, so
// they are others of this machine.
func TestReal_kubernetes(t *testing.T) {
	testenv.Real(t)
	if os.Getuid() != 0 {
		t.Skip("further addresses take root")
	}
	hosts := []string{"10.77.0.1", "10.77.0.2", "10.77.0.3"}
	for _, address := range hosts {
		loopbackAddress(t, address)
	}
	port := testenv.Listen(t, func(http.ResponseWriter, *http.Request) {}, hosts...)
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	c := testenv.Kubernetes(t)
	token := c.Prober(t, "../../config/deploy/role.yaml")
	dir := t.TempDir()
	writeFile(t, dir, "token", token)
	const slices = "/apis/discovery.k8s.io/v1/namespaces/ibex/endpointslices"
	// say replaces the endpoints; a host that begins with - is not ready.
	method, path := "POST", slices
	say := func(hosts ...string) {
		t.Helper()
		var endpoints []any
		for _, host := range hosts {
			address, unready := strings.CutPrefix(host, "-")
			endpoints = append(endpoints, map[string]any{
				"addresses": []any{address}, "conditions": map[string]any{"ready": !unready},
				"targetRef": map[string]any{"kind": "Pod", "name": "web-" + address[len(address)-1:], "namespace": "ibex"},
			})
		}
		c.Must(t, method, path, map[string]any{
			"metadata":    map[string]any{"name": "web-1", "labels": map[string]any{"kubernetes.io/service-name": "web"}},
			"addressType": "IPv4", "endpoints": endpoints, "ports": []any{map[string]any{"name": "http", "port": number}},
		})
		method, path = "PUT", slices+"/web-1"
	}

	file := writeFile(t, dir, "prober.yaml", fmt.Sprintf(`
system: shop
interval: 1s
timeout: 900ms
probes:
  - name: pods-of-web
    type: targets
    kubernetes: {api: "%s", namespace: ibex, service: web, bearer: {file: token}, tls: {ca_file: "%s"}}
    within: [10.77.0.0/30]
    want: 2
  - for_each: pods-of-web
    name: pod-{label.__meta_kubernetes_endpointslice_address_target_name}
    type: http
    url: http://{target}/health
`, c.URL, c.CA))
	kept := filepath.Join(dir, "state")
	p := start(t, nil, "--config.file="+file, "--storage.path="+kept)
	failed := func(check, reason string) {
		t.Helper()
		p.waitForMetric(t, fmt.Sprintf(`probe_failures_total{probe="pods-of-web",system="shop",type="targets",check="%s",reason="%s"`, check, reason))
	}
	probes := func(want string) { t.Helper(); p.waitForSeries(t, "probe_success", want) }

	failed("list", "empty_list")
	probes("pods-of-web=0 ")
	say(hosts[0], "-"+hosts[1])
	probes("pod-web-1=1 pods-of-web=0 ") // one is not ready, so there are too few
	failed("want", "too_few_targets")
	say(hosts[0], hosts[1])
	probes("pod-web-1=1 pod-web-2=1 pods-of-web=1 ")
	p.waitForRuns(t, "pod-web-2", 3)
	say(hosts[1], hosts[2]) // one goes, one comes, one stays
	probes("pod-web-2=1 pod-web-3=1 pods-of-web=1 ")
	if _, body, err := p.get("/metrics"); err != nil || countRuns(body, "pod-web-2") < 3 {
		t.Errorf("%v: what stayed began again:\n%s", err, body)
	}
	say(hosts[1], hosts[2], "10.78.0.1") // one is outside of within
	failed("within", "target_refused")
	probes("pod-web-2=1 pod-web-3=1 pods-of-web=0 ")

	// Nobody says which endpoints there are: the last ones stay.
	writeFile(t, dir, "token", c.Expired(t, token))
	failed("list", "credential")
	say(hosts[0], hosts[1])
	stay := func(want string) {
		t.Helper()
		probes(want)
		_, body, _ := p.get("/metrics")
		p.waitForRuns(t, "pods-of-web", countRuns(body, "pods-of-web")+2)
		probes(want)
	}
	stay("pod-web-2=1 pod-web-3=1 pods-of-web=0 ")
	writeFile(t, dir, "token", token) // as the kubelet renews it
	probes("pod-web-1=1 pod-web-2=1 pods-of-web=1 ")
	const binding = "/apis/rbac.authorization.k8s.io/v1/namespaces/ibex/rolebindings"
	bound := c.Must(t, "GET", binding+"/prober", nil)
	c.Must(t, "DELETE", binding+"/prober", nil)
	failed("list", "forbidden")
	stay("pod-web-1=1 pod-web-2=1 pods-of-web=0 ")
	delete(bound["metadata"].(map[string]any), "resourceVersion")
	c.Must(t, "POST", binding, bound)
	probes("pod-web-1=1 pod-web-2=1 pods-of-web=1 ")
	c.Must(t, "DELETE", path, nil) // the Service is gone, or selects nothing
	stay("pod-web-1=1 pod-web-2=1 pods-of-web=0 ")
	if _, page, err := p.get("/probes/shop/pods-of-web"); err != nil || !strings.Contains(page, "there is no such Service, or it selects nothing; the last list stays") {
		t.Errorf("%v: the page of the list does not say why:\n%s", err, page)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status, err := p.Wait(t.Context()); err != nil || status != exitPass {
		t.Errorf("exit status %d, %v", status, err)
	}
	if strings.Contains(p.Output(), token[:40]) {
		t.Error("the log has the token")
	}
	p = start(t, nil, "--config.file="+file, "--storage.path="+kept)
	stay("pod-web-1=1 pod-web-2=1 pods-of-web=0 ")
}
